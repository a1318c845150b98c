package secretsmanager

import (
	"context"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/kms"
)

// ownKey is the account's own key for secrets.
var ownKey = kms.OwnKey{
	Name: DefaultKeyName, Alias: DefaultKeyAlias, Description: "Default key that protects Secrets when no other key is named",
	Owner: v1alpha1.Group + "/secret",
}

// KeyName is the name of the KMSKey that encrypts a Secret's new versions.
func KeyName(secret *v1alpha1.Secret) string {
	if secret.Spec.KMSKeyRef != nil {
		return secret.Spec.KMSKeyRef.Name
	}
	return DefaultKeyName
}

// Key finds the KMSKey for a secret's new version, and makes the account's own key for secrets when it is wanted first. The
// fault says KeyNotFound or KeyUnusable.
func (s *Service) Key(ctx context.Context, secret *v1alpha1.Secret) (*v1alpha1.KMSKey, error) {
	return s.KMS.KeyOrOwn(ctx, secret.Namespace, secret.Spec.KMSKeyRef, ownKey)
}

// AwaitKey is Key for a caller that cannot come back later: it waits for an account's own key that is being made.
func (s *Service) AwaitKey(ctx context.Context, secret *v1alpha1.Secret) (*v1alpha1.KMSKey, error) {
	return s.KMS.AwaitKeyOrOwn(ctx, secret.Namespace, secret.Spec.KMSKeyRef, ownKey)
}

// IsDefaultKey tells that a key is the account's own, which needs no permission of its own.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
func IsDefaultKey(key *v1alpha1.KMSKey) bool { return ownKey.Is(key) }

// NamedKey is the key that a KmsKeyId names.
type NamedKey = kms.NamedKey

// KeyByID finds the key of an account that a KmsKeyId names, as kms.Service does.
func (s *Service) KeyByID(ctx context.Context, namespace, region, account, id string) (NamedKey, error) {
	return s.KMS.KeyByID(ctx, namespace, region, account, id, ownKey)
}
