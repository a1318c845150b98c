package secret

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
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// fieldOwner is the field manager of objects that this controller makes for a user.
const fieldOwner = v1alpha1.Group + "/secret"

// keyName is the KMSKey that encrypts a Secret's new versions.
func keyName(secret *v1alpha1.Secret) string {
	if secret.Spec.KMSKeyRef != nil {
		return secret.Spec.KMSKeyRef.Name
	}
	return secretsmanager.DefaultKeyName
}

// +kubebuilder:rbac:groups=strongroom.dev,resources=kmskeys,verbs=create

// key finds the KMSKey for a new version, and makes the account's own key for secrets when it is wanted first.
func (r *Reconciler) key(ctx context.Context, p *pass) (*v1alpha1.KMSKey, error) {
	name := keyName(p.secret)
	key, err := r.KMS.ByName(ctx, p.secret.Namespace, name)
	switch {
	case err == nil:
		return key, kms.CheckUsable(key, keys.GenerateDataKey)
	case fault.Of(err).Reason != v1alpha1.ReasonKeyNotFound || p.secret.Spec.KMSKeyRef != nil:
		return nil, err
	}
	err = r.Client.Create(ctx, &v1alpha1.KMSKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: p.secret.Namespace, Name: name},
		Spec: v1alpha1.KMSKeySpec{
			Description: "Default key that protects Secrets when no other key is named",
			Aliases:     []string{secretsmanager.DefaultKeyAlias},
			Rotation:    &v1alpha1.KeyRotation{Enabled: true},
		},
	}, client.FieldOwner(fieldOwner))
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return nil, fmt.Errorf("creating the account's key %s: %w", name, err)
	}
	return nil, fault.Waiting(v1alpha1.ReasonKeyUnusable, errors.New("the account's own key "+name+" is being made"))
}
