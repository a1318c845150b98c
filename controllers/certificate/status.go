package certificate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/acm"
)

// summarise puts what this pass came to into status and ends it. Writing status is the commit point of new versions.
func (r *Reconciler) summarise(ctx context.Context, p *pass, err error) (ctrl.Result, error) {
	if errors.Is(err, errSuspended) {
		return outcome.Again(r.suspended(ctx, p))
	}
	gone := p.commit()
	p.certificate.Status.ObservedGeneration = p.certificate.Generation
	return r.reporter().End(ctx, &outcome.Pass{
		Before: p.before, Object: p.certificate, Err: err, Message: acm.MessageInForce, Requeue: p.requeue,
		Committed: func(ctx context.Context) error { return r.Certificates.Versions().Prune(ctx, p.subject(), gone) },
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

// suspended says so and changes nothing else.
func (r *Reconciler) suspended(ctx context.Context, p *pass) error {
	status := &p.certificate.Status
	for _, t := range []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		meta.RemoveStatusCondition(&status.Conditions, t)
	}
	conditions.Set(&status.Conditions, p.certificate.Generation, v1alpha1.ConditionReady, metav1.ConditionFalse,
		v1alpha1.ReasonSuspended, "spec.suspend is true: nothing is renewed, imported or projected")
	status.ObservedGeneration = p.certificate.Generation
	return r.reporter().Write(ctx, p.before, p.certificate)
}

type happening struct{ kind, reason, action, note string }

func eventHealed(what string) happening {
	return happening{
		corev1.EventTypeWarning, v1alpha1.ReasonHealed, "Project",
		fmt.Sprintf("%s was changed or deleted by somebody else and is written again", what),
	}
}

func eventRestarted(workloads []string) happening {
	return happening{
		corev1.EventTypeNormal, v1alpha1.ReasonRestarted, "Restart",
		fmt.Sprintf("the certificate changed; restarted %d workloads: %s", len(workloads), strings.Join(workloads[:min(len(workloads), 3)], ", ")),
	}
}

func eventRestored(arn string) happening {
	return happening{corev1.EventTypeNormal, v1alpha1.ReasonRestored, "Restore", fmt.Sprintf("%s is back", arn)}
}

func (r *Reconciler) event(c *v1alpha1.Certificate, e happening) {
	r.Events.Eventf(c, nil, e.kind, e.reason, e.action, "%s", e.note)
}
