package iam

import (
	"context"

	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
)

// groupPolicies are the operations on what a group may do.
func (a *api) groupPolicies() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("AttachGroupPolicy", func(ctx context.Context, c *gateway.Call, in *sdk.AttachGroupPolicyInput) (groupResource, error) {
			return a.group(ctx, c, in.GroupName, with("iam:policyarn", in.PolicyArn))
		}, func(ctx context.Context, c *gateway.Call, in *sdk.AttachGroupPolicyInput, o *v1alpha1.IAMGroup) (*sdk.AttachGroupPolicyOutput, error) {
			return &sdk.AttachGroupPolicyOutput{}, attach(ctx, a, c, o, in.PolicyArn)
		}),
		gateway.Op("DetachGroupPolicy", func(ctx context.Context, c *gateway.Call, in *sdk.DetachGroupPolicyInput) (groupResource, error) {
			return a.group(ctx, c, in.GroupName, with("iam:policyarn", in.PolicyArn))
		}, func(ctx context.Context, _ *gateway.Call, in *sdk.DetachGroupPolicyInput, o *v1alpha1.IAMGroup) (*sdk.DetachGroupPolicyOutput, error) {
			return &sdk.DetachGroupPolicyOutput{}, detach(ctx, a, o, in.PolicyArn)
		}),
		gateway.Op("ListAttachedGroupPolicies", func(ctx context.Context, c *gateway.Call, in *sdk.ListAttachedGroupPoliciesInput) (groupResource, error) {
			return a.group(ctx, c, in.GroupName, contextKeys{})
		}, func(_ context.Context, call *gateway.Call, in *sdk.ListAttachedGroupPoliciesInput, o *v1alpha1.IAMGroup) (*sdk.ListAttachedGroupPoliciesOutput, error) {
			p, err := attachedOf(&o.Spec.IdentityPolicies, in.PathPrefix, ask(call, in, in.Marker, in.MaxItems))
			return &sdk.ListAttachedGroupPoliciesOutput{AttachedPolicies: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
		}, gateway.ReadOnly),
		gateway.Op("PutGroupPolicy", func(ctx context.Context, c *gateway.Call, in *sdk.PutGroupPolicyInput) (groupResource, error) {
			return a.group(ctx, c, in.GroupName, contextKeys{})
		}, func(ctx context.Context, _ *gateway.Call, in *sdk.PutGroupPolicyInput, o *v1alpha1.IAMGroup) (*sdk.PutGroupPolicyOutput, error) {
			return &sdk.PutGroupPolicyOutput{}, putInline(ctx, a, o, in.PolicyName, in.PolicyDocument)
		}),
		gateway.Op("DeleteGroupPolicy", func(ctx context.Context, c *gateway.Call, in *sdk.DeleteGroupPolicyInput) (groupResource, error) {
			return a.group(ctx, c, in.GroupName, contextKeys{})
		}, func(ctx context.Context, _ *gateway.Call, in *sdk.DeleteGroupPolicyInput, o *v1alpha1.IAMGroup) (*sdk.DeleteGroupPolicyOutput, error) {
			return &sdk.DeleteGroupPolicyOutput{}, deleteInline(ctx, a, o, in.PolicyName)
		}),
		gateway.Op("GetGroupPolicy", func(ctx context.Context, c *gateway.Call, in *sdk.GetGroupPolicyInput) (groupResource, error) {
			return a.group(ctx, c, in.GroupName, contextKeys{})
		}, func(_ context.Context, _ *gateway.Call, in *sdk.GetGroupPolicyInput, o *v1alpha1.IAMGroup) (*sdk.GetGroupPolicyOutput, error) {
			document, err := inline(o, in.PolicyName)
			return &sdk.GetGroupPolicyOutput{GroupName: ptr.To(o.AWSName()), PolicyName: in.PolicyName, PolicyDocument: document}, err
		}, gateway.ReadOnly),
		gateway.Op("ListGroupPolicies", func(ctx context.Context, c *gateway.Call, in *sdk.ListGroupPoliciesInput) (groupResource, error) {
			return a.group(ctx, c, in.GroupName, contextKeys{})
		}, func(_ context.Context, call *gateway.Call, in *sdk.ListGroupPoliciesInput, o *v1alpha1.IAMGroup) (*sdk.ListGroupPoliciesOutput, error) {
			p, err := inlineNames(&o.Spec.IdentityPolicies, ask(call, in, in.Marker, in.MaxItems))
			return &sdk.ListGroupPoliciesOutput{PolicyNames: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
		}, gateway.ReadOnly),
	}
}
