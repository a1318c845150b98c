package kmskey_test

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

func TestKMSKeyController(t *testing.T) {
	environment.Specs(t, "KMSKey controller")
}

var (
	ctx       context.Context
	cp        *environment.ControlPlane
	env       *environment.Reconcilers
	namespace string
)

var _ = BeforeSuite(func() {
	ctx = context.Background()
	var err error
	cp, err = environment.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(cp.Stop()).To(Succeed()) })
	env, err = environment.RunReconcilers(ctx, cp)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(env.Stop()).To(Succeed()) })
})

var _ = BeforeEach(func() {
	var err error
	namespace, err = cp.NewNamespace(ctx)
	Expect(err).NotTo(HaveOccurred())
	Eventually(func() error {
		return env.GetClient().Get(ctx, client.ObjectKey{Name: namespace}, environment.NamespaceObject())
	}).Should(Succeed())
	env.DrainEvents()
	env.Clock.Set(time.Now()) // a spec before may have moved it
})

func create(obj client.Object) {
	GinkgoHelper()
	Expect(cp.Client.Create(ctx, obj)).To(Succeed())
	seen(obj)
}

func seen(obj client.Object) {
	GinkgoHelper()
	cached := obj.DeepCopyObject().(client.Object)
	Eventually(func() string {
		if err := env.GetClient().Get(ctx, client.ObjectKeyFromObject(obj), cached); err != nil {
			return err.Error()
		}
		return cached.GetResourceVersion()
	}).Should(Equal(obj.GetResourceVersion()))
}

func refresh(obj client.Object) {
	GinkgoHelper()
	Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
}

func update(obj client.Object, change func()) {
	GinkgoHelper()
	refresh(obj)
	change()
	Expect(cp.Client.Update(ctx, obj)).To(Succeed())
	seen(obj)
}

func remove(obj client.Object) {
	GinkgoHelper()
	Expect(cp.Client.Delete(ctx, obj)).To(Succeed())
	gone(obj)
}

func gone(obj client.Object) {
	GinkgoHelper()
	Eventually(func() bool {
		return apierrors.IsNotFound(env.GetClient().Get(ctx, client.ObjectKeyFromObject(obj), obj.DeepCopyObject().(client.Object)))
	}).Should(BeTrue())
}

func pass(k *v1alpha1.KMSKey) time.Duration {
	GinkgoHelper()
	result, err := env.KMSKey.Reconcile(ctx, environment.Request(k))
	Expect(err).NotTo(HaveOccurred())
	return result.RequeueAfter
}

func reconcile(k *v1alpha1.KMSKey) time.Duration {
	GinkgoHelper()
	after := pass(k)
	refresh(k)
	seen(k)
	return after
}

func ready(changes ...func(*v1alpha1.KMSKey)) *v1alpha1.KMSKey {
	GinkgoHelper()
	k := environment.KMSKey(namespace, "key", changes...)
	create(k)
	reconcile(k)
	Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	return k
}

// secretUnder makes a Secret that is encrypted under the key "key".
func secretUnder() *v1alpha1.Secret {
	GinkgoHelper()
	s := environment.Secret(namespace, "db")
	create(s)
	_, err := env.Secret.Reconcile(ctx, environment.Request(s))
	Expect(err).NotTo(HaveOccurred())
	refresh(s)
	seen(s)
	Expect(meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
	return s
}

func condition(k *v1alpha1.KMSKey, conditionType string) *metav1.Condition {
	return meta.FindStatusCondition(k.Status.Conditions, conditionType)
}

func envelopes(class v1alpha1.EnvelopeClass) []v1alpha1.Envelope {
	GinkgoHelper()
	var list v1alpha1.EnvelopeList
	Expect(cp.Client.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
	var out []v1alpha1.Envelope
	for i := range list.Items {
		if list.Items[i].Spec.Class == class {
			out = append(out, list.Items[i])
		}
	}
	return out
}

func annotate(k *v1alpha1.KMSKey, value string) func() {
	return func() {
		if k.Annotations == nil {
			k.Annotations = map[string]string{}
		}
		k.Annotations[v1alpha1.RotateAnnotation] = value
	}
}

func clientKey(namespace, name string) client.ObjectKey {
	return client.ObjectKey{Namespace: namespace, Name: name}
}

// storeName is the name of the Envelope of a key material.
func storeName(subject string, sequence int64) string {
	return store.Name(v1alpha1.EnvelopeKeyMaterial, subject, sequence)
}
