package keys

import (
	"bytes"
	"compress/bzip2"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/mldsa"
	"crypto/rsa"
	"crypto/sha3"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"testing"

	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// hexed is bytes in hexadecimal digits.
type hexed []byte

func (h *hexed) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// acvp are vectors of NIST's ACVP server: see its source, which the file names. Those of the answer false are wrong in a way that the server has made, such as a
// signature of another message, or a point that is not on the curve.
type acvp struct {
	HMAC []struct {
		Algorithm         MacAlgorithm
		Case              int
		Key, Message, Mac hexed
	}
	GCM []struct {
		Case                                     int
		Key, IV, AAD, Plaintext, Ciphertext, Tag hexed
		Valid                                    bool
	}
	HKDF []struct {
		Case               int
		Z, Salt, Info, Key hexed
		Valid              bool
	}
	ECKeys []struct {
		Spec  Spec
		Case  int
		X, Y  hexed
		Valid bool
	}
	ECDSA []struct {
		Spec                        Spec
		Algorithm                   SigningAlgorithm
		Case                        int
		Hash                        string
		Message, Digest, X, Y, R, S hexed
		Valid                       bool
	}
	EdKeys []struct {
		Case  int
		Key   hexed
		Valid bool
	}
	EdDSA []struct {
		Case                    int
		Key, Message, Signature hexed
		Valid                   bool
	}
	RSA []struct {
		Spec                  Spec
		Algorithm             SigningAlgorithm
		Case                  int
		N, Message, Signature hexed
		Valid                 bool
	}
	OAEP []struct {
		Case                              int
		N, D, P, Q, Ciphertext, Plaintext hexed
	}
	MLDSAKeys []struct {
		Spec         Spec
		Case         int
		Seed, Public hexed
	}
	MLDSA []struct {
		Spec                                    Spec
		Case                                    int
		Mu, Context, Message, Public, Signature hexed
		Valid                                   bool
	}
	MLKEMKeys []struct {
		Spec         Spec
		Case         int
		D, Z, Public hexed
	}
	ECDH []struct {
		Spec            Spec
		Case            int
		D, X, Y, Secret hexed
		Valid           bool
	}
}

// acvpVectors are those of testdata/acvp/vectors.json.bz2.
func acvpVectors(t *testing.T) (v acvp) {
	t.Helper()
	file, err := os.Open("testdata/acvp/vectors.json.bz2")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := json.NewDecoder(bzip2.NewReader(file)).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// counts checks how many vectors there were, and how many of them were good: a file that has lost them proves nothing.
func counts(t *testing.T, tried, good, wantTried, wantGood int) {
	t.Helper()
	if tried != wantTried || good != wantGood {
		t.Errorf("%d vectors, %d of them valid; there are %d and %d", tried, good, wantTried, wantGood)
	}
}

func TestCodesAreThoseOfACVP(t *testing.T) {
	specs := map[MacAlgorithm]Spec{HMACSHA224: HMAC224, HMACSHA256: HMAC256, HMACSHA384: HMAC384, HMACSHA512: HMAC512}
	v := acvpVectors(t).HMAC
	for _, c := range v {
		code, err := specs[c.Algorithm].Mac(secretbytes.Copy(c.Key), c.Algorithm, c.Message)
		if err != nil || !bytes.Equal(code, c.Mac) {
			t.Errorf("%s, case %d: %x, not %x: %v", c.Algorithm, c.Case, code, c.Mac, err)
		}
	}
	counts(t, len(v), len(v), 38, 38)
}

func TestTheCipherOfAMessageIsAES256GCMAsACVPHasIt(t *testing.T) {
	v := acvpVectors(t).GCM
	for _, c := range v {
		aead, err := gcm(c.Key)
		if err != nil {
			t.Fatal(err)
		}
		sealed := append(append(bytes.Clone(c.IV), c.Ciphertext...), c.Tag...) // as a blob has it behind its salt
		opened, err := aead.Open(nil, nil, sealed, c.AAD)
		if (err == nil) != c.Valid || c.Valid && !bytes.Equal(opened, c.Plaintext) {
			t.Errorf("case %d: %v", c.Case, err)
		}
		for i := range sealed {
			if i > 200 && i < len(sealed)-20 {
				continue
			}
			sealed[i] ^= 1
			if _, err := aead.Open(nil, nil, sealed, c.AAD); err == nil {
				t.Errorf("case %d: it opens with the byte %d changed", c.Case, i)
			}
			sealed[i] ^= 1
		}
	}
	counts(t, len(v), len(v), 2, 2)
}

// A blob's key is the first 32 bytes of what HKDF makes, of which the server asks for more.
func TestTheKeyOfAMessageIsHKDFAsACVPHasIt(t *testing.T) {
	v, good := acvpVectors(t).HKDF, 0
	for _, c := range v {
		var got [KeySize]byte
		var err error
		secretbytes.Do(func() { got, err = derive(secretbytes.Copy(c.Z), c.Salt, c.Info) })
		if len(c.Key) < KeySize || err != nil || bytes.Equal(got[:], c.Key[:KeySize]) != c.Valid {
			t.Errorf("case %d: %x, and ACVP has %x: %v", c.Case, got, c.Key, err)
		}
		if c.Valid {
			good++
		}
	}
	counts(t, len(v), good, 15, 13)
}

// onCurve is the SubjectPublicKeyInfo of a point, which need not be on the curve.
func onCurve(t *testing.T, s Spec, x, y hexed) []byte {
	t.Helper()
	oids := map[Spec]asn1.ObjectIdentifier{NISTP256: {1, 2, 840, 10045, 3, 1, 7}, NISTP384: {1, 3, 132, 0, 34}, NISTP521: {1, 3, 132, 0, 35}}
	size := (curves[s].Params().BitSize + 7) / 8
	point := append([]byte{4}, new(big.Int).SetBytes(x).FillBytes(make([]byte, max(size, len(x))))...)
	point = append(point, new(big.Int).SetBytes(y).FillBytes(make([]byte, max(size, len(y))))...)
	type algorithm struct{ Algorithm, Curve asn1.ObjectIdentifier }
	der, err := asn1.Marshal(struct {
		Algorithm algorithm
		Key       asn1.BitString
	}{algorithm{asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}, oids[s]}, asn1.BitString{Bytes: point, BitLength: 8 * len(point)}})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestPublicKeysOfCurvesAreTakenAsACVPJudgesThem(t *testing.T) {
	v, good := acvpVectors(t), 0
	for _, c := range v.ECKeys {
		if _, err := ParsePublicKey(c.Spec, onCurve(t, c.Spec, c.X, c.Y)); (err == nil) != c.Valid || err != nil && !errors.Is(err, ErrInvalidPublicKey) {
			t.Errorf("%s, case %d: %v", c.Spec, c.Case, err)
		}
		if c.Valid {
			good++
		}
	}
	counts(t, len(v.ECKeys), good, 3, 1)
}

func TestSignaturesOfCurvesAreJudgedAsACVPDoes(t *testing.T) {
	v, good := acvpVectors(t).ECDSA, 0
	for _, c := range v {
		public, err := ParsePublicKey(c.Spec, onCurve(t, c.Spec, c.X, c.Y))
		if err != nil {
			t.Errorf("%s, case %d: %v", c.Spec, c.Case, err)
			continue
		}
		signature, err := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(c.R), new(big.Int).SetBytes(c.S)})
		if err != nil {
			t.Fatal(err)
		}
		messages := []Message{{Bytes: c.Digest, Type: Digested}} // of whichever hash
		if len(c.Message) > 0 {
			messages = append(messages, Message{Bytes: c.Message})
		}
		for _, m := range messages {
			if err := public.Verify(c.Algorithm, m, signature); (err == nil) != c.Valid || err != nil && !errors.Is(err, ErrInvalidSignature) {
				t.Errorf("%s of %s, case %d, %q: %v", c.Spec, c.Hash, c.Case, m.Type, err)
			}
		}
		if c.Valid {
			good++
		}
	}
	counts(t, len(v), good, 7, 3)
}

