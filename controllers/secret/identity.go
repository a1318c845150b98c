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

// restore brings back the index of a secret that has none: it was deleted and is applied again within its recovery
// window, or its status was lost. Envelopes tell all; a tombstone also tells stages that were moved by hand.
func (r *Reconciler) restore(ctx context.Context, p *pass) error {
	if len(p.index) > 0 {
		return nil
	}
	envelopes, err := r.Store.OfOwner(ctx, p.secret.Namespace, secretsmanager.Owner(p.secret.Name))
	if err != nil || len(envelopes) == 0 {
		return err
	}
	subject, found := r.restorable(p, envelopes)
	if !found {
		return nil
	}
	tombstone, stored := ofSubject(envelopes, subject)
	if tombstone != nil && !p.secret.CreationTimestamp.Before(tombstone.Spec.ExpireTime) {
		return nil // applied when the recovery window was over: this is a new secret
	}
	for _, v := range stored { // only what opens gets into the index
		if err := r.Secrets.Verify(ctx, p.secret.Namespace, p.secret.Name, subject, v); err != nil {
			return err
		}
	}
	return r.rebuild(p, subject, tombstone, stored)
}

// rebuild makes the index of versions that were found, or takes it from a tombstone that is as new as they are.
func (r *Reconciler) rebuild(p *pass, subject string, tombstone *v1alpha1.Envelope, stored []versions.Version) error {
	p.arn = subject
	p.index = versions.Rebuild(stored)
	p.trigger = triggerResumed
	if tombstone != nil || len(p.index) > 1 {
		p.trigger = triggerRestored
	}
	if tombstone == nil || tombstone.Spec.Sequence != p.index.Last() {
		return nil
	}
	ring, err := r.Keyring.Get()
	if err != nil {
		return err
	}
	content, err := store.OpenTombstone(ring, tombstone)
	if err != nil {
		return err
	}
	p.index = content.Index
	return nil
}

// ofSubject takes the newest tombstone and the versions of one ARN out of a secret's Envelopes.
func ofSubject(envelopes []v1alpha1.Envelope, subject string) (tombstone *v1alpha1.Envelope, stored []versions.Version) {
	for i := range envelopes {
		e := &envelopes[i]
		if e.Spec.Subject != subject {
			continue
		}
		switch e.Spec.Class {
		case v1alpha1.EnvelopeTombstone:
			if e.Spec.ExpireTime != nil && (tombstone == nil || e.Spec.Sequence > tombstone.Spec.Sequence) {
				tombstone = e
			}
		case v1alpha1.EnvelopeSecretVersion:
			stored = append(stored, store.Version(e))
		}
	}
	return tombstone, stored
}

// restorable finds the ARN to go on with: the newest that Envelopes of this owner have, of this account, region and name.
func (r *Reconciler) restorable(p *pass, envelopes []v1alpha1.Envelope) (subject string, found bool) {
	id := arn.Account(p.arn)
	var newest *v1alpha1.Envelope
	for i := range envelopes {
		e := &envelopes[i]
		if e.Spec.Class != v1alpha1.EnvelopeSecretVersion || !arn.IsSecret(e.Spec.Subject, r.Region, id, p.secret.AWSName()) {
			continue
		}
		if newest == nil || newest.Spec.CreatedTime.Before(&e.Spec.CreatedTime) {
			newest = e
		}
	}
	if newest == nil {
		return "", false
	}
	return newest.Spec.Subject, true
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
