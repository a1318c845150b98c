// Package passes is how a pass over an object of any kind begins, and what asks for one: the watches of the kinds whose versions are kept as
// Envelopes. How a pass ends is controllers/outcome. What differs between kinds is in the kinds' own packages: their steps, and what they
// name.
package passes

import (
	"context"
	"errors"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/internal/core/keyring"
)

// ErrSuspended ends a pass over an object whose spec.suspend is true before its first step.
var ErrSuspended = errors.New("suspended")

// Begin reads the object that a pass is about, once the keyring was tried to be unsealed: before that, "sealed" is not a fact to act on but a
// beginning. found is false if there is no such object: the Envelopes of one that was deleted are controllers/envelope's.
func Begin(ctx context.Context, ring *keyring.Holder, cache client.Reader, req ctrl.Request, into client.Object) (found bool, err error) {
	if err := ring.AwaitAttempt(ctx); err != nil {
		return false, err
	}
	if err := cache.Get(ctx, req.NamespacedName, into); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	return true, nil
}

// Living is Begin for kinds without a finalizer that show nothing secret: one that is being deleted is not looked at any more.
func Living(ctx context.Context, ring *keyring.Holder, cache client.Reader, req ctrl.Request, into client.Object) (found bool, err error) {
	found, err = Begin(ctx, ring, cache, req, into)
	return found && into.GetDeletionTimestamp().IsZero(), err
}

// Run makes the steps of a pass in their order, until one fails.
func Run[P any](ctx context.Context, p P, steps ...func(context.Context, P) error) error {
	for _, step := range steps {
		if err := step(ctx, p); err != nil {
			return err
		}
	}
	return nil
}
