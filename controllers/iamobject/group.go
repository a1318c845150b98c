package iamobject

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
)

var (
	errNoGroup       = errors.New("there is no such group")
	errGroupNotReady = errors.New("the group is not in force")
)

// Groups looks whether the groups that a user is in are in force. It fails with a fault that says which is not, and that ends when it
// is.
func Groups(ctx context.Context, reader client.Reader, user *v1alpha1.IAMUser) error {
	for i, name := range user.Spec.Groups {
		if err := inGroup(ctx, reader, client.ObjectKey{Namespace: user.Namespace, Name: name}); err != nil {
			return fmt.Errorf("spec.groups[%d]: %w", i, err)
		}
	}
	return nil
}

func inGroup(ctx context.Context, reader client.Reader, key client.ObjectKey) error {
	group := &v1alpha1.IAMGroup{}
	err := reader.Get(ctx, key, group, client.UnsafeDisableDeepCopy)
	switch {
	case apierrors.IsNotFound(err) || err == nil && !group.DeletionTimestamp.IsZero():
		return fault.Waiting(v1alpha1.ReasonGroupNotFound, fmt.Errorf("%w: no IAMGroup of this namespace has metadata.name %s; create it", errNoGroup, key.Name))
	case err != nil:
		return fmt.Errorf("reading IAMGroup %s: %w", key, err)
	case !inForce(group):
		return fault.Waiting(v1alpha1.ReasonGroupNotReady, fmt.Errorf("%w: IAMGroup %s says why", errGroupNotReady, key.Name))
	}
	return nil
}

// inForce tells whether an object is Ready as it is now.
func inForce(obj Object) bool {
	ready := meta.FindStatusCondition(obj.GetIAMStatus().Conditions, v1alpha1.ConditionReady)
	return ready != nil && ready.Status == "True" && ready.ObservedGeneration == obj.GetGeneration()
}
