package kms

import (
	"context"
	"encoding/json/jsontext"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/principals"
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
	return &awskms.PutKeyPolicyOutput{}, o.change(ctx, t.key, keys.PutKeyPolicy, func(k *v1alpha1.KMSKey) {
		k.Spec.Policy = policy
		principals.Save(k, call.RequestID)
	})
}

func (o *operations) listKeyPolicies(_ context.Context, _ *gateway.Call, _ *awskms.ListKeyPoliciesInput, _ target) (*awskms.ListKeyPoliciesOutput, error) {
	return &awskms.ListKeyPoliciesOutput{PolicyNames: []string{policyName}}, nil
}

// checkedPolicy reads a key policy of a request, and holds it to letting somebody change it again.
func checkedPolicy(call *gateway.Call, keyARN, document string, bypass bool, conditions *kms.Conditions) (*v1alpha1.PolicyDocument, error) {
	if len(document) > iam.MaximumDocument { // AWS says so of a length constraint
		return nil, &types.LimitExceededException{Message: aws.String(fmt.Sprintf("The policy is longer than %d bytes.", iam.MaximumDocument))}
	}
	policy, err := kms.ParsePolicy([]byte(document))
	if err != nil {
		return nil, &types.MalformedPolicyDocumentException{Message: aws.String("The policy is malformed: " + err.Error())}
	}
	if !bypass && !mayPutAgain(call, policy, keyARN, conditions) {
		return nil, &types.MalformedPolicyDocumentException{
			Message: aws.String("The new key policy will not allow you to update the key policy in the future."),
		}
	}
	out := &v1alpha1.PolicyDocument{}
	out.Raw = jsontext.Value(document)
	return out, nil
}

// mayPutAgain tells whether a key policy lets the caller put another one, or leaves that to the caller's account. The caller's own
// policies are not looked at: they can be changed without the key.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_PutKeyPolicy.html
func mayPutAgain(call *gateway.Call, policy *iam.Policy, keyARN string, conditions *kms.Conditions) bool {
	decision := iam.Evaluate(&iam.Request{
		Principal: call.Identity.Principal, Action: "kms:PutKeyPolicy", Resource: keyARN, Context: call.Context(conditions),
	}, &iam.Policies{Resource: policy, ResourceAccount: arn.Account(keyARN), ResourceMustAllow: true})
	return decision.Allowed() || decision.Reason == iam.ImplicitDeny && decision.Kind == iam.KindIdentity
}