func TestEd25519IsJudgedAsACVPDoes(t *testing.T) {
	v := acvpVectors(t)
	for _, c := range v.EdKeys {
		public, err := NewPublicKey(EDWARDS25519, ed25519.PublicKey(c.Key))
		if err == nil && !c.Valid { // a point that is none is a key that nothing is signed by
			err = public.Verify(ED25519SHA512, Message{Bytes: []byte("m")}, make([]byte, ed25519.SignatureSize))
		}
		if (err == nil) != c.Valid {
			t.Errorf("key, case %d: %v", c.Case, err)
		}
	}
	for _, c := range v.EdDSA {
		public, err := NewPublicKey(EDWARDS25519, ed25519.PublicKey(c.Key))
		if err != nil {
			t.Fatal(err)
		}
		if err := public.Verify(ED25519SHA512, Message{Bytes: c.Message}, c.Signature); (err == nil) != c.Valid || err != nil && !errors.Is(err, ErrInvalidSignature) {
			t.Errorf("case %d: %v", c.Case, err)
		}
	}
	counts(t, len(v.EdKeys)+len(v.EdDSA), 0, 2, 0) // Wycheproof and RFC 8032 have the good ones
}

func TestSignaturesOfRSAAreJudgedAsACVPDoes(t *testing.T) {
	v, good := acvpVectors(t).RSA, 0
	for _, c := range v {
		public, err := NewPublicKey(c.Spec, &rsa.PublicKey{N: new(big.Int).SetBytes(c.N), E: rsaExponent})
		if err != nil {
			t.Errorf("%s, case %d: %v", c.Spec, c.Case, err)
			continue
		}
		digest, err := Message{Bytes: c.Message}.Digest(c.Algorithm)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range []Message{{Bytes: c.Message}, {Bytes: digest, Type: Digested}} {
			if err := public.Verify(c.Algorithm, m, c.Signature); (err == nil) != c.Valid || err != nil && !errors.Is(err, ErrInvalidSignature) {
				t.Errorf("%s by %s, case %d: %v", c.Spec, c.Algorithm, c.Case, err)
			}
		}
		if c.Valid {
			good++
		}
	}
	counts(t, len(v), good, 54, 10)
}

