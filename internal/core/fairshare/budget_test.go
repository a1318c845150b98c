package fairshare_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/fairshare"
)

func TestWhatABurstPaysForIsNotHeld(t *testing.T) {
	c := newClock()
	b := fairshare.NewBudget(100, 1_000, c.now)
	for n := range 11 { // the one that goes beyond the burst is let in, and paid for by those behind it
		if wait := b.Book("a", fmt.Sprint(n), 100); wait != 0 {
			t.Fatalf("%d waits for %s", n, wait)
		}
	}
	if wait := b.Book("a", "11", 100); wait != time.Second {
		t.Errorf("the next one waits for %s", wait)
	}
}

func TestThoseWhoWaitComeInTheOrderInWhichTheyBookedAndOnce(t *testing.T) {
	c := newClock()
	b := fairshare.NewBudget(100, 100, c.now)
	b.Settle("a", "before", 300)
	for n, want := range []time.Duration{2, 3, 4, 5} {
		if wait := b.Book("a", fmt.Sprint(n), 100); wait != want*time.Second {
			t.Errorf("%d waits for %s, not %d s", n, wait, want)
		}
	}
	c.at = c.at.Add(1500 * time.Millisecond)
	if wait := b.Book("a", "1", 100); wait != 1500*time.Millisecond {
		t.Errorf("who asks before its time has another one then: %s", wait)
	}
	if got := b.Waiting(); got != 4 {
		t.Errorf("%d wait", got)
	}
	c.at = c.at.Add(1500 * time.Millisecond)
	for n, want := range []time.Duration{0, 0, 1, 2} {
		if wait := b.Book("a", fmt.Sprint(n), 100); wait != want*time.Second {
			t.Errorf("after 3 s, %d waits for %s, not %d s", n, wait, want)
		}
	}
	if got := b.Waiting(); got != 2 {
		t.Errorf("%d wait after 3 s", got)
	}
}

func TestWhoHasBookedIsToldWhatIsLeftAndWhoHasNotBooksNothingByAsking(t *testing.T) {
	c := newClock()
	b := fairshare.NewBudget(100, 100, c.now)
	b.Settle("a", "before", 300)
	if left := b.Left("one"); left != 0 || b.Booked("one") {
		t.Errorf("who has not booked waits for %s", left)
	}
	b.Book("a", "one", 100)
	for _, want := range []time.Duration{2, 1, 0, 0} {
		if left := b.Left("one"); left != want*time.Second {
			t.Errorf("%s are left, not %d s", left, want)
		}
		c.at = c.at.Add(time.Second)
	}
	c.at = c.at.Add(-time.Hour)
	b.Book("a", "two", 1)
	if left := b.Left("two"); left > 2*time.Second {
		t.Errorf("after a clock was set back %s are left", left)
	}
	b.Settle("a", "one", 0)
	if left := b.Left("one"); left != 0 {
		t.Errorf("when it is done %s are left", left)
	}
}

func TestWhatIsSettledIsWhatItDidCost(t *testing.T) {
	for name, tt := range map[string]struct {
		booked, cost int64
		next         time.Duration
	}{
		"as much":                      {500, 500, 4 * time.Second},
		"nothing, since none was done": {500, 0, 0},
		"less":                         {500, 200, time.Second},
		"more":                         {500, 800, 7 * time.Second},
		"more than nothing":            {0, 500, 4 * time.Second},
		"a negative number is nothing": {-7, -7, 0},
	} {
		c := newClock()
		b := fairshare.NewBudget(100, 100, c.now)
		if wait := b.Book("a", "one", tt.booked); wait != 0 {
			t.Fatalf("%s: the first waits for %s", name, wait)
		}
		b.Settle("a", "one", tt.cost)
		if b.Booked("one") {
			t.Errorf("%s: it is booked still", name)
		}
		if wait := b.Book("a", "two", 1); wait != tt.next {
			t.Errorf("%s: the next waits for %s", name, wait)
		}
	}
}

func TestAGroupIsNotHeldForWhatAnotherSpends(t *testing.T) {
	c := newClock()
	b := fairshare.NewBudget(100, 100, c.now)
	b.Settle("a", "one", 1_000_000)
	if wait := b.Book("b", "two", 50); wait != 0 {
		t.Errorf("it waits for %s", wait)
	}
}

