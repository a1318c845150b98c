package parameter

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
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
	"strongroom.dev/strongroom/internal/service/parameterstore"
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
	by := func(value func(*v1alpha1.Parameter) string) client.IndexerFunc {
		return func(obj client.Object) []string {
			if p, ok := obj.(*v1alpha1.Parameter); ok {
				if v := value(p); v != "" {
					return []string{v}
				}
			}
			return nil
		}
	}
	return map[string]client.IndexerFunc{
		parameterstore.NameIndex: by(func(p *v1alpha1.Parameter) string {
			if canonical := p.CanonicalName(); canonical != p.Name { // it is found by its own name
				return canonical
			}
			return ""
		}),
		KeyIndex: by(parameterstore.KeyName),
		SourceIndex: by(func(p *v1alpha1.Parameter) string {
			if p.Spec.ValueFrom == nil {
				return ""
			}
			return p.Spec.ValueFrom.SecretKeyRef.Name
		}),
		TargetIndex: by(func(p *v1alpha1.Parameter) string {
			if at, _ := placeOf(p); at.kind == kindConfigMap {
				return kindConfigMap + "/" + at.name
			}
			return p.TargetName()
		}),
	}
}

// SetupWithManager registers the controller. The cache must have Indexes.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("parameter").
		For(&v1alpha1.Parameter{}, builder.WithPredicates(predicate.Funcs{UpdateFunc: changed})).
		Watches(&corev1.Secret{}, r.by(ofCoreSecret), builder.WithPredicates(predicate.Funcs{CreateFunc: notOwn})).
		Watches(&corev1.ConfigMap{}, r.by(ofConfigMap), builder.WithPredicates(predicate.Funcs{CreateFunc: notOwn})).
		Watches(&v1alpha1.KMSKey{}, r.by(ofKey), builder.WithPredicates(predicate.Funcs{UpdateFunc: keyChanged})).
		Watches(&v1alpha1.Envelope{}, handler.EnqueueRequestsFromMapFunc(envelopeOwner),
			builder.WithPredicates(predicate.Funcs{CreateFunc: r.envelopeWanted})).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.ofNamespace),
			builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WithOptions(options).
		Complete(r)
}

// changed lets those updates of a Parameter through that are not this controller's own writes of status.
func changed(e event.UpdateEvent) bool {
	before, ok1 := e.ObjectOld.(*v1alpha1.Parameter)
	after, ok2 := e.ObjectNew.(*v1alpha1.Parameter)
	if !ok1 || !ok2 || before.ResourceVersion == after.ResourceVersion {
		return true // a resync looks at everything
	}
	return before.Generation != after.Generation || before.UID != after.UID ||
		!maps.Equal(before.Annotations, after.Annotations) ||
		before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero() ||
		statusLost(&before.Status, &after.Status) || valuePut(&before.Status, &after.Status)
}

// valuePut tells that a request has put another value, which is to be shown: it says so by Reconciling.
func valuePut(before, after *v1alpha1.ParameterStatus) bool {
	return before.Version != after.Version && meta.IsStatusConditionTrue(after.Conditions, v1alpha1.ConditionReconciling)
}

// statusLost tells that a status has fewer facts than before, which this controller never writes.
func statusLost(before, after *v1alpha1.ParameterStatus) bool {
	return before.ARN != "" && after.ARN != before.ARN ||
		len(after.Versions) < len(before.Versions) ||
		before.Projection != nil && after.Projection == nil ||
		len(after.Conditions) == 0
}

// notOwn lets new objects through but for projections, which this controller made itself.
func notOwn(e event.CreateEvent) bool {
	controller := metav1.GetControllerOf(e.Object)
	return controller == nil || controller.Kind != parameterstore.OwnerKind || controller.APIVersion != v1alpha1.SchemeGroupVersion.String()
}

// lookup is an index and the value to ask it for.
type lookup struct{ index, value string }

func ofConfigMap(obj client.Object) []lookup {
	return []lookup{{TargetIndex, kindConfigMap + "/" + obj.GetName()}}
}

// ofCoreSecret: a core Secret may be a target or a source.
func ofCoreSecret(obj client.Object) []lookup {
	return []lookup{{TargetIndex, obj.GetName()}, {SourceIndex, obj.GetName()}}
}

func ofKey(obj client.Object) []lookup { return []lookup{{KeyIndex, obj.GetName()}} }

// by maps an object to the Parameters of its namespace that name it. It does not wait for this controller's own writes, none of which
// changes what it asks for.
func (r *Reconciler) by(lookups func(client.Object) []lookup) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []reconcile.Request {
		var out []reconcile.Request
		for _, l := range lookups(obj) {
			found, err := r.list(ctx, obj.GetNamespace(), client.MatchingFields{l.index: l.value})
			if err != nil {
				ctrl.LoggerFrom(ctx).Error(err, "finding the Parameters of an object")
				continue
			}
			out = append(out, found...)
		}
		return out
	})
}

func (r *Reconciler) list(ctx context.Context, namespace string, options ...client.ListOption) ([]reconcile.Request, error) {
	var list v1alpha1.ParameterList
	err := r.Client.List(ctx, &list, append(options, client.InNamespace(namespace), client.UnsafeDisableDeepCopy,
		client.DisableReadYourWritesConsistency)...)
	if err != nil {
		return nil, fmt.Errorf("looking for Parameters: %w", err)
	}
	out := make([]reconcile.Request, 0, len(list.Items))
	for i := range list.Items {
		out = append(out, request(namespace, list.Items[i].Name))
	}
	return out, nil
}

// keyChanged lets only those changes of a key through that a Parameter can be waiting for.
func keyChanged(e event.UpdateEvent) bool {
	before, ok1 := e.ObjectOld.(*v1alpha1.KMSKey)
	after, ok2 := e.ObjectNew.(*v1alpha1.KMSKey)
	return !ok1 || !ok2 || before.Status.KeyState != after.Status.KeyState || before.Status.ARN != after.Status.ARN ||
		(before.DeletionTimestamp == nil) != (after.DeletionTimestamp == nil) ||
		len(before.Status.KeyMaterials) != len(after.Status.KeyMaterials)
}

func envelopeOwner(_ context.Context, obj client.Object) []reconcile.Request {
	e, ok := obj.(*v1alpha1.Envelope)
	if !ok || e.Spec.Owner.Kind != parameterstore.OwnerKind {
		return nil
	}
	return []reconcile.Request{request(e.Namespace, e.Spec.Owner.Name)}
}

// envelopeWanted lets a new Envelope through only if its Parameter misses one.
func (r *Reconciler) envelopeWanted(e event.CreateEvent) bool {
	envelope, ok := e.Object.(*v1alpha1.Envelope)
	if !ok || e.IsInInitialList || envelope.Spec.Owner.Kind != parameterstore.OwnerKind {
		return false
	}
	parameter := &v1alpha1.Parameter{}
	key := types.NamespacedName{Namespace: envelope.Namespace, Name: envelope.Spec.Owner.Name}
	if err := r.Client.Get(context.Background(), key, parameter, client.DisableReadYourWritesConsistency); err != nil {
		return false
	}
	return meta.IsStatusConditionFalse(parameter.Status.Conditions, v1alpha1.ConditionReady)
}

func (r *Reconciler) ofNamespace(ctx context.Context, obj client.Object) []reconcile.Request {
	found, err := r.list(ctx, obj.GetName())
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing the Parameters of a namespace")
	}
	return found
}

func request(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}
