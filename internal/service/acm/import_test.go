package acm_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/service/acm"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("A certificate that is imported", func() {
	It("is stored with its key, under the ARN of its object, and status says what it is", func() {
		p := selfSigned("a.example.com")
		c, err := service.ImportNew(ctx, world.Namespace, account, "us-east-1", []v1alpha1.Tag{{Key: "team", Value: "shop"}}, p.bundle())
		Expect(err).NotTo(HaveOccurred())
		world.Seen(c)
		leaf := matched(c)
		Expect(c.Name).To(HavePrefix("a-example-com-"))
		Expect(c.Spec.Tags).To(HaveLen(1))
		Expect(c.Status.ARN).To(Equal(arn.Certificate("us-east-1", account, string(c.UID))))
		Expect(c.Status.Serial).To(Equal(serialOf(leaf.SerialNumber)))
		Expect(c.Status.Type).To(Equal(v1alpha1.CertificateImported))
		Expect(c.Status.Names).To(Equal([]string{"a.example.com"}))
		Expect(c.Status.NotAfter.Time).To(BeTemporally("==", leaf.NotAfter))
		Expect(c.Status.Versions).To(HaveLen(1))
		Expect(c.Status.RenewalTime).To(BeNil())
	})

	It("of no names is called by its common name", func() {
		b := selfSigned("Only Common", func(c *x509.Certificate) { c.DNSNames = nil }).bundle()
		c, err := service.ImportNew(ctx, world.Namespace, account, "us-east-1", nil, b)
		Expect(err).NotTo(HaveOccurred())
		Expect(c.Name).To(HavePrefix("only-common-"))
		Expect(c.Status.Names).To(BeEmpty())
	})

	It("again replaces the one before, which stays as the previous version, and the one before that goes", func() {
		c := certificate("mine")
		var serials []string
		for i := range 3 {
			b := selfSigned(fmt.Sprintf("n%d.example.com", i)).bundle()
			var err error
			c, err = service.Import(ctx, c, account, b)
			Expect(err).NotTo(HaveOccurred())
			world.Seen(c)
			serials = append(serials, serialOf(matched(c).SerialNumber))
		}
		Expect(c.Status.Serial).To(Equal(serials[2]))
		Expect(c.Status.Versions).To(HaveLen(2))
		Expect(world.Envelopes(v1alpha1.EnvelopePrivateKey)).To(HaveLen(2))
		previous, found := acm.IndexOf(c).ByStage("AWSPREVIOUS")
		Expect(found).To(BeTrue())
		b, err := service.Bundle(ctx, acm.SubjectOf(c), previous)
		Expect(err).NotTo(HaveOccurred())
		Expect(serialOf(b.Chain[0].SerialNumber)).To(Equal(serials[1]))
	})

	It("in place of one that was issued is no authority's any more", func() {
		readyAuthority("internal")
		c := reconciled(certificate("shop", of("shop.example.com")))
		Expect(c.Status.AuthorityARN).NotTo(BeEmpty())
		world.Update(c, func() { c.Spec = v1alpha1.CertificateSpec{} })
		c, err := service.Import(ctx, c, account, selfSigned("a.example.com").bundle())
		Expect(err).NotTo(HaveOccurred())
		world.Seen(c)
		matched(c)
		Expect(c.Status.Type).To(Equal(v1alpha1.CertificateImported))
		Expect(c.Status.AuthorityARN).To(BeEmpty())
		Expect(c.Status.RenewalTime).To(BeNil())
	})

	It("by many at once is one after the other, and each that says so is in force or was", func() {
		c := certificate("mine")
		var mu sync.Mutex
		var done []string
		var wg sync.WaitGroup
		for i := range 5 {
			b := selfSigned(fmt.Sprintf("n%d.example.com", i)).bundle()
			wg.Go(func() {
				defer GinkgoRecover()
				_, err := service.Import(ctx, c, account, b)
				Expect(err).NotTo(HaveOccurred())
				mu.Lock()
				defer mu.Unlock()
				done = append(done, serialOf(b.Chain[0].SerialNumber))
			})
		}
		wg.Wait()
		world.Refresh(c)
		world.Seen(c)
		Expect(done).To(HaveLen(5))
		Expect(done).To(ContainElement(c.Status.Serial))
		matched(c)
		Expect(c.Status.Versions).To(HaveLen(2))
		Expect(c.Status.Versions[1].Sequence).To(BeNumerically(">=", 5), "one import took another's place")
		for _, v := range acm.IndexOf(c) {
			Expect(service.Versions().Verify(ctx, acm.SubjectOf(c), v)).To(Succeed(), "the index names what is not there")
		}
	})

	It("while others write the object's status is stored once", func() {
		c := certificate("mine")
		stale := c.DeepCopy()
		world.Refresh(c)
		c.Status.LastHandledReconcileAt = "theirs"
		Expect(world.ControlPlane.Client.Status().Update(ctx, c)).To(Succeed())
		got, err := service.Import(ctx, stale, account, selfSigned("a.example.com").bundle())
		Expect(err).NotTo(HaveOccurred())
		Expect(got.Status.LastHandledReconcileAt).To(Equal("theirs"), "what others wrote is lost")
		Expect(got.Status.Versions).To(HaveLen(1))
		Expect(world.Envelopes(v1alpha1.EnvelopePrivateKey)).To(HaveLen(1))
	})

	It("into one that was deleted meanwhile is told, and does not reach another that has its name now", func() {
		c := certificate("mine")
		world.Remove(c)
		b := selfSigned("a.example.com").bundle()
		Expect(second(service.Import(ctx, c, account, b))).To(MatchError(acm.ErrGone))
		other := certificate("mine")
		Expect(second(service.Import(ctx, c, account, b))).To(MatchError(acm.ErrGone))
		world.Refresh(other)
		Expect(other.Status.Versions).To(BeEmpty())
		Expect(other.Status.ARN).To(BeEmpty())
	})

	It("is not begun when its KMSKey cannot be used", func() {
		key := &v1alpha1.KMSKey{}
		key.Namespace, key.Name = world.Namespace, "aws-acm"
		world.Update(key, func() { key.Spec.Enabled = new(bool) })
		world.ReconcileKey(key)
		says(second(service.ImportNew(ctx, world.Namespace, account, "us-east-1", nil, selfSigned("a.example.com").bundle())), v1alpha1.ReasonKeyUnusable)
		Expect(made()).To(BeEmpty())
		Expect(world.Envelopes(v1alpha1.EnvelopePrivateKey)).To(BeEmpty())
	})
})

