package backup

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/store"
)

// strange notes a conflict if a version is one of an object that is there, has another history by now, and would take it over as its next: what has been put since would be followed by an older value.
func (r *Restorer) strange(ctx context.Context, o *unstructured.Unstructured) (bool, error) {
	if of, _ := rankOf(o); of != rankEnvelope {
		return false, nil
	}
	kind, _, _ := unstructured.NestedString(o.Object, "spec", "owner", "kind")
	name, _, _ := unstructured.NestedString(o.Object, "spec", "owner", "name")
	subject, _, _ := unstructured.NestedString(o.Object, "spec", "subject")
	sequence, _, _ := unstructured.NestedInt64(o.Object, "spec", "sequence")
	if !slices.Contains(kinds, kind) || name == "" {
		return false, nil
	}
	owner := &unstructured.Unstructured{}
	owner.SetGroupVersionKind(ours(kind))
	err := r.Cluster.Get(ctx, client.ObjectKey{Namespace: o.GetNamespace(), Name: name}, owner)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("reading %s %s/%s: %w", kind, o.GetNamespace(), name, err)
	}
	if err != nil || !hasHistory(owner, subject) || names(owner, sequence) {
		return false, nil
	}
	existing := &unstructured.Unstructured{}
	existing.SetGroupVersionKind(o.GroupVersionKind())
	if err := r.Cluster.Get(ctx, client.ObjectKeyFromObject(o), existing); !apierrors.IsNotFound(err) {
		return false, err // it is there, and compared
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conflict(o)
	return true, nil
}

// hasHistory tells that an object has settled on an ARN and has versions of it.
func hasHistory(owner *unstructured.Unstructured, subject string) bool {
	arn, _, _ := unstructured.NestedString(owner.Object, "status", "arn")
	return arn == subject && len(history(owner)) > 0
}

// history lists the versions, or the key materials, of an object's status.
func history(owner *unstructured.Unstructured) []any {
	versions, _, _ := unstructured.NestedSlice(owner.Object, "status", "versions")
	materials, _, _ := unstructured.NestedSlice(owner.Object, "status", "keyMaterials")
	return append(versions, materials...)
}

// names tells whether an object's status names a version by its sequence, which is a Parameter's number.
func names(owner *unstructured.Unstructured, sequence int64) bool {
	return slices.ContainsFunc(history(owner), func(v any) bool {
		version, ok := v.(map[string]any)
		return ok && (version["sequence"] == sequence || version["version"] == sequence)
	})
}

// other reads what is there, tells in whose hands it is, and whether it is not what the backup has.
func (r *Restorer) other(ctx context.Context, o *unstructured.Unstructured) (*unstructured.Unstructured, bool, error) {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(o.GroupVersionKind())
	if err := r.Cluster.Get(ctx, client.ObjectKeyFromObject(o), live); err != nil {
		return live, false, err
	}
	if h, there := handsOf(o, live); there && r.Held != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.Held(h)
	}
	return live, !same(o, live), nil
}

// same tells whether an object that is there says what the backup's does. Of a Namespace that is the account that it is, and nothing else.
func same(o, live *unstructured.Unstructured) bool {
	if o.GroupVersionKind() == core(kindNamespace) {
		return o.GetLabels()[v1alpha1.AccountIDLabel] == live.GetLabels()[v1alpha1.AccountIDLabel]
	}
	if rewrapped(o, live) {
		o, live = withoutWrapping(o), withoutWrapping(live)
	}
	for _, field := range []string{"spec", "data"} {
		if !equality.Semantic.DeepEqual(o.Object[field], live.Object[field]) {
			return false
		}
	}
	return true
}

// rewrapped tells whether two Envelopes are under different domain keys: one of them was rewrapped since the backup was taken, or is to be. Each opens by its own
// domain key, to the same if all else that they say is the same.
func rewrapped(o, live *unstructured.Unstructured) bool {
	was, is := store.Epoch(keyOf(o)), store.Epoch(keyOf(live))
	return was > 0 && is > 0 && was != is
}

func keyOf(o *unstructured.Unstructured) string {
	if o.GroupVersionKind() != ours(kindEnvelope) {
		return ""
	}
	key, _, _ := unstructured.NestedString(o.Object, "spec", "keyArn")
	return key
}

// withoutWrapping is an Envelope without what a rewrap changes.
func withoutWrapping(o *unstructured.Unstructured) *unstructured.Unstructured {
	out := o.DeepCopy()
	unstructured.RemoveNestedField(out.Object, "spec", "keyArn")
	unstructured.RemoveNestedField(out.Object, "spec", "ciphertext")
	return out
}

// kindOf is the kind of an object in words: there are Secrets of Strongroom's and of the core API.
func kindOf(o *unstructured.Unstructured) string {
	if o.GroupVersionKind() == core(kindSecret) {
		return "core " + kindSecret
	}
	return o.GetKind()
}

func nameOf(o *unstructured.Unstructured) string {
	name := o.GetName()
	if ns := o.GetNamespace(); ns != "" {
		name = ns + "/" + name
	}
	return kindOf(o) + " " + name
}
