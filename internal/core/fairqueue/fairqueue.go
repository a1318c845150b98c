// Package fairqueue decides in which order the work of many groups is done, when less of it is done at once than there is: it takes turns
// between the groups, so that nobody waits for as long as another has work. It is a data structure alone: what locks, sleeps and counts is
// around it, and says what time it is.
//
// The next group is the one of which the fewest items run and, of those with as many, the one whose last turn is the longest ago. This is
// max-min fair in what runs, as internal/core/fairshare is: quick work of one group does not wait for slow work of another. It is fair
// queuing as of RFC 970, of which the round robin is, with running work in the place of bytes that were sent.
//
// An operation takes O(log n) time for n items, and memory goes with what is queued or runs. The maps and heaps give theirs back as they empty.
package fairqueue

import (
	"container/list"
	"time"
)

const (
	// patience is by how much a priority that is lower by one puts an item off behind those of its group that are ready: the low priority
	// of controller-runtime, -100, is a minute. So an item of low priority comes last, but it comes: it counts as one of priority 0 that
	// was ready a minute later, and a group whose items never stop coming delays its others for no longer than that.
	patience = 600 * time.Millisecond
	// farthest is the priority, above and below 0, beyond which an item is put off no further: 10 minutes.
	farthest = 1000
)

// Share is how many items of one group may run, of so many workers: all but one, so that another group finds one at once even if the work of
// the first one hangs. The only worker is anybody's.
func Share(workers int) int { return max(workers-1, 1) }

// Item is one that is handed out, or that has become ready.
type Item[K comparable] struct {
	// Key says which one it is. There is never more than one of a key in a queue.
	Key K
	// Priority is the highest that it was added with.
	Priority int
	// Ready is since when it could have been handed out, but for others and for itself running.
	Ready time.Time
}

// Change is what an item has become by being added.
type Change struct {
	// Ready says that it has become ready by this.
	Ready bool
	// From is its priority before if it was ready already, or To. To is its priority now.
	From, To int
}

// Queue is of items which wait for their time, are ready, or run. It is not safe for use by several goroutines.
type Queue[K comparable] struct {
	group func(K) string
	share int

	// queued are the items that wait or are ready. One that runs is there too if it is to be done again.
	queued shrinking[K, *item[K]]
	// running has the line of each item that runs.
	running shrinking[K, *line[K]]
	// lines are those of groups of which something is ready or runs.
	lines shrinking[string, *line[K]]
	// waiting are the items whose time is yet to come, the earliest first.
	waiting ordered[*item[K]]
	// turns are the lines in which there is an item, in the order in which they are served.
	turns ordered[*line[K]]
	// ages are the items in lines, by when they came to be there.
	ages *list.List
	// ready is the number of items that are ready, those in lines and those that are kept back since they run.
	ready int
	// counter numbers turns and items. 2^64 of them are never had.
	counter uint64
}

// item is in the heap of those that wait or of a line, or in none while it is ready and kept back.
type item[K comparable] struct {
	Item[K]
	// at is its time while it waits, and due is when its turn in its line is, while it is ready.
	at, due  time.Time
	number   uint64
	isReady  bool
	position int
	// lined is since when it has been in its line, and age its place among all that are.
	lined time.Time
	age   *list.Element
}

// line is of the ready items of a group.
type line[K comparable] struct {
	group string
	items ordered[*item[K]]
	// running is the number of items of the group that run, and turn the number of its last turn, or of its coming.
	running  int
	turn     uint64
	position int
}

// before tells that a line is served before another.
func (l *line[K]) before(other *line[K]) bool {
	if l.running != other.running {
		return l.running < other.running
	}
	return l.turn < other.turn
}

// first tells that an item is handed out before another of its line.
func first[K comparable](a, b *item[K]) bool {
	if !a.due.Equal(b.due) {
		return a.due.Before(b.due)
	}
	return a.number < b.number
}

func earlier[K comparable](a, b *item[K]) bool {
	if !a.at.Equal(b.at) {
		return a.at.Before(b.at)
	}
	return a.number < b.number
}

// New makes a queue for so many workers. group names the group of an item, always the same one.
func New[K comparable](workers int, group func(K) string) *Queue[K] {
	return &Queue[K]{
		group: group, share: Share(workers), ages: list.New(),
		waiting: ordered[*item[K]]{less: earlier[K], place: func(i *item[K]) *int { return &i.position }},
		turns:   ordered[*line[K]]{less: (*line[K]).before, place: func(l *line[K]) *int { return &l.position }},
	}
}

