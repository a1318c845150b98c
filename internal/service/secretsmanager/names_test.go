package secretsmanager_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/smithy-go"
	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

const (
	prefix      = "arn:aws:secretsmanager:us-east-1:111122223333:secret:"
	account     = "111122223333"
	invalidName = "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"
)

// code is AWS's of an error, empty for none.
func code(t testing.TB, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		t.Fatalf("%v is no error of AWS", err)
	}
	return api.ErrorCode()
}

// https://docs.aws.amazon.com/secretsmanager/latest/userguide/troubleshoot.html#ARN_secretnamehyphen: what ends in a hyphen and six
// characters is taken for a complete ARN, be it the end of a name.
func TestASecretIsNamedByNameByARNAndByAnARNWithoutItsEnd(t *testing.T) {
	for given, want := range map[string]secretsmanager.ID{
		"db":                     {Name: "db"},
		"prod/db-AbCdEf":         {Name: "prod/db-AbCdEf"},
		prefix + "db":            {Region: "us-east-1", Account: account, Name: "db"},
		prefix + "db-AbCdEf":     {Region: "us-east-1", Account: account, Name: "db", ARN: prefix + "db-AbCdEf"},
		prefix + "db-AbCdE":      {Region: "us-east-1", Account: account, Name: "db-AbCdE"},
		prefix + "db-AbCdEfG":    {Region: "us-east-1", Account: account, Name: "db-AbCdEfG"},
		prefix + "db-AbC_Ef":     {Region: "us-east-1", Account: account, Name: "db-AbC_Ef"},
		prefix + "a-b-c-d1e2f3":  {Region: "us-east-1", Account: account, Name: "a-b-c", ARN: prefix + "a-b-c-d1e2f3"},
		prefix + "-AbCdEf":       {Region: "us-east-1", Account: account, Name: "-AbCdEf"},
		prefix + "x-secret":      {Region: "us-east-1", Account: account, Name: "x", ARN: prefix + "x-secret"},
		prefix + "a/b.c+d=e@f_g": {Region: "us-east-1", Account: account, Name: "a/b.c+d=e@f_g"},
	} {
		want.Given = given
		got, err := secretsmanager.ParseID(given)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", given, got, err)
		}
	}
}

func TestWhatIsNoNameAndNoARNOfASecretIsRefusedInAWSsWords(t *testing.T) {
	for _, given := range []string{
		"", " ", "a b", "a:b", "a*", "a?", "a\x00", "é", "a\n", "ab!", "${x}", strings.Repeat("x", 513),
		"arn:", "arn:aws", "arn:aws:secretsmanager:us-east-1:111122223333:secret", "arn:aws:secretsmanager:us-east-1:111122223333:secret:",
		"arn:aws:secretsmanager::111122223333:secret:db", "arn:aws:secretsmanager:us-east-1:1111:secret:db", "arn:aws:secretsmanager:us-east-1::secret:db",
		"arn:aws:kms:us-east-1:111122223333:secret:db", "arn:aws-cn:secretsmanager:us-east-1:111122223333:secret:db",
		"arn:aws:secretsmanager:us-east-1:111122223333:policy:db", prefix + "a:b", prefix + "*", "ARN:aws:secretsmanager:us-east-1:111122223333:secret:db",
	} {
		_, err := secretsmanager.ParseID(given)
		if got := code(t, err); got != "ValidationException" || !strings.Contains(err.Error(), invalidName) {
			t.Errorf("%q: %v", given, err)
		}
	}
}

