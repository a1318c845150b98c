//go:build cgo

package module

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"fmt"

	"github.com/miekg/pkcs11"

	"strongroom.dev/strongroom/internal/core/hsm"
)

// keyWrapPad is CKM_AES_KEY_WRAP_PAD (PKCS #11 v2.40, section 2.14): the library's constant is that of older drafts in some versions.
const keyWrapPad = 0x210A

// curves are OIDs of RFC 5480 and Go's own curves.
var curves = map[int]struct {
	oid   asn1.ObjectIdentifier
	curve elliptic.Curve
}{
	256: {asn1.ObjectIdentifier{1, 2, 840, 10045, 3, 1, 7}, elliptic.P256()},
	384: {asn1.ObjectIdentifier{1, 3, 132, 0, 34}, elliptic.P384()},
	521: {asn1.ObjectIdentifier{1, 3, 132, 0, 35}, elliptic.P521()},
}

// GenerateKey makes a key inside of the module, and answers its token and public half. The key itself is a session object that is
// destroyed before it answers.
func (m *Module) GenerateKey(spec hsm.KeySpec, aad []byte, epoch int64) (token, public []byte, err error) {
	if len(aad) > hsm.MaxAAD {
		return nil, nil, fmt.Errorf("%w: an AAD of %d bytes", hsm.ErrInvalidArgument, len(aad))
	}
	err = m.use(func(session pkcs11.SessionHandle) error {
		number, keys, err := m.epoch(epoch)
		if err != nil {
			return err
		}
		key, pub, err := m.generate(session, spec)
		if err != nil {
			return err
		}
		defer m.ctx.DestroyObject(session, key) //nolint:errcheck // a session object: it is gone with the session at the latest
		if pub != 0 {
			public, err = m.publicKey(session, spec, pub)
			_ = m.ctx.DestroyObject(session, pub)
			if err != nil {
				return err
			}
		}
		wrapped, err := m.ctx.WrapKey(session, one(keyWrapPad, nil), keys.wrapping, key)
		if err != nil {
			return wrap("C_WrapKey", err)
		}
		token, err = m.seal(session, keys.domain, hsm.Sealed{Kind: hsm.KindToken, Spec: spec, Epoch: number}, aad, wrapped)
		return err
	})
	return token, public, err
}

func (m *Module) generate(session pkcs11.SessionHandle, spec hsm.KeySpec) (key, public pkcs11.ObjectHandle, err error) {
	// Extractable, since it must be wrapped; what is unwrapped from the token is not.
	private := append(insideTemplate(spec, true), attr(pkcs11.CKA_TOKEN, false))
	publicTemplate := []*pkcs11.Attribute{attr(pkcs11.CKA_TOKEN, false), attr(pkcs11.CKA_PRIVATE, false), attr(pkcs11.CKA_VERIFY, true)}
	switch spec.Family {
	case hsm.AES:
		key, err = m.ctx.GenerateKey(session, one(pkcs11.CKM_AES_KEY_GEN, nil), append(private, attr(pkcs11.CKA_VALUE_LEN, hsm.KeySize)))
		if err != nil {
			err = wrap("C_GenerateKey", err)
		}
		return key, 0, err
	case hsm.EC:
		oid, err := asn1.Marshal(curves[spec.Bits].oid)
		if err != nil {
			return 0, 0, err
		}
		public, key, err = m.ctx.GenerateKeyPair(session, one(pkcs11.CKM_EC_KEY_PAIR_GEN, nil), append(publicTemplate, attr(pkcs11.CKA_EC_PARAMS, oid)), private)
		if err != nil {
			return 0, 0, wrap("C_GenerateKeyPair", err)
		}
		return key, public, nil
	default:
		publicTemplate = append(publicTemplate, attr(pkcs11.CKA_MODULUS_BITS, spec.Bits), attr(pkcs11.CKA_PUBLIC_EXPONENT, []byte{1, 0, 1}))
		public, key, err = m.ctx.GenerateKeyPair(session, one(pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN, nil), publicTemplate, private)
		if err != nil {
			return 0, 0, wrap("C_GenerateKeyPair", err)
		}
		return key, public, nil
	}
}

// insideTemplate is that of a key in the module: it does what its spec is for, and nothing else.
func insideTemplate(spec hsm.KeySpec, extractable bool) []*pkcs11.Attribute {
	cipher := spec.Family == hsm.AES
	template := []*pkcs11.Attribute{
		attr(pkcs11.CKA_PRIVATE, true), attr(pkcs11.CKA_SENSITIVE, true), attr(pkcs11.CKA_EXTRACTABLE, extractable),
		attr(pkcs11.CKA_SIGN, !cipher), attr(pkcs11.CKA_DECRYPT, cipher), attr(pkcs11.CKA_UNWRAP, false), attr(pkcs11.CKA_DERIVE, false),
	}
	if cipher {
		return append(template, attr(pkcs11.CKA_ENCRYPT, true), attr(pkcs11.CKA_WRAP, false), attr(pkcs11.CKA_VERIFY, false))
	}
	return template
}

func (m *Module) publicKey(session pkcs11.SessionHandle, spec hsm.KeySpec, public pkcs11.ObjectHandle) ([]byte, error) {
	if spec.Family == hsm.RSA {
		return m.rsaPublicKey(session, public)
	}
	got, err := m.ctx.GetAttributeValue(session, public, []*pkcs11.Attribute{attr(pkcs11.CKA_EC_POINT, nil)})
	if err != nil {
		return nil, wrap("C_GetAttributeValue of a public key", err)
	}
	point := got[0].Value
	var inner []byte
	if rest, err := asn1.Unmarshal(point, &inner); err == nil && len(rest) == 0 { // an OCTET STRING by the standard; some modules leave that out
		point = inner
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curves[spec.Bits].curve, point)
	if err != nil {
		return nil, fmt.Errorf("%w: its public key: %w", hsm.ErrModule, err)
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("%w: its public key: %w", hsm.ErrModule, err)
	}
	return der, nil
}
