package parametertree

import (
	"context"
	"errors"

	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/conditions"
)

// messageInForce is the message of a tree that is Ready.
const messageInForce = "The parameters are shown"

// summarise puts what this pass came to into status and ends it.
func (r *Reconciler) summarise(ctx context.Context, p *pass, err error) (ctrl.Result, error) {
	if p.rests && err == nil { // of a tree that waits for its turn nothing is said but what it shows
		if err := r.reporter().Write(ctx, p.before, p.tree); err != nil {
			return outcome.Again(err)
		}
		return ctrl.Result{RequeueAfter: p.turn.wait}, nil
	}
	status := &p.tree.Status
	status.ObservedGeneration = p.tree.Generation
	if errors.Is(err, passes.ErrSuspended) {
		return r.reporter().Suspended(ctx, p.before, p.tree, "nothing is shown and nothing is healed")
	}
	status.LastHandledReconcileAt = conditions.Echo(p.tree.Annotations[v1alpha1.ReconcileAnnotation])
	if p.arn != "" {
		status.ARN = p.arn
	}
	return r.reporter().End(ctx, &outcome.Pass{
		Before: p.before, Object: p.tree, Err: err, Message: messageInForce, Requeue: p.requeue,
		Quiet: []string{v1alpha1.ReasonKeyUnusable}, // the key tells it
		// A tree is mostly applied beside its parameters, which have no value in their first moment.
		Expected: []string{v1alpha1.ReasonSourceNotFound},
		Patient:  []string{v1alpha1.ReasonSourceNotFound, v1alpha1.ReasonConflict},
	})
}

func (r *Reconciler) reporter() outcome.Reporter {
	return outcome.Reporter{Client: r.Client, Events: r.Events, Now: r.Now}
}
