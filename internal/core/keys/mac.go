package keys

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// MacAlgorithm is how a message authentication code is made, by AWS's name.
// https://docs.aws.amazon.com/kms/latest/developerguide/hmac.html
type MacAlgorithm string

// The algorithms that there are: HMAC of FIPS 198-1, with hashes of FIPS 180-4 and whole codes.
const (
	HMACSHA224 MacAlgorithm = "HMAC_SHA_224"
	HMACSHA256 MacAlgorithm = "HMAC_SHA_256"
	HMACSHA384 MacAlgorithm = "HMAC_SHA_384"
	HMACSHA512 MacAlgorithm = "HMAC_SHA_512"
)

// ErrInvalidMac is the one error of a code that is not the key's for that message. It is AWS KMS's KMSInvalidMacException.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_VerifyMac.html#API_VerifyMac_Errors
var ErrInvalidMac = errors.New("the message authentication code is not valid for this message, key and algorithm")

var macHashes = map[MacAlgorithm]func() hash.Hash{
	HMACSHA224: sha256.New224, HMACSHA256: sha256.New, HMACSHA384: sha512.New384, HMACSHA512: sha512.New,
}

// Mac is the code of a message of at most MaxMessage bytes under a key of a spec that makes such codes. It fails with ErrAlgorithm,
// ErrInvalidKey and ErrTooLarge.
func (s Spec) Mac(key secretbytes.Bytes, a MacAlgorithm, message []byte) (code []byte, err error) {
	if err := s.CheckMac(a); err != nil {
		return nil, err
	}
	if key.Len() != s.SecretSize() {
		return nil, fmt.Errorf("%w: it is %d bytes and must be %d", ErrInvalidKey, key.Len(), s.SecretSize())
	}
	if len(message) > MaxMessage {
		return nil, fmt.Errorf("%w: the message is %d bytes and the limit is %d", ErrTooLarge, len(message), MaxMessage)
	}
	var made []byte
	secretbytes.Do(func() {
		h := hmac.New(macHashes[a], key.Reveal())
		h.Write(message)
		made = h.Sum(nil)
	})
	return append(code, made...), nil // a copy that the garbage collector need not erase
}
