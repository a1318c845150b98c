package arn_test

import (
	"crypto/sha256"
	"errors"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/core/arn"
)

var (
	// The shapes as AWS's service authorization reference has them.
	// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awskeymanagementservice.html
	// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html
	keyShape    = regexp.MustCompile(`^arn:aws:kms:([a-z0-9-]+):(\d{12}):key/(.+)$`)
	secretShape = regexp.MustCompile(`^arn:aws:secretsmanager:([a-z0-9-]+):(\d{12}):secret:(.+)-([A-Za-z0-9]{6})$`)

	regions  = rapid.SampledFrom([]string{"us-east-1", "eu-central-2", "ap-southeast-4", "us-gov-west-1", "local"})
	accounts = rapid.StringMatching(`[0-9]{12}`)
	// What AWS allows in a name, and the schema of spec.name with it.
	names = rapid.StringMatching(`[a-zA-Z0-9/_+=.@-]{1,64}`)
	uids  = rapid.StringMatching(`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`)
)

func TestAKeysARNGivesBackWhatItWasMadeOf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		region, account, id := regions.Draw(t, "region"), accounts.Draw(t, "account"), uids.Draw(t, "id")
		if rapid.Bool().Draw(t, "multi-Region") {
			id = "mrk-" + strings.ReplaceAll(id, "-", "")
		}
		made := arn.KMSKey(region, account, id)
		m := keyShape.FindStringSubmatch(made)
		if m == nil || m[1] != region || m[2] != account || m[3] != id {
			t.Fatalf("%s is not of AWS's shape", made)
		}
		if got, ok := arn.KeyID(made); !ok || got != id || arn.Account(made) != account {
			t.Fatalf("%s gives %q, %t, %q", made, got, ok, arn.Account(made))
		}
	})
}

func TestASecretsARNIsOfItsNameAndOfNoOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		region, account, name, uid := regions.Draw(t, "region"), accounts.Draw(t, "account"), names.Draw(t, "name"), uids.Draw(t, "uid")
		made := arn.Secret(region, account, name, arn.Suffix(uid))
		m := secretShape.FindStringSubmatch(made)
		if m == nil || m[1] != region || m[2] != account || m[3] != name || m[4] != arn.Suffix(uid) {
			t.Fatalf("%s is not of AWS's shape: %q", made, m)
		}
		if !arn.IsSecret(made, region, account, name) || arn.Account(made) != account {
			t.Fatalf("%s is not of its own name", made)
		}
		if _, ok := arn.KeyID(made); ok {
			t.Fatalf("%s is a key's", made)
		}
		// Names that end as a suffix does are where one secret could be taken for another.
		for _, other := range []string{name + "-" + arn.Suffix(uid), strings.TrimSuffix(name, name[len(name)-1:]), name + "-", "-" + name, names.Draw(t, "other")} {
			if other != name && arn.IsSecret(made, region, account, other) {
				t.Fatalf("%s is taken for one of %q", made, other)
			}
		}
	})
}

// The number by another way: digit by digit, as a person divides, rather than by one division of large numbers.
func TestADerivedAccountIsTheDecimalHashOfTheNamesLastTwelveDigits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		namespace := rapid.StringMatching(`[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?`).Draw(t, "namespace")
		sum := sha256.Sum256([]byte(namespace))
		decimal := new(big.Int).SetBytes(sum[:]).String()
		decimal = strings.Repeat("0", 12) + decimal
		want := decimal[len(decimal)-12:]
		if got := arn.DeriveAccount(namespace); got != want || arn.ValidateAccount(got) != nil {
			t.Fatalf("%s: %s, want %s", namespace, got, want)
		}
	})
}

func TestAnAccountIsASCIIDigitsOnly(t *testing.T) {
	for _, bad := range []string{
		"１２３４５６７８９０１２", "12345678901²", "-12345678901", "+12345678901", "123456789 12", "0x1234567890", "123456789012\n", "1e0000000000", "            ",
	} {
		if err := arn.ValidateAccount(bad); !errors.Is(err, arn.ErrInvalidAccount) || strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// 62 characters, 6 places. Of 62,000 suffixes each character is in each place 1,000 times but for chance; chi-squared of 61
// degrees of freedom is over 112 once in 10,000 times. Suffixes derive from UIDs, so this passes or fails for good.
func TestEachCharacterIsInEachPlaceOfASuffixEquallyOften(t *testing.T) {
	const alphabet, n = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 62_000
	var counts [6]map[byte]int
	for place := range counts {
		counts[place] = map[byte]int{}
	}
	for i := range n {
		suffix := arn.Suffix(big.NewInt(int64(i)).Text(36))
		for place := range counts {
			counts[place][suffix[place]]++
		}
	}
	for place, of := range counts {
		chi := 0.0
		for i := range alphabet {
			d := float64(of[alphabet[i]]) - n/62
			chi += d * d / (n / 62)
		}
		if chi > 112 || len(of) != 62 {
			t.Errorf("place %d: %d characters, chi-squared %.1f", place, len(of), chi)
		}
	}
}

func FuzzKeyID(f *testing.F) {
	for _, seed := range []string{
		"", "arn:aws:kms:us-east-1:123456789012:key/k", "arn:aws:kms:us-east-1:123456789012:alias/k", "arn:aws:kms:::key/", ":::::", "arn:aws:kms:r:a:key/a:b/c",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		id, ok := arn.KeyID(s)
		if !ok {
			return
		}
		parts := strings.SplitN(s, ":", 6)
		// Whatever gives an id is the ARN of that id, in its own region and account, but for the first two parts.
		if again := strings.SplitN(arn.KMSKey(parts[3], parts[4], id), ":", 3)[2]; s != parts[0]+":"+parts[1]+":"+again || arn.Account(s) != parts[4] {
			t.Fatalf("%q gave %q, whose ARN is %q", s, id, again)
		}
	})
}

func FuzzIsSecret(f *testing.F) {
	f.Add("arn:aws:secretsmanager:r:123456789012:secret:db-abcdef", "db")
	f.Add("arn:aws:secretsmanager:r:123456789012:secret:db-abcdef-123456", "db-abcdef")
	f.Add("arn:aws:secretsmanager:r:123456789012:secret:-abcdef", "")
	f.Fuzz(func(t *testing.T, s, name string) {
		is := arn.IsSecret(s, "r", "123456789012", name)
		prefix := "arn:aws:secretsmanager:r:123456789012:secret:" + name + "-"
		if want := len(s) == len(prefix)+6 && s[:len(prefix)] == prefix; is != want {
			t.Fatalf("%q of %q: %t", s, name, is)
		}
	})
}

func TestWhatIsNoARNHasNoAccountNoRegionAndNoKey(t *testing.T) {
	for _, s := range []string{"", "a:b:c:d:e:f", "urn:aws:kms:r:123456789012:key/k", ":::::", "arn:aws:kms:r:123456789012", "ARN:aws:kms:r:123456789012:key/k"} {
		if account, region := arn.Account(s), arn.Region(s); account != "" || region != "" {
			t.Errorf("%q: account %q, region %q", s, account, region)
		}
		if id, ok := arn.KeyID(s); ok {
			t.Errorf("%q: key %q", s, id)
		}
	}
	if id, ok := arn.KeyID("arn:aws:kms:r:123456789012:key/"); ok {
		t.Errorf("an empty id is %q", id)
	}
	if got := arn.Region("arn:aws:secretsmanager:eu-central-1:123456789012:secret:a:b-abcdef"); got != "eu-central-1" {
		t.Error(got)
	}
}
