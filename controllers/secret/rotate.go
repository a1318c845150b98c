package secret

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/internal/conditions"
	corerotation "strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/generation"
	"strongroom.dev/strongroom/internal/service/rotation"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// rotating tells that a rotation is in progress: AWSPENDING is on another version than AWSCURRENT, and not for a test.
func (p *pass) rotating() bool {
	_, is := secretsmanager.Pending(p.secret, p.index)
	return is
}

// goesOn tells that a rotation is to be gone on with: status names it, or lost it and AWSPENDING tells.
func (p *pass) goesOn() bool { return p.inProgress() || p.rotating() && !p.resting() }

// rotateBy rotates by the rotator that spec names.
func (r *Reconciler) rotateBy(ctx context.Context, p *pass, why trigger) error {
	switch {
	case p.secret.Spec.Rotation.ByFunction() != nil:
		return r.rotateByFunction(ctx, p, why)
	case p.secret.Spec.Rotation.ByJob() != nil:
		return r.rotateByJob(ctx, p, why)
	}
	return r.rotate(ctx, p, r.Rotations.Of(p.secret), why)
}

// rotate takes a rotation as far as it goes in this pass: createSecret, a commit, setSecret and testSecret, finishSecret, a commit.
//
// Crash-safe by its order: what the server is told is stored and committed before; AWSCURRENT moves, and with it the projection, once the
// server has accepted it. A pass that ends anywhere is gone on with by the next, for AWSPENDING says how far it came and the steps after
// it may be repeated. The version that is in force stays so until the end, whatever fails.
func (r *Reconciler) rotate(ctx context.Context, p *pass, rotator rotation.Rotator, why trigger) error {
	if wait := p.holdRotation(); wait > 0 {
		p.lookAgain(wait)
		return p.unfinished(nil)
	}
	release, wait := r.slot(p)
	if release == nil {
		p.waits = true
		if state := p.secret.Status.Rotation; state != nil {
			state.NextAttemptTime = nil // it was time, or somebody asked, who is not asked to ask again
		}
		p.lookAgain(wait)
		return p.unfinished(nil)
	}
	defer release()
	return r.carryOut(ctx, p, rotator, why)
}

// carryOut is rotate, with a slot.
func (r *Reconciler) carryOut(ctx context.Context, p *pass, rotator rotation.Rotator, why trigger) error {
	if !p.rotating() {
		if err := r.createSecret(ctx, p, rotator); err != nil {
			p.waits = true // what was asked for is owed until it is begun
			return r.rotationFailed(p, corerotation.StepCreate, err)
		}
		if p.trigger = why; why == triggerDrifted {
			now := metav1.NewTime(p.now).Rfc3339Copy()
			p.secret.Status.RotationTest.HealedTime = &now // with the commit of the version that heals, and not before there is one
		}
	}
	p.versioned = true // what was asked for is begun, and is not begun twice
	if err := r.checkpoint(ctx, p); err != nil {
		return err
	}
	return r.bringIn(ctx, p, rotator)
}

// slot asks for one of the slots in which servers are talked to. If release is nil, it is to be asked for again after wait.
func (r *Reconciler) slot(p *pass) (release func(), wait time.Duration) {
	release, wait = r.Slots.Acquire(p.secret.Namespace, string(p.secret.UID))
	rotationsWaiting.Set(float64(r.Slots.Waiting()))
	return release, wait
}

// createSecret stores the next value under AWSPENDING.
func (r *Reconciler) createSecret(ctx context.Context, p *pass, rotator rotation.Rotator) error {
	value, err := r.nextValue(ctx, p, rotator)
	if err != nil {
		return err
	}
	defer value.Wipe()
	if _, err = r.add(ctx, p, value, versions.Pending); err == nil && !p.rotating() {
		err = errOvertaken
	}
	return err
}

var errOvertaken = errors.New("another version was stored at the same time; it is taken up, and the rotation comes after")

// nextValue derives a value from the current one. Without one it is the first, which the generator makes.
func (r *Reconciler) nextValue(ctx context.Context, p *pass, rotator rotation.Rotator) (secretbytes.Bytes, error) {
	if _, has := p.index.ByStage(versions.Current); has {
		return rotator.Create(ctx, p.rotation())
	}
	if p.secret.Spec.Generate == nil { // RotateSecret began a rotation of what has no value
		return secretbytes.Bytes{}, fault.Waiting(v1alpha1.ReasonNoValue, errNoValue)
	}
	if err := generation.Validate(p.secret.Spec.Generate); err != nil {
		return secretbytes.Bytes{}, err
	}
	return generation.Of(p.secret.Spec.Generate).Generate(nil)
}

