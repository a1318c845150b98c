package certificateauthority_test

import (
	"crypto/tls"
	"crypto/x509"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

// Nothing but events moves what follows: each step is somebody's write, and what it leads to must come by itself. The clock stands still, so
// no time that was planned comes.
var _ = Describe("A running manager", Ordered, func() {
	const patience = 30 * time.Second
	var (
		cp        *environment.ControlPlane
		namespace string
		op        *environment.Operator
		ca, sub   *v1alpha1.CertificateAuthority
		c         *v1alpha1.Certificate
	)
	BeforeAll(func() {
		cp = world.ControlPlane
		var err error
		op, err = environment.RunOperator(ctx, cp.Config, operator.Options{})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(op.Stop)
		namespace, err = cp.NewNamespace(ctx)
		Expect(err).NotTo(HaveOccurred())
		here := func(ca *v1alpha1.CertificateAuthority) { ca.Namespace = namespace }
		ca = described("root", here, shownIn("root-ca"))
		sub = described("issuing", here, under("root"), shownIn("issuing-ca"), func(ca *v1alpha1.CertificateAuthority) { ca.Spec.Validity = "200d" })
		c = &v1alpha1.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop"}, Spec: v1alpha1.CertificateSpec{
			DomainName: "shop.example.com", KeyAlgorithm: v1alpha1.KeyAlgorithmECPrime256v1, Validity: "90d",
			AuthorityRef: &v1alpha1.LocalReference{Name: "issuing"}, Target: &v1alpha1.CertificateTarget{Name: "shop-tls"},
		}}
	})
	refresh := func(obj client.Object) error { return cp.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj) }
	isReady := func(obj client.Object, conditions func() []metav1.Condition) func() bool {
		return func() bool {
			return refresh(obj) == nil && meta.IsStatusConditionTrue(conditions(), v1alpha1.ConditionReady)
		}
	}
	caReady := func(ca *v1alpha1.CertificateAuthority) func() bool {
		return isReady(ca, func() []metav1.Condition { return ca.Status.Conditions })
	}
	cReady := func() bool { return isReady(c, func() []metav1.Condition { return c.Status.Conditions })() }
	update := func(obj client.Object, change func()) {
		GinkgoHelper()
		Eventually(func() error {
			if err := refresh(obj); err != nil {
				return err
			}
			change()
			return cp.Client.Update(ctx, obj)
		}).WithTimeout(patience).Should(Succeed())
	}
	// served is the leaf that a workload is shown; its key is its own, or there is none.
	served := func() *x509.Certificate {
		GinkgoHelper()
		s := &corev1.Secret{}
		if cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "shop-tls"}, s) != nil {
			return nil
		}
		pair, err := tls.X509KeyPair(s.Data["tls.crt"], s.Data["tls.key"])
		Expect(err).NotTo(HaveOccurred(), "a key and a certificate that do not match are shown")
		return pair.Leaf
	}
	servedSerial := func() string {
		if leaf := served(); leaf != nil {
			return serialOf(leaf)
		}
		return ""
	}

	It("brings a hierarchy up that was applied from below", func() {
		for _, obj := range []client.Object{c, sub, ca} {
			Expect(cp.Client.Create(ctx, obj)).To(Succeed())
		}
		Eventually(cReady).WithTimeout(patience).Should(BeTrue())
		Eventually(caReady(sub)).WithTimeout(patience).Should(BeTrue())
		Eventually(caReady(ca)).WithTimeout(patience).Should(BeTrue())
		Expect(servedSerial()).To(Equal(c.Status.Serial))
		Expect(sub.Status.CertificateChain).To(Equal(ca.Status.Certificate))
	})

	It("heals what somebody else changes or deletes", func() {
		s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop-tls"}}
		Expect(cp.Client.Delete(ctx, s)).To(Succeed())
		Eventually(servedSerial).WithTimeout(patience).Should(Equal(c.Status.Serial))
		update(s, func() { delete(s.Data, "ca.crt") })
		Eventually(func() []byte { _ = refresh(s); return s.Data["ca.crt"] }).WithTimeout(patience).ShouldNot(BeEmpty())

		m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "root-ca"}}
		Expect(cp.Client.Delete(ctx, m)).To(Succeed())
		Eventually(func() string { _ = refresh(m); return m.Data["ca.crl"] }).WithTimeout(patience).ShouldNot(BeEmpty())
		update(m, func() { m.Data["ca.crt"] = "theirs" })
		Eventually(func() string { _ = refresh(m); return m.Data["ca.crt"] }).WithTimeout(patience).Should(Equal(ca.Status.Certificate))
	})

	It("renews what was revoked, and lists it", func() {
		before := c.Status.Serial
		op.Clock.Set(op.Clock.Now().Add(time.Second)) // the last list is of now
		update(sub, func() { sub.Spec.Revoked = []v1alpha1.RevokedCertificate{{Serial: before, Reason: "KEY_COMPROMISE"}} })
		Eventually(servedSerial).WithTimeout(patience).ShouldNot(Or(Equal(before), BeEmpty()))
		Eventually(func() int64 { _ = refresh(sub); return sub.Status.CRL.Revoked }).WithTimeout(patience).Should(Equal(int64(1)))
		Eventually(cReady).WithTimeout(patience).Should(BeTrue())
	})

	It("sees a key go and come back, at the authority and below it", func() {
		key := environment.KMSKey(namespace, "ca-issuing")
		update(key, func() { key.Spec.Enabled = new(bool) })
		Eventually(caReady(sub)).WithTimeout(patience).Should(BeFalse())
		before := servedSerial()
		update(c, func() { metav1.SetMetaDataAnnotation(&c.ObjectMeta, v1alpha1.RotateAnnotation, "now") })
		Eventually(cReady).WithTimeout(patience).Should(BeFalse())
		Expect(servedSerial()).To(Equal(before))
		update(key, func() { key.Spec.Enabled = nil })
		Eventually(caReady(sub)).WithTimeout(patience).Should(BeTrue())
		Eventually(servedSerial).WithTimeout(patience).ShouldNot(Equal(before))
		Eventually(cReady).WithTimeout(patience).Should(BeTrue())
		Expect(c.Status.LastHandledRotateAt).To(Equal("now"))
	})

	It("sees a key become free, and go from one authority to another", func() {
		key := environment.KMSKey(namespace, "shared", func(k *v1alpha1.KMSKey) {
			k.Annotations = map[string]string{v1alpha1.AuthorityAnnotation: "arn:aws:acm-pca:us-east-1:000000000000:certificate-authority/gone"}
			k.Spec.KeySpec, k.Spec.KeyUsage = v1alpha1.KeySpecECCNISTP256, v1alpha1.KeyUsageSignVerify
		})
		here := func(ca *v1alpha1.CertificateAuthority) { ca.Namespace = namespace }
		orphan, second, third := described("orphan", here, under("nobody"), with("shared")), described("second", here, with("shared")), described("third", here, with("shared"))
		reason := func(ca *v1alpha1.CertificateAuthority) func() string {
			return func() string {
				_ = refresh(ca)
				return meta.FindStatusCondition(ca.Status.Conditions, v1alpha1.ConditionReady).Reason
			}
		}
		Expect(cp.Client.Create(ctx, key)).To(Succeed())
		Expect(cp.Client.Create(ctx, orphan)).To(Succeed())
		Eventually(reason(orphan)).WithTimeout(patience).Should(Equal(v1alpha1.ReasonAuthorityNotFound))
		Expect(cp.Client.Create(ctx, second)).To(Succeed())
		Eventually(reason(second)).WithTimeout(patience).Should(Equal(v1alpha1.ReasonKeyInUse))
		Expect(cp.Client.Delete(ctx, orphan)).To(Succeed())
		Eventually(caReady(second)).WithTimeout(patience).Should(BeTrue())
		Expect(cp.Client.Create(ctx, third)).To(Succeed())
		Eventually(reason(third)).WithTimeout(patience).Should(Equal(v1alpha1.ReasonKeyInUse))
		update(key, func() { key.Spec.CertificateAuthorityRef = &v1alpha1.LocalReference{Name: "third"} })
		Eventually(caReady(third)).WithTimeout(patience).Should(BeTrue())
		Eventually(reason(second)).WithTimeout(patience).Should(Equal(v1alpha1.ReasonKeyInUse))
	})

	It("has a status back that somebody took away", func() {
		for _, ca := range []*v1alpha1.CertificateAuthority{ca, sub} {
			Expect(refresh(ca)).To(Succeed())
			serial := ca.Status.Serial
			ca.Status = v1alpha1.CertificateAuthorityStatus{}
			Expect(cp.Client.Status().Update(ctx, ca)).To(Succeed())
			Eventually(caReady(ca)).WithTimeout(patience).Should(BeTrue())
			Expect(ca.Status.Serial).To(Equal(serial))
		}
		Eventually(cReady).WithTimeout(patience).Should(BeTrue())
		serial := c.Status.Serial
		c.Status = v1alpha1.CertificateStatus{}
		Expect(cp.Client.Status().Update(ctx, c)).To(Succeed())
		Eventually(cReady).WithTimeout(patience).Should(BeTrue())
		Expect(c.Status.Serial).To(Equal(serial))
		Expect(servedSerial()).To(Equal(serial))
	})

	It("follows a core Secret that is labelled as a source", func() {
		s := &corev1.Secret{}
		Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "shop-tls"}, s)).To(Succeed())
		source := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: "source", Labels: map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedSource},
		}, Type: corev1.SecretTypeTLS, Data: s.Data}
		i := &v1alpha1.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "imported"}, Spec: v1alpha1.CertificateSpec{
			ImportFrom: &v1alpha1.CertificateSource{SecretRef: v1alpha1.LocalReference{Name: "source"}, Policy: v1alpha1.ImportFollow},
		}}
		Expect(cp.Client.Create(ctx, i)).To(Succeed())
		Eventually(func() string {
			_ = refresh(i)
			ready := meta.FindStatusCondition(i.Status.Conditions, v1alpha1.ConditionReady)
			return ready.Reason
		}).WithTimeout(patience).Should(Equal(v1alpha1.ReasonSourceNotFound))
		Expect(cp.Client.Create(ctx, source)).To(Succeed())
		Eventually(func() string { _ = refresh(i); return i.Status.Fingerprint }).WithTimeout(patience).Should(Equal(c.Status.Fingerprint))
		update(c, func() { metav1.SetMetaDataAnnotation(&c.ObjectMeta, v1alpha1.RotateAnnotation, "again") })
		Eventually(func() string { _ = refresh(c); return c.Status.LastHandledRotateAt }).WithTimeout(patience).Should(Equal("again"))
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
		update(source, func() { source.Data = s.Data })
		Eventually(func() string { _ = refresh(i); return i.Status.Fingerprint }).WithTimeout(patience).Should(Equal(c.Status.Fingerprint))
	})

	It("stops at an account that is none, and goes on when it is one again", func() {
		ns := environment.NamespaceObject()
		ns.Name = namespace
		update(ns, func() { metav1.SetMetaDataLabel(&ns.ObjectMeta, v1alpha1.AccountIDLabel, "none") })
		Eventually(caReady(ca)).WithTimeout(patience).Should(BeFalse())
		Eventually(cReady).WithTimeout(patience).Should(BeFalse())
		Expect(strings.HasPrefix(ca.Status.ARN, "arn:aws:acm-pca:")).To(BeTrue())
		update(ns, func() { delete(ns.Labels, v1alpha1.AccountIDLabel) })
		Eventually(caReady(ca)).WithTimeout(patience).Should(BeTrue())
		Eventually(cReady).WithTimeout(patience).Should(BeTrue())
	})
})
