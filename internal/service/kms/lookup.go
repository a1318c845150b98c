package kms

import (
	"context"
	"fmt"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/claim"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
)

// Ref names a key, by its id or by an alias, in an account and a region.
type Ref struct {
	// Namespace of the account; it is looked up if empty.
	Namespace       string
	Account, Region string
	// KeyID, or Alias as alias/NAME.
	KeyID, Alias string
}

// ARN is that of the key, or of the alias if the key is named by one.
func (r Ref) ARN() string {
	if r.Alias != "" {
		return arn.KMSAlias(r.Region, r.Account, r.Alias)
	}
	return arn.KMSKey(r.Region, r.Account, r.KeyID)
}

// Find is the key that is named, nil if there is none. It is the cache's own: read it only. The time does not depend on how many
// keys there are.
func (s *Service) Find(ctx context.Context, ref Ref) (*v1alpha1.KMSKey, error) {
	namespace := ref.Namespace
	if namespace == "" {
		var err error
		if namespace, err = account.Namespace(ctx, s.Reader, ref.Account); namespace == "" || err != nil {
			return nil, err
		}
	}
	if ref.Alias != "" {
		return s.findAlias(ctx, namespace, ref)
	}
	found, err := s.list(ctx, client.InNamespace(namespace), client.MatchingFields{ARNIndex: ref.ARN()})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return eldest(found), nil
}

// findAlias is the key of an alias: of several that claim it the oldest, as the controller decides too.
func (s *Service) findAlias(ctx context.Context, namespace string, ref Ref) (*v1alpha1.KMSKey, error) {
	found, err := s.list(ctx, client.InNamespace(namespace), client.MatchingFields{AliasIndex: ref.Alias})
	if err != nil {
		return nil, err
	}
	here := found[:0:0]
	for i := range found {
		if of(&found[i], ref.Account, ref.Region) {
			here = append(here, found[i])
		}
	}
	if len(here) == 0 {
		return nil, nil
	}
	return eldest(here), nil
}

// of tells whether a key is one of an account and region. One that has no ARN yet is not.
func of(key *v1alpha1.KMSKey, account, region string) bool {
	return arn.Account(key.Status.ARN) == account && arn.Region(key.Status.ARN) == region
}

// FindOpening is the key of a region that a ciphertext's header names, nil if there is none; it may be another account's. Ids
// are unique, but a name can be given to claim one: the material's id, which nobody can choose, tells which key it is.
func (s *Service) FindOpening(ctx context.Context, region string, h keys.Header) (*v1alpha1.KMSKey, error) {
	found, err := s.list(ctx, client.MatchingFields{KeyIDIndex: keys.FormatKeyID(h.KeyID)})
	if err != nil {
		return nil, err
	}
	for i := range found {
		if arn.Region(found[i].Status.ARN) != region {
			continue
		}
		if _, ok, err := s.claimed(ctx, &found[i], h); !ok || err != nil {
			if err != nil {
				return nil, err
			}
			continue
		}
		// A namespace that has lost its account id to an older one, or has another now, has no key in that account any more.
		owner, err := account.Namespace(ctx, s.Reader, arn.Account(found[i].Status.ARN))
		if err != nil {
			return nil, err
		}
		if owner == found[i].Namespace {
			return &found[i], nil
		}
	}
	return nil, nil
}

// list lists keys from the cache, without waiting for this process's writes: those of the API are seen before they are answered.
// Only when there is nothing is it worth waiting, as the controllers' writes are not. Keys that are Gone are not among them.
func (s *Service) list(ctx context.Context, options ...client.ListOption) ([]v1alpha1.KMSKey, error) {
	var found v1alpha1.KMSKeyList
	options = append(options, client.UnsafeDisableDeepCopy)
	err := s.Reader.List(ctx, &found, append(options, client.DisableReadYourWritesConsistency)...)
	if err == nil && len(found.Items) == 0 {
		err = s.Reader.List(ctx, &found, options...)
	}
	if err != nil {
		return nil, fmt.Errorf("looking for KMSKeys: %w", err)
	}
	there := slices.DeleteFunc(found.Items, func(k v1alpha1.KMSKey) bool { return Gone(&k) })
	for i := range there {
		s.asOfNow(&there[i])
	}
	return there, nil
}

func eldest(found []v1alpha1.KMSKey) *v1alpha1.KMSKey {
	name := claim.Elder(&found[0], found)
	for i := range found {
		if found[i].Name == name {
			return &found[i]
		}
	}
	return &found[0]
}
