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
	// Context has condition keys beyond the global ones; it may be nil.
	Context iam.Context
}

// Authorize asks for one more permission than the operation's own, such as kms:Decrypt for a secret under a key of the
// customer's. Its error is AWS's AccessDeniedException.
func (c *Call) Authorize(q Question) error {
	policies := iam.Policies{
		Identity: c.Identity.Identity, Boundary: c.Identity.Boundary, Session: c.Identity.Session,
		Resource: q.Policy, ResourceAccount: q.ResourceAccount, ResourceMustAllow: q.MustAllow,
	}
	request := iam.Request{Principal: c.Identity.Principal, Action: q.Action, Resource: q.Resource, Context: c.context(q.Context)}
	if decision := iam.Evaluate(&request, &policies); !decision.Allowed() {
		return &smithy.GenericAPIError{Code: "AccessDeniedException", Message: denial(c, q, decision), Fault: smithy.FaultClient}
	}
	return nil
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
