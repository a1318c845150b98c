//go:build cgo

package module

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"maps"
	"math/big"
	"slices"

	"github.com/miekg/pkcs11"

	"strongroom.dev/strongroom/internal/core/hsm"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
)

const transportBits = 3072

// transport is the joiner's key pair: session objects, so that nothing of it stays.
type transport struct{ private pkcs11.ObjectHandle }

// oaep is RSAES-OAEP (RFC 8017) with one hash for label and mask.
type oaep struct{ hash, mask uint }

// oaepOf: SHA-1 is what SoftHSM 2.6.1 can. No property of OAEP that is needed rests on SHA-1's resistance to collisions.
func oaepOf(name string) (oaep, error) {
	switch name {
	case "SHA_1":
		return oaep{pkcs11.CKM_SHA_1, pkcs11.CKG_MGF1_SHA1}, nil
	case "SHA_256":
		return oaep{pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256}, nil
	}
	return oaep{}, fmt.Errorf("%w: the hash %q for OAEP; give SHA_1 or SHA_256", hsm.ErrInvalidArgument, name)
}

func (o oaep) mechanism() []*pkcs11.Mechanism {
	return one(pkcs11.CKM_RSA_PKCS_OAEP, pkcs11.NewOAEPParams(o.hash, o.mask, pkcs11.CKZ_DATA_SPECIFIED, nil))
}

// Join makes the transport pair and answers its public half as a SubjectPublicKeyInfo. It replaces an earlier one.
func (m *Module) Join() ([]byte, error) {
	m.login.Lock()
	defer m.login.Unlock()
	if !m.loggedIn {
		return nil, hsm.ErrUninitialized
	}
	if m.transport != nil {
		_ = m.ctx.DestroyObject(m.keeper, m.transport.private)
		m.transport = nil
	}
	public, private, err := m.ctx.GenerateKeyPair(m.keeper, one(pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN, nil),
		[]*pkcs11.Attribute{
			attr(pkcs11.CKA_TOKEN, false), attr(pkcs11.CKA_PRIVATE, false), attr(pkcs11.CKA_WRAP, true), attr(pkcs11.CKA_ENCRYPT, false),
			attr(pkcs11.CKA_MODULUS_BITS, transportBits), attr(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}),
		},
		[]*pkcs11.Attribute{
			attr(pkcs11.CKA_TOKEN, false), attr(pkcs11.CKA_PRIVATE, true), attr(pkcs11.CKA_SENSITIVE, true), attr(pkcs11.CKA_EXTRACTABLE, false),
			attr(pkcs11.CKA_UNWRAP, true), attr(pkcs11.CKA_DECRYPT, false), attr(pkcs11.CKA_SIGN, false),
		})
	if err != nil {
		return nil, wrap("C_GenerateKeyPair of a transport key", err)
	}
	der, err := m.rsaPublicKey(m.keeper, public)
	_ = m.ctx.DestroyObject(m.keeper, public)
	if err != nil {
		return nil, err
	}
	m.transport = &transport{private}
	return der, nil
}

