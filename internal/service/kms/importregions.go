package kms

import (
	"context"
	"fmt"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/fault"
)

// What the replicas of a key whose material is imported must have, before the key is rotated and before one of them takes its place.

// AwaitedReplicas are the regions of the replicas that lack the material which waits to be rotated to at their primary, in their order. As long as there is one, the primary is not
// rotated, and the state of the material is PENDING_MULTI_REGION_IMPORT_AND_ROTATION. One that is being deleted is not awaited: had back, it waits for the material.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_RotationsListEntry.html#KMS-Type-RotationsListEntry-KeyMaterialState
func (s *Service) AwaitedReplicas(ctx context.Context, primary *v1alpha1.KMSKey) (regions []string, err error) {
	waits, ok := waitingMaterial(primary)
	if !ok || MultiRegionTypeOf(primary) != MultiRegionPrimary {
		return nil, nil
	}
	related, err := s.Related(ctx, primary)
	for i := range related {
		k := &related[i]
		region := arn.Region(k.Status.ARN)
		if !s.IsReplicaOf(k, primary) || !Replicates(primary, region, k) || !k.DeletionTimestamp.IsZero() || Scheduled(k) {
			continue
		}
		if m, ok := materialByID(k, waits.ID); !ok || !Present(m.Import, s.Now()) {
			regions = append(regions, region)
		}
	}
	return regions, err
}

// waitingMaterial is the material of a key that waits to be rotated to.
func waitingMaterial(key *v1alpha1.KMSKey) (m v1alpha1.KeyMaterial, ok bool) {
	for i := range key.Status.KeyMaterials {
		if m = key.Status.KeyMaterials[i]; m.State == v1alpha1.KeyMaterialPendingRotation {
			return m, true
		}
	}
	return v1alpha1.KeyMaterial{}, false
}

// lacksImports says that a replica cannot be the primary, nil if it can: it does not have all that the primary has, what waits to be rotated to included. The error wraps
// ErrPendingImport. Keys whose material is made here lack nothing.
func (s *Service) lacksImports(replica, primary *v1alpha1.KMSKey) error {
	if !External(primary) {
		return nil
	}
	for _, m := range importsOf(&primary.Status) {
		if own, ok := materialByID(replica, m.ID); !ok || !Present(own.Import, s.Now()) {
			return fault.Waiting(v1alpha1.ReasonPendingImport, fmt.Errorf("key material %s is not there: %w", m.ID, ErrPendingImport))
		}
	}
	return nil
}

// bringImports has a replica follow its primary before it is the primary itself. The error wraps ErrPendingImport if it lacks material.
func (s *Service) bringImports(ctx context.Context, replica, primary *v1alpha1.KMSKey) (*v1alpha1.KMSKey, error) {
	if err := s.catchUp(ctx, replica); err != nil {
		return nil, err
	}
	now, err := s.live(ctx, replica)
	if err != nil {
		return nil, err
	}
	if primary, err = s.live(ctx, primary); err != nil {
		return nil, err
	}
	if err := s.lacksImports(now, primary); err != nil {
		return nil, err
	}
	if Lacks(now, primary) {
		return nil, fault.Waiting(v1alpha1.ReasonPendingImport, fmt.Errorf("the primary was rotated to key material that is not there: %w", ErrPendingImport))
	}
	return s.await(ctx, now)
}
