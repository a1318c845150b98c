package fairqueue_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/fairqueue"
)

// model is what a Queue is, by lists that are looked through: nothing in it is quick.
type model struct {
	share   int
	number  int
	queued  []*entry
	running []string
	turns   map[string]int
}

type entry struct {
	key               string
	priority          int
	at, due, ready    time.Time
	since             time.Time
	number            int
	isReady, isInLine bool
}

func (m *model) next() int {
	m.number++
	return m.number
}

func (m *model) find(key string) *entry {
	for _, e := range m.queued {
		if e.key == key {
			return e
		}
	}
	return nil
}

func (m *model) become(e *entry, now time.Time) {
	e.isReady, e.ready, e.number = true, now, m.next()
	e.due = now.Add(-time.Duration(min(max(e.priority, -1000), 1000)) * 600 * time.Millisecond)
	m.enter(e, now)
}

// enter puts an item into its group's line unless it runs.
func (m *model) enter(e *entry, now time.Time) {
	if slices.Contains(m.running, e.key) {
		return
	}
	if _, there := m.turns[group(e.key)]; !there {
		m.turns[group(e.key)] = m.next()
	}
	e.isInLine, e.since = true, now
}

func (m *model) runs(of string) (n int) {
	for _, key := range m.running {
		if group(key) == of {
			n++
		}
	}
	return n
}

func (m *model) line(of string) (out []*entry) {
	for _, e := range m.queued {
		if e.isInLine && group(e.key) == of {
			out = append(out, e)
		}
	}
	return out
}

func (m *model) forgetGroups() {
	for of := range m.turns {
		if m.runs(of) == 0 && len(m.line(of)) == 0 {
			delete(m.turns, of)
		}
	}
}

func (m *model) add(key string, priority int, at, now time.Time) {
	e := m.find(key)
	if e == nil {
		e = &entry{key: key, priority: priority, at: at, number: m.next()}
		m.queued = append(m.queued, e)
	} else if e.isReady {
		if priority > e.priority {
			e.priority = priority
			if due := now.Add(-time.Duration(min(max(priority, -1000), 1000)) * 600 * time.Millisecond); due.Before(e.due) {
				e.due, e.number = due, m.next()
			}
		}
		return
	}
	e.priority = max(e.priority, priority)
	if at.Before(e.at) {
		e.at = at
	}
	if !at.After(now) {
		m.become(e, now)
	}
}

func (m *model) advance(now time.Time) {
	for {
		var earliest *entry
		for _, e := range m.queued {
			if !e.isReady && !e.at.After(now) && (earliest == nil || e.at.Before(earliest.at) || e.at.Equal(earliest.at) && e.number < earliest.number) {
				earliest = e
			}
		}
		if earliest == nil {
			return
		}
		m.become(earliest, now)
	}
}

func (m *model) hand() (fairqueue.Item[string], bool) {
	best := ""
	for of, turn := range m.turns {
		if len(m.line(of)) == 0 || m.runs(of) >= m.share {
			continue
		}
		if best == "" || m.runs(of) < m.runs(best) || m.runs(of) == m.runs(best) && turn < m.turns[best] {
			best = of
		}
	}
	if best == "" {
		return fairqueue.Item[string]{}, false
	}
	line := m.line(best)
	first := line[0]
	for _, e := range line {
		if e.due.Before(first.due) || e.due.Equal(first.due) && e.number < first.number {
			first = e
		}
	}
	m.queued = slices.DeleteFunc(m.queued, func(e *entry) bool { return e == first })
	m.running = append(m.running, first.key)
	m.turns[best] = m.next()
	return fairqueue.Item[string]{Key: first.key, Priority: first.priority, Ready: first.ready}, true
}

func (m *model) done(key string, now time.Time) {
	if !slices.Contains(m.running, key) {
		return
	}
	m.running = slices.DeleteFunc(m.running, func(k string) bool { return k == key })
	if e := m.find(key); e != nil && e.isReady {
		m.enter(e, now)
	}
	m.forgetGroups()
}

