package arn_test

import (
	"errors"
	"regexp"
	"testing"

	"strongroom.dev/strongroom/internal/core/arn"
)

func TestADerivedAccountIsTwelveDigitsAndAlwaysTheSame(t *testing.T) {
	// Computed apart: python3 -c "import hashlib;print(int(hashlib.sha256(b'shop').hexdigest(),16)%10**12)"
	for namespace, want := range map[string]string{"shop": "058353351712", "default": "728215038095"} {
		got := arn.DeriveAccount(namespace)
		if got != want || arn.ValidateAccount(got) != nil {
			t.Errorf("account of %s is %s, want %s", namespace, got, want)
		}
	}
}

func TestAccountIDsAreTwelveDigits(t *testing.T) {
	for id, ok := range map[string]bool{
		"123456789012": true, "000000000000": true,
		"": false, "12345678901": false, "1234567890123": false, "12345678901a": false, "१२३४": false,
	} {
		if err := arn.ValidateAccount(id); (err == nil) != ok || err != nil && !errors.Is(err, arn.ErrInvalidAccount) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestARNsHaveAWSsShape(t *testing.T) {
	if got := arn.KMSKey("us-east-1", "123456789012", "1234abcd-12ab-34cd-56ef-1234567890ab"); got !=
		"arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab" {
		t.Error(got)
	}
	secret := arn.Secret("us-east-1", "123456789012", "prod/shop/db", "a1B2c3")
	if secret != "arn:aws:secretsmanager:us-east-1:123456789012:secret:prod/shop/db-a1B2c3" {
		t.Error(secret)
	}
	if arn.Account(secret) != "123456789012" || arn.Account("nonsense") != "" {
		t.Error("Account is wrong")
	}
}

func TestKeyIDComesOutOfAKeysARNOnly(t *testing.T) {
	if id, ok := arn.KeyID(arn.KMSKey("r", "123456789012", "k")); !ok || id != "k" {
		t.Error(id, ok)
	}
	for _, wrong := range []string{"", "key/k", "arn:aws:kms:r:a:alias/k", "arn:aws:sqs:r:a:key/k"} {
		if id, ok := arn.KeyID(wrong); ok {
			t.Errorf("%s gave %s", wrong, id)
		}
	}
}

func TestASuffixIsSixAlphanumericsOfTheUIDAlone(t *testing.T) {
	shape := regexp.MustCompile(`^[A-Za-z0-9]{6}$`)
	seen := map[string]bool{}
	for i := range 1000 {
		s := arn.Suffix(string(rune('a'+i%26)) + string(rune(i)))
		if !shape.MatchString(s) {
			t.Fatalf("suffix %q", s)
		}
		seen[s] = true
	}
	if len(seen) < 990 {
		t.Errorf("only %d different suffixes of 1000", len(seen))
	}
	first, again := arn.Suffix("a"), arn.Suffix("a")
	if first != again || first == arn.Suffix("b") {
		t.Error("a suffix is not a function of the UID")
	}
}

func TestIsSecretTellsNamesApartThatShareAPrefix(t *testing.T) {
	made := arn.Secret("r", "123456789012", "db", "aaaaaa")
	if !arn.IsSecret(made, "r", "123456789012", "db") {
		t.Error("not its own name")
	}
	for _, other := range []struct{ region, account, name string }{
		{"q", "123456789012", "db"}, {"r", "123456789013", "db"}, {"r", "123456789012", "d"}, {"r", "123456789012", "db-aaaaaa"},
	} {
		if arn.IsSecret(made, other.region, other.account, other.name) {
			t.Errorf("taken for %v", other)
		}
	}
	for _, suffix := range []string{"$(ABC)", "`ls`#x", "aaaaa-", "aaaaa ", "aaaaa", "aaaaaaa"} {
		if arn.IsSecret(arn.Secret("r", "123456789012", "db", suffix), "r", "123456789012", "db") {
			t.Errorf("%q is taken for six letters and digits", suffix)
		}
	}
	if arn.IsSecret(arn.Secret("r", "123456789012", "db-extra", "aaaaaa"), "r", "123456789012", "db") {
		t.Error("a longer name was taken for a shorter one")
	}
}

func TestTheARNOfACertificateTellsTheIDThatItIsMadeOf(t *testing.T) {
	const id = "11111111-2222-3333-4444-555555555555"
	for _, made := range []string{arn.Certificate("r", "123456789012", id), arn.CertificateAuthority("r", "123456789012", id)} {
		if !arn.IsMadeOf(made, id) || arn.IDOf(made) != id {
			t.Errorf("%s: %q", made, arn.IDOf(made))
		}
		for _, other := range []string{"", id[1:], "2" + id, "certificate/" + id + "0"} {
			if arn.IsMadeOf(made, other) {
				t.Errorf("%s is taken for one of %q", made, other)
			}
		}
	}
	if got := arn.IDOf("arn:aws:acm:r:123456789012:certificate"); got != "" {
		t.Errorf("of none: %q", got)
	}
}

func TestAFunctionIsNamedByTheARNOfItsRegionAndAccountAlone(t *testing.T) {
	const region, account = "us-east-1", "123456789012"
	if got := arn.Function(region, account, "rotate-shop"); got != "arn:aws:lambda:us-east-1:123456789012:function:rotate-shop" {
		t.Error(got)
	}
	for text, want := range map[string]string{
		arn.Function(region, account, "rotate-shop"):          "rotate-shop",
		arn.Function(region, account, "rotate-shop:1"):        "",
		arn.Function(region, account, ""):                     "",
		arn.Function("eu-west-1", account, "rotate-shop"):     "",
		arn.Function(region, "210987654321", "rotate-shop"):   "",
		"arn:aws:lambda:us-east-1:123456789012:layer:rotate":  "",
		"arn:aws-cn:lambda:us-east-1:123456789012:function:a": "",
		"rotate-shop": "",
		"":            "",
	} {
		if name, ok := arn.FunctionName(text, region, account); ok != (want != "") || ok && name != want {
			t.Errorf("%s is of %q, %t", text, name, ok)
		}
	}
}
