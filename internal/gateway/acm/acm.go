// Package acm is AWS Certificate Manager's API over the service of the same name. It finds what a request is about, says what policies are
// asked, and translates; what is done is the service's.
//
// Certificates are issued by private authorities of the account alone: no public domain is validated. Private keys: what a caller imports is
// in the input's []byte, which the server wipes when the answer is out; what a caller exports is encrypted under the passphrase.
// https://docs.aws.amazon.com/acm/latest/APIReference/Welcome.html
package acm

import (
	"context"

	sdk "github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/acm/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/tags"
	"strongroom.dev/strongroom/internal/service/acm"
	"strongroom.dev/strongroom/internal/service/acmpca"
)

// SigningName is the service's name in signatures and in the actions of policies.
const SigningName = "acm"

// Dependencies are what the operations stand on.
type Dependencies struct {
	// Certificates carries out what is permitted.
	Certificates *acm.Service
	// Authorities issue, and know what is revoked.
	Authorities *acmpca.Service
}

// api is the operations' receiver.
type api struct{ Dependencies }

// New makes the service.
func New(d Dependencies) gateway.Service {
	a := &api{d}
	return gateway.Service{Name: SigningName, Operations: []gateway.Operation{
		gateway.Op("AddTagsToCertificate", a.resolveAddTags, a.addTagsToCertificate),
		gateway.Op("DeleteCertificate", on(a, func(in *sdk.DeleteCertificateInput) *string { return in.CertificateArn }), a.deleteCertificate),
		gateway.Op("DescribeCertificate", on(a, func(in *sdk.DescribeCertificateInput) *string { return in.CertificateArn }),
			a.describeCertificate, gateway.ReadOnly),
		gateway.Op("ExportCertificate", on(a, func(in *sdk.ExportCertificateInput) *string { return in.CertificateArn }),
			a.exportCertificate, gateway.ReadOnly),
		gateway.Op("GetCertificate", on(a, func(in *sdk.GetCertificateInput) *string { return in.CertificateArn }), a.getCertificate, gateway.ReadOnly),
		gateway.Op("ImportCertificate", a.resolveImport, a.importCertificate),
		gateway.Op("ListCertificates", none[sdk.ListCertificatesInput], a.listCertificates, gateway.ReadOnly),
		gateway.Op("ListTagsForCertificate", on(a, func(in *sdk.ListTagsForCertificateInput) *string { return in.CertificateArn }),
			a.listTagsForCertificate, gateway.ReadOnly),
		gateway.Op("RemoveTagsFromCertificate", a.resolveRemoveTags, a.removeTagsFromCertificate),
		gateway.Op("RenewCertificate", on(a, func(in *sdk.RenewCertificateInput) *string { return in.CertificateArn }), a.renewCertificate),
		gateway.Op("RequestCertificate", a.resolveRequest, a.requestCertificate),
	}}
}

// none is the resource of an operation that has none.
func none[I any](context.Context, *gateway.Call, *I) (gateway.Resource[struct{}], error) {
	return gateway.Resource[struct{}]{ARN: "*"}, nil
}

// target is the certificate that a request is about.
type target struct {
	*v1alpha1.Certificate
	arn string
}

// on makes the Resolve of an operation on a certificate.
func on[I any](a *api, given func(*I) *string) gateway.Resolve[I, target] {
	return func(ctx context.Context, call *gateway.Call, in *I) (gateway.Resource[target], error) {
		return a.find(ctx, call, given(in), nil)
	}
}

// find makes the resource of a request. What is there and what is not differ in Missing alone, and in what policies see of a certificate:
// its tags and names.
func (a *api) find(ctx context.Context, call *gateway.Call, id *string, requestTags []types.Tag) (gateway.Resource[target], error) {
	given := deref(id)
	account := arn.Account(given)
	if arn.Service(given) != "acm" || arn.ValidateAccount(account) != nil || !arn.IsCertificate(given, arn.Region(given), account) {
		return gateway.Resource[target]{}, invalidARN("Invalid certificate ARN: " + given)
	}
	context := &conditionKeys{Keys: tags.Keys{Request: tagsOf(requestTags)}}
	out := gateway.Resource[target]{ARN: given, Account: account, Context: context}
	if account != call.Account() || arn.Region(given) != call.Region {
		out.Missing = notFound(given)
		return out, nil
	}
	c, err := a.Certificates.Find(ctx, call.Namespace(), account, given)
	switch {
	case err != nil:
		return out, err
	case c == nil:
		out.Missing = notFound(given)
	default:
		context.Resource, context.names = c.Spec.Tags, namesOf(c)
		out.Value = target{c, given}
	}
	return out, nil
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
