package conditions_test

import (
	"errors"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/fault"
)

func TestReadyIsAlwaysThereAndTheOthersOnlyWhileTrue(t *testing.T) {
	var list []metav1.Condition
	steps := []struct {
		name                       string
		err                        error
		ready                      metav1.ConditionStatus
		reason                     string
		reconciling, stalledWanted bool
	}{
		{"a passing failure", errors.New("x"), metav1.ConditionFalse, v1alpha1.ReasonProgressing, true, false},
		{"a lasting one", fault.Stalled(v1alpha1.ReasonConflict, errors.New("x")), metav1.ConditionFalse, v1alpha1.ReasonConflict, false, true},
		{"success", nil, metav1.ConditionTrue, "Done", false, false},
		{"a lasting one again", fault.Stalled(v1alpha1.ReasonConflict, errors.New("x")), metav1.ConditionFalse, v1alpha1.ReasonConflict, false, true},
		{"a passing one again", errors.New("x"), metav1.ConditionFalse, v1alpha1.ReasonProgressing, true, false},
	}
	for generation, tt := range steps {
		conditions.Summarise(&list, int64(generation), tt.err, "Done", "All is well")
		ready := meta.FindStatusCondition(list, v1alpha1.ConditionReady)
		if ready == nil || ready.Status != tt.ready || ready.Reason != tt.reason || ready.ObservedGeneration != int64(generation) {
			t.Errorf("%s: %+v", tt.name, ready)
		}
		for condition, want := range map[string]bool{v1alpha1.ConditionReconciling: tt.reconciling, v1alpha1.ConditionStalled: tt.stalledWanted} {
			if got := meta.FindStatusCondition(list, condition); (got != nil) != want {
				t.Errorf("%s: %s is %+v", tt.name, condition, got)
			}
		}
	}
}

func TestSayingTheSameAgainKeepsTheTimeOfTransition(t *testing.T) {
	var list []metav1.Condition
	conditions.Summarise(&list, 1, nil, "Done", "")
	list[0].LastTransitionTime = metav1.Unix(1, 0)
	conditions.Summarise(&list, 2, nil, "Done", "")
	if list[0].LastTransitionTime != metav1.Unix(1, 0) || list[0].ObservedGeneration != 2 {
		t.Errorf("%+v", list[0])
	}
	conditions.Set(&list, 2, v1alpha1.ConditionRootProtected, metav1.ConditionFalse, "Why", "because")
	if len(list) != 2 {
		t.Errorf("%d conditions", len(list))
	}
}
