//go:build cgo

package module

import (
	"crypto"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/binary"
	"fmt"
	"math/big"

	"github.com/miekg/pkcs11"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
)

// withKey lends a session and the key of a token to do.
func (m *Module) withKey(token *hsmpb.KeyToken, do func(pkcs11.SessionHandle, *cached) error) error {
	if len(token.GetAad()) > hsm.MaxAAD {
		return fmt.Errorf("%w: an AAD of %d bytes", hsm.ErrInvalidArgument, len(token.GetAad()))
	}
	s, err := hsm.ParseSealed(hsm.KindToken, token.GetToken())
	if err != nil {
		return err
	}
	m.login.RLock()
	defer m.login.RUnlock()
	return m.lend(func(session pkcs11.SessionHandle) error {
		key := cacheKeyOf(token)
		e := m.cache.get(key)
		if e == nil {
			object, err := m.unwrap(session, s, token.GetAad())
			if err != nil {
				return err
			}
			e = m.cache.add(key, object, s.Spec)
		}
		defer m.cache.release(e)
		return do(session, e)
	})
}

func cacheKeyOf(token *hsmpb.KeyToken) cacheKey {
	h := sha256.New()
	var size [8]byte
	binary.BigEndian.PutUint64(size[:], uint64(len(token.GetToken())))
	h.Write(size[:])
	h.Write(token.GetToken())
	h.Write(token.GetAad())
	return cacheKey(h.Sum(nil))
}

// unwrap makes a session object of a token. The seal around the wrapped key binds its spec and the AAD, which key wrap has no place for.
func (m *Module) unwrap(session pkcs11.SessionHandle, s hsm.Sealed, aad []byte) (object pkcs11.ObjectHandle, err error) {
	_, keys, err := m.epoch(s.Epoch)
	if err != nil {
		return 0, err
	}
	wrapped, err := m.open(session, keys.domain, s, aad)
	if err != nil {
		return 0, err
	}
	class, kind := uint(pkcs11.CKO_PRIVATE_KEY), uint(pkcs11.CKK_RSA)
	switch s.Spec.Family {
	case hsm.AES:
		class, kind = pkcs11.CKO_SECRET_KEY, pkcs11.CKK_AES
	case hsm.EC:
		kind = pkcs11.CKK_EC
	}
	template := append(insideTemplate(s.Spec, false), attr(pkcs11.CKA_CLASS, class), attr(pkcs11.CKA_KEY_TYPE, kind), attr(pkcs11.CKA_TOKEN, false))
	err = m.keep(func(keeper pkcs11.SessionHandle) error {
		object, err = m.ctx.UnwrapKey(keeper, one(keyWrapPad, nil), keys.wrapping, wrapped, template)
		return err
	})
	if err != nil {
		return 0, closed("C_UnwrapKey", err)
	}
	return object, nil
}

// Encrypt with the key of a token, which must be of SYMMETRIC_DEFAULT.
func (m *Module) Encrypt(token *hsmpb.KeyToken, plaintext, aad []byte) (ciphertext []byte, err error) {
	if len(plaintext) > hsm.MaxPlaintext || len(aad) > hsm.MaxAAD {
		return nil, fmt.Errorf("%w: %d bytes with an AAD of %d; give at most %d and %d", hsm.ErrInvalidArgument, len(plaintext), len(aad), hsm.MaxPlaintext, hsm.MaxAAD)
	}
	err = m.withKey(token, func(session pkcs11.SessionHandle, key *cached) error {
		if err := needs(key, hsm.AES, "encrypt"); err != nil {
			return err
		}
		ciphertext, err = m.seal(session, key.object, hsm.Sealed{Kind: hsm.KindCiphertext}, aad, plaintext)
		return err
	})
	return ciphertext, err
}

// Decrypt what Encrypt made.
func (m *Module) Decrypt(token *hsmpb.KeyToken, ciphertext, aad []byte) (plaintext []byte, err error) {
	s, err := hsm.ParseSealed(hsm.KindCiphertext, ciphertext)
	if err != nil {
		return nil, err
	}
	if len(aad) > hsm.MaxAAD {
		return nil, fmt.Errorf("%w: an AAD of %d bytes", hsm.ErrInvalidArgument, len(aad))
	}
	err = m.withKey(token, func(session pkcs11.SessionHandle, key *cached) error {
		if err := needs(key, hsm.AES, "decrypt"); err != nil {
			return err
		}
		plaintext, err = m.open(session, key.object, s, aad)
		return err
	})
	return plaintext, err
}

func needs(key *cached, family hsm.KeyFamily, does string) error {
	if key.spec.Family != family {
		return fmt.Errorf("%w: a key of spec %s does not %s", hsm.ErrUnsupported, key.spec.Name, does)
	}
	return nil
}

// digestInfo are the DER prefixes of RFC 8017, section 9.2, note 1.
var digestInfo = map[crypto.Hash][]byte{
	crypto.SHA256: {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20},
	crypto.SHA384: {0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30},
	crypto.SHA512: {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40},
}

var pssHashes = map[crypto.Hash][2]uint{
	crypto.SHA256: {pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256},
	crypto.SHA384: {pkcs11.CKM_SHA384, pkcs11.CKG_MGF1_SHA384},
	crypto.SHA512: {pkcs11.CKM_SHA512, pkcs11.CKG_MGF1_SHA512},
}

// Sign a digest with the key of a token. An ECDSA signature is DER (RFC 3279, section 2.2.3), and its s may be high or low.
func (m *Module) Sign(token *hsmpb.KeyToken, algorithm string, digest []byte) (signature []byte, err error) {
	err = m.withKey(token, func(session pkcs11.SessionHandle, key *cached) error {
		a, err := hsm.ParseSigningAlgorithm(algorithm, key.spec)
		if err != nil {
			return err
		}
		if len(digest) != a.Hash.Size() {
			return fmt.Errorf("%w: a digest of %d bytes; %s takes %d", hsm.ErrInvalidArgument, len(digest), algorithm, a.Hash.Size())
		}
		mechanism, input := signing(a, digest)
		if err := m.ctx.SignInit(session, mechanism, key.object); err != nil {
			return wrap("C_SignInit", err)
		}
		if signature, err = m.ctx.Sign(session, input); err != nil {
			return wrap("C_Sign", err)
		}
		if a.Family == hsm.EC {
			signature, err = encodeECDSA(signature)
		}
		return err
	})
	return signature, err
}

func signing(a hsm.SigningAlgorithm, digest []byte) (mechanism []*pkcs11.Mechanism, input []byte) {
	switch {
	case a.Family == hsm.EC:
		return one(pkcs11.CKM_ECDSA, nil), digest
	case a.PSS:
		hashes := pssHashes[a.Hash]
		return one(pkcs11.CKM_RSA_PKCS_PSS, pkcs11.NewPSSParams(hashes[0], hashes[1], uint(a.Hash.Size()))), digest
	default:
		return one(pkcs11.CKM_RSA_PKCS, nil), append(append([]byte(nil), digestInfo[a.Hash]...), digest...)
	}
}

// encodeECDSA turns PKCS#11's two halves into DER.
func encodeECDSA(raw []byte) ([]byte, error) {
	if len(raw) == 0 || len(raw)%2 != 0 {
		return nil, fmt.Errorf("%w: it made an ECDSA signature of %d bytes", hsm.ErrModule, len(raw))
	}
	half := len(raw) / 2
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:half]), new(big.Int).SetBytes(raw[half:])})
}
