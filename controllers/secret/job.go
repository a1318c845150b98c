package secret

import (
	"context"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	corerotation "strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/service/rotation"
)

// jobCheck is how often a Job that has not ended is looked at. That it has ended is seen at once; this is for one that never does.
const jobCheck = time.Minute

// rotateByJob takes a rotation by Jobs as far as it goes in this pass: it makes the Job of the next step, or takes note of one that has ended.
// Nothing waits for a Job. The Jobs write versions and move stages themselves, through the gateway.
//
// Crash-safe by its order, as a rotation by a function is: the version's id is committed before a Job hears of it, and a step is done when the
// one after it is committed. A Job's name tells the rotation, the step and the attempt, so that none is made twice.
func (r *Reconciler) rotateByJob(ctx context.Context, p *pass, why trigger) error {
	if wait := p.holdRotation(); wait > 0 {
		p.lookAgain(wait)
		return p.unfinished(nil)
	}
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
	for {
		if again, err := r.jobStep(ctx, p); err != nil || !again {
			return err
		}
	}
}

// jobStep makes the Job of the next step, and takes note of it if it has ended. again tells that the step is done and another one follows.
func (r *Reconciler) jobStep(ctx context.Context, p *pass) (again bool, err error) {
	run := p.run()
	done, failed := r.Rotations.RunJob(ctx, p.rotation(), run)
	if !done && failed == nil {
		p.lookAgain(jobCheck)
		return false, p.unfinished(nil)
	}
	if err := r.reread(ctx, p); err != nil {
		return false, err
	}
	if state := p.secret.Status.Rotation; state == nil || state.VersionID != run.VersionID {
		return false, p.unfinished(nil) // it was cancelled meanwhile
	}
	if failed == nil && run.Step == corerotation.StepFinish {
		failed = p.broughtIn(run.VersionID)
	}
	if failed != nil {
		return false, r.functionFailed(p, run.Step, failed)
	}
	began := beganAt(p.secret)
	p.stepDone(run.Step)
	if state := p.secret.Status.Rotation; state != nil {
		state.Attempts = run.Attempt // those of the whole rotation: no Job's name comes twice in it
	}
	if err := r.checkpoint(ctx, p); err != nil {
		return false, err
	}
	if err := r.Rotations.DeleteJob(ctx, p.secret, run); err != nil { // it goes by itself in a day
		ctrl.LoggerFrom(ctx).Error(err, "deleting the Job of a step that is done")
	}
	if run.Step == corerotation.StepFinish {
		countRotation(p.secret, began, r.Now())
		r.reporter().Tell(p.secret, rotated(false))
		return false, nil
	}
	return true, nil
}

// run is the next step of the rotation in progress.
func (p *pass) run() rotation.JobRun {
	state := p.secret.Status.Rotation
	return rotation.JobRun{
		VersionID: state.VersionID, Started: state.StartedTime.Time, Step: nextStep(state), Attempt: state.Attempts, Now: p.now,
	}
}

// jobEnded lets the end of a Job through, and that it is gone. Its beginning is this controller's own.
var jobEnded = predicate.Funcs{
	CreateFunc: func(event.CreateEvent) bool { return false },
	UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(*batchv1.Job)
		after, ok2 := e.ObjectNew.(*batchv1.Job)
		return ok1 && ok2 && rotation.Ended(before) != rotation.Ended(after)
	},
}
