package unseal

import (
	"context"
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

// Start unseals, trying until it succeeds or ctx ends, and then looks after a root that is remote until ctx ends. It returns nil: a sealed manager is not a crash.
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
			if _, remote := u.provider().(Remote); !remote {
				return nil
			}
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

// lookAfter asks a remote root again and again, until ctx ends or the keyring was sealed, since the root was not reached for as long as GracePeriod.
//
// The keyring goes on meanwhile: it has the domain keys open, and needs the root for no request. So the loss of all nodes stops no workload.
func (u *Unsealer) lookAfter(ctx context.Context) {
	reached := time.Now()
	var log quiet
	for ctx.Err() == nil {
		sleep(ctx, either(u.Verify, defaultVerify))
		err := u.verify(ctx)
		now := time.Now()
		switch was := u.reached.Load(); {
		case ctx.Err() != nil:
			return
		case err == nil:
			reached, log = now, quiet{}
			if u.reached.Store(true); !was {
				u.Log.Info("the root of trust is reached again", "root", u.provider().Name())
			}
			continue
		}
		u.reached.Store(false)
		if graceOver(u.GracePeriod, reached, now) {
			u.seal(err)
			return
		}
		if log.news(err.Error(), now) {
			u.Log.Error(err, "the root of trust is not reached; what is unsealed goes on, and a manager that starts is sealed", "root", u.provider().Name())
		}
	}
}

func (u *Unsealer) seal(cause error) {
	u.Log.Error(cause, "sealed, since the root of trust was not reached for its grace period", "root", u.provider().Name(), "gracePeriod", u.GracePeriod)
	u.Holder.SetSealed(cause)
	if u.Sealed != nil {
		u.Sealed()
	}
}

// verify has the root open the domain keys once more, and forgets them. If the API server does not say where the root is, the one that unsealed is
// asked: that the API is away says nothing of the root.
func (u *Unsealer) verify(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	last := u.last.Load()
	root, err := u.provider().Find(ctx, false)
	if err != nil {
		root = last.root
	}
	if err := checkKeys(root, last.stored); err != nil {
		return err
	}
	_, err = keyring.Unseal(ctx, root, records(last.stored))
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
