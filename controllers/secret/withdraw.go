package secret

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/internal/projection/render"
	"strongroom.dev/strongroom/internal/service/parameterstore"
)

// ofParameters is what a target shows of the Parameters among its sources, and until when.
func (r *Reconciler) ofParameters(ctx context.Context, p *pass, value render.Value) (out []v1alpha1.TargetParameter, err error) {
	var templates map[string]string
	if template := p.secret.Spec.Target.Template; template != nil {
		templates = template.Data
	}
	for _, source := range p.secret.TargetSources() {
		if source.ParameterRef == nil {
			continue
		}
		of := v1alpha1.TargetParameter{Alias: source.Alias, Name: source.ParameterRef.Name}
		parameter, err := r.parameter(ctx, p, of.Name)
		if err != nil {
			return nil, err
		}
		if parameter != nil { // or it was deleted a moment ago, which asks for the next pass
			if at := parameterstore.Expiry(parameter); at != nil {
				of.ExpireTime = ptr.To(metav1.NewTime(*at).Rfc3339Copy())
			}
		}
		if of.Keys, err = render.Dependent(templates, value, source.Alias); err != nil {
			return nil, err
		}
		out = append(out, of)
	}
	return out, nil
}

// parameter is a Parameter of the secret's namespace, nil if there is none.
func (r *Reconciler) parameter(ctx context.Context, p *pass, name string) (*v1alpha1.Parameter, error) {
	parameter := &v1alpha1.Parameter{}
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: p.secret.Namespace, Name: name}, parameter)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("reading a source of the target: %w", err)
	}
	return parameter, nil
}

// lookAtEnd asks for a pass when the first of several Parameters has its end. One that is suspended is not deleted then, and so tells nobody.
func (p *pass) lookAtEnd(all []v1alpha1.TargetParameter) {
	for i := range all {
		if at := all[i].ExpireTime; at != nil {
			p.lookAgain(max(at.Sub(p.now), time.Second))
		}
	}
}

// atEnd is a failure of which the next look is told, with that look when the first of the Parameters that are shown has its end, if that is sooner: one that is suspended tells nobody.
func (p *pass) atEnd(err error) error {
	if err == nil {
		return nil
	}
	f := *fault.Of(err)
	sooner := f.RetryAfter
	for i := range p.former.TargetParameters {
		if at := p.former.TargetParameters[i].ExpireTime; at != nil && at.After(p.now) {
			sooner = min(sooner, max(at.Sub(p.now), time.Second))
		}
	}
	if sooner == f.RetryAfter {
		return err
	}
	f.RetryAfter = sooner
	return &f
}

// letGo takes out of the target what it shows of Parameters that have expired, be they deleted by now or not, though the target cannot be rendered as
// it is to be: for nobody is a Parameter there from its expiry on. Keys that show nothing of it stay as they are, and nothing is restarted before the target is shown whole again.
//
// Crash-safe: the keys leave status after they have left the target. What shows a Parameter gets into status after it is shown; of a pass that dies between the two the next one tells it,
// so a key stays too long only if the Parameter expires before there is another.
func (r *Reconciler) letGo(ctx context.Context, p *pass) error {
	status := &p.secret.Status
	if status.Projection == nil || status.Projection.Immutable { // an immutable core Secret goes with its last user
		return nil
	}
	var gone []string
	var left []v1alpha1.TargetParameter
	for i := range status.TargetParameters {
		of := &status.TargetParameters[i]
		over, err := r.over(ctx, p, of)
		if err != nil {
			return err
		}
		if over && len(of.Keys) > 0 {
			gone = append(gone, of.Keys...)
			continue
		}
		left = append(left, *of)
	}
	if len(gone) == 0 {
		return nil
	}
	if _, err := r.Projector.Withdraw(ctx, p.secret.Namespace, p.owner(), projection.FormerOf(status.Projection), gone); err != nil {
		return err
	}
	shown := *status.Projection
	shown.Keys = slices.DeleteFunc(slices.Clone(shown.Keys), func(key string) bool { return slices.Contains(gone, key) })
	shown.Digest = projection.Withdrawn
	status.Projection, status.TargetParameters = &shown, left
	return nil
}

// over tells whether a Parameter has expired, by this clock and the API server's. One that was deleted before its expiry has not: it may be about to be applied again.
func (r *Reconciler) over(ctx context.Context, p *pass, of *v1alpha1.TargetParameter) (bool, error) {
	parameter, err := r.parameter(ctx, p, of.Name)
	if err != nil {
		return false, err
	}
	var at time.Time
	switch {
	case parameter != nil && !parameterstore.Expired(parameter, p.now):
		return false, nil
	case parameter != nil:
		at = *parameterstore.Expiry(parameter)
	case of.ExpireTime == nil || p.now.Before(of.ExpireTime.Time):
		return false, nil
	default:
		at = of.ExpireTime.Time
	}
	until, err := r.Parameters.Until(ctx, at)
	return err == nil && until == 0, err
}
