package parametertree

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"slices"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// withdraw takes out of the target what it shows of parameters that are deleted or have expired, though the others cannot be shown as they are now:
// a value has its end, whatever becomes of its neighbours. The rest stays, and nothing is restarted before the tree is shown whole again.
//
// Crash-safe: the keys leave status after they have left the target.
func (r *Reconciler) withdraw(ctx context.Context, p *pass) error {
	if shown := p.former.Projection; shown == nil || len(shown.Keys) == 0 { // or a tree that never comes to be shown would have all parameters of the namespace looked at with each change
		return nil
	}
	living, err := r.living(ctx, p.tree.Namespace)
	if err != nil {
		return err
	}
	gone := r.gone(p, living)
	if len(gone) == 0 {
		return nil
	}
	shown := p.former.Projection
	cost, err := r.Projector.Withdraw(ctx, p.tree.Namespace, p.owner(), p.formerTarget(), gone)
	p.size, p.spent = max(p.size, cost), p.spent+cost
	if err != nil {
		return err
	}
	left := *shown
	left.Keys, left.Shows = nil, nil
	for at, key := range shown.Keys {
		if slices.Contains(gone, key) {
			continue
		}
		left.Keys = append(left.Keys, key)
		if len(shown.Shows) == len(shown.Keys) {
			left.Shows = append(left.Shows, shown.Shows[at])
		}
	}
	left.Digest = projection.Withdrawn
	p.tree.Status.Projection, p.tree.Status.Parameters = &left, int32(len(left.Keys))
	return nil
}

// living are the parameters of a namespace that have a value, or had one that comes back.
type living struct {
	all []*v1alpha1.Parameter
	// told are what tells them in status.
	told map[string]bool
}

func (r *Reconciler) living(ctx context.Context, namespace string) (*living, error) {
	all, err := r.Parameters.Living(ctx, namespace)
	if err != nil {
		return nil, err
	}
	if all, err = r.valued(ctx, all); err != nil {
		return nil, err
	}
	out := &living{all: all, told: make(map[string]bool, len(all))}
	for _, of := range all {
		out.told[tell(r.Parameters.RegionOf(of), of.AWSName())] = true
	}
	return out, nil
}

// valued are those Parameters that have a value, or had one that comes back. One that has no versions, and to which none comes back, was declared under the name of one that is gone: it has the
// name, and nothing of what is shown under it; so does one of another type, which takes no version over. To a Parameter whose status was lost its versions come back.
func (r *Reconciler) valued(ctx context.Context, living []*v1alpha1.Parameter) (out []*v1alpha1.Parameter, err error) {
	for _, p := range living {
		if len(p.Status.Versions) == 0 {
			returns, err := r.Parameters.Returns(ctx, p)
			if err != nil {
				return nil, err
			}
			if !returns {
				continue
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// gone are those of the keys that are shown whose parameter has its end: by what status tells of each or, where it does not, by the keys alone.
func (r *Reconciler) gone(p *pass, living *living) (gone []string) {
	shown := p.former.Projection
	if shown == nil || shown.Immutable { // an immutable core Secret goes with its last user
		return nil
	}
	if len(shown.Shows) != len(shown.Keys) {
		return orphaned(shown.Keys, living.all, r.keysOf(p))
	}
	for at, key := range shown.Keys {
		if !living.told[shown.Shows[at]] {
			gone = append(gone, key)
		}
	}
	return gone
}

// toldBytes is how many bytes of a digest tell the parameters of a namespace apart.
const toldBytes = 6

// tell is what tells a parameter in status: short, since a tree has a thousand of them, and a name a thousand characters.
func tell(region, name string) string {
	sum := sha256.Sum256([]byte(region + "\x00" + arn.CanonicalParameter(name)))
	return base64.RawURLEncoding.EncodeToString(sum[:toldBytes])
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
