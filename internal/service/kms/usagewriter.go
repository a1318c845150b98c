package kms

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/go-logr/logr"
)

// usagePatience is how long a process that ends takes to write the last uses of keys.
const usagePatience = 5 * time.Second

// UsageWriter writes the last uses of keys about once in UsageInterval, and when the process ends. Each replica has one.
type UsageWriter struct {
	Service *Service
	Log     logr.Logger
	// Interval is UsageInterval if 0.
	Interval time.Duration
}

// NeedLeaderElection is false: every replica has seen uses of its own.
func (w *UsageWriter) NeedLeaderElection() bool { return false }

// Start writes until ctx is done, and once more then. The first time is a random part of the interval away, so that replicas that start together do not write together.
func (w *UsageWriter) Start(ctx context.Context) error {
	interval := w.Interval
	if interval == 0 {
		interval = UsageInterval
	}
	wait := time.Duration(rand.Int64N(int64(interval))) + 1
	for {
		select {
		case <-ctx.Done():
			return w.Close()
		case <-time.After(wait):
		}
		if err := w.Service.WriteUsages(ctx, false); err != nil {
			w.Log.Error(err, "Noting when keys were used last; it is tried again")
		}
		wait = interval
	}
}

// Close writes what is later than what status has, for as long as usagePatience. The gateway calls it after its last request.
func (w *UsageWriter) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), usagePatience)
	defer cancel()
	if err := w.Service.WriteUsages(ctx, true); err != nil {
		w.Log.Error(err, "Noting when keys were used last, at the end; GetKeyLastUsage tells of an earlier use")
	}
	return nil
}
