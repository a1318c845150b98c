package kms

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/store"
)

// A replica of a key whose material is imported gets none of its primary's: the same material is imported into each key, with an end of its own. What it follows is what the
// primary's index says of the materials, in records of its own log: which there are, their order, and which it was rotated to.
// https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-import.html

// errBehind says that a replica's log does not have yet what its primary's index says.
var errBehind = errors.New("the replica has not followed its primary yet")

// decideFollow says what is to be recorded of a replica: what waits to be rotated to there and is not the primary's any more is taken away; what the primary was rotated to
// waits no more; and what the primary has for good is listed, without its bytes if they were never imported here. What waits at the primary is nothing to the replica before it is
// imported here, too.
func decideFollow(own, theirs []v1alpha1.KeyMaterial) (records []*v1alpha1.KeyMaterial) {
	for i := range own {
		if m := &own[i]; m.Import.PendingRotation && materialAt(theirs, m.ID) < 0 {
			records = append(records, withoutMaterial(m))
		}
	}
	for i := range theirs {
		m := &theirs[i]
		at := materialAt(own, m.ID)
		switch {
		case m.Import.PendingRotation:
		case at < 0:
			record := inheritedImport(m)
			record.Import.State = v1alpha1.ImportStatePendingImport
			records = append(records, record)
		case own[at].Import.PendingRotation:
			record := own[at].DeepCopy()
			record.RotationType = m.RotationType
			record.Import.PendingRotation, record.Import.Rank, record.Import.RotationTime = false, m.Import.Rank, m.Import.RotationTime.DeepCopy()
			records = append(records, record)
		}
	}
	return records
}

// inheritedImport is what a replica records of a material of its primary. Its end, its description and whether it is there are the replica's own.
func inheritedImport(m *v1alpha1.KeyMaterial) *v1alpha1.KeyMaterial {
	return &v1alpha1.KeyMaterial{ID: m.ID, RotationType: m.RotationType, Import: &v1alpha1.KeyMaterialImport{
		Rank: m.Import.Rank, PendingRotation: m.Import.PendingRotation, RotationTime: m.Import.RotationTime.DeepCopy(),
	}}
}

// followed is the primary that a replica of imported material follows, as the API server has it: what a cache says may be old, and would take away what was imported a moment ago.
// It is nil if there is none, if it does not name the replica, or if the replica encrypts under what it lacks.
func (s *Service) followed(ctx context.Context, replica *v1alpha1.KMSKey) (*v1alpha1.KMSKey, error) {
	if !IsReplica(replica) || !External(replica) {
		return nil, nil
	}
	primary, name := &v1alpha1.KMSKey{}, client.ObjectKey{Namespace: replica.Namespace, Name: replica.Spec.ReplicaOf.Name}
	err := s.Live.Get(ctx, name, primary)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading the primary, KMSKey %s: %w", name.Name, err)
	}
	if err != nil || !s.IsReplicaOf(replica, primary) || !Replicates(primary, RegionOf(replica, s.Region), replica) || Ahead(replica, primary) {
		return nil, nil
	}
	return primary, nil
}

// nextFollow is the first record that a replica lacks, with its material, which the caller wipes; nil if there is none. One whose Envelope is lost is recorded without, so that it
// can be imported again.
func (s *Service) nextFollow(ctx context.Context, replica *v1alpha1.KMSKey) (record *v1alpha1.KeyMaterial, material secretbytes.Bytes, err error) {
	primary, err := s.followed(ctx, replica)
	if primary == nil || err != nil {
		return nil, material, err
	}
	records := decideFollow(importsOf(&replica.Status), importsOf(&primary.Status))
	if len(records) == 0 {
		return nil, material, nil
	}
	if record = records[0]; record.Import.State != v1alpha1.ImportStateImported {
		return record, material, nil
	}
	material, err = s.recordedMaterial(ctx, replica, record)
	if errors.Is(err, store.ErrMissing) || errors.Is(err, store.ErrTampered) {
		return withoutMaterial(record), secretbytes.Bytes{}, nil
	}
	return record, material, err
}

// FollowImports is Follow for a replica of imported material: it records what its primary's index says. The replica's status is to be committed, whatever the error. A conflict
// says that somebody else was faster.
//
// Crash-safe: each record is an Envelope with the next sequence of the replica's log, and the index that the caller commits comes second. What a crash leaves is taken in by whoever
// looks next.
func (s *Service) FollowImports(ctx context.Context, replica, primary *v1alpha1.KMSKey) error {
	for len(decideFollow(importsOf(&replica.Status), importsOf(&primary.Status))) > 0 { // the cache tells when there is something to look at
		record, material, err := s.nextFollow(ctx, replica)
		if record == nil || err != nil {
			return err
		}
		made, err := s.appendImport(ctx, replica, record, material)
		material.Wipe()
		if err != nil {
			return err
		}
		TakeImports(&replica.Status, *made)
	}
	return nil
}

// catchUp is FollowImports for a request: it commits each record.
func (s *Service) catchUp(ctx context.Context, replica *v1alpha1.KMSKey) error {
	for range 2 * MaximumOnDemandRotations { // more than there are records
		var material secretbytes.Bytes
		behind := false
		err := s.changeImports(ctx, replica, func(k *v1alpha1.KMSKey) (record *v1alpha1.KeyMaterial, _ secretbytes.Bytes, err error) {
			material.Wipe() // of an attempt that others were faster than
			record, material, err = s.nextFollow(ctx, k)
			behind = record != nil
			return record, material, err
		})
		material.Wipe()
		if err != nil || !behind {
			return err
		}
	}
	return fmt.Errorf("following the primary of KMSKey %s: it changes all the time", replica.Name)
}

// catchUpReplicas has the replicas of a primary take away what waited for a rotation that will not be. Their controller does it, too: a failure at one is no matter of the primary.
func (s *Service) catchUpReplicas(ctx context.Context, primary *v1alpha1.KMSKey) error {
	replicas, err := s.Replicas(ctx, primary)
	for i := range replicas {
		if err := s.catchUp(ctx, &replicas[i]); err != nil && !errors.Is(err, ErrGone) {
			log.FromContext(ctx).Error(err, "taking key material away from a replica", "namespace", primary.Namespace, "name", replicas[i].Name)
		}
	}
	return err
}

// inheritImports adds to what an import depends on what a replica's primary has. It fails with errBehind.
func (s *Service) inheritImports(ctx context.Context, key *v1alpha1.KMSKey, in *importInput) error {
	primary, err := s.followed(ctx, key)
	if primary == nil || err != nil {
		return err
	}
	if in.primary = importsOf(&primary.Status); len(decideFollow(in.materials, in.primary)) > 0 {
		return errBehind
	}
	return nil
}
