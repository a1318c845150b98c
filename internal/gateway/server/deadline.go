package server

import (
	"context"
	"sync"
	"time"
)

// deadline is a context that ends at a time, as context.WithDeadline makes it, but for a timer that is set only when somebody waits for the end: most requests are answered out of the cache, where nobody does.
type deadline struct {
	context.Context // of the request
	at              time.Time

	mu     sync.Mutex
	ends   context.Context // with the timer; nil as long as nobody waits
	cancel context.CancelFunc
	over   bool
}

// withDeadline is a context that ends after so long. Whoever makes it calls end when nobody uses it any more.
func withDeadline(parent context.Context, after time.Duration) *deadline {
	return &deadline{Context: parent, at: time.Now().Add(after)}
}

// Deadline implements context.Context.
func (d *deadline) Deadline() (time.Time, bool) {
	if at, ok := d.Context.Deadline(); ok && at.Before(d.at) {
		return at, true
	}
	return d.at, true
}

// timed is the context with the timer.
func (d *deadline) timed() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ends == nil {
		d.ends, d.cancel = context.WithDeadline(d.Context, d.at)
		if d.over {
			d.cancel()
		}
	}
	return d.ends
}

// Done implements context.Context.
func (d *deadline) Done() <-chan struct{} { return d.timed().Done() }

// Err implements context.Context. What is over in time is over, whether a timer was set or not.
func (d *deadline) Err() error {
	d.mu.Lock()
	ends, over := d.ends, d.over
	d.mu.Unlock()
	switch {
	case ends != nil:
		return ends.Err()
	case d.Context.Err() != nil:
		return d.Context.Err()
	case over:
		return context.Canceled
	case !time.Now().Before(d.at):
		return d.timed().Err()
	}
	return nil
}

// Value implements context.Context. Contexts that are made of this one find the one with the timer by it, or each would have a goroutine that waits.
func (d *deadline) Value(key any) any {
	d.mu.Lock()
	ends := d.ends
	d.mu.Unlock()
	if ends != nil {
		return ends.Value(key)
	}
	return d.Context.Value(key)
}

// end ends the context and stops its timer.
func (d *deadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	if d.cancel != nil {
		d.cancel()
	}
}
