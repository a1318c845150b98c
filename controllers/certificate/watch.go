package certificate

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/imports"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/controllers/passes"
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
	return map[string]client.IndexerFunc{
		acm.ARNIndex: acm.IndexARN,
		KeyIndex:     passes.Index(acm.KeyName),
		TargetIndex:  passes.Index((*v1alpha1.Certificate).TargetName),
		SourceIndex: passes.Index(func(c *v1alpha1.Certificate) string {
			if c.Spec.ImportFrom == nil {
				return ""
			}
			return c.Spec.ImportFrom.SecretRef.Name
		}),
		AuthorityIndex: passes.Index(func(c *v1alpha1.Certificate) string {
			if c.Spec.AuthorityRef == nil {
				return ""
			}
			return c.Spec.AuthorityRef.Name
		}),
	}
}

// own is the kind.
var own = passes.Kind{
	Name: kind,
	New:  func() outcome.Object { return &v1alpha1.Certificate{} },
	List: func() client.ObjectList { return &v1alpha1.CertificateList{} },
}

// SetupWithManager registers the controller. The cache must have Indexes.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("certificate").
		For(&v1alpha1.Certificate{}, builder.WithPredicates(predicate.Funcs{UpdateFunc: passes.Changed(statusLost)})).
		Watches(&corev1.Secret{}, own.By(r.Client, passes.Named(TargetIndex, SourceIndex)), builder.WithPredicates(predicate.Funcs{CreateFunc: own.NotOwn})).
		Watches(&v1alpha1.CertificateAuthority{}, own.By(r.Client, passes.Named(AuthorityIndex)), builder.WithPredicates(predicate.Funcs{UpdateFunc: authorityChanged})).
		Watches(&v1alpha1.KMSKey{}, own.By(r.Client, passes.Named(KeyIndex)), builder.WithPredicates(predicate.Funcs{UpdateFunc: passes.KeyChanged})).
		Watches(&v1alpha1.Envelope{}, handler.EnqueueRequestsFromMapFunc(own.EnvelopeOwner), builder.WithPredicates(predicate.Funcs{CreateFunc: own.EnvelopeWanted(r.Client), UpdateFunc: passes.NotRewrapped})).
		Watches(&corev1.Namespace{}, own.NamespaceChanged(r.Client), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WithOptions(options).
		Complete(r)
}

// imported tells that a request has imported another certificate, which is to be shown.
func imported(before, after *v1alpha1.CertificateStatus) bool {
	return before.Fingerprint != after.Fingerprint && (after.Projection == nil || before.Projection != nil && before.Projection.Digest == after.Projection.Digest)
}

// statusLost tells that a status has fewer facts than before, which this controller never writes, or another's certificate.
func statusLost(old, now *v1alpha1.Certificate) bool {
	before, after := &old.Status, &now.Status
	return before.ARN != "" && after.ARN != before.ARN || len(after.Versions) < len(before.Versions) ||
		before.Projection != nil && after.Projection == nil || imported(before, after)
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