func TestOAEPOpensWhatACVPHasEncrypted(t *testing.T) {
	v := acvpVectors(t).OAEP
	number := func(h hexed) *big.Int { return new(big.Int).SetBytes(h) }
	for _, c := range v {
		key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: number(c.N), E: rsaExponent}, D: number(c.D), Primes: []*big.Int{number(c.P), number(c.Q)}}
		key.Precompute()
		pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := ParsePrivateKey(RSA2048, secretbytes.Own(pkcs8))
		if err != nil {
			t.Fatal(err)
		}
		plaintext, err := parsed.Decrypt(OAEPSHA256, c.Ciphertext)
		if err != nil || !bytes.Equal(plaintext.Reveal(), c.Plaintext) {
			t.Errorf("case %d: %v", c.Case, err)
		}
		if _, err := parsed.Decrypt(OAEPSHA1, c.Ciphertext); !errors.Is(err, ErrInvalidCiphertext) {
			t.Errorf("case %d by another hash: %v", c.Case, err)
		}
	}
	counts(t, len(v), len(v), 1, 1)
}

func TestKeysOfMLDSAAreThoseOfACVPBySeed(t *testing.T) {
	v := acvpVectors(t).MLDSAKeys
	for _, c := range v {
		key, err := mldsa.NewPrivateKey(parameters[c.Spec], c.Seed)
		if err != nil {
			t.Fatal(err)
		}
		pkcs8, err := marshalPKCS8(key)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := ParsePrivateKey(c.Spec, secretbytes.Own(pkcs8))
		if err != nil {
			t.Fatal(err)
		}
		if got := parsed.Public().Key().(*mldsa.PublicKey).Bytes(); !bytes.Equal(got, c.Public) {
			t.Errorf("%s, case %d: another public key", c.Spec, c.Case)
		}
	}
	counts(t, len(v), len(v), 3, 3)
}

