package ssm

import (
	"context"
	"errors"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/internal/service/principals"
)

// shareable is the parameter whose resource policy a request is about, by its ARN. Another account's is permitted by its own policy alone.
func (a *api) shareable(ctx context.Context, call *gateway.Call, given *string) (gateway.Resource[target], error) {
	id, err := parameterstore.ParseID(deref(given))
	if err != nil || id.Account == "" || id.Selector != "" {
		return gateway.Resource[target]{}, parameterstore.InvalidPolicyParameter("ResourceArn", "The resource is not the ARN of a parameter.")
	}
	r, err := a.shared(ctx, call, &id, conditionKeys{})
	if err == nil && r.Missing != nil {
		r.Missing = &types.ResourceNotFoundException{Message: ptr.To("The specified parameter to be shared could not be found.")}
	}
	return r, err
}

func (a *api) resolvePutPolicy(ctx context.Context, call *gateway.Call, in *sdk.PutResourcePolicyInput) (gateway.Resource[target], error) {
	return a.shareable(ctx, call, in.ResourceArn)
}

func (a *api) putResourcePolicy(ctx context.Context, call *gateway.Call, in *sdk.PutResourcePolicyInput, t target) (*sdk.PutResourcePolicyOutput, error) {
	for name, pair := range map[string][2]*string{"PolicyHash": {in.PolicyId, in.PolicyHash}, "PolicyId": {in.PolicyHash, in.PolicyId}} {
		if deref(pair[0]) != "" && deref(pair[1]) == "" {
			return nil, parameterstore.InvalidPolicyParameter(name, "A policy that is replaced is named by its PolicyId and its PolicyHash.")
		}
	}
	document, err := a.Parameters.CheckPolicy(ctx, deref(in.Policy), arn.Account(t.arn))
	switch {
	case errors.Is(err, principals.ErrPrincipal):
		return nil, malformed("it names a user or role that does not exist.")
	case errors.Is(err, principals.ErrServicePrincipal):
		return nil, malformed("it names a service that does not exist.")
	case errors.Is(err, iam.ErrMalformed):
		return nil, malformed(err.Error())
	case err != nil:
		return nil, err
	}
	p, err := a.Parameters.PutPolicy(ctx, t.parameter, document, deref(in.PolicyId), deref(in.PolicyHash), call.RequestID)
	if err != nil {
		return nil, policyTarget(err)
	}
	return &sdk.PutResourcePolicyOutput{PolicyId: ptr.To(parameterstore.PolicyID(p)), PolicyHash: ptr.To(parameterstore.PolicyHash(p))}, nil
}

func malformed(why string) error {
	return &types.MalformedResourcePolicyDocumentException{Message: ptr.To("The specified policy document is malformed or invalid: " + strings.TrimSuffix(why, ".") + ".")}
}

// policyTarget tells of a parameter that was deleted meanwhile as these operations do.
func policyTarget(err error) error {
	if parameterstore.IsNotFound(err) {
		return &types.ResourceNotFoundException{Message: ptr.To("The specified parameter to be shared could not be found.")}
	}
	return err
}

func (a *api) resolveGetPolicies(ctx context.Context, call *gateway.Call, in *sdk.GetResourcePoliciesInput) (gateway.Resource[target], error) {
	if in.NextToken != nil { // a parameter has one policy, so there is no second page
		return gateway.Resource[target]{}, parameterstore.InvalidPolicyParameter("NextToken", "The specified token isn't valid.")
	}
	return a.shareable(ctx, call, in.ResourceArn)
}

func (a *api) getResourcePolicies(_ context.Context, _ *gateway.Call, _ *sdk.GetResourcePoliciesInput, t target) (*sdk.GetResourcePoliciesOutput, error) {
	out := &sdk.GetResourcePoliciesOutput{Policies: []types.GetResourcePoliciesResponseEntry{}}
	if document := t.parameter.Spec.ResourcePolicy; document != nil {
		out.Policies = append(out.Policies, types.GetResourcePoliciesResponseEntry{
			Policy: ptr.To(string(document.Raw)), PolicyId: ptr.To(parameterstore.PolicyID(t.parameter)), PolicyHash: ptr.To(parameterstore.PolicyHash(t.parameter)),
		})
	}
	return out, nil
}

func (a *api) resolveDeletePolicy(ctx context.Context, call *gateway.Call, in *sdk.DeleteResourcePolicyInput) (gateway.Resource[target], error) {
	return a.shareable(ctx, call, in.ResourceArn)
}

func (a *api) deleteResourcePolicy(ctx context.Context, _ *gateway.Call, in *sdk.DeleteResourcePolicyInput, t target) (*sdk.DeleteResourcePolicyOutput, error) {
	return &sdk.DeleteResourcePolicyOutput{}, policyTarget(a.Parameters.DeletePolicy(ctx, t.parameter, deref(in.PolicyId), deref(in.PolicyHash)))
}
