// Package keyimport is how key material comes into a KMS key from outside: wrapped under the public half of an RSA key, by one of AWS KMS's
// wrapping algorithms, together with a token that holds the other half.
//
// The token is sealed under the domain key, and all that there is of a wrapping key: nothing is kept between the two requests, so that any replica
// answers either, before and after a restart. It says until when it is of use, and opens for one KMS key alone.
// https://docs.aws.amazon.com/kms/latest/developerguide/importing-keys-get-public-key-and-token.html
package keyimport

import (
	"errors"
	"fmt"

	"strongroom.dev/strongroom/internal/core/keys"
)

// Algorithm is how key material is wrapped, by AWS's name.
// https://docs.aws.amazon.com/kms/latest/developerguide/importing-keys-get-public-key-and-token.html#select-wrapping-algorithm
type Algorithm string

// The wrapping algorithms that there are. RSAES-OAEP is RFC 8017's, with an empty label and MGF1 with the same hash. RSA_AES_KEY_WRAP is PKCS#11's
// CKM_RSA_AES_KEY_WRAP: an AES key of 256 bits by RSAES-OAEP, and then the material under that key by AES-KWP (RFC 5649, NIST SP 800-38F).
const (
	OAEPSHA1          Algorithm = "RSAES_OAEP_SHA_1"
	OAEPSHA256        Algorithm = "RSAES_OAEP_SHA_256"
	RSAAESKeyWrapSHA1 Algorithm = "RSA_AES_KEY_WRAP_SHA_1"
	RSAAESKeyWrap256  Algorithm = "RSA_AES_KEY_WRAP_SHA_256"
)

// ErrUnsupported says that material of a key spec is not wrapped in a way. It is AWS KMS's UnsupportedOperationException.
var ErrUnsupported = errors.New("key material of this key spec is not wrapped so")

// scheme is an Algorithm taken apart.
type scheme struct {
	oaep keys.EncryptionAlgorithm
	// hybrid tells that what RSA encrypts is an AES key, which wraps the material.
	hybrid bool
}

var schemes = map[Algorithm]scheme{
	OAEPSHA1: {oaep: keys.OAEPSHA1}, OAEPSHA256: {oaep: keys.OAEPSHA256},
	RSAAESKeyWrapSHA1: {keys.OAEPSHA1, true}, RSAAESKeyWrap256: {keys.OAEPSHA256, true},
}

// wrappingSpecs are those of wrapping keys, by the number that a token has for each.
// https://docs.aws.amazon.com/kms/latest/developerguide/importing-keys-get-public-key-and-token.html#select-wrapping-key-spec
var wrappingSpecs = []keys.Spec{1: keys.RSA2048, 2: keys.RSA3072, 3: keys.RSA4096}

// algorithms by the number that a token has for each.
var algorithms = []Algorithm{1: OAEPSHA1, 2: OAEPSHA256, 3: RSAAESKeyWrapSHA1, 4: RSAAESKeyWrap256}

// Check fails with ErrUnsupported unless material of a key spec is wrapped by an algorithm under a public key of a wrapping spec: private keys
// by RSA_AES_KEY_WRAP, and secrets and the private keys of curves by RSAES_OAEP, if they fit. It fails with keys.ErrNotApproved for what this process may
// not do, be it the algorithm or what the material is for.
func Check(material keys.Spec, a Algorithm, wrapping keys.Spec) error {
	s, known := schemes[a]
	switch {
	case !known:
		return fmt.Errorf("%w: the wrapping algorithm %.40q is not supported", ErrUnsupported, string(a))
	case number(wrappingSpecs, wrapping) == 0:
		return fmt.Errorf("%w: the wrapping key spec %.40q is not supported: RSA_2048, RSA_3072 and RSA_4096 are", ErrUnsupported, string(wrapping))
	case s.hybrid && material.Symmetric():
		return fmt.Errorf("%w: %s is for private keys; wrap %s key material by RSAES_OAEP_SHA_256", ErrUnsupported, a, material)
	case !s.hybrid && material.RSA():
		return fmt.Errorf("%w: an RSA private key is wrapped by RSA_AES_KEY_WRAP_SHA_256", ErrUnsupported)
	case !s.hybrid && material.EncapsulationAlgorithms() != nil:
		return fmt.Errorf("%w: a private key of %s is wrapped by RSA_AES_KEY_WRAP_SHA_256", ErrUnsupported, material)
	case !s.hybrid && material == keys.NISTP521 && wrapping == keys.RSA2048:
		return fmt.Errorf("%w: %s key material does not fit under RSA_2048 by %s; choose RSA_3072 or RSA_4096, or RSA_AES_KEY_WRAP_SHA_256",
			ErrUnsupported, material, a)
	}
	if err := s.oaep.CheckApproved(); err != nil {
		return err
	}
	return material.CheckApproved()
}

// number is the place of a value in a table that begins with 1, 0 if it has none.
func number[T comparable](table []T, value T) int {
	for n := 1; n < len(table); n++ {
		if table[n] == value {
			return n
		}
	}
	return 0
}
