package versions

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// What Parameter Store keeps of a parameter.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-versions.html
const (
	// MaximumHistory is the number of versions that a parameter has.
	MaximumHistory = 100
	// MaximumLabels is the number of labels on one version.
	MaximumLabels = 10
	// MaximumLabel is the length of a label in characters.
	MaximumLabel = 100
)

var (
	// ErrHistoryFull says that no version can be made: the oldest of MaximumHistory has a label.
	ErrHistoryFull = errors.New("the oldest version has a label")
	// ErrTooManyLabels says that a version would have more than MaximumLabels.
	ErrTooManyLabels = errors.New("the version has too many labels")
)

// Number is the id of a parameter's version: its sequence in decimal.
func Number(sequence int64) string { return strconv.FormatInt(sequence, 10) }

// CheckRoom says whether a parameter can have one more version: the oldest of MaximumHistory goes for it, unless it has a label.
func (ix Index) CheckRoom() error {
	if len(ix) >= MaximumHistory && len(ix[0].Stages) > 0 {
		return ErrHistoryFull
	}
	return nil
}

// Trim takes the oldest versions without a label out of a parameter's index until it has MaximumHistory. It returns what stays and
// what goes. Versions with a label stay, though then there can be one more: two writers came at once.
func (ix Index) Trim() (kept, gone Index) {
	for i, v := range ix {
		if len(kept)+len(ix)-i > MaximumHistory && len(v.Stages) == 0 && i < len(ix)-1 {
			gone = append(gone, v)
			continue
		}
		kept = append(kept, v)
	}
	return kept, gone
}

// Label puts labels on a version and takes them from the versions that have them. Those that can be no labels are left out and
// returned. It fails with ErrUnknown or ErrTooManyLabels.
// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-labels.html
func (ix Index) Label(id string, labels []string) (out Index, invalid []string, err error) {
	if _, known := ix.ByID(id); !known {
		return nil, nil, ErrUnknown
	}
	var valid []string
	for _, label := range labels {
		if ValidLabel(label) {
			valid = append(valid, label)
		} else {
			invalid = append(invalid, label)
		}
	}
	out = make(Index, 0, len(ix))
	for _, v := range ix {
		if v.ID == id {
			v.Stages = sorted(slices.Concat(v.Stages, valid))
		} else {
			v.Stages = without(v.Stages, valid)
		}
		if len(v.Stages) > MaximumLabels {
			return nil, nil, ErrTooManyLabels
		}
		out = append(out, v)
	}
	return out, invalid, nil
}

// Unlabel takes labels from a version. Those that it does not have are returned as invalid, the others as removed.
func (ix Index) Unlabel(id string, labels []string) (out Index, removed, invalid []string, err error) {
	holder, known := ix.ByID(id)
	if !known {
		return nil, nil, nil, ErrUnknown
	}
	for _, label := range labels {
		if holder.Has(label) {
			removed = append(removed, label)
		} else {
			invalid = append(invalid, label)
		}
	}
	out = slices.Clone(ix)
	for i := range out {
		if out[i].ID == id {
			out[i].Stages = without(out[i].Stages, removed)
		}
	}
	return out, removed, invalid, nil
}

// ValidLabel says whether a text can be a label: letters, digits and . - _, of which the first is no digit, and no beginning that
// is AWS's own.
func ValidLabel(label string) bool {
	if label == "" || len(label) > MaximumLabel || label[0] >= '0' && label[0] <= '9' {
		return false
	}
	lower := strings.ToLower(label)
	if strings.HasPrefix(lower, "aws") || strings.HasPrefix(lower, "ssm") {
		return false
	}
	return strings.Trim(lower, "abcdefghijklmnopqrstuvwxyz0123456789.-_") == ""
}

func without(stages, taken []string) []string {
	return sorted(slices.DeleteFunc(slices.Clone(stages), func(s string) bool { return slices.Contains(taken, s) }))
}
