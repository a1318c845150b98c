package keys_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// readVectors reads a file of Wycheproof: the same keys and signatures in every process of the fuzzer.
func readVectors(f *testing.F, name string, into any) {
	f.Helper()
	text, err := fs.ReadFile(wycheproof.TestVectors, name)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		f.Fatal(err)
	}
}

// What a caller of Verify sends is judged: it is valid, or one of the errors that AWS has words for.
func FuzzVerify(f *testing.F) {
	publics := map[bool]*keys.PublicKey{}
	for rsa, v := range map[bool]struct {
		spec keys.Spec
		file string
	}{false: {keys.NISTP256, "ecdsa_secp256r1_sha256_test.json"}, true: {keys.RSA2048, "rsa_pss_2048_sha256_mgf1_32_test.json"}} {
		var file signatures
		readVectors(f, v.file, &file)
		group := file.Groups[0]
		public, err := keys.ParsePublicKey(v.spec, unhex(f, group.PublicKeyDER))
		if err != nil {
			f.Fatal(err)
		}
		publics[rsa] = public
		for _, c := range group.Cases {
			for _, a := range v.spec.SigningAlgorithms() {
				digest, err := keys.Message{Bytes: unhex(f, c.Message)}.Digest(a)
				if err != nil {
					f.Fatal(err)
				}
				f.Add(rsa, string(a), digest, unhex(f, c.Signature))
			}
		}
	}
	f.Fuzz(func(t *testing.T, rsa bool, algorithm string, digest, signature []byte) {
		err := publics[rsa].Verify(keys.SigningAlgorithm(algorithm), keys.Message{Bytes: digest, Type: keys.Digested}, signature)
		if err != nil && !errors.Is(err, keys.ErrInvalidSignature) && !errors.Is(err, keys.ErrAlgorithm) && !errors.Is(err, keys.ErrDigestLength) {
			t.Errorf("by %q: %v", algorithm, err)
		}
		if err == nil && len(digest) != 32 && len(digest) != 48 && len(digest) != 64 {
			t.Errorf("by %q a digest of %d bytes is valid", algorithm, len(digest))
		}
	})
}

// What an Envelope's token held is a private key of the spec, whose signatures verify, or it is ErrInvalidPrivateKey.
func FuzzParsePrivateKey(f *testing.F) {
	specs := []keys.Spec{keys.NISTP256, keys.NISTP384, keys.RSA2048, keys.EDWARDS25519, keys.SECGP256K1, keys.MLDSA44, keys.MLKEM768, keys.MLKEM1024}
	for i, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384()} {
		key, err := ecdsa.ParseRawPrivateKey(curve, counting(1, curve.Params().BitSize/8))
		if err != nil {
			f.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), der)
	}
	var file struct {
		Groups []struct {
			PKCS8 string `json:"privateKeyPkcs8"`
		} `json:"testGroups"`
	}
	readVectors(f, "rsa_pkcs1_2048_sig_gen_test.json", &file)
	f.Add(uint8(2), unhex(f, file.Groups[0].PKCS8))
	for i, spec := range specs[3:] {
		f.Add(uint8(3+i), storedKey(f, spec).PKCS8)
	}
	f.Fuzz(func(t *testing.T, n uint8, pkcs8 []byte) {
		spec := specs[int(n)%len(specs)]
		key, err := keys.ParsePrivateKey(spec, secretbytes.Copy(pkcs8))
		if err != nil {
			if !errors.Is(err, keys.ErrInvalidPrivateKey) || key != nil {
				t.Errorf("%v, %v", key, err)
			}
			return
		}
		if spec.EncapsulationAlgorithms() != nil {
			agreed(t, key, key.Public())
			return
		}
		a := spec.SigningAlgorithms()[0]
		message := saying(a, "")
		if signature, err := key.Sign(a, message); err == nil && key.Public().Verify(a, message, signature) != nil {
			t.Error("what it signs does not verify")
		}
	})
}

// A SubjectPublicKeyInfo is what a caller sends who agrees on a secret, or brings key material: it is a key of the spec that is written back as it was, or
// it is ErrInvalidPublicKey.
func FuzzParsePublicKey(f *testing.F) {
	specs := []keys.Spec{keys.EDWARDS25519, keys.SECGP256K1, keys.MLDSA44, keys.MLKEM768, keys.MLKEM1024}
	for i, spec := range specs {
		f.Add(uint8(i), storedKey(f, spec).SPKI)
	}
	f.Fuzz(func(t *testing.T, n uint8, der []byte) {
		spec := specs[int(n)%len(specs)]
		key, err := keys.ParsePublicKey(spec, der)
		if err != nil {
			if !errors.Is(err, keys.ErrInvalidPublicKey) || key != nil {
				t.Errorf("%v, %v", key, err)
			}
			return
		}
		again, err := keys.ParsePublicKey(spec, key.DER())
		if err != nil || !bytes.Equal(again.DER(), key.DER()) {
			t.Errorf("%s: %x is read once: %v", spec, der, err)
		}
		if spec.EncapsulationAlgorithms() != nil {
			if secret, ciphertext, err := key.Encapsulate(keys.MLKEM); err != nil || secret.Len() != 32 || len(ciphertext) < 1088 {
				t.Errorf("%s: %d bytes of a secret of %d: %v", spec, len(ciphertext), secret.Len(), err)
			}
		}
		for _, a := range spec.SigningAlgorithms() {
			if err := key.Verify(a, saying(a, "x"), []byte("signature")); !errors.Is(err, keys.ErrInvalidSignature) {
				t.Errorf("%s by %s: %v", spec, a, err)
			}
		}
	})
}
