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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	// missedFor is for how long a domain key that was not there, or did not open, is not looked for again, unless there is word of one: an epoch may be anybody's claim, in a
	// session token for example. So such claims cost the API server maximumAhead reads a second at most, whoever makes them.
	missedFor = time.Second
)

// ask is somebody who has something of an epoch to open.
type ask struct {
	epoch int64
	// made tells that the domain key is there, whatever was seen before.
	made bool
	done chan<- error
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
func (u *Unsealer) Renew(epoch int64) error { return u.await(ask{epoch: epoch}) }

func (u *Unsealer) await(a ask) error {
	epoch := a.epoch
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
	a.done = done
	select {
	case asked <- a:
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
func (u *Unsealer) renewFor(ctx context.Context, a ask) error {
	epoch := a.epoch
	ring, err := u.Holder.Get()
	if err != nil || ring.Has(epoch) {
		return err
	}
	now := time.Now()
	if m, missed := u.missed[epoch]; missed && !a.made && now.Sub(m.at) < missedFor {
		return m.err
	}
	err = u.look(ctx, epoch)
	if err != nil {
		if u.missed == nil || len(u.missed) > maximumAhead {
			u.missed = map[int64]miss{}
		}
		u.missed[epoch] = miss{time.Now(), err}
	}
	return err
}

// miss is when a domain key was looked for in vain, and why that failed.
type miss struct {
	at  time.Time
	err error
}

// look opens the domain key of an epoch if it is stored.
func (u *Unsealer) look(ctx context.Context, epoch int64) error {
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	e := &v1alpha1.Envelope{}
	err := u.Live.Get(ctx, client.ObjectKey{Namespace: u.Namespace, Name: store.Name(v1alpha1.EnvelopeDomainKey, Subject, epoch)}, e)
	if apierrors.IsNotFound(err) {
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
	if err := u.asOpened(stored); err != nil {
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

// Confirm tells whether the domain keys are still stored as they were opened: what is wrapped by one that is lost nobody can open after the managers that
// have it in memory. One that is missing is stored again, as the root has wrapped it, writing through s, and its name is among restored. It asks the API server, and
// wraps store.ErrTampered if one is another by now.
//
// Crash-safe: each is one write, of a name that lets one writer make it.
func (u *Unsealer) Confirm(ctx context.Context, s *store.Store) (restored []string, err error) {
	known := u.DomainKeys()
	if len(known) == 0 {
		return nil, keyring.ErrSealed
	}
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	stored, err := u.domainKeys(ctx)
	if err != nil {
		return nil, err
	}
	if err := u.asOpened(stored); err != nil {
		return nil, err
	}
	there := make(map[string]bool, len(stored))
	for i := range stored {
		there[stored[i].Name] = true
	}
	for i := range known {
		e := &known[i]
		if there[e.Name] {
			continue
		}
		again := &v1alpha1.Envelope{ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Name, Labels: e.Labels}, Spec: *e.Spec.DeepCopy()}
		if _, err := s.Create(ctx, again); err != nil {
			return restored, fmt.Errorf("storing the domain key of epoch %d again, which was missing: %w", e.Spec.Sequence, err)
		}
		restored = append(restored, e.Namespace+"/"+e.Name)
	}
	return restored, nil
}

// asOpened fails if a stored domain key is not the one of its name that this process has open.
func (u *Unsealer) asOpened(stored []v1alpha1.Envelope) error {
	known := map[string][]byte{}
	for _, e := range u.DomainKeys() {
		known[e.Name] = e.Spec.Ciphertext
	}
	for i := range stored {
		e := &stored[i]
		if opened, ok := known[e.Name]; ok && !bytes.Equal(e.Spec.Ciphertext, opened) {
			return fmt.Errorf("%w: that of the domain key of epoch %d, %s/%s: %w", store.ErrTampered, e.Spec.Sequence, e.Namespace, e.Name, errOtherDomainKey)
		}
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
	return u.await(ask{epoch: after + 1, made: true})
}
