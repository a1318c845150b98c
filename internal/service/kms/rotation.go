package kms

import (
	"slices"
	"strings"
	"time"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/conditions"
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

// LastAutomaticRotation is when a key got the last material that was not made on demand: rotations on demand do not change the schedule of automatic rotation.
// There must be a material.
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

// RotationEnabledSince is since when automatic rotation is on, in whole seconds, zero where it is off. That is now if nobody has noted that it is. A key that is noted to rotate next, and not since when, is of
// before that was noted: it counts from its material, as it did. A key stays on while it is disabled or scheduled for deletion, and with another period.
func RotationEnabledSince(key *v1alpha1.KMSKey, now time.Time) time.Time {
	status := &key.Status
	switch {
	case RotationPeriod(RotationOf(key)) == 0 || !Rotates(key):
		return time.Time{}
	case status.RotationEnabledTime != nil:
		return status.RotationEnabledTime.UTC()
	case status.NextRotationTime != nil && len(status.KeyMaterials) > 0:
		return LastAutomaticRotation(status.KeyMaterials).Truncate(time.Second)
	}
	return now.UTC().Truncate(time.Second)
}

// RotationCountsFrom is from when the period of automatic rotation counts: "the number of days after you enable automatic key rotation that AWS KMS will rotate your key material, and the number of days between each
// automatic rotation thereafter". There must be a material, and automatic rotation be on since the time that is given.
// https://docs.aws.amazon.com/kms/latest/developerguide/rotate-keys.html#rotation-period
func RotationCountsFrom(materials []v1alpha1.KeyMaterial, enabled time.Time) time.Time {
	if last := LastAutomaticRotation(materials); last.After(enabled) {
		return last
	}
	return enabled
}

// NextRotation is when a key is rotated automatically, by its spec as it is, of which the controller may not know yet. A time that has passed is that of a
// rotation that the controller is about to make. It is zero for a key that is not rotated now, or has no material to rotate.
func NextRotation(key *v1alpha1.KMSKey, now time.Time) time.Time {
	days := RotationPeriod(RotationOf(key))
	if days == 0 || !Rotates(key) || !Enabled(key) || Scheduled(key) || Updating(key) || len(key.Status.KeyMaterials) == 0 {
		return time.Time{}
	}
	from := RotationCountsFrom(key.Status.KeyMaterials, RotationEnabledSince(key, now))
	return schedule.DecidePeriod(from, now, days, string(key.UID)).At
}

// RotatesSoon tells whether an automatic rotation of a key is due or begins within RotationConflictWindow.
func RotatesSoon(key *v1alpha1.KMSKey, now time.Time) bool {
	next := NextRotation(key, now)
	return !next.IsZero() && !next.After(now.Add(RotationConflictWindow))
}

// RequestedRotation is a value for the annotation that asks for a rotation on demand: when it was asked for, and by which request. A request that is made while another
// is waited for is met with that, and began with it.
func RequestedRotation(key *v1alpha1.KMSKey, now time.Time, request string) string {
	if start := OnDemandRotationStart(key); !start.IsZero() {
		now = start
	}
	return now.UTC().Format(time.RFC3339) + "/" + request
}

// OnDemandRotationStart is when the rotation on demand was asked for that a key waits for, zero if it waits for none, or was asked by an annotation that does not begin with a time. A request that is
// not going to be met, of a key that was rotated on demand as often as it can be, or has nothing imported to rotate to, is none.
func OnDemandRotationStart(key *v1alpha1.KMSKey) time.Time {
	asked := key.Annotations[v1alpha1.RotateAnnotation]
	if asked == "" || conditions.Echo(asked) == key.Status.LastHandledRotateAt || key.Status.OnDemandRotations >= MaximumOnDemandRotations {
		return time.Time{}
	}
	if External(key) && !slices.ContainsFunc(key.Status.KeyMaterials, func(m v1alpha1.KeyMaterial) bool { return m.State == v1alpha1.KeyMaterialPendingRotation }) {
		return time.Time{}
	}
	text, _, _ := strings.Cut(asked, "/")
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}
