package iam

// Policies are all that has a say in one request.
type Policies struct {
	// Identity are the policies of the user or role, and of the user's groups. One that allows is enough.
	Identity []*Policy
	// Boundary limits what Identity can allow; nil for none.
	Boundary *Policy
	// Session limits a session; nil for none. With several, one that allows is enough.
	Session []*Policy
	// Resource is the resource's own policy; nil for none.
	Resource *Policy
	// ResourceAccount is the account that the resource belongs to.
	ResourceAccount string
	// ResourceMustAllow is for trust policies and key policies: nothing is allowed unless the resource policy allows it
	// itself, or delegates it to the account.
	ResourceMustAllow bool
	// Grantees are those whom grants of the resource allow the request. A grant does what a statement of the resource's policy does that names
	// a role: it allows without an identity policy, and a Deny, the boundary and the session's policies count all the same. One to a principal
	// of another account needs no policy of that account's either.
	// https://docs.aws.amazon.com/kms/latest/developerguide/grants.html
	Grantees []Grantee
}

// Reason says why a request is allowed or denied.
type Reason string

// The reasons.
const (
	// Allowed: a policy allows, and none denies.
	Allowed Reason = "allowed"
	// ExplicitDeny: a statement denies.
	ExplicitDeny Reason = "explicitDeny"
	// ImplicitDeny: no statement allows.
	ImplicitDeny Reason = "implicitDeny"
)

// Kind is the kind of policy that decided, as AWS's messages name it.
type Kind string

// The kinds of policies.
const (
	KindNone     Kind = ""
	KindIdentity Kind = "identity-based policy"
	KindBoundary Kind = "permissions boundary"
	KindSession  Kind = "session policy"
	KindResource Kind = "resource-based policy"
	KindGrant    Kind = "grant"
)

// Decision is the answer.
type Decision struct {
	Reason Reason
	// Kind of the policy that denied, or whose silence did; of the one that allowed if Reason is Allowed.
	Kind Kind
	// Sid of the statement that decided, if it has one.
	Sid string
	// Exhausted: it is denied because it would take more than there is work for, whatever the policies say. Reason is ExplicitDeny
	// then, and Kind is KindNone.
	Exhausted bool
}

// Allowed tells whether the request may go on.
func (d Decision) Allowed() bool { return d.Reason == Allowed }

// Evaluate decides a request by AWS's order.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
func Evaluate(r *Request, p *Policies) Decision {
	q := &query{Request: r, folded: r.action(), bounded: p.Boundary != nil, scope: scope{Context: r.Context, work: r.Work}}
	if q.scope.work == nil {
		q.scope.work = NewMeter()
	}
	decision := q.decide(p)
	if q.scope.work.spent() { // a statement that was not looked at may have been a Deny
		return Decision{Reason: ExplicitDeny, Exhausted: true}
	}
	return decision
}

func (q *query) decide(p *Policies) Decision {
	service := q.Principal.Service != "" // has no identity policies
	same := p.ResourceAccount == "" || p.ResourceAccount == q.Principal.Account
	grant := q.byGrant(p.Grantees)
	if !same {
		if d, out := q.keptOut(p, grant); out {
			return d
		}
	}
	if d, denied := q.denied(p); denied {
		return d
	}
	how, sid := q.granted(p.Resource)
	byResource := Decision{Reason: Allowed, Kind: KindResource, Sid: sid}
	switch {
	case max(how, grant) == noMatch && (service || p.ResourceMustAllow):
		return Decision{Reason: ImplicitDeny, Kind: KindResource}
	case service, same && how == byName: // not limited by what the boundary or the session leaves out
		return byResource
	}
	if d, limited := q.limited(p); limited {
		return d
	}
	return q.withinLimits(p, byResource, same && how > delegated, grant)
}

// withinLimits is who allows what neither the boundary nor the session leaves out: the resource's policy, a grant, or what is left to the identity
// policies.
func (q *query) withinLimits(p *Policies, byResource Decision, allowed bool, grant match) Decision {
	switch {
	case allowed:
		return byResource
	case grant > delegated:
		return Decision{Reason: Allowed, Kind: KindGrant}
	}
	return q.byIdentity(p)
}

// keptOut tells whether a stranger is let in neither by the resource's policy nor by a grant. His own policies are not asked before: what they make of the resource, and how
// long that takes, would tell its tags and whether it is there.
func (q *query) keptOut(p *Policies, grant match) (Decision, bool) {
	if d, denied := q.deniedBy(p.Resource, KindResource); denied {
		return d, true
	}
	how, _ := q.granted(p.Resource)
	return Decision{Reason: ImplicitDeny, Kind: KindResource}, max(how, grant) == noMatch
}

