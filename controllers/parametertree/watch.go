package parametertree

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
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
	"strongroom.dev/strongroom/controllers/imports"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/core/fairshare"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// The cache indexes of ParameterTrees.
const (
	// PathIndex finds them by their path.
	PathIndex = "path"
	// TargetIndex finds them by the name of the core Secret that they write, or by ConfigMap/NAME.
	TargetIndex = imports.TargetIndex
)

// gathering is how long a change of a parameter waits for others: those that change together are shown by one write, and restart workloads
// once.
const gathering = time.Second

// Indexes are the functions of the cache indexes of ParameterTrees.
func Indexes() map[string]client.IndexerFunc {
	return map[string]client.IndexerFunc{
		PathIndex: passes.Index(func(t *v1alpha1.ParameterTree) string { return t.Spec.Path }),
		TargetIndex: passes.Index(func(t *v1alpha1.ParameterTree) string {
			if name := t.ConfigMapName(); name != "" {
				return kindConfigMap + "/" + name
			}
			return t.TargetName()
		}),
	}
}

// own is the kind.
var own = passes.Kind{
	Name: "ParameterTree",
	New:  func() outcome.Object { return &v1alpha1.ParameterTree{} },
	List: func() client.ObjectList { return &v1alpha1.ParameterTreeList{} },
}

// SetupWithManager registers the controller, with a slot for each of its workers and a pace for each namespace. The cache must have Indexes.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	r.Slots, r.Pace = fairshare.New(max(options.MaxConcurrentReconciles, 1), r.Now), NewPace(r.Projector.Budget, r.Now)
	return ctrl.NewControllerManagedBy(mgr).
		Named("parametertree").
		For(&v1alpha1.ParameterTree{}, builder.WithPredicates(predicate.Funcs{UpdateFunc: passes.Changed(statusLost)})).
		Watches(&corev1.Secret{}, own.By(r.Client, passes.Named(TargetIndex)), builder.WithPredicates(predicate.Funcs{CreateFunc: own.NotOwn})).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(own.Controller), builder.WithPredicates(predicate.Funcs{CreateFunc: own.NotOwn})).
		Watches(&corev1.ConfigMap{}, own.By(r.Client, ofConfigMap), builder.WithPredicates(predicate.Funcs{CreateFunc: own.NotOwn})).
		Watches(&v1alpha1.Parameter{}, r.above(), builder.WithPredicates(predicate.Funcs{CreateFunc: isNew, UpdateFunc: shownChanged})).
		Watches(&corev1.Namespace{}, own.NamespaceChanged(r.Client), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WithOptions(options).
		Complete(r)
}

func ofConfigMap(obj client.Object) []passes.Lookup {
	return []passes.Lookup{{Index: TargetIndex, Value: kindConfigMap + "/" + obj.GetName()}}
}

// queue is of passes to make.
type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// above asks, in a moment, for a pass over the trees that a parameter is below. Those that are asked for already are not put off.
func (r *Reconciler) above() handler.EventHandler {
	ask := func(ctx context.Context, obj client.Object, q queue) {
		p, ok := obj.(*v1alpha1.Parameter)
		if !ok {
			return
		}
		for _, path := range parameterstore.Paths(p.AWSName()) {
			for _, request := range own.Find(ctx, r.Client, client.InNamespace(p.Namespace), client.MatchingFields{PathIndex: path}) {
				q.AddAfter(request, gathering)
			}
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { ask(ctx, e.Object, q) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) { ask(ctx, e.ObjectNew, q) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { ask(ctx, e.Object, q) },
	}
}

// isNew passes over what is there at the start, which each tree's own pass looks at.
func isNew(e event.CreateEvent) bool { return !e.IsInInitialList }

// shownChanged lets those events of a parameter through by which a tree that has it becomes another: its versions or their labels are others,
// which one write of its status commits; its tags are; it has expired; or it is going. Name, type and region do not change.
func shownChanged(e event.UpdateEvent) bool {
	before, ok1 := e.ObjectOld.(*v1alpha1.Parameter)
	after, ok2 := e.ObjectNew.(*v1alpha1.Parameter)
	return ok1 && ok2 && (before.UID != after.UID || before.Status.ARN != after.Status.ARN ||
		before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero() ||
		!equality.Semantic.DeepEqual(before.Status.Versions, after.Status.Versions) ||
		parameterstore.Withheld(before) != parameterstore.Withheld(after) || !equality.Semantic.DeepEqual(before.Spec.Tags, after.Spec.Tags))
}

// statusLost tells that a status has fewer facts than before, which this controller never writes.
func statusLost(old, now *v1alpha1.ParameterTree) bool {
	return old.Status.Projection != nil && now.Status.Projection == nil
}
