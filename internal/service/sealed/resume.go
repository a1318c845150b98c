package sealed

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
)

// Resume takes into an index the versions whose Envelopes were made and not committed: one after a crash, or another
// writer's in flight; more if status was set back. Nothing else may be done with them: a projection may show them already.
// Only what opens, and is of the object's type, gets in: somebody else may have put an Envelope there. The error wraps store.ErrCondemned while one is being erased. The caller commits the index.
func (v *Versions) Resume(ctx context.Context, of Subject, ix versions.Index) (versions.Index, error) {
	envelopes, err := v.Store.OfOwner(ctx, of.Namespace, v.Owner(of.Name))
	if err != nil {
		return ix, err
	}
	for {
		e, found := v.inFlight(envelopes, of.ARN, ix)
		if !found {
			return ix, nil
		}
		if err := v.fits(of.Type, []*v1alpha1.Envelope{e}, nil); err != nil {
			return ix, err
		}
		if err := v.Store.Take(ctx, of.Reading, e); err != nil {
			return ix, err
		}
		next := store.Version(e)
		if err := v.Verify(ctx, of, next); err != nil {
			return ix, err
		}
		taken := ix.Add(next)
		if len(taken) == len(ix) {
			return ix, fmt.Errorf("%w: status.versions has version %s under another sequence; remove the list there "+
				"(--subresource=status) to have it rebuilt", store.ErrTampered, next.ID)
		}
		ix = taken
	}
}

// inFlight finds the version that was stored and not yet committed: the one after the index's last.
func (v *Versions) inFlight(envelopes []v1alpha1.Envelope, arn string, ix versions.Index) (*v1alpha1.Envelope, bool) {
	for i := range envelopes {
		e := &envelopes[i]
		if e.Spec.Class == v.Kind.Class && e.Spec.Subject == arn && e.Spec.Sequence == ix.Last()+1 {
			return e, true
		}
	}
	return nil, false
}

// LetGo finds the Envelopes that an index lets go, before the index is committed, and returns what deletes them after that; what a crash leaves here is swept, and so is what
// somebody wrote to meanwhile, or the cache does not show as it is.
//
// The order keeps an Envelope from being deleted that the object takes over after the commit, as when its status is lost: that is a write to it (store.Take), after it was read here.
func (v *Versions) LetGo(ctx context.Context, of Subject, gone versions.Index) (prune func(context.Context) error) {
	var found []*v1alpha1.Envelope
	var failed error
	for _, version := range gone {
		e, err := v.Store.Get(ctx, of.Namespace, v.Kind.Class, v.Owner(of.Name), of.ARN, version)
		switch {
		case err == nil:
			found = append(found, e)
		case !errors.Is(err, store.ErrMissing):
			failed = errors.Join(failed, err)
		}
	}
	return func(ctx context.Context) error {
		for _, e := range found {
			if err := v.Store.Delete(ctx, e); err != nil && !apierrors.IsConflict(err) {
				return err
			}
		}
		return failed
	}
}
