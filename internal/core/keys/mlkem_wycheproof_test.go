package keys_test

import (
	"bytes"
	"encoding/asn1"
	"encoding/json"
	"errors"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

// mlkemFile is a file of Wycheproof about ML-KEM, which also has the vectors of CCTV.
type mlkemFile struct {
	Groups []struct {
		Cases []struct {
			ID              int `json:"tcId"`
			Comment, Result string
			Seed            string `json:"seed"`
			Public          string `json:"ek"`
			Ciphertext      string `json:"c"`
			Secret          string `json:"K"`
		} `json:"tests"`
	} `json:"testGroups"`
}

var mlkemSizes = map[string]keys.Spec{"768": keys.MLKEM768, "1024": keys.MLKEM1024}

func readMLKEM(t *testing.T, name string) (file mlkemFile) {
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

// seedDER is a private key of a seed, which the vectors have by itself.
func seedDER(t *testing.T, spec keys.Spec, seed []byte) []byte {
	t.Helper()
	head := storedKey(t, spec).PKCS8
	if len(seed) == 64 {
		return append(bytes.Clone(head[:len(head)-64]), seed...)
	}
	var outer struct {
		Version   int
		Algorithm asn1.RawValue
		Key       []byte
	}
	if _, err := asn1.Unmarshal(head, &outer); err != nil {
		t.Fatal(err)
	}
	var err error
	if outer.Key, err = asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Bytes: seed}); err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(outer)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// publicDER is a public key of the bytes that the vectors have.
func publicDER(t *testing.T, spec keys.Spec, encoded []byte) []byte {
	t.Helper()
	var info struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	if _, err := asn1.Unmarshal(storedKey(t, spec).SPKI, &info); err != nil {
		t.Fatal(err)
	}
	info.Key = asn1.BitString{Bytes: encoded, BitLength: 8 * len(encoded)}
	der, err := asn1.Marshal(info)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// Keys from seeds have the public halves that Wycheproof says.
func TestKeysOfMLKEMAreWycheproofs(t *testing.T) {
	for size, spec := range mlkemSizes {
		tried := 0
		for _, group := range readMLKEM(t, "mlkem_"+size+"_keygen_seed_test.json").Groups {
			for _, c := range group.Cases {
				key, err := keys.ParsePrivateKey(spec, secretbytes.Own(seedDER(t, spec, unhex(t, c.Seed))))
				if err != nil {
					t.Fatalf("%s, case %d: %v", spec, c.ID, err)
				}
				if !bytes.Equal(key.Public().DER(), publicDER(t, spec, unhex(t, c.Public))) {
					t.Errorf("%s, case %d: the public half is another", spec, c.ID)
				}
				agreed(t, key, key.Public())
				tried++
			}
		}
		if t.Logf("%s: %d cases", spec, tried); tried < 50 {
			t.Errorf("%s: %d cases", spec, tried)
		}
	}
}

// What is decapsulated is what Wycheproof says, also of ciphertexts that are rejected implicitly.
func TestCiphertextsOfMLKEMAreDecapsulatedAsWycheproofDoes(t *testing.T) {
	for size, spec := range mlkemSizes {
		tried, refused := 0, 0
		for _, group := range readMLKEM(t, "mlkem_"+size+"_test.json").Groups {
			for _, c := range group.Cases {
				tried++
				key, err := keys.ParsePrivateKey(spec, secretbytes.Own(seedDER(t, spec, unhex(t, c.Seed))))
				if err == nil {
					var secret secretbytes.Bytes
					if secret, err = key.Decapsulate(keys.MLKEM, unhex(t, c.Ciphertext)); err == nil {
						if !bytes.Equal(secret.Reveal(), unhex(t, c.Secret)) || c.Result != "valid" {
							t.Errorf("%s, case %d, %s (%s): another secret", spec, c.ID, c.Comment, c.Result)
						}
						continue
					}
				}
				refused++
				if c.Result != "invalid" || !errors.Is(err, keys.ErrInvalidCiphertext) && !errors.Is(err, keys.ErrInvalidPrivateKey) {
					t.Errorf("%s, case %d, %s (%s): %v", spec, c.ID, c.Comment, c.Result, err)
				}
			}
		}
		if t.Logf("%s: %d cases, %d refused", spec, tried, refused); tried < 50 || refused == 0 || refused > tried/2 {
			t.Errorf("%s: %d cases, %d refused", spec, tried, refused)
		}
	}
}

// Public keys that Wycheproof and CCTV call invalid are refused before anything is encapsulated for them, those with coefficients over the modulus too.
func TestPublicKeysOfMLKEMAreJudgedAsWycheproofDoes(t *testing.T) {
	for size, spec := range mlkemSizes {
		tried, valid := 0, 0
		for _, group := range readMLKEM(t, "mlkem_"+size+"_encaps_test.json").Groups {
			for _, c := range group.Cases {
				public, err := keys.ParsePublicKey(spec, publicDER(t, spec, unhex(t, c.Public)))
				if (err == nil) != (c.Result == "valid") || err != nil && !errors.Is(err, keys.ErrInvalidPublicKey) {
					t.Errorf("%s, case %d, %s (%s): %v", spec, c.ID, c.Comment, c.Result, err)
				}
				tried++
				if err != nil {
					continue
				}
				valid++
				if _, ciphertext, err := public.Encapsulate(keys.MLKEM); err != nil || len(ciphertext) != len(unhex(t, c.Ciphertext)) {
					t.Errorf("%s, case %d: %d bytes, %v", spec, c.ID, len(ciphertext), err)
				}
			}
		}
		if t.Logf("%s: %d cases, %d valid", spec, tried, valid); tried < 50 || valid == 0 || valid == tried {
			t.Errorf("%s: %d cases, %d valid", spec, tried, valid)
		}
	}
}
