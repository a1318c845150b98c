package secret

import (
	"context"
	"errors"
	"fmt"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/claim"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/internal/store"
)

// AWSNameIndex is the cache index of Secrets by their AWS name.
const AWSNameIndex = "aws-name"

var errNameTaken = errors.New("the name is taken")

// identify settles the secret's account and ARN. An ARN that status holds stays, since ciphertexts are bound to it.
func (r *Reconciler) identify(ctx context.Context, p *pass) error {
	id, err := account.Resolve(ctx, r.Client, p.secret.Namespace)
	if err != nil {
		return err
	}
	same, err := r.having(ctx, p.secret.Namespace, AWSNameIndex, p.secret.AWSName())
	if err != nil {
		return err
	}
	if first := claim.Elder(p.secret, same); first != "" {
		return fault.Contested(v1alpha1.ReasonNameConflict, fmt.Errorf("%w: Secret %s has the AWS name %s already; "+
			"set another spec.name in a new Secret", errNameTaken, first, p.secret.AWSName()))
	}
	p.arn = p.secret.Status.ARN
	if p.arn != "" && !arn.IsSecret(p.arn, arn.Region(p.arn), arn.Account(p.arn), p.secret.AWSName()) {
		return fmt.Errorf("%w: status.arn is another secret's; remove it there (--subresource=status) to have it rebuilt", store.ErrTampered)
	}
	if p.arn == "" {
		p.arn = arn.Secret(r.Region, id, p.secret.AWSName(), arn.Suffix(string(p.secret.UID)))
	}
	if p.secret.Status.ARN != "" { // without it, what status lists says nothing: restore finds both
		p.index = IndexOf(p.secret)
	}
	return nil
}

// IndexOf is the index of versions that status holds.
func IndexOf(secret *v1alpha1.Secret) versions.Index {
	ix := make(versions.Index, 0, len(secret.Status.Versions))
	for _, v := range secret.Status.Versions {
		ix = append(ix, versions.Version{
			ID: v.VersionID, Sequence: v.Sequence, Stages: v.Stages, Created: v.CreatedTime.UTC(),
		})
	}
	return ix
}

// RecoveryWindow is how long a deleted secret can be had back.
func RecoveryWindow(secret *v1alpha1.Secret) time.Duration {
	if secret.Spec.Deletion == nil || secret.Spec.Deletion.RecoveryWindowInDays == 0 {
		return secretsmanager.DefaultRecoveryWindow
	}
	return time.Duration(secret.Spec.Deletion.RecoveryWindowInDays) * 24 * time.Hour
}
