// Package adoption judges whether an object that is there already, under the name of one that is to be made, may be taken for it: an earlier request that
// died has left it, another replica was faster, or it is as good as that. Whoever may make objects of the kind, and not what is asked for here, could have made it before, so
// that its end, or what is done with it, is theirs. All services that go on with an object that they find ask here what its metadata says; what its spec
// says they compare with what they would make.
package adoption

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// ErrForeign says that an object is not as it would have been made: somebody else made it, or has changed it since.
var ErrForeign = errors.New("it was made by somebody else, or was changed since")

// asking are annotations by which anybody asks for something to be done once, at any time.
var asking = []string{v1alpha1.ReconcileAnnotation, v1alpha1.RotateAnnotation}

// Check fails with ErrForeign if the metadata of an object that is there says what that of the attempt to make it does not, and names it: that it is being deleted; an owner, with
// whose end Kubernetes deletes it; a finalizer that is none of the attempt's and not among further, which its controller adds, and which keeps it from going; or
// another label or annotation of Strongroom's own, by which it is found and treated. Labels and annotations of others are not looked at: admission webhooks and tools that deploy add
// theirs to everything. An owner that is missing is no error.
// https://kubernetes.io/docs/concepts/overview/working-with-objects/owners-dependents/
func Check(existing, attempt client.Object, further ...string) error {
	if !existing.GetDeletionTimestamp().IsZero() {
		return fmt.Errorf("%w: it is being deleted", ErrForeign)
	}
	for _, owner := range existing.GetOwnerReferences() {
		if !slices.ContainsFunc(attempt.GetOwnerReferences(), func(o metav1.OwnerReference) bool { return o.UID == owner.UID }) {
			return fmt.Errorf("%w: its ownerReferences have the %s %s", ErrForeign, owner.Kind, owner.Name)
		}
	}
	for _, finalizer := range existing.GetFinalizers() {
		if !slices.Contains(attempt.GetFinalizers(), finalizer) && !slices.Contains(further, finalizer) {
			return fmt.Errorf("%w: it has the finalizer %s", ErrForeign, finalizer)
		}
	}
	for _, pair := range []struct {
		what      string
		has, want map[string]string
	}{{"label", existing.GetLabels(), attempt.GetLabels()}, {"annotation", existing.GetAnnotations(), attempt.GetAnnotations()}} {
		if key := differs(pair.has, pair.want); key != "" {
			return fmt.Errorf("%w: its %s %s is another", ErrForeign, pair.what, key)
		}
	}
	return nil
}

// differs is the first key of Strongroom's own that two sets differ in, in their order, and empty if there is none.
func differs(has, want map[string]string) string {
	for _, key := range slices.Sorted(maps.Keys(merged(has, want))) {
		value, is := has[key]
		wanted, should := want[key]
		if strings.HasPrefix(key, v1alpha1.Group+"/") && !slices.Contains(asking, key) && (is != should || value != wanted) {
			return key
		}
	}
	return ""
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, b)
	return all
}
