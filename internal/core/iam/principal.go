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
	// bound are the unique ids that some of named mean, by ARN. It is shared by the statements of a policy, and not changed.
	bound map[string]string
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
	case contains(p.federals, who.Federated), contains(p.named, who.ARN) && p.means(who.ARN, who), account && who.isRoot():
		return byName
	case contains(p.named, who.RoleARN) && p.means(who.RoleARN, who):
		return byRole
	case p.everyone:
		return everyone
	case account:
		return delegated
	}
	return noMatch
}

// means tells whether an ARN is bound to a principal, or to nobody as yet.
func (p *principals) means(name string, who *Principal) bool {
	id, bound := p.bound[name]
	return !bound || id == who.UniqueID
}

// Principals are the ARNs of users, roles and sessions that a policy names, each once, sorted.
func (p *Policy) Principals() []string {
	var out []string
	for i := range p.statements {
		for _, who := range []*principals{p.statements[i].principal, p.statements[i].notPrincipal} {
			if who != nil {
				out = append(out, who.named...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Services are the service principals that a policy names, each once, sorted.
func (p *Policy) Services() []string {
	var out []string
	for i := range p.statements {
		for _, who := range []*principals{p.statements[i].principal, p.statements[i].notPrincipal} {
			if who != nil {
				out = append(out, who.services...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Bound is the policy whose ARNs mean those alone who have the unique ids: a session its role's. An ARN without one means whoever has
// it. It takes away and never gives: a statement that denies goes by the text, and so does a NotPrincipal that allows. The ids must not be
// changed afterwards.
func (p *Policy) Bound(ids map[string]string) *Policy {
	out := &Policy{statements: slices.Clone(p.statements)}
	for i := range out.statements {
		s := &out.statements[i]
		if s.principal != nil && s.effect == allow {
			s.principal = s.principal.to(ids)
		}
		if s.notPrincipal != nil && s.effect == deny {
			s.notPrincipal = s.notPrincipal.to(ids)
		}
	}
	return out
}

func (p *principals) to(ids map[string]string) *principals {
	out := *p
	out.bound = ids
	return &out
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
	if who.RoleARN != "" && (!contains(p.named, who.RoleARN) || !p.means(who.RoleARN, who)) {
		return false
	}
	return who.isRoot() || contains(p.named, who.ARN) && p.means(who.ARN, who)
}

// contains finds a value that is there: an empty one is in no list.
func contains(list []string, s string) bool { return s != "" && slices.Contains(list, s) }