// Every write of an import is made to fail in turn, before it is done and after it, as if the replica had died there. At no point may the
// object speak of a key with another's certificate, and a pass of the controller, or the same import again, must bring all to agree.
var _ = Describe("A replica that dies at any write of", func() {
	type dying struct {
		writes []string
		begin  func(name string) *v1alpha1.Certificate
	}
	for name, d := range map[string]dying{
		"a first import": {[]string{"create", "status"}, func(name string) *v1alpha1.Certificate { return certificate(name) }},
		"a further import": {[]string{"create", "status"}, func(name string) *v1alpha1.Certificate {
			c, err := service.Import(ctx, certificate(name), account, selfSigned("old.example.com").bundle())
			Expect(err).NotTo(HaveOccurred())
			world.Seen(c)
			return c
		}},
		"a third import": {[]string{"create", "status", "delete"}, func(name string) *v1alpha1.Certificate {
			c := certificate(name)
			for range 2 {
				var err error
				c, err = service.Import(ctx, c, account, selfSigned("old.example.com").bundle())
				Expect(err).NotTo(HaveOccurred())
				world.Seen(c)
			}
			return c
		}},
	} {
		It(name+" leaves a key with its own certificate, and the next pass commits what was stored", func() {
			faulty, writes := world.Faulty()
			for _, after := range []bool{false, true} {
				for n := 1; n <= len(d.writes); n++ {
					c := d.begin(fmt.Sprintf("dies-%d-%t", n, after))
					before := c.Status.DeepCopy()
					p := selfSigned("new.example.com")
					By(fmt.Sprintf("dying at write %d, done=%t", n, after))
					writes.FailAt(n, after)
					_, err := faulty.Certificate.Certificates.Import(ctx, c, account, p.bundle())
					Expect(err).To(MatchError(environment.ErrInjected))
					Expect(writes.Log()[:n]).To(Equal(d.writes[:n]))
					world.Refresh(c)
					world.Seen(c)
					stored := n > 1 || after
					if len(c.Status.Versions) > 0 {
						matched(c)
					}
					if n == 1 || n == 2 && !after {
						Expect(c.Status.Versions).To(HaveLen(len(before.Versions)), "what is not committed counts")
					}
					reconciled(c)
					if stored {
						Expect(matched(c).DNSNames).To(Equal([]string{"new.example.com"}), "what was stored is lost")
					} else if len(before.Versions) > 0 {
						Expect(c.Status.Fingerprint).To(Equal(before.Fingerprint))
					}
					// the caller does not know, and asks again
					b := p.bundle()
					again, err := service.Import(ctx, c, account, b)
					Expect(err).NotTo(HaveOccurred())
					world.Seen(again)
					Expect(matched(again).Equal(b.Chain[0])).To(BeTrue())
					Expect(len(again.Status.Versions)).To(BeNumerically("<=", 2))
				}
			}
		})
	}

	It("an import of a new one leaves nothing that is in use, and nothing of the key in the clear", func() {
		faulty, writes := world.Faulty()
		for _, after := range []bool{false, true} {
			for n := 1; n <= 3; n++ {
				before := made()
				p := selfSigned("new.example.com")
				writes.FailAt(n, after)
				_, err := faulty.Certificate.Certificates.ImportNew(ctx, world.Namespace, account, "us-east-1", nil, p.bundle())
				Expect(err).To(MatchError(environment.ErrInjected))
				Expect(writes.Log()[:n]).To(Equal([]string{"create", "create", "status"}[:n]))
				Expect(err.Error()).NotTo(ContainSubstring(strings.Split(string(p.key), "\n")[1]))
				for _, left := range made() {
					if slices.ContainsFunc(before, func(c v1alpha1.Certificate) bool { return c.UID == left.UID }) {
						continue
					}
					reconciled(&left)
					if len(left.Status.Versions) > 0 {
						matched(&left)
					} else {
						Expect(second(service.Current(ctx, &left))).To(HaveOccurred())
					}
				}
			}
		}
	})
})

