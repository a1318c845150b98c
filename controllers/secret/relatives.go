package secret

import (
	"context"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// queue is of passes to make.
type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// relatives asks for passes over the replicas of a secret that has changed in what they have of it, and over the primary of a replica that is not as
// the primary's status says. A replica that has taken a version in asks for none. What is there at a start has passes of its own.
func (r *Reconciler) relatives() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) {
			if s, ok := e.Object.(*v1alpha1.Secret); ok && !e.IsInInitialList {
				r.askPrimary(ctx, s, q)
				r.askReplicas(ctx, s, q)
			}
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) {
			before, ok1 := e.ObjectOld.(*v1alpha1.Secret)
			after, ok2 := e.ObjectNew.(*v1alpha1.Secret)
			if !ok1 || !ok2 || before.ResourceVersion == after.ResourceVersion {
				return
			}
			if secretsmanager.IsReplica(before) && !secretsmanager.IsReplica(after) { // it was promoted
				q.Add(passes.Request(before.Namespace, secretsmanager.PrimaryName(before)))
			}
			r.askPrimary(ctx, after, q)
			if followed(before, after) {
				r.askReplicas(ctx, after, q)
			}
		},
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			if s, ok := e.Object.(*v1alpha1.Secret); ok {
				if secretsmanager.IsReplica(s) {
					q.Add(passes.Request(s.Namespace, secretsmanager.PrimaryName(s)))
				}
				r.askReplicas(ctx, s, q)
			}
		},
	}
}

// followed tells that a secret has changed in what replicas have of it.
func followed(before, after *v1alpha1.Secret) bool {
	return before.Generation != after.Generation || before.Status.ARN != after.Status.ARN || before.UID != after.UID ||
		!equality.Semantic.DeepEqual(before.Status.Versions, after.Status.Versions) ||
		!equality.Semantic.DeepEqual(before.Status.PolicyBinding, after.Status.PolicyBinding)
}

func (r *Reconciler) askReplicas(ctx context.Context, primary *v1alpha1.Secret, q queue) {
	if secretsmanager.IsReplica(primary) {
		return
	}
	found := own.Find(ctx, r.Client, client.InNamespace(primary.Namespace), client.MatchingFields{secretsmanager.ReplicaIndex: primary.Name})
	for _, request := range found {
		q.Add(request)
	}
}

func (r *Reconciler) askPrimary(ctx context.Context, replica *v1alpha1.Secret, q queue) {
	if !secretsmanager.IsReplica(replica) {
		return
	}
	primary := &v1alpha1.Secret{}
	key := client.ObjectKey{Namespace: replica.Namespace, Name: secretsmanager.PrimaryName(replica)}
	err := r.Client.Get(ctx, key, primary, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if client.IgnoreNotFound(err) != nil {
		ctrl.LoggerFrom(ctx).Error(err, "finding a replica's primary")
	}
	if err == nil && r.news(primary, replica) {
		q.Add(reconcile.Request{NamespacedName: key})
	}
}

// news tells that a replica is not as its primary's spec and status say.
func (r *Reconciler) news(primary, replica *v1alpha1.Secret) bool {
	region := r.Secrets.RegionOf(replica)
	listed, noted := secretsmanager.ListedRegion(primary, region), secretsmanager.Noted(primary, region)
	if listed == nil {
		return secretsmanager.OwnedBy(replica, primary)
	}
	if !r.Secrets.IsReplicaOf(replica, primary) {
		return false
	}
	wanted := replica.DeepCopy()
	secretsmanager.Shape(wanted, primary, listed)
	return noted == nil || !equality.Semantic.DeepEqual(replica, wanted) || *noted != noteRegion(primary, replica, region, nil)
}
