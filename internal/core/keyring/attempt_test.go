package keyring_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/keyring"
)

func TestAwaitingTheFirstAttempt(t *testing.T) {
	for name, attempt := range map[string]func(*keyring.Holder){
		"that fails":    func(h *keyring.Holder) { h.SetSealed(errors.New("no root")) },
		"that succeeds": func(h *keyring.Holder) { h.Set(&keyring.Keyring{}) },
	} {
		t.Run(name, func(t *testing.T) {
			h := &keyring.Holder{}
			short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			defer cancel()
			if err := h.AwaitAttempt(short); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("before it: %v", err)
			}
			done := make(chan error, 8)
			for range cap(done) {
				go func() { done <- h.AwaitAttempt(t.Context()) }()
			}
			time.Sleep(10 * time.Millisecond)
			attempt(h)
			for range cap(done) {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			attempt(h) // once more is no matter
			if err := h.AwaitAttempt(t.Context()); err != nil {
				t.Errorf("after it: %v", err)
			}
		})
	}
}
