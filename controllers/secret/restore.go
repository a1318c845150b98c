package secret

import (
	"context"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/imports"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/internal/store"
)

// restore brings back the index of a secret that has none: it was deleted and is applied again within its recovery
// window, or its status was lost.
func (r *Reconciler) restore(ctx context.Context, p *pass) error {
	if len(p.index) > 0 {
		return nil
	}
	if err := r.recover(ctx, p); err != nil {
		return err
	}
	return r.bindNow(ctx, p)
}

// lost is the secret as one whose versions are looked for.
func (r *Reconciler) lost(p *pass) sealed.Lost {
	return sealed.Lost{
		Namespace: p.secret.Namespace, Name: p.secret.Name, Reading: store.Reading(p.secret), Created: p.secret.CreationTimestamp.Time, Mine: r.mine(p),
	}
}

// recover finds what is left of the secret.
func (r *Reconciler) recover(ctx context.Context, p *pass) error {
	restored, err := r.Secrets.Versions().Restore(ctx, r.lost(p))
	if err != nil || restored.ARN == "" {
		return err
	}
	p.arn, p.index = restored.ARN, restored.Index
	secretsmanager.Rebind(p.secret, restored.PolicyBinding)
	p.foundFrom = imports.Former(restored.Spec, sourceOf(p.secret))
	p.trigger = triggerResumed
	if restored.Deleted {
		p.trigger = triggerRestored
	}
	if len(restored.Damaged) > 0 { // before the commit, so that a death says it twice rather than never
		r.reporter().Tell(p.secret, outcome.Dropped(restored.Damaged))
	}
	return nil
}

// mine tells whether an ARN can be this secret's: it is of its account, region and name; of a secret that the API made, its own
// alone, since an earlier one of the name was not deleted to come back in it.
func (r *Reconciler) mine(p *pass) func(subject string) bool {
	id, region := arn.Account(p.arn), r.Secrets.RegionOf(p.secret)
	own := p.secret.Annotations[v1alpha1.SubjectAnnotation]
	return func(subject string) bool {
		return arn.IsSecret(subject, region, id, p.secret.AWSName()) && (own == "" || own == subject)
	}
}
