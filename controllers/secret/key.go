package secret

import (
	"context"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// keyName is the KMSKey that encrypts a Secret's new versions.
func keyName(secret *v1alpha1.Secret) string { return secretsmanager.KeyName(secret) }

// key finds the KMSKey for a new version.
func (r *Reconciler) key(ctx context.Context, p *pass) (*v1alpha1.KMSKey, error) {
	return r.Secrets.Key(ctx, p.secret)
}
