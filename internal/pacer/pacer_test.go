package pacer_test

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/pacer"
)

func TestAHeapMayGrowByTheRoomOrByThePercentageWhateverIsMore(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		name string
		live uint64
		want int
	}{
		{"nothing lives yet", 0, 1000},
		{"almost nothing", 1 << 10, 1000},
		{"the largest heap with the largest percentage", pacer.Room / 10, 1000},
		{"a small heap doubles thrice over", 8 * mib, 400},
		{"a heap as large as the room doubles", pacer.Room, 100},
		{"where both are the same", 2 * pacer.Room, 50},
		{"a large heap grows by half", 2*pacer.Room + mib, 50},
		{"a huge one too", 1 << 40, 50},
		{"all that can be counted", ^uint64(0), 50},
	} {
		if got := pacer.For(c.live); got != c.want {
			t.Errorf("%s: %d bytes give %d, not %d", c.name, c.live, got, c.want)
		}
	}
}

func TestTheNextCollectionLeavesRoomAndAGrownHeapIsPacedByHalf(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	stop := pacer.Start()
	defer stop()
	await := func(want func(percent int) bool, what string) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
			runtime.GC()
			if percent := current(); want(percent) {
				return
			} else if time.Now().After(deadline) {
				t.Fatalf("with %s the percentage is %d", what, percent)
			}
		}
	}
	await(func(p int) bool { return p > 100 && p <= 1000 }, "a small heap")
	held := make([]byte, 3*pacer.Room)
	await(func(p int) bool { return p == pacer.Percent }, "a large heap")
	runtime.KeepAlive(held)
	await(func(p int) bool { return p > 100 }, "a small heap again")
}

func TestAStoppedPacerSetsNothing(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	pacer.Start()()
	debug.SetGCPercent(77)
	for range 5 {
		runtime.GC()
		time.Sleep(5 * time.Millisecond)
	}
	if got := current(); got != 77 {
		t.Fatalf("the percentage is %d", got)
	}
}

// current is the percentage that is set.
func current() int {
	percent := debug.SetGCPercent(100)
	debug.SetGCPercent(percent)
	return percent
}
