package sealed

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
)

// IndexOf is the index that a list of a status holds.
func IndexOf(list []v1alpha1.SecretVersion) versions.Index {
	ix := make(versions.Index, 0, len(list))
	for i := range list {
		v := &list[i]
		ix = append(ix, versions.Version{ID: v.VersionID, Sequence: v.Sequence, Stages: v.Stages, Created: v.CreatedTime.UTC()})
	}
	return ix
}

// ListOf is an index as a status holds it.
func ListOf(ix versions.Index) []v1alpha1.SecretVersion {
	out := make([]v1alpha1.SecretVersion, 0, len(ix))
	for _, v := range ix {
		out = append(out, v1alpha1.SecretVersion{
			VersionID: v.ID, Sequence: v.Sequence, Stages: v.Stages, CreatedTime: metav1.NewTime(v.Created).Rfc3339Copy(),
		})
	}
	return out
}

// Staged takes out of an index the versions without a stage, which are of no use any more to kinds that keep no history, and returns what
// stays and what goes.
func Staged(ix versions.Index) (kept, gone versions.Index) {
	for _, v := range ix {
		if len(v.Stages) > 0 {
			kept = append(kept, v)
		} else {
			gone = append(gone, v)
		}
	}
	return kept, gone
}
