package parameterstore

import (
	"context"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/sealed"
)

// addition is a version to be added.
type addition struct {
	sealed.Content
	// stored is the version that an earlier try of the same request stored, zero if none did.
	stored versions.Version
	// overwrite lets there be other versions.
	overwrite bool
}

// add stores a version behind all that are there or in flight, or finds the one that an earlier try stored. The index that it returns
// has it. Without overwrite, whoever stores the first version is the one that made the parameter: all others are told that it exists.
func (s *Service) add(ctx context.Context, p *v1alpha1.Parameter, a addition) (versions.Index, versions.Version, error) {
	ix, exists, err := s.resumed(ctx, p)
	if err != nil {
		return ix, versions.Version{}, err
	}
	for range maximumTries {
		if a.stored.Sequence != 0 && ix.Last() >= a.stored.Sequence {
			if has(ix, a.stored) { // another's commit has taken it in
				return ix, a.stored, nil
			}
			a.stored = versions.Version{} // another's commit went past it, so it is no version: it is stored again, and this one is swept
		}
		switch {
		case a.stored.Sequence == 0 && exists && !a.overwrite:
			return ix, versions.Version{}, alreadyExists()
		case ix.CheckRoom() != nil:
			return ix, versions.Version{}, historyFull(p.AWSName(), ix[0].Sequence)
		}
		// Crash-safe: the Envelope's name has the sequence, so one writer alone makes it. Who finds another's goes behind it.
		a.Sequence = ix.Last() + 1
		a.ID = versions.Number(a.Sequence)
		version, made, err := s.Versions().Put(ctx, s.SubjectOf(p), a.Content)
		if err != nil {
			return ix, version, err
		}
		if ix = ix.Add(version); made {
			return ix, version, nil
		}
		exists = true
		if ix, err = s.Versions().Resume(ctx, s.SubjectOf(p), ix); err != nil {
			return ix, versions.Version{}, err
		}
	}
	return ix, versions.Version{}, contended()
}

// has tells whether an index names a version.
func has(ix versions.Index, v versions.Version) bool {
	named, found := ix.ByID(v.ID)
	return found && named.Sequence == v.Sequence
}

// resumed is the index of a parameter with what is in flight, and whether the parameter exists by that. Of one that has none, the
// versions that an object of its name left when it was deleted come back first; those make it no parameter that exists.
func (s *Service) resumed(ctx context.Context, p *v1alpha1.Parameter) (ix versions.Index, exists bool, err error) {
	ix = IndexOf(p)
	deleted := false
	if len(ix) == 0 {
		restored, err := s.Versions().Restore(ctx, LostOf(p, s.ARNOf(p)))
		if err != nil {
			return ix, false, err
		}
		ix, deleted = restored.Index, restored.Deleted
	}
	ix, err = s.Versions().Resume(ctx, s.SubjectOf(p), ix)
	return ix, len(ix) > 0 && !deleted, err
}

// beingDeleted tells whether there are versions of a deleted object that have no tombstone yet: they are about to have one, or to go.
// An object that was made now would take them over.
func (s *Service) beingDeleted(ctx context.Context, namespace, subject, name string) (bool, error) {
	envelopes, err := s.Store.OfOwner(ctx, namespace, Owner(name))
	if err != nil {
		return false, err
	}
	left := false
	for i := range envelopes {
		switch e := &envelopes[i]; {
		case e.Spec.Subject != subject:
		case e.Spec.Class == v1alpha1.EnvelopeTombstone:
			return false, nil
		default:
			left = true
		}
	}
	return left, nil
}
