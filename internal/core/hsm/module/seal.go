//go:build cgo

package module

import (
	"errors"
	"fmt"

	"github.com/miekg/pkcs11"

	"strongroom.dev/strongroom/internal/core/hsm"
)

// seal is AES-GCM by the module with a nonce of its generator. NIST SP 800-38D lets a key do so 2^32 times.
func (m *Module) seal(session pkcs11.SessionHandle, key pkcs11.ObjectHandle, s hsm.Sealed, aad, plaintext []byte) ([]byte, error) {
	nonce, err := m.random(session, hsm.NonceSize)
	if err != nil {
		return nil, err
	}
	params := pkcs11.NewGCMParams(nonce, s.AAD(aad), 8*hsm.TagSize)
	defer params.Free()
	if err := m.ctx.EncryptInit(session, one(pkcs11.CKM_AES_GCM, params), key); err != nil {
		return nil, wrap("C_EncryptInit", err)
	}
	if s.Body, err = m.ctx.Encrypt(session, plaintext); err != nil {
		return nil, wrap("C_Encrypt", err)
	}
	if s.Nonce = params.IV(); len(s.Nonce) != hsm.NonceSize { // some modules make one of their own
		return nil, fmt.Errorf("%w: it made a nonce of %d bytes, and %d are needed", hsm.ErrUnsupported, len(s.Nonce), hsm.NonceSize)
	}
	return s.Bytes(), nil
}

func (m *Module) open(session pkcs11.SessionHandle, key pkcs11.ObjectHandle, s hsm.Sealed, aad []byte) ([]byte, error) {
	params := pkcs11.NewGCMParams(s.Nonce, s.AAD(aad), 8*hsm.TagSize)
	defer params.Free()
	if err := m.ctx.DecryptInit(session, one(pkcs11.CKM_AES_GCM, params), key); err != nil {
		return nil, wrap("C_DecryptInit", err)
	}
	plaintext, err := m.ctx.Decrypt(session, s.Body)
	if err != nil {
		return nil, closed("C_Decrypt", err)
	}
	return plaintext, nil
}

// closed is the error of what does not open: modules differ in what they answer, and all but the loss of the module is one answer.
func closed(function string, err error) error {
	if kind := wrap(function, err); lostOrUnsupported(kind) {
		return kind
	}
	return hsm.ErrInvalidCiphertext
}

func lostOrUnsupported(err error) bool {
	return errors.Is(err, hsm.ErrModuleLost) || errors.Is(err, hsm.ErrUnsupported)
}

// Wrap encrypts a key of 32 bytes under the domain key of an epoch, the newest for 0.
func (m *Module) Wrap(key, aad []byte, epoch int64) (wrapped []byte, err error) {
	if len(key) != hsm.KeySize || len(aad) > hsm.MaxAAD {
		return nil, fmt.Errorf("%w: a key of %d bytes with an AAD of %d; give %d and at most %d", hsm.ErrInvalidArgument, len(key), len(aad), hsm.KeySize, hsm.MaxAAD)
	}
	err = m.use(func(session pkcs11.SessionHandle) error {
		number, keys, err := m.epoch(epoch)
		if err != nil {
			return err
		}
		wrapped, err = m.seal(session, keys.domain, hsm.Sealed{Kind: hsm.KindWrapped, Epoch: number}, aad, key)
		return err
	})
	return wrapped, err
}

// Unwrap decrypts what Wrap made.
func (m *Module) Unwrap(wrapped, aad []byte) (key []byte, err error) {
	s, err := hsm.ParseSealed(hsm.KindWrapped, wrapped)
	if err != nil {
		return nil, err
	}
	if len(aad) > hsm.MaxAAD {
		return nil, fmt.Errorf("%w: an AAD of %d bytes", hsm.ErrInvalidArgument, len(aad))
	}
	err = m.use(func(session pkcs11.SessionHandle) error {
		_, keys, err := m.epoch(s.Epoch)
		if err != nil {
			return err
		}
		key, err = m.open(session, keys.domain, s, aad)
		return err
	})
	return key, err
}
