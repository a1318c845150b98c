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
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/store"
)

// primaryChange is a change of the primary on its way, with the text of the annotation that says it: a key that has another one is in another change.
type primaryChange struct {
	PrimaryUpdate
	text string
}

func (c *primaryChange) on(key *v1alpha1.KMSKey) bool {
	return key.Annotations[v1alpha1.PrimaryUpdateAnnotation] == c.text
}

// underWay fails with errSuperseded if a change is over. Who asks when it has read another key, and writes that as it was read, does nothing of a change that is over:
// who has ended it has changed that key since, or it would not be over.
func (s *Service) underWay(ctx context.Context, from *v1alpha1.KMSKey, c primaryChange) (now *v1alpha1.KMSKey, err error) {
	now, err = s.live(ctx, from)
	if err == nil && !c.on(now) {
		err = errSuperseded
	}
	return now, err
}

// keeps tells whether the former primary has the new one as its replica, or is one itself by now, and has none.
func keeps(from, to *v1alpha1.KMSKey) bool {
	return IsReplica(from) || Replicates(from, arn.Region(to.Status.ARN), to)
}

// prepare makes the new primary Updating, as the former one is, and gives it what that one has recorded of replicas, and what it lacks of that one's material. The former has no
// other from its annotation on. It fails with errUnlisted: a replica that was taken out gets no material.
func (s *Service) prepare(ctx context.Context, to, from *v1alpha1.KMSKey, c primaryChange) (*v1alpha1.KMSKey, error) {
	to, err := s.Change(ctx, to, func(k *v1alpha1.KMSKey) error {
		now, err := s.underWay(ctx, from, c)
		if err == nil && !keeps(now, k) {
			err = errUnlisted
		}
		if err != nil {
			return err
		}
		if k.Spec.ReplicaOf != nil {
			metav1.SetMetaDataAnnotation(&k.ObjectMeta, v1alpha1.PrimaryUpdateAnnotation, c.text)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if to, err = s.inheritReplicas(ctx, to, from); err != nil {
		return nil, err
	}
	if External(from) { // what the others lack is imported into each
		return s.bringImports(ctx, to, from)
	}
	if to, err = s.bring(ctx, to, from); err != nil {
		return nil, err
	}
	return to, s.bringOthers(ctx, to, from)
}

// bringOthers gives the other replicas what they lack of the former primary's material. In between there is no primary that they could open by what they lack. One that is damaged does not
// keep the others waiting.
func (s *Service) bringOthers(ctx context.Context, to, from *v1alpha1.KMSKey) error {
	others, err := s.Replicas(ctx, from)
	for i := range others {
		other := &others[i]
		if other.Name == to.Name || !Replicates(from, arn.Region(other.Status.ARN), other) {
			continue
		}
		if _, err := s.bring(ctx, other, from); err != nil && !errors.Is(err, store.ErrTampered) && !errors.Is(err, store.ErrMissing) && !errors.Is(err, ErrGone) {
			return err
		}
	}
	return err
}

// bring gives a replica what it lacks of its primary's material, and commits it. It wraps store.ErrTampered or store.ErrMissing if it does not get all.
func (s *Service) bring(ctx context.Context, replica, primary *v1alpha1.KMSKey) (*v1alpha1.KMSKey, error) {
	replica = replica.DeepCopy()
	for attempt := 1; Lacks(replica, primary); attempt++ {
		if err := s.Follow(ctx, replica, primary); err != nil {
			return nil, err
		}
		again, err := s.commit(ctx, replica, attempt)
		if err != nil {
			return nil, err
		}
		if !again {
			break
		}
	}
	return s.await(ctx, replica)
}

// commit writes a key's status. If somebody else was faster, the key is read anew, and it is to be decided again.
func (s *Service) commit(ctx context.Context, key *v1alpha1.KMSKey, attempt int) (again bool, err error) {
	uid := key.UID
	err = s.Client.Status().Update(ctx, key, FieldOwner)
	switch {
	case err == nil:
		return false, nil
	case apierrors.IsNotFound(err):
		return false, ErrGone
	case !apierrors.IsConflict(err) || attempt == attempts:
		return false, fmt.Errorf("writing the status of KMSKey %s: %w", key.Name, err)
	}
	name := client.ObjectKeyFromObject(key)
	*key = v1alpha1.KMSKey{}
	err = s.Live.Get(ctx, name, key)
	if apierrors.IsNotFound(err) || err == nil && key.UID != uid {
		return false, ErrGone
	}
	if err != nil {
		return false, fmt.Errorf("reading KMSKey %s: %w", name.Name, err)
	}
	return true, nil
}

// yield makes the former primary a replica of the new one. If it has other replicas or another rotation by now than the change says, they are written into its annotation instead, and
// restated tells so: a region that was listed meanwhile would be lost. It fails with errUnlisted. Once it is a replica, it is none of these.
func (s *Service) yield(ctx context.Context, from, to *v1alpha1.KMSKey, c primaryChange) (yielded *v1alpha1.KMSKey, restated bool, err error) {
	yielded, err = s.Change(ctx, from, func(k *v1alpha1.KMSKey) error {
		restated = false
		switch {
		case !c.on(k):
			return errSuperseded
		case !keeps(k, to):
			return errUnlisted
		case !IsReplica(k):
			if err := s.lacksImports(to, k); err != nil { // what was imported meanwhile
				return err
			}
		}
		if u := updateTo(k, to); !IsReplica(k) && !equality.Semantic.DeepEqual(u, c.PrimaryUpdate) {
			restated = true
			return u.announce(k)
		}
		k.Spec.ReplicaOf = &v1alpha1.PrimaryKey{Name: to.Name, Region: arn.Region(to.Status.ARN)}
		k.Spec.Rotation, k.Spec.ReplicaRegions = nil, nil
		return nil
	})
	return yielded, restated, err
}

// promote makes a replica the primary. One that is it already stays as it is. One whose annotation somebody has taken away meanwhile, who did not know that of the
// former primary yet, is tried again.
func (s *Service) promote(ctx context.Context, to, from *v1alpha1.KMSKey, c primaryChange) (*v1alpha1.KMSKey, error) {
	return s.Change(ctx, to, func(k *v1alpha1.KMSKey) error {
		switch of := k.Spec.ReplicaOf; {
		case of == nil:
		case of.Name != from.Name || !c.on(k):
			return fmt.Errorf("making KMSKey %s the primary: it was changed meanwhile, and is looked at again", k.Name)
		default:
			k.Spec.ReplicaOf, k.Spec.Rotation, k.Spec.ReplicaRegions = nil, c.Rotation.DeepCopy(), c.named(arn.Region(from.Status.ARN))
		}
		if c.on(k) {
			delete(k.Annotations, v1alpha1.PrimaryUpdateAnnotation)
		}
		return nil
	})
}

// redirect makes the other replicas of the former primary those of the new one.
func (s *Service) redirect(ctx context.Context, from, to *v1alpha1.KMSKey, c primaryChange) error {
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
			if k.Spec.ReplicaOf == nil || k.Spec.ReplicaOf.Name != from.Name {
				return nil
			}
			if _, err := s.underWay(ctx, from, c); err != nil {
				return err
			}
			k.Spec.ReplicaOf = &v1alpha1.PrimaryKey{Name: to.Name, Region: arn.Region(to.Status.ARN)}
			return nil
		})
		if err != nil && !errors.Is(err, ErrGone) {
			return err
		}
	}
	return nil
}

