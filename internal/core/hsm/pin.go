package hsm

import (
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// PINSaltSize is the size of a PINDigest's salt, in bytes.
const PINSaltSize = 16

// PINDigest stands for a PIN where it must be told again and must not be kept: a salted digest that is slow to make, PBKDF2 (NIST SP 800-132) with SHA-256. A PIN is short,
// so whoever has the digest can find the PIN: it is for those alone who may have that too.
type PINDigest struct {
	Salt   []byte `json:"salt"`
	Digest []byte `json:"digest"`
}

// DigestPIN makes a digest with a new salt.
func DigestPIN(pin secretbytes.Bytes) (PINDigest, error) {
	d := PINDigest{Salt: make([]byte, PINSaltSize)}
	_, _ = rand.Read(d.Salt) // it never fails
	var err error
	d.Digest, err = digestOf(pin, d.Salt)
	return d, err
}

// DigestPINWith makes a digest with the salt of others, which it can be compared with.
func DigestPINWith(pin secretbytes.Bytes, salt []byte) (PINDigest, error) {
	digest, err := digestOf(pin, salt)
	return PINDigest{Salt: salt, Digest: digest}, err
}

// Valid tells whether the digest is whole.
func (d PINDigest) Valid() bool { return len(d.Salt) == PINSaltSize && len(d.Digest) == sha256.Size }

// Is tells whether the digest is of a PIN.
func (d PINDigest) Is(pin secretbytes.Bytes) (bool, error) {
	digest, err := digestOf(pin, d.Salt)
	return err == nil && subtle.ConstantTimeCompare(digest, d.Digest) == 1, err
}

func digestOf(pin secretbytes.Bytes, salt []byte) (digest []byte, err error) {
	const iterations = 100_000
	secretbytes.Do(func() { digest, err = pbkdf2.Key(sha256.New, string(pin.Reveal()), salt, iterations, sha256.Size) })
	if err != nil {
		return nil, fmt.Errorf("hashing a PIN: %w", err)
	}
	return digest, nil
}
