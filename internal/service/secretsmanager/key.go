package secretsmanager

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/kms"
)

// defaultKeyOwner is the field manager of the account's own key, whoever asked for it first.
const defaultKeyOwner = v1alpha1.Group + "/secret"

// KeyName is the name of the KMSKey that encrypts a Secret's new versions.
func KeyName(secret *v1alpha1.Secret) string {
	if secret.Spec.KMSKeyRef != nil {
		return secret.Spec.KMSKeyRef.Name
	}
	return DefaultKeyName
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=kmskeys,verbs=create

// Key finds the KMSKey for a secret's new version, and makes the account's own key for secrets when it is wanted first. The
// fault says KeyNotFound or KeyUnusable.
func (s *Service) Key(ctx context.Context, secret *v1alpha1.Secret) (*v1alpha1.KMSKey, error) {
	name := KeyName(secret)
	key, err := s.KMS.ByName(ctx, secret.Namespace, name)
	switch {
	case err == nil:
		return key, kms.CheckUsable(key, keys.GenerateDataKey)
	case fault.Of(err).Reason != v1alpha1.ReasonKeyNotFound || secret.Spec.KMSKeyRef != nil:
		return nil, err
	}
	err = s.Client.Create(ctx, &v1alpha1.KMSKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: secret.Namespace, Name: name},
		Spec: v1alpha1.KMSKeySpec{
			Description: "Default key that protects Secrets when no other key is named",
			Aliases:     []string{DefaultKeyAlias},
			Rotation:    &v1alpha1.KeyRotation{Enabled: true},
		},
	}, client.FieldOwner(defaultKeyOwner))
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("creating the account's key %s: %w", name, err)
	}
	return nil, fault.Waiting(v1alpha1.ReasonKeyUnusable, errors.New("the account's own key "+name+" is being made"))
}

// AwaitKey is Key for a caller that cannot come back later: it waits for an account's own key that is being made.
func (s *Service) AwaitKey(ctx context.Context, secret *v1alpha1.Secret) (*v1alpha1.KMSKey, error) {
	return kms.AwaitOwn(ctx, DefaultKeyName, func(ctx context.Context) (*v1alpha1.KMSKey, error) { return s.Key(ctx, secret) })
}

// IsDefaultKey tells that a key is the account's own, which needs no permission of its own.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html
func IsDefaultKey(key *v1alpha1.KMSKey) bool { return key.Name == DefaultKeyName }
