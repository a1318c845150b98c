package projection

import (
	"context"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// Withdraw takes keys out of a target that status knows, and leaves the others as they are: what they show is to be shown no more, though
// the target cannot be written whole. Nothing is restarted. Of a target that this owner merged into, those keys go that it alone wrote. A target that is gone, or that is
// immutable, is left alone.
//
// Crash-safe: it is one patch, of the object that was looked at, which does nothing when it is done twice.
func (p *Projector) Withdraw(ctx context.Context, namespace string, owner Owner, former *Former, keys []string) error {
	t := &Target{
		ConfigMap: former.ConfigMap, Namespace: namespace, Name: former.Name, Owner: owner, Policy: v1alpha1.CreationPolicyMerge, FormerKeys: keys,
	}
	live, err := p.live(ctx, t)
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	if isImmutable(live) {
		return nil
	}
	if controller := metav1.GetControllerOf(live); controller != nil && controller.UID == owner.UID {
		t.Policy = v1alpha1.CreationPolicyOwner // all that it has written is its own, whoever has edited it since
	}
	return p.takeOut(ctx, t, live)
}

// takeOut removes the former keys of a target by one patch. That it is gone, or made anew, by now is no error.
func (p *Projector) takeOut(ctx context.Context, t *Target, live *corev1.Secret) error {
	gone := absent(t.removed(live), nil)
	if len(gone) == 0 {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": live.UID}, "data": gone})
	if err != nil {
		return fmt.Errorf("encoding the removal of keys: %w", err)
	}
	if err := p.patch(ctx, t, types.MergePatchType, patch); client.IgnoreNotFound(err) != nil && !remade(err) {
		return err
	}
	return nil
}
