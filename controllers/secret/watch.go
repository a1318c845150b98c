package secret

import (
	"context"
	"maps"

	corev1 "k8s.io/api/core/v1"
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
)

// The cache indexes of Secrets.
const (
	// KeyIndex finds them by the name of the KMSKey for new versions.
	KeyIndex = "kms-key"
	// SourceIndex finds them by the name of the core Secret that they follow.
	SourceIndex = "source"
	// TargetIndex finds them by the name of the core Secret that they write.
	TargetIndex = "target"
)

// Indexes are the functions of the cache indexes of Secrets.
func Indexes() map[string]client.IndexerFunc {
	return map[string]client.IndexerFunc{
		AWSNameIndex: of(func(s *v1alpha1.Secret) string { return s.AWSName() }),
		KeyIndex:     of(keyName),
		SourceIndex: of(func(s *v1alpha1.Secret) string {
			if s.Spec.ValueFrom == nil {
				return ""
			}
			return s.Spec.ValueFrom.SecretKeyRef.Name
		}),
		TargetIndex: of(func(s *v1alpha1.Secret) string { return (&pass{secret: s}).targetName() }),
	}
}

func of(value func(*v1alpha1.Secret) string) client.IndexerFunc {
	return func(obj client.Object) []string {
		if s, ok := obj.(*v1alpha1.Secret); ok {
			if v := value(s); v != "" {
				return []string{v}
			}
		}
		return nil
	}
}

// SetupWithManager registers the controller. The cache must have Indexes.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, options controller.Options) error {
	return ctrl.NewControllerManagedBy(mgr).
		Named("secret").
		For(&v1alpha1.Secret{}, builder.WithPredicates(predicate.Funcs{UpdateFunc: changed})).
		Watches(&corev1.Secret{}, r.by(coreSecretIndexes), builder.WithPredicates(predicate.Funcs{CreateFunc: notOwn})).
		Watches(&v1alpha1.KMSKey{}, r.by(func(client.Object) []string { return []string{KeyIndex} }),
			builder.WithPredicates(predicate.Funcs{UpdateFunc: keyChanged})).
		Watches(&v1alpha1.Envelope{}, handler.EnqueueRequestsFromMapFunc(envelopeOwner),
			builder.WithPredicates(predicate.Funcs{CreateFunc: r.envelopeWanted})).
		Watches(&corev1.Namespace{}, handler.EnqueueRequestsFromMapFunc(r.ofNamespace),
			builder.WithPredicates(predicate.LabelChangedPredicate{})).
		WithOptions(options).
		Complete(r)
}

// changed lets those updates of a Secret through that are not this controller's own writes of status: a spec or an
// annotation that changed, and a status that lost something.
func changed(e event.UpdateEvent) bool {
	before, ok1 := e.ObjectOld.(*v1alpha1.Secret)
	after, ok2 := e.ObjectNew.(*v1alpha1.Secret)
	if !ok1 || !ok2 || before.ResourceVersion == after.ResourceVersion {
		return true // a resync looks at everything
	}
	return before.Generation != after.Generation || before.UID != after.UID ||
		!maps.Equal(before.Annotations, after.Annotations) ||
		before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero() ||
		statusLost(&before.Status, &after.Status)
}

// statusLost tells that a status has fewer facts than before, which this controller never writes.
func statusLost(before, after *v1alpha1.SecretStatus) bool {
	return before.ARN != "" && after.ARN != before.ARN ||
		len(after.Versions) < len(before.Versions) ||
		before.Projection != nil && after.Projection == nil ||
		len(after.Conditions) == 0
}

// notOwn lets new core Secrets through but for projections, which this controller made itself.
func notOwn(e event.CreateEvent) bool {
	controller := metav1.GetControllerOf(e.Object)
	return controller == nil || controller.Kind != "Secret" || controller.APIVersion != v1alpha1.SchemeGroupVersion.String()
}

// by maps an object to the Secrets of its namespace that name it in one of the indexes.
func (r *Reconciler) by(indexes func(client.Object) []string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []reconcile.Request {
		var out []reconcile.Request
		for _, index := range indexes(obj) {
			var list v1alpha1.SecretList
			err := r.Client.List(ctx, &list, client.InNamespace(obj.GetNamespace()),
				client.MatchingFields{index: obj.GetName()}, client.UnsafeDisableDeepCopy)
			if err != nil {
				ctrl.LoggerFrom(ctx).Error(err, "finding the Secrets of an object", "index", index)
				continue
			}
			for i := range list.Items {
				out = append(out, request(list.Items[i].Namespace, list.Items[i].Name))
			}
		}
		return out
	})
}

// coreSecretIndexes: a core Secret may be the target of a Secret, or its source, or both in a chain.
func coreSecretIndexes(obj client.Object) []string {
	if obj.GetLabels()[v1alpha1.ManagedLabel] == v1alpha1.ManagedSource {
		return []string{SourceIndex}
	}
	return []string{TargetIndex, SourceIndex}
}

// keyChanged lets only those changes of a key through that a Secret can be waiting for.
func keyChanged(e event.UpdateEvent) bool {
	before, ok1 := e.ObjectOld.(*v1alpha1.KMSKey)
	after, ok2 := e.ObjectNew.(*v1alpha1.KMSKey)
	return !ok1 || !ok2 || before.Status.KeyState != after.Status.KeyState || before.Status.ARN != after.Status.ARN ||
		(before.DeletionTimestamp == nil) != (after.DeletionTimestamp == nil) ||
		len(before.Status.KeyMaterials) != len(after.Status.KeyMaterials)
}

func envelopeOwner(_ context.Context, obj client.Object) []reconcile.Request {
	e, ok := obj.(*v1alpha1.Envelope)
	if !ok || e.Spec.Owner.Kind != "Secret" {
		return nil
	}
	return []reconcile.Request{request(e.Namespace, e.Spec.Owner.Name)}
}

// envelopeWanted lets a new Envelope through only if its Secret misses one: the ordinary creation is this controller's
// own, and needs no second look.
func (r *Reconciler) envelopeWanted(e event.CreateEvent) bool {
	envelope, ok := e.Object.(*v1alpha1.Envelope)
	if !ok || e.IsInInitialList {
		return false
	}
	secret := &v1alpha1.Secret{}
	key := types.NamespacedName{Namespace: envelope.Namespace, Name: envelope.Spec.Owner.Name}
	if err := r.Client.Get(context.Background(), key, secret, client.DisableReadYourWritesConsistency); err != nil {
		return false
	}
	for _, c := range secret.Status.Conditions {
		if c.Type == v1alpha1.ConditionStalled && c.Status == metav1.ConditionTrue {
			return true
		}
	}
	return false
}

func (r *Reconciler) ofNamespace(ctx context.Context, obj client.Object) []reconcile.Request {
	var list v1alpha1.SecretList
	if err := r.Client.List(ctx, &list, client.InNamespace(obj.GetName()), client.UnsafeDisableDeepCopy); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "listing the Secrets of a namespace")
		return nil
	}
	out := make([]reconcile.Request, 0, len(list.Items))
	for i := range list.Items {
		out = append(out, request(list.Items[i].Namespace, list.Items[i].Name))
	}
	return out
}

func request(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}