func TestADebtOfWorkThatIsNotHeldHasAnEnd(t *testing.T) {
	c := newClock()
	b := fairshare.NewBudget(100, 100, c.now)
	for range 1_000 {
		b.Settle("a", "new", 1_000_000)
	}
	if wait := b.Book("a", "changed", 100); wait != 10*time.Minute {
		t.Errorf("a change waits for %s", wait)
	}
}

func TestWhatIsForgottenIsNotPaidFor(t *testing.T) {
	c := newClock()
	b := fairshare.NewBudget(100, 100, c.now)
	b.Book("a", "one", 1_000)
	b.Forget("one")
	b.Forget("never")
	if wait := b.Book("a", "two", 1); wait != 0 {
		t.Errorf("the next waits for %s", wait)
	}
}

func TestAClockThatIsSetBackMakesNobodyWait(t *testing.T) {
	c := newClock()
	b := fairshare.NewBudget(100, 100, c.now)
	b.Settle("a", "one", 400)
	for _, who := range []string{"two", "three"} {
		b.Book("a", who, 100)
	}
	c.at = c.at.Add(-time.Hour)
	for who, want := range map[string]time.Duration{"two": 3 * time.Second, "three": 4 * time.Second} {
		if wait := b.Book("a", who, 100); wait != want {
			t.Errorf("%s waits for %s", who, wait)
		}
	}
	c.at = c.at.Add(-time.Hour)
	if wait := b.Book("b", "other", 1); wait != 0 {
		t.Errorf("another group waits for %s", wait)
	}
	if got := b.Waiting(); got != 2 {
		t.Errorf("%d wait", got)
	}
}

func TestWhoNeverComesIsForgotten(t *testing.T) {
	c := newClock()
	b := fairshare.NewBudget(100, 100, c.now)
	b.Book("a", "one", 1_000)
	b.Book("a", "two", 1_000)
	c.at = c.at.Add(21 * time.Minute)
	b.Book("b", "other", 1)
	if b.Booked("one") || b.Booked("two") || !b.Booked("other") {
		t.Error("who never came is booked, or who came is not")
	}
}

// Whatever is booked and settled, in whatever order: a group never does more than its burst and its rate allow, and one more.
func FuzzNoGroupSpendsMoreThanItsBudget(f *testing.F) {
	for seed := range uint64(8) {
		f.Add(seed, int64(100), int64(1_000), int64(400))
	}
	f.Fuzz(func(t *testing.T, seed uint64, perSecond, burst, largest int64) {
		if perSecond < 1 || perSecond > 1<<30 || burst < 0 || burst > 1<<32 || largest < 1 || largest > 1<<30 {
			t.Skip()
		}
		random := rand.New(rand.NewPCG(seed, 7))
		c := newClock()
		began := c.at
		b := fairshare.NewBudget(perSecond, burst, c.now)
		type one struct {
			who  string
			cost int64
			at   time.Time
		}
		var waiting []one
		spent := float64(0)
		for n := range 300 {
			asks := one{fmt.Sprint(n), random.Int64N(largest) + 1, c.at}
			if len(waiting) > 0 && random.IntN(2) == 0 {
				at := random.IntN(len(waiting))
				asks, waiting = waiting[at], append(waiting[:at:at], waiting[at+1:]...)
			}
			wait := b.Book("a", asks.who, asks.cost)
			switch {
			case wait < 0:
				t.Fatalf("a wait of %s", wait)
			case wait > 0 && random.IntN(8) == 0:
				b.Forget(asks.who)
			case wait > 0:
				waiting = append(waiting, asks)
			default:
				cost := asks.cost
				if random.IntN(4) == 0 {
					cost = 0
				}
				b.Settle("a", asks.who, cost)
				spent += float64(cost)
			}
			allowed := float64(burst) + float64(largest) + c.at.Sub(began).Seconds()*float64(perSecond)
			if spent > allowed*1.001+1 {
				t.Fatalf("after %s %v was spent of %v", c.at.Sub(began), spent, allowed)
			}
			c.at = c.at.Add(time.Duration(random.Int64N(int64(time.Second))))
		}
	})
}
