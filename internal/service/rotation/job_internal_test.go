package rotation

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/rotation/function"
	"strongroom.dev/strongroom/internal/fault"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func licence() *v1alpha1.Secret {
	return &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "licence", UID: "u"}}
}

var event = &function.Event{Step: rotation.StepSet, SecretID: "arn:aws:secretsmanager:us-east-1:123456789012:secret:shop/licence-AbCdEf", ClientRequestToken: "version", RotationToken: "token"}

func made(t *testing.T, template *batchv1.JobTemplateSpec) *batchv1.Job {
	t.Helper()
	job, err := jobOf(licence(), template, "name", event)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// A template may put a part of the event into the command of a shell.
func TestAJobIsNotGivenWhatMeansSomethingToAShell(t *testing.T) {
	for _, text := range []string{"", "12345678901234567890123456789012;id", "$(ROTATION_STEP)", "a b", "`id`", "a'b", "a\nb", "a|b", "ä"} {
		for what, change := range map[string]func(*function.Event){
			"version id": func(e *function.Event) { e.ClientRequestToken = text }, "ARN": func(e *function.Event) { e.SecretID = text },
		} {
			e := *event
			change(&e)
			if _, err := jobOf(licence(), &batchv1.JobTemplateSpec{}, "name", &e); err == nil || !strings.Contains(err.Error(), "the "+what+" has characters") {
				t.Errorf("the %s %q: %v", what, text, err)
			}
		}
	}
}

func TestAJobIsItsTemplateWithTheEventInTheEnvironmentOfEachContainer(t *testing.T) {
	template := &batchv1.JobTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"team": "shop", v1alpha1.ManagedLabel: "mine"}, Annotations: map[string]string{"a": "b"}},
		Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"pod": "label"}},
			Spec: corev1.PodSpec{
				ServiceAccountName: "rotator",
				InitContainers:     []corev1.Container{{Name: "first"}},
				Containers: []corev1.Container{{Name: "a", Image: "i", Env: []corev1.EnvVar{
					{Name: "OWN", Value: "$(ROTATION_STEP)"}, {Name: "ROTATION_SECRET_ID", Value: "another"},
				}}, {Name: "b"}},
			},
		}},
	}
	before := template.DeepCopy()
	job := made(t, template)
	if job.Labels["team"] != "shop" || job.Labels[v1alpha1.ManagedLabel] != v1alpha1.ManagedRotation || job.Annotations["a"] != "b" {
		t.Errorf("%v %v", job.Labels, job.Annotations)
	}
	if !metav1.IsControlledBy(job, licence()) || job.Namespace != "shop" {
		t.Errorf("it would outlive its Secret: %v", job.OwnerReferences)
	}
	pod := job.Spec.Template
	if pod.Spec.ServiceAccountName != "rotator" || pod.Labels["pod"] != "label" || len(pod.Labels) != 1 {
		t.Errorf("%+v", pod)
	}
	for _, c := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
		got := map[string]string{}
		for _, v := range c.Env {
			got[v.Name] = v.Value
		}
		var told function.Event
		if err := json.Unmarshal([]byte(got["ROTATION_EVENT"]), &told); err != nil || told != *event {
			t.Errorf("%s: %v, %v", c.Name, told, err)
		}
		delete(got, "ROTATION_EVENT")
		delete(got, "OWN")
		want := map[string]string{
			"ROTATION_STEP": "setSecret", "ROTATION_SECRET_ID": event.SecretID, "ROTATION_CLIENT_REQUEST_TOKEN": "version", "ROTATION_TOKEN": "token",
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s: %v", c.Name, got)
		}
	}
	if own := pod.Spec.Containers[0].Env; own[len(own)-1].Name != "OWN" {
		t.Error("a variable cannot refer to one that comes after it")
	}
	if other := made(t, template); !slices.EqualFunc(other.Spec.Template.Spec.Containers, pod.Spec.Containers, func(a, b corev1.Container) bool { return a.Name == b.Name }) ||
		len(template.Spec.Template.Spec.Containers[0].Env) != len(before.Spec.Template.Spec.Containers[0].Env) || template.Labels[v1alpha1.ManagedLabel] != "mine" {
		t.Error("the template was changed")
	}
}

func TestAJobIsOneRunOfOnePodThatEndsAndGoes(t *testing.T) {
	for name, tt := range map[string]struct {
		of       batchv1.JobSpec
		deadline int64
		backoff  int32
		ttl      int32
	}{
		"of a template that says nothing": {batchv1.JobSpec{}, 600, 0, 86400},
		"of one with limits of its own":   {batchv1.JobSpec{ActiveDeadlineSeconds: ptr.To(int64(30)), BackoffLimit: ptr.To(int32(2)), TTLSecondsAfterFinished: ptr.To(int32(60))}, 30, 2, 60},
		"of one without an end":           {batchv1.JobSpec{ActiveDeadlineSeconds: ptr.To(int64(3601))}, 3600, 0, 86400},
		"of one that is suspended and has many": {batchv1.JobSpec{
			Suspend: ptr.To(true), Parallelism: ptr.To(int32(9)), Completions: ptr.To(int32(9)), ManualSelector: ptr.To(true), Selector: &metav1.LabelSelector{},
		}, 600, 0, 86400},
	} {
		spec := made(t, &batchv1.JobTemplateSpec{Spec: tt.of}).Spec
		if *spec.ActiveDeadlineSeconds != tt.deadline || *spec.BackoffLimit != tt.backoff || *spec.TTLSecondsAfterFinished != tt.ttl {
			t.Errorf("%s: deadline %d, backoff %d, TTL %d", name, *spec.ActiveDeadlineSeconds, *spec.BackoffLimit, *spec.TTLSecondsAfterFinished)
		}
		if *spec.Parallelism != 1 || *spec.Completions != 1 || spec.Suspend != nil || spec.Selector != nil || spec.ManualSelector != nil {
			t.Errorf("%s: %+v", name, spec)
		}
	}
}

