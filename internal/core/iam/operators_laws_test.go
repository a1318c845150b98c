package iam_test

import (
	"encoding/json/v2"
	"fmt"
	"math/big"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"strongroom.dev/strongroom/internal/core/iam"
)

// under tells whether a condition of one key lets a request through whose key has these values; nil is an absent key.
func under(t fataler, operator string, of, values []string) bool {
	t.Helper()
	document, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": map[string]any{
		"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": map[string]any{operator: map[string]any{"test:key": of}},
	}})
	if err != nil {
		t.Fatalf("encoding a policy: %v", err)
	}
	policy, err := iam.Parse(document, iam.Identity)
	if err != nil {
		t.Fatalf("%s: %v", document, err)
	}
	values2 := iam.Map{}
	if values != nil {
		values2["test:key"] = values
	}
	d := iam.Evaluate(&iam.Request{Principal: user, Action: "a:b", Resource: "*", Context: values2},
		&iam.Policies{Identity: []*iam.Policy{policy}, ResourceAccount: account})
	return d.Allowed()
}

// fataler is what rapid's T and testing's have in common here.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// samples are values for the operators, those of policies and of requests alike: small sets, so that many are equal.
var samples = map[string]*rapid.Generator[string]{
	"StringEquals":             oneOf("", "a", "A", "ab", "a*", "ä", "日本", "a b"),
	"StringEqualsIgnoreCase":   oneOf("", "a", "A", "ab", "AB", "ä", "Ä", "ß"),
	"StringLike":               oneOf("", "a", "ab", "abc", "a*", "?b", "*", "a?c", "**c"),
	"NumericEquals":            oneOf("0", "-1", "1", "1.0", "1e0", "10", "9.99", "-0"),
	"NumericLessThan":          oneOf("0", "-1", "1", "1.0", "10", "9.99"),
	"NumericLessThanEquals":    oneOf("0", "-1", "1", "1.0", "10", "9.99"),
	"NumericGreaterThan":       oneOf("0", "-1", "1", "1.0", "10", "9.99"),
	"NumericGreaterThanEquals": oneOf("0", "-1", "1", "1.0", "10", "9.99"),
	"DateEquals":               oneOf("2026-01-02T03:04:05Z", "2026-01-02", "2026-01-02T04:04:05+01:00", "1767323045"),
	"DateLessThan":             oneOf("2026-01-02T03:04:05Z", "2026-01-02", "2026-01-02T04:04:05+01:00", "1767323045"),
	"DateGreaterThanEquals":    oneOf("2026-01-02T03:04:05Z", "2026-01-02", "2026-01-02T04:04:05+01:00", "1767323045"),
	"Bool":                     oneOf("true", "false", "TRUE"),
	"BinaryEquals":             oneOf("", "AA==", "QUI=", "QUJD"),
	"IpAddress":                oneOf("203.0.113.1", "203.0.113.2", "10.0.0.1", "2001:db8::1", "::ffff:203.0.113.1"),
	"ArnLike":                  oneOf("arn:aws:iam::1:role/a", "arn:aws:iam::2:role/a", "arn:aws:iam::1:role/b", "arn:aws:iam:*:*:role/*"),
}

var withNegation = map[string]string{
	"StringEquals": "StringNotEquals", "StringEqualsIgnoreCase": "StringNotEqualsIgnoreCase", "StringLike": "StringNotLike",
	"NumericEquals": "NumericNotEquals", "DateEquals": "DateNotEquals", "IpAddress": "NotIpAddress", "ArnLike": "ArnNotLike",
}

func TestANegatedOperatorIsTrueExactlyWhereTheOtherIsNotForOneValue(t *testing.T) {
	for operator, negated := range withNegation {
		rapid.Check(t, func(t *rapid.T) {
			of := rapid.SliceOfN(samples[operator], 1, 3).Draw(t, "policy")
			value := []string{samples[operator].Draw(t, "request")}
			if under(t, operator, of, value) == under(t, negated, of, value) {
				t.Fatalf("%s and %s agree about %q of %q", operator, negated, value, of)
			}
		})
	}
}

