package acm

import (
	"context"
	"crypto/x509"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/acm/types"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
)

// describeCertificate tells what status says. Subject, signature algorithm and usages are the certificate's own, and left out while it
// cannot be read.
func (a *api) describeCertificate(ctx context.Context, _ *gateway.Call, _ *sdk.DescribeCertificateInput, t target) (*sdk.DescribeCertificateOutput, error) {
	c := t.Certificate
	names := namesOf(c)
	d := &types.CertificateDetail{
		CertificateArn: &t.arn, SubjectAlternativeNames: names, Type: typeOf(c), CertificateKeyPairOrigin: originOf(c),
		CreatedAt: ptr.To(c.CreationTimestamp.UTC()), NotBefore: moment(c.Status.NotBefore), NotAfter: moment(c.Status.NotAfter),
		KeyAlgorithm: shownAlgorithm(algorithmOf(c)), InUseBy: inUseBy(c), RenewalEligibility: eligibility(c),
		CertificateAuthorityArn: a.authorityARN(ctx, c), Options: &types.CertificateOptions{Export: exportOption(c)},
	}
	if len(names) > 0 {
		d.DomainName = &names[0]
	}
	d.IssuedAt, d.ImportedAt = obtained(c)
	var err error
	if d.Status, d.RevokedAt, err = a.statusOf(ctx, c); err != nil {
		return nil, answer(t.arn, err)
	}
	if d.Status == types.CertificateStatusFailed {
		d.FailureReason = failureReason(c)
	}
	if len(c.Status.Versions) == 0 {
		return &sdk.DescribeCertificateOutput{Certificate: d}, nil
	}
	d.Serial, d.Issuer, d.RenewalSummary = ptr.To(colons(c.Status.Serial)), ptr.To(c.Status.Issuer), renewalOf(c)
	if chain, err := a.Certificates.Chain(ctx, c); err == nil {
		describeX509(d, chain[0])
	}
	return &sdk.DescribeCertificateOutput{Certificate: d}, nil
}

// describeX509 adds what only the certificate itself tells.
func describeX509(d *types.CertificateDetail, leaf *x509.Certificate) {
	d.Subject, d.SignatureAlgorithm = ptr.To(leaf.Subject.String()), ptr.To(signatureAlgorithm(leaf.SignatureAlgorithm))
	for _, u := range keyUsages(leaf.KeyUsage) {
		d.KeyUsages = append(d.KeyUsages, types.KeyUsage{Name: u})
	}
	for _, u := range extendedKeyUsages(leaf) {
		d.ExtendedKeyUsages = append(d.ExtendedKeyUsages, types.ExtendedKeyUsage{Name: u.name, OID: ptr.To(u.oid)})
	}
}

// statusOf is a certificate's state in AWS's words.
// https://docs.aws.amazon.com/acm/latest/APIReference/API_CertificateDetail.html
func (a *api) statusOf(ctx context.Context, c *v1alpha1.Certificate) (status types.CertificateStatus, revoked *time.Time, err error) {
	if len(c.Status.Versions) == 0 {
		if failureReason(c) != "" {
			return types.CertificateStatusFailed, nil, nil
		}
		return types.CertificateStatusPendingValidation, nil, nil
	}
	if at, err := a.revokedAt(ctx, c); err != nil || at != nil {
		return types.CertificateStatusRevoked, at, err
	}
	if c.Status.NotAfter != nil && !a.Certificates.Now().Before(c.Status.NotAfter.Time) {
		return types.CertificateStatusExpired, nil, nil
	}
	return types.CertificateStatusIssued, nil, nil
}

// revokedAt is when a certificate was revoked, nil if it is not.
func (a *api) revokedAt(ctx context.Context, c *v1alpha1.Certificate) (*time.Time, error) {
	if c.Status.AuthorityARN == "" || c.Status.Serial == "" {
		return nil, nil
	}
	return a.Authorities.RevokedAt(ctx, c.Namespace, c.Status.AuthorityARN, c.Status.Serial)
}

// failureReason is why a certificate was not issued, and will not be before somebody changes something; empty if it may come.
// https://docs.aws.amazon.com/acm/latest/userguide/troubleshooting-failed.html
func failureReason(c *v1alpha1.Certificate) types.FailureReason {
	if !meta.IsStatusConditionTrue(c.Status.Conditions, v1alpha1.ConditionStalled) {
		return ""
	}
	ready := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionReady)
	if ready == nil {
		return types.FailureReasonOther
	}
	switch ready.Reason {
	case v1alpha1.ReasonAuthorityNotFound:
		return types.FailureReasonPcaResourceNotFound
	case v1alpha1.ReasonAuthorityNotReady, v1alpha1.ReasonKeyNotFound, v1alpha1.ReasonKeyUnusable, v1alpha1.ReasonKeyMismatch,
		v1alpha1.ReasonKeyInUse, v1alpha1.ReasonRevoked:
		return types.FailureReasonPcaInvalidState
	case v1alpha1.ReasonNotPermitted:
		return types.FailureReasonPcaNameConstraintsValidation
	case v1alpha1.ReasonInvalidName, v1alpha1.ReasonInvalidCertificate:
		return types.FailureReasonPcaInvalidArgs
	}
	return types.FailureReasonOther
}

