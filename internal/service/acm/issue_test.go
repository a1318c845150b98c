package acm_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/service/acm"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// subject is whose versions a Certificate's are to be, before it has an ARN.
func subject(c *v1alpha1.Certificate) sealed.Subject {
	return sealed.Subject{Namespace: c.Namespace, Name: c.Name, ARN: service.ARNOf(c, account)}
}

var _ = Describe("A certificate that is issued", func() {
	var ca *v1alpha1.CertificateAuthority
	BeforeEach(func() { ca = readyAuthority("internal") })

	It("has a fresh key of its algorithm each time, and its record is the authority's before anybody has it", func() {
		keys := map[string]bool{}
		for i, algorithm := range []v1alpha1.CertificateKeyAlgorithm{
			v1alpha1.KeyAlgorithmECPrime256v1, v1alpha1.KeyAlgorithmECPrime256v1, v1alpha1.KeyAlgorithmECSecp384r1, v1alpha1.KeyAlgorithmECSecp521r1, v1alpha1.KeyAlgorithmRSA2048,
		} {
			c := certificate(fmt.Sprintf("c%d", i), of("shop.example.com", "10.0.0.1", "spiffe://example.com/shop", "ops@example.com"),
				func(c *v1alpha1.Certificate) { c.Spec.KeyAlgorithm = algorithm })
			v, b, made, err := service.Issue(ctx, c, ca, subject(c), 1)
			Expect(err).NotTo(HaveOccurred())
			Expect(made).To(BeTrue())
			Expect(v.Sequence).To(Equal(int64(1)))
			key, err := pki.ParsePKCS8(b.Key.Reveal())
			Expect(err).NotTo(HaveOccurred())
			Expect(pki.CheckKey(key, b.Chain[0])).To(Succeed())
			of, err := pki.AlgorithmOf(key.Public())
			Expect(err).NotTo(HaveOccurred())
			Expect(string(of)).To(Equal(string(algorithm)))
			Expect(keys).NotTo(HaveKey(fmt.Sprint(key.Public())), "a key is used twice")
			keys[fmt.Sprint(key.Public())] = true
			recorded, err := world.Services.Authorities.Issued(ctx, ca, serialOf(b.Chain[0].SerialNumber))
			Expect(err).NotTo(HaveOccurred())
			Expect(recorded.Chain[0].Equal(b.Chain[0])).To(BeTrue())
			environment.Verified(string(pki.CertificatesPEM(b.Chain[:1])), string(pki.CertificatesPEM(b.Chain[1:])), world.Clock.Now(),
				"-purpose", "sslserver", "-verify_hostname", "shop.example.com")
		}
	})

	It("is not issued again where an earlier attempt stored one: that one counts, and the new key is wiped", func() {
		c := certificate("shop", of("shop.example.com"))
		first, b, made, err := service.Issue(ctx, c, ca, subject(c), 1)
		Expect(err).NotTo(HaveOccurred())
		Expect(made).To(BeTrue())
		again, other, made, err := service.Issue(ctx, c, ca, subject(c), 1)
		Expect(err).NotTo(HaveOccurred())
		Expect(made).To(BeFalse())
		Expect(again.ID).To(Equal(first.ID))
		Expect(other.Chain).To(BeNil())
		Expect(other.Key.Len()).To(BeZero())
		stored, err := service.Bundle(ctx, subject(c), again)
		Expect(err).NotTo(HaveOccurred())
		Expect(stored.Key.Equal(b.Key)).To(BeTrue())
		Expect(world.Envelopes(v1alpha1.EnvelopePrivateKey)).To(HaveLen(1))
	})

	It("that dies at its record or at its Envelope gives nobody a key", func() {
		faulty, writes := world.Faulty()
		for _, after := range []bool{false, true} {
			for n := 1; n <= 2; n++ {
				c := certificate(fmt.Sprintf("dies-%d-%t", n, after), of("shop.example.com"))
				records, keys := len(world.Envelopes(v1alpha1.EnvelopeIssuedCertificate)), len(world.Envelopes(v1alpha1.EnvelopePrivateKey))
				writes.FailAt(n, after)
				_, b, made, err := faulty.Certificate.Certificates.Issue(ctx, c, ca, subject(c), 1)
				Expect(err).To(MatchError(environment.ErrInjected))
				Expect(made).To(BeFalse())
				Expect(b.Key.Len()).To(BeZero())
				Expect(b.Chain).To(BeNil())
				stored := len(world.Envelopes(v1alpha1.EnvelopePrivateKey)) - keys
				recorded := len(world.Envelopes(v1alpha1.EnvelopeIssuedCertificate)) - records
				Expect(recorded).To(BeNumerically(">=", stored), "a certificate is stored that its authority does not know")
			}
		}
	})

	It("has names that a certificate can have, and is told which it cannot", func() {
		c := certificate("shop", of("shop.example.com", "under_score.example.com"))
		_, _, _, err := service.Issue(ctx, c, ca, subject(c), 1)
		says(err, v1alpha1.ReasonInvalidName, "spec.domainName or spec.subjectAlternativeNames", "under_score.example.com")
		Expect(world.Envelopes(v1alpha1.EnvelopePrivateKey)).To(BeEmpty())
	})

	It("is not issued by an authority that has expired, not even within the hour that clocks may be behind", func() {
		world.Clock.Set(ca.Status.NotAfter.Add(-1))
		c := certificate("early", of("shop.example.com"))
		_, b, _, err := service.Issue(ctx, c, ca, subject(c), 1)
		Expect(err).NotTo(HaveOccurred())
		Expect(b.Chain[0].NotAfter).To(BeTemporally("==", ca.Status.NotAfter.Time))
		records := len(world.Envelopes(v1alpha1.EnvelopeIssuedCertificate))
		for n, late := range []time.Duration{0, 30 * time.Minute, 365 * day} {
			world.Clock.Set(ca.Status.NotAfter.Add(late))
			c := certificate(fmt.Sprintf("late-%d", n), of("shop.example.com"))
			_, _, _, err := service.Issue(ctx, c, ca, subject(c), 1)
			says(err, v1alpha1.ReasonAuthorityNotReady, "expired", "CN=Root internal")
		}
		Expect(world.Envelopes(v1alpha1.EnvelopeIssuedCertificate)).To(HaveLen(records), "a certificate of no time at all is recorded")
	})
})

