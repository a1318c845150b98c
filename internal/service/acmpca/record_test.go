package acmpca_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/service/acmpca"
	"strongroom.dev/strongroom/internal/service/idempotent"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// records are the Envelopes of what authorities issued, without the authorities' own certificates.
func records() []v1alpha1.Envelope {
	GinkgoHelper()
	var out []v1alpha1.Envelope
	for _, e := range world.Envelopes(v1alpha1.EnvelopeIssuedCertificate) {
		if e.Spec.ExpireTime != nil {
			out = append(out, e)
		}
	}
	return out
}

var _ = Describe("What an authority issues", func() {
	It("is verified by openssl and Go, and found by its serial number under its own authority alone", func() {
		ca, other := ready("one"), ready("other")
		out, serial := issued(ca, "shop.example.com")
		verified(out, "shop.example.com")
		Expect(out.ARN).To(Equal(ca.Status.ARN + "/certificate/" + serial))
		found, err := service.Issued(ctx, ca, serial)
		Expect(err).NotTo(HaveOccurred())
		Expect(found.ARN).To(Equal(out.ARN))
		Expect(found.Chain).To(HaveLen(2))
		Expect(found.Chain[0].Equal(out.Chain[0])).To(BeTrue())
		for name, err := range map[string]error{
			"another authority": second(service.Issued(ctx, other, serial)), "another number": second(service.Issued(ctx, ca, strings.Repeat("0", 31)+"1")),
			"upper case": second(service.Issued(ctx, ca, strings.ToUpper(serial)+"x")), "no number": second(service.Issued(ctx, ca, "")),
		} {
			Expect(err).To(MatchError(acmpca.ErrNotIssued), name)
		}
	})

	It("is recorded before anybody has it, and one write is all that it costs", func() {
		ca := ready("one")
		faulty, writes := world.Faulty()
		of := faulty.CertificateAuthority.Authorities
		r, _ := request("a.example.com")
		for _, after := range []bool{false, true} {
			before := len(records())
			writes.FailAt(1, after)
			out, err := of.Issue(ctx, ca, r.PublicKey, leaf("a.example.com"))
			Expect(err).To(MatchError(environment.ErrInjected))
			Expect(out.Chain).To(BeNil(), "it is handed out though it is not known to be recorded")
			Expect(writes.Log()).To(Equal([]string{"create"}))
			Expect(len(records()) - before).To(Equal(map[bool]int{false: 0, true: 1}[after]))
		}
		writes.FailAt(0, false)
		Expect(second(of.Issue(ctx, ca, r.PublicKey, leaf("a.example.com")))).To(Succeed())
		Expect(writes.Log()).To(Equal([]string{"create"}))
	})

	It("is of no authority whose key is disabled, is gone, or is another", func() {
		ca := ready("one")
		r, _ := request("a.example.com")
		try := func() error { return second(service.Issue(ctx, ca, r.PublicKey, leaf("a.example.com"))) }
		key := keyOf("one")
		world.Update(key, func() { key.Spec.Enabled = new(bool) })
		world.ReconcileKey(key)
		says(try(), v1alpha1.ReasonKeyUnusable, "ca-one")
		says(second(service.SigningRequest(ctx, ca)), v1alpha1.ReasonKeyUnusable)
		world.Update(key, func() { key.Spec.Enabled = nil })
		world.ReconcileKey(key)
		Expect(try()).To(Succeed(), "enabled again, it signs again")

		world.Update(key, func() { key.Finalizers = append(key.Finalizers, "example.com/held") })
		Expect(world.ControlPlane.Client.Delete(ctx, key)).To(Succeed())
		world.Refresh(key)
		world.Seen(key)
		says(try(), v1alpha1.ReasonKeyUnusable, "ca-one")
		key.Finalizers = nil
		Expect(world.ControlPlane.Client.Update(ctx, key)).To(Succeed())
		Eventually(func() error { _, err := service.KMS.ByName(ctx, world.Namespace, "ca-one"); return err }).ShouldNot(Succeed())
		says(try(), v1alpha1.ReasonKeyNotFound, "ca-one")

		before := len(records())
		for _, e := range world.Envelopes(v1alpha1.EnvelopeKeyMaterial) {
			world.Remove(&e) // or else the key comes back with its material
		}
		readyKey("one")
		says(try(), v1alpha1.ReasonKeyMismatch, "ca-one", "restore that key from a backup")
		Expect(records()).To(HaveLen(before))
	})

	It("ends with its authority, and begins no earlier", func() {
		ca := ready("one", func(ca *v1alpha1.CertificateAuthority) { ca.Spec.Validity = "30d" })
		out, _ := issued(ca, "a.example.com")
		Expect(out.Chain[0].NotAfter).To(BeTemporally("==", ca.Status.NotAfter.Time))
		Expect(out.Chain[0].NotBefore).To(BeTemporally(">=", ca.Status.NotBefore.Time))
		for _, e := range records() {
			Expect(e.Spec.ExpireTime.Time).To(BeTemporally("==", ca.Status.NotAfter.Time))
		}
		world.Clock.Set(ca.Status.NotAfter.Time)
		r, _ := request("a.example.com")
		says(second(service.Issue(ctx, ca, r.PublicKey, leaf("a.example.com"))), v1alpha1.ReasonAuthorityNotReady, "expired")
		says(second(service.IssueOnce(ctx, ca, "t", r, leaf("a.example.com"))), v1alpha1.ReasonAuthorityNotReady, "expired")
		world.Clock.Set(ca.Status.NotBefore.Add(-time.Second))
		says(second(service.Issue(ctx, ca, r.PublicKey, leaf("a.example.com"))), v1alpha1.ReasonAuthorityNotReady, "not yet valid")
	})

	It("is nothing while there is no certificate", func() {
		ca := authority("new")
		r, _ := request("a.example.com")
		for _, err := range []error{
			second(service.Issue(ctx, ca, r.PublicKey, leaf("a.example.com"))), second(service.IssueOnce(ctx, ca, "t", r, leaf("a.example.com"))), second(service.Chain(ctx, ca)),
		} {
			says(err, v1alpha1.ReasonAuthorityNotReady, "new has no certificate yet")
		}
	})
})

