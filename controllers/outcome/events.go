package outcome

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/conditions"
	"strongroom.dev/strongroom/internal/projection"
)

// Happening is what an event tells. An event costs a request, so the ordinary life of an object makes none: status tells it. Events are for
// what nobody asked for.
type Happening struct{ Type, Reason, Action, Note string }

// Tell makes an event.
func (r Reporter) Tell(obj Object, h Happening) {
	r.Events.Eventf(obj, nil, h.Type, h.Reason, h.Action, "%s", h.Note)
}

// TellShown tells of what showing an object came to: what was healed, and what was restarted, all of it.
func (r Reporter) TellShown(obj Object, shown *projection.Shown, err error) {
	if shown.Healed != "" {
		r.Tell(obj, Healed(shown.Healed))
	}
	if err == nil && len(shown.Restarted) > 0 {
		r.Tell(obj, Restarted(shown.Restarted))
	}
}

// Healed tells that a target was written again.
func Healed(what string) Happening {
	return Happening{
		corev1.EventTypeWarning, v1alpha1.ReasonHealed, "Project",
		what + " was changed or deleted by somebody else and is written again",
	}
}

// Restarted tells which workloads were restarted: three by name.
func Restarted(workloads []string) Happening {
	return Happening{
		corev1.EventTypeNormal, v1alpha1.ReasonRestarted, "Restart",
		fmt.Sprintf("the data changed; restarted %d workloads: %s", len(workloads), strings.Join(workloads[:min(len(workloads), 3)], ", ")),
	}
}

// Restored tells that a deleted object is back with its versions.
func Restored(arn string, count int) Happening {
	return Happening{corev1.EventTypeNormal, v1alpha1.ReasonRestored, "Restore", fmt.Sprintf("%s is back with %d versions", arn, count)}
}

// Dropped names up to three Envelopes of versions that are not restored, and says how they are had back.
func Dropped(damaged []*v1alpha1.Envelope) Happening {
	names := make([]string, 0, len(damaged))
	for _, e := range damaged {
		names = append(names, e.Name)
	}
	slices.Sort(names)
	if more := len(names) - 3; more > 0 {
		names = append(names[:3], fmt.Sprintf("and %d more", more))
	}
	return Happening{
		corev1.EventTypeWarning, v1alpha1.ReasonEnvelopeTampered, "Restore",
		fmt.Sprintf("%d versions do not open and are not restored: Envelopes %s; to have one back, restore its Envelope from a backup "+
			"and, within an hour, remove status.versions (--subresource=status)", len(damaged), strings.Join(names, ", ")),
	}
}

// Suspended ends a pass over an object whose spec.suspend is true: it says so and what is not done meanwhile, and changes nothing else. What
// was true before stays to be seen; Ready is False, so that nobody waits for a change that will not come.
func (r Reporter) Suspended(ctx context.Context, before, obj Object, rests string) (ctrl.Result, error) {
	set := obj.GetConditions()
	for _, t := range []string{v1alpha1.ConditionReconciling, v1alpha1.ConditionStalled} {
		meta.RemoveStatusCondition(&set, t)
	}
	conditions.Set(&set, obj.GetGeneration(), v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSuspended, "spec.suspend is true: "+rests)
	obj.SetConditions(set)
	return Again(r.Write(ctx, before, obj))
}
