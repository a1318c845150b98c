package conditions_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/store"
)

// kstatus is what a tool such as kubectl wait or Flux makes of conditions.
// https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
func kstatus(list []metav1.Condition) string {
	is := func(kind string, status metav1.ConditionStatus) bool {
		for _, c := range list {
			if c.Type == kind {
				return c.Status == status
			}
		}
		return false
	}
	switch {
	case is(v1alpha1.ConditionReconciling, metav1.ConditionTrue):
		return "InProgress"
	case is(v1alpha1.ConditionStalled, metav1.ConditionTrue):
		return "Failed"
	case is(v1alpha1.ConditionReady, metav1.ConditionTrue):
		return "Current"
	}
	return "Unknown"
}

func TestToolsThatReadConditionsAreToldTheOutcome(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"success":                  {nil, "Current"},
		"a passing failure":        {errors.New("x"), "InProgress"},
		"a sealed keyring":         {fmt.Errorf("x: %w", keyring.ErrSealed), "InProgress"},
		"something that may come":  {fault.Waiting(v1alpha1.ReasonSourceNotFound, errors.New("x")), "InProgress"},
		"something to be repaired": {fault.Stalled(v1alpha1.ReasonConflict, errors.New("x")), "Failed"},
		"a tampered Envelope":      {fmt.Errorf("x: %w", store.ErrTampered), "Failed"},
	} {
		// From every state before it, also from the schema's default.
		for _, before := range []error{nil, errors.New("x"), fault.Stalled(v1alpha1.ReasonConflict, errors.New("x"))} {
			list := []metav1.Condition{
				{Type: v1alpha1.ConditionReady, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonPending},
				{Type: v1alpha1.ConditionReconciling, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonPending},
			}
			conditions.Summarise(&list, 1, before, "Done", "")
			conditions.Summarise(&list, 2, tt.err, "Done", "")
			if got := kstatus(list); got != tt.want {
				t.Errorf("%s after %v: %s, want %s", name, before, got, tt.want)
			}
		}
	}
}

// Any outcomes in any order: each type is there once, the two of kstatus never together, all of this generation, and the
// time of a transition is that of a change of status and of nothing else.
func TestConditionsAreInOrderAfterAnyOutcomes(t *testing.T) {
	outcomes := []error{nil, errors.New("x"), errors.New("y"), fault.Stalled(v1alpha1.ReasonConflict, errors.New("x")), fault.Waiting(v1alpha1.ReasonKeyNotFound, errors.New("x"))}
	rapid.Check(t, func(t *rapid.T) {
		var list []metav1.Condition
		long := metav1.NewTime(time.Unix(1, 0))
		for generation := range int64(rapid.IntRange(1, 12).Draw(t, "passes")) {
			before := map[string]metav1.Condition{}
			for i := range list {
				list[i].LastTransitionTime = long
				before[list[i].Type] = list[i]
			}
			err := rapid.SampledFrom(outcomes).Draw(t, "outcome")
			conditions.Summarise(&list, generation, err, "Done", "All is well")
			seen := map[string]bool{}
			for _, c := range list {
				was, existed := before[c.Type]
				moved := !c.LastTransitionTime.Equal(&long)
				if seen[c.Type] || c.ObservedGeneration != generation || c.Reason == "" || moved != (!existed || was.Status != c.Status) {
					t.Fatalf("after %v: %+v, it was %+v", err, c, was)
				}
				seen[c.Type] = true
			}
			if !seen[v1alpha1.ConditionReady] || seen[v1alpha1.ConditionReconciling] && seen[v1alpha1.ConditionStalled] || err == nil && len(list) != 1 {
				t.Fatalf("after %v: %+v", err, list)
			}
		}
	})
}

func TestTheSummaryLeavesOtherConditionsAlone(t *testing.T) {
	var list []metav1.Condition
	conditions.Set(&list, 1, v1alpha1.ConditionRootProtected, metav1.ConditionFalse, v1alpha1.ReasonCoreSecretRoot, "because")
	for generation, err := range []error{errors.New("x"), nil, fault.Stalled(v1alpha1.ReasonConflict, errors.New("x"))} {
		conditions.Summarise(&list, int64(generation)+2, err, "Done", "")
		if c := list[0]; c.Type != v1alpha1.ConditionRootProtected || c.Message != "because" || c.ObservedGeneration != 1 {
			t.Errorf("after %v: %+v", err, c)
		}
	}
}
