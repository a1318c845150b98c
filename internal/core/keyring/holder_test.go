package keyring_test

import (
	"errors"
	"sync"
	"testing"

	"strongroom.dev/strongroom/internal/core/keyring"
)

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestAHolderIsSealedUntilItIsSet(t *testing.T) {
	var h keyring.Holder
	if k, err := h.Get(); k != nil || !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("a new holder: %v, %v", k, err)
	}
	waiting := h.Unsealed()
	if isClosed(waiting) {
		t.Error("a new holder says that it is unsealed")
	}
	ring := unseal(t, newRoot(1), newRecord(t, newRoot(1), 1))
	h.Set(ring)
	if k, err := h.Get(); k != ring || err != nil {
		t.Errorf("after Set: %v", err)
	}
	if !isClosed(waiting) || !isClosed(h.Unsealed()) {
		t.Error("nobody was told")
	}
}

func TestASealedHolderSaysWhy(t *testing.T) {
	var h keyring.Holder
	cause := errors.New("the Secret is gone")
	h.SetSealed(cause)
	if _, err := h.Get(); !errors.Is(err, keyring.ErrSealed) || !errors.Is(err, cause) {
		t.Errorf("with a cause: %v", err)
	}
	_, sealed := keyring.Unseal(t.Context(), nil, nil)
	h.SetSealed(sealed)
	if _, err := h.Get(); err != sealed { //nolint:errorlint // not wrapped a second time
		t.Errorf("with an error of Unseal: %v", err)
	}
	h.Set(nil)
	if k, err := h.Get(); k != nil || !errors.Is(err, keyring.ErrSealed) || errors.Is(err, cause) {
		t.Errorf("after Set(nil): %v, %v", k, err)
	}
}

func TestAHolderIsSealedReplacedAndUnsealedAgain(t *testing.T) {
	var h keyring.Holder
	root := newRoot(1)
	first, second := unseal(t, root, newRecord(t, root, 1)), unseal(t, root, newRecord(t, root, 2))
	h.Set(first)
	h.Set(second) // a replaced keyring does not close the channel twice
	if k, _ := h.Get(); k != second {
		t.Error("the keyring was not replaced")
	}
	if !isClosed(h.Unsealed()) {
		t.Error("asked after Set, it is not closed")
	}
	h.SetSealed(nil)
	h.SetSealed(errors.New("again"))
	if _, err := h.Get(); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("after SetSealed: %v", err)
	}
	waiting := h.Unsealed()
	if isClosed(waiting) {
		t.Error("a sealed holder says that it is unsealed")
	}
	h.Set(first)
	if !isClosed(waiting) {
		t.Error("nobody was told the second time")
	}
}

func TestAHolderIsSafeForConcurrentUse(t *testing.T) {
	var h keyring.Holder
	ring := unseal(t, newRoot(1), newRecord(t, newRoot(1), 1))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 500 {
				h.Set(ring)
				h.SetSealed(nil)
			}
		})
		wg.Go(func() {
			for range 500 {
				if k, err := h.Get(); (k == nil) == (err == nil) {
					t.Error("neither a keyring nor an error, or both")
				}
				isClosed(h.Unsealed())
			}
		})
	}
	wg.Wait()
	h.Set(ring)
	<-h.Unsealed()
}
