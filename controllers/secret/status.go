package secret

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// summarise is the one place that writes status. The write carries the resource version that this pass read, so of two
// passes one commits and the other starts over; it is the commit point of new versions.
func (r *Reconciler) summarise(ctx context.Context, p *pass, err error) (ctrl.Result, error) {
	if errors.Is(err, errSuspended) {
		return ctrl.Result{}, r.suspended(ctx, p)
	}
	status := &p.secret.Status
	gone := p.commit()
	conditions.Summarise(&status.Conditions, p.secret.Generation, err, v1alpha1.ReasonSucceeded, secretsmanager.MessageInForce)
	if p.former.ObservedGeneration != p.secret.Generation { // spec was changed, and this pass is the first to see it
		secretsmanager.Changed(status, p.now)
	}
	status.ObservedGeneration = p.secret.Generation
	if writeErr := r.write(ctx, p); writeErr != nil {
		return ctrl.Result{}, errors.Join(err, writeErr)
	}
	if pruneErr := r.Secrets.Prune(ctx, p.secret.Namespace, p.secret.Name, p.arn, gone); pruneErr != nil {
		return ctrl.Result{}, errors.Join(err, pruneErr)
	}
	if err != nil {
		return r.failed(p, err)
	}
	if p.trigger == triggerRestored {
		r.event(p.secret, eventRestored(p.arn, len(p.index)))
	}
	return ctrl.Result{RequeueAfter: p.requeue}, nil
}

// commit puts the facts of this pass into status and returns the versions that the index let go. The index is committed once
// it is known, whatever the later steps said: a version that could not be made, or a projection, is tried again.
func (p *pass) commit() versions.Index {
	status := &p.secret.Status
	status.LastHandledReconcileAt = conditions.Echo(p.secret.Annotations[v1alpha1.ReconcileAnnotation])
	if !p.indexed {
		return nil
	}
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

func (r *Reconciler) write(ctx context.Context, p *pass) error {
	if equality.Semantic.DeepEqual(p.former, &p.secret.Status) {
		return nil
	}
	if err := r.Client.Status().Update(ctx, p.secret); err != nil {
		return fmt.Errorf("writing status: %w", err)
	}
	return nil
}

// failed decides when to look again. A fault that only somebody's change mends is no error to the queue.
func (r *Reconciler) failed(p *pass, err error) (ctrl.Result, error) {
	f := fault.Of(err)
	before := meta.FindStatusCondition(p.former.Conditions, v1alpha1.ConditionReady)
	news := before == nil || before.Reason != f.Reason || before.Status != metav1.ConditionFalse
	if news && f.Reason != v1alpha1.ReasonProgressing && f.Reason != v1alpha1.ReasonKeyUnusable {
		r.event(p.secret, eventFault(f))
	}
	if f.RetryAfter == 0 {
		return ctrl.Result{}, err
	}
	after := f.RetryAfter
	grows := f.Reason == v1alpha1.ReasonSourceNotFound || f.Reason == v1alpha1.ReasonConflict
	if grows && !f.Stalled && !news { // what costs a request, and is waited for in vain, is looked for less and less often
		after = min(max(after, p.now.Sub(before.LastTransitionTime.Time)/4), longestWait)
	}
	return ctrl.Result{RequeueAfter: jittered(after)}, nil
}

// longestWait is how often something that does not come is looked for in the end.
const longestWait = 5 * time.Minute

// suspended says so and changes nothing else. What was true before stays to be seen: Ready is False while suspended, so
// that nobody waits for a change that will not come.
func (r *Reconciler) suspended(ctx context.Context, p *pass) error {
	status := &p.secret.Status
	for _, t := range []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		meta.RemoveStatusCondition(&status.Conditions, t)
	}
	conditions.Set(&status.Conditions, p.secret.Generation, v1alpha1.ConditionReady, metav1.ConditionFalse,
		v1alpha1.ReasonSuspended, "spec.suspend is true: nothing is rotated, imported or projected")
	status.ObservedGeneration = p.secret.Generation
	return r.write(ctx, p)
}

// jittered spreads retries by up to a tenth.
func jittered(d time.Duration) time.Duration { return d + rand.N(d/10+1) }