// byIdentity is what is left to the identity policies.
func (q *query) byIdentity(p *Policies) Decision {
	if q.Principal.isRoot() { // the account itself may do all that nothing denies
		return Decision{Reason: Allowed, Kind: KindIdentity}
	}
	if sid, ok := q.anyAllows(p.Identity); ok {
		return Decision{Reason: Allowed, Kind: KindIdentity, Sid: sid}
	}
	return Decision{Reason: ImplicitDeny, Kind: KindIdentity}
}

// query is a request with what is worked out once.
type query struct {
	*Request
	folded string
	// bounded tells that the principal has a permissions boundary.
	bounded bool
	// scope is that of the statement that is looked at.
	scope scope
}

// denied looks for an explicit Deny in every policy.
func (q *query) denied(p *Policies) (Decision, bool) {
	if d, ok := q.deniedBy(p.Resource, KindResource); ok {
		return d, true
	}
	for _, policy := range p.Identity {
		if d, ok := q.deniedBy(policy, KindIdentity); ok {
			return d, true
		}
	}
	if d, ok := q.deniedBy(p.Boundary, KindBoundary); ok {
		return d, true
	}
	for _, policy := range p.Session {
		if d, ok := q.deniedBy(policy, KindSession); ok {
			return d, true
		}
	}
	return Decision{}, false
}

// deniedBy looks for an explicit Deny in one policy.
func (q *query) deniedBy(policy *Policy, kind Kind) (Decision, bool) {
	if policy == nil {
		return Decision{}, false
	}
	for i := range policy.statements {
		if s := &policy.statements[i]; s.effect == deny && s.applies(q) {
			return Decision{Reason: ExplicitDeny, Kind: kind, Sid: s.sid}, true
		}
	}
	return Decision{}, false
}

// granted is how a resource policy allows the request: by the most particular of the statements that do.
func (q *query) granted(policy *Policy) (best match, sid string) {
	if policy == nil {
		return noMatch, ""
	}
	for i := range policy.statements {
		s := &policy.statements[i]
		if s.effect != allow || !s.applies(q) {
			continue
		}
		how := everyone // NotPrincipal
		if s.principal != nil {
			how = s.principal.match(&q.Principal)
		}
		if how > best {
			best, sid = how, s.sid
		}
	}
	return best, sid
}

// limited tells whether the boundary or the session leaves the request out.
func (q *query) limited(p *Policies) (Decision, bool) {
	if p.Boundary != nil {
		if _, ok := q.anyAllows([]*Policy{p.Boundary}); !ok {
			return Decision{Reason: ImplicitDeny, Kind: KindBoundary}, true
		}
	}
	if len(p.Session) > 0 {
		if _, ok := q.anyAllows(p.Session); !ok {
			return Decision{Reason: ImplicitDeny, Kind: KindSession}, true
		}
	}
	return Decision{}, false
}

func (q *query) anyAllows(policies []*Policy) (sid string, ok bool) {
	for _, policy := range policies {
		for i := range policy.statements {
			if s := &policy.statements[i]; s.effect == allow && s.applies(q) {
				return s.sid, true
			}
		}
	}
	return "", false
}

// applies tells whether a statement speaks of the request. One that allows does not if it names a policy variable that the
// request lacks, be it in a negation. One that denies does wherever it cannot be told which of several tags its variable stands for.
func (s *statement) applies(q *query) bool {
	if q.scope.work.spent() || !s.actionApplies(q) || !s.principalApplies(q) {
		return false
	}
	sc := &q.scope
	sc.unresolved = false
	if !s.unless(sc, func() bool { return s.resourceApplies(q.Resource, sc) }) {
		return false
	}
	for i := range s.conditions {
		if !s.unless(sc, func() bool { return s.conditions[i].holds(s.effect, sc) }) {
			return false
		}
	}
	return s.effect == deny || !sc.unresolved
}

// unless asks one element of a statement, unless that denies and is ambiguous.
func (s *statement) unless(sc *scope, applies func() bool) bool {
	sc.ambiguous = false
	return applies() || s.effect == deny && sc.ambiguous
}

// principalApplies tells whether a statement speaks of who asks. A NotPrincipal that denies spares nobody who has a permissions
// boundary, whomever it names, and a * that denies means AWS services too.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalisawsservice
func (s *statement) principalApplies(q *query) bool {
	switch {
	case s.principal != nil:
		return s.principal.match(&q.Principal) != noMatch || s.effect == deny && s.principal.everyone
	case s.notPrincipal != nil:
		return s.effect == deny && q.bounded || !s.notPrincipal.excludes(&q.Principal, s.effect)
	}
	return true
}

func (s *statement) actionApplies(q *query) bool {
	for i := range s.actions {
		if s.actions[i].match(q.folded, q.scope.work) {
			return !s.notAction
		}
	}
	return s.notAction
}

func (s *statement) resourceApplies(resource string, sc *scope) bool {
	if s.anyResource {
		return true
	}
	before := sc.unresolved
	for i := range s.resources {
		if s.resources[i].match(resource, sc) { // whatever the others are
			sc.unresolved = before
			return !s.notResource
		}
	}
	return s.notResource
}
