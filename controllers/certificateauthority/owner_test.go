package certificateauthority_test

import (
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/test/environment"
)

// with names the KMSKey that signs.
func with(key string) func(*v1alpha1.CertificateAuthority) {
	return func(ca *v1alpha1.CertificateAuthority) { ca.Spec.KMSKeyRef = &v1alpha1.LocalReference{Name: key} }
}

// named gives an authority a common name.
func named(commonName string) func(*v1alpha1.CertificateAuthority) {
	return func(ca *v1alpha1.CertificateAuthority) { ca.Spec.Subject.CommonName = commonName }
}

// passed makes an authority and one pass over it.
func passed(name string, changes ...func(*v1alpha1.CertificateAuthority)) *v1alpha1.CertificateAuthority {
	GinkgoHelper()
	ca := described(name, changes...)
	world.Create(ca)
	reconcile(ca)
	return ca
}

// keyOf is the KMSKey of an authority as it is.
func keyOf(ca *v1alpha1.CertificateAuthority) *v1alpha1.KMSKey {
	GinkgoHelper()
	key := environment.KMSKey(world.Namespace, ca.KMSKeyName())
	world.Refresh(key)
	world.Seen(key)
	return key
}

// forAuthorities makes a key as an authority that is gone had it made.
func forAuthorities(name string) {
	GinkgoHelper()
	world.ReadyKey(name, func(k *v1alpha1.KMSKey) {
		k.Annotations = map[string]string{v1alpha1.AuthorityAnnotation: "arn:aws:acm-pca:us-east-1:000000000000:certificate-authority/gone"}
		k.Spec.KeySpec, k.Spec.KeyUsage = v1alpha1.KeySpecECCNISTP256, v1alpha1.KeyUsageSignVerify
	})
}

// give has a key name an authority as the one that it belongs to, as who looks after the key does; an empty name is none.
func give(key *v1alpha1.KMSKey, name string) {
	GinkgoHelper()
	world.Update(key, func() {
		key.Spec.CertificateAuthorityRef = nil
		if name != "" {
			key.Spec.CertificateAuthorityRef = &v1alpha1.LocalReference{Name: name}
		}
	})
}

// forget takes the holder out of a key's status, which an older release had not, and a backup without status has not.
func forget(key *v1alpha1.KMSKey) {
	GinkgoHelper()
	world.Refresh(key)
	key.Status.CertificateAuthority = nil
	Expect(world.ControlPlane.Client.Status().Update(ctx, key)).To(Succeed())
	world.Seen(key)
}

// notIssuing expects an authority to refuse, for a reason.
func notIssuing(ca *v1alpha1.CertificateAuthority, reason string) {
	GinkgoHelper()
	key, err := pki.GenerateKey(pki.ECPrime256v1)
	Expect(err).NotTo(HaveOccurred())
	names, err := pki.ParseNames([]string{"a.example.com"})
	Expect(err).NotTo(HaveOccurred())
	now := world.Clock.Now()
	_, err = world.Services.Authorities.Issue(ctx, ca, key.Public(), pki.LeafRequest{Names: names, NotBefore: pki.Backdate(now, 90*day), NotAfter: now.Add(90 * day)})
	Expect(err).To(HaveOccurred(), "%s issues", ca.Name)
	Expect(fault.Of(err).Reason).To(Equal(reason), "%v", err)
}

// stolen expects an authority that named another's key to be told so, and to have made nothing with it.
func stolen(ca *v1alpha1.CertificateAuthority, whose string) {
	GinkgoHelper()
	reconcile(ca)
	is(ca, metav1.ConditionFalse, v1alpha1.ReasonKeyInUse, "belongs to the CertificateAuthority "+whose+",", "key of its own", "spec.certificateAuthorityRef")
	Expect(own(ca)).To(BeEmpty(), "it has a certificate for another's key")
	notIssuing(ca, v1alpha1.ReasonAuthorityNotReady)
}

