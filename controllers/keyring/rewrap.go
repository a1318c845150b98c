package keyring

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/store"
)

const (
	// settling is how long after it was made a domain key gets nothing rewrapped under it: so long other managers have to open it, by a root of trust that
	// they may not reach at the moment, before what they have in use is under it.
	settling = time.Minute
	// batch is how many Envelopes a pass rewraps, one after another, and pause how long it is until the next: 50 a second at most, so that users' requests
	// find the API server free.
	batch = 100
	pause = 2 * time.Second
	// busy is how soon Envelopes are looked at again that somebody else was about.
	busy = 15 * time.Second
	// unopened is how often those are looked at again that do not open.
	unopened = 10 * time.Minute
	// maximumEpochs is how many domain keys status lists, and maximumNames how many Envelopes a message names.
	maximumEpochs = 16
	maximumNames  = 3
)

// rewrap wraps some of what is under former domain keys anew under the current one.
//
// Crash-safe: each Envelope is one write (store.Rewrap), and which are left is told by the Envelopes. Status says how far it has come and decides nothing.
func (r *Reconciler) rewrap(ctx context.Context, p *pass) error {
	former, left, err := r.former(ctx, p)
	if err != nil {
		return err
	}
	p.first = r.damaged == nil
	before := left
	wait := created(p).Add(settling).Sub(p.now)
	if before > 0 && wait <= 0 {
		// A manager that starts meanwhile, or was away from the root since the rotation, opens what is rewrapped by the root and not without it.
		if p.unreached = r.DomainKeys.Reach(ctx); p.unreached == nil {
			left, err = r.batch(ctx, p, former, before)
		}
	}
	r.count(p, former)
	if before > 0 && wait > 0 {
		p.requeue = min(p.requeue, wait)
	} else {
		p.requeue = min(p.requeue, again(left, int64(len(p.damaged)-len(p.claims))))
	}
	if len(p.claims) > 0 {
		p.requeue = min(p.requeue, looking)
	}
	p.keyring.Status.Rewrap = progress(p.keyring.Status.Rewrap, p.ring.CurrentEpoch(), before, left, p.now)
	p.keyring.Status.Epochs, err = r.epochs(ctx, p, former, before-left, err)
	if err == nil && len(p.lost) > 0 {
		err = missing("those of the domain keys of the epochs %v, under which Envelopes are that nothing opens: restore them from a backup", p.lost)
	}
	return err
}

// generation is the Envelopes under one former domain key.
type generation struct {
	epoch     int64
	envelopes []v1alpha1.Envelope
	// left is how many of them are not rewrapped.
	left int64
}

// former finds what is under former domain keys, the oldest first.
func (r *Reconciler) former(ctx context.Context, p *pass) (out []generation, count int64, err error) {
	for epoch := max(1, p.ring.CurrentEpoch()-keyring.MaxDomainKeys); epoch < p.ring.CurrentEpoch(); epoch++ {
		envelopes, err := r.Store.OfEpoch(ctx, epoch)
		if err != nil {
			return nil, 0, err
		}
		if len(envelopes) > 0 && !p.ring.Has(epoch) {
			p.lost = append(p.lost, epoch)
			continue
		}
		if n := int64(len(envelopes)); n > 0 {
			out, count = append(out, generation{epoch, envelopes, n}), count+n
		}
	}
	return out, count, nil
}

// batch rewraps as many Envelopes as a pass does, and answers how many are left. Those that do not open are passed over, and cost no write.
func (r *Reconciler) batch(ctx context.Context, p *pass, former []generation, before int64) (left int64, failed error) {
	left, tries := before, 0
	for i := range former {
		g := &former[i]
		for j := range g.envelopes {
			e := &g.envelopes[j]
			if r.isDamaged(e, p.now) {
				continue
			}
			if tries == batch {
				p.requeue = pause
				return left, failed
			}
			done, err := r.Store.Rewrap(ctx, p.ring, e)
			switch {
			case errors.Is(err, store.ErrTampered):
				r.damage(e, p.now)
				continue
			case err != nil: // the others do not wait for it
				failed = cmp.Or(failed, err)
			case done:
				g.left, left = g.left-1, left-1
			}
			tries++
		}
	}
	return left, failed
}

// again is when a pass that has tried all that is left looks at it again.
func again(left, damaged int64) time.Duration {
	switch {
	case left > damaged:
		return busy
	case left > 0:
		return unopened
	}
	return resync
}

// progress is how far a rewrap under an epoch has come in which before Envelopes were left when a pass began and left when it ended. It is nil before the first
// rotation.
func progress(former *v1alpha1.KeyringRewrap, epoch, before, left int64, now time.Time) *v1alpha1.KeyringRewrap {
	at := metav1.NewTime(now).Rfc3339Copy()
	out := &v1alpha1.KeyringRewrap{Epoch: epoch, StartedTime: at}
	switch {
	case former != nil && former.Epoch == epoch:
		out = former.DeepCopy()
		if out.StartedTime.After(now) { // by another clock; madeAt goes by it
			out.StartedTime = at
		}
	case before == 0 && epoch == 1:
		return nil
	}
	out.Total = max(out.Total, out.Done+before) // some may have come since, as from a backup
	out.Done = out.Total - left
	switch {
	case left > 0:
		out.CompletedTime = nil
	case out.CompletedTime == nil || before > 0:
		out.CompletedTime = &at
	}
	return out
}

// epochs counts what is under which domain key. Those under the current one are counted by a list when there is nothing to rewrap, since they may be many, and
// by what was rewrapped meanwhile. It answers failed, or its own failure.
func (r *Reconciler) epochs(ctx context.Context, p *pass, former []generation, rewrapped int64, failed error) ([]v1alpha1.KeyringEpoch, error) {
	current := v1alpha1.KeyringEpoch{Epoch: p.ring.CurrentEpoch(), CreatedTime: timeOf(created(p))}
	known := slices.IndexFunc(p.keyring.Status.Epochs, func(e v1alpha1.KeyringEpoch) bool { return e.Epoch == current.Epoch })
	if known >= 0 && len(former) > 0 {
		current.Envelopes = p.keyring.Status.Epochs[known].Envelopes + rewrapped
	} else {
		envelopes, err := r.Store.OfEpoch(ctx, current.Epoch)
		if err != nil {
			return p.keyring.Status.Epochs, errors.Join(failed, err)
		}
		current.Envelopes = int64(len(envelopes)) + rewrapped
	}
	out := []v1alpha1.KeyringEpoch{current}
	for i := len(former) - 1; i >= 0; i-- {
		g := &former[i]
		if g.left == 0 || len(out) == maximumEpochs {
			continue
		}
		at := slices.IndexFunc(p.stored, func(e v1alpha1.Envelope) bool { return e.Spec.Sequence == g.epoch })
		epoch := v1alpha1.KeyringEpoch{Epoch: g.epoch, Envelopes: g.left}
		if at >= 0 {
			epoch.CreatedTime = p.stored[at].Spec.CreatedTime.DeepCopy()
		}
		out = append(out, epoch)
	}
	return out, failed
}
