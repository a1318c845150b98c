package iam

import "strings"

// Context is the condition keys of a request. Keys are asked for in lower case.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
type Context interface {
	// Values returns the values of a key; found is false if the request lacks it. An empty list is a key with no values.
	Values(key string) (values []string, found bool)
}

// scope is the Context of one statement's evaluation, and notes whether a policy variable could not be resolved in it, and whether that is because it is one of several
// tags whose keys differ in case alone.
type scope struct {
	Context
	unresolved, ambiguous bool
	work                  *Meter
}

// Map is a Context of fixed values, by keys in lower case.
type Map map[string][]string

// Values implements Context.
func (m Map) Values(key string) ([]string, bool) {
	v, ok := m[key]
	return v, ok
}

// Principal is who asks.
type Principal struct {
	// Account id of 12 digits. Empty for an AWS service.
	Account string
	// ARN of the user (arn:aws:iam::ACCOUNT:user/NAME), of the session (arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION), or
	// of the account itself (arn:aws:iam::ACCOUNT:root).
	ARN string
	// RoleARN of a session's role.
	RoleARN string
	// UniqueID of the user, or of the session's role: AIDA… or AROA…. A policy that is bound ([Policy.Bound]) allows it alone.
	UniqueID string
	// Service is a service principal, such as secretsmanager.amazonaws.com.
	Service string
	// Federated is the identity provider of AssumeRoleWithWebIdentity.
	Federated string
}

func (p *Principal) isRoot() bool { return p.ARN != "" && p.ARN == rootARN(p.Account) }

func rootARN(account string) string { return "arn:aws:iam::" + account + ":root" }

// Request is one question: may this principal do this to that?
type Request struct {
	// Principal asks.
	Principal Principal
	// Action is SERVICE:OPERATION, in any case.
	Action string
	// Resource is an ARN, or * for an operation that has none.
	Resource string
	// Context holds the condition keys.
	Context Context
	// Work is what the questions of one request have left together. Nil: this question has [MaximumWork] for itself.
	Work *Meter
}

func (r *Request) action() string { return strings.ToLower(r.Action) }
