package keyring

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

const (
	epochSize = 8
	// Overhead is how much longer a token or a sealed record is than what is in it, in bytes.
	Overhead = epochSize + keys.Overhead

	redacted = "[redacted]"
)

var (
	// ErrUnknownEpoch says that a token or record is of an epoch that the keyring has no domain key of: the keyring is
	// older than the token, as another replica rotated, and is to be unsealed again; or a domain key was lost; or the
	// token is damaged.
	ErrUnknownEpoch = errors.New("unknown epoch")
	// ErrWrongKind says that a kind of blob is not for the function it was given to.
	ErrWrongKind = errors.New("wrong kind of blob")
	// ErrNoMaterial says that there are no bytes to wrap.
	ErrNoMaterial = errors.New("the key material is empty")
)

// Keyring holds the open domain keys. It never changes and is safe for concurrent use.
type Keyring struct {
	epochs         map[int64]epochKeys
	current, first int64
}

// Format prints a fixed word for every verb: fmt reads unexported fields by itself and does not ask secretbytes.
func (k Keyring) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// CurrentEpoch is the epoch of the domain key that wraps.
func (k *Keyring) CurrentEpoch() int64 { return k.current }

// Epochs of all domain keys, oldest first.
func (k *Keyring) Epochs() []int64 {
	epochs := make([]int64, 0, len(k.epochs))
	for epoch := range k.epochs {
		epochs = append(epochs, epoch)
	}
	slices.Sort(epochs)
	return epochs
}

// Opener opens what Keyring.Seal made: a Keyring, or the Holder of one.
type Opener interface {
	// Open is as Keyring.Open or Holder.Open.
	Open(kind keys.Kind, ctx keys.AAD, blob []byte) (secretbytes.Bytes, error)
}

// Epoch that a token or a sealed record says it is of, to find those that are to be wrapped anew. It is authenticated
// only when the token is unwrapped. It fails with keys.ErrInvalidCiphertext if this is no token.
func Epoch(token []byte) (int64, error) {
	if len(token) < Overhead {
		return 0, keys.ErrInvalidCiphertext
	}
	epoch := int64(binary.BigEndian.Uint64(token))
	if validEpoch(epoch) != nil {
		return 0, keys.ErrInvalidCiphertext
	}
	return epoch, nil
}

// WrapToken wraps key material of at most keys.MaxPlaintext bytes under the current domain key. The header's Kind is
// keys.KindKeyToken, or 0 for the same. The token opens with the same header and context only. It fails with
// ErrWrongKind, ErrNoMaterial or keys.ErrTooLarge.
func (k *Keyring) WrapToken(h keys.Header, ctx keys.AAD, material secretbytes.Bytes) ([]byte, error) {
	h, err := tokenHeader(h)
	if err != nil {
		return nil, err
	}
	if material.Len() == 0 {
		return nil, ErrNoMaterial
	}
	return k.seal(k.epochs[k.current].token, h, ctx, material)
}

// UnwrapToken opens what WrapToken made under any epoch of the keyring. The caller owns the material and wipes it. It
// fails with ErrUnknownEpoch, ErrWrongKind, and keys.ErrInvalidCiphertext for whatever else is wrong.
func (k *Keyring) UnwrapToken(h keys.Header, ctx keys.AAD, token []byte) (secretbytes.Bytes, error) {
	h, err := tokenHeader(h)
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	return k.open(func(ek epochKeys) secretbytes.Bytes { return ek.token }, h, ctx, token)
}

func tokenHeader(h keys.Header) (keys.Header, error) {
	if h.Kind != 0 && h.Kind != keys.KindKeyToken {
		return h, fmt.Errorf("%w: a key token is kind %d, not %d", ErrWrongKind, keys.KindKeyToken, h.Kind)
	}
	h.Kind = keys.KindKeyToken
	return h, nil
}

// Seal encrypts one of Strongroom's own records, for example a tombstone, under the current domain key. ctx must say
// which record it is. It fails with ErrWrongKind for key tokens and customers' ciphertexts, which are not records, with
// keys.ErrInvalidKind and keys.ErrTooLarge.
func (k *Keyring) Seal(kind keys.Kind, ctx keys.AAD, plaintext secretbytes.Bytes) ([]byte, error) {
	if err := recordKind(kind); err != nil {
		return nil, err
	}
	return k.seal(k.epochs[k.current].record, keys.Header{Kind: kind}, ctx, plaintext)
}

