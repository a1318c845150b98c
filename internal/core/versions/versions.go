// Package versions is the index of a secret's versions and the rules by which AWS Secrets Manager moves staging labels
// between them. All of it is pure: an Index is never changed in place.
//
// Invariants of an Index: it is ordered by sequence, sequences and ids are unique, and a stage is on one version only.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html#term_version
package versions

import (
	"slices"
	"time"
)

// The staging labels that Secrets Manager itself moves.
const (
	Current  = "AWSCURRENT"
	Previous = "AWSPREVIOUS"
	Pending  = "AWSPENDING"
)

const (
	// Kept is the number of versions kept for as long as nothing forces a choice. AWS keeps about 100.
	Kept = 100
	// MinimumAge below which a version without a stage is kept, as AWS keeps all of the last 24 hours.
	MinimumAge = 24 * time.Hour
	// Maximum is the number of versions that an index ever holds: beyond it the oldest version without a
	// stage goes whatever its age, so that an index has a bounded size.
	Maximum = 180
)

// Version is one entry of an Index.
type Version struct {
	// ID is AWS's VersionId.
	ID string
	// Sequence is 1 for the first version, then one more each.
	Sequence int64
	// Stages are the staging labels, sorted.
	Stages []string
	// Created is when the version was made.
	Created time.Time
}

// Has tells whether the version holds a stage.
func (v Version) Has(stage string) bool { return slices.Contains(v.Stages, stage) }

// Index lists versions by sequence, oldest first.
type Index []Version

// ByStage finds the version that holds a stage.
func (ix Index) ByStage(stage string) (Version, bool) {
	i := slices.IndexFunc(ix, func(v Version) bool { return v.Has(stage) })
	if i < 0 {
		return Version{}, false
	}
	return ix[i], true
}

// ByID finds a version.
func (ix Index) ByID(id string) (Version, bool) {
	i := slices.IndexFunc(ix, func(v Version) bool { return v.ID == id })
	if i < 0 {
		return Version{}, false
	}
	return ix[i], true
}

// Last is the highest sequence number, 0 for an empty index.
func (ix Index) Last() int64 {
	if len(ix) == 0 {
		return 0
	}
	return ix[len(ix)-1].Sequence
}

// Add puts a version at the end and moves its stages to it. When AWSCURRENT moves, the version that had it gets
// AWSPREVIOUS. A version whose sequence is not above the last, or whose id is known, changes nothing, so that
// adding twice is adding once.
func (ix Index) Add(v Version) Index {
	if _, known := ix.ByID(v.ID); known || v.Sequence <= ix.Last() {
		return ix
	}
	moved := slices.Clone(v.Stages)
	former, hadCurrent := ix.ByStage(Current)
	movesCurrent := hadCurrent && v.Has(Current)
	if movesCurrent {
		moved = append(moved, Previous)
	}
	out := make(Index, 0, len(ix)+1)
	for _, old := range ix {
		stages := slices.DeleteFunc(slices.Clone(old.Stages), func(s string) bool { return slices.Contains(moved, s) })
		if movesCurrent && old.ID == former.ID && !v.Has(Previous) {
			stages = append(stages, Previous)
		}
		old.Stages = sorted(stages)
		out = append(out, old)
	}
	v.Stages = sorted(v.Stages)
	return append(out, v)
}

// Rebuild makes an index from the versions alone, in any order, each with the stages that it was made with. It is how
// a lost index comes back.
func Rebuild(all []Version) Index {
	ordered := slices.Clone(all)
	slices.SortFunc(ordered, func(a, b Version) int { return int(a.Sequence - b.Sequence) })
	var ix Index
	for _, v := range ordered {
		ix = ix.Add(v)
	}
	return ix
}

// Prune takes out the versions that are not kept: those without a stage beyond Kept and older than MinimumAge, and
// beyond Maximum whatever their age. It returns what stays and what goes.
func (ix Index) Prune(now time.Time) (kept, gone Index) {
	excess, hard := len(ix)-Kept, len(ix)-Maximum
	for _, v := range ix {
		old := now.Sub(v.Created) >= MinimumAge
		switch {
		case len(v.Stages) == 0 && (hard > 0 || excess > 0 && old):
			gone = append(gone, v)
			excess, hard = excess-1, hard-1
		default:
			kept = append(kept, v)
		}
	}
	return kept, gone
}

func sorted(stages []string) []string {
	if len(stages) == 0 {
		return nil
	}
	out := slices.Clone(stages)
	slices.Sort(out)
	return slices.Compact(out)
}
