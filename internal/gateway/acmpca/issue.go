package acmpca

import (
	"context"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/acmpca"
	"github.com/aws/aws-sdk-go-v2/service/acmpca/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/acmpca"
)

const (
	templates       = "arn:aws:acm-pca:::template/"
	defaultTemplate = templates + "EndEntityCertificate/V1"
)

// usages are those of the templates that are served: subject and names are the request's.
// https://docs.aws.amazon.com/privateca/latest/userguide/template-definitions.html
var usages = map[string][]x509.ExtKeyUsage{
	defaultTemplate: {x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	templates + "EndEntityClientAuthCertificate/V1": {x509.ExtKeyUsageClientAuth},
	templates + "EndEntityServerAuthCertificate/V1": {x509.ExtKeyUsageServerAuth},
	templates + "CodeSigningCertificate/V1":         {x509.ExtKeyUsageCodeSigning},
}

// signatureAlgorithms are those that authorities sign with.
var signatureAlgorithms = map[types.SigningAlgorithm]x509.SignatureAlgorithm{
	types.SigningAlgorithmSha256withecdsa: x509.ECDSAWithSHA256, types.SigningAlgorithmSha384withecdsa: x509.ECDSAWithSHA384,
	types.SigningAlgorithmSha512withecdsa: x509.ECDSAWithSHA512, types.SigningAlgorithmSha256withrsa: x509.SHA256WithRSA,
	types.SigningAlgorithmSha384withrsa: x509.SHA384WithRSA, types.SigningAlgorithmSha512withrsa: x509.SHA512WithRSA,
	types.SigningAlgorithmSha256withrsaPss: x509.SHA256WithRSAPSS, types.SigningAlgorithmSha384withrsaPss: x509.SHA384WithRSAPSS,
	types.SigningAlgorithmSha512withrsaPss: x509.SHA512WithRSAPSS,
}

func templateOf(in *sdk.IssueCertificateInput) string {
	if in.TemplateArn == nil {
		return defaultTemplate
	}
	return *in.TemplateArn
}

func (a *api) resolveIssue(ctx context.Context, call *gateway.Call, in *sdk.IssueCertificateInput) (gateway.Resource[target], error) {
	return find(ctx, call, a.Authorities, deref(in.CertificateAuthorityArn), &conditionKeys{template: templateOf(in)})
}

func (a *api) issueCertificate(ctx context.Context, _ *gateway.Call, in *sdk.IssueCertificateInput, t target) (*sdk.IssueCertificateOutput, error) {
	extended, served := usages[templateOf(in)]
	switch {
	case !served:
		return nil, invalidArgs("The template " + templateOf(in) + " is not supported; there are " + strings.Join(slices.Sorted(maps.Keys(usages)), ", ") + ".")
	case in.ApiPassthrough != nil:
		return nil, invalidArgs("ApiPassthrough is not supported: put names and subject into the certificate signing request.")
	case t.Status.NotAfter != nil && !a.Authorities.Now().Before(t.Status.NotAfter.Time):
		return nil, invalidState("The certificate authority " + t.arn + " has expired.")
	case t.Status.NotAfter == nil:
		return nil, invalidState("The certificate authority " + t.arn + " is not active yet: it has no certificate.")
	}
	if err := checkAlgorithms(types.KeyAlgorithm(acmpca.AlgorithmOf(t.CertificateAuthority)), in.SigningAlgorithm); err != nil {
		return nil, err
	}
	request, err := pki.ParseRequest(in.Csr)
	if err != nil {
		return nil, &types.MalformedCSRException{Message: ptr.To("The certificate signing request cannot be used: " + err.Error() + ".")}
	}
	leaf, err := leafOf(request)
	if err != nil {
		return nil, err
	}
	leaf.Usages, leaf.SignatureAlgorithm = extended, signatureAlgorithms[in.SigningAlgorithm]
	if leaf.NotBefore, leaf.NotAfter, err = period(in, a.Authorities.Now(), t.CertificateAuthority); err != nil {
		return nil, err
	}
	issued, err := a.Authorities.IssueOnce(ctx, t.CertificateAuthority, deref(in.IdempotencyToken), request, leaf)
	if err != nil {
		return nil, answer(t.arn, err)
	}
	return &sdk.IssueCertificateOutput{CertificateArn: &issued.ARN}, nil
}

// leafOf takes subject and names from a request. Nothing else of what it asks for is looked at: usages are the template's, and a request
// for an authority gets a leaf.
func leafOf(request *x509.CertificateRequest) (pki.LeafRequest, error) {
	texts := pki.NamesOf(&x509.Certificate{
		DNSNames: request.DNSNames, IPAddresses: request.IPAddresses, URIs: request.URIs, EmailAddresses: request.EmailAddresses,
	}).Texts()
	names, err := pki.ParseNames(texts)
	if err != nil {
		return pki.LeafRequest{}, &types.MalformedCSRException{Message: ptr.To("The names of the certificate signing request cannot be used: " + err.Error() + ".")}
	}
	subject := request.Subject
	subject.ExtraNames = nil
	return pki.LeafRequest{Subject: subject, Names: names}, nil
}

// period is when a certificate is valid: from a little before now, unless the request says from when, and not longer than its authority.
func period(in *sdk.IssueCertificateInput, now time.Time, ca *v1alpha1.CertificateAuthority) (begin, end time.Time, err error) {
	from := now
	if v := in.ValidityNotBefore; v != nil {
		if v.Type != types.ValidityPeriodTypeAbsolute && v.Type != types.ValidityPeriodTypeEndDate {
			return begin, end, invalidArgs("ValidityNotBefore is of type ABSOLUTE or END_DATE.")
		}
		if from, err = endOf(v, now); err != nil {
			return begin, end, err
		}
	}
	if end, err = endOf(in.Validity, from); err != nil {
		return begin, end, err
	}
	if begin = from; in.ValidityNotBefore == nil {
		begin = pki.Backdate(now, end.Sub(now))
	}
	switch {
	case !end.After(now) || !end.After(begin):
		return begin, end, invalidArgs("The certificate would have ended at " + end.UTC().Format(time.RFC3339) + ", before it begins or before now.")
	case end.After(ca.Status.NotAfter.Time):
		return begin, end, invalidArgs("The certificate validity specified exceeds the certificate authority validity, which ends at " +
			ca.Status.NotAfter.UTC().Format(time.RFC3339) + ".")
	}
	return begin, end, nil
}

const (
	maximumYears = 1000
	// Forms of END_DATE: UTCTime and GeneralizedTime (RFC 5280, section 4.1.2.5).
	utcTime         = "060102150405"
	generalizedTime = "20060102150405"
)

// endOf is the end of a time that begins then.
// https://docs.aws.amazon.com/privateca/latest/APIReference/API_Validity.html
func endOf(v *types.Validity, begin time.Time) (time.Time, error) {
	n := deref(v.Value)
	limit := map[types.ValidityPeriodType]int64{
		types.ValidityPeriodTypeDays: maximumYears * 366, types.ValidityPeriodTypeMonths: maximumYears * 12, types.ValidityPeriodTypeYears: maximumYears,
	}
	if most, relative := limit[v.Type]; relative && n > most {
		return begin, invalidArgs(fmt.Sprintf("A validity of %d %s is too long.", n, v.Type))
	}
	switch v.Type {
	case types.ValidityPeriodTypeDays:
		return begin.AddDate(0, 0, int(n)), nil
	case types.ValidityPeriodTypeMonths:
		return begin.AddDate(0, int(n), 0), nil
	case types.ValidityPeriodTypeYears:
		return begin.AddDate(int(n), 0, 0), nil
	case types.ValidityPeriodTypeAbsolute:
		if at := time.Unix(n, 0).UTC(); at.Year() <= 9999 {
			return at, nil
		}
	case types.ValidityPeriodTypeEndDate:
		text := strconv.FormatInt(n, 10)
		form := utcTime
		if len(text) > len(utcTime) {
			form = generalizedTime
		}
		text = strings.Repeat("0", max(0, len(form)-len(text))) + text // a number has no zeros in front
		if at, err := time.Parse(form, text); err == nil {
			return inCentury(at, form), nil
		}
	}
	return begin, invalidArgs(fmt.Sprintf("%d is no validity of type %s.", n, v.Type))
}

// inCentury reads the two digits of a year as RFC 5280 does: 50 to 99 are of the last century.
func inCentury(at time.Time, form string) time.Time {
	if form == utcTime && at.Year() >= 2050 {
		return at.AddDate(-100, 0, 0)
	}
	if form == utcTime && at.Year() < 1950 {
		return at.AddDate(100, 0, 0)
	}
	return at
}

func (a *api) getCertificate(ctx context.Context, _ *gateway.Call, in *sdk.GetCertificateInput, t target) (*sdk.GetCertificateOutput, error) {
	given := deref(in.CertificateArn)
	text, ok := strings.CutPrefix(given, t.arn+"/certificate/")
	if !ok {
		return nil, invalidARN("The certificate ARN " + given + " is not of the certificate authority " + t.arn + ".")
	}
	serial, err := pki.ParseSerial(text)
	if err != nil {
		return nil, invalidARN("Invalid certificate ARN: " + given)
	}
	issued, err := a.Authorities.Issued(ctx, t.CertificateAuthority, pki.FormatSerial(serial))
	if err != nil {
		return nil, answer(t.arn, err)
	}
	out := &sdk.GetCertificateOutput{}
	out.Certificate, out.CertificateChain = chainOf(issued.Chain)
	return out, nil
}

func (a *api) revokeCertificate(ctx context.Context, _ *gateway.Call, in *sdk.RevokeCertificateInput, t target) (*sdk.RevokeCertificateOutput, error) {
	serial, err := pki.ParseSerial(deref(in.CertificateSerial))
	if err != nil {
		return nil, &types.InvalidRequestException{Message: ptr.To("Invalid certificate serial: " + err.Error() + ".")}
	}
	err = a.Authorities.Revoke(ctx, t.CertificateAuthority, pki.FormatSerial(serial), pki.Reason(in.RevocationReason))
	return &sdk.RevokeCertificateOutput{}, answer(t.arn, err)
}
