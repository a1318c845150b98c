package pki

// The limits of what is read, in bytes. Those of single certificates, keys and requests are AWS's.
// https://docs.aws.amazon.com/acm/latest/APIReference/API_ImportCertificate.html
const (
	// MaximumCertificate is the length of one certificate in DER.
	MaximumCertificate = 32768
	// MaximumKey is the length of a private key in PEM: RSA of 4096 bits takes 3,272.
	MaximumKey = 5120
	// MaximumRequest is the length of a certificate request, in PEM or DER.
	// https://docs.aws.amazon.com/privateca/latest/APIReference/API_IssueCertificate.html
	MaximumRequest = 32768
	// MaximumChain is the number of certificates in a chain. AWS allows a longer text than fits into an Envelope; verifiers give up
	// at ten.
	MaximumChain = 10
	// MaximumPEM is the length of a chain in PEM.
	MaximumPEM = 160 << 10
	// MaximumNames is the number of names in one certificate.
	// https://docs.aws.amazon.com/acm/latest/userguide/acm-limits.html
	MaximumNames = 100
	// MaximumCommonName is the length of a common name (RFC 5280, ub-common-name).
	MaximumCommonName = 64
)
