package keys

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"strongroom.dev/strongroom/internal/core/fairshare"
)

// An RSA key of 4,096 bits takes seconds of a processor, and whoever may create keys or certificates may ask for many. So few are made at once, and groups that
// want one share the turns: whoever has fewest goes first, however many the others ask for. Keys of elliptic curves take microseconds, and need no turn.
var (
	// generating are the turns of KMSKeys and certificates in this process.
	generating = fairshare.New(2, time.Now)
	// pairs is the turn of those RSA keys that whoever may use a key asks for, so that KMSKeys and certificates do not wait for them.
	pairs = fairshare.New(1, time.Now)
)

// longestPoll is how soon who waits for a turn asks again.
const longestPoll = 500 * time.Millisecond

// Turn waits for the turn to make an RSA key, or fails. The caller calls done once, when its key is made.
type Turn func(ctx context.Context) (done func(), err error)

// TurnError says that it is not one's turn.
type TurnError struct {
	// After is when to ask again.
	After time.Duration
}

// Error is always the same, so that it is news once.
func (*TurnError) Error() string {
	return "other RSA keys are being made: this one has its turn when they are"
}

// TryTurn does not wait: it fails with a *TurnError if it is not the turn of who, always the same one of a group, such as a namespace. For those who have other
// work meanwhile.
func TryTurn(group, who string) Turn {
	return func(context.Context) (func(), error) {
		done, wait := generating.Acquire(group, who)
		if done == nil {
			return nil, &TurnError{After: wait}
		}
		return done, nil
	}
}

// ForgetTurn says that who will not ask for a turn again, of TryTurn or AwaitTurn: it is being deleted. It does nothing for one that waits for none.
func ForgetTurn(who string) { generating.Forget(who) }

// AwaitTurn waits for as long as ctx does. The error is ctx's.
func AwaitTurn(group, who string) Turn {
	return func(ctx context.Context) (func(), error) { return await(ctx, generating, group, who) }
}

// requests counts those who wait for a pair, to tell them apart.
var requests atomic.Int64

// AwaitPairTurn is AwaitTurn for data key pairs and wrapping keys, one at a time.
func AwaitPairTurn(group string) Turn {
	return func(ctx context.Context) (func(), error) {
		return await(ctx, pairs, group, strconv.FormatInt(requests.Add(1), 10))
	}
}

func await(ctx context.Context, of *fairshare.Slots, group, who string) (done func(), err error) {
	for {
		done, wait := of.Acquire(group, who)
		if done != nil {
			return done, nil
		}
		timer := time.NewTimer(min(wait, longestPoll))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			of.Forget(who)
			return nil, fmt.Errorf("waiting to make an RSA key: %w", ctx.Err())
		}
	}
}

// RSA tells that keys of this spec are RSA's.
func (s Spec) RSA() bool { return specifications[s].bits != 0 }
