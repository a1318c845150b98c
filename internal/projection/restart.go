package projection

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	appsv1ac "k8s.io/client-go/applyconfigurations/apps/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
)

// maxRestarts is the number of workloads that one selector may restart.
const maxRestarts = 500

// Restart describes a restart of workloads.
type Restart struct {
	// Namespace of the workloads.
	Namespace string
	// SecretName is the Secret whose data changed.
	SecretName string
	// Token names the data: applying a token twice restarts once.
	Token string
	// Now is when it is asked for: pods of a Rollout that are older are restarted.
	Now time.Time
	// Targets are the workloads.
	Targets []v1alpha1.RestartTarget
}

// AnnotationKey is the pod-template annotation by which a Secret restarts workloads. Each Secret has its own, since
// several may restart one workload.
func AnnotationKey(secretName string) string {
	return "restart." + v1alpha1.Group + "/" + shortHash(secretName)
}

// +kubebuilder:rbac:groups=apps,resources=deployments;statefulsets;daemonsets,verbs=get;list;patch
// +kubebuilder:rbac:groups=argoproj.io,resources=rollouts,verbs=get;list;patch

// ValidateRestart says whether all targets can be looked for, and of each that cannot why. The fault says InvalidSelector. A name becomes part of a URL, so
// one that could lead to another object, or another namespace, is refused here too, whatever the schema lets through.
func ValidateRestart(targets []v1alpha1.RestartTarget) error {
	var invalid error
	for i := range targets {
		invalid = fault.Join(invalid, validate(i, &targets[i]))
	}
	return invalid
}

func validate(i int, target *v1alpha1.RestartTarget) error {
	if target.Selector == nil {
		if problems := apivalidation.NameIsDNSSubdomain(target.Name, false); len(problems) > 0 {
			return fault.Stalled(v1alpha1.ReasonInvalidSelector, fmt.Errorf("spec.target.restart[%d].name: %s", i, problems[0]))
		}
		return nil
	}
	if _, err := metav1.LabelSelectorAsSelector(target.Selector); err != nil {
		return fault.Stalled(v1alpha1.ReasonInvalidSelector, fmt.Errorf("spec.target.restart[%d].selector: %w", i, err))
	}
	return nil
}

// Restart sets the annotation on each workload's pod template, or spec.restartAt of a Rollout, by server-side apply, under a field manager of the Secret's
// own, and returns the names of the workloads. A workload that does not exist needs no restart. One that cannot be
// restarted keeps the others from nothing; the error names each, and first what ValidateRestart does. Repeating it with the same token changes nothing.
func (p *Projector) Restart(ctx context.Context, r Restart) ([]string, error) {
	var restarted []string
	failed := ValidateRestart(r.Targets)
	for i, target := range r.Targets {
		if validate(i, &target) != nil {
			continue
		}
		workloads, err := p.workloads(ctx, r.Namespace, target)
		if err != nil {
			failed = fault.Join(failed, err)
			continue
		}
		for i := range workloads {
			name := string(target.Kind) + "/" + workloads[i].Name
			if target.Kind == v1alpha1.RestartRollout && workloads[i].Annotations[AnnotationKey(r.SecretName)] == r.Token {
				restarted = append(restarted, name) // by an earlier pass
				continue
			}
			err := p.Client.Apply(ctx, applied(target.Kind, &workloads[i], &r), client.FieldOwner(FieldOwner("restart", r.SecretName)), client.ForceOwnership,
				client.DisableReadYourWritesConsistency) // workloads are not watched
			if err != nil {
				if !p.gone(ctx, &workloads[i]) { // the new pods of one that was made anew see the new data
					failed = fault.Join(failed, fmt.Errorf("restarting %s: %w", name, err))
				}
				continue
			}
			restarted = append(restarted, name)
		}
	}
	return restarted, failed
}

