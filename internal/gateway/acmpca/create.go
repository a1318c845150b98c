package acmpca

import (
	"context"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/acmpca"
	"github.com/aws/aws-sdk-go-v2/service/acmpca/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/tags"
	"strongroom.dev/strongroom/internal/service/acmpca"
)

// resolveCreate refuses what no permission could make possible before it asks for one.
func (a *api) resolveCreate(_ context.Context, _ *gateway.Call, in *sdk.CreateCertificateAuthorityInput) (gateway.Resource[struct{}], error) {
	asked := tagsOf(in.Tags)
	out := gateway.Resource[struct{}]{ARN: "*", Context: &conditionKeys{Keys: tags.Keys{Request: asked}}}
	c := in.CertificateAuthorityConfiguration
	switch {
	case in.CertificateAuthorityType != types.CertificateAuthorityTypeRoot:
		return out, invalidArgs("Only root authorities are made through this API: make a subordinate one as an object of kind CertificateAuthority, " +
			"which names the authority above it (spec.authorityRef).")
	case in.UsageMode != "" && in.UsageMode != types.CertificateAuthorityUsageModeGeneralPurpose:
		return out, invalidArgs("UsageMode SHORT_LIVED_CERTIFICATE is not supported.")
	case in.KeyStorageSecurityStandard != "":
		return out, invalidArgs("KeyStorageSecurityStandard is not supported: the key is a KMSKey of this account, and where that is kept is said there.")
	case c.CsrExtensions != nil:
		return out, invalidArgs("CsrExtensions are not supported.")
	}
	if err := checkAlgorithms(c.KeyAlgorithm, c.SigningAlgorithm); err != nil {
		return out, err
	}
	if err := checkSubject(c.Subject); err != nil {
		return out, err
	}
	return out, checkRevocation(in.RevocationConfiguration)
}

// checkAlgorithms says whether a key of one algorithm can sign with the other.
func checkAlgorithms(key types.KeyAlgorithm, signing types.SigningAlgorithm) error {
	family := "RSA"
	switch pki.KeyAlgorithm(key) {
	case pki.RSA2048, pki.RSA3072, pki.RSA4096:
	case pki.ECPrime256v1, pki.ECSecp384r1, pki.ECSecp521r1:
		family = "ECDSA"
	default:
		return invalidArgs("The key algorithm " + string(key) + " is not supported.")
	}
	if _, known := signatureAlgorithms[signing]; !known {
		return invalidArgs("The signing algorithm " + string(signing) + " is not supported.")
	}
	if strings.Contains(string(signing), "ECDSA") != (family == "ECDSA") {
		return invalidArgs("The signing algorithm " + string(signing) + " does not match the algorithm family of the CA key, " + family + ".")
	}
	if usual := usualSigning(pki.KeyAlgorithm(key)); family == "ECDSA" && signing != usual { // as AWS KMS signs, which has the key
		return invalidArgs("The signing algorithm " + string(signing) + " is not that of the CA key " + string(key) + ", which signs by " + string(usual) + " alone.")
	}
	return nil
}

// checkSubject says whether an authority can have a name.
func checkSubject(s *types.ASN1Subject) error {
	if len(s.CustomAttributes) > 0 || deref(s.DistinguishedNameQualifier)+deref(s.GenerationQualifier)+deref(s.GivenName)+deref(s.Initials)+
		deref(s.Pseudonym)+deref(s.SerialNumber)+deref(s.Surname)+deref(s.Title) != "" {
		return invalidArgs("A subject has CommonName, Organization, OrganizationalUnit, Country, State and Locality; other parts are not supported.")
	}
	if deref(s.CommonName) == "" {
		return invalidArgs("The subject of a certificate authority needs a CommonName.")
	}
	return nil
}

// checkRevocation says whether revocation lists can be made so. They are shown in a ConfigMap, not in a bucket.
func checkRevocation(r *types.RevocationConfiguration) error {
	if r == nil {
		return nil
	}
	if o := r.OcspConfiguration; o != nil && deref(o.Enabled) {
		return invalidArgs("OCSP is not supported: use the revocation list.")
	}
	c := r.CrlConfiguration
	if c != nil && (c.S3BucketName != nil || c.CustomCname != nil || c.CustomPath != nil || c.S3ObjectAcl != "" || c.CrlType == types.CrlTypePartitioned ||
		c.CrlDistributionPointExtensionConfiguration != nil) {
		return invalidArgs("A revocation list is written to the ConfigMap that spec.target of the CertificateAuthority names: of CrlConfiguration only " +
			"Enabled and ExpirationInDays are supported.")
	}
	return nil
}

func (a *api) createCertificateAuthority(ctx context.Context, call *gateway.Call, in *sdk.CreateCertificateAuthorityInput, _ struct{}) (
	*sdk.CreateCertificateAuthorityOutput, error,
) {
	asked := tagsOf(in.Tags)
	if err := tags.Check(asked); err != nil {
		return nil, answer("", err)
	}
	if len(asked) > 0 {
		err := call.Authorize(gateway.Question{
			Action: SigningName + ":TagCertificateAuthority", Resource: "*", Context: &conditionKeys{Keys: tags.Keys{Request: asked}},
		})
		if err != nil {
			return nil, err
		}
	}
	s := in.CertificateAuthorityConfiguration.Subject
	input := acmpca.CreateInput{
		Namespace: call.Namespace(), Region: call.Region, Token: deref(in.IdempotencyToken), Tags: asked,
		KeyAlgorithm: v1alpha1.CertificateKeyAlgorithm(in.CertificateAuthorityConfiguration.KeyAlgorithm),
		Subject: v1alpha1.CertificateSubject{
			CommonName: deref(s.CommonName), Organization: deref(s.Organization), OrganizationalUnit: deref(s.OrganizationalUnit),
			Country: strings.ToUpper(deref(s.Country)), State: deref(s.State), Locality: deref(s.Locality),
		},
	}
	if r := in.RevocationConfiguration; r != nil && r.CrlConfiguration != nil {
		input.ExpirationInDays = deref(r.CrlConfiguration.ExpirationInDays)
	}
	ca, err := a.Authorities.Create(ctx, input)
	if err != nil {
		return nil, answer("", err)
	}
	return &sdk.CreateCertificateAuthorityOutput{CertificateAuthorityArn: ptr.To(a.Authorities.ARNOf(ca, call.Account()))}, nil
}
