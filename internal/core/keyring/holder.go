package keyring

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

var errNotYet = errors.New("it was not unsealed yet")

// Holder is the process's one keyring, which may be sealed and unsealed while the process runs. The zero value is
// sealed. It is safe for concurrent use, and must not be copied.
type Holder struct {
	mu       sync.RWMutex
	ring     *Keyring
	cause    error
	unsealed chan struct{} // closed while there is a keyring; nil until somebody asks
	tried    bool          // Set or SetSealed was called
	attempt  chan struct{} // closed when tried; nil until somebody asks
}

// AwaitAttempt waits for the first Set or SetSealed. Before it, "sealed" is not a fact to act on but a beginning. The error
// is ctx's.
func (h *Holder) AwaitAttempt(ctx context.Context) error {
	h.mu.Lock()
	tried := h.tried
	if !tried && h.attempt == nil {
		h.attempt = make(chan struct{})
	}
	attempt := h.attempt
	h.mu.Unlock()
	if tried {
		return nil
	}
	select {
	case <-attempt:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the keyring: %w", ctx.Err())
	}
}

// attempted notes the first attempt. The caller holds the lock.
func (h *Holder) attempted() {
	if !h.tried && h.attempt != nil {
		close(h.attempt)
	}
	h.tried = true
}

// Get is the keyring, or ErrSealed with its cause. Whoever has got a keyring can go on using it after SetSealed: get it
// for every piece of work, and do not keep it.
func (h *Holder) Get() (*Keyring, error) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if h.ring != nil {
		return h.ring, nil
	}
	switch {
	case h.cause == nil:
		return nil, fmt.Errorf("%w: %w", ErrSealed, errNotYet)
	case errors.Is(h.cause, ErrSealed):
		return nil, h.cause
	default:
		return nil, fmt.Errorf("%w: %w", ErrSealed, h.cause)
	}
}

// Set unseals, or replaces the keyring by a newer one. A nil keyring seals.
func (h *Holder) Set(ring *Keyring) {
	if ring == nil {
		h.SetSealed(nil)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.attempted()
	if h.ring == nil && h.unsealed != nil {
		close(h.unsealed)
	}
	h.ring, h.cause = ring, nil
}

// SetSealed seals, and says why. The keyring's keys are erased by the garbage collector when nobody has it any more;
// what a MaterialCache holds is a matter of its own, see its Clear.
func (h *Holder) SetSealed(cause error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.attempted()
	if h.ring != nil {
		h.unsealed = nil // the closed one: whoever asks from now on waits for the next Set
	}
	h.ring, h.cause = nil, cause
}

// Unsealed is closed as soon as there is a keyring. Ask again after every SetSealed.
func (h *Holder) Unsealed() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.unsealed == nil {
		h.unsealed = make(chan struct{})
		if h.ring != nil {
			close(h.unsealed)
		}
	}
	return h.unsealed
}
