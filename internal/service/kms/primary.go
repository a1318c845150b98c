package kms

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/store"
)

// PrimaryUpdate is a change of the primary of multi-Region keys that has begun: what PrimaryUpdateAnnotation says. The former primary has it from the first step to
// the last, so that whoever looks goes on with it; the new one for as long as it is not the primary.
type PrimaryUpdate struct {
	// From and To are the names of the former and of the new primary.
	From string `json:"from"`
	To   string `json:"to"`
	// Rotation and ReplicaRegions are what the new primary has of the former.
	Rotation       *v1alpha1.KeyRotation       `json:"rotation,omitempty"`
	ReplicaRegions []v1alpha1.KeyReplicaRegion `json:"replicaRegions,omitempty"`
}

// maximumUpdateText bounds PrimaryUpdateAnnotation, which anybody may write who may write the key: 32 regions fit in.
const maximumUpdateText = 8 << 10

// UpdateOf is the change of the primary that a key is in. One that cannot be read is none.
func UpdateOf(key *v1alpha1.KMSKey) (u PrimaryUpdate, ok bool) {
	text := key.Annotations[v1alpha1.PrimaryUpdateAnnotation]
	if text == "" || len(text) > maximumUpdateText || !key.Spec.MultiRegion || json.Unmarshal([]byte(text), &u) != nil {
		return PrimaryUpdate{}, false
	}
	return u, u.From != "" && u.To != "" && u.From != u.To && (key.Name == u.From || key.Name == u.To)
}

// Updating tells whether a key is in a change of the primary. Its materials stay as they are until that is over.
func Updating(key *v1alpha1.KMSKey) bool {
	_, ok := UpdateOf(key)
	return ok
}

// updateTo is the change that makes a replica the primary: the former one's region takes the place of its own among those that may have replicas.
func updateTo(primary, replica *v1alpha1.KMSKey) PrimaryUpdate {
	here, there := arn.Region(primary.Status.ARN), arn.Region(replica.Status.ARN)
	regions := slices.DeleteFunc(slices.Clone(primary.Spec.ReplicaRegions), func(r v1alpha1.KeyReplicaRegion) bool { return r.Region == here || r.Region == there })
	return PrimaryUpdate{
		From: primary.Name, To: replica.Name, Rotation: primary.Spec.Rotation.DeepCopy(),
		ReplicaRegions: append(regions, v1alpha1.KeyReplicaRegion{Region: here}),
	}
}

// UpdatePrimary makes a replica the primary of its multi-Region keys, and the former one a replica. check is asked whether the primary as it is now may be changed; its
// error ends it.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_UpdatePrimaryRegion.html
//
// Crash-safe: the first write is the former primary's annotation, which says all that is to be done. From then on both are Updating, and if this ends, the former
// primary's controller goes on: see AdvancePrimary.
func (s *Service) UpdatePrimary(ctx context.Context, primary, replica *v1alpha1.KMSKey, check func(*v1alpha1.KMSKey) error) error {
	primary, err := s.Change(ctx, primary, func(k *v1alpha1.KMSKey) error {
		if err := check(k); err != nil {
			return err
		}
		text, err := json.Marshal(updateTo(k, replica))
		metav1.SetMetaDataAnnotation(&k.ObjectMeta, v1alpha1.PrimaryUpdateAnnotation, string(text))
		return err
	})
	if err != nil {
		return err
	}
	return s.AdvancePrimary(ctx, primary)
}