func TestAJobsNameTellsTheSecretTheRotationTheStepAndTheAttempt(t *testing.T) {
	run := func() *JobRun { return &JobRun{VersionID: "v", Started: noon, Step: rotation.StepCreate} }
	first := jobName(licence(), run())
	if !regexp.MustCompile(`^licence-createsecret-[0-9a-f]{12}$`).MatchString(first) || first != jobName(licence(), run()) {
		t.Error(first)
	}
	for what, change := range map[string]func(*v1alpha1.Secret, *JobRun){
		"another Secret of the name": func(s *v1alpha1.Secret, _ *JobRun) { s.UID = "w" },
		"another version":            func(_ *v1alpha1.Secret, r *JobRun) { r.VersionID = "w" },
		"another rotation":           func(_ *v1alpha1.Secret, r *JobRun) { r.Started = noon.Add(time.Second) },
		"another step":               func(_ *v1alpha1.Secret, r *JobRun) { r.Step = rotation.StepSet },
		"another attempt":            func(_ *v1alpha1.Secret, r *JobRun) { r.Attempt = 1 },
	} {
		s, r := licence(), run()
		change(s, r)
		if jobName(s, r) == first {
			t.Errorf("%s has the same name", what)
		}
	}
	for _, name := range []string{"a", strings.Repeat("a", 253), strings.Repeat("a", 35) + ".b", "a.b-c.d", strings.Repeat("a.", 40)} {
		s := licence()
		s.Name = name
		got := jobName(s, &JobRun{Step: rotation.StepFinish})
		if problems := validation.IsDNS1123Label(got); len(problems) > 0 {
			t.Errorf("%s: %v", got, problems)
		}
	}
}

func TestAJobIsJudgedByHowKubernetesEndedIt(t *testing.T) {
	with := func(conditionType batchv1.JobConditionType, status corev1.ConditionStatus, reason string) []batchv1.JobCondition {
		return []batchv1.JobCondition{{Type: conditionType, Status: status, Reason: reason, Message: "hunter2"}}
	}
	for name, tt := range map[string]struct {
		conditions []batchv1.JobCondition
		age        time.Duration
		owner      string
		done       bool
		says       string
	}{
		"that runs":                                     {nil, time.Minute, "u", false, ""},
		"that is about to complete":                     {with(batchv1.JobSuccessCriteriaMet, "True", ""), time.Minute, "u", false, ""},
		"that is complete":                              {with(batchv1.JobComplete, "True", ""), time.Hour, "u", true, ""},
		"that is not complete":                          {with(batchv1.JobComplete, "False", ""), time.Minute, "u", false, ""},
		"that failed":                                   {with(batchv1.JobFailed, "True", "BackoffLimitExceeded"), time.Minute, "u", false, "failed with BackoffLimitExceeded"},
		"that failed for a reason that is none":         {with(batchv1.JobFailed, "True", "pass word=hunter2"), time.Minute, "u", false, "failed with an error"},
		"at the end of its deadline":                    {nil, 11 * time.Minute, "u", false, ""},
		"that nobody has ended":                         {nil, 11*time.Minute + time.Second, "u", false, "has not ended"},
		"of another Secret, though it is complete":      {with(batchv1.JobComplete, "True", ""), time.Minute, "w", false, "is not this Secret's"},
		"that is complete though its deadline is past":  {with(batchv1.JobComplete, "True", ""), 24 * time.Hour, "u", true, ""},
		"of nobody, which somebody made under its name": {with(batchv1.JobComplete, "True", ""), time.Minute, "", false, "is not this Secret's"},
	} {
		job := made(t, &batchv1.JobTemplateSpec{})
		job.CreationTimestamp = metav1.NewTime(noon.Add(-tt.age))
		job.Status.Conditions = tt.conditions
		if job.OwnerReferences[0].UID = licence().UID; tt.owner == "" {
			job.OwnerReferences = nil
		} else if tt.owner != "u" {
			job.OwnerReferences[0].UID = "w"
		}
		done, err := judgeJob(job, licence(), noon)
		if done != tt.done || (err == nil) != (tt.says == "") {
			t.Errorf("%s: %t, %v", name, done, err)
		}
		if err != nil && (!strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "hunter2") || fault.Of(err).Reason != v1alpha1.ReasonJobFailed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
