// Package hmacsha256 computes HMAC-SHA-256 (RFC 2104, FIPS 198-1) of short messages with nothing on the heap, where crypto/hmac makes six objects for each. Those cost a request to the gateway more than the hashing,
// and within secretbytes.Do ten times as much. It is the sum alone that is put together here, from the module's SHA-256; where nothing but approved services may be used, it is crypto/hmac's.
package hmacsha256

import (
	"bytes"
	"crypto/fips140"
	"crypto/hmac"
	"crypto/sha256"
)

const (
	// Size of a code, in bytes.
	Size = sha256.Size
	// short is the longest message that is put beside the key on the stack, in bytes.
	short = 512
)

// Sum is the code of a message under a key, of whatever lengths. Those of messages over 512 bytes, and of keys over a block of 64, are crypto/hmac's.
// What it leaves on the stack tells the key: within secretbytes.Do it is erased.
func Sum(key, message []byte) (code [Size]byte) {
	if len(message) > short || len(key) > sha256.BlockSize || fips140.Enforced() {
		return module(bytes.Clone(key), bytes.Clone(message)) // or else what is on a caller's stack would have to be on the heap
	}
	var inner [sha256.BlockSize + short]byte
	var outer [sha256.BlockSize + Size]byte
	copy(inner[:sha256.BlockSize], key)
	copy(outer[:sha256.BlockSize], key)
	for i := range sha256.BlockSize {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	n := copy(inner[sha256.BlockSize:], message)
	digest := sha256.Sum256(inner[:sha256.BlockSize+n])
	copy(outer[sha256.BlockSize:], digest[:])
	return sha256.Sum256(outer[:])
}

// module is the code by crypto/hmac.
func module(key, message []byte) [Size]byte {
	defer clear(key)
	defer clear(message)
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return [Size]byte(h.Sum(nil))
}
