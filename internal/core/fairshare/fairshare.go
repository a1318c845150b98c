// Package fairshare decides who of many may do something of which only so much is done at once. Nobody is made to wait in it: who is refused
// is told when to come again, and counts as waiting until then.
//
// Shares are max-min fair: who has less goes before who has more, of two who have as much the one who has waited longer, and what nobody else wants may be had by one, all but a last slot, which is
// there for whoever comes next. So one group whose work hangs never keeps another from its first slot for long.
package fairshare

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Demand is what is had and wanted when somebody asks for a slot.
type Demand struct {
	// Capacity is the number of slots, and Held how many are taken, by whomever.
	Capacity, Held int
	// Own is how many of those the group has that asks.
	Own int
	// First is the number of other groups that wait and come first: they have fewer slots than this one, or as many and have waited longer.
	First int
	// Groups is the number of groups that hold a slot or wait for one, with the one that asks.
	Groups int
}

// Admit is the decision to let a group have one slot more. A group alone may have all but one, so that another finds one at once; it may have the
// only slot that there is.
func Admit(d Demand) bool {
	free := d.Capacity - d.Held
	if free <= d.First { // what is left is for those
		return false
	}
	share := max(d.Capacity-1, 1)
	if d.Groups > 1 {
		share = min(share, (d.Capacity+d.Groups-1)/d.Groups)
	}
	return d.Own < max(share, 1)
}

const (
	// between is the time between two of a group who come again: 20 a second, however many wait.
	between = 50 * time.Millisecond
	// shortestWait is how soon one comes again if few wait, and longestWait if many do.
	shortestWait = time.Second
	longestWait  = 5 * time.Minute
	// longestDelay is how long after that time one still counts as waiting: work that asks again does so a little late, and who does not come keeps others from a slot.
	longestDelay = 30 * time.Second
)

// Wait is when one is to come again of whose group so many wait. It grows with them, so that those who wait cost the same however many they
// are. random, from 0 up to 1, spreads it from half to one and a half.
func Wait(waiting int, random float64) time.Duration {
	wait := min(max(time.Duration(waiting)*between, shortestWait), longestWait)
	return wait/2 + time.Duration(random*float64(wait))
}

// Slots are shared by groups. They are safe for use by several goroutines.
type Slots struct {
	capacity int
	now      func() time.Time
	random   func() float64

	mu      sync.Mutex
	held    int
	groups  map[string]*group
	waiting map[string]waiter
	// sweep is when waiters who never came are looked for next.
	sweep time.Time
}

// group is what one has and wants. One that has and wants nothing is not there.
type group struct {
	held, waiting int
	// since is when it was last given a slot or, if it never was, came.
	since time.Time
}

// before tells that a group comes first when both want a slot.
func (g *group) before(other *group) bool {
	return g.held < other.held || g.held == other.held && g.since.Before(other.since)
}

// waiter is one who was told to come again, and when it counts as gone.
type waiter struct {
	group string
	until time.Time
}

// New makes so many slots. now is the clock.
func New(capacity int, now func() time.Time) *Slots {
	return &Slots{
		capacity: capacity, now: now, random: rand.Float64,
		groups: map[string]*group{}, waiting: map[string]waiter{},
	}
}

// Acquire asks for a slot for one of a group, always the same one. It never blocks: release, which is called once, gives it back; if that is nil there is none, and
// who has asked is to come again after wait.
func (s *Slots) Acquire(groupName, who string) (release func(), wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.forgetLate(now)
	g := s.groups[groupName]
	if g == nil {
		g = &group{since: now}
		s.groups[groupName] = g
	}
	if _, known := s.waiting[who]; known { // it is counted anew if it is refused, and its group keeps its place
		delete(s.waiting, who)
		g.waiting--
	}
	if Admit(s.demand(g)) {
		s.held++
		g.held++
		g.since = now
		return sync.OnceFunc(func() { s.release(groupName) }), 0
	}
	g.waiting++
	wait = Wait(g.waiting, s.random())
	s.waiting[who] = waiter{groupName, now.Add(wait + min(wait, longestDelay))}
	return nil, wait
}

// Forget says that one who was told to come again will not. Otherwise its group is thought to want a slot until it is late, and others are kept from it.
func (s *Slots) Forget(who string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w, known := s.waiting[who]
	if !known {
		return
	}
	delete(s.waiting, who)
	s.groups[w.group].waiting--
	s.tidy(w.group)
}

// demand is what there is when one of a group asks.
func (s *Slots) demand(own *group) Demand {
	d := Demand{Capacity: s.capacity, Held: s.held, Own: own.held, Groups: len(s.groups)}
	for _, g := range s.groups {
		if g != own && g.waiting > 0 && g.before(own) {
			d.First++
		}
	}
	return d
}

// Waiting is how many were told to come again, and did not yet.
func (s *Slots) Waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgetLate(s.now())
	return len(s.waiting)
}

func (s *Slots) release(groupName string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held--
	s.groups[groupName].held--
	s.tidy(groupName)
}

// forgetLate forgets who never came again: it was deleted, or has nothing to do any more. A clock that was set back makes nobody stay.
func (s *Slots) forgetLate(now time.Time) {
	if left := s.sweep.Sub(now); left > 0 && left <= shortestWait {
		return
	}
	s.sweep = now.Add(shortestWait)
	for who, w := range s.waiting {
		if left := w.until.Sub(now); left <= 0 || left > 3*longestWait {
			delete(s.waiting, who)
			s.groups[w.group].waiting--
			s.tidy(w.group)
		}
	}
}

func (s *Slots) tidy(groupName string) {
	if g := s.groups[groupName]; g.held == 0 && g.waiting == 0 {
		delete(s.groups, groupName)
	}
}
