package projection

import (
	"encoding/json/v2"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// judgeKeys decides whether a target may be merged into a core Secret, read live. A key that somebody else has, with another
// value, is theirs: taking it would begin a fight, an endless one if they are a controller too. One that this target wrote
// before and a user changed since is healed.
func judgeKeys(t *Target, live *corev1.Secret) (Verdict, string) {
	for _, key := range t.Keys() {
		value, present := live.Data[key]
		if !present || string(value) == string(t.Data[key].Reveal()) {
			continue
		}
		for _, manager := range othersOf(live, key, t.fieldOwner()) {
			if isProjection(manager) {
				return Foreign, fmt.Sprintf("another Secret of Strongroom writes its key %s; merge another key, or take it out of the core Secret if that Secret is gone", key)
			}
			if !slices.Contains(t.FormerKeys, key) {
				return Foreign, fmt.Sprintf("%s has written its key %s; remove it there, or merge another key", manager, key)
			}
		}
	}
	return Ours, ""
}

// othersOf lists the field managers, but for one, that have a hand in a key of a core Secret's data. It is empty if the object
// holds no managed fields, as the cache's does.
// https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
func othersOf(existing *corev1.Secret, key, but string) []string {
	var managers []string
	for _, entry := range existing.ManagedFields {
		if entry.Manager == but || entry.FieldsV1 == nil || slices.Contains(managers, entry.Manager) {
			continue
		}
		var fields struct {
			Data map[string]any `json:"f:data"`
		}
		if err := json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields); err != nil {
			continue
		}
		if _, has := fields.Data["f:"+key]; has {
			managers = append(managers, entry.Manager)
		}
	}
	return managers
}

// isProjection tells whether a field manager is that of a projection.
func isProjection(manager string) bool {
	return strings.HasPrefix(manager, v1alpha1.Group+"/projection-")
}
