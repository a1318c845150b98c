package kmskey

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/store"
)

// restore brings back the index of a key that has none: it was deleted and is applied again within its waiting period,
// or its status was lost. It goes on with the newest ARN of which a material opens: what somebody else has put there does not.
func (r *Reconciler) restore(ctx context.Context, p *pass) error {
	if len(p.key.Status.KeyMaterials) > 0 {
		return nil
	}
	envelopes, err := r.Store.OfOwner(ctx, p.key.Namespace, kms.Owner(p.key.Name))
	if err != nil {
		return err
	}
	envelopes = slices.DeleteFunc(envelopes, func(e v1alpha1.Envelope) bool { return !canBe(p.key, e.Spec.Subject) })
	own := p.key.Status.DeepCopy()
	var damaged []string
	for _, subject := range subjectsOf(envelopes) {
		stored, expired := materialsOf(envelopes, subject, p.key.CreationTimestamp.Time)
		if expired {
			break // applied when the waiting period was over
		}
		keyID, isKey := arn.KeyID(subject)
		p.key.Status.ARN, p.key.Status.KeyID = subject, keyID
		if err := r.mayComeBack(ctx, p.key); err != nil {
			own.DeepCopyInto(&p.key.Status)
			return err
		}
		opened, closed, err := r.open(ctx, p, stored)
		if err == nil && isKey && len(opened) > 0 {
			index(p.key, opened)
			p.restored = !kms.IsReplica(p.key) && (keyID != kms.KeyID(p.key) || len(opened) > 1)
			p.resumed = true
			return nil
		}
		own.DeepCopyInto(&p.key.Status)
		if err != nil {
			return err
		}
		damaged = append(damaged, closed...)
	}
	return leftOut(damaged) // and if there is none: nothing was made yet, this is a new key
}

// canBe tells whether a key can go on as one of its name that was there before: one of another region was another key, keys of one region and multi-Region keys do not become each
// other, and a replica that has settled on its primary's id is no other one's.
func canBe(key *v1alpha1.KMSKey, subject string) bool {
	id, _ := arn.KeyID(subject)
	switch region := key.Spec.Region; {
	case region != "" && arn.Region(subject) != region, keys.MultiRegion(id) != key.Spec.MultiRegion:
		return false
	case kms.IsReplica(key) && key.Status.KeyID != "":
		return subject == key.Status.ARN
	}
	return true
}

// resume takes materials into the index that are stored and that it lacks: the one that an earlier pass made before it ended,
// or more if status was set back. Key materials are never let go while the key lives, so each of them belongs there. One that
// does not open is left out: somebody else may have put it there, which must not keep the key from its own.
func (r *Reconciler) resume(ctx context.Context, p *pass) error {
	status := &p.key.Status
	if kms.External(p.key) {
		return r.resumeImports(ctx, p)
	}
	if len(status.KeyMaterials) == 0 || kms.Updating(p.key) {
		return nil // restore has looked already; and nothing becomes current while the primary changes
	}
	envelopes, err := r.Store.OfOwner(ctx, p.key.Namespace, kms.Owner(p.key.Name))
	if err != nil {
		return err
	}
	stored, _ := materialsOf(envelopes, status.ARN, p.now)
	stored = slices.DeleteFunc(stored, func(e *v1alpha1.Envelope) bool {
		known := slices.ContainsFunc(status.KeyMaterials, func(k v1alpha1.KeyMaterial) bool { return k.Sequence == e.Spec.Sequence })
		return known && underItsName(e)
	})
	opened, closed, err := r.open(ctx, p, stored)
	if err != nil {
		return err
	}
	p.leftOut = closed
	if len(opened) > 0 {
		p.resumed = true
		if kms.IsReplica(p.key) {
			kms.AddFormer(status, opened)
			return nil
		}
		status.KeyMaterials = append(status.KeyMaterials, opened...)
		kms.SortMaterials(status)
	}
	return nil
}

// index puts materials into the index of a key that has none.
func index(key *v1alpha1.KMSKey, opened []v1alpha1.KeyMaterial) {
	if kms.External(key) {
		kms.RebuildImports(&key.Status, opened...)
		return
	}
	key.Status.KeyMaterials = opened
	kms.SortMaterials(&key.Status)
}

// open tells the materials that open from the Envelopes that do not: only what opens gets into the index. Its error says nothing
// about the materials.
func (r *Reconciler) open(ctx context.Context, p *pass, stored []*v1alpha1.Envelope) (opened []v1alpha1.KeyMaterial, closed []string, err error) {
	if err := r.Store.CheckTaken(ctx, stored...); err != nil { // a look is enough: key material is never swept
		return nil, nil, err
	}
	for _, e := range stored {
		m := kms.MaterialOf(e)
		if !underItsName(e) {
			closed = append(closed, e.Name) // the one of that name is what would be opened
			continue
		}
		switch err := r.KMS.VerifyMaterial(ctx, p.key, m); {
		case err == nil:
			opened = append(opened, m)
		case errors.Is(err, store.ErrTampered):
			closed = append(closed, e.Name)
		default:
			return nil, nil, err
		}
	}
	return opened, closed, nil
}

func underItsName(e *v1alpha1.Envelope) bool {
	return e.Name == store.Name(e.Spec.Class, e.Spec.Subject, e.Spec.Sequence)
}

// leftOut says which Envelopes do not open and what to do, naming up to three of them. It is nil if there are none.
func leftOut(names []string) error {
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	text := strings.Join(names[:min(len(names), 3)], ", ")
	if more := len(names) - 3; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Errorf("%w: key material %s does not open and is left out; restore it from a backup; only if somebody else put it there, keep a copy "+
		"of it (kubectl get envelopes -o yaml) and delete that Envelope", store.ErrTampered, text)
}

// materialsOf takes the Envelopes of key material of one ARN out of a key's, and tells whether their tombstone had expired at a
// time.
func materialsOf(envelopes []v1alpha1.Envelope, subject string, at time.Time) (stored []*v1alpha1.Envelope, expired bool) {
	var end time.Time // of the latest tombstone: an earlier one was undone
	for i := range envelopes {
		e := &envelopes[i]
		if e.Spec.Subject != subject {
			continue
		}
		if e.Spec.Class == v1alpha1.EnvelopeKeyMaterial {
			stored = append(stored, e)
		}
		if e.Spec.ExpireTime != nil && e.Spec.ExpireTime.After(end) {
			end = e.Spec.ExpireTime.Time
		}
	}
	return stored, !end.IsZero() && !at.Before(end)
}

// subjectsOf lists the ARNs that key materials have, the one with the newest of them first.
func subjectsOf(envelopes []v1alpha1.Envelope) []string {
	newest := map[string]time.Time{}
	for i := range envelopes {
		e := &envelopes[i]
		if at, seen := newest[e.Spec.Subject]; e.Spec.Class == v1alpha1.EnvelopeKeyMaterial && (!seen || e.Spec.CreatedTime.After(at)) {
			newest[e.Spec.Subject] = e.Spec.CreatedTime.Time
		}
	}
	return slices.SortedFunc(maps.Keys(newest), func(a, b string) int {
		return cmp.Or(newest[b].Compare(newest[a]), strings.Compare(a, b))
	})
}
