package fairqueue

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// element is one of a heap.
type element struct{ value, position int }

func newHeap() *ordered[*element] {
	return &ordered[*element]{
		less:  func(a, b *element) bool { return a.value < b.value },
		place: func(e *element) *int { return &e.position },
	}
}

func TestAHeapIsInOrderWhateverIsChangedAndRemoved(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	h, all := newHeap(), []*element{}
	for range 20_000 {
		switch n := random.IntN(4); {
		case n < 2 || len(all) == 0:
			e := &element{value: random.IntN(1000)}
			h.push(e)
			all = append(all, e)
		case n == 2:
			e := all[random.IntN(len(all))]
			e.value = random.IntN(1000)
			h.fix(e)
		default:
			i := random.IntN(len(all))
			h.remove(all[i])
			all = slices.Delete(all, i, i+1)
		}
	}
	last := -1
	for n := len(all); n > 0; n-- {
		if h.Len() != n {
			t.Fatalf("%d are there, and not %d", h.Len(), n)
		}
		e := h.pop()
		if e.value < last {
			t.Fatalf("%d comes behind %d", e.value, last)
		}
		last = e.value
	}
}

func TestMemoryGoesWithWhatIsThere(t *testing.T) {
	h, m := newHeap(), shrinking[int, int]{}
	for i := range 100_000 {
		h.push(&element{value: i})
		m.set(i, i)
	}
	for i := range 100_000 - 10 {
		h.pop()
		m.delete(i)
		if cap(h.items) > little && cap(h.items) > 4*max(len(h.items), 1)+4 {
			t.Fatalf("room for %d, for %d", cap(h.items), len(h.items))
		}
		if m.most > little && m.most > 4*len(m.items)+4 {
			t.Fatalf("a map that had %d, for %d", m.most, len(m.items))
		}
	}
	if v, ok := m.get(99_999); !ok || v != 99_999 || len(m.items) != 10 || h.Len() != 10 || h.pop().value != 99_990 {
		t.Error("what is there has gone")
	}
}

func TestNothingIsLeftOfAQueueThatIsEmpty(t *testing.T) {
	now := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	q := New(8, func(key string) string { return key[:4] })
	for i := range 50_000 {
		q.Add(fmt.Sprintf("%04d/%d", i%3000, i), 0, now.Add(time.Duration(i%7)*time.Second), now)
	}
	now = now.Add(time.Minute)
	for {
		q.Advance(now, 100)
		it, ok := q.Next()
		if !ok {
			break
		}
		q.Done(it.Key, now)
	}
	for what, n := range map[string]int{
		"queued": len(q.queued.items), "running": len(q.running.items), "lines": len(q.lines.items), "ages": q.ages.Len(), "waiting": q.waiting.Len(), "turns": q.turns.Len(), "ready": q.ready,
		"queued once": q.queued.most / (little + 1), "lines once": q.lines.most / (little + 1), "room of those that waited": cap(q.waiting.items) / (4*little + 1),
	} {
		if n != 0 {
			t.Errorf("%s: %d", what, n)
		}
	}
}
