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

// The managed policies that can be attached to a user or role, and to a group.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
const (
	maximumAttached        = 25
	maximumAttachedToGroup = 10
)

// holders are the identities that policies are attached to.
type holders struct {
	users  []*v1alpha1.IAMUser
	roles  []*v1alpha1.IAMRole
	groups []*v1alpha1.IAMGroup
}

// holders are those of the caller's account.
func (a *api) holders(ctx context.Context, call *gateway.Call) (h holders, err error) {
	if h.users, err = iam.List[*v1alpha1.IAMUser](ctx, a.IAM, call.Namespace()); err != nil {
		return h, err
	}
	if h.roles, err = iam.List[*v1alpha1.IAMRole](ctx, a.IAM, call.Namespace()); err != nil {
		return h, err
	}
	h.groups, err = iam.List[*v1alpha1.IAMGroup](ctx, a.IAM, call.Namespace())
	return h, err
}

// attachedTo are the identities that a managed policy is attached to.
func (a *api) attachedTo(ctx context.Context, call *gateway.Call, policyARN string) (holders, error) {
	h, err := a.holders(ctx, call)
	return holders{having(h.users, policyARN), having(h.roles, policyARN), having(h.groups, policyARN)}, err
}

func having[T iam.Entity](all []T, policyARN string) (out []T) {
	for _, e := range all {
		if slices.Contains(iam.PoliciesOf(e).ManagedPolicyARNs, policyARN) {
			out = append(out, e)
		}
	}
	return out
}

// attachments counts the identities that each managed policy is attached to.
func (a *api) attachments(ctx context.Context, call *gateway.Call) (map[string]int32, error) {
	h, err := a.holders(ctx, call)
	out := map[string]int32{}
	count(out, h.users)
	count(out, h.roles)
	count(out, h.groups)
	return out, err
}

func count[T iam.Entity](into map[string]int32, all []T) {
	for _, e := range all {
		for _, policyARN := range iam.PoliciesOf(e).ManagedPolicyARNs {
			into[policyARN]++
		}
	}
}

func (a *api) listEntities(ctx context.Context, call *gateway.Call, in *sdk.ListEntitiesForPolicyInput, r readable) (*sdk.ListEntitiesForPolicyOutput, error) {
	h, err := a.attachedTo(ctx, call, r.arn)
	if err != nil {
		return nil, err
	}
	out := &sdk.ListEntitiesForPolicyOutput{PolicyGroups: []types.PolicyGroup{}, PolicyUsers: []types.PolicyUser{}, PolicyRoles: []types.PolicyRole{}}
	wants := func(t types.EntityType) bool { return in.EntityFilter == "" || in.EntityFilter == t }
	if wants(types.EntityTypeUser) {
		for _, u := range h.users {
			out.PolicyUsers = append(out.PolicyUsers, types.PolicyUser{UserName: ptr.To(u.AWSName()), UserId: ptr.To(iam.UniqueIDOf(u))})
		}
	}
	if wants(types.EntityTypeRole) {
		for _, r := range h.roles {
			out.PolicyRoles = append(out.PolicyRoles, types.PolicyRole{RoleName: ptr.To(r.AWSName()), RoleId: ptr.To(iam.UniqueIDOf(r))})
		}
	}
	if wants(types.EntityTypeGroup) {
		for _, g := range h.groups {
			out.PolicyGroups = append(out.PolicyGroups, types.PolicyGroup{GroupName: ptr.To(g.AWSName()), GroupId: ptr.To(iam.UniqueIDOf(g))})
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
	most := maximumAttached
	if wordOf(e) == wordGroup {
		most = maximumAttachedToGroup
	}
	return repoliced(ctx, a, e, func(p *v1alpha1.IdentityPolicies) error {
		if slices.Contains(p.ManagedPolicyARNs, *policyARN) {
			return nil
		}
		if len(p.ManagedPolicyARNs) >= most {
			return limit("Cannot exceed quota for PoliciesPer" + title(wordOf(e)) + ": " + itoa(most))
		}
		p.ManagedPolicyARNs = append(p.ManagedPolicyARNs, *policyARN)
		return nil
	})
}

func detach[T iam.Entity](ctx context.Context, a *api, e T, policyARN *string) error {
	return repoliced(ctx, a, e, func(p *v1alpha1.IdentityPolicies) error {
		at := slices.Index(p.ManagedPolicyARNs, deref(policyARN))
		if at < 0 {
			message := "Policy " + deref(policyARN) + " was not found."
			return &types.NoSuchEntityException{Message: &message}
		}
		p.ManagedPolicyARNs = slices.Delete(p.ManagedPolicyARNs, at, at+1)
		return nil
	})
}

func attachedOf(p *v1alpha1.IdentityPolicies, prefix *string, want asked) (page[types.AttachedPolicy], error) {
	out := []types.AttachedPolicy{}
	for _, policyARN := range p.ManagedPolicyARNs {
		resource := policyARN[strings.Index(policyARN, ":policy/")+len(":policy"):]
		path, name := resource[:strings.LastIndexByte(resource, '/')+1], resource[strings.LastIndexByte(resource, '/')+1:]
		if strings.HasPrefix(path, deref(prefix)) {
			out = append(out, types.AttachedPolicy{PolicyArn: ptr.To(policyARN), PolicyName: ptr.To(name)})
		}
	}
	return paged(out, func(p types.AttachedPolicy) string { return *p.PolicyArn }, want)
}

// putInline puts a policy that is part of a user, role or group, in the place of one of its name.
func putInline[T iam.Entity](ctx context.Context, a *api, e T, name, text *string) error {
	d, err := document(text, coreiam.Identity)
	if err != nil {
		return err
	}
	most := map[string]int{
		wordUser: coreiam.MaximumUserPolicies, wordRole: coreiam.MaximumRolePolicies, wordGroup: coreiam.MaximumGroupPolicies,
	}[wordOf(e)]
	return repoliced(ctx, a, e, func(p *v1alpha1.IdentityPolicies) error {
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
	return repoliced(ctx, a, e, func(p *v1alpha1.IdentityPolicies) error {
		at := inlineAt(p, name)
		if at < 0 {
			return noSuchInline(wordOf(e), deref(name))
		}
		p.Policies = slices.Delete(p.Policies, at, at+1)
		return nil
	})
}

func inlineAt(p *v1alpha1.IdentityPolicies, name *string) int {
	return slices.IndexFunc(p.Policies, func(o v1alpha1.InlinePolicy) bool { return o.Name == deref(name) })
}

// inline is the document of a policy that is part of a user, role or group.
func inline(e iam.Entity, name *string) (*string, error) {
	p := iam.PoliciesOf(e)
	at := inlineAt(p, name)
	if at < 0 {
		return nil, noSuchInline(wordOf(e), deref(name))
	}
	return encoded(&p.Policies[at].Document), nil
}

func inlineNames(p *v1alpha1.IdentityPolicies, want asked) (page[string], error) {
	out := []string{}
	for i := range p.Policies {
		out = append(out, p.Policies[i].Name)
	}
	return paged(out, func(name string) string { return name }, want)
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
