package kms

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// The limits of a waiting period in days.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html
const (
	MinimumPendingWindowDays = 7
	MaximumPendingWindowDays = 30
)

// ScheduleDeletion begins a key's waiting period, of so many days, or those of its spec if 0. check is asked whether the key as it is now may be
// deleted; its error ends it. The answer's status says when the key goes.
//
// Crash-safe: spec is what counts, and is written first; if this ends before the time is, the controller settles one, which is later.
func (s *Service) ScheduleDeletion(ctx context.Context, key *v1alpha1.KMSKey, days int32, check func(*v1alpha1.KMSKey) error) (*v1alpha1.KMSKey, error) {
	changed, err := s.Change(ctx, key, func(k *v1alpha1.KMSKey) error {
		if err := check(k); err != nil {
			return err
		}
		if k.Spec.Deletion == nil {
			k.Spec.Deletion = &v1alpha1.KeyDeletion{}
		}
		if days != 0 {
			k.Spec.Deletion.PendingWindowInDays = days
		}
		k.Spec.Deletion.Scheduled = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	return s.settle(ctx, changed)
}

// settle writes when a scheduled key goes: from now on, whatever an earlier deletion that was cancelled has left. A primary with replicas has no such time yet.
func (s *Service) settle(ctx context.Context, key *v1alpha1.KMSKey) (*v1alpha1.KMSKey, error) {
	name, uid := client.ObjectKeyFromObject(key), key.UID
	key = key.DeepCopy()
	for attempt := 1; Scheduled(key); attempt++ {
		others, err := s.Outlived(ctx, key)
		if err != nil {
			return nil, err
		}
		at := metav1.NewTime(s.Now().Add(PendingWindow(key))).Rfc3339Copy()
		key.Status.DeletionTime, key.Status.DeletionGeneration = &at, key.Generation
		if len(others) > 0 { // the window begins when they are gone, which the controller sees
			key.Status.DeletionTime, key.Status.DeletionGeneration = nil, 0
		}
		key.Status.KeyState = State(key, false)
		err = s.Client.Status().Update(ctx, key, FieldOwner)
		switch {
		case err == nil:
			return s.await(ctx, key)
		case apierrors.IsNotFound(err):
			return nil, ErrGone
		case !apierrors.IsConflict(err) || attempt == attempts:
			return nil, fmt.Errorf("writing the status of KMSKey %s: %w", name.Name, err)
		}
		key = &v1alpha1.KMSKey{}
		err = s.Live.Get(ctx, name, key)
		if apierrors.IsNotFound(err) || err == nil && (key.UID != uid || Gone(key)) {
			return nil, ErrGone
		}
		if err != nil {
			return nil, fmt.Errorf("reading KMSKey %s: %w", name.Name, err)
		}
	}
	return key, nil // it was cancelled meanwhile
}

// CancelDeletion ends a key's waiting period and leaves the key disabled. check is as that of ScheduleDeletion.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_CancelKeyDeletion.html
//
// Crash-safe: it is one optimistic write of spec.
func (s *Service) CancelDeletion(ctx context.Context, key *v1alpha1.KMSKey, check func(*v1alpha1.KMSKey) error) error {
	_, err := s.Change(ctx, key, func(k *v1alpha1.KMSKey) error {
		if err := check(k); err != nil {
			return err
		}
		if k.Spec.Deletion != nil {
			k.Spec.Deletion.Scheduled = false
		}
		disabled := false
		k.Spec.Enabled = &disabled
		return nil
	})
	return err
}
