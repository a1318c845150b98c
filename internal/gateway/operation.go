package gateway

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/gateway/audit"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

// Call is what an operation knows of its request besides the input.
type Call struct {
	// Identity asks.
	Identity *serviceiam.Identity
	// Region that the request is signed for: objects of other regions do not exist for it.
	Region string
	// RequestID is the answer's x-amzn-RequestId, and EventID that of its audit record.
	RequestID, EventID string
	// Time of the request, by the server's clock.
	Time time.Time
	// SourceIP of the connection.
	SourceIP netip.Addr
	// Service is the signing name, such as kms; Operation is AWS's, such as Encrypt.
	Service, Operation string

	// Resources are what the request is about, noted by [Op] for the audit record: one, or several for an operation that carries out
	// others (BatchGetSecretValue). None before, and for an operation that is about nothing in particular.
	Resources []audit.Resource
	// Additional is CloudTrail's additionalEventData, noted by an operation for the audit record: members whose values are no secret.
	Additional []audit.Member

	// Declared are the members of the request, counted from 0, that are what a manifest declares the value of: the answer says so in the header [DeclaredHeader], which AWS
	// does not have. None if empty.
	Declared []int

	// work is what is left for the questions of this request. Nil before the first one.
	work *iam.Meter
}

// DeclaredHeader is the header of an answer that says which of the names of the request (0,2) a manifest declares the value of, so that a request cannot put another. Clients of AWS do not look at it; strongroom's own does, before
// it writes what would be refused in the middle.
const DeclaredHeader = "X-Strongroom-Declared"

// declared is the value of DeclaredHeader, empty for no header.
func (c *Call) declared() string {
	text := make([]string, 0, len(c.Declared))
	for _, n := range c.Declared {
		text = append(text, strconv.Itoa(n))
	}
	return strings.Join(text, ",")
}

// AnswerHeaders are the headers of the answer to a request that was carried out, besides those that every answer has.
func (c *Call) AnswerHeaders() map[string]string {
	if len(c.Declared) == 0 {
		return nil
	}
	return map[string]string{DeclaredHeader: c.declared()}
}

// Account is the caller's account id.
func (c *Call) Account() string { return c.Identity.Principal.Account }

// Namespace is that of the caller's account.
func (c *Call) Namespace() string { return c.Identity.Namespace }

// Resource is what an operation is about, as authorization sees it.
type Resource[T any] struct {
	// ARN is the resource's, or * for an operation that has none. For a resource that is not there it is the ARN that
	// the request asks for, so that a caller without permission is told the same whether or not it exists.
	ARN string
	// Named is the resource as the request names it, for the message of a refusal; the ARN if empty. Services that let a
	// resource be named in part must set it, or else the message tells that it exists.
	Named string
	// Account that the resource belongs to; the caller's if empty.
	Account string
	// Policy of the resource, nil for none.
	Policy *iam.Policy
	// MustAllow is for KMS keys and roles: without their own policy's word nothing is allowed.
	MustAllow bool
	// Grants are as those of [Question].
	Grants func(action string) ([]iam.Grantee, error)
	// Context has the condition keys that the service adds, in lower case, such as kms:encryptioncontext:app or
	// aws:resourcetag/team. Global keys are the gateway's. It may be nil.
	Context iam.Context
	// Unknown is the question if the resource were not there, see Question; nil for a resource without a policy of its own.
	Unknown func() Question
	// Denial is the message of a denial where AWS has one of its own.
	Denial string
	// Missing is answered after a permitted request: the resource is not there, or not usable.
	Missing error
	// Made is the ARN of what the operation made, for one that makes the resource under an ARN that is not known before: empty if
	// the answer has none. The audit record names it in place of ARN. It may be nil.
	Made func(out any) string
	// Value is handed on to the operation.
	Value T
}

// Resolve finds what a request is about. It changes nothing. Its error is answered at once, before authorization: so it
// may only tell of the input itself (a malformed ARN), and Missing is for all that tells what exists.
type Resolve[I, T any] func(ctx context.Context, call *Call, in *I) (Resource[T], error)

// Handle carries out a permitted request. Errors are AWS's own error types (kms/types.NotFoundException, …), or
// smithy.GenericAPIError where the SDK has no type for one; anything else is answered as an internal failure without a word
// of it.
type Handle[I, O, T any] func(ctx context.Context, call *Call, in *I, resource T) (*O, error)

