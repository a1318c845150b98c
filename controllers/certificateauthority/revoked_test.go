package certificateauthority_test

import (
	"strings"

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

	renewed := func(ca *v1alpha1.CertificateAuthority, value string) (former string) {
		GinkgoHelper()
		former = ca.Status.Serial
		annotate(ca, value)
		reconcile(ca)
		Expect(ca.Status.Serial).NotTo(Equal(former))
		return former
	}

	It("is one whose earlier certificate is revoked for its key, however many renewals ago, and with it any other with that key", func() {
		above := ready("above", func(ca *v1alpha1.CertificateAuthority) { ca.Spec.Validity = "3000d" })
		sub := ready("sub", under("above"))
		below := ready("below", under("sub"))
		first := renewed(sub, "1")
		renewed(sub, "2")
		renewed(sub, "3")
		revoke(above, first)
		for _, ca := range []*v1alpha1.CertificateAuthority{sub, below} {
			refused(ca)
			reconcile(ca)
			is(ca, metav1.ConditionFalse, v1alpha1.ReasonRevoked, "CN=CA sub", "above")
		}
		is(sub, metav1.ConditionFalse, v1alpha1.ReasonRevoked, "the key of CN=CA sub is not to be trusted")
		serial := sub.Status.Serial
		annotate(sub, "4")
		reconcile(sub)
		Expect(sub.Status.Serial).To(Equal(serial), "it is issued anew with that key")
		Expect(above.Status.CRL.Revoked).To(Equal(int64(1)), "a key is no entry of a list")

		for name, change := range map[string]func(*v1alpha1.CertificateAuthority){"again": under("above"), "root": func(*v1alpha1.CertificateAuthority) {}} {
			ca := described(name, change, func(ca *v1alpha1.CertificateAuthority) { ca.Spec.KMSKeyRef = &v1alpha1.LocalReference{Name: "ca-sub"} })
			world.Create(ca)
			reconcile(ca)
			is(ca, metav1.ConditionFalse, v1alpha1.ReasonRevoked, "its key is not to be trusted", "a key of its own")
			Expect(ca.Status.Versions).To(BeEmpty())
		}
	})

	It("is not one whose key an authority condemns that has issued it nothing, also if that one signs with the issuer's key", func() {
		above := ready("above", func(ca *v1alpha1.CertificateAuthority) { ca.Spec.Validity = "3000d" })
		sub := ready("sub", under("above"))
		below := ready("below", under("sub"))
		squats, rogues := []*v1alpha1.CertificateAuthority{}, []*v1alpha1.CertificateAuthority{}
		for name, key := range map[string]string{"theirs": "", "twin": "ca-above"} {
			rogue := ready(name, func(ca *v1alpha1.CertificateAuthority) {
				if key != "" {
					ca.Spec.KMSKeyRef = &v1alpha1.LocalReference{Name: key}
				}
			})
			for _, victim := range []string{"sub", "below"} {
				squat := ready(name+"-"+victim, under(name), func(ca *v1alpha1.CertificateAuthority) {
					ca.Spec.KMSKeyRef = &v1alpha1.LocalReference{Name: "ca-" + victim}
				})
				squats, rogues = append(squats, squat), append(rogues, rogue)
			}
		}
		for i, squat := range squats {
			revoke(rogues[i], squat.Status.Serial)
			refused(squat)
		}
		for _, ca := range []*v1alpha1.CertificateAuthority{above, sub, below} {
			reconcile(ca)
			is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
			issued(ca)
		}
		renewed(sub, "1")
		renewed(below, "1")
		issued(below)
		revoke(above, sub.Status.Serial)
		refused(sub)
		refused(below)
	})

	It("has its key back in a new authority when an operator deletes the revocation of the key", func() {
		above := ready("above")
		sub := ready("sub", under("above"))
		leaf := issued(sub)
		revoke(above, sub.Status.Serial)
		again := described("again", under("above"), func(ca *v1alpha1.CertificateAuthority) {
			ca.Spec.KMSKeyRef, ca.Spec.Subject = &v1alpha1.LocalReference{Name: "ca-sub"}, sub.Spec.Subject
		})
		world.Create(again)
		reconcile(again)
		is(again, metav1.ConditionFalse, v1alpha1.ReasonRevoked, "its key is not to be trusted")
		lifted := 0
		for _, e := range world.Envelopes(v1alpha1.EnvelopeRevocation) {
			if strings.HasPrefix(e.Spec.Version, "key-") {
				world.Remove(&e)
				lifted++
			}
		}
		Expect(lifted).To(Equal(1))
		reconcile(again)
		is(again, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		issued(again)
		refused(sub) // its certificate is revoked all the same
		issuer, err := pki.ParseCertificates([]byte(again.Status.Certificate))
		Expect(err).NotTo(HaveOccurred())
		Expect(leaf.CheckSignatureFrom(issuer[0])).To(Succeed(), "what was issued before is good under the new certificate")
	})

	DescribeTable("is not one whose earlier certificate is revoked for what is not its key's", func(reason v1alpha1.RevocationReason) {
		above := ready("above", func(ca *v1alpha1.CertificateAuthority) { ca.Spec.Validity = "3000d" })
		sub := ready("sub", under("above"))
		former := renewed(sub, "1")
		world.Update(above, func() { above.Spec.Revoked = []v1alpha1.RevokedCertificate{{Serial: former, Reason: reason}} })
		reconcile(above)
		reconcile(sub)
		is(sub, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		issued(sub)
		renewed(sub, "2")
	},
		Entry(nil, v1alpha1.RevocationReason("SUPERSEDED")), Entry(nil, v1alpha1.RevocationReason("CESSATION_OF_OPERATION")),
		Entry(nil, v1alpha1.RevocationReason("AFFILIATION_CHANGED")),
	)

	DescribeTable("is one whose earlier certificate is revoked for anything else", func(reason v1alpha1.RevocationReason) {
		above := ready("above", func(ca *v1alpha1.CertificateAuthority) { ca.Spec.Validity = "3000d" })
		sub := ready("sub", under("above"))
		former := renewed(sub, "1")
		world.Update(above, func() { above.Spec.Revoked = []v1alpha1.RevokedCertificate{{Serial: former, Reason: reason}} })
		reconcile(above)
		refused(sub)
	},
		Entry(nil, v1alpha1.RevocationReason("")), Entry(nil, v1alpha1.RevocationReason("UNSPECIFIED")), Entry(nil, v1alpha1.RevocationReason("PRIVILEGE_WITHDRAWN")),
		Entry(nil, v1alpha1.RevocationReason("CERTIFICATE_AUTHORITY_COMPROMISE")), Entry(nil, v1alpha1.RevocationReason("A_A_COMPROMISE")),
	)

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
