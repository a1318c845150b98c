// Package secretbytes holds secret bytes in a type that does not give them away by accident.
//
// A Bytes has no String and no JSON: printing it by any verb, logging it, or marshalling it shows or yields nothing.
// The bytes come out by [Bytes.Reveal] alone, so that a search for that word lists every place that reads a secret.
// The shape is tink-go's secretdata; that package's access token is the method's name here.
//
// What it does not do: it is no protection against code that means to read the bytes, and it does not lock memory.
package secretbytes

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// ErrNotMarshalled is returned by every attempt to marshal a Bytes.
var ErrNotMarshalled = errors.New("secret bytes are not marshalled")

const redacted = "[redacted]"

// Bytes is an immutable secret. The zero value is the empty secret.
//
// The slice is behind two pointers since fmt calls no Format for an unexported field of another struct. It looks through
// one pointer there, to print what a verb does not fit, but never through two.
type Bytes struct{ p **[]byte }

// Copy makes a Bytes of a copy of b. The caller still owns b and may wipe it.
func Copy(b []byte) Bytes { return Own(append([]byte(nil), b...)) }

// Own makes a Bytes of b itself, which the caller gives up: it must not be read or changed afterwards.
func Own(b []byte) Bytes {
	p := &b
	return Bytes{p: &p}
}

// Random makes n random bytes read from r, or from crypto/rand if r is nil.
func Random(r io.Reader, n int) (Bytes, error) {
	if r == nil {
		r = rand.Reader
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return Bytes{}, fmt.Errorf("reading %d random bytes: %w", n, err)
	}
	return Own(b), nil
}

// Reveal returns the secret bytes themselves, not a copy: they must not be changed, kept, logged or put into an error.
func (s Bytes) Reveal() []byte {
	if s.p == nil {
		return nil
	}
	return **s.p
}

// Len is the number of bytes.
func (s Bytes) Len() int { return len(s.Reveal()) }

// Equal compares in constant time. Only the lengths may leak.
func (s Bytes) Equal(other Bytes) bool {
	return subtle.ConstantTimeCompare(s.Reveal(), other.Reveal()) == 1
}

// Wipe overwrites the bytes with zeros. Every copy of this Bytes shares them and is wiped with it.
func (s Bytes) Wipe() { clear(s.Reveal()) }

// Format prints a fixed word for every verb, so that no format string shows the secret.
func (s Bytes) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue logs a fixed word.
func (s Bytes) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON always fails with [ErrNotMarshalled].
func (s Bytes) MarshalJSON() ([]byte, error) { return nil, ErrNotMarshalled }

// MarshalText always fails with [ErrNotMarshalled].
func (s Bytes) MarshalText() ([]byte, error) { return nil, ErrNotMarshalled }

// MarshalBinary always fails with [ErrNotMarshalled].
func (s Bytes) MarshalBinary() ([]byte, error) { return nil, ErrNotMarshalled }

// GobEncode always fails with [ErrNotMarshalled].
func (s Bytes) GobEncode() ([]byte, error) { return nil, ErrNotMarshalled }
