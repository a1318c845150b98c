package projection

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
)

// usersPage is how many objects are asked for at once when it is looked for who uses core Secrets.
const usersPage = 100

// users are the kinds that name core Secrets in a pod's spec, and where that is.
var users = []struct {
	kind schema.GroupVersionKind
	path []string
}{
	{corev1.SchemeGroupVersion.WithKind("Pod"), []string{"spec"}},
	{appsv1.SchemeGroupVersion.WithKind("Deployment"), []string{"spec", "template", "spec"}},
	{appsv1.SchemeGroupVersion.WithKind("StatefulSet"), []string{"spec", "template", "spec"}},
	{appsv1.SchemeGroupVersion.WithKind("DaemonSet"), []string{"spec", "template", "spec"}},
	{batchv1.SchemeGroupVersion.WithKind("CronJob"), []string{"spec", "jobTemplate", "spec", "template", "spec"}},
	{rollouts.WithKind(string(v1alpha1.RestartRollout)), []string{"spec", "template", "spec"}},
}

// +kubebuilder:rbac:groups="",resources=pods,verbs=list
// +kubebuilder:rbac:groups=batch,resources=cronjobs,verbs=list

// used are the names of core Secrets that pods of a namespace use which have not ended, and those that others are going to be made with.
func (p *Projector) used(ctx context.Context, namespace string) (map[string]bool, error) {
	out := map[string]bool{}
	note := func(name string) string {
		out[name] = true
		return name
	}
	for _, of := range users {
		for next := ""; ; {
			var list unstructured.UnstructuredList
			list.SetGroupVersionKind(of.kind.GroupVersion().WithKind(of.kind.Kind + "List"))
			err := p.Live.List(ctx, &list, client.InNamespace(namespace), client.Limit(usersPage), client.Continue(next))
			if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
				break // a kind that is not installed
			}
			if err != nil {
				return nil, fmt.Errorf("looking for who uses former core Secrets: listing %ss: %w", of.kind.Kind, err)
			}
			for i := range list.Items {
				phase, _, _ := unstructured.NestedString(list.Items[i].Object, "status", "phase")
				if of.kind.Kind == "Pod" && (phase == string(corev1.PodSucceeded) || phase == string(corev1.PodFailed)) {
					continue
				}
				for _, spec := range nested(list.Items[i].Object, of.path...) {
					renameReferences(spec, note)
				}
			}
			if next = list.GetContinue(); next == "" {
				break
			}
		}
	}
	return out, nil
}

// switchReferences has the workloads that are to be restarted use the core Secret that is shown in the place of others, and returns the names of
// those that it changed: another pod template is what restarts them. So it does with those of an earlier incarnation (see addEarlier). One that names none of
// all these is left alone, and so doing it again does nothing.
func (p *Projector) switchReferences(ctx context.Context, s *Showing, others []string) ([]string, error) {
	var switched []string
	var failed error
	from := originsOf(s, others)
	for i, target := range s.Restart {
		if err := validate(i, &target); err != nil {
			continue // Show says so
		}
		workloads, err := p.workloads(ctx, s.Namespace, target)
		if err != nil {
			failed = fault.Join(failed, err)
			continue
		}
		for i := range workloads {
			changed, err := p.switchWorkload(ctx, s, &workloads[i], from)
			if err != nil {
				failed = fault.Join(failed, fmt.Errorf("switching %s %s to core Secret %s: %w", target.Kind, workloads[i].Name, s.Target.Name, err))
			}
			if name := string(target.Kind) + "/" + workloads[i].Name; changed && !slices.Contains(switched, name) {
				switched = append(switched, name)
			}
		}
	}
	return switched, failed
}

// switchWorkload changes one, on the condition that nobody else has since it was read.
func (p *Projector) switchWorkload(ctx context.Context, s *Showing, w *metav1.PartialObjectMetadata, from *origins) (bool, error) {
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(w.GroupVersionKind())
	if err := p.Live.Get(ctx, client.ObjectKeyFromObject(w), live); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	before := live.DeepCopy()
	changed := false
	for _, spec := range nested(live.Object, "spec", "template", "spec") {
		if err := p.addEarlier(ctx, s, spec, from); err != nil {
			return false, err
		}
		changed = renameReferences(spec, func(name string) string {
			if from.names[name] {
				return s.Target.Name
			}
			return name
		})
	}
	if !changed {
		return false, nil
	}
	err := p.Client.Patch(ctx, live, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}),
		client.FieldOwner(FieldOwner("restart", s.Owner.Field())), client.DisableReadYourWritesConsistency) // workloads are not watched
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}
