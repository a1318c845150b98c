package kms

import (
	"context"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// Material is one of a key's materials, as a Backend is asked to use it.
type Material struct {
	Key *v1alpha1.KMSKey
	v1alpha1.KeyMaterial
}

// Backend is where key material is generated and used. Its callers have checked the key's usage and state, and the limits of what
// they hand over. It is safe for concurrent use.
type Backend interface {
	// Generate makes material of a spec, and answers the bytes that its Envelope keeps: what the backend needs to find or to open
	// it again. The caller wipes them. It is called once more after a crash, and whenever two replicas make a key's first material
	// at once: what it made and nobody stored must not matter. turn is for what takes this process's processors.
	Generate(ctx context.Context, spec keys.Spec, turn keys.Turn) (secretbytes.Bytes, error)
	// Check fails unless the material can be used.
	Check(ctx context.Context, m Material) error
	// Sign is keys.PrivateKey.Sign.
	Sign(ctx context.Context, m Material, algorithm keys.SigningAlgorithm, message keys.Message) ([]byte, error)
	// PublicKey is the public half of an asymmetric key.
	PublicKey(ctx context.Context, m Material) (*keys.PublicKey, error)
	// Open decrypts by a private key: keys.PrivateKey.Decrypt. What its public key encrypts needs no backend.
	Open(ctx context.Context, m Material, algorithm keys.EncryptionAlgorithm, ciphertext []byte) (secretbytes.Bytes, error)
	// SharedSecret is keys.PrivateKey.SharedSecret.
	SharedSecret(ctx context.Context, m Material, peer *keys.PublicKey) (secretbytes.Bytes, error)
	// Decapsulate is keys.PrivateKey.Decapsulate. What its public key encapsulates needs no backend.
	Decapsulate(ctx context.Context, m Material, algorithm keys.EncapsulationAlgorithm, ciphertext []byte) (secretbytes.Bytes, error)
	// Mac is keys.Spec.Mac with the key.
	Mac(ctx context.Context, m Material, algorithm keys.MacAlgorithm, message []byte) ([]byte, error)
	// Encrypt and Decrypt are keys.Seal and keys.Open with a symmetric key.
	Encrypt(ctx context.Context, m Material, h keys.Header, ec keys.Context, plaintext secretbytes.Bytes) ([]byte, error)
	Decrypt(ctx context.Context, m Material, h keys.Header, ec keys.Context, ciphertext []byte) (secretbytes.Bytes, error)
}

// backend is the one that has a key's material.
func (s *Service) backend(key *v1alpha1.KMSKey) Backend {
	if InModule(key) {
		return module{s, key}
	}
	return software{s}
}
