package server

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"
)

func TestADeadlineEndsAsContextsDo(t *testing.T) {
	for name, tt := range map[string]struct {
		after time.Duration
		do    func(cancelParent func(), d *deadline)
		want  error
	}{
		"not yet":                      {time.Hour, func(func(), *deadline) {}, nil},
		"by its time":                  {-time.Second, func(func(), *deadline) {}, context.DeadlineExceeded},
		"by its end":                   {time.Hour, func(_ func(), d *deadline) { d.end() }, context.Canceled},
		"by the request's":             {time.Hour, func(cancel func(), _ *deadline) { cancel() }, context.Canceled},
		"by its end, after it is over": {-time.Second, func(_ func(), d *deadline) { _ = d.Err(); d.end() }, context.DeadlineExceeded},
	} {
		for _, waited := range []bool{false, true} {
			parent, cancel := context.WithCancel(t.Context())
			d := withDeadline(parent, tt.after)
			if waited {
				_ = d.Done()
			}
			tt.do(cancel, d)
			if err := d.Err(); !errors.Is(err, tt.want) {
				t.Errorf("%s, somebody waits: %v: %v", name, waited, err)
			}
			select {
			case <-d.Done():
				if tt.want == nil {
					t.Errorf("%s: it is done", name)
				}
			case <-time.After(10 * time.Millisecond):
				if tt.want != nil {
					t.Errorf("%s: it is not done", name)
				}
			}
			cancel()
			d.end()
		}
	}
}

func TestWhoWaitsForADeadlineIsWokenByItsTime(t *testing.T) {
	d := withDeadline(t.Context(), 20*time.Millisecond)
	defer d.end()
	child, cancel := context.WithCancel(d)
	defer cancel()
	select {
	case <-child.Done():
		if !errors.Is(child.Err(), context.DeadlineExceeded) || !errors.Is(context.Cause(child), context.DeadlineExceeded) {
			t.Errorf("%v, by %v", child.Err(), context.Cause(child))
		}
	case <-time.After(10 * time.Second):
		t.Error("nobody was woken")
	}
}

type deadlineKey struct{}

func TestADeadlineHasTheValuesOfTheRequestAndTheEarlierOfTheTwoTimes(t *testing.T) {
	soon := time.Now().Add(time.Minute)
	parent, cancel := context.WithDeadline(context.WithValue(t.Context(), deadlineKey{}, "v"), soon)
	defer cancel()
	for after, want := range map[time.Duration]time.Time{time.Hour: soon, time.Second: time.Now().Add(time.Second)} {
		d := withDeadline(parent, after)
		if at, ok := d.Deadline(); !ok || at.Sub(want).Abs() > time.Second {
			t.Errorf("after %v: %v", after, at)
		}
		for range 2 {
			if d.Value(deadlineKey{}) != "v" {
				t.Error("the value is lost")
			}
			_ = d.Done()
		}
		d.end()
	}
}

func TestContextsThatAreMadeOfADeadlineHaveNoGoroutine(t *testing.T) {
	parent, cancelParent := context.WithCancel(t.Context())
	defer cancelParent()
	d := withDeadline(parent, time.Hour)
	defer d.end()
	before := runtime.NumGoroutine()
	for range 100 {
		_, cancel := context.WithCancel(d)
		defer cancel()
	}
	if more := runtime.NumGoroutine() - before; more > 10 {
		t.Errorf("%d goroutines", more)
	}
}

func TestADeadlineThatNobodyWaitsForIsOneObject(t *testing.T) {
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	if n := testing.AllocsPerRun(100, func() {
		d := withDeadline(parent, time.Hour)
		if d.Err() != nil {
			t.Error(d.Err())
		}
		d.end()
	}); n > 1 {
		t.Errorf("%.0f objects", n)
	}
}
