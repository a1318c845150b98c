package iam

import (
	"context"

	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	coreiam "strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/iam"
	"strongroom.dev/strongroom/internal/service/principals"
)

type roleResource = gateway.Resource[*v1alpha1.IAMRole]

func (a *api) roles() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("CreateRole", a.resolveCreateRole, a.createRole),
		gateway.Op("DeleteRole", func(ctx context.Context, c *gateway.Call, in *sdk.DeleteRoleInput) (roleResource, error) {
			return a.role(ctx, c, in.RoleName, contextKeys{})
		}, a.deleteRole),
		gateway.Op("GetRole", func(ctx context.Context, c *gateway.Call, in *sdk.GetRoleInput) (roleResource, error) {
			return a.role(ctx, c, in.RoleName, contextKeys{})
		}, a.getRole, gateway.ReadOnly),
		gateway.Op("ListRoles", none[sdk.ListRolesInput], a.listRoles, gateway.ReadOnly),
		gateway.Op("ListRoleTags", func(ctx context.Context, c *gateway.Call, in *sdk.ListRoleTagsInput) (roleResource, error) {
			return a.role(ctx, c, in.RoleName, contextKeys{})
		}, a.listRoleTags, gateway.ReadOnly),
		gateway.Op("TagRole", func(ctx context.Context, c *gateway.Call, in *sdk.TagRoleInput) (roleResource, error) {
			return a.role(ctx, c, in.RoleName, requestTags(in.Tags))
		}, a.tagRole),
		gateway.Op("UntagRole", func(ctx context.Context, c *gateway.Call, in *sdk.UntagRoleInput) (roleResource, error) {
			return a.role(ctx, c, in.RoleName, contextKeys{"aws:tagkeys": in.TagKeys})
		}, a.untagRole),
		gateway.Op("UpdateAssumeRolePolicy", func(ctx context.Context, c *gateway.Call, in *sdk.UpdateAssumeRolePolicyInput) (roleResource, error) {
			return a.role(ctx, c, in.RoleName, contextKeys{})
		}, a.updateTrust),
		gateway.Op("UpdateRole", func(ctx context.Context, c *gateway.Call, in *sdk.UpdateRoleInput) (roleResource, error) {
			return a.role(ctx, c, in.RoleName, contextKeys{})
		}, a.updateRole),
		gateway.Op("UpdateRoleDescription", func(ctx context.Context, c *gateway.Call, in *sdk.UpdateRoleDescriptionInput) (roleResource, error) {
			return a.role(ctx, c, in.RoleName, contextKeys{})
		}, a.updateDescription),
	}
}

func (a *api) resolveCreateRole(_ context.Context, call *gateway.Call, in *sdk.CreateRoleInput) (gateway.Resource[struct{}], error) {
	keys := requestTags(in.Tags)
	if in.PermissionsBoundary != nil {
		keys["iam:permissionsboundary"] = []string{*in.PermissionsBoundary}
	}
	role := &v1alpha1.IAMRole{Spec: v1alpha1.IAMRoleSpec{Name: deref(in.RoleName), Path: deref(in.Path)}}
	return gateway.Resource[struct{}]{ARN: iam.ARNOf(call.Account(), role), Context: keys}, nil
}

func (a *api) createRole(ctx context.Context, call *gateway.Call, in *sdk.CreateRoleInput, _ struct{}) (*sdk.CreateRoleOutput, error) {
	trust, err := trustDocument(in.AssumeRolePolicyDocument)
	if err != nil {
		return nil, err
	}
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	if err := mayTag(call, "iam:TagRole", &v1alpha1.IAMRole{Spec: v1alpha1.IAMRoleSpec{Name: deref(in.RoleName), Path: deref(in.Path)}}, in.Tags); err != nil {
		return nil, err
	}
	if err := a.attachable(ctx, call, in.PermissionsBoundary); err != nil {
		return nil, err
	}
	name := deref(in.RoleName)
	role := &v1alpha1.IAMRole{
		ObjectMeta: metav1.ObjectMeta{Namespace: call.Namespace()},
		Spec: v1alpha1.IAMRoleSpec{
			Name: name, Path: pathOf(in.Path), Description: deref(in.Description), AssumeRolePolicy: &trust,
			MaxSessionDuration: deref(in.MaxSessionDuration),
			Permissions:        v1alpha1.Permissions{PermissionsBoundary: deref(in.PermissionsBoundary), Tags: tagsOf(in.Tags)},
		},
	}
	made, err := iam.Create(ctx, a.IAM, role, name, func(r *v1alpha1.IAMRole) { r.Spec.Name = "" })
	if err != nil {
		return nil, answer(err, wordRole, name)
	}
	return &sdk.CreateRoleOutput{Role: roleTo(call.Account(), made)}, nil
}

