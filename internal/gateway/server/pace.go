package server

import (
	"net/http"
	"sync"
	"time"
)

// What a sender of a body has to keep up with: a body that does not begin to come, or comes more slowly, is cut off, so that memory is
// not held for those who send next to nothing. The listener's limit for the whole request holds besides.
const (
	// paceGrace is how long nothing may come, in all.
	paceGrace = 5 * time.Second
	// paceRate is how much has to come after it, in bytes a second.
	paceRate = 16 << 10
)

// pace watches one body come.
type pace struct {
	timer *time.Timer

	mu       sync.Mutex
	writer   http.ResponseWriter // nil: nothing is watched
	began    time.Time
	received int64
}

// paces that watch nothing: a timer that is stopped costs less than a deadline that is set.
var paces = sync.Pool{New: func() any {
	p := &pace{}
	p.timer = time.AfterFunc(time.Hour, p.look)
	p.timer.Stop()
	return p
}}

func beginPace(w http.ResponseWriter) *pace {
	p := paces.Get().(*pace)
	p.mu.Lock()
	p.writer, p.began, p.received = w, time.Now(), 0
	p.mu.Unlock()
	p.timer.Reset(paceGrace)
	return p
}

// came notes that so many bytes came.
func (p *pace) came(bytes int) {
	p.mu.Lock()
	p.received += int64(bytes)
	p.mu.Unlock()
}

// look cuts the sender off if it is late, and otherwise looks again when it could be.
func (p *pace) look() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.writer == nil {
		return
	}
	if left := paceAllowed(p.received) - time.Since(p.began); left > 0 {
		p.timer.Reset(left)
		return
	}
	_ = http.NewResponseController(p.writer).SetReadDeadline(time.Unix(1, 0))
}

// paceAllowed is when so many bytes have to have come, and one more.
func paceAllowed(received int64) time.Duration {
	return paceGrace + time.Duration(received)*time.Second/paceRate
}

// end watches no more.
func (p *pace) end() {
	stopped := p.timer.Stop()
	p.mu.Lock()
	p.writer = nil
	p.mu.Unlock()
	if stopped { // or else look may still be on its way
		paces.Put(p)
	}
}
