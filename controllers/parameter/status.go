package parameter

import (
	"context"
	"errors"

	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// summarise puts what this pass came to into status and ends it. Writing status is the commit point of new versions.
func (r *Reconciler) summarise(ctx context.Context, p *pass, err error) (ctrl.Result, error) {
	p.parameter.Status.ObservedGeneration = p.parameter.Generation
	if errors.Is(err, passes.ErrSuspended) {
		return r.reporter().Suspended(ctx, p.before, p.parameter, p.rests())
	}
	if p.indexed {
		r.notify(p)
	}
	prune := r.Parameters.Versions().LetGo(ctx, p.subject(), p.commit())
	return r.reporter().End(ctx, &outcome.Pass{
		Before: p.before, Object: p.parameter, Err: err, Message: parameterstore.MessageInForce, Requeue: p.requeue,
		Committed: func(ctx context.Context) error {
			if err == nil && p.restored {
				r.reporter().Tell(p.parameter, outcome.Restored(p.arn, len(p.index)))
			}
			return prune(ctx)
		},
		Quiet:   []string{v1alpha1.ReasonKeyUnusable}, // the key tells it
		Patient: []string{v1alpha1.ReasonSourceNotFound, v1alpha1.ReasonConflict, v1alpha1.ReasonNameConflict},
	})
}

// rests says what is not done while the parameter is suspended.
func (p *pass) rests() string {
	if parameterstore.Expired(p.parameter, p.now) {
		return "no version is made; the parameter has expired, so its value is neither served nor shown, and it is deleted when it is suspended no more"
	}
	return "no version is made and nothing is projected"
}

func (r *Reconciler) reporter() outcome.Reporter {
	return outcome.Reporter{Client: r.Client, Events: r.Events, Now: r.Now}
}

// commit puts the facts of this pass into status and returns the versions that the index let go. The index is committed once it is
// known, whatever the later steps said: a version that could not be made, or a projection, is tried again.
func (p *pass) commit() versions.Index {
	status := &p.parameter.Status
	status.LastHandledReconcileAt = conditions.Echo(p.parameter.Annotations[v1alpha1.ReconcileAnnotation])
	if !p.indexed {
		return nil
	}
	if p.versioned || p.found {
		status.LastHandledRotateAt, status.ImportedFrom = p.requested(), p.importedFrom
	}
	return parameterstore.Record(p.parameter, p.arn, p.index, p.value.Len())
}
