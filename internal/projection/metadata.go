package projection

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// The record is an annotation of a target that lists which labels and annotations were written for its owner, as labels/KEY and annotations/KEY. It is
// written with them, so it is true whatever happens in between, and the next write knows what to take out.
const (
	recordLabels      = "labels/"
	recordAnnotations = "annotations/"
	// maximumRecord is the number of entries that are read. A spec has 32 at most; anybody can write the annotation.
	maximumRecord = 64
	// maximumKept is the length of an annotation that the cache keeps; a spec's are shorter.
	maximumKept = 4096
)

// record is empty if the target has no labels and annotations of its owner's.
func (t *Target) record() string {
	var entries []string
	for key := range t.Labels {
		entries = append(entries, recordLabels+key)
	}
	for key := range t.Annotations {
		entries = append(entries, recordAnnotations+key)
	}
	slices.Sort(entries)
	return strings.Join(entries, ",")
}

// recorded reads the record of an object.
func recorded(annotations map[string]string) (labels, others []string) {
	entries := strings.SplitN(annotations[v1alpha1.TargetMetadataAnnotation], ",", maximumRecord+1)
	for _, entry := range entries[:min(len(entries), maximumRecord)] {
		if key, ok := strings.CutPrefix(entry, recordLabels); ok && allowedKey(key) {
			labels = append(labels, key)
		} else if key, ok := strings.CutPrefix(entry, recordAnnotations); ok && allowedKey(key) {
			others = append(others, key)
		}
	}
	return labels, others
}

// allowedKey tells whether an owner may set a label or annotation. Those of Kubernetes mean something to the control plane: kubernetes.io/service-account.name
// has it put a token into a core Secret, for a service account that whoever writes Secrets of strongroom.dev may not act as. Those of Strongroom are its own.
// What applications are told by, app.kubernetes.io, means nothing to anybody but tools.
func allowedKey(key string) bool {
	prefix, _, prefixed := strings.Cut(key, "/")
	if !prefixed || prefix == "app.kubernetes.io" {
		return true
	}
	return !slices.ContainsFunc([]string{"kubernetes.io", "k8s.io", v1alpha1.Group}, func(reserved string) bool {
		return prefix == reserved || strings.HasSuffix(prefix, "."+reserved)
	})
}

// CheckMetadata says which label or annotation an owner may not set, empty if it may set all. The schema refuses the same.
func CheckMetadata(labels, annotations map[string]string) string {
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		if !allowedKey(key) {
			return key
		}
	}
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		if !allowedKey(key) {
			return key
		}
	}
	return ""
}

// labels and annotations are all that are written.
func (t *Target) labels() map[string]string {
	all := maps.Clone(t.Labels)
	if all == nil {
		all = map[string]string{}
	}
	all[v1alpha1.ManagedLabel] = v1alpha1.ManagedProjection
	return all
}

func (t *Target) annotations() map[string]string {
	all := maps.Clone(t.Annotations)
	if all == nil {
		all = map[string]string{}
	}
	all[v1alpha1.SubjectAnnotation] = t.Owner.ARN
	if record := t.record(); record != "" {
		all[v1alpha1.TargetMetadataAnnotation] = record
	}
	return all
}

// sameMetadata tells whether the labels and annotations of the owner's are there, and none that were and are no more wanted.
func (t *Target) sameMetadata(existing *corev1.Secret) bool {
	if existing.Annotations[v1alpha1.TargetMetadataAnnotation] != t.record() {
		return false
	}
	return contains(existing.Labels, t.Labels) && contains(existing.Annotations, t.Annotations)
}

func contains(all, some map[string]string) bool {
	for key, value := range some {
		if got, has := all[key]; !has || got != value {
			return false
		}
	}
	return true
}

// formerMetadata is the part of a merge patch that takes out labels and annotations which are no more wanted; nil if there are none.
func (t *Target) formerMetadata(existing *corev1.Secret) map[string]any {
	labels, annotations := recorded(existing.Annotations)
	patch := map[string]any{}
	if gone := absent(labels, t.Labels); len(gone) > 0 {
		patch["labels"] = gone
	}
	gone := absent(annotations, t.Annotations)
	if _, has := existing.Annotations[v1alpha1.TargetMetadataAnnotation]; has && t.record() == "" {
		gone[v1alpha1.TargetMetadataAnnotation] = nil
	}
	if len(gone) > 0 {
		patch["annotations"] = gone
	}
	if len(patch) == 0 {
		return nil
	}
	return patch
}

// absent makes nulls of the keys that are not wanted.
func absent(keys []string, wanted map[string]string) map[string]any {
	gone := map[string]any{}
	for _, key := range keys {
		if _, has := wanted[key]; !has {
			gone[key] = nil
		}
	}
	return gone
}

// keptMetadata is what the cache keeps of a target's labels and annotations: those that the record names, within limits.
func keptMetadata(secret *corev1.Secret, labels, annotations map[string]string) (keptLabels, keptAnnotations map[string]string) {
	record, has := secret.Annotations[v1alpha1.TargetMetadataAnnotation]
	if !has || len(record) > maximumKept*8 {
		return labels, annotations
	}
	keptLabels, keptAnnotations = maps.Clone(labels), maps.Clone(annotations)
	keptAnnotations[v1alpha1.TargetMetadataAnnotation] = record
	labelKeys, annotationKeys := recorded(secret.Annotations)
	for _, key := range labelKeys {
		if value, has := secret.Labels[key]; has {
			keptLabels[key] = value
		}
	}
	for _, key := range annotationKeys {
		if value, has := secret.Annotations[key]; has && len(value) <= maximumKept {
			keptAnnotations[key] = value
		}
	}
	return keptLabels, keptAnnotations
}