// Clone wraps every domain key under a transport key. The token itself makes sure that the security officer agreed: it wraps them
// under a key alone that the officer marked as trusted. That mark is on a session object, so a crash leaves none behind. Nothing
// else goes on meanwhile, since a token has one login at a time; it takes milliseconds.
func (m *Module) Clone(soPIN, pin, transportKey []byte) ([]*hsmpb.WrappedDomainKey, error) {
	key, err := parseTransportKey(transportKey)
	if err != nil {
		return nil, err
	}
	m.login.Lock()
	defer m.login.Unlock()
	if !m.loggedIn {
		return nil, hsm.ErrUninitialized
	}
	if len(m.epochs) == 0 {
		return nil, hsm.ErrNoDomainKey
	}
	if err := m.logout(); err != nil {
		return nil, err
	}
	trusted, failed := m.trust(soPIN, key)
	if err := m.loginUser(pin); err != nil { // the process starts anew, and the parent judges the PIN there
		return nil, fmt.Errorf("%w: the user could not log in again: %s", hsm.ErrModuleLost, err) //nolint:errorlint // it must not count as the officer's wrong PIN
	}
	if failed != nil {
		return nil, failed
	}
	defer m.ctx.DestroyObject(m.keeper, trusted) //nolint:errcheck // it is gone with the session at the latest
	var out []*hsmpb.WrappedDomainKey
	for _, epoch := range slices.Sorted(maps.Keys(m.epochs)) {
		keys := m.epochs[epoch]
		wrapped := &hsmpb.WrappedDomainKey{DomainKey: keys.message(epoch)}
		if wrapped.Wrapped, err = m.ctx.WrapKey(m.keeper, m.oaep.mechanism(), trusted, keys.domain); err != nil {
			return nil, wrap("C_WrapKey of a domain key", err)
		}
		if wrapped.WrappedWrappingKey, err = m.ctx.WrapKey(m.keeper, m.oaep.mechanism(), trusted, keys.wrapping); err != nil {
			return nil, wrap("C_WrapKey of a wrapping key", err)
		}
		out = append(out, wrapped)
	}
	return out, nil
}

// trust imports a public key as trusted, which the token lets the security officer do alone.
func (m *Module) trust(soPIN []byte, key *rsa.PublicKey) (pkcs11.ObjectHandle, error) {
	if err := m.ctx.Login(m.keeper, pkcs11.CKU_SO, string(soPIN)); err != nil {
		return 0, wrap("C_Login of the security officer", err)
	}
	trusted, err := m.ctx.CreateObject(m.keeper, append(publicKeyTemplate(key), attr(pkcs11.CKA_TRUSTED, true)))
	if err != nil {
		err = wrap("C_CreateObject of a trusted key", err)
	}
	if out := m.ctx.Logout(m.keeper); out != nil {
		return 0, wrap("C_Logout", out)
	}
	return trusted, err
}

func publicKeyTemplate(key *rsa.PublicKey) []*pkcs11.Attribute {
	return []*pkcs11.Attribute{
		attr(pkcs11.CKA_CLASS, pkcs11.CKO_PUBLIC_KEY), attr(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_RSA), attr(pkcs11.CKA_TOKEN, false),
		attr(pkcs11.CKA_PRIVATE, false), attr(pkcs11.CKA_WRAP, true), attr(pkcs11.CKA_ENCRYPT, false), attr(pkcs11.CKA_VERIFY, false),
		attr(pkcs11.CKA_MODULUS, key.N.Bytes()), attr(pkcs11.CKA_PUBLIC_EXPONENT, big.NewInt(int64(key.E)).Bytes()),
	}
}

func parseTransportKey(der []byte) (*rsa.PublicKey, error) {
	const most = 2 << 10
	if len(der) > most {
		return nil, fmt.Errorf("%w: a transport key of %d bytes", hsm.ErrInvalidArgument, len(der))
	}
	parsed, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("%w: the transport key: %w", hsm.ErrInvalidArgument, err)
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok || key.N.BitLen() != transportBits || key.E != 65537 {
		return nil, fmt.Errorf("%w: the transport key must be RSA of %d bits with the exponent 65537", hsm.ErrInvalidArgument, transportBits)
	}
	return key, nil
}

// Import unwraps what Clone made for the transport key of Join, and compares key check values. It is idempotent. An epoch that is there
// with another key is ErrExists, and the token keeps what it has.
func (m *Module) Import(wrapped []*hsmpb.WrappedDomainKey) ([]*hsmpb.DomainKey, error) {
	m.login.Lock()
	defer m.login.Unlock()
	if !m.loggedIn {
		return nil, hsm.ErrUninitialized
	}
	if m.transport == nil {
		return nil, hsm.ErrNoTransportKey
	}
	for _, w := range wrapped {
		if err := m.importOne(w); err != nil {
			return nil, fmt.Errorf("epoch %d: %w", w.GetDomainKey().GetEpoch(), err)
		}
	}
	_ = m.ctx.DestroyObject(m.keeper, m.transport.private) // it has served; a session object, gone with the process at the latest
	m.transport = nil
	return m.domainKeys(), nil
}

