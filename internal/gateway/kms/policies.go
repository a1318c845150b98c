package kms

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/kms"
)

// policyName is the only one that a key has.
const policyName = "default"

func (o *operations) policies() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("GetKeyPolicy", on(o, func(in *awskms.GetKeyPolicyInput) asked { return asked{keyID: in.KeyId} }),
			o.getKeyPolicy, gateway.ReadOnly),
		gateway.Op("PutKeyPolicy", on(o, func(in *awskms.PutKeyPolicyInput) asked {
			return asked{keyID: in.KeyId, conditions: kms.Conditions{More: iam.Map{
				"kms:bypasspolicylockoutsafetycheck": {boolean(in.BypassPolicyLockoutSafetyCheck)},
			}}}
		}), o.putKeyPolicy),
		gateway.Op("ListKeyPolicies", on(o, func(in *awskms.ListKeyPoliciesInput) asked { return asked{keyID: in.KeyId} }),
			o.listKeyPolicies, gateway.ReadOnly),
	}
}

func (o *operations) getKeyPolicy(_ context.Context, _ *gateway.Call, in *awskms.GetKeyPolicyInput, t target) (*awskms.GetKeyPolicyOutput, error) {
	if in.PolicyName != nil && *in.PolicyName != policyName {
		return nil, notFound("No such policy exists")
	}
	return &awskms.GetKeyPolicyOutput{Policy: aws.String(kms.PolicyDocument(t.key)), PolicyName: aws.String(policyName)}, nil
}

func (o *operations) putKeyPolicy(ctx context.Context, call *gateway.Call, in *awskms.PutKeyPolicyInput, t target) (*awskms.PutKeyPolicyOutput, error) {
	if in.PolicyName != nil && *in.PolicyName != policyName {
		return nil, notFound("No such policy exists")
	}
	policy, err := checkedPolicy(call, t.key.Status.ARN, aws.ToString(in.Policy), in.BypassPolicyLockoutSafetyCheck,
		&kms.Conditions{Key: t.key, CallerAccount: call.Account()})
	if err != nil {
		return nil, err
	}
	return &awskms.PutKeyPolicyOutput{}, o.change(ctx, t.key, keys.PutKeyPolicy, func(k *v1alpha1.KMSKey) { k.Spec.Policy = policy })
}

func (o *operations) listKeyPolicies(_ context.Context, _ *gateway.Call, _ *awskms.ListKeyPoliciesInput, _ target) (*awskms.ListKeyPoliciesOutput, error) {
	return &awskms.ListKeyPoliciesOutput{PolicyNames: []string{policyName}}, nil
}