// bringIn makes the pending version good, proves it, and moves AWSCURRENT to it.
func (r *Reconciler) bringIn(ctx context.Context, p *pass, rotator rotation.Rotator) error {
	began := beganAt(p.secret)
	out, err := rotator.Set(ctx, p.rotation())
	switch {
	case errors.Is(err, corerotation.ErrInForce):
		return p.giveUp()
	case errors.Is(err, corerotation.ErrForeign) && !p.anew:
		return r.anew(ctx, p, rotator)
	case err != nil:
		return r.rotationFailed(p, corerotation.StepSet, err)
	}
	user, err := rotator.Test(ctx, p.rotation())
	if err != nil {
		return r.rotationFailed(p, corerotation.StepTest, err)
	}
	if err := p.finishSecret(user); err != nil {
		return err
	}
	if err := r.checkpoint(ctx, p); err != nil {
		return err
	}
	countRotation(p.secret, began, r.Now())
	r.reporter().Tell(p.secret, rotated(out.Healed || p.trigger == triggerDrifted))
	if out.Volatile {
		r.reporter().Tell(p.secret, volatile)
	}
	return nil
}

// giveUp ends a rotation whose pending version is of the user in force, since AWSCURRENT was moved back to that one, or the strategy is another: to set the other user at once could end what workloads hold.
func (p *pass) giveUp() error {
	pending, _ := p.index.ByStage(versions.Pending)
	without, err := p.index.Move(versions.Pending, pending.ID, "")
	if err != nil {
		return fmt.Errorf("taking AWSPENDING away: %w", err)
	}
	p.index, p.secret.Status.Rotation = without, nil
	meta.RemoveStatusCondition(&p.secret.Status.Conditions, v1alpha1.ConditionRotationFailing)
	return nil
}

// anew derives another pending version in the place of one with which no attempt can succeed, since it does not follow what is in force, or what spec.generate says, by now. The former stays stored, without
// a stage, for as long as any: should the server have accepted it in an earlier attempt, it is to be had.
func (r *Reconciler) anew(ctx context.Context, p *pass, rotator rotation.Rotator) error {
	p.anew = true
	if err := r.createSecret(ctx, p, rotator); err != nil { // which takes AWSPENDING along
		return r.rotationFailed(p, corerotation.StepCreate, err)
	}
	p.secret.Status.Rotation = nil
	if err := r.checkpoint(ctx, p); err != nil {
		return err
	}
	return r.bringIn(ctx, p, rotator)
}

// finishSecret moves AWSCURRENT to the pending version, whose user is known by a digest, and takes AWSPENDING away.
func (p *pass) finishSecret(user string) error {
	pending, _ := p.index.ByStage(versions.Pending)
	from := ""
	if current, has := p.index.ByStage(versions.Current); has {
		from = current.ID
	}
	moved, err := p.index.Move(versions.Current, from, pending.ID)
	if err == nil {
		moved, err = moved.Move(versions.Pending, pending.ID, "")
	}
	if err != nil {
		return fmt.Errorf("moving AWSCURRENT: %w", err)
	}
	p.index = moved
	p.secret.Status.Rotation = nil
	p.rotated(user)
	meta.RemoveStatusCondition(&p.secret.Status.Conditions, v1alpha1.ConditionRotationFailing)
	return nil
}

func (p *pass) rotation() *rotation.Rotation {
	return &rotation.Rotation{Secret: p.secret, ARN: p.arn, Index: p.index}
}

// checkpoint commits in the middle of a pass. The write is on the condition that nobody has changed the object since it was read.
func (r *Reconciler) checkpoint(ctx context.Context, p *pass) error {
	prune := r.Secrets.Versions().LetGo(ctx, p.subject(), p.commit())
	if err := r.reporter().Write(ctx, p.before, p.secret); err != nil {
		return err
	}
	p.before = p.secret.DeepCopy()
	return prune(ctx)
}

// noteRotation has status name the rotation that is in progress, and no other.
func (p *pass) noteRotation() {
	status := &p.secret.Status
	rotates := p.secret.Spec.Rotation.Rotator() && !p.resting()
	if !rotates {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionRotationFailing)
	}
	if p.inProgress() {
		return
	}
	status.Rotation = nil
	if pending, has := p.index.ByStage(versions.Pending); has && rotates && p.rotating() {
		status.Rotation = &v1alpha1.RotationStatus{VersionID: pending.ID, StartedTime: metav1.NewTime(p.now).Rfc3339Copy()}
	}
}

// resting tells that nothing rotates, by spec.
func (p *pass) resting() bool { return secretsmanager.Resting(p.secret, p.index) }

