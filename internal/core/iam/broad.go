package iam

import (
	"fmt"
	"net/netip"
	"strings"
)

// Breadth is one statement of a resource policy by which more may be done than its owner can name: by everybody, but for conditions that
// anybody can fulfil.
type Breadth struct {
	// Statement is its place in the policy, from 0. Sid is its own, if it has one.
	Statement int
	Sid       string
	// Who are those that it lets in, such as "every principal".
	Who string
}

// String is a sentence's part that names the statement and whom it lets in.
func (b Breadth) String() string {
	name := fmt.Sprintf("statement %d", b.Statement)
	if b.Sid != "" {
		name += " (" + b.Sid + ")"
	}
	return name + " lets in " + b.Who
}

// Broad are the statements of a resource policy that give access to an unlimited number of principals: what AWS calls public. A statement
// that allows everybody is not broad if a condition limits it to fixed values of a key that its owner can trust, or if a Deny takes away
// from all but such values whatever it allows. What is not known to be limited counts as broad.
//
// It is an approximation of AWS's Zelkova by the rules that Amazon S3 and Secrets Manager document:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html#access-control-block-public-access-policy-status
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_ValidateResourcePolicy.html
func (p *Policy) Broad() []Breadth {
	for i := range p.statements {
		if p.statements[i].fences() {
			return nil
		}
	}
	var out []Breadth
	for i := range p.statements {
		s := &p.statements[i]
		who := s.unlimited()
		if s.effect != allow || who == "" || !s.reaches() || s.narrowed() {
			continue
		}
		out = append(out, Breadth{Statement: i, Sid: s.sid, Who: who})
	}
	return out
}

// unlimited is whom a statement's Principal lets in, empty if they can be counted.
func (s *statement) unlimited() string {
	switch {
	case s.notPrincipal != nil:
		return "everybody but those whom NotPrincipal names"
	case s.principal == nil:
		return ""
	case s.principal.everyone:
		return "every principal"
	case contains(s.principal.services, "*"):
		return "every AWS service"
	case contains(s.principal.federals, "*"):
		return "every identity provider"
	}
	return ""
}

// reaches tells whether a statement speaks of any action and any resource at all.
func (s *statement) reaches() bool {
	return (s.notAction || len(s.actions) > 0) && (s.notResource || s.anyResource || len(s.resources) > 0)
}

// narrowed tells whether one of a statement's conditions, all of which must hold, limits whom it speaks of.
func (s *statement) narrowed() bool {
	for i := range s.conditions {
		if c := &s.conditions[i]; !c.negated && c.bounds() {
			return true
		}
	}
	return false
}

// fences tells whether a statement denies everything to all but those who can be counted.
func (s *statement) fences() bool {
	if s.effect != deny || !s.wholly() {
		return false
	}
	if s.notPrincipal != nil {
		return !s.notPrincipal.everyone && len(s.conditions) == 0
	}
	if s.principal == nil || !s.principal.everyone {
		return false
	}
	switch len(s.conditions) {
	case 0:
		return true
	case 1: // a second one would have to hold too, for the first to deny
		c := &s.conditions[0]
		return c.negated && c.quantifier == single && c.boundValues() && len(c.values) > 0
	}
	return false
}

// wholly tells whether a statement speaks of every action, be it of Secrets Manager alone, on every resource.
func (s *statement) wholly() bool {
	if s.notAction || s.notResource {
		return false
	}
	actions, resources := false, s.anyResource
	for i := range s.actions {
		actions = actions || everyAction(s.actions[i].tokens)
	}
	for i := range s.resources {
		resources = resources || s.resources[i].all
	}
	return actions && resources
}

// everyAction tells whether a pattern is * or secretsmanager:*.
func everyAction(t []token) bool {
	if len(t) == 2 && t[0].kind == literal && t[0].text == "secretsmanager:" {
		t = t[1:]
	}
	return len(t) == 1 && t[0].kind == anyRun
}

// bounds tells whether a condition that holds says that the request comes from somebody who can be counted. ForAllValues and IfExists
// hold of requests that lack the key.
func (c *condition) bounds() bool {
	return c.quantifier != forAllValues && !c.ifExists && c.boundValues()
}

// boundValues tells whether the key is one that a request cannot make up, and the values are fixed.
func (c *condition) boundValues() bool {
	kind := trusted[c.key]
	if kind == nil {
		return false
	}
	switch c.operator.name {
	case "StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "IpAddress":
	default:
		return false
	}
	for _, v := range c.values {
		if !kind(v) {
			return false
		}
	}
	return true
}

// trusted are the condition keys that say who asks or from where, by AWS's word and not by the request's, with what a fixed value of each
// is. aws:username and aws:PrincipalTag are not among them: every account gives its own.
var trusted = map[string]func(comparand) bool{
	"aws:principalaccount": fixedText, "aws:principalorgid": fixedText, "aws:sourceaccount": fixedText, "aws:sourceowner": fixedText,
	"aws:sourceorgid": fixedText, "aws:sourcevpc": fixedText, "aws:sourcevpce": fixedText, "aws:userid": fixedText,
	"aws:principalarn": fixedAccount, "aws:sourcearn": fixedARN, "aws:sourceip": fewAddresses,
}

// fixedText is a text without wildcards and variables.
func fixedText(v comparand) bool {
	s, ok := v.(*stringValue)
	return ok && s.pattern.isExact && s.pattern.exact != "" && !strings.ContainsAny(s.pattern.exact, "*?")
}

// fixedAccount is an ARN whose account is fixed, whatever follows.
func fixedAccount(v comparand) bool {
	switch v := v.(type) {
	case *arnValue:
		return !v.arn.all && v.arn.parts[4].isExact && isAccount(v.arn.parts[4].exact)
	case *stringValue: // whose wildcards reach over colons, so that all before the account must be fixed too
		if len(v.pattern.tokens) == 0 || v.pattern.tokens[0].kind != literal {
			return false
		}
		parts := strings.SplitN(v.pattern.tokens[0].text, ":", 6)
		return len(parts) == 6 && !strings.ContainsAny(strings.Join(parts[:5], ""), "*?") && isAccount(parts[4])
	}
	return false
}

// fixedARN is an ARN of a fixed account, or one that is fixed as a whole: those of buckets have no account.
func fixedARN(v comparand) bool {
	if a, ok := v.(*arnValue); ok && !a.arn.all {
		for i := range a.arn.parts {
			if !a.arn.parts[i].isExact {
				return fixedAccount(v)
			}
		}
		return true
	}
	return fixedText(v) || fixedAccount(v)
}

// The shortest prefixes of ranges of addresses that are not broad, as Amazon S3 has them.
const (
	shortestIPv4 = 8
	shortestIPv6 = 32
)

func fewAddresses(v comparand) bool {
	a, ok := v.(addressValue)
	if !ok {
		return false
	}
	prefix := netip.Prefix(a)
	if prefix.Addr().Is4() {
		return prefix.Bits() >= shortestIPv4
	}
	return prefix.Bits() >= shortestIPv6
}
