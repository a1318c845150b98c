package pki_test

import (
	"bytes"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

func exported(t testing.TB, a pki.KeyAlgorithm, passphrase []byte) []byte {
	t.Helper()
	return must(pki.EncryptKey(must(pki.MarshalKey(keyOf(t, a))), secretbytes.Copy(passphrase)))
}

// opensByFile has openssl pkcs8 open an exported key by a passphrase of any bytes, which it reads from a file up to the end of a line.
func opensByFile(t testing.TB, text, passphrase []byte) (string, error) {
	t.Helper()
	return openssl(t, "pkcs8", "-in", file(t, "key.pem", text), "-passin", "file:"+file(t, "passphrase", append(bytes.Clone(passphrase), '\n')))
}

func TestAPassphraseOfEachLengthAndByteOpensItsKeyInOpenSSL(t *testing.T) {
	for name, passphrase := range map[string][]byte{
		"the shortest, of signs": []byte(`"$(\`), "the longest": bytes.Repeat([]byte("x"), 128), "of UTF-8": []byte("pässwörd ✓ "), "of bytes that are no text": {0xff, 0xfe, 0x80, 0x01},
	} {
		text := exported(t, pki.ECPrime256v1, passphrase)
		out, err := opensByFile(t, text, passphrase)
		if err != nil {
			t.Errorf("%s: %s", name, out)
			continue
		}
		if key, err := pki.ParseKey([]byte(out)); err != nil || !samePublic(key, keyOf(t, pki.ECPrime256v1)) {
			t.Errorf("%s: %v", name, err)
		}
		if out, err := opensByFile(t, text, passphrase[:len(passphrase)-1]); err == nil {
			t.Errorf("%s: it opens by all of it but the last byte: %s", name, out)
		}
	}
}

func TestTheLimitsOfAPassphraseAreExact(t *testing.T) {
	der := must(pki.MarshalKey(keyOf(t, pki.ECPrime256v1)))
	for n, good := range map[int]bool{0: false, 3: false, 4: true, 128: true, 129: false, 4096: false} {
		text, err := pki.EncryptKey(der, secretbytes.Own(bytes.Repeat([]byte("p"), n)))
		if (err == nil) != good || !good && (!errors.Is(err, pki.ErrTooLarge) || text != nil || strings.Contains(err.Error(), "ppp")) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestTheSameKeyIsNeverExportedTheSameWayTwice(t *testing.T) {
	type parameters struct {
		Scheme asn1.ObjectIdentifier
		Of     struct {
			Derivation struct {
				Algorithm asn1.ObjectIdentifier
				Of        struct {
					Salt       []byte
					Iterations int
					Rest       asn1.RawValue `asn1:"optional"`
				}
			}
			Encryption struct {
				Algorithm asn1.ObjectIdentifier
				IV        []byte
			}
		}
	}
	salts, vectors := map[string]bool{}, map[string]bool{}
	for range 5 {
		found, _ := pem.Decode(exported(t, pki.ECPrime256v1, []byte("passphrase")))
		var info struct {
			Algorithm  parameters
			Ciphertext []byte
		}
		if rest, err := asn1.Unmarshal(found.Bytes, &info); err != nil || len(rest) > 0 {
			t.Fatal(err)
		}
		derivation := info.Algorithm.Of.Derivation.Of
		if len(derivation.Salt) < 16 || derivation.Iterations < 600_000 || len(info.Algorithm.Of.Encryption.IV) != 16 {
			t.Errorf("a salt of %d bytes, %d iterations", len(derivation.Salt), derivation.Iterations)
		}
		salts[string(derivation.Salt)], vectors[string(info.Algorithm.Of.Encryption.IV)] = true, true
	}
	if len(salts) != 5 || len(vectors) != 5 {
		t.Errorf("%d salts and %d initial vectors of 5", len(salts), len(vectors))
	}
}

func TestAnExportedKeyIsNotReadBackAsOneThatIsOpen(t *testing.T) {
	text := exported(t, pki.RSA2048, []byte("passphrase"))
	_, err := pki.ParseKey(text)
	if !errors.Is(err, pki.ErrUnsupported) || !strings.Contains(err.Error(), "decrypt it first") {
		t.Error(err)
	}
	// nor one that was encrypted by openssl, in its form of today and in its old one
	plain := file(t, "plain.pem", pki.KeyPEM(must(pki.MarshalKey(keyOf(t, pki.RSA2048)))).Reveal())
	for _, args := range [][]string{{"pkcs8", "-topk8", "-v2", "aes-256-cbc"}, {"rsa", "-aes128", "-traditional"}} {
		out := filepath.Join(t.TempDir(), "out.pem")
		if text, err := openssl(t, append(args, "-in", plain, "-out", out, "-passout", "pass:passphrase")...); err != nil {
			t.Fatal(text)
		}
		if _, err := pki.ParseKey(must(os.ReadFile(out))); !errors.Is(err, pki.ErrUnsupported) {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestAKeyThatOpenSSLMakesIsReadInEachOfItsForms(t *testing.T) {
	for name, args := range map[string][]string{
		"RSA in PKCS #8":        {"genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"},
		"P-256 in PKCS #8":      {"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
		"P-384 in PKCS #8":      {"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"},
		"P-521 with parameters": {"ecparam", "-genkey", "-name", "secp521r1"},
		"P-256 without them":    {"ecparam", "-genkey", "-name", "prime256v1", "-noout"},
		"RSA in PKCS #1":        {"genrsa", "-traditional", "3072"},
		"a compressed point":    {"ecparam", "-genkey", "-name", "prime256v1", "-noout", "-conv_form", "compressed"},
	} {
		out := filepath.Join(t.TempDir(), "key.pem")
		if text, err := openssl(t, append([]string{args[0], "-out", out}, args[1:]...)...); err != nil { // genrsa has its bits last
			t.Errorf("%s: %s", name, text)
			continue
		}
		key, err := pki.ParseKey(must(os.ReadFile(out)))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, err := pki.AlgorithmOf(key.Public()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, args := range map[string][]string{
		"secp256k1":          {"ecparam", "-genkey", "-name", "secp256k1", "-noout"},
		"Brainpool":          {"ecparam", "-genkey", "-name", "brainpoolP256r1", "-noout"},
		"explicit curves":    {"ecparam", "-genkey", "-name", "prime256v1", "-noout", "-param_enc", "explicit"},
		"DSA":                {"genpkey", "-genparam", "-algorithm", "DSA", "-pkeyopt", "dsa_paramgen_bits:2048"},
		"Ed25519":            {"genpkey", "-algorithm", "ED25519"},
		"X25519":             {"genpkey", "-algorithm", "X25519"},
		"Ed448":              {"genpkey", "-algorithm", "ED448"},
		"RSASSA-PSS of 2048": {"genpkey", "-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"},
	} {
		out := filepath.Join(t.TempDir(), "key.pem")
		if text, err := openssl(t, append(args, "-out", out)...); err != nil {
			t.Errorf("%s: %s", name, text)
			continue
		}
		if key, err := pki.ParseKey(must(os.ReadFile(out))); !errors.Is(err, pki.ErrMalformed) && !errors.Is(err, pki.ErrUnsupported) {
			t.Errorf("%s is read: %T, %v", name, key, err)
		}
	}
}

func TestARequestThatOpenSSLMakesIsReadAndIssuedFor(t *testing.T) {
	root := newRoot(t, pki.ECPrime256v1)
	for _, a := range pki.KeyAlgorithms() {
		key := file(t, "key.pem", pki.KeyPEM(must(pki.MarshalKey(keyOf(t, a)))).Reveal())
		out := filepath.Join(t.TempDir(), "request.pem")
		text, err := openssl(t, "req", "-new", "-key", key, "-out", out, "-subj", "/O=Shop/CN=a.example.com", "-addext", "subjectAltName=DNS:a.example.com,IP:10.0.0.1,email:ops@example.com")
		if err != nil {
			t.Fatal(text)
		}
		r, err := pki.ParseRequest(must(os.ReadFile(out)))
		if err != nil || r.Subject.String() != "CN=a.example.com,O=Shop" || len(r.IPAddresses) != 1 || len(r.EmailAddresses) != 1 {
			t.Errorf("%s: %v, %v", a, r, err)
			continue
		}
		leaf, err := root.Issue(r.PublicKey, pki.LeafRequest{Names: names(t, "a.example.com"), NotBefore: now.Add(-day), NotAfter: now.Add(day)})
		if err != nil || pki.CheckKey(keyOf(t, a), leaf) != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
}
