package iam_test

import (
	"fmt"
	"testing"

	"strongroom.dev/strongroom/internal/core/iam"
)

// TestConditionOperators is every operator on a value that fits, one that does not, and a key that is absent.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
func TestConditionOperators(t *testing.T) {
	for _, c := range []struct{ operator, policy, fits, other string }{
		{"StringEquals", `"a*"`, "a*", "ab"},
		{"StringEquals", `["x","a"]`, "a", "A"},
		{"StringEqualsIgnoreCase", `"ÀbC"`, "àBc", "abd"},
		{"StringLike", `"a*c?"`, "abbcd", "abbc"},
		{"NumericEquals", `10`, "10.0", "11"},
		{"NumericLessThan", `10`, "9.5", "10"},
		{"NumericLessThanEquals", `10`, "10", "10.1"},
		{"NumericGreaterThan", `"10"`, "1e2", "10"},
		{"NumericGreaterThanEquals", `10`, "10", "x"},
		{"DateEquals", `"2026-01-02T03:04:05Z"`, "1767323045", "2026-01-02T03:04:06Z"},
		{"DateLessThan", `"2026-01-02T00:00:00Z"`, "2026-01-01T23:59:59Z", "2026-01-02T00:00:00Z"},
		{"DateLessThanEquals", `"2026-01-02"`, "2026-01-02T01:00:00+01:00", "2026-01-02T00:00:01Z"},
		{"DateGreaterThan", `"2026-01-02T00:00:00Z"`, "2026-01-02T00:00:01Z", "never"},
		{"DateGreaterThanEquals", `"2026-01-02T00:00:00Z"`, "2026-01-02", "2026-01-01"},
		{"Bool", `"true"`, "TRUE", "false"},
		{"Bool", `false`, "false", "true"},
		{"BinaryEquals", `"QmluYXJ5"`, "QmluYXJ5", "Qmlu"},
		{"IpAddress", `"203.0.113.0/24"`, "203.0.113.77", "203.0.114.1"},
		{"IpAddress", `"203.0.113.9"`, "203.0.113.9", "203.0.113.10"},
		{"IpAddress", `"2001:db8::/32"`, "2001:db8:1::1", "203.0.113.1"},
		{"IpAddress", `"203.0.113.0/24"`, "::ffff:203.0.113.1", "::1"},
		{"ArnEquals", `"arn:aws:iam::123456789012:role/a*"`, "arn:aws:iam::123456789012:role/ab", "arn:aws:iam::123456789012:role/b"},
		{"ArnLike", `"arn:aws:*:*:123456789012:*"`, "arn:aws:kms:eu-west-1:123456789012:key/1", "arn:aws:kms:eu-west-1:123456789013:key/1"},
	} {
		for _, negated := range negationsOf(c.operator) {
			statement := func(operator string) string {
				return fmt.Sprintf(`{"Effect":"Allow","Action":"*","Resource":"*","Condition":{%q:{"Test:Key":%s}}}`, operator, c.policy)
			}
			for _, v := range []struct {
				operator string
				values   iam.Map
				want     bool
			}{
				{negated, iam.Map{"test:key": {c.fits}}, negated == c.operator},
				{negated, iam.Map{"test:key": {c.other}}, negated != c.operator},
				{negated, nil, negated != c.operator},
				{negated + "IfExists", iam.Map{"test:key": {c.fits}}, negated == c.operator},
				{negated + "IfExists", nil, true},
				{"ForAnyValue:" + negated, iam.Map{"test:key": {c.other, c.fits}}, true},
				{"ForAnyValue:" + negated, iam.Map{"test:key": {}}, false},
				{"ForAnyValue:" + negated, nil, false},
				{"ForAnyValue:" + negated + "IfExists", nil, true},
				{"ForAllValues:" + negated, iam.Map{"test:key": {c.other, c.fits}}, false},
				{"ForAllValues:" + negated, iam.Map{"test:key": {c.fits, c.fits}}, negated == c.operator},
				{"ForAllValues:" + negated, iam.Map{"test:key": {c.other}}, negated != c.operator},
				{"ForAllValues:" + negated, iam.Map{"test:key": {}}, true},
				{"ForAllValues:" + negated, nil, true},
			} {
				if got := decides(t, statement(v.operator), "a:b", key, v.values); got != v.want {
					t.Errorf("%s %s of %v: %t", v.operator, c.policy, v.values, got)
				}
			}
		}
	}
}

// negationsOf is an operator and its Not form, if it has one.
func negationsOf(operator string) []string {
	not := map[string]string{
		"StringEquals": "StringNotEquals", "StringEqualsIgnoreCase": "StringNotEqualsIgnoreCase", "StringLike": "StringNotLike",
		"NumericEquals": "NumericNotEquals", "DateEquals": "DateNotEquals", "IpAddress": "NotIpAddress",
		"ArnEquals": "ArnNotEquals", "ArnLike": "ArnNotLike",
	}
	if n, ok := not[operator]; ok {
		return []string{operator, n}
	}
	return []string{operator}
}

func TestNullAsksWhetherAKeyIsAbsent(t *testing.T) {
	for _, c := range []struct {
		value  string
		values iam.Map
		want   bool
	}{
		{"true", nil, true},
		{"true", iam.Map{"k": {}}, true},
		{"true", iam.Map{"k": {"x"}}, false},
		{"false", iam.Map{"k": {"x"}}, true},
		{"false", nil, false},
	} {
		statement := `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Null":{"k":"` + c.value + `"}}}`
		if got := decides(t, statement, "a:b", key, c.values); got != c.want {
			t.Errorf("Null %s of %v: %t", c.value, c.values, got)
		}
	}
}

func TestAllConditionsMustHold(t *testing.T) {
	statement := `{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"StringEquals":{"a":"1","b":["2","3"]},"Bool":{"c":true}}}`
	for _, c := range []struct {
		values iam.Map
		want   bool
	}{
		{iam.Map{"a": {"1"}, "b": {"3"}, "c": {"true"}}, true},
		{iam.Map{"a": {"1"}, "b": {"3"}, "c": {"false"}}, false},
		{iam.Map{"a": {"1"}, "b": {"4"}, "c": {"true"}}, false},
		{iam.Map{"a": {"1"}, "c": {"true"}}, false},
	} {
		if got := decides(t, statement, "a:b", key, c.values); got != c.want {
			t.Errorf("%v: %t", c.values, got)
		}
	}
}
