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
//	erasing: condemn all Envelopes; look, live, whether the object is there and not being deleted; erase them if not, or else absolve them
//	taking:  the object is there; look, live, whether an Envelope is condemned; name all in the object's status if none is
//
// If the look of who erases finds no object, then whoever takes looks later than the marks were made, and sees them. Both may see the other, and
// then the Envelopes stay. Marks and erasures carry the resource version, so nothing is erased that somebody has absolved since. A crash leaves marks;
// the controller of Envelopes looks at each.
//
// All of them go, or none: a part would come back as an older value. The first one decides that. It is erased before all others, and absolved before all
// others, and one of the two is done, since both carry its resource version. Each mark says which erasure it is of and which Envelope is the first
// of that. So whoever finds a mark whose first one is gone goes on with the erasure, whether the object is back or not, and nobody takes what is left.

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

// Erase deletes Envelopes of an object that is gone or being deleted, by way of the mark, and tells whether the object is back: then they stay, without the mark.
// owner is an empty object with its namespace and name, to read into. The versions go first, the newest first of all; then the tombstones, so
// that what a crash leaves is found again. An error that is a conflict says that somebody else is about them too: the controller of Envelopes ends what is left.
func (s *Store) Erase(ctx context.Context, owner client.Object, envelopes []v1alpha1.Envelope, now time.Time) (back bool, err error) {
	return s.EraseUnless(ctx, envelopes, now, func(ctx context.Context) (bool, error) {
		err := s.Live.Get(ctx, client.ObjectKeyFromObject(owner), owner)
		if client.IgnoreNotFound(err) != nil {
			return false, fmt.Errorf("reading %s: %w", owner.GetName(), err)
		}
		return err == nil && !BeingDeleted(owner), nil
	})
}

// EraseUnless is Erase where taken tells, live, whether there is an object that may take them over.
func (s *Store) EraseUnless(ctx context.Context, envelopes []v1alpha1.Envelope, now time.Time, taken func(context.Context) (bool, error)) (back bool, err error) {
	marked, err := s.condemn(ctx, envelopes, now)
	if err != nil || len(marked) == 0 {
		return false, err
	}
	if back, err = taken(ctx); err != nil {
		return false, err
	}
	for _, e := range marked { // the first one first, whatever is done
		if back {
			err = s.Absolve(ctx, e)
		} else {
			err = s.Delete(ctx, e)
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

// condemn marks Envelopes for one erasure, each on the condition that nobody has changed it, and returns them as they are then, in the order in which they go. Each is written, also one that bears a mark:
// whoever absolves it of that one must not absolve it of this one. What an earlier erasure has begun with goes at once.
func (s *Store) condemn(ctx context.Context, envelopes []v1alpha1.Envelope, now time.Time) ([]*v1alpha1.Envelope, error) {
	marked, mark := make([]*v1alpha1.Envelope, 0, len(envelopes)), newErasure()
	for _, e := range inOrder(envelopes) {
		if BeingDeleted(e) { // somebody else's deletion, by which an erasure has not begun
			continue
		}
		if Condemned(e) {
			live, begun, err := s.begun(ctx, e)
			if err == nil && begun {
				err = s.Delete(ctx, live)
			}
			if err != nil {
				return nil, err
			}
			if live == nil || begun {
				continue
			}
		}
		of := mark.of(e)
		changed, err := s.annotate(ctx, e, "condemning", func(changed *v1alpha1.Envelope) {
			metav1.SetMetaDataAnnotation(&changed.ObjectMeta, v1alpha1.CondemnedAnnotation, now.UTC().Format(time.RFC3339))
			metav1.SetMetaDataAnnotation(&changed.ObjectMeta, v1alpha1.ErasureAnnotation, of.String())
		})
		if err != nil {
			return nil, err
		}
		if changed != nil {
			mark, marked = of, append(marked, changed)
		}
	}
	return marked, nil
}

// Absolve takes the mark from an Envelope, from the first one of its erasure before. Once that one is gone there is no way back: then the Envelope goes too.
// One that is gone is no error.
func (s *Store) Absolve(ctx context.Context, e *v1alpha1.Envelope) error {
	live, begun, err := s.begun(ctx, e)
	if err != nil || live == nil {
		return err
	}
	if !begun {
		if begun, err = s.absolveFirst(ctx, live); err != nil {
			return err
		}
	}
	if begun {
		return s.Delete(ctx, live)
	}
	_, err = s.annotate(ctx, live, "absolving", absolved)
	return err
}

func absolved(e *v1alpha1.Envelope) {
	delete(e.Annotations, v1alpha1.CondemnedAnnotation)
	delete(e.Annotations, v1alpha1.ErasureAnnotation)
}

// absolveFirst absolves the first Envelope of the erasure that another one is marked for, and tells whether that is gone.
func (s *Store) absolveFirst(ctx context.Context, e *v1alpha1.Envelope) (begun bool, err error) {
	mark, known := erasureOf(e)
	if !known || mark.first == e.Name {
		return false, nil
	}
	first, err := s.read(ctx, e.Namespace, mark.first, mark.firstUID)
	if err != nil || first == nil {
		return err == nil, err
	}
	if of, marked := erasureOf(first); !marked || of.id != mark.id { // it was absolved, or is another erasure's: this one goes nowhere
		return false, nil
	}
	changed, err := s.annotate(ctx, first, "absolving", absolved)
	return err == nil && changed == nil, err
}

// begun reads an Envelope as it is, nil if it is gone, and tells whether the erasure that it is marked for has begun to erase.
func (s *Store) begun(ctx context.Context, e *v1alpha1.Envelope) (live *v1alpha1.Envelope, begun bool, err error) {
	if live, err = s.read(ctx, e.Namespace, e.Name, e.UID); err != nil || live == nil {
		return nil, false, err
	}
	mark, known := erasureOf(live)
	if !known || mark.first == live.Name {
		return live, false, nil
	}
	first, err := s.read(ctx, e.Namespace, mark.first, mark.firstUID)
	return live, err == nil && first == nil, err
}

func (s *Store) annotate(ctx context.Context, e *v1alpha1.Envelope, what string, change func(*v1alpha1.Envelope)) (changed *v1alpha1.Envelope, err error) {
	err = s.asRead(ctx, e, func(e *v1alpha1.Envelope) error {
		changed = e.DeepCopy()
		change(changed)
		return s.Client.Patch(ctx, changed, client.MergeFromWithOptions(e, client.MergeFromWithOptimisticLock{}))
	})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s Envelope %s: %w", what, e.Name, err)
	}
	return changed, nil
}
