package iam

import (
	"context"

	sdk "github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
)

func (a *api) accessKeys() []gateway.Operation {
	return []gateway.Operation{
		gateway.Op("CreateAccessKey", func(ctx context.Context, c *gateway.Call, in *sdk.CreateAccessKeyInput) (userResource, error) {
			return a.user(ctx, c, in.UserName, contextKeys{})
		}, a.createAccessKey),
		gateway.Op("DeleteAccessKey", func(ctx context.Context, c *gateway.Call, in *sdk.DeleteAccessKeyInput) (userResource, error) {
			return a.user(ctx, c, in.UserName, contextKeys{})
		}, a.deleteAccessKey),
		gateway.Op("ListAccessKeys", func(ctx context.Context, c *gateway.Call, in *sdk.ListAccessKeysInput) (userResource, error) {
			return a.user(ctx, c, in.UserName, contextKeys{})
		}, a.listAccessKeys, gateway.ReadOnly),
		gateway.Op("UpdateAccessKey", func(ctx context.Context, c *gateway.Call, in *sdk.UpdateAccessKeyInput) (userResource, error) {
			return a.user(ctx, c, in.UserName, contextKeys{})
		}, a.updateAccessKey),
	}
}

func (a *api) createAccessKey(ctx context.Context, _ *gateway.Call, _ *sdk.CreateAccessKeyInput, u *v1alpha1.IAMUser) (*sdk.CreateAccessKeyOutput, error) {
	key, secret, err := a.IAM.RequestAccessKey(ctx, u)
	if err != nil {
		return nil, answer(err, wordUser, u.AWSName())
	}
	defer secret.Wipe()
	return &sdk.CreateAccessKeyOutput{AccessKey: &types.AccessKey{
		AccessKeyId: &key.AccessKeyID, SecretAccessKey: ptr.To(string(secret.Reveal())), Status: types.StatusTypeActive,
		UserName: ptr.To(u.AWSName()), CreateDate: ptr.To(key.CreatedTime.UTC()),
	}}, nil
}

func (a *api) deleteAccessKey(ctx context.Context, _ *gateway.Call, in *sdk.DeleteAccessKeyInput, u *v1alpha1.IAMUser) (*sdk.DeleteAccessKeyOutput, error) {
	err := a.IAM.ChangeAccessKey(ctx, u, deref(in.AccessKeyId), func(*v1alpha1.AccessKey) bool { return false })
	return &sdk.DeleteAccessKeyOutput{}, keyAnswer(err, u, in.AccessKeyId)
}

func (a *api) updateAccessKey(ctx context.Context, _ *gateway.Call, in *sdk.UpdateAccessKeyInput, u *v1alpha1.IAMUser) (*sdk.UpdateAccessKeyOutput, error) {
	if in.Status == types.StatusTypeExpired {
		return nil, invalidInput("Access keys of users do not expire: the status is Active or Inactive.")
	}
	err := a.IAM.ChangeAccessKey(ctx, u, deref(in.AccessKeyId), func(key *v1alpha1.AccessKey) bool {
		key.Inactive = in.Status == types.StatusTypeInactive
		return true
	})
	return &sdk.UpdateAccessKeyOutput{}, keyAnswer(err, u, in.AccessKeyId)
}

func (a *api) listAccessKeys(_ context.Context, call *gateway.Call, in *sdk.ListAccessKeysInput, u *v1alpha1.IAMUser) (*sdk.ListAccessKeysOutput, error) {
	out := &sdk.ListAccessKeysOutput{AccessKeyMetadata: []types.AccessKeyMetadata{}}
	for _, wanted := range u.Spec.AccessKeys { // what spec lacks is refused already
		made := u.AccessKeyStatusOf(wanted.Name)
		if made == nil {
			continue
		}
		status := types.StatusTypeActive
		if wanted.Inactive {
			status = types.StatusTypeInactive
		}
		out.AccessKeyMetadata = append(out.AccessKeyMetadata, types.AccessKeyMetadata{
			AccessKeyId: ptr.To(made.AccessKeyID), CreateDate: ptr.To(made.CreatedTime.UTC()), Status: status, UserName: ptr.To(u.AWSName()),
		})
	}
	p, err := paged(out.AccessKeyMetadata, func(m types.AccessKeyMetadata) string { return *m.AccessKeyId }, ask(call, in, in.Marker, in.MaxItems))
	out.AccessKeyMetadata, out.IsTruncated, out.Marker = p.items, p.truncated, p.marker
	return out, err
}
