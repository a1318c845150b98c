package keyimport

import (
	"crypto/rsa"
	"encoding/asn1"
	"errors"

	"github.com/tink-crypto/tink-go/v2/kwp/subtle"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// ErrIncorrectMaterial says that what was wrapped is not material of the key's spec. It never says more: it is about secret bytes. It is AWS KMS's
// IncorrectKeyMaterialException.
var ErrIncorrectMaterial = errors.New("the key material is not of the key's spec: a secret is as long as the spec says, and a private key is PKCS#8 in DER")

// aesKey is the length of the AES key of RSA_AES_KEY_WRAP, in bytes.
const aesKey = 32

// Unwrap opens wrapped material by the token's private key and algorithm. The caller wipes the answer. Everything that is wrong with what was
// wrapped is keys.ErrInvalidCiphertext itself; a token of which the private key is none is ErrInvalidToken.
func (t *Token) Unwrap(wrapped []byte) (secretbytes.Bytes, error) {
	if len(wrapped) > MaxBlob {
		return secretbytes.Bytes{}, keys.ErrInvalidCiphertext
	}
	private, err := keys.ParsePrivateKey(t.wrapping, t.private)
	if err != nil {
		return secretbytes.Bytes{}, ErrInvalidToken
	}
	defer private.Wipe()
	s := schemes[t.algorithm]
	if !s.hybrid {
		return private.Decrypt(s.oaep, wrapped)
	}
	public, ok := private.Public().Key().(*rsa.PublicKey)
	if !ok || len(wrapped) <= public.Size() {
		return secretbytes.Bytes{}, keys.ErrInvalidCiphertext
	}
	modulus := public.Size()
	kek, err := private.Decrypt(s.oaep, wrapped[:modulus])
	if err != nil {
		return secretbytes.Bytes{}, keys.ErrInvalidCiphertext
	}
	defer kek.Wipe()
	return unwrapKWP(kek, wrapped[modulus:])
}

// unwrapKWP is AES-KWP of RFC 5649 with a key of 256 bits. Every failure is keys.ErrInvalidCiphertext itself: what it says of the padding is of no use to
// an attacker, as what is decrypted is a pseudorandom permutation of all of it (NIST SP 800-38F, appendix A).
func unwrapKWP(kek secretbytes.Bytes, wrapped []byte) (secretbytes.Bytes, error) {
	if kek.Len() != aesKey {
		return secretbytes.Bytes{}, keys.ErrInvalidCiphertext
	}
	var material []byte
	var err error
	secretbytes.Do(func() {
		var kwp *subtle.KWP
		if kwp, err = subtle.NewKWP(kek.Reveal()); err == nil {
			material, err = kwp.Unwrap(wrapped)
		}
	})
	if err != nil {
		return secretbytes.Bytes{}, keys.ErrInvalidCiphertext
	}
	return secretbytes.Own(material), nil
}

// Identity is what tells material of a key spec from any other: the secret itself, or the public half of a private key, which may be written down in
// several ways. The caller wipes it. It fails with ErrIncorrectMaterial unless the material, which stays the caller's, is one of that spec: so it is also the
// check of what is imported.
func Identity(spec keys.Spec, material secretbytes.Bytes) (secretbytes.Bytes, error) {
	if spec.Symmetric() {
		if material.Len() != spec.SecretSize() {
			return secretbytes.Bytes{}, ErrIncorrectMaterial
		}
		var identity secretbytes.Bytes
		secretbytes.Do(func() { identity = secretbytes.Copy(material.Reveal()) })
		return identity, nil
	}
	private, err := keys.ParsePrivateKey(spec, material)
	if err == nil && (!whole(material) || private.CheckPrimes() != nil) {
		private.Wipe()
		err = ErrIncorrectMaterial
	}
	if err != nil {
		return secretbytes.Bytes{}, ErrIncorrectMaterial
	}
	defer private.Wipe()
	return secretbytes.Own(private.Public().DER()), nil
}

// whole tells whether nothing follows the first value in DER, which Go's parser of PKCS#8 lets pass.
func whole(der secretbytes.Bytes) (is bool) {
	secretbytes.Do(func() {
		var outer asn1.RawValue
		rest, err := asn1.Unmarshal(der.Reveal(), &outer)
		is = err == nil && len(rest) == 0
	})
	return is
}
