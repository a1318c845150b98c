package acmpca

import (
	"context"
	"crypto/x509"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/acmpca"
	"github.com/aws/aws-sdk-go-v2/service/acmpca/types"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/page"
	"strongroom.dev/strongroom/internal/gateway/tags"
	"strongroom.dev/strongroom/internal/service/acmpca"
)

// pageSize is how many entries a list shows that names no number.
const pageSize = 100

func (a *api) describeCertificateAuthority(ctx context.Context, call *gateway.Call, _ *sdk.DescribeCertificateAuthorityInput, t target) (
	*sdk.DescribeCertificateAuthorityOutput, error,
) {
	out := a.shown(ctx, call, t.CertificateAuthority)
	return &sdk.DescribeCertificateAuthorityOutput{CertificateAuthority: &out}, nil
}

// shown is an authority in AWS's words.
// https://docs.aws.amazon.com/privateca/latest/APIReference/API_CertificateAuthority.html
func (a *api) shown(ctx context.Context, call *gateway.Call, ca *v1alpha1.CertificateAuthority) types.CertificateAuthority {
	out := types.CertificateAuthority{
		Arn: ptr.To(a.Authorities.ARNOf(ca, call.Account())), OwnerAccount: ptr.To(call.Account()), CreatedAt: ptr.To(ca.CreationTimestamp.UTC()),
		Type: types.CertificateAuthorityType(strings.ToUpper(string(ca.Spec.Type))), Status: a.statusOf(ctx, ca),
		NotBefore: moment(ca.Status.NotBefore), NotAfter: moment(ca.Status.NotAfter), UsageMode: types.CertificateAuthorityUsageModeGeneralPurpose,
		CertificateAuthorityConfiguration: configuration(ca),
		RevocationConfiguration: &types.RevocationConfiguration{
			CrlConfiguration:  &types.CrlConfiguration{Enabled: ptr.To(ca.Spec.Target != nil)},
			OcspConfiguration: &types.OcspConfiguration{Enabled: ptr.To(false)},
		},
	}
	if ca.Spec.CRL != nil && ca.Spec.CRL.ExpirationInDays > 0 {
		out.RevocationConfiguration.CrlConfiguration.ExpirationInDays = &ca.Spec.CRL.ExpirationInDays
	}
	if ca.Status.Serial != "" {
		out.Serial = &ca.Status.Serial
	}
	if ready := meta.FindStatusCondition(ca.Status.Conditions, v1alpha1.ConditionReady); ready != nil && ready.LastTransitionTime.Unix() > 0 {
		out.LastStateChangeAt = moment(&ready.LastTransitionTime)
	}
	if out.Status == types.CertificateAuthorityStatusFailed {
		out.FailureReason = types.FailureReasonOther
	}
	return out
}

func configuration(ca *v1alpha1.CertificateAuthority) *types.CertificateAuthorityConfiguration {
	s, algorithm := &ca.Spec.Subject, acmpca.AlgorithmOf(ca)
	return &types.CertificateAuthorityConfiguration{
		KeyAlgorithm: types.KeyAlgorithm(algorithm), SigningAlgorithm: usualSigning(pki.KeyAlgorithm(algorithm)),
		Subject: &types.ASN1Subject{
			CommonName: some(s.CommonName), Organization: some(s.Organization), OrganizationalUnit: some(s.OrganizationalUnit),
			Country: some(s.Country), State: some(s.State), Locality: some(s.Locality),
		},
	}
}

// usualSigning is what a key signs with where nothing else is asked for.
func usualSigning(key pki.KeyAlgorithm) types.SigningAlgorithm {
	switch pki.SignatureAlgorithmOf(key) {
	case x509.ECDSAWithSHA256:
		return types.SigningAlgorithmSha256withecdsa
	case x509.ECDSAWithSHA384:
		return types.SigningAlgorithmSha384withecdsa
	case x509.ECDSAWithSHA512:
		return types.SigningAlgorithmSha512withecdsa
	}
	return types.SigningAlgorithmSha256withrsa
}

