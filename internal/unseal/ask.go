package unseal

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/store"
)

// An epoch may be anybody's claim: whoever can reach the gateway can send a session token that says it is of whichever epoch. So a claim alone never has the
// root asked more often than it is anyway: a domain key that is stored and could not be opened is tried again by lookAfter at its own pace, and whoever asks for
// it meanwhile is told at once how that failed. One that is not stored costs the API server a read a second and epoch, of maximumAhead epochs at most.

const (
	// renewTimeout is how long who has something to open waits for its domain key.
	renewTimeout = 10 * time.Second
	// maximumAhead is how many epochs this manager may be behind others. What claims to be of a later one is not looked for.
	maximumAhead = 16
	// missedFor is for how long a domain key that was not there is not looked for again, unless there is word of one.
	missedFor = time.Second
	// anyEpoch is the epoch of a miss that says something of all: the API server did not answer.
	anyEpoch = 0
)

// ask is somebody who has something of an epoch to open.
type ask struct {
	epoch int64
	// made tells that the domain key is there, whatever was seen before.
	made bool
	done chan<- error
}

// miss is when a domain key was looked for in vain, and why that failed.
type miss struct {
	at  time.Time
	err error
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
	if known, err := u.known(a); known {
		return err
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

// known answers who asks by what is known already, if it can. A keyring opens all domain keys that are stored, so there was none of an epoch before its current one
// that it lacks; if one comes back, from a backup, there is word of it.
func (u *Unsealer) known(a ask) (known bool, err error) {
	ring, err := u.Holder.Get()
	if err != nil || ring.Has(a.epoch) {
		return true, err
	}
	if a.made {
		return false, nil
	}
	if f := u.failing.Load(); f != nil && slices.Contains(f.lacking, a.epoch) {
		return true, f.err
	}
	if a.epoch < ring.CurrentEpoch() || a.epoch > ring.CurrentEpoch()+maximumAhead {
		return true, noDomainKey(a.epoch)
	}
	u.missing.Lock()
	defer u.missing.Unlock()
	for _, epoch := range []int64{a.epoch, anyEpoch} {
		if m, missed := u.missed[epoch]; missed && time.Since(m.at) < missedFor {
			return true, m.err
		}
	}
	return false, nil
}

// forget forgets what was looked for in vain.
func (u *Unsealer) forget() {
	u.missing.Lock()
	defer u.missing.Unlock()
	clear(u.missed)
}

// miss notes that a domain key was looked for in vain.
func (u *Unsealer) miss(epoch int64, err error) error {
	u.missing.Lock()
	defer u.missing.Unlock()
	if u.missed == nil || len(u.missed) > 2*maximumAhead { // those of epochs that are current by now
		u.missed = map[int64]miss{}
	}
	u.missed[epoch] = miss{time.Now(), err}
	return err
}

func noDomainKey(epoch int64) error {
	return fmt.Errorf("%w: there is no domain key of epoch %d", keyring.ErrUnknownEpoch, epoch)
}

// renewFor is renew for who has something of an epoch to open, if the domain key of that epoch is stored.
func (u *Unsealer) renewFor(ctx context.Context, a ask) error {
	if known, err := u.known(a); known { // by now
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	e := &v1alpha1.Envelope{}
	err := u.Live.Get(ctx, client.ObjectKey{Namespace: u.Namespace, Name: store.Name(v1alpha1.EnvelopeDomainKey, Subject, a.epoch)}, e)
	if apierrors.IsNotFound(err) {
		return u.miss(a.epoch, noDomainKey(a.epoch))
	}
	if err != nil {
		return u.miss(anyEpoch, fmt.Errorf("reading the domain key of epoch %d: %w", a.epoch, err))
	}
	if err := u.renew(ctx); err != nil {
		return err
	}
	if ring, err := u.Holder.Get(); err != nil || ring.Has(a.epoch) {
		return err
	}
	return u.miss(a.epoch, noDomainKey(a.epoch)) // what has that name is none
}