func TestSeveralValuesOfAPolicyAreAlternatives(t *testing.T) {
	for operator, sample := range samples {
		rapid.Check(t, func(t *rapid.T) {
			of := rapid.SliceOfN(sample, 1, 3).Draw(t, "policy")
			value := []string{sample.Draw(t, "request")}
			any := false
			for _, one := range of {
				any = any || under(t, operator, []string{one}, value)
			}
			if under(t, operator, of, value) != any {
				t.Fatalf("%s %q of %q: %t", operator, of, value, !any)
			}
		})
	}
}

func TestForAnyValueOfOneIsForAllValuesOfItsNegationDenied(t *testing.T) {
	for operator, negated := range withNegation {
		rapid.Check(t, func(t *rapid.T) {
			of := rapid.SliceOfN(samples[operator], 1, 3).Draw(t, "policy")
			values := rapid.SliceOfN(samples[operator], 0, 4).Draw(t, "request")
			if under(t, "ForAnyValue:"+operator, of, values) == under(t, "ForAllValues:"+negated, of, values) {
				t.Fatalf("of %q some are in %q, and none is", values, of)
			}
		})
	}
}

func TestIfExistsDiffersForAnAbsentKeyAlone(t *testing.T) {
	for operator, sample := range samples {
		rapid.Check(t, func(t *rapid.T) {
			of := rapid.SliceOfN(sample, 1, 3).Draw(t, "policy")
			values := rapid.SliceOfN(sample, 1, 3).Draw(t, "request")
			for _, quantifier := range []string{"", "ForAnyValue:", "ForAllValues:"} {
				if under(t, quantifier+operator, of, values) != under(t, quantifier+operator+"IfExists", of, values) {
					t.Fatalf("%s%s differs with IfExists for %q of %q", quantifier, operator, values, of)
				}
				if !under(t, quantifier+operator+"IfExists", of, nil) {
					t.Fatalf("%s%sIfExists wants the key", quantifier, operator)
				}
			}
		})
	}
}

func TestNumbersAreComparedAsNumbersWhateverTheyAreWrittenLike(t *testing.T) {
	number := rapid.Custom(func(t *rapid.T) string {
		n := rapid.IntRange(-999, 999).Draw(t, "n")
		switch rapid.IntRange(0, 3).Draw(t, "form") {
		case 0:
			return fmt.Sprintf("%d.%d", n, rapid.IntRange(0, 99).Draw(t, "fraction"))
		case 1:
			return fmt.Sprintf("%de%d", n, rapid.IntRange(-3, 3).Draw(t, "exponent"))
		case 2:
			return fmt.Sprintf("%+d", n)
		}
		return fmt.Sprint(n)
	})
	rapid.Check(t, func(t *rapid.T) {
		of, value := number.Draw(t, "policy"), number.Draw(t, "request")
		a, okA := new(big.Rat).SetString(value)
		b, okB := new(big.Rat).SetString(of)
		if !okA || !okB {
			t.Fatalf("%q or %q is no number", value, of)
		}
		order := a.Cmp(b)
		for operator, want := range map[string]bool{
			"NumericEquals": order == 0, "NumericNotEquals": order != 0, "NumericLessThan": order < 0, "NumericLessThanEquals": order <= 0,
			"NumericGreaterThan": order > 0, "NumericGreaterThanEquals": order >= 0,
		} {
			if under(t, operator, []string{of}, []string{value}) != want {
				t.Fatalf("%s: %s of %s is not %t", operator, value, of, want)
			}
		}
	})
}

