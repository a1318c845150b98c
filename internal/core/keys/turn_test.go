package keys_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/keys"
)

func TestTwoRSAKeysAreMadeAtOnceAndOneOfAGroup(t *testing.T) {
	for groups, want := range map[int]int32{1: 1, 2: 2, 5: 2} {
		var now, most atomic.Int32
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				done, err := keys.AwaitTurn(strconv.Itoa(i%groups), strconv.Itoa(i))(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				defer done()
				n := now.Add(1)
				for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
				}
				time.Sleep(5 * time.Millisecond)
				now.Add(-1)
			})
		}
		all.Wait()
		if most.Load() > want {
			t.Errorf("%d groups: %d at once", groups, most.Load())
		}
	}
}

// However many keys one group wants, another has its own after those that are being made, in both kinds of turns.
func TestAGroupThatWantsManyKeysKeepsNobodyElseWaitingForMoreThanOne(t *testing.T) {
	for name, turn := range map[string]func(group, who string) keys.Turn{
		"keys":  keys.AwaitTurn,
		"pairs": func(group, _ string) keys.Turn { return keys.AwaitPairTurn(group) },
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			var greedy sync.WaitGroup
			var made atomic.Int32
			for i := range 50 {
				greedy.Go(func() {
					done, err := turn("greedy", strconv.Itoa(i))(ctx)
					if err != nil {
						return
					}
					defer done()
					time.Sleep(300 * time.Millisecond)
					made.Add(1)
				})
			}
			for made.Load() == 0 {
				time.Sleep(time.Millisecond)
			}
			before := made.Load()
			done, err := turn("modest", "one")(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if n := made.Load() - before; n > 4 { // it asks again after half a second
				t.Errorf("%d keys of the other group came first", n)
			}
			done()
			cancel()
			greedy.Wait()
		})
	}
}

func TestWhoWaitsForATurnWaitsAsLongAsItsRequestDoes(t *testing.T) {
	for _, group := range []string{"bank", "market"} {
		done, err := keys.TryTurn(group, "one")(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer done()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if done, err := keys.AwaitTurn("shop", "one")(ctx); !errors.Is(err, context.DeadlineExceeded) || done != nil {
		t.Errorf("with no room: %v", err)
	}
	done, err := keys.TryTurn("shop", "one")(t.Context())
	defer keys.ForgetTurn("one")
	if refused, ok := errors.AsType[*keys.TurnError](err); !ok || refused.After <= 0 || done != nil {
		t.Errorf("who does not wait: %v", err)
	}
}

func TestTheSpecsThatTakeATurnAreThoseOfRSA(t *testing.T) {
	for spec, want := range map[keys.Spec]bool{keys.RSA2048: true, keys.RSA3072: true, keys.RSA4096: true, keys.NISTP256: false, keys.SymmetricDefault: false} {
		if spec.RSA() != want {
			t.Errorf("%s: %t", spec, !want)
		}
	}
}

// A namespace that is gone keeps nobody from a turn: what waits there is told of, and does not have to be waited for.
func TestWhoIsForgottenKeepsNobodyElseFromATurn(t *testing.T) {
	var done []func()
	for _, group := range []string{"one", "two"} {
		release, err := keys.TryTurn(group, group)(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		done = append(done, release)
	}
	for _, who := range []string{"doomed", "living"} {
		if _, err := keys.TryTurn(who, who)(t.Context()); err == nil {
			t.Fatal("there was a third turn")
		}
		time.Sleep(time.Millisecond) // which of the two has waited longer
	}
	done[0]()
	if release, err := keys.TryTurn("living", "living")(t.Context()); err == nil {
		release()
		t.Fatal("who has waited longer comes first")
	}
	keys.ForgetTurn("nobody")
	keys.ForgetTurn("doomed")
	release, err := keys.TryTurn("living", "living")(t.Context())
	if err != nil {
		t.Fatalf("a turn is kept for one who is being deleted: %v", err)
	}
	release()
	done[1]()
}
