package acm

import (
	"crypto/x509"

	"github.com/aws/aws-sdk-go-v2/service/acm/types"
)

// keyUsages are ACM's names of what a key is for (RFC 5280, section 4.2.1.3).
func keyUsages(usage x509.KeyUsage) (out []types.KeyUsageName) {
	for _, known := range []struct {
		usage x509.KeyUsage
		name  types.KeyUsageName
	}{
		{x509.KeyUsageDigitalSignature, types.KeyUsageNameDigitalSignature},
		{x509.KeyUsageContentCommitment, types.KeyUsageNameNonRepudation},
		{x509.KeyUsageKeyEncipherment, types.KeyUsageNameKeyEncipherment},
		{x509.KeyUsageDataEncipherment, types.KeyUsageNameDataEncipherment},
		{x509.KeyUsageKeyAgreement, types.KeyUsageNameKeyAgreement},
		{x509.KeyUsageCertSign, types.KeyUsageNameCertificateSigning},
		{x509.KeyUsageCRLSign, types.KeyUsageNameCrlSigning},
		{x509.KeyUsageEncipherOnly, types.KeyUsageNameEnchiperOnly},
		{x509.KeyUsageDecipherOnly, types.KeyUsageNameDecipherOnly},
	} {
		if usage&known.usage != 0 {
			out = append(out, known.name)
		}
	}
	return out
}

type extendedKeyUsage struct {
	name types.ExtendedKeyUsageName
	oid  string
}

// extendedKeyUsages are ACM's names of what a certificate is for (RFC 5280, section 4.2.1.12), with their object identifiers.
func extendedKeyUsages(c *x509.Certificate) (out []extendedKeyUsage) {
	known := map[x509.ExtKeyUsage]extendedKeyUsage{
		x509.ExtKeyUsageAny:             {types.ExtendedKeyUsageNameAny, "2.5.29.37.0"},
		x509.ExtKeyUsageServerAuth:      {types.ExtendedKeyUsageNameTlsWebServerAuthentication, "1.3.6.1.5.5.7.3.1"},
		x509.ExtKeyUsageClientAuth:      {types.ExtendedKeyUsageNameTlsWebClientAuthentication, "1.3.6.1.5.5.7.3.2"},
		x509.ExtKeyUsageCodeSigning:     {types.ExtendedKeyUsageNameCodeSigning, "1.3.6.1.5.5.7.3.3"},
		x509.ExtKeyUsageEmailProtection: {types.ExtendedKeyUsageNameEmailProtection, "1.3.6.1.5.5.7.3.4"},
		x509.ExtKeyUsageIPSECEndSystem:  {types.ExtendedKeyUsageNameIpsecEndSystem, "1.3.6.1.5.5.7.3.5"},
		x509.ExtKeyUsageIPSECTunnel:     {types.ExtendedKeyUsageNameIpsecTunnel, "1.3.6.1.5.5.7.3.6"},
		x509.ExtKeyUsageIPSECUser:       {types.ExtendedKeyUsageNameIpsecUser, "1.3.6.1.5.5.7.3.7"},
		x509.ExtKeyUsageTimeStamping:    {types.ExtendedKeyUsageNameTimeStamping, "1.3.6.1.5.5.7.3.8"},
		x509.ExtKeyUsageOCSPSigning:     {types.ExtendedKeyUsageNameOcspSigning, "1.3.6.1.5.5.7.3.9"},
	}
	for _, usage := range c.ExtKeyUsage {
		if one, ok := known[usage]; ok {
			out = append(out, one)
		}
	}
	for _, oid := range c.UnknownExtKeyUsage {
		out = append(out, extendedKeyUsage{types.ExtendedKeyUsageNameCustom, oid.String()})
	}
	return out
}
