package accesskey_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/core/accesskey"
	"strongroom.dev/strongroom/internal/core/arn"
)

var (
	idShape     = regexp.MustCompile(`^(AKIA|ASIA)[A-Z2-7]{16}$`)
	secretShape = regexp.MustCompile(`^[A-Za-z0-9+/]{40}$`)
)

func TestAnIDTellsTheAccountThatItWasMadeFor(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		account := rapid.StringMatching(`[0-9]{12}`).Draw(t, "account")
		prefix := rapid.SampledFrom([]accesskey.Prefix{accesskey.LongTerm, accesskey.Temporary}).Draw(t, "prefix")
		random := rapid.SliceOfN(rapid.Byte(), 5, 5).Draw(t, "random")
		id, err := accesskey.New(bytes.NewReader(random), prefix, account)
		if err != nil {
			t.Fatal(err)
		}
		if !idShape.MatchString(id) || !strings.HasPrefix(id, string(prefix)) || len(id) != accesskey.IDLength {
			t.Fatalf("%s is not of AWS's shape", id)
		}
		if got, ok := accesskey.Account(id); !ok || got != account {
			t.Fatalf("%s tells %q, %t, not %s", id, got, ok, account)
		}
	})
}

// Ids of AWS's own, as they were published with their accounts.
// https://awsteele.com/blog/2020/09/26/aws-access-key-format.html
// https://medium.com/@TalBeerySec/a-short-note-on-aws-key-id-f88cc4317489
func TestAnIDOfAWSTellsItsAccountToo(t *testing.T) {
	for id, account := range map[string]string{
		"ASIAY34FZKBOKMUTVV7A": "609629065308",
		"ASIAQNZGKIQY56JQ7WML": "029608264753",
	} {
		if got, ok := accesskey.Account(id); !ok || got != account {
			t.Errorf("%s tells %q, %t, not %s", id, got, ok, account)
		}
	}
}

func TestTheAccountsAtTheEdges(t *testing.T) {
	for _, account := range []string{"000000000000", "000000000001", "999999999999"} {
		for _, random := range []string{"\x00\x00\x00\x00\x00", "\xff\xff\xff\xff\xff"} {
			id, err := accesskey.New(strings.NewReader(random), accesskey.LongTerm, account)
			if err != nil {
				t.Fatal(err)
			}
			if got, ok := accesskey.Account(id); !ok || got != account {
				t.Errorf("%s tells %q, %t, not %s", id, got, ok, account)
			}
		}
	}
}

func TestWhatIsNoIDTellsNoAccount(t *testing.T) {
	good, err := accesskey.New(nil, accesskey.LongTerm, "123456789012")
	if err != nil {
		t.Fatal(err)
	}
	for what, id := range map[string]string{
		"nothing":                             "",
		"a prefix alone":                      "AKIA",
		"an id that is short":                 good[:19],
		"an id that is long":                  good + "A",
		"an id in lower case":                 "AKIA" + strings.ToLower(good[4:]),
		"a digit that base32 has not":         good[:19] + "1",
		"padding":                             good[:19] + "=",
		"a line end, which the decoder skips": good[:19] + "\n",
		"a user's id":                         "AIDA" + good[4:],
		"a key before AWS told accounts":      "AKIAIOSFODNN7EXAMPLE",
		"an account over twelve digits":       "AKIA" + "7777777777777777",
	} {
		if account, ok := accesskey.Account(id); ok || account != "" {
			t.Errorf("%s, %q, tells the account %q", what, id, account)
		}
	}
}

func TestAnIDIsNotMadeOfWhatIsWrong(t *testing.T) {
	for _, account := range []string{"", "12345678901", "1234567890123", "12345678901x", "+12345678901"} {
		if _, err := accesskey.New(nil, accesskey.LongTerm, account); !errors.Is(err, arn.ErrInvalidAccount) {
			t.Errorf("account %q: %v", account, err)
		}
	}
	if _, err := accesskey.New(nil, "AIDA", "123456789012"); !errors.Is(err, accesskey.ErrInvalidPrefix) {
		t.Errorf("a user's prefix: %v", err)
	}
	if _, err := accesskey.New(strings.NewReader("four"), accesskey.LongTerm, "123456789012"); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("too little randomness: %v", err)
	}
}

func TestIDsOfAnAccountDiffer(t *testing.T) {
	seen := map[string]bool{}
	for range 10_000 { // of 2^39: that two are alike has a chance of 1 in 10,000
		id, err := accesskey.New(nil, accesskey.LongTerm, "123456789012")
		if err != nil {
			t.Fatal(err)
		}
		seen[id] = true
	}
	if len(seen) < 9_999 {
		t.Errorf("of 10,000 ids %d differ", len(seen))
	}
}

func TestASecretIsFortyCharactersOfAllItsRandomness(t *testing.T) {
	secret, err := accesskey.NewSecret(nil)
	if err != nil {
		t.Fatal(err)
	}
	if !secretShape.Match(secret.Reveal()) {
		t.Errorf("a secret is not of AWS's shape")
	}
	zeros, err := accesskey.NewSecret(bytes.NewReader(make([]byte, 30)))
	if err != nil || string(zeros.Reveal()) != strings.Repeat("A", 40) {
		t.Errorf("30 bytes make the 40 characters: %v", err)
	}
	if _, err := accesskey.NewSecret(bytes.NewReader(make([]byte, 29))); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("too little randomness: %v", err)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", secret, secret, secret, secret); strings.Contains(text, string(secret.Reveal())) {
		t.Errorf("it is printed")
	}
}

func FuzzAccount(f *testing.F) {
	f.Add("AKIAIOSFODNN7EXAMPLE")
	f.Add("ASIAY34FZKBOKMUTVV7A")
	f.Add("AKIA\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n")
	f.Fuzz(func(t *testing.T, id string) {
		account, ok := accesskey.Account(id)
		if !ok {
			if account != "" {
				t.Errorf("%q is refused and tells %q", id, account)
			}
			return
		}
		if !idShape.MatchString(id) || arn.ValidateAccount(account) != nil {
			t.Errorf("%q tells %q", id, account)
		}
	})
}
