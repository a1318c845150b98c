package keys

import (
	"context"
	"fmt"
)

// generating has room for the RSA keys that are made at once in this process.
var generating = make(chan struct{}, 2)

// pairs has room for one RSA key of those that whoever may use a key asks for.
var pairs = make(chan struct{}, 1)

// AwaitPairTurn is AwaitTurn for data key pairs, which have a turn of their own: KMSKeys and certificates do not wait for them.
func AwaitPairTurn(ctx context.Context) (done func(), err error) { return await(ctx, pairs) }

// AwaitTurn waits until fewer than two RSA private keys are being made in this process, as long as ctx does: one of 4,096 bits takes
// seconds of a processor, and whoever may create keys or certificates may ask for many. The caller calls done once, when its key is made.
// Keys of elliptic curves take microseconds, and need no turn. The error is ctx's.
func AwaitTurn(ctx context.Context) (done func(), err error) { return await(ctx, generating) }

func await(ctx context.Context, turns chan struct{}) (done func(), err error) {
	select {
	case turns <- struct{}{}:
		return func() { <-turns }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting to make an RSA key: %w", ctx.Err())
	}
}

// RSA tells that keys of this spec are RSA's.
func (s Spec) RSA() bool { return specifications[s].bits != 0 }
