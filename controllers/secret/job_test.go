package secret_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/rotation/function"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/test/environment"
)

// rotator is a suspended CronJob that Secrets may run.
func rotator(name string, changes ...func(*batchv1.CronJob)) *batchv1.CronJob {
	GinkgoHelper()
	c := &batchv1.CronJob{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Annotations: map[string]string{v1alpha1.RotationJobAnnotation: "true"}},
		Spec: batchv1.CronJobSpec{
			Suspend: ptr.To(true), Schedule: "0 0 1 1 *",
			JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "rotate", Image: "rotate"}},
			}}}},
		},
	}
	for _, change := range changes {
		change(c)
	}
	create2(c)
	return c
}

// byJob is a Secret that Jobs rotate, with a value that was put.
func byJob(name, cron string) *v1alpha1.Secret {
	GinkgoHelper()
	s := environmentSecret(name, func(s *v1alpha1.Secret) {
		s.Spec.Generate = nil
		s.Spec.Rotation = &v1alpha1.SecretRotation{Job: &v1alpha1.JobRotator{CronJobRef: v1alpha1.LocalReference{Name: cron}}}
	})
	create(s)
	reconcile(s)
	putVersion(s, "00000000-0000-4000-8000-000000000001", "first", v1alpha1.StageCurrent)
	reconcile(s)
	for _, j := range jobs() { // the test of what is configured
		if metav1.IsControlledBy(&j, s) {
			Expect(eventOf(&j).Step).To(BeEquivalentTo("testSecret"))
			end(&j, batchv1.JobComplete, "")
			reconcile(s)
		}
	}
	Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	return s
}

// putVersion is PutSecretValue.
func putVersion(s *v1alpha1.Secret, token, value, stage string) {
	GinkgoHelper()
	refresh(s)
	_, err := env.Services.Secrets.PutValue(ctx, secretsmanager.PutValueInput{
		Secret: s, Key: key, Token: token, Value: secretsmanager.Value{Bytes: secretbytes.Copy([]byte(value))}, Stages: []string{stage},
	})
	Expect(err).NotTo(HaveOccurred())
	refresh(s)
	seen(s)
}

