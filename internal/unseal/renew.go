package unseal

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/store"
)

const (
	// renewTimeout is how long who has something to open waits for its domain key.
	renewTimeout = 10 * time.Second
	// maximumAhead is how many epochs this manager may be behind others. What claims to be of a later one is not looked for.
	maximumAhead = 16
	// missedFor is for how long a domain key that was not there is not looked for again, unless there is word of one: an epoch may be anybody's claim, in a
	// session token for example. So such claims cost the API server maximumAhead reads a second at most, whoever makes them.
	missedFor = time.Second
)

// ask is somebody who has something of an epoch to open.
type ask struct {
	epoch int64
	done  chan<- error
}

func (u *Unsealer) requests() (changed chan struct{}, asked chan ask) {
	u.channels.Do(func() { u.changed, u.asked = make(chan struct{}, 1), make(chan ask) })
	return u.changed, u.asked
}

// Changed says that there may be a domain key that the keyring does not have: an informer has seen one. It does not wait.
func (u *Unsealer) Changed() {
	changed, _ := u.requests()
	select {
	case changed <- struct{}{}:
	default: // it is said already
	}
}

// Renew waits until the keyring has the domain key of an epoch, for at most 10 s. It wraps keyring.ErrUnknownEpoch if there is no such domain key. Start must
// run, and does the work: who asks may be within secretbytes.Do, which the goroutines of a connection to a root must not inherit.
func (u *Unsealer) Renew(epoch int64) error {
	ring, err := u.Holder.Get()
	if err != nil {
		return err
	}
	if epoch > ring.CurrentEpoch()+maximumAhead {
		return noDomainKey(epoch)
	}
	ctx, cancel := context.WithTimeout(context.Background(), renewTimeout)
	defer cancel()
	_, asked := u.requests()
	done := make(chan error, 1)
	select {
	case asked <- ask{epoch, done}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func noDomainKey(epoch int64) error {
	return fmt.Errorf("%w: there is no domain key of epoch %d", keyring.ErrUnknownEpoch, epoch)
}

// renewFor is renew for who has something of an epoch to open.
func (u *Unsealer) renewFor(ctx context.Context, epoch int64) error {
	ring, err := u.Holder.Get()
	if err != nil || ring.Has(epoch) {
		return err
	}
	now := time.Now()
	if at, missed := u.missed[epoch]; missed && now.Sub(at) < missedFor {
		return noDomainKey(epoch)
	}
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	e := &v1alpha1.Envelope{}
	err = u.Live.Get(ctx, client.ObjectKey{Namespace: u.Namespace, Name: store.Name(v1alpha1.EnvelopeDomainKey, Subject, epoch)}, e)
	if apierrors.IsNotFound(err) {
		if u.missed == nil || len(u.missed) > maximumAhead {
			u.missed = map[int64]time.Time{}
		}
		u.missed[epoch] = now
		return noDomainKey(epoch)
	}
	if err != nil {
		return fmt.Errorf("reading the domain key of epoch %d: %w", epoch, err)
	}
	return u.renew(ctx)
}

// renew opens the domain keys that are stored and that the keyring does not have. If it cannot, the keyring goes on as it is.
func (u *Unsealer) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	ring, err := u.Holder.Get()
	if err != nil {
		return nil // Start unseals, and reads all of them
	}
	clear(u.missed)
	stored, err := u.domainKeys(ctx)
	if err != nil {
		return err
	}
	provider := u.provider()
	if !slices.ContainsFunc(stored, func(e v1alpha1.Envelope) bool { return !ring.Has(e.Spec.Sequence) }) {
		return nil
	}
	if err := checkRoot(provider.Name(), stored); err != nil {
		return err
	}
	root, err := provider.Find(ctx, false)
	if err != nil {
		return err
	}
	if err := checkKeys(root, stored); err != nil {
		return err
	}
	next, err := ring.Add(ctx, root, records(stored))
	if err != nil {
		return err
	}
	u.last.Store(&unsealed{root, stored})
	u.Holder.Set(next)
	u.Log.Info("the keyring has another domain key", "epoch", next.CurrentEpoch())
	return nil
}

// DomainKeys are the Envelopes of the domain keys that the keyring was last opened with, the oldest first; none before it was.
func (u *Unsealer) DomainKeys() []v1alpha1.Envelope {
	last := u.last.Load()
	if last == nil {
		return nil
	}
	stored := slices.Clone(last.stored)
	slices.SortFunc(stored, func(a, b v1alpha1.Envelope) int { return cmp.Compare(a.Spec.Sequence, b.Spec.Sequence) })
	return stored
}

// errOtherDomainKey says that a domain key is another one by now.
var errOtherDomainKey = errors.New("it is another one than this manager opened; restore the one of the backup")

// Confirm tells whether the domain key by which things are wrapped is still stored as it was opened: what is wrapped by one that is lost nobody can open
// after the managers that have it in memory. It asks the API server, and wraps store.ErrMissing or store.ErrTampered.
func (u *Unsealer) Confirm(ctx context.Context) error {
	stored := u.DomainKeys()
	if len(stored) == 0 {
		return keyring.ErrSealed
	}
	newest, live := &stored[len(stored)-1], &v1alpha1.Envelope{}
	err := u.Live.Get(ctx, client.ObjectKeyFromObject(newest), live)
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("%w: that of the domain key of epoch %d, %s/%s: restore it from a backup before the last manager stops that has it in memory",
			store.ErrMissing, newest.Spec.Sequence, newest.Namespace, newest.Name)
	case err != nil:
		return fmt.Errorf("reading the domain key of epoch %d: %w", newest.Spec.Sequence, err)
	case !bytes.Equal(live.Spec.Ciphertext, newest.Spec.Ciphertext):
		return fmt.Errorf("%w: that of the domain key of epoch %d, %s/%s: %w", store.ErrTampered, newest.Spec.Sequence, newest.Namespace, newest.Name, errOtherDomainKey)
	}
	return nil
}

// errTooManyDomainKeys says that no more domain keys can be made: more than MaxDomainKeys could not be unsealed.
var errTooManyDomainKeys = fmt.Errorf("there are %d domain keys, and no more are opened", keyring.MaxDomainKeys)

// Rotate makes the domain key after the one of an epoch, writing through s, unless there is one already, and waits until this process's keyring has it. It is
// current then, here, and in other processes when their informers have told them or when they have something of it to open.
//
// Crash-safe: the domain key is one write, which the API server lets one writer make; what is left of a crash is the domain key that was wanted, and is found by the
// next call with the same epoch.
func (u *Unsealer) Rotate(ctx context.Context, s *store.Store, after int64) error {
	within, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	stored, err := u.domainKeys(within)
	if err != nil {
		return err
	}
	newest := int64(0)
	for i := range stored {
		newest = max(newest, stored[i].Spec.Sequence)
	}
	provider := u.provider()
	switch {
	case newest < after:
		return fmt.Errorf("%w: that of the domain key of epoch %d in namespace %s: restore it from a backup", store.ErrMissing, after, u.Namespace)
	case newest == after && len(stored) >= keyring.MaxDomainKeys:
		return errTooManyDomainKeys
	case newest == after:
		if err := checkRoot(provider.Name(), stored); err != nil {
			return err
		}
		root, err := provider.Find(within, false)
		if err != nil {
			return err
		}
		if _, err := u.makeDomainKey(within, s, root, after+1); err != nil {
			return err
		}
	}
	return u.Renew(after + 1)
}