// statusOf is an authority's state in AWS's words. CREATING is the time in which the controller makes key and certificate. FAILED is one that can
// never issue again, which one is whose certificate or key is revoked; DISABLED one that issues nothing for now, which one is below that, or whose key is
// another's now.
// https://docs.aws.amazon.com/privateca/latest/userguide/PcaUpdateStatus.html
func (a *api) statusOf(ctx context.Context, ca *v1alpha1.CertificateAuthority) types.CertificateAuthorityStatus {
	chain, _ := a.Authorities.Chain(ctx, ca) // of one that cannot be read, the time tells
	switch {
	case ca.Status.NotAfter == nil && meta.IsStatusConditionTrue(ca.Status.Conditions, v1alpha1.ConditionStalled):
		return types.CertificateAuthorityStatusFailed
	case ca.Status.NotAfter == nil:
		return types.CertificateAuthorityStatusCreating
	case !a.Authorities.Now().Before(ca.Status.NotAfter.Time):
		return types.CertificateAuthorityStatusExpired
	case revoked(a.Authorities.CheckRevoked(ctx, ca, chain[:min(len(chain), 2)])):
		return types.CertificateAuthorityStatusFailed
	case revoked(a.Authorities.CheckRevoked(ctx, ca, chain)), keyless(ca):
		return types.CertificateAuthorityStatusDisabled
	}
	return types.CertificateAuthorityStatusActive
}

