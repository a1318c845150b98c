package envelope

import (
	"context"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
)

type queue = workqueue.TypedRateLimitingInterface[Owner]

// SetupWithManager registers the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.TypedOptions[Owner]) error {
	return builder.TypedControllerManagedBy[Owner](mgr).
		Named("envelope").
		Watches(&v1alpha1.Envelope{}, handler.TypedEnqueueRequestsFromMapFunc(r.ofEnvelope)).
		Watches(&v1alpha1.Secret{}, r.ofOwner(kindSecret)).
		Watches(&v1alpha1.KMSKey{}, r.ofOwner(kindKMSKey)).
		Watches(&v1alpha1.Certificate{}, r.ofOwner(kindCertificate)).
		Watches(&v1alpha1.CertificateAuthority{}, r.ofOwner(kindAuthority)).
		Watches(&v1alpha1.Parameter{}, r.ofOwner(kindParameter)).
		WithOptions(options).
		Complete(reconcile.TypedFunc[Owner](r.Reconcile))
}

// ofEnvelope maps an Envelope to its owner, unless nothing can be to do: the owner is there, and its index names the Envelope
// or has it in flight, as nearly always.
func (r *Reconciler) ofEnvelope(ctx context.Context, obj client.Object) []Owner {
	e, ok := obj.(*v1alpha1.Envelope)
	if !ok || e.Spec.Class == v1alpha1.EnvelopeDomainKey {
		return nil
	}
	owner := Owner{e.Spec.Owner.Kind, e.Namespace, e.Spec.Owner.Name}
	if e.Spec.Class != v1alpha1.EnvelopeTombstone && !store.Condemned(e) && e.DeletionTimestamp.IsZero() {
		// A handler of events must not wait for other events, as a read of one's own writes does.
		live, err := r.object(ctx, r.Client, owner, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
		if err == nil && live != nil && live.arn == subjectOf(e) {
			if isRecord(e) {
				return nil // of a live authority, whose controller looks after its records
			}
			if _, named := live.index.ByID(e.Spec.Version); named || e.Spec.Sequence > live.index.Last() {
				return nil
			}
		}
	}
	return []Owner{owner}
}

// lost tells whether an index lacks a version that it had. Both are in the order of sequences.
func lost(before, after versions.Index) bool {
	for _, v := range before {
		for len(after) > 0 && after[0].Sequence < v.Sequence {
			after = after[1:]
		}
		if len(after) == 0 || after[0].ID != v.ID {
			return true
		}
	}
	return false
}

// ofOwner asks for a look when an owner goes, or settles on an ARN or another index, which may leave Envelopes unnamed.
func (r *Reconciler) ofOwner(kind string) handler.TypedEventHandler[client.Object, Owner] {
	return handler.TypedFuncs[client.Object, Owner]{
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			before, after := identify(e.ObjectOld), identify(e.ObjectNew)
			if before.arn != after.arn || lost(before.index, after.index) {
				q.Add(Owner{kind, e.ObjectNew.GetNamespace(), e.ObjectNew.GetName()})
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			owner := Owner{kind, e.Object.GetNamespace(), e.Object.GetName()}
			last := lastWords(e.Object)
			last.deleted = r.Now()
			r.deleted.Store(owner, last)
			q.Add(owner)
		},
	}
}
