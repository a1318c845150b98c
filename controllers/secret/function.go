package secret

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	corerotation "strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/rotation/function"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// steps are the steps in their order.
var steps = []corerotation.Step{corerotation.StepCreate, corerotation.StepSet, corerotation.StepTest, corerotation.StepFinish}

// writing is the time for what a pass does after a step.
const writing = 5 * time.Second

// rotateByFunction takes a rotation by a function as far as it goes in this pass. The function writes versions and moves stages itself, through
// the gateway; what is written here is which version is brought in, and which step comes next.
//
// Crash-safe by its order: the version's id is committed before the function hears of it, and a step is done when the one after it is
// committed. A pass that ends anywhere is gone on with by the next, which repeats the step that was in flight: AWS asks of functions that
// they may be called twice for one step and version.
func (r *Reconciler) rotateByFunction(ctx context.Context, p *pass, why trigger) error {
	if wait := p.holdRotation(); wait > 0 {
		p.lookAgain(wait)
		return p.unfinished(nil)
	}
	release, wait := r.slot(p)
	if release == nil {
		p.waits = true
		p.lookAgain(wait)
		return p.unfinished(nil)
	}
	defer release()
	if !p.inProgress() {
		if err := p.begin(); err != nil {
			return err
		}
		p.trigger = why
	}
	p.versioned = true
	if err := r.checkpoint(ctx, p); err != nil {
		return err
	}
	return r.callSteps(ctx, p)
}

// begin names the version of a new rotation: one that has AWSPENDING already, or one to be made.
func (p *pass) begin() error {
	pending, _ := secretsmanager.Pending(p.secret, p.index)
	id := pending.ID
	if id == "" {
		var err error
		if id, err = sealed.NewID(nil); err != nil {
			return err
		}
	}
	p.secret.Status.Rotation = &v1alpha1.RotationStatus{
		VersionID: id, StartedTime: metav1.NewTime(p.now).Rfc3339Copy(), Step: string(corerotation.StepCreate),
	}
	return nil
}

// callSteps has the function carry out one step after another, for as long as there is time for one more in this pass.
func (r *Reconciler) callSteps(ctx context.Context, p *pass) error {
	id := p.secret.Status.Rotation.VersionID
	for {
		step := nextStep(p.secret.Status.Rotation)
		err := r.Rotations.Invoke(ctx, p.rotation(), step, id)
		if err := r.reread(ctx, p); err != nil {
			return err
		}
		if state := p.secret.Status.Rotation; state == nil || state.VersionID != id {
			return p.unfinished(nil) // it was cancelled meanwhile
		}
		if err == nil && step == corerotation.StepFinish {
			err = p.broughtIn(id)
		}
		if err != nil {
			return r.functionFailed(p, step, err)
		}
		began := beganAt(p.secret)
		p.stepDone(step)
		if err := r.checkpoint(ctx, p); err != nil {
			return err
		}
		if step == corerotation.StepFinish {
			countRotation(p.secret, began, r.Now())
			r.reporter().Tell(p.secret, rotated(false))
			return nil
		}
		if end, limited := ctx.Deadline(); limited && time.Until(end) < function.Timeout+writing {
			p.lookAgain(time.Millisecond)
			return p.unfinished(nil)
		}
	}
}

// nextStep of a rotation in progress.
func nextStep(state *v1alpha1.RotationStatus) corerotation.Step {
	return corerotation.Step(state.Step).OrFirst()
}

// stepDone has status name the step after, or no rotation after the last one. Many functions leave AWSPENDING on the version that has
// AWSCURRENT now: it is taken away, as after every rotation here.
func (p *pass) stepDone(step corerotation.Step) {
	status := &p.secret.Status
	meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionRotationFailing)
	if step == corerotation.StepFinish {
		if tidy, err := p.index.Move(versions.Pending, status.Rotation.VersionID, ""); err == nil { // it holds it
			p.index = tidy
		}
		status.Rotation = nil
		p.rotated("")
		return
	}
	next := steps[slices.Index(steps, step)+1]
	status.Rotation.Step, status.Rotation.Attempts, status.Rotation.NextAttemptTime = string(next), 0, nil
}

// broughtIn says whether the function did what the four steps are for.
func (p *pass) broughtIn(id string) error {
	if v, stored := p.index.ByID(id); stored && v.Has(versions.Current) {
		return nil
	}
	reason := v1alpha1.ReasonFunctionFailed
	if p.secret.Spec.Rotation.ByJob() != nil {
		reason = v1alpha1.ReasonJobFailed
	}
	return fault.Waiting(reason, fmt.Errorf("%w: version %s has not got AWSCURRENT", errNotBroughtIn, id))
}

var errNotBroughtIn = errors.New("the rotation function ended without error and did not bring the version in")

// functionFailed is rotationFailed of a function. If it has left out something, it is asked for all of it again.
func (r *Reconciler) functionFailed(p *pass, step corerotation.Step, err error) error {
	again := r.rotationFailed(p, step, err)
	if state := p.secret.Status.Rotation; state != nil && errors.Is(err, errNotBroughtIn) {
		state.Step = string(corerotation.StepCreate)
	}
	return again
}

// reread takes up what a function has written through the gateway. If somebody has changed the spec meanwhile, this pass, which is of the
// former one, ends as if its write had come second.
func (r *Reconciler) reread(ctx context.Context, p *pass) error {
	live := &v1alpha1.Secret{}
	err := r.Live.Get(ctx, client.ObjectKeyFromObject(p.secret), live)
	if err != nil {
		return fmt.Errorf("reading Secret %s: %w", p.secret.Name, err)
	}
	if live.UID != p.secret.UID || live.Generation != p.secret.Generation || live.Status.ARN != p.arn || !live.DeletionTimestamp.IsZero() {
		return apierrors.NewConflict(schema.GroupResource{Group: v1alpha1.Group, Resource: "secrets"}, p.secret.Name, errChanged)
	}
	p.secret, p.before = live, live.DeepCopy()
	p.index, err = r.Secrets.Versions().Resume(ctx, p.subject(), secretsmanager.IndexOf(live))
	return err
}

var errChanged = errors.New("it was changed while its rotation function ran")
