package secretsmanager

import (
	"context"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

func (a *api) resolveGet(ctx context.Context, call *gateway.Call, in *sdk.GetSecretValueInput) (gateway.Resource[target], error) {
	return a.find(ctx, call, named{given: in.SecretId, allowReplica: true, keys: conditionKeys{versionID: in.VersionId, versionStage: stageAsked(in)}})
}

// stageAsked is secretsmanager:VersionStage: AWSCURRENT if the request chooses no version.
func stageAsked(in *sdk.GetSecretValueInput) *string {
	if in.VersionStage == nil && in.VersionId == nil {
		return ptr.To(versions.Current)
	}
	return in.VersionStage
}

func (a *api) getSecretValue(ctx context.Context, call *gateway.Call, in *sdk.GetSecretValueInput, t target) (*sdk.GetSecretValueOutput, error) {
	v, err := secretsmanager.Select(t.secret, deref(in.VersionId), deref(in.VersionStage))
	if err != nil {
		return nil, err
	}
	found, err := a.Secrets.Versions().Fetch(ctx, a.Secrets.SubjectOf(t.secret), v)
	if err != nil {
		return nil, decryption(err)
	}
	if err := a.useKey(ctx, call, found.Key, kmsDecrypt, t.arn, v.ID); err != nil {
		return nil, err
	}
	value, err := a.Secrets.Versions().Open(ctx, found)
	if err != nil {
		return nil, decryption(err)
	}
	out := &sdk.GetSecretValueOutput{
		ARN: &t.arn, Name: ptr.To(t.secret.AWSName()), VersionId: &v.ID, VersionStages: v.Stages, CreatedDate: &v.Created,
	}
	if found.Envelope.Spec.Binary {
		out.SecretBinary = value.Reveal() // the answer's own from here on
		return out, nil
	}
	out.SecretString = ptr.To(string(value.Reveal()))
	value.Wipe()
	return out, nil
}

// valueOf is the value of a request, which has at most one of the two. It is nil if there is none.
func valueOf(text *string, binary []byte) (*secretsmanager.Value, error) {
	hasText, hasBinary := text != nil && *text != "", len(binary) > 0
	var value secretsmanager.Value
	switch {
	case hasText && hasBinary:
		return nil, invalidParameter("You can't specify both a binary secret value and a string secret value in the same secret.")
	case hasText:
		value.Bytes = secretbytes.Copy([]byte(*text))
	case hasBinary:
		value.Bytes, value.Binary = secretbytes.Copy(binary), true
	default:
		return nil, nil
	}
	if n := value.Bytes.Len(); n > secretsmanager.MaximumValue {
		value.Bytes.Wipe()
		return nil, invalidParameter("The secret value can't be more than 65536 bytes.")
	}
	return &value, nil
}

func (a *api) resolvePut(ctx context.Context, call *gateway.Call, in *sdk.PutSecretValueInput) (gateway.Resource[target], error) {
	return a.find(ctx, call, named{given: in.SecretId})
}

func (a *api) putSecretValue(ctx context.Context, call *gateway.Call, in *sdk.PutSecretValueInput, t target) (*sdk.PutSecretValueOutput, error) {
	if err := checkToken(in.ClientRequestToken); err != nil {
		return nil, err
	}
	value, err := valueOf(in.SecretString, in.SecretBinary)
	if err != nil {
		return nil, err
	}
	if value == nil {
		return nil, invalidRequest("You must provide either SecretString or SecretBinary.")
	}
	defer value.Bytes.Wipe()
	v, err := a.put(ctx, call, secretsmanager.PutValueInput{
		Secret: t.secret, Token: *in.ClientRequestToken, Value: *value, Stages: in.VersionStages,
	}, a.Secrets.PutValue)
	if err != nil {
		return nil, err
	}
	return &sdk.PutSecretValueOutput{ARN: &t.arn, Name: ptr.To(t.secret.AWSName()), VersionId: &v.ID, VersionStages: v.Stages}, nil
}

// put makes a version by a use case of the service, if the caller may use the key.
func (a *api) put(ctx context.Context, call *gateway.Call, in secretsmanager.PutValueInput,
	do func(context.Context, secretsmanager.PutValueInput) (versions.Version, error),
) (versions.Version, error) {
	var err error
	if in.Key, err = a.keyToPut(ctx, call, in.Secret, in.Token); err != nil {
		return versions.Version{}, err
	}
	v, err := do(ctx, in)
	return v, encryption(err)
}

// keyToPut is the key of a secret, if the caller may put a value under it.
func (a *api) keyToPut(ctx context.Context, call *gateway.Call, secret *v1alpha1.Secret, token string) (*v1alpha1.KMSKey, error) {
	if secretsmanager.KeyName(secret) == secretsmanager.DefaultKeyName { // before it is made
		if err := ownKeyOnly(call, secret.Namespace); err != nil {
			return nil, err
		}
	}
	key, err := a.Secrets.AwaitKey(ctx, secret)
	if err != nil {
		return nil, encryption(err)
	}
	return key, a.useKey(ctx, call, key, kmsGenerateDataKey, a.Secrets.ARNOf(secret), token)
}

// mayPut asks whether the caller may put a value under the key that a secret has.
func (a *api) mayPut(ctx context.Context, call *gateway.Call, secret *v1alpha1.Secret, token string) error {
	_, err := a.keyToPut(ctx, call, secret, token)
	return err
}

// checkToken: SDKs fill the token in, and who speaks the protocol itself must.
func checkToken(token *string) error {
	if token == nil {
		return invalidRequest("You must provide a ClientRequestToken value. We recommend a UUID-type value.")
	}
	return nil
}