// refusePrimary ends a change whose new primary does not get all of the key material: the former one would be a replica of a key that opens less. It says so at the
// former one, and fails with ErrPrimaryStays.
//
// Crash-safe: the condition comes first, and the change is still under way then; the former primary is what it was by one write, which ends the change.
func (s *Service) refusePrimary(ctx context.Context, from, to *v1alpha1.KMSKey, c primaryChange, cause error) error {
	failed := fmt.Errorf("%w: KMSKey %s cannot take the place of KMSKey %s, since it does not get all of its key material: %w", ErrPrimaryStays, c.To, c.From, cause)
	told := from.DeepCopy()
	for attempt := 1; ; attempt++ {
		if !c.on(told) {
			return errSuperseded
		}
		conditions.Set(&told.Status.Conditions, told.Generation, v1alpha1.ConditionPrimaryUpdateFailed, metav1.ConditionTrue, fault.Of(cause).Reason, fault.Message(failed))
		again, err := s.commit(ctx, told, attempt)
		if err != nil {
			return err
		}
		if !again {
			break
		}
	}
	if err := s.keepPrimary(ctx, told, c, v1alpha1.KeyReplicaRegion{Region: arn.Region(to.Status.ARN), Name: to.Name}); err != nil {
		return err
	}
	to, err := s.live(ctx, to) // which has had the annotation since it was read
	if err == nil {
		err = s.endUpdate(ctx, to, c.text)
	}
	if err != nil && !errors.Is(err, ErrGone) {
		return err
	}
	return failed
}

