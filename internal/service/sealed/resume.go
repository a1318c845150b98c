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
// Only what opens, and is of the object's type, gets in: somebody else may have put an Envelope there. That one is not jumped over either: see uncommitted. The error wraps store.ErrCondemned while one is
// being erased. The caller commits the index.
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
		if err := v.fitsNext(of.Type, e); err != nil {
			return ix, err
		}
		if err := v.Store.Take(ctx, of.Reading, e); err != nil {
			return ix, err
		}
		next := store.Version(e)
		if err := v.verifyNext(ctx, of, next); err != nil {
			return ix, uncommitted(err)
		}
		taken := ix.Add(next)
		if len(taken) == len(ix) {
			return ix, fmt.Errorf("%w: status.versions has version %s under another sequence; remove the list there "+
				"(--subresource=status) to have it rebuilt", store.ErrTampered, next.ID)
		}
		ix = taken
	}
}

// verifyNext is Verify of a version that no index has.
func (v *Versions) verifyNext(ctx context.Context, of Subject, next versions.Version) error {
	found, err := v.Fetch(ctx, of, next)
	if err != nil {
		return err
	}
	value, err := v.decrypt(ctx, found)
	value.Wipe()
	return err
}

// fitsNext says whether an Envelope that stands where the next version goes is of the object's type. The first one may be what is kept of a deleted object, and the error is that of Kind.Fits then. Behind
// versions that the object has already, nothing that was deleted can be: somebody has put it there, and it is told as what does not open there is.
func (v *Versions) fitsNext(objectType string, e *v1alpha1.Envelope) error {
	err := v.fits(objectType, []*v1alpha1.Envelope{e}, nil)
	if err == nil || e.Spec.Sequence == 1 {
		return err
	}
	return uncommitted(fmt.Errorf("%w: Envelope %s of version %s is of another type than the object, which is a %s", store.ErrTampered, e.Name, e.Spec.Version, objectType))
}

// uncommitted says what to do about an Envelope where the next version goes that does not open as one. Mostly somebody has put it there: it is in no index, so nobody was
// given it, and it is in the way until it is deleted. But an index that was set back looks the same from here: then it is a version that was in force and was damaged since.
// To jump over it would lose that one in silence, and give its successor's number to another value. So a person decides, and nothing is made until then.
func uncommitted(err error) error {
	if !errors.Is(err, store.ErrTampered) {
		return err
	}
	return fmt.Errorf("%w; it is where the next version goes and status.versions does not have it, so keep a copy of it (kubectl get envelopes -o yaml) and delete it; "+
		"only if status was set back it was a version in force: restore it from a backup then", err)
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
