package passes

import (
	"context"
	"maps"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/internal/service/kms"
)

// Kind is what the watches of one kind ask the cache for.
type Kind struct {
	// Name is the kind's own, by which controller references and Envelopes name their owners.
	Name string
	// New and List make an empty object of it, and an empty list.
	New  func() outcome.Object
	List func() client.ObjectList
}

// Lookup is a cache index and the value to ask it for.
type Lookup struct{ Index, Value string }

// Request is a pass over one object.
func Request(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

// Find asks for a pass over each object of the kind that the cache has of a list. It asks the cache as it is: a handler of events must not
// wait for other events. It does not wait for the controller's own writes, none of which changes what it asks for.
func (k Kind) Find(ctx context.Context, cache client.Reader, options ...client.ListOption) []reconcile.Request {
	list := k.List()
	if err := cache.List(ctx, list, append(options, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "finding the objects that another is of concern to", "kind", k.Name)
		return nil
	}
	var out []reconcile.Request
	_ = meta.EachListItem(list, func(item runtime.Object) error {
		obj := item.(client.Object)
		out = append(out, Request(obj.GetNamespace(), obj.GetName()))
		return nil
	})
	return out
}

// By asks for a pass over those of an object's namespace that name it, as the lookups find them.
func (k Kind) By(cache client.Reader, lookups func(client.Object) []Lookup) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []reconcile.Request {
		var out []reconcile.Request
		for _, l := range lookups(obj) {
			out = append(out, k.Find(ctx, cache, client.InNamespace(obj.GetNamespace()), client.MatchingFields{l.Index: l.Value})...)
		}
		return out
	})
}

// Named are lookups for an object's own name.
func Named(indexes ...string) func(client.Object) []Lookup {
	return func(obj client.Object) []Lookup {
		out := make([]Lookup, 0, len(indexes))
		for _, index := range indexes {
			out = append(out, Lookup{index, obj.GetName()})
		}
		return out
	}
}

// OfNamespace asks for a pass over all of a namespace.
func (k Kind) OfNamespace(ctx context.Context, cache client.Reader, namespace client.Object) []reconcile.Request {
	return k.Find(ctx, cache, client.InNamespace(namespace.GetName()))
}

// NamespaceChanged is OfNamespace as a handler.
func (k Kind) NamespaceChanged(cache client.Reader) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, obj client.Object) []reconcile.Request {
		return k.OfNamespace(ctx, cache, obj)
	})
}

// EnvelopeOwner asks for a pass over the object of the kind that owns an Envelope.
func (k Kind) EnvelopeOwner(_ context.Context, obj client.Object) []reconcile.Request {
	e, ok := obj.(*v1alpha1.Envelope)
	if !ok || e.Spec.Owner.Kind != k.Name {
		return nil
	}
	return []reconcile.Request{Request(e.Namespace, e.Spec.Owner.Name)}
}

// EnvelopeWanted lets a new Envelope through only if the object that owns it misses one: the ordinary creation is the controller's own, and
// needs no second look.
func (k Kind) EnvelopeWanted(cache client.Reader) func(event.CreateEvent) bool {
	return func(e event.CreateEvent) bool {
		envelope, ok := e.Object.(*v1alpha1.Envelope)
		if !ok || e.IsInInitialList || envelope.Spec.Owner.Kind != k.Name {
			return false
		}
		owner := k.New()
		key := types.NamespacedName{Namespace: envelope.Namespace, Name: envelope.Spec.Owner.Name}
		if err := cache.Get(context.Background(), key, owner, client.DisableReadYourWritesConsistency); err != nil {
			return false
		}
		return meta.IsStatusConditionFalse(owner.GetConditions(), v1alpha1.ConditionReady)
	}
}

// NotRewrapped keeps those updates of Envelopes out that wrapped what they hold anew under a later domain key, and changed nothing for whom they are of.
func NotRewrapped(e event.UpdateEvent) bool {
	before, ok1 := e.ObjectOld.(*v1alpha1.Envelope)
	after, ok2 := e.ObjectNew.(*v1alpha1.Envelope)
	return !ok1 || !ok2 || before.UID != after.UID || before.Spec.KeyARN == after.Spec.KeyARN ||
		!maps.Equal(before.Annotations, after.Annotations)
}

// NotOwn lets new objects through but for projections, which the kind's controller made itself.
func (k Kind) NotOwn(e event.CreateEvent) bool {
	controller := metav1.GetControllerOf(e.Object)
	return controller == nil || controller.Kind != k.Name || controller.APIVersion != v1alpha1.SchemeGroupVersion.String()
}

// Controller asks for a pass over the object of the kind that controls another. Core Secrets of immutable targets have names that no spec has,
// and neither have Jobs.
func (k Kind) Controller(_ context.Context, obj client.Object) []reconcile.Request {
	controller := metav1.GetControllerOfNoCopy(obj)
	if controller == nil || controller.Kind != k.Name || controller.APIVersion != v1alpha1.SchemeGroupVersion.String() {
		return nil
	}
	return []reconcile.Request{Request(obj.GetNamespace(), controller.Name)}
}

// Changed lets those updates of a kind's objects through that are not its controller's own writes of status: a resync, a spec, an annotation,
// a deletion, another object of the name, lost conditions, and what lost tells of the kind's own status.
func Changed[T outcome.Object](lost func(before, after T) bool) func(event.UpdateEvent) bool {
	return func(e event.UpdateEvent) bool {
		before, ok1 := e.ObjectOld.(T)
		after, ok2 := e.ObjectNew.(T)
		if !ok1 || !ok2 || before.GetResourceVersion() == after.GetResourceVersion() {
			return true // a resync looks at everything
		}
		return before.GetGeneration() != after.GetGeneration() || before.GetUID() != after.GetUID() ||
			!maps.Equal(before.GetAnnotations(), after.GetAnnotations()) ||
			before.GetDeletionTimestamp().IsZero() != after.GetDeletionTimestamp().IsZero() ||
			len(after.GetConditions()) == 0 || lost(before, after)
	}
}

// KeyChanged lets only those changes of a KMSKey through that an object can be waiting for.
func KeyChanged(e event.UpdateEvent) bool {
	before, ok1 := e.ObjectOld.(*v1alpha1.KMSKey)
	after, ok2 := e.ObjectNew.(*v1alpha1.KMSKey)
	return !ok1 || !ok2 || before.Status.KeyState != after.Status.KeyState || before.Status.ARN != after.Status.ARN ||
		before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero() || kms.Gone(before) != kms.Gone(after) ||
		len(before.Status.KeyMaterials) != len(after.Status.KeyMaterials)
}

// Index finds objects of a kind by a value; those without one are in no index.
func Index[T client.Object](value func(T) string) client.IndexerFunc {
	return func(obj client.Object) []string {
		if of, ok := obj.(T); ok {
			if v := value(of); v != "" {
				return []string{v}
			}
		}
		return nil
	}
}