var _ = Describe("What is to be imported", func() {
	hour := func(from, to time.Duration) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = world.Clock.Now().Add(from), world.Clock.Now().Add(to)
		}
	}
	It("is refused when it cannot be used, and the reason tells nothing of the key", func() {
		good, other := selfSigned("a.example.com"), selfSigned("b.example.com")
		for name, tt := range map[string]struct {
			certificate, key, chain []byte
			says                    string
		}{
			"no certificate":         {nil, good.key, nil, "the certificate: "},
			"no key":                 {good.certificate, nil, nil, "the private key: "},
			"another's key":          {good.certificate, other.key, nil, "the private key is not the certificate's"},
			"a key as a certificate": {good.key, good.key, nil, "is a PRIVATE KEY"},
			"a certificate as a key": {good.certificate, good.certificate, nil, "is no private key"},
			"a foreign chain":        {good.certificate, good.key, other.certificate, "was not issued by the next"},
			"a chain with a key":     {good.certificate, good.key, slices.Concat(good.certificate, good.key), "the certificate chain: "},
			"one that has expired":   {selfSigned("a.example.com", hour(-2*time.Hour, -time.Second)).certificate, good.key, nil, "expired"},
			"one that is to come":    {selfSigned("a.example.com", hour(time.Second, time.Hour)).certificate, good.key, nil, "not yet valid"},
		} {
			b, err := acm.ParseImport(tt.certificate, tt.key, tt.chain, world.Clock.Now())
			Expect(b.Chain).To(BeNil(), name)
			Expect(b.Key.Len()).To(BeZero(), name)
			says(err, v1alpha1.ReasonInvalidCertificate, tt.says)
			for _, line := range strings.Split(string(good.key)+string(other.key), "\n") {
				if len(line) > 16 && !strings.HasPrefix(line, "-----") {
					Expect(err.Error()).NotTo(ContainSubstring(line), name)
				}
			}
		}
	})

	It("is good in its last second, and in its first", func() {
		for _, change := range []func(*x509.Certificate){hour(-time.Hour, time.Second), hour(0, time.Hour)} {
			p := selfSigned("a.example.com", change)
			Expect(second(acm.ParseImport(p.certificate, p.key, nil, world.Clock.Now().Truncate(time.Second)))).To(Succeed())
		}
	})

	It("may have its own certificate at the head of its chain, which counts once", func() {
		ca := readyAuthority("internal")
		c := reconciled(certificate("shop", of("shop.example.com")))
		b, err := service.Current(ctx, c)
		Expect(err).NotTo(HaveOccurred())
		key := pki.KeyPEM(b.Key).Reveal()
		for _, chain := range [][]*x509.Certificate{b.Chain, b.Chain[1:]} {
			got, err := acm.ParseImport(pki.CertificatesPEM(b.Chain[:1]), key, pki.CertificatesPEM(chain), world.Clock.Now())
			Expect(err).NotTo(HaveOccurred())
			Expect(got.Chain).To(HaveLen(2))
			Expect(string(pki.CertificatesPEM(got.Chain[1:]))).To(Equal(ca.Status.Certificate))
		}
		_, err = acm.ParseImport(pki.CertificatesPEM(b.Chain[:1]), key, pki.CertificatesPEM(slices.Repeat(b.Chain[1:], 10)), world.Clock.Now())
		says(err, v1alpha1.ReasonInvalidCertificate, "11 certificates")
	})

	It("outside of its issuer's constraints is not permitted", func() {
		ca := readyAuthority("bound", func(ca *v1alpha1.CertificateAuthority) {
			ca.Spec.NameConstraints = &v1alpha1.NameConstraints{Permitted: &v1alpha1.NameSubtrees{DNSDomains: []string{"example.org"}}}
		})
		chain, err := world.Services.Authorities.Chain(ctx, ca)
		Expect(err).NotTo(HaveOccurred())
		b := selfSigned("a.example.com").bundle()
		err = pki.CheckChain(append(b.Chain, chain...), world.Clock.Now())
		Expect(errors.Is(err, pki.ErrChain)).To(BeTrue(), "it is not even its issuer: %v", err)
		issued, err := world.Services.Authorities.Authority(ctx, ca)
		Expect(err).NotTo(HaveOccurred())
		names, err := pki.ParseNames([]string{"a.example.com"})
		Expect(err).NotTo(HaveOccurred())
		_, err = issued.Issue(b.Chain[0].PublicKey, pki.LeafRequest{Names: names, NotBefore: world.Clock.Now(), NotAfter: world.Clock.Now().Add(day)})
		Expect(err).To(MatchError(pki.ErrNotPermitted))
	})
})
