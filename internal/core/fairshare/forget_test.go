package fairshare_test

import (
	"fmt"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/fairshare"
)

// However long one is told to wait, it counts as waiting for half a minute more at the longest, and as long at least as it was told.
func TestWhoDoesNotComeCountsForHalfAMinuteMoreThanItWasToWait(t *testing.T) {
	for _, waiting := range []int{1, 100, 2_000, 20_000} {
		c := newClock()
		slots := fairshare.New(1, c.now)
		if release, _ := slots.Acquire("a", "holder"); release == nil {
			t.Fatal("there was a slot")
		}
		var longest time.Duration
		for i := range waiting {
			_, wait := slots.Acquire("b", fmt.Sprint(i))
			longest = max(longest, wait)
		}
		c.at = c.at.Add(longest - time.Nanosecond)
		if slots.Waiting() == 0 {
			t.Errorf("of %d: the one who is to come last is forgotten before its time", waiting)
		}
		c.at = c.at.Add(min(longest, 30*time.Second) + time.Second) // the second is that of the sweep
		if n := slots.Waiting(); n != 0 {
			t.Errorf("of %d: %d still count", waiting, n)
		}
	}
}

func TestWhoComesALittleLateKeepsItsPlace(t *testing.T) {
	c := newClock()
	slots := fairshare.New(1, c.now)
	release, _ := slots.Acquire("a", "1")
	_, first := slots.Acquire("b", "2")
	c.at = c.at.Add(time.Millisecond)
	slots.Acquire("c", "3")
	release()
	c.at = c.at.Add(first + 100*time.Millisecond)
	if got, _ := slots.Acquire("c", "3"); got != nil {
		t.Error("who came later comes first")
	}
	if got, _ := slots.Acquire("b", "2"); got == nil {
		t.Error("who came first has lost its place")
	}
}