var _ = Describe("The key of an authority", func() {
	It("is of no other, whatever that is called, whoever is above it, and whichever of the two is looked at first", func() {
		first := ready("first")
		Expect(keyOf(first).Status.CertificateAuthority).To(HaveValue(Equal(v1alpha1.KeyAuthority{ARN: first.Status.ARN, Name: "first", Certified: true})))
		ready("above")
		for _, ca := range []*v1alpha1.CertificateAuthority{
			passed("twin", with("ca-first"), named(first.Spec.Subject.CommonName)),
			passed("aaa", with("ca-first")),
			passed("below", with("ca-first"), under("above")),
			passed("mine", with("ca-first"), under("first")),
		} {
			stolen(ca, "first")
		}
		Expect(world.DrainEvents()).To(ContainElement(ContainSubstring(v1alpha1.ReasonKeyInUse)))
		reconcile(first)
		is(first, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		issued(first)
		above := described("above")
		world.Refresh(above)
		for _, e := range world.Envelopes(v1alpha1.EnvelopeIssuedCertificate) {
			Expect(e.Spec.Owner.Name == "above" && e.Spec.ExpireTime != nil).To(BeFalse(), "the one above certified a key that is another's")
		}
	})

	It("is that of one of several that are made at once, and every certificate for it is that one's", func() {
		forAuthorities("shared")
		var all []*v1alpha1.CertificateAuthority
		for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
			ca := described(name, with("shared"))
			world.Create(ca)
			all = append(all, ca)
		}
		var wg sync.WaitGroup
		for _, ca := range all {
			wg.Go(func() { _, _ = world.CertificateAuthority.Reconcile(ctx, environment.Request(ca)) }) // a lost race is made again
		}
		wg.Wait()
		owner := keyOf(all[0]).Status.CertificateAuthority
		Expect(owner).NotTo(BeNil())
		for _, ca := range all {
			world.Refresh(ca)
			world.Seen(ca)
			if ca.Name == owner.Name {
				reconcile(ca)
				is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
				continue
			}
			stolen(ca, owner.Name)
		}
	})

	It("stays its own when it is deleted and made again, within its recovery window and after it, when it is another authority", func() {
		first := ready("first")
		arn := first.Status.ARN
		world.Remove(first)
		world.Sweep("CertificateAuthority", "first")
		thief := passed("thief", with("ca-first"))
		stolen(thief, "first")

		again := passed("first")
		is(again, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(again.Status.ARN).To(Equal(arn))
		issued(again)

		world.Remove(again)
		world.Sweep("CertificateAuthority", "first")
		world.Clock.Set(world.Clock.Now().Add(31 * day))
		world.Sweep("CertificateAuthority", "first")
		Expect(own(again)).To(BeEmpty(), "the window has not ended")
		stolen(thief, "first")
		stranger := passed("first")
		stolen(stranger, "first") // its certificates are good for years, and it is not the one that issued them
		give(keyOf(stranger), "first")
		reconcile(stranger)
		is(stranger, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(stranger.Status.ARN).NotTo(Equal(arn))
		stolen(thief, "first")
	})

	It("is free again when it goes without having had a certificate", func() {
		forAuthorities("shared")
		orphan := passed("orphan", with("shared"), under("nobody"))
		is(orphan, metav1.ConditionFalse, v1alpha1.ReasonAuthorityNotFound)
		Expect(keyOf(orphan).Status.CertificateAuthority).To(HaveValue(HaveField("Certified", false)))
		next := passed("next", with("shared"))
		stolen(next, "orphan")
		world.Remove(orphan)
		reconcile(next)
		is(next, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(keyOf(next).Status.CertificateAuthority).To(HaveValue(HaveField("ARN", next.Status.ARN)))
	})

	It("is given to another by who looks after the key, and to nobody else; the former one then signs nothing", func() {
		former := ready("former", shownIn("former-ca"))
		next, other := passed("next", with("ca-former")), passed("other", with("ca-former"))
		key := keyOf(former)
		give(key, "next")
		notIssuing(former, v1alpha1.ReasonKeyInUse) // at once, before a pass
		stolen(other, "next")
		reconcile(next)
		is(next, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		number := former.Status.CRL.Number
		leaf := issued(next)
		world.Update(former, func() { former.Spec.Revoked = []v1alpha1.RevokedCertificate{{Serial: serialOf(leaf)}} })
		reconcile(former)
		is(former, metav1.ConditionFalse, v1alpha1.ReasonKeyInUse, "belongs to the CertificateAuthority next,")
		notIssuing(former, v1alpha1.ReasonKeyInUse)
		Expect(former.Status.CRL.Number).To(Equal(number))
		Expect(shown("former-ca").Data).To(HaveKey("ca.crl"), "what there is stays shown")

		give(key, "") // taking the name out gives nothing back
		reconcile(former)
		is(former, metav1.ConditionFalse, v1alpha1.ReasonKeyInUse)
		reconcile(next)
		is(next, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		give(key, "former")
		notIssuing(former, v1alpha1.ReasonAuthorityNotReady) // until its controller has seen it
		reconcile(former)
		is(former, metav1.ConditionFalse, v1alpha1.ReasonNotIssued)
		issued(former)
		notIssuing(next, v1alpha1.ReasonKeyInUse)
	})

	It("is kept for an authority that is still to be made, by who makes the key", func() {
		key := world.ReadyKey("shared", func(k *v1alpha1.KMSKey) {
			k.Spec.KeySpec, k.Spec.KeyUsage = v1alpha1.KeySpecECCNISTP256, v1alpha1.KeyUsageSignVerify
			k.Spec.CertificateAuthorityRef = &v1alpha1.LocalReference{Name: "mine"}
		})
		stolen(passed("squatter", with("shared")), "mine")
		Expect(key.Status.CertificateAuthority).To(BeNil())
		is(passed("mine", with("shared")), metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	})

	It("without a holder, of an older release or a backup without status, is that of the oldest certificate", func() {
		first := ready("first")
		key := keyOf(first)
		world.Clock.Set(world.Clock.Now().Add(day))
		give(key, "second")
		second := passed("second", with("ca-first"))
		is(second, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		give(key, "")
		forget(key)
		issued(first)
		notIssuing(second, v1alpha1.ReasonKeyInUse)
		thief := passed("thief", with("ca-first"))
		stolen(thief, "first")
		reconcile(second)
		is(second, metav1.ConditionFalse, v1alpha1.ReasonKeyInUse, "belongs to the CertificateAuthority first,")
		reconcile(first)
		is(first, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(keyOf(first).Status.CertificateAuthority).To(HaveValue(Equal(v1alpha1.KeyAuthority{ARN: first.Status.ARN, Name: "first", Certified: true})))
	})

	It("stays its own when all statuses are lost, whichever is looked at first", func() {
		first := ready("first")
		arn := first.Status.ARN
		thief := passed("thief", with("ca-first"))
		key := keyOf(first)
		key.Status = v1alpha1.KMSKeyStatus{}
		Expect(world.ControlPlane.Client.Status().Update(ctx, key)).To(Succeed())
		world.Seen(key)
		world.ReconcileKey(key)
		for _, ca := range []*v1alpha1.CertificateAuthority{first, thief} {
			ca.Status = v1alpha1.CertificateAuthorityStatus{}
			Expect(world.ControlPlane.Client.Status().Update(ctx, ca)).To(Succeed())
			world.Seen(ca)
		}
		stolen(thief, "first")
		reconcile(first)
		is(first, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(first.Status.ARN).To(Equal(arn))
	})

	It("is one that signs: certificateAuthorityRef of any other is refused", func() {
		for _, usage := range []v1alpha1.KeyUsage{"", v1alpha1.KeyUsageEncryptDecrypt} {
			err := world.ControlPlane.Client.Create(ctx, environment.KMSKey(world.Namespace, "encrypts", func(k *v1alpha1.KMSKey) {
				k.Spec.KeyUsage, k.Spec.CertificateAuthorityRef = usage, &v1alpha1.LocalReference{Name: "mine"}
			}))
			Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
			Expect(err).To(MatchError(ContainSubstring("an authority's key signs")))
		}
	})

	It("makes no write of a pass over what is settled", func() {
		first := ready("first")
		before := keyOf(first).ResourceVersion
		reconcile(first)
		reconcile(passed("thief", with("ca-first")))
		Expect(keyOf(first).ResourceVersion).To(Equal(before))
	})

	It("is none that was made for something else, which signs on and can be given to it", func() {
		key := world.ReadyKey("releases", func(k *v1alpha1.KMSKey) {
			k.Spec.KeySpec, k.Spec.KeyUsage = v1alpha1.KeySpecECCNISTP256, v1alpha1.KeyUsageSignVerify
		})
		thief := passed("thief", with("releases"))
		is(thief, metav1.ConditionFalse, v1alpha1.ReasonKeyInUse, "KMSKey releases was not made for a CertificateAuthority", "spec.certificateAuthorityRef")
		Expect(own(thief)).To(BeEmpty())
		Expect(world.Services.Authorities.CertifiedFor(ctx, key)).To(BeEmpty(), "kms:Sign is refused")
		world.Refresh(key)
		Expect(key.Status.CertificateAuthority).To(BeNil())
		give(key, "thief")
		reconcile(thief)
		is(thief, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	})

	It("that an authority has made is kept for that one, from the first", func() {
		first := passed("first", with("made"))
		is(first, metav1.ConditionFalse, v1alpha1.ReasonKeyUnusable)
		key := keyOf(first)
		Expect(key.Annotations).To(HaveKeyWithValue(v1alpha1.AuthorityAnnotation, first.Status.ARN))
		world.ReconcileKey(key)
		stolen(passed("thief", with("made")), "first")
		reconcile(first)
		is(first, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	})
})
