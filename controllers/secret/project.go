package secret

import (
	"context"
	"errors"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/internal/projection/render"
)

// project shows the current and previous values in the target, and restarts what the target names if the data is other
// than at the last time.
func (r *Reconciler) project(ctx context.Context, p *pass) error {
	if err := r.held(p); err != nil {
		return p.atEnd(err)
	}
	value, err := r.values(ctx, p)
	if err == nil {
		value.Sources, err = r.sources(ctx, p.secret)
	}
	if err != nil {
		value.Wipe()
		return err
	}
	defer value.Wipe()
	current, _ := p.index.ByStage(versions.Current)
	showing := projection.Showing{
		Owner:     p.owner(),
		Namespace: p.secret.Namespace, Generation: p.secret.Generation, Version: current.ID, Now: p.now,
	}
	showing.Former = projection.FormerOf(p.former.Projection)
	var of []v1alpha1.TargetParameter
	if spec := p.secret.Spec.Target; spec != nil {
		data, err := renderData(spec, value)
		if err != nil {
			return err
		}
		if of, err = r.ofParameters(ctx, p, value); err != nil {
			wipe(data)
			return err
		}
		showing.Target = &projection.Target{
			Name: p.secret.TargetName(), Type: spec.Type, Policy: spec.CreationPolicy, Immutable: spec.Immutable, Data: data,
		}
		showing.Restart = spec.Restart
		if err := projection.SetMetadata(showing.Target, spec.Metadata); err != nil {
			return err
		}
	}
	return p.atEnd(r.show(ctx, p, &showing, of))
}

// held says so if the target is written later: whoever changes a source without end would have all of them opened with each change.
func (r *Reconciler) held(p *pass) error {
	spec := p.secret.Spec.Target
	if spec == nil {
		return nil
	}
	return r.Projector.Held(p.secret.Namespace, p.owner(), projection.FormerOf(p.former.Projection), &projection.Target{Name: p.secret.TargetName(), Immutable: spec.Immutable}, p.now)
}

// terminate takes a secret out of force that was deleted, while finalizers of others hold its object. What it had is controllers/envelope's.
func (r *Reconciler) terminate(ctx context.Context, secret *v1alpha1.Secret) (ctrl.Result, error) {
	p := &pass{secret: secret, before: secret.DeepCopy(), arn: secret.Status.ARN}
	former := []*projection.Former{projection.FormerOf(secret.Status.Projection)}
	if secret.Spec.Target != nil { // a status that was lost does not know what is shown
		former = append(former, &projection.Former{Name: secret.TargetName()})
	}
	if err := r.Projector.Collect(ctx, secret, p.owner(), former...); err != nil {
		return outcome.Again(err)
	}
	secret.Status.Projection, secret.Status.TargetParameters, secret.Status.NextRotationTime = nil, nil, nil
	return r.reporter().Terminating(ctx, p.before, secret)
}

// owner is the secret as the one that its target belongs to.
func (p *pass) owner() projection.Owner {
	return projection.Owner{Name: p.secret.Name, UID: p.secret.UID, ARN: p.arn}
}

// show has it shown, tells of what nobody asked for, and notes in status what is shown, and until when.
func (r *Reconciler) show(ctx context.Context, p *pass, showing *projection.Showing, of []v1alpha1.TargetParameter) error {
	shown, err := r.Projector.Show(ctx, showing)
	r.reporter().TellShown(p.secret, &shown, err)
	if shown.Done {
		p.secret.Status.Projection, p.secret.Status.TargetParameters = nil, of
		p.lookAtEnd(of)
	}
	if shown.Done && showing.Target != nil {
		p.secret.Status.Projection = projection.StatusOf(&shown, showing.Target.Immutable)
	}
	if shown.LookAgain > 0 {
		p.lookAgain(shown.LookAgain)
	}
	return err
}

// values opens the current version and the previous one.
func (r *Reconciler) values(ctx context.Context, p *pass) (value render.Value, err error) {
	current, ok := p.index.ByStage(versions.Current)
	if !ok {
		return value, errors.New("there is no current version")
	}
	if p.fresh.Len() > 0 { // a value is never empty
		value.Current = secretbytes.Copy(p.fresh.Reveal())
	} else if value.Current, err = r.Secrets.Versions().Value(ctx, p.subject(), current); err != nil {
		return value, err
	}
	previous, ok := p.index.ByStage(versions.Previous)
	if !ok {
		return value, nil
	}
	value.HasPrevious = true
	value.Previous, err = r.Secrets.Versions().Value(ctx, p.subject(), previous)
	return value, err
}

func wipe(data map[string]secretbytes.Bytes) {
	for _, b := range data {
		b.Wipe()
	}
}

func renderData(spec *v1alpha1.SecretTarget, value render.Value) (map[string]secretbytes.Bytes, error) {
	var templates map[string]string
	if spec.Template != nil {
		templates = spec.Template.Data
	}
	data, err := render.Typed(spec.Type, templates, value)
	if err != nil {
		return nil, fault.Stalled(v1alpha1.ReasonInvalidTemplate, fmt.Errorf("spec.target.template: %w", err))
	}
	return data, nil
}
