package secret

import (
	"fmt"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/schedule"
)

// trigger is why a version is made or found.
type trigger string

const (
	// triggerNone: the current version stays.
	triggerNone trigger = ""
	// triggerFirst: there is no current version yet.
	triggerFirst trigger = "First"
	// triggerRequested: the rotate annotation has a value that was not handled yet, or RotateSecret has begun a rotation.
	triggerRequested trigger = "Requested"
	// triggerScheduled: a rotation window is open.
	triggerScheduled trigger = "Scheduled"
	// triggerDrifted: the server takes the current version's password no more.
	triggerDrifted trigger = "Drifted"
	// triggerImported: the import source has another value.
	triggerImported trigger = "Imported"
	// triggerResumed: an earlier pass ended between Envelope and status.
	triggerResumed trigger = "Resumed"
	// triggerRestored: the index was rebuilt.
	triggerRestored trigger = "Restored"
)

// rotationInput is all that the decision to rotate depends on.
type rotationInput struct {
	// hasCurrent tells whether there is a current version; generated whether the first value is made here, and rotated whether a
	// rotator makes the next ones.
	hasCurrent, generated, rotated bool
	// begun tells whether RotateSecret has begun a rotation whose version is to be made; resting whether spec has rotation turned off.
	begun, resting bool
	// requested is the rotate annotation; handled is its value that was handled last.
	requested, handled string
	// rotation is the schedule, nil for none.
	rotation *v1alpha1.SecretRotation
	// last is when the value last changed.
	last, now time.Time
	// seed spreads secrets of one schedule over its window.
	seed string
}

// rotationDecision is what to do now, and when the schedule next wants something.
type rotationDecision struct {
	trigger trigger
	// next is the time of the next scheduled rotation, zero without a schedule.
	next time.Time
}

// decideRotation is the decision whether to make a new version of a generated secret. An invalid schedule is an error
// even when nothing is due, so that users learn of it at once; a rotation by annotation waits for it to be mended.
func decideRotation(in rotationInput) (rotationDecision, error) {
	if !in.generated && !in.begun && (!in.rotated || !in.hasCurrent) {
		return rotationDecision{}, nil
	}
	out := rotationDecision{trigger: in.asked()}
	if in.rotation == nil || in.rotation.Schedule == "" {
		return out, nil
	}
	plan, err := schedule.NewPlan(in.rotation.Schedule, in.rotation.Duration)
	if err != nil {
		return rotationDecision{}, fmt.Errorf("spec.rotation: %w", err)
	}
	if in.resting {
		return out, nil
	}
	if out.trigger == triggerNone {
		decision := plan.Decide(in.last, in.now, in.seed)
		if !decision.Due {
			out.next = decision.At
			return out, nil
		}
		out.trigger = triggerScheduled
	}
	out.next = plan.Decide(in.now, in.now, in.seed).At // every new version counts as a rotation, the first one too
	return out, nil
}

// asked is why a version is wanted whatever the schedule says.
func (in *rotationInput) asked() trigger {
	switch {
	case in.resting:
	case !in.hasCurrent:
		return triggerFirst
	case in.begun || in.requested != "" && in.requested != in.handled:
		return triggerRequested
	}
	return triggerNone
}