// jobs are those of the spec's namespace.
func jobs() []batchv1.Job {
	GinkgoHelper()
	var list batchv1.JobList
	Expect(cp.Client.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
	return slices.DeleteFunc(list.Items, func(j batchv1.Job) bool { return !j.DeletionTimestamp.IsZero() })
}

// eventOf is what a Job's container is told.
func eventOf(j *batchv1.Job) (e function.Event) {
	GinkgoHelper()
	for _, v := range j.Spec.Template.Spec.Containers[0].Env {
		if v.Name == "ROTATION_EVENT" {
			Expect(json.Unmarshal([]byte(v.Value), &e)).To(Succeed())
		}
	}
	return e
}

// carryOut does what a rotation function does at a Job's step.
func carryOut(s *v1alpha1.Secret, j *batchv1.Job, value string) {
	GinkgoHelper()
	e := eventOf(j)
	Expect(e.SecretID).To(Equal(s.Status.ARN))
	switch e.Step {
	case "createSecret":
		putVersion(s, e.ClientRequestToken, value, v1alpha1.StagePending)
	case "finishSecret":
		refresh(s)
		if s.Status.CurrentVersionID != e.ClientRequestToken {
			Expect(env.Services.Secrets.MoveStage(ctx, s, v1alpha1.StageCurrent, s.Status.CurrentVersionID, e.ClientRequestToken)).To(Succeed())
		}
	}
	refresh(s)
	seen(s)
}

// end gives a Job the condition that the Job controller gives it, and waits until the cache has it.
func end(j *batchv1.Job, conditionType batchv1.JobConditionType, reason string) {
	GinkgoHelper()
	now := metav1.Now()
	j.Status.StartTime = &now
	c := batchv1.JobCondition{Type: conditionType, Status: corev1.ConditionTrue, Reason: reason, Message: "the password is hunter2", LastTransitionTime: now}
	criteria := batchv1.JobCondition{Type: batchv1.JobFailureTarget, Status: corev1.ConditionTrue, Reason: reason, LastTransitionTime: now}
	if conditionType == batchv1.JobComplete {
		j.Status.CompletionTime, criteria.Type = &now, batchv1.JobSuccessCriteriaMet
		j.Status.Succeeded = 1
	}
	j.Status.Conditions = []batchv1.JobCondition{criteria, c}
	j.Status.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{}
	Expect(cp.Client.Status().Update(ctx, j)).To(Succeed())
	seen(j)
}

// askRotation asks for a rotation, and makes the first pass.
func askRotation(s *v1alpha1.Secret, token string) {
	GinkgoHelper()
	update(s, func() { annotate(v1alpha1.RotateAnnotation, token)(s) })
	reconcile(s)
}

// oneJob is the only Job that there is.
func oneJob() *batchv1.Job {
	GinkgoHelper()
	all := jobs()
	Expect(all).To(HaveLen(1))
	return &all[0]
}

func stepsLeft(s *v1alpha1.Secret) string {
	if s.Status.Rotation == nil {
		return ""
	}
	return s.Status.Rotation.Step
}

var _ = Describe("A rotation by Jobs", func() {
	It("runs one for each of the four steps, one after the other, brings the version in, and leaves nothing behind", func() {
		rotator("rotate")
		s := byJob("db", "rotate")
		Expect(jobs()).To(BeEmpty(), "nothing was asked for")
		askRotation(s, "1")
		token := s.Status.Rotation.VersionID
		for _, step := range []string{"createSecret", "setSecret", "testSecret", "finishSecret"} {
			Expect(stepsLeft(s)).To(Equal(step))
			j := oneJob()
			Expect(eventOf(j)).To(And(HaveField("Step", BeEquivalentTo(step)), HaveField("ClientRequestToken", token), HaveField("RotationToken", HaveLen(36))))
			Expect(metav1.IsControlledBy(j, s)).To(BeTrue())
			result := reconcile(s)
			Expect(oneJob().UID).To(Equal(j.UID), "a pass while it runs makes no other")
			Expect(result.RequeueAfter).To(BeNumerically(">", 0))
			Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue), "what is in force is as good as before")
			carryOut(s, j, "second")
			end(j, batchv1.JobComplete, "")
			reconcile(s)
		}
		Expect(jobs()).To(BeEmpty())
		Expect(s.Status).To(And(HaveField("CurrentVersionID", token), HaveField("Rotation", BeNil())))
		Expect(value(s, v1alpha1.StageCurrent)).To(Equal("second"))
		Expect(value(s, v1alpha1.StagePrevious)).To(Equal("first"))
		Expect(projected("db")).To(HaveKeyWithValue("value", "second"))
		Expect(env.DrainEvents()).To(ContainElement(ContainSubstring(v1alpha1.ReasonRotated)))
		reconcile(s)
		Expect(jobs()).To(BeEmpty())
	})

	It("that fails says at which step and why, without the Job's own words, and tries that step again with another Job", func() {
		rotator("rotate")
		s := byJob("db", "rotate")
		askRotation(s, "1")
		first := oneJob()
		end(first, batchv1.JobFailed, "BackoffLimitExceeded")
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionRotationFailing)).To(And(HaveField("Reason", v1alpha1.ReasonJobFailed), HaveField("Message", And(
			ContainSubstring("createSecret"), ContainSubstring("BackoffLimitExceeded"), ContainSubstring("kubectl logs job/"+first.Name), Not(ContainSubstring("hunter2"))))))
		Expect(env.DrainEvents()).NotTo(ContainElement(ContainSubstring("hunter2")))
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(jobs()).To(HaveLen(1), "what failed stays to be looked at")
		env.Clock.Advance(6 * time.Second)
		reconcile(s)
		all := jobs()
		Expect(all).To(HaveLen(2))
		second := &all[slices.IndexFunc(all, func(j batchv1.Job) bool { return j.Name != first.Name })]
		Expect(eventOf(second)).To(And(HaveField("Step", BeEquivalentTo("createSecret")), HaveField("ClientRequestToken", s.Status.Rotation.VersionID)))
		carryOut(s, second, "second")
		end(second, batchv1.JobComplete, "")
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionRotationFailing)).To(BeNil())
		Expect(stepsLeft(s)).To(Equal("setSecret"))
	})

	It("whose Jobs end well and bring nothing in has all four steps again, and never takes a former Job for a new one", func() {
		rotator("rotate")
		s := byJob("db", "rotate")
		askRotation(s, "1")
		seenJobs := map[string]bool{}
		for range 2 {
			for range 4 {
				j := oneJob()
				Expect(seenJobs).NotTo(HaveKey(j.Name))
				seenJobs[j.Name] = true
				end(j, batchv1.JobComplete, "")
				reconcile(s)
			}
			Expect(condition(s, v1alpha1.ConditionRotationFailing)).To(And(HaveField("Reason", v1alpha1.ReasonJobFailed), HaveField("Message", ContainSubstring("has not got AWSCURRENT"))))
			Expect(stepsLeft(s)).To(Equal("createSecret"))
			for _, left := range jobs() { // the Job of the step that failed
				Expect(cp.Client.Delete(ctx, &left, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
			}
			env.Clock.Advance(time.Minute)
			reconcile(s)
		}
		Expect(value(s, v1alpha1.StageCurrent)).To(Equal("first"))
	})

	// Who may write Secrets of strongroom.dev may not be one who may make pods.
	for what, change := range map[string]func(*batchv1.CronJob){
		"that does not say that Secrets may run it": func(c *batchv1.CronJob) { c.Annotations = nil },
		"that says it otherwise than by true":       func(c *batchv1.CronJob) { c.Annotations[v1alpha1.RotationJobAnnotation] = "yes" },
		"that runs at times of its own":             func(c *batchv1.CronJob) { c.Spec.Suspend = ptr.To(false) },
		"of another name":                           func(c *batchv1.CronJob) { c.Name = "other" },
	} {
		It("makes none from a CronJob "+what, func() {
			rotator("rotate", change)
			s := byJob("db", "rotate")
			askRotation(s, "1")
			Expect(condition(s, v1alpha1.ConditionRotationFailing)).To(And(HaveField("Reason", v1alpha1.ReasonJobTemplateNotFound), HaveField("Message", ContainSubstring("CronJob rotate"))))
			Expect(jobs()).To(BeEmpty())
		})
	}

	It("that is cancelled rests, and goes on with its version when it is on again", func() {
		rotator("rotate")
		s := byJob("db", "rotate")
		askRotation(s, "1")
		token := s.Status.Rotation.VersionID
		carryOut(s, oneJob(), "second")
		end(oneJob(), batchv1.JobComplete, "")
		_, err := env.Services.Secrets.CancelRotation(ctx, s)
		Expect(err).NotTo(HaveOccurred())
		refresh(s)
		seen(s)
		reconcile(s)
		Expect(s.Status).To(And(HaveField("Rotation", BeNil()), HaveField("CurrentVersionID", Not(Equal(token)))))
		before := len(jobs())
		update(s, func() { s.Spec.Rotation.Enabled = nil })
		reconcile(s)
		Expect(s.Status.Rotation).To(HaveField("VersionID", token))
		Expect(len(jobs())).To(BeNumerically(">=", before))
	})

	It("does nothing to a Job of the name that is somebody else's, and says so", func() {
		rotator("rotate")
		s := byJob("db", "rotate")
		askRotation(s, "1")
		j := oneJob()
		Expect(cp.Client.Delete(ctx, j, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		foreign := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: j.Name}, Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{
			Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "x", Image: "x"}}},
		}}}
		Eventually(func() error { return client.IgnoreAlreadyExists(cp.Client.Create(ctx, foreign)) }).Should(Succeed())
		Eventually(func() string {
			reconcile(s)
			if c := condition(s, v1alpha1.ConditionRotationFailing); c != nil {
				return c.Message
			}
			return ""
		}).Should(ContainSubstring("is not this Secret's"))
		Expect(jobs()).To(ContainElement(HaveField("UID", foreign.UID)))
	})

	It("that a quota refuses says so, and is tried again", func() {
		none := corev1.ResourceList{"count/jobs.batch": resource.MustParse("0")}
		quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "none"}, Spec: corev1.ResourceQuotaSpec{Hard: none}}
		create2(quota)
		quota.Status = corev1.ResourceQuotaStatus{Hard: none, Used: none} // as the controller of quotas says
		Expect(cp.Client.Status().Update(ctx, quota)).To(Succeed())
		rotator("rotate")
		s := byJob("db", "rotate")
		askRotation(s, "1")
		Expect(condition(s, v1alpha1.ConditionRotationFailing)).To(And(Not(BeNil()), HaveField("Reason", v1alpha1.ReasonJobFailed), HaveField("Message", ContainSubstring("quota"))))
		Expect(s.Status.Rotation.NextAttemptTime).NotTo(BeNil())
	})

	for _, after := range []bool{false, true} {
		It(fmt.Sprintf("that is broken off at any write makes no Job twice and loses nothing (the answer alone lost: %t)", after), func() {
			rotator("rotate")
			faulty, writes := env.Faulty()
			pass := func(s *v1alpha1.Secret) error {
				_, err := faulty.Secret.Reconcile(ctx, environment.Request(s))
				refresh(s)
				seen(s)
				return err
			}
			for n := 1; ; n++ {
				s := byJob(fmt.Sprintf("s%d", n), "rotate")
				writes.FailAt(n, after)
				made := 0
				update(s, func() { annotate(v1alpha1.RotateAnnotation, "1")(s) })
				ran := map[string]int{}
				for range 20 {
					err := pass(s)
					made = max(made, writes.Writes())
					if err != nil {
						writes.FailAt(0, false)
					}
					for _, j := range jobs() {
						if metav1.IsControlledBy(&j, s) && len(j.Status.Conditions) == 0 {
							ran[string(eventOf(&j).Step)]++
							carryOut(s, &j, "second")
							end(&j, batchv1.JobComplete, "")
						}
					}
					if err == nil && s.Status.Rotation == nil && s.Status.LastHandledRotateAt == "1" {
						break
					}
				}
				Expect(value(s, v1alpha1.StageCurrent)).To(Equal("second"), "write %d", n)
				Expect(projected(s.Name)).To(HaveKeyWithValue("value", "second"))
				Expect(ran).To(Equal(map[string]int{"createSecret": 1, "setSecret": 1, "testSecret": 1, "finishSecret": 1}), "write %d", n)
				if made < n {
					Expect(n).To(BeNumerically(">", 12), "fewer writes than there are")
					return
				}
			}
		})
	}
})
