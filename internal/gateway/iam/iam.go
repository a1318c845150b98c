// Package iam is AWS IAM's API over IAMUsers, IAMRoles, IAMGroups and IAMPolicies: what it makes is there for kubectl, and the reverse.
// https://docs.aws.amazon.com/IAM/latest/APIReference/welcome.html
//
// An object is what its spec says: what an answer tells of it does not wait for its controller. Passwords, MFA devices, providers and service-linked roles are not served.
package iam

import (
	"context"
	"strings"

	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	coreiam "strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/iam"
)

// SigningName is the service's name in signatures and in the actions of policies.
const SigningName = "iam"

// Dependencies are what the operations stand on.
type Dependencies struct {
	// IAM finds and writes the objects.
	IAM *iam.Service
}

type api struct {
	Dependencies
	simulating simulating
}

// New makes the service.
func New(d Dependencies) gateway.Service {
	a := &api{Dependencies: d, simulating: simulating{of: map[string]int{}}}
	var all []gateway.Operation
	for _, group := range [][]gateway.Operation{
		a.users(), a.accessKeys(), a.roles(), a.groups(), a.memberships(), a.policies(), a.policyVersions(), a.userPolicies(), a.rolePolicies(),
		a.groupPolicies(), a.simulations(),
	} {
		all = append(all, group...)
	}
	return gateway.Service{Name: SigningName, Operations: all}
}

// none is for operations that are about nothing in particular.
func none[I any](context.Context, *gateway.Call, *I) (gateway.Resource[struct{}], error) {
	return gateway.Resource[struct{}]{ARN: "*"}, nil
}

// The words that AWS's messages have for the kinds.
const (
	wordUser   = "user"
	wordRole   = "role"
	wordGroup  = "group"
	wordPolicy = "policy"
)

// find makes the resource of a user, role or group that is named. What is there and what is not differ in Missing, and in the tags
// that policies see. The path of one that is not there is taken to be /.
func find[T iam.Entity](ctx context.Context, a *api, call *gateway.Call, word, name string, keys coreiam.Map) (gateway.Resource[T], error) {
	out := gateway.Resource[T]{ARN: "arn:aws:iam::" + call.Account() + ":" + word + "/" + name, Named: word + " " + name, Context: keys}
	found, ok, err := iam.ByName[T](ctx, a.IAM, call.Namespace(), name)
	if err != nil {
		return out, err
	}
	if !ok {
		out.Missing = noSuch(word, name)
		return out, nil
	}
	out.ARN, out.Value = iam.ARNOf(call.Account(), found), found
	if p := iam.PermissionsOf(found); p != nil {
		for _, t := range p.Tags {
			for _, prefix := range []string{"aws:resourcetag/", "iam:resourcetag/"} {
				of := prefix + strings.ToLower(t.Key)
				keys[of] = append(keys[of], t.Value) // a manifest may have two whose keys differ in case alone
			}
		}
	}
	return out, nil
}

func (a *api) user(ctx context.Context, call *gateway.Call, name *string, keys contextKeys) (gateway.Resource[*v1alpha1.IAMUser], error) {
	if name == nil { // the caller's own
		if call.Identity.Principal.RoleARN != "" || call.Identity.Type != iam.TypeIAMUser {
			return gateway.Resource[*v1alpha1.IAMUser]{}, invalid("Must specify userName when calling with non-User credentials")
		}
		name = &call.Identity.Name
	}
	return find[*v1alpha1.IAMUser](ctx, a, call, wordUser, *name, keys)
}

func (a *api) role(ctx context.Context, call *gateway.Call, name *string, keys contextKeys) (gateway.Resource[*v1alpha1.IAMRole], error) {
	return find[*v1alpha1.IAMRole](ctx, a, call, wordRole, deref(name), keys)
}

func (a *api) group(ctx context.Context, call *gateway.Call, name *string, keys contextKeys) (gateway.Resource[*v1alpha1.IAMGroup], error) {
	return find[*v1alpha1.IAMGroup](ctx, a, call, wordGroup, deref(name), keys)
}

// bounded adds iam:PermissionsBoundary for the operations whose policies may ask for the boundary that the user or role has.
func bounded[T iam.Entity](r gateway.Resource[T], err error) (gateway.Resource[T], error) {
	if err != nil || r.Missing != nil {
		return r, err
	}
	if has := iam.PermissionsOf(r.Value).PermissionsBoundary; has != "" {
		r.Context.(contextKeys)["iam:permissionsboundary"] = []string{has}
	}
	return r, nil
}

// policy finds a managed policy of the account by its ARN. Those that every account has are read, and not changed.
func (a *api) policy(ctx context.Context, call *gateway.Call, policyARN *string) (gateway.Resource[*v1alpha1.IAMPolicy], error) {
	out := gateway.Resource[*v1alpha1.IAMPolicy]{ARN: deref(policyARN)}
	prefix := "arn:aws:iam::" + call.Account() + ":policy/"
	if !strings.HasPrefix(out.ARN, prefix) {
		if arn.Account(out.ARN) != arn.AWSAccount && arn.ValidateAccount(arn.Account(out.ARN)) != nil {
			return out, invalidInput("ARN " + out.ARN + " is not valid.")
		}
		out.Missing = noSuchPolicy(out.ARN)
		return out, nil
	}
	name := out.ARN[strings.LastIndexByte(out.ARN, '/')+1:]
	found, ok, err := iam.ByName[*v1alpha1.IAMPolicy](ctx, a.IAM, call.Namespace(), name)
	if err != nil {
		return out, err
	}
	if !ok || iam.ARNOf(call.Account(), found) != out.ARN {
		out.Missing = noSuchPolicy(out.ARN)
		return out, nil
	}
	out.Value = found
	return out, nil
}

// contextKeys are IAM's condition keys of one request.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html
type contextKeys = coreiam.Map

func with(name string, value *string) contextKeys {
	keys := contextKeys{}
	if value != nil {
		keys[name] = []string{*value}
	}
	return keys
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func pathOf(path *string) string {
	if deref(path) == "/" {
		return "" // what is left out
	}
	return deref(path)
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return ptr.To(s)
}
