package hsmcluster

import (
	"context"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/internal/store"
)

// SetupWithManager registers the controller. The cache must have kms.KeyStoreIndex.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	if err := mgr.Add(manager.RunnableFunc(r.Sweep)); err != nil {
		return fmt.Errorf("adding the sweep of deleted HSMClusters: %w", err)
	}
	return ctrl.NewControllerManagedBy(mgr).
		Named("hsmcluster").
		For(&v1alpha1.HSMCluster{}, builder.WithPredicates(predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}, finalizersChanged))).
		WatchesRawSource(source.Channel(r.Clusters.Changes(), &handler.EnqueueRequestForObject{})).
		Watches(&v1alpha1.KMSKey{}, handler.EnqueueRequestsFromMapFunc(ofKey), builder.WithPredicates(predicate.Funcs{
			CreateFunc: func(event.CreateEvent) bool { return false }, UpdateFunc: hasGone,
			GenericFunc: func(event.GenericEvent) bool { return false },
		})).
		WithOptions(options).
		Complete(r)
}

// hasGone tells that a KMSKey is Gone since, though somebody else's finalizer holds its object.
func hasGone(e event.UpdateEvent) bool {
	return store.Gone(e.ObjectNew) && !store.Gone(e.ObjectOld)
}

// ofKey maps a KMSKey that is gone to the cluster that may have waited for it.
func ofKey(_ context.Context, obj client.Object) []reconcile.Request {
	key, ok := obj.(*v1alpha1.KMSKey)
	if !ok || key.Spec.CustomKeyStoreRef == nil {
		return nil
	}
	return []reconcile.Request{{NamespacedName: cloudhsm.KeyStoreOf(key)}}
}