func TestANameHas1To512Characters(t *testing.T) {
	for length, ok := range map[int]bool{0: false, 1: true, 511: true, 512: true, 513: false, 4096: false} {
		if err := secretsmanager.CheckName(strings.Repeat("x", length)); (err == nil) != ok {
			t.Errorf("%d: %v", length, err)
		}
	}
	for c := range 256 {
		name := "a" + string(rune(c)) + "b"
		ok := c < 128 && (strings.ContainsRune("/_+=.@-", rune(c)) || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z')
		if err := secretsmanager.CheckName(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// Policies are written for the six characters at the end, so a secret that is not there has them too, as question marks.
func TestTheARNThatPoliciesAreAskedAboutIsTheCompleteOneOrHasAnUnknownEnd(t *testing.T) {
	for given, want := range map[string]string{
		"db":                 "arn:aws:secretsmanager:eu-west-1:999999999999:secret:db-??????",
		"x-AbCdEf":           "arn:aws:secretsmanager:eu-west-1:999999999999:secret:x-AbCdEf-??????",
		prefix + "db":        prefix + "db-??????",
		prefix + "db-AbCdEf": prefix + "db-AbCdEf",
		strings.Replace(prefix, "1111", "2222", 1) + "db": strings.Replace(prefix, "1111", "2222", 1) + "db-??????",
	} {
		id, err := secretsmanager.ParseID(given)
		if err != nil {
			t.Fatal(err)
		}
		if got := id.PolicyARN("eu-west-1", "999999999999"); got != want {
			t.Errorf("%s: %s", given, got)
		}
	}
}

var names = rapid.StringMatching(`[a-zA-Z0-9/_+=.@-]{1,40}`)

func TestAnARNThatWasMadeOfANameGivesTheNameBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		name, suffix := names.Draw(t, "name"), rapid.StringMatching(`[a-zA-Z0-9]{6}`).Draw(t, "suffix")
		complete := arn.Secret("us-east-1", account, name, suffix)
		id, err := secretsmanager.ParseID(complete)
		if err != nil || id.Name != name || id.ARN != complete || id.PolicyARN("x", "y") != complete {
			t.Fatalf("%s: %+v, %v", complete, id, err)
		}
		if !arn.IsSecret(complete, id.Region, id.Account, id.Name) {
			t.Fatalf("%s is not %s's", complete, id.Name)
		}
	})
}

func FuzzParseID(f *testing.F) {
	for _, seed := range []string{"", "db", prefix + "db-AbCdEf", prefix, "arn:aws:secretsmanager:::secret:", strings.Repeat("x", 513), prefix + "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		id, err := secretsmanager.ParseID(given)
		if err != nil {
			if code(t, err) != "ValidationException" {
				t.Fatal(err)
			}
			return
		}
		if secretsmanager.CheckName(id.Name) != nil || id.Given != given || !strings.Contains(given, id.Name) || (id.Account == "") != (id.Region == "") {
			t.Fatalf("%q: %+v", given, id)
		}
		if id.ARN != "" && (id.ARN != given || len(given) != len(prefixOf(id))+len(id.Name)+7) {
			t.Fatalf("%q: %+v", given, id)
		}
	})
}

func prefixOf(id secretsmanager.ID) string {
	return fmt.Sprintf("arn:aws:secretsmanager:%s:%s:secret:", id.Region, id.Account)
}

// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DeleteSecret.html
func TestADeletionHasAWindowOf7To30DaysOrNoneOrIsForced(t *testing.T) {
	const days, both = "between 7 and 30 days (inclusive)", "in conjunction with RecoveryWindowInDays"
	for name, tt := range map[string]struct {
		days         int64
		given, force bool
		says         string
	}{
		"nothing said": {0, false, false, ""}, "forced": {0, false, true, ""},
		"6 days": {6, true, false, days}, "7 days": {7, true, false, ""}, "8 days": {8, true, false, ""},
		"29 days": {29, true, false, ""}, "30 days": {30, true, false, ""}, "31 days": {31, true, false, days},
		"0 days, said": {0, true, false, days}, "less than none": {-7, true, false, days}, "for ever": {1 << 62, true, false, days},
		"both": {7, true, true, both}, "both, and too short": {1, true, true, both},
	} {
		err := secretsmanager.CheckWindow(tt.days, tt.given, tt.force)
		if tt.says == "" && err == nil {
			continue
		}
		if got := code(t, err); tt.says == "" || got != "InvalidParameterException" || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
