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
// value, is theirs: taking it would begin a fight, an endless one if they are a controller too. So is one that both have, as it is when both
// wanted one value, and this target wants another by now: theirs it stays for as long as they manage it. So is one of which nobody knows
// who wrote it, as in an object that lost its managed fields. One that this target wrote before and a user changed since is
// healed: the user's change has made them the only manager.
func judgeKeys(t *Target, live *corev1.Secret) (Verdict, string) {
	for _, key := range t.Keys() {
		value, present := live.Data[key]
		if !present || string(value) == string(t.Data[key].Reveal()) {
			continue
		}
		managers, written := managersOf(live, key), slices.Contains(t.FormerKeys, key)
		shared := slices.Contains(managers, t.fieldOwner())
		for _, manager := range managers {
			switch {
			case manager == t.fieldOwner():
				continue
			case isProjection(manager):
				return Foreign, fmt.Sprintf("another object of Strongroom (a Secret, a Parameter or a ParameterTree) writes its key %s; merge another key, "+
					"or take it out of %s if that object is gone", key, t.what())
			case !written || shared:
				return Foreign, fmt.Sprintf("%s has written its key %s; remove it there, or merge another key", manager, key)
			}
		}
		if len(managers) == 0 && !written {
			return Foreign, fmt.Sprintf("somebody unknown has written its key %s; remove it there, or merge another key", key)
		}
	}
	return Ours, ""
}

// theirs are the keys of a target's data that somebody else manages in a core Secret, read live, which has the same value there.
func theirs(t *Target, live *corev1.Secret) (keys []string) {
	for _, key := range t.Keys() {
		value, present := live.Data[key]
		if present && string(value) == string(t.Data[key].Reveal()) && len(othersOf(live, key, t.fieldOwner())) > 0 {
			keys = append(keys, key)
		}
	}
	return keys
}

// writtenKeys are the keys that status is to remember as written by this target: of one that is merged, not those that somebody else manages and that
// were only equal. They may have another value there tomorrow, and it is theirs. It asks the API server only if there is a key that status does
// not know, of a content that status does not know.
func (p *Projector) writtenKeys(ctx context.Context, s *Showing, outcome Outcome, digest string) ([]string, error) {
	t := s.Target
	keys := t.Keys()
	if t.policy() != v1alpha1.CreationPolicyMerge {
		return keys, nil
	}
	if outcome == Unchanged {
		known := func(key string) bool { return slices.Contains(t.FormerKeys, key) }
		unknown := slices.DeleteFunc(slices.Clone(keys), known)
		if len(unknown) == 0 {
			return keys, nil
		}
		if s.knows() && s.Former.Digest == digest {
			return slices.DeleteFunc(keys, func(key string) bool { return !known(key) }), nil
		}
		live, err := p.live(ctx, t)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", t.what(), err)
		}
		t.theirs = theirs(t, live)
	}
	return slices.DeleteFunc(keys, func(key string) bool { return slices.Contains(t.theirs, key) }), nil
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
