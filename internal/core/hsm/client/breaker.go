package client

import "time"

const (
	// ejectAfter is how many failures in a row take a node out.
	ejectAfter = 2
	// halfOpenAfter is how long it is out before one request is let through to see.
	halfOpenAfter = 30 * time.Second
)

// breaker is a node's circuit breaker: closed, open, and half open while one request probes. It is a value without a lock or a clock.
type breaker struct {
	failures int
	since    time.Time // of the last failure, or of the probe
}

// allows tells whether a request may go to the node at now.
func (b breaker) allows(now time.Time) bool {
	if b.failures < ejectAfter {
		return true
	}
	// A probe that never came back, since its caller went, counts as failed after the same while. So does a clock turned back.
	age := now.Sub(b.since)
	return age >= halfOpenAfter || age < 0
}

// begin is the breaker when a request goes to the node.
func (b breaker) begin(now time.Time) breaker {
	if b.failures >= ejectAfter {
		b.since = now
	}
	return b
}

// end is the breaker after an outcome.
func (b breaker) end(now time.Time, failed bool) breaker {
	if !failed {
		return breaker{}
	}
	return breaker{failures: min(b.failures+1, ejectAfter), since: now}
}
