package keys_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// stored is key material as an Envelope's token holds it, with what it made: a signature, or a ciphertext of which it has the secret. Byte strings are
// base64 in the file.
type stored struct {
	Comment    string                `json:"comment"`
	Spec       keys.Spec             `json:"spec"`
	PKCS8      []byte                `json:"pkcs8"`
	SPKI       []byte                `json:"spki"`
	Algorithm  keys.SigningAlgorithm `json:"algorithm,omitempty"`
	Type       keys.MessageType      `json:"messageType,omitempty"`
	Message    []byte                `json:"message,omitempty"`
	Signature  []byte                `json:"signature,omitempty"`
	Ciphertext []byte                `json:"ciphertext,omitempty"`
	Secret     []byte                `json:"secret,omitempty"`
}

// frozenKeys is the SHA-256 of every file of key material, by its spec. Add files; never change or remove one: the keys that users hold would stop
// opening with it.
var frozenKeys = map[keys.Spec]string{
	keys.EDWARDS25519: "f37a426fdc5540d0b542783a301cb56cb68ed268e4b954648586b6127fa838ef",
	keys.SECGP256K1:   "aeebc1da00ecef0ce05b427eee632473f1b04d6c27d09fff1d489188df2d3be3",
	keys.MLDSA44:      "f719268c28c04df1224d42e834c560db026e5cf309e6389bb0393cef79a206d4",
	keys.MLDSA65:      "70213b32b01e111adc0d99ef5c0dbdb12a045cff2cbce91e85bd6d39b3ca2223",
	keys.MLDSA87:      "2ad1fe9dd5a6279085f998fed3e0d9819a79abf3078bf916499cab61b37eb0c4",
	keys.MLKEM768:     "6fa043dccf461935207139b4480e46a2db6b323b7ce9562990fca83be4eb5b00",
	keys.MLKEM1024:    "e57345ad0d3d96bf911b1c916d4d98700e0a4b460ce88e1db4b4466147fbd1b6",
}

func storedPath(spec keys.Spec) string {
	return filepath.Join("testdata", "material", "v1-"+strings.ToLower(strings.ReplaceAll(string(spec), "_", "-"))+".json")
}

func storedKey(t testing.TB, spec keys.Spec) stored {
	t.Helper()
	if *addGolden {
		writeStored(t, spec)
	}
	raw, err := os.ReadFile(storedPath(spec))
	if err != nil {
		t.Fatal(err)
	}
	if got := hex.EncodeToString(sumOf(raw)); got != frozenKeys[spec] {
		t.Errorf("%s is not as it was frozen: its SHA-256 is %s and must stay %s; restore the file", storedPath(spec), got, frozenKeys[spec])
	}
	var k stored
	if err := json.Unmarshal(raw, &k); err != nil {
		t.Fatal(err)
	}
	return k
}

