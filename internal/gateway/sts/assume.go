package sts

import (
	"context"
	"strconv"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/gateway"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

// assumed is a role that is asked for, and the session as it would be.
type assumed struct {
	role       *v1alpha1.IAMRole // nil if there is none: then nobody is permitted
	trust      *iam.Policy
	tags       map[string]string
	transitive []string
	source     string
	keys       keys
}

const badMFA = "MultiFactorAuthentication failed, unable to validate MFA code.  Please verify your MFA serial number is valid and associated with this user."

// find looks a role up with its trust policy. A role that is not there, and one whose trust policy is malformed, trust nobody:
// what a caller is told does not differ.
func (a *api) find(ctx context.Context, roleARN string) (role *v1alpha1.IAMRole, trust *iam.Policy, err error) {
	if !strings.HasPrefix(roleARN, "arn:aws:iam::") || !strings.Contains(roleARN, ":role/") || arn.ValidateAccount(arn.Account(roleARN)) != nil {
		return nil, nil, invalid(roleARN + " is invalid")
	}
	if role, err = a.IAM.RoleByARN(ctx, roleARN); err != nil || role == nil {
		return nil, nil, err
	}
	if trust, err = a.IAM.TrustPolicy(role); err != nil {
		return nil, nil, nil
	}
	return role, trust, nil
}

func (a *api) resolveAssume(ctx context.Context, call *gateway.Call, in *sdk.AssumeRoleInput) (gateway.Resource[assumed], error) {
	var out gateway.Resource[assumed]
	if len(in.ProvidedContexts) > 0 {
		return out, invalid("Strongroom has no context providers: ProvidedContexts is to be left out.")
	}
	if call.Identity.Principal.ARN == "arn:aws:iam::"+call.Account()+":root" {
		return out, denied("Roles may not be assumed by root accounts.")
	}
	var err error
	value := &out.Value
	if value.tags, value.transitive, err = sessionTags(call.Identity.TransitiveTags, in.Tags, in.TransitiveTagKeys); err != nil {
		return out, err
	}
	if value.source, err = sourceIdentity(call.Identity.SourceIdentity, deref(in.SourceIdentity)); err != nil {
		return out, err
	}
	roleARN := deref(in.RoleArn)
	if value.role, value.trust, err = a.find(ctx, roleARN); err != nil {
		return out, err
	}
	value.keys = assumeKeys(in, value)
	out.ARN, out.Account, out.Policy, out.MustAllow = roleARN, arn.Account(roleARN), value.trust, true
	out.Context = value.keys
	out.Denial = notAuthorized(call.Identity.Principal.ARN, "sts:AssumeRole", roleARN)
	return out, nil
}

func assumeKeys(in *sdk.AssumeRoleInput, v *assumed) keys {
	k := keys{}
	k.set("sts:externalid", deref(in.ExternalId))
	k.set("sts:rolesessionname", deref(in.RoleSessionName))
	k.set("sts:sourceidentity", v.source)
	if in.DurationSeconds != nil {
		k.set("sts:durationseconds", strconv.Itoa(int(*in.DurationSeconds)))
	}
	var names []string
	for key, value := range v.tags {
		k["aws:requesttag/"+strings.ToLower(key)] = []string{value}
		names = append(names, key)
	}
	if len(names) > 0 {
		k["aws:tagkeys"] = names
	}
	if len(v.transitive) > 0 {
		k["sts:transitivetagkeys"] = v.transitive
	}
	k.role(v.role)
	return k
}

func (a *api) assumeRole(ctx context.Context, call *gateway.Call, in *sdk.AssumeRoleInput, v assumed) (*sdk.AssumeRoleOutput, error) {
	for action, needed := range map[string]bool{"sts:TagSession": len(v.tags) > 0, "sts:SetSourceIdentity": v.source != ""} {
		if !needed {
			continue
		}
		err := call.Authorize(gateway.Question{
			Action: action, Resource: deref(in.RoleArn), ResourceAccount: arn.Account(deref(in.RoleArn)), Policy: v.trust, MustAllow: true,
			Context: v.keys, Denial: notAuthorized(call.Identity.Principal.ARN, action, deref(in.RoleArn)),
		})
		if err != nil {
			return nil, err
		}
	}
	if in.SerialNumber != nil || in.TokenCode != nil {
		return nil, denied(badMFA)
	}
	duration, err := roleDuration(v.role, in.DurationSeconds, call.Identity.Type == serviceiam.TypeAssumedRole)
	if err != nil {
		return nil, err
	}
	session, err := a.IAM.IssueSession(ctx, &serviceiam.SessionRequest{
		Role: v.role, Name: deref(in.RoleSessionName), Duration: duration, Policy: deref(in.Policy), PolicyARNs: policyARNs(in.PolicyArns),
		Tags: v.tags, Transitive: v.transitive, SourceIdentity: v.source,
	})
	if err != nil {
		return nil, failure(err)
	}
	out := &sdk.AssumeRoleOutput{
		Credentials:     credentials(session),
		AssumedRoleUser: &types.AssumedRoleUser{Arn: &session.ARN, AssumedRoleId: &session.ID},
	}
	if in.Policy != nil || len(in.PolicyArns) > 0 || len(v.tags) > 0 {
		out.PackedPolicySize = ptr.To(session.Packed) //nolint:staticcheck // older clients know no other member
	}
	if v.source != "" {
		out.SourceIdentity = ptr.To(v.source)
	}
	return out, nil
}

// sessionToken makes a session of a user. It needs no permission, as AWS's; a session has none.
func (a *api) sessionToken(ctx context.Context, call *gateway.Call, in *sdk.GetSessionTokenInput, _ struct{}) (*sdk.GetSessionTokenOutput, error) {
	if call.Identity.Type != serviceiam.TypeIAMUser || !call.Identity.Issued.IsZero() {
		return nil, denied("Cannot call GetSessionToken with session credentials")
	}
	if in.SerialNumber != nil || in.TokenCode != nil {
		return nil, denied(badMFA)
	}
	duration, err := userDuration(in.DurationSeconds)
	if err != nil {
		return nil, err
	}
	session, err := a.IAM.IssueUserSession(ctx, call.Identity, duration)
	if err != nil {
		return nil, failure(err)
	}
	return &sdk.GetSessionTokenOutput{Credentials: credentials(session)}, nil
}
