package rotation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/rotation/function"
	"strongroom.dev/strongroom/internal/fault"
)

// overdue is how long after its deadline a Job counts as failed, whoever should have ended it.
const overdue = time.Minute

// JobRun is a step of a rotation that a Job carries out.
type JobRun struct {
	// VersionID of the version that is brought in, and when its rotation began.
	VersionID string
	Started   time.Time
	Step      rotation.Step
	// Attempt is how many attempts of the rotation have failed before.
	Attempt int32
	// Now is the time of the pass.
	Now time.Time
}

// +kubebuilder:rbac:groups=batch,resources=cronjobs,verbs=get
// +kubebuilder:rbac:groups=batch,resources=jobs,verbs=get;list;watch;create;delete

// RunJob sees that there is a Job for a step, and says whether it has done it. One that has failed, cannot be made, or is somebody else's is a
// fault. It does not wait.
//
// Crash-safe: a Job's name is a function of the step, so that it is made once whatever was forgotten.
func (s *Service) RunJob(ctx context.Context, r *Rotation, run JobRun) (done bool, err error) {
	key := client.ObjectKey{Namespace: r.Secret.Namespace, Name: jobName(r.Secret, &run)}
	job := &batchv1.Job{}
	err = s.Jobs.Get(ctx, key, job)
	if apierrors.IsNotFound(err) {
		if err = s.makeJob(ctx, r, &run, key.Name); !apierrors.IsAlreadyExists(err) {
			return false, err
		}
		err = s.Live.Get(ctx, key, job) // one that the cache does not keep: somebody took its label off, or has made it
	}
	if err != nil {
		return false, fmt.Errorf("reading Job %s: %w", key.Name, err)
	}
	return judgeJob(job, r.Secret, run.Now)
}

// DeleteJob removes the Job of a step, and its pods. One that is not there, or not the Secret's, is left alone.
func (s *Service) DeleteJob(ctx context.Context, secret *v1alpha1.Secret, run JobRun) error {
	job := &batchv1.Job{}
	err := s.Jobs.Get(ctx, client.ObjectKey{Namespace: secret.Namespace, Name: jobName(secret, &run)}, job)
	if err == nil && metav1.IsControlledBy(job, secret) {
		err = s.Jobs.Delete(ctx, job, client.Preconditions{UID: &job.UID}, client.PropagationPolicy(metav1.DeletePropagationBackground))
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting Job %s: %w", job.Name, err)
	}
	return nil
}

// makeJob makes the Job of a step. The error says AlreadyExists if there is one of the name.
func (s *Service) makeJob(ctx context.Context, r *Rotation, run *JobRun, name string) error {
	template, err := s.jobTemplate(ctx, r.Secret)
	if err != nil {
		return err
	}
	job, err := jobOf(r.Secret, template, name, &function.Event{
		Step: run.Step, SecretID: r.ARN, ClientRequestToken: run.VersionID, RotationToken: uuid.NewString(),
	})
	if err != nil {
		return err
	}
	switch err := s.Jobs.Create(ctx, job); {
	case apierrors.IsAlreadyExists(err):
		return err
	case apierrors.IsInvalid(err), apierrors.IsForbidden(err), apierrors.IsBadRequest(err): // a quota, or admission
		return fault.Waiting(v1alpha1.ReasonJobFailed, fmt.Errorf("making Job %s: %w", name, err))
	case err != nil:
		return fmt.Errorf("making Job %s: %w", name, err)
	}
	return nil
}

// jobTemplate reads the template that spec names. The CronJob is read live and by name, as those are not cached. One that runs by itself, or
// whose author did not say that Secrets may run it, is none: whoever writes Secrets may not be one who may make pods.
func (s *Service) jobTemplate(ctx context.Context, secret *v1alpha1.Secret) (*batchv1.JobTemplateSpec, error) {
	name := secret.Spec.Rotation.ByJob().CronJobRef.Name
	cron := &batchv1.CronJob{}
	err := s.Live.Get(ctx, client.ObjectKey{Namespace: secret.Namespace, Name: name}, cron)
	switch {
	case apierrors.IsNotFound(err):
		return nil, invalid(v1alpha1.ReasonJobTemplateNotFound, "spec.rotation.job: CronJob %s does not exist", name)
	case err != nil:
		return nil, fmt.Errorf("reading CronJob %s: %w", name, err)
	case cron.Annotations[v1alpha1.RotationJobAnnotation] != "true":
		return nil, invalid(v1alpha1.ReasonJobTemplateNotFound, "spec.rotation.job: CronJob %s does not let Secrets run it: have its author annotate it with %s=true", name, v1alpha1.RotationJobAnnotation)
	case cron.Spec.Suspend == nil || !*cron.Spec.Suspend:
		return nil, invalid(v1alpha1.ReasonJobTemplateNotFound, "spec.rotation.job: CronJob %s runs at times of its own: set its spec.suspend to true", name)
	}
	return &cron.Spec.JobTemplate, nil
}

// jobName is the name of a step's Job: parts of the Secret's name and the step for people, and a digest of what makes it this one. It has at
// most 63 characters, since it is a label's value of its pods.
func jobName(secret *v1alpha1.Secret, run *JobRun) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%s/%d/%s/%d", secret.UID, run.VersionID, run.Started.Unix(), run.Step, run.Attempt))
	readable := strings.ReplaceAll(secret.Name, ".", "-")
	readable = strings.TrimRight(readable[:min(len(readable), 36)], "-")
	return readable + "-" + strings.ToLower(string(run.Step)) + "-" + hex.EncodeToString(sum[:6])
}

// Ended tells that a Job has ended, well or not.
func Ended(job *batchv1.Job) bool {
	return jobCondition(job, batchv1.JobComplete) != nil || jobCondition(job, batchv1.JobFailed) != nil
}

func jobCondition(job *batchv1.Job, conditionType batchv1.JobConditionType) *batchv1.JobCondition {
	for i := range job.Status.Conditions {
		if c := &job.Status.Conditions[i]; c.Type == conditionType && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}

// plainReason is the reason of a condition as it may be shown.
var plainReason = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]{0,63}$`)

// judgeJob says whether a Job has done its step. Of one that failed it says the reason that Kubernetes gave, and not the message, which others
// may write.
func judgeJob(job *batchv1.Job, secret *v1alpha1.Secret, now time.Time) (done bool, err error) {
	failed := func(format string, args ...any) error {
		return fault.Waiting(v1alpha1.ReasonJobFailed, fmt.Errorf("Job "+job.Name+" "+format, args...))
	}
	if !metav1.IsControlledBy(job, secret) {
		return false, failed("is there already and is not this Secret's: delete it")
	}
	if jobCondition(job, batchv1.JobComplete) != nil {
		return true, nil
	}
	if c := jobCondition(job, batchv1.JobFailed); c != nil {
		reason := c.Reason
		if !plainReason.MatchString(reason) {
			reason = "an error"
		}
		return false, failed("failed with %s; its pods' logs have the cause: kubectl logs job/%s", reason, job.Name)
	}
	deadline := job.CreationTimestamp.Add(maximumDeadline)
	if job.Spec.ActiveDeadlineSeconds != nil {
		deadline = job.CreationTimestamp.Add(time.Duration(*job.Spec.ActiveDeadlineSeconds) * time.Second)
	}
	if now.After(deadline.Add(overdue)) {
		return false, failed("has not ended by its deadline, and nobody has ended it")
	}
	return false, nil
}
