package kmskey

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/kms"
)

// summarise is the one place that writes status. The write carries the resource version that this pass read; it is the
// commit point of new key material.
func (r *Reconciler) summarise(ctx context.Context, p *pass, err error) (ctrl.Result, error) {
	status := &p.key.Status
	status.LastHandledReconcileAt = conditions.Echo(p.key.Annotations[v1alpha1.ReconcileAnnotation])
	// A pass that did not get to the materials knows nothing new of them.
	unavailable := p.unavailable || !p.verified && p.former.KeyState == v1alpha1.KeyStateUnavailable
	status.KeyState = kms.State(p.key, unavailable)
	conditions.Summarise(&status.Conditions, p.key.Generation, err, v1alpha1.ReasonSucceeded, "The key is "+string(status.KeyState))
	r.rootProtection(p.key)
	status.ObservedGeneration = p.key.Generation
	if writeErr := r.write(ctx, p); writeErr != nil {
		return ctrl.Result{}, errors.Join(err, writeErr)
	}
	if err == nil {
		if p.restored {
			r.Events.Eventf(p.key, nil, corev1.EventTypeNormal, v1alpha1.ReasonRestored, "Restore",
				"%s is back with %d key materials", status.ARN, len(status.KeyMaterials))
		}
		return ctrl.Result{RequeueAfter: p.requeue}, nil
	}
	return r.failed(p, err)
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

func (r *Reconciler) write(ctx context.Context, p *pass) error {
	if equality.Semantic.DeepEqual(p.former, &p.key.Status) {
		return nil
	}
	if err := r.Client.Status().Update(ctx, p.key); err != nil {
		return fmt.Errorf("writing status: %w", err)
	}
	return nil
}

func (r *Reconciler) failed(p *pass, err error) (ctrl.Result, error) {
	f := fault.Of(err)
	before := meta.FindStatusCondition(p.former.Conditions, v1alpha1.ConditionReady)
	news := before == nil || before.Reason != f.Reason || before.Status != metav1.ConditionFalse
	if news && f.Reason != v1alpha1.ReasonProgressing {
		r.Events.Eventf(p.key, nil, corev1.EventTypeWarning, f.Reason, "Reconcile", "%s", fault.Message(f))
	}
	if f.RetryAfter == 0 {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: f.RetryAfter + rand.N(time.Second)}, nil
}