// begun is the id of the version that a rotation is to make, empty if there is none.
func (p *pass) begun() string { return secretsmanager.Begun(p.secret, p.index) }

// inProgress tells that the rotation which status names goes on.
func (p *pass) inProgress() bool { return secretsmanager.InProgress(p.secret, p.index) }

const (
	// firstBackoff and longestBackoff are the waits between attempts, which double.
	firstBackoff   = 5 * time.Second
	longestBackoff = 10 * time.Minute
)

// backoff is the wait after so many failed attempts.
func backoff(attempts int32) time.Duration {
	return min(firstBackoff<<min(max(attempts-1, 0), 16), longestBackoff)
}

// holdRotation is how long to wait before the next attempt. Somebody who changes spec, or asks for a pass or a rotation, is not made to
// wait.
func (p *pass) holdRotation() time.Duration {
	state := p.former.Rotation
	if state == nil || state.NextAttemptTime == nil || p.asked() || p.former.ObservedGeneration != p.secret.Generation {
		return 0
	}
	return min(state.NextAttemptTime.Sub(p.now), longestBackoff) // the clock may have been set back
}

// asked tells that somebody has asked for a pass or for a rotation since the last pass.
func (p *pass) asked() bool {
	return p.requested() != p.former.LastHandledRotateAt ||
		conditions.Echo(p.secret.Annotations[v1alpha1.ReconcileAnnotation]) != p.former.LastHandledReconcileAt
}

// rotationFailed notes a failed attempt and when the next is made. What is in force stays so and is shown: only a secret without a current
// version is not Ready for it.
func (r *Reconciler) rotationFailed(p *pass, step corerotation.Step, err error) error {
	status := &p.secret.Status
	rotationAttempts.WithLabelValues(rotatorOf(p.secret), fault.Of(err).Reason).Inc()
	r.tellFailing(p, step, err)
	if p.noteRotation(); status.Rotation != nil {
		status.Rotation.Step = string(step)
		status.Rotation.Attempts++
		next := metav1.NewTime(p.now.Add(backoff(status.Rotation.Attempts))).Rfc3339Copy()
		status.Rotation.NextAttemptTime = &next
		p.lookAgain(max(next.Sub(p.now), time.Second))
	} else {
		p.lookAgain(firstBackoff * 3)
	}
	return p.unfinished(err)
}

// tellFailing says in a condition that a step fails, and by an event if that is news.
func (r *Reconciler) tellFailing(p *pass, step corerotation.Step, err error) {
	f := fault.Of(err)
	set := &p.secret.Status.Conditions
	before := meta.FindStatusCondition(*set, v1alpha1.ConditionRotationFailing)
	news := before == nil || before.Reason != f.Reason
	message := string(step) + ": " + fault.Message(err)
	conditions.Set(set, p.secret.Generation, v1alpha1.ConditionRotationFailing, metav1.ConditionTrue, f.Reason, message)
	if news {
		r.reporter().Tell(p.secret, outcome.Happening{Type: corev1.EventTypeWarning, Reason: f.Reason, Action: "Rotate", Note: message})
	}
}

// unfinished is nil if there is a version in force, and otherwise says that the first one is not good yet.
func (p *pass) unfinished(err error) error {
	if _, has := p.index.ByStage(versions.Current); has {
		return nil
	}
	failing := meta.FindStatusCondition(p.secret.Status.Conditions, v1alpha1.ConditionRotationFailing)
	switch {
	case err == nil && failing != nil:
		err = fault.Waiting(failing.Reason, errors.New(failing.Message))
	case err == nil:
		err = fault.Waiting(v1alpha1.ReasonRotating, errRotating)
	}
	f := *fault.Of(err)
	f.RetryAfter = p.requeue
	return &f
}

var errRotating = errors.New("the first version is being set at the server that it is for")

func rotated(healed bool) outcome.Happening {
	if healed {
		return outcome.Happening{
			Type: corev1.EventTypeWarning, Reason: v1alpha1.ReasonCredentialHealed, Action: "Rotate",
			Note: "the server took another password than the current version's; a fresh one is set, and is the current version now",
		}
	}
	return outcome.Happening{
		Type: corev1.EventTypeNormal, Reason: v1alpha1.ReasonRotated, Action: "Rotate",
		Note: "the new version logs in and is the current one",
	}
}

var volatile = outcome.Happening{
	Type: corev1.EventTypeWarning, Reason: v1alpha1.ReasonPasswordVolatile, Action: "Rotate",
	Note: "the server has its users in memory alone, and loses the new password when it starts anew: give it a configuration file or an aclfile that it may write",
}
