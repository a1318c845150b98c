package kmsgrant

import (
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/service/kms"
)

// Indexes are the functions of the cache indexes of KMSGrants.
func Indexes() map[string]client.IndexerFunc { return kms.GrantIndexes() }

// SetupWithManager registers the controller. The cache must have Indexes.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("kmsgrant").
		For(&v1alpha1.KMSGrant{}).
		Watches(&v1alpha1.KMSKey{}, own.By(r.Client, passes.Named(kms.GrantKeyIndex)), builder.WithPredicates(predicate.Funcs{
			CreateFunc: func(e event.CreateEvent) bool { return !e.IsInInitialList }, UpdateFunc: keyAppeared,
		})).
		Watches(&v1alpha1.IAMUser{}, passes.OfPrincipal(r.Client, own.List), builder.WithPredicates(passes.PrincipalAppeared)).
		Watches(&v1alpha1.IAMRole{}, passes.OfPrincipal(r.Client, own.List), builder.WithPredicates(passes.PrincipalAppeared)).
		WithOptions(options).
		Complete(r)
}

// keyAppeared lets a KMSKey through that has become another, or is known now. Of its other changes, of which there may be many and 50,000 grants
// to each, none is of concern.
func keyAppeared(e event.UpdateEvent) bool {
	before, ok := e.ObjectOld.(*v1alpha1.KMSKey)
	after, same := e.ObjectNew.(*v1alpha1.KMSKey)
	return ok && same && (before.Status.ARN != after.Status.ARN || before.Status.KeyID != after.Status.KeyID)
}

// own is the kind.
var own = passes.Kind{
	Name: "KMSGrant",
	New:  func() outcome.Object { return &v1alpha1.KMSGrant{} },
	List: func() client.ObjectList { return &v1alpha1.KMSGrantList{} },
}
