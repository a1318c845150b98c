package keys

import (
	"bytes"
	"crypto/rand"
	"encoding/asn1"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// The standard library has no secp256k1: its numbers are the library's, and what is here is their DER, byte for byte as openssl writes it, and
// signatures whose nonces the library's variable-time arithmetic never sees as they are.

var (
	oidPublicKeyECDSA = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1} // RFC 5480, section 2.1.1
	oidSecp256k1      = asn1.ObjectIdentifier{1, 3, 132, 0, 10}       // SEC 2, section A.2.1
)

// scalarSize is the length of a number modulo the curve's order, in bytes.
const scalarSize = 32

type curveAlgorithm struct{ Algorithm, Curve asn1.ObjectIdentifier }

// curvePublicKey is a SubjectPublicKeyInfo (RFC 5480, section 2).
type curvePublicKey struct {
	Algorithm curveAlgorithm
	Key       asn1.BitString
}

// curvePKCS8 is a PrivateKeyInfo (RFC 5208, section 5). It holds a curvePrivateKey.
type curvePKCS8 struct {
	Version   int
	Algorithm curveAlgorithm
	Key       []byte
}

// curvePrivateKey is an ECPrivateKey (RFC 5915, section 3).
type curvePrivateKey struct {
	Version int
	Key     []byte
	Curve   asn1.ObjectIdentifier `asn1:"optional,explicit,tag:0"`
	Public  asn1.BitString        `asn1:"optional,explicit,tag:1"`
}

var secp256k1Algorithm = curveAlgorithm{oidPublicKeyECDSA, oidSecp256k1}

func (a curveAlgorithm) isP256K1() bool {
	return a.Algorithm.Equal(oidPublicKeyECDSA) && a.Curve.Equal(oidSecp256k1)
}

func marshalP256K1(key *secp256k1.PrivateKey) ([]byte, error) {
	scalar := key.Serialize()
	defer clear(scalar)
	inner, err := asn1.Marshal(curvePrivateKey{Version: 1, Key: scalar, Public: bitString(publicP256K1(key))})
	if err != nil {
		return nil, err
	}
	defer clear(inner)
	return asn1.Marshal(curvePKCS8{Algorithm: secp256k1Algorithm, Key: inner})
}

// holdsP256K1 tells whether a PrivateKeyInfo is of this curve.
func (k *curvePKCS8) holdsP256K1() bool { return k.Version == 0 && k.Algorithm.isP256K1() }

// holdsP256K1 tells whether an ECPrivateKey, which need not name its curve, is of this one.
func (k *curvePrivateKey) holdsP256K1() bool {
	return k.Version == 1 && len(k.Key) == scalarSize && (k.Curve == nil || k.Curve.Equal(oidSecp256k1))
}

// parseP256K1 fails with ErrInvalidPrivateKey, also if the key names a public half that is not its own.
func parseP256K1(pkcs8 []byte) (*PrivateKey, error) {
	var outer curvePKCS8
	var inner curvePrivateKey
	defer func() { clear(outer.Key); clear(inner.Key) }()
	if rest, err := asn1.Unmarshal(pkcs8, &outer); err != nil || len(rest) != 0 || !outer.holdsP256K1() {
		return nil, ErrInvalidPrivateKey
	}
	if rest, err := asn1.Unmarshal(outer.Key, &inner); err != nil || len(rest) != 0 || !inner.holdsP256K1() {
		return nil, ErrInvalidPrivateKey
	}
	var scalar secp256k1.ModNScalar
	defer scalar.Zero()
	if overflow := scalar.SetByteSlice(inner.Key); overflow || scalar.IsZero() {
		return nil, ErrInvalidPrivateKey
	}
	key := secp256k1.NewPrivateKey(&scalar)
	public := publicP256K1(key)
	half, err := newPublicP256K1(public)
	if err != nil || inner.Public.BitLength != 0 && !bytes.Equal(inner.Public.RightAlign(), public.SerializeUncompressed()) {
		key.Zero()
		return nil, ErrInvalidPrivateKey
	}
	return &PrivateKey{spec: SECGP256K1, key: key, public: half}, nil
}

func bitString(public *secp256k1.PublicKey) asn1.BitString {
	point := public.SerializeUncompressed()
	return asn1.BitString{Bytes: point, BitLength: 8 * len(point)}
}

func newPublicP256K1(key *secp256k1.PublicKey) (*PublicKey, error) {
	der, err := asn1.Marshal(curvePublicKey{secp256k1Algorithm, bitString(key)})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidPublicKey, err)
	}
	return &PublicKey{spec: SECGP256K1, key: key, der: der}, nil
}

