package secret

import (
	"context"
	"fmt"
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/imports"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/internal/service/principals"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// The cache indexes of Secrets.
const (
	// KeyIndex finds them by the name of the KMSKey for new versions.
	KeyIndex = "kms-key"
	// SourceIndex finds them by the name of the core Secret that they follow.
	SourceIndex = "source"
	// TargetIndex finds them by the name of the core Secret that they write.
	TargetIndex = imports.TargetIndex
	// TargetSourceIndex finds them by the sources of their targets: Secret/NAME and Parameter/NAME.
	TargetSourceIndex = "target-source"
)

// indexed are what the indexes find Secrets by.
var indexed = map[string]func(*v1alpha1.Secret) string{
	secretsmanager.NameIndex: (*v1alpha1.Secret).AWSName,
	KeyIndex:                 keyName,
	SourceIndex: func(s *v1alpha1.Secret) string {
		if s.Spec.ValueFrom == nil {
			return ""
		}
		return s.Spec.ValueFrom.SecretKeyRef.Name
	},
	TargetIndex: (*v1alpha1.Secret).TargetName,

	secretsmanager.ReplicaIndex: secretsmanager.PrimaryName,
}

// Indexes are the functions of the cache indexes of Secrets, that of whom their policies name among them. In the others a Secret whose own
// name is the value is not, since it is found by that: an entry of an index costs more memory than a small Secret does.
func Indexes() map[string]client.IndexerFunc {
	out := make(map[string]client.IndexerFunc, len(indexed))
	for name, value := range indexed {
		out[name] = func(obj client.Object) []string {
			s, ok := obj.(*v1alpha1.Secret)
			if !ok {
				return nil
			}
			if v := value(s); v != "" && v != s.Name {
				return []string{v}
			}
			return nil
		}
	}
	out[principals.Index] = principals.IndexValues
	out[TargetSourceIndex] = targetSources
	return out
}

// having lists the Secrets of a namespace that an index finds by a value. They are the cache's own: read them only. It does not
// wait for this controller's own writes, none of which changes what it asks for, and so may be called where events are handled.
func (r *Reconciler) having(ctx context.Context, namespace, index, value string) ([]v1alpha1.Secret, error) {
	var list v1alpha1.SecretList
	err := r.Client.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{index: value},
		client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if err != nil {
		return nil, fmt.Errorf("looking for Secrets by %s: %w", index, err)
	}
	var own v1alpha1.Secret
	switch err := r.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: value}, &own,
		client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency); {
	case client.IgnoreNotFound(err) != nil:
		return nil, fmt.Errorf("looking for Secret %s: %w", value, err)
	case err == nil && indexed[index](&own) == value:
		list.Items = append(list.Items, own)
	}
	return list.Items, nil
}

// own is the kind.
var own = passes.Kind{
	Name: "Secret",
	New:  func() outcome.Object { return &v1alpha1.Secret{} },
	List: func() client.ObjectList { return &v1alpha1.SecretList{} },
}

// SetupWithManager registers the controller. The cache must have Indexes.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("secret").
		For(&v1alpha1.Secret{}, builder.WithPredicates(predicate.Funcs{UpdateFunc: passes.Changed(statusLost)})).
		Watches(&v1alpha1.Secret{}, r.relatives()).
		Watches(&corev1.Secret{}, r.by(coreSecretIndexes), builder.WithPredicates(predicate.Funcs{CreateFunc: own.NotOwn})).
		Watches(&corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(own.Controller), builder.WithPredicates(predicate.Funcs{CreateFunc: own.NotOwn})).
		Watches(&batchv1.Job{}, handler.EnqueueRequestsFromMapFunc(own.Controller), builder.WithPredicates(jobEnded)).
		Watches(&v1alpha1.Secret{}, own.By(r.Client, sourceOfTarget(own.Name)), builder.WithPredicates(valueChanged(secretValues))).
		Watches(&v1alpha1.Parameter{}, own.By(r.Client, sourceOfTarget(parameterstore.OwnerKind)), builder.WithPredicates(valueChanged(parameterValues))).
		Watches(&v1alpha1.KMSKey{}, r.by(func(client.Object) []string { return []string{KeyIndex} }),
			builder.WithPredicates(predicate.Funcs{UpdateFunc: passes.KeyChanged})).
		Watches(&v1alpha1.Envelope{}, handler.EnqueueRequestsFromMapFunc(own.EnvelopeOwner),
			builder.WithPredicates(predicate.Funcs{CreateFunc: own.EnvelopeWanted(r.Client), UpdateFunc: passes.NotRewrapped})).
		Watches(&v1alpha1.IAMUser{}, passes.OfPrincipal(r.Client, own.List), builder.WithPredicates(passes.PrincipalAppeared)).
		Watches(&v1alpha1.IAMRole{}, passes.OfPrincipal(r.Client, own.List), builder.WithPredicates(passes.PrincipalAppeared)).
		Watches(&corev1.Namespace{}, own.NamespaceChanged(r.Client),
			builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WithOptions(options).
		Complete(r)
}

// valuePut tells that a request has put another value, which is to be shown: it says so by Reconciling.
func valuePut(before, after *v1alpha1.SecretStatus) bool {
	return before.CurrentVersionID != after.CurrentVersionID &&
		meta.IsStatusConditionTrue(after.Conditions, v1alpha1.ConditionReconciling)
}

// rotationBegun tells that RotateSecret has begun a rotation, whose version is to be made. Passes name the step as well.
func rotationBegun(before, after *v1alpha1.SecretStatus) bool {
	state := after.Rotation
	return state != nil && state.Step == "" && (before.Rotation == nil || before.Rotation.VersionID != state.VersionID) &&
		!slices.ContainsFunc(after.Versions, func(v v1alpha1.SecretVersion) bool { return v.VersionID == state.VersionID })
}

// testAsked tells that RotateSecret wants the rotator tested.
func testAsked(before, after *v1alpha1.SecretStatus) bool {
	return after.RotationTest != nil && after.RotationTest.Configuration == "" && before.RotationTest != nil && before.RotationTest.Configuration != ""
}

// statusLost tells that a status has fewer facts than before, which this controller never writes, or a value or a rotation that is a
// request's.
func statusLost(old, now *v1alpha1.Secret) bool {
	before, after := &old.Status, &now.Status
	return before.ARN != "" && after.ARN != before.ARN || len(after.Versions) < len(before.Versions) ||
		before.Projection != nil && after.Projection == nil || valuePut(before, after) || rotationBegun(before, after) ||
		testAsked(before, after)
}

// by maps an object to the Secrets of its namespace that name it in one of the indexes.
func (r *Reconciler) by(indexes func(client.Object) []string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []reconcile.Request {
		var out []reconcile.Request
		for _, index := range indexes(obj) {
			found, err := r.having(ctx, obj.GetNamespace(), index, obj.GetName())
			if err != nil {
				ctrl.LoggerFrom(ctx).Error(err, "finding the Secrets of an object")
				continue
			}
			for i := range found {
				out = append(out, passes.Request(found[i].Namespace, found[i].Name))
			}
		}
		return out
	})
}

// coreSecretIndexes: a core Secret may be the target of a Secret, or its source, or both in a chain.
func coreSecretIndexes(obj client.Object) []string {
	if obj.GetLabels()[v1alpha1.ManagedLabel] == v1alpha1.ManagedSource {
		return []string{SourceIndex}
	}
	return []string{TargetIndex, SourceIndex}
}
