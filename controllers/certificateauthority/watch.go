package certificateauthority

import (
	"context"
	"maps"

	corev1 "k8s.io/api/core/v1"
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
	"strongroom.dev/strongroom/internal/service/acmpca"
)

// The cache indexes of CertificateAuthorities.
const (
	// KeyIndex finds them by the name of their KMSKey.
	KeyIndex = acmpca.KeyIndex
	// IssuerIndex finds them by the name of the authority above.
	IssuerIndex = "issuer"
)

// Indexes are the functions of the cache indexes.
func Indexes() map[string]client.IndexerFunc {
	by := func(value func(*v1alpha1.CertificateAuthority) string) client.IndexerFunc {
		return func(obj client.Object) []string {
			ca, ok := obj.(*v1alpha1.CertificateAuthority)
			if !ok || value(ca) == "" {
				return nil
			}
			return []string{value(ca)}
		}
	}
	return map[string]client.IndexerFunc{
		acmpca.ARNIndex: acmpca.IndexARN,
		KeyIndex:        by((*v1alpha1.CertificateAuthority).KMSKeyName),
		IssuerIndex: by(func(ca *v1alpha1.CertificateAuthority) string {
			if ca.Spec.AuthorityRef == nil {
				return ""
			}
			return ca.Spec.AuthorityRef.Name
		}),
	}
}

// SetupWithManager registers the controller. The cache must have Indexes.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("certificateauthority").
		For(&v1alpha1.CertificateAuthority{}, builder.WithPredicates(predicate.Funcs{UpdateFunc: changed})).
		Watches(&v1alpha1.CertificateAuthority{}, r.by(IssuerIndex), builder.WithPredicates(predicate.Funcs{UpdateFunc: renewed})).
		Watches(&v1alpha1.KMSKey{}, r.by(KeyIndex), builder.WithPredicates(predicate.Funcs{UpdateFunc: keyChanged})).
		Watches(&v1alpha1.Envelope{}, handler.EnqueueRequestsFromMapFunc(revocationOf),
			builder.WithPredicates(predicate.Funcs{CreateFunc: func(e event.CreateEvent) bool { return !e.IsInInitialList }})).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.ofNamespace), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WithOptions(options).
		Complete(r)
}

// changed lets those updates through that are not this controller's own writes of status.
func changed(e event.UpdateEvent) bool {
	before, ok1 := e.ObjectOld.(*v1alpha1.CertificateAuthority)
	after, ok2 := e.ObjectNew.(*v1alpha1.CertificateAuthority)
	if !ok1 || !ok2 || before.ResourceVersion == after.ResourceVersion {
		return true // a resync looks at everything
	}
	return before.Generation != after.Generation || before.UID != after.UID || !maps.Equal(before.Annotations, after.Annotations) ||
		before.Status.ARN != "" && after.Status.ARN != before.Status.ARN ||
		len(after.Status.Versions) < len(before.Status.Versions) || len(after.Status.Conditions) == 0
}

// renewed lets those updates of an authority through that one below it can be waiting for.
func renewed(e event.UpdateEvent) bool {
	before, ok1 := e.ObjectOld.(*v1alpha1.CertificateAuthority)
	after, ok2 := e.ObjectNew.(*v1alpha1.CertificateAuthority)
	return !ok1 || !ok2 || before.Status.Serial != after.Status.Serial
}

func keyChanged(e event.UpdateEvent) bool {
	before, ok1 := e.ObjectOld.(*v1alpha1.KMSKey)
	after, ok2 := e.ObjectNew.(*v1alpha1.KMSKey)
	return !ok1 || !ok2 || before.Status.KeyState != after.Status.KeyState || before.Status.ARN != after.Status.ARN ||
		len(before.Status.KeyMaterials) != len(after.Status.KeyMaterials)
}

// by maps an object to the authorities of its namespace that name it in an index.
func (r *Reconciler) by(index string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []reconcile.Request {
		return r.list(ctx, client.InNamespace(obj.GetNamespace()), client.MatchingFields{index: obj.GetName()})
	})
}

func (r *Reconciler) ofNamespace(ctx context.Context, obj client.Object) []reconcile.Request {
	return r.list(ctx, client.InNamespace(obj.GetName()))
}

// list asks the cache as it is: a handler of events must not wait for other events.
func (r *Reconciler) list(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	var found v1alpha1.CertificateAuthorityList
	if err := r.Client.List(ctx, &found, append(options, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "finding the CertificateAuthorities of an object")
		return nil
	}
	out := make([]reconcile.Request, 0, len(found.Items))
	for i := range found.Items {
		out = append(out, reconcile.Request{NamespacedName: types.NamespacedName{Namespace: found.Items[i].Namespace, Name: found.Items[i].Name}})
	}
	return out
}

// revocationOf maps a revocation to its authority, which makes the next list.
func revocationOf(_ context.Context, obj client.Object) []reconcile.Request {
	e, ok := obj.(*v1alpha1.Envelope)
	if !ok || e.Spec.Class != v1alpha1.EnvelopeRevocation {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: e.Namespace, Name: e.Spec.Owner.Name}}}
}
