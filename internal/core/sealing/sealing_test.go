package sealing_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/sealing"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

const keyARN = "arn:aws:kms:us-east-1:123456789012:key/0f0e0d0c-0b0a-4908-8706-050403020100"

var (
	header = keys.Header{KeyID: [16]byte{1, 2, 3}, MaterialID: [16]byte{4, 5, 6}}
	scope  = sealing.Scope{Kind: "Secret", Account: "123456789012", Region: "us-east-1", Name: "prod/shop/db"}
)

func derive(t testing.TB, material byte, h keys.Header) *sealing.PrivateKey {
	t.Helper()
	k, err := sealing.Derive(secretbytes.Own(bytes.Repeat([]byte{material}, keys.KeySize)), h)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func seal(t testing.TB, k *sealing.PublicKey, s sealing.Scope, value string) string {
	t.Helper()
	text, err := k.Seal(s, secretbytes.Own([]byte(value)))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestWhatIsSealedOpensForItsObjectAndNoOther(t *testing.T) {
	k := derive(t, 1, header)
	text := seal(t, k.Public(keyARN), scope, "hunter2")
	value, err := k.OpenFor(scope, text+"\n")
	if err != nil || string(value.Reveal()) != "hunter2" {
		t.Fatalf("%v", err)
	}
	for what, change := range map[string]func(*sealing.Scope){
		"another name":    func(s *sealing.Scope) { s.Name = "prod/shop/db2" },
		"another account": func(s *sealing.Scope) { s.Account = "123456789013" },
		"another region":  func(s *sealing.Scope) { s.Region = "eu-west-1" },
		"another kind":    func(s *sealing.Scope) { s.Kind = "Parameter" },
		"the boundary between two texts elsewhere": func(s *sealing.Scope) { s.Region, s.Name = "us-east-1p", "rod/shop/db" },
	} {
		other := scope
		change(&other)
		if _, err := k.OpenFor(other, text); err != sealing.ErrInvalid { //nolint:errorlint // itself, so that nothing tells why
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAValueForTheWholeAccountOpensUnderAnyNameOfItAlone(t *testing.T) {
	k := derive(t, 1, header)
	wide := scope
	wide.Name = ""
	text := seal(t, k.Public(keyARN), wide, "hunter2")
	other := scope
	other.Name = "anything"
	if _, err := k.OpenFor(other, text); err != nil {
		t.Error(err)
	}
	other.Account = "123456789013"
	if _, err := k.OpenFor(other, text); !errors.Is(err, sealing.ErrInvalid) {
		t.Error(err)
	}
}

func TestAValueThatIsSealedAnewOpensByTheOtherKeyForTheSameObjectAlone(t *testing.T) {
	from, to := derive(t, 1, header), derive(t, 2, keys.Header{KeyID: [16]byte{7}, MaterialID: [16]byte{8}})
	wide := scope
	wide.Name = ""
	for what, sealedFor := range map[string]sealing.Scope{"strict": scope, "account": wide} {
		former := seal(t, from.Public(keyARN), sealedFor, "hunter2")
		text, err := from.Reseal(to.Public(keyARN), scope, former)
		if err != nil || text == former {
			t.Fatalf("%s: %v", what, err)
		}
		value, err := to.Open(sealedFor, text)
		if err != nil || string(value.Reveal()) != "hunter2" {
			t.Errorf("%s: %v", what, err)
		}
		other := scope
		other.Name = "prod/shop/other"
		if _, err := to.OpenFor(other, text); (err == nil) != (what == "account") {
			t.Errorf("%s: under another name: %v", what, err)
		}
		if h, err := sealing.Identify(text); err != nil || !to.Public(keyARN).Seals(h) || from.Public(keyARN).Seals(h) {
			t.Errorf("%s: it names another key than it is sealed for", what)
		}
	}
}

func TestNothingIsSealedAnewThatDoesNotOpenOrForAnotherAccount(t *testing.T) {
	from := derive(t, 1, header)
	text := seal(t, from.Public(keyARN), scope, "hunter2")
	other := scope
	other.Name = "prod/shop/other"
	if out, err := from.Reseal(from.Public(keyARN), other, text); out != "" || !errors.Is(err, sealing.ErrInvalid) {
		t.Errorf("for another name: %v", err)
	}
	if out, err := derive(t, 2, header).Reseal(from.Public(keyARN), scope, text); out != "" || !errors.Is(err, sealing.ErrInvalid) {
		t.Errorf("by a key that does not open it: %v", err)
	}
	foreign := strings.ReplaceAll(keyARN, "123456789012", "999999999999")
	if out, err := from.Reseal(from.Public(foreign), scope, text); out != "" || !errors.Is(err, sealing.ErrPublicKey) {
		t.Errorf("for another account's key: %v", err)
	}
}

func TestOnlyTheMaterialThatSealedOpens(t *testing.T) {
	text := seal(t, derive(t, 1, header).Public(keyARN), scope, "hunter2")
	other := header
	other.MaterialID[0]++
	for what, k := range map[string]*sealing.PrivateKey{
		"other material under the same ids": derive(t, 2, header), "the same material under another id": derive(t, 1, other),
	} {
		if _, err := k.Open(scope, text); !errors.Is(err, sealing.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if h, err := sealing.Identify(text); err != nil || h != header {
		t.Errorf("%v, %v", h, err)
	}
}

// A value in Git must open after an upgrade: the derivation is part of the format.
func TestASealingKeyIsTheSameForEver(t *testing.T) {
	line := derive(t, 7, header).Public(keyARN).String()
	sum := sha256.Sum256([]byte(line))
	if got := hex.EncodeToString(sum[:8]); got != golden {
		t.Errorf("the public key of fixed material has the digest %s, not %s", got, golden)
	}
	value, err := derive(t, 7, header).Open(scope, goldenSealed)
	if err != nil || string(value.Reveal()) != "sealed in November 2026" {
		t.Errorf("what was sealed once does not open: %v", err)
	}
}

func TestAPublicKeyIsALineOfText(t *testing.T) {
	k := derive(t, 1, header)
	line := k.Public(keyARN).String()
	parsed, err := sealing.ParsePublicKey(line + "\n")
	if err != nil || parsed.String() != line || parsed.KeyARN != keyARN {
		t.Fatalf("%v", err)
	}
	if _, err := k.Open(scope, seal(t, parsed, scope, "x")); err != nil {
		t.Error(err)
	}
	words := strings.Fields(line)
	for what, bad := range map[string]string{
		"nothing": "", "another word": "ssh-ed25519 " + words[1] + " " + words[2], "no ARN": words[0] + " " + words[1],
		"another ARN": words[0] + " " + words[1] + " arn:aws:s3:::bucket", "cut off": words[0] + " " + words[1][:100] + " " + words[2],
		"no base64": words[0] + " !" + words[1][1:] + " " + words[2], "more words": line + " x",
	} {
		if _, err := sealing.ParsePublicKey(bad); !errors.Is(err, sealing.ErrPublicKey) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestValuesHaveTheLimitsOfSecrets(t *testing.T) {
	k := derive(t, 1, header)
	for n, good := range map[int]bool{0: false, 1: true, sealing.MaximumValue: true, sealing.MaximumValue + 1: false} {
		text, err := k.Public(keyARN).Seal(scope, secretbytes.Own(make([]byte, n)))
		if (err == nil) != good || err != nil && !errors.Is(err, sealing.ErrTooLarge) {
			t.Errorf("%d bytes: %v", n, err)
		}
		if len(text) > sealing.MaximumText {
			t.Errorf("%d bytes become a text of %d", n, len(text))
		}
		if good {
			if value, err := k.Open(scope, text); err != nil || value.Len() != n {
				t.Errorf("%d bytes: %v", n, err)
			}
		}
	}
}

func TestMaterialOfAnotherLengthIsRefused(t *testing.T) {
	for _, n := range []int{0, 31, 33} {
		if _, err := sealing.Derive(secretbytes.Own(make([]byte, n)), header); !errors.Is(err, keys.ErrInvalidKey) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func TestNoChangeOfASealedValueOpens(t *testing.T) {
	k := derive(t, 1, header)
	text := seal(t, k.Public(keyARN), scope, "hunter2")
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		changed := []byte(text)
		at := random.IntN(len(changed))
		changed[at] ^= 1 << random.IntN(7)
		if value, err := k.OpenFor(scope, string(changed)); err == nil {
			t.Fatalf("byte %d changed opens as %q", at, value.Reveal())
		}
	}
	for n := range len(text) {
		if _, err := k.OpenFor(scope, text[:n]); err == nil {
			t.Fatalf("the first %d bytes open", n)
		}
	}
}

func FuzzOpen(f *testing.F) {
	k := derive(f, 1, header)
	text := seal(f, k.Public(keyARN), scope, "hunter2")
	for _, seed := range []string{"", text, text[:60], "srs1.", "srs1.AAAA", strings.ToUpper(text)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		_, identified := sealing.Identify(in)
		value, err := k.OpenFor(scope, in)
		switch {
		case err == nil && strings.TrimSpace(in) != text:
			t.Errorf("%q opens as %q", in, value.Reveal())
		case err == nil && identified != nil && strings.TrimSpace(in) == in:
			t.Errorf("%q opens by a key that it does not name", in)
		}
	})
}

func FuzzParsePublicKey(f *testing.F) {
	f.Add(derive(f, 1, header).Public(keyARN).String())
	f.Add("strongroom-sealing-key-v1 AAAA " + keyARN)
	f.Fuzz(func(t *testing.T, in string) {
		k, err := sealing.ParsePublicKey(in)
		if err != nil {
			return
		}
		again, err := sealing.ParsePublicKey(k.String())
		if err != nil || again.String() != k.String() {
			t.Errorf("%q is not read back: %v", in, err)
		}
	})
}
