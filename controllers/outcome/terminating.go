package outcome

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/conditions"
)

// Terminating ends a pass over an object that was deleted and that finalizers hold, none of them Strongroom's. It is not Ready, and nothing of it is waited for: kstatus calls such an object
// Terminating by its deletionTimestamp.
func (r Reporter) Terminating(ctx context.Context, before, obj Object) (ctrl.Result, error) {
	set := obj.GetConditions()
	for _, t := range []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		meta.RemoveStatusCondition(&set, t)
	}
	conditions.Set(&set, obj.GetGeneration(), v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonTerminating, fmt.Sprintf("The object was deleted, so it is neither served nor shown; "+
		"these finalizers hold it until whoever set them removes them: %s", named(obj.GetFinalizers())))
	obj.SetConditions(set)
	return Again(r.Write(ctx, before, obj))
}

// namedFinalizers is how many finalizers a message names.
const namedFinalizers = 5

func named(finalizers []string) string {
	if more := len(finalizers) - namedFinalizers; more > 0 {
		finalizers = append(finalizers[:namedFinalizers:namedFinalizers], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(finalizers, ", ")
}