var _ = Describe("The version in force", func() {
	It("is none before there is one, and that is no fault of anybody's", func() {
		c := certificate("mine")
		says(second(service.Current(ctx, c)), v1alpha1.ReasonNoCertificate, "not issued yet")
		says(second(service.Chain(ctx, c)), v1alpha1.ReasonNoCertificate)
		says(second(service.Export(ctx, c, passphrase("passphrase"))), v1alpha1.ReasonNoCertificate)
	})

	It("is exported so that openssl pkcs8 opens it by the passphrase alone, and it fits its certificate", func() {
		readyAuthority("internal")
		for _, algorithm := range []v1alpha1.CertificateKeyAlgorithm{v1alpha1.KeyAlgorithmECSecp384r1, v1alpha1.KeyAlgorithmRSA3072} {
			c := reconciled(certificate(strings.ToLower(strings.ReplaceAll(string(algorithm), "_", "-")), of("shop.example.com"),
				func(c *v1alpha1.Certificate) { c.Spec.KeyAlgorithm = algorithm }))
			out, err := service.Export(ctx, c, passphrase("canary-4711"))
			Expect(err).NotTo(HaveOccurred())
			path := filepath.Join(GinkgoT().TempDir(), "key")
			Expect(os.WriteFile(path, out.EncryptedKey, 0o600)).To(Succeed())
			key, err := exec.CommandContext(ctx, "openssl", "pkcs8", "-in", path, "-passin", "pass:canary-4711").Output()
			Expect(err).NotTo(HaveOccurred())
			Expect(exec.CommandContext(ctx, "openssl", "pkcs8", "-in", path, "-passin", "pass:canary-4712").Run()).NotTo(Succeed())
			Expect(second(tls.X509KeyPair(pki.CertificatesPEM(out.Chain), key))).To(Succeed())
			for _, short := range []string{"", "abc", strings.Repeat("x", 129)} {
				err := second(service.Export(ctx, c, passphrase(short)))
				says(err, v1alpha1.ReasonInvalidCertificate, "4 to 128 bytes")
				Expect(err.Error()).NotTo(ContainSubstring("xxx"))
			}
		}
	})

	It("that somebody put another's Envelope in the place of is not read", func() {
		mine, err := service.Import(ctx, certificate("mine"), account, selfSigned("mine.example.com").bundle())
		Expect(err).NotTo(HaveOccurred())
		theirs, err := service.Import(ctx, certificate("theirs"), account, selfSigned("theirs.example.com").bundle())
		Expect(err).NotTo(HaveOccurred())
		world.Seen(mine)
		world.Seen(theirs)
		byOwner := map[string]*v1alpha1.Envelope{}
		envelopes := world.Envelopes(v1alpha1.EnvelopePrivateKey)
		for i := range envelopes {
			byOwner[envelopes[i].Spec.Owner.Name] = &envelopes[i]
		}
		other := byOwner["theirs"].DeepCopy()
		for name, change := range map[string]func(*v1alpha1.Envelope){
			"the ciphertext": func(e *v1alpha1.Envelope) { e.Spec.Ciphertext = other.Spec.Ciphertext },
			"the ciphertext and its key": func(e *v1alpha1.Envelope) {
				e.Spec.Ciphertext, e.Spec.EncryptedDataKey = other.Spec.Ciphertext, other.Spec.EncryptedDataKey
			},
			"all of it but the owner's name": func(e *v1alpha1.Envelope) { e.Spec = other.Spec; e.Spec.Owner.Name = "mine" },
			"a bit of the ciphertext":        func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[len(e.Spec.Ciphertext)-1] ^= 1 },
		} {
			good := byOwner["mine"].DeepCopy()
			bad := world.Exchange(byOwner["mine"], change)
			err := second(service.Current(ctx, mine))
			Expect(err).To(MatchError(store.ErrTampered), name)
			says(second(service.Export(ctx, mine, passphrase("passphrase"))), v1alpha1.ReasonEnvelopeTampered)
			byOwner["mine"] = world.Exchange(bad, func(e *v1alpha1.Envelope) { e.Spec = good.Spec })
			Expect(second(service.Current(ctx, mine))).To(Succeed(), "restored from a backup, it opens again")
		}
		world.Remove(byOwner["mine"])
		says(second(service.Chain(ctx, mine)), v1alpha1.ReasonEnvelopeMissing, "restore it from a backup")
	})

	It("is not read while the keyring is sealed, and that passes", func() {
		c, err := service.Import(ctx, certificate("mine"), account, selfSigned("mine.example.com").bundle())
		Expect(err).NotTo(HaveOccurred())
		world.Seen(c)
		unseal := world.Seal(nil)
		says(second(service.Current(ctx, c)), v1alpha1.ReasonSealed)
		says(second(service.Import(ctx, c, account, selfSigned("b.example.com").bundle())), v1alpha1.ReasonSealed)
		unseal()
		matched(c)
	})

	It("is described within what status has room for", func() {
		long := strings.Repeat("ü", 700)
		b := selfSigned("a.example.com", func(c *x509.Certificate) { c.Subject.Organization = []string{long} }).bundle()
		c, err := service.Import(ctx, certificate("mine"), account, b)
		Expect(err).NotTo(HaveOccurred())
		Expect(len(c.Status.Issuer)).To(BeNumerically("<=", 1024))
		Expect(c.Status.Issuer).To(HaveSuffix("..."))
		Expect(acm.Fingerprint(b.Chain[0])).To(Equal(c.Status.Fingerprint))
	})
})
