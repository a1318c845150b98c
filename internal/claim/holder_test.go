package claim_test

import (
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/internal/claim"
)

func TestAnIdentifierIsTheOneThatMostSpeaksForAndOfThoseTheEldests(t *testing.T) {
	going := func(name string, seconds int64) corev1.ConfigMap {
		c := aged(name, seconds)
		c.DeletionTimestamp = &metav1.Time{}
		return c
	}
	for name, tt := range map[string]struct {
		claimants []corev1.ConfigMap
		ranks     map[string]int
		want      string
	}{
		"nobody":                                    {want: ""},
		"alone":                                     {claimants: []corev1.ConfigMap{aged("a", 0)}, want: "a"},
		"the eldest":                                {claimants: []corev1.ConfigMap{aged("a", 0), aged("b", 5), aged("c", 3)}, want: "b"},
		"of one age the first by name":              {claimants: []corev1.ConfigMap{aged("b", 5), aged("a", 5)}, want: "a"},
		"a younger one of a higher rank":            {claimants: []corev1.ConfigMap{aged("a", 9), aged("b", 0)}, ranks: map[string]int{"b": 1}, want: "b"},
		"the highest rank, whatever comes first":    {claimants: []corev1.ConfigMap{aged("a", 0), aged("b", 5), aged("c", 9)}, ranks: map[string]int{"a": 2, "b": 1}, want: "a"},
		"the eldest of a rank":                      {claimants: []corev1.ConfigMap{aged("a", 0), aged("b", 5), aged("c", 9)}, ranks: map[string]int{"a": 1, "b": 1}, want: "b"},
		"not one that is going":                     {claimants: []corev1.ConfigMap{going("a", 9), aged("b", 0)}, want: "b"},
		"nobody, of those that are going":           {claimants: []corev1.ConfigMap{going("a", 9)}, want: ""},
		"one that is going and that has proof":      {claimants: []corev1.ConfigMap{going("a", 0), aged("b", 9)}, ranks: map[string]int{"a": 1}, want: "a"},
		"one that is going, of a higher rank still": {claimants: []corev1.ConfigMap{aged("b", 9), going("a", 0)}, ranks: map[string]int{"a": 2, "b": 1}, want: "a"},
	} {
		var all []*corev1.ConfigMap
		for i := range tt.claimants {
			all = append(all, &tt.claimants[i])
		}
		holder, err := claim.Holder(all, func(c *corev1.ConfigMap) (int, error) { return tt.ranks[c.Name], nil })
		if err != nil || (holder == nil) != (tt.want == "") || holder != nil && holder.Name != tt.want {
			t.Errorf("%s: %v, %v", name, holder, err)
		}
	}
	failed := errors.New("it cannot be told")
	a := aged("a", 0)
	if holder, err := claim.Holder([]*corev1.ConfigMap{&a}, func(*corev1.ConfigMap) (int, error) { return 0, failed }); holder != nil || !errors.Is(err, failed) {
		t.Errorf("%v, %v", holder, err)
	}
}
