package claim_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/internal/claim"
)

func aged(name string, seconds int64) corev1.ConfigMap {
	return corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(time.Unix(1000-seconds, 0))}}
}

func TestTheOldestHasTheRightAndOfTwoOfOneAgeTheFirstByName(t *testing.T) {
	tests := []struct {
		name      string
		this      corev1.ConfigMap
		claimants []corev1.ConfigMap
		want      string
	}{
		{"alone", aged("a", 0), nil, ""},
		{"with itself", aged("a", 0), []corev1.ConfigMap{aged("a", 0)}, ""},
		{"itself made again meanwhile", aged("a", 0), []corev1.ConfigMap{aged("a", 5)}, ""},
		{"with a younger one", aged("b", 5), []corev1.ConfigMap{aged("a", 0), aged("b", 5)}, ""},
		{"with an older one", aged("a", 0), []corev1.ConfigMap{aged("a", 0), aged("b", 5)}, "b"},
		{"of one age, first by name", aged("a", 5), []corev1.ConfigMap{aged("b", 5)}, ""},
		{"of one age, second by name", aged("b", 5), []corev1.ConfigMap{aged("a", 5)}, "a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := claim.Elder(&tt.this, tt.claimants); got != tt.want {
				t.Errorf("%q", got)
			}
		})
	}
}

func TestExactlyOneOfManyHasTheRight(t *testing.T) {
	all := []corev1.ConfigMap{aged("c", 3), aged("a", 3), aged("b", 9), aged("d", 9), aged("e", 1)}
	winners := 0
	for i := range all {
		if claim.Elder(&all[i], all) == "" {
			winners++
		}
	}
	if winners != 1 {
		t.Errorf("%d have it", winners)
	}
}
