package iam

import (
	"context"
	"slices"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	coreiam "strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/iam"
)

// maximumAttached managed policies of a user or role.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const maximumAttached = 25

// attachedTo are the users and roles that a managed policy is attached to.
func (a *api) attachedTo(ctx context.Context, call *gateway.Call, policyARN string) (users []*v1alpha1.IAMUser, roles []*v1alpha1.IAMRole, err error) {
	if users, err = iam.List[*v1alpha1.IAMUser](ctx, a.IAM, call.Namespace()); err != nil {
		return nil, nil, err
	}
	if roles, err = iam.List[*v1alpha1.IAMRole](ctx, a.IAM, call.Namespace()); err != nil {
		return nil, nil, err
	}
	users = slices.DeleteFunc(users, func(u *v1alpha1.IAMUser) bool { return !slices.Contains(u.Spec.ManagedPolicyARNs, policyARN) })
	roles = slices.DeleteFunc(roles, func(r *v1alpha1.IAMRole) bool { return !slices.Contains(r.Spec.ManagedPolicyARNs, policyARN) })
	return users, roles, nil
}

// attachments counts the users and roles that each managed policy is attached to.
func (a *api) attachments(ctx context.Context, call *gateway.Call) (map[string]int32, error) {
	users, err := iam.List[*v1alpha1.IAMUser](ctx, a.IAM, call.Namespace())
	if err != nil {
		return nil, err
	}
	roles, err := iam.List[*v1alpha1.IAMRole](ctx, a.IAM, call.Namespace())
	out := map[string]int32{}
	for _, u := range users {
		for _, policyARN := range u.Spec.ManagedPolicyARNs {
			out[policyARN]++
		}
	}
	for _, r := range roles {
		for _, policyARN := range r.Spec.ManagedPolicyARNs {
			out[policyARN]++
		}
	}
	return out, err
}

func (a *api) listEntities(ctx context.Context, call *gateway.Call, in *sdk.ListEntitiesForPolicyInput, r readable) (*sdk.ListEntitiesForPolicyOutput, error) {
	users, roles, err := a.attachedTo(ctx, call, r.arn)
	if err != nil {
		return nil, err
	}
	out := &sdk.ListEntitiesForPolicyOutput{PolicyGroups: []types.PolicyGroup{}, PolicyUsers: []types.PolicyUser{}, PolicyRoles: []types.PolicyRole{}}
	if in.EntityFilter == "" || in.EntityFilter == types.EntityTypeUser {
		for _, u := range users {
			out.PolicyUsers = append(out.PolicyUsers, types.PolicyUser{UserName: ptr.To(u.AWSName()), UserId: ptr.To(iam.UniqueIDOf(u))})
		}
	}
	if in.EntityFilter == "" || in.EntityFilter == types.EntityTypeRole {
		for _, r := range roles {
			out.PolicyRoles = append(out.PolicyRoles, types.PolicyRole{RoleName: ptr.To(r.AWSName()), RoleId: ptr.To(iam.UniqueIDOf(r))})
		}
	}
	return out, nil
}

// attachable refuses what is no managed policy of the account, nor of those that every account has. nil is no policy.
func (a *api) attachable(ctx context.Context, call *gateway.Call, policyARN *string) error {
	if policyARN == nil {
		return nil
	}
	r, err := a.readable(ctx, call, policyARN)
	if err != nil {
		return err
	}
	return r.Missing
}

// attach attaches a managed policy. One that is attached already is no error.
func attach[T iam.Entity](ctx context.Context, a *api, call *gateway.Call, e T, policyARN *string) error {
	if err := a.attachable(ctx, call, policyARN); err != nil {
		return err
	}
	return changed(ctx, a, e, func(p *v1alpha1.Permissions) error {
		if slices.Contains(p.ManagedPolicyARNs, *policyARN) {
			return nil
		}
		if len(p.ManagedPolicyARNs) >= maximumAttached {
			return limit("Cannot exceed quota for PoliciesPer" + title(wordOf(e)) + ": " + itoa(maximumAttached))
		}
		p.ManagedPolicyARNs = append(p.ManagedPolicyARNs, *policyARN)
		return nil
	})
}

