package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"strongroom.dev/strongroom/internal/core/mldsamu"
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
	key  crypto.PublicKey // *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey, *mldsa.PublicKey, *secp256k1.PublicKey or an encapsulationKey
	der  []byte
}

// ParsePublicKey reads a SubjectPublicKeyInfo (RFC 5280, 4.1.2.7) in DER, which must hold a key of that spec. It fails with
// ErrInvalidPublicKey.
func ParsePublicKey(s Spec, der []byte) (*PublicKey, error) {
	if s == SECGP256K1 {
		return parsePublicP256K1(der)
	}
	if k := kems[s]; k != nil {
		return k.parsePublic(s, der)
	}
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
	case ed25519.PublicKey:
		return s == EDWARDS25519
	case *mldsa.PublicKey:
		return parameters[s] != mldsa.Parameters{} && key.Parameters() == parameters[s]
	}
	return false
}

// written fails with ErrInvalidPublicKey unless DER is written as this key's is: encoding/asn1 takes elements that nobody asked for.
func (k *PublicKey) written(der []byte) error {
	if !bytes.Equal(der, k.der) {
		return fmt.Errorf("%w: it is not in DER, or has more in it than a key", ErrInvalidPublicKey)
	}
	return nil
}

// Spec of the key.
func (k *PublicKey) Spec() Spec { return k.spec }

// DER is the SubjectPublicKeyInfo that GetPublicKey answers.
func (k *PublicKey) DER() []byte { return slices.Clone(k.der) }

// Key is the key as Go's *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey or *mldsa.PublicKey, or as *secp256k1.PublicKey, which Go's own packages
// do not know, or as crypto/mlkem's *EncapsulationKey768 or *EncapsulationKey1024. It is shared: read it only.
func (k *PublicKey) Key() crypto.PublicKey { return k.key }

// Verify fails with ErrInvalidSignature unless the signature is the key's, for a message or what its type says of it; with ErrAlgorithm and
// ErrNotApproved, and as Message.Check does, if it cannot be.
func (k *PublicKey) Verify(a SigningAlgorithm, m Message, signature []byte) error {
	if err := k.spec.CheckAlgorithm(a); err != nil {
		return err
	}
	if err := k.spec.CheckApproved(); err != nil {
		return err
	}
	digest, err := m.Digest(a)
	if err != nil {
		return err
	}
	if m.Type == ExternalMu {
		if err := approvedMu(); err != nil {
			return err
		}
	}
	if !k.valid(schemes[a], m.Type, digest, signature) {
		return ErrInvalidSignature
	}
	return nil
}

func (k *PublicKey) valid(s scheme, t MessageType, digest, signature []byte) bool {
	switch key := k.key.(type) {
	case *rsa.PublicKey:
		if s.pss {
			return rsa.VerifyPSS(key, s.hash, digest, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(key, s.hash, digest, signature) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, digest, signature)
	case ed25519.PublicKey:
		return ed25519.VerifyWithOptions(key, digest, signature, &ed25519.Options{Hash: s.hash}) == nil
	case *secp256k1.PublicKey:
		return verifyP256K1(key, digest, signature)
	case *mldsa.PublicKey:
		if t == ExternalMu { // crypto/mldsa signs a μ, and verifies none
			return mldsamu.Verify(key, digest, signature)
		}
		return mldsa.Verify(key, digest, signature, nil) == nil
	}
	return false
}
