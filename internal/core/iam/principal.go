package iam

import (
	"fmt"
	"slices"
	"strings"
)

// match says how a Principal element names somebody, from the least to the most particular. What a resource policy grants
// depends on it.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
type match uint8

const (
	noMatch match = iota
	// delegated: the account is named, which leaves it to the account's identity policies.
	delegated
	// everyone: *.
	everyone
	// byRole: a session's role.
	byRole
	// byName: the user, the session, the service or the identity provider itself.
	byName
)

// principals is a compiled Principal or NotPrincipal element.
type principals struct {
	everyone bool
	// accounts by their ids; named are ARNs of users, roles and sessions.
	accounts, named    []string
	services, federals []string
}

// addAWS takes one value of "AWS": an account id, an ARN, or *.
func (p *principals) addAWS(value string) error {
	if value == "*" {
		p.everyone = true
		return nil
	}
	if isAccount(value) {
		p.accounts = append(p.accounts, value)
		return nil
	}
	parts := strings.SplitN(value, ":", 6)
	if len(parts) != 6 || parts[0] != "arn" || (parts[2] != "iam" && parts[2] != "sts") || !isAccount(parts[4]) {
		return fmt.Errorf("%q is not a principal: write *, an account id, or the ARN of a user, a role, a session or an account", value)
	}
	if strings.ContainsAny(value, "*?") {
		return fmt.Errorf("%q: a principal's ARN takes no wildcards; test aws:PrincipalArn in a condition instead", value)
	}
	if parts[5] == "root" {
		p.accounts = append(p.accounts, parts[4])
		return nil
	}
	p.named = append(p.named, value)
	return nil
}

func isAccount(s string) bool { return len(s) == 12 && strings.Trim(s, "0123456789") == "" }

// match says how the element names a principal.
func (p *principals) match(who *Principal) match {
	if who.Service != "" {
		if contains(p.services, who.Service) || contains(p.services, "*") {
			return byName
		}
		return noMatch // * gives nothing to AWS services; what it denies them, principalApplies knows
	}
	switch account := contains(p.accounts, who.Account); {
	case contains(p.federals, who.Federated), contains(p.named, who.ARN), account && who.isRoot():
		return byName
	case contains(p.named, who.RoleARN):
		return byRole
	case p.everyone:
		return everyone
	case account:
		return delegated
	}
	return noMatch
}

// excludes tells whether a NotPrincipal element spares a principal from a statement. A statement that denies spares only who
// is named in full: the account, the role of a session, and the user or session itself, as AWS documents. One that allows
// leaves out whoever is named in any way. Both grant less.
func (p *principals) excludes(who *Principal, effect effect) bool {
	if p.everyone {
		return true
	}
	if effect == allow {
		return p.match(who) != noMatch
	}
	if who.Service != "" {
		return contains(p.services, who.Service)
	}
	if who.Account == "" || !contains(p.accounts, who.Account) {
		return false
	}
	if who.RoleARN != "" && !contains(p.named, who.RoleARN) {
		return false
	}
	return who.isRoot() || contains(p.named, who.ARN)
}

// contains finds a value that is there: an empty one is in no list.
func contains(list []string, s string) bool { return s != "" && slices.Contains(list, s) }
