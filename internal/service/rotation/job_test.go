package rotation_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	corerotation "strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/service/rotation"
)

var _ = Describe("The Job of a step", func() {
	var s *v1alpha1.Secret
	var run rotation.JobRun
	BeforeEach(func() {
		s = secret("licence", func(s *v1alpha1.Secret) {
			s.Spec.Rotation = &v1alpha1.SecretRotation{Enabled: new(bool), Job: &v1alpha1.JobRotator{CronJobRef: v1alpha1.LocalReference{Name: "rotate"}}}
		})
		now := time.Now()
		run = rotation.JobRun{VersionID: "6f0f5ed4-7f1f-4f6f-a7a6-1b3a6f5d5c11", Started: now, Step: corerotation.StepSet, Now: now}
	})
	// template makes the CronJob that a step's Job is made from.
	template := func(changes ...func(*batchv1.CronJob)) {
		GinkgoHelper()
		cron := &batchv1.CronJob{
			ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "rotate", Annotations: map[string]string{v1alpha1.RotationJobAnnotation: "true"}},
			Spec: batchv1.CronJobSpec{Suspend: ptr.To(true), Schedule: "0 0 1 1 *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{
				Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
					RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "rotate", Image: "rotate"}},
				}},
			}}},
		}
		for _, change := range changes {
			change(cron)
		}
		Expect(world.ControlPlane.Client.Create(ctx, cron)).To(Succeed())
	}
	jobs := func() []batchv1.Job {
		GinkgoHelper()
		var list batchv1.JobList
		Expect(world.ControlPlane.Client.List(ctx, &list, client.InNamespace(world.Namespace))).To(Succeed())
		return list.Items
	}
	runs := func() (bool, error) { return service().RunJob(ctx, of(s), run) }

	It("is made once, however often it is asked for, and one of each step and attempt", func() {
		template()
		for range 3 {
			Expect(runs()).To(BeFalse())
		}
		Expect(jobs()).To(HaveLen(1))
		Expect(metav1.IsControlledBy(&jobs()[0], s)).To(BeTrue())
		run.Attempt++
		Expect(runs()).To(BeFalse())
		run.Step = corerotation.StepTest
		Expect(runs()).To(BeFalse())
		run.Started = run.Started.Add(time.Hour)
		Expect(runs()).To(BeFalse())
		Expect(jobs()).To(HaveLen(4))
	})

	It("is done, or has failed, when Kubernetes says so, or when its deadline is long over", func() {
		template()
		Expect(runs()).To(BeFalse())
		ended := func(conditionType batchv1.JobConditionType, reason string) {
			GinkgoHelper()
			j := jobs()[0]
			now := metav1.Now()
			criteria := batchv1.JobCondition{Type: batchv1.JobFailureTarget, Status: corev1.ConditionTrue, Reason: reason, LastTransitionTime: now}
			j.Status.StartTime, j.Status.UncountedTerminatedPods = &now, &batchv1.UncountedTerminatedPods{}
			if conditionType == batchv1.JobComplete {
				j.Status.CompletionTime, criteria.Type, j.Status.Succeeded = &now, batchv1.JobSuccessCriteriaMet, 1
			}
			j.Status.Conditions = []batchv1.JobCondition{criteria, {Type: conditionType, Status: corev1.ConditionTrue, Reason: reason, Message: "hunter2", LastTransitionTime: now}}
			Expect(world.ControlPlane.Client.Status().Update(ctx, &j)).To(Succeed())
			world.Seen(&j)
		}
		late := run
		run.Now = run.Now.Add(10*time.Minute + 30*time.Second)
		Expect(runs()).To(BeFalse(), "its deadline is over, and whoever ends it may be about to")
		run.Now = run.Now.Add(time.Minute)
		_, err := runs()
		fails(err, v1alpha1.ReasonJobFailed, "has not ended by its deadline")
		run = late
		ended(batchv1.JobFailed, "BackoffLimitExceeded")
		_, err = runs()
		fails(err, v1alpha1.ReasonJobFailed, "BackoffLimitExceeded", "kubectl logs job/"+jobs()[0].Name)
		run.Attempt++
		Expect(service().DeleteJob(ctx, s, late)).To(Succeed())
		Eventually(func() error { _, err := runs(); return err }).Should(Succeed())
		for _, j := range jobs() {
			if j.DeletionTimestamp.IsZero() {
				continue
			}
			j.Finalizers = nil // the Job controller's, which does not run here
			Expect(client.IgnoreNotFound(world.ControlPlane.Client.Update(ctx, &j))).To(Succeed())
		}
		Eventually(jobs).Should(HaveLen(1))
		ended(batchv1.JobComplete, "")
		Expect(runs()).To(BeTrue())
	})

	It("is not made from a CronJob whose author did not mean it", func() {
		_, err := runs()
		fails(err, v1alpha1.ReasonJobTemplateNotFound, "rotate", "does not exist")
		template(func(c *batchv1.CronJob) { c.Annotations = nil })
		_, err = runs()
		fails(err, v1alpha1.ReasonJobTemplateNotFound, v1alpha1.RotationJobAnnotation)
		Expect(jobs()).To(BeEmpty())
	})

	It("that is somebody else's is neither taken for done nor deleted", func() {
		template()
		Expect(runs()).To(BeFalse())
		j := jobs()[0]
		patch := client.MergeFrom(j.DeepCopy())
		j.OwnerReferences = nil
		Expect(world.ControlPlane.Client.Patch(ctx, &j, patch)).To(Succeed())
		world.Seen(&j)
		_, err := runs()
		fails(err, v1alpha1.ReasonJobFailed, "is not this Secret's")
		Expect(service().DeleteJob(ctx, s, run)).To(Succeed())
		Expect(jobs()).To(HaveLen(1))
		Expect(jobs()[0].DeletionTimestamp).To(BeNil())
	})

	It("that is gone is deleted without an error", func() {
		Expect(service().DeleteJob(ctx, s, run)).To(Succeed())
	})
})
