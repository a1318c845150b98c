package rotation

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/rotation/function"
)

const (
	// defaultDeadline of a step if the template has none, and maximumDeadline if it has a longer one.
	defaultDeadline = 10 * time.Minute
	maximumDeadline = time.Hour
	// defaultTTL is how long a Job that has ended can be looked at if the template does not say. One that did its step goes at once.
	defaultTTL = 24 * time.Hour
)

// plain is text that means nothing to a shell.
var plain = regexp.MustCompile(`^[A-Za-z0-9/_+=.@:-]+$`)

// jobOf makes the Job of a step from a template: what its author wrote, but for what makes it one run of one pod with a deadline, and the event
// in the environment of its containers. Of that, the Secret's author chooses the ARN and whoever asks for a rotation the token: a template may
// put either into a command by $(NAME), and so both have the characters of ARNs alone.
func jobOf(secret *v1alpha1.Secret, template *batchv1.JobTemplateSpec, name string, event *function.Event) (*batchv1.Job, error) {
	for what, value := range map[string]string{"ARN": event.SecretID, "version id": event.ClientRequestToken} {
		if !plain.MatchString(value) {
			return nil, invalid(v1alpha1.ReasonJobFailed, "the %s has characters that a rotation job is not given, since its command may be a shell's: "+
				"cancel the rotation, and ask for one with a UUID as its ClientRequestToken", what)
		}
	}
	text, err := json.Marshal(event)
	if err != nil {
		return nil, fmt.Errorf("encoding an event: %w", err)
	}
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: secret.Namespace, Name: name,
			Labels: maps.Clone(template.Labels), Annotations: maps.Clone(template.Annotations),
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "Secret", Name: secret.Name, UID: secret.UID, Controller: ptr.To(true),
			}},
		},
		Spec: *template.Spec.DeepCopy(),
	}
	metav1.SetMetaDataLabel(&job.ObjectMeta, v1alpha1.ManagedLabel, v1alpha1.ManagedRotation)
	limit(&job.Spec)
	environment := []corev1.EnvVar{
		{Name: "ROTATION_EVENT", Value: string(text)},
		{Name: "ROTATION_STEP", Value: string(event.Step)},
		{Name: "ROTATION_SECRET_ID", Value: event.SecretID},
		{Name: "ROTATION_CLIENT_REQUEST_TOKEN", Value: event.ClientRequestToken},
		{Name: "ROTATION_TOKEN", Value: event.RotationToken},
	}
	pod := &job.Spec.Template.Spec
	for _, containers := range [][]corev1.Container{pod.InitContainers, pod.Containers} {
		for i := range containers {
			containers[i].Env = withEvent(containers[i].Env, environment)
		}
	}
	return job, nil
}

// limit makes a Job one run of one pod at a time, that ends and goes.
func limit(spec *batchv1.JobSpec) {
	spec.Parallelism, spec.Completions = ptr.To(int32(1)), ptr.To(int32(1))
	spec.Suspend, spec.Selector, spec.ManualSelector = nil, nil, nil
	if spec.BackoffLimit == nil {
		spec.BackoffLimit = ptr.To(int32(0)) // the rotation itself is tried again
	}
	if spec.ActiveDeadlineSeconds == nil {
		spec.ActiveDeadlineSeconds = ptr.To(int64(defaultDeadline.Seconds()))
	}
	spec.ActiveDeadlineSeconds = ptr.To(min(*spec.ActiveDeadlineSeconds, int64(maximumDeadline.Seconds())))
	if spec.TTLSecondsAfterFinished == nil {
		spec.TTLSecondsAfterFinished = ptr.To(int32(defaultTTL.Seconds()))
	}
}

// withEvent puts the event before a container's own variables, which may refer to it, and leaves out those of its names.
func withEvent(own, event []corev1.EnvVar) []corev1.EnvVar {
	out := slices.Clone(event)
	for _, v := range own {
		if !slices.ContainsFunc(event, func(e corev1.EnvVar) bool { return e.Name == v.Name }) {
			out = append(out, v)
		}
	}
	return out
}
