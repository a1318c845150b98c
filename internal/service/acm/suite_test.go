package acm_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/acm"
	"strongroom.dev/strongroom/test/environment"
)

func TestACMService(t *testing.T) {
	environment.Specs(t, "The service of ACM")
}

const day = 24 * time.Hour

var (
	ctx     = context.Background()
	world   *environment.World
	service *acm.Service
	account string
)

var _ = BeforeSuite(func() {
	world = environment.NewWorld(ctx)
	service = world.Services.Certificates
})

var _ = BeforeEach(func() {
	world.Fresh()
	account = arn.DeriveAccount(world.Namespace)
	world.ReadyKey(acm.DefaultKeyName)
})

// readyAuthority makes an authority that is in force.
func readyAuthority(name string, changes ...func(*v1alpha1.CertificateAuthority)) *v1alpha1.CertificateAuthority {
	GinkgoHelper()
	world.AuthorityKey(name)
	ca := &v1alpha1.CertificateAuthority{
		ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name},
		Spec: v1alpha1.CertificateAuthoritySpec{
			Type: v1alpha1.CertificateAuthorityRoot, Subject: v1alpha1.CertificateSubject{CommonName: "Root " + name}, KeyAlgorithm: v1alpha1.KeyAlgorithmECPrime256v1,
		},
	}
	for _, change := range changes {
		change(ca)
	}
	world.Create(ca)
	_, err := world.CertificateAuthority.Reconcile(ctx, environment.Request(ca))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(ca)
	world.Seen(ca)
	Expect(ca.Status.NotAfter).NotTo(BeNil())
	return ca
}

// certificate makes a Certificate as a user does; without a change one that is imported by the API.
func certificate(name string, changes ...func(*v1alpha1.Certificate)) *v1alpha1.Certificate {
	GinkgoHelper()
	c := &v1alpha1.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name}}
	for _, change := range changes {
		change(c)
	}
	world.Create(c)
	return c
}

// of asks the authority "internal" for a certificate.
func of(domain string, names ...string) func(*v1alpha1.Certificate) {
	return func(c *v1alpha1.Certificate) {
		c.Spec.DomainName, c.Spec.SubjectAlternativeNames, c.Spec.KeyAlgorithm = domain, names, v1alpha1.KeyAlgorithmECPrime256v1
		c.Spec.AuthorityRef = &v1alpha1.LocalReference{Name: "internal"}
	}
}

// reconciled makes one pass over a Certificate, as its controller does.
func reconciled(c *v1alpha1.Certificate) *v1alpha1.Certificate {
	GinkgoHelper()
	world.Refresh(c)
	world.Seen(c)
	_, err := world.Certificate.Reconcile(ctx, environment.Request(c))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(c)
	world.Seen(c)
	return c
}

// pair is a certificate that signed itself, with its key, both in PEM.
type pair struct{ certificate, key []byte }

func selfSigned(name string, changes ...func(*x509.Certificate)) pair {
	GinkgoHelper()
	key, err := pki.GenerateKey(pki.ECPrime256v1)
	Expect(err).NotTo(HaveOccurred())
	return signedBy(key, name, changes...)
}

func signedBy(key crypto.Signer, name string, changes ...func(*x509.Certificate)) pair {
	GinkgoHelper()
	serial, err := pki.NewSerial(nil)
	Expect(err).NotTo(HaveOccurred())
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: world.Clock.Now().Add(-time.Hour), NotAfter: world.Clock.Now().Add(90 * day),
	}
	for _, change := range changes {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	Expect(err).NotTo(HaveOccurred())
	c, err := x509.ParseCertificate(der)
	Expect(err).NotTo(HaveOccurred())
	text, err := pki.MarshalKey(key)
	Expect(err).NotTo(HaveOccurred())
	return pair{pki.CertificatesPEM([]*x509.Certificate{c}), pki.KeyPEM(text).Reveal()}
}

// bundle is the pair as it is imported.
func (p pair) bundle() pki.Bundle {
	GinkgoHelper()
	b, err := acm.ParseImport(p.certificate, p.key, nil, world.Clock.Now())
	Expect(err).NotTo(HaveOccurred())
	return b
}

// matched opens the version in force, whose key and certificate must belong together, and gives the certificate.
func matched(c *v1alpha1.Certificate) *x509.Certificate {
	GinkgoHelper()
	b, err := service.Current(ctx, c)
	Expect(err).NotTo(HaveOccurred())
	defer b.Key.Wipe()
	key, err := pki.ParsePKCS8(b.Key.Reveal())
	Expect(err).NotTo(HaveOccurred())
	Expect(pki.CheckKey(key, b.Chain[0])).To(Succeed(), "a key and a certificate that do not match are stored")
	Expect(acm.Fingerprint(b.Chain[0])).To(Equal(c.Status.Fingerprint), "status speaks of another certificate")
	return b.Chain[0]
}

// says expects a fault of a reason, and what its message says.
func says(err error, reason string, texts ...string) {
	GinkgoHelper()
	Expect(err).To(HaveOccurred())
	Expect(fault.Of(err).Reason).To(Equal(reason), "%v", err)
	for _, text := range texts {
		Expect(fault.Message(err)).To(ContainSubstring(text))
	}
}

func passphrase(text string) secretbytes.Bytes { return secretbytes.Copy([]byte(text)) }

func second[A, B any](_ A, b B) B { return b }

// serialOf is a certificate's serial number as status shows it.
func serialOf(n *big.Int) string { return pki.FormatSerial(n) }
