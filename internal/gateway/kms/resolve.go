package kms

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/grants"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/kms"
)

// asked is what an operation asks about a key.
type asked struct {
	// keyID as the request has it.
	keyID *string
	how   naming
	// conditions of the operation; key, alias and caller are filled in.
	conditions kms.Conditions
	// tokens are the request's grant tokens.
	tokens []string
	// child is the grant that is to be created; nil for all operations but CreateGrant.
	child *grants.Grant
}

// target is the key that an operation is permitted.
type target struct {
	key *v1alpha1.KMSKey
	// alias that the request named it by.
	alias string
}

// resource finds a key for authorization.
func (o *operations) resource(ctx context.Context, call *gateway.Call, a asked) (gateway.Resource[target], error) {
	var none gateway.Resource[target]
	if err := checkContext(a.conditions.EncryptionContext); err != nil {
		return none, err
	}
	ref, err := parseRef(call, aws.ToString(a.keyID), a.how)
	if err != nil {
		return none, err
	}
	shown, err := o.shown(ctx, a.tokens)
	if err != nil {
		return none, err
	}
	var key *v1alpha1.KMSKey
	if a.how != idOnly || ref.Account == call.Account() { // such an operation knows no other account's keys
		if key, err = o.Find(ctx, ref); err != nil {
			return none, answer(nil, err)
		}
	}
	r := o.about(call, ref, key, a.conditions)
	r.Grants = o.Granting(ctx, key, call.Identity.Principal, shown, kms.Wanted{Context: a.conditions.EncryptionContext, Child: a.child})
	return r, nil
}

// checkContext refuses an encryption context before policies are asked about it: one over the limit of KMS, which would cost what its
// patterns cost, and one that a policy could not tell from another.
func checkContext(ec map[string]string) error {
	if err := keys.Context(ec).Validate(); err != nil {
		return answer(nil, err)
	}
	if kms.AmbiguousContext(ec) {
		return validation("The encryption context has keys that differ in case alone")
	}
	return nil
}

// about is a key as authorization sees it; one that is not there has the default policy.
func (o *operations) about(call *gateway.Call, ref kms.Ref, key *v1alpha1.KMSKey, conditions kms.Conditions) gateway.Resource[target] {
	conditions.CallerAccount, conditions.Alias, conditions.Key = call.Account(), ref.Alias, key
	named := ref.ARN()
	if key == nil {
		return gateway.Resource[target]{
			ARN: named, Account: ref.Account, Policy: o.DefaultPolicy(ref.Account), MustAllow: true, Context: &conditions,
			Missing: missing(ref),
		}
	}
	return gateway.Resource[target]{
		ARN: key.Status.ARN, Named: named, Account: ref.Account, Policy: o.Policy(key), MustAllow: true, Context: &conditions,
		Unknown: func() gateway.Question {
			unknown := conditions
			unknown.Key = nil
			return gateway.Question{
				Resource: named, ResourceAccount: ref.Account, Policy: o.DefaultPolicy(ref.Account), MustAllow: true,
				Context: &unknown,
			}
		},
		Value: target{key: key, alias: ref.Alias},
	}
}

// permitted finds one more key that an operation needs and asks for an action on it.
func (o *operations) permitted(ctx context.Context, call *gateway.Call, a asked, action string) (*v1alpha1.KMSKey, error) {
	r, err := o.resource(ctx, call, a)
	if err != nil {
		return nil, err
	}
	err = call.Authorize(gateway.Question{
		Action: call.Service + ":" + action, Resource: r.ARN, Named: r.Named, ResourceAccount: r.Account,
		Policy: r.Policy, MustAllow: r.MustAllow, Grants: r.Grants, Context: r.Context, Unknown: r.Unknown,
	})
	if err != nil {
		return nil, err
	}
	return r.Value.key, r.Missing
}

// on makes the Resolve of an operation on a key.
func on[I any](o *operations, ask func(*I) asked) gateway.Resolve[I, target] {
	return func(ctx context.Context, call *gateway.Call, in *I) (gateway.Resource[target], error) {
		return o.resource(ctx, call, ask(in))
	}
}

// everything is the Resolve of an operation that is about no resource.
func everything[I any](_ context.Context, call *gateway.Call, _ *I) (gateway.Resource[target], error) {
	return gateway.Resource[target]{ARN: "*", Context: &kms.Conditions{CallerAccount: call.Account()}}, nil
}
