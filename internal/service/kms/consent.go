package kms

import (
	"context"
	"fmt"
	"slices"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
)

// Who gets a primary's material: the KMSKey that its spec names, and of those that have that name one after the other the one that its status records, which is the first. Who may make
// KMSKeys may so not give themselves the material of one that they may not change, be it under a name that is listed and whose KMSKey has gone. The record goes with the entry, and with
// the primary's object: one that is restored or applied anew records those that are there then.

// Lists tells whether a primary's spec names a KMSKey of a region: what is of that name may be its replica there.
func Lists(primary *v1alpha1.KMSKey, region, name string) bool {
	return slices.ContainsFunc(primary.Spec.ReplicaRegions, func(r v1alpha1.KeyReplicaRegion) bool {
		return r.Region == region && ReplicaName(primary.Name, r) == name
	})
}

// Replicates tells whether a KMSKey is the one that a primary's spec names for a region and its status records.
func Replicates(primary *v1alpha1.KMSKey, region string, replica *v1alpha1.KMSKey) bool {
	recorded, ok := recordOf(primary, region, replica.Name)
	return ok && recorded.UID == string(replica.UID) && Lists(primary, region, replica.Name)
}

// entitled tells whether a KMSKey is, or may become, the one that a primary's status records: no other one had its name.
func entitled(primary *v1alpha1.KMSKey, region string, replica *v1alpha1.KMSKey) bool {
	recorded, ok := recordOf(primary, region, replica.Name)
	return Lists(primary, region, replica.Name) && (!ok || recorded.UID == string(replica.UID))
}

// recordOf is what a primary's status records of the KMSKeys of a name. What it records of another name was of another entry.
func recordOf(primary *v1alpha1.KMSKey, region, name string) (r v1alpha1.KeyReplica, ok bool) {
	at := slices.IndexFunc(primary.Status.Replicas, func(r v1alpha1.KeyReplica) bool { return r.Region == region && r.Name == name })
	if at < 0 {
		return r, false
	}
	return primary.Status.Replicas[at], true
}

// EndConsents takes out of a key's status what it records of replicas that its spec does not name any more: who lists the region again means whoever has the name then. What the new
// one has of the former primary is kept while the primary changes.
func EndConsents(key *v1alpha1.KMSKey) {
	if Updating(key) {
		return
	}
	key.Status.Replicas = slices.DeleteFunc(key.Status.Replicas, func(r v1alpha1.KeyReplica) bool { return !Lists(key, r.Region, r.Name) })
	if len(key.Status.Replicas) == 0 {
		key.Status.Replicas = nil
	}
}

// record has a primary's status record a KMSKey as its replica in a region, in the place of any other there.
func record(status *v1alpha1.KMSKeyStatus, region string, replica *v1alpha1.KMSKey) {
	status.Replicas = append(slices.DeleteFunc(status.Replicas, func(r v1alpha1.KeyReplica) bool { return r.Region == region }),
		v1alpha1.KeyReplica{Region: region, Name: replica.Name, UID: string(replica.UID)})
}

// Consents tells whether a primary lets a KMSKey be its replica, and records it if it is the first of its name. The replica is given nothing before.
//
// Crash-safe: it is one write of the primary's status, and the next pass finds it done.
func (s *Service) Consents(ctx context.Context, primary, replica *v1alpha1.KMSKey) (bool, error) {
	region := RegionOf(replica, s.Region)
	switch {
	case Replicates(primary, region, replica):
		return true, nil
	case !entitled(primary, region, replica):
		return false, nil
	}
	if _, err := s.live(ctx, replica); err != nil { // a cache may know one still that is gone, and whose record would keep the next one out
		return false, err
	}
	return s.recordReplica(ctx, primary, replica, func(now *v1alpha1.KMSKey) bool { return entitled(now, region, replica) })
}

// consent has a primary's status record a replica that was made by its own request, whoever had the name before. It fails with ErrReplicaExists if the primary names another one by now.
func (s *Service) consent(ctx context.Context, primary, replica *v1alpha1.KMSKey) error {
	region := RegionOf(replica, s.Region)
	if Replicates(primary, region, replica) {
		return nil
	}
	done, err := s.recordReplica(ctx, primary, replica, func(now *v1alpha1.KMSKey) bool { return Lists(now, region, replica.Name) })
	if err == nil && !done {
		err = ErrReplicaExists
	}
	return err
}

// recordReplica writes the record of a replica if the primary as it is now allows it, and tells whether it is there.
func (s *Service) recordReplica(ctx context.Context, primary, replica *v1alpha1.KMSKey, allows func(*v1alpha1.KMSKey) bool) (done bool, err error) {
	region := RegionOf(replica, s.Region)
	now, err := s.live(ctx, primary)
	for attempt := 1; err == nil; attempt++ {
		if Replicates(now, region, replica) {
			break
		}
		if !allows(now) {
			return false, nil
		}
		record(&now.Status, region, replica)
		again := false
		if again, err = s.commit(ctx, now, attempt); err == nil && !again {
			break
		}
	}
	if err != nil {
		return false, fmt.Errorf("recording KMSKey %s as the replica in %s: %w", replica.Name, region, err)
	}
	_, err = s.await(ctx, now)
	return err == nil, err
}

// inheritReplicas gives the new primary what the former one has recorded of replicas, and that one itself, before it is the primary: the names go over to it, and are not free meanwhile.
//
// Crash-safe: it is one write of status, which means nothing before the key is the primary, and is done again.
func (s *Service) inheritReplicas(ctx context.Context, to, from *v1alpha1.KMSKey) (*v1alpha1.KMSKey, error) {
	to = to.DeepCopy()
	for attempt := 1; ; attempt++ {
		theirs := inherited(to, from)
		if slices.Equal(to.Status.Replicas, theirs) {
			return to, nil
		}
		to.Status.Replicas = theirs
		if again, err := s.commit(ctx, to, attempt); err != nil || !again {
			return to, err
		}
	}
}

// inherited is what the new primary records of replicas.
func inherited(to, from *v1alpha1.KMSKey) []v1alpha1.KeyReplica {
	out := slices.DeleteFunc(slices.Clone(from.Status.Replicas), func(r v1alpha1.KeyReplica) bool {
		return r.Region == arn.Region(to.Status.ARN)
	})
	status := v1alpha1.KMSKeyStatus{Replicas: out}
	record(&status, arn.Region(from.Status.ARN), from)
	return status.Replicas
}
