package iam

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"strongroom.dev/strongroom/api/v1alpha1"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

// NameIndex finds IAM objects of a kind by their AWS name in lower case: AWS's names differ by more than case.
const NameIndex = "awsName"

func foldedName(obj object) string { return strings.ToLower(obj.AWSName()) }

func indexName(obj client.Object) []string {
	if o, ok := obj.(object); ok {
		return []string{foldedName(o)}
	}
	return nil
}

// PolicyIndexes are the functions of the cache indexes of IAMPolicies.
func PolicyIndexes() map[string]client.IndexerFunc {
	return map[string]client.IndexerFunc{serviceiam.ARNIndex: serviceiam.IndexARN, NameIndex: indexName}
}

// RoleIndexes are those of IAMRoles.
func RoleIndexes() map[string]client.IndexerFunc { return PolicyIndexes() }

// UserIndexes are those of IAMUsers.
func UserIndexes() map[string]client.IndexerFunc {
	indexes := PolicyIndexes()
	indexes[serviceiam.AccessKeyIndex] = serviceiam.IndexAccessKey
	return indexes
}

// SetupWithManager registers the controller of IAMPolicies.
func (r *PolicyReconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return r.builder(mgr, &v1alpha1.IAMPolicy{}, policyKind, options).Complete(r)
}

// SetupWithManager registers the controller of IAMRoles.
func (r *RoleReconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return r.builder(mgr, &v1alpha1.IAMRole{}, roleKind, options).
		Watches(&v1alpha1.IAMPolicy{}, r.all(roleKind)).
		Complete(r)
}

// SetupWithManager registers the controller of IAMUsers.
func (r *UserReconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return r.builder(mgr, &v1alpha1.IAMUser{}, userKind, options).
		Watches(&v1alpha1.IAMPolicy{}, r.all(userKind)).
		Watches(&v1alpha1.Envelope{}, handler.EnqueueRequestsFromMapFunc(r.ofEnvelope)).
		Complete(r)
}

// builder is what the three have in common: an object is looked at when it changes, when the account of its namespace does, and
// when another of its kind goes, which may have had its name.
func (b *Base) builder(mgr ctrl.Manager, obj object, k kind, options controller.Options) *builder.Builder {
	return ctrl.NewControllerManagedBy(mgr).
		Named("iam"+k.word).
		For(obj).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(b.ofNamespace(k, client.Object.GetName)),
			builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WithOptions(options)
}

// all maps an object to all of a kind in its namespace: there are few.
func (b *Base) all(k kind) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(b.ofNamespace(k, client.Object.GetNamespace))
}

func (b *Base) ofNamespace(k kind, namespace func(client.Object) string) handler.MapFunc {
	return func(ctx context.Context, obj client.Object) (out []reconcile.Request) {
		list := k.list()
		// A handler of events must not wait for other events, as a read of one's own writes does.
		err := b.Client.List(ctx, list, client.InNamespace(namespace(obj)), client.DisableReadYourWritesConsistency)
		if err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "listing the "+k.word+" objects of a namespace")
			return nil
		}
		_ = meta.EachListItem(list, func(item runtime.Object) error {
			o := item.(client.Object)
			out = append(out, request(o.GetNamespace(), o.GetName()))
			return nil
		})
		return out
	}
}

// ofEnvelope maps access keys to their users, who may be gone.
func (r *UserReconciler) ofEnvelope(_ context.Context, obj client.Object) []reconcile.Request {
	e, ok := obj.(*v1alpha1.Envelope)
	if !ok || e.Spec.Class != v1alpha1.EnvelopeAccessKey {
		return nil
	}
	return []reconcile.Request{request(e.Namespace, e.Spec.Owner.Name)}
}

func request(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}
