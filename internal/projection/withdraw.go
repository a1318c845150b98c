package projection

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// Withdrawn is the digest of a target that keys were taken out of: of no content that was ever whole, so whatever is shown next restarts workloads.
const Withdrawn = "withdrawn"

// Withdraw takes keys out of a target that status knows, and leaves the others as they are: what they show is to be shown no more, though
// the target cannot be written whole. Nothing is restarted. Of a target that this owner merged into, those keys go that it alone wrote. One of this owner's whose type needs a key that goes is deleted. A target that is gone, or that is
// immutable, is left alone.
//
// It costs what a write of the whole object does, which is returned in bytes, 0 if nothing was written: a patch of few bytes has the API server write all of it in etcd and send it to all who watch.
//
// Crash-safe: it is one patch, of the object that was looked at, which does nothing when it is done twice; or one deletion of it as it was looked at.
func (p *Projector) Withdraw(ctx context.Context, namespace string, owner Owner, former *Former, keys []string) (cost int64, err error) {
	t := &Target{
		ConfigMap: former.ConfigMap, Namespace: namespace, Name: former.Name, Owner: owner, Policy: v1alpha1.CreationPolicyMerge, FormerKeys: keys,
	}
	live, err := p.live(ctx, t)
	if err != nil {
		return 0, client.IgnoreNotFound(err)
	}
	if isImmutable(live) {
		return 0, nil
	}
	if controller := metav1.GetControllerOf(live); controller != nil && controller.UID == owner.UID {
		t.Policy = v1alpha1.CreationPolicyOwner // all that it has written is its own, whoever has edited it since
	}
	err = p.takeOut(ctx, t, live)
	if apierrors.IsInvalid(err) && t.Policy == v1alpha1.CreationPolicyOwner {
		err = client.IgnoreNotFound(p.Client.Delete(ctx, t.object(live), client.Preconditions{UID: &live.UID, ResourceVersion: &live.ResourceVersion}))
	}
	return int64(t.writes) * costOf(live), err
}

// ErrMore says that a target is not merely to lose keys.
var ErrMore = errors.New("more is to be written than keys are to be taken out")

// losing is ErrMore if a target that is merely to lose keys is to have anything else written, or another is to be in its place. It asks the cache alone.
func (p *Projector) losing(ctx context.Context, s *Showing) error {
	switch {
	case !s.Losing:
		return nil
	case !s.knows() || s.Target.Immutable:
		return ErrMore
	}
	left := *s.Target
	left.Namespace, left.Owner, left.FormerKeys = s.Namespace, s.Owner, nil
	if left.policy() == v1alpha1.CreationPolicyMerge { // the cache does not know whose its keys are
		left.FormerKeys = s.Former.Keys
	}
	inSync, err := p.InSync(ctx, &left)
	if err == nil && !inSync {
		return ErrMore
	}
	return err
}

// MayShow tells whether a target is there that is an owner's, or has one of the keys that the owner merges into it. It asks the cache alone, which has what is
// labelled as a projection.
func (p *Projector) MayShow(ctx context.Context, namespace string, owner Owner, at *Former) (bool, error) {
	cached, err := read(ctx, p.Client, &Target{ConfigMap: at.ConfigMap, Namespace: namespace, Name: at.Name})
	if err != nil {
		return false, client.IgnoreNotFound(err)
	}
	if controller := metav1.GetControllerOf(cached); controller != nil && controller.UID == owner.UID {
		return true, nil
	}
	return slices.ContainsFunc(at.Keys, func(key string) bool { _, has := cached.Data[key]; return has }), nil
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
