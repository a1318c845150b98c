package versions

import (
	"errors"
	"slices"
)

// MaximumStages is the number of staging labels on one version.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html
const MaximumStages = 20

// Why a staging label cannot be moved.
var (
	// ErrUnknown: there is no such version.
	ErrUnknown = errors.New("the version does not exist")
	// ErrHeld: another version holds the label, and is not named.
	ErrHeld = errors.New("another version holds the stage")
	// ErrNotHeld: the version that is named does not hold the label.
	ErrNotHeld = errors.New("the version does not hold the stage")
	// ErrNeeded: AWSCURRENT would be on no version.
	ErrNeeded = errors.New("a secret has a current version")
	// ErrTooMany: the version would have more than MaximumStages.
	ErrTooMany = errors.New("the version holds too many stages")
	// ErrNoMove: neither version is named.
	ErrNoMove = errors.New("no version is named")
)

// Move takes a stage from one version, which must be named if there is one, and puts it on another. Either id may be empty: a
// label that nobody holds is put on a version, or taken from one. When AWSCURRENT moves, AWSPREVIOUS follows it to the version
// that had it.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_UpdateSecretVersionStage.html
func (ix Index) Move(stage, from, to string) (Index, error) {
	if err := ix.movable(stage, from, to); err != nil {
		return nil, err
	}
	holder, held := ix.ByStage(stage)
	if held && holder.ID == to {
		return ix, nil
	}
	previous := "" // the version that AWSPREVIOUS follows to
	removed := []string{stage}
	if stage == Current && held {
		previous, removed = holder.ID, append(removed, Previous)
	}
	out := make(Index, 0, len(ix))
	for _, v := range ix {
		stages := slices.DeleteFunc(slices.Clone(v.Stages), func(s string) bool { return slices.Contains(removed, s) })
		switch v.ID {
		case to: // no version's id is empty
			stages = append(stages, stage)
		case previous:
			stages = append(stages, Previous)
		}
		if len(stages) > MaximumStages {
			return nil, ErrTooMany
		}
		v.Stages = sorted(stages)
		out = append(out, v)
	}
	return out, nil
}

// movable says why a stage cannot be moved so.
func (ix Index) movable(stage, from, to string) error {
	if from == "" && to == "" {
		return ErrNoMove
	}
	if _, known := ix.ByID(to); to != "" && !known {
		return ErrUnknown
	}
	holder, held := ix.ByStage(stage)
	if from != "" && (!held || holder.ID != from) {
		return ErrNotHeld
	}
	if held && from == "" && holder.ID != to {
		return ErrHeld
	}
	if stage == Current && to == "" {
		return ErrNeeded
	}
	return nil
}
