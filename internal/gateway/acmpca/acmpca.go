// Package acmpca is AWS Private CA's API over the service of the same name. It finds what a request is about, says what policies are asked,
// and translates; what is done is the service's.
//
// An authority that the API makes is a root, which gets its certificate without more requests: there is no state PENDING_CERTIFICATE to
// end. Subordinate authorities are made as objects, which name the one above.
// https://docs.aws.amazon.com/privateca/latest/APIReference/Welcome.html
package acmpca

import (
	"context"

	sdk "github.com/aws/aws-sdk-go-v2/service/acmpca"
	"github.com/aws/aws-sdk-go-v2/service/acmpca/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/tags"
	"strongroom.dev/strongroom/internal/service/acmpca"
)

// SigningName is the service's name in signatures and in the actions of policies.
const SigningName = "acm-pca"

// Dependencies are what the operations stand on.
type Dependencies struct {
	// Authorities carries out what is permitted.
	Authorities *acmpca.Service
}

// api is the operations' receiver.
type api struct{ Dependencies }

// New makes the service.
func New(d Dependencies) gateway.Service {
	a := &api{d}
	return gateway.Service{Name: SigningName, Operations: []gateway.Operation{
		gateway.Op("CreateCertificateAuthority", a.resolveCreate, a.createCertificateAuthority),
		gateway.Op("DescribeCertificateAuthority", on(a, func(in *sdk.DescribeCertificateAuthorityInput) *string { return in.CertificateAuthorityArn }),
			a.describeCertificateAuthority, gateway.ReadOnly),
		gateway.Op("GetCertificate", on(a, func(in *sdk.GetCertificateInput) *string { return in.CertificateAuthorityArn }), a.getCertificate, gateway.ReadOnly),
		gateway.Op("GetCertificateAuthorityCertificate",
			on(a, func(in *sdk.GetCertificateAuthorityCertificateInput) *string { return in.CertificateAuthorityArn }),
			a.getCertificateAuthorityCertificate, gateway.ReadOnly),
		gateway.Op("GetCertificateAuthorityCsr", on(a, func(in *sdk.GetCertificateAuthorityCsrInput) *string { return in.CertificateAuthorityArn }),
			a.getCertificateAuthorityCsr, gateway.ReadOnly),
		gateway.Op("IssueCertificate", a.resolveIssue, a.issueCertificate),
		gateway.Op("ListCertificateAuthorities", none[sdk.ListCertificateAuthoritiesInput], a.listCertificateAuthorities, gateway.ReadOnly),
		gateway.Op("ListTags", on(a, func(in *sdk.ListTagsInput) *string { return in.CertificateAuthorityArn }), a.listTags, gateway.ReadOnly),
		gateway.Op("RevokeCertificate", on(a, func(in *sdk.RevokeCertificateInput) *string { return in.CertificateAuthorityArn }), a.revokeCertificate),
		gateway.Op("TagCertificateAuthority", a.resolveTag, a.tagCertificateAuthority),
		gateway.Op("UntagCertificateAuthority", a.resolveUntag, a.untagCertificateAuthority),
	}}
}

// none is the resource of an operation that has none.
func none[I any](context.Context, *gateway.Call, *I) (gateway.Resource[struct{}], error) {
	return gateway.Resource[struct{}]{ARN: "*"}, nil
}

// target is the authority that a request is about.
type target struct {
	*v1alpha1.CertificateAuthority
	arn string
}

// on makes the Resolve of an operation on an authority.
func on[I any](a *api, given func(*I) *string) gateway.Resolve[I, target] {
	return func(ctx context.Context, call *gateway.Call, in *I) (gateway.Resource[target], error) {
		return find(ctx, call, a.Authorities, deref(given(in)), &conditionKeys{})
	}
}

// find makes the resource of a request. What is there and what is not differ in Missing alone, and in what policies see of an authority: its
// tags.
func find(ctx context.Context, call *gateway.Call, authorities *acmpca.Service, given string, keys *conditionKeys) (gateway.Resource[target], error) {
	account := arn.Account(given)
	if arn.Service(given) != SigningName || arn.ValidateAccount(account) != nil || !arn.IsCertificateAuthority(given, arn.Region(given), account) {
		return gateway.Resource[target]{}, invalidARN("Invalid certificate authority ARN: " + given)
	}
	out := gateway.Resource[target]{ARN: given, Account: account, Context: keys}
	if account != call.Account() || arn.Region(given) != call.Region {
		out.Missing = notFound(given)
		return out, nil
	}
	ca, err := authorities.Find(ctx, call.Namespace(), account, given)
	switch {
	case err != nil:
		return out, err
	case ca == nil:
		out.Missing = notFound(given)
	default:
		keys.Resource = ca.Spec.Tags
		out.Value = target{ca, given}
	}
	return out, nil
}

// Permitted asks whether a caller may have a certificate issued by an authority, by way of ACM, and finds the authority. It is nil if there
// is none, which is told only to who may.
func Permitted(ctx context.Context, call *gateway.Call, authorities *acmpca.Service, given string) (*v1alpha1.CertificateAuthority, error) {
	r, err := find(ctx, call, authorities, given, &conditionKeys{template: defaultTemplate})
	if err != nil {
		return nil, err
	}
	err = call.Authorize(gateway.Question{
		Action: SigningName + ":IssueCertificate", Resource: r.ARN, ResourceAccount: r.Account, Context: r.Context,
	})
	if err != nil {
		return nil, err
	}
	return r.Value.CertificateAuthority, nil
}

// conditionKeys is the condition keys of one request.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsprivatecertificateauthority.html
type conditionKeys struct {
	tags.Keys
	// template is acm-pca:TemplateArn; empty for none.
	template string
}

// Values implements iam.Context.
func (k *conditionKeys) Values(key string) ([]string, bool) {
	if key == "acm-pca:templatearn" {
		return []string{k.template}, k.template != ""
	}
	return k.Keys.Values(key)
}

// tagsOf are the tags of a request; nil for none.
func tagsOf(in []types.Tag) []v1alpha1.Tag {
	var out []v1alpha1.Tag
	for i := range in {
		out = append(out, v1alpha1.Tag{Key: deref(in[i].Key), Value: deref(in[i].Value)})
	}
	return out
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
