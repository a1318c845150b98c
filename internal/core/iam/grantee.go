package iam

// Grantee is a principal that a grant of AWS KMS allows what is asked. Whoever collects grantees has looked at what the grant allows and within
// what constraints.
type Grantee struct {
	// ARN of a user, a role, a session, or an account (arn:aws:iam::ACCOUNT:root), which leaves it to the account's identity policies.
	ARN string
	// UniqueID of who had the ARN when the grant was made; empty: whoever has it.
	UniqueID string
}

// match says how the grantee is the principal that asks.
func (g *Grantee) match(who *Principal) match {
	var p principals
	if who.Service != "" || p.addAWS(g.ARN) != nil || p.everyone {
		return noMatch
	}
	if g.UniqueID != "" {
		p.bound = map[string]string{g.ARN: g.UniqueID}
	}
	return p.match(who)
}

// byGrant is how grants allow the request: by the most particular of their grantees.
func (q *query) byGrant(grantees []Grantee) (best match) {
	for i := range grantees {
		best = max(best, grantees[i].match(&q.Principal))
	}
	return best
}
