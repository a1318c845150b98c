package kms

import (
	"cmp"
	"context"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// Of lists the keys of an account and region, in the order of their ids. They are the cache's own: read them only.
func (s *Service) Of(ctx context.Context, namespace, account, region string) ([]v1alpha1.KMSKey, error) {
	found, err := s.list(ctx, client.InNamespace(namespace))
	if err != nil {
		return nil, err
	}
	found = slices.DeleteFunc(found, func(k v1alpha1.KMSKey) bool { return !of(&k, account, region) })
	slices.SortFunc(found, func(a, b v1alpha1.KMSKey) int { return cmp.Compare(a.Status.KeyID, b.Status.KeyID) })
	return found, nil
}
