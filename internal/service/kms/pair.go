package kms

import (
	"context"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// DataKeyPair is what GenerateDataKeyPair makes.
type DataKeyPair struct {
	// PrivateKey is PKCS#8 (RFC 5208) in DER. The caller wipes it.
	PrivateKey secretbytes.Bytes
	// Encrypted is PrivateKey as Service.Decrypt opens it.
	Encrypted []byte
	// PublicKey is a SubjectPublicKeyInfo (RFC 5280) in DER.
	PublicKey []byte
	// Material of the key that encrypted.
	Material v1alpha1.KeyMaterial
}

// GenerateDataKeyPair makes a key pair for use outside, its private half also encrypted under the current material of a symmetric key. The fault
// says KeyUnusable; a spec that there are no pairs of is keys.ErrAlgorithm. Of RSA keys one is made at a time, and the next waits.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKeyPair.html
func (s *Service) GenerateDataKeyPair(ctx context.Context, key *v1alpha1.KMSKey, ec keys.Context, spec keys.Spec) (pair DataKeyPair, err error) {
	if err := CheckUsable(key, keys.GenerateDataKeyPair); err != nil { // before seconds of work
		return pair, err
	}
	private, err := newPrivateKey(ctx, spec, keys.AwaitPairTurn(key.Namespace))
	if err != nil {
		return pair, err
	}
	defer func() {
		if err != nil {
			private.Wipe()
		}
	}()
	parsed, err := keys.ParsePrivateKey(spec, private)
	if err != nil {
		return pair, err
	}
	public := parsed.Public().DER()
	parsed.Wipe()
	encrypted, material, err := s.Encrypt(ctx, key, keys.GenerateDataKeyPair, ec, private)
	if err != nil {
		return pair, err
	}
	return DataKeyPair{private, encrypted, public, material}, nil
}
