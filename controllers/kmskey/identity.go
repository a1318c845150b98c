package kmskey

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/claim"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/store"
)

var (
	errAliasTaken = errors.New("the alias is taken")
	errIDTaken    = errors.New("the key id is taken")
)

// identify settles the key's account, id and ARN: a restored key keeps its first ones.
func (r *Reconciler) identify(ctx context.Context, p *pass) error {
	id, err := account.Resolve(ctx, r.Client, p.key.Namespace)
	if err != nil {
		return err
	}
	for _, alias := range p.key.Spec.Aliases {
		var same v1alpha1.KMSKeyList
		err := r.Client.List(ctx, &same, client.InNamespace(p.key.Namespace), client.MatchingFields{kms.AliasIndex: alias},
			client.UnsafeDisableDeepCopy)
		if err != nil {
			return fmt.Errorf("looking for keys of alias %s: %w", alias, err)
		}
		region := kms.RegionOf(p.key, r.Region)
		here := slices.DeleteFunc(same.Items, func(k v1alpha1.KMSKey) bool { return kms.RegionOf(&k, r.Region) != region })
		if first := claim.Elder(p.key, here); first != "" {
			return fault.Contested(v1alpha1.ReasonNameConflict, fmt.Errorf("%w: KMSKey %s has %s already; "+
				"take it out of one of the two", errAliasTaken, first, alias))
		}
	}
	if p.key.Status.KeyID != "" {
		return nil
	}
	settled := p.key.DeepCopy()
	r.KMS.Identify(settled, id)
	if err := r.idIsFree(ctx, settled); err != nil {
		return err
	}
	p.key.Status.KeyID, p.key.Status.ARN = settled.Status.KeyID, settled.Status.ARN
	return nil
}

// idIsFree looks whether another key has the id: a name that is a UUID may be that of another key. Whoever has it keeps it,
// whatever their ages: what is encrypted names the id.
func (r *Reconciler) idIsFree(ctx context.Context, key *v1alpha1.KMSKey) error {
	var same v1alpha1.KMSKeyList
	err := r.Client.List(ctx, &same, client.InNamespace(key.Namespace), client.MatchingFields{kms.ARNIndex: key.Status.ARN},
		client.UnsafeDisableDeepCopy)
	if err != nil {
		return fmt.Errorf("looking for keys of id %s: %w", key.Status.KeyID, err)
	}
	for i := range same.Items {
		if other := same.Items[i].Name; other != key.Name {
			return fault.Contested(v1alpha1.ReasonNameConflict, fmt.Errorf("%w: KMSKey %s has it already; give this one another name",
				errIDTaken, other))
		}
	}
	return nil
}

// restore brings back the index of a key that has none: it was deleted and is applied again within its waiting period,
// or its status was lost.
func (r *Reconciler) restore(ctx context.Context, p *pass) error {
	status := &p.key.Status
	if len(status.KeyMaterials) > 0 {
		return nil
	}
	envelopes, err := r.Store.OfOwner(ctx, p.key.Namespace, kms.Owner(p.key.Name))
	if err != nil {
		return err
	}
	if region := p.key.Spec.Region; region != "" { // a key of that name in another region was another key
		envelopes = slices.DeleteFunc(envelopes, func(e v1alpha1.Envelope) bool { return arn.Region(e.Spec.Subject) != region })
	}
	subject := newestSubject(envelopes)
	stored, expired := materialsOf(envelopes, subject, p.key.CreationTimestamp.Time)
	if expired || len(stored) == 0 {
		return nil // applied when the waiting period was over, or nothing was made yet: this is a new key
	}
	keyID, err := keyIDOf(subject)
	if err != nil {
		return err
	}
	status.ARN, status.KeyID, status.KeyMaterials = subject, keyID, stored
	kms.SortMaterials(status)
	if err := r.verify(ctx, p); err != nil { // only what opens gets into the index
		status.KeyMaterials = nil
		return err
	}
	p.restored = keyID != kms.KeyID(p.key) || len(stored) > 1
	p.resumed = true
	return nil
}

// resume takes materials into the index that are stored and that it lacks: the one that an earlier pass made before it ended,
// or more if status was set back. Key materials are never let go while the key lives, so each of them belongs there.
func (r *Reconciler) resume(ctx context.Context, p *pass) error {
	status := &p.key.Status
	if len(status.KeyMaterials) == 0 {
		return nil // restore has looked already
	}
	envelopes, err := r.Store.OfOwner(ctx, p.key.Namespace, kms.Owner(p.key.Name))
	if err != nil {
		return err
	}
	stored, _ := materialsOf(envelopes, status.ARN, p.now)
	for _, m := range stored {
		known := slices.ContainsFunc(status.KeyMaterials, func(k v1alpha1.KeyMaterial) bool { return k.Sequence == m.Sequence })
		if known {
			continue
		}
		if err := r.KMS.VerifyMaterial(ctx, p.key, m); err != nil { // only what opens gets into the index
			return err
		}
		status.KeyMaterials = append(status.KeyMaterials, m)
		p.resumed = true
	}
	if p.resumed {
		kms.SortMaterials(status)
	}
	return nil
}

// materialsOf takes the key materials of one ARN out of a key's Envelopes, and tells whether their tombstone had expired at a
// time.
func materialsOf(envelopes []v1alpha1.Envelope, subject string, at time.Time) (stored []v1alpha1.KeyMaterial, expired bool) {
	var end time.Time // of the latest tombstone: an earlier one was undone
	for i := range envelopes {
		e := &envelopes[i]
		if e.Spec.Subject != subject {
			continue
		}
		if e.Spec.Class == v1alpha1.EnvelopeKeyMaterial {
			stored = append(stored, kms.MaterialOf(e))
		}
		if e.Spec.ExpireTime != nil && e.Spec.ExpireTime.After(end) {
			end = e.Spec.ExpireTime.Time
		}
	}
	return stored, !end.IsZero() && !at.Before(end)
}

// newestSubject is the ARN of the newest key material.
func newestSubject(envelopes []v1alpha1.Envelope) string {
	var newest *v1alpha1.Envelope
	for i := range envelopes {
		e := &envelopes[i]
		if e.Spec.Class == v1alpha1.EnvelopeKeyMaterial &&
			(newest == nil || newest.Spec.CreatedTime.Before(&e.Spec.CreatedTime)) {
			newest = e
		}
	}
	if newest == nil {
		return ""
	}
	return newest.Spec.Subject
}

func keyIDOf(subject string) (string, error) {
	keyID, ok := arn.KeyID(subject)
	if !ok {
		return "", fmt.Errorf("%w: an Envelope's subject is no key's ARN", store.ErrTampered)
	}
	return keyID, nil
}