func detach[T iam.Entity](ctx context.Context, a *api, e T, policyARN *string) error {
	return changed(ctx, a, e, func(p *v1alpha1.Permissions) error {
		at := slices.Index(p.ManagedPolicyARNs, deref(policyARN))
		if at < 0 {
			message := "Policy " + deref(policyARN) + " was not found."
			return &types.NoSuchEntityException{Message: &message}
		}
		p.ManagedPolicyARNs = slices.Delete(p.ManagedPolicyARNs, at, at+1)
		return nil
	})
}

func attachedOf(p *v1alpha1.Permissions, prefix *string, marker *string, size *int32) (page[types.AttachedPolicy], error) {
	out := []types.AttachedPolicy{}
	for _, policyARN := range p.ManagedPolicyARNs {
		resource := policyARN[strings.Index(policyARN, ":policy/")+len(":policy"):]
		path, name := resource[:strings.LastIndexByte(resource, '/')+1], resource[strings.LastIndexByte(resource, '/')+1:]
		if strings.HasPrefix(path, deref(prefix)) {
			out = append(out, types.AttachedPolicy{PolicyArn: ptr.To(policyARN), PolicyName: ptr.To(name)})
		}
	}
	return paged(out, func(p types.AttachedPolicy) string { return *p.PolicyArn }, marker, size)
}

// putInline puts a policy that is part of a user or role, in the place of one of its name.
func putInline[T iam.Entity](ctx context.Context, a *api, e T, name, text *string) error {
	d, err := document(text, coreiam.Identity)
	if err != nil {
		return err
	}
	most := coreiam.MaximumRolePolicies
	if wordOf(e) == wordUser {
		most = coreiam.MaximumUserPolicies
	}
	return changed(ctx, a, e, func(p *v1alpha1.Permissions) error {
		p.Policies = slices.DeleteFunc(p.Policies, func(o v1alpha1.InlinePolicy) bool { return o.Name == *name })
		p.Policies = append(p.Policies, v1alpha1.InlinePolicy{Name: *name, Document: d})
		size := 0
		for i := range p.Policies {
			size += coreiam.Size(p.Policies[i].Document.Raw)
		}
		return checkSize(size, most, wordOf(e)+" "+e.AWSName())
	})
}

func deleteInline[T iam.Entity](ctx context.Context, a *api, e T, name *string) error {
	return changed(ctx, a, e, func(p *v1alpha1.Permissions) error {
		at := inlineAt(p, name)
		if at < 0 {
			return noSuchInline(wordOf(e), deref(name))
		}
		p.Policies = slices.Delete(p.Policies, at, at+1)
		return nil
	})
}

func inlineAt(p *v1alpha1.Permissions, name *string) int {
	return slices.IndexFunc(p.Policies, func(o v1alpha1.InlinePolicy) bool { return o.Name == deref(name) })
}

// inline is the document of a policy that is part of a user or role.
func inline(e iam.Entity, name *string) (*string, error) {
	p := iam.PermissionsOf(e)
	at := inlineAt(p, name)
	if at < 0 {
		return nil, noSuchInline(wordOf(e), deref(name))
	}
	return encoded(&p.Policies[at].Document), nil
}

func inlineNames(p *v1alpha1.Permissions, marker *string, size *int32) (page[string], error) {
	out := []string{}
	for i := range p.Policies {
		out = append(out, p.Policies[i].Name)
	}
	return paged(out, func(name string) string { return name }, marker, size)
}

// bound sets the permissions boundary; nil removes it.
func bound[T iam.Entity](ctx context.Context, a *api, call *gateway.Call, e T, policyARN *string) error {
	if err := a.attachable(ctx, call, policyARN); err != nil {
		return err
	}
	return changed(ctx, a, e, func(p *v1alpha1.Permissions) error {
		p.PermissionsBoundary = deref(policyARN)
		return nil
	})
}
