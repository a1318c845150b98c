package store

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// BeingDeleted tells whether the deletion of an object has begun. Kubernetes has no way back from there: finalizers hold the object and do not keep it. So for all
// that Strongroom does, one without a finalizer of Strongroom's is gone: it is neither served nor shown, takes nothing over, and what it had is erased or gets a tombstone.
// https://kubernetes.io/docs/concepts/overview/working-with-objects/finalizers/
func BeingDeleted(obj client.Object) bool { return !obj.GetDeletionTimestamp().IsZero() }

// Gone tells whether an object that Envelopes are of is none any more though it is there: its deletion has begun, and nothing of Strongroom's holds it, as a KMSKey is held for as long as something needs it. A finalizer
// of somebody else's keeps nothing: what was deleted for good goes at once, and a recovery window begins.
func Gone(obj client.Object) bool {
	return BeingDeleted(obj) && !controllerutil.ContainsFinalizer(obj, v1alpha1.KeyMaterialFinalizer)
}

// SkipsWindow tells whether an object that is deleted now leaves nothing to have back: its ForceDeleteAnnotation has one of the values, and nobody but Strongroom owns it. ours tells
// which owners are Strongroom's; nil is none.
//
// An object that somebody else owns goes when the garbage collector wants, on nobody's request: whoever may update an object, and not delete it, can name an owner that
// there is not. So its mark does not count, and the window holds.
func SkipsWindow(obj client.Object, ours func(metav1.OwnerReference) bool, values ...string) bool {
	return slices.Contains(values, obj.GetAnnotations()[v1alpha1.ForceDeleteAnnotation]) && len(foreign(obj, ours)) == 0
}

// Disown takes all owners from an object but Strongroom's own, so that a mark which is written with it counts, and nobody but whoever wrote that deletes the object.
func Disown(obj client.Object, ours func(metav1.OwnerReference) bool) {
	if len(foreign(obj, ours)) == 0 {
		return
	}
	obj.SetOwnerReferences(slices.DeleteFunc(slices.Clone(obj.GetOwnerReferences()), func(o metav1.OwnerReference) bool { return ours == nil || !ours(o) }))
}

// foreign are the owners of an object that are not Strongroom's.
func foreign(obj client.Object, ours func(metav1.OwnerReference) bool) []metav1.OwnerReference {
	return slices.DeleteFunc(slices.Clone(obj.GetOwnerReferences()), func(o metav1.OwnerReference) bool { return ours != nil && ours(o) })
}

// TakeAlong takes the finalizer from an object by which its dependents would become orphans, and tells whether it was there: what is deleted by AWS's API is not shown any more, whatever
// somebody has written on the object before.
// https://kubernetes.io/docs/concepts/architecture/garbage-collection/#orphaned-dependents
func TakeAlong(obj client.Object) (changed bool) {
	before := len(obj.GetFinalizers())
	obj.SetFinalizers(slices.DeleteFunc(slices.Clone(obj.GetFinalizers()), func(f string) bool { return f == metav1.FinalizerOrphanDependents }))
	return len(obj.GetFinalizers()) < before
}
