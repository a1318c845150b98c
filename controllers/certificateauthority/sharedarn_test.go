package certificateauthority_test

import (
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/store"
)

var _ = Describe("An ARN that the status of two authorities has", func() {
	plant := func(ca *v1alpha1.CertificateAuthority, change func(*v1alpha1.CertificateAuthorityStatus)) {
		GinkgoHelper()
		world.Refresh(ca)
		change(&ca.Status)
		Expect(world.ControlPlane.Client.Status().Update(ctx, ca)).To(Succeed())
		world.Seen(ca)
	}
	// found expects an ARN to be of one authority, and the lists to have no other that says so.
	found := func(given string, whose *v1alpha1.CertificateAuthority, listed ...string) {
		GinkgoHelper()
		one, err := world.Services.Authorities.Find(ctx, world.Namespace, arn.DeriveAccount(world.Namespace), given)
		Expect(err).NotTo(HaveOccurred())
		Expect(one).To(HaveField("Name", whose.Name))
		all, err := world.Services.Authorities.List(ctx, world.Namespace, "us-east-1")
		Expect(err).NotTo(HaveOccurred())
		var names []string
		for _, ca := range all {
			names = append(names, ca.Name)
		}
		Expect(names).To(ConsistOf(listed))
	}
	// refused expects an authority to be told whose ARN it has, and to issue nothing.
	refused := func(ca, whose *v1alpha1.CertificateAuthority) {
		GinkgoHelper()
		_, err := world.Services.Authorities.Authority(ctx, ca)
		Expect(errors.Is(err, store.ErrTampered)).To(BeTrue(), "it issues as the other: %v", err)
		Expect(fault.Of(err).Reason).To(Equal(v1alpha1.ReasonAuthorityNotReady))
		before := world.Envelopes(v1alpha1.EnvelopeIssuedCertificate)
		reconcile(ca)
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonEnvelopeTampered, "status.arn is that of the CertificateAuthority "+whose.Name, "remove it")
		Expect(ca.Status.Conditions).To(ContainElement(And(HaveField("Type", v1alpha1.ConditionStalled), HaveField("Status", metav1.ConditionTrue))))
		Expect(world.Envelopes(v1alpha1.EnvelopeIssuedCertificate)).To(HaveLen(len(before)))
	}

	It("is that of the one whose UID it is made of, however old the other is, which is well again without it", func() {
		elder, theirs := ready("elder"), ready("theirs")
		given, own := theirs.Status.ARN, elder.Status.ARN
		plant(elder, func(s *v1alpha1.CertificateAuthorityStatus) { s.ARN = given })
		found(given, theirs, "theirs")
		refused(elder, theirs)
		reconcile(theirs)
		is(theirs, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)

		plant(theirs, func(s *v1alpha1.CertificateAuthorityStatus) { s.ARN, s.Versions = "", nil })
		found(given, theirs, "theirs")
		refused(elder, theirs)
		reconcile(theirs)
		is(theirs, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(theirs.Status.ARN).To(Equal(given))

		plant(elder, func(s *v1alpha1.CertificateAuthorityStatus) { s.ARN = "" })
		reconcile(elder)
		is(elder, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(elder.Status.ARN).To(Equal(own))
		found(given, theirs, "elder", "theirs")
	})

	It("takes no key along: one that names the key of the other makes no certificate for it", func() {
		theirs := ready("theirs")
		thief := described("thief", func(ca *v1alpha1.CertificateAuthority) {
			ca.Spec.KMSKeyRef = &v1alpha1.LocalReference{Name: "ca-theirs"}
		})
		world.Create(thief)
		plant(thief, func(s *v1alpha1.CertificateAuthorityStatus) { s.ARN = theirs.Status.ARN })
		refused(thief, theirs)
		Expect(own(thief)).To(BeEmpty())
		found(theirs.Status.ARN, theirs, "theirs")
	})

	It("is that of the one that was made again under another UID, of whose name its certificates are", func() {
		elder, theirs := ready("elder"), ready("theirs")
		given := theirs.Status.ARN
		world.Remove(theirs)
		plant(elder, func(s *v1alpha1.CertificateAuthorityStatus) { s.ARN = given })
		again := described("theirs")
		world.Create(again)
		reconcile(again)
		is(again, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(again.Status.ARN).To(Equal(given))
		Expect(arn.IsMadeOf(given, string(again.UID))).To(BeFalse())
		found(given, again, "theirs")
		refused(elder, again)
	})

	It("is the elder's, of two that nothing speaks for, and the other's when the elder lets go of it", func() {
		given := arn.CertificateAuthority("us-east-1", arn.DeriveAccount(world.Namespace), "11111111-2222-3333-4444-555555555555")
		elder, younger := root("a"), root("b")
		for _, ca := range []*v1alpha1.CertificateAuthority{elder, younger} {
			plant(ca, func(s *v1alpha1.CertificateAuthorityStatus) { s.ARN = given })
		}
		found(given, elder, "a")
		refused(younger, elder)
		world.Remove(elder)
		found(given, younger, "b")
		reconcile(younger)
		is(younger, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(younger.Status.ARN).To(Equal(given))
	})
})
