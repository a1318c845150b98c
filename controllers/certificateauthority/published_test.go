package certificateauthority_test

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/test/environment"
)

// configMap is the one of a name, to be changed.
func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name}}
}

// absent tells that there is no ConfigMap of a name.
func absent(name string) bool {
	return apierrors.IsNotFound(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(configMap(name)), configMap(name)))
}

// asOpenSSL is a serial number as openssl writes it: without a first byte of 0.
func asOpenSSL(serial string) string { return strings.TrimPrefix(strings.ToUpper(serial), "00") }

// revoked has certificates issued that are revoked, and makes a pass.
func revoked(ca *v1alpha1.CertificateAuthority, count int) (serials []string) {
	GinkgoHelper()
	for range count {
		leaf := issued(ca)
		serials = append(serials, serialOf(leaf))
		Expect(world.Services.Authorities.Revoke(ctx, ca, serialOf(leaf), pki.KeyCompromise)).To(Succeed())
	}
	reconcile(ca)
	return serials
}

var _ = Describe("The ConfigMap of an authority", func() {
	whole := func(name string, ca *v1alpha1.CertificateAuthority) {
		GinkgoHelper()
		m := shown(name)
		Expect(m.Data).To(HaveLen(2))
		Expect(m.Data["ca.crt"]).To(Equal(ca.Status.Certificate + ca.Status.CertificateChain))
		_, err := openssl(map[string]string{"list": m.Data["ca.crl"], "ca": m.Data["ca.crt"]}, "crl", "-in", "list", "-noout", "-CAfile", "ca")
		Expect(err).NotTo(HaveOccurred())
	}

	DescribeTable("is healed, with a list of a greater number that expires when the other did, and it is told", func(harm func(*corev1.ConfigMap)) {
		ca := ready("one", shownIn("one"))
		whole("one", ca)
		before := ca.Status.CRL.DeepCopy()
		m := shown("one")
		harm(m)
		world.Clock.Advance(time.Minute)
		reconcile(ca)
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		whole("one", ca)
		Expect(ca.Status.CRL.Number).To(BeNumerically(">=", before.Number))
		Expect(ca.Status.CRL.NextUpdate).To(Equal(before.NextUpdate))
		Expect(world.DrainEvents()).To(HaveExactElements(ContainSubstring("Healed")))
		reconcile(ca)
		Expect(world.DrainEvents()).To(BeEmpty())
	},
		Entry("another list", func(m *corev1.ConfigMap) { world.Update(m, func() { m.Data["ca.crl"] = "theirs" }) }),
		Entry("no list", func(m *corev1.ConfigMap) { world.Update(m, func() { delete(m.Data, "ca.crl") }) }),
		Entry("other certificates", func(m *corev1.ConfigMap) { world.Update(m, func() { m.Data["ca.crt"] = "theirs" }) }),
		Entry("gone", func(m *corev1.ConfigMap) { world.Remove(m) }),
		Entry("another owner", func(m *corev1.ConfigMap) { world.Update(m, func() { m.OwnerReferences = nil }) }),
	)

	It("goes when another is named, and when none is, and those of others stay", func() {
		ca := ready("one", shownIn("first"))
		world.Update(ca, func() { ca.Spec.Target.Name = "second" })
		reconcile(ca)
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(absent("first")).To(BeTrue(), "the former target is left behind")
		whole("second", ca)
		world.Update(ca, func() { ca.Spec.Target = nil })
		reconcile(ca)
		Expect(absent("second")).To(BeTrue())
		Expect(ca.Status.Projection).To(BeNil())
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)

		world.Update(ca, func() { ca.Spec.Target = &v1alpha1.AuthorityTarget{Name: "third"} })
		reconcile(ca)
		m := shown("third")
		world.Update(m, func() { m.OwnerReferences = nil })
		world.Update(ca, func() { ca.Spec.Target = nil })
		reconcile(ca)
		Expect(absent("third")).To(BeFalse(), "somebody took it over")
	})

	It("that somebody changes each time is not written for ever", func() {
		ca := ready("one", shownIn("one"))
		for range 6 {
			m := shown("one")
			world.Update(m, func() { m.Data["ca.crl"] = "theirs" })
			reconcile(ca)
		}
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonConflict, "undid", "ConfigMap one")
		Expect(shown("one").Data["ca.crl"]).To(Equal("theirs"))
		world.Clock.Advance(10 * time.Minute)
		reconcile(ca)
		whole("one", ca)
	})

	It("is healed as far as it can be while the key is disabled", func() {
		ca := ready("one", shownIn("one"))
		key := environment.KMSKey(world.Namespace, "ca-one")
		world.Update(key, func() { key.Spec.Enabled = new(bool) })
		world.ReconcileKey(key)
		list := shown("one").Data["ca.crl"]
		m := shown("one")
		world.Update(m, func() { m.Data["ca.crt"] = "theirs" })
		reconcile(ca)
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonKeyUnusable)
		Expect(shown("one").Data).To(Equal(map[string]string{"ca.crt": ca.Status.Certificate, "ca.crl": list}))
		world.Remove(m)
		reconcile(ca)
		Expect(shown("one").Data).To(Equal(map[string]string{"ca.crt": ca.Status.Certificate}))
		world.Update(key, func() { key.Spec.Enabled = nil })
		world.ReconcileKey(key)
		reconcile(ca)
		whole("one", ca)
	})
})