func TestDatesAreMomentsWhateverTheirZone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		moment := rapid.Custom(func(t *rapid.T) time.Time {
			return time.Unix(int64(rapid.IntRange(1_767_000_000, 1_767_000_005).Draw(t, "seconds")), 0)
		})
		written := func(m time.Time, label string) string {
			switch rapid.IntRange(0, 2).Draw(t, label) {
			case 0:
				return fmt.Sprint(m.Unix())
			case 1:
				return m.In(time.FixedZone("", 3600*rapid.IntRange(-11, 12).Draw(t, label+" zone"))).Format(time.RFC3339)
			}
			return m.UTC().Format(time.RFC3339Nano)
		}
		a, b := moment.Draw(t, "request"), moment.Draw(t, "policy")
		order := a.Compare(b)
		of, value := []string{written(b, "policy's form")}, []string{written(a, "request's form")}
		for operator, want := range map[string]bool{
			"DateEquals": order == 0, "DateNotEquals": order != 0, "DateLessThan": order < 0, "DateLessThanEquals": order <= 0,
			"DateGreaterThan": order > 0, "DateGreaterThanEquals": order >= 0,
		} {
			if under(t, operator, of, value) != want {
				t.Fatalf("%s: %s of %s is not %t", operator, value, of, want)
			}
		}
	})
}

func TestARangeOfAddressesHoldsWhatItsBitsSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bytes4 := rapid.SliceOfN(rapid.Byte(), 4, 4)
		network, _ := netip.AddrFromSlice(bytes4.Draw(t, "network"))
		bits := rapid.IntRange(0, 32).Draw(t, "bits")
		address, _ := netip.AddrFromSlice(bytes4.Draw(t, "address"))
		if rapid.Bool().Draw(t, "near") { // an address that differs in one bit
			raw := network.As4()
			at := rapid.IntRange(0, 31).Draw(t, "bit")
			raw[at/8] ^= 0x80 >> (at % 8)
			address = netip.AddrFrom4(raw)
		}
		same := true
		a, b := network.As4(), address.As4()
		for i := range bits {
			same = same && (a[i/8]^b[i/8])&(0x80>>(i%8)) == 0
		}
		of := []string{fmt.Sprintf("%s/%d", network, bits)}
		for _, form := range []string{address.String(), "::ffff:" + address.String()} {
			if under(t, "IpAddress", of, []string{form}) != same {
				t.Fatalf("%s in %s is not %t", form, of, same)
			}
		}
	})
}

// TestWildcardsMatchAsTheRegularExpressionOfTheSameMeaningDoes, in strings, actions and resources.
func TestWildcardsMatchAsTheRegularExpressionOfTheSameMeaningDoes(t *testing.T) {
	texts := rapid.StringOfN(rapid.RuneFrom([]rune("abB/-ä日")), 0, 8, -1)
	patterns := rapid.StringOfN(rapid.RuneFrom([]rune("abB/-ä日**??")), 0, 8, -1)
	rapid.Check(t, func(t *rapid.T) {
		pattern, text := patterns.Draw(t, "pattern"), texts.Draw(t, "text")
		expression := regexp.QuoteMeta(pattern)
		expression = strings.ReplaceAll(strings.ReplaceAll(expression, `\*`, `.*`), `\?`, `.`)
		want := regexp.MustCompile(`^(?s:` + expression + `)$`).MatchString(text)
		if under(t, "StringLike", []string{pattern}, []string{text}) != want {
			t.Fatalf("StringLike %q of %q is not %t", pattern, text, want)
		}
		resource := decides(t, `{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::x`+pattern+`"}`, "a:b", "arn:aws:s3:::x"+text, nil)
		if resource != want {
			t.Fatalf("resource %q of %q is not %t", pattern, text, want)
		}
		folded := regexp.MustCompile(`^(?s:` + strings.ToLower(expression) + `)$`).MatchString(strings.ToLower(text))
		action := decides(t, `{"Effect":"Allow","Action":"s3:x`+pattern+`","Resource":"*"}`, "s3:x"+text, "*", nil)
		if action != folded {
			t.Fatalf("action %q of %q is not %t", pattern, text, folded)
		}
	})
}

