package keyring

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/fault"
)

// summarise puts what this pass came to into status and ends it. Writing status is the commit point of a request to rotate.
func (r *Reconciler) summarise(ctx context.Context, p *pass, err error) (ctrl.Result, error) {
	status := &p.keyring.Status
	status.LastHandledReconcileAt = conditions.Echo(p.keyring.Annotations[v1alpha1.ReconcileAnnotation])
	status.ObservedGeneration = p.keyring.Generation
	rewrapped(p)
	former := meta.FindStatusCondition(p.before.Status.Conditions, v1alpha1.ConditionRewrapped)
	reporter := outcome.Reporter{Client: r.Client, Events: r.Events, Now: r.Now}
	return reporter.End(ctx, &outcome.Pass{
		Before: p.before, Object: p.keyring, Err: err, Requeue: p.requeue,
		Message: fmt.Sprintf("The domain key of epoch %d wraps", status.CurrentEpoch),
		Committed: func(context.Context) error {
			if p.rotated {
				reporter.Tell(p.keyring, outcome.Happening{Type: corev1.EventTypeNormal, Reason: v1alpha1.ReasonRotated, Action: "Rotate",
					Note: fmt.Sprintf("the domain key of epoch %d was made; what is under former ones is rewrapped in the background", status.CurrentEpoch)})
			}
			// A process that follows another is told of what that one knew by the condition, which says the same.
			if known := p.first && former != nil && former.Message == tampered(p.untold, p.claims); len(p.untold) > 0 && !known {
				reporter.Tell(p.keyring, outcome.Happening{Type: corev1.EventTypeWarning, Reason: v1alpha1.ReasonEnvelopeTampered, Action: "Rewrap", Note: tampered(p.untold, p.claims)})
			}
			r.told(p)
			return nil
		},
	})
}

// rewrapped says whether anything is under a former domain key. A pass that did not get to look says nothing new.
func rewrapped(p *pass) {
	status := &p.keyring.Status
	if len(status.Epochs) == 0 {
		return
	}
	say := func(is metav1.ConditionStatus, reason, message string) {
		conditions.Set(&status.Conditions, p.keyring.Generation, v1alpha1.ConditionRewrapped, is, reason, message)
	}
	rewrap := status.Rewrap
	switch {
	case len(p.lost) > 0:
		say(metav1.ConditionFalse, v1alpha1.ReasonEnvelopeMissing, fmt.Sprintf("Envelopes are under domain keys that are not there, of the epochs %v, and stay as they are", p.lost))
	case len(p.damaged) > 0:
		say(metav1.ConditionFalse, v1alpha1.ReasonEnvelopeTampered, tampered(p.damaged, p.claims))
	case p.unreached != nil:
		say(metav1.ConditionFalse, v1alpha1.ReasonRootUnavailable, fmt.Sprintf("The rewrap under the domain key of epoch %d waits until the root of trust is reached: %s",
			status.CurrentEpoch, fault.Message(p.unreached)))
	case rewrap != nil && rewrap.CompletedTime == nil:
		say(metav1.ConditionFalse, v1alpha1.ReasonRewrapping, fmt.Sprintf("Envelopes are rewrapped under the domain key of epoch %d, from a minute after it was made", status.CurrentEpoch))
	default:
		say(metav1.ConditionTrue, v1alpha1.ReasonSucceeded, fmt.Sprintf("All Envelopes that a domain key wraps are under that of epoch %d", status.CurrentEpoch))
	}
}
