package secretsmanager

import (
	"context"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

type version = versions.Version

// update is what UpdateSecret is about.
type update struct {
	target
	key secretsmanager.NamedKey
}

func (a *api) resolveUpdate(ctx context.Context, call *gateway.Call, in *sdk.UpdateSecretInput) (gateway.Resource[update], error) {
	keys := conditionKeys{description: in.Description, keyID: in.KmsKeyId}
	var key secretsmanager.NamedKey
	if abroad(call, in.SecretId) {
		if strings.HasPrefix(deref(in.KmsKeyId), "arn:") {
			key.ARN = *in.KmsKeyId // whether another account has such a key is looked for when that is permitted
		}
	} else {
		var err error
		if key, err = a.Secrets.KeyByID(ctx, call.Namespace(), call.Region, call.Account(), deref(in.KmsKeyId)); err != nil {
			return gateway.Resource[update]{}, err
		}
	}
	if key.ARN != "" {
		keys.keyARN = &key.ARN
	}
	keyAlone := in.KmsKeyId != nil && in.Description == nil && in.SecretString == nil && in.SecretBinary == nil && deref(in.Type) == ""
	found, err := a.find(ctx, call, named{given: in.SecretId, allowReplica: keyAlone, keys: keys}) // the key is the one thing that is a replica's own
	return gateway.Resource[update]{
		ARN: found.ARN, Named: found.Named, Account: found.Account, Policy: found.Policy, Context: found.Context, Unknown: found.Unknown,
		Missing: found.Missing, Value: update{target: found.Value, key: key},
	}, err
}

// abroad tells whether a request names a secret of another account. A key that it names is that account's too.
func abroad(call *gateway.Call, secretID *string) bool {
	id, err := secretsmanager.ParseID(deref(secretID))
	return err == nil && id.Account != "" && id.Account != call.Account()
}

// updateSecret changes the spec first, and then puts the value, under the new key if there is one. Versions that are there stay
// under the key that they have.
func (a *api) updateSecret(ctx context.Context, call *gateway.Call, in *sdk.UpdateSecretInput, u update) (*sdk.UpdateSecretOutput, error) {
	if err := checkToken(in.ClientRequestToken); err != nil {
		return nil, err
	}
	if deref(in.Type) != "" {
		return nil, invalidParameter("Managed external secrets (Type) are not supported.")
	}
	value, err := valueOf(in.SecretString, in.SecretBinary)
	if err != nil {
		return nil, err
	}
	if u.key, err = a.newKey(ctx, call, in, u); err != nil {
		return nil, err
	}
	if value != nil && in.KmsKeyId == nil { // before anything is changed
		if err := a.mayPut(ctx, call, u.secret, *in.ClientRequestToken); err != nil {
			return nil, err
		}
	}
	if secretsmanager.IsReplica(u.secret) {
		ref := &v1alpha1.SecretSpec{}
		change(ref, in, u.key)
		out := &sdk.UpdateSecretOutput{ARN: &u.arn, Name: ptr.To(u.secret.AWSName())}
		return out, a.Secrets.SetReplicaKey(ctx, u.secret, ref.KMSKeyRef)
	}
	secret, err := a.Secrets.Change(ctx, u.secret, func(spec *v1alpha1.SecretSpec) error {
		change(spec, in, u.key)
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := &sdk.UpdateSecretOutput{ARN: &u.arn, Name: ptr.To(secret.AWSName())}
	if value == nil {
		return out, nil
	}
	defer value.Bytes.Wipe()
	v, err := a.put(ctx, call, secretsmanager.PutValueInput{Secret: secret, Token: *in.ClientRequestToken, Value: *value}, a.Secrets.PutValue)
	if err != nil {
		return nil, err
	}
	out.VersionId = &v.ID
	return out, nil
}

// textForeignKey: policies are asked about the key of a secret of another account before it is looked for, so it is named as they name it.
const textForeignKey = "The KMS key of a secret of another account is named by its key ARN."

// newKey is the key that a request names, if the caller may use it. That of a secret of another account is looked for here.
func (a *api) newKey(ctx context.Context, call *gateway.Call, in *sdk.UpdateSecretInput, u update) (key secretsmanager.NamedKey, err error) {
	key = u.key
	if in.KmsKeyId == nil {
		return key, nil
	}
	if abroad(call, in.SecretId) {
		if !strings.Contains(*in.KmsKeyId, ":key/") { // what policies were asked about is what is done
			return key, invalidParameter(textForeignKey)
		}
		if key, err = a.Secrets.KeyByID(ctx, u.secret.Namespace, call.Region, arn.Account(u.arn), *in.KmsKeyId); err != nil {
			return key, err
		}
	}
	if abroad(call, in.SecretId) && key.ARN != *in.KmsKeyId {
		return key, invalidParameter(textForeignKey)
	}
	if key.Default {
		return key, ownKeyOnly(call, u.secret.Namespace)
	}
	return key, a.mayUse(ctx, call, key, u.arn, *in.ClientRequestToken)
}

// change is what a request changes of a spec: what it leaves out stays, and an empty text is one.
func change(spec *v1alpha1.SecretSpec, in *sdk.UpdateSecretInput, key secretsmanager.NamedKey) {
	if in.Description != nil {
		spec.Description = *in.Description
	}
	switch {
	case in.KmsKeyId == nil:
	case key.Default:
		spec.KMSKeyRef = nil
	default:
		spec.KMSKeyRef = &v1alpha1.LocalReference{Name: key.Key.Name}
	}
}

func (a *api) resolveTag(ctx context.Context, call *gateway.Call, in *sdk.TagResourceInput) (gateway.Resource[target], error) {
	return a.find(ctx, call, named{given: in.SecretId, keys: conditionKeys{requestTags: in.Tags}})
}

func (a *api) tagResource(ctx context.Context, _ *gateway.Call, in *sdk.TagResourceInput, t target) (*sdk.TagResourceOutput, error) {
	if err := checkTags(in.Tags); err != nil {
		return nil, err
	}
	return &sdk.TagResourceOutput{}, a.Secrets.Tag(ctx, t.secret, tagsOf(in.Tags))
}

func (a *api) resolveUntag(ctx context.Context, call *gateway.Call, in *sdk.UntagResourceInput) (gateway.Resource[target], error) {
	return a.find(ctx, call, named{given: in.SecretId, keys: conditionKeys{tagKeys: in.TagKeys}})
}

func (a *api) untagResource(ctx context.Context, _ *gateway.Call, in *sdk.UntagResourceInput, t target) (*sdk.UntagResourceOutput, error) {
	return &sdk.UntagResourceOutput{}, a.Secrets.Untag(ctx, t.secret, in.TagKeys)
}

func (a *api) resolveStage(ctx context.Context, call *gateway.Call, in *sdk.UpdateSecretVersionStageInput) (gateway.Resource[target], error) {
	return a.find(ctx, call, named{given: in.SecretId, keys: conditionKeys{versionStage: in.VersionStage}})
}

func (a *api) updateSecretVersionStage(ctx context.Context, _ *gateway.Call, in *sdk.UpdateSecretVersionStageInput, t target) (
	*sdk.UpdateSecretVersionStageOutput, error,
) {
	err := a.Secrets.MoveStage(ctx, t.secret, deref(in.VersionStage), deref(in.RemoveFromVersionId), deref(in.MoveToVersionId))
	if err != nil {
		return nil, err
	}
	return &sdk.UpdateSecretVersionStageOutput{ARN: &t.arn, Name: ptr.To(t.secret.AWSName())}, nil
}
