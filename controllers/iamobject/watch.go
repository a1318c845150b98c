package iamobject

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"strongroom.dev/strongroom/api/v1alpha1"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

// OfNamespace asks for a pass over all objects of a kind in a namespace that changed: its account id may have.
func OfNamespace(reader client.Reader, k Kind) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []reconcile.Request {
		if _, ok := obj.(*corev1.Namespace); !ok {
			return nil
		}
		return requests(ctx, reader, k, obj.GetName(), func(Object) bool { return true })
	})
}

// OfPolicy asks for a pass over the objects of a kind that name a managed policy which changed, appeared or went.
func OfPolicy(reader client.Reader, k Kind) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []reconcile.Request {
		policy, ok := obj.(*v1alpha1.IAMPolicy)
		if !ok {
			return nil
		}
		return requests(ctx, reader, k, policy.Namespace, func(o Object) bool { return names(o, policy) })
	})
}

// names tells whether an object has a policy's ARN, of whatever account: the namespace's may just be changing.
func names(o Object, policy *v1alpha1.IAMPolicy) bool {
	suffix := ":policy" + policy.AWSPath() + policy.AWSName()
	if p := serviceiam.PermissionsOf(o); p != nil && strings.HasSuffix(p.PermissionsBoundary, suffix) {
		return true
	}
	p := serviceiam.PoliciesOf(o)
	return p != nil && slices.ContainsFunc(p.ManagedPolicyARNs, func(a string) bool { return strings.HasSuffix(a, suffix) })
}

// OfGroup asks for a pass over the users that are in a group which changed, appeared or went.
func OfGroup(reader client.Reader) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []reconcile.Request {
		return requests(ctx, reader, User, obj.GetNamespace(), func(Object) bool { return true }, client.MatchingFields{serviceiam.GroupIndex: obj.GetName()})
	})
}

func requests(ctx context.Context, reader client.Reader, k Kind, namespace string, want func(Object) bool, options ...client.ListOption) []reconcile.Request {
	all, err := listed(ctx, reader, k, append(options, client.InNamespace(namespace))...)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing the objects of a namespace")
		return nil
	}
	var out []reconcile.Request
	for _, o := range all {
		if want(o) {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(o)})
		}
	}
	return out
}
