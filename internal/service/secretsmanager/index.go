package secretsmanager

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
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
	status.CurrentVersionID = ""
	if current, found := kept.ByStage(versions.Current); found {
		status.CurrentVersionID = current.ID
		rotated := metav1.NewTime(current.Created).Rfc3339Copy()
		status.LastRotatedTime = &rotated
	}
	if len(kept) > 0 {
		Changed(status, kept[len(kept)-1].Created)
	}
	return gone
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

// Prune deletes the Envelopes that an index let go, after the commit; what a crash leaves here is swept.
func (s *Service) Prune(ctx context.Context, namespace, name, arn string, gone versions.Index) error {
	for _, v := range gone {
		e, err := s.Store.Get(ctx, namespace, v1alpha1.EnvelopeSecretVersion, Owner(name), arn, v)
		if errors.Is(err, store.ErrMissing) {
			continue
		}
		if err == nil {
			err = s.Store.Delete(ctx, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Resume takes into an index the versions whose Envelopes were made and not committed: one after a crash, or another
// writer's in flight; more if status was set back. Nothing else may be done with them: a projection may show them already.
// Only what opens gets in: somebody else may have put an Envelope there. The caller commits the index.
func (s *Service) Resume(ctx context.Context, namespace, name, arn string, ix versions.Index) (versions.Index, error) {
	envelopes, err := s.Store.OfOwner(ctx, namespace, Owner(name))
	if err != nil {
		return ix, err
	}
	for {
		v, found := InFlight(envelopes, arn, ix)
		if !found {
			return ix, nil
		}
		if err := s.Verify(ctx, namespace, name, arn, v); err != nil {
			return ix, err
		}
		taken := ix.Add(v)
		if len(taken) == len(ix) {
			return ix, fmt.Errorf("%w: status.versions has version %s under another sequence; remove the list there "+
				"(--subresource=status) to have it rebuilt", store.ErrTampered, v.ID)
		}
		ix = taken
	}
}

// RecoveryWindow is how long a deleted secret can be had back.
func RecoveryWindow(secret *v1alpha1.Secret) time.Duration {
	if secret.Spec.Deletion == nil || secret.Spec.Deletion.RecoveryWindowInDays == 0 {
		return DefaultRecoveryWindow
	}
	return time.Duration(secret.Spec.Deletion.RecoveryWindowInDays) * 24 * time.Hour
}
