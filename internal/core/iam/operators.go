package iam

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// stringValue compares strings, with or without wildcards and case.
type stringValue struct {
	pattern pattern
	folded  bool
}

func compileString(wild, folded bool) func(string, bool) (comparand, error) {
	return func(value string, vars bool) (comparand, error) {
		if folded {
			value = strings.ToLower(value) // variables' keys have no case
		}
		p, err := compilePattern(value, wild, vars)
		return &stringValue{p, folded}, err
	}
}

func (s *stringValue) matches(value string, sc *scope) bool {
	p, ok := s.pattern.resolve(sc)
	if !ok {
		return false
	}
	if !s.folded {
		return p.match(value, sc.work)
	}
	sc.work.spend(int64(len(value)))
	if s.pattern.variables { // what a variable stands for has a case of its own
		for i := range p.tokens {
			p.tokens[i].text = strings.ToLower(p.tokens[i].text)
		}
	}
	return p.match(strings.ToLower(value), sc.work)
}

// numberValue compares decimal numbers.
type numberValue struct {
	number float64
	want   func(order int) bool
}

func compileNumber(want func(int) bool) func(string, bool) (comparand, error) {
	return func(value string, _ bool) (comparand, error) {
		n, err := parseNumber(value)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number", value)
		}
		return &numberValue{n, want}, nil
	}
}

func parseNumber(s string) (float64, error) {
	if strings.Trim(s, "0123456789+-.eE") != "" {
		return 0, strconv.ErrSyntax // no hexadecimal, no Inf, no NaN
	}
	return strconv.ParseFloat(s, 64)
}

func (n *numberValue) matches(value string, sc *scope) bool {
	if !sc.work.spend(parsing(value)) {
		return false
	}
	v, err := parseNumber(value)
	return err == nil && n.want(cmp.Compare(v, n.number))
}

// dateValue compares moments, as ISO 8601 or as seconds of Unix time.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_Date
type dateValue struct {
	moment time.Time
	want   func(order int) bool
}

func compileDate(want func(int) bool) func(string, bool) (comparand, error) {
	return func(value string, _ bool) (comparand, error) {
		t, err := parseDate(value)
		if err != nil {
			return nil, fmt.Errorf("%q is not a date: write it as 2026-01-02T03:04:05Z", value)
		}
		return &dateValue{t, want}, nil
	}
}

var dateLayouts = []string{
	time.RFC3339Nano, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05-0700", "2006-01-02",
}

func parseDate(s string) (time.Time, error) {
	if seconds, err := strconv.ParseInt(s, 10, 64); err == nil && len(s) > 4 {
		return time.Unix(seconds, 0), nil
	}
	var last error
	for _, layout := range dateLayouts {
		t, err := time.Parse(layout, s)
		if err == nil {
			return t, nil
		}
		last = err
	}
	return time.Time{}, last
}

func (d *dateValue) matches(value string, sc *scope) bool {
	if !sc.work.spend(parsing(value)) {
		return false
	}
	t, err := parseDate(value)
	return err == nil && d.want(t.Compare(d.moment))
}

// boolValue compares true and false, in any case.
type boolValue struct{ pattern pattern }

func compileBool(value string, vars bool) (comparand, error) {
	folded := strings.ToLower(value)
	if folded != "true" && folded != "false" && (!vars || !strings.Contains(folded, "${")) {
		return nil, fmt.Errorf("%.80q is neither true nor false", value)
	}
	p, err := compilePattern(folded, false, vars)
	return &boolValue{p}, err
}

func (b *boolValue) matches(value string, sc *scope) bool {
	sc.work.spend(int64(len(value)))
	p, ok := b.pattern.resolve(sc)
	return ok && p.match(strings.ToLower(value), sc.work)
}

// binaryValue compares bytes, both sides in base64.
type binaryValue string

func compileBinary(value string, _ bool) (comparand, error) {
	b, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return nil, fmt.Errorf("%q is not base64", value)
	}
	return binaryValue(b), nil
}

func (b binaryValue) matches(value string, sc *scope) bool {
	if !sc.work.spend(parsing(value)) {
		return false
	}
	got, err := base64.StdEncoding.DecodeString(value)
	return err == nil && string(got) == string(b)
}

// addressValue is a range of addresses of IPv4 or IPv6.
type addressValue netip.Prefix

func compileAddress(value string, _ bool) (comparand, error) {
	if address, err := netip.ParseAddr(value); err == nil && address.Zone() == "" {
		return addressValue(netip.PrefixFrom(address, address.BitLen())), nil
	}
	prefix, err := netip.ParsePrefix(value)
	if err != nil {
		return nil, fmt.Errorf("%q is not an address or a range such as 203.0.113.0/24", value)
	}
	return addressValue(prefix), nil
}

func (a addressValue) matches(value string, sc *scope) bool {
	if !sc.work.spend(parsing(value)) {
		return false
	}
	address, err := netip.ParseAddr(value)
	return err == nil && netip.Prefix(a).Contains(address.Unmap())
}

// arnValue compares ARNs part by part.
type arnValue struct{ arn arnPattern }

func compileConditionARN(value string, vars bool) (comparand, error) {
	if vars && strings.HasPrefix(value, "${") && !strings.Contains(value[strings.IndexByte(value, '}')+1:], ":") {
		p, err := compilePattern(value, true, vars) // the whole ARN is a variable
		return &stringValue{pattern: p}, err
	}
	a, err := compileARN(value, vars)
	return &arnValue{a}, err
}

func (a *arnValue) matches(value string, sc *scope) bool { return a.arn.match(value, sc) }
