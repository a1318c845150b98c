package hsm

import (
	"encoding/binary"
	"fmt"
)

// Kind is what was sealed. Each is sealed with its header, so that none opens as another.
type Kind byte

// The kinds. They never change.
const (
	// KindWrapped is a key that Wrap wrapped.
	KindWrapped Kind = 1
	// KindToken is a key token.
	KindToken Kind = 2
	// KindCiphertext is what Encrypt made under a key of a token. Its epoch is 0, since the key decides.
	KindCiphertext Kind = 3
)

const (
	format = 1
	// suite is AES-256-GCM by the module, with a nonce that the module's generator made. Suite 1 is Strongroom's own.
	suite = 16
	// HeaderSize is the size of a header, in bytes.
	HeaderSize = 12
	// NonceSize is the size of a nonce, in bytes.
	NonceSize = 12
	// TagSize is the size of a tag, in bytes.
	TagSize = 16
	// Overhead is what sealing adds.
	Overhead = HeaderSize + NonceSize + TagSize
)

// Sealed is what a node gives out: a header of 12 bytes (format 1; suite 16; kind; the number of the key spec in a key token,
// or else 0; the epoch, big-endian), the nonce of 12 bytes, the ciphertext and the tag of 16 bytes.
//
// The header and then the caller's AAD are what AES-GCM authenticates besides.
type Sealed struct {
	Kind  Kind
	Spec  KeySpec // of a key token
	Epoch int64   // 1 and up, and 0 for KindCiphertext
	Nonce []byte
	// Body is the ciphertext and the tag.
	Body []byte
}

// Header is the first bytes, those that are authenticated.
func (s Sealed) Header() []byte {
	b := make([]byte, HeaderSize, HeaderSize+NonceSize+len(s.Body))
	b[0], b[1], b[2], b[3] = format, suite, byte(s.Kind), s.Spec.number
	binary.BigEndian.PutUint64(b[4:], uint64(s.Epoch))
	return b
}

// AAD is the header and then aad: the header's length is fixed, so two pairs never make the same bytes.
func (s Sealed) AAD(aad []byte) []byte { return append(s.Header(), aad...) }

// Bytes is all of it.
func (s Sealed) Bytes() []byte { return append(append(s.Header(), s.Nonce...), s.Body...) }

// ParseSealed reads what Bytes made, as far as can be told without a key. It shares b. It fails with ErrInvalidCiphertext.
func ParseSealed(kind Kind, b []byte) (Sealed, error) {
	if len(b) < Overhead || len(b) > MaxToken || b[0] != format || b[1] != suite || b[2] != byte(kind) {
		return Sealed{}, fmt.Errorf("%w: this is not of the kind or the format that is asked for", ErrInvalidCiphertext)
	}
	s := Sealed{Kind: kind, Nonce: b[HeaderSize : HeaderSize+NonceSize], Body: b[HeaderSize+NonceSize:]}
	epoch := binary.BigEndian.Uint64(b[4:])
	if epoch > 1<<32-1 || (epoch == 0) != (kind == KindCiphertext) {
		return Sealed{}, fmt.Errorf("%w: its epoch cannot be", ErrInvalidCiphertext)
	}
	s.Epoch = int64(epoch)
	if kind == KindToken {
		spec, ok := keySpecOf(b[3])
		if !ok {
			return Sealed{}, fmt.Errorf("%w: its key spec is not known", ErrInvalidCiphertext)
		}
		s.Spec = spec
	} else if b[3] != 0 {
		return Sealed{}, fmt.Errorf("%w: its header cannot be", ErrInvalidCiphertext)
	}
	return s, nil
}
