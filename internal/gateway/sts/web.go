package sts

import (
	"context"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/gateway"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

const webAction = "sts:AssumeRoleWithWebIdentity"

// webDenied is AWS's word for a role that is not there and for one that does not trust the token's subject.
func webDenied() error { return denied("Not authorized to perform " + webAction) }

// resolveWeb finds the role. It is no secret from a token of the cluster's own alone, so nothing is told of it before the token
// is reviewed.
func (a *api) resolveWeb(ctx context.Context, _ *gateway.Call, in *sdk.AssumeRoleWithWebIdentityInput) (gateway.Resource[assumed], error) {
	out := gateway.Resource[assumed]{ARN: deref(in.RoleArn), Account: arn.Account(deref(in.RoleArn))}
	if deref(in.ProviderId) != "" {
		return out, invalid("ProviderId is of OAuth 2.0 access tokens: leave it out for the token of a service account.")
	}
	var err error
	out.Value.role, out.Value.trust, err = a.find(ctx, out.ARN)
	return out, err
}

// assumeWithWebIdentity makes a session of a role for the service account whose token is given. Whoever signed the request, if
// anybody did, has no say.
func (a *api) assumeWithWebIdentity(ctx context.Context, call *gateway.Call, in *sdk.AssumeRoleWithWebIdentityInput, v assumed) (*sdk.AssumeRoleWithWebIdentityOutput, error) {
	who, err := a.IAM.ReviewToken(ctx, deref(in.WebIdentityToken))
	if err != nil {
		return nil, tokenFailure(err)
	}
	account := arn.Account(deref(in.RoleArn))
	call.Identity = &serviceiam.Identity{
		Type: serviceiam.TypeWebIdentityUser, Name: who.Subject(), UserID: who.ProviderARN(account) + ":" + who.Subject(),
		Principal: iam.Principal{Federated: who.ProviderARN(account)},
	}
	if !a.trusted(call, in, &v, who) {
		return nil, webDenied()
	}
	duration, err := roleDuration(v.role, in.DurationSeconds, false)
	if err != nil {
		return nil, err
	}
	session, err := a.IAM.IssueSession(ctx, &serviceiam.SessionRequest{
		Role: v.role, Name: deref(in.RoleSessionName), Duration: duration, Policy: deref(in.Policy), PolicyARNs: policyARNs(in.PolicyArns),
	})
	if err != nil {
		return nil, failure(err)
	}
	out := &sdk.AssumeRoleWithWebIdentityOutput{
		Credentials:                 credentials(session),
		AssumedRoleUser:             &types.AssumedRoleUser{Arn: &session.ARN, AssumedRoleId: &session.ID},
		SubjectFromWebIdentityToken: ptr.To(who.Subject()), Provider: ptr.To(who.ProviderARN(account)),
		Audience: ptr.To(serviceiam.TokenAudience),
	}
	if in.Policy != nil || len(in.PolicyArns) > 0 {
		out.PackedPolicySize = ptr.To(session.Packed) //nolint:staticcheck // older clients know no other member
	}
	return out, nil
}

// trusted tells whether a role trusts a service account: by spec.serviceAccounts or by its trust policy, if that has no Deny.
func (a *api) trusted(call *gateway.Call, in *sdk.AssumeRoleWithWebIdentityInput, v *assumed, who *serviceiam.WebIdentity) bool {
	if v.role == nil {
		return false
	}
	k := keys{}
	provider := strings.ToLower(who.Provider())
	k.set(provider+":sub", who.Subject())
	k.set(provider+":aud", serviceiam.TokenAudience)
	k.set("sts:rolesessionname", deref(in.RoleSessionName))
	k.set("aws:federatedprovider", who.ProviderARN(arn.Account(deref(in.RoleArn))))
	k.role(v.role)
	decision := call.Decision(gateway.Question{
		Action: webAction, Resource: deref(in.RoleArn), Policy: v.trust, MustAllow: true, Context: k,
	})
	return decision.Allowed() || decision.Reason != iam.ExplicitDeny && serviceiam.TrustsServiceAccount(v.role, who)
}