// Open decrypts what Seal made with the same kind and context. The caller owns the plaintext and wipes it. It fails as
// UnwrapToken does.
func (k *Keyring) Open(kind keys.Kind, ctx keys.AAD, blob []byte) (secretbytes.Bytes, error) {
	if err := recordKind(kind); err != nil {
		return secretbytes.Bytes{}, err
	}
	return k.open(func(ek epochKeys) secretbytes.Bytes { return ek.record }, keys.Header{Kind: kind}, ctx, blob)
}

// OpenPublic is Open of a record that is no secret, such as the value of a parameter of type String: keys.OpenPublic. Its answer is as that of Open, for whoever takes both.
func (k *Keyring) OpenPublic(kind keys.Kind, ctx keys.AAD, blob []byte) (secretbytes.Bytes, error) {
	if err := recordKind(kind); err != nil {
		return secretbytes.Bytes{}, err
	}
	ek, epoch, err := k.epochOf(blob)
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	record, err := keys.OpenPublic(ek.record, keys.Header{Kind: kind}, ctx, bound(epoch), blob[epochSize:])
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	return secretbytes.Own(record), nil
}

func recordKind(kind keys.Kind) error {
	if kind == keys.KindKeyToken || kind == keys.KindCiphertext {
		return fmt.Errorf("%w: kind %d is not a record", ErrWrongKind, kind)
	}
	return nil
}

func (k *Keyring) seal(key secretbytes.Bytes, h keys.Header, ctx keys.AAD, plaintext secretbytes.Bytes) ([]byte, error) {
	blob, err := keys.SealPart(key, h, ctx, bound(k.current), plaintext)
	if err != nil {
		return nil, err
	}
	token := make([]byte, 0, epochSize+len(blob))
	token = binary.BigEndian.AppendUint64(token, uint64(k.current))
	return append(token, blob...), nil
}

func (k *Keyring) open(purpose func(epochKeys) secretbytes.Bytes, h keys.Header, ctx keys.AAD, token []byte) (secretbytes.Bytes, error) {
	ek, epoch, err := k.epochOf(token)
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	return keys.OpenPart(purpose(ek), h, ctx, bound(epoch), token[epochSize:])
}

// epochOf is the epoch of a token, and its keys. It fails with ErrUnknownEpoch, or keys.ErrInvalidCiphertext if this is no token.
func (k *Keyring) epochOf(token []byte) (ek epochKeys, epoch int64, err error) {
	if epoch, err = Epoch(token); err != nil {
		return ek, 0, err
	}
	ek, ok := k.epochs[epoch]
	if !ok {
		return ek, 0, fmt.Errorf("%w: this was wrapped under the domain key of epoch %d, and the keyring has epochs %d to %d; unseal it again, or restore that domain key",
			ErrUnknownEpoch, epoch, k.first, k.current)
	}
	return ek, epoch, nil
}

// bound is where a caller's context is in that of a record, beside the epoch. The prefix keeps the two apart, whatever names the caller uses.
func bound(epoch int64) keys.Part {
	return keys.Part{Prefix: "c/", Name: "strongroom/epoch", Value: strconv.FormatInt(epoch, 10)}
}

// Digest is a keyed digest: whoever has no domain key can neither compute it nor try out what it is of. It is
// HMAC-SHA-256 (RFC 2104), the first 16 bytes as 32 hexadecimal digits. Different purposes and different divisions into
// parts are different digests.
//
// The key hangs on the domain key of the first epoch, so that a digest is the same for as long as that record is there:
// removing it changes all digests.
func (k *Keyring) Digest(purpose string, parts ...[]byte) string {
	var sum [sha256.Size]byte
	secretbytes.Do(func() {
		mac := hmac.New(sha256.New, k.epochs[k.first].digest.Reveal())
		var length [8]byte
		write := func(b []byte) {
			binary.BigEndian.PutUint64(length[:], uint64(len(b)))
			mac.Write(length[:])
			mac.Write(b)
		}
		write([]byte(purpose))
		for _, part := range parts {
			write(part)
		}
		mac.Sum(sum[:0])
	})
	return hex.EncodeToString(sum[:16])
}
