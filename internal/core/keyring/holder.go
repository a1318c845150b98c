package keyring

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
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
	renew    func(epoch int64) error
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

// RenewWith says how the keyring is renewed when something is to be opened that is of an epoch which it does not have: renew looks for the domain key of
// that epoch and Sets a keyring that has it. It fails with ErrUnknownEpoch if there is no such domain key. It must bound its time, and what it costs, since
// an epoch may be anybody's claim. Call it before the Holder is used.
func (h *Holder) RenewWith(renew func(epoch int64) error) { h.renew = renew }

// UnwrapToken is Keyring.UnwrapToken of the keyring of the moment. A token of an epoch that it does not have, as one that another replica wrapped after a
// rotation, is opened by the renewed keyring. It fails with ErrSealed, too, also if the domain key of that epoch is there and cannot be had: then the token
// may be as good as any.
func (h *Holder) UnwrapToken(header keys.Header, ctx keys.AAD, token []byte) (secretbytes.Bytes, error) {
	return h.open(token, func(k *Keyring) (secretbytes.Bytes, error) { return k.UnwrapToken(header, ctx, token) })
}

// Open is to Keyring.Open as UnwrapToken is.
func (h *Holder) Open(kind keys.Kind, ctx keys.AAD, blob []byte) (secretbytes.Bytes, error) {
	return h.open(blob, func(k *Keyring) (secretbytes.Bytes, error) { return k.Open(kind, ctx, blob) })
}

// OpenPublic is to Keyring.OpenPublic as UnwrapToken is.
func (h *Holder) OpenPublic(kind keys.Kind, ctx keys.AAD, blob []byte) (secretbytes.Bytes, error) {
	return h.open(blob, func(k *Keyring) (secretbytes.Bytes, error) { return k.OpenPublic(kind, ctx, blob) })
}

func (h *Holder) open(token []byte, open func(*Keyring) (secretbytes.Bytes, error)) (secretbytes.Bytes, error) {
	ring, err := h.Get()
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	opened, unknown := open(ring)
	if !errors.Is(unknown, ErrUnknownEpoch) || h.renew == nil {
		return opened, unknown
	}
	epoch, err := Epoch(token)
	if err == nil {
		err = h.renew(epoch)
	}
	switch {
	case errors.Is(err, ErrUnknownEpoch):
		return secretbytes.Bytes{}, unknown
	case err != nil:
		return secretbytes.Bytes{}, fmt.Errorf("%w: the domain key of epoch %d is not opened yet: %w", ErrSealed, epoch, err)
	}
	if ring, err = h.Get(); err != nil {
		return secretbytes.Bytes{}, err
	}
	return open(ring)
}
