package kmskey

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/service/kms"
)

// summarise puts what this pass came to into status and ends it. Writing status is the commit point of new key material.
func (r *Reconciler) summarise(ctx context.Context, p *pass, err error) (ctrl.Result, error) {
	status := &p.key.Status
	status.LastHandledReconcileAt = conditions.Echo(p.key.Annotations[v1alpha1.ReconcileAnnotation])
	// A pass that did not get to the materials knows nothing new of them.
	unavailable := p.unavailable || !p.verified && p.former.KeyState == v1alpha1.KeyStateUnavailable
	status.KeyState = kms.State(p.key, unavailable)
	if err == nil || kms.Updating(p.key) || kms.IsReplica(p.key) {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionPrimaryUpdateFailed)
	}
	r.rootProtection(p.key)
	trackUsage(p)
	status.ObservedGeneration = p.key.Generation
	return r.reporter().End(ctx, &outcome.Pass{
		Before: p.before, Object: p.key, Err: err, Message: message(p.key), Requeue: p.requeue,
		Committed: func(ctx context.Context) error {
			if news := status.DeletionTime != nil && p.former.DeletionTime == nil; news || kms.AwaitsReplicas(p.key) && p.former.KeyState != status.KeyState {
				r.Events.Eventf(p.key, nil, corev1.EventTypeWarning, v1alpha1.ReasonDeletionScheduled, "Schedule", "%s", message(p.key))
			}
			if err == nil && p.restored {
				r.Events.Eventf(p.key, nil, corev1.EventTypeNormal, v1alpha1.ReasonRestored, "Restore",
					"%s is back with %d key materials", status.ARN, len(status.KeyMaterials))
			}
			if kms.External(p.key) {
				return r.KMS.SweepImports(ctx, p.key, status)
			}
			return nil
		},
	})
}

// trackUsage notes since when the uses of a key are seen that has just got its id: since it was made, or, if it had an id before, from now on. Keys of before there was
// that get it with a use, and no write of their own.
func trackUsage(p *pass) {
	switch {
	case p.former.KeyID != "" || p.key.Status.KeyID == "":
	case p.restored || p.resumed:
		kms.TrackUsage(p.key, p.now)
	default:
		kms.TrackUsage(p.key, p.key.CreationTimestamp.Time)
	}
}

// message says what is true of a key that is Ready.
func message(key *v1alpha1.KMSKey) string {
	text := "The key is " + string(key.Status.KeyState)
	if kms.AwaitsReplicas(key) {
		return text + ": its window begins when its last replica is gone, with what can be had back of it; to keep it, set spec.deletion.scheduled to false"
	}
	if at := key.Status.DeletionTime; at != nil {
		text += " and goes for good, with what only it opens, at " + at.UTC().Format(time.RFC3339) + "; to keep it, set spec.deletion.scheduled to false"
	}
	return text
}

func (r *Reconciler) reporter() outcome.Reporter {
	return outcome.Reporter{Client: r.Client, Events: r.Events, Now: r.Now}
}

// rootProtection says honestly where the root of trust is.
func (r *Reconciler) rootProtection(key *v1alpha1.KMSKey) {
	protected, message := r.RootProtection()
	switch {
	case message == "": // Ready says Sealed
	case protected:
		conditions.Set(&key.Status.Conditions, key.Generation, v1alpha1.ConditionRootProtected, metav1.ConditionTrue,
			v1alpha1.ReasonSucceeded, message)
	default:
		conditions.Set(&key.Status.Conditions, key.Generation, v1alpha1.ConditionRootProtected, metav1.ConditionFalse,
			v1alpha1.ReasonCoreSecretRoot, message)
	}
}
