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
	"strongroom.dev/strongroom/internal/service/adoption"
	"strongroom.dev/strongroom/internal/service/objectname"
)

// ErrReplicaExists says that the region has a key of that id.
var ErrReplicaExists = errors.New("the region has a key of that id")

// Replicate makes a replica of a primary in a region, with what is its own by spec. check is asked whether the primary as it is now may be replicated; its error
// ends it. The answer is Creating: its controller brings the material. It fails with ErrReplicaExists.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ReplicateKey.html
//
// Crash-safe: the object comes first, which gets nothing as long as the primary does not name it, so that what is named is what was made here; the primary's list
// second; that it is this object third, which its controller settles too unless another had the name before; and its id last, as that one does. Who asks again after a crash goes on
// with the object.
func (s *Service) Replicate(ctx context.Context, primary *v1alpha1.KMSKey, region string, spec v1alpha1.KMSKeySpec, check func(*v1alpha1.KMSKey) error) (*v1alpha1.KMSKey, error) {
	related, err := s.Related(ctx, primary)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(related, func(k v1alpha1.KMSKey) bool { return arn.Region(k.Status.ARN) == region }) {
		return nil, ErrReplicaExists
	}
	if err := check(primary); err != nil {
		return nil, err
	}
	spec.MultiRegion, spec.KeySpec, spec.KeyUsage, spec.Origin = true, primary.Spec.KeySpec, primary.Spec.KeyUsage, primary.Spec.Origin
	spec.ReplicaOf = &v1alpha1.PrimaryKey{Name: primary.Name, Region: arn.Region(primary.Status.ARN)}
	if spec.Region = region; region == s.Region {
		spec.Region = ""
	}
	replica, made, err := s.createReplica(ctx, primary, &v1alpha1.KMSKey{
		ObjectMeta: metav1.ObjectMeta{Namespace: primary.Namespace, Finalizers: []string{Finalizer}}, Spec: spec,
	}, region)
	if err != nil {
		return nil, err
	}
	named, err := s.Change(ctx, primary, func(k *v1alpha1.KMSKey) error {
		if err := check(k); err != nil {
			return err
		}
		if err := s.unnamed(ctx, k, region, replica.Name); err != nil {
			return err
		}
		name(&k.Spec, region, replica.Name)
		return nil
	})
	if err == nil {
		err = s.consent(ctx, named, replica)
	}
	if err != nil {
		if made {
			err = errors.Join(err, s.withdraw(ctx, replica, primary))
		}
		return nil, err
	}
	return s.identifyReplica(ctx, replica, named)
}

// withdraw deletes the object of a replica that was made and not named: it is nobody's, and its name would be taken. primary is as it was before. A request that was cancelled does
// not know whether its last write was done: if the primary names the object by that, the replica is there, as its caller finds out who asks again.
//
// It has a time of its own, since the request's may be over. If it fails, or in a crash, the object waits for ever to be named, and who asks for the same replica again goes on with it.
func (s *Service) withdraw(ctx context.Context, replica, primary *v1alpha1.KMSKey) error {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTimeout)
	defer cancel()
	region := RegionOf(replica, s.Region)
	now, err := s.live(within, primary)
	if err != nil && !errors.Is(err, ErrGone) {
		return err
	}
	if err == nil && (Replicates(now, region, replica) || Lists(now, region, replica.Name) && !Lists(primary, region, replica.Name)) {
		return nil
	}
	return client.IgnoreNotFound(s.Client.Delete(within, replica, client.Preconditions{UID: &replica.UID}))
}

// unnamed fails with ErrReplicaExists if a primary names another KMSKey of a region, which is there and is the one that is meant: another request was faster. The write of what it
// was asked of is made on the condition that nothing has changed.
func (s *Service) unnamed(ctx context.Context, primary *v1alpha1.KMSKey, region, replica string) error {
	for _, r := range primary.Spec.ReplicaRegions {
		other := ReplicaName(primary.Name, r)
		if r.Region != region || other == replica {
			continue
		}
		existing := &v1alpha1.KMSKey{}
		err := s.Live.Get(ctx, client.ObjectKey{Namespace: primary.Namespace, Name: other}, existing)
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("reading KMSKey %s: %w", other, err)
		}
		if err == nil && !Gone(existing) && existing.Spec.ReplicaOf != nil && existing.Spec.ReplicaOf.Name == primary.Name && entitled(primary, region, existing) {
			return ErrReplicaExists
		}
	}
	return nil
}

