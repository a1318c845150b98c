package mldsamu_test

import (
	"bytes"
	"crypto"
	"crypto/mldsa"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"

	"strongroom.dev/strongroom/internal/core/mldsamu"
)

var sets = []mldsa.Parameters{mldsa.MLDSA44(), mldsa.MLDSA65(), mldsa.MLDSA87()}

func newKey(t testing.TB, p mldsa.Parameters, seed byte) *mldsa.PrivateKey {
	t.Helper()
	key, err := mldsa.NewPrivateKey(p, bytes.Repeat([]byte{seed}, mldsa.PrivateKeySize))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t testing.TB, key *mldsa.PrivateKey, message []byte, options crypto.SignerOpts) []byte {
	t.Helper()
	signature, err := key.Sign(nil, message, options)
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// What the standard library signs, of a message or of its μ, verifies by the μ, and by the message in the standard library.
func TestTheStandardLibrarySigns(t *testing.T) {
	for _, p := range sets {
		for i := range 20 {
			key := newKey(t, p, byte(i))
			message := bytes.Repeat([]byte{byte(i)}, 13*i)
			mu := mldsamu.Of(key.PublicKey(), message)
			ofMu, ofMessage := sign(t, key, mu, crypto.MLDSAMu), sign(t, key, message, crypto.Hash(0))
			if err := mldsa.Verify(key.PublicKey(), message, ofMu, nil); err != nil {
				t.Errorf("%s: the μ is another than the standard library's: %v", p, err)
			}
			for what, signature := range map[string][]byte{"the μ": ofMu, "the message": ofMessage} {
				if !mldsamu.Verify(key.PublicKey(), mu, signature) {
					t.Errorf("%s: what was signed of %s does not verify", p, what)
				}
			}
		}
	}
}

func TestNothingElseVerifies(t *testing.T) {
	for _, p := range sets {
		key := newKey(t, p, 1)
		mu := mldsamu.Of(key.PublicKey(), []byte("message"))
		signature := sign(t, key, mu, crypto.MLDSAMu)
		flipped := bytes.Clone(mu)
		flipped[63] ^= 1
		for what, valid := range map[string]bool{
			"another μ":   mldsamu.Verify(key.PublicKey(), flipped, signature),
			"a short μ":   mldsamu.Verify(key.PublicKey(), mu[1:], signature),
			"no μ":        mldsamu.Verify(key.PublicKey(), nil, signature),
			"another key": mldsamu.Verify(newKey(t, p, 2).PublicKey(), mu, signature),
			"a cut one":   mldsamu.Verify(key.PublicKey(), mu, signature[:len(signature)-1]),
			"a longer":    mldsamu.Verify(key.PublicKey(), mu, append(bytes.Clone(signature), 0)),
			"none":        mldsamu.Verify(key.PublicKey(), mu, nil),
		} {
			if valid {
				t.Errorf("%s: %s is valid", p, what)
			}
		}
		for at := 0; at < len(signature); at += 11 {
			changed := bytes.Clone(signature)
			changed[at] ^= 1 << (at % 8)
			if mldsamu.Verify(key.PublicKey(), mu, changed) {
				t.Errorf("%s: valid with byte %d changed", p, at)
			}
		}
		for at := len(signature) - 90; at < len(signature); at++ { // the hints, each of whose bytes has one right value
			changed := bytes.Clone(signature)
			changed[at]++
			if mldsamu.Verify(key.PublicKey(), mu, changed) {
				t.Errorf("%s: valid with byte %d of the hints changed", p, at)
			}
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The judgement is Wycheproof's, and the standard library's: of messages without a context by the μ that is computed here, and of a μ as it is given.
func TestSignaturesAreJudgedAsWycheproofDoes(t *testing.T) {
	for i, p := range sets {
		name := fmt.Sprintf("mldsa_%d_verify_test.json", []int{44, 65, 87}[i])
		text, err := fs.ReadFile(wycheproof.TestVectors, name)
		if err != nil {
			t.Fatal(err)
		}
		var file struct {
			Groups []struct {
				PublicKey string `json:"publicKey"`
				Cases     []struct {
					ID                   int `json:"tcId"`
					Comment, Result      string
					Message, Context, Mu string
					Msg, Ctx             string
					Signature            string `json:"sig"`
				} `json:"tests"`
			} `json:"testGroups"`
		}
		if err := json.Unmarshal(text, &file); err != nil {
			t.Fatal(err)
		}
		tried, valid := 0, 0
		for _, group := range file.Groups {
			public, err := mldsa.NewPublicKey(p, unhex(t, group.PublicKey))
			if err != nil {
				continue
			}
			for _, c := range group.Cases {
				if c.Ctx != "" {
					continue // what KMS signs has no context
				}
				mu := mldsamu.Of(public, unhex(t, c.Msg))
				if c.Mu != "" && c.Msg == "" {
					mu = unhex(t, c.Mu)
				}
				signature := unhex(t, c.Signature)
				got := mldsamu.Verify(public, mu, signature)
				if got != (c.Result == "valid") {
					t.Errorf("%s, case %d, %s (%s): %v", name, c.ID, c.Comment, c.Result, got)
				}
				if c.Mu == "" && got != (mldsa.Verify(public, unhex(t, c.Msg), signature, nil) == nil) {
					t.Errorf("%s, case %d: the standard library judges otherwise", name, c.ID)
				}
				if tried++; got {
					valid++
				}
			}
		}
		t.Logf("%s: %d cases, %d valid", name, tried, valid)
		if tried < 30 || valid < 10 || valid == tried {
			t.Errorf("%s: %d cases, %d valid", name, tried, valid)
		}
	}
}

// Whatever comes as a signature is judged as the standard library judges it.
func FuzzVerify(f *testing.F) {
	for i, p := range sets {
		key := newKey(f, p, 7)
		f.Add(uint8(i), []byte("message"), sign(f, key, []byte("message"), crypto.Hash(0)))
		f.Add(uint8(i), []byte{}, make([]byte, p.SignatureSize()))
	}
	publics := []*mldsa.PublicKey{newKey(f, sets[0], 7).PublicKey(), newKey(f, sets[1], 7).PublicKey(), newKey(f, sets[2], 7).PublicKey()}
	f.Fuzz(func(t *testing.T, n uint8, message, signature []byte) {
		public := publics[int(n)%len(publics)]
		got := mldsamu.Verify(public, mldsamu.Of(public, message), signature)
		if want := mldsa.Verify(public, message, signature, nil) == nil; got != want {
			t.Errorf("%v, and the standard library says %v", got, want)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, p := range sets {
		b.Run(p.String(), func(b *testing.B) {
			key := newKey(b, p, 1)
			mu := mldsamu.Of(key.PublicKey(), []byte("message"))
			signature := sign(b, key, mu, crypto.MLDSAMu)
			for b.Loop() {
				if !mldsamu.Verify(key.PublicKey(), mu, signature) {
					b.Fatal("it does not verify")
				}
			}
		})
	}
}
