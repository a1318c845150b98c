package kms

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/fault"
)

var errOtherSpec = errors.New("the stored key material is not of the KMSKey's keySpec, keyUsage and origin")

// software is the Backend of keys whose material is in Envelopes: a secret, or PKCS#8 of an asymmetric key. It is used in this
// process, and opened and parsed once for as long as the cache holds it.
type software struct{ *Service }

var _ Backend = software{}

// Generate implements Backend. The fault says UnsupportedOperation for a spec that is not approved where nothing else is allowed.
func (s software) Generate(ctx context.Context, spec keys.Spec, turn keys.Turn) (secretbytes.Bytes, error) {
	if err := spec.CheckApproved(); err != nil {
		return secretbytes.Bytes{}, fault.Stalled(v1alpha1.ReasonUnsupportedOperation, err)
	}
	if spec.Symmetric() {
		return secretbytes.Random(s.Random, spec.SecretSize())
	}
	return newPrivateKey(ctx, spec, turn)
}

// newPrivateKey makes a private key when its turn is come. The caller wipes it.
func newPrivateKey(ctx context.Context, spec keys.Spec, turn keys.Turn) (secretbytes.Bytes, error) {
	if spec.RSA() {
		done, err := turn(ctx)
		if err != nil {
			return secretbytes.Bytes{}, err
		}
		defer done()
	}
	return keys.GeneratePrivateKey(spec)
}

// Check implements Backend.
func (s software) Check(ctx context.Context, m Material) error {
	if SpecOf(m.Key).Symmetric() {
		return s.useSymmetric(ctx, m, func(secretbytes.Bytes) error { return nil })
	}
	return s.usePrivate(ctx, m, func(*keys.PrivateKey) error { return nil })
}

// Sign implements Backend.
func (s software) Sign(ctx context.Context, m Material, algorithm keys.SigningAlgorithm, message keys.Message) (signature []byte, err error) {
	err = s.usePrivate(ctx, m, func(k *keys.PrivateKey) error {
		signature, err = k.Sign(algorithm, message)
		return err
	})
	return signature, err
}

// PublicKey implements Backend.
func (s software) PublicKey(ctx context.Context, m Material) (public *keys.PublicKey, err error) {
	err = s.usePrivate(ctx, m, func(k *keys.PrivateKey) error {
		public = k.Public()
		return nil
	})
	return public, err
}

// Open implements Backend.
func (s software) Open(ctx context.Context, m Material, algorithm keys.EncryptionAlgorithm, ciphertext []byte) (plaintext secretbytes.Bytes, err error) {
	err = s.usePrivate(ctx, m, func(k *keys.PrivateKey) error {
		plaintext, err = k.Decrypt(algorithm, ciphertext)
		return err
	})
	return plaintext, err
}

// SharedSecret implements Backend.
func (s software) SharedSecret(ctx context.Context, m Material, peer *keys.PublicKey) (secret secretbytes.Bytes, err error) {
	err = s.usePrivate(ctx, m, func(k *keys.PrivateKey) error {
		secret, err = k.SharedSecret(peer)
		return err
	})
	return secret, err
}

// Decapsulate implements Backend.
func (s software) Decapsulate(ctx context.Context, m Material, algorithm keys.EncapsulationAlgorithm, ciphertext []byte) (secret secretbytes.Bytes, err error) {
	err = s.usePrivate(ctx, m, func(k *keys.PrivateKey) error {
		secret, err = k.Decapsulate(algorithm, ciphertext)
		return err
	})
	return secret, err
}

// Mac implements Backend.
func (s software) Mac(ctx context.Context, m Material, algorithm keys.MacAlgorithm, message []byte) (code []byte, err error) {
	err = s.useSymmetric(ctx, m, func(k secretbytes.Bytes) error {
		code, err = SpecOf(m.Key).Mac(k, algorithm, message)
		return err
	})
	return code, err
}

// Encrypt implements Backend.
func (s software) Encrypt(ctx context.Context, m Material, h keys.Header, ec keys.Context, plaintext secretbytes.Bytes) (
	ciphertext []byte, err error,
) {
	err = s.useSymmetric(ctx, m, func(k secretbytes.Bytes) error {
		ciphertext, err = keys.Seal(k, h, ec, plaintext)
		return err
	})
	return ciphertext, err
}

// Decrypt implements Backend.
func (s software) Decrypt(ctx context.Context, m Material, h keys.Header, ec keys.Context, ciphertext []byte) (
	plaintext secretbytes.Bytes, err error,
) {
	err = s.useSymmetric(ctx, m, func(k secretbytes.Bytes) error {
		plaintext, err = keys.Open(k, h, ec, ciphertext)
		return err
	})
	return plaintext, err
}

func (s software) useSymmetric(ctx context.Context, m Material, use func(secretbytes.Bytes) error) error {
	return useMaterial(ctx, s.Service, m, func(opened secretbytes.Bytes) (secretbytes.Bytes, error) {
		if opened.Len() != SpecOf(m.Key).SecretSize() {
			opened.Wipe()
			return secretbytes.Bytes{}, otherSpec(m)
		}
		return opened, nil
	}, use)
}

func (s software) usePrivate(ctx context.Context, m Material, use func(*keys.PrivateKey) error) error {
	return useMaterial(ctx, s.Service, m, func(opened secretbytes.Bytes) (*keys.PrivateKey, error) {
		defer opened.Wipe() // the parsed key has what it needs of it
		parsed, err := keys.ParsePrivateKey(SpecOf(m.Key), opened)
		if err != nil {
			return nil, otherSpec(m)
		}
		return parsed, nil
	}, use)
}

// otherSpec is what material says that is whole and of another type: a KMSKey was deleted, and then applied anew with another
// keySpec, keyUsage or origin, while its material was kept.
func otherSpec(m Material) error {
	return fault.Stalled(v1alpha1.ReasonKeyUnusable, fmt.Errorf("%w: KMSKey %s/%s has keySpec %s, keyUsage %s and origin %s now; give it those back that it "+
		"had when it was deleted, or give the new key another name", errOtherSpec, m.Key.Namespace, m.Key.Name, SpecOf(m.Key), UsageOf(m.Key), cmp.Or(m.Key.Spec.Origin, v1alpha1.KeyOriginKMS)))
}
