package iamdifferential_test

import "maps"

// kind is a kind of condition keys: the operators for it, the values that requests have, and those that policies compare with.
type kind struct {
	operators          []string
	requests, policies []string
}

var strs = kind{
	[]string{"StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", "StringLike", "StringNotLike"},
	[]string{"db", "web", "DB", "app/db", "other", "a*b", "x.y"},
	[]string{"db", "web", "DB", "*", "d?", "app/*", "${aws:PrincipalTag/team}", "x${*}y", "a${*}b", "${aws:PrincipalTag/team, 'db'}", "x.y", "${aws:username}*", "xzy"},
}

// kinds of keys that have one value.
var kinds = map[string]kind{
	"aws:PrincipalTag/team":              strs,
	"aws:RequestTag/app":                 strs,
	"secretsmanager:SecretPrimaryRegion": strs,
	"secretsmanager:RecoveryWindowInDays": {
		[]string{"NumericEquals", "NumericNotEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals"},
		[]string{"7", "30", "7.5", "-1", "0", "007"}, []string{"7", "30", "7.50", "0", "-2", "29.999"},
	},
	"aws:CurrentTime": {
		[]string{"DateEquals", "DateNotEquals", "DateLessThan", "DateLessThanEquals", "DateGreaterThan", "DateGreaterThanEquals"},
		[]string{"2026-01-02T03:04:05Z", "2026-01-02T05:04:05+02:00", "2025-12-31T00:00:00Z", "2026-01-02"},
		[]string{"2026-01-02T03:04:05Z", "2026-01-02", "2025-01-01T00:00:00Z", "2027-01-01T00:00:00Z", "2026-01-02T00:00:00Z"},
	},
	"aws:MultiFactorAuthPresent": {[]string{"Bool"}, []string{"true", "false", "True"}, []string{"true", "false", "TRUE"}},
	"aws:SourceIp": {
		[]string{"IpAddress", "NotIpAddress"}, []string{"192.0.2.1", "192.0.2.200", "198.51.100.7", "2001:db8::1"},
		[]string{"192.0.2.0/24", "192.0.2.1", "0.0.0.0/0", "192.0.2.128/25", "2001:db8::/32", "198.51.100.7/32"},
	},
	"aws:PrincipalArn": {
		[]string{"ArnEquals", "ArnLike", "ArnNotEquals", "ArnNotLike", "StringEquals", "StringLike", "StringNotLike"},
		[]string{user, role, "arn:aws:iam::" + there + ":user/eve"},
		[]string{user, role, "arn:aws:iam::*:user/*", "arn:aws:iam::" + here + ":*", "arn:*:iam::*:role/a?p", "arn:aws:iam::" + here + ":user/${aws:username}"},
	},
	"aws:UserData": {[]string{"BinaryEquals"}, []string{"QmluYXJ5", "AAA="}, []string{"QmluYXJ5", "AAAA"}},
}

// sets are keys of several values.
var sets = map[string]kind{"aws:TagKeys": strs, "kms:EncryptionContextKeys": strs}

// names in an order that does not change, so that a seed means the same cases each time.
var (
	kindNames = []string{
		"aws:PrincipalTag/team", "aws:RequestTag/app", "secretsmanager:SecretPrimaryRegion", "secretsmanager:RecoveryWindowInDays", "aws:CurrentTime",
		"aws:MultiFactorAuthPresent", "aws:SourceIp", "aws:PrincipalArn", "aws:UserData",
	}
	setNames = []string{"aws:TagKeys", "kms:EncryptionContextKeys"}
)

func (g generator) context() object {
	out := object{}
	for _, name := range kindNames {
		if !g.chance(3) {
			out[name] = pick(g, kinds[name].requests...)
		}
	}
	for _, name := range setNames {
		if g.chance(3) {
			continue
		}
		list := []string{}
		for range g.IntN(3) {
			list = append(list, pick(g, sets[name].requests...))
		}
		out[name] = list
	}
	if g.chance(2) {
		out["aws:username"] = pick(g, "ada", "eve", "d")
	}
	return out
}

// condition is one operator with a key and values. A key of several values has a quantifier: without one AWS does not say what
// happens. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
func (g generator) condition() (operator, key string, values any) {
	if g.chance(12) {
		return "Null", pick(g, append(kindNames, setNames...)...), pick(g, "true", "false")
	}
	all := maps.Clone(kinds)
	if g.chance(4) {
		key = pick(g, setNames...)
		maps.Copy(all, sets)
		operator = pick(g, "ForAllValues:", "ForAnyValue:")
	} else {
		key = pick(g, kindNames...)
	}
	k := all[key]
	operator += pick(g, k.operators...)
	if g.chance(4) {
		operator += "IfExists"
	}
	if g.chance(5) {
		key = lower(key)
	}
	return operator, key, g.some(func() string { return pick(g, k.policies...) })
}
