package parameter

import (
	"context"
	"errors"
	"slices"

	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
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

var errSecureString = errors.New("a SecureString is not shown in a ConfigMap, which anybody may read: the latest version is encrypted under a KMSKey; " +
	"use target.secret in a Parameter of type SecureString, or put another value")

// project shows the latest value in the target, and restarts what the target names if it is other than at the last time. What is encrypted under a
// KMSKey goes into no ConfigMap, whatever type the object says it is of: one that shows it shows it no more.
func (r *Reconciler) project(ctx context.Context, p *pass) error {
	if err := r.open(ctx, p); err != nil {
		return err
	}
	at, policy := placeOf(p.parameter)
	showing := r.showing(p)
	if at.kind == kindConfigMap && p.secure {
		return fault.Join(fault.Stalled(v1alpha1.ReasonSecureStringInConfigMap, errSecureString), r.show(ctx, p, &showing, place{}))
	}
	if at.kind != "" {
		showing.Target = &projection.Target{
			ConfigMap: at.kind == kindConfigMap, Name: at.name, Policy: policy,
			Data: map[string]secretbytes.Bytes{at.key: secretbytes.Copy(p.value.Reveal())},
		}
		showing.Restart = p.parameter.Spec.Target.Restart
	}
	return r.show(ctx, p, &showing, at)
}

// terminate takes a parameter out of force that was deleted, while finalizers of others hold its object. What it had is controllers/envelope's.
func (r *Reconciler) terminate(ctx context.Context, parameter *v1alpha1.Parameter) (ctrl.Result, error) {
	p := &pass{parameter: parameter, before: parameter.DeepCopy(), former: &parameter.DeepCopy().Status, now: r.Now(), arn: parameter.Status.ARN}
	showing := r.showing(p)
	if err := r.Projector.Collect(ctx, parameter, showing.Owner, showing.Former, formerAt(parameter)); err != nil { // a status that was lost does not know what is shown
		return outcome.Again(err)
	}
	parameter.Status.Projection = nil
	return r.reporter().Terminating(ctx, p.before, parameter)
}

// showing is what is wanted of targets: nothing, and what status knows of a former one.
func (r *Reconciler) showing(p *pass) projection.Showing {
	latest, _ := parameterstore.Latest(p.index)
	out := projection.Showing{
		Owner:     projection.Owner{Kind: parameterstore.OwnerKind, Name: p.parameter.Name, UID: p.parameter.UID, ARN: p.arn},
		Namespace: p.parameter.Namespace, Generation: p.parameter.Generation, Version: latest.ID, Now: p.now,
	}
	if former := p.former.Projection; former != nil {
		out.Former = &projection.Former{ConfigMap: former.Kind == kindConfigMap, Name: former.Name, Digest: former.Digest}
		if former.Key != "" {
			out.Former.Keys = []string{former.Key}
		}
	}
	return out
}

// show has it shown, tells of what nobody asked for, and notes in status what is shown.
func (r *Reconciler) show(ctx context.Context, p *pass, showing *projection.Showing, at place) error {
	shown, err := r.Projector.Show(ctx, showing)
	r.reporter().TellShown(p.parameter, &shown, err)
	if shown.Done {
		p.parameter.Status.Projection = nil
	}
	if shown.Done && showing.Target != nil {
		p.parameter.Status.Projection = &v1alpha1.ParameterProjection{Kind: at.kind, Name: at.name, Digest: shown.Digest}
		if slices.Contains(shown.Keys, at.key) { // or else somebody else has it, with the same value
			p.parameter.Status.Projection.Key = at.key
		}
	}
	return err
}