// gone tells that a workload is no more, or is another one by now. The API server answers an apply to either in several ways,
// one of which it also gives where somebody else wrote in between.
func (p *Projector) gone(ctx context.Context, w *metav1.PartialObjectMetadata) bool {
	now := w.DeepCopy()
	err := p.Live.Get(ctx, client.ObjectKeyFromObject(w), now)
	return apierrors.IsNotFound(err) || err == nil && now.UID != w.UID
}

func (p *Projector) workloads(ctx context.Context, namespace string, target v1alpha1.RestartTarget) (
	[]metav1.PartialObjectMetadata, error,
) {
	gvk := groupVersionOf(target.Kind).WithKind(string(target.Kind))
	if target.Selector == nil {
		one := metav1.PartialObjectMetadata{}
		one.SetGroupVersionKind(gvk)
		err := p.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: target.Name}, &one)
		if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) { // a kind that is not installed has no workload either
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s %s: %w", target.Kind, target.Name, err)
		}
		if one.Namespace != namespace || one.Name != target.Name {
			return nil, fmt.Errorf("asked for %s %s, got one of another name", target.Kind, target.Name)
		}
		return []metav1.PartialObjectMetadata{one}, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(target.Selector)
	if err != nil {
		return nil, fault.Stalled(v1alpha1.ReasonInvalidSelector, fmt.Errorf("spec.target.restart: selector: %w", err))
	}
	list := metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
	err = p.Live.List(ctx, &list, client.InNamespace(namespace),
		client.MatchingLabelsSelector{Selector: selector}, client.Limit(maxRestarts))
	if meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing %ss: %w", target.Kind, err)
	}
	for i := range list.Items {
		list.Items[i].SetGroupVersionKind(gvk) // a list's items come without
	}
	return list.Items, nil
}

// rollouts is the group of Argo Rollouts.
var rollouts = schema.GroupVersion{Group: "argoproj.io", Version: "v1alpha1"}

func groupVersionOf(kind v1alpha1.RestartKind) schema.GroupVersion {
	if kind == v1alpha1.RestartRollout {
		return rollouts
	}
	return appsv1.SchemeGroupVersion
}

// applied makes the apply configuration that restarts a workload: by one pod-template annotation, or a Rollout by the field that it has for that. The UID
// makes sure that an apply never creates a workload.
func applied(kind v1alpha1.RestartKind, w *metav1.PartialObjectMetadata, r *Restart) runtime.ApplyConfiguration {
	annotations := map[string]string{AnnotationKey(r.SecretName): r.Token}
	template := corev1ac.PodTemplateSpec().WithAnnotations(annotations)
	switch kind {
	case v1alpha1.RestartRollout:
		return restartedRollout(w, r)
	case v1alpha1.RestartStatefulSet:
		return appsv1ac.StatefulSet(w.Name, w.Namespace).WithUID(w.UID).
			WithSpec(appsv1ac.StatefulSetSpec().WithTemplate(template))
	case v1alpha1.RestartDaemonSet:
		return appsv1ac.DaemonSet(w.Name, w.Namespace).WithUID(w.UID).
			WithSpec(appsv1ac.DaemonSetSpec().WithTemplate(template))
	default:
		return appsv1ac.Deployment(w.Name, w.Namespace).WithUID(w.UID).
			WithSpec(appsv1ac.DeploymentSpec().WithTemplate(template))
	}
}

// restartedRollout asks for pods that are younger than now, without another revision: steps of a canary are not gone through again. The token is on the
// Rollout itself, in the same write, and tells the next pass that it is done.
// https://argo-rollouts.readthedocs.io/en/stable/features/restart/
func restartedRollout(w *metav1.PartialObjectMetadata, r *Restart) runtime.ApplyConfiguration {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"restartAt": r.Now.UTC().Format(time.RFC3339)}}}
	u.SetGroupVersionKind(rollouts.WithKind(string(v1alpha1.RestartRollout)))
	u.SetNamespace(w.Namespace)
	u.SetName(w.Name)
	u.SetUID(w.UID)
	u.SetAnnotations(map[string]string{AnnotationKey(r.SecretName): r.Token})
	return client.ApplyConfigurationFromUnstructured(u)
}
