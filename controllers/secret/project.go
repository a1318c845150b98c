package secret

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/internal/projection/render"
)

// project shows the current and previous values in the target, and restarts what the target names if the data is other
// than at the last time.
func (r *Reconciler) project(ctx context.Context, p *pass) error {
	value, err := r.values(ctx, p)
	if err != nil {
		return err
	}
	defer value.Current.Wipe()
	defer value.Previous.Wipe()
	if err := r.removeFormerTarget(ctx, p); err != nil {
		return err
	}
	spec := p.secret.Spec.Target
	if spec == nil {
		p.secret.Status.Projection = nil
		return nil
	}
	data, err := renderData(spec, value)
	if err != nil {
		return err
	}
	defer wipe(data)
	return fault.Join(projection.ValidateRestart(spec.Restart), r.show(ctx, p, p.target(data)))
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

func renderData(spec *v1alpha1.SecretTarget, value render.Value) (map[string]secretbytes.Bytes, error) {
	var templates map[string]string
	if spec.Template != nil {
		templates = spec.Template.Data
	}
	data, err := render.Data(templates, value)
	if err != nil {
		return nil, fault.Stalled(v1alpha1.ReasonInvalidTemplate, fmt.Errorf("spec.target.template: %w", err))
	}
	return data, nil
}

// show writes the target and then, if the data is other than what status knows, restarts workloads. Status is written
// after both, so a pass that ends between them restarts again with the same token, which restarts nothing twice.
func (r *Reconciler) show(ctx context.Context, p *pass, t *projection.Target) error {
	ring, err := r.Keyring.Get()
	if err != nil {
		return err
	}
	former := p.former.Projection
	digest := ring.Digest("projection", digestParts(t, p.arn)...)
	changed := former == nil || former.Digest != digest || former.Name != t.Name
	want := fmt.Sprintf("%d/%s", p.secret.Generation, digest)
	now, err := r.hold(ctx, p, t, want)
	if err != nil {
		return err
	}
	outcome, err := r.Projector.Project(ctx, t)
	if err != nil {
		return err
	}
	contested := r.told(p, t, telling{want: want, now: now, changed: changed, outcome: outcome})
	// A first projection into a core Secret that was there already changes what workloads have read. One that an earlier pass
	// wrote before it died is as it should be, so the outcome does not tell; the token makes repeating harmless.
	found := outcome != projection.Created && t.TakesWhatIsThere()
	if changed && (former != nil || found) {
		if err := r.restart(ctx, p, digest); err != nil {
			return err
		}
	}
	p.secret.Status.Projection = &v1alpha1.ProjectionStatus{Name: t.Name, Keys: t.Keys(), Digest: digest}
	return contested
}

// telling is what a projection came to: what was wanted, whether that is new, and what was done.
type telling struct {
	want    string
	now     stance
	changed bool
	outcome projection.Outcome
}

// told counts a write against the limit of heals, and tells the user of a heal. Its error says that the target is contested.
func (r *Reconciler) told(p *pass, t *projection.Target, what telling) (contested error) {
	former := p.former.Projection
	if what.outcome == projection.Unchanged {
		return nil
	}
	if former != nil || what.outcome != projection.Created { // the ordinary first one is no heal
		contested = r.wrote(p, t, what.want)
	}
	if former != nil && !what.changed && what.now == peace {
		r.event(p.secret, eventHealed(t.Name))
	}
	return contested
}

// restart restarts the workloads that the target names, with a token that is a function of the data.
func (r *Reconciler) restart(ctx context.Context, p *pass, digest string) error {
	targets := p.secret.Spec.Target.Restart
	if len(targets) == 0 {
		return nil
	}
	current, _ := p.index.ByStage(versions.Current)
	restarted, err := r.Projector.Restart(ctx, projection.Restart{
		Namespace: p.secret.Namespace, SecretName: p.secret.Name, Token: current.ID + "." + digest[:8], Targets: targets,
	})
	if err == nil && len(restarted) > 0 {
		r.event(p.secret, eventRestarted(restarted))
	}
	return err
}

func (p *pass) targetName() string {
	if p.secret.Spec.Target == nil {
		return ""
	}
	if p.secret.Spec.Target.Name != "" {
		return p.secret.Spec.Target.Name
	}
	return p.secret.Name
}

func (p *pass) owner() projection.Owner {
	return projection.Owner{Name: p.secret.Name, UID: p.secret.UID, ARN: p.arn}
}

func (p *pass) target(data map[string]secretbytes.Bytes) *projection.Target {
	spec := p.secret.Spec.Target
	t := &projection.Target{
		Namespace: p.secret.Namespace, Name: p.targetName(),
		Type: spec.Type, Policy: spec.CreationPolicy, Data: data, Owner: p.owner(),
	}
	if former := p.former.Projection; former != nil && former.Name == t.Name {
		t.FormerKeys = former.Keys
	}
	return t
}

// removeFormerTarget deletes the core Secret of an earlier target name.
func (r *Reconciler) removeFormerTarget(ctx context.Context, p *pass) error {
	former := p.former.Projection
	if former == nil || former.Name == p.targetName() {
		return nil
	}
	if err := r.Projector.Remove(ctx, p.secret.Namespace, former.Name, p.owner()); err != nil {
		return fmt.Errorf("removing the former target %s: %w", former.Name, err)
	}
	return nil
}

// digestParts is the data in a fixed order.
func digestParts(t *projection.Target, arn string) [][]byte {
	parts := [][]byte{[]byte(arn), []byte(t.Name), []byte(strings.Join(t.Keys(), "\x00"))}
	for _, k := range t.Keys() {
		parts = append(parts, t.Data[k].Reveal())
	}
	return parts
}

func wipe(data map[string]secretbytes.Bytes) {
	for _, v := range data {
		v.Wipe()
	}
}
