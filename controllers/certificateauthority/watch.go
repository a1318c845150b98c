package certificateauthority

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
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
)

// The cache indexes of CertificateAuthorities.
const (
	// KeyIndex finds them by the name of their KMSKey.
	KeyIndex = acmpca.KeyIndex
	// IssuerIndex finds them by the name of the authority above.
	IssuerIndex = "issuer"
	// TargetIndex finds them by the name of the ConfigMap that they write.
	TargetIndex = "target"
)

// Indexes are the functions of the cache indexes.
func Indexes() map[string]client.IndexerFunc {
	return map[string]client.IndexerFunc{
		acmpca.ARNIndex: acmpca.IndexARN,
		KeyIndex:        passes.Index((*v1alpha1.CertificateAuthority).KMSKeyName),
		TargetIndex:     passes.Index(targetOf),
		IssuerIndex: passes.Index(func(ca *v1alpha1.CertificateAuthority) string {
			if ca.Spec.AuthorityRef == nil {
				return ""
			}
			return ca.Spec.AuthorityRef.Name
		}),
	}
}

// own is the kind.
var own = passes.Kind{
	Name: "CertificateAuthority",
	New:  func() outcome.Object { return &v1alpha1.CertificateAuthority{} },
	List: func() client.ObjectList { return &v1alpha1.CertificateAuthorityList{} },
}

// SetupWithManager registers the controller. The cache must have Indexes.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("certificateauthority").
		For(&v1alpha1.CertificateAuthority{}, builder.WithPredicates(predicate.Funcs{UpdateFunc: passes.Changed(statusLost)})).
		Watches(&v1alpha1.CertificateAuthority{}, own.By(r.Client, passes.Named(IssuerIndex)), builder.WithPredicates(predicate.Funcs{UpdateFunc: renewed})).
		Watches(&corev1.ConfigMap{}, own.By(r.Client, passes.Named(TargetIndex)), builder.WithPredicates(predicate.Funcs{CreateFunc: own.NotOwn})).
		Watches(&v1alpha1.KMSKey{}, own.By(r.Client, passes.Named(KeyIndex)), builder.WithPredicates(predicate.Funcs{UpdateFunc: keyChanged})).
		Watches(&v1alpha1.CertificateAuthority{}, handler.EnqueueRequestsFromMapFunc(r.ofKey), builder.WithPredicates(deleted)).
		Watches(&v1alpha1.Envelope{}, handler.EnqueueRequestsFromMapFunc(revocationOf),
			builder.WithPredicates(predicate.Funcs{CreateFunc: func(e event.CreateEvent) bool { return !e.IsInInitialList }, UpdateFunc: passes.NotRewrapped})).
		Watches(&corev1.Namespace{}, own.NamespaceChanged(r.Client), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WithOptions(options).
		Complete(r)
}

// keyChanged lets those changes of a KMSKey through that an authority can be waiting for, one of whose it is included.
func keyChanged(e event.UpdateEvent) bool {
	before, ok1 := e.ObjectOld.(*v1alpha1.KMSKey)
	after, ok2 := e.ObjectNew.(*v1alpha1.KMSKey)
	return !ok1 || !ok2 || passes.KeyChanged(e) || holderOf(before) != holderOf(after) ||
		!equality.Semantic.DeepEqual(before.Spec.CertificateAuthorityRef, after.Spec.CertificateAuthorityRef)
}

func holderOf(key *v1alpha1.KMSKey) string {
	if key.Status.CertificateAuthority == nil {
		return ""
	}
	return key.Status.CertificateAuthority.ARN
}

// deleted lets the deletion of an object through.
var deleted = predicate.Funcs{
	CreateFunc: func(event.CreateEvent) bool { return false }, UpdateFunc: func(event.UpdateEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
}

// ofKey are the authorities that name the same key as one that is deleted: it may have held the key, and have had no certificate.
func (r *Reconciler) ofKey(ctx context.Context, obj client.Object) []reconcile.Request {
	ca, ok := obj.(*v1alpha1.CertificateAuthority)
	if !ok {
		return nil
	}
	return own.Find(ctx, r.Client, client.InNamespace(ca.Namespace), client.MatchingFields{KeyIndex: ca.KMSKeyName()})
}

// statusLost tells that a status has fewer facts than before, which this controller never writes.
func statusLost(before, after *v1alpha1.CertificateAuthority) bool {
	return before.Status.ARN != "" && after.Status.ARN != before.Status.ARN || len(after.Status.Versions) < len(before.Status.Versions) ||
		before.Status.Projection != nil && after.Status.Projection == nil && targetOf(after) != ""
}

// renewed lets those updates of an authority through that one below it can be waiting for.
func renewed(e event.UpdateEvent) bool {
	before, ok1 := e.ObjectOld.(*v1alpha1.CertificateAuthority)
	after, ok2 := e.ObjectNew.(*v1alpha1.CertificateAuthority)
	return !ok1 || !ok2 || before.Status.Serial != after.Status.Serial || listOf(before) != listOf(after) ||
		stopped(before) != stopped(after)
}

// listOf is what is on an authority's list: the certificate of one below may be.
func listOf(ca *v1alpha1.CertificateAuthority) string {
	if ca.Status.CRL == nil {
		return ""
	}
	return ca.Status.CRL.Digest
}

// stopped tells that an authority is revoked, or one above it is, which stops those below.
func stopped(ca *v1alpha1.CertificateAuthority) bool {
	ready := meta.FindStatusCondition(ca.Status.Conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.Reason == v1alpha1.ReasonRevoked
}

// revocationOf maps a revocation to its authority, which makes the next list.
func revocationOf(_ context.Context, obj client.Object) []reconcile.Request {
	e, ok := obj.(*v1alpha1.Envelope)
	if !ok || e.Spec.Class != v1alpha1.EnvelopeRevocation {
		return nil
	}
	return []reconcile.Request{passes.Request(e.Namespace, e.Spec.Owner.Name)}
}