func TestAPatternOfManyWildcardsTakesNoExponentialTime(t *testing.T) {
	pattern := strings.Repeat("a*", 2000) + "b"
	begin := time.Now()
	if under(t, "StringLike", []string{pattern}, []string{strings.Repeat("a", 4000)}) {
		t.Error("it matches what has no b")
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestWhatAValueOfARequestHoldsIsNeverAPattern(t *testing.T) {
	for _, value := range []string{"*", "a*", "?", "${aws:username}", "${*}", "[a]", ".*"} {
		if under(t, "StringLike", []string{"ab"}, []string{value}) || under(t, "StringEquals", []string{"ab"}, []string{value}) {
			t.Errorf("%q matches ab", value)
		}
		if !under(t, "StringEquals", []string{strings.ReplaceAll(value, "${", "${$}{")}, []string{value}) {
			t.Errorf("%q is not equal to itself", value)
		}
	}
}

func TestWhatCannotBeComparedDoesNotMatchAndSoANegationDoes(t *testing.T) {
	for _, c := range []struct{ operator, of, value string }{
		{"NumericEquals", "1", "one"}, {"NumericEquals", "0", ""}, {"NumericLessThan", "1", "NaN"}, {"NumericGreaterThan", "1", "Inf"},
		{"NumericEquals", "16", "0x10"}, {"NumericEquals", "1", "1,0"}, {"NumericEquals", "1", "1_0"},
		{"DateEquals", "2026-01-02", "02.01.2026"}, {"DateLessThan", "2026-01-02", ""}, {"DateGreaterThan", "2026-01-02", "tomorrow"},
		{"IpAddress", "0.0.0.0/0", "here"}, {"IpAddress", "0.0.0.0/0", "1.2.3"}, {"IpAddress", "0.0.0.0/0", "1.2.3.4/32"},
		{"IpAddress", "::/0", "1.2.3.4"}, {"IpAddress", "0.0.0.0/0", "::1"}, {"BinaryEquals", "QQ==", "QQ"}, {"Bool", "true", "1"},
		{"ArnLike", "arn:aws:iam::*:role/*", "role/a"}, {"ArnLike", "arn:aws:iam::*:role/*", ""}, {"ArnLike", "arn:*:*:*:*:*", "arn:aws:iam"},
	} {
		if under(t, c.operator, []string{c.of}, []string{c.value}) {
			t.Errorf("%s %q matches %q", c.operator, c.of, c.value)
		}
		if negated, ok := withNegation[c.operator]; ok && !under(t, negated, []string{c.of}, []string{c.value}) {
			t.Errorf("%s %q does not match %q", negated, c.of, c.value)
		}
	}
}

func TestAValueThatItsOperatorCannotCompareIsRefusedInAPolicyWithAReason(t *testing.T) {
	for _, c := range []struct{ operator, value, says string }{
		{"NumericEquals", "ten", "not a number"}, {"NumericLessThan", "0x10", "not a number"}, {"NumericLessThan", "NaN", "not a number"},
		{"DateEquals", "yesterday", "not a date"}, {"DateLessThan", "2026-13-01", "not a date"}, {"DateLessThan", "2026-01-02 03:04", "not a date"},
		{"Bool", "yes", "neither true nor false"}, {"Null", "maybe", "neither true nor false"}, {"BinaryEquals", "&", "not base64"},
		{"IpAddress", "203.0.113.0/33", "not an address"}, {"IpAddress", "203.0.113", "not an address"}, {"NotIpAddress", "fe80::1%eth0", "not an address"},
		{"ArnEquals", "role/a", "not an ARN"}, {"ArnLike", "urn:aws:iam::1:role/a", "begin with arn"}, {"ArnLike", "arn:aws:iam", "not an ARN"},
		{"StringEquals", "${aws:username", "close it with }"}, {"StringLike", "${}", "not a policy variable"},
		{"StringEquals", "${aws:username, bob}", "single quotes"}, {"StringEquals", "${aws:user name}", "not a policy variable"},
		{"StringSimilar", "a", "not a condition operator"}, {"NullIfExists", "true", "Null takes neither"}, {"ForAnyValue:Null", "true", "Null takes neither"},
		{"ForSomeValue:StringEquals", "a", "not a condition operator"}, {"BoolNot", "true", "not a condition operator"},
	} {
		_, err := iam.Parse(fmt.Appendf(nil, `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*","Condition":{%q:{"a:b":%q}}}}`,
			c.operator, c.value), iam.Identity)
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s %q: %v, which does not say %q", c.operator, c.value, err, c.says)
		}
	}
}
