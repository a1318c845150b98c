package acm

import (
	"context"
	"slices"

	sdk "github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/acm/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/gateway"
	gatewaypca "strongroom.dev/strongroom/internal/gateway/acmpca"
	"strongroom.dev/strongroom/internal/gateway/tags"
	"strongroom.dev/strongroom/internal/service/acm"
)

// every is the ARN that policies are asked about for a certificate that is to be made, as AWS asks about it.
// https://docs.aws.amazon.com/acm/latest/userguide/security_iam_troubleshoot.html
func every(call *gateway.Call) string { return arn.Certificate(call.Region, call.Account(), "*") }

// resolveRequest refuses what no permission could make possible before it asks for one.
func (a *api) resolveRequest(_ context.Context, call *gateway.Call, in *sdk.RequestCertificateInput) (gateway.Resource[struct{}], error) {
	out := gateway.Resource[struct{}]{ARN: every(call), Context: &conditionKeys{
		Keys: tags.Keys{Request: tagsOf(in.Tags), Resource: tagsOf(in.Tags)}, names: requestedNames(in), request: in,
	}}
	options := deref(in.Options)
	switch authority := deref(in.CertificateAuthorityArn); {
	case authority == "":
		return out, invalidParameter("CertificateAuthorityArn is required: certificates are issued by private certificate authorities alone, " +
			"and no public domain is validated here.")
	case arn.ValidateAccount(arn.Account(authority)) != nil || !arn.IsCertificateAuthority(authority, arn.Region(authority), arn.Account(authority)):
		return out, invalidARN("Invalid certificate authority ARN: " + authority)
	case in.ValidationMethod != "" || options.ValidationMethod != "" || len(in.DomainValidationOptions) > 0:
		return out, invalidParameter("ValidationMethod and DomainValidationOptions are of public certificates: a private authority validates no domain.")
	case in.ManagedBy != "":
		return out, invalidParameter("ManagedBy is not supported: no service of AWS manages certificates here.")
	case options.Export == types.CertificateExportDisabled:
		return out, invalidParameter("A private certificate can be exported: deny acm:ExportCertificate to keep callers from it.")
	case !slices.Contains(pki.KeyAlgorithms(), pki.KeyAlgorithm(keyAlgorithm(in))):
		return out, invalidParameter("The key algorithm " + string(in.KeyAlgorithm) + " is too weak and not supported.")
	}
	return out, nil
}

// requestCertificate makes the certificate for callers that the authority issues for, too. AWS asks whoever may request a certificate of an
// authority; here it is asked for as acm-pca:IssueCertificate, which without ACM would be needed as well.
func (a *api) requestCertificate(ctx context.Context, call *gateway.Call, in *sdk.RequestCertificateInput, _ struct{}) (*sdk.RequestCertificateOutput, error) {
	if err := mayTag(call, every(call), in.Tags); err != nil {
		return nil, err
	}
	authority := *in.CertificateAuthorityArn
	ca, err := gatewaypca.Permitted(ctx, call, a.Authorities, authority)
	if err != nil {
		return nil, err
	}
	if ca == nil {
		return nil, invalidARN("Could not find the certificate authority " + authority + ".")
	}
	c, err := a.Certificates.Request(ctx, acm.RequestInput{
		Namespace: call.Namespace(), Region: call.Region, Token: deref(in.IdempotencyToken), DomainName: *in.DomainName,
		SubjectAlternativeNames: in.SubjectAlternativeNames, KeyAlgorithm: v1alpha1.CertificateKeyAlgorithm(keyAlgorithm(in)),
		Authority: ca.Name, Tags: tagsOf(in.Tags),
	})
	if err != nil {
		return nil, answer("", err)
	}
	return &sdk.RequestCertificateOutput{CertificateArn: ptr.To(a.Certificates.ARNOf(c, call.Account()))}, nil
}

func (a *api) renewCertificate(ctx context.Context, call *gateway.Call, _ *sdk.RenewCertificateInput, t target) (*sdk.RenewCertificateOutput, error) {
	switch {
	case typeOf(t.Certificate) != types.CertificateTypePrivate:
		return nil, validation("The certificate " + t.arn + " was imported: it cannot be renewed here. Import its successor under the same ARN.")
	case len(t.Status.Versions) == 0:
		return nil, inProgress(t.arn)
	case t.Spec.Suspend:
		return nil, validation("The certificate " + t.arn + " is suspended (spec.suspend), and not renewed.")
	}
	return &sdk.RenewCertificateOutput{}, answer(t.arn, a.Certificates.Renew(ctx, t.Certificate, call.RequestID))
}

// deleteCertificate deletes what no workload is shown: AWS does not delete a certificate in use.
func (a *api) deleteCertificate(ctx context.Context, _ *gateway.Call, _ *sdk.DeleteCertificateInput, t target) (*sdk.DeleteCertificateOutput, error) {
	err := a.Certificates.Delete(ctx, t.Certificate, func(c *v1alpha1.Certificate) error {
		if name := c.TargetName(); name != "" {
			return &types.ResourceInUseException{Message: ptr.To("The certificate " + t.arn + " is in use: the core Secret " + name +
				" shows it to workloads. Take spec.target out of the Certificate " + c.Name + " first.")}
		}
		return nil
	})
	return &sdk.DeleteCertificateOutput{}, answer(t.arn, err)
}
