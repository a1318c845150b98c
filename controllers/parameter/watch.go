package parameter

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/imports"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/internal/service/principals"
)

// The cache indexes of Parameters.
const (
	// KeyIndex finds them by the name of the KMSKey for new versions.
	KeyIndex = "kms-key"
	// SourceIndex finds them by the name of the core Secret that they import.
	SourceIndex = "source"
	// TargetIndex finds them by the name of the core Secret that they write, or by ConfigMap/NAME.
	TargetIndex = imports.TargetIndex
)

// Indexes are the functions of the cache indexes of Parameters.
func Indexes() map[string]client.IndexerFunc {
	return map[string]client.IndexerFunc{
		parameterstore.NameIndex: passes.Index(func(p *v1alpha1.Parameter) string {
			if canonical := p.CanonicalName(); canonical != p.Name { // it is found by its own name
				return canonical
			}
			return ""
		}),
		principals.Index:         principals.IndexValues,
		parameterstore.PathIndex: parameterstore.IndexPaths,
		KeyIndex:                 passes.Index(parameterstore.KeyName),
		SourceIndex: passes.Index(func(p *v1alpha1.Parameter) string {
			if p.Spec.ValueFrom == nil {
				return ""
			}
			return p.Spec.ValueFrom.SecretKeyRef.Name
		}),
		TargetIndex: passes.Index(func(p *v1alpha1.Parameter) string {
			if at, _ := placeOf(p); at.kind == kindConfigMap {
				return kindConfigMap + "/" + at.name
			}
			return p.TargetName()
		}),
	}
}

// own is the kind.
var own = passes.Kind{
	Name: parameterstore.OwnerKind,
	New:  func() outcome.Object { return &v1alpha1.Parameter{} },
	List: func() client.ObjectList { return &v1alpha1.ParameterList{} },
}

// SetupWithManager registers the controller. The cache must have Indexes.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("parameter").
		For(&v1alpha1.Parameter{}, builder.WithPredicates(predicate.Funcs{UpdateFunc: passes.Changed(statusLost)})).
		Watches(&corev1.Secret{}, own.By(r.Client, passes.Named(TargetIndex, SourceIndex)), builder.WithPredicates(predicate.Funcs{CreateFunc: own.NotOwn})).
		Watches(&corev1.ConfigMap{}, own.By(r.Client, ofConfigMap), builder.WithPredicates(predicate.Funcs{CreateFunc: own.NotOwn})).
		Watches(&v1alpha1.KMSKey{}, own.By(r.Client, passes.Named(KeyIndex)), builder.WithPredicates(predicate.Funcs{UpdateFunc: passes.KeyChanged})).
		Watches(&v1alpha1.Envelope{}, handler.EnqueueRequestsFromMapFunc(own.EnvelopeOwner), builder.WithPredicates(predicate.Funcs{CreateFunc: own.EnvelopeWanted(r.Client), UpdateFunc: passes.NotRewrapped})).
		Watches(&v1alpha1.IAMUser{}, passes.OfPrincipal(r.Client, own.List), builder.WithPredicates(passes.PrincipalAppeared)).
		Watches(&v1alpha1.IAMRole{}, passes.OfPrincipal(r.Client, own.List), builder.WithPredicates(passes.PrincipalAppeared)).
		Watches(&corev1.Namespace{}, own.NamespaceChanged(r.Client), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WithOptions(options).
		Complete(r)
}

func ofConfigMap(obj client.Object) []passes.Lookup {
	return []passes.Lookup{{Index: TargetIndex, Value: kindConfigMap + "/" + obj.GetName()}}
}

// valuePut tells that a request has put another value, which is to be shown: it says so by Reconciling.
func valuePut(before, after *v1alpha1.ParameterStatus) bool {
	return before.Version != after.Version && meta.IsStatusConditionTrue(after.Conditions, v1alpha1.ConditionReconciling)
}

// statusLost tells that a status has fewer facts than before, which this controller never writes, a value that a request has put, or
// other times of policies, by a version that it put.
func statusLost(old, now *v1alpha1.Parameter) bool {
	before, after := &old.Status, &now.Status
	return before.ARN != "" && after.ARN != before.ARN || len(after.Versions) < len(before.Versions) ||
		before.Projection != nil && after.Projection == nil || valuePut(before, after) ||
		len(after.Policies) > 0 && !equality.Semantic.DeepEqual(before.Policies, after.Policies)
}