// Add queues an item to be handed out from a time on; one that is not after now is at once. One that is queued already keeps the earlier time
// and the higher priority. One that runs is handed out again after Done.
func (q *Queue[K]) Add(key K, priority int, at, now time.Time) Change {
	it, known := q.queued.get(key)
	switch {
	case !known:
		it = &item[K]{Item: Item[K]{Key: key, Priority: priority}, at: at, number: q.number()}
		q.queued.set(key, it)
		if at.After(now) {
			q.waiting.push(it)
			return Change{From: priority, To: priority}
		}
	case it.isReady:
		return q.raise(it, priority, now)
	default:
		it.Priority = max(it.Priority, priority)
		if at.After(now) {
			if at.Before(it.at) {
				it.at = at
				q.waiting.fix(it)
			}
			return Change{From: it.Priority, To: it.Priority}
		}
		q.waiting.remove(it)
	}
	q.become(it, now)
	return Change{Ready: true, From: it.Priority, To: it.Priority}
}

// raise gives an item that is ready a priority, if that is higher. It comes behind those of it that are ready already.
func (q *Queue[K]) raise(it *item[K], priority int, now time.Time) Change {
	from := it.Priority
	if priority <= from {
		return Change{From: from, To: from}
	}
	it.Priority = priority
	if due := due(priority, now); due.Before(it.due) { // it may have waited for longer than the higher priority is worth
		it.due, it.number = due, q.number()
		if it.age != nil {
			l, _ := q.lines.get(q.group(it.Key))
			l.items.fix(it)
		}
	}
	return Change{From: from, To: priority}
}

// become makes an item ready that is in no heap.
func (q *Queue[K]) become(it *item[K], now time.Time) {
	it.isReady, it.Ready, it.due, it.number = true, now, due(it.Priority, now), q.number()
	q.ready++
	if _, runs := q.running.get(it.Key); !runs {
		q.line(it, now)
	}
}

// line puts an item into the line of its group.
func (q *Queue[K]) line(it *item[K], now time.Time) {
	group := q.group(it.Key)
	l, known := q.lines.get(group)
	if !known { // it comes behind all who are there, so that nobody gains a turn by going and coming
		l = &line[K]{group: group, turn: q.number(), items: ordered[*item[K]]{less: first[K], place: func(i *item[K]) *int { return &i.position }}}
		q.lines.set(group, l)
	}
	it.lined, it.age = now, q.ages.PushBack(it)
	l.items.push(it)
	if l.items.Len() == 1 {
		q.turns.push(l)
	}
}

// Advance makes items ready whose time has come, at most so many, and returns them.
func (q *Queue[K]) Advance(now time.Time, most int) []Item[K] {
	var out []Item[K]
	for len(out) < most && q.waiting.Len() > 0 && !q.waiting.items[0].at.After(now) {
		it := q.waiting.pop()
		q.become(it, now)
		out = append(out, it.Item)
	}
	return out
}

// NextAt is the time of the item whose time comes next, if there is one that waits.
func (q *Queue[K]) NextAt() (at time.Time, ok bool) {
	if q.waiting.Len() == 0 {
		return time.Time{}, false
	}
	return q.waiting.items[0].at, true
}

// Next hands out an item of the group whose turn it is. It runs until Done. ok is false if nothing is ready that does not run, or only of groups
// that have their Share.
func (q *Queue[K]) Next() (next Item[K], ok bool) {
	if q.turns.Len() == 0 || q.turns.items[0].running >= q.share { // others run no fewer
		return next, false
	}
	l := q.turns.items[0]
	it := l.items.pop()
	l.running++
	l.turn = q.number()
	if l.items.Len() == 0 {
		q.turns.remove(l)
	} else {
		q.turns.fix(l)
	}
	q.ages.Remove(it.age)
	q.ready--
	q.queued.delete(it.Key)
	q.running.set(it.Key, l)
	return it.Item, true
}

// Done says that an item runs no more. One that was added while it ran is in its line now. It does nothing if the item does not run.
func (q *Queue[K]) Done(key K, now time.Time) {
	l, runs := q.running.get(key)
	if !runs {
		return
	}
	q.running.delete(key)
	l.running--
	if l.items.Len() > 0 {
		q.turns.fix(l)
	}
	if it, queued := q.queued.get(key); queued && it.isReady {
		q.line(it, now)
	}
	if l.running == 0 && l.items.Len() == 0 {
		q.lines.delete(l.group)
	}
}

// Len is the number of items that are ready, also of those that are kept back since they run.
func (q *Queue[K]) Len() int { return q.ready }

// Groups is the number of groups of which an item could be handed out but for others.
func (q *Queue[K]) Groups() int { return q.turns.Len() }

// Oldest is since when the item that could have been handed out for the longest time could. ok is false if there is none. One that is kept back
// since it runs waits for nobody else, and does not count until then.
func (q *Queue[K]) Oldest() (since time.Time, ok bool) {
	front := q.ages.Front()
	if front == nil {
		return time.Time{}, false
	}
	return front.Value.(*item[K]).lined, true
}

func (q *Queue[K]) number() uint64 {
	q.counter++
	return q.counter
}

// due is when it is the turn in its line of an item that has become ready.
func due(priority int, now time.Time) time.Time {
	return now.Add(-time.Duration(min(max(priority, -farthest), farthest)) * patience)
}
