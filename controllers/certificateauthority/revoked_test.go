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
			give(keyOf(sub), name)
			ca := passed(name, change, with("ca-sub"))
			is(ca, metav1.ConditionFalse, v1alpha1.ReasonRevoked, "its key is not to be trusted", "a key of its own")
			Expect(ca.Status.Versions).To(BeEmpty())
		}
	})

	It("is not one whose key an authority condemns that has issued it nothing, also if that one signed with the issuer's key for a while", func() {
		above := ready("above", func(ca *v1alpha1.CertificateAuthority) { ca.Spec.Validity = "3000d" })
		sub := ready("sub", under("above"))
		below := ready("below", under("sub"))
		lent := func(ca *v1alpha1.CertificateAuthority, to string) { give(keyOf(ca), to) }
		revocations := map[*v1alpha1.CertificateAuthority]func(){}
		for name, key := range map[string]string{"theirs": "", "twin": "ca-above"} {
			rogue := described(name)
			if key == "" {
				rogue = ready(name)
			} else {
				lent(above, name)
				rogue = passed(name, with(key))
			}
			is(rogue, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
			for _, victim := range []*v1alpha1.CertificateAuthority{sub, below} {
				lent(victim, name+"-"+victim.Name)
				squat := passed(name+"-"+victim.Name, under(name), with("ca-"+victim.Name))
				is(squat, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
				revocations[squat] = func() {
					lent(rogue, name)
					reconcile(rogue)
					revoke(rogue, squat.Status.Serial)
				}
			}
		}
		for squat, condemned := range revocations {
			condemned()
			lent(squat, squat.Name)
			reconcile(squat)
			refused(squat)
		}
		for _, ca := range []*v1alpha1.CertificateAuthority{above, sub, below} {
			lent(ca, ca.Name)
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

	It("has its key back when an operator deletes the revocation of the key, and asks for another certificate; what it issued is good, and revoked by the same list", func() {
		above := ready("above")
		sub := ready("sub", under("above"), shownIn("sub-ca"))
		leaf, bad := issued(sub), issued(sub)
		former := sub.Status.Serial
		revoke(above, former)
		annotate(sub, "too early")
		reconcile(sub)
		is(sub, metav1.ConditionFalse, v1alpha1.ReasonRevoked, "its key is not to be trusted")
		lifted := 0
		for _, e := range world.Envelopes(v1alpha1.EnvelopeRevocation) {
			if strings.HasPrefix(e.Spec.Version, "key-") {
				world.Remove(&e)
				lifted++
			}
		}
		Expect(lifted).To(Equal(1))
		world.Update(sub, func() { delete(sub.Annotations, v1alpha1.RotateAnnotation) })
		reconcile(sub)
		is(sub, metav1.ConditionFalse, v1alpha1.ReasonRevoked, former, v1alpha1.RotateAnnotation) // nothing goes on by itself
		refused(sub)

		annotate(sub, "now")
		reconcile(sub)
		is(sub, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(sub.Status.Serial).NotTo(Equal(former))
		issued(sub)
		issuer, err := pki.ParseCertificates([]byte(sub.Status.Certificate))
		Expect(err).NotTo(HaveOccurred())
		Expect(leaf.CheckSignatureFrom(issuer[0])).To(Succeed(), "what was issued before is good under the new certificate")
		world.Update(sub, func() { sub.Spec.Revoked = []v1alpha1.RevokedCertificate{{Serial: serialOf(bad)}} })
		reconcile(sub)
		Expect(sub.Status.CRL.Revoked).To(Equal(int64(1)))
		is(above, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(above.Status.CRL.Revoked).To(Equal(int64(1)), "the former certificate is off the list")
	})

	DescribeTable("is issued anew with the same key when it asks, if it was revoked for what is not its key's", func(reason v1alpha1.RevocationReason, again bool) {
		above := ready("above")
		sub := ready("sub", under("above"))
		world.Update(above, func() {
			above.Spec.Revoked = []v1alpha1.RevokedCertificate{{Serial: sub.Status.Serial, Reason: reason}}
		})
		reconcile(above)
		reconcile(sub)
		is(sub, metav1.ConditionFalse, v1alpha1.ReasonRevoked)
		annotate(sub, "now")
		reconcile(sub)
		if !again {
			is(sub, metav1.ConditionFalse, v1alpha1.ReasonRevoked)
			refused(sub)
			return
		}
		is(sub, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		issued(sub)
	},
		Entry(nil, v1alpha1.RevocationReason("SUPERSEDED"), true), Entry(nil, v1alpha1.RevocationReason("CESSATION_OF_OPERATION"), true),
		Entry(nil, v1alpha1.RevocationReason("AFFILIATION_CHANGED"), true), Entry(nil, v1alpha1.RevocationReason("KEY_COMPROMISE"), false),
		Entry(nil, v1alpha1.RevocationReason(""), false),
	)

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
