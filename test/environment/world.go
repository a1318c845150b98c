package environment

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/envelope"
	"strongroom.dev/strongroom/internal/core/arn"
)

// World is a control plane with reconcilers on it, and a namespace that is each spec's own: what suites of packages below
// the controllers stand on. Its methods fail the spec that runs.
type World struct {
	*Reconcilers
	ControlPlane *ControlPlane
	// Namespace of the spec that runs.
	Namespace string

	ctx context.Context
}

// NewWorld starts a World. Call it in BeforeSuite; it ends with the suite.
func NewWorld(ctx context.Context) *World {
	GinkgoHelper()
	cp, err := Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(cp.Stop()).To(Succeed()) })
	reconcilers, err := RunReconcilers(ctx, cp)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(reconcilers.Stop()).To(Succeed()) })
	return &World{Reconcilers: reconcilers, ControlPlane: cp, ctx: ctx}
}

// Fresh gives the spec its namespace, and the clock the time. Call it in BeforeEach.
func (w *World) Fresh() {
	GinkgoHelper()
	w.Namespace = w.NewNamespace()
	w.DrainEvents()
	w.Clock.Set(time.Now())
}

// NewNamespace makes one more namespace and waits until the cache has it.
func (w *World) NewNamespace() string {
	GinkgoHelper()
	name, err := w.ControlPlane.NewNamespace(w.ctx)
	Expect(err).NotTo(HaveOccurred())
	Eventually(func() error {
		return w.GetClient().Get(w.ctx, client.ObjectKey{Name: name}, &corev1.Namespace{})
	}).Should(Succeed())
	return name
}

// Create makes an object as a user does, and waits until the cache has it.
func (w *World) Create(obj client.Object) {
	GinkgoHelper()
	Expect(w.ControlPlane.Client.Create(w.ctx, obj)).To(Succeed())
	w.Seen(obj)
}

// Update changes an object as a user does, and waits until the cache has it.
func (w *World) Update(obj client.Object, change func()) {
	GinkgoHelper()
	w.Refresh(obj)
	change()
	Expect(w.ControlPlane.Client.Update(w.ctx, obj)).To(Succeed())
	w.Seen(obj)
}

// Refresh reads an object as it is.
func (w *World) Refresh(obj client.Object) {
	GinkgoHelper()
	Expect(w.ControlPlane.Client.Get(w.ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
}

// Seen waits until the cache has an object as it is.
func (w *World) Seen(obj client.Object) {
	GinkgoHelper()
	cached := obj.DeepCopyObject().(client.Object)
	Eventually(func() string {
		if err := w.GetClient().Get(w.ctx, client.ObjectKeyFromObject(obj), cached); err != nil {
			return err.Error()
		}
		return cached.GetResourceVersion()
	}).Should(Equal(obj.GetResourceVersion()))
}

// Remove deletes an object and waits until the cache has it no more.
func (w *World) Remove(obj client.Object) {
	GinkgoHelper()
	Expect(w.ControlPlane.Client.Delete(w.ctx, obj)).To(Succeed())
	Eventually(func() bool {
		return apierrors.IsNotFound(w.GetClient().Get(w.ctx, client.ObjectKeyFromObject(obj), obj.DeepCopyObject().(client.Object)))
	}).Should(BeTrue())
}

// ReconcileKey makes one pass over a KMSKey and reads it again.
func (w *World) ReconcileKey(key *v1alpha1.KMSKey) {
	GinkgoHelper()
	_, err := w.KMSKey.Reconcile(w.ctx, Request(key))
	Expect(err).NotTo(HaveOccurred())
	w.Refresh(key)
	w.Seen(key)
}

// ReadyKey makes a KMSKey that is Enabled.
func (w *World) ReadyKey(name string, changes ...func(*v1alpha1.KMSKey)) *v1alpha1.KMSKey {
	GinkgoHelper()
	key := KMSKey(w.Namespace, name, changes...)
	w.Create(key)
	w.ReconcileKey(key)
	Expect(key.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
	return key
}

// AuthorityKey makes the Enabled KMSKey of a CertificateAuthority of the spec's namespace that names none, as its controller makes it: for an elliptic curve, and for one
// that went before it had a certificate, so that the next of the name has it.
func (w *World) AuthorityKey(authority string, changes ...func(*v1alpha1.KMSKey)) *v1alpha1.KMSKey {
	GinkgoHelper()
	former := &v1alpha1.CertificateAuthority{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: authority},
		Spec:       v1alpha1.CertificateAuthoritySpec{KeyAlgorithm: v1alpha1.KeyAlgorithmECPrime256v1},
		Status:     v1alpha1.CertificateAuthorityStatus{ARN: arn.CertificateAuthority(Region, arn.DeriveAccount(w.Namespace), "gone")},
	}
	made, err := w.Services.Authorities.NewKey(former)
	Expect(err).NotTo(HaveOccurred())
	return w.ReadyKey(made.Name, append([]func(*v1alpha1.KMSKey){func(k *v1alpha1.KMSKey) { k.Annotations, k.Spec = made.Annotations, made.Spec }}, changes...)...)
}

// Rotate gives a KMSKey new material; each call needs another token.
func (w *World) Rotate(key *v1alpha1.KMSKey, token string) {
	GinkgoHelper()
	w.Update(key, func() {
		metav1.SetMetaDataAnnotation(&key.ObjectMeta, v1alpha1.RotateAnnotation, token)
	})
	w.ReconcileKey(key)
}

// Sweep makes one pass of the controller of Envelopes over those of an object of the spec's namespace.
func (w *World) Sweep(kind, name string) {
	GinkgoHelper()
	_, err := w.Envelope.Reconcile(w.ctx, envelope.Owner{Kind: kind, Namespace: w.Namespace, Name: name})
	Expect(err).NotTo(HaveOccurred())
}

// Envelopes lists those of a class in the spec's namespace, in the order of their names.
func (w *World) Envelopes(class v1alpha1.EnvelopeClass) []v1alpha1.Envelope {
	GinkgoHelper()
	var list v1alpha1.EnvelopeList
	Expect(w.ControlPlane.Client.List(w.ctx, &list, client.InNamespace(w.Namespace))).To(Succeed())
	var out []v1alpha1.Envelope
	for i := range list.Items {
		if list.Items[i].Spec.Class == class {
			out = append(out, list.Items[i])
		}
	}
	return out
}

// Exchange puts a changed copy in the place of an Envelope, as somebody does who may write Envelopes: they are immutable,
// so it is deleted and made again. The copy is returned.
func (w *World) Exchange(e *v1alpha1.Envelope, change func(*v1alpha1.Envelope)) *v1alpha1.Envelope {
	GinkgoHelper()
	by := e.DeepCopy()
	w.Remove(e)
	by.ObjectMeta = metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Name}
	change(by)
	w.Create(by)
	return by
}

// Seal seals the keyring until the spec ends or the function that it returns is called, and empties the cache of material.
func (w *World) Seal(cause error) (unseal func()) {
	GinkgoHelper()
	holder := w.Services.Keyring
	ring, err := holder.Get()
	Expect(err).NotTo(HaveOccurred())
	holder.SetSealed(cause)
	w.Services.KMS.Materials.Clear()
	unseal = func() {
		if _, err := holder.Get(); err != nil { // it may have another domain key by now
			holder.Set(ring)
		}
	}
	DeferCleanup(unseal)
	return unseal
}
