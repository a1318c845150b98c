package certificateauthority_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/fault"
)

var _ = Describe("A subordinate authority that is revoked", func() {
	revoke := func(ca *v1alpha1.CertificateAuthority, serial string) {
		GinkgoHelper()
		world.Update(ca, func() {
			ca.Spec.Revoked = append(ca.Spec.Revoked, v1alpha1.RevokedCertificate{Serial: serial, Reason: "KEY_COMPROMISE"})
		})
		reconcile(ca)
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	}
	refused := func(ca *v1alpha1.CertificateAuthority) {
		GinkgoHelper()
		key, err := pki.GenerateKey(pki.ECPrime256v1)
		Expect(err).NotTo(HaveOccurred())
		names, err := pki.ParseNames([]string{"a.example.com"})
		Expect(err).NotTo(HaveOccurred())
		now := world.Clock.Now()
		_, err = world.Services.Authorities.Issue(ctx, ca, key.Public(), pki.LeafRequest{Names: names, NotBefore: pki.Backdate(now, 90*day), NotAfter: now.Add(90 * day)})
		Expect(err).To(HaveOccurred(), "a revoked authority issues")
		Expect(fault.Of(err).Reason).To(Equal(v1alpha1.ReasonRevoked), "%v", err)
	}

	It("issues nothing, is not issued anew with its key, and stops those below, while its siblings go on", func() {
		above := ready("above")
		sub, sibling := ready("sub", under("above")), ready("sibling", under("above"))
		below := ready("below", under("sub"))
		leaf := issued(sub)
		serial := sub.Status.Serial
		revoke(above, serial)
		refused(sub)
		refused(below)
		for _, ca := range []*v1alpha1.CertificateAuthority{sub, below} {
			reconcile(ca)
			is(ca, metav1.ConditionFalse, v1alpha1.ReasonRevoked, serial, "CN=CA sub", "above", "create another")
		}
		reconcile(sibling)
		is(sibling, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		issued(sibling)

		number := sub.Status.CRL.Number
		world.Update(sub, func() { sub.Spec.Revoked = []v1alpha1.RevokedCertificate{{Serial: serialOf(leaf)}} })
		reconcile(sub)
		is(sub, metav1.ConditionFalse, v1alpha1.ReasonRevoked)
		Expect(sub.Status.CRL.Number).To(BeNumerically(">", number))
		Expect(sub.Status.CRL.Revoked).To(BeEquivalentTo(1), "what it issued cannot be revoked any more")

		annotate(sub, "now")
		reconcile(sub)
		world.Clock.Set(sub.Status.RenewalTime.Add(day))
		reconcile(sub)
		is(sub, metav1.ConditionFalse, v1alpha1.ReasonRevoked)
		Expect(sub.Status.Serial).To(Equal(serial), "it is issued anew under the key that is not to be trusted")
		Expect(own(sub)).To(HaveLen(1))
	})

	It("stays so when its authorityRef names another, which helps those below it", func() {
		above := ready("above")
		ready("other")
		sub := ready("sub", under("above"))
		below := ready("below", under("sub"))
		revoke(above, sub.Status.Serial)
		for _, ca := range []*v1alpha1.CertificateAuthority{sub, below} {
			world.Update(ca, func() { ca.Spec.AuthorityRef.Name = "other" })
			annotate(ca, "now")
			reconcile(ca)
		}
		is(sub, metav1.ConditionFalse, v1alpha1.ReasonRevoked, "above")
		is(below, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		issued(below)
	})
})
