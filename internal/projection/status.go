package projection

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
)

// FormerOf is what status knows of a target that is a core Secret; nil for nothing.
func FormerOf(status *v1alpha1.SecretProjectionStatus) *Former {
	if status == nil {
		return nil
	}
	out := &Former{Name: status.Name, Keys: status.Keys, Digest: status.Digest, Immutable: status.Immutable}
	for _, r := range status.Retained {
		out.Retained = append(out.Retained, Retained{Name: r.Name, Since: r.Since.Time})
	}
	return out
}

// StatusOf is what status says of what is shown.
func StatusOf(shown *Shown, immutable bool) *v1alpha1.SecretProjectionStatus {
	out := &v1alpha1.SecretProjectionStatus{Immutable: immutable}
	out.Name, out.Keys, out.Digest = shown.Name, shown.Keys, shown.Digest
	for _, r := range shown.Retained {
		out.Retained = append(out.Retained, v1alpha1.RetainedSecret{Name: r.Name, Since: metav1.NewTime(r.Since).Rfc3339Copy()})
	}
	return out
}

// SetMetadata gives a target the labels and annotations of its spec. The schema refuses the same, and might be of another release.
func SetMetadata(target *Target, metadata *v1alpha1.TargetMetadata) error {
	if metadata == nil {
		return nil
	}
	target.Labels, target.Annotations = texts(metadata.Labels), texts(metadata.Annotations)
	if key := CheckMetadata(target.Labels, target.Annotations); key != "" {
		return fault.Stalled(v1alpha1.ReasonInvalidTemplate, fmt.Errorf("spec.target.metadata: %s is not for targets: it means something to the control plane", key))
	}
	return nil
}

func texts[V ~string](values map[string]V) map[string]string {
	out := make(map[string]string, len(values))
	for key, value := range values {
		out[key] = string(value)
	}
	return out
}
