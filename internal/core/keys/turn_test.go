package keys_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/keys"
)

func TestTwoRSAKeysAreMadeAtOnceAndOthersWait(t *testing.T) {
	var now, most atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			done, err := keys.AwaitTurn(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			defer done()
			n := now.Add(1)
			for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
			}
			time.Sleep(time.Millisecond)
			now.Add(-1)
		})
	}
	all.Wait()
	if most.Load() != 2 {
		t.Errorf("%d at once", most.Load())
	}
}

func TestWhoWaitsForATurnWaitsAsLongAsItsRequestDoes(t *testing.T) {
	for range 2 {
		done, err := keys.AwaitTurn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer done()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if done, err := keys.AwaitTurn(ctx); !errors.Is(err, context.DeadlineExceeded) || done != nil {
		t.Errorf("with no room: %v", err)
	}
}

func TestTheSpecsThatTakeATurnAreThoseOfRSA(t *testing.T) {
	for spec, want := range map[keys.Spec]bool{keys.RSA2048: true, keys.RSA3072: true, keys.RSA4096: true, keys.NISTP256: false, keys.SymmetricDefault: false} {
		if spec.RSA() != want {
			t.Errorf("%s: %t", spec, !want)
		}
	}
}
