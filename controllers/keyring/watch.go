package keyring

import (
	"context"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/store"
)

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	options.MaxConcurrentReconciles = 1 // there is one Keyring
	return ctrl.NewControllerManagedBy(mgr).
		Named("keyring").
		For(&v1alpha1.Keyring{}, builder.WithPredicates(predicate.Funcs{UpdateFunc: passes.Changed(statusLost)})).
		Watches(&v1alpha1.Envelope{}, handler.Funcs{
			CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { r.came(e.Object, q) },
			UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { // which are its own rewraps, and marks, but for those
				if epoch, current := r.under(e.ObjectNew); epoch > current {
					q.AddAfter(reconcile.Request{NamespacedName: r.name()}, pause)
				}
			},
			DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { r.went(e.Object, q) },
		}).
		WithOptions(options).
		Complete(r)
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// statusLost tells that a status was set back.
func statusLost(before, after *v1alpha1.Keyring) bool {
	return after.Status.CurrentEpoch < before.Status.CurrentEpoch
}

// came asks for a pass when a domain key has come, which is also what asks for the first one, and a while after an Envelope has that is under another one than the current:
// there may be many, as of a backup that is restored, and they are rewrapped no faster than others.
func (r *Reconciler) came(obj client.Object, q queue) {
	if r.isDomainKey(obj) {
		q.Add(reconcile.Request{NamespacedName: r.name()})
		return
	}
	if epoch, current := r.under(obj); epoch != current {
		q.AddAfter(reconcile.Request{NamespacedName: r.name()}, pause)
	}
}

// went asks for a pass when a domain key has gone, and a while after an Envelope has that was under one which is not there: it may be the last that something waits for.
func (r *Reconciler) went(obj client.Object, q queue) {
	if r.isDomainKey(obj) {
		q.Add(reconcile.Request{NamespacedName: r.name()})
		return
	}
	ring, err := r.Keyring.Get()
	if epoch, current := r.under(obj); err == nil && epoch != current && !ring.Has(epoch) {
		q.AddAfter(reconcile.Request{NamespacedName: r.name()}, pause)
	}
}

// under answers the epoch of the domain key that an Envelope is under, and the current one: both are 0 if it is under none, or the keyring is sealed.
func (r *Reconciler) under(obj client.Object) (epoch, current int64) {
	e, ok := obj.(*v1alpha1.Envelope)
	if !ok {
		return 0, 0
	}
	ring, err := r.Keyring.Get()
	if epoch = store.Epoch(e.Spec.KeyARN); err != nil || epoch == 0 {
		return 0, 0
	}
	return epoch, ring.CurrentEpoch()
}

func (r *Reconciler) isDomainKey(obj client.Object) bool {
	e, ok := obj.(*v1alpha1.Envelope)
	return ok && e.Spec.Class == v1alpha1.EnvelopeDomainKey && e.Namespace == r.Namespace
}
