package kms

import (
	"context"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// EncryptOAEP encrypts by the public half of an RSA key of usage ENCRYPT_DECRYPT, as anybody can who has that. The plaintext stays the caller's. The
// fault says KeyUnusable; what is wrong with the plaintext or the algorithm is keys.ErrTooLarge or keys.ErrAlgorithm.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Encrypt.html
func (s *Service) EncryptOAEP(ctx context.Context, key *v1alpha1.KMSKey, operation keys.Operation, algorithm keys.EncryptionAlgorithm,
	plaintext secretbytes.Bytes,
) ([]byte, error) {
	if err := CheckUsable(key, operation); err != nil {
		return nil, err
	}
	m, err := current(key)
	if err != nil {
		return nil, err
	}
	public, err := s.backend(key).PublicKey(ctx, Material{key, m})
	if err != nil {
		return nil, err
	}
	return public.Encrypt(algorithm, plaintext)
}

// DecryptOAEP opens what was encrypted by the public half. Everything that is wrong with the ciphertext is keys.ErrInvalidCiphertext. The caller
// wipes the plaintext.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decrypt.html
func (s *Service) DecryptOAEP(ctx context.Context, key *v1alpha1.KMSKey, algorithm keys.EncryptionAlgorithm, ciphertext []byte) (
	plaintext secretbytes.Bytes, err error,
) {
	if err := CheckUsable(key, keys.Decrypt); err != nil {
		return plaintext, err
	}
	m, err := current(key)
	if err != nil {
		return plaintext, err
	}
	return s.backend(key).Open(ctx, Material{key, m}, algorithm, ciphertext)
}

// DeriveSharedSecret is the secret that a key of usage KEY_AGREEMENT shares with the owner of a public key of its spec. The caller wipes it. The
// fault says KeyUnusable; what is wrong with the public key is keys.ErrInvalidPublicKey.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_DeriveSharedSecret.html
func (s *Service) DeriveSharedSecret(ctx context.Context, key *v1alpha1.KMSKey, peerDER []byte) (secret secretbytes.Bytes, err error) {
	if err := CheckUsable(key, keys.DeriveSharedSecret); err != nil {
		return secret, err
	}
	peer, err := keys.ParsePublicKey(SpecOf(key), peerDER)
	if err != nil {
		return secret, err
	}
	m, err := current(key)
	if err != nil {
		return secret, err
	}
	return s.backend(key).SharedSecret(ctx, Material{key, m}, peer)
}

// Encapsulate makes a secret by the public half of a key of usage ENCAPSULATE_DECAPSULATE, as anybody can who has that, with the ciphertext that Decapsulate
// opens. The caller wipes the secret. The fault says KeyUnusable; what is wrong with the algorithm is keys.ErrAlgorithm.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Encapsulate.html
func (s *Service) Encapsulate(ctx context.Context, key *v1alpha1.KMSKey, algorithm keys.EncapsulationAlgorithm) (
	secret secretbytes.Bytes, ciphertext []byte, err error,
) {
	if err := CheckUsable(key, keys.Encapsulate); err != nil {
		return secret, nil, err
	}
	m, err := current(key)
	if err != nil {
		return secret, nil, err
	}
	public, err := s.backend(key).PublicKey(ctx, Material{key, m})
	if err != nil {
		return secret, nil, err
	}
	return public.Encapsulate(algorithm)
}

// Decapsulate is the secret of what Encapsulate made. A ciphertext of another length is keys.ErrInvalidCiphertext; any other that is not the key's has a
// secret that nobody else has. The caller wipes it. The fault says KeyUnusable; what is wrong with the algorithm is keys.ErrAlgorithm.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_Decapsulate.html
func (s *Service) Decapsulate(ctx context.Context, key *v1alpha1.KMSKey, algorithm keys.EncapsulationAlgorithm, ciphertext []byte) (
	secret secretbytes.Bytes, err error,
) {
	if err := CheckUsable(key, keys.Decapsulate); err != nil {
		return secret, err
	}
	m, err := current(key)
	if err != nil {
		return secret, err
	}
	return s.backend(key).Decapsulate(ctx, Material{key, m}, algorithm, ciphertext)
}
