package certificate

import (
	"context"
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	"strongroom.dev/strongroom/controllers/imports"
	"strongroom.dev/strongroom/internal/service/acm"
)

// The cache indexes of Certificates.
const (
	// KeyIndex finds them by the name of the KMSKey for new private keys.
	KeyIndex = "kms-key"
	// SourceIndex finds them by the name of the core Secret that they are imported from.
	SourceIndex = "source"
	// TargetIndex finds them by the name of the core Secret that they write.
	TargetIndex = imports.TargetIndex
	// AuthorityIndex finds them by the name of their CertificateAuthority.
	AuthorityIndex = "authority"
)

// Indexes are the functions of the cache indexes.
func Indexes() map[string]client.IndexerFunc {
	by := func(value func(*v1alpha1.Certificate) string) client.IndexerFunc {
		return func(obj client.Object) []string {
			c, ok := obj.(*v1alpha1.Certificate)
			if !ok || value(c) == "" {
				return nil
			}
			return []string{value(c)}
		}
	}
	return map[string]client.IndexerFunc{
		acm.ARNIndex: acm.IndexARN,
		KeyIndex:     by(acm.KeyName),
		TargetIndex:  by((*v1alpha1.Certificate).TargetName),
		SourceIndex: by(func(c *v1alpha1.Certificate) string {
			if c.Spec.ImportFrom == nil {
				return ""
			}
			return c.Spec.ImportFrom.SecretRef.Name
		}),
		AuthorityIndex: by(func(c *v1alpha1.Certificate) string {
			if c.Spec.AuthorityRef == nil {
				return ""
			}
			return c.Spec.AuthorityRef.Name
		}),
	}
}

// SetupWithManager registers the controller. The cache must have Indexes.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("certificate").
		For(&v1alpha1.Certificate{}, builder.WithPredicates(predicate.Funcs{UpdateFunc: changed})).
		Watches(&corev1.Secret{}, r.by(TargetIndex, SourceIndex), builder.WithPredicates(predicate.Funcs{CreateFunc: notOwn})).
		Watches(&v1alpha1.CertificateAuthority{}, r.by(AuthorityIndex), builder.WithPredicates(predicate.Funcs{UpdateFunc: authorityChanged})).
		Watches(&v1alpha1.KMSKey{}, r.by(KeyIndex), builder.WithPredicates(predicate.Funcs{UpdateFunc: keyChanged})).
		Watches(&v1alpha1.Envelope{}, handler.EnqueueRequestsFromMapFunc(envelopeOwner), builder.WithPredicates(predicate.Funcs{CreateFunc: r.envelopeWanted})).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.ofNamespace), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WithOptions(options).
		Complete(r)
}

// changed lets those updates of a Certificate through that are not this controller's own writes of status.
func changed(e event.UpdateEvent) bool {
	before, ok1 := e.ObjectOld.(*v1alpha1.Certificate)
	after, ok2 := e.ObjectNew.(*v1alpha1.Certificate)
	if !ok1 || !ok2 || before.ResourceVersion == after.ResourceVersion {
		return true // a resync looks at everything
	}
	return before.Generation != after.Generation || before.UID != after.UID || !maps.Equal(before.Annotations, after.Annotations) ||
		statusLost(&before.Status, &after.Status) || imported(&before.Status, &after.Status)
}

// imported tells that a request has imported another certificate, which is to be shown.
func imported(before, after *v1alpha1.CertificateStatus) bool {
	return before.Fingerprint != after.Fingerprint && (after.Projection == nil || before.Projection != nil && before.Projection.Digest == after.Projection.Digest)
}

// statusLost tells that a status has fewer facts than before, which this controller never writes.
func statusLost(before, after *v1alpha1.CertificateStatus) bool {
	return before.ARN != "" && after.ARN != before.ARN || len(after.Versions) < len(before.Versions) ||
		before.Projection != nil && after.Projection == nil || len(after.Conditions) == 0
}

// notOwn lets new core Secrets through but for projections, which this controller made itself.
func notOwn(e event.CreateEvent) bool {
	controller := metav1.GetControllerOf(e.Object)
	return controller == nil || controller.Kind != kind || controller.APIVersion != v1alpha1.SchemeGroupVersion.String()
}

// authorityChanged lets those changes of an authority through that a Certificate can be waiting for.
func authorityChanged(e event.UpdateEvent) bool {
	before, ok1 := e.ObjectOld.(*v1alpha1.CertificateAuthority)
	after, ok2 := e.ObjectNew.(*v1alpha1.CertificateAuthority)
	return !ok1 || !ok2 || before.Status.Serial != after.Status.Serial || before.Status.ARN != after.Status.ARN ||
		meta.IsStatusConditionTrue(before.Status.Conditions, v1alpha1.ConditionReady) != meta.IsStatusConditionTrue(after.Status.Conditions, v1alpha1.ConditionReady) ||
		numberOf(before) != numberOf(after) // something may have been revoked
}

func numberOf(ca *v1alpha1.CertificateAuthority) int64 {
	if ca.Status.CRL == nil {
		return 0
	}
	return ca.Status.CRL.Revoked
}

func keyChanged(e event.UpdateEvent) bool {
	before, ok1 := e.ObjectOld.(*v1alpha1.KMSKey)
	after, ok2 := e.ObjectNew.(*v1alpha1.KMSKey)
	return !ok1 || !ok2 || before.Status.KeyState != after.Status.KeyState || before.Status.ARN != after.Status.ARN ||
		len(before.Status.KeyMaterials) != len(after.Status.KeyMaterials)
}

// by maps an object to the Certificates of its namespace that name it in one of the indexes.
func (r *Reconciler) by(indexes ...string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []reconcile.Request {
		var out []reconcile.Request
		for _, index := range indexes {
			out = append(out, r.list(ctx, client.InNamespace(obj.GetNamespace()), client.MatchingFields{index: obj.GetName()})...)
		}
		return out
	})
}

func (r *Reconciler) ofNamespace(ctx context.Context, obj client.Object) []reconcile.Request {
	return r.list(ctx, client.InNamespace(obj.GetName()))
}

// list asks the cache as it is: a handler of events must not wait for other events.
func (r *Reconciler) list(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	var found v1alpha1.CertificateList
	if err := r.Client.List(ctx, &found, append(options, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "finding the Certificates of an object")
		return nil
	}
	out := make([]reconcile.Request, 0, len(found.Items))
	for i := range found.Items {
		out = append(out, request(found.Items[i].Namespace, found.Items[i].Name))
	}
	return out
}

func envelopeOwner(_ context.Context, obj client.Object) []reconcile.Request {
	e, ok := obj.(*v1alpha1.Envelope)
	if !ok || e.Spec.Owner.Kind != kind {
		return nil
	}
	return []reconcile.Request{request(e.Namespace, e.Spec.Owner.Name)}
}

// envelopeWanted lets a new Envelope through only if its Certificate misses one: the ordinary creation is this controller's own.
func (r *Reconciler) envelopeWanted(e event.CreateEvent) bool {
	envelope, ok := e.Object.(*v1alpha1.Envelope)
	if !ok || e.IsInInitialList || envelope.Spec.Owner.Kind != kind {
		return false
	}
	c := &v1alpha1.Certificate{}
	key := types.NamespacedName{Namespace: envelope.Namespace, Name: envelope.Spec.Owner.Name}
	if err := r.Client.Get(context.Background(), key, c, client.DisableReadYourWritesConsistency); err != nil {
		return false
	}
	return meta.IsStatusConditionFalse(c.Status.Conditions, v1alpha1.ConditionReady)
}

func request(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}
