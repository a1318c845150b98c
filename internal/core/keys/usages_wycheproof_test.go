package keys_test

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// file is one of Project Wycheproof about codes, encryption or agreement.
type file struct {
	Groups []struct {
		KeySize    int    `json:"keySize"`
		TagSize    int    `json:"tagSize"`
		PrivateKey string `json:"privateKeyPkcs8"`
		Cases      []struct {
			ID                       int `json:"tcId"`
			Comment, Result          string
			Key, Msg, Tag, Ct, Label string
			Public, Private, Shared  string
			Flags                    []string
		} `json:"tests"`
	} `json:"testGroups"`
}

func read(t testing.TB, name string) (f file) {
	t.Helper()
	text, err := fs.ReadFile(wycheproof.TestVectors, name)
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestCodesAreJudgedAsWycheproofDoes(t *testing.T) {
	for spec, name := range map[keys.Spec]string{
		keys.HMAC224: "hmac_sha224_test.json", keys.HMAC256: "hmac_sha256_test.json", keys.HMAC384: "hmac_sha384_test.json", keys.HMAC512: "hmac_sha512_test.json",
	} {
		tried, valid := 0, 0
		for _, group := range read(t, name).Groups {
			if group.TagSize != 8*spec.SecretSize() {
				continue // codes that are cut off, which AWS KMS has not
			}
			for _, c := range group.Cases {
				code, err := spec.Mac(secretbytes.Copy(unhex(t, c.Key)), spec.MacAlgorithm(), unhex(t, c.Msg))
				if group.KeySize != 8*spec.SecretSize() {
					if !errors.Is(err, keys.ErrInvalidKey) {
						t.Errorf("%s with a key of %d bits: %v", spec, group.KeySize, err)
					}
					continue
				}
				if err != nil || hmac.Equal(code, unhex(t, c.Tag)) != (c.Result == "valid") {
					t.Errorf("%s, case %d, %s: %v", spec, c.ID, c.Comment, err)
				}
				tried++
				if c.Result == "valid" {
					valid++
				}
			}
		}
		if tried < 50 || valid < 10 {
			t.Errorf("%s: %d cases, %d valid", spec, tried, valid)
		}
	}
}

func TestOAEPOpensAsWycheproofDoes(t *testing.T) {
	for _, v := range []struct {
		name      string
		spec      keys.Spec
		algorithm keys.EncryptionAlgorithm
	}{
		{"rsa_oaep_2048_sha1_mgf1sha1_test.json", keys.RSA2048, keys.OAEPSHA1},
		{"rsa_oaep_2048_sha256_mgf1sha256_test.json", keys.RSA2048, keys.OAEPSHA256},
		{"rsa_oaep_3072_sha256_mgf1sha256_test.json", keys.RSA3072, keys.OAEPSHA256},
		{"rsa_oaep_4096_sha256_mgf1sha256_test.json", keys.RSA4096, keys.OAEPSHA256},
		{"rsa_oaep_2048_sha256_mgf1sha1_test.json", keys.RSA2048, keys.OAEPSHA256}, // another mask: nothing opens
	} {
		t.Run(v.name, func(t *testing.T) {
			tried, opened := 0, 0
			for _, group := range read(t, v.name).Groups {
				key, err := keys.ParsePrivateKey(v.spec, secretbytes.Copy(unhex(t, group.PrivateKey)))
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range group.Cases {
					plaintext, err := key.Decrypt(v.algorithm, unhex(t, c.Ct))
					want := c.Result == "valid" && c.Label == "" && v.name != "rsa_oaep_2048_sha256_mgf1sha1_test.json"
					if (err == nil) != want || err != nil && err != keys.ErrInvalidCiphertext { //nolint:errorlint // the error itself: nothing tells why
						t.Errorf("case %d, %s (%v): %v", c.ID, c.Comment, c.Flags, err)
					}
					if err == nil && !bytes.Equal(plaintext.Reveal(), unhex(t, c.Msg)) {
						t.Errorf("case %d opens as something else", c.ID)
					}
					tried++
					if err == nil {
						opened++
					}
				}
			}
			if tried < 20 || v.name != "rsa_oaep_2048_sha256_mgf1sha1_test.json" && opened < 5 {
				t.Errorf("%d cases, %d opened", tried, opened)
			}
		})
	}
}

func TestSharedSecretsAreThoseOfWycheproof(t *testing.T) {
	for _, v := range []struct {
		name  string
		spec  keys.Spec
		curve ecdh.Curve
	}{
		{"ecdh_secp256r1_test.json", keys.NISTP256, ecdh.P256()},
		{"ecdh_secp384r1_test.json", keys.NISTP384, ecdh.P384()},
		{"ecdh_secp521r1_test.json", keys.NISTP521, ecdh.P521()},
	} {
		t.Run(v.name, func(t *testing.T) {
			tried, shared := 0, 0
			for _, group := range read(t, v.name).Groups {
				for _, c := range group.Cases {
					private := onCurve(t, v.spec, v.curve, c.Private)
					der, err := hex.DecodeString(c.Public)
					if err != nil {
						t.Fatal(err)
					}
					tried++
					peer, err := keys.ParsePublicKey(v.spec, der)
					if err != nil {
						if c.Result == "valid" || !errors.Is(err, keys.ErrInvalidPublicKey) {
							t.Errorf("case %d, %s (%s, %v): %v", c.ID, c.Comment, c.Result, c.Flags, err)
						}
						continue
					}
					secret, err := private.SharedSecret(peer)
					switch {
					case c.Result == "invalid":
						t.Errorf("case %d, %s (%v) is taken: %v", c.ID, c.Comment, c.Flags, err)
					case err != nil || hex.EncodeToString(secret.Reveal()) != c.Shared:
						t.Errorf("case %d, %s (%v): %v", c.ID, c.Comment, c.Flags, err)
					default:
						shared++
					}
				}
			}
			t.Logf("%d cases, %d with a secret", tried, shared)
			if tried < 300 || shared < 150 {
				t.Errorf("%d cases, %d with a secret", tried, shared)
			}
		})
	}
}

// onCurve is a private key of a number in hex, which may have zeros too many or too few in front.
func onCurve(t *testing.T, spec keys.Spec, curve ecdh.Curve, scalar string) *keys.PrivateKey {
	t.Helper()
	size := map[keys.Spec]int{keys.NISTP256: 32, keys.NISTP384: 48, keys.NISTP521: 66}[spec]
	if len(scalar)%2 == 1 {
		scalar = "0" + scalar
	}
	number := bytes.TrimLeft(unhex(t, scalar), "\x00")
	key, err := curve.NewPrivateKey(append(make([]byte, size-len(number)), number...))
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := keys.ParsePrivateKey(spec, secretbytes.Own(pkcs8))
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}
