package keys

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // RSAES_OAEP_SHA_1 is an algorithm of AWS KMS; OAEP does not rest on collisions being hard to find
	"crypto/sha256"
	"fmt"
	"hash"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// EncryptionAlgorithm is how a key encrypts, by AWS's name.
// https://docs.aws.amazon.com/kms/latest/developerguide/symm-asymm-choose-key-spec.html#key-spec-rsa-encryption
type EncryptionAlgorithm string

// The encryption algorithms that there are. RSAES-OAEP is RFC 8017's, with an empty label and MGF1 with the same hash.
const (
	// SymmetricEncryption is what Seal does.
	SymmetricEncryption EncryptionAlgorithm = "SYMMETRIC_DEFAULT"
	OAEPSHA1            EncryptionAlgorithm = "RSAES_OAEP_SHA_1"
	OAEPSHA256          EncryptionAlgorithm = "RSAES_OAEP_SHA_256"
)

// oaep are the hashes of RSAES-OAEP.
var oaep = map[EncryptionAlgorithm]func() hash.Hash{OAEPSHA1: sha1.New, OAEPSHA256: sha256.New}

// oaepDigest is the length of those hashes' digests in bytes. To make a SHA-1 in order to ask it panics in GODEBUG=fips140=only.
var oaepDigest = map[EncryptionAlgorithm]int{OAEPSHA1: sha1.Size, OAEPSHA256: sha256.Size}

// MaxEncrypted is the longest plaintext that a key of an RSA spec encrypts by an algorithm, in bytes: the modulus without two digests and two
// bytes (RFC 8017, section 7.1.1). It is 0 for others.
func (s Spec) MaxEncrypted(a EncryptionAlgorithm) int {
	if oaep[a] == nil || specifications[s].bits == 0 {
		return 0
	}
	return specifications[s].bits/8 - 2*oaepDigest[a] - 2
}

// Encrypt encrypts at most Spec.MaxEncrypted bytes, so that only the private half decrypts. The plaintext stays the caller's. It fails with
// ErrAlgorithm, ErrNotApproved and ErrTooLarge.
func (k *PublicKey) Encrypt(a EncryptionAlgorithm, plaintext secretbytes.Bytes) (ciphertext []byte, err error) {
	key, ok := k.key.(*rsa.PublicKey)
	if !ok || oaep[a] == nil {
		return nil, fmt.Errorf("%w: %.40q is not for keys of the spec %s", ErrAlgorithm, string(a), k.spec)
	}
	if err := a.CheckApproved(); err != nil {
		return nil, err
	}
	if most := k.spec.MaxEncrypted(a); plaintext.Len() > most {
		return nil, fmt.Errorf("%w: the plaintext is %d bytes and a key of the spec %s encrypts %d by %s", ErrTooLarge, plaintext.Len(), k.spec, most, a)
	}
	secretbytes.Do(func() { ciphertext, err = rsa.EncryptOAEP(oaep[a](), rand.Reader, key, plaintext.Reveal(), nil) })
	if err != nil {
		return nil, fmt.Errorf("encrypting by %s: %w", a, err)
	}
	return ciphertext, nil
}

// Decrypt opens what PublicKey.Encrypt made by the same algorithm. The caller wipes the plaintext. Everything that is wrong with the ciphertext is
// ErrInvalidCiphertext itself, and takes the same time; the algorithm's is ErrAlgorithm or ErrNotApproved.
func (k *PrivateKey) Decrypt(a EncryptionAlgorithm, ciphertext []byte) (secretbytes.Bytes, error) {
	key, ok := k.key.(*rsa.PrivateKey)
	if !ok || oaep[a] == nil {
		return secretbytes.Bytes{}, fmt.Errorf("%w: %.40q is not for keys of the spec %s", ErrAlgorithm, string(a), k.spec)
	}
	if err := a.CheckApproved(); err != nil {
		return secretbytes.Bytes{}, err
	}
	var plaintext []byte
	var err error
	secretbytes.Do(func() { plaintext, err = rsa.DecryptOAEP(oaep[a](), nil, key, ciphertext, nil) })
	if err != nil {
		return secretbytes.Bytes{}, ErrInvalidCiphertext
	}
	return secretbytes.Own(plaintext), nil
}
