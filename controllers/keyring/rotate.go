package keyring

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/schedule"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/store"
)

// defaultPeriodInDays is the period of automatic rotation where none is named: that of KMSKeys.
const defaultPeriodInDays = 365

// soon is when a request is looked at that came while another was answered.
const soon = time.Second

var errTooManyDomainKeys = errors.New("too many domain keys")

// rotationInput is all that the decision to rotate the domain key depends on.
type rotationInput struct {
	// current is the epoch of the keyring's current domain key, and created when that was made; known is the epoch that status names, 0 for none.
	current, known int64
	created        time.Time
	domainKeys     int
	// requested is the rotate annotation; handled is its value that was handled last, and answered the one that the current domain key was made for, if that says so.
	requested, handled string
	answered           *string
	// periodInDays is 0 where automatic rotation is off.
	periodInDays int
	now          time.Time
	seed         string
}

type rotationDecision struct {
	// rotate tells that a domain key is to be made.
	rotate bool
	// next is the time of the next automatic rotation, zero for none.
	next time.Time
	// handled is the request that was handled last, as far as the domain keys tell.
	handled string
}

// decideRotation is the decision whether to make another domain key. One that status does not know of, since it was lost or a pass died before it wrote
// status, says which request it is the answer to: another that has come since is another rotation. One that says nothing may be the answer to this one.
func decideRotation(in rotationInput) (out rotationDecision, refused error) {
	if in.known < in.current {
		in.handled = in.requested
		if in.answered != nil {
			in.handled = *in.answered
		}
	}
	out.handled = in.handled
	out.rotate = in.requested != "" && in.requested != in.handled
	if in.periodInDays > 0 {
		d := schedule.DecidePeriod(in.created, in.now, in.periodInDays, in.seed)
		out.next = d.At
		out.rotate = out.rotate || d.Due // which answers a request too
	}
	if out.rotate && in.domainKeys >= keyring.MaxDomainKeys {
		return rotationDecision{handled: in.handled}, fault.Stalled(v1alpha1.ReasonTooManyDomainKeys, fmt.Errorf("%w: there are %d, and more are not opened; remove the annotation %s, and set spec.rotation.enabled to false",
			errTooManyDomainKeys, in.domainKeys, v1alpha1.RotateAnnotation))
	}
	return out, nil
}

func period(spec *v1alpha1.DomainKeyRotation) int {
	switch {
	case spec == nil || !spec.Enabled:
		return 0
	case spec.PeriodInDays == 0:
		return defaultPeriodInDays
	}
	return int(spec.PeriodInDays)
}

// rotate makes the next domain key if it is time, or if it was asked for.
//
// Crash-safe: the domain key is one write, under a name that the API server lets one writer make, with the request that it answers, and status the second, which
// says that the request was handled. A pass that finds a domain key which status does not name takes it for the answer to that request.
func (r *Reconciler) rotate(ctx context.Context, p *pass) error {
	status := &p.keyring.Status
	in := rotationInput{
		current: p.ring.CurrentEpoch(), known: status.CurrentEpoch, created: created(p), domainKeys: len(p.stored),
		requested: conditions.Echo(p.keyring.Annotations[v1alpha1.RotateAnnotation]), handled: status.LastHandledRotateAt,
		answered: answered(p), periodInDays: period(p.keyring.Spec.Rotation), now: p.now, seed: string(p.keyring.UID),
	}
	decision, refused := decideRotation(in)
	if decision.rotate && refused == nil {
		if err := r.DomainKeys.Reach(ctx); err != nil {
			decision, refused = rotationDecision{next: decision.next, handled: decision.handled}, fault.Waiting(v1alpha1.ReasonRootUnavailable, fmt.Errorf("the domain key is rotated when the root of trust is reached: %w", err))
		}
	}
	if decision.rotate {
		if err := r.DomainKeys.Rotate(ctx, r.Store, in.current, in.requested); err != nil {
			return fmt.Errorf("rotating the domain key: %w", err)
		}
		if err := r.open(ctx, p); err != nil {
			return err
		}
		p.rotated = true
		decision.next = time.Time{}
		if in.periodInDays > 0 {
			decision.next = schedule.DecidePeriod(created(p), p.now, in.periodInDays, in.seed).At
		}
	}
	status.CurrentEpoch, status.DomainKeys = p.ring.CurrentEpoch(), int32(len(p.stored)) // MaxDomainKeys at most
	status.LastRotatedTime, status.NextRotationTime = timeOf(created(p)), timeOf(decision.next)
	if p.refused = refused; refused != nil {
		status.LastHandledRotateAt = decision.handled
		return nil
	}
	status.LastHandledRotateAt = in.requested
	if request := answered(p); p.rotated && request != nil && *request != in.requested { // another manager was faster, for another request
		status.LastHandledRotateAt = *request
		p.requeue = min(p.requeue, soon)
	}
	if !decision.next.IsZero() {
		p.requeue = min(p.requeue, max(decision.next.Sub(p.now), time.Second))
	}
	return nil
}

// answered is the request that the current domain key was made for, nil if it does not say.
func answered(p *pass) *string {
	if len(p.stored) == 0 {
		return nil
	}
	request, known := store.Answers(&p.stored[len(p.stored)-1])
	if !known {
		return nil
	}
	return &request
}

// created is when the current domain key was made.
func created(p *pass) time.Time {
	if len(p.stored) == 0 {
		return time.Time{}
	}
	newest, noted := &p.stored[len(p.stored)-1], p.now // which progress notes, of all but the first
	if rewrap := p.keyring.Status.Rewrap; rewrap != nil && rewrap.Epoch == newest.Spec.Sequence {
		noted = rewrap.StartedTime.UTC()
	} else if newest.Spec.Sequence == 1 {
		noted = newest.CreationTimestamp.UTC()
	}
	return madeAt(newest.Spec.CreatedTime.UTC(), noted, p.now)
}

// madeAt is when a domain key was made that says when, by the clock of who made it, and was noted at another time. One that says that it is of the future would hold back
// its rewrap and the next rotation until then: it was made no later than it was noted.
func madeAt(says, noted, now time.Time) time.Time {
	if noted.After(now) {
		noted = now
	}
	if says.After(noted.Add(settling)) { // and not by clocks that differ a little
		return noted
	}
	return says
}

func timeOf(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	out := metav1.NewTime(t).Rfc3339Copy()
	return &out
}