func writeStored(t testing.TB, spec keys.Spec) {
	t.Helper()
	key := private(t, spec)
	k := stored{
		Comment: "Key material, format version 1, of a key that is used nowhere. Never change this file.",
		Spec:    spec, PKCS8: generated()[spec].Reveal(), SPKI: key.Public().DER(),
	}
	if spec.EncapsulationAlgorithms() != nil {
		secret, ciphertext, err := key.Public().Encapsulate(keys.MLKEM)
		if err != nil {
			t.Fatal(err)
		}
		k.Ciphertext, k.Secret = ciphertext, secret.Reveal()
	} else {
		a := spec.SigningAlgorithms()[0]
		message := saying(a, "frozen")
		signature, err := key.Sign(a, message)
		if err != nil {
			t.Fatal(err)
		}
		k.Algorithm, k.Type, k.Message, k.Signature = a, message.Type, message.Bytes, signature
	}
	raw, err := json.MarshalIndent(k, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(storedPath(spec), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if os.IsExist(err) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(f, "%s\n", raw)
	if closed := f.Close(); err != nil || closed != nil {
		t.Fatal(err, closed)
	}
}

func TestStoredKeyMaterialIsReadForEver(t *testing.T) {
	for spec := range frozenKeys {
		k := storedKey(t, spec)
		key, err := keys.ParsePrivateKey(k.Spec, secretbytes.Own(k.PKCS8))
		if err != nil || k.Spec != spec {
			t.Errorf("%s: %v", spec, err)
			continue
		}
		if !bytes.Equal(key.Public().DER(), k.SPKI) {
			t.Errorf("%s: the public half is %x", spec, key.Public().DER())
		}
		if spec.EncapsulationAlgorithms() != nil {
			if secret, err := key.Decapsulate(keys.MLKEM, k.Ciphertext); err != nil || !bytes.Equal(secret.Reveal(), k.Secret) || len(k.Secret) != 32 {
				t.Errorf("%s: the secret of the ciphertext: %v", spec, err)
			}
			continue
		}
		public, err := keys.ParsePublicKey(spec, k.SPKI)
		if err != nil || public.Verify(k.Algorithm, keys.Message{Bytes: k.Message, Type: k.Type}, k.Signature) != nil {
			t.Errorf("%s: what it signed does not verify: %v", spec, err)
		}
	}
}

// The lengths are AWS's: RFC 8410's, RFC 9881's, RFC 9935's, and those of an uncompressed point.
func TestPublicKeysAreSubjectPublicKeyInfosOfKnownLengths(t *testing.T) {
	for spec, want := range map[keys.Spec]int{
		keys.EDWARDS25519: 44, keys.SECGP256K1: 88, keys.MLDSA44: 1312 + 22, keys.MLDSA65: 1952 + 22, keys.MLDSA87: 2592 + 22,
		keys.MLKEM768: 1184 + 22, keys.MLKEM1024: 1568 + 22,
	} {
		if got := len(private(t, spec).Public().DER()); got != want {
			t.Errorf("%s: %d bytes", spec, got)
		}
	}
}

// What AWS KMS signs by ED25519_PH_SHA_512 is Ed25519ph of the digest that it is given, and not of what that is the digest of.
func TestThePrehashOfEd25519IsHashedAgain(t *testing.T) {
	key := private(t, keys.EDWARDS25519)
	message := saying(keys.ED25519PHSHA512, "hashed by the caller")
	signature, err := key.Sign(keys.ED25519PHSHA512, message)
	if err != nil {
		t.Fatal(err)
	}
	public, options := key.Public().Key().(ed25519.PublicKey), &ed25519.Options{Hash: crypto.SHA512}
	again := sha512.Sum512(message.Bytes)
	if err := ed25519.VerifyWithOptions(public, again[:], signature, options); err != nil {
		t.Errorf("Ed25519ph of the digest: %v", err)
	}
	if err := ed25519.VerifyWithOptions(public, message.Bytes, signature, options); err == nil {
		t.Error("it is Ed25519ph of what was hashed by the caller")
	}
}

// ML-DSA of a message and of its μ is the same, whichever of both is signed and whichever verified.
func TestAMessageOfMLDSAAndItsMuAreOne(t *testing.T) {
	for _, spec := range []keys.Spec{keys.MLDSA44, keys.MLDSA65, keys.MLDSA87} {
		key := private(t, spec)
		message := keys.Message{Bytes: []byte("message")}
		mu := keys.Message{Bytes: muOf(key, message.Bytes), Type: keys.ExternalMu}
		for what, signed := range map[string]keys.Message{"message": message, "μ": mu} {
			signature, err := key.Sign(keys.MLDSASHAKE256, signed)
			if err != nil {
				t.Fatal(err)
			}
			for how, as := range map[string]keys.Message{"message": message, "μ": mu} {
				if err := key.Public().Verify(keys.MLDSASHAKE256, as, signature); err != nil {
					t.Errorf("%s: a signature of the %s, verified by the %s: %v", spec, what, how, err)
				}
			}
			plain := keys.Message{Bytes: mu.Bytes}
			if err := key.Public().Verify(keys.MLDSASHAKE256, plain, signature); err == nil {
				t.Errorf("%s: a μ is taken for a message", spec)
			}
		}
	}
}

// Signatures of secp256k1 have a nonce of their own each, and the lower of the two s, as those ask for whom the curve is for (BIP 62).
func TestSignaturesOfSecp256k1DifferAndHaveTheLowerS(t *testing.T) {
	key, seen := private(t, keys.SECGP256K1), map[string]bool{}
	half, _ := hex.DecodeString("7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0")
	for range 100 {
		signature, err := key.Sign(keys.ECDSASHA256, keys.Message{Bytes: []byte("the same")})
		if err != nil || key.Public().Verify(keys.ECDSASHA256, keys.Message{Bytes: []byte("the same")}, signature) != nil {
			t.Fatal(err)
		}
		if seen[string(signature)] {
			t.Error("a signature comes twice")
		}
		seen[string(signature)] = true
		s := signature[6+int(signature[3]):]
		if len(s) == 32 && bytes.Compare(s, half) > 0 || len(s) > 32 {
			t.Errorf("s is %x", s)
		}
	}
}

func TestSecp256k1KeysThatAreNoneAreRefused(t *testing.T) {
	good := storedKey(t, keys.SECGP256K1)
	scalar := bytes.Index(good.PKCS8, []byte{0x04, 0x20}) + 2
	with := func(b []byte) []byte {
		changed := bytes.Clone(good.PKCS8)
		copy(changed[scalar:], b)
		return changed
	}
	order, _ := hex.DecodeString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141")
	for name, der := range map[string][]byte{
		"zero": with(make([]byte, 32)), "the order": with(order), "another public half": with(bytes.Repeat([]byte{1}, 32)),
		"a byte more": append(bytes.Clone(good.PKCS8), 0), "P-256": generated()[keys.NISTP256].Reveal(),
	} {
		if key, err := keys.ParsePrivateKey(keys.SECGP256K1, secretbytes.Copy(der)); err != keys.ErrInvalidPrivateKey { //nolint:errorlint // the error itself
			t.Errorf("%s: %v, %v", name, key, err)
		}
	}
	point := len(good.SPKI) - 65
	changed := func(at int, to byte) []byte { c := bytes.Clone(good.SPKI); c[at] = to; return c }
	for name, der := range map[string][]byte{
		"a hybrid point": changed(point, 6), "a point that is on no curve": changed(len(good.SPKI)-1, good.SPKI[len(good.SPKI)-1]^1),
		"a byte more": append(bytes.Clone(good.SPKI), 0), "cut": good.SPKI[:len(good.SPKI)-1],
	} {
		if key, err := keys.ParsePublicKey(keys.SECGP256K1, der); key != nil || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
