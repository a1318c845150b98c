package acmpca_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/acmpca"
	"github.com/aws/aws-sdk-go-v2/service/acmpca/types"
	"github.com/aws/smithy-go"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/gateway/acmpca"
	"strongroom.dev/strongroom/test/environment"
)

func TestACMPCA(t *testing.T) {
	environment.Specs(t, "ACM PCA API")
}

var (
	ctx     = context.Background()
	world   *environment.World
	door    *environment.Door
	admin   *sdk.Client
	account string
)

var _ = BeforeSuite(func() {
	world = environment.NewWorld(ctx)
	door = world.Open(acmpca.New(acmpca.Dependencies{Authorities: world.Services.Authorities}))
	admin = as(`"Action":"*","Resource":"*"`)
})

var _ = BeforeEach(func() {
	world.Fresh()
	account = arn.DeriveAccount(world.Namespace)
})

// as is a client of a user with statements.
func as(statements ...string) *sdk.Client {
	return sdk.NewFromConfig(door.Config(environment.Region, statements...))
}

// root asks for the usual authority.
func root(changes ...func(*sdk.CreateCertificateAuthorityInput)) *sdk.CreateCertificateAuthorityInput {
	in := &sdk.CreateCertificateAuthorityInput{
		CertificateAuthorityType: types.CertificateAuthorityTypeRoot,
		CertificateAuthorityConfiguration: &types.CertificateAuthorityConfiguration{
			KeyAlgorithm: types.KeyAlgorithmEcPrime256v1, SigningAlgorithm: types.SigningAlgorithmSha256withecdsa,
			Subject: &types.ASN1Subject{CommonName: ptr.To("Shop Root"), Organization: ptr.To("Shop"), Country: ptr.To("de")},
		},
	}
	for _, change := range changes {
		change(in)
	}
	return in
}

// created makes an authority, and does not run its controller.
func created(changes ...func(*sdk.CreateCertificateAuthorityInput)) string {
	GinkgoHelper()
	out, err := admin.CreateCertificateAuthority(ctx, root(changes...))
	Expect(err).NotTo(HaveOccurred())
	return *out.CertificateAuthorityArn
}

// active makes an authority and brings it into force, as its controller does.
func active(changes ...func(*sdk.CreateCertificateAuthorityInput)) string {
	GinkgoHelper()
	made := created(changes...)
	ca := object(made)
	activate(ca)
	Expect(ca.Status.ARN).To(Equal(made), "the ARN that was answered is the controller's")
	return made
}

// activate makes an authority's key and certificate, as the controllers do.
func activate(ca *v1alpha1.CertificateAuthority) {
	GinkgoHelper()
	reconcile(ca)
	key := environment.KMSKey(world.Namespace, ca.KMSKeyName())
	world.Refresh(key)
	world.Seen(key)
	world.ReconcileKey(key)
	reconcile(ca)
}

func reconcile(ca *v1alpha1.CertificateAuthority) {
	GinkgoHelper()
	world.Seen(ca)
	_, err := world.CertificateAuthority.Reconcile(ctx, environment.Request(ca))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(ca)
	world.Seen(ca)
}

// object is the authority of an ARN.
func object(given string) *v1alpha1.CertificateAuthority {
	GinkgoHelper()
	found, err := world.Services.Authorities.Find(ctx, world.Namespace, account, given)
	Expect(err).NotTo(HaveOccurred())
	Expect(found).NotTo(BeNil())
	return found.DeepCopy()
}

// csr is a certificate signing request for names, in PEM, and its key.
func csr(subject string, names ...string) ([]byte, crypto.Signer) {
	GinkgoHelper()
	key, err := pki.GenerateKey(pki.ECPrime256v1)
	Expect(err).NotTo(HaveOccurred())
	return csrOf(key, &x509.CertificateRequest{Subject: pkix.Name{CommonName: subject}, DNSNames: names}), key
}

func csrOf(key crypto.Signer, template *x509.CertificateRequest) []byte {
	GinkgoHelper()
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	Expect(err).NotTo(HaveOccurred())
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

// issuing asks an authority for a certificate.
func issuing(authority string, request []byte, changes ...func(*sdk.IssueCertificateInput)) *sdk.IssueCertificateInput {
	in := &sdk.IssueCertificateInput{
		CertificateAuthorityArn: &authority, Csr: request, SigningAlgorithm: types.SigningAlgorithmSha256withecdsa,
		Validity: &types.Validity{Type: types.ValidityPeriodTypeDays, Value: ptr.To[int64](90)},
	}
	for _, change := range changes {
		change(in)
	}
	return in
}

// issued has a certificate issued and reads it.
func issued(authority string, in *sdk.IssueCertificateInput) (string, *sdk.GetCertificateOutput, *x509.Certificate) {
	GinkgoHelper()
	out, err := admin.IssueCertificate(ctx, in)
	Expect(err).NotTo(HaveOccurred())
	got, err := admin.GetCertificate(ctx, &sdk.GetCertificateInput{CertificateAuthorityArn: &authority, CertificateArn: out.CertificateArn})
	Expect(err).NotTo(HaveOccurred())
	chain, err := pki.ParseCertificates([]byte(*got.Certificate))
	Expect(err).NotTo(HaveOccurred())
	return *out.CertificateArn, got, chain[0]
}

// is expects AWS's error of a code, and what its text says.
func is(err error, code, says string) {
	GinkgoHelper()
	var api smithy.APIError
	Expect(errors.As(err, &api)).To(BeTrue(), "%v is no error of AWS", err)
	Expect(api.ErrorCode()).To(Equal(code), "%v", err)
	Expect(api.ErrorMessage()).To(ContainSubstring(says))
}

func second[A, B any](_ A, b B) B { return b }
