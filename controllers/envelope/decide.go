package envelope

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/store"
)

// sweepAge is how long an Envelope that no index names is kept.
const sweepAge = time.Hour

// input is all that the decision about one subject's Envelopes depends on.
type input struct {
	now time.Time
	// object is the owner, nil if there is none.
	object *object
	// born is when the object was created whose deletion was seen, zero if none was.
	born time.Time
	// forced tells that it was deleted without a recovery window.
	forced bool
	// deleted is when that was seen.
	deleted time.Time
	// subject is the ARN of the Envelopes.
	subject string
	// envelopes of the subject.
	envelopes []v1alpha1.Envelope
	// forged are the tombstones among them that are none of Strongroom's, by their UIDs.
	forged map[types.UID]bool
	// keyInUse tells that something is encrypted under the subject, which is a key.
	keyInUse bool
}

// decision is what to do with them.
type decision struct {
	// undone are tombstones of earlier deletions, which applying the object again undid, and forged ones. They go before a new one is stored,
	// which has their name.
	undone []v1alpha1.Envelope
	// entomb tells that a tombstone is to be stored.
	entomb bool
	// delete lists the Envelopes to delete, in this order.
	delete []v1alpha1.Envelope
	// wait is when to look again, 0 for not before something changes.
	wait time.Duration
}

// decide is the decision about one subject's Envelopes.
func decide(in input) decision {
	switch {
	case in.object != nil && in.object.arn == "":
		return decision{} // the owner has not said yet which Envelopes are its own
	case in.object != nil && in.object.arn == in.subject:
		return decideLive(in)
	case in.object.mayTake(in.subject):
		return decision{} // somebody wrote another's ARN into its status, maybe
	}
	return decideGone(in)
}

// decideLive: the owner exists. A tombstone is obsolete, since its object was restored; a version that the index does
// not name is left over from an interrupted pass, unless it is the next one, which is in flight. Key material is never swept:
// keys let go of none, so an index that lacks one is damaged, and the key's controller mends it.
func decideLive(in input) decision {
	var d decision
	for _, e := range in.envelopes {
		_, named := in.object.index.ByID(e.Spec.Version)
		switch {
		case e.Spec.Class == v1alpha1.EnvelopeTombstone:
			d.delete = append(d.delete, e)
		case e.Spec.Class == v1alpha1.EnvelopeKeyMaterial, isRecord(&e): // an authority's controller looks after its records
			continue
		case named || len(in.object.index) == 0 || e.Spec.Sequence > in.object.index.Last():
			continue
		default:
			if left := e.CreationTimestamp.Add(sweepAge).Sub(in.now); left > 0 {
				d.wait = shorter(d.wait, left)
				continue
			}
			d.delete = append(d.delete, e)
		}
	}
	return d
}

// decideGone: the owner is gone, or is another secret of the same object name by now, for which more speaks than its status. Where one Envelope is condemned all go, whatever is known of
// the owner: a pass that ended since has decided that about all of them, and a part would come back as an older value.
func decideGone(in input) decision {
	if in.keyInUse || !slices.ContainsFunc(in.envelopes, in.condemned) {
		return decideLeft(in)
	}
	d := decision{}
	for _, e := range in.envelopes {
		if !in.broughtBack(e) {
			d.delete = append(d.delete, e)
		}
	}
	return d
}

// condemned tells that an Envelope is marked, since the object was made that is gone now, and not by a backup that held the mark. A mark that is older than
// the tombstone was left on an object that was there, whose deletion since has a window.
func (in *input) condemned(e v1alpha1.Envelope) bool {
	at, marked := store.CondemnedAt(&e)
	if !marked || in.broughtBack(e) {
		return false
	}
	since := in.born
	for i := range in.envelopes {
		if t := &in.envelopes[i]; t.Spec.Class == v1alpha1.EnvelopeTombstone && !in.forged[t.UID] && t.Spec.CreatedTime.After(since) {
			since = t.Spec.CreatedTime.Time
		}
	}
	return at.IsZero() || !at.Before(since)
}

// decideLeft: what a deleted object left gets a tombstone, and goes when that expires, the tombstone last.
func decideLeft(in input) decision {
	left := in.left()
	undone := slices.Concat(left.undone, left.forged)
	all := slices.Concat(left.others, undone, left.tombstones)
	switch wait := left.expires.Sub(in.now); {
	case in.forced && !slices.ContainsFunc(left.others, in.broughtBack):
		return decision{delete: all}
	case len(left.tombstones) == 0:
		return decision{entomb: len(left.others) > 0, undone: undone}
	case wait > 0:
		return decision{wait: wait, undone: left.forged}
	case in.keyInUse && len(left.others) > 0:
		return decision{wait: sweepAge}
	}
	return decision{delete: all}
}

// left is what a deleted object left.
type left struct {
	// tombstones of this deletion, undone ones of earlier deletions, and forged ones.
	tombstones, undone, forged []v1alpha1.Envelope
	// others are its versions.
	others []v1alpha1.Envelope
	// expires is the end of the window, zero without a tombstone.
	expires time.Time
}

func (in *input) left() (out left) {
	for _, e := range in.envelopes {
		switch {
		case e.Spec.Class != v1alpha1.EnvelopeTombstone:
			out.others = append(out.others, e)
		case in.forged[e.UID]:
			out.forged = append(out.forged, e)
		case !in.born.IsZero() && !e.Spec.CreatedTime.After(in.born): // in the same second, a new window is never the shorter
			out.undone = append(out.undone, e)
		default:
			out.tombstones = append(out.tombstones, e)
			if e.Spec.ExpireTime != nil && e.Spec.ExpireTime.After(out.expires) {
				out.expires = e.Spec.ExpireTime.Time
			}
		}
	}
	return out
}

// restoredAge is how much older a version is than its Envelope, if a backup brought that back. No request takes so long to store one.
const restoredAge = 30 * time.Second

// broughtBack tells that somebody restores a backup after the deletion, Envelopes first. Such versions are not those that were deleted for good.
func (in *input) broughtBack(e v1alpha1.Envelope) bool {
	made := e.CreationTimestamp.Time
	return made.After(in.deleted) && made.Sub(e.Spec.CreatedTime.Time) > restoredAge
}

// shorter is the shorter of two waits, of which 0 is none.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}