// keyless tells that an authority's key was given to another one.
func keyless(ca *v1alpha1.CertificateAuthority) bool {
	ready := meta.FindStatusCondition(ca.Status.Conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.Reason == v1alpha1.ReasonKeyInUse
}

func revoked(err error) bool { return err != nil && fault.Of(err).Reason == v1alpha1.ReasonRevoked }

func (a *api) listCertificateAuthorities(ctx context.Context, call *gateway.Call, in *sdk.ListCertificateAuthoritiesInput, _ struct{}) (
	*sdk.ListCertificateAuthoritiesOutput, error,
) {
	of := page.Of(call, in)
	after, err := page.After(in.NextToken, of)
	if err != nil {
		return nil, &types.InvalidNextTokenException{Message: ptr.To(err.Error())}
	}
	var all []*v1alpha1.CertificateAuthority
	if in.ResourceOwner != types.ResourceOwnerOtherAccounts { // none is shared
		if all, err = a.Authorities.List(ctx, call.Namespace(), call.Region); err != nil {
			return nil, err
		}
	}
	at := func(ca **v1alpha1.CertificateAuthority) page.Place {
		return page.Place{Of: of, Key: (*ca).CreationTimestamp.UTC().Format(time.RFC3339), ID: a.Authorities.ARNOf(*ca, call.Account())}
	}
	found, next, err := page.Cut(all, at, after, int(ptr.Deref(in.MaxResults, pageSize)), false)
	if err != nil {
		return nil, err
	}
	out := &sdk.ListCertificateAuthoritiesOutput{CertificateAuthorities: make([]types.CertificateAuthority, 0, len(found)), NextToken: next}
	for _, ca := range found {
		out.CertificateAuthorities = append(out.CertificateAuthorities, a.shown(ctx, call, ca))
	}
	return out, nil
}

func (a *api) getCertificateAuthorityCertificate(ctx context.Context, _ *gateway.Call, _ *sdk.GetCertificateAuthorityCertificateInput, t target) (
	*sdk.GetCertificateAuthorityCertificateOutput, error,
) {
	chain, err := a.Authorities.Chain(ctx, t.CertificateAuthority)
	if err != nil {
		return nil, answer(t.arn, err)
	}
	out := &sdk.GetCertificateAuthorityCertificateOutput{}
	out.Certificate, out.CertificateChain = chainOf(chain)
	return out, nil
}

func (a *api) getCertificateAuthorityCsr(ctx context.Context, _ *gateway.Call, _ *sdk.GetCertificateAuthorityCsrInput, t target) (
	*sdk.GetCertificateAuthorityCsrOutput, error,
) {
	text, err := a.Authorities.SigningRequest(ctx, t.CertificateAuthority)
	if err != nil {
		return nil, answer(t.arn, err)
	}
	return &sdk.GetCertificateAuthorityCsrOutput{Csr: ptr.To(string(text))}, nil
}

// chainOf is a certificate and those above it; nil for none.
func chainOf(chain []*x509.Certificate) (certificate, above *string) {
	if len(chain) > 1 {
		above = ptr.To(string(pki.CertificatesPEM(chain[1:])))
	}
	return ptr.To(string(pki.CertificatesPEM(chain[:1]))), above
}

func (a *api) resolveTag(ctx context.Context, call *gateway.Call, in *sdk.TagCertificateAuthorityInput) (gateway.Resource[target], error) {
	return find(ctx, call, a.Authorities, deref(in.CertificateAuthorityArn), &conditionKeys{Keys: tags.Keys{Request: tagsOf(in.Tags)}})
}

func (a *api) tagCertificateAuthority(ctx context.Context, _ *gateway.Call, in *sdk.TagCertificateAuthorityInput, t target) (
	*sdk.TagCertificateAuthorityOutput, error,
) {
	asked := tagsOf(in.Tags)
	if err := tags.Check(asked); err != nil {
		return nil, answer(t.arn, err)
	}
	err := a.Authorities.Change(ctx, t.CertificateAuthority, func(ca *v1alpha1.CertificateAuthority) (err error) {
		ca.Spec.Tags, err = tags.Put(ca.Spec.Tags, asked)
		return err
	})
	return &sdk.TagCertificateAuthorityOutput{}, answer(t.arn, err)
}

func (a *api) resolveUntag(ctx context.Context, call *gateway.Call, in *sdk.UntagCertificateAuthorityInput) (gateway.Resource[target], error) {
	return find(ctx, call, a.Authorities, deref(in.CertificateAuthorityArn), &conditionKeys{Keys: tags.Keys{Request: tagsOf(in.Tags)}})
}

func (a *api) untagCertificateAuthority(ctx context.Context, _ *gateway.Call, in *sdk.UntagCertificateAuthorityInput, t target) (
	*sdk.UntagCertificateAuthorityOutput, error,
) {
	var off []tags.Taken
	for i := range in.Tags {
		off = append(off, tags.Taken{Key: deref(in.Tags[i].Key), Value: in.Tags[i].Value})
	}
	err := a.Authorities.Change(ctx, t.CertificateAuthority, func(ca *v1alpha1.CertificateAuthority) error {
		ca.Spec.Tags = tags.Take(ca.Spec.Tags, off)
		return nil
	})
	return &sdk.UntagCertificateAuthorityOutput{}, answer(t.arn, err)
}

func (a *api) listTags(_ context.Context, call *gateway.Call, in *sdk.ListTagsInput, t target) (*sdk.ListTagsOutput, error) {
	of := page.Of(call, in)
	after, err := page.After(in.NextToken, of)
	if err != nil {
		return nil, invalidArgs(err.Error())
	}
	at := func(tag *v1alpha1.Tag) page.Place { return page.Place{Of: of, Key: tag.Key} }
	found, next, err := page.Cut(tags.Sorted(t.Spec.Tags), at, after, int(ptr.Deref(in.MaxResults, pageSize)), false)
	if err != nil {
		return nil, err
	}
	out := &sdk.ListTagsOutput{Tags: make([]types.Tag, 0, len(found)), NextToken: next}
	for i := range found {
		out.Tags = append(out.Tags, types.Tag{Key: &found[i].Key, Value: &found[i].Value})
	}
	return out, nil
}

func moment(t *metav1.Time) *time.Time {
	if t == nil {
		return nil
	}
	return ptr.To(t.UTC())
}

func some(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
