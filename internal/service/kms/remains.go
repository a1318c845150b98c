package kms

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
)

// MaterialIndex is the cache index that finds the Envelopes of multi-Region key material by the id of the key, whatever its region.
const MaterialIndex = "multi-region-material"

// IndexMaterial lists the values of MaterialIndex.
func IndexMaterial(obj client.Object) []string {
	if id, ok := MultiRegionMaterial(obj); ok {
		return []string{id}
	}
	return nil
}

// MultiRegionMaterial is the id of the multi-Region key whose material an Envelope has.
func MultiRegionMaterial(obj client.Object) (id string, ok bool) {
	e, is := obj.(*v1alpha1.Envelope)
	if !is || e.Spec.Class != v1alpha1.EnvelopeKeyMaterial {
		return "", false
	}
	id, ok = arn.KeyID(e.Spec.Subject)
	return id, ok && keys.MultiRegion(id)
}

// Other is a key, or what it left, that has the material of a primary and holds the end of it.
type Other struct {
	// Name of the KMSKey, and Region that the key is in or was.
	Name, Region string
	// Deleted tells that the KMSKey is gone and that its material can be had back.
	Deleted bool
	// Until is when the window ends of one that was deleted, zero if that is not known yet.
	Until time.Time
}

// String names the KMSKey, and says until when what it left is kept.
func (o Other) String() string {
	switch {
	case !o.Deleted:
		return o.Name
	case o.Until.IsZero():
		return o.Name + " in " + o.Region
	}
	return o.Name + " in " + o.Region + " until " + o.Until.UTC().Format(time.RFC3339)
}

// Outlived are the replicas of a primary that have material of it or wait for it to be imported, and those that were deleted and whose windows have not ended, in the order of their regions: it does
// not go before them, as in AWS, or its material would outlive it. Where another key of the id is a primary too, those alone count that name this one: the rest is
// not this one's alone.
// https://docs.aws.amazon.com/kms/latest/developerguide/deleting-mrks.html
func (s *Service) Outlived(ctx context.Context, primary *v1alpha1.KMSKey) (out []Other, err error) {
	if MultiRegionTypeOf(primary) != MultiRegionPrimary || primary.Status.ARN == "" {
		return nil, nil
	}
	there, err := s.Related(ctx, primary)
	if err != nil {
		return nil, err
	}
	contested := slices.ContainsFunc(there, func(k v1alpha1.KMSKey) bool { return k.Name != primary.Name && !IsReplica(&k) })
	if contested {
		if there, err = s.Replicas(ctx, primary); err != nil {
			return nil, err
		}
	}
	for i := range there {
		if k := &there[i]; k.Name != primary.Name && (len(k.Status.KeyMaterials) > 0 || External(k)) {
			out = append(out, Other{Name: k.Name, Region: arn.Region(k.Status.ARN)})
		}
	}
	if contested {
		return out, nil
	}
	left, err := s.remains(ctx, primary)
	out = append(out, left...)
	slices.SortFunc(out, func(a, b Other) int {
		return cmp.Or(strings.Compare(a.Region, b.Region), strings.Compare(a.Name, b.Name))
	})
	return out, err
}

// remains are the keys of a primary's id in other regions that are not there, or not yet again, and whose material is.
func (s *Service) remains(ctx context.Context, primary *v1alpha1.KMSKey) (out []Other, err error) {
	envelopes, err := s.Store.Indexed(ctx, primary.Namespace, MaterialIndex, primary.Status.KeyID)
	if err != nil {
		return nil, err
	}
	type left struct{ subject, name string }
	seen := map[left]bool{}
	for i := range envelopes {
		of := left{envelopes[i].Spec.Subject, envelopes[i].Spec.Owner.Name}
		if of.subject == primary.Status.ARN || arn.Account(of.subject) != arn.Account(primary.Status.ARN) || seen[of] {
			continue
		}
		seen[of] = true
		there, waits, err := s.isThere(ctx, client.ObjectKey{Namespace: primary.Namespace, Name: of.name}, of.subject)
		if err != nil {
			return nil, err
		}
		until, err := s.keptUntil(ctx, primary.Namespace, of.name, of.subject)
		if err != nil {
			return nil, err
		}
		switch {
		case there:
		case waits: // for consent, and what it had is kept for as long
			out = append(out, Other{Name: of.name, Region: arn.Region(of.subject)})
		case until.IsZero() || s.Now().Before(until):
			out = append(out, Other{Name: of.name, Region: arn.Region(of.subject), Deleted: true, Until: until})
		}
	}
	return out, nil
}

// isThere tells whether a KMSKey is there and has an ARN: it is then one of those that Related finds. One that waits has none yet.
func (s *Service) isThere(ctx context.Context, name client.ObjectKey, arn string) (there, waits bool, err error) {
	key := &v1alpha1.KMSKey{}
	err = s.Reader.Get(ctx, name, key, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if client.IgnoreNotFound(err) != nil {
		return false, false, fmt.Errorf("reading KMSKey %s: %w", name.Name, err)
	}
	if err != nil || Gone(key) {
		return false, false, nil
	}
	return key.Status.ARN == arn, key.Status.ARN == "", nil
}

// keptUntil is when the last tombstone of a KMSKey's ARN expires, zero if there is none.
func (s *Service) keptUntil(ctx context.Context, namespace, name, arn string) (until time.Time, err error) {
	envelopes, err := s.Store.OfOwner(ctx, namespace, Owner(name))
	for i := range envelopes {
		if e := &envelopes[i]; e.Spec.Subject == arn && e.Spec.ExpireTime != nil && e.Spec.ExpireTime.After(until) {
			until = e.Spec.ExpireTime.Time
		}
	}
	return until, err
}
