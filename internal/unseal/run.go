package unseal

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"strongroom.dev/strongroom/internal/core/keyring"
)

const (
	defaultRetry  = 5 * time.Second
	defaultVerify = 30 * time.Second
	// firstRetry is how soon a failed attempt is made again at first, twice as long each time.
	firstRetry = 250 * time.Millisecond
	// repeat is how often a failure that stays the same is logged again.
	repeat = time.Minute
)

// retryAfter is how long to wait after so many failed attempts in a row, for at most longest.
func retryAfter(longest time.Duration, failures int) time.Duration {
	return min(longest, firstRetry<<min(max(failures-1, 0), 16))
}

// graceOver tells whether a keyring is to be sealed whose root was last reached then.
func graceOver(grace time.Duration, reached, now time.Time) bool {
	return grace > 0 && now.Sub(reached) > grace
}

// quiet lets a failure be logged when it is news, and then once a minute.
type quiet struct {
	said string
	at   time.Time
}

func (q *quiet) news(said string, now time.Time) bool {
	if said == q.said && now.Sub(q.at) < repeat {
		return false
	}
	q.said, q.at = said, now
	return true
}

// Start unseals, trying until it succeeds or ctx ends, and then looks after the keyring until ctx ends. It returns nil: a sealed manager is not a crash.
//
// What is tried again is reading the API and asking each HSM node to unwrap, once an attempt. Nothing here has a PIN, so nothing here can lock a token.
func (u *Unsealer) Start(ctx context.Context) error {
	var log quiet
	for failures := 0; ctx.Err() == nil; {
		err := u.Unseal(ctx)
		if ctx.Err() != nil {
			break
		}
		if err == nil {
			u.Log.Info("unsealed", "root", u.provider().Name())
			failures, log = 0, quiet{}
			u.lookAfter(ctx)
			continue
		}
		failures++
		u.reached.Store(false)
		u.Holder.SetSealed(err)
		wait := retryAfter(either(u.Retry, defaultRetry), failures)
		if log.news(err.Error(), time.Now()) {
			u.Log.Error(err, "sealed: nothing can be encrypted or decrypted", "root", u.provider().Name(), "retryAfter", wait)
		}
		sleep(ctx, wait)
	}
	return nil
}

// lookAfter renews the keyring when there is another domain key, until ctx ends or the keyring was sealed, since the root was not reached for as long as
// GracePeriod. One goroutine does that, so that no older keyring takes the place of a newer one; another asks a remote root again and again, so that whatever
// keeps the first busy does not keep the loss of the root from being seen.
//
// The keyring goes on while the root is away: it has the domain keys open, and needs the root for no request. So the loss of all nodes stops no workload.
func (u *Unsealer) lookAfter(ctx context.Context) {
	within, lost := context.WithCancelCause(ctx)
	var verifying sync.WaitGroup
	defer verifying.Wait()
	defer lost(nil)
	if _, remote := u.provider().(Remote); remote {
		verifying.Go(func() { u.verifyAgain(within, lost) })
	}
	changed, asked := u.requests()
	var (
		again <-chan time.Time
		log   quiet
	)
	for known := u.failing.Load(); ; {
		select {
		case <-within.Done():
			if ctx.Err() == nil {
				u.seal(context.Cause(within))
			}
			return
		case a := <-asked:
			a.done <- u.renewFor(within, a)
		case <-changed:
			_ = u.renew(within) // failing has why
		case <-again:
			_ = u.renew(within)
		}
		f := u.failing.Load()
		if f == known {
			continue
		}
		if known, again = f, nil; f == nil {
			continue
		}
		again = time.After(retryAfter(either(u.Retry, defaultRetry), f.attempts))
		if within.Err() == nil && log.news(f.err.Error(), time.Now()) {
			u.Log.Error(f.err, "a domain key was made and is not opened yet: what is under it cannot be used by this manager", "root", u.provider().Name())
		}
	}
}

// verifyAgain asks a remote root again and again, until ctx ends or lost was called, since the root was not reached for as long as GracePeriod.
func (u *Unsealer) verifyAgain(ctx context.Context, lost context.CancelCauseFunc) {
	ticker := time.NewTicker(either(u.Verify, defaultVerify))
	defer ticker.Stop()
	watch := watch{reached: time.Now()}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := u.lostAfter(ctx, &watch); err != nil {
			lost(err)
			return
		}
	}
}

// watch is what is known of a remote root over time.
type watch struct {
	reached time.Time
	log     quiet
}

// lostAfter asks the root once, and answers why it was not reached if the keyring is to be sealed for that.
func (u *Unsealer) lostAfter(ctx context.Context, w *watch) error {
	err := u.verify(ctx)
	now := time.Now()
	switch was := u.reached.Load(); {
	case ctx.Err() != nil:
		return nil
	case err == nil:
		w.reached, w.log = now, quiet{}
		if u.reached.Store(true); !was {
			u.Log.Info("the root of trust is reached again", "root", u.provider().Name())
		}
		return nil
	}
	u.reached.Store(false)
	if graceOver(u.GracePeriod, w.reached, now) {
		return err
	}
	if w.log.news(err.Error(), now) {
		u.Log.Error(err, "the root of trust is not reached; what is unsealed goes on, and a manager that starts is sealed", "root", u.provider().Name())
	}
	return nil
}

func (u *Unsealer) seal(cause error) {
	u.Log.Error(cause, "sealed, since the root of trust was not reached for its grace period", "root", u.provider().Name(), "gracePeriod", u.GracePeriod)
	u.Holder.SetSealed(cause)
	if u.Sealed != nil {
		u.Sealed()
	}
}

// verify is Reach; but if the API server does not say where the root is, the one that unsealed is asked: that the API is away says nothing of the root.
func (u *Unsealer) verify(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	last := u.last.Load()
	root, err := u.provider().Find(ctx, false)
	if err != nil {
		root = last.root
	}
	return last.openedBy(ctx, root)
}

// Reach asks the root whether it is there and still opens the newest domain key, and fails if not, or if it is not known. It asks each node of an HSMCluster once, for
// 30 s at most.
func (u *Unsealer) Reach(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	last := u.last.Load()
	if last == nil {
		return keyring.ErrSealed
	}
	root, err := u.provider().Find(ctx, false)
	if err != nil {
		return err
	}
	return last.openedBy(ctx, root)
}

// openedBy has a root open the newest domain key once more, and forgets it: there may be thousands.
func (l *unsealed) openedBy(ctx context.Context, root keyring.Root) error {
	if err := checkKeys(root, l.stored); err != nil {
		return err
	}
	newest := slices.MaxFunc(records(l.stored), func(a, b keyring.DomainKeyRecord) int { return cmp.Compare(a.Epoch, b.Epoch) })
	_, err := keyring.Unseal(ctx, root, []keyring.DomainKeyRecord{newest})
	return err
}

// Reached tells the name of the root, and whether it answered when it was last asked.
func (u *Unsealer) Reached() (root string, reached bool) {
	return SyntaxOf(u.provider().Name()), u.reached.Load()
}

func either(given, otherwise time.Duration) time.Duration {
	if given > 0 {
		return given
	}
	return otherwise
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
