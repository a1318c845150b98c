package backup

import (
	"context"
	"fmt"
	"maps"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// maximumTries is how often a write is made again that another writer, such as a controller with a status, came before.
const maximumTries = 5

// vacant tells whether an object that is there is the Keyring as the operator makes it where it is missing, of which nobody has said anything: it stands for none.
func vacant(live *unstructured.Unstructured) bool {
	spec, _, _ := unstructured.NestedMap(live.Object, "spec")
	return live.GroupVersionKind() == ours(kindKeyring) && live.GetName() == v1alpha1.KeyringName && len(spec) == 0 && len(live.GetLabels()) == 0 && len(live.GetAnnotations()) == 0 &&
		live.GetDeletionTimestamp() == nil
}

// fill has a vacant object say what the backup's does, and tells whether it did: not if somebody else has said something meanwhile. What was asked of the one in the backup
// was done there, and is not asked again of one that a manager may be looking at. Crash-safe: it is one write, on the condition that the object is as it was read.
func (r *Restorer) fill(ctx context.Context, o, live *unstructured.Unstructured) (filled bool, err error) {
	var dry []client.UpdateOption
	if r.DryRun {
		dry = append(dry, client.DryRunAll)
	}
	for range maximumTries {
		if !vacant(live) {
			return false, nil
		}
		live.Object["spec"] = o.DeepCopy().Object["spec"]
		live.SetLabels(o.GetLabels())
		annotations := maps.Clone(o.GetAnnotations())
		delete(annotations, v1alpha1.RotateAnnotation)
		live.SetAnnotations(annotations)
		err := r.Cluster.Update(ctx, live, dry...)
		if err == nil {
			return true, nil
		}
		if !apierrors.IsConflict(err) {
			return false, err
		}
		if err := r.Cluster.Get(ctx, client.ObjectKeyFromObject(o), live); err != nil {
			return false, err
		}
	}
	return false, fmt.Errorf("%s is written to all the time", nameOf(o))
}
