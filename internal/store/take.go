package store

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// CheckTaken tells whether Envelopes can be taken over by an object that is there, which was read before: it wraps ErrCondemned if one of them is
// about to be erased, or was by now. It asks the API server, since a cache may show them as they were before the object was made.
func (s *Store) CheckTaken(ctx context.Context, envelopes ...*v1alpha1.Envelope) error {
	_, err := s.takeable(ctx, envelopes)
	return err
}

// Reading names an object as it was read: what others have done to it since, and it itself, is another reading.
func Reading(obj client.Object) string { return string(obj.GetUID()) + "/" + obj.GetResourceVersion() }

// Take takes Envelopes over for an object that is there, of which by is the Reading: it writes to each that it has not taken by the same one before. It wraps ErrCondemned if one of them is about to be
// erased, or was by now; then, and with any other error, the object must not name them.
//
// Whoever erases an Envelope that an object's index does not name has read the Envelope before it saw that index, and Delete takes it as it was read. Whoever
// takes over has read the object before it writes here, and commits on the condition that nobody has changed the object. So if that index is the newer state of the object, the commit of
// who takes fails; and if it is the older one, this write comes after the Envelope was read, and it is not deleted.
func (s *Store) Take(ctx context.Context, by string, envelopes ...*v1alpha1.Envelope) error {
	all, err := s.takeable(ctx, envelopes)
	if err != nil {
		return err
	}
	for _, e := range all {
		if err := s.take(ctx, by, e); err != nil {
			return err
		}
	}
	return nil
}

// maximumTries is how often others may write to an Envelope before one who takes it over.
const maximumTries = 16

// take takes one Envelope over, which was read. Others of the same object may be about it too.
func (s *Store) take(ctx context.Context, by string, e *v1alpha1.Envelope) (err error) {
	for range maximumTries {
		if e.Annotations[v1alpha1.TakenAnnotation] == by {
			return nil
		}
		taken, failed := s.annotate(ctx, e, "taking over", func(changed *v1alpha1.Envelope) {
			metav1.SetMetaDataAnnotation(&changed.ObjectMeta, v1alpha1.TakenAnnotation, by)
		})
		switch err = failed; {
		case err == nil && taken == nil:
			return fmt.Errorf("%w: Envelope %s", ErrCondemned, e.Name)
		case !apierrors.IsConflict(err):
			return err
		}
		again, gone := s.takeable(ctx, []*v1alpha1.Envelope{e})
		if gone != nil {
			return gone
		}
		e = again[0]
	}
	return err
}

// takeable reads Envelopes as they are. It wraps ErrCondemned.
func (s *Store) takeable(ctx context.Context, envelopes []*v1alpha1.Envelope) ([]*v1alpha1.Envelope, error) {
	all := make([]*v1alpha1.Envelope, 0, len(envelopes))
	for _, e := range envelopes {
		live, err := s.read(ctx, e.Namespace, e.Name, e.UID)
		if err != nil {
			return nil, err
		}
		if live == nil || Condemned(live) {
			return nil, fmt.Errorf("%w: Envelope %s", ErrCondemned, e.Name)
		}
		all = append(all, live)
	}
	return all, nil
}

// read reads an Envelope from the API server, nil if it is gone, or another one by now. One that is being deleted is gone, whatever finalizer holds it: there is no way back for it, so
// nobody takes it over, and an erasure of which it was the first has begun.
func (s *Store) read(ctx context.Context, namespace, name string, uid types.UID) (*v1alpha1.Envelope, error) {
	live := &v1alpha1.Envelope{}
	err := s.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, live)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading Envelope %s: %w", name, err)
	}
	if apierrors.IsNotFound(err) || live.UID != uid || BeingDeleted(live) {
		return nil, nil
	}
	return live, nil
}
