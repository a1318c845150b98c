package secret

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/internal/store"
)

// found is what there is of a secret whose index is lost.
type found struct {
	// tombstone of its deletion, nil if there was none.
	tombstone *v1alpha1.Envelope
	// stored are the Envelopes of its versions, damaged those of them that do not open, opened the versions of the others.
	stored, damaged []*v1alpha1.Envelope
	opened          []versions.Version
	// newest is why the newest of the damaged ones does not open.
	newest error
}

// restore brings back the index of a secret that has none: it was deleted and is applied again within its recovery
// window, or its status was lost. Envelopes tell all; a tombstone also tells stages that were moved by hand.
func (r *Reconciler) restore(ctx context.Context, p *pass) error {
	if len(p.index) > 0 {
		return nil
	}
	envelopes, err := r.Store.OfOwner(ctx, p.secret.Namespace, secretsmanager.Owner(p.secret.Name))
	if err != nil || len(envelopes) == 0 {
		return err
	}
	subject, any := r.restorable(p, envelopes)
	if !any {
		return nil
	}
	f := ofSubject(envelopes, subject)
	if f.tombstone != nil && !p.secret.CreationTimestamp.Before(f.tombstone.Spec.ExpireTime) {
		return nil // applied when the recovery window was over: this is a new secret
	}
	if err := r.open(ctx, p, subject, f); err != nil {
		return err
	}
	if err := r.rebuild(p, subject, f); err != nil {
		return err
	}
	if len(f.damaged) > 0 { // before the commit, so that a death says it twice rather than never
		r.event(p.secret, eventDropped(f.damaged))
	}
	return nil
}

// open tells the versions that open from those that do not: only what opens gets into the index. What does not open while its key
// is not whole is no verdict on the version, and is tried again.
func (r *Reconciler) open(ctx context.Context, p *pass, subject string, f *found) error {
	for _, e := range f.stored {
		err := r.Secrets.Verify(ctx, p.secret.Namespace, p.secret.Name, subject, store.Version(e))
		switch {
		case err == nil:
			f.opened = append(f.opened, store.Version(e))
			continue
		case !errors.Is(err, store.ErrTampered) || !r.whole(ctx, e):
			return err
		case !slices.ContainsFunc(f.damaged, func(d *v1alpha1.Envelope) bool { return d.Spec.Sequence > e.Spec.Sequence }):
			f.newest = err
		}
		f.damaged = append(f.damaged, e)
	}
	return nil
}

// whole tells whether the key of an Envelope has all its material.
func (r *Reconciler) whole(ctx context.Context, e *v1alpha1.Envelope) bool {
	key, err := r.KMS.ByARN(ctx, e.Namespace, e.Spec.KeyARN)
	return err == nil && meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionReady)
}

// rebuild makes the index of versions that were found, or takes it from a tombstone that is as new as they are.
func (r *Reconciler) rebuild(p *pass, subject string, f *found) error {
	content, err := r.lastWords(f)
	if err != nil {
		return err
	}
	ix, complete := indexOf(f, content)
	if !complete {
		return f.newest
	}
	p.arn, p.index = subject, ix
	p.foundFrom = formerSource(content.Spec, sourceOf(p.secret))
	p.trigger = triggerResumed
	if f.tombstone != nil || len(f.stored) > 1 {
		p.trigger = triggerRestored
	}
	return nil
}

// lastWords opens the tombstone, if it is of the newest version.
func (r *Reconciler) lastWords(f *found) (content store.Tombstone, err error) {
	newest := int64(0)
	for _, e := range f.stored {
		newest = max(newest, e.Spec.Sequence)
	}
	if f.tombstone == nil || f.tombstone.Spec.Sequence != newest {
		return content, nil
	}
	ring, err := r.Keyring.Get()
	if err != nil {
		return content, err
	}
	return store.OpenTombstone(ring, f.tombstone)
}

// indexOf is the index without the damaged versions. It is not complete if the current version is one of them: an older value in
// its place would be a rollback that nobody asked for.
func indexOf(f *found, content store.Tombstone) (ix versions.Index, complete bool) {
	if len(content.Index) == 0 {
		ix = versions.Rebuild(f.opened)
		newer := func(d *v1alpha1.Envelope) bool { return d.Spec.Sequence > ix.Last() }
		return ix, !slices.ContainsFunc(f.damaged, newer)
	}
	for _, v := range content.Index {
		lost := slices.ContainsFunc(f.damaged, func(d *v1alpha1.Envelope) bool {
			return d.Spec.Sequence == v.Sequence && d.Spec.Version == v.ID
		})
		if !lost {
			ix = append(ix, v)
		}
	}
	_, complete = ix.ByStage(versions.Current)
	return ix, complete || len(f.damaged) == 0
}

// formerSource is the source of a value that a secret had when it was deleted, by the spec that its tombstone keeps. If that is not
// known, it is taken to be the one of the spec that is applied now.
func formerSource(spec []byte, now string) string {
	var former v1alpha1.SecretSpec
	if len(spec) == 0 || json.Unmarshal(spec, &former) != nil {
		return now
	}
	return sourceOf(&v1alpha1.Secret{Spec: former})
}

// ofSubject takes the newest tombstone and the versions of one ARN out of a secret's Envelopes.
func ofSubject(envelopes []v1alpha1.Envelope, subject string) *found {
	f := &found{}
	for i := range envelopes {
		e := &envelopes[i]
		if e.Spec.Subject != subject {
			continue
		}
		switch e.Spec.Class {
		case v1alpha1.EnvelopeTombstone:
			if e.Spec.ExpireTime != nil && (f.tombstone == nil || e.Spec.Sequence > f.tombstone.Spec.Sequence) {
				f.tombstone = e
			}
		case v1alpha1.EnvelopeSecretVersion:
			f.stored = append(f.stored, e)
		}
	}
	return f
}

// restorable finds the ARN to go on with: the newest that Envelopes of this owner have, of this account, region and name; of a
// secret that the API made, its own alone, since an earlier one of the name was not deleted to come back in it.
func (r *Reconciler) restorable(p *pass, envelopes []v1alpha1.Envelope) (subject string, found bool) {
	id, region := arn.Account(p.arn), r.Secrets.RegionOf(p.secret)
	own := p.secret.Annotations[v1alpha1.SubjectAnnotation]
	var newest *v1alpha1.Envelope
	for i := range envelopes {
		e := &envelopes[i]
		switch {
		case e.Spec.Class != v1alpha1.EnvelopeSecretVersion, !arn.IsSecret(e.Spec.Subject, region, id, p.secret.AWSName()),
			own != "" && e.Spec.Subject != own:
			continue
		}
		if newest == nil || newest.Spec.CreatedTime.Before(&e.Spec.CreatedTime) {
			newest = e
		}
	}
	if newest == nil {
		return "", false
	}
	return newest.Spec.Subject, true
}
