package kmskey

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/store"
)

func TestWhatIsRestoredOfAKeysEnvelopes(t *testing.T) {
	const keyMaterial, tombstone = v1alpha1.EnvelopeKeyMaterial, v1alpha1.EnvelopeTombstone
	for name, tt := range map[string]struct {
		envelopes []v1alpha1.Envelope
		subjects  []string
		sequences []int64 // of the first subject
		expired   bool
	}{
		"nothing": {nil, nil, nil, false},
		"a key that lost its status": {[]v1alpha1.Envelope{
			kept(keyMaterial, oldARN, 1, 9), kept(keyMaterial, oldARN, 2, 8)}, []string{oldARN}, []int64{1, 2}, false},
		"a key in its waiting period": {[]v1alpha1.Envelope{
			kept(tombstone, oldARN, 1, 29), kept(keyMaterial, oldARN, 1, 40)}, []string{oldARN}, []int64{1}, false},
		"a key whose waiting period ends now": {[]v1alpha1.Envelope{
			kept(keyMaterial, oldARN, 1, 40), kept(tombstone, oldARN, 1, 30)}, []string{oldARN}, []int64{1}, true},
		"a key that took the place of an expired one": {[]v1alpha1.Envelope{
			kept(keyMaterial, newARN, 1, 1), kept(tombstone, oldARN, 3, 31), kept(keyMaterial, oldARN, 3, 60)},
			[]string{newARN, oldARN}, []int64{1}, false},
		"the newest of each counts": {[]v1alpha1.Envelope{
			kept(keyMaterial, oldARN, 1, 90), kept(keyMaterial, newARN, 1, 60), kept(keyMaterial, oldARN, 2, 2)},
			[]string{oldARN, newARN}, []int64{1, 2}, false},
		"of one age, always in one order": {[]v1alpha1.Envelope{
			kept(keyMaterial, oldARN, 1, 1), kept(keyMaterial, newARN, 1, 1)}, []string{newARN, oldARN}, []int64{1}, false},
		"a tombstone without material": {[]v1alpha1.Envelope{kept(tombstone, oldARN, 1, 1)}, nil, nil, false},
	} {
		subjects := subjectsOf(tt.envelopes)
		if !slices.Equal(subjects, tt.subjects) {
			t.Errorf("%s: of %s", name, subjects)
		}
		if len(subjects) == 0 {
			continue
		}
		stored, expired := materialsOf(tt.envelopes, subjects[0], now)
		var sequences []int64
		for _, e := range stored {
			sequences = append(sequences, e.Spec.Sequence)
		}
		if expired != tt.expired || !slices.Equal(sequences, tt.sequences) {
			t.Errorf("%s: %v, expired %t", name, sequences, expired)
		}
	}
}

func TestWhatIsLeftOutIsNamedUpToThree(t *testing.T) {
	if err := leftOut(nil); err != nil {
		t.Error(err)
	}
	for want, names := range map[string][]string{
		"key material a does not open": {"a"}, "key material a, b, c does not open": {"c", "b", "a"}, "key material a, b, c and 2 more does not open": {"e", "d", "c", "b", "a"},
	} {
		if err := leftOut(names); !errors.Is(err, store.ErrTampered) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "delete that Envelope") {
			t.Errorf("%v", err)
		}
	}
}

// Times in objects have whole seconds. A key that was buried and made again in one second, lived for years and is deleted now must
// not take the window of then, which is over.
func TestATombstoneIsToldFromThatOfAnEarlierDeletionByTheTimeOfThisOne(t *testing.T) {
	second := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		entombed, created, deleted time.Time
		earlier                    bool
	}{
		"an undone one, of before the key was made":             {second, second.Add(time.Hour), second.Add(9 * time.Hour), true},
		"an undone one, of the second in which the key was":     {second, second, second.Add(9 * time.Hour), true},
		"an undone one, by a clock that is ahead of the server": {second.Add(5 * time.Second), second, second.Add(9 * time.Hour), true},
		"its own, of a pass that died":                          {second.Add(9 * time.Hour), second, second.Add(9 * time.Hour), false},
		"its own, of a deletion that was held back":             {second.Add(99 * time.Hour), second, second.Add(9 * time.Hour), false},
		"its own, of the second in which the key was made":      {second, second, second, false},
	} {
		deleted := metav1.NewTime(tt.deleted)
		key := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(tt.created), DeletionTimestamp: &deleted}}
		tombstone := &v1alpha1.Envelope{Spec: v1alpha1.EnvelopeSpec{CreatedTime: metav1.NewTime(tt.entombed)}}
		if got := ofEarlier(tombstone, key); got != tt.earlier {
			t.Errorf("%s: %t", name, got)
		}
	}
}
