package fairshare

import (
	"math"
	"sync"
	"time"
)

const (
	// longestDebt is how long work that is not held puts its group into debt at most, so that what is held later comes after all.
	longestDebt = 10 * time.Minute
	// lateBooking is how long after its time a booking is kept for who has not come.
	lateBooking = 10 * time.Minute
)

// Budget is how much each group may spend a second. Each has its own, so nobody waits for another group. Work is booked by what it will cost as far as is known, and comes when it is paid for: in the order
// of the bookings, each once, however many there are. What it did cost is settled when it is done. It is safe for use by several goroutines.
//
// It is the generic cell rate algorithm (ITU-T I.371): of a group, nothing is kept but when it will have paid for all that it has spent and booked.
type Budget struct {
	perSecond float64
	burst     time.Duration
	now       func() time.Time

	mu     sync.Mutex
	paid   map[string]time.Time
	booked map[string]booking
	sweep  time.Time
	// last is the time of the last call.
	last time.Time
}

// booking is of one of a group: what is paid for, and when it may come.
type booking struct {
	group string
	cost  float64
	at    time.Time
}

// NewBudget makes a budget of so much a second for each group, of which burst may be spent at once by one that has spent nothing for long. now is the clock.
func NewBudget(perSecond, burst int64, now func() time.Time) *Budget {
	return &Budget{
		perSecond: float64(perSecond), burst: seconds(float64(burst) / float64(perSecond)), now: now,
		paid: map[string]time.Time{}, booked: map[string]booking{},
	}
}

// seconds is a duration, the longest there is for what is longer.
func seconds(s float64) time.Duration {
	return time.Duration(min(s*float64(time.Second), math.MaxInt64/2))
}

// Book asks whether one of a group may do now what will cost so much. If wait is not 0, it is to come again after it: its turn is booked, and asking before changes nothing.
// Each one that was let in is settled or forgotten.
func (b *Budget) Book(group, who string, cost int64) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.look()
	b.forgetLate(now)
	one, known := b.booked[who]
	if !known {
		from := b.from(group, now)
		one = booking{group: group, cost: float64(max(cost, 0)), at: from.Add(-b.burst)}
		b.paid[group] = from.Add(seconds(one.cost / b.perSecond))
		b.booked[who] = one
	}
	return max(one.at.Sub(now), 0)
}

// Booked tells whether one has booked and was not settled since.
func (b *Budget) Booked(who string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, known := b.booked[who]
	return known
}

// Left is how long one who has booked waits still: 0 if its time has come, or if it has not booked.
func (b *Budget) Left(who string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.look()
	return max(b.booked[who].at.Sub(now), 0)
}

// Settle says what something did cost that is done, be it more or less than was booked, or if nothing was.
func (b *Budget) Settle(group, who string, cost int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.look()
	one, known := b.booked[who]
	delete(b.booked, who)
	from := b.from(group, now)
	if known {
		b.paid[group] = from.Add(seconds((float64(max(cost, 0)) - one.cost) / b.perSecond))
		return
	}
	// It was not held: it makes a debt, which has an end.
	if owed := from.Add(seconds(float64(max(cost, 0)) / b.perSecond)); owed.Before(now.Add(b.burst + longestDebt)) {
		b.paid[group] = owed
	} else {
		b.paid[group] = later(from, now.Add(b.burst+longestDebt))
	}
}

// Forget says that one who has booked will not come. What it booked is the group's again.
func (b *Budget) Forget(who string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if one, known := b.booked[who]; known {
		delete(b.booked, who)
		b.paid[one.group] = b.from(one.group, b.look()).Add(-seconds(one.cost / b.perSecond))
	}
}

// Waiting is how many wait for what they have booked.
func (b *Budget) Waiting() (waiting int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.look()
	b.forgetLate(now)
	for _, one := range b.booked {
		if one.at.After(now) {
			waiting++
		}
	}
	return waiting
}

// look is the time. A clock that was set back takes all times along, so that nobody waits for the time that it has gone back.
func (b *Budget) look() time.Time {
	now := b.now()
	if back := b.last.Sub(now); !b.last.IsZero() && back > 0 {
		for group, paid := range b.paid {
			b.paid[group] = paid.Add(-back)
		}
		for who, one := range b.booked {
			one.at = one.at.Add(-back)
			b.booked[who] = one
		}
		b.sweep = b.sweep.Add(-back)
	}
	b.last = now
	return now
}

// from is from when on a group pays for what comes next.
func (b *Budget) from(group string, now time.Time) time.Time { return later(b.paid[group], now) }

// forgetLate forgets groups that have paid, and who never came.
func (b *Budget) forgetLate(now time.Time) {
	if left := b.sweep.Sub(now); left > 0 && left <= time.Minute {
		return
	}
	b.sweep = now.Add(time.Minute)
	for group, paid := range b.paid {
		if !paid.After(now) {
			delete(b.paid, group)
		}
	}
	for who, one := range b.booked {
		if now.Sub(one.at) > lateBooking {
			delete(b.booked, who)
		}
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
