package fairshare_test

import (
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/fairshare"
)

func TestAGroupMayHaveItsShareAndNoMore(t *testing.T) {
	for name, tt := range map[string]struct {
		demand fairshare.Demand
		admit  bool
	}{
		"the first of all":                                       {fairshare.Demand{Capacity: 4, Groups: 1}, true},
		"a group alone, up to the last slot but one":             {fairshare.Demand{Capacity: 4, Held: 2, Own: 2, Groups: 1}, true},
		"a group alone, the last slot":                           {fairshare.Demand{Capacity: 4, Held: 3, Own: 3, Groups: 1}, false},
		"another group, the last slot":                           {fairshare.Demand{Capacity: 4, Held: 3, Groups: 2}, true},
		"nobody, when all are taken":                             {fairshare.Demand{Capacity: 4, Held: 4, Groups: 5}, false},
		"half of the slots, of two groups":                       {fairshare.Demand{Capacity: 4, Held: 2, Own: 1, Groups: 2}, true},
		"more than half of them, of two groups":                  {fairshare.Demand{Capacity: 4, Held: 2, Own: 2, Groups: 2}, false},
		"a second slot, where there are more groups than slots":  {fairshare.Demand{Capacity: 4, Held: 1, Own: 1, Groups: 9}, false},
		"a slot, where a group that comes first waits for it":    {fairshare.Demand{Capacity: 4, Held: 3, Own: 1, First: 1, Groups: 3}, false},
		"a slot, where there is one more than such groups":       {fairshare.Demand{Capacity: 4, Held: 2, Own: 1, First: 1, Groups: 3}, true},
		"the only slot":                                          {fairshare.Demand{Capacity: 1, Groups: 1}, true},
		"the only slot, while others wait":                       {fairshare.Demand{Capacity: 1, Groups: 7}, true},
		"the only slot, when it is taken":                        {fairshare.Demand{Capacity: 1, Held: 1, Groups: 2}, false},
		"one of no slots":                                        {fairshare.Demand{Groups: 1}, false},
		"a share that was had before others came, and is kept":   {fairshare.Demand{Capacity: 4, Held: 3, Own: 3, First: 1, Groups: 2}, false},
		"a slot, of two groups that share an odd number of them": {fairshare.Demand{Capacity: 5, Held: 3, Own: 2, Groups: 2}, true},
	} {
		if got := fairshare.Admit(tt.demand); got != tt.admit {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestWhoWaitsComesAgainTwentyTimesASecondInAll(t *testing.T) {
	for _, tt := range []struct {
		waiting int
		random  float64
		wait    time.Duration
	}{
		{1, 0, 500 * time.Millisecond},
		{1, 0.5, time.Second},
		{20, 0.5, time.Second},
		{200, 0.5, 10 * time.Second},
		{200, 0, 5 * time.Second},
		{1_000, 0.5, 50 * time.Second},
		{100_000, 0.5, 5 * time.Minute},
		{100_000, 0.999, 449*time.Second + 700*time.Millisecond},
	} {
		if got := fairshare.Wait(tt.waiting, tt.random); got != tt.wait {
			t.Errorf("of %d, at %v: %s", tt.waiting, tt.random, got)
		}
	}
}

// clock is what Slots see of time.
type clock struct{ at time.Time }

func newClock() *clock { return &clock{time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time { return c.at }

func TestASlotIsGivenBackOnceHoweverOftenItIsReleased(t *testing.T) {
	c := newClock()
	slots := fairshare.New(2, c.now)
	release, _ := slots.Acquire("a", "1")
	other, _ := slots.Acquire("b", "2")
	if release == nil || other == nil {
		t.Fatal("there were two slots")
	}
	release()
	release()
	if again, _ := slots.Acquire("c", "3"); again == nil {
		t.Error("the slot was not given back")
	}
	if more, _ := slots.Acquire("d", "4"); more != nil {
		t.Error("one slot was given back twice")
	}
}

func TestWhoAsksAgainCountsOnceAndWhoNeverDoesIsForgotten(t *testing.T) {
	c := newClock()
	slots := fairshare.New(1, c.now)
	release, _ := slots.Acquire("a", "1")
	for range 3 {
		if got, wait := slots.Acquire("b", "2"); got != nil || wait < 500*time.Millisecond || wait > 1500*time.Millisecond {
			t.Fatalf("given %t, wait %s", got != nil, wait)
		}
	}
	slots.Acquire("c", "3")
	if n := slots.Waiting(); n != 2 {
		t.Errorf("%d wait", n)
	}
	release()
	if got, _ := slots.Acquire("b", "2"); got == nil {
		t.Error("a slot that is free was not given")
	}
	if n := slots.Waiting(); n != 1 {
		t.Errorf("%d wait when one has come", n)
	}
	c.at = c.at.Add(4 * time.Second)
	if n := slots.Waiting(); n != 0 {
		t.Errorf("%d wait who never came again", n)
	}
}

func TestAClockThatIsSetBackKeepsNobodyWaiting(t *testing.T) {
	c := newClock()
	slots := fairshare.New(1, c.now)
	slots.Acquire("a", "1")
	slots.Acquire("b", "2")
	c.at = c.at.Add(-time.Hour)
	if n := slots.Waiting(); n != 0 {
		t.Errorf("%d wait for an hour", n)
	}
	slots.Acquire("b", "2")
	c.at = c.at.Add(24 * time.Hour)
	if n := slots.Waiting(); n != 0 {
		t.Errorf("%d wait after a day", n)
	}
}

func TestOneWhoNeverComesHoldsUpAnotherForSecondsAtMost(t *testing.T) {
	c := newClock()
	slots := fairshare.New(4, c.now)
	var releases []func()
	for _, who := range []string{"1", "2", "3"} {
		release, _ := slots.Acquire("a", who)
		releases = append(releases, release)
	}
	if last, _ := slots.Acquire("b", "4"); last == nil {
		t.Fatal("the last slot is for another group")
	}
	if got, _ := slots.Acquire("gone", "5"); got != nil {
		t.Fatal("there was a fifth slot")
	}
	releases[0]()
	if got, _ := slots.Acquire("a", "6"); got != nil {
		t.Error("who has more went before who has none and waits")
	}
	c.at = c.at.Add(4 * time.Second)
	releases[1]()
	if got, _ := slots.Acquire("a", "6"); got == nil {
		t.Error("a slot is kept for one who never came")
	}
}

func TestOneWhoSaysThatItWillNotComeKeepsNobodyWaiting(t *testing.T) {
	now := time.Unix(0, 0)
	s := fairshare.New(1, func() time.Time { return now })
	done, _ := s.Acquire("bank", "b1")
	if refused, _ := s.Acquire("shop", "s1"); refused != nil {
		t.Fatal("two have one slot")
	}
	done()
	now = now.Add(time.Millisecond)
	if refused, _ := s.Acquire("market", "m1"); refused != nil {
		t.Fatal("who came later comes first")
	}
	s.Forget("s1")
	s.Forget("s1")
	s.Forget("nobody")
	if n := s.Waiting(); n != 1 {
		t.Errorf("%d wait", n)
	}
	done, _ = s.Acquire("market", "m1")
	if done == nil {
		t.Fatal("a slot is kept for one who will not come")
	}
	done()
	if s.Waiting() != 0 {
		t.Errorf("%d wait", s.Waiting())
	}
}
