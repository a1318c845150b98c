package parametertree

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/internal/store"
)

// The kinds of targets.
const (
	kindConfigMap = "ConfigMap"
	kindSecret    = "Secret"
)

// maximumData is how many bytes the keys and values of a target have at most. Kubernetes counts the values of a ConfigMap or core Secret up to
// this, and etcd all of the object up to half as much more.
// https://kubernetes.io/docs/concepts/configuration/configmap/#motivation
const maximumData = 1 << 20

// token tells workloads that a tree has restarted them; the digest behind it tells for what.
const token = "tree"

var errTooLarge = errors.New("the parameters are larger than a target can be")

// project shows the parameters in the target, and restarts what the target names if the data is other than at the last time.
func (r *Reconciler) project(ctx context.Context, p *pass) error {
	target, err := targetOf(&p.tree.Spec.Target, p.tree)
	if err != nil {
		return err
	}
	if target.Data, err = r.open(ctx, p); err != nil {
		return err
	}
	p.size = projection.Cost(target.Data)
	showing := projection.Showing{
		Owner:     p.owner(),
		Namespace: p.tree.Namespace, Generation: p.tree.Generation, Version: token, Now: p.now,
		Target: target, Restart: p.tree.Spec.Target.Restart, Former: p.formerTarget(),
		Paid: r.Pace != nil && !p.turn.asks, Losing: p.turn.losing,
	}
	return r.show(ctx, p, &showing)
}

// lookAgain is when the first of what is shown expires, or at, whichever is sooner; 0 for never. A parameter that is suspended is not deleted then, and so tells nobody.
func lookAgain(at time.Duration, p *pass) time.Duration {
	for _, member := range p.members {
		expiry := parameterstore.Expiry(member.Parameter)
		if expiry == nil {
			continue
		}
		if left := max(expiry.Sub(p.now), time.Second); at == 0 || left < at {
			at = left
		}
	}
	return at
}

// show has it shown, tells of what nobody asked for, and notes in status what is shown.
func (r *Reconciler) show(ctx context.Context, p *pass, showing *projection.Showing) error {
	shown, err := r.Projector.Show(ctx, showing)
	r.reporter().TellShown(p.tree, &shown, err)
	p.requeue = lookAgain(shown.LookAgain, p)
	if !p.turn.asks {
		p.spent = int64(shown.Writes) * p.size
	}
	if p.shown = shown.Done; p.shown {
		p.tree.Status.Parameters = int32(len(p.members))
		p.tree.Status.Projection = &v1alpha1.ParameterTreeProjection{
			Kind: kindSecret, SecretProjectionStatus: *projection.StatusOf(&shown, showing.Target.Immutable), Generation: p.tree.Generation,
		}
		if showing.Target.ConfigMap {
			p.tree.Status.Projection.Kind = kindConfigMap
		}
		for _, key := range shown.Keys {
			p.tree.Status.Projection.Shows = append(p.tree.Status.Projection.Shows, tell(p.region, nameOf(p.members[key])))
		}
	}
	return err
}

// targetOf is what is to be written, without its data.
func targetOf(spec *v1alpha1.ParameterTreeTarget, tree *v1alpha1.ParameterTree) (*projection.Target, error) {
	if spec.ConfigMap != nil {
		return &projection.Target{ConfigMap: true, Name: tree.ConfigMapName(), Policy: spec.ConfigMap.CreationPolicy}, nil
	}
	out := &projection.Target{Name: tree.TargetName(), Policy: spec.Secret.CreationPolicy, Immutable: spec.Secret.Immutable}
	return out, projection.SetMetadata(out, spec.Secret.Metadata)
}

// open reads the values of all parameters, or none. The caller wipes them.
func (r *Reconciler) open(ctx context.Context, p *pass) (data map[string]secretbytes.Bytes, err error) {
	data = make(map[string]secretbytes.Bytes, len(p.members))
	defer func() {
		if err != nil {
			for _, v := range data {
				v.Wipe()
			}
			data = nil
		}
	}()
	size := 0
	for _, key := range slices.Sorted(maps.Keys(p.members)) {
		member := p.members[key]
		value, err := r.value(ctx, p, member)
		if err != nil {
			return data, unreadable(fmt.Errorf("%s: %w", nameOf(member), err))
		}
		data[key] = value
		if size += len(key) + value.Len(); size > maximumData {
			return data, fault.Stalled(v1alpha1.ReasonTargetTooLarge, fmt.Errorf("%w: %d bytes; choose among them by spec.filter, or make several trees. %s", errTooLarge, maximumData, meanwhile(&p.tree.Spec)))
		}
	}
	return data, nil
}

// value reads one. What is encrypted under a KMSKey goes into no ConfigMap, whatever type the object says it is of.
func (r *Reconciler) value(ctx context.Context, p *pass, m parameterstore.Member) (secretbytes.Bytes, error) {
	found, err := r.Parameters.Versions().Fetch(ctx, r.Parameters.SubjectOf(m.Parameter), m.Version)
	if err != nil {
		return secretbytes.Bytes{}, err
	}
	if found.Key != nil && p.tree.Spec.Target.ConfigMap != nil {
		return secretbytes.Bytes{}, fault.Stalled(v1alpha1.ReasonSecureStringInConfigMap, errSecureString)
	}
	return r.Parameters.Versions().Open(ctx, found)
}

// unreadable is what a parameter that does not open means here. That its Envelope is missing may be no more than that the cache is behind:
// another replica has stored the version, and an Envelope's event asks for a pass over its owner alone.
func unreadable(err error) error {
	if !errors.Is(err, store.ErrMissing) {
		return err
	}
	f := *fault.Of(err)
	f.Stalled, f.RetryAfter = false, 0
	return &f
}
