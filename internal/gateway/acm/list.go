package acm

import (
	"context"
	"crypto/x509"
	"slices"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/acm/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/page"
)

const (
	// pageSize is how many entries a list shows that names no number.
	pageSize = 100
	// shownNames is how many names of a certificate a list shows.
	shownNames = 100
)

// usual are the key types that a list shows which names none.
// https://docs.aws.amazon.com/acm/latest/APIReference/API_ListCertificates.html
var usual = []types.KeyAlgorithm{types.KeyAlgorithmRsa1024, types.KeyAlgorithmRsa2048}

func (a *api) listCertificates(ctx context.Context, call *gateway.Call, in *sdk.ListCertificatesInput, _ struct{}) (*sdk.ListCertificatesOutput, error) {
	if in.SortOrder != "" && in.SortBy == "" {
		return nil, &types.InvalidArgsException{Message: ptr.To("SortOrder needs SortBy.")}
	}
	descending := in.SortOrder == types.SortOrderDescending
	of := page.Of(call, in)
	after, err := page.After(in.NextToken, of)
	if err != nil {
		return nil, &types.InvalidArgsException{Message: ptr.To(err.Error())}
	}
	all, err := a.Certificates.List(ctx, call.Namespace(), call.Region)
	if err != nil {
		return nil, err
	}
	at := func(s *types.CertificateSummary) page.Place {
		return page.Place{Of: of, Key: s.CreatedAt.Format(time.RFC3339), ID: *s.CertificateArn}
	}
	var found []types.CertificateSummary
	for _, c := range all {
		s, err := a.summary(ctx, call, c)
		if err != nil {
			return nil, answer("", err)
		}
		if matches(in, &s) {
			found = append(found, s)
		}
	}
	shown, next, err := page.Cut(found, at, after, int(ptr.Deref(in.MaxItems, pageSize)), descending)
	if err != nil {
		return nil, err
	}
	for i := range shown {
		shown[i].KeyAlgorithm = shownAlgorithm(shown[i].KeyAlgorithm)
	}
	if shown == nil {
		shown = []types.CertificateSummary{}
	}
	return &sdk.ListCertificatesOutput{CertificateSummaryList: shown, NextToken: next}, nil
}

func (a *api) summary(ctx context.Context, call *gateway.Call, c *v1alpha1.Certificate) (s types.CertificateSummary, err error) {
	names := namesOf(c)
	s = types.CertificateSummary{
		CertificateArn: ptr.To(a.Certificates.ARNOf(c, call.Account())), Type: typeOf(c), KeyAlgorithm: algorithmOf(c),
		CertificateKeyPairOrigin: originOf(c), CreatedAt: ptr.To(c.CreationTimestamp.UTC()),
		NotBefore: moment(c.Status.NotBefore), NotAfter: moment(c.Status.NotAfter), RenewalEligibility: eligibility(c),
		ExportOption: exportOption(c), InUse: ptr.To(c.TargetName() != ""), HasAdditionalSubjectAlternativeNames: ptr.To(len(names) > shownNames),
		SubjectAlternativeNameSummaries: names[:min(len(names), shownNames)],
	}
	if len(names) > 0 {
		s.DomainName = &names[0]
	}
	s.IssuedAt, s.ImportedAt = obtained(c)
	s.KeyUsages, s.ExtendedKeyUsages = a.usages(ctx, c)
	s.Status, s.RevokedAt, err = a.statusOf(ctx, c)
	return s, err
}

// usages are what a certificate is for. One that was issued here is for what all are; others have to be read, and have none if they cannot be.
func (a *api) usages(ctx context.Context, c *v1alpha1.Certificate) ([]types.KeyUsageName, []types.ExtendedKeyUsageName) {
	leaf := &x509.Certificate{KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	switch {
	case len(c.Status.Versions) == 0:
		return nil, nil
	case typeOf(c) == types.CertificateTypeImported:
		chain, err := a.Certificates.Chain(ctx, c)
		if err != nil {
			return nil, nil
		}
		leaf = chain[0]
	case algorithmOf(c)[0] == 'R':
		leaf.KeyUsage |= x509.KeyUsageKeyEncipherment
	}
	var extended []types.ExtendedKeyUsageName
	for _, u := range extendedKeyUsages(leaf) {
		extended = append(extended, u.name)
	}
	return keyUsages(leaf.KeyUsage), extended
}

// matches tells whether a certificate is one that a list asks for.
func matches(in *sdk.ListCertificatesInput, s *types.CertificateSummary) bool {
	f := deref(in.Includes)
	types := f.KeyTypes
	if len(types) == 0 {
		types = usual
	}
	return (len(in.CertificateStatuses) == 0 || slices.Contains(in.CertificateStatuses, s.Status)) &&
		(len(in.CertificateKeyPairOrigins) == 0 || slices.Contains(in.CertificateKeyPairOrigins, s.CertificateKeyPairOrigin)) &&
		slices.Contains(types, s.KeyAlgorithm) && (f.ExportOption == "" || f.ExportOption == s.ExportOption) && f.ManagedBy == "" &&
		meet(f.KeyUsage, s.KeyUsages) && meet(f.ExtendedKeyUsage, s.ExtendedKeyUsages)
}

// meet tells whether one of the wanted things is there; none wanted is all.
func meet[T comparable](wanted, there []T) bool {
	return len(wanted) == 0 || slices.ContainsFunc(wanted, func(t T) bool { return slices.Contains(there, t) })
}
