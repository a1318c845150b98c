package gateway

import (
	"cmp"
	"strings"

	"github.com/aws/smithy-go"

	"strongroom.dev/strongroom/internal/core/iam"
)

// Question is one permission that a request needs.
type Question struct {
	// Action is SERVICE:ACTION.
	Action string
	// Resource is its ARN, or *.
	Resource string
	// Named is how a refusal names the resource: as the request did, which tells nothing of what exists. Resource if empty.
	Named string
	// ResourceAccount is the caller's if empty.
	ResourceAccount string
	// Policy of the resource, nil for none. MustAllow: without its word nothing is allowed.
	Policy    *iam.Policy
	MustAllow bool
	// Grants are whom grants of the resource allow the action, of which AWS KMS alone has any. They are asked for only if no policy allows, and
	// none denies. It may be nil.
	Grants func(action string) ([]iam.Grantee, error)
	// Context has condition keys beyond the global ones; it may be nil.
	Context iam.Context
	// Unknown is the question that would be asked if the resource were not there, for a resource whose own policy has a say. A
	// denial is then told in the words of that question's, if it is denied too, so that they do not tell whether there is such a
	// resource, and what its policy says. Its Action is this question's. Nil: the denial speaks of this question.
	Unknown func() Question
	// Denial is the message of a denial where AWS has one of its own; the usual one if empty.
	Denial string
}

// Authorize asks for one more permission than the operation's own, such as kms:Decrypt for a secret under a key of the
// customer's. Its error is AWS's AccessDeniedException, or what Grants failed with.
func (c *Call) Authorize(q Question) error {
	decision, err := c.decide(&q)
	if err != nil || decision.Allowed() {
		return err
	}
	if q.Denial != "" {
		return accessDenied(q.Denial)
	}
	if q.Unknown != nil {
		unknown := q.Unknown()
		unknown.Action = q.Action
		left := c.work
		if decision.Exhausted { // maybe by the resource's policy, so that it must not show
			c.work = iam.NewMeter()
		}
		d := c.evaluate(&unknown, nil)
		if c.work = left; !d.Allowed() {
			decision = d
		}
	}
	return accessDenied(denial(c, q, decision))
}

func accessDenied(message string) error {
	return &smithy.GenericAPIError{Code: "AccessDeniedException", Message: message, Fault: smithy.FaultClient}
}

// decide evaluates the caller's policies and the resource's, and if they leave it open, the resource's grants.
func (c *Call) decide(q *Question) (iam.Decision, error) {
	decision := c.evaluate(q, nil)
	if decision.Reason != iam.ImplicitDeny || q.Grants == nil {
		return decision, nil
	}
	grantees, err := q.Grants(q.Action)
	if err != nil || len(grantees) == 0 {
		return decision, err
	}
	return c.evaluate(q, grantees), nil
}

func (c *Call) evaluate(q *Question, grantees []iam.Grantee) iam.Decision {
	policies := iam.Policies{
		Identity: c.Identity.Identity, Boundary: c.Identity.Boundary, Session: c.Identity.Session,
		Resource: q.Policy, ResourceAccount: q.ResourceAccount, ResourceMustAllow: q.MustAllow,
		Grantees: grantees,
	}
	if c.work == nil {
		c.work = iam.NewMeter()
	}
	request := iam.Request{Principal: c.Identity.Principal, Action: q.Action, Resource: q.Resource, Context: c.context(q.Context), Work: c.work}
	return iam.Evaluate(&request, &policies)
}

// denial is AWS's message. It names what was asked and why it is refused, and nothing that the policies say.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
func denial(c *Call, q Question, d iam.Decision) string {
	var text strings.Builder
	text.WriteString("User: " + c.Identity.Principal.ARN + " is not authorized to perform: " + q.Action)
	if named := cmp.Or(q.Named, q.Resource); named != "*" {
		text.WriteString(" on resource: " + named)
	}
	switch {
	case d.Exhausted:
		text.WriteString(" because the policies that apply to this request take too long to evaluate")
	case d.Reason == iam.ExplicitDeny && d.Kind != iam.KindNone:
		text.WriteString(" with an explicit deny in " + article(d.Kind))
	case d.Kind != iam.KindNone:
		text.WriteString(" because no " + string(d.Kind) + " allows the " + q.Action + " action")
	}
	return text.String()
}

func article(kind iam.Kind) string {
	if kind == iam.KindIdentity {
		return "an " + string(kind)
	}
	return "a " + string(kind)
}