var _ = Describe("A request with a token", func() {
	It("gets one certificate for just under five minutes, and another after", func() {
		ca := ready("one")
		r, _ := request("a.example.com")
		begin := world.Clock.Now()
		first, err := service.IssueOnce(ctx, ca, "t", r, leaf("a.example.com"))
		Expect(err).NotTo(HaveOccurred())
		verified(first, "a.example.com")
		for _, later := range []time.Duration{0, time.Minute, 5*time.Minute - time.Second} {
			world.Clock.Set(begin.Add(later))
			again, err := service.IssueOnce(ctx, ca, "t", r, leaf("a.example.com"))
			Expect(err).NotTo(HaveOccurred())
			Expect(again.ARN).To(Equal(first.ARN), "after %s", later)
		}
		world.Clock.Set(begin.Add(5 * time.Minute))
		next, err := service.IssueOnce(ctx, ca, "t", r, leaf("a.example.com"))
		Expect(err).NotTo(HaveOccurred())
		Expect(next.ARN).NotTo(Equal(first.ARN))
		Expect(records()).To(HaveLen(2))
	})

	It("for another key is refused, and at another authority is another request", func() {
		ca, other := ready("one"), ready("other")
		r, _ := request("a.example.com")
		first, err := service.IssueOnce(ctx, ca, "t", r, leaf("a.example.com"))
		Expect(err).NotTo(HaveOccurred())
		stranger, _ := request("a.example.com")
		Expect(second(service.IssueOnce(ctx, ca, "t", stranger, leaf("a.example.com")))).To(MatchError(idempotent.ErrTokenReused))
		there, err := service.IssueOnce(ctx, other, "t", stranger, leaf("a.example.com"))
		Expect(err).NotTo(HaveOccurred())
		Expect(there.ARN).NotTo(Equal(first.ARN))
		Expect(there.Chain[0].SerialNumber).NotTo(Equal(first.Chain[0].SerialNumber), "two authorities give one number")
		free, err := service.IssueOnce(ctx, ca, "", r, leaf("a.example.com"))
		Expect(err).NotTo(HaveOccurred())
		Expect(free.ARN).NotTo(Equal(first.ARN))
	})

	It("of many at once is one, and one that died is the same again", func() {
		ca := ready("one")
		r, _ := request("a.example.com")
		faulty, writes := world.Faulty()
		of := faulty.CertificateAuthority.Authorities
		for _, after := range []bool{false, true} {
			token := fmt.Sprintf("dies-%t", after)
			writes.FailAt(1, after)
			Expect(second(of.IssueOnce(ctx, ca, token, r, leaf("a.example.com")))).To(MatchError(environment.ErrInjected))
			writes.FailAt(0, false)
			again, err := of.IssueOnce(ctx, ca, token, r, leaf("a.example.com"))
			Expect(err).NotTo(HaveOccurred())
			verified(again, "a.example.com")
		}
		Expect(records()).To(HaveLen(2))
		var mu sync.Mutex
		arns := map[string]bool{}
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				defer GinkgoRecover()
				out, err := service.IssueOnce(ctx, ca, "many", r, leaf("a.example.com"))
				Expect(err).NotTo(HaveOccurred())
				mu.Lock()
				defer mu.Unlock()
				arns[out.ARN] = true
			})
		}
		wg.Wait()
		Expect(arns).To(HaveLen(1))
		Expect(records()).To(HaveLen(3))
	})

	It("that is used for ever is told to be another in the end", func() {
		ca := ready("one")
		r, _ := request("a.example.com")
		for n := range 16 {
			Expect(second(service.IssueOnce(ctx, ca, "t", r, leaf("a.example.com")))).To(Succeed(), "%d", n)
			world.Clock.Advance(5 * time.Minute)
		}
		err := second(service.IssueOnce(ctx, ca, "t", r, leaf("a.example.com")))
		Expect(err).To(MatchError(ContainSubstring("the token was used too often")))
		Expect(second(service.IssueOnce(ctx, ca, "u", r, leaf("a.example.com")))).To(Succeed())
	})
})

