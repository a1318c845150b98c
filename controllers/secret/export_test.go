package secret

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// What the watches ask is looked at by tests with a real cache.

func EnvelopeWanted(r *Reconciler, e event.CreateEvent) bool { return own.EnvelopeWanted(r.Client)(e) }

func OfNamespace(r *Reconciler, ctx context.Context, namespace client.Object) []reconcile.Request {
	return own.OfNamespace(ctx, r.Client, namespace)
}
