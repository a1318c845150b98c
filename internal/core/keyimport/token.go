package keyimport

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

const (
	// Validity of a token and its public key.
	// https://docs.aws.amazon.com/kms/latest/APIReference/API_GetParametersForImport.html
	Validity = 24 * time.Hour
	// MaxBlob is the longest token and the longest wrapped material, in bytes: AWS KMS's CiphertextType.
	MaxBlob = 6144
)

// ErrInvalidToken is the one error of a token that does not open, or opens for another KMS key. It is AWS KMS's InvalidImportTokenException.
var ErrInvalidToken = errors.New("the import token is not valid for this key")

// The plaintext of a token: version, algorithm and wrapping spec by their numbers, when it ends in seconds since 1970, and the wrapping key as PKCS#8.
const (
	tokenVersion = 1
	tokenHead    = 3 + 8
)

// Token is what an import token holds. It prints as a fixed word.
type Token struct {
	algorithm Algorithm
	wrapping  keys.Spec
	validTo   time.Time
	private   secretbytes.Bytes
}

// NewToken makes a token for the KMS key of an ARN from a wrapping key as PKCS#8, which stays the caller's. It is of use until validTo, in whole seconds.
// It fails with ErrUnsupported for an algorithm or a spec that there is not.
func NewToken(ring *keyring.Keyring, keyARN string, a Algorithm, wrapping keys.Spec, private secretbytes.Bytes, validTo time.Time) ([]byte, error) {
	algorithm, spec := number(algorithms, a), number(wrappingSpecs, wrapping)
	if algorithm == 0 || spec == 0 {
		return nil, fmt.Errorf("%w: by %.40q under %.40q", ErrUnsupported, string(a), string(wrapping))
	}
	var plaintext secretbytes.Bytes
	secretbytes.Do(func() {
		b := make([]byte, 0, tokenHead+private.Len())
		b = append(b, tokenVersion, byte(algorithm), byte(spec))
		b = binary.BigEndian.AppendUint64(b, uint64(validTo.Unix()))
		plaintext = secretbytes.Own(append(b, private.Reveal()...))
	})
	defer plaintext.Wipe()
	return ring.Seal(keys.KindImportToken, tokenContext(keyARN), plaintext)
}

// tokenContext binds a token to the one key that it is for.
func tokenContext(keyARN string) keys.Context { return keys.Context{"token": "import", "key": keyARN} }

// OpenToken opens a token of the KMS key of an ARN. The caller wipes it. Whether it has ended is for the caller to ask. Everything that is wrong
// with it is ErrInvalidToken itself. It fails with keyring.ErrSealed, too.
func OpenToken(ring keyring.Opener, keyARN string, token []byte) (*Token, error) {
	if len(token) > MaxBlob {
		return nil, ErrInvalidToken
	}
	plaintext, err := ring.Open(keys.KindImportToken, tokenContext(keyARN), token)
	if errors.Is(err, keyring.ErrSealed) {
		return nil, err
	}
	if err != nil {
		return nil, ErrInvalidToken
	}
	defer plaintext.Wipe()
	return parseToken(plaintext.Reveal())
}

// parseToken reads what NewToken wrote.
func parseToken(b []byte) (t *Token, err error) {
	if len(b) <= tokenHead || b[0] != tokenVersion || int(b[1]) >= len(algorithms) || b[1] == 0 || int(b[2]) >= len(wrappingSpecs) || b[2] == 0 {
		return nil, ErrInvalidToken
	}
	t = &Token{algorithm: algorithms[b[1]], wrapping: wrappingSpecs[b[2]], validTo: time.Unix(int64(binary.BigEndian.Uint64(b[3:tokenHead])), 0)}
	secretbytes.Do(func() { t.private = secretbytes.Copy(b[tokenHead:]) })
	return t, nil
}

// Expired tells whether the token has ended at a time.
func (t *Token) Expired(now time.Time) bool { return !now.Before(t.validTo) }

// Algorithm by which material is wrapped for this token, and Wrapping the spec of the wrapping key.
func (t *Token) Algorithm() Algorithm { return t.algorithm }

// Wrapping is the spec of the wrapping key.
func (t *Token) Wrapping() keys.Spec { return t.wrapping }

// Format prints a fixed word for every verb: fmt reads unexported fields by itself and does not ask secretbytes.
func (t Token) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "[redacted]") }

// Wipe erases the wrapping key.
func (t *Token) Wipe() { t.private.Wipe() }
