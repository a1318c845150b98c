package projection

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Collect deletes what an owner that was deleted controls, as Kubernetes' garbage collector does once its object is gone, and does not while finalizers hold that: the former targets, of which a nil one is
// none, and all core Secrets of immutable targets. What it merged into stays, as it does when an object goes at once. Who deletes an object so that its dependents become orphans
// (kubectl delete --cascade=orphan), of which its finalizer tells, keeps them.
//
// Crash-safe: each deletion is of an object as it was looked at, and is looked for again by the next pass.
func (p *Projector) Collect(ctx context.Context, deleted client.Object, owner Owner, former ...*Former) error {
	p.Forget(deleted.GetNamespace(), owner)
	if slices.Contains(deleted.GetFinalizers(), metav1.FinalizerOrphanDependents) {
		return nil
	}
	namespace := deleted.GetNamespace()
	owned, err := p.owned(ctx, &Showing{Namespace: namespace, Owner: owner})
	if err != nil {
		return err
	}
	for _, one := range owned {
		former = append(former, &Former{Name: one.name})
	}
	for _, f := range former {
		if f == nil {
			continue
		}
		if err := p.collect(ctx, &Target{ConfigMap: f.ConfigMap, Namespace: namespace, Name: f.Name, Owner: owner}); err != nil {
			return err
		}
	}
	return nil
}

func (p *Projector) collect(ctx context.Context, t *Target) error {
	live, err := p.live(ctx, t)
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	if controller := metav1.GetControllerOf(live); controller == nil || controller.UID != t.Owner.UID {
		return nil
	}
	err = p.Client.Delete(ctx, t.object(live), client.Preconditions{UID: &live.UID, ResourceVersion: &live.ResourceVersion})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting %s, whose owner was deleted: %w", t.what(), err)
	}
	return nil
}
