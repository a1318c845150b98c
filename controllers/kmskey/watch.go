package kmskey

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/controllers/passes"
	"strongroom.dev/strongroom/internal/service/acmpca"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/principals"
)

// Indexes are the functions of the cache indexes of KMSKeys.
func Indexes() map[string]client.IndexerFunc {
	return map[string]client.IndexerFunc{
		kms.AliasIndex: kms.IndexAlias, kms.ARNIndex: kms.IndexARN, kms.KeyIDIndex: kms.IndexKeyID, kms.KeyStoreIndex: kms.IndexKeyStore,
		kms.ReplicaIndex: kms.IndexReplica, principals.Index: principals.IndexValues,
	}
}

// SetupWithManager registers the controller. The cache must have Indexes.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("kmskey").
		For(&v1alpha1.KMSKey{}).
		Watches(&v1alpha1.KMSKey{}, r.relatives()).
		Watches(&v1alpha1.Envelope{}, handler.EnqueueRequestsFromMapFunc(r.ofEnvelope),
			builder.WithPredicates(predicate.Funcs{CreateFunc: ownMaterial, UpdateFunc: passes.NotRewrapped})).
		Watches(&v1alpha1.CertificateAuthority{}, handler.EnqueueRequestsFromMapFunc(r.ofAuthority)).
		Watches(&v1alpha1.HSMCluster{}, handler.EnqueueRequestsFromMapFunc(r.ofKeyStore),
			builder.WithPredicates(predicate.Funcs{UpdateFunc: keyStoreChanged})).
		Watches(&v1alpha1.IAMUser{}, passes.OfPrincipal(r.Client, own.List), builder.WithPredicates(passes.PrincipalAppeared)).
		Watches(&v1alpha1.IAMRole{}, passes.OfPrincipal(r.Client, own.List), builder.WithPredicates(passes.PrincipalAppeared)).
		Watches(&corev1.Namespace{}, own.NamespaceChanged(r.Client),
			builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WithOptions(options).
		Complete(r)
}

// ownMaterial lets new key material through: it may be one that was missing.
func ownMaterial(e event.CreateEvent) bool {
	envelope, ok := e.Object.(*v1alpha1.Envelope)
	return ok && !e.IsInInitialList && envelope.Spec.Owner.Kind == "KMSKey"
}

// leaving tells whether a key waits to be deleted.
func leaving(key *v1alpha1.KMSKey) bool { return !key.DeletionTimestamp.IsZero() || kms.Scheduled(key) }

// ofEnvelope maps key material to its key, and any other Envelope that goes to a key whose deletion waits for it.
func (r *Reconciler) ofEnvelope(ctx context.Context, obj client.Object) []reconcile.Request {
	e, ok := obj.(*v1alpha1.Envelope)
	if !ok {
		return nil
	}
	if e.Spec.Owner.Kind == "KMSKey" {
		return append(r.ofMaterial(ctx, e), passes.Request(e.Namespace, e.Spec.Owner.Name))
	}
	if acmpca.IsOwnCertificate(e) {
		return r.deleted(ctx, e.Namespace)
	}
	key, err := r.KMS.ByARN(ctx, e.Namespace, e.Spec.KeyARN)
	if err != nil || !leaving(key) {
		return nil
	}
	return []reconcile.Request{passes.Request(key.Namespace, key.Name)}
}

// ofMaterial maps the material of a multi-Region key to the keys of that id whose deletion may wait for it.
func (r *Reconciler) ofMaterial(ctx context.Context, e *v1alpha1.Envelope) (out []reconcile.Request) {
	id, ok := kms.MultiRegionMaterial(e)
	if !ok {
		return nil
	}
	related, err := r.KMS.Related(ctx, &v1alpha1.KMSKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace}, Status: v1alpha1.KMSKeyStatus{KeyID: id, ARN: e.Spec.Subject},
	})
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "finding the keys whose deletion waits for key material")
	}
	for i := range related {
		if k := &related[i]; leaving(k) && k.Name != e.Spec.Owner.Name {
			out = append(out, passes.Request(k.Namespace, k.Name))
		}
	}
	return out
}

// deleted are the keys of a namespace whose deletion may wait for the certificate of an authority, which goes at the end of its recovery window.
func (r *Reconciler) deleted(ctx context.Context, namespace string) (out []reconcile.Request) {
	var all v1alpha1.KMSKeyList
	err := r.Client.List(ctx, &all, client.InNamespace(namespace), client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "finding the keys whose deletion waits for an authority")
	}
	for i := range all.Items {
		if key := &all.Items[i]; leaving(key) {
			out = append(out, passes.Request(key.Namespace, key.Name))
		}
	}
	return out
}

// ofAuthority maps an authority that comes or goes to its key, if that key's deletion waits for it. Its other changes cost a look into the
// cache each.
func (r *Reconciler) ofAuthority(ctx context.Context, obj client.Object) []reconcile.Request {
	ca, ok := obj.(*v1alpha1.CertificateAuthority)
	if !ok {
		return nil
	}
	key := &v1alpha1.KMSKey{}
	name := client.ObjectKey{Namespace: ca.Namespace, Name: ca.KMSKeyName()}
	err := r.Client.Get(ctx, name, key, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if err != nil || !leaving(key) {
		return nil
	}
	return []reconcile.Request{passes.Request(name.Namespace, name.Name)}
}

// keyStoreChanged lets an HSMCluster through that came back or went, or that is for others now.
func keyStoreChanged(e event.UpdateEvent) bool {
	before, ok := e.ObjectOld.(*v1alpha1.HSMCluster)
	after, same := e.ObjectNew.(*v1alpha1.HSMCluster)
	return ok && same && (before.Generation != after.Generation || len(before.Status.DomainKeys) != len(after.Status.DomainKeys) ||
		meta.IsStatusConditionTrue(before.Status.Conditions, v1alpha1.ConditionAvailable) != meta.IsStatusConditionTrue(after.Status.Conditions, v1alpha1.ConditionAvailable))
}

// own is the kind.
var own = passes.Kind{
	Name: "KMSKey",
	New:  func() outcome.Object { return &v1alpha1.KMSKey{} },
	List: func() client.ObjectList { return &v1alpha1.KMSKeyList{} },
}

// ofKeyStore maps an HSMCluster to the keys that are in it.
func (r *Reconciler) ofKeyStore(ctx context.Context, obj client.Object) []reconcile.Request {
	return own.Find(ctx, r.Client, client.MatchingFields{kms.KeyStoreIndex: client.ObjectKeyFromObject(obj).String()})
}
