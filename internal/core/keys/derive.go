package keys

import (
	"crypto/fips140"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"strongroom.dev/strongroom/internal/core/hmacsha256"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// macLimit is the longest key, and the longest info with its counter, in bytes: the longest message of hmacsha256 that is hashed on the stack.
const macLimit = 512

// derive is HKDF-SHA-256 (RFC 5869) of a key for the one message that has this salt, bound to info: the key of that message. It takes a key of
// at most macLimit bytes, a salt of at most sha256.BlockSize and an info that is shorter than macLimit, and fails with ErrTooLarge for more,
// which no blob has. Call it within secretbytes.Do.
//
// HKDF is put together here from SHA-256, and is crypto/hkdf's only where nothing but approved services may be used: that one makes some twenty
// small objects, each of which the runtime notes within secretbytes.Do by walking a list of all that it noted in the same span of memory, which
// takes ten times as long as the hashing. Here all is on the stack, which secretbytes.Do erases at once. Tests hold both to be the same.
func derive(key secretbytes.Bytes, salt, info []byte) ([KeySize]byte, error) {
	if key.Len() > macLimit || len(salt) > sha256.BlockSize || len(info) >= macLimit {
		return [KeySize]byte{}, fmt.Errorf("%w: deriving a message's key", ErrTooLarge)
	}
	if fips140.Enforced() {
		b, err := hkdf.Key(sha256.New, key.Reveal(), salt, string(info), KeySize)
		if err != nil {
			return [KeySize]byte{}, err
		}
		defer clear(b)
		return [KeySize]byte(b), nil
	}
	// A key is as long as one block of output, so that Expand is a single MAC, of the first block's counter.
	var expand [macLimit]byte
	n := copy(expand[:], info)
	expand[n] = 1
	extracted := hmacsha256.Sum(salt, key.Reveal())
	return hmacsha256.Sum(extracted[:], expand[:n+1]), nil
}
