package iamobject

import (
	"context"
	"time"

	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/iam"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

// compiled are the policies that an object has in its spec, without those that cannot be read: that they cannot is what the object tells.
func compiled(obj Object) (out []*iam.Policy) {
	var documents []v1alpha1.PolicyDocument
	switch o := obj.(type) {
	case *v1alpha1.IAMPolicy:
		documents = append(documents, o.Spec.Document)
	case serviceiam.Entity:
		if own := serviceiam.PoliciesOf(o); own != nil {
			for i := range own.Policies {
				documents = append(documents, own.Policies[i].Document)
			}
		}
	}
	for i := range documents {
		if p, err := iam.Parse(documents[i].Raw, iam.Identity); err == nil {
			out = append(out, p)
		}
	}
	return out
}

// Summarise sets an object's conditions by the outcome of one pass and writes its status, if it is not as before: the one write
// of status in a pass. It carries the resource version that the pass read, so that a pass over an older state commits nothing.
func Summarise(ctx context.Context, c client.Client, recorder events.EventRecorder, before, obj Object, err error) (ctrl.Result, error) {
	status := obj.GetIAMStatus()
	status.LastHandledReconcileAt = conditions.Echo(obj.GetAnnotations()[v1alpha1.ReconcileAnnotation])
	status.ObservedGeneration = obj.GetGeneration()
	passes.TellStrangeKeys(&status.Conditions, obj.GetGeneration(), compiled(obj)...)
	reporter := outcome.Reporter{Client: c, Events: recorder, Now: time.Now}
	return reporter.End(ctx, &outcome.Pass{Before: before, Object: obj, Err: err, Message: "In force as " + status.ARN})
}

// Pass makes a pass over an object of a kind without a finalizer: run says whether it can be put in force, and all that is written is the status, at the end.
// obj is empty: the request's object is read into it. One that is gone, or going, is left alone.
func Pass[O Object](ctx context.Context, c client.Client, recorder events.EventRecorder, req ctrl.Request, obj O, run func(context.Context, O) error) (ctrl.Result, error) {
	if err := c.Get(ctx, req.NamespacedName, obj); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !obj.GetDeletionTimestamp().IsZero() {
		return ctrl.Result{}, nil
	}
	before := obj.DeepCopyObject().(O)
	err := run(ctx, obj)
	return Summarise(ctx, c, recorder, before, obj, err)
}
