package sealed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
)

// Lost is an object whose index is lost: it was deleted and is applied again within its recovery window, or its status was lost.
type Lost struct {
	// Namespace and Name of the object, and when it was created.
	Namespace, Name string
	Created         time.Time
	// Reading of the object: store.Reading. Type of the object, if its kind has types.
	Reading, Type string
	// Mine tells whether an ARN that Envelopes of this owner have can be this object's.
	Mine func(arn string) bool
}

// Restored is what was found of it.
type Restored struct {
	// ARN to go on with; empty if there is nothing to bring back.
	ARN string
	// Index of the versions that open.
	Index versions.Index
	// Spec is the last one, as JSON, if the object was deleted and that was seen.
	Spec []byte
	// PolicyBinding is the tombstone's.
	PolicyBinding *v1alpha1.PolicyBinding
	// Deleted tells that there is a tombstone, or more than an interrupted first pass leaves.
	Deleted bool
	// Damaged are the Envelopes that do not open, which the index leaves out.
	Damaged []*v1alpha1.Envelope
}

// remains are a lost object's Envelopes.
type remains struct {
	tombstone *v1alpha1.Envelope
	stored    []*v1alpha1.Envelope
	// damaged are those that do not open, opened the versions of the others.
	damaged []*v1alpha1.Envelope
	opened  []versions.Version
	// newest is why the newest of the damaged ones does not open.
	newest error
}

// Restore brings back an index: Envelopes tell all; a tombstone also tells which there were, and stages that were moved by hand. Only what opens gets
// into it. If the version in force is among those that do not, or is not there, that is the error, since an older value in its place would be a
// rollback that nobody asked for. Versions of another type are not taken over: the error is that of Kind.Fits. It wraps store.ErrCondemned while they are being erased. The caller commits the index.
func (v *Versions) Restore(ctx context.Context, lost Lost) (out Restored, err error) {
	arn, r, content, err := v.left(ctx, lost)
	if err != nil || arn == "" {
		return out, err
	}
	if err := v.fits(lost.Type, r.stored, content.Spec); err != nil {
		return out, err
	}
	if err := v.take(ctx, lost.Reading, r, content); err != nil {
		return out, err
	}
	if err := v.tryAll(ctx, Subject{Namespace: lost.Namespace, Name: lost.Name, ARN: arn}, r); err != nil {
		return out, err
	}
	ix, err := v.indexOf(r, content)
	if err != nil {
		return out, err
	}
	return Restored{
		ARN: arn, Index: ix, Spec: content.Spec, PolicyBinding: content.PolicyBinding, Deleted: r.tombstone != nil || len(r.stored) > 1, Damaged: r.damaged,
	}, nil
}

// Buried is whom the policy of a deleted object named, by the tombstone that would bring it back. It is nil if there is none, or it does not say.
func (v *Versions) Buried(ctx context.Context, lost Lost) (*v1alpha1.PolicyBinding, error) {
	_, _, content, err := v.left(ctx, lost)
	return content.PolicyBinding, err
}

// Fits says whether a lost object may take over what there is of it, and takes nothing: an object that is not there yet need not be made if it may not. The error is that of
// Kind.Fits.
func (v *Versions) Fits(ctx context.Context, lost Lost) error {
	subject, r, content, err := v.left(ctx, lost)
	if err != nil || subject == "" {
		return err
	}
	return v.fits(lost.Type, r.stored, content.Spec)
}

// Returns tells whether any version of a lost object may come back to it: there is one of its ARN, the recovery window was not over when it was made, and it is of its type. It takes nothing,
// and opens no version. A last spec that cannot be read, as while the keyring is sealed, makes no difference between types that the Envelopes do not tell apart: then they may come back.
func (v *Versions) Returns(ctx context.Context, lost Lost) (bool, error) {
	_, r, content, err := v.left(ctx, lost)
	if r == nil {
		return false, err
	}
	return v.fits(lost.Type, r.stored, content.Spec) == nil, nil
}

func (v *Versions) fits(objectType string, stored []*v1alpha1.Envelope, former []byte) error {
	if v.Kind.Fits == nil || objectType == "" {
		return nil
	}
	return v.Kind.Fits(objectType, stored, former)
}

// left is what there is of a lost object: the ARN to go on with, empty if there is nothing to bring back, its Envelopes, and what the tombstone says.
func (v *Versions) left(ctx context.Context, lost Lost) (arn string, r *remains, content store.Tombstone, err error) {
	envelopes, err := v.Store.OfOwner(ctx, lost.Namespace, v.Owner(lost.Name))
	if err != nil {
		return "", nil, content, err
	}
	if arn = v.newest(envelopes, lost.Mine); arn == "" {
		return "", nil, content, nil
	}
	r = v.remains(envelopes, arn)
	if r.tombstone != nil && !lost.Created.Before(r.tombstone.Spec.ExpireTime.Time) {
		return "", nil, content, nil // applied when the recovery window was over: this is a new object
	}
	content, err = v.lastWords(r)
	return arn, r, content, err
}