// namesOf are the names of the certificate in force, its first one first, or else those that it will have.
func namesOf(c *v1alpha1.Certificate) []string {
	wanted := append([]string{c.Spec.DomainName}, c.Spec.SubjectAlternativeNames...)
	if len(c.Status.Names) == 0 {
		if c.Spec.DomainName == "" {
			return nil
		}
		return wanted
	}
	out := c.Status.Names
	for i, name := range out {
		if strings.EqualFold(name, c.Spec.DomainName) {
			out = append([]string{name}, append(append([]string(nil), out[:i]...), out[i+1:]...)...)
			break
		}
	}
	return out
}

func algorithmOf(c *v1alpha1.Certificate) types.KeyAlgorithm {
	switch {
	case c.Status.KeyAlgorithm != "":
		return types.KeyAlgorithm(c.Status.KeyAlgorithm)
	case c.Spec.AuthorityRef == nil:
		return ""
	case c.Spec.KeyAlgorithm != "":
		return types.KeyAlgorithm(c.Spec.KeyAlgorithm)
	}
	return types.KeyAlgorithmRsa2048
}

// shownAlgorithm is how ACM answers a key algorithm: with a dash where requests have an underscore.
func shownAlgorithm(a types.KeyAlgorithm) types.KeyAlgorithm {
	return types.KeyAlgorithm(strings.ReplaceAll(string(a), "_", "-"))
}

func originOf(c *v1alpha1.Certificate) types.CertificateKeyPairOrigin {
	if typeOf(c) == types.CertificateTypePrivate {
		return types.CertificateKeyPairOriginAwsManaged
	}
	return types.CertificateKeyPairOriginCustomerProvided
}

func exportOption(c *v1alpha1.Certificate) types.CertificateExport {
	if typeOf(c) == types.CertificateTypePrivate {
		return types.CertificateExportEnabled
	}
	return types.CertificateExportDisabled
}

func eligibility(c *v1alpha1.Certificate) types.RenewalEligibility {
	if typeOf(c) == types.CertificateTypePrivate && len(c.Status.Versions) > 0 && !c.Spec.Suspend {
		return types.RenewalEligibilityEligible
	}
	return types.RenewalEligibilityIneligible
}

// inUseBy is the core Secret that shows the certificate to workloads.
func inUseBy(c *v1alpha1.Certificate) []string {
	if name := c.TargetName(); name != "" {
		return []string{"secret/" + c.Namespace + "/" + name}
	}
	return []string{}
}

// authorityARN is the authority that issued a certificate, or that is to.
func (a *api) authorityARN(ctx context.Context, c *v1alpha1.Certificate) *string {
	switch {
	case c.Status.AuthorityARN != "":
		return &c.Status.AuthorityARN
	case c.Spec.AuthorityRef == nil:
		return nil
	}
	ca, err := a.Authorities.ByName(ctx, c.Namespace, c.Spec.AuthorityRef.Name)
	if err != nil || ca.Status.ARN == "" {
		return nil
	}
	return &ca.Status.ARN
}

// obtained is when the certificate in force was issued, or imported.
func obtained(c *v1alpha1.Certificate) (issued, imported *time.Time) {
	if len(c.Status.Versions) == 0 {
		return nil, nil
	}
	at := c.Status.Versions[len(c.Status.Versions)-1].CreatedTime.UTC()
	if typeOf(c) == types.CertificateTypePrivate {
		return &at, nil
	}
	return nil, &at
}

// renewalOf is what is known of renewals; nil before the first one, as in AWS.
func renewalOf(c *v1alpha1.Certificate) *types.RenewalSummary {
	if typeOf(c) != types.CertificateTypePrivate {
		return nil
	}
	last := c.Status.Versions[len(c.Status.Versions)-1]
	out := &types.RenewalSummary{DomainValidationOptions: []types.DomainValidation{}, UpdatedAt: ptr.To(last.CreatedTime.UTC())}
	switch asked := c.Annotations[v1alpha1.RotateAnnotation]; {
	case asked != "" && asked != c.Status.LastHandledRotateAt:
		out.RenewalStatus = types.RenewalStatusPendingAutoRenewal
	case last.Sequence > 1:
		out.RenewalStatus = types.RenewalStatusSuccess
	default:
		return nil
	}
	return out
}

func moment(t *metav1.Time) *time.Time {
	if t == nil {
		return nil
	}
	return ptr.To(t.UTC())
}

// colons writes a serial number as ACM does: with a colon between bytes.
func colons(serial string) string {
	var out strings.Builder
	for i := 0; i < len(serial); i += 2 {
		if i > 0 {
			out.WriteByte(':')
		}
		out.WriteString(serial[i:min(i+2, len(serial))])
	}
	return out.String()
}

// signatureAlgorithm is ACM's name of one.
func signatureAlgorithm(a x509.SignatureAlgorithm) string {
	switch a {
	case x509.SHA256WithRSA:
		return "SHA256WITHRSA"
	case x509.SHA384WithRSA:
		return "SHA384WITHRSA"
	case x509.SHA512WithRSA:
		return "SHA512WITHRSA"
	case x509.ECDSAWithSHA256:
		return "SHA256WITHECDSA"
	case x509.ECDSAWithSHA384:
		return "SHA384WITHECDSA"
	case x509.ECDSAWithSHA512:
		return "SHA512WITHECDSA"
	}
	return strings.ToUpper(a.String())
}
