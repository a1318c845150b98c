package secret_test

import (
	"fmt"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

// kstatus is how kubectl's and Flux's library reads an object.
// https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
func kstatus(s *v1alpha1.Secret) string {
	is := func(conditionType string, status metav1.ConditionStatus) bool {
		c := condition(s, conditionType)
		return c != nil && c.Status == status
	}
	switch {
	case s.Status.ObservedGeneration != s.Generation, is(v1alpha1.ConditionReconciling, metav1.ConditionTrue):
		return "InProgress"
	case is(v1alpha1.ConditionStalled, metav1.ConditionTrue):
		return "Failed"
	case is(v1alpha1.ConditionReady, metav1.ConditionFalse), is(v1alpha1.ConditionReady, metav1.ConditionUnknown):
		return "InProgress"
	}
	return "Current"
}

// contradiction says what is wrong with the conditions of an object, at any moment of its life.
func contradiction(s *v1alpha1.Secret) string {
	ready, reconciling, stalled := condition(s, v1alpha1.ConditionReady), condition(s, v1alpha1.ConditionReconciling), condition(s, v1alpha1.ConditionStalled)
	suspended := ready != nil && ready.Reason == v1alpha1.ReasonSuspended
	switch {
	case ready == nil:
		return "Ready is not there"
	case reconciling != nil && reconciling.Status != metav1.ConditionTrue, stalled != nil && stalled.Status != metav1.ConditionTrue:
		return "Reconciling or Stalled is there and not true"
	case reconciling != nil && stalled != nil:
		return "Reconciling and Stalled at once"
	case ready.Status == metav1.ConditionTrue && (reconciling != nil || stalled != nil):
		return "Ready, and Reconciling or Stalled"
	case ready.Status != metav1.ConditionTrue && reconciling == nil && stalled == nil && !suspended:
		return "not Ready, and neither Reconciling nor Stalled"
	case s.Status.ObservedGeneration > s.Generation:
		return "a generation is observed that is not there yet"
	case len(s.Status.Conditions) > 3:
		return "a condition that nobody knows"
	case ready.Status == metav1.ConditionTrue && len(s.Status.Versions) == 0:
		return "Ready without a version"
	}
	for _, c := range s.Status.Conditions {
		switch {
		case s.Status.ObservedGeneration != -1 && c.ObservedGeneration != s.Status.ObservedGeneration:
			return c.Type + " speaks of another generation than status"
		case c.Reason == "" || c.Message == "":
			return c.Type + " says nothing"
		case c.Type != v1alpha1.ConditionReady && (c.Reason != ready.Reason || c.Message != ready.Message):
			return c.Type + " says something else than Ready"
		}
	}
	return ""
}

var _ = Describe("At every moment of its life", func() {
	It("a Secret's status is one that kstatus reads right", func() {
		watching, err := client.NewWithWatch(cp.Config, client.Options{Scheme: operator.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		stream, err := watching.Watch(ctx, &v1alpha1.SecretList{}, client.InNamespace(namespace))
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(stream.Stop)
		var moments []*v1alpha1.Secret
		var wait sync.WaitGroup
		wait.Go(func() {
			for e := range stream.ResultChan() {
				if s, ok := e.Object.(*v1alpha1.Secret); ok {
					moments = append(moments, s)
				}
			}
		})

		s := environmentSecret("db", template("keys", both), func(s *v1alpha1.Secret) { s.Spec.KMSKeyRef.Name = "late" })
		create(s)
		Expect(kstatus(s)).To(Equal("InProgress"), "nobody has seen it yet")
		step := func(change func(), want, reason string) {
			GinkgoHelper()
			former := s.Generation
			if change != nil {
				update(s, change)
			}
			if s.Generation != former {
				Expect(kstatus(s)).To(Equal("InProgress"), "the change is not seen yet")
			}
			reconcile(s)
			Expect(condition(s, v1alpha1.ConditionReady).Reason).To(Equal(reason))
			Expect(kstatus(s)).To(Equal(want), reason)
			Expect(s.Status.ObservedGeneration).To(Equal(s.Generation))
		}
		step(nil, "Failed", v1alpha1.ReasonKeyNotFound)
		late := environment.KMSKey(namespace, "late")
		create(late)
		step(nil, "InProgress", v1alpha1.ReasonKeyUnusable)
		reconcileKey(late)
		step(nil, "Current", v1alpha1.ReasonSucceeded)
		step(func() { annotate(v1alpha1.RotateAnnotation, "1")(s) }, "Current", v1alpha1.ReasonSucceeded)
		step(func() { template("keys", "{{ .nothing }}")(s) }, "Failed", v1alpha1.ReasonInvalidTemplate)
		step(func() { s.Spec.Description = "still broken" }, "Failed", v1alpha1.ReasonInvalidTemplate)
		step(func() { template("keys", both)(s) }, "Current", v1alpha1.ReasonSucceeded)
		step(func() { s.Spec.Rotation = &v1alpha1.SecretRotation{Schedule: "cron(0 4 31 2 ? *)"} }, "Failed", v1alpha1.ReasonInvalidSchedule)
		step(func() { s.Spec.Suspend = true }, "InProgress", v1alpha1.ReasonSuspended)
		step(func() { s.Spec.Rotation = nil }, "InProgress", v1alpha1.ReasonSuspended)
		step(func() { s.Spec.Suspend = false }, "Current", v1alpha1.ReasonSucceeded)
		step(func() { s.Spec.Generate, s.Spec.ValueFrom = nil, importSource("nowhere") }, "InProgress", v1alpha1.ReasonSourceNotFound)
		create(coreSecret("foreign", nil))
		step(func() {
			s.Spec.ValueFrom = nil
			s.Spec.Generate = &v1alpha1.SecretGenerator{UUID: &v1alpha1.UUIDGenerator{}}
			s.Spec.Target.Name = "foreign"
		}, "Failed", v1alpha1.ReasonConflict)
		step(func() { s.Spec.Target.Name = "" }, "Current", v1alpha1.ReasonSucceeded)
		update(late, func() { no := false; late.Spec.Enabled = &no })
		reconcileKey(late)
		step(nil, "InProgress", v1alpha1.ReasonKeyUnusable)

		last := s.ResourceVersion
		remove(s)
		stream.Stop()
		wait.Wait()
		Expect(len(moments)).To(BeNumerically(">", 25))
		Expect(moments).To(ContainElement(HaveField("ResourceVersion", last)))
		for _, moment := range moments {
			Expect(contradiction(moment)).To(BeEmpty(), fmt.Sprintf("%+v", moment.Status))
		}
	})

	It("a condition's time of transition moves only when its status does", func() {
		s := made("db", template("keys", both))
		before := condition(s, v1alpha1.ConditionReady).LastTransitionTime
		s.Status.Conditions[0].LastTransitionTime = metav1.Unix(before.Unix()-1000, 0)
		Expect(cp.Client.Status().Update(ctx, s)).To(Succeed())
		seen(s)
		reconcile(rotate(s))
		Expect(condition(s, v1alpha1.ConditionReady).LastTransitionTime.Unix()).To(Equal(before.Unix() - 1000))
		update(s, func() { template("keys", "{{ .nothing }}")(s) })
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady).LastTransitionTime.Unix()).To(BeNumerically(">=", before.Unix()))
	})
})

func importSource(name string) *v1alpha1.SecretValueSource {
	return &v1alpha1.SecretValueSource{
		SecretKeyRef: v1alpha1.SecretKeyReference{Name: name, Key: "password"}, Policy: v1alpha1.ImportFollow,
	}
}
