package admission_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"strongroom.dev/strongroom/internal/gateway/admission"
)

func TestMemoryGrowsWithWhatComesAndIsGivenBackAsAWhole(t *testing.T) {
	m := admission.NewMemory(100, 50, 0)
	held := acquire(t, m, "192.0.2.1", 10)
	for range 4 {
		if err := held.Grow(t.Context(), 10); err != nil {
			t.Fatal(err)
		}
	}
	if err := held.Grow(t.Context(), 1); !errors.Is(err, admission.ErrNoMemory) {
		t.Errorf("over the share: %v", err)
	}
	held.Release()
	held.Release()
	again := acquire(t, m, "192.0.2.1", 50)
	again.Release()
}

// TestSourcesThatSendSlowlyLeaveOthersWhatTheyNeed: as many sources as would have had all, each with as many requests as it can have.
func TestSourcesThatSendSlowlyLeaveOthersWhatTheyNeed(t *testing.T) {
	for _, sources := range []int{1, 4, 8} {
		m := admission.NewMemory(admission.MaximumMemory, admission.DefaultShare, 0)
		for i := range sources {
			for {
				if _, err := m.Acquire(t.Context(), source(fmt.Sprintf("192.0.2.%d", i)), admission.Overhead); err != nil {
					break
				}
			}
		}
		const body = 256 << 10
		for range 2 {
			held, err := m.Acquire(t.Context(), source("198.51.100.1"), admission.Overhead)
			if err == nil {
				err = held.Grow(t.Context(), body)
			}
			if err != nil {
				t.Fatalf("beside %d sources: %v", sources, err)
			}
		}
	}
}

func TestWhoeverGrowsWaitsForWhatOthersGiveBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := admission.NewMemory(100, 100, time.Second)
		first := acquire(t, m, "192.0.2.1", 60)
		second := acquire(t, m, "192.0.2.2", 10)
		time.AfterFunc(900*time.Millisecond, first.Release)
		if err := second.Grow(t.Context(), 50); err != nil {
			t.Error(err)
		}
		second.Release()
	})
}

// TestRequestsThatAllWaitForMoreDoNotWaitForEachOther: the last one to wait gives up at once, and the others go on with what it had.
func TestRequestsThatAllWaitForMoreDoNotWaitForEachOther(t *testing.T) {
	for name, from := range map[string]func(i int) string{
		"of one source":      func(int) string { return "192.0.2.1" },
		"of several sources": func(i int) string { return fmt.Sprintf("192.0.2.%d", i) },
	} {
		synctest.Test(t, func(t *testing.T) {
			m := admission.NewMemory(100, 100, time.Hour)
			began := time.Now()
			var all sync.WaitGroup
			var done, refused atomic.Int64
			held := make([]admission.Held, 10)
			for i := range held {
				held[i] = acquire(t, m, from(i), 10)
			}
			for i := range held {
				all.Go(func() {
					defer held[i].Release()
					if err := held[i].Grow(t.Context(), 40); err != nil {
						refused.Add(1)
						return
					}
					done.Add(1)
					time.Sleep(time.Second)
				})
			}
			all.Wait()
			if took := time.Since(began); took > time.Minute || done.Load() < 5 {
				t.Errorf("%s: %d went on and %d gave up, in %s", name, done.Load(), refused.Load(), took)
			}
			rest := acquire(t, m, "192.0.2.99", 100)
			rest.Release()
		})
	}
}

func TestARequestThatGaveUpGrowingHoldsWhatItHadUntilItIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := admission.NewMemory(100, 100, time.Second)
		first, second := acquire(t, m, "192.0.2.1", 50), acquire(t, m, "192.0.2.2", 50)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := first.Grow(ctx, 1); !errors.Is(err, admission.ErrNoMemory) {
			t.Error(err)
		}
		if _, err := m.Acquire(t.Context(), source("192.0.2.3"), 1); !errors.Is(err, admission.ErrNoMemory) {
			t.Error(err)
		}
		first.Release()
		half := acquire(t, m, "192.0.2.3", 50)
		half.Release()
		second.Release()
	})
}

// TestASourcesFloodLeavesOthersPlacesToWait: of those who wait, too, a source has its share.
func TestASourcesFloodLeavesOthersPlacesToWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := admission.NewMemory(100, 25, time.Minute)
		full := acquire(t, m, "192.0.2.1", 25)
		ctx, cancel := context.WithCancel(t.Context())
		var flood sync.WaitGroup
		for range 2000 {
			flood.Go(func() { _, _ = m.Acquire(ctx, source("192.0.2.1"), 1) })
		}
		synctest.Wait()
		other := acquire(t, m, "192.0.2.2", 18)
		time.AfterFunc(time.Second, other.Release)
		later := acquire(t, m, "192.0.2.2", 1) // waits
		later.Release()
		cancel()
		flood.Wait()
		full.Release()
	})
}
