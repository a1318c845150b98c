package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
)

// rsaExponent is the public exponent of every RSA key of AWS KMS.
// https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html#key-spec-rsa
const rsaExponent = 65537

var (
	// ErrInvalidPublicKey says that bytes are not a public key of the spec that they should be.
	ErrInvalidPublicKey = errors.New("this is not a public key of that spec")
	// ErrInvalidSignature is the one error of a signature that is not the key's for that digest. It is AWS KMS's
	// KMSInvalidSignatureException.
	// https://docs.aws.amazon.com/kms/latest/APIReference/API_Verify.html#API_Verify_Errors
	ErrInvalidSignature = errors.New("the signature is not valid for this message, key and algorithm")
)

// PublicKey is the public half of an asymmetric key. It is safe for concurrent use.
type PublicKey struct {
	spec Spec
	key  crypto.PublicKey // *rsa.PublicKey or *ecdsa.PublicKey
	der  []byte
}

// ParsePublicKey reads a SubjectPublicKeyInfo (RFC 5280, 4.1.2.7) in DER, which must hold a key of that spec. It fails with
// ErrInvalidPublicKey.
func ParsePublicKey(s Spec, der []byte) (*PublicKey, error) {
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidPublicKey, err)
	}
	return NewPublicKey(s, key)
}

// NewPublicKey is a public key of Go's types, which must be of that spec. It fails with ErrInvalidPublicKey.
func NewPublicKey(s Spec, key crypto.PublicKey) (*PublicKey, error) {
	if !s.fits(key) {
		return nil, fmt.Errorf("%w: it is a %T, and should be %.40q", ErrInvalidPublicKey, key, string(s))
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidPublicKey, err)
	}
	return &PublicKey{spec: s, key: key, der: der}, nil
}

// fits tells whether a public key is of this spec.
func (s Spec) fits(key crypto.PublicKey) bool {
	switch key := key.(type) {
	case *rsa.PublicKey:
		bits := specifications[s].bits
		return bits != 0 && key.N.BitLen() == bits && key.E == rsaExponent
	case *ecdsa.PublicKey:
		return curves[s] != nil && key.Curve == curves[s]
	}
	return false
}

// Spec of the key.
func (k *PublicKey) Spec() Spec { return k.spec }

// DER is the SubjectPublicKeyInfo that GetPublicKey answers.
func (k *PublicKey) DER() []byte { return slices.Clone(k.der) }

// Key is the key as Go's *rsa.PublicKey or *ecdsa.PublicKey. It is shared: read it only.
func (k *PublicKey) Key() crypto.PublicKey { return k.key }

// Verify fails with ErrInvalidSignature unless the signature is the key's, for a digest of the algorithm's length; with
// ErrAlgorithm and ErrDigestLength if it cannot be.
func (k *PublicKey) Verify(a SigningAlgorithm, digest, signature []byte) error {
	if err := k.spec.CheckAlgorithm(a); err != nil {
		return err
	}
	digest, err := Message{digest, true}.Digest(a)
	if err != nil {
		return err
	}
	valid := false
	switch s := schemes[a]; key := k.key.(type) {
	case *rsa.PublicKey:
		if s.pss {
			valid = rsa.VerifyPSS(key, s.hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		} else {
			valid = rsa.VerifyPKCS1v15(key, s.hash, digest, signature) == nil
		}
	case *ecdsa.PublicKey:
		valid = ecdsa.VerifyASN1(key, digest, signature)
	}
	if !valid {
		return ErrInvalidSignature
	}
	return nil
}
