package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// Whoever erases the Envelopes of an object that is gone, and whoever makes the object again and takes its Envelopes over, write to different
// objects, so no one write decides between them. The order of their steps does:
//
//	erasing: condemn the Envelope; look, live, whether the object is there; erase it if not, or else absolve it
//	taking:  the object is there; look, live, whether the Envelope is condemned; name it in the object's status if not
//
// If the look of who erases finds no object, then whoever takes looks later than the mark was made, and sees it. Both may see the other, and
// then the Envelope stays. Marks and erasures carry the resource version, so nothing is erased that somebody has absolved since. A crash leaves marks;
// the controller of Envelopes looks at each.

// ErrCondemned says that an Envelope is about to be erased, or to be absolved: it is nobody's to take meanwhile. It is a matter of moments.
var ErrCondemned = errors.New("what a deleted object of this name left is being erased; try again")

// Condemned tells whether an Envelope is marked to be erased.
func Condemned(e *v1alpha1.Envelope) bool {
	_, marked := e.Annotations[v1alpha1.CondemnedAnnotation]
	return marked
}

// CondemnedAt is when an Envelope was marked, in whole seconds; zero if the mark does not tell.
func CondemnedAt(e *v1alpha1.Envelope) (at time.Time, marked bool) {
	text, marked := e.Annotations[v1alpha1.CondemnedAnnotation]
	at, _ = time.Parse(time.RFC3339, text) // a mark is one whatever it says
	return at, marked
}

// Erase deletes Envelopes of an object that is gone, by way of the mark, and tells whether the object is back: then they stay, without the mark.
// owner is an empty object with its namespace and name, to read into. The versions go first, the newest first of all, so that what
// a crash leaves has no gap; then the tombstones, so that it is found again.
func (s *Store) Erase(ctx context.Context, owner client.Object, envelopes []v1alpha1.Envelope, now time.Time) (back bool, err error) {
	marked := make([]*v1alpha1.Envelope, 0, len(envelopes))
	for _, e := range inOrder(envelopes) {
		if e, err = s.condemn(ctx, e, now); err != nil {
			return false, err
		}
		if e != nil {
			marked = append(marked, e)
		}
	}
	if back, err = s.exists(ctx, owner); err != nil {
		return false, err
	}
	for _, e := range marked {
		if back {
			err = s.Absolve(ctx, e)
		} else {
			err = s.delete(ctx, e, client.Preconditions{UID: &e.UID, ResourceVersion: &e.ResourceVersion})
		}
		if err != nil {
			return back, err
		}
	}
	return back, nil
}

// inOrder is the order in which Envelopes are erased.
func inOrder(envelopes []v1alpha1.Envelope) []*v1alpha1.Envelope {
	out := make([]*v1alpha1.Envelope, 0, len(envelopes))
	for i := range envelopes {
		out = append(out, &envelopes[i])
	}
	rank := func(e *v1alpha1.Envelope) int {
		if e.Spec.Class == v1alpha1.EnvelopeTombstone {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(out, func(a, b *v1alpha1.Envelope) int {
		return cmp.Or(rank(a)-rank(b), cmp.Compare(b.Spec.Sequence, a.Spec.Sequence))
	})
	return out
}

func (s *Store) exists(ctx context.Context, owner client.Object) (bool, error) {
	err := s.Live.Get(ctx, client.ObjectKeyFromObject(owner), owner)
	if client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("reading %s: %w", owner.GetName(), err)
	}
	return err == nil, nil
}

// condemn marks an Envelope, on the condition that nobody has changed it. It is nil if it is gone.
func (s *Store) condemn(ctx context.Context, e *v1alpha1.Envelope, now time.Time) (*v1alpha1.Envelope, error) {
	if Condemned(e) {
		return e, nil
	}
	return s.annotate(ctx, e, "condemning", func(changed *v1alpha1.Envelope) {
		metav1.SetMetaDataAnnotation(&changed.ObjectMeta, v1alpha1.CondemnedAnnotation, now.UTC().Format(time.RFC3339))
	})
}

// Absolve takes the mark from an Envelope, on the condition that nobody has changed it. One that is gone is no error.
func (s *Store) Absolve(ctx context.Context, e *v1alpha1.Envelope) error {
	_, err := s.annotate(ctx, e, "absolving", func(changed *v1alpha1.Envelope) { delete(changed.Annotations, v1alpha1.CondemnedAnnotation) })
	return err
}

func (s *Store) annotate(ctx context.Context, e *v1alpha1.Envelope, what string, change func(*v1alpha1.Envelope)) (*v1alpha1.Envelope, error) {
	changed := e.DeepCopy()
	change(changed)
	err := s.Client.Patch(ctx, changed, client.MergeFromWithOptions(e, client.MergeFromWithOptimisticLock{}))
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s Envelope %s: %w", what, e.Name, err)
	}
	return changed, nil
}

// CheckTaken tells whether Envelopes can be taken over by an object that is there, which was read before: it wraps ErrCondemned if one of them is
// about to be erased, or was by now. It asks the API server, since a cache may show them as they were before the object was made.
func (s *Store) CheckTaken(ctx context.Context, envelopes ...*v1alpha1.Envelope) error {
	for _, e := range envelopes {
		live := &v1alpha1.Envelope{}
		switch err := s.Live.Get(ctx, client.ObjectKeyFromObject(e), live); {
		case apierrors.IsNotFound(err) || err == nil && (live.UID != e.UID || Condemned(live)):
			return fmt.Errorf("%w: Envelope %s", ErrCondemned, e.Name)
		case err != nil:
			return fmt.Errorf("reading Envelope %s: %w", e.Name, err)
		}
	}
	return nil
}
