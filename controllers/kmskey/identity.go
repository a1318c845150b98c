package kmskey

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/claim"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/kms"
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
		here := slices.DeleteFunc(same.Items, func(k v1alpha1.KMSKey) bool { return kms.RegionOf(&k, r.Region) != region || kms.Gone(&k) })
		if first := claim.Elder(p.key, here); first != "" {
			return fault.Contested(v1alpha1.ReasonNameConflict, fmt.Errorf("%w: KMSKey %s has %s already; "+
				"take it out of one of the two", errAliasTaken, first, alias))
		}
	}
	if p.key.Status.KeyID != "" {
		return nil
	}
	if kms.IsReplica(p.key) {
		return r.identifyReplica(ctx, p, id)
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
		if other := same.Items[i].Name; other != key.Name && !kms.Gone(&same.Items[i]) {
			return fault.Contested(v1alpha1.ReasonNameConflict, fmt.Errorf("%w: KMSKey %s has it already; give this one another name",
				errIDTaken, other))
		}
	}
	if kms.MultiRegionTypeOf(key) != kms.MultiRegionPrimary {
		return nil
	}
	other, err := r.KMS.OtherPrimary(ctx, key)
	if err == nil && other != nil { // in another region: it is not this one's replica either, whose id is that of its primary
		err = fault.Contested(v1alpha1.ReasonNameConflict, fmt.Errorf("%w: KMSKey %s has it already, in another region; give this one another name",
			errIDTaken, other.Name))
	}
	return err
}
