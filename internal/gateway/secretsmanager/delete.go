package secretsmanager

import (
	"context"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

func (a *api) resolveDelete(ctx context.Context, call *gateway.Call, in *sdk.DeleteSecretInput) (gateway.Resource[target], error) {
	if err := secretsmanager.CheckWindow(deref(in.RecoveryWindowInDays), in.RecoveryWindowInDays != nil, deref(in.ForceDeleteWithoutRecovery)); err != nil {
		return gateway.Resource[target]{}, err
	}
	found, err := a.find(ctx, call, named{
		given: in.SecretId, allowDeleted: true, keys: conditionKeys{force: in.ForceDeleteWithoutRecovery, window: in.RecoveryWindowInDays},
	})
	if deref(in.ForceDeleteWithoutRecovery) && (found.Value.secret == nil || !secretsmanager.IsReplica(found.Value.secret)) {
		found.Missing = nil // deleting what is not there by force succeeds
	}
	return found, err
}

func (a *api) deleteSecret(ctx context.Context, call *gateway.Call, in *sdk.DeleteSecretInput, t target) (*sdk.DeleteSecretOutput, error) {
	out := &sdk.DeleteSecretOutput{ARN: &t.arn}
	switch {
	case deref(in.ForceDeleteWithoutRecovery):
		return a.deleteNow(ctx, call, in, t)
	case t.tombstone != nil:
		return nil, invalidRequest("You can't perform this operation on the secret because it was already scheduled for deletion.")
	}
	out.Name = ptr.To(t.secret.AWSName())
	date, err := a.Secrets.Delete(ctx, t.secret, deref(in.RecoveryWindowInDays))
	out.DeletionDate = &date
	return out, err
}

func (a *api) deleteNow(ctx context.Context, call *gateway.Call, in *sdk.DeleteSecretInput, t target) (*sdk.DeleteSecretOutput, error) {
	id, err := secretsmanager.ParseID(deref(in.SecretId))
	if err != nil {
		return nil, err
	}
	if t.secret != nil || t.tombstone != nil {
		if err := a.Secrets.DeleteNow(ctx, secretsmanager.Found{Secret: t.secret, Tombstone: t.tombstone}); err != nil {
			return nil, err
		}
	}
	subject := strings.TrimSuffix(t.arn, "-"+secretsmanager.UnknownSuffix) // of what is not there no more is known
	return &sdk.DeleteSecretOutput{ARN: &subject, Name: &id.Name, DeletionDate: ptr.To(call.Time.UTC().Truncate(time.Second))}, nil
}

func (a *api) resolveRestore(ctx context.Context, call *gateway.Call, in *sdk.RestoreSecretInput) (gateway.Resource[target], error) {
	return a.find(ctx, call, named{given: in.SecretId, allowDeleted: true, allowReplica: true})
}

// restoreSecret does nothing to a secret that is not scheduled for deletion.
func (a *api) restoreSecret(ctx context.Context, _ *gateway.Call, _ *sdk.RestoreSecretInput, t target) (*sdk.RestoreSecretOutput, error) {
	secret := t.secret
	if t.tombstone != nil {
		var err error
		if secret, err = a.Secrets.Restore(ctx, t.tombstone); err != nil {
			return nil, decryption(err)
		}
	}
	return &sdk.RestoreSecretOutput{ARN: &t.arn, Name: ptr.To(secret.AWSName())}, nil
}
