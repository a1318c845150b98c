package secret

import (
	"context"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/imports"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// importValue makes a version of the source's value: once, or whenever it differs from the current one. The source is
// read live and by name.
func (r *Reconciler) importValue(ctx context.Context, p *pass) error {
	source := p.secret.Spec.ValueFrom
	follows := source.Policy == v1alpha1.ImportFollow
	if !follows && !p.wantsImport() {
		return nil
	}
	if err := imports.Check(ctx, r.Client, p.secret); err != nil {
		return err
	}
	ref := source.SecretKeyRef
	read, err := imports.Reader{Live: r.Live, Reserved: r.Projector.Reserved}.Read(ctx, p.secret.Namespace, ref.Name, "spec.valueFrom", ref.Key)
	if err != nil {
		return err
	}
	defer read.Wipe()
	value := secretbytes.Own(read.Data[ref.Key])
	if err := secretsmanager.CheckValue(value); err != nil {
		return err
	}
	if follows && !read.Labelled {
		p.lookAgain(imports.FollowInterval)
	}
	return r.importIfOther(ctx, p, value)
}

// wantsImport tells whether a value that is imported once is to be imported now: there is none, it is asked for, or spec names
// another source than the current value's.
func (p *pass) wantsImport() bool {
	_, hasCurrent := p.index.ByStage(versions.Current)
	// A sealed value does not change by itself: to open it again would only take the place of what was put since.
	asked := p.secret.Spec.Sealed == "" && p.requested() != "" && p.requested() != p.secret.Status.LastHandledRotateAt
	return !hasCurrent || asked || p.importedFrom != sourceOf(p.secret)
}

// importIfOther makes a version of a value unless the current one has it.
func (r *Reconciler) importIfOther(ctx context.Context, p *pass, value secretbytes.Bytes) error {
	why := triggerFirst
	if current, ok := p.index.ByStage(versions.Current); ok {
		stored, err := r.Secrets.Versions().Value(ctx, p.subject(), current)
		if err != nil {
			return err
		}
		defer stored.Wipe()
		if stored.Equal(value) {
			p.importedFrom = sourceOf(p.secret)
			return nil
		}
		follows := p.secret.FollowedSource() != ""
		if wait := imports.Hold(p.index, p.now); follows && wait > 0 {
			p.lookAgain(wait)
			return nil
		}
		why = triggerImported
	}
	if err := r.put(ctx, p, value, why); err != nil {
		return err
	}
	p.importedFrom = sourceOf(p.secret)
	return nil
}

// sourceOf names the source of an imported value, as status does.
func sourceOf(secret *v1alpha1.Secret) string {
	return imports.NameOf(secret.Spec.Sealed, secret.Spec.ValueFrom)
}
