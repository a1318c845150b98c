package secret

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection/render"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/internal/store"
)

var errNoTargetSource = errors.New("a source of the target is not there")

// stored is where the values of a source are.
type stored struct {
	in                *sealed.Versions
	of                sealed.Subject
	current, previous versions.Version
	// has and had tell that there is a current version, and a previous one; expired that there is none since it has expired.
	has, had, expired bool
}

// sources opens the values of the other objects that a target is made of, by alias: all of them, or none, so that no target is ever
// rendered from a part of them. They are of the namespace, like everything that a Secret names.
func (r *Reconciler) sources(ctx context.Context, secret *v1alpha1.Secret) (out map[string]render.Value, err error) {
	all := secret.TargetSources()
	if len(all) == 0 {
		return nil, nil
	}
	out = make(map[string]render.Value, len(all))
	defer func() {
		if err != nil {
			(&render.Value{Sources: out}).Wipe()
			out = nil
		}
	}()
	for i := range all {
		value, err := r.source(ctx, secret.Namespace, &all[i])
		out[all[i].Alias] = value
		if err != nil {
			return out, err
		}
	}
	return out, nil
}

// source opens the values of one. What it has opened is in its result even if it fails.
func (r *Reconciler) source(ctx context.Context, namespace string, ref *v1alpha1.TargetSource) (value render.Value, err error) {
	what, at, err := r.find(ctx, namespace, ref)
	if err != nil {
		return value, err
	}
	if at.expired {
		return value, fault.Waiting(v1alpha1.ReasonSourceNotFound, fmt.Errorf("%w: spec.target.sources[%s]: %s has expired, so what shows it is taken out of the target; "+
			"set a later Expiration, or remove the source", errNoTargetSource, ref.Alias, what))
	}
	if !at.has {
		return value, fault.Waiting(v1alpha1.ReasonSourceNotFound, fmt.Errorf("%w: spec.target.sources[%s]: %s has no value yet", errNoTargetSource, ref.Alias, what))
	}
	open := func(version versions.Version) (secretbytes.Bytes, error) {
		opened, err := at.in.Value(ctx, at.of, version)
		if err != nil {
			return opened, sourceFault(fmt.Errorf("spec.target.sources[%s], %s: %w", ref.Alias, what, err))
		}
		return opened, nil
	}
	if value.Current, err = open(at.current); err != nil || !at.had {
		return value, err
	}
	value.HasPrevious = true
	value.Previous, err = open(at.previous)
	return value, err
}

// sourceFault is what a source that does not open means here. That its Envelope is missing may be no more than that the cache is behind:
// another replica has stored the version, and an Envelope's event asks for a pass over its owner alone.
func sourceFault(err error) error {
	if !errors.Is(err, store.ErrMissing) {
		return err
	}
	f := *fault.Of(err)
	f.Stalled, f.RetryAfter = false, 0
	return &f
}

// find looks a source up in the cache, and says what it is. One that is being deleted is as good as gone: its versions may go at any time.
func (r *Reconciler) find(ctx context.Context, namespace string, ref *v1alpha1.TargetSource) (what string, at stored, err error) {
	switch {
	case ref.SecretRef != nil:
		what = "Secret " + ref.SecretRef.Name + " of strongroom.dev"
		source := &v1alpha1.Secret{}
		if err = r.lookUp(ctx, namespace, ref.SecretRef.Name, source); err == nil {
			at = r.ofSecret(source)
		}
	case ref.ParameterRef != nil:
		what = "Parameter " + ref.ParameterRef.Name
		source := &v1alpha1.Parameter{}
		if err = r.lookUp(ctx, namespace, ref.ParameterRef.Name, source); err == nil {
			at = r.ofParameter(source)
		}
	default: // a kind of another release
		what, err = "what it names", errNoTargetSource
	}
	if errors.Is(err, errNoTargetSource) {
		return what, at, fault.Waiting(v1alpha1.ReasonSourceNotFound, fmt.Errorf("%w: spec.target.sources[%s]: %s does not exist or is being deleted; "+
			"create it, or remove the source", err, ref.Alias, what))
	}
	return what, at, err
}

func (r *Reconciler) lookUp(ctx context.Context, namespace, name string, into client.Object) error {
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, into)
	switch {
	case client.IgnoreNotFound(err) != nil:
		return fmt.Errorf("reading a source of the target: %w", err)
	case err != nil, !into.GetDeletionTimestamp().IsZero():
		return errNoTargetSource
	}
	return nil
}

// ofSecret is what a Secret has by the stages of AWS. Without an ARN in status nothing of the rest is known.
func (r *Reconciler) ofSecret(source *v1alpha1.Secret) stored {
	out := stored{in: r.Secrets.Versions(), of: r.Secrets.SubjectOf(source)}
	if source.Status.ARN == "" {
		return out
	}
	index := secretsmanager.IndexOf(source)
	out.current, out.has = index.ByStage(versions.Current)
	out.previous, out.had = index.ByStage(versions.Previous)
	return out
}

// ofParameter is what a Parameter has by the numbers of its versions: the latest, and the one before that is kept. One that has expired has none.
func (r *Reconciler) ofParameter(source *v1alpha1.Parameter) stored {
	out := stored{in: r.Parameters.Versions(), of: r.Parameters.SubjectOf(source)}
	if out.expired = parameterstore.Expired(source, r.Now()); out.expired || source.Status.ARN == "" {
		return out
	}
	index := parameterstore.IndexOf(source)
	if out.current, out.has = parameterstore.Latest(index); out.has {
		out.previous, out.had = parameterstore.Latest(index[:len(index)-1])
	}
	return out
}