func trustDocument(text *string) (v1alpha1.PolicyDocument, error) {
	trust, err := document(text, coreiam.Trust)
	if err == nil && coreiam.Size(trust.Raw) > coreiam.MaximumTrustPolicy {
		err = limit("Cannot exceed quota for ACLSizePerRole: " + itoa(coreiam.MaximumTrustPolicy))
	}
	return trust, err
}

func (a *api) deleteRole(ctx context.Context, _ *gateway.Call, _ *sdk.DeleteRoleInput, r *v1alpha1.IAMRole) (*sdk.DeleteRoleOutput, error) {
	if err := bare(&r.Spec.IdentityPolicies); err != nil {
		return nil, err
	}
	return &sdk.DeleteRoleOutput{}, iam.Delete(ctx, a.IAM, r)
}

func (a *api) getRole(_ context.Context, call *gateway.Call, _ *sdk.GetRoleInput, r *v1alpha1.IAMRole) (*sdk.GetRoleOutput, error) {
	return &sdk.GetRoleOutput{Role: roleTo(call.Account(), r)}, nil
}

func (a *api) listRoles(ctx context.Context, call *gateway.Call, in *sdk.ListRolesInput, _ struct{}) (*sdk.ListRolesOutput, error) {
	p, err := listed[*v1alpha1.IAMRole](ctx, a, call, in.PathPrefix, ask(call, in, in.Marker, in.MaxItems))
	if err != nil {
		return nil, err
	}
	out := &sdk.ListRolesOutput{Roles: []types.Role{}, IsTruncated: p.truncated, Marker: p.marker}
	for _, r := range p.items {
		role := roleTo(call.Account(), r)
		role.Tags, role.PermissionsBoundary = nil, nil // AWS leaves them out of lists
		out.Roles = append(out.Roles, *role)
	}
	return out, nil
}

func (a *api) listRoleTags(_ context.Context, call *gateway.Call, in *sdk.ListRoleTagsInput, r *v1alpha1.IAMRole) (*sdk.ListRoleTagsOutput, error) {
	p, err := paged(tagsTo(r.Spec.Tags), tagKey, ask(call, in, in.Marker, in.MaxItems))
	return &sdk.ListRoleTagsOutput{Tags: p.items, IsTruncated: p.truncated, Marker: p.marker}, err
}

func (a *api) tagRole(ctx context.Context, _ *gateway.Call, in *sdk.TagRoleInput, r *v1alpha1.IAMRole) (*sdk.TagRoleOutput, error) {
	return &sdk.TagRoleOutput{}, retag(ctx, a, r, in.Tags, nil)
}

func (a *api) untagRole(ctx context.Context, _ *gateway.Call, in *sdk.UntagRoleInput, r *v1alpha1.IAMRole) (*sdk.UntagRoleOutput, error) {
	return &sdk.UntagRoleOutput{}, retag(ctx, a, r, nil, in.TagKeys)
}

func (a *api) updateTrust(ctx context.Context, call *gateway.Call, in *sdk.UpdateAssumeRolePolicyInput, r *v1alpha1.IAMRole) (*sdk.UpdateAssumeRolePolicyOutput, error) {
	trust, err := trustDocument(in.PolicyDocument)
	if err != nil {
		return nil, err
	}
	err = iam.Change(ctx, a.IAM, r, func(live *v1alpha1.IAMRole) error {
		live.Spec.AssumeRolePolicy = &trust
		principals.Save(live, call.RequestID)
		return nil
	})
	return &sdk.UpdateAssumeRolePolicyOutput{}, answer(err, wordRole, r.AWSName())
}

func (a *api) updateRole(ctx context.Context, _ *gateway.Call, in *sdk.UpdateRoleInput, r *v1alpha1.IAMRole) (*sdk.UpdateRoleOutput, error) {
	err := iam.Change(ctx, a.IAM, r, func(live *v1alpha1.IAMRole) error {
		if in.Description != nil {
			live.Spec.Description = *in.Description
		}
		if in.MaxSessionDuration != nil {
			live.Spec.MaxSessionDuration = *in.MaxSessionDuration
		}
		return nil
	})
	return &sdk.UpdateRoleOutput{}, answer(err, wordRole, r.AWSName())
}

func (a *api) updateDescription(ctx context.Context, call *gateway.Call, in *sdk.UpdateRoleDescriptionInput, r *v1alpha1.IAMRole) (*sdk.UpdateRoleDescriptionOutput, error) {
	after := r
	err := iam.Change(ctx, a.IAM, r, func(live *v1alpha1.IAMRole) error {
		live.Spec.Description, after = deref(in.Description), live
		return nil
	})
	if err != nil {
		return nil, answer(err, wordRole, r.AWSName())
	}
	return &sdk.UpdateRoleDescriptionOutput{Role: roleTo(call.Account(), after)}, nil
}
