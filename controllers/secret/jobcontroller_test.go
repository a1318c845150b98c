package secret_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

// Kubernetes' own controller of Jobs makes the pods and says how the Jobs ended; a whole manager runs, and what it watches is all that makes a
// pass. The spec is the kubelet and the container: it carries out the step, and says that the pod has ended.
var _ = Describe("A rotation by Jobs with Kubernetes' own controller of Jobs", func() {
	It("rotates by itself, and goes on after a pod that failed", func() {
		rotator("rotate", func(c *batchv1.CronJob) {
			two := int32(2)
			c.Spec.JobTemplate.Spec.BackoffLimit = &two
		})
		s := byJob("db", "rotate") // says itself how the Job ended that tries the rotator first, so that the controller begins after it
		stop, err := cp.RunControllerManager(ctx, GinkgoT().TempDir(), "job-controller")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(stop)
		op, err := environment.RunOperator(ctx, cp.Config, operator.Options{})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(op.Stop)
		update(s, func() { annotate(v1alpha1.RotateAnnotation, "1")(s) })

		failed := false
		ended, pods := map[string]bool{}, map[string]int{}
		Eventually(func() string {
			var list corev1.PodList
			Expect(cp.Client.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
			for i := range list.Items {
				pod := &list.Items[i]
				if ended[pod.Name] || !pod.DeletionTimestamp.IsZero() {
					continue
				}
				ended[pod.Name] = true
				pod.Status.Phase = corev1.PodSucceeded
				step := stepOf(pod)
				pods[step]++
				if step == "setSecret" && !failed {
					failed, pod.Status.Phase = true, corev1.PodFailed
				}
				carryOut(s, &batchv1.Job{Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: pod.Spec}}}, "second")
				Expect(cp.Client.Status().Update(ctx, pod)).To(Succeed())
			}
			refresh(s)
			if s.Status.Rotation != nil || s.Status.LastHandledRotateAt != "1" {
				return "in progress"
			}
			return value(s, v1alpha1.StageCurrent)
		}).WithTimeout(2 * time.Minute).WithPolling(100 * time.Millisecond).Should(Equal("second"))
		Expect(failed).To(BeTrue())
		// The rotator is new, so it may have been tested alone before the rotation was asked for.
		Expect(pods["testSecret"]).To(Or(Equal(1), Equal(2)))
		delete(pods, "testSecret")
		Expect(pods).To(Equal(map[string]int{"createSecret": 1, "setSecret": 2, "finishSecret": 1}), "four steps, one of them by two pods")
		Eventually(func() string { return projected("db")["value"] }).Should(Equal("second"))
		Eventually(jobs).Should(BeEmpty())
	})
})

func stepOf(pod *corev1.Pod) string {
	for _, v := range pod.Spec.Containers[0].Env {
		if v.Name == "ROTATION_STEP" {
			return v.Value
		}
	}
	return ""
}
