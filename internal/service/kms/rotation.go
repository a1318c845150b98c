package kms

import (
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/schedule"
)

// RotationConflictWindow is how long before an automatic rotation none is made on demand.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_RotateKeyOnDemand.html#API_RotateKeyOnDemand_Errors
const RotationConflictWindow = 20 * time.Minute

// RotationPeriod is the days between two automatic rotations, 0 where they are off.
func RotationPeriod(spec *v1alpha1.KeyRotation) int {
	switch {
	case spec == nil || !spec.Enabled:
		return 0
	case spec.PeriodInDays == 0:
		return DefaultRotationDays
	}
	return int(spec.PeriodInDays)
}

// LastAutomaticRotation is from when the period of automatic rotation counts: rotations on demand do not change its schedule. There must be a
// material.
// https://docs.aws.amazon.com/kms/latest/developerguide/rotating-keys-on-demand.html
func LastAutomaticRotation(materials []v1alpha1.KeyMaterial) time.Time {
	last := materials[0].CreatedTime.UTC()
	for _, m := range materials {
		if m.RotationType != v1alpha1.RotationOnDemand {
			last = m.CreatedTime.UTC()
		}
	}
	return last
}

// NextRotation is when a key is rotated automatically, by its spec as it is, of which the controller may not know yet. A time that has passed is that of a
// rotation that the controller is about to make. It is zero for a key that is not rotated now, or has no material to rotate.
func NextRotation(key *v1alpha1.KMSKey, now time.Time) time.Time {
	days := RotationPeriod(RotationOf(key))
	if days == 0 || !Rotates(key) || !Enabled(key) || Scheduled(key) || Updating(key) || len(key.Status.KeyMaterials) == 0 {
		return time.Time{}
	}
	return schedule.DecidePeriod(LastAutomaticRotation(key.Status.KeyMaterials), now, days, string(key.UID)).At
}

// RotatesSoon tells whether an automatic rotation of a key is due or begins within RotationConflictWindow.
func RotatesSoon(key *v1alpha1.KMSKey, now time.Time) bool {
	next := NextRotation(key, now)
	return !next.IsZero() && !next.After(now.Add(RotationConflictWindow))
}
