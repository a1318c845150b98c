package keys_test

import (
	"bytes"
	"crypto/mldsa"
	"encoding/json"
	"fmt"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/mldsamu"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

func muOf(key *keys.PrivateKey, message []byte) []byte {
	return mldsamu.Of(key.Public().Key().(*mldsa.PublicKey), message)
}

// mldsaCase is a case of Wycheproof's files about ML-DSA.
type mldsaCase struct {
	ID              int `json:"tcId"`
	Comment, Result string
	Message         string  `json:"msg"`
	Context         *string `json:"ctx"`
	Mu              *string `json:"mu"`
	Signature       string  `json:"sig"`
}

type mldsaFile struct {
	Groups []struct {
		PublicKey    string      `json:"publicKey"`
		PublicKeyDER string      `json:"publicKeyDer"`
		PrivateSeed  string      `json:"privateSeed"`
		PKCS8        string      `json:"privateKeyPkcs8"`
		Cases        []mldsaCase `json:"tests"`
	} `json:"testGroups"`
}

var mldsaSpecs = map[int]keys.Spec{44: keys.MLDSA44, 65: keys.MLDSA65, 87: keys.MLDSA87}

func readMLDSA(t *testing.T, name string) (file mldsaFile) {
	t.Helper()
	text, err := fs.ReadFile(wycheproof.TestVectors, name)
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func TestSignaturesOfMLDSAAreJudgedAsWycheproofDoes(t *testing.T) {
	for size, spec := range mldsaSpecs {
		tried, valid := 0, 0
		for _, group := range readMLDSA(t, fmt.Sprintf("mldsa_%d_verify_test.json", size)).Groups {
			public, err := keys.ParsePublicKey(spec, unhex(t, group.PublicKeyDER))
			if err != nil {
				for _, c := range group.Cases {
					if c.Result == "valid" {
						t.Errorf("%s, case %d: the key is refused: %v", spec, c.ID, err)
					}
				}
				continue
			}
			for _, c := range group.Cases {
				if c.Context != nil && *c.Context != "" {
					continue // AWS KMS has no context
				}
				m := keys.Message{Bytes: unhex(t, c.Message)}
				if c.Mu != nil && c.Message == "" {
					m = keys.Message{Bytes: unhex(t, *c.Mu), Type: keys.ExternalMu}
				}
				err := public.Verify(keys.MLDSASHAKE256, m, unhex(t, c.Signature))
				if (err == nil) != (c.Result == "valid") {
					t.Errorf("%s, case %d, %s (%s): %v", spec, c.ID, c.Comment, c.Result, err)
				}
				if tried++; err == nil {
					valid++
				}
			}
		}
		t.Logf("%s: %d cases, %d valid", spec, tried, valid)
		if tried < 30 || valid < 10 {
			t.Errorf("%s: %d cases, %d valid", spec, tried, valid)
		}
	}
}

// The private keys of Wycheproof, from their seeds, are read and have the public halves that it says; what they sign verifies, and so does what it says
// that they sign.
func TestKeysOfMLDSAAreWycheproofs(t *testing.T) {
	for size, spec := range mldsaSpecs {
		tried := 0
		for _, group := range readMLDSA(t, fmt.Sprintf("mldsa_%d_sign_seed_test.json", size)).Groups {
			if group.PKCS8 == "" {
				continue
			}
			key, err := keys.ParsePrivateKey(spec, secretbytes.Own(unhex(t, group.PKCS8)))
			if err != nil {
				for _, c := range group.Cases {
					if c.Result == "valid" {
						t.Errorf("%s, case %d: %v", spec, c.ID, err)
					}
				}
				continue
			}
			public := key.Public().Key().(*mldsa.PublicKey).Bytes()
			if !bytes.Equal(public, unhex(t, group.PublicKey)) {
				t.Errorf("%s: the public half is another", spec)
			}
			for _, c := range group.Cases {
				if c.Result != "valid" || c.Context != nil && *c.Context != "" || c.Mu != nil && c.Message == "" {
					continue
				}
				m := keys.Message{Bytes: unhex(t, c.Message)}
				if len(m.Bytes) > keys.MaxMessage {
					continue
				}
				if err := key.Public().Verify(keys.MLDSASHAKE256, m, unhex(t, c.Signature)); err != nil {
					t.Errorf("%s, case %d, what Wycheproof signed: %v", spec, c.ID, err)
				}
				if c.Mu != nil {
					mu := keys.Message{Bytes: unhex(t, *c.Mu), Type: keys.ExternalMu}
					if err := key.Public().Verify(keys.MLDSASHAKE256, mu, unhex(t, c.Signature)); err != nil || !bytes.Equal(mu.Bytes, muOf(key, m.Bytes)) {
						t.Errorf("%s, case %d, what Wycheproof signed, by its μ: %v", spec, c.ID, err)
					}
				}
				signature, err := key.Sign(keys.MLDSASHAKE256, m)
				if err != nil || key.Public().Verify(keys.MLDSASHAKE256, m, signature) != nil {
					t.Errorf("%s, case %d: %v", spec, c.ID, err)
				}
				tried++
			}
		}
		if t.Logf("%s: %d cases", spec, tried); tried < 5 {
			t.Errorf("%s: %d cases", spec, tried)
		}
	}
}