// AdvancePrimary brings a change of the primary to its end that the former primary's annotation says. It does nothing for any other key.
//
// Crash-safe: each write can be repeated and leaves one primary at most, in this order: the new one is Updating; it gets the last material of the former; the former
// becomes its replica; it becomes the primary; other replicas, which have got that material too, become its; the former has its annotation no more. If the new one is
// gone meanwhile, the former stays what it was.
func (s *Service) AdvancePrimary(ctx context.Context, from *v1alpha1.KMSKey) error {
	u, ok := UpdateOf(from)
	if !ok || from.Name != u.From {
		return nil
	}
	to := &v1alpha1.KMSKey{}
	err := s.Live.Get(ctx, client.ObjectKey{Namespace: from.Namespace, Name: u.To}, to)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading KMSKey %s: %w", u.To, err)
	}
	if err != nil || !succeeds(to, from) {
		return s.keepPrimary(ctx, from, u)
	}
	if to.Spec.ReplicaOf != nil {
		if to, err = s.prepare(ctx, to, from); err != nil {
			return err
		}
	}
	from, err = s.Change(ctx, from, func(k *v1alpha1.KMSKey) error {
		k.Spec.ReplicaOf = &v1alpha1.PrimaryKey{Name: to.Name, Region: arn.Region(to.Status.ARN)}
		k.Spec.Rotation, k.Spec.ReplicaRegions = nil, nil
		return nil
	})
	if err != nil {
		return err
	}
	if to, err = s.promote(ctx, to, from, u); err != nil {
		return err
	}
	if err := s.redirect(ctx, from, to); err != nil {
		return err
	}
	return s.endUpdate(ctx, from)
}

// succeeds tells whether a key can become the primary in the place of another, or has: it has that one's id, and is its replica or is none.
func succeeds(to, from *v1alpha1.KMSKey) bool {
	of := to.Spec.ReplicaOf
	return to.Spec.MultiRegion && to.DeletionTimestamp.IsZero() && to.Status.KeyID != "" && to.Status.KeyID == from.Status.KeyID &&
		arn.Account(to.Status.ARN) == arn.Account(from.Status.ARN) && len(to.Status.KeyMaterials) > 0 && (of == nil || of.Name == from.Name)
}

