package secretsmanager

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/store"
)

// IndexOf is the index of versions that status holds.
func IndexOf(secret *v1alpha1.Secret) versions.Index {
	ix := make(versions.Index, 0, len(secret.Status.Versions))
	for i := range secret.Status.Versions {
		ix = append(ix, versionOf(&secret.Status.Versions[i]))
	}
	return ix
}

func versionOf(v *v1alpha1.SecretVersion) versions.Version {
	return versions.Version{ID: v.VersionID, Sequence: v.Sequence, Stages: v.Stages, Created: v.CreatedTime.UTC()}
}

// Record puts an index into status, without the versions that are not kept, and returns those. Writing that status commits
// the index; the caller then calls Prune.
func Record(status *v1alpha1.SecretStatus, arn string, ix versions.Index, now time.Time) (gone versions.Index) {
	status.ARN = arn
	kept, gone := ix.Prune(now)
	status.Versions = listOf(kept)
	former := status.CurrentVersionID
	status.CurrentVersionID = ""
	if current, found := kept.ByStage(versions.Current); found {
		status.CurrentVersionID = current.ID
		if former != current.ID || status.LastRotatedTime == nil {
			rotated := metav1.NewTime(inForceSince(former, current, now)).Rfc3339Copy()
			status.LastRotatedTime = &rotated
		}
	}
	if len(kept) > 0 {
		Changed(status, kept[len(kept)-1].Created)
	}
	return gone
}

// inForceSince is when AWSCURRENT moved to a version that had it not: now. Where nothing is known of what was in force before, as for a first
// version or after a loss of status, it is when the version was made.
func inForceSince(former string, current versions.Version, now time.Time) time.Time {
	if former == "" || now.Before(current.Created) {
		return current.Created
	}
	return now
}

// Changed notes a time at which the secret was changed, unless a later one is known.
func Changed(status *v1alpha1.SecretStatus, at time.Time) {
	if status.LastChangedTime == nil || status.LastChangedTime.Time.Before(at.Truncate(time.Second)) {
		changed := metav1.NewTime(at).Rfc3339Copy()
		status.LastChangedTime = &changed
	}
}

func listOf(ix versions.Index) []v1alpha1.SecretVersion {
	out := make([]v1alpha1.SecretVersion, 0, len(ix))
	for _, v := range ix {
		out = append(out, v1alpha1.SecretVersion{
			VersionID: v.ID, Sequence: v.Sequence, Stages: v.Stages, CreatedTime: metav1.NewTime(v.Created).Rfc3339Copy(),
		})
	}
	return out
}

// SubjectOf is whose versions a secret's are. ARN is empty as long as it has none.
func (s *Service) SubjectOf(secret *v1alpha1.Secret) sealed.Subject {
	return sealed.Subject{Namespace: secret.Namespace, Name: secret.Name, ARN: s.ARNOf(secret), Reading: store.Reading(secret)}
}

// RecoveryWindow is how long a deleted secret can be had back.
func RecoveryWindow(secret *v1alpha1.Secret) time.Duration {
	if secret.Spec.Deletion == nil || secret.Spec.Deletion.RecoveryWindowInDays == 0 {
		return DefaultRecoveryWindow
	}
	return time.Duration(secret.Spec.Deletion.RecoveryWindowInDays) * 24 * time.Hour
}