// parsePublicP256K1 takes the uncompressed form alone, as x509 does for NIST's curves.
func parsePublicP256K1(der []byte) (*PublicKey, error) {
	var info curvePublicKey
	rest, err := asn1.Unmarshal(der, &info)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrInvalidPublicKey, err)
	case len(rest) != 0 || !info.Algorithm.isP256K1():
		return nil, fmt.Errorf("%w: it is no SubjectPublicKeyInfo of secp256k1", ErrInvalidPublicKey)
	case info.Key.BitLength != 8*secp256k1.PubKeyBytesLenUncompressed || info.Key.Bytes[0] != secp256k1.PubKeyFormatUncompressed:
		return nil, fmt.Errorf("%w: it is no uncompressed point", ErrInvalidPublicKey)
	}
	key, err := secp256k1.ParsePubKey(info.Key.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidPublicKey, err)
	}
	public, err := newPublicP256K1(key)
	if err != nil {
		return nil, err
	}
	if err := public.written(der); err != nil {
		return nil, err
	}
	return public, nil
}

// publicP256K1 is the public half of a key.
func publicP256K1(key *secp256k1.PrivateKey) *secp256k1.PublicKey {
	point := baseMultiple(&key.Key)
	return secp256k1.NewPublicKey(&point.X, &point.Y)
}

// baseMultiple is the affine point sG. The library's multiplication takes a time that depends on the scalar, so it is given two random ones that add up
// to s, and neither of them tells anything of it.
func baseMultiple(s *secp256k1.ModNScalar) *secp256k1.JacobianPoint {
	mask := randomScalar()
	rest := new(secp256k1.ModNScalar).NegateVal(mask).Add(s)
	defer mask.Zero()
	defer rest.Zero()
	var one, two, sum secp256k1.JacobianPoint
	secp256k1.ScalarBaseMultNonConst(mask, &one)
	secp256k1.ScalarBaseMultNonConst(rest, &two)
	secp256k1.AddNonConst(&one, &two, &sum)
	sum.ToAffine()
	return &sum
}

// inverse is 1/s. The library's inversion takes a time that depends on what it inverts, so that is s times a random factor.
func inverse(s *secp256k1.ModNScalar) *secp256k1.ModNScalar {
	mask := randomScalar()
	defer mask.Zero()
	masked := new(secp256k1.ModNScalar).Mul2(s, mask)
	defer masked.Zero()
	return new(secp256k1.ModNScalar).InverseValNonConst(masked).Mul(mask)
}

// randomScalar is uniform in 1 to n-1. crypto/rand never fails.
func randomScalar() *secp256k1.ModNScalar {
	var b [scalarSize]byte
	defer clear(b[:])
	for {
		_, _ = rand.Read(b[:])
		s := new(secp256k1.ModNScalar)
		if overflow := s.SetByteSlice(b[:]); !overflow && !s.IsZero() {
			return s
		}
	}
}

// signP256K1 is ECDSA of FIPS 186-5, section 6.4.1, of a digest of 32 bytes, as DER. The nonce is that of RFC 6979 with 32 random bytes more (section 3.6),
// so that neither a bad source of randomness nor a repeated message gives the key away. Of the two valid s it is the lower one, which those
// whom the curve is for demand (BIP 62).
func signP256K1(key *secp256k1.PrivateKey, digest []byte) ([]byte, error) {
	scalar, extra := key.Serialize(), make([]byte, scalarSize)
	defer clear(scalar)
	_, _ = rand.Read(extra)
	var e secp256k1.ModNScalar
	e.SetByteSlice(digest)
	for iteration := uint32(0); ; iteration++ {
		k := secp256k1.NonceRFC6979(scalar, digest, extra, nil, iteration)
		point := baseMultiple(k)
		var r secp256k1.ModNScalar
		r.SetBytes(point.X.Bytes()) // modulo n
		inverted := inverse(k)
		s := new(secp256k1.ModNScalar).Mul2(&key.Key, &r).Add(&e).Mul(inverted)
		k.Zero()
		inverted.Zero()
		if r.IsZero() || s.IsZero() {
			continue
		}
		if s.IsOverHalfOrder() {
			s.Negate()
		}
		return ecdsa.NewSignature(&r, s).Serialize(), nil
	}
}

func verifyP256K1(key *secp256k1.PublicKey, digest, signature []byte) bool {
	parsed, err := ecdsa.ParseDERSignature(signature)
	return err == nil && parsed.Verify(digest, key)
}
