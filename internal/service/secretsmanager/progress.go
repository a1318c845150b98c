package secretsmanager

import (
	"slices"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
)

// Resting tells that a secret which has a value does not rotate, by its spec.
func Resting(secret *v1alpha1.Secret, ix versions.Index) bool {
	_, hasCurrent := ix.ByStage(versions.Current)
	return hasCurrent && secret.Spec.Rotation != nil && !secret.Spec.Rotation.IsEnabled()
}

// Begun is the id that a rotation was begun with, by RotateSecret or by the controller, and which no version has yet; empty if there is none, or
// nothing that makes versions.
func Begun(secret *v1alpha1.Secret, ix versions.Index) string {
	state, spec := secret.Status.Rotation, &secret.Spec
	_, hasCurrent := ix.ByStage(versions.Current)
	makes := spec.Generate != nil || spec.Rotation.MakesVersions() || spec.Rotation.Rotator() && hasCurrent
	if state == nil || !makes || Resting(secret, ix) {
		return ""
	}
	if _, stored := ix.ByID(state.VersionID); stored {
		return ""
	}
	return state.VersionID
}

// InProgress tells that the rotation which status names goes on: its version is not made yet, or has AWSPENDING and not AWSCURRENT. One by a
// function or Jobs also while the version has AWSCURRENT, for it is they that move it, and they may have more to do. One whose version has lost
// AWSPENDING is given up.
func InProgress(secret *v1alpha1.Secret, ix versions.Index) bool {
	state := secret.Status.Rotation
	if state == nil || Resting(secret, ix) {
		return false
	}
	v, stored := ix.ByID(state.VersionID)
	if !stored {
		return Begun(secret, ix) != ""
	}
	if secret.Spec.Rotation.MakesVersions() {
		return v.Has(versions.Pending) || v.Has(versions.Current)
	}
	return secret.Spec.Rotation.Rotator() && v.Has(versions.Pending) && !v.Has(versions.Current)
}

// Stages are the versions of a secret and their staging labels, without deprecated ones. One that a rotation has begun and not stored yet is
// among them, with AWSPENDING, as AWS shows it to the rotation function.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_DescribeSecret.html
func Stages(secret *v1alpha1.Secret) map[string][]string {
	begun := Begun(secret, IndexOf(secret))
	var out map[string][]string
	put := func(id string, stages []string) {
		if out == nil {
			out = map[string][]string{}
		}
		out[id] = stages
	}
	for i := range secret.Status.Versions {
		v := &secret.Status.Versions[i]
		stages := v.Stages
		if begun != "" && slices.Contains(stages, versions.Pending) {
			stages = slices.DeleteFunc(slices.Clone(stages), func(s string) bool { return s == versions.Pending })
		}
		if len(stages) > 0 {
			put(v.VersionID, stages)
		}
	}
	if begun != "" {
		put(begun, []string{versions.Pending})
	}
	return out
}

// TestVersion is the id of the copy of the version in force with which a function or a Job is tested, empty if none is. The copy has AWSPENDING
// for as long as the test takes, and no rotation brings it in.
func TestVersion(secret *v1alpha1.Secret) string {
	if secret.Status.RotationTest == nil {
		return ""
	}
	return secret.Status.RotationTest.PendingVersionID
}

// Pending is the version that is being brought in: it has AWSPENDING, AWSCURRENT is on another one, and it is not there for a test.
// https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html
func Pending(secret *v1alpha1.Secret, ix versions.Index) (versions.Version, bool) {
	v, has := ix.ByStage(versions.Pending)
	if !has || v.Has(versions.Current) || v.ID == TestVersion(secret) {
		return versions.Version{}, false
	}
	return v, true
}
