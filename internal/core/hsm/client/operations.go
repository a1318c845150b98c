package client

import (
	"context"
	"fmt"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// KeyToken is a key of a user: the token, and the AAD that it was made with.
type KeyToken struct{ Token, AAD []byte }

func (k KeyToken) message() *hsmpb.KeyToken { return &hsmpb.KeyToken{Token: k.Token, Aad: k.AAD} }

// Random makes 1 to hsm.MaxRandom random bytes in a module.
func (c *Cluster) Random(ctx context.Context, size int) (random secretbytes.Bytes, err error) {
	err = c.do(ctx, attemptTimeout, func(ctx context.Context, n hsmpb.NodeClient) error {
		r, err := n.Random(ctx, &hsmpb.RandomRequest{Size: int32(size)})
		random = secretbytes.Own(r.GetRandom())
		return err
	})
	return random, err
}

// Wrap encrypts a key of 32 bytes under the newest domain key that all healthy nodes hold.
func (c *Cluster) Wrap(ctx context.Context, key secretbytes.Bytes, aad []byte) (wrapped []byte, err error) {
	epoch, err := c.wrappingEpoch(ctx)
	if err != nil {
		return nil, err
	}
	err = c.do(ctx, attemptTimeout, func(ctx context.Context, n hsmpb.NodeClient) error {
		r, err := n.Wrap(ctx, &hsmpb.WrapRequest{Key: key.Reveal(), Aad: aad, Epoch: epoch})
		wrapped = r.GetWrapped()
		return err
	})
	return wrapped, err
}

// Unwrap decrypts what Wrap made with the same aad, or fails with hsm.ErrInvalidCiphertext. The caller owns the key.
func (c *Cluster) Unwrap(ctx context.Context, wrapped, aad []byte) (key secretbytes.Bytes, err error) {
	err = c.do(ctx, attemptTimeout, func(ctx context.Context, n hsmpb.NodeClient) error {
		r, err := n.Unwrap(ctx, &hsmpb.UnwrapRequest{Wrapped: wrapped, Aad: aad})
		key = secretbytes.Own(r.GetKey())
		return err
	})
	return key, err
}

// GenerateKey makes a key inside of a module: its token, bound to aad, and the DER of its SubjectPublicKeyInfo if it is asymmetric.
// RSA 4096 may take tens of seconds.
func (c *Cluster) GenerateKey(ctx context.Context, spec hsm.KeySpec, aad []byte) (key KeyToken, public []byte, err error) {
	epoch, err := c.wrappingEpoch(ctx)
	if err != nil {
		return KeyToken{}, nil, err
	}
	err = c.do(ctx, slowTimeout, func(ctx context.Context, n hsmpb.NodeClient) error {
		r, err := n.GenerateKey(ctx, &hsmpb.GenerateKeyRequest{KeySpec: spec.Name, Aad: aad, Epoch: epoch})
		key, public = KeyToken{r.GetToken(), aad}, r.GetPublicKey()
		return err
	})
	return key, public, err
}

// Encrypt up to hsm.MaxPlaintext bytes with a key of SYMMETRIC_DEFAULT. The ciphertext is hsm.Overhead longer.
func (c *Cluster) Encrypt(ctx context.Context, key KeyToken, plaintext secretbytes.Bytes, aad []byte) (ciphertext []byte, err error) {
	err = c.do(ctx, attemptTimeout, func(ctx context.Context, n hsmpb.NodeClient) error {
		r, err := n.Encrypt(ctx, &hsmpb.EncryptRequest{Key: key.message(), Plaintext: plaintext.Reveal(), Aad: aad})
		ciphertext = r.GetCiphertext()
		return err
	})
	return ciphertext, err
}

// Decrypt what Encrypt made with the same key and aad, or fail with hsm.ErrInvalidCiphertext. The caller owns the plaintext.
func (c *Cluster) Decrypt(ctx context.Context, key KeyToken, ciphertext, aad []byte) (plaintext secretbytes.Bytes, err error) {
	err = c.do(ctx, attemptTimeout, func(ctx context.Context, n hsmpb.NodeClient) error {
		r, err := n.Decrypt(ctx, &hsmpb.DecryptRequest{Key: key.message(), Ciphertext: ciphertext, Aad: aad})
		plaintext = secretbytes.Own(r.GetPlaintext())
		return err
	})
	return plaintext, err
}

// Sign a digest. algorithm is AWS KMS's name; an ECDSA signature is DER.
func (c *Cluster) Sign(ctx context.Context, key KeyToken, algorithm string, digest []byte) (signature []byte, err error) {
	err = c.do(ctx, attemptTimeout, func(ctx context.Context, n hsmpb.NodeClient) error {
		r, err := n.Sign(ctx, &hsmpb.SignRequest{Key: key.message(), SigningAlgorithm: algorithm, Digest: digest})
		signature = r.GetSignature()
		return err
	})
	return signature, err
}

// wrappingEpoch is what the last check found, or what the first one finds.
func (c *Cluster) wrappingEpoch(ctx context.Context) (int64, error) {
	c.mu.Lock()
	epoch := c.epoch
	c.mu.Unlock()
	if epoch != 0 {
		return epoch, nil
	}
	h := c.Check(ctx)
	if h.Epoch == 0 {
		if h.Err != nil {
			return 0, h.Err
		}
		return 0, fmt.Errorf("%w: no epoch is on all healthy nodes of cluster %s", hsm.ErrNoDomainKey, c.name)
	}
	return h.Epoch, nil
}