// prepare makes the new primary Updating, as the former one is, and gives it what it lacks of that one's material. The former has no other from its annotation on.
func (s *Service) prepare(ctx context.Context, to, from *v1alpha1.KMSKey) (*v1alpha1.KMSKey, error) {
	to, err := s.Change(ctx, to, func(k *v1alpha1.KMSKey) error {
		if k.Spec.ReplicaOf != nil {
			metav1.SetMetaDataAnnotation(&k.ObjectMeta, v1alpha1.PrimaryUpdateAnnotation, from.Annotations[v1alpha1.PrimaryUpdateAnnotation])
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if to, err = s.bring(ctx, to, from); err != nil {
		return nil, err
	}
	others, err := s.Replicas(ctx, from)
	for i := range others {
		other := &others[i]
		if other.Name == to.Name || !Replicates(from, arn.Region(other.Status.ARN)) {
			continue
		}
		// In between there is no primary that they could open by what they lack. One that is damaged does not keep the others waiting.
		if _, err := s.bring(ctx, other, from); err != nil && !errors.Is(err, store.ErrTampered) && !errors.Is(err, ErrGone) {
			return nil, err
		}
	}
	return to, err
}

// bring gives a replica what it lacks of its primary's material, and commits it.
func (s *Service) bring(ctx context.Context, replica, primary *v1alpha1.KMSKey) (*v1alpha1.KMSKey, error) {
	replica = replica.DeepCopy()
	for attempt := 1; Lacks(replica, primary); attempt++ {
		if err := s.Follow(ctx, replica, primary); err != nil {
			return nil, err
		}
		err := s.Client.Status().Update(ctx, replica, FieldOwner)
		switch {
		case err == nil:
			return s.await(ctx, replica)
		case apierrors.IsNotFound(err):
			return nil, ErrGone
		case !apierrors.IsConflict(err) || attempt == attempts:
			return nil, fmt.Errorf("writing the status of KMSKey %s: %w", replica.Name, err)
		}
		err = s.Live.Get(ctx, client.ObjectKeyFromObject(replica), replica)
		if apierrors.IsNotFound(err) {
			return nil, ErrGone
		}
		if err != nil {
			return nil, fmt.Errorf("reading KMSKey %s: %w", replica.Name, err)
		}
	}
	return s.await(ctx, replica)
}

// promote makes a replica the primary. One that is it already stays as it is.
func (s *Service) promote(ctx context.Context, to, from *v1alpha1.KMSKey, u PrimaryUpdate) (*v1alpha1.KMSKey, error) {
	return s.Change(ctx, to, func(k *v1alpha1.KMSKey) error {
		if k.Spec.ReplicaOf != nil && k.Spec.ReplicaOf.Name == from.Name {
			k.Spec.ReplicaOf, k.Spec.Rotation, k.Spec.ReplicaRegions = nil, u.Rotation.DeepCopy(), slices.Clone(u.ReplicaRegions)
		}
		delete(k.Annotations, v1alpha1.PrimaryUpdateAnnotation)
		return nil
	})
}

// redirect makes the other replicas of the former primary those of the new one.
func (s *Service) redirect(ctx context.Context, from, to *v1alpha1.KMSKey) error {
	others, err := s.list(ctx, client.InNamespace(from.Namespace), client.MatchingFields{ReplicaIndex: from.Name})
	if err != nil {
		return err
	}
	for i := range others {
		other := &others[i]
		if other.Name == to.Name || other.Status.KeyID != from.Status.KeyID && other.Status.KeyID != "" || RegionOf(other, s.Region) == arn.Region(to.Status.ARN) {
			continue // it is another key's, or never was one
		}
		_, err := s.Change(ctx, other, func(k *v1alpha1.KMSKey) error {
			if k.Spec.ReplicaOf != nil && k.Spec.ReplicaOf.Name == from.Name {
				k.Spec.ReplicaOf = &v1alpha1.PrimaryKey{Name: to.Name, Region: arn.Region(to.Status.ARN)}
			}
			return nil
		})
		if err != nil && !errors.Is(err, ErrGone) {
			return err
		}
	}
	return nil
}

// keepPrimary ends a change whose new primary is not there any more: the former one is the primary as it was.
func (s *Service) keepPrimary(ctx context.Context, from *v1alpha1.KMSKey, u PrimaryUpdate) error {
	_, err := s.Change(ctx, from, func(k *v1alpha1.KMSKey) error {
		if k.Spec.ReplicaOf != nil && k.Spec.ReplicaOf.Name == u.To {
			k.Spec.ReplicaOf, k.Spec.Rotation, k.Spec.ReplicaRegions = nil, u.Rotation.DeepCopy(), nil
			for _, r := range u.ReplicaRegions {
				if r.Region != RegionOf(k, s.Region) {
					k.Spec.ReplicaRegions = append(k.Spec.ReplicaRegions, r)
				}
			}
		}
		delete(k.Annotations, v1alpha1.PrimaryUpdateAnnotation)
		return nil
	})
	return err
}

func (s *Service) endUpdate(ctx context.Context, key *v1alpha1.KMSKey) error {
	_, err := s.Change(ctx, key, func(k *v1alpha1.KMSKey) error {
		delete(k.Annotations, v1alpha1.PrimaryUpdateAnnotation)
		return nil
	})
	return err
}

// EndStaleUpdate takes the annotation from a key that is not the former primary of a change, if that one does not have it: the change is over, or never was. It tells
// whether it did.
func (s *Service) EndStaleUpdate(ctx context.Context, key *v1alpha1.KMSKey) (ended bool, err error) {
	u, ok := UpdateOf(key)
	if ok && u.From == key.Name || key.Annotations[v1alpha1.PrimaryUpdateAnnotation] == "" {
		return false, nil
	}
	if ok {
		from := &v1alpha1.KMSKey{}
		err := s.Reader.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: u.From}, from, client.UnsafeDisableDeepCopy)
		if client.IgnoreNotFound(err) != nil {
			return false, fmt.Errorf("reading KMSKey %s: %w", u.From, err)
		}
		if theirs, has := UpdateOf(from); err == nil && has && theirs.From == u.From && theirs.To == u.To {
			return false, nil
		}
	}
	return true, s.endUpdate(ctx, key)
}
