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
		Watches(&v1alpha1.Envelope{}, handler.Funcs{ // updates are its own rewraps, and marks
			CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { r.came(e.Object, q) },
			DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
				if r.isDomainKey(e.Object) {
					q.Add(reconcile.Request{NamespacedName: r.name()})
				}
			},
		}).
		WithOptions(options).
		Complete(r)
}

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// statusLost tells that a status was set back.
func statusLost(before, after *v1alpha1.Keyring) bool {
	return after.Status.CurrentEpoch < before.Status.CurrentEpoch
}

// came asks for a pass when a domain key has come, which is also what asks for the first one, and a while after an Envelope has that is under a former one: there may
// be many, as of a backup that is restored, and they are rewrapped no faster than others.
func (r *Reconciler) came(obj client.Object, q queue) {
	if r.isDomainKey(obj) {
		q.Add(reconcile.Request{NamespacedName: r.name()})
		return
	}
	e, ok := obj.(*v1alpha1.Envelope)
	if !ok {
		return
	}
	ring, err := r.Keyring.Get()
	if epoch := store.Epoch(e.Spec.KeyARN); err == nil && epoch > 0 && epoch < ring.CurrentEpoch() {
		q.AddAfter(reconcile.Request{NamespacedName: r.name()}, pause)
	}
}

func (r *Reconciler) isDomainKey(obj client.Object) bool {
	e, ok := obj.(*v1alpha1.Envelope)
	return ok && e.Spec.Class == v1alpha1.EnvelopeDomainKey && e.Namespace == r.Namespace
}
