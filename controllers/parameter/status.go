package parameter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// summarise puts what this pass came to into status and ends it. Writing status is the commit point of new versions.
func (r *Reconciler) summarise(ctx context.Context, p *pass, err error) (ctrl.Result, error) {
	if errors.Is(err, errSuspended) {
		return outcome.Again(r.suspended(ctx, p))
	}
	gone := p.commit()
	p.parameter.Status.ObservedGeneration = p.parameter.Generation
	return r.reporter().End(ctx, &outcome.Pass{
		Before: p.before, Object: p.parameter, Err: err, Message: parameterstore.MessageInForce, Requeue: p.requeue,
		Committed: func(ctx context.Context) error {
			if err == nil && p.restored {
				r.event(p.parameter, eventRestored(p.arn, len(p.index)))
			}
			return r.Parameters.Versions().Prune(ctx, p.subject(), gone)
		},
		Quiet:   []string{v1alpha1.ReasonKeyUnusable}, // the key tells it
		Patient: []string{v1alpha1.ReasonSourceNotFound, v1alpha1.ReasonConflict, v1alpha1.ReasonNameConflict},
	})
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

// suspended says so and changes nothing else.
func (r *Reconciler) suspended(ctx context.Context, p *pass) error {
	status := &p.parameter.Status
	for _, t := range []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		meta.RemoveStatusCondition(&status.Conditions, t)
	}
	conditions.Set(&status.Conditions, p.parameter.Generation, v1alpha1.ConditionReady, metav1.ConditionFalse,
		v1alpha1.ReasonSuspended, "spec.suspend is true: no version is made and nothing is projected")
	status.ObservedGeneration = p.parameter.Generation
	return r.reporter().Write(ctx, p.before, p.parameter)
}

// An event costs a request, so the ordinary life of a parameter makes none. Events are for what nobody asked for.
type happening struct{ kind, reason, action, note string }

func (r *Reconciler) event(parameter *v1alpha1.Parameter, e happening) {
	r.Events.Eventf(parameter, nil, e.kind, e.reason, e.action, "%s", e.note)
}

func eventHealed(what string) happening {
	return happening{
		corev1.EventTypeWarning, v1alpha1.ReasonHealed, "Project",
		fmt.Sprintf("%s was changed or deleted by somebody else and is written again", what),
	}
}

func eventRestarted(workloads []string) happening {
	return happening{
		corev1.EventTypeNormal, v1alpha1.ReasonRestarted, "Restart",
		fmt.Sprintf("the value changed; restarted %d workloads: %s", len(workloads), strings.Join(workloads[:min(len(workloads), 3)], ", ")),
	}
}

func eventRestored(arn string, count int) happening {
	return happening{
		corev1.EventTypeNormal, v1alpha1.ReasonRestored, "Restore",
		fmt.Sprintf("%s is back with %d versions", arn, count),
	}
}

// eventDropped names up to three Envelopes of versions that are not restored.
func eventDropped(damaged []*v1alpha1.Envelope) happening {
	var names []string
	for _, e := range damaged {
		names = append(names, e.Name)
	}
	slices.Sort(names)
	if more := len(names) - 3; more > 0 {
		names = append(names[:3], fmt.Sprintf("and %d more", more))
	}
	return happening{
		corev1.EventTypeWarning, v1alpha1.ReasonEnvelopeTampered, "Restore",
		fmt.Sprintf("%d versions do not open and are not restored: Envelopes %s", len(damaged), strings.Join(names, ", ")),
	}
}
