package unseal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/store"
)

// defaultPatience is longer than it takes a root that is there to open a domain key, and no longer than the Keyring's controller waits until it rewraps.
const defaultPatience = time.Minute

// errBehind says that a manager lacks a domain key that others have.
var errBehind = errors.New("a domain key that is in use is not opened by this manager, and what is under it cannot be used here")

// Ready fails with keyring.ErrSealed while this manager is sealed, and when for Patience it has not opened a domain key that is in use: that the Keyring's
// status names, or an Envelope of Strongroom's own namespace, and so some manager has. It reads from s's cache. What Envelopes of other namespaces name is anybody's claim, who may
// write Envelopes there: by it, a domain key that nobody has opened would make all managers leave.
//
// A domain key that nobody has opened is no reason: nothing is under it, and all managers would leave at once though all of them work, as when the root was lost
// in the middle of a rotation. Neither is one that is not stored, which no manager has.
func (u *Unsealer) Ready(ctx context.Context, s *store.Store) error {
	ring, err := u.Holder.Get()
	if err != nil {
		return err
	}
	f := u.failing.Load()
	if f == nil || time.Since(f.since) < either(u.Patience, defaultPatience) {
		return nil
	}
	for _, epoch := range f.lacking {
		if ring.Has(epoch) {
			continue
		}
		used, err := u.inUse(ctx, s, epoch)
		if err != nil {
			return err
		}
		if used {
			return fmt.Errorf("%w: %w: that of epoch %d, for %s: %w", keyring.ErrSealed, errBehind, epoch, time.Since(f.since).Round(time.Second), f.err)
		}
	}
	return nil
}

// inUse tells whether some manager has wrapped by the domain key of an epoch, as far as the cache tells.
func (u *Unsealer) inUse(ctx context.Context, s *store.Store, epoch int64) (bool, error) {
	under, err := s.OfEpoch(ctx, epoch)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(under, func(e v1alpha1.Envelope) bool { return e.Namespace == u.Namespace }) {
		return true, nil
	}
	k := &v1alpha1.Keyring{}
	err = s.Client.Get(ctx, client.ObjectKey{Namespace: u.Namespace, Name: v1alpha1.KeyringName}, k, client.DisableReadYourWritesConsistency)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("reading the Keyring: %w", err)
	}
	return k.Status.CurrentEpoch >= epoch, nil
}
