package envelope

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"
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

// saw remembers the last state of an owner whose deletion was seen, as it was when that began.
func (r *Reconciler) saw(owner Owner, last *object) {
	last.deleted = r.Now()
	r.deleted.Store(owner, last)
}

// sawHeld remembers an owner that was being deleted already when it was first seen, or is gone after finalizers held it. Whether it left a recovery window was decided when its deletion
// began: what its annotation says since does not count, and where nobody saw that, it did.
func (r *Reconciler) sawHeld(owner Owner, last *object) {
	if r.knows(owner, last.uid) {
		return
	}
	last.forced = false
	r.saw(owner, last)
}

// knows tells whether the deletion of an object was seen.
func (r *Reconciler) knows(owner Owner, uid types.UID) bool {
	value, _ := r.deleted.Load(owner)
	last, ok := value.(*object)
	return ok && last.uid == uid
}

// ofOwner asks for a look when an owner goes, which is when its deletion begins, or settles on an ARN, a first or another index, which may leave Envelopes unnamed.
func (r *Reconciler) ofOwner(kind string) handler.TypedEventHandler[client.Object, Owner] {
	return handler.TypedFuncs[client.Object, Owner]{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) {
			if !store.Gone(e.Object) {
				return
			}
			owner := Owner{kind, e.Object.GetNamespace(), e.Object.GetName()}
			r.sawHeld(owner, lastWords(e.Object))
			q.Add(owner)
		},
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) {
			owner := Owner{kind, e.ObjectNew.GetNamespace(), e.ObjectNew.GetName()}
			if store.Gone(e.ObjectNew) {
				if !store.Gone(e.ObjectOld) {
					r.saw(owner, lastWords(e.ObjectNew))
					q.Add(owner)
				}
				return
			}
			before, after := identify(e.ObjectOld), identify(e.ObjectNew)
			settles := len(before.index) == 0 && len(after.index) > 0 // by now its versions speak for its ARN
			if before.arn != after.arn || settles || lost(before.index, after.index) {
				q.Add(owner)
			}
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) {
			owner := Owner{kind, e.Object.GetNamespace(), e.Object.GetName()}
			if last := lastWords(e.Object); store.Gone(e.Object) {
				last.born = time.Time{} // the tombstone that there is by now is this deletion's
				r.sawHeld(owner, last)
			} else {
				r.saw(owner, last)
			}
			q.Add(owner)
		},
	}
}
