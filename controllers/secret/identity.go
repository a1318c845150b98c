package secret

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/claim"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/internal/store"
)

var errNameTaken = errors.New("the name is taken")

// identify settles the secret's account and ARN. An ARN that status holds stays, since ciphertexts are bound to it.
func (r *Reconciler) identify(ctx context.Context, p *pass) error {
	id, err := account.Resolve(ctx, r.Client, p.secret.Namespace)
	if err != nil {
		return err
	}
	same, err := r.having(ctx, p.secret.Namespace, secretsmanager.NameIndex, p.secret.AWSName())
	if err != nil {
		return err
	}
	region := r.Secrets.RegionOf(p.secret)
	same = slices.DeleteFunc(same, func(s v1alpha1.Secret) bool { return r.Secrets.RegionOf(&s) != region || store.BeingDeleted(&s) })
	if first := claim.Elder(p.secret, same); first != "" {
		return fault.Contested(v1alpha1.ReasonNameConflict, fmt.Errorf("%w: Secret %s has the AWS name %s already; "+
			"set another spec.name in a new Secret", errNameTaken, first, p.secret.AWSName()))
	}
	if own := p.secret.Status.ARN; own != "" && !secretsmanager.IsOwn(p.secret, own) {
		return fmt.Errorf("%w: status.arn is another secret's; remove it there (--subresource=status) to have it rebuilt", store.ErrTampered)
	}
	p.arn = r.Secrets.ARNOf(p.secret)
	if p.secret.Status.ARN == "" && arn.Account(p.arn) != id {
		p.arn = "" // an annotation of another account
	}
	if p.arn == "" {
		if p.arn, err = r.newARN(ctx, p, region, id); err != nil {
			return err
		}
	}
	if p.secret.Status.ARN != "" { // without it, what status lists says nothing: restore finds both
		p.index = secretsmanager.IndexOf(p.secret)
	}
	return nil
}

// newARN is the ARN of a secret that has none yet. A replica's has its primary's last characters.
func (r *Reconciler) newARN(ctx context.Context, p *pass, region, id string) (string, error) {
	if !secretsmanager.IsReplica(p.secret) {
		return arn.Secret(region, id, p.secret.AWSName(), arn.Suffix(string(p.secret.UID))), nil
	}
	primary, err := r.primary(ctx, p)
	if err != nil {
		return "", err
	}
	return secretsmanager.ReplicaARN(r.Secrets.ARNOf(primary), p.secret.AWSName(), region), nil
}
