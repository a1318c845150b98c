// Package conditions sets the conditions that every kind has, by the rules of kstatus: Ready always, Reconciling and
// Stalled only while they are true, each with the generation that it speaks of.
// https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
package conditions

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
)

// Summarise sets Ready, Reconciling and Stalled by the outcome of one reconciliation: nil is success, in which case
// reason and message describe it.
func Summarise(conditions *[]metav1.Condition, generation int64, err error, reason, message string) {
	if err == nil {
		set(conditions, generation, v1alpha1.ConditionReady, metav1.ConditionTrue, reason, message)
		meta.RemoveStatusCondition(conditions, v1alpha1.ConditionReconciling)
		meta.RemoveStatusCondition(conditions, v1alpha1.ConditionStalled)
		return
	}
	f := fault.Of(err)
	text := fault.Message(err)
	set(conditions, generation, v1alpha1.ConditionReady, metav1.ConditionFalse, f.Reason, text)
	on, off := v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled
	if f.Stalled {
		on, off = off, on
	}
	set(conditions, generation, on, metav1.ConditionTrue, f.Reason, text)
	meta.RemoveStatusCondition(conditions, off)
}

// Set sets any other condition.
func Set(conditions *[]metav1.Condition, generation int64, conditionType string, status metav1.ConditionStatus,
	reason, message string,
) {
	set(conditions, generation, conditionType, status, reason, message)
}

func set(conditions *[]metav1.Condition, generation int64, conditionType string, status metav1.ConditionStatus,
	reason, message string,
) {
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: conditionType, Status: status, ObservedGeneration: generation, Reason: reason, Message: message,
	})
}
