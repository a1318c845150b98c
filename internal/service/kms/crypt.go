package kms

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// The limits of AWS KMS.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html
const (
	// DataKeyLength is the length of a data key in bytes: AES-256.
	DataKeyLength = 32
	// MaximumRandom is the longest data key and the most random bytes at once.
	MaximumRandom = 1024
	// MaximumPlaintext is the longest plaintext that Encrypt takes, in bytes. Longer ones are encrypted under a data key.
	MaximumPlaintext = 4096
)

// Encrypt encrypts under the current material of a symmetric key; EncryptOAEP is that of others. A faulty state is told as by CheckUsable for that operation; a plaintext or
// context over its limit is keys.ErrTooLarge. The plaintext stays the caller's.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html
func (s *Service) Encrypt(ctx context.Context, key *v1alpha1.KMSKey, operation keys.Operation, ec keys.Context,
	plaintext secretbytes.Bytes,
) (ciphertext []byte, material v1alpha1.KeyMaterial, err error) {
	if err := checkSymmetric(key, operation); err != nil {
		return nil, material, err
	}
	material, err = current(key)
	if err != nil {
		return nil, material, err
	}
	header, err := header(key, material)
	if err != nil {
		return nil, material, err
	}
	ciphertext, err = s.backend(key).Encrypt(ctx, Material{key, material}, header, ec, plaintext)
	return ciphertext, material, err
}

// GenerateDataKey makes a data key of DataKeyLength, in the clear and encrypted under the key's current material. The caller
// wipes it. It is for Strongroom itself, and noted as a use of the key.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateDataKey.html
func (s *Service) GenerateDataKey(ctx context.Context, key *v1alpha1.KMSKey, ec keys.Context) (
	dataKey secretbytes.Bytes, encrypted []byte, err error,
) {
	dataKey, encrypted, _, err = s.GenerateDataKeyOf(ctx, key, ec, DataKeyLength)
	s.usedWithin(key, keys.GenerateDataKey, err)
	return dataKey, encrypted, err
}

// GenerateDataKeyOf is GenerateDataKey for a length in bytes, and tells the material. The caller notes the use.
func (s *Service) GenerateDataKeyOf(ctx context.Context, key *v1alpha1.KMSKey, ec keys.Context, length int) (
	dataKey secretbytes.Bytes, encrypted []byte, material v1alpha1.KeyMaterial, err error,
) {
	if err := CheckUsable(key, keys.GenerateDataKey); err != nil { // before there is anything to wipe
		return dataKey, nil, material, err
	}
	if dataKey, err = secretbytes.Random(s.Random, length); err != nil {
		return dataKey, nil, material, err
	}
	encrypted, material, err = s.Encrypt(ctx, key, keys.GenerateDataKey, ec, dataKey)
	if err != nil {
		dataKey.Wipe()
		return secretbytes.Bytes{}, nil, material, err
	}
	return dataKey, encrypted, material, nil
}

// Decrypt opens what was encrypted under any material of the key. Everything that is wrong with the ciphertext or its
// context is keys.ErrInvalidCiphertext. The caller wipes the plaintext. It is for Strongroom itself, and noted as a use of the key.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
func (s *Service) Decrypt(ctx context.Context, key *v1alpha1.KMSKey, ec keys.Context, ciphertext []byte) (
	plaintext secretbytes.Bytes, err error,
) {
	plaintext, _, err = s.DecryptTelling(ctx, key, ec, ciphertext)
	s.usedWithin(key, keys.Decrypt, err)
	return plaintext, err
}

// DecryptTelling is Decrypt, and tells the material. The caller notes the use.
func (s *Service) DecryptTelling(ctx context.Context, key *v1alpha1.KMSKey, ec keys.Context, ciphertext []byte) (
	plaintext secretbytes.Bytes, material v1alpha1.KeyMaterial, err error,
) {
	if err := checkSymmetric(key, keys.Decrypt); err != nil {
		return plaintext, material, err
	}
	claimed, err := keys.ParseHeader(ciphertext)
	if err != nil {
		return plaintext, material, err
	}
	m, ok, err := s.claimed(ctx, key, claimed)
	if err != nil {
		return plaintext, material, err
	}
	if !ok {
		return plaintext, material, keys.ErrInvalidCiphertext
	}
	expected, err := header(key, m.KeyMaterial)
	if err != nil {
		return plaintext, m.KeyMaterial, err
	}
	if expected != claimed {
		return plaintext, m.KeyMaterial, keys.ErrInvalidCiphertext
	}
	plaintext, err = s.backend(key).Decrypt(ctx, m, expected, ec, ciphertext)
	return plaintext, m.KeyMaterial, err
}

// checkSymmetric is CheckUsable, and that the key is a symmetric one.
func checkSymmetric(key *v1alpha1.KMSKey, operation keys.Operation) error {
	if err := CheckUsable(key, operation); err != nil {
		return err
	}
	if err := SpecOf(key).CheckEncryption(keys.SymmetricEncryption); err != nil {
		return wrongUsage(key, fmt.Errorf("%w: %w", keys.ErrKeyUsage, err), "name a KMSKey with keySpec SYMMETRIC_DEFAULT")
	}
	return nil
}

// claimedMaterial is the material of a key that a header names.
func claimedMaterial(key *v1alpha1.KMSKey, h keys.Header) (v1alpha1.KeyMaterial, bool) {
	var prefix [2 * len(h.MaterialID)]byte
	hex.Encode(prefix[:], h.MaterialID[:])
	for i := range key.Status.KeyMaterials {
		if m := &key.Status.KeyMaterials[i]; m.State != v1alpha1.KeyMaterialPendingRotation && strings.HasPrefix(m.ID, string(prefix[:])) {
			return key.Status.KeyMaterials[i], true
		}
	}
	return v1alpha1.KeyMaterial{}, false
}