// abandon ends a change whose new primary is gone or is not named as a replica any more. It fails with ErrPrimaryStays when that is done.
func (s *Service) abandon(ctx context.Context, from *v1alpha1.KMSKey, c primaryChange) error {
	if err := s.keepPrimary(ctx, from, c); err != nil {
		return err
	}
	return fmt.Errorf("%w: KMSKey %s is not there any more, is no replica of KMSKey %s, or is not named in its spec.replicaRegions", ErrPrimaryStays, c.To, c.From)
}

// keepPrimary ends a change whose new primary is not there any more, or cannot be it: the former one is the primary as it was, with what replicas are given besides.
func (s *Service) keepPrimary(ctx context.Context, from *v1alpha1.KMSKey, c primaryChange, besides ...v1alpha1.KeyReplicaRegion) error {
	_, err := s.Change(ctx, from, func(k *v1alpha1.KMSKey) error {
		if !c.on(k) {
			return errSuperseded
		}
		if k.Spec.ReplicaOf != nil && k.Spec.ReplicaOf.Name == c.To {
			here := RegionOf(k, s.Region)
			k.Spec.ReplicaOf, k.Spec.Rotation = nil, c.Rotation.DeepCopy()
			k.Spec.ReplicaRegions = append(slices.DeleteFunc(c.named(here), func(r v1alpha1.KeyReplicaRegion) bool { return r.Region == here }), besides...)
		}
		delete(k.Annotations, v1alpha1.PrimaryUpdateAnnotation)
		return nil
	})
	return err
}

// endUpdate takes the annotation of a change from a key, if it is in no other.
func (s *Service) endUpdate(ctx context.Context, key *v1alpha1.KMSKey, text string) error {
	_, err := s.Change(ctx, key, func(k *v1alpha1.KMSKey) error {
		if k.Annotations[v1alpha1.PrimaryUpdateAnnotation] == text {
			delete(k.Annotations, v1alpha1.PrimaryUpdateAnnotation)
		}
		return nil
	})
	return err
}

// EndStaleUpdate takes the annotation from a key that is not the former primary of a change, if that one does not have it: the change is over, or never was. It tells
// whether it did.
func (s *Service) EndStaleUpdate(ctx context.Context, key *v1alpha1.KMSKey) (ended bool, err error) {
	text := key.Annotations[v1alpha1.PrimaryUpdateAnnotation]
	u, ok := UpdateOf(key)
	if ok && u.From == key.Name || text == "" {
		return false, nil
	}
	if ok {
		from := &v1alpha1.KMSKey{}
		err := s.Reader.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: u.From}, from, client.UnsafeDisableDeepCopy)
		if client.IgnoreNotFound(err) != nil {
			return false, fmt.Errorf("reading KMSKey %s: %w", u.From, err)
		}
		if theirs, has := UpdateOf(from); err == nil && !Gone(from) && has && theirs.From == u.From && theirs.To == u.To {
			return false, nil
		}
	}
	return true, s.endUpdate(ctx, key, text)
}
