package admission

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

const (
	// MaximumMemory is for all requests of a replica that are not authenticated yet, in bytes.
	MaximumMemory = 64 << 20
	// Overhead is what each request counts for besides its body: headers, of which there may be 36 KiB and are mostly 1, and
	// what a stream and its goroutine need.
	Overhead = 16 << 10
	// maximumWaiting are the requests that wait for memory at once. Those that come when so many wait are refused at once: who
	// waits has headers too.
	maximumWaiting = 1024
	// Patience is how long a request waits for memory: long enough for a burst, and shorter than SDKs wait.
	Patience = 5 * time.Second
)

// ErrNoMemory says that a request did not get memory in time.
var ErrNoMemory = errors.New("there is no memory for another request")

// Memory bounds the bytes of requests that are in memory before it is known who asks. It is safe for concurrent use.
type Memory struct {
	share    int64
	patience time.Duration
	total    *semaphore.Weighted

	mu      sync.Mutex
	waiting int
	sources map[Source]*sourceMemory
}

// sourceMemory is what one source has. It is there while the source has requests.
type sourceMemory struct {
	left     *semaphore.Weighted
	requests int
}

// NewMemory makes a Memory of so many bytes, of which a source may have so many percent. A request waits no longer than patience.
func NewMemory(bytes int64, percent int, patience time.Duration) *Memory {
	return &Memory{
		share: part(bytes, percent), patience: patience, total: semaphore.NewWeighted(bytes), sources: map[Source]*sourceMemory{},
	}
}

// Held is memory that was given. The zero Held holds nothing.
type Held struct {
	memory *Memory
	source Source
	bytes  int64
}

// Acquire waits for so many bytes, first of the source's share and then of all. It fails with ErrNoMemory if they do not come in
// time, or too many wait, or the source's share is less than that. Whoever waits holds nothing of the total.
func (m *Memory) Acquire(ctx context.Context, of Source, bytes int64) (Held, error) {
	own := m.enter(of)
	if own.left.TryAcquire(bytes) {
		if m.total.TryAcquire(bytes) {
			return Held{m, of, bytes}, nil
		}
		own.left.Release(bytes)
	}
	if bytes > m.share || !m.wait(ctx, own, bytes) {
		m.leave(of)
		return Held{}, ErrNoMemory
	}
	return Held{m, of, bytes}, nil
}

func (m *Memory) wait(ctx context.Context, own *sourceMemory, bytes int64) bool {
	if !m.queue(1) {
		return false
	}
	defer m.queue(-1)
	ctx, cancel := context.WithTimeout(ctx, m.patience)
	defer cancel()
	if own.left.Acquire(ctx, bytes) != nil {
		return false
	}
	if m.total.Acquire(ctx, bytes) != nil {
		own.left.Release(bytes)
		return false
	}
	return true
}

// queue changes the number of those who wait. It tells whether there is room for one more.
func (m *Memory) queue(by int) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if by > 0 && m.waiting >= maximumWaiting {
		return false
	}
	m.waiting += by
	return true
}

func (m *Memory) enter(of Source) *sourceMemory {
	m.mu.Lock()
	defer m.mu.Unlock()
	own := m.sources[of]
	if own == nil {
		own = &sourceMemory{left: semaphore.NewWeighted(m.share)}
		m.sources[of] = own
	}
	own.requests++
	return own
}

// leave forgets a source that has no requests.
func (m *Memory) leave(of Source) *sourceMemory {
	m.mu.Lock()
	defer m.mu.Unlock()
	own := m.sources[of]
	if own.requests--; own.requests == 0 {
		delete(m.sources, of)
	}
	return own
}

// Release gives the memory back. A second call does nothing.
func (h *Held) Release() {
	if h.memory == nil {
		return
	}
	h.memory.total.Release(h.bytes)
	h.memory.leave(h.source).left.Release(h.bytes)
	h.memory = nil
}