var _ = Describe("A revocation", func() {
	It("is done once, for its reason, at its time, and by whichever write died", func() {
		ca := ready("one")
		faulty, writes := world.Faulty()
		of := faulty.CertificateAuthority.Authorities
		var want []string
		for _, after := range []bool{false, true} {
			_, serial := issued(ca, "a.example.com")
			want = append(want, serial)
			Expect(second(service.IsRevoked(ctx, ca, serial))).To(Succeed())
			writes.FailAt(1, after)
			Expect(of.Revoke(ctx, ca, serial, pki.KeyCompromise)).To(MatchError(environment.ErrInjected))
			Expect(writes.Log()).To(Equal([]string{"create"}))
			writes.FailAt(0, false)
			err := of.Revoke(ctx, ca, serial, pki.KeyCompromise)
			if after {
				Expect(err).To(MatchError(acmpca.ErrRevoked))
			} else {
				Expect(err).NotTo(HaveOccurred())
			}
			Expect(of.Revoke(ctx, ca, serial, pki.Superseded)).To(MatchError(acmpca.ErrRevoked), "the first reason stays")
			revoked, err := service.IsRevoked(ctx, ca, serial)
			Expect(err).NotTo(HaveOccurred())
			Expect(revoked).To(BeTrue())
			at, err := service.RevokedAt(ctx, world.Namespace, ca.Status.ARN, serial)
			Expect(err).NotTo(HaveOccurred())
			Expect(*at).To(BeTemporally("~", world.Clock.Now(), time.Second))
		}
		list, expired, err := service.Revoked(ctx, ca)
		Expect(err).NotTo(HaveOccurred())
		Expect(expired).To(BeEmpty())
		Expect(list).To(HaveLen(2))
		for _, r := range list {
			Expect(want).To(ContainElement(pki.FormatSerial(r.Serial)))
			Expect(r.Reason).To(Equal(pki.KeyCompromise))
		}
	})

	It("by many at once is one", func() {
		ca := ready("one")
		_, serial := issued(ca, "a.example.com")
		var mu sync.Mutex
		done := 0
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() {
				defer GinkgoRecover()
				err := service.Revoke(ctx, ca, serial, pki.Unspecified)
				if err != nil {
					Expect(err).To(MatchError(acmpca.ErrRevoked))
					return
				}
				mu.Lock()
				defer mu.Unlock()
				done++
			})
		}
		wg.Wait()
		Expect(done).To(Equal(1))
		Expect(world.Envelopes(v1alpha1.EnvelopeRevocation)).To(HaveLen(1))
	})

	It("is of what was issued and has not expired, by its own authority", func() {
		ca, other := ready("one"), ready("other")
		out, serial := issued(ca, "a.example.com")
		Expect(service.Revoke(ctx, other, serial, pki.Unspecified)).To(MatchError(acmpca.ErrNotIssued))
		Expect(service.Revoke(ctx, ca, strings.Repeat("ab", 16), pki.Unspecified)).To(MatchError(acmpca.ErrNotIssued))
		Expect(service.Revoke(ctx, ca, ca.Status.Serial, pki.Unspecified)).To(MatchError(acmpca.ErrNotIssued), "a root is nobody's to revoke")
		world.Clock.Set(out.Chain[0].NotAfter)
		Expect(service.Revoke(ctx, ca, serial, pki.Unspecified)).To(MatchError(acmpca.ErrNotIssued))
		world.Clock.Set(out.Chain[0].NotAfter.Add(-time.Second))
		Expect(service.Revoke(ctx, ca, serial, pki.Unspecified)).To(Succeed())
		at, err := service.RevokedAt(ctx, world.Namespace, other.Status.ARN, serial)
		Expect(err).NotTo(HaveOccurred())
		Expect(at).To(BeNil())
		at, err = service.RevokedAt(ctx, world.Namespace, ca.Status.ARN+"0", serial)
		Expect(err).NotTo(HaveOccurred())
		Expect(at).To(BeNil(), "an authority that is not there has revoked nothing")
	})

	It("is kept, and from fourteen days after the certificate's end may go with its record", func() {
		ca := ready("one")
		out, serial := issued(ca, "a.example.com")
		issued(ca, "b.example.com")
		Expect(service.Revoke(ctx, ca, serial, pki.Unspecified)).To(Succeed())
		end := out.Chain[0].NotAfter
		for late, want := range map[time.Duration][2]int{-day: {1, 0}, 0: {1, 0}, 14*day - time.Second: {1, 0}, 14 * day: {1, 3}, 100 * day: {1, 3}} {
			world.Clock.Set(end.Add(late))
			revoked, expired, err := service.Revoked(ctx, ca)
			Expect(err).NotTo(HaveOccurred())
			Expect([2]int{len(revoked), len(expired)}).To(Equal(want), "%s after the end", late)
		}
	})

	It("that somebody tampered with is told, and is not taken for none", func() {
		ca := ready("one")
		_, first := issued(ca, "a.example.com")
		_, other := issued(ca, "b.example.com")
		Expect(service.Revoke(ctx, ca, first, pki.Unspecified)).To(Succeed())
		revocation := world.Envelopes(v1alpha1.EnvelopeRevocation)[0]
		world.Exchange(&revocation, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[40] ^= 1 })
		_, _, err := service.Revoked(ctx, ca)
		Expect(errors.Is(err, store.ErrTampered)).To(BeTrue(), "%v", err)
		revoked, err := service.IsRevoked(ctx, ca, first)
		Expect(err).To(MatchError(store.ErrTampered))
		Expect(revoked).To(BeFalse())
		// the record of one in the place of another's
		byVersion := map[string]v1alpha1.Envelope{}
		for _, e := range records() {
			byVersion[e.Spec.Version+string(e.Spec.Class)] = e
		}
		mine, theirs := byVersion[first+"IssuedCertificate"], byVersion[other+"IssuedCertificate"]
		world.Exchange(&mine, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext = theirs.Spec.Ciphertext })
		Expect(second(service.Issued(ctx, ca, first))).To(MatchError(store.ErrTampered))
		Expect(second(service.Issued(ctx, ca, other))).To(Succeed())
		Expect(service.Revoke(ctx, ca, first, pki.Unspecified)).To(MatchError(store.ErrTampered))
	})

	It("is not known while the keyring is sealed, and that is told", func() {
		ca := ready("one")
		_, serial := issued(ca, "a.example.com")
		unseal := world.Seal(nil)
		says(service.Revoke(ctx, ca, serial, pki.Unspecified), v1alpha1.ReasonSealed)
		says(second(service.Issued(ctx, ca, serial)), v1alpha1.ReasonSealed)
		r, _ := request("a.example.com")
		says(second(service.IssueOnce(ctx, ca, "t", r, leaf("a.example.com"))), v1alpha1.ReasonSealed)
		unseal()
		Expect(service.Revoke(ctx, ca, serial, pki.Unspecified)).To(Succeed())
	})
})
