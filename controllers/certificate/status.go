package certificate

import (
	"context"
	"errors"

	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/acm"
)

// summarise puts what this pass came to into status and ends it. Writing status is the commit point of new versions.
func (r *Reconciler) summarise(ctx context.Context, p *pass, err error) (ctrl.Result, error) {
	p.certificate.Status.ObservedGeneration = p.certificate.Generation
	if errors.Is(err, passes.ErrSuspended) {
		return r.reporter().Suspended(ctx, p.before, p.certificate, "nothing is renewed, imported or projected")
	}
	prune := r.Certificates.Versions().LetGo(ctx, p.subject(), p.commit())
	return r.reporter().End(ctx, &outcome.Pass{
		Before: p.before, Object: p.certificate, Err: err, Message: acm.MessageInForce, Requeue: p.requeue,
		Committed: prune,
		Quiet:     []string{v1alpha1.ReasonKeyUnusable, v1alpha1.ReasonAuthorityNotReady}, // the key tells it, or the authority
		Patient:   []string{v1alpha1.ReasonSourceNotFound, v1alpha1.ReasonConflict},
	})
}

func (r *Reconciler) reporter() outcome.Reporter {
	return outcome.Reporter{Client: r.Client, Events: r.Events, Now: r.Now}
}

// commit puts the facts of this pass into status and returns the versions that the index let go. The index is committed once it is known,
// whatever the later steps said.
func (p *pass) commit() versions.Index {
	status := &p.certificate.Status
	status.LastHandledReconcileAt = conditions.Echo(p.certificate.Annotations[v1alpha1.ReconcileAnnotation])
	if !p.indexed {
		return nil
	}
	if p.settled || p.found {
		status.LastHandledRotateAt = p.requested()
	}
	return acm.Record(status, p.arn, p.index, p.chain())
}