// Keys of AWS KMS sign without a context. What the server has signed with one is verified by its μ (FIPS 204, algorithm 7, line 6 and algorithm 2, line 10).
func TestSignaturesOfMLDSAAreJudgedAsACVPDoes(t *testing.T) {
	v, good := acvpVectors(t).MLDSA, 0
	for _, c := range v {
		key, err := mldsa.NewPublicKey(parameters[c.Spec], c.Public)
		if err != nil {
			t.Fatal(err)
		}
		public, err := NewPublicKey(c.Spec, key)
		if err != nil {
			t.Fatal(err)
		}
		mu := []byte(c.Mu)
		if len(mu) == 0 {
			message := append([]byte{0, byte(len(c.Context))}, c.Context...)
			mu = sha3.SumSHAKE256(append(append(sha3.SumSHAKE256(c.Public, 64), message...), c.Message...), muSize)
			if len(c.Context) > 0 && len(c.Message) <= MaxMessage && public.Verify(MLDSASHAKE256, Message{Bytes: c.Message}, c.Signature) == nil {
				t.Errorf("%s, case %d is valid without its context", c.Spec, c.Case)
			}
		}
		err = public.Verify(MLDSASHAKE256, Message{Bytes: mu, Type: ExternalMu}, c.Signature)
		if (err == nil) != c.Valid || err != nil && !errors.Is(err, ErrInvalidSignature) {
			t.Errorf("%s, case %d: %v", c.Spec, c.Case, err)
		}
		if c.Valid {
			good++
		}
	}
	counts(t, len(v), good, 6, 2)
}

func TestKeysOfMLKEMAreThoseOfACVPBySeed(t *testing.T) {
	v := acvpVectors(t).MLKEMKeys
	for _, c := range v {
		key, err := kems[c.Spec].private(append(bytes.Clone(c.D), c.Z...))
		if err != nil {
			t.Fatal(err)
		}
		pkcs8, err := marshalPKCS8(key)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := ParsePrivateKey(c.Spec, secretbytes.Own(pkcs8))
		if err != nil {
			t.Fatal(err)
		}
		if got := parsed.Public().key.(encapsulationKey).Bytes(); !bytes.Equal(got, c.Public) {
			t.Errorf("%s, case %d: another public key", c.Spec, c.Case)
		}
	}
	counts(t, len(v), len(v), 2, 2)
}

func TestSharedSecretsAreJudgedAsACVPDoes(t *testing.T) {
	v := acvpVectors(t).ECDH
	for _, c := range v {
		local, err := ecdh.P256().NewPrivateKey(c.D)
		if err != nil {
			t.Fatal(err)
		}
		pkcs8, err := x509.MarshalPKCS8PrivateKey(local)
		if err != nil {
			t.Fatal(err)
		}
		private, err := ParsePrivateKey(c.Spec, secretbytes.Own(pkcs8))
		if err != nil {
			t.Fatal(err)
		}
		peer, err := ParsePublicKey(c.Spec, onCurve(t, c.Spec, c.X, c.Y))
		if err != nil {
			t.Fatal(err)
		}
		secret, err := private.SharedSecret(peer)
		if err != nil || bytes.Equal(secret.Reveal(), c.Secret) != c.Valid {
			t.Errorf("case %d: %v", c.Case, err)
		}
		if peer.key.(*ecdsa.PublicKey).Curve != elliptic.P256() {
			t.Errorf("case %d: another curve", c.Case)
		}
	}
	counts(t, len(v), 0, 1, 0) // Wycheproof has the good ones
}
