package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
)

// KeyAlgorithm is a type of key by its name in AWS Certificate Manager.
// https://docs.aws.amazon.com/acm/latest/APIReference/API_RequestCertificate.html#ACM-RequestCertificate-request-KeyAlgorithm
type KeyAlgorithm string

// The key algorithms. AWS's RSA_1024 is not one: it is too weak.
const (
	RSA2048      KeyAlgorithm = "RSA_2048"
	RSA3072      KeyAlgorithm = "RSA_3072"
	RSA4096      KeyAlgorithm = "RSA_4096"
	ECPrime256v1 KeyAlgorithm = "EC_prime256v1"
	ECSecp384r1  KeyAlgorithm = "EC_secp384r1"
	ECSecp521r1  KeyAlgorithm = "EC_secp521r1"
)

// KeyAlgorithms lists all of them.
func KeyAlgorithms() []KeyAlgorithm {
	return []KeyAlgorithm{RSA2048, RSA3072, RSA4096, ECPrime256v1, ECSecp384r1, ECSecp521r1}
}

// minimumExponent of an RSA key.
// https://nvlpubs.nist.gov/nistpubs/FIPS/NIST.FIPS.186-5.pdf section 5.4
const minimumExponent = 65537

// minimumModulus of an RSA key in bits.
const minimumModulus = 2048

// RSA tells that keys of this type are RSA's.
func (a KeyAlgorithm) RSA() bool { return a == RSA2048 || a == RSA3072 || a == RSA4096 }

// GenerateKey makes a key with crypto/rand. It wraps ErrUnsupported.
func GenerateKey(a KeyAlgorithm) (crypto.Signer, error) {
	switch a {
	case RSA2048:
		return rsa.GenerateKey(rand.Reader, 2048)
	case RSA3072:
		return rsa.GenerateKey(rand.Reader, 3072)
	case RSA4096:
		return rsa.GenerateKey(rand.Reader, 4096)
	case ECPrime256v1:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case ECSecp384r1:
		return ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case ECSecp521r1:
		return ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	}
	return nil, fmt.Errorf("%w: %q is no key algorithm; there are %v", ErrUnsupported, string(a), KeyAlgorithms())
}

// AlgorithmOf names the type of a public key. It wraps ErrWeak for an RSA key under 2048 bits or with an exponent under 65537, and
// ErrUnsupported for any type that is none of KeyAlgorithms.
func AlgorithmOf(public crypto.PublicKey) (KeyAlgorithm, error) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		return algorithmOfRSA(k)
	case *ecdsa.PublicKey:
		switch k.Curve {
		case elliptic.P256():
			return ECPrime256v1, nil
		case elliptic.P384():
			return ECSecp384r1, nil
		case elliptic.P521():
			return ECSecp521r1, nil
		case elliptic.P224():
			return "", fmt.Errorf("%w: an elliptic curve of 224 bits; use P-256, P-384 or P-521", ErrWeak)
		}
	}
	return "", fmt.Errorf("%w: a key of type %T; use RSA of 2048, 3072 or 4096 bits, or ECDSA on P-256, P-384 or P-521", ErrUnsupported, public)
}

func algorithmOfRSA(k *rsa.PublicKey) (KeyAlgorithm, error) {
	bits := k.N.BitLen()
	switch {
	case bits < minimumModulus:
		return "", fmt.Errorf("%w: an RSA key of %d bits; it must have at least %d", ErrWeak, bits, minimumModulus)
	case k.E < minimumExponent || k.E%2 == 0:
		return "", fmt.Errorf("%w: an RSA key with the public exponent %d; it must be odd and at least %d", ErrWeak, k.E, minimumExponent)
	}
	switch bits {
	case 2048:
		return RSA2048, nil
	case 3072:
		return RSA3072, nil
	case 4096:
		return RSA4096, nil
	}
	return "", fmt.Errorf("%w: an RSA key of %d bits; use 2048, 3072 or 4096", ErrUnsupported, bits)
}

// SignatureAlgorithmOf is what a key of a type signs with where nothing else is asked for: ECDSA with the hash of the curve's size,
// RSASSA-PKCS1-v1_5 with SHA-256.
func SignatureAlgorithmOf(a KeyAlgorithm) x509.SignatureAlgorithm {
	switch a {
	case ECPrime256v1:
		return x509.ECDSAWithSHA256
	case ECSecp384r1:
		return x509.ECDSAWithSHA384
	case ECSecp521r1:
		return x509.ECDSAWithSHA512
	}
	return x509.SHA256WithRSA
}

// checkSignature refuses signatures by a hash that collisions are known of.
func checkSignature(a x509.SignatureAlgorithm) error {
	switch a {
	case x509.SHA256WithRSA, x509.SHA384WithRSA, x509.SHA512WithRSA, x509.SHA256WithRSAPSS, x509.SHA384WithRSAPSS, x509.SHA512WithRSAPSS,
		x509.ECDSAWithSHA256, x509.ECDSAWithSHA384, x509.ECDSAWithSHA512:
		return nil
	}
	return fmt.Errorf("%w: it is signed with %s; use SHA-256 or longer", ErrWeak, a)
}
