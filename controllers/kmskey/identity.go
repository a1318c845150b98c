package kmskey

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/claim"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/fault"
)

// AliasIndex is the cache index of KMSKeys by alias.
const AliasIndex = "alias"

var errAliasTaken = errors.New("the alias is taken")

// IndexAlias lists the values of AliasIndex.
func IndexAlias(obj client.Object) []string {
	if key, ok := obj.(*v1alpha1.KMSKey); ok {
		return key.Spec.Aliases
	}
	return nil
}

// identify settles the key's account, id and ARN. The id is the object's UID, so that it is known before anything is
// written; a restored key keeps its first one.
func (r *Reconciler) identify(ctx context.Context, p *pass) error {
	id, err := account.Resolve(ctx, r.Client, p.key.Namespace)
	if err != nil {
		return err
	}
	for _, alias := range p.key.Spec.Aliases {
		var same v1alpha1.KMSKeyList
		err := r.Client.List(ctx, &same, client.InNamespace(p.key.Namespace), client.MatchingFields{AliasIndex: alias})
		if err != nil {
			return fmt.Errorf("looking for keys of alias %s: %w", alias, err)
		}
		if first := claim.Elder(p.key, same.Items); first != "" {
			return fault.Contested(v1alpha1.ReasonNameConflict, fmt.Errorf("%w: KMSKey %s has %s already; "+
				"take it out of one of the two", errAliasTaken, first, alias))
		}
	}
	if p.key.Status.KeyID == "" {
		p.key.Status.KeyID = string(p.key.UID)
		p.key.Status.ARN = arn.KMSKey(r.Region, id, p.key.Status.KeyID)
	}
	return nil
}
