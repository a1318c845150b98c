package server

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/internal/store"
)

// counted is how many waits a histogram has, and how long they took together.
type counted struct {
	count   uint64
	seconds float64
}

func (c counted) since(before counted) counted {
	return counted{c.count - before.count, c.seconds - before.seconds}
}

func waits(t *testing.T, of prometheus.Observer) counted {
	t.Helper()
	metric, ok := of.(prometheus.Metric)
	if !ok {
		t.Fatalf("%T is no metric", of)
	}
	var out dto.Metric
	if err := metric.Write(&out); err != nil {
		t.Fatal(err)
	}
	return counted{out.GetHistogram().GetSampleCount(), out.GetHistogram().GetSampleSum()}
}

// TestAnAnswerWaitsUntilItsWritesAreShownAndNotForLonger than a client would take for a failure: who has the answer can read what was written.
func TestAnAnswerWaitsUntilItsWritesAreShownAndNotForLonger(t *testing.T) {
	for name, tt := range map[string]struct {
		takes, want    time.Duration
		shown, unshown uint64 // how many waits are counted
	}{
		"nothing to wait for":     {0, 0, 0, 0},
		"shown a moment later":    {20 * time.Millisecond, 20 * time.Millisecond, 1, 0},
		"a watch that has broken": {time.Hour, settling, 0, 1},
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
				shown, unshown := waits(t, shownSettlings), waits(t, unshownSettlings)
				began := time.Now()
				(&Server{Now: time.Now}).settle(ctx, writes)
				if took := time.Since(began); took != tt.want {
					t.Errorf("waited %v, want %v", took, tt.want)
				}
				shown, unshown = waits(t, shownSettlings).since(shown), waits(t, unshownSettlings).since(unshown)
				if shown.count != tt.shown || unshown.count != tt.unshown {
					t.Errorf("%d are counted as shown and %d as not, want %d and %d", shown.count, unshown.count, tt.shown, tt.unshown)
				}
				if got := shown.seconds + unshown.seconds; math.Abs(got-tt.want.Seconds()) > 1e-9 {
					t.Errorf("%v seconds are counted, want %v", got, tt.want.Seconds())
				}
			})
		})
	}
}
