package acm

import (
	"context"
	"crypto/x509"

	sdk "github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/acm/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/tags"
	"strongroom.dev/strongroom/internal/service/acm"
)

// resolveImport is about the certificate that is replaced, or about one that is to be made.
func (a *api) resolveImport(ctx context.Context, call *gateway.Call, in *sdk.ImportCertificateInput) (gateway.Resource[target], error) {
	if in.CertificateArn != nil {
		return a.find(ctx, call, in.CertificateArn, in.Tags)
	}
	asked := tagsOf(in.Tags)
	return gateway.Resource[target]{ARN: every(call), Context: &conditionKeys{Keys: tags.Keys{Request: asked, Resource: asked}}}, nil
}

// importCertificate wipes the key's bytes that it makes; the server wipes those of the input.
func (a *api) importCertificate(ctx context.Context, call *gateway.Call, in *sdk.ImportCertificateInput, t target) (*sdk.ImportCertificateOutput, error) {
	if t.Certificate != nil {
		if err := replaceable(t, in); err != nil {
			return nil, err
		}
	}
	if err := mayTag(call, every(call), in.Tags); err != nil {
		return nil, err
	}
	if body, err := pki.ParseCertificates(in.Certificate); err == nil && len(body) > 1 {
		return nil, validation("The certificate field contains more than one certificate. You can specify only one certificate in this field: " +
			"put those above it into CertificateChain.")
	}
	bundle, err := acm.ParseImport(in.Certificate, in.PrivateKey, in.CertificateChain, a.Certificates.Now())
	if err != nil {
		return nil, answer(t.arn, err)
	}
	defer bundle.Key.Wipe()
	if t.Certificate == nil {
		c, err := a.Certificates.ImportNew(ctx, call.Namespace(), call.Account(), call.Region, tagsOf(in.Tags), bundle)
		if err != nil {
			return nil, answer("", err)
		}
		return &sdk.ImportCertificateOutput{CertificateArn: ptr.To(a.Certificates.ARNOf(c, call.Account()))}, nil
	}
	if algorithm, _ := pki.AlgorithmOf(bundle.Chain[0].PublicKey); t.Status.KeyAlgorithm != "" && string(algorithm) != string(t.Status.KeyAlgorithm) {
		return nil, validation("The key of a certificate that is imported again must be of the same type and size: " + string(t.Status.KeyAlgorithm) + ".")
	}
	_, err = a.Certificates.Import(ctx, t.Certificate, call.Account(), bundle)
	return &sdk.ImportCertificateOutput{CertificateArn: &t.arn}, answer(t.arn, err)
}

// replaceable says whether a certificate can be imported again.
// https://docs.aws.amazon.com/acm/latest/userguide/import-reimport.html
func replaceable(t target, in *sdk.ImportCertificateInput) error {
	switch {
	case typeOf(t.Certificate) != types.CertificateTypeImported:
		return validation("The certificate " + t.arn + " is issued by an authority, and was not imported: omit CertificateArn to import another one.")
	case t.Spec.ImportFrom != nil:
		return validation("The certificate " + t.arn + " is imported from the core Secret " + t.Spec.ImportFrom.SecretRef.Name + ": change it there.")
	case len(in.Tags) > 0:
		return invalidParameter("Tags cannot be given when a certificate is imported again: use AddTagsToCertificate.")
	}
	return nil
}

// exportCertificate takes over the passphrase, whose bytes the server wipes.
func (a *api) exportCertificate(ctx context.Context, _ *gateway.Call, in *sdk.ExportCertificateInput, t target) (*sdk.ExportCertificateOutput, error) {
	if typeOf(t.Certificate) != types.CertificateTypePrivate {
		return nil, validation("The certificate " + t.arn + " was imported: only certificates that were issued here can be exported.")
	}
	exported, err := a.Certificates.Export(ctx, t.Certificate, secretbytes.Own(in.Passphrase))
	if err != nil {
		return nil, a.unreadable(t, err)
	}
	out := &sdk.ExportCertificateOutput{PrivateKey: ptr.To(string(exported.EncryptedKey))}
	out.Certificate, out.CertificateChain = chainOf(exported.Chain)
	return out, nil
}

func (a *api) getCertificate(ctx context.Context, _ *gateway.Call, _ *sdk.GetCertificateInput, t target) (*sdk.GetCertificateOutput, error) {
	chain, err := a.Certificates.Chain(ctx, t.Certificate)
	if err != nil {
		return nil, a.unreadable(t, err)
	}
	out := &sdk.GetCertificateOutput{}
	out.Certificate, out.CertificateChain = chainOf(chain)
	return out, nil
}

// unreadable is the answer about a certificate that cannot be had: it is on its way, or will not come.
func (a *api) unreadable(t target, err error) error {
	if reason := failureReason(t.Certificate); len(t.Status.Versions) == 0 && reason != "" {
		return validation("The certificate " + t.arn + " could not be issued: " + string(reason) + ".")
	}
	return answer(t.arn, err)
}

// chainOf is a certificate and those above it; nil for none.
func chainOf(chain []*x509.Certificate) (certificate, above *string) {
	if len(chain) > 1 {
		above = ptr.To(string(pki.CertificatesPEM(chain[1:])))
	}
	return ptr.To(string(pki.CertificatesPEM(chain[:1]))), above
}

// typeOf is where a certificate comes from, of one that is not there yet where it will come from.
func typeOf(c *v1alpha1.Certificate) types.CertificateType {
	if c.Spec.AuthorityRef != nil {
		return types.CertificateTypePrivate
	}
	return types.CertificateTypeImported
}
