package admission

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// MaximumMemory is for all requests of a replica that are not authenticated yet, in bytes.
	MaximumMemory = 64 << 20
	// Overhead is what each request counts for besides its body: headers, of which there may be 36 KiB and are mostly 1, and
	// what a stream and its goroutine need.
	Overhead = 16 << 10
	// maximumWaiting are the requests that wait for memory at once, of a source its share of them. Those that come when so many wait are refused at once: who
	// waits has headers too.
	maximumWaiting = 1024
	// Patience is how long a request waits for memory: long enough for a burst, and shorter than SDKs wait.
	Patience = 5 * time.Second
)

// ErrNoMemory says that a request did not get memory in time.
var ErrNoMemory = errors.New("there is no memory for another request")

// Memory bounds the bytes of requests that are in memory before it is known who asks, in all and for each source. What a source may have
// shrinks as the rest does (see room), so that no number of sources takes it all. It is safe for concurrent use.
type Memory struct {
	percent  int
	patience time.Duration
	share    int64

	mu      sync.Mutex
	left    int64
	waiting list.List // of *waiter, who came first first
	sources map[Source]*sourceMemory
	holders // of all sources
}

// sourceMemory is what one source has. It is there while the source has requests.
type sourceMemory struct {
	has int64
	holders
}

// holders are requests that hold something, of which some are stuck: they wait for more.
type holders struct{ requests, stuck int }

// last tells whether one that waits is the last of several that does not yet: then none would go on.
func (h *holders) last() bool { return h.requests > 1 && h.stuck+1 >= h.requests }

func (h *holders) come(requests, stuck int) { h.requests, h.stuck = h.requests+requests, h.stuck+stuck }

// waiter waits for memory, of which it has some if it grows.
type waiter struct {
	of    Source
	bytes int64
	grows bool
	given bool
	ended chan struct{} // closed by who takes it out of the list
}

// NewMemory makes a Memory of so many bytes, of which a source may have so many percent while no other has any. A request waits no longer
// than patience.
func NewMemory(bytes int64, percent int, patience time.Duration) *Memory {
	return &Memory{share: part(bytes, percent), percent: percent, patience: patience, left: bytes, sources: map[Source]*sourceMemory{}}
}

// Held is memory that was given. The zero Held holds nothing.
type Held struct {
	memory *Memory
	source Source
	bytes  int64
}

// Acquire waits for so many bytes. It fails with ErrNoMemory if they do not come in time, too many wait, or no source can have as many.
// Whoever waits holds nothing.
func (m *Memory) Acquire(ctx context.Context, of Source, bytes int64) (Held, error) {
	m.mu.Lock()
	if !m.take(of, bytes) {
		if err := m.wait(ctx, &waiter{of: of, bytes: bytes}); err != nil {
			return Held{}, err
		}
		m.mu.Lock()
	}
	defer m.mu.Unlock()
	m.come(1, 0)
	m.sources[of].come(1, 0)
	return Held{m, of, bytes}, nil
}

// Grow waits for so many bytes more, for a request that goes on to come. It fails as Acquire does, and at once if all other requests, or
// all others of the source, wait for more too: one of them has to give up, or none would go on. What it had it keeps.
func (h *Held) Grow(ctx context.Context, bytes int64) error {
	m := h.memory
	m.mu.Lock()
	if m.take(h.source, bytes) {
		m.mu.Unlock()
		h.bytes += bytes
		return nil
	}
	own := m.sources[h.source]
	if own.last() || m.last() {
		m.mu.Unlock()
		return ErrNoMemory
	}
	err := m.wait(ctx, &waiter{of: h.source, bytes: bytes, grows: true})
	if err == nil {
		h.bytes += bytes
	}
	return err
}

// take gives a source so many bytes if there are, and if nobody waits for them who came before. m.mu is held.
func (m *Memory) take(of Source, bytes int64) bool {
	own := m.sources[of]
	has := int64(0)
	if own != nil {
		has = own.has
	}
	if !room(m.percent, has, m.left, bytes) || m.passed(of) {
		return false
	}
	if own == nil {
		own = &sourceMemory{}
		m.sources[of] = own
	}
	own.has += bytes
	m.left -= bytes
	return true
}

// passed tells whether somebody waits who would be passed by: another of the source, or one for whom there is not enough of all. Who waits
// for the share of another source holds nobody up.
func (m *Memory) passed(of Source) bool {
	for e := m.waiting.Front(); e != nil; e = e.Next() {
		if w := e.Value.(*waiter); w.of == of || w.bytes > m.left {
			return true
		}
	}
	return false
}

// wait puts a request into the queue, and unlocks m.mu.
func (m *Memory) wait(ctx context.Context, w *waiter) error {
	if w.bytes > m.share || m.waiting.Len() >= maximumWaiting || m.queued(w.of) >= part(maximumWaiting, m.percent) {
		m.mu.Unlock()
		return ErrNoMemory
	}
	w.ended = make(chan struct{})
	if w.grows {
		m.come(0, 1)
		m.sources[w.of].come(0, 1)
	}
	place := m.waiting.PushBack(w)
	m.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, m.patience)
	defer cancel()
	select {
	case <-w.ended:
	case <-ctx.Done():
		m.mu.Lock()
		defer m.mu.Unlock()
		select {
		case <-w.ended: // meanwhile
		default:
			m.end(place, false)
			m.serve() // those behind it
		}
	}
	if !w.given {
		return ErrNoMemory
	}
	return nil
}

// end takes one out of the queue. m.mu is held.
func (m *Memory) end(place *list.Element, given bool) {
	w := m.waiting.Remove(place).(*waiter)
	if w.grows {
		m.come(0, -1)
		m.sources[w.of].come(0, -1)
	}
	w.given = given
	close(w.ended)
}

// queued is how many of a source wait.
func (m *Memory) queued(of Source) (n int64) {
	for e := m.waiting.Front(); e != nil; e = e.Next() {
		if e.Value.(*waiter).of == of {
			n++
		}
	}
	return n
}

// serve gives what there is to those who wait, in their order. Behind one for whom there is not enough of all nobody is served, so that
// a large request is not passed by for ever. m.mu is held.
func (m *Memory) serve() {
	for e := m.waiting.Front(); e != nil; {
		w, next := e.Value.(*waiter), e.Next()
		own := m.sources[w.of]
		if own == nil {
			own = &sourceMemory{}
		}
		switch {
		case room(m.percent, own.has, m.left, w.bytes):
			m.sources[w.of] = own
			own.has += w.bytes
			m.left -= w.bytes
			m.end(e, true)
		case w.bytes > m.left:
			return
		}
		e = next
	}
}

// Release gives the memory back. A second call does nothing.
func (h *Held) Release() {
	m := h.memory
	if m == nil {
		return
	}
	h.memory = nil
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left += h.bytes
	own := m.sources[h.source]
	own.has -= h.bytes
	m.come(-1, 0)
	if own.come(-1, 0); own.has == 0 && own.requests == 0 { // one that was given memory and has not woken yet has some
		delete(m.sources, h.source)
	}
	m.serve()
	m.relieve(own, h.source)
}

// relieve refuses the one that came last of those that wait for more, if all wait and so none would give anything back. m.mu is held.
func (m *Memory) relieve(own *sourceMemory, of Source) {
	all := m.stuck > 1 && m.stuck == m.requests
	if !all && (own.stuck < 2 || own.stuck < own.requests) {
		return
	}
	for e := m.waiting.Back(); e != nil; e = e.Prev() {
		if w := e.Value.(*waiter); w.grows && (all || w.of == of) {
			m.end(e, false)
			return
		}
	}
}