// take takes all versions over or, if one is being erased, none. Of those that the last index named, a look is enough: nobody sweeps or lets go what that names. The tombstone itself goes when
// the index is committed.
func (v *Versions) take(ctx context.Context, by string, r *remains, content store.Tombstone) error {
	if r.tombstone != nil {
		if err := v.Store.CheckTaken(ctx, r.tombstone); err != nil {
			return err
		}
	}
	if len(content.Index) > 0 {
		return v.Store.CheckTaken(ctx, r.stored...)
	}
	return v.Store.Take(ctx, by, r.stored...)
}

// newest is the ARN of the newest version that can be the object's, empty if there is none.
func (v *Versions) newest(envelopes []v1alpha1.Envelope, mine func(string) bool) string {
	var newest *v1alpha1.Envelope
	for i := range envelopes {
		e := &envelopes[i]
		if e.Spec.Class != v.Kind.Class || !mine(e.Spec.Subject) {
			continue
		}
		if newest == nil || newest.Spec.CreatedTime.Before(&e.Spec.CreatedTime) {
			newest = e
		}
	}
	if newest == nil {
		return ""
	}
	return newest.Spec.Subject
}

// remains takes the newest tombstone and the versions of one ARN out of an object's Envelopes.
func (v *Versions) remains(envelopes []v1alpha1.Envelope, arn string) *remains {
	r := &remains{}
	for i := range envelopes {
		e := &envelopes[i]
		if e.Spec.Subject != arn {
			continue
		}
		switch e.Spec.Class {
		case v1alpha1.EnvelopeTombstone:
			if e.Spec.ExpireTime != nil && (r.tombstone == nil || e.Spec.Sequence > r.tombstone.Spec.Sequence) {
				r.tombstone = e
			}
		case v.Kind.Class:
			r.stored = append(r.stored, e)
		}
	}
	return r
}

// tryAll tells the versions that open from those that do not. What does not open while its key is not whole is no verdict on
// the version, and is tried again.
func (v *Versions) tryAll(ctx context.Context, of Subject, r *remains) error {
	for _, e := range r.stored {
		err := v.Verify(ctx, of, store.Version(e))
		switch {
		case err == nil:
			r.opened = append(r.opened, store.Version(e))
			continue
		case !errors.Is(err, store.ErrTampered) || !v.whole(ctx, e):
			return err
		case !slices.ContainsFunc(r.damaged, func(d *v1alpha1.Envelope) bool { return d.Spec.Sequence > e.Spec.Sequence }):
			r.newest = err
		}
		r.damaged = append(r.damaged, e)
	}
	return nil
}

// whole tells whether the key of an Envelope has all its material.
func (v *Versions) whole(ctx context.Context, e *v1alpha1.Envelope) bool {
	if len(e.Spec.EncryptedDataKey) == 0 {
		return true
	}
	key, err := v.KMS.ByARN(ctx, e.Namespace, e.Spec.KeyARN)
	return err == nil && meta.IsStatusConditionTrue(key.Status.Conditions, v1alpha1.ConditionReady)
}

// lastWords opens the tombstone, unless there is a newer version: then that is of an earlier deletion.
func (v *Versions) lastWords(r *remains) (content store.Tombstone, err error) {
	newest := int64(0)
	for _, e := range r.stored {
		newest = max(newest, e.Spec.Sequence)
	}
	if r.tombstone == nil || r.tombstone.Spec.Sequence < newest {
		return content, nil
	}
	return store.OpenTombstone(v.Keyring, r.tombstone)
}

// indexOf is the index without the damaged versions. It is an error if the version in force is one of them, or is not there.
func (v *Versions) indexOf(r *remains, content store.Tombstone) (ix versions.Index, err error) {
	if len(content.Index) == 0 {
		ix = versions.Rebuild(r.opened)
		if slices.ContainsFunc(r.damaged, func(d *v1alpha1.Envelope) bool { return d.Spec.Sequence > ix.Last() }) {
			return nil, r.newest
		}
		return ix, nil
	}
	for _, version := range content.Index {
		lost := slices.ContainsFunc(r.damaged, func(d *v1alpha1.Envelope) bool {
			return d.Spec.Sequence == version.Sequence && d.Spec.Version == version.ID
		})
		if !lost {
			ix = append(ix, version)
		}
	}
	was, staged := v.Kind.InForce(content.Index)
	there := slices.ContainsFunc(r.opened, func(o versions.Version) bool { return o.Sequence == was.Sequence && o.ID == was.ID })
	switch {
	case there, !staged && len(r.damaged) == 0:
		return ix, nil
	case r.newest != nil:
		return nil, r.newest
	}
	return nil, fmt.Errorf("%w: that of version %s, which was in force when the object was deleted; restore it from a backup", store.ErrMissing, was.ID)
}
