// Package sealing encrypts values for one place: whoever has a key's public half can seal a value, offline, and only the installation that has
// the key opens it, and only for the object that it was sealed for. It is what lets a secret be kept in Git.
//
// A sealing key is derived from the material of a symmetric KMSKey, so that it is kept, rotated, disabled and deleted with it, and stored
// nowhere. Sealing is HPKE (RFC 9180) with the hybrid KEM MLKEM768-P256, which stands as long as one of ML-KEM (FIPS 203) and ECDH does:
// what is in Git may be kept by others for long. https://datatracker.ietf.org/doc/draft-ietf-hpke-pq/
package sealing

import (
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

const (
	// MaximumValue is the length of a value in bytes: AWS Secrets Manager's limit.
	MaximumValue = 65536
	// MaximumText is the length of a sealed value as text, which is over what Seal makes of MaximumValue.
	MaximumText = 96 << 10

	publicPrefix = "strongroom-sealing-key-v1"
	sealedPrefix = "srs1."
	// identitySize is that of the key's id and the material's.
	identitySize = 32
	ikmSize      = 64
)

var (
	// ErrInvalid is the one error of Open. It never says why: a cause would help whoever guesses.
	ErrInvalid = errors.New("the sealed value does not open: it is damaged, or it was sealed for another object, account or key")
	// ErrPublicKey says that a text is no public key.
	ErrPublicKey = errors.New("this is no sealing key of Strongroom's")
	// ErrTooLarge says that a value is over MaximumValue, or empty.
	ErrTooLarge = errors.New("a value has 1 to 65536 bytes")
)

// Scope is what a sealed value is for. A value opens with the scope that it was sealed with and with no other.
type Scope struct {
	// Kind of the object, for example Secret.
	Kind string
	// Account and Region, as in the object's ARN.
	Account, Region string
	// Name of the object in AWS. Empty is any name of the account: whoever may write an object there can have the value opened under
	// a name of their own.
	Name string
}

// info binds a sealed value to its scope and to the key. Lengths go before texts, so that no two scopes look alike.
func (s Scope) info(identity []byte) []byte {
	out := append([]byte(sealedPrefix), identity...)
	for _, text := range []string{s.Kind, s.Account, s.Region, s.Name} {
		out = append(out, byte(len(text)>>8), byte(len(text)))
		out = append(out, text...)
	}
	return out
}

// PublicKey seals for one material of a key.
type PublicKey struct {
	// KeyARN of the key, which has its account and region.
	KeyARN string

	identity [identitySize]byte
	key      hpke.PublicKey
}

// PrivateKey opens what its PublicKey seals.
type PrivateKey struct {
	identity [identitySize]byte
	key      hpke.PrivateKey
}

func kem() hpke.KEM   { return hpke.MLKEM768P256() }
func kdf() hpke.KDF   { return hpke.HKDFSHA256() }
func aead() hpke.AEAD { return hpke.AES256GCM() }

// Derive makes the sealing key of 32 bytes of key material. The header names the key and the material.
func Derive(material secretbytes.Bytes, h keys.Header) (*PrivateKey, error) {
	if material.Len() != keys.KeySize {
		return nil, fmt.Errorf("%w: it is %d bytes and must be %d", keys.ErrInvalidKey, material.Len(), keys.KeySize)
	}
	out := &PrivateKey{identity: identityOf(h)}
	var err error
	secretbytes.Do(func() {
		var ikm []byte
		// The info keeps this apart from every other use of the material, which blobs begin with a version of their own.
		ikm, err = hkdf.Key(sha256.New, material.Reveal(), nil, publicPrefix+string(out.identity[:]), ikmSize)
		if err != nil {
			return
		}
		defer clear(ikm)
		out.key, err = kem().DeriveKeyPair(ikm)
	})
	if err != nil {
		return nil, fmt.Errorf("deriving a sealing key: %w", err)
	}
	return out, nil
}

func identityOf(h keys.Header) (out [identitySize]byte) {
	copy(out[:], h.KeyID[:])
	copy(out[len(h.KeyID):], h.MaterialID[:])
	return out
}

// Public is the public half.
func (k *PrivateKey) Public(keyARN string) *PublicKey {
	return &PublicKey{KeyARN: keyARN, identity: k.identity, key: k.key.PublicKey()}
}

// String is the public key as one line of text: what it is, the key, and the key's ARN.
func (k *PublicKey) String() string {
	return strings.Join([]string{publicPrefix, base64.StdEncoding.EncodeToString(append(k.identity[:], k.key.Bytes()...)), k.KeyARN}, " ")
}

// ParsePublicKey reads the line that String makes. Errors wrap ErrPublicKey.
func ParsePublicKey(line string) (*PublicKey, error) {
	fields := strings.Fields(line)
	if len(fields) != 3 || fields[0] != publicPrefix {
		return nil, fmt.Errorf("%w: it begins with %s and has three words", ErrPublicKey, publicPrefix)
	}
	if _, ok := arn.KeyID(fields[2]); !ok {
		return nil, fmt.Errorf("%w: its third word is no key's ARN", ErrPublicKey)
	}
	raw, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil || len(raw) <= identitySize {
		return nil, fmt.Errorf("%w: its second word is damaged", ErrPublicKey)
	}
	out := &PublicKey{KeyARN: fields[2], identity: [identitySize]byte(raw)}
	if out.key, err = kem().NewPublicKey(raw[identitySize:]); err != nil {
		return nil, fmt.Errorf("%w: its second word is damaged", ErrPublicKey)
	}
	return out, nil
}

// Seal encrypts a value of 1 to MaximumValue bytes for a scope.
func (k *PublicKey) Seal(scope Scope, value secretbytes.Bytes) (string, error) {
	if n := value.Len(); n == 0 || n > MaximumValue {
		return "", fmt.Errorf("%w: this one has %d", ErrTooLarge, n)
	}
	sealed, err := hpke.Seal(k.key, kdf(), aead(), scope.info(k.identity[:]), value.Reveal())
	if err != nil {
		return "", fmt.Errorf("sealing a value: %w", err)
	}
	return sealedPrefix + base64.RawURLEncoding.EncodeToString(append(k.identity[:], sealed...)), nil
}

// Digest names a sealed value, for status: 24 hexadecimal digits.
func Digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:12])
}

