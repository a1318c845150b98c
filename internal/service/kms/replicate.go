package kms

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/objectname"
)

var (
	// ErrReplicaExists says that the region has a key of that id.
	ErrReplicaExists = errors.New("the region has a key of that id")
	errNameTaken     = errors.New("the names for the replica's object are taken")
)

// Replicate makes a replica of a primary in a region, with what is its own by spec. check is asked whether the primary as it is now may be replicated; its error
// ends it. The answer is Creating: its controller brings the material. It fails with ErrReplicaExists.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ReplicateKey.html
//
// Crash-safe: the primary lists the region first, which says that there may be a replica and changes nothing else; the object comes second, and its id third,
// which its controller settles too.
func (s *Service) Replicate(ctx context.Context, primary *v1alpha1.KMSKey, region string, spec v1alpha1.KMSKeySpec, check func(*v1alpha1.KMSKey) error) (*v1alpha1.KMSKey, error) {
	related, err := s.Related(ctx, primary)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(related, func(k v1alpha1.KMSKey) bool { return arn.Region(k.Status.ARN) == region }) {
		return nil, ErrReplicaExists
	}
	primary, err = s.Change(ctx, primary, func(k *v1alpha1.KMSKey) error {
		if err := check(k); err != nil {
			return err
		}
		if !Replicates(k, region) {
			k.Spec.ReplicaRegions = append(k.Spec.ReplicaRegions, v1alpha1.KeyReplicaRegion{Region: region})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	spec.MultiRegion, spec.KeySpec, spec.KeyUsage = true, primary.Spec.KeySpec, primary.Spec.KeyUsage
	spec.ReplicaOf = &v1alpha1.PrimaryKey{Name: primary.Name, Region: arn.Region(primary.Status.ARN)}
	if spec.Region = region; region == s.Region {
		spec.Region = ""
	}
	replica, err := s.createReplica(ctx, &v1alpha1.KMSKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: primary.Namespace, Finalizers: []string{Finalizer}}, Spec: spec,
	}, region)
	if err != nil {
		return nil, err
	}
	return s.identifyReplica(ctx, replica, primary)
}

// createReplica makes a replica's object, named like the primary's with the region, or by a derived name if that is another key's. Crash-safe: it is one write, and
// who asks for the same again goes on with it.
func (s *Service) createReplica(ctx context.Context, replica *v1alpha1.KMSKey, region string) (*v1alpha1.KMSKey, error) {
	for _, name := range replicaNames(replica.Spec.ReplicaOf.Name, region) {
		attempt := replica.DeepCopy()
		attempt.Name = name
		err := s.Client.Create(ctx, attempt, FieldOwner)
		if err == nil {
			return attempt, nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return nil, fmt.Errorf("creating the replica %s: %w", name, err)
		}
		existing := &v1alpha1.KMSKey{}
		if err := s.Live.Get(ctx, client.ObjectKeyFromObject(attempt), existing); err != nil {
			return nil, fmt.Errorf("reading KMSKey %s: %w", name, err)
		}
		switch of := existing.Spec.ReplicaOf; {
		case of == nil || *of != *replica.Spec.ReplicaOf || RegionOf(existing, s.Region) != region:
		case existing.Status.KeyID == "" && equality.Semantic.DeepEqual(existing.Spec, attempt.Spec):
			return existing, nil // what an earlier request left
		default:
			return nil, ErrReplicaExists
		}
	}
	return nil, fmt.Errorf("creating the replica in %s: %w", region, errNameTaken)
}

// replicaNames are the names for a replica's object, of which the first that is free is taken.
func replicaNames(primary, region string) []string {
	derived := objectname.Derived("kmskey-replica", region, primary)
	if readable := primary + "-" + region; objectname.IsDNS(readable) {
		return []string{readable, derived}
	}
	return []string{derived}
}

// identifyReplica writes the id of a replica, so that it is found by it.
func (s *Service) identifyReplica(ctx context.Context, replica, primary *v1alpha1.KMSKey) (*v1alpha1.KMSKey, error) {
	name := client.ObjectKeyFromObject(replica)
	for attempt := 1; replica.Status.KeyID == ""; attempt++ {
		IdentifyReplica(replica, primary, s.Region)
		replica.Status.KeyState = v1alpha1.KeyStateCreating
		TrackUsage(replica, replica.CreationTimestamp.Time)
		err := s.Client.Status().Update(ctx, replica, FieldOwner)
		switch {
		case err == nil:
		case apierrors.IsNotFound(err):
			return nil, ErrGone
		case !apierrors.IsConflict(err) || attempt == attempts:
			return nil, fmt.Errorf("writing the status of KMSKey %s: %w", name.Name, err)
		default: // its controller was faster
			replica = &v1alpha1.KMSKey{}
			if err := s.Live.Get(ctx, name, replica); err != nil {
				return nil, fmt.Errorf("reading KMSKey %s: %w", name.Name, err)
			}
		}
	}
	return s.await(ctx, replica)
}

// IdentifyReplica gives a replica that has none the id of its primary, and its ARN.
func IdentifyReplica(replica, primary *v1alpha1.KMSKey, home string) {
	if replica.Status.KeyID == "" {
		replica.Status.KeyID, replica.Status.ARN = primary.Status.KeyID, ReplicaARN(primary, RegionOf(replica, home))
	}
}

// EndReplication takes a replica's region out of its primary's list: it has been deleted, and another one is made only if somebody says so. It does nothing for other keys.
//
// Crash-safe: it is one write, before the replica goes; a replica that is still there afterwards works as it did, and gets no new material.
func (s *Service) EndReplication(ctx context.Context, replica *v1alpha1.KMSKey) error {
	primary, err := s.Primary(ctx, replica)
	region := RegionOf(replica, s.Region)
	if primary == nil || err != nil || !Replicates(primary, region) {
		return err
	}
	_, err = s.Change(ctx, primary, func(k *v1alpha1.KMSKey) error {
		k.Spec.ReplicaRegions = slices.DeleteFunc(k.Spec.ReplicaRegions, func(r v1alpha1.KeyReplicaRegion) bool { return r.Region == region })
		return nil
	})
	if errors.Is(err, ErrGone) {
		return nil
	}
	return err
}
