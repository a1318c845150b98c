package iamobject

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
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/fault"
)

// Summarise sets an object's conditions by the outcome of one pass and writes its status, if it is not as before: the one write
// of status in a pass. It carries the resource version that the pass read, so that a pass over an older state commits nothing.
func Summarise(ctx context.Context, c client.Client, recorder events.EventRecorder, before, obj Object, err error) (ctrl.Result, error) {
	status := obj.GetIAMStatus()
	status.LastHandledReconcileAt = conditions.Echo(obj.GetAnnotations()[v1alpha1.ReconcileAnnotation])
	status.ObservedGeneration = obj.GetGeneration()
	conditions.Summarise(&status.Conditions, obj.GetGeneration(), err, v1alpha1.ReasonSucceeded, "In force as "+status.ARN)
	if !equality.Semantic.DeepEqual(before, obj) {
		if writeErr := c.Status().Update(ctx, obj); writeErr != nil {
			return ctrl.Result{}, errors.Join(err, fmt.Errorf("writing status: %w", writeErr))
		}
	}
	if err == nil {
		return ctrl.Result{}, nil
	}
	f := fault.Of(err)
	former := meta.FindStatusCondition(before.GetIAMStatus().Conditions, v1alpha1.ConditionReady)
	news := former == nil || former.Reason != f.Reason || former.Status != metav1.ConditionFalse
	if news && f.Reason != v1alpha1.ReasonProgressing {
		recorder.Eventf(obj, nil, corev1.EventTypeWarning, f.Reason, "Reconcile", "%s", fault.Message(err))
	}
	if f.RetryAfter == 0 {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: f.RetryAfter + rand.N(time.Second)}, nil
}
