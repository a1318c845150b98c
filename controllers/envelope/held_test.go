package envelope_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/test/environment"
)

// hold is a finalizer of somebody else's.
const hold = "example.com/hold"

// kind of objects that go without a finalizer of Strongroom's.
type kind struct {
	version v1alpha1.EnvelopeClass
	// made makes one named db that is Ready, and shown is what it shows.
	made  func(changes ...func(client.Object)) outcome.Object
	shown client.Object
}

var kinds = map[string]kind{
	"Parameter": {v1alpha1.EnvelopeParameterVersion, func(changes ...func(client.Object)) outcome.Object {
		return inForce(environment.Parameter(namespace, "db"), changes...)
	}, &corev1.ConfigMap{}},
	"Secret": {v1alpha1.EnvelopeSecretVersion, func(changes ...func(client.Object)) outcome.Object {
		return inForce(environment.Secret(namespace, "db"), changes...)
	}, &corev1.Secret{}},
	"Certificate": {v1alpha1.EnvelopePrivateKey, func(changes ...func(client.Object)) outcome.Object {
		GinkgoHelper()
		key, chain := imported()
		source := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "source"}, Type: corev1.SecretTypeTLS,
			Data: map[string][]byte{corev1.TLSPrivateKeyKey: key, corev1.TLSCertKey: chain}}
		Expect(client.IgnoreAlreadyExists(cp.Client.Create(ctx, source))).To(Succeed())
		return inForce(&v1alpha1.Certificate{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "db"},
			Spec: v1alpha1.CertificateSpec{
				ImportFrom: &v1alpha1.CertificateSource{SecretRef: v1alpha1.LocalReference{Name: "source"}}, KMSKeyRef: &v1alpha1.LocalReference{Name: "key"},
				Target: &v1alpha1.CertificateTarget{},
			},
		}, changes...)
	}, &corev1.Secret{}},
}

func inForce(obj outcome.Object, changes ...func(client.Object)) outcome.Object {
	GinkgoHelper()
	for _, change := range changes {
		change(obj)
	}
	Expect(cp.Client.Create(ctx, obj)).To(Succeed())
	Eventually(func(g Gomega) {
		g.Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
		g.Expect(meta.IsStatusConditionTrue(obj.GetConditions(), v1alpha1.ConditionReady)).To(BeTrue(), "%+v", obj.GetConditions())
	}).Should(Succeed())
	return obj
}

func held(obj client.Object) { obj.SetFinalizers([]string{hold}) }

func forGood(obj client.Object) { annotate(obj, v1alpha1.ForceDeleteAnnotation, "true") }

func annotate(obj client.Object, key, value string) {
	all := obj.GetAnnotations()
	if all == nil {
		all = map[string]string{}
	}
	all[key] = value
	obj.SetAnnotations(all)
}

// owned names an owner that there is not, so that the garbage collector deletes the object.
func owned(obj client.Object) {
	obj.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "nobody", UID: "00000000-0000-0000-0000-000000000000"}})
}

// update changes an object as it is.
func update(obj client.Object, change func()) {
	GinkgoHelper()
	Eventually(func() error {
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
		change()
		return cp.Client.Update(ctx, obj)
	}).Should(Succeed())
}

// letGo takes the finalizer away.
func letGo(obj client.Object) {
	GinkgoHelper()
	update(obj, func() { obj.SetFinalizers(nil) })
	Eventually(func() bool { return apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)) }).Should(BeTrue())
}

