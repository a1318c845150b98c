// Package sts is AWS Security Token Service's API over the service of IAM: who a caller is, and sessions of roles and users.
// https://docs.aws.amazon.com/STS/latest/APIReference/welcome.html
package sts

import (
	"context"
	"errors"

	sdk "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/internal/core/accesskey"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/gateway"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

// SigningName is the service's name in signatures and in the actions of policies.
const SigningName = "sts"

// Dependencies are what the operations stand on.
type Dependencies struct {
	// IAM finds roles, reviews tokens and makes sessions.
	IAM *serviceiam.Service
}

type api struct{ Dependencies }

// New makes the service. Its operations change nothing that is stored: sessions are in their tokens alone. All regions that are
// served issue tokens, so nothing is answered with RegionDisabledException.
func New(d Dependencies) gateway.Service {
	a := &api{d}
	return gateway.Service{Name: SigningName, Operations: []gateway.Operation{
		gateway.Op("AssumeRole", a.resolveAssume, a.assumeRole, gateway.ReadOnly, gateway.Issues),
		gateway.Op("AssumeRoleWithWebIdentity", a.resolveWeb, a.assumeWithWebIdentity, gateway.ReadOnly, gateway.Issues, gateway.Unsigned, gateway.Unauthorized),
		gateway.Op("DecodeAuthorizationMessage", none[sdk.DecodeAuthorizationMessageInput], a.decodeMessage, gateway.ReadOnly),
		gateway.Op("GetAccessKeyInfo", none[sdk.GetAccessKeyInfoInput], a.accessKeyInfo, gateway.ReadOnly),
		gateway.Op("GetCallerIdentity", none[sdk.GetCallerIdentityInput], a.callerIdentity, gateway.ReadOnly, gateway.Unauthorized),
		gateway.Op("GetSessionToken", none[sdk.GetSessionTokenInput], a.sessionToken, gateway.ReadOnly, gateway.Issues, gateway.Unauthorized),
	}}
}

// none is for operations that are about nothing in particular.
func none[I any](context.Context, *gateway.Call, *I) (gateway.Resource[struct{}], error) {
	return gateway.Resource[struct{}]{ARN: "*"}, nil
}

func (a *api) callerIdentity(_ context.Context, call *gateway.Call, _ *sdk.GetCallerIdentityInput, _ struct{}) (*sdk.GetCallerIdentityOutput, error) {
	return &sdk.GetCallerIdentityOutput{
		Account: ptr.To(call.Account()), Arn: ptr.To(call.Identity.Principal.ARN), UserId: ptr.To(call.Identity.UserID),
	}, nil
}

// accessKeyInfo tells the account that an access key's id is of, be there such a key or not, as AWS does.
func (a *api) accessKeyInfo(_ context.Context, _ *gateway.Call, in *sdk.GetAccessKeyInfoInput, _ struct{}) (*sdk.GetAccessKeyInfoOutput, error) {
	account, ok := accesskey.Account(deref(in.AccessKeyId))
	if !ok {
		return nil, invalid("The access key ID is not valid.")
	}
	return &sdk.GetAccessKeyInfoOutput{Account: &account}, nil
}

func (a *api) decodeMessage(_ context.Context, call *gateway.Call, in *sdk.DecodeAuthorizationMessageInput, _ struct{}) (*sdk.DecodeAuthorizationMessageOutput, error) {
	message, err := a.IAM.DecodeAuthorizationMessage(call.Account(), deref(in.EncodedMessage))
	if errors.Is(err, serviceiam.ErrAuthorizationMessage) {
		return nil, &types.InvalidAuthorizationMessageException{Message: ptr.To("Message is not valid")}
	}
	if err != nil {
		return nil, failure(err)
	}
	return &sdk.DecodeAuthorizationMessageOutput{DecodedMessage: &message}, nil
}

// credentials are a session's as they are answered. The session's secret is wiped; the answer's is the server's to wipe.
func credentials(session *serviceiam.Session) (out *types.Credentials) {
	defer session.Secret.Wipe()
	secretbytes.Do(func() {
		out = &types.Credentials{
			AccessKeyId: &session.AccessKeyID, SecretAccessKey: ptr.To(string(session.Secret.Reveal())),
			SessionToken: &session.Token, Expiration: &session.Expires,
		}
	})
	return out
}

func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
