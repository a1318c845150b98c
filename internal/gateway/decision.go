package gateway

import "strongroom.dev/strongroom/internal/core/iam"

// Decision evaluates a question as Authorize does, for an operation that tells of a refusal in words of its own, or that acts on
// how it is refused.
func (c *Call) Decision(q Question) iam.Decision {
	return iam.Evaluate(
		&iam.Request{Principal: c.Identity.Principal, Action: q.Action, Resource: q.Resource, Context: c.context(q.Context)},
		&iam.Policies{
			Identity: c.Identity.Identity, Boundary: c.Identity.Boundary, Session: c.Identity.Session,
			Resource: q.Policy, ResourceAccount: q.ResourceAccount, ResourceMustAllow: q.MustAllow,
		})
}