var _ = Describe("An entry of a revocation list", func() {
	It("leaves it once a list that was made after the certificate's end has had it, and not before", func() {
		ca := ready("one", shownIn("one"), func(ca *v1alpha1.CertificateAuthority) { ca.Spec.Validity = "3000d" })
		leaf := issued(ca)
		world.Clock.Set(leaf.NotAfter.Add(-time.Minute))
		reconcile(ca)
		Expect(world.Services.Authorities.Revoke(ctx, ca, serialOf(leaf), pki.KeyCompromise)).To(Succeed())
		reconcile(ca)
		listed := func() bool { return ca.Status.CRL.Revoked == 1 }
		Expect(listed()).To(BeTrue())
		world.Clock.Set(leaf.NotAfter.Add(day)) // half a list's time is not over
		number := ca.Status.CRL.Number
		reconcile(ca)
		Expect(ca.Status.CRL.Number).To(Equal(number), "a certificate's end makes no list")
		world.Clock.Set(ca.Status.CRL.NextUpdate.Time)
		reconcile(ca)
		Expect(listed()).To(BeTrue(), "no list after its end has it")
		number = ca.Status.CRL.Number
		reconcile(ca)
		Expect(ca.Status.CRL.Number).To(Equal(number), "what leaves the next list makes that list at once")
		world.Clock.Set(ca.Status.CRL.NextUpdate.Time)
		reconcile(ca)
		Expect(listed()).To(BeFalse())
		Expect(shown("one").Data["ca.crl"]).NotTo(BeEmpty())
	})
})

var _ = Describe("A revocation list that does not fit into its ConfigMap", func() {
	// narrow lets a target take so many entries, roughly.
	narrow := func(ca *v1alpha1.CertificateAuthority) {
		m := shown(ca.Spec.Target.Name)
		world.CertificateAuthority.MaximumTarget = len(m.Data["ca.crt"]) + len(m.Data["ca.crl"]) + 150
		DeferCleanup(func() { world.CertificateAuthority.MaximumTarget = 0 })
	}
	long := func(ca *v1alpha1.CertificateAuthority) { ca.Spec.Validity = "3000d" }

	It("is told with what to do, and certificates, the last list and issuing go on", func() {
		ca := ready("one", shownIn("one"), long)
		narrow(ca)
		first := revoked(ca, 2)
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		last := shown("one").Data["ca.crl"]
		number := ca.Status.CRL.Number
		more := revoked(ca, 5)
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonRevocationListTooLarge, "7 certificates", "ConfigMap one", "Create another", "shorter validity")
		Expect(shown("one").Data).To(Equal(map[string]string{"ca.crt": ca.Status.Certificate, "ca.crl": last}))
		Expect(ca.Status.CRL).To(And(HaveField("Number", number), HaveField("Revoked", int64(2))), "status tells of a list that nobody has")
		issued(ca)

		m := shown("one")
		world.Remove(m)
		annotate(ca, "now")
		reconcile(ca)
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonRevocationListTooLarge)
		Expect(shown("one").Data).To(Equal(map[string]string{"ca.crt": ca.Status.Certificate}), "the certificate that is in force now")
		Expect(world.Envelopes(v1alpha1.EnvelopeRevocation)).To(HaveLen(7), "a revocation is lost")

		world.Clock.Advance((91 + 14) * day)
		more = append(more, revoked(ca, 7)...)
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonRevocationListTooLarge)
		Expect(world.Envelopes(v1alpha1.EnvelopeRevocation)).To(HaveLen(14), "what no list after its end has had is forgotten")

		world.CertificateAuthority.MaximumTarget = 0
		reconcile(ca)
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		text, err := openssl(map[string]string{"list": shown("one").Data["ca.crl"]}, "crl", "-in", "list", "-noout", "-text")
		Expect(err).NotTo(HaveOccurred())
		for _, serial := range append(first, more...) {
			Expect(text).To(ContainSubstring(asOpenSSL(serial)))
		}
	})

	It("is made again when certificates have expired, which is told of those that no list after their end has had", func() {
		ca := ready("one", shownIn("one"), long)
		narrow(ca)
		revoked(ca, 7)
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonRevocationListTooLarge)
		world.DrainEvents()
		world.Clock.Advance(91 * day)
		last := revoked(ca, 1)
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(ca.Status.CRL.Revoked).To(Equal(int64(1)))
		Expect(world.DrainEvents()).To(ContainElement(And(ContainSubstring("RevocationListShortened"), ContainSubstring("7 certificates"))))
		text, err := openssl(map[string]string{"list": shown("one").Data["ca.crl"]}, "crl", "-in", "list", "-noout", "-text")
		Expect(err).NotTo(HaveOccurred())
		Expect(text).To(ContainSubstring(asOpenSSL(last[0])))
	})

	It("is one that Kubernetes does not take either: a ConfigMap of 1 MiB is stored, and one of a byte more is not", func() {
		m := configMap("full")
		m.Data = map[string]string{"ca.crt": "x", "ca.crl": strings.Repeat("x\n", 1<<19-1) + "x"}
		Expect(world.ControlPlane.Client.Create(ctx, m)).To(Succeed())
		m.Data["ca.crt"] = "xx"
		Expect(apierrors.IsInvalid(world.ControlPlane.Client.Update(ctx, m))).To(BeTrue())
	})
})
