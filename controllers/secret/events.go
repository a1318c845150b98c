package secret

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// An event costs a request, so the ordinary life of a secret makes none: status tells it. Events are for what nobody
// asked for.
type happening struct{ kind, reason, action, note string }

func eventHealed(what string) happening {
	return happening{
		corev1.EventTypeWarning, v1alpha1.ReasonHealed, "Project",
		fmt.Sprintf("%s was changed or deleted by somebody else and is written again", what),
	}
}

func eventRestarted(workloads []string) happening {
	return happening{
		corev1.EventTypeNormal, v1alpha1.ReasonRestarted, "Restart",
		fmt.Sprintf("the data changed; restarted %d workloads: %s", len(workloads), strings.Join(workloads[:min(len(workloads), 3)], ", ")),
	}
}

func eventRestored(arn string, count int) happening {
	return happening{
		corev1.EventTypeNormal, v1alpha1.ReasonRestored, "Restore",
		fmt.Sprintf("%s is back with %d versions", arn, count),
	}
}

// eventDropped names up to three Envelopes of versions that are not restored.
func eventDropped(damaged []*v1alpha1.Envelope) happening {
	var names []string
	for _, e := range damaged {
		names = append(names, e.Name)
	}
	slices.Sort(names)
	if more := len(names) - 3; more > 0 {
		names = append(names[:3], fmt.Sprintf("and %d more", more))
	}
	return happening{
		corev1.EventTypeWarning, v1alpha1.ReasonEnvelopeTampered, "Restore",
		fmt.Sprintf("%d versions do not open and are not restored: Envelopes %s; to have one back, restore its Envelope from a backup "+
			"and, within an hour, remove status.versions (--subresource=status)", len(damaged), strings.Join(names, ", ")),
	}
}

func (r *Reconciler) event(secret *v1alpha1.Secret, e happening) {
	r.Events.Eventf(secret, nil, e.kind, e.reason, e.action, "%s", e.note)
}
