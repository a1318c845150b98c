package keys_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"

	"strongroom.dev/strongroom/internal/core/keys"
)

// signatures is a file of Project Wycheproof about verifying signatures.
// https://github.com/C2SP/wycheproof
type signatures struct {
	Groups []struct {
		PublicKeyDER string `json:"publicKeyDer"`
		Cases        []struct {
			ID              int `json:"tcId"`
			Comment, Result string
			Message         string   `json:"msg"`
			Signature       string   `json:"sig"`
			Flags           []string `json:"flags"`
		} `json:"tests"`
	} `json:"testGroups"`
}

// vectors are the files that speak of AWS's key specs and algorithms. Where salt is set, its length is not that of the digest, so that
// what is valid there is not so here.
var vectors = []struct {
	file      string
	spec      keys.Spec
	algorithm keys.SigningAlgorithm
	salt      bool
}{
	{"ecdsa_secp256r1_sha256_test.json", keys.NISTP256, keys.ECDSASHA256, false},
	{"ecdsa_secp384r1_sha384_test.json", keys.NISTP384, keys.ECDSASHA384, false},
	{"ecdsa_secp521r1_sha512_test.json", keys.NISTP521, keys.ECDSASHA512, false},
	{"ecdsa_secp256k1_sha256_test.json", keys.SECGP256K1, keys.ECDSASHA256, false},
	{"ed25519_test.json", keys.EDWARDS25519, keys.ED25519SHA512, false},
	{"rsa_signature_2048_sha256_test.json", keys.RSA2048, keys.PKCS1SHA256, false},
	{"rsa_signature_2048_sha384_test.json", keys.RSA2048, keys.PKCS1SHA384, false},
	{"rsa_signature_2048_sha512_test.json", keys.RSA2048, keys.PKCS1SHA512, false},
	{"rsa_signature_3072_sha256_test.json", keys.RSA3072, keys.PKCS1SHA256, false},
	{"rsa_signature_3072_sha384_test.json", keys.RSA3072, keys.PKCS1SHA384, false},
	{"rsa_signature_3072_sha512_test.json", keys.RSA3072, keys.PKCS1SHA512, false},
	{"rsa_signature_4096_sha256_test.json", keys.RSA4096, keys.PKCS1SHA256, false},
	{"rsa_signature_4096_sha384_test.json", keys.RSA4096, keys.PKCS1SHA384, false},
	{"rsa_signature_4096_sha512_test.json", keys.RSA4096, keys.PKCS1SHA512, false},
	{"rsa_pss_2048_sha256_mgf1_32_test.json", keys.RSA2048, keys.PSSSHA256, false},
	{"rsa_pss_2048_sha384_mgf1_48_test.json", keys.RSA2048, keys.PSSSHA384, false},
	{"rsa_pss_3072_sha256_mgf1_32_test.json", keys.RSA3072, keys.PSSSHA256, false},
	{"rsa_pss_4096_sha256_mgf1_32_test.json", keys.RSA4096, keys.PSSSHA256, false},
	{"rsa_pss_4096_sha384_mgf1_48_test.json", keys.RSA4096, keys.PSSSHA384, false},
	{"rsa_pss_4096_sha512_mgf1_64_test.json", keys.RSA4096, keys.PSSSHA512, false},
	{"rsa_pss_2048_sha256_mgf1_0_test.json", keys.RSA2048, keys.PSSSHA256, true},
	{"rsa_pss_4096_sha512_mgf1_32_test.json", keys.RSA4096, keys.PSSSHA512, true},
}

func TestSignaturesAreJudgedAsWycheproofDoes(t *testing.T) {
	for _, v := range vectors {
		t.Run(v.file, func(t *testing.T) {
			text, err := fs.ReadFile(wycheproof.TestVectors, v.file)
			if err != nil {
				t.Fatal(err)
			}
			var file signatures
			if err := json.Unmarshal(text, &file); err != nil {
				t.Fatal(err)
			}
			tried, valid, strangers := 0, 0, 0
			for _, group := range file.Groups {
				public, err := keys.ParsePublicKey(v.spec, unhex(t, group.PublicKeyDER))
				if err != nil {
					strangers += len(group.Cases) // of another public exponent, which AWS KMS has not
					continue
				}
				for _, c := range group.Cases {
					message, err := hex.DecodeString(c.Message)
					if err != nil {
						t.Fatal(err)
					}
					digest, err := keys.Message{Bytes: message}.Digest(v.algorithm)
					if err != nil {
						t.Fatal(err)
					}
					err = public.Verify(v.algorithm, keys.Message{Bytes: message}, unhex(t, c.Signature))
					if err != nil && !errors.Is(err, keys.ErrInvalidSignature) {
						t.Errorf("case %d: %v", c.ID, err)
					}
					want := c.Result == "valid"
					if v.salt { // right for the file's salt is wrong for AWS KMS's, which is as long as the digest; and the other way round
						want = c.Comment == fmt.Sprint("s_len changed to ", len(digest))
					}
					if c.Result != "acceptable" && (err == nil) != want {
						t.Errorf("case %d, %s (%s, %v): %v", c.ID, c.Comment, c.Result, c.Flags, err)
					}
					tried++
					if err == nil {
						valid++
					}
				}
			}
			t.Logf("%d cases, %d valid, %d of keys that AWS KMS does not have", tried, valid, strangers)
			if tried < 20 || valid == 0 && !v.salt || valid > 1 && v.salt {
				t.Errorf("%d cases, %d valid", tried, valid)
			}
		})
	}
}