// name has a primary's list name the KMSKey that is its replica in a region.
func name(primary *v1alpha1.KMSKeySpec, region, replica string) {
	i := slices.IndexFunc(primary.ReplicaRegions, func(r v1alpha1.KeyReplicaRegion) bool { return r.Region == region })
	if i < 0 {
		i = len(primary.ReplicaRegions)
		primary.ReplicaRegions = append(primary.ReplicaRegions, v1alpha1.KeyReplicaRegion{Region: region})
	}
	primary.ReplicaRegions[i].Name = replica
}

// createReplica makes a replica's object, by the first of replicaNames that is not another key's or else by one that nobody knows before, and tells whether it did. Crash-safe: it is
// one write, and who asks for the same again goes on with it.
func (s *Service) createReplica(ctx context.Context, primary, replica *v1alpha1.KMSKey, region string) (made *v1alpha1.KMSKey, fresh bool, err error) {
	for _, name := range replicaNames(primary, region) {
		attempt := replica.DeepCopy()
		attempt.Name = name
		err := s.Client.Create(ctx, attempt, FieldOwner)
		if err == nil {
			return attempt, true, nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return nil, false, fmt.Errorf("creating the replica %s: %w", name, err)
		}
		existing := &v1alpha1.KMSKey{}
		if err := s.Live.Get(ctx, client.ObjectKeyFromObject(attempt), existing); err != nil {
			return nil, false, fmt.Errorf("reading KMSKey %s: %w", name, err)
		}
		switch {
		case asMade(existing, attempt):
			return existing, false, nil // what an earlier request left
		case s.IsReplicaOf(existing, primary) && entitled(primary, region, existing):
			return nil, false, ErrReplicaExists
		}
	}
	attempt := replica.DeepCopy()
	attempt.GenerateName = objectname.Derived("kmskey-replica", region, primary.Name) + "-"
	if err := s.Client.Create(ctx, attempt, FieldOwner); err != nil {
		return nil, false, fmt.Errorf("creating the replica in %s: %w", region, err)
	}
	return attempt, true, nil
}

// asMade tells whether an object that is there is in all that it says what an attempt was to make: an earlier request has left it, or it is as good as that. Whoever may make KMSKeys
// could have made it with an owner, whose end would be the replica's, with a finalizer, or with annotations and labels that others go by.
func asMade(existing, attempt *v1alpha1.KMSKey) bool {
	return existing.Status.KeyID == "" && adoption.Check(existing, attempt) == nil && len(existing.Labels)+len(existing.Annotations) == 0 &&
		equality.Semantic.DeepEqual(existing.Spec, attempt.Spec)
}

// replicaNames are the names for a replica's object, of which the first that is free is taken: the one that the primary's list has, the primary's with the region,
// and a derived one.
func replicaNames(primary *v1alpha1.KMSKey, region string) (names []string) {
	for _, r := range append(slices.Clone(primary.Spec.ReplicaRegions), v1alpha1.KeyReplicaRegion{Region: region}) {
		if readable := ReplicaName(primary.Name, r); r.Region == region && objectname.IsDNS(readable) {
			names = append(names, readable)
		}
	}
	return slices.Compact(append(names, objectname.Derived("kmskey-replica", region, primary.Name)))
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

// EndReplication takes a replica out of its primary's list: it has been deleted, and another one is made only if somebody says so. It does nothing for other keys.
//
// Crash-safe: it is one write, before the replica goes; a replica that is still there afterwards works as it did, and gets no new material.
func (s *Service) EndReplication(ctx context.Context, replica *v1alpha1.KMSKey) error {
	primary, err := s.Primary(ctx, replica)
	region := RegionOf(replica, s.Region)
	if primary == nil || err != nil || !Replicates(primary, region, replica) {
		return err
	}
	_, err = s.Change(ctx, primary, func(k *v1alpha1.KMSKey) error {
		if Replicates(k, region, replica) {
			k.Spec.ReplicaRegions = slices.DeleteFunc(k.Spec.ReplicaRegions, func(r v1alpha1.KeyReplicaRegion) bool { return r.Region == region })
		}
		return nil
	})
	if errors.Is(err, ErrGone) {
		return nil
	}
	return err
}
