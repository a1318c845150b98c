package sealed

import (
	"context"
	"errors"
	"fmt"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
)

// Resume takes into an index the versions whose Envelopes were made and not committed: one after a crash, or another
// writer's in flight; more if status was set back. Nothing else may be done with them: a projection may show them already.
// Only what opens gets in: somebody else may have put an Envelope there. The error wraps store.ErrCondemned while one is being erased. The caller commits the index.
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
		if err := v.Store.CheckTaken(ctx, e); err != nil {
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

// Prune deletes the Envelopes that an index let go, after the commit; what a crash leaves here is swept.
func (v *Versions) Prune(ctx context.Context, of Subject, gone versions.Index) error {
	for _, version := range gone {
		e, err := v.Store.Get(ctx, of.Namespace, v.Kind.Class, v.Owner(of.Name), of.ARN, version)
		if errors.Is(err, store.ErrMissing) {
			continue
		}
		if err == nil {
			err = v.Store.Delete(ctx, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
