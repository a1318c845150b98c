package acm

import (
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/acm"
	"github.com/aws/aws-sdk-go-v2/service/acm/types"

	"strongroom.dev/strongroom/internal/gateway/tags"
)

// conditionKeys is the condition keys of one request.
// https://docs.aws.amazon.com/acm/latest/userguide/acm-conditions.html
type conditionKeys struct {
	tags.Keys
	// names are acm:DomainNames, in lower case; nil for none.
	names []string
	// request of RequestCertificate.
	request *sdk.RequestCertificateInput
}

// Values implements iam.Context.
func (k *conditionKeys) Values(key string) ([]string, bool) {
	own, ok := strings.CutPrefix(key, "acm:")
	switch {
	case !ok:
		return k.Keys.Values(key)
	case own == "domainnames":
		return k.names, k.names != nil
	case k.request == nil:
		return nil, false
	}
	options := deref(k.request.Options)
	value := ""
	switch own {
	case "certificateauthority":
		value = deref(k.request.CertificateAuthorityArn)
	case "keyalgorithm":
		value = string(keyAlgorithm(k.request))
	case "validationmethod":
		value = string(k.request.ValidationMethod)
	case "certificatetransparencylogging":
		value = string(options.CertificateTransparencyLoggingPreference) //nolint:staticcheck // policies may still ask for it
	case "export":
		value = string(options.Export)
	}
	return []string{value}, value != ""
}

// requestedNames are all names that a request asks for.
func requestedNames(in *sdk.RequestCertificateInput) []string {
	out := []string{strings.ToLower(deref(in.DomainName))}
	for _, name := range in.SubjectAlternativeNames {
		out = append(out, strings.ToLower(name))
	}
	return out
}

// keyAlgorithm is what a request asks for: RSA of 2,048 bits if it says nothing.
func keyAlgorithm(in *sdk.RequestCertificateInput) types.KeyAlgorithm {
	if in.KeyAlgorithm == "" {
		return types.KeyAlgorithmRsa2048
	}
	return in.KeyAlgorithm
}
