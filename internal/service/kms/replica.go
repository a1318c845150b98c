package kms

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
)

// MultiRegionType is what a multi-Region key is to the others of its id.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_MultiRegionConfiguration.html
type MultiRegionType string

// The types.
const (
	// MultiRegionPrimary is the one that is rotated and replicated.
	MultiRegionPrimary MultiRegionType = "PRIMARY"
	// MultiRegionReplica has what its primary has.
	MultiRegionReplica MultiRegionType = "REPLICA"
)

// IsReplica tells that a KMSKey is a replica: its id and material are its primary's.
func IsReplica(key *v1alpha1.KMSKey) bool { return key.Spec.ReplicaOf != nil }

// MultiRegionTypeOf is what a multi-Region key is, empty for any other.
func MultiRegionTypeOf(key *v1alpha1.KMSKey) MultiRegionType {
	switch {
	case !key.Spec.MultiRegion:
		return ""
	case IsReplica(key):
		return MultiRegionReplica
	}
	return MultiRegionPrimary
}

// Serves tells whether keys can be replicated to a region.
func (s *Service) Serves(region string) bool { return slices.Contains(s.Regions, region) }

// ReplicaName is the name of the KMSKey that an entry of a primary's list means: its own, or the primary's with the region.
func ReplicaName(primary string, r v1alpha1.KeyReplicaRegion) string {
	return cmp.Or(r.Name, primary+"-"+r.Region)
}

// IsReplicaOf tells whether a KMSKey says that it is a replica of another of its namespace, and can be: both are multi-Region keys of one spec and usage, of
// two regions, and it has that one's id, if it has any. A primary that has no id yet has no replicas, and neither of the two is Gone.
func (s *Service) IsReplicaOf(replica, primary *v1alpha1.KMSKey) bool {
	of := replica.Spec.ReplicaOf
	if of == nil || of.Name != primary.Name || replica.Namespace != primary.Namespace || replica.Name == primary.Name || Gone(replica) || Gone(primary) {
		return false
	}
	region := RegionOf(replica, s.Region)
	if of.Region != RegionOf(primary, s.Region) || region == of.Region {
		return false
	}
	return alike(replica, primary) && MultiRegionTypeOf(primary) == MultiRegionPrimary && keys.MultiRegion(primary.Status.KeyID) &&
		(replica.Status.KeyID == "" || replica.Status.ARN == ReplicaARN(primary, region))
}

// alike tells whether two keys are multi-Region keys that can have one material.
func alike(a, b *v1alpha1.KMSKey) bool {
	shared := func(k *v1alpha1.KMSKey) bool { return k.Spec.MultiRegion && !InModule(k) }
	return shared(a) && shared(b) && External(a) == External(b) && SpecOf(a) == SpecOf(b) && UsageOf(a) == UsageOf(b)
}

// ReplicaARN is the ARN of a key's replica in a region: the key's own but for the region.
func ReplicaARN(primary *v1alpha1.KMSKey, region string) string {
	return arn.KMSKey(region, arn.Account(primary.Status.ARN), primary.Status.KeyID)
}

// Primary is the key that a replica is of, nil if there is none. It is the cache's own: read it only.
func (s *Service) Primary(ctx context.Context, replica *v1alpha1.KMSKey) (*v1alpha1.KMSKey, error) {
	if replica.Spec.ReplicaOf == nil {
		return nil, nil
	}
	found := &v1alpha1.KMSKey{}
	name := client.ObjectKey{Namespace: replica.Namespace, Name: replica.Spec.ReplicaOf.Name}
	err := s.Reader.Get(ctx, name, found, client.UnsafeDisableDeepCopy, client.DisableReadYourWritesConsistency)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading the primary, KMSKey %s: %w", name.Name, err)
	}
	if err != nil || !s.IsReplicaOf(replica, found) {
		return nil, nil
	}
	return found, nil
}

// Replicas lists a primary's replicas that have material of it, in the order of their regions. One that has none yet is not a replica to AWS either. They are the
// cache's own: read them only.
func (s *Service) Replicas(ctx context.Context, primary *v1alpha1.KMSKey) ([]v1alpha1.KMSKey, error) {
	if MultiRegionTypeOf(primary) != MultiRegionPrimary {
		return nil, nil
	}
	found, err := s.list(ctx, client.InNamespace(primary.Namespace), client.MatchingFields{ReplicaIndex: primary.Name})
	if err != nil {
		return nil, err
	}
	return byRegion(slices.DeleteFunc(found, func(k v1alpha1.KMSKey) bool {
		return len(k.Status.KeyMaterials) == 0 || !s.IsReplicaOf(&k, primary)
	})), nil
}

// Related lists the multi-Region keys of a key's id in its account, itself among them, in the order of their regions. They are the cache's own: read them
// only.
func (s *Service) Related(ctx context.Context, key *v1alpha1.KMSKey) ([]v1alpha1.KMSKey, error) {
	id, err := keys.ParseKeyID(key.Status.KeyID)
	if err != nil {
		return nil, nil
	}
	found, err := s.list(ctx, client.InNamespace(key.Namespace), client.MatchingFields{KeyIDIndex: keys.FormatKeyID(id)})
	if err != nil {
		return nil, err
	}
	return byRegion(slices.DeleteFunc(found, func(k v1alpha1.KMSKey) bool {
		return !k.Spec.MultiRegion || k.Status.KeyID != key.Status.KeyID || arn.Account(k.Status.ARN) != arn.Account(key.Status.ARN)
	})), nil
}

// OtherPrimary is another key of a multi-Region key's id that is a primary too, nil if there is none: as long as there is, neither is rotated, or their materials
// would part.
func (s *Service) OtherPrimary(ctx context.Context, key *v1alpha1.KMSKey) (*v1alpha1.KMSKey, error) {
	related, err := s.Related(ctx, key)
	for i := range related {
		if other := &related[i]; other.Name != key.Name && !IsReplica(other) {
			return other, err
		}
	}
	return nil, err
}

func byRegion(found []v1alpha1.KMSKey) []v1alpha1.KMSKey {
	slices.SortFunc(found, func(a, b v1alpha1.KMSKey) int {
		return cmp.Or(strings.Compare(a.Status.ARN, b.Status.ARN), strings.Compare(a.Name, b.Name))
	})
	return found
}

// follows is the committed material of a replica's primary that a header names and the replica does not have yet: the primary was rotated a moment ago. It is opened
// as the primary's, for as long as the primary names the replica. Imported material is the replica's own: what waits here for the rotation that was made there.
func (s *Service) follows(ctx context.Context, key *v1alpha1.KMSKey, h keys.Header) (m Material, ok bool, err error) {
	if !IsReplica(key) || len(key.Status.KeyMaterials) == 0 {
		return m, false, nil
	}
	primary, err := s.Primary(ctx, key)
	if primary == nil || err != nil || !Replicates(primary, arn.Region(key.Status.ARN), key) {
		return m, false, err
	}
	m.Key = primary
	if m.KeyMaterial, ok = claimedMaterial(primary, h); ok && External(key) {
		m.Key = key
		m.KeyMaterial, ok = materialByID(key, m.ID)
	}
	return m, ok, nil
}

// claimed is the material of a key that a header names, with the key that it is stored for, which is a replica's primary in the moment after a rotation.
func (s *Service) claimed(ctx context.Context, key *v1alpha1.KMSKey, h keys.Header) (Material, bool, error) {
	if m, ok := claimedMaterial(key, h); ok {
		return Material{key, m}, true, nil
	}
	return s.follows(ctx, key, h)
}
