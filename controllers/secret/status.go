package secret

import (
	"context"
	"errors"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// summarise puts what this pass came to into status and ends it. Writing status is the commit point of new versions.
func (r *Reconciler) summarise(ctx context.Context, p *pass, err error) (ctrl.Result, error) {
	if errors.Is(err, passes.ErrSuspended) {
		p.secret.Status.ObservedGeneration = p.secret.Generation
		return r.reporter().Suspended(ctx, p.before, p.secret, "nothing is rotated, imported or projected")
	}
	status := &p.secret.Status
	prune := r.Secrets.Versions().LetGo(ctx, p.subject(), p.commit())
	if p.former.ObservedGeneration != p.secret.Generation { // spec was changed, and this pass is the first to see it
		secretsmanager.Changed(status, p.now)
	}
	status.ObservedGeneration = p.secret.Generation
	return r.reporter().End(ctx, &outcome.Pass{
		Before: p.before, Object: p.secret, Err: err, Message: secretsmanager.MessageInForce, Requeue: p.requeue,
		Committed: func(ctx context.Context) error {
			if err == nil && p.trigger == triggerRestored {
				r.reporter().Tell(p.secret, outcome.Restored(p.arn, len(p.index)))
			}
			return prune(ctx)
		},
		Quiet:   []string{v1alpha1.ReasonKeyUnusable}, // the key tells it
		Patient: []string{v1alpha1.ReasonSourceNotFound, v1alpha1.ReasonConflict},
	})
}

func (r *Reconciler) reporter() outcome.Reporter {
	return outcome.Reporter{Client: r.Client, Events: r.Events, Now: r.Now}
}

// commit puts the facts of this pass into status and returns the versions that the index let go. The index is committed once
// it is known, whatever the later steps said: a version that could not be made, or a projection, is tried again.
func (p *pass) commit() versions.Index {
	status := &p.secret.Status
	status.LastHandledReconcileAt = conditions.Echo(p.secret.Annotations[v1alpha1.ReconcileAnnotation])
	if !p.indexed {
		return nil
	}
	p.noteRotation()
	if p.versioned || p.trigger == triggerResumed || p.trigger == triggerRestored {
		status.LastHandledRotateAt = p.requested()
		status.ImportedFrom = p.importedFrom
	}
	return secretsmanager.Record(status, p.arn, p.index, p.now)
}

// requested is the rotate annotation as status echoes it.
func (p *pass) requested() string {
	return conditions.Echo(p.secret.Annotations[v1alpha1.RotateAnnotation])
}

// scheduled notes when the schedule next wants a rotation. It is called when the one that is due is done, so that a rotation
// that fails stays due to be seen.
func (p *pass) scheduled(decision rotationDecision) {
	p.secret.Status.NextRotationTime = nil
	if decision.next.IsZero() {
		return
	}
	next := metav1.NewTime(decision.next).Rfc3339Copy()
	p.secret.Status.NextRotationTime = &next
	p.lookAgain(max(decision.next.Sub(p.now), time.Second))
}

// lookAgain asks for another pass after d, or sooner if something else asks for it.
func (p *pass) lookAgain(d time.Duration) {
	if p.requeue == 0 || d < p.requeue {
		p.requeue = d
	}
}
