package kms

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/keymutex"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// ErrGone says that the key was deleted meanwhile.
var ErrGone = errors.New("the KMSKey was deleted meanwhile")

// turns lets this process's writers of one key go one after another: without it each would lose to all that come before it, and of more
// than attempts some would give up. Between replicas the resource version decides.
var turns = keymutex.NewHashed(256)

// Change changes a key's spec or annotations for a caller of the AWS API, and returns when every later read through this process
// sees it. change gets a copy, and once more a later one if somebody else was faster; its error ends it, and is returned as it is.
// What it leaves alone is not written.
//
// Crash-safe: it is one optimistic write, which is done or not. The answer is the cache's own: read it only.
func (s *Service) Change(ctx context.Context, key *v1alpha1.KMSKey, change func(*v1alpha1.KMSKey) error) (*v1alpha1.KMSKey, error) {
	turn := key.Namespace + "/" + key.Name
	turns.LockKey(turn)
	defer func() { _ = turns.UnlockKey(turn) }()
	uid := key.UID
	before := key.DeepCopy()
	for attempt := 1; ; attempt++ {
		if Gone(before) {
			return nil, ErrGone
		}
		s.asOfNow(before)
		after := before.DeepCopy()
		if err := change(after); err != nil {
			return nil, err
		}
		if equality.Semantic.DeepEqual(before, after) {
			return s.await(ctx, before)
		}
		err := s.Client.Patch(ctx, after, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), FieldOwner)
		switch {
		case err == nil:
			return s.await(ctx, after)
		case apierrors.IsNotFound(err):
			return nil, ErrGone
		case !apierrors.IsConflict(err) || attempt == attempts:
			return nil, fmt.Errorf("changing KMSKey %s: %w", key.Name, err)
		}
		before = &v1alpha1.KMSKey{}
		err = s.Live.Get(ctx, client.ObjectKeyFromObject(key), before)
		if apierrors.IsNotFound(err) || err == nil && before.UID != uid {
			return nil, ErrGone
		}
		if err != nil {
			return nil, fmt.Errorf("reading KMSKey %s: %w", key.Name, err)
		}
	}
}