// facts are what both say of themselves.
func (m *model) facts() string {
	ready, groups := 0, 0
	var oldest, next time.Time
	for of := range m.turns {
		if len(m.line(of)) > 0 {
			groups++
		}
	}
	for _, e := range m.queued {
		if e.isReady {
			ready++
		} else if next.IsZero() || e.at.Before(next) {
			next = e.at
		}
		if e.isInLine && (oldest.IsZero() || e.since.Before(oldest)) {
			oldest = e.since
		}
	}
	return fmt.Sprintf("%d ready of %d groups, the oldest since %s, the next at %s", ready, groups, oldest, next)
}

func facts(q *fairqueue.Queue[string]) string {
	oldest, _ := q.Oldest()
	next, _ := q.NextAt()
	return fmt.Sprintf("%d ready of %d groups, the oldest since %s, the next at %s", q.Len(), q.Groups(), oldest, next)
}

// compare does to a queue and to the model what bytes say, and tells where they first differ.
func compare(program []byte) error {
	if len(program) == 0 {
		return nil
	}
	workers := int(program[0]) % 5
	q := fairqueue.New(workers, group)
	m := &model{share: fairqueue.Share(workers), turns: map[string]int{}}
	now := start
	priorities := []int{0, 0, low, low, 7, -5000}
	for i := 1; i+2 < len(program); i += 3 {
		op, who, what := program[i]%8, program[i+1]%24, int(program[i+2])
		key := fmt.Sprintf("%c/%d", 'a'+who%5, who)
		step := ""
		switch {
		case op < 3:
			at := now.Add(time.Duration(what/16-4) * 7 * time.Second)
			if what < 96 {
				at = now
			}
			priority := priorities[what%len(priorities)]
			step = fmt.Sprintf("add %s of %d at %s", key, priority, at)
			before, was := m.find(key), false
			from := 0
			if before != nil {
				was, from = before.isReady, before.priority
			}
			m.add(key, priority, at, now)
			after := m.find(key)
			want := fairqueue.Change{Ready: after.isReady && !was, From: after.priority, To: after.priority}
			if was {
				want.From = from
			}
			if got := q.Add(key, priority, at, now); got != want {
				return fmt.Errorf("step %d, %s: %+v, and not %+v", i, step, got, want)
			}
		case op < 6:
			got, ok := q.Next()
			want, there := m.hand()
			step = fmt.Sprint("next ", want)
			if got != want || ok != there {
				return fmt.Errorf("step %d: %+v is handed out, and not %+v", i, got, want)
			}
		case op == 6:
			if len(m.running) > 0 && what%8 > 0 { // what does not run is done now and then
				key = m.running[int(who)%len(m.running)]
			}
			step = "done " + key
			q.Done(key, now)
			m.done(key, now)
		default:
			now = now.Add(time.Duration(what) * time.Second / 4)
			step = fmt.Sprint("it is ", now)
			m.advance(now)
			for len(q.Advance(now, 2)) > 0 {
			}
		}
		if got, want := facts(q), m.facts(); got != want {
			return fmt.Errorf("step %d, %s: %s, and not %s", i, step, got, want)
		}
	}
	return nil
}

func TestAQueueDoesWhatItsModelDoes(t *testing.T) {
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 1))
		program := make([]byte, 1+3*random.IntN(200))
		for i := range program {
			program[i] = byte(random.Uint32())
		}
		if err := compare(program); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func FuzzAQueueDoesWhatItsModelDoes(f *testing.F) {
	f.Add([]byte{4, 0, 0, 0, 0, 1, 2, 3, 0, 0, 0, 0, 0, 6, 0, 1, 7, 0, 255})
	f.Add([]byte{1, 0, 3, 240, 0, 3, 0, 7, 0, 200, 5, 0, 0, 0, 3, 2, 6, 0, 1})
	f.Fuzz(func(t *testing.T, program []byte) {
		if len(program) > 1500 { // the model is slow
			return
		}
		if err := compare(program); err != nil {
			t.Fatal(err)
		}
	})
}
