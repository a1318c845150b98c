package projection

import (
	"context"
	"encoding/json/v2"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// judgeKeys decides whether a target may be merged into a core Secret, read live. A key that somebody else has, with another
// value, is theirs: taking it would begin a fight, an endless one if they are a controller too. So is one of which nobody knows
// who wrote it, as in an object that lost its managed fields. One that this target wrote before and a user changed since is
// healed.
func judgeKeys(t *Target, live *corev1.Secret) (Verdict, string) {
	for _, key := range t.Keys() {
		value, present := live.Data[key]
		if !present || string(value) == string(t.Data[key].Reveal()) {
			continue
		}
		managers, written := managersOf(live, key), slices.Contains(t.FormerKeys, key)
		for _, manager := range managers {
			switch {
			case manager == t.fieldOwner():
				continue
			case isProjection(manager):
				return Foreign, fmt.Sprintf("another Secret of Strongroom writes its key %s; merge another key, or take it out of the core Secret if that Secret is gone", key)
			case !written:
				return Foreign, fmt.Sprintf("%s has written its key %s; remove it there, or merge another key", manager, key)
			}
		}
		if len(managers) == 0 && !written {
			return Foreign, fmt.Sprintf("somebody unknown has written its key %s; remove it there, or merge another key", key)
		}
	}
	return Ours, ""
}

// Rival says who else writes a target, as well as the API server knows: those who wrote its keys with other values, or else
// whoever else has written into it at all.
func (p *Projector) Rival(ctx context.Context, t *Target) (string, error) {
	live, err := p.live(ctx, t)
	if apierrors.IsNotFound(err) {
		return "somebody who deletes it", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", t.what(), err)
	}
	return rival(t, live), nil
}

func rival(t *Target, live *corev1.Secret) string {
	var names []string
	for _, key := range t.Keys() {
		if string(live.Data[key]) != string(t.Data[key].Reveal()) {
			names = append(names, othersOf(live, key, t.fieldOwner())...)
		}
	}
	if len(names) == 0 {
		for _, entry := range live.ManagedFields {
			names = append(names, entry.Manager)
		}
	}
	slices.Sort(names)
	names = slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == t.fieldOwner() })
	if len(names) == 0 {
		return "somebody"
	}
	return strings.Join(names[:min(len(names), 3)], ", ")
}

// othersOf lists the field managers, but for one, that have a hand in a key of a core Secret's data. It is empty if the object
// holds no managed fields, as the cache's does.
func othersOf(existing *corev1.Secret, key, but string) []string {
	return slices.DeleteFunc(managersOf(existing, key), func(manager string) bool { return manager == but })
}

// managersOf lists the field managers that have a hand in a key of a core Secret's data.
// https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
func managersOf(existing *corev1.Secret, key string) []string {
	var managers []string
	for _, entry := range existing.ManagedFields {
		if _, has := fieldsOf(entry).Data["f:"+key]; has && !slices.Contains(managers, entry.Manager) {
			managers = append(managers, entry.Manager)
		}
	}
	return managers
}

// managedFields is what matters of the fields that somebody manages in a core Secret.
type managedFields struct {
	Data map[string]any `json:"f:data"`
	Type any            `json:"f:type"`
}

func fieldsOf(entry metav1.ManagedFieldsEntry) (fields managedFields) {
	if entry.FieldsV1 == nil || json.Unmarshal(entry.FieldsV1.GetRawBytes(), &fields) != nil {
		return managedFields{}
	}
	return fields
}

// isProjection tells whether a field manager is that of a projection.
func isProjection(manager string) bool {
	return strings.HasPrefix(manager, v1alpha1.Group+"/projection-")
}
