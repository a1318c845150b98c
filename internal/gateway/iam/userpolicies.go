package iam

import (
	"context"

	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
)

// userPolicies are the operations on what a user may do.
func (a *api) userPolicies() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("AttachUserPolicy", func(ctx context.Context, c *gateway.Call, in *sdk.AttachUserPolicyInput) (userResource, error) {
			return bounded(a.user(ctx, c, ptr.To(deref(in.UserName)), with("iam:policyarn", in.PolicyArn)))
		}, func(ctx context.Context, c *gateway.Call, in *sdk.AttachUserPolicyInput, o *v1alpha1.IAMUser) (*sdk.AttachUserPolicyOutput, error) {
			return &sdk.AttachUserPolicyOutput{}, attach(ctx, a, c, o, in.PolicyArn)
		}),
		gateway.Op("DetachUserPolicy", func(ctx context.Context, c *gateway.Call, in *sdk.DetachUserPolicyInput) (userResource, error) {
			return bounded(a.user(ctx, c, ptr.To(deref(in.UserName)), with("iam:policyarn", in.PolicyArn)))
		}, func(ctx context.Context, _ *gateway.Call, in *sdk.DetachUserPolicyInput, o *v1alpha1.IAMUser) (*sdk.DetachUserPolicyOutput, error) {
			return &sdk.DetachUserPolicyOutput{}, detach(ctx, a, o, in.PolicyArn)
		}),
		gateway.Op("ListAttachedUserPolicies", func(ctx context.Context, c *gateway.Call, in *sdk.ListAttachedUserPoliciesInput) (userResource, error) {
			return a.user(ctx, c, ptr.To(deref(in.UserName)), contextKeys{})
		}, func(_ context.Context, call *gateway.Call, in *sdk.ListAttachedUserPoliciesInput, o *v1alpha1.IAMUser) (*sdk.ListAttachedUserPoliciesOutput, error) {
			p, err := attachedOf(&o.Spec.IdentityPolicies, in.PathPrefix, ask(call, in, in.Marker, in.MaxItems))
			return &sdk.ListAttachedUserPoliciesOutput{AttachedPolicies: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
		}, gateway.ReadOnly),
		gateway.Op("PutUserPolicy", func(ctx context.Context, c *gateway.Call, in *sdk.PutUserPolicyInput) (userResource, error) {
			return bounded(a.user(ctx, c, ptr.To(deref(in.UserName)), contextKeys{}))
		}, func(ctx context.Context, _ *gateway.Call, in *sdk.PutUserPolicyInput, o *v1alpha1.IAMUser) (*sdk.PutUserPolicyOutput, error) {
			return &sdk.PutUserPolicyOutput{}, putInline(ctx, a, o, in.PolicyName, in.PolicyDocument)
		}),
		gateway.Op("DeleteUserPolicy", func(ctx context.Context, c *gateway.Call, in *sdk.DeleteUserPolicyInput) (userResource, error) {
			return bounded(a.user(ctx, c, ptr.To(deref(in.UserName)), contextKeys{}))
		}, func(ctx context.Context, _ *gateway.Call, in *sdk.DeleteUserPolicyInput, o *v1alpha1.IAMUser) (*sdk.DeleteUserPolicyOutput, error) {
			return &sdk.DeleteUserPolicyOutput{}, deleteInline(ctx, a, o, in.PolicyName)
		}),
		gateway.Op("GetUserPolicy", func(ctx context.Context, c *gateway.Call, in *sdk.GetUserPolicyInput) (userResource, error) {
			return a.user(ctx, c, ptr.To(deref(in.UserName)), contextKeys{})
		}, func(_ context.Context, _ *gateway.Call, in *sdk.GetUserPolicyInput, o *v1alpha1.IAMUser) (*sdk.GetUserPolicyOutput, error) {
			document, err := inline(o, in.PolicyName)
			return &sdk.GetUserPolicyOutput{UserName: ptr.To(o.AWSName()), PolicyName: in.PolicyName, PolicyDocument: document}, err
		}, gateway.ReadOnly),
		gateway.Op("ListUserPolicies", func(ctx context.Context, c *gateway.Call, in *sdk.ListUserPoliciesInput) (userResource, error) {
			return a.user(ctx, c, ptr.To(deref(in.UserName)), contextKeys{})
		}, func(_ context.Context, call *gateway.Call, in *sdk.ListUserPoliciesInput, o *v1alpha1.IAMUser) (*sdk.ListUserPoliciesOutput, error) {
			p, err := inlineNames(&o.Spec.IdentityPolicies, ask(call, in, in.Marker, in.MaxItems))
			return &sdk.ListUserPoliciesOutput{PolicyNames: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
		}, gateway.ReadOnly),
		gateway.Op("PutUserPermissionsBoundary", func(ctx context.Context, c *gateway.Call, in *sdk.PutUserPermissionsBoundaryInput) (userResource, error) {
			return a.user(ctx, c, ptr.To(deref(in.UserName)), with("iam:permissionsboundary", in.PermissionsBoundary))
		}, func(ctx context.Context, c *gateway.Call, in *sdk.PutUserPermissionsBoundaryInput, o *v1alpha1.IAMUser) (*sdk.PutUserPermissionsBoundaryOutput, error) {
			return &sdk.PutUserPermissionsBoundaryOutput{}, bound(ctx, a, c, o, in.PermissionsBoundary)
		}),
		gateway.Op("DeleteUserPermissionsBoundary", func(ctx context.Context, c *gateway.Call, in *sdk.DeleteUserPermissionsBoundaryInput) (userResource, error) {
			return bounded(a.user(ctx, c, ptr.To(deref(in.UserName)), contextKeys{}))
		}, func(ctx context.Context, c *gateway.Call, _ *sdk.DeleteUserPermissionsBoundaryInput, o *v1alpha1.IAMUser) (*sdk.DeleteUserPermissionsBoundaryOutput, error) {
			return &sdk.DeleteUserPermissionsBoundaryOutput{}, bound(ctx, a, c, o, nil)
		}),
	}
}
