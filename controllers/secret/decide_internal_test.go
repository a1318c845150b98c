package secret

import (
	"errors"
	"testing"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/schedule"
)

func TestDecideRotation(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	daily := &v1alpha1.SecretRotation{Schedule: "rate(1 days)"}
	tests := []struct {
		name string
		in   rotationInput
		want trigger
		next bool
	}{
		{"nothing is asked for", rotationInput{hasCurrent: true, generated: true}, triggerNone, false},
		{"there is no version yet", rotationInput{generated: true}, triggerFirst, false},
		{"there is no version yet, with a schedule", rotationInput{generated: true, rotation: daily}, triggerFirst, true},
		{"the annotation is new", rotationInput{hasCurrent: true, generated: true, requested: "a"}, triggerRequested, false},
		{"the annotation is another", rotationInput{hasCurrent: true, generated: true, requested: "b", handled: "a"}, triggerRequested, false},
		{"the annotation was handled", rotationInput{hasCurrent: true, generated: true, requested: "a", handled: "a"}, triggerNone, false},
		{"the annotation was taken off", rotationInput{hasCurrent: true, generated: true, handled: "a"}, triggerNone, false},
		{"the schedule is not due", rotationInput{hasCurrent: true, generated: true, rotation: daily, last: now}, triggerNone, true},
		{"the schedule is due", rotationInput{hasCurrent: true, generated: true, rotation: daily, last: now.Add(-35 * time.Hour)}, triggerScheduled, true},
		{"both are due: once", rotationInput{hasCurrent: true, generated: true, rotation: daily, last: now.Add(-35 * time.Hour), requested: "a"}, triggerRequested, true},
		{"RotateSecret has begun one", rotationInput{hasCurrent: true, generated: true, begun: true}, triggerRequested, false},
		{"RotateSecret has begun one of a rotator", rotationInput{hasCurrent: true, rotated: true, begun: true}, triggerRequested, false},
		{"RotateSecret has begun the first one, by a function", rotationInput{rotated: true, begun: true}, triggerFirst, false},
		{"rotation is turned off, and due", rotationInput{hasCurrent: true, generated: true, resting: true, rotation: daily, last: now.Add(-35 * time.Hour)}, triggerNone, false},
		{"rotation is turned off, and asked for", rotationInput{hasCurrent: true, generated: true, resting: true, requested: "a"}, triggerNone, false},
		{"an imported value has no rotation", rotationInput{requested: "a"}, triggerNone, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.in.now, tt.in.seed = now, "uid"
			got, err := decideRotation(tt.in)
			if err != nil || got.trigger != tt.want || got.next.IsZero() == tt.next {
				t.Errorf("%+v, %v", got, err)
			}
			if tt.next && !got.next.After(now) {
				t.Errorf("the next rotation, %s, is not in the future", got.next)
			}
		})
	}
}

func TestABadScheduleIsAnErrorEvenWhenNothingIsDue(t *testing.T) {
	for schedule_, want := range map[string]error{"cron(0 4 31 2 ? *)": schedule.ErrNeverFires, "cron(nonsense)": schedule.ErrInvalid} {
		for _, hasCurrent := range []bool{false, true} {
			got, err := decideRotation(rotationInput{
				hasCurrent: hasCurrent, generated: true, now: time.Now(), last: time.Now(),
				rotation: &v1alpha1.SecretRotation{Schedule: schedule_},
			})
			if !errors.Is(err, want) || got.trigger != triggerNone {
				t.Errorf("%s: %+v, %v", schedule_, got, err)
			}
		}
	}
}
