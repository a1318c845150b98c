package acmpca_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/acmpca"
	"strongroom.dev/strongroom/test/environment"
)

func TestACMPCAService(t *testing.T) {
	environment.Specs(t, "The service of ACM PCA")
}

const day = 24 * time.Hour

var (
	ctx     = context.Background()
	world   *environment.World
	service *acmpca.Service
	account string
)

var _ = BeforeSuite(func() {
	world = environment.NewWorld(ctx)
	service = world.Services.Authorities
})

var _ = BeforeEach(func() {
	world.Fresh()
	account = arn.DeriveAccount(world.Namespace)
})

// authority makes a root as a user does, and does not run its controller.
func authority(name string, changes ...func(*v1alpha1.CertificateAuthority)) *v1alpha1.CertificateAuthority {
	GinkgoHelper()
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
	return ca
}

// ready makes one that is in force.
func ready(name string, changes ...func(*v1alpha1.CertificateAuthority)) *v1alpha1.CertificateAuthority {
	GinkgoHelper()
	readyKey(name)
	ca := authority(name, changes...)
	reconcile(ca)
	Expect(ca.Status.NotAfter).NotTo(BeNil())
	return ca
}

func readyKey(name string) *v1alpha1.KMSKey {
	GinkgoHelper()
	return world.AuthorityKey(name)
}

// keyOf is the KMSKey of an authority, as it is.
func keyOf(name string) *v1alpha1.KMSKey {
	GinkgoHelper()
	key := environment.KMSKey(world.Namespace, "ca-"+name)
	world.Refresh(key)
	return key
}

func reconcile(ca *v1alpha1.CertificateAuthority) {
	GinkgoHelper()
	world.Seen(ca)
	_, err := world.CertificateAuthority.Reconcile(ctx, environment.Request(ca))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(ca)
	world.Seen(ca)
}

// request is a certificate request that is read, and its key.
func request(names ...string) (*x509.CertificateRequest, crypto.Signer) {
	GinkgoHelper()
	key, err := pki.GenerateKey(pki.ECPrime256v1)
	Expect(err).NotTo(HaveOccurred())
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: names}, key)
	Expect(err).NotTo(HaveOccurred())
	r, err := pki.ParseRequest(der)
	Expect(err).NotTo(HaveOccurred())
	return r, key
}

// leaf is what is asked for, for 90 days.
func leaf(names ...string) pki.LeafRequest {
	GinkgoHelper()
	n, err := pki.ParseNames(names)
	Expect(err).NotTo(HaveOccurred())
	now := world.Clock.Now()
	return pki.LeafRequest{Names: n, NotBefore: pki.Backdate(now, 90*day), NotAfter: now.Add(90 * day)}
}

// issued has a certificate issued.
func issued(ca *v1alpha1.CertificateAuthority, names ...string) (acmpca.Issued, string) {
	GinkgoHelper()
	r, _ := request(names...)
	out, err := service.Issue(ctx, ca, r.PublicKey, leaf(names...))
	Expect(err).NotTo(HaveOccurred())
	return out, pki.FormatSerial(out.Chain[0].SerialNumber)
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

func second[A, B any](_ A, b B) B { return b }

// verified has openssl and Go verify what was issued.
func verified(out acmpca.Issued, host string) {
	GinkgoHelper()
	environment.Verified(string(pki.CertificatesPEM(out.Chain[:1])), string(pki.CertificatesPEM(out.Chain[1:])), world.Clock.Now(), "-verify_hostname", host)
	Expect(pki.CheckChain(out.Chain, world.Clock.Now())).To(Succeed())
}
