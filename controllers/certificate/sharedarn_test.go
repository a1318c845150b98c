package certificate_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/envelope"
	"strongroom.dev/strongroom/internal/core/arn"
)

var _ = Describe("An ARN that the status of two Certificates has", func() {
	plant := func(c *v1alpha1.Certificate, change func(*v1alpha1.CertificateStatus)) {
		GinkgoHelper()
		refresh(c)
		change(&c.Status)
		Expect(cp.Client.Status().Update(ctx, c)).To(Succeed())
		seen(c)
	}
	named := func(name string) func(*v1alpha1.Certificate) {
		return func(c *v1alpha1.Certificate) { c.Name, c.Spec.Target = name, nil }
	}
	// found expects an ARN to be of one Certificate, and the lists to have no other that says so.
	found := func(given string, whose *v1alpha1.Certificate, listed ...string) {
		GinkgoHelper()
		one, err := env.Services.Certificates.Find(ctx, namespace, arn.DeriveAccount(namespace), given)
		Expect(err).NotTo(HaveOccurred())
		Expect(one).To(HaveField("Name", whose.Name))
		all, err := env.Services.Certificates.List(ctx, namespace, "us-east-1")
		Expect(err).NotTo(HaveOccurred())
		var names []string
		for _, c := range all {
			names = append(names, c.Name)
		}
		Expect(names).To(ConsistOf(listed))
	}
	// refused expects a Certificate to be told whose ARN it has, and to have nothing issued.
	refused := func(c, whose *v1alpha1.Certificate) {
		GinkgoHelper()
		keys, records := len(envelopes(v1alpha1.EnvelopePrivateKey)), len(envelopes(v1alpha1.EnvelopeIssuedCertificate))
		reconcile(c)
		is(c, metav1.ConditionFalse, v1alpha1.ReasonEnvelopeTampered, "status.arn is that of the Certificate "+whose.Name, "remove it")
		Expect(c.Status.Conditions).To(ContainElement(And(HaveField("Type", v1alpha1.ConditionStalled), HaveField("Status", metav1.ConditionTrue))))
		Expect(envelopes(v1alpha1.EnvelopePrivateKey)).To(HaveLen(keys))
		Expect(envelopes(v1alpha1.EnvelopeIssuedCertificate)).To(HaveLen(records))
	}

	It("is that of the one whose UID it is made of, however old the other is, which is well again without it", func() {
		readyRoot()
		elder, theirs := readyShop(named("elder")), readyShop(named("theirs"))
		given, own := theirs.Status.ARN, elder.Status.ARN
		plant(elder, func(s *v1alpha1.CertificateStatus) { s.ARN = given })
		found(given, theirs, "theirs")
		refused(elder, theirs)
		reconcile(theirs)
		isReady(theirs)

		plant(theirs, func(s *v1alpha1.CertificateStatus) { s.ARN, s.Versions = "", nil })
		found(given, theirs, "theirs")
		refused(elder, theirs)
		reconcile(theirs)
		isReady(theirs)
		Expect(theirs.Status.ARN).To(Equal(given))

		plant(elder, func(s *v1alpha1.CertificateStatus) { s.ARN = "" })
		reconcile(elder)
		isReady(elder)
		Expect(elder.Status.ARN).To(Equal(own))
		found(given, theirs, "elder", "theirs")
	})

	It("has nobody's keys collected, however long, of whom it is and who was made again with the keys of one before", func() {
		readyRoot()
		elder, theirs := readyShop(named("elder")), readyShop(named("theirs"))
		own := elder.Status.ARN
		remove(elder)
		elder = readyShop(named("elder"))
		Expect(elder.Status.ARN).To(Equal(own))
		keys := len(envelopes(v1alpha1.EnvelopePrivateKey))
		plant(elder, func(s *v1alpha1.CertificateStatus) { s.ARN = theirs.Status.ARN })
		for range 3 {
			for _, name := range []string{"elder", "theirs"} {
				_, err := env.Envelope.Reconcile(ctx, envelope.Owner{Kind: "Certificate", Namespace: namespace, Name: name})
				Expect(err).NotTo(HaveOccurred())
			}
			Expect(envelopes(v1alpha1.EnvelopeTombstone)).To(BeEmpty())
			env.Clock.Advance(31 * 24 * time.Hour)
		}
		Expect(envelopes(v1alpha1.EnvelopePrivateKey)).To(HaveLen(keys))
	})

	It("is that of the one that was made again under another UID, of whose name its keys are", func() {
		readyRoot()
		elder, theirs := readyShop(named("elder")), readyShop(named("theirs"))
		given := theirs.Status.ARN
		remove(theirs)
		plant(elder, func(s *v1alpha1.CertificateStatus) { s.ARN = given })
		again := readyShop(named("theirs"))
		Expect(again.Status.ARN).To(Equal(given))
		Expect(arn.IsMadeOf(given, string(again.UID))).To(BeFalse())
		found(given, again, "theirs")
		refused(elder, again)
	})

	It("is the elder's, of two that nothing speaks for, and the other's when the elder lets go of it", func() {
		readyRoot()
		given := arn.Certificate("us-east-1", arn.DeriveAccount(namespace), "11111111-2222-3333-4444-555555555555")
		elder, younger := shop(named("a")), shop(named("b"))
		for _, c := range []*v1alpha1.Certificate{elder, younger} {
			create(c)
			plant(c, func(s *v1alpha1.CertificateStatus) { s.ARN = given })
		}
		found(given, elder, "a")
		refused(younger, elder)
		remove(elder)
		found(given, younger, "b")
		reconcile(younger)
		isReady(younger)
		Expect(younger.Status.ARN).To(Equal(given))
	})
})
