package parameter

import (
	"context"
	"fmt"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// The kinds of targets.
const (
	kindConfigMap = "ConfigMap"
	kindSecret    = "Secret"
)

// defaultKey of a target's data.
const defaultKey = "value"

// place is where a target is.
type place struct{ kind, name, key string }

// placeOf is that of a Parameter's target, empty if it has none.
func placeOf(parameter *v1alpha1.Parameter) (at place, policy v1alpha1.CreationPolicy) {
	t := parameter.Spec.Target
	if t == nil {
		return at, policy
	}
	key := t.ConfigMap
	if at.kind = kindConfigMap; key == nil {
		at.kind, key = kindSecret, t.Secret
	}
	at.name, at.key = key.Name, key.Key
	if at.name == "" {
		at.name = parameter.Name
	}
	if at.key == "" {
		at.key = defaultKey
	}
	return at, key.CreationPolicy
}

// project shows the latest value in the target, and restarts what the target names if it is other than at the last time.
func (r *Reconciler) project(ctx context.Context, p *pass) error {
	if err := r.open(ctx, p); err != nil {
		return err
	}
	at, policy := placeOf(p.parameter)
	if err := r.removeFormerTarget(ctx, p, at); err != nil {
		return err
	}
	if at.kind == "" {
		p.parameter.Status.Projection = nil
		return nil
	}
	t := &projection.Target{
		ConfigMap: at.kind == kindConfigMap, Namespace: p.parameter.Namespace, Name: at.name, Policy: policy,
		Data: map[string]secretbytes.Bytes{at.key: p.value}, Owner: p.owner(),
	}
	if former := p.former.Projection; former != nil && former.Kind == at.kind && former.Name == at.name {
		t.FormerKeys = []string{former.Key}
	}
	return fault.Join(projection.ValidateRestart(p.parameter.Spec.Target.Restart), r.show(ctx, p, t, at))
}

// show writes the target and then, if the value is other than what status knows, restarts workloads. Status is written after both, so
// a pass that ends between them restarts again with the same token, which restarts nothing twice.
func (r *Reconciler) show(ctx context.Context, p *pass, t *projection.Target, at place) error {
	ring, err := r.Keyring.Get()
	if err != nil {
		return err
	}
	digest := ring.Digest("projection", []byte(p.arn), []byte(at.kind), []byte(at.name), []byte(at.key), p.value.Reveal())
	former := p.former.Projection
	changed := former == nil || former.Digest != digest
	outcome, err := r.Projector.Project(ctx, t)
	if err != nil {
		return err
	}
	if former != nil && !changed && outcome != projection.Unchanged {
		r.event(p.parameter, eventHealed(at))
	}
	if changed && (former != nil || outcome != projection.Created && t.TakesWhatIsThere()) {
		if err := r.restart(ctx, p, digest); err != nil {
			return err
		}
	}
	p.parameter.Status.Projection = &v1alpha1.ParameterProjection{Kind: at.kind, Name: at.name, Key: at.key, Digest: digest}
	return nil
}

// restart restarts the workloads that the target names, with a token that is a function of the value.
func (r *Reconciler) restart(ctx context.Context, p *pass, digest string) error {
	targets := p.parameter.Spec.Target.Restart
	if len(targets) == 0 {
		return nil
	}
	latest, _ := parameterstore.Latest(p.index)
	restarted, err := r.Projector.Restart(ctx, projection.Restart{
		Namespace: p.parameter.Namespace, SecretName: p.owner().Field(), Token: latest.ID + "." + digest[:8], Targets: targets,
	})
	if err == nil && len(restarted) > 0 {
		r.event(p.parameter, eventRestarted(restarted))
	}
	return err
}

func (p *pass) owner() projection.Owner {
	return projection.Owner{Kind: parameterstore.OwnerKind, Name: p.parameter.Name, UID: p.parameter.UID, ARN: p.arn}
}

// removeFormerTarget deletes the target of an earlier kind or name.
func (r *Reconciler) removeFormerTarget(ctx context.Context, p *pass, at place) error {
	former := p.former.Projection
	if former == nil || former.Kind == at.kind && former.Name == at.name {
		return nil
	}
	var err error
	if former.Kind == kindConfigMap {
		err = r.Projector.RemoveConfigMap(ctx, p.parameter.Namespace, former.Name, []string{former.Key}, p.owner())
	} else {
		err = r.Projector.Remove(ctx, p.parameter.Namespace, former.Name, p.owner())
	}
	if err != nil {
		return fmt.Errorf("removing the former target %s %s: %w", former.Kind, former.Name, err)
	}
	return nil
}
