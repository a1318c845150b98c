package parameterpolicy_test

import (
	"reflect"
	"testing"
	"time"

	. "strongroom.dev/strongroom/internal/core/parameterpolicy"
)

// The times of the table: a parameter that was changed on the first, and expires on the eleventh.
var (
	changed = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	expiry  = changed.AddDate(0, 0, 10)
)

func expires(at time.Time) Policy {
	return Policy{Type: Expiration, Timestamp: at.Format(time.RFC3339Nano)}
}

func before(n int, u Unit) Policy { return Policy{Type: ExpirationNotification, Count: n, Unit: u} }
func after(n int, u Unit) Policy  { return Policy{Type: NoChangeNotification, Count: n, Unit: u} }

func state(of Type, due time.Time, s Status) State { return State{Type: of, Due: due, Status: s} }

func TestWhatPoliciesAskFor(t *testing.T) {
	day := func(n int) time.Time { return changed.AddDate(0, 0, n) }
	for name, tt := range map[string]struct {
		policies []Policy
		modified time.Time
		created  time.Time
		recorded []State
		now      time.Time
		want     Decision
	}{
		"no policy asks for nothing": {now: changed},
		"an expiry to come is waited for": {
			policies: []Policy{expires(expiry)}, modified: changed, now: day(1),
			want: Decision{States: []State{state(Expiration, expiry, Pending)}, Next: expiry},
		},
		"a moment before it the parameter is there": {
			policies: []Policy{expires(expiry)}, modified: changed, now: expiry.Add(-1), recorded: []State{state(Expiration, expiry, Pending)},
			want: Decision{States: []State{state(Expiration, expiry, Pending)}, Next: expiry},
		},
		"at its time it is deleted": {
			policies: []Policy{expires(expiry)}, modified: changed, now: expiry, recorded: []State{state(Expiration, expiry, Pending)},
			want: Decision{States: []State{state(Expiration, expiry, InProgress)}, Expired: true, Delete: true},
		},
		"and long after it, whatever a crash left": {
			policies: []Policy{expires(expiry)}, modified: changed, now: day(400), recorded: []State{state(Expiration, expiry, InProgress)},
			want: Decision{States: []State{state(Expiration, expiry, InProgress)}, Expired: true, Delete: true},
		},
		"status knows whole seconds": {
			policies: []Policy{expires(expiry.Add(870 * time.Millisecond))}, modified: changed, now: day(11), recorded: []State{state(Expiration, expiry, Pending)},
			want: Decision{States: []State{state(Expiration, expiry.Add(870*time.Millisecond), InProgress)}, Expired: true, Delete: true},
		},
		"an expiry that had passed when it was set deletes nothing": {
			policies: []Policy{expires(expiry)}, modified: changed, now: day(11),
			want: Decision{States: []State{state(Expiration, expiry, Failed)}, Expired: true},
		},
		"and never does": {
			policies: []Policy{expires(expiry)}, modified: changed, now: day(12), recorded: []State{state(Expiration, expiry, Failed)},
			want: Decision{States: []State{state(Expiration, expiry, Failed)}, Expired: true},
		},
		"nor does one that took the place of another that was waited for": {
			policies: []Policy{expires(day(5))}, modified: changed, now: day(6), recorded: []State{state(Expiration, expiry, Pending)},
			want: Decision{States: []State{state(Expiration, day(5), Failed)}, Expired: true},
		},
		"nor of an object that was made after it, whatever a backup has put back into its status": {
			policies: []Policy{expires(expiry)}, modified: changed, created: expiry, now: day(11), recorded: []State{state(Expiration, expiry, Pending)},
			want: Decision{States: []State{state(Expiration, expiry, Failed)}, Expired: true},
		},
		"but of one that was made a moment before it": {
			policies: []Policy{expires(expiry)}, modified: changed, created: expiry.Add(-1), now: day(11), recorded: []State{state(Expiration, expiry, Pending)},
			want: Decision{States: []State{state(Expiration, expiry, InProgress)}, Expired: true, Delete: true},
		},
		"a later one keeps it": {
			policies: []Policy{expires(day(20))}, modified: changed, now: day(11), recorded: []State{state(Expiration, expiry, InProgress)},
			want: Decision{States: []State{state(Expiration, day(20), Pending)}, Next: day(20)},
		},
		"what has no version is deleted, too, so that its name is free": {
			policies: []Policy{expires(expiry)}, now: day(11), recorded: []State{state(Expiration, expiry, Pending)},
			want: Decision{States: []State{state(Expiration, expiry, InProgress)}, Expired: true, Delete: true},
		},
		"but not if its expiry had passed before": {
			policies: []Policy{expires(expiry)}, now: day(11),
			want: Decision{States: []State{state(Expiration, expiry, Failed)}, Expired: true},
		},
		"notifications are waited for, the first first": {
			policies: []Policy{after(20, Days), expires(expiry), before(3, Days), before(12, Hours)}, modified: changed, now: day(1),
			want: Decision{States: []State{
				state(NoChangeNotification, day(20), Pending), state(Expiration, expiry, Pending), state(ExpirationNotification, day(7), Pending),
				state(ExpirationNotification, expiry.Add(-12*time.Hour), Pending),
			}, Next: day(7)},
		},
		"one that is due is made": {
			policies: []Policy{expires(expiry), before(3, Days), before(12, Hours)}, modified: changed, now: day(7),
			recorded: []State{state(Expiration, expiry, Pending), state(ExpirationNotification, day(7), Pending)},
			want: Decision{States: []State{
				state(Expiration, expiry, Pending), state(ExpirationNotification, day(7), Pending), state(ExpirationNotification, expiry.Add(-12*time.Hour), Pending),
			}, Notices: []int{1}, Next: expiry.Add(-12 * time.Hour)},
		},
		"and not twice": {
			policies: []Policy{expires(expiry), before(3, Days)}, modified: changed, now: day(8), recorded: []State{state(ExpirationNotification, day(7), Finished)},
			want: Decision{States: []State{state(Expiration, expiry, Pending), state(ExpirationNotification, day(7), Finished)}, Next: expiry},
		},
		"but again of another expiry": {
			policies: []Policy{expires(expiry.AddDate(0, 0, 1)), before(3, Days)}, modified: changed, now: day(9), recorded: []State{state(ExpirationNotification, day(7), Finished)},
			want: Decision{States: []State{state(Expiration, day(11), Pending), state(ExpirationNotification, day(8), Pending)}, Notices: []int{1}, Next: day(11)},
		},
		"none is made of what has expired": {
			policies: []Policy{expires(expiry), before(3, Days), after(1, Days)}, modified: changed, now: day(11), recorded: []State{state(Expiration, expiry, Pending)},
			want: Decision{States: []State{
				state(Expiration, expiry, InProgress), state(ExpirationNotification, day(7), Pending), state(NoChangeNotification, day(2-1), Pending),
			}, Expired: true, Delete: true},
		},
		"a parameter that nobody changes is told of once for each version": {
			policies: []Policy{after(20, Hours)}, modified: changed, now: changed.Add(20 * time.Hour), recorded: []State{state(NoChangeNotification, changed, Finished)},
			want: Decision{States: []State{state(NoChangeNotification, changed.Add(20*time.Hour), Pending)}, Notices: []int{0}},
		},
		"without a version there is nothing that could have changed": {
			policies: []Policy{after(20, Hours)}, now: changed,
			want: Decision{States: []State{state(NoChangeNotification, time.Time{}, Pending)}},
		},
		"a time that cannot be read deletes nothing": {
			policies: []Policy{{Type: Expiration, Timestamp: "2026-12-02T23:59:60Z"}}, modified: changed, now: day(11), recorded: []State{state(Expiration, expiry, Pending)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got := Decide(Facts{Policies: tt.policies, Modified: tt.modified, Created: tt.created, Recorded: tt.recorded, Now: tt.now})
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
}

// Whatever was recorded, a decision that follows from the one before changes nothing more, and what was told is not told again.
func TestADecisionThatIsRecordedIsNotMadeAgain(t *testing.T) {
	policies := []Policy{expires(expiry), before(3, Days), before(72, Hours), after(2, Days)}
	var recorded []State
	told := map[int]int{}
	for now := changed; now.Before(expiry); now = now.Add(time.Hour) {
		d := Decide(Facts{Policies: policies, Modified: changed, Recorded: recorded, Now: now})
		for _, at := range d.Notices {
			told[at]++
		}
		if recorded = d.Made(); d.Delete || d.Expired {
			t.Fatalf("it is deleted at %s", now)
		}
		again := Decide(Facts{Policies: policies, Modified: changed, Recorded: recorded, Now: now})
		if len(again.Notices) > 0 || !reflect.DeepEqual(again.States, recorded) {
			t.Fatalf("at %s once more: %+v", now, again)
		}
	}
	if !reflect.DeepEqual(told, map[int]int{1: 1, 2: 1, 3: 1}) {
		t.Errorf("told: %v", told)
	}
	if d := Decide(Facts{Policies: policies, Modified: changed, Recorded: recorded, Now: expiry}); !d.Delete {
		t.Error("it is not deleted")
	}
}