func (m *Module) importOne(w *hsmpb.WrappedDomainKey) error {
	epoch := w.GetDomainKey().GetEpoch()
	if keys, ok := m.epochs[epoch]; ok {
		if same(keys.message(epoch), w.GetDomainKey()) {
			return nil
		}
		return fmt.Errorf("%w, and it is another one", hsm.ErrExists)
	}
	if err := m.takes(epoch); err != nil {
		return err
	}
	if err := m.makeRoom(epoch); err != nil {
		return err
	}
	template, free := wrappingKeyTemplate(epoch)
	defer free()
	wrapping, err := m.receive(w.GetWrappedWrappingKey(), template, w.GetDomainKey().GetWrappingKeyCheckValue())
	if err != nil {
		return err
	}
	// The domain key comes last and makes it true: a crash before it leaves a wrapping key that the next Import removes.
	if _, err := m.receive(w.GetWrapped(), domainKeyTemplate(epoch), w.GetDomainKey().GetKeyCheckValue()); err != nil {
		_ = m.ctx.DestroyObject(m.keeper, wrapping)
		return err
	}
	return m.findDomainKeys()
}

// receive unwraps one key onto the token, and removes it again if it is not the one that was announced.
func (m *Module) receive(wrapped []byte, template []*pkcs11.Attribute, check []byte) (pkcs11.ObjectHandle, error) {
	if len(wrapped) != transportBits/8 {
		return 0, fmt.Errorf("%w: a wrapped domain key of %d bytes; it is %d under a transport key", hsm.ErrInvalidArgument, len(wrapped), transportBits/8)
	}
	template = append(template, attr(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), attr(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES))
	key, err := m.ctx.UnwrapKey(m.keeper, m.oaep.mechanism(), m.transport.private, wrapped, template)
	if err != nil {
		if kind := wrap("C_UnwrapKey", err); lostOrUnsupported(kind) {
			return 0, kind
		}
		return 0, fmt.Errorf("%w: it was wrapped for another transport key, or with another hash (%w)", hsm.ErrInvalidCiphertext, err)
	}
	got, err := m.checkValue(key)
	if err == nil && string(got) != string(check) {
		err = fmt.Errorf("%w: it is %x and was announced as %x", hsm.ErrMismatch, got, check)
	}
	if err != nil {
		_ = m.ctx.DestroyObject(m.keeper, key)
		return 0, err
	}
	return key, nil
}

// rsaPublicKey reads the public half as a SubjectPublicKeyInfo.
func (m *Module) rsaPublicKey(session pkcs11.SessionHandle, public pkcs11.ObjectHandle) ([]byte, error) {
	got, err := m.ctx.GetAttributeValue(session, public, []*pkcs11.Attribute{attr(pkcs11.CKA_MODULUS, nil), attr(pkcs11.CKA_PUBLIC_EXPONENT, nil)})
	if err != nil {
		return nil, wrap("C_GetAttributeValue of a public key", err)
	}
	e := got[1].Value
	if len(e) > 8 {
		return nil, fmt.Errorf("%w: a public exponent of %d bytes", hsm.ErrModule, len(e))
	}
	exponent := binary.BigEndian.Uint64(append(make([]byte, 8-len(e)), e...))
	der, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: new(big.Int).SetBytes(got[0].Value), E: int(exponent)})
	if err != nil {
		return nil, fmt.Errorf("%w: its public key: %w", hsm.ErrModule, err)
	}
	return der, nil
}
