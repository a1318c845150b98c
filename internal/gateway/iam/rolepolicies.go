package iam

import (
	"context"

	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
)

// rolePolicies are the operations on what a role may do.
func (a *api) rolePolicies() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("AttachRolePolicy", func(ctx context.Context, c *gateway.Call, in *sdk.AttachRolePolicyInput) (roleResource, error) {
			return bounded(a.role(ctx, c, ptr.To(deref(in.RoleName)), with("iam:policyarn", in.PolicyArn)))
		}, func(ctx context.Context, c *gateway.Call, in *sdk.AttachRolePolicyInput, o *v1alpha1.IAMRole) (*sdk.AttachRolePolicyOutput, error) {
			return &sdk.AttachRolePolicyOutput{}, attach(ctx, a, c, o, in.PolicyArn)
		}),
		gateway.Op("DetachRolePolicy", func(ctx context.Context, c *gateway.Call, in *sdk.DetachRolePolicyInput) (roleResource, error) {
			return bounded(a.role(ctx, c, ptr.To(deref(in.RoleName)), with("iam:policyarn", in.PolicyArn)))
		}, func(ctx context.Context, _ *gateway.Call, in *sdk.DetachRolePolicyInput, o *v1alpha1.IAMRole) (*sdk.DetachRolePolicyOutput, error) {
			return &sdk.DetachRolePolicyOutput{}, detach(ctx, a, o, in.PolicyArn)
		}),
		gateway.Op("ListAttachedRolePolicies", func(ctx context.Context, c *gateway.Call, in *sdk.ListAttachedRolePoliciesInput) (roleResource, error) {
			return a.role(ctx, c, ptr.To(deref(in.RoleName)), contextKeys{})
		}, func(_ context.Context, call *gateway.Call, in *sdk.ListAttachedRolePoliciesInput, o *v1alpha1.IAMRole) (*sdk.ListAttachedRolePoliciesOutput, error) {
			p, err := attachedOf(&o.Spec.IdentityPolicies, in.PathPrefix, ask(call, in, in.Marker, in.MaxItems))
			return &sdk.ListAttachedRolePoliciesOutput{AttachedPolicies: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
		}, gateway.ReadOnly),
		gateway.Op("PutRolePolicy", func(ctx context.Context, c *gateway.Call, in *sdk.PutRolePolicyInput) (roleResource, error) {
			return bounded(a.role(ctx, c, ptr.To(deref(in.RoleName)), contextKeys{}))
		}, func(ctx context.Context, _ *gateway.Call, in *sdk.PutRolePolicyInput, o *v1alpha1.IAMRole) (*sdk.PutRolePolicyOutput, error) {
			return &sdk.PutRolePolicyOutput{}, putInline(ctx, a, o, in.PolicyName, in.PolicyDocument)
		}),
		gateway.Op("DeleteRolePolicy", func(ctx context.Context, c *gateway.Call, in *sdk.DeleteRolePolicyInput) (roleResource, error) {
			return bounded(a.role(ctx, c, ptr.To(deref(in.RoleName)), contextKeys{}))
		}, func(ctx context.Context, _ *gateway.Call, in *sdk.DeleteRolePolicyInput, o *v1alpha1.IAMRole) (*sdk.DeleteRolePolicyOutput, error) {
			return &sdk.DeleteRolePolicyOutput{}, deleteInline(ctx, a, o, in.PolicyName)
		}),
		gateway.Op("GetRolePolicy", func(ctx context.Context, c *gateway.Call, in *sdk.GetRolePolicyInput) (roleResource, error) {
			return a.role(ctx, c, ptr.To(deref(in.RoleName)), contextKeys{})
		}, func(_ context.Context, _ *gateway.Call, in *sdk.GetRolePolicyInput, o *v1alpha1.IAMRole) (*sdk.GetRolePolicyOutput, error) {
			document, err := inline(o, in.PolicyName)
			return &sdk.GetRolePolicyOutput{RoleName: ptr.To(o.AWSName()), PolicyName: in.PolicyName, PolicyDocument: document}, err
		}, gateway.ReadOnly),
		gateway.Op("ListRolePolicies", func(ctx context.Context, c *gateway.Call, in *sdk.ListRolePoliciesInput) (roleResource, error) {
			return a.role(ctx, c, ptr.To(deref(in.RoleName)), contextKeys{})
		}, func(_ context.Context, call *gateway.Call, in *sdk.ListRolePoliciesInput, o *v1alpha1.IAMRole) (*sdk.ListRolePoliciesOutput, error) {
			p, err := inlineNames(&o.Spec.IdentityPolicies, ask(call, in, in.Marker, in.MaxItems))
			return &sdk.ListRolePoliciesOutput{PolicyNames: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
		}, gateway.ReadOnly),
		gateway.Op("PutRolePermissionsBoundary", func(ctx context.Context, c *gateway.Call, in *sdk.PutRolePermissionsBoundaryInput) (roleResource, error) {
			return a.role(ctx, c, ptr.To(deref(in.RoleName)), with("iam:permissionsboundary", in.PermissionsBoundary))
		}, func(ctx context.Context, c *gateway.Call, in *sdk.PutRolePermissionsBoundaryInput, o *v1alpha1.IAMRole) (*sdk.PutRolePermissionsBoundaryOutput, error) {
			return &sdk.PutRolePermissionsBoundaryOutput{}, bound(ctx, a, c, o, in.PermissionsBoundary)
		}),
		gateway.Op("DeleteRolePermissionsBoundary", func(ctx context.Context, c *gateway.Call, in *sdk.DeleteRolePermissionsBoundaryInput) (roleResource, error) {
			return bounded(a.role(ctx, c, ptr.To(deref(in.RoleName)), contextKeys{}))
		}, func(ctx context.Context, c *gateway.Call, _ *sdk.DeleteRolePermissionsBoundaryInput, o *v1alpha1.IAMRole) (*sdk.DeleteRolePermissionsBoundaryOutput, error) {
			return &sdk.DeleteRolePermissionsBoundaryOutput{}, bound(ctx, a, c, o, nil)
		}),
	}
}
