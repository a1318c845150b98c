package acm_test

import (
	"context"
	"errors"
	"testing"

	sdk "github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/acm/types"
	"github.com/aws/smithy-go"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/gateway/acm"
	"strongroom.dev/strongroom/test/environment"
)

func TestACM(t *testing.T) {
	environment.Specs(t, "ACM API")
}

var (
	ctx   = context.Background()
	world *environment.World
	door  *environment.Door
	admin *sdk.Client
	// account is that of the spec's namespace, and authority the ARN of the one there is, which is in force.
	account, authority string
)

var _ = BeforeSuite(func() {
	world = environment.NewWorld(ctx)
	door = world.Open(acm.New(acm.Dependencies{Certificates: world.Services.Certificates, Authorities: world.Services.Authorities}))
	admin = as(`"Action":"*","Resource":"*"`)
})

var _ = BeforeEach(func() {
	world.Fresh()
	account = arn.DeriveAccount(world.Namespace)
	world.ReadyKey("aws-acm")
	world.AuthorityKey("internal")
	ca := &v1alpha1.CertificateAuthority{Spec: v1alpha1.CertificateAuthoritySpec{
		Type: v1alpha1.CertificateAuthorityRoot, Subject: v1alpha1.CertificateSubject{CommonName: "Internal"}, KeyAlgorithm: v1alpha1.KeyAlgorithmECPrime256v1,
		NameConstraints: &v1alpha1.NameConstraints{Excluded: &v1alpha1.NameSubtrees{DNSDomains: []string{"forbidden.example.com"}}},
	}}
	ca.Namespace, ca.Name = world.Namespace, "internal"
	world.Create(ca)
	_, err := world.CertificateAuthority.Reconcile(ctx, environment.Request(ca))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(ca)
	world.Seen(ca)
	authority = ca.Status.ARN
})

// as is a client of a user with statements.
func as(statements ...string) *sdk.Client {
	return sdk.NewFromConfig(door.Config(environment.Region, statements...))
}

// asking is a request for a certificate.
func asking(domain string, changes ...func(*sdk.RequestCertificateInput)) *sdk.RequestCertificateInput {
	in := &sdk.RequestCertificateInput{DomainName: &domain, CertificateAuthorityArn: &authority, KeyAlgorithm: types.KeyAlgorithmEcPrime256v1}
	for _, change := range changes {
		change(in)
	}
	return in
}

// requested asks for a certificate, and does not run its controller.
func requested(domain string, changes ...func(*sdk.RequestCertificateInput)) string {
	GinkgoHelper()
	out, err := admin.RequestCertificate(ctx, asking(domain, changes...))
	Expect(err).NotTo(HaveOccurred())
	return *out.CertificateArn
}

// issued asks for a certificate and has it issued, as its controller does.
func issued(domain string, changes ...func(*sdk.RequestCertificateInput)) string {
	GinkgoHelper()
	made := requested(domain, changes...)
	c := reconcile(made)
	Expect(c.Status.ARN).To(Equal(made), "the ARN that was answered is the controller's")
	return made
}

// reconcile makes one pass over the certificate of an ARN and reads it again.
func reconcile(given string) *v1alpha1.Certificate {
	GinkgoHelper()
	c := object(given)
	world.Refresh(c)
	world.Seen(c)
	_, err := world.Certificate.Reconcile(ctx, environment.Request(c))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(c)
	world.Seen(c)
	return c
}

// object is the Certificate of an ARN.
func object(given string) *v1alpha1.Certificate {
	GinkgoHelper()
	found, err := world.Services.Certificates.Find(ctx, world.Namespace, account, given)
	Expect(err).NotTo(HaveOccurred())
	Expect(found).NotTo(BeNil())
	return found.DeepCopy()
}

func describe(given string) *types.CertificateDetail {
	GinkgoHelper()
	out, err := admin.DescribeCertificate(ctx, &sdk.DescribeCertificateInput{CertificateArn: &given})
	Expect(err).NotTo(HaveOccurred())
	return out.Certificate
}

func tag(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} }

// tagged adds a tag to a request.
func tagged(key, value string) func(*sdk.RequestCertificateInput) {
	return func(in *sdk.RequestCertificateInput) { in.Tags = append(in.Tags, tag(key, value)) }
}

func token(text string) func(*sdk.RequestCertificateInput) {
	return func(in *sdk.RequestCertificateInput) { in.IdempotencyToken = ptr.To(text) }
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