// Seals tells whether a text that Identify knows was sealed by this key, by what it says of itself.
func (k *PublicKey) Seals(h keys.Header) bool {
	return identityOf(h) == k.identity
}

// Identify says which key and material open a sealed value. Nothing is authenticated before Open. The error is ErrInvalid.
func Identify(text string) (keys.Header, error) {
	raw, err := decode(text)
	if err != nil {
		return keys.Header{}, err
	}
	return keys.Header{KeyID: [16]byte(raw), MaterialID: [16]byte(raw[16:])}, nil
}

func decode(text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(text, sealedPrefix)
	if !ok || len(text) > MaximumText {
		return nil, ErrInvalid
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(raw) <= identitySize {
		return nil, ErrInvalid
	}
	return raw, nil
}

// Open decrypts a sealed value. The caller wipes it. Every failure is ErrInvalid itself.
func (k *PrivateKey) Open(scope Scope, text string) (secretbytes.Bytes, error) {
	raw, err := decode(strings.TrimSpace(text))
	if err != nil || [identitySize]byte(raw) != k.identity {
		return secretbytes.Bytes{}, ErrInvalid
	}
	var value []byte
	secretbytes.Do(func() {
		value, err = hpke.Open(k.key, kdf(), aead(), scope.info(k.identity[:]), raw[identitySize:])
	})
	if err != nil || len(value) == 0 || len(value) > MaximumValue {
		clear(value)
		return secretbytes.Bytes{}, ErrInvalid
	}
	return secretbytes.Own(value), nil
}

// OpenFor opens a value that was sealed for an object, or for any of its account.
func (k *PrivateKey) OpenFor(scope Scope, text string) (secretbytes.Bytes, error) {
	value, _, err := k.openWidening(scope, text)
	return value, err
}

// openWidening opens a value and tells which scope it was sealed with.
func (k *PrivateKey) openWidening(scope Scope, text string) (secretbytes.Bytes, Scope, error) {
	value, err := k.Open(scope, text)
	if err != nil {
		scope.Name = ""
		value, err = k.Open(scope, text)
	}
	return value, scope, err
}

// Reseal seals for another key what was sealed for an object, or for any of its account. The scope stays as it was, so that nobody opens by
// the new text what the former one kept from them. A text that does not open is ErrInvalid; a key of another account is
// ErrPublicKey.
func (k *PrivateKey) Reseal(to *PublicKey, scope Scope, text string) (string, error) {
	if arn.Account(to.KeyARN) != scope.Account {
		return "", fmt.Errorf("%w of account %s", ErrPublicKey, scope.Account)
	}
	value, scope, err := k.openWidening(scope, text)
	if err != nil {
		return "", err
	}
	defer value.Wipe()
	return to.Seal(scope, value)
}
