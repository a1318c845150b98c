package server

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/internal/store"
)

// TestAnAnswerWaitsUntilItsWritesAreShownAndNotForLonger than a client would take for a failure: who has the answer can read what was written.
func TestAnAnswerWaitsUntilItsWritesAreShownAndNotForLonger(t *testing.T) {
	for name, tt := range map[string]struct{ takes, want time.Duration }{
		"nothing to wait for":     {0, 0},
		"shown a moment later":    {20 * time.Millisecond, 20 * time.Millisecond},
		"a watch that has broken": {time.Hour, settling},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, writes := store.NoteWrites(t.Context(), false)
				if tt.takes > 0 {
					writes.Note(schema.GroupVersionKind{Kind: "Parameter"}, client.ObjectKey{Name: "p"}, func(ctx context.Context) error {
						select {
						case <-time.After(tt.takes):
							return nil
						case <-ctx.Done():
							return ctx.Err()
						}
					})
				}
				began := time.Now()
				settle(ctx, writes)
				if took := time.Since(began); took != tt.want {
					t.Errorf("waited %v, want %v", took, tt.want)
				}
			})
		})
	}
}
