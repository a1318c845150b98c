package kms

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/audit"
	list "strongroom.dev/strongroom/internal/gateway/page"
	"strongroom.dev/strongroom/internal/service/kms"
)

// retiring is RetireGrant's Resolve. The grant says who may retire it, and the key's policy has no say.
// https://docs.aws.amazon.com/kms/latest/developerguide/grant-delete.html
func (o *operations) retiring(ctx context.Context, call *gateway.Call, in *awskms.RetireGrantInput) (gateway.Resource[grantTarget], error) {
	var none gateway.Resource[grantTarget]
	byID := in.KeyId != nil && in.GrantId != nil
	if byID == (in.GrantToken != nil) || (in.KeyId != nil) != (in.GrantId != nil) {
		return none, validation("Specify either GrantToken, or KeyId and GrantId.")
	}
	if in.GrantToken != nil {
		found, err := o.openGrantToken(ctx, *in.GrantToken)
		if err != nil {
			return none, err
		}
		if arn.Region(found.KeyARN) != call.Region {
			return none, &types.InvalidGrantTokenException{Message: aws.String("The grant of the token is one of another region.")}
		}
		return retirement(call, found.KeyARN, grantTarget{found.Key, found.Grant}, notFound("The grant of the token does not exist.")), nil
	}
	ref, err := parseRef(call, *in.KeyId, idAnywhere)
	if err != nil {
		return none, err
	}
	key, err := o.Find(ctx, ref)
	if err != nil {
		return none, answer(nil, err)
	}
	t := grantTarget{key: key}
	if key != nil {
		if t.grant, err = o.FindGrant(ctx, key, *in.GrantId); err != nil {
			return none, answer(key, err)
		}
	}
	return retirement(call, ref.ARN(), t, noGrant(*in.GrantId)), nil
}

// retirement is a grant as authorization sees it. One that is not there is asked about as one that the caller's account made, of a key of its own:
// nobody else is told that.
func retirement(call *gateway.Call, keyARN string, t grantTarget, gone error) gateway.Resource[grantTarget] {
	account := arn.Account(keyARN)
	r := gateway.Resource[grantTarget]{
		ARN: keyARN, Account: account, MustAllow: true, Value: t,
		Context: &kms.Conditions{Key: t.key, CallerAccount: call.Account()},
	}
	if t.grant == nil {
		r.Context, r.Missing = &kms.Conditions{CallerAccount: call.Account()}, gone
		r.Grants = func(string) ([]iam.Grantee, error) {
			return []iam.Grantee{{ARN: "arn:" + arn.Partition + ":iam::" + account + ":root"}}, nil
		}
		return r
	}
	r.Grants = func(string) ([]iam.Grantee, error) { return kms.Retirers(t.grant, t.key), nil }
	return r
}

func (o *operations) retireGrant(ctx context.Context, call *gateway.Call, in *awskms.RetireGrantInput, t grantTarget) (*awskms.RetireGrantOutput, error) {
	if err := stateError(t.key, keys.RetireGrant); err != nil {
		return nil, err
	}
	// https://docs.aws.amazon.com/kms/latest/developerguide/ct-retire-grant.html
	call.Additional = append(call.Additional, audit.Member{Name: "grantId", Value: kms.GrantID(t.grant)})
	return &awskms.RetireGrantOutput{}, o.endGrant(ctx, t.grant, in.DryRun)
}

// retirable is ListRetirableGrants' Resolve: what is asked about is the principal, and not the keys.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ListRetirableGrants.html
func (o *operations) retirable(_ context.Context, call *gateway.Call, in *awskms.ListRetirableGrantsInput) (gateway.Resource[string], error) {
	var none gateway.Resource[string]
	switch {
	case in.RetiringServicePrincipal != nil:
		return none, validation("RetiringServicePrincipal is for callers that are service principals.")
	case in.RetiringPrincipal == nil:
		return none, validation("RetiringPrincipal or RetiringServicePrincipal is required.")
	}
	principal, err := principalOf(in.RetiringPrincipal)
	if err != nil {
		return none, err
	}
	if arn.Account(principal) != call.Account() {
		return none, &types.InvalidArnException{Message: aws.String("The retiring principal must be one of your account: " + principal)}
	}
	return gateway.Resource[string]{ARN: principal, Context: &kms.Conditions{CallerAccount: call.Account()}, Value: principal}, nil
}

func (o *operations) listRetirableGrants(ctx context.Context, call *gateway.Call, in *awskms.ListRetirableGrantsInput, principal string) (
	*awskms.ListRetirableGrantsOutput, error,
) {
	all, err := o.Retirable(ctx, call.Region, principal)
	if err != nil {
		return nil, answer(nil, err)
	}
	page, err := o.grantPage(list.Of(call, in), all, in.Marker, in.Limit)
	if err != nil {
		return nil, err
	}
	return &awskms.ListRetirableGrantsOutput{Grants: page.Grants, NextMarker: page.NextMarker, Truncated: page.Truncated}, nil
}
