package parametertree

import (
	"context"
	"slices"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// withdrawn is the digest of a target that keys were taken out of: of no content that was ever whole, so whatever is shown next restarts workloads.
const withdrawn = "withdrawn"

// withdraw takes out of the target what it shows of parameters that are deleted or have expired, though the others cannot be shown as they are now:
// a value has its end, whatever becomes of its neighbours. The rest stays, and nothing is restarted before the tree is shown whole again.
//
// Crash-safe: the keys leave status after they have left the target.
func (r *Reconciler) withdraw(ctx context.Context, p *pass) error {
	shown := p.former.Projection
	if shown == nil || shown.Immutable { // an immutable core Secret goes with its last user
		return nil
	}
	living, err := r.Parameters.Living(ctx, p.tree.Namespace)
	if err != nil {
		return err
	}
	gone := orphaned(shown.Keys, living, r.keysOf(p))
	if len(gone) == 0 {
		return nil
	}
	if err := r.Projector.Withdraw(ctx, p.tree.Namespace, p.owner(), p.formerTarget(), gone); err != nil {
		return err
	}
	left := *shown
	left.Keys = slices.DeleteFunc(slices.Clone(shown.Keys), func(key string) bool { return slices.Contains(gone, key) })
	left.Digest = withdrawn
	p.tree.Status.Projection, p.tree.Status.Parameters = &left, int32(len(left.Keys))
	return nil
}

// keysOf is by which keys of the target a parameter may be shown: its own, if the target shows the tree as its spec is now. What another spec showed is
// known by its keys alone, so then it may be any that some prefix and format make of its name.
func (r *Reconciler) keysOf(p *pass) func(*v1alpha1.Parameter) []string {
	tree, err := parameterstore.TreeOf(&p.tree.Spec)
	if err != nil || p.former.Projection.Generation != p.tree.Generation {
		return func(of *v1alpha1.Parameter) []string { return parameterstore.DataKeys(of.AWSName()) }
	}
	return func(of *v1alpha1.Parameter) []string {
		if r.Parameters.RegionOf(of) != p.region || !tree.Selects(of) {
			return nil
		}
		return []string{keyOf(&p.tree.Spec, of.AWSName())}
	}
}

// orphaned are those of the keys that can be no parameter's any more. It is a pure function.
func orphaned(keys []string, living []*v1alpha1.Parameter, of func(*v1alpha1.Parameter) []string) []string {
	left := make(map[string]bool, len(keys))
	for _, key := range keys {
		left[key] = true
	}
	for _, p := range living {
		for _, key := range of(p) {
			delete(left, key)
		}
	}
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return !left[key] })
}

// owner is the tree as the one that its target belongs to.
func (p *pass) owner() projection.Owner {
	return projection.Owner{Kind: own.Name, Name: p.tree.Name, UID: p.tree.UID, ARN: p.arn}
}

// formerTarget is the target as status knows it, nil for none.
func (p *pass) formerTarget() *projection.Former {
	former := p.former.Projection
	if former == nil {
		return nil
	}
	out := projection.FormerOf(&former.SecretProjectionStatus)
	out.ConfigMap = former.Kind == kindConfigMap
	return out
}