var _ = Describe("An object that was deleted and that a finalizer of somebody else's holds", func() {
	for name, k := range kinds {
		notShown := func(obj outcome.Object) {
			GinkgoHelper()
			Eventually(func(g Gomega) {
				g.Expect(apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(obj), k.shown))).To(BeTrue(), "it is still shown")
				g.Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
				ready := meta.FindStatusCondition(obj.GetConditions(), v1alpha1.ConditionReady)
				g.Expect(ready.Status).To(Equal(metav1.ConditionFalse))
				g.Expect(ready.Reason).To(Equal(v1alpha1.ReasonTerminating))
				g.Expect(ready.Message).To(ContainSubstring(hold))
			}).Should(Succeed())
		}

		It("is gone for good where it has no window, whatever becomes of its annotation: a "+name, func() {
			run()
			obj := k.made(held, forGood)
			Expect(cp.Client.Delete(ctx, obj)).To(Succeed())
			Eventually(classes).ShouldNot(HaveKey(k.version))
			notShown(obj)
			update(obj, func() { obj.SetAnnotations(nil) })
			letGo(obj)
			Consistently(classes, time.Second).ShouldNot(Or(HaveKey(k.version), HaveKey(v1alpha1.EnvelopeTombstone)))
		})

		It("has its window from then on, and is shown no more, whatever is annotated since: a "+name, func() {
			op := run()
			obj := k.made(held)
			Expect(cp.Client.Delete(ctx, obj)).To(Succeed())
			Eventually(tombstones).Should(HaveLen(1))
			stone := tombstones()[0]
			Expect(stone.Spec.ExpireTime.Time).To(BeTemporally("~", op.Clock.Now().AddDate(0, 0, 30), time.Minute))
			notShown(obj)
			update(obj, func() { forGood(obj) })
			letGo(obj)
			Consistently(func(g Gomega) {
				g.Expect(classes()).To(And(HaveKeyWithValue(k.version, 1), HaveKeyWithValue(v1alpha1.EnvelopeTombstone, 1)))
				g.Expect(tombstones()[0].UID).To(Equal(stone.UID))
			}, time.Second).Should(Succeed())
		})

		It("has a window where no manager saw it deleted, whatever is annotated: a "+name, func() {
			op := run()
			obj := k.made(held)
			Expect(op.Stop()).To(Succeed())
			Expect(cp.Client.Delete(ctx, obj)).To(Succeed())
			update(obj, func() { forGood(obj) })
			run()
			Eventually(tombstones).Should(HaveLen(1))
			notShown(obj)
			letGo(obj)
			Consistently(classes, time.Second).Should(And(HaveKeyWithValue(k.version, 1), HaveKeyWithValue(v1alpha1.EnvelopeTombstone, 1)))
		})
	}

	It("is the object that it was no more: the next one has its values back within the window", func() {
		run()
		obj := kinds["Parameter"].made(held)
		Expect(cp.Client.Delete(ctx, obj)).To(Succeed())
		Eventually(tombstones).Should(HaveLen(1))
		letGo(obj)
		back, ok := kinds["Parameter"].made().(*v1alpha1.Parameter)
		Expect(ok).To(BeTrue())
		Expect(back.Status.Versions).To(HaveLen(1))
		Eventually(tombstones).Should(BeEmpty())
	})

	It("does not keep an AWS name from another object: a Parameter", func() {
		run()
		obj := kinds["Parameter"].made(held, forGood)
		Expect(cp.Client.Delete(ctx, obj)).To(Succeed())
		Eventually(classes).ShouldNot(HaveKey(v1alpha1.EnvelopeParameterVersion))
		inForce(environment.Parameter(namespace, "other", func(p *v1alpha1.Parameter) { p.Spec.Name = "db" }))
		letGo(obj)
	})
})

var _ = Describe("An object that somebody owns", func() {
	for name, k := range kinds {
		It("has its window when the garbage collector deletes it, though it is annotated to have none: a "+name, func() {
			run()
			obj := k.made()
			update(obj, func() { owned(obj); forGood(obj) }) // with the right to update alone
			Expect(cp.Client.Delete(ctx, obj)).To(Succeed())
			Eventually(tombstones).Should(HaveLen(1))
			Consistently(classes, time.Second).Should(HaveKeyWithValue(k.version, 1))
		})
	}
})

// imported is a self-signed certificate and its key, as PEM.
func imported() (key, chain []byte) {
	GinkgoHelper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "db.example.com"}, DNSNames: []string{"db.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	Expect(err).NotTo(HaveOccurred())
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	Expect(err).NotTo(HaveOccurred())
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
