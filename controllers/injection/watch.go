package injection

import (
	"context"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// relabelled lets through the namespaces that appear and those whose account id may have changed.
var relabelled = builder.WithPredicates(predicate.LabelChangedPredicate{})

// NamespaceIndex is the cache index of IAMRoles by the namespaces of the service accounts that they list.
const NamespaceIndex = "service-account-namespace"

// IndexNamespace lists the values of NamespaceIndex.
func IndexNamespace(obj client.Object) []string {
	role, ok := obj.(*v1alpha1.IAMRole)
	if !ok {
		return nil
	}
	var out []string
	for _, reference := range role.Spec.ServiceAccounts {
		namespace, _, elsewhere := strings.Cut(string(reference), "/")
		if !elsewhere {
			namespace = role.Namespace
		}
		out = append(out, namespace)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Indexes are the functions of the cache indexes of IAMRoles.
func Indexes() map[string]client.IndexerFunc {
	return map[string]client.IndexerFunc{NamespaceIndex: IndexNamespace}
}

func requests(namespaces ...string) []reconcile.Request {
	out := make([]reconcile.Request, 0, len(namespaces))
	for _, name := range namespaces {
		out = append(out, reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
	}
	return out
}

// ofRole asks for a pass over the namespaces that a role lists service accounts of.
func (r *Reconciler) ofRole() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(_ context.Context, obj client.Object) []reconcile.Request {
		return requests(IndexNamespace(obj)...)
	})
}

// ofConfigMap asks for a pass over the namespace of a ConfigMap that somebody changed or deleted; of the gateway's own, over all
// namespaces that have a copy of what it says.
func (r *Reconciler) ofConfigMap() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []reconcile.Request {
		if obj.GetName() != v1alpha1.GatewayConfigMap {
			return nil
		}
		if obj.GetNamespace() != r.Namespace {
			return requests(obj.GetNamespace())
		}
		return r.all(ctx)
	})
}

func (r *Reconciler) all(ctx context.Context) []reconcile.Request {
	var roles v1alpha1.IAMRoleList
	if err := r.Client.List(ctx, &roles, client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "Listing the IAMRoles")
		return nil
	}
	var namespaces []string
	for i := range roles.Items {
		namespaces = append(namespaces, IndexNamespace(&roles.Items[i])...)
	}
	slices.Sort(namespaces)
	return requests(slices.Compact(namespaces)...)
}