// Operation is one line of the registry.
type Operation struct {
	// Name is AWS's, such as GetSecretValue.
	Name string
	// Action is that of policies, without the service; the Name if empty.
	Action string
	// ReadOnly is CloudTrail's: the operation changes nothing.
	ReadOnly bool
	// Unsigned operations take callers without a credential, such as sts:AssumeRoleWithWebIdentity.
	Unsigned bool
	// Issues says that the operation issues credentials: its answer is recorded though it changes nothing, so that what they are
	// used for can be traced to it. Secrets and tokens are hidden.
	Issues bool
	// Unauthorized operations need no permission, such as sts:GetCallerIdentity.
	Unauthorized bool

	newInput, newOutput func() any
	run                 func(ctx context.Context, call *Call, in any) (any, error)
}

// Invoke carries out the operation for a call: resolve, authorize, handle. The input is what the operation's Handle takes, by
// pointer. It is what the server calls when a request is authenticated and decoded, and what tests call.
func (o *Operation) Invoke(ctx context.Context, call *Call, in any) (any, error) {
	return o.run(ctx, call, in)
}

// Option changes an Operation.
type Option func(*Operation)

// ReadOnly marks an operation that changes nothing.
func ReadOnly(o *Operation) { o.ReadOnly = true }

// Issues marks an operation that issues credentials.
func Issues(o *Operation) { o.Issues = true }

// Unsigned marks an operation that takes callers without a credential.
func Unsigned(o *Operation) { o.Unsigned = true }

// Unauthorized marks an operation that needs no permission.
func Unauthorized(o *Operation) { o.Unauthorized = true }

// Action names the action of policies where it is not the operation's name, such as kms:GenerateDataKey.
func Action(name string) Option { return func(o *Operation) { o.Action = name } }

// Op makes an Operation: find the resource, ask permission, carry out. The order is here and nowhere else, so that no
// operation can leave out the second.
func Op[I, O, T any](name string, resolve Resolve[I, T], handle Handle[I, O, T], options ...Option) Operation {
	op := Operation{Name: name, Action: name, newInput: func() any { return new(I) }, newOutput: func() any { return new(O) }}
	for _, option := range options {
		option(&op)
	}
	op.run = func(ctx context.Context, call *Call, input any) (any, error) {
		in := input.(*I)
		resource, err := resolve(ctx, call, in)
		if err != nil {
			return nil, err
		}
		if resource.ARN != "*" {
			call.Resources = append(call.Resources, audit.Resource{ARN: resource.ARN, Account: cmp.Or(resource.Account, call.Account())})
		}
		if !op.Unauthorized {
			err := call.Authorize(Question{
				Action: call.Service + ":" + op.Action, Resource: resource.ARN, Named: resource.Named, ResourceAccount: resource.Account,
				Policy: resource.Policy, MustAllow: resource.MustAllow, Grants: resource.Grants, Context: resource.Context,
				Unknown: resource.Unknown, Denial: resource.Denial,
			})
			if err != nil {
				return nil, err
			}
		}
		if resource.Missing != nil {
			return nil, resource.Missing
		}
		noted := len(call.Resources) - 1
		out, err := handle(ctx, call, in, resource.Value)
		if err != nil {
			return nil, err
		}
		if resource.Made != nil && resource.ARN != "*" {
			if made := resource.Made(out); made != "" {
				call.Resources[noted].ARN = made
			}
		}
		return out, nil
	}
	return op
}

// NewInput makes an empty input struct.
func (o *Operation) NewInput() any { return o.newInput() }

// NewOutput makes an empty output struct, as a handler answers it.
func (o *Operation) NewOutput() any { return o.newOutput() }

// Service is one AWS service behind the gateway.
type Service struct {
	// Name is that of AWS's model: kms, secretsmanager, cloudhsmv2. It is the signing name too, for all but cloudhsmv2, whose is cloudhsm.
	Name string
	// Operations are those that are carried out. All others of the service's model are refused by name.
	Operations []Operation
}

// Operation is the one of a name. It panics if there is none, as only a slip of ours brings about.
func (s Service) Operation(name string) Operation {
	i := slices.IndexFunc(s.Operations, func(o Operation) bool { return o.Name == name })
	return s.Operations[i]
}
