package secret_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// tampered changes a core Secret as another controller does that watches it.
func tampered(name string, change func(*corev1.Secret)) {
	GinkgoHelper()
	t := target(name)
	change(t)
	Expect(cp.Client.Update(ctx, t, client.FieldOwner("other-operator"))).To(Succeed())
	seen(t)
}

func hacked(t *corev1.Secret) { t.Data["value"] = []byte("hacked") }

// fought has another controller undo each write of a target, with a pass after each, and counts the passes that wrote.
func fought(s *v1alpha1.Secret, rounds int, every time.Duration, undo func()) (written int) {
	GinkgoHelper()
	for range rounds {
		undo()
		before := target(s.Status.Projection.Name).ResourceVersion
		reconcile(s)
		if t := target(s.Status.Projection.Name); t.ResourceVersion != before {
			seen(t)
			written++
		}
		env.Clock.Advance(every)
	}
	return written
}

// settledAgain makes passes until a Secret is Ready, and says how long that took.
func settledAgain(s *v1alpha1.Secret) time.Duration {
	GinkgoHelper()
	began := env.Clock.Now()
	for range 100 {
		after := reconcile(s).RequeueAfter
		if condition(s, v1alpha1.ConditionReady).Status == metav1.ConditionTrue {
			return env.Clock.Now().Sub(began)
		}
		Expect(after).To(BeNumerically(">", 0), "it looks again by itself")
		env.Clock.Advance(after)
	}
	Fail("it does not become Ready")
	return 0
}

var _ = Describe("Another controller that writes a key of the target again and again", func() {
	merging := func(s *v1alpha1.Secret) {
		create(coreSecret("db", map[string]string{"theirs": "1"}))
		s.Spec.Target.CreationPolicy = v1alpha1.CreationPolicyMerge
	}
	for name, change := range map[string]func(*v1alpha1.Secret){
		"of policy Owner": func(*v1alpha1.Secret) {},
		"of policy Adopt": policy(v1alpha1.CreationPolicyAdopt),
		"of policy Merge": merging,
	} {
		It(name+" is written against a few times and is then said, by name, without a write of status for each round", func() {
			s := made("db", change)
			value := projected("db")["value"]
			Expect(fought(s, 50, 100*time.Millisecond, func() { tampered("db", hacked) })).To(BeNumerically("~", 5, 1))
			is(s, metav1.ConditionFalse, v1alpha1.ReasonConflict, "core Secret db", "other-operator", "stop it there")
			Expect(condition(s, v1alpha1.ConditionStalled)).NotTo(BeNil())
			held := s.ResourceVersion
			Expect(fought(s, 20, 100*time.Millisecond, func() { tampered("db", hacked) })).To(BeZero())
			Expect(s.ResourceVersion).To(Equal(held))

			By("the end of the fight")
			Expect(settledAgain(s)).To(BeNumerically("<", 5*time.Minute))
			isReady(s)
			Expect(projected("db")).To(HaveKeyWithValue("value", value))

			By("a single edit afterwards")
			tampered("db", hacked)
			reconcile(s)
			isReady(s)
			Expect(projected("db")).To(HaveKeyWithValue("value", value))
		})
	}

	It("is tried again ever more rarely while it goes on, without being Ready in between", func() {
		s := made("db")
		fought(s, 10, time.Second, func() { tampered("db", hacked) })
		env.DrainEvents()
		tries := fought(s, 120, 30*time.Second, func() {
			tampered("db", hacked)
			is(s, metav1.ConditionFalse, v1alpha1.ReasonConflict, "other-operator")
		})
		Expect(tries).To(BeNumerically("~", 14, 2), "in an hour")
		Expect(env.DrainEvents()).To(BeEmpty(), "all is said already")
	})

	It("is not there if somebody edits it by hand: that is healed at once, each time", func() {
		s := made("db")
		Expect(fought(s, 12, 15*time.Second, func() { tampered("db", hacked) })).To(Equal(12))
		isReady(s)
	})

	It("by deleting it is held back too", func() {
		s := made("db")
		made := 0
		for range 20 {
			if !gone("db") {
				remove(target("db"))
			}
			reconcile(s)
			if !gone("db") {
				made++
			}
		}
		Expect(made).To(Equal(5))
		is(s, metav1.ConditionFalse, v1alpha1.ReasonConflict, "somebody who deletes it")
		settledAgain(s)
		Expect(gone("db")).To(BeFalse())
	})

	It("does not keep a rotation from being shown, nor a target from being another", func() {
		s := made("db")
		fought(s, 10, time.Second, func() { tampered("db", hacked) })
		is(s, metav1.ConditionFalse, v1alpha1.ReasonConflict)
		reconcile(rotate(s))
		isReady(s)
		Expect(projected("db")).To(HaveKeyWithValue("value", value(s, v1alpha1.StageCurrent)))
		fought(s, 10, time.Second, func() { tampered("db", hacked) })
		is(s, metav1.ConditionFalse, v1alpha1.ReasonConflict)
		update(s, func() { s.Spec.Target.Name = "elsewhere" })
		reconcile(s)
		isReady(s)
		Expect(projected("elsewhere")).To(HaveKeyWithValue("value", value(s, v1alpha1.StageCurrent)))
		Expect(gone("db")).To(BeTrue())
	})

	It("takes nothing of another Secret's haste", func() {
		s, other := made("db"), made("other")
		fought(s, 10, time.Second, func() { tampered("db", hacked) })
		tampered("other", hacked)
		reconcile(other)
		isReady(other)
		Expect(projected("other")["value"]).NotTo(Equal("hacked"))
	})

	// A restart that fails keeps the pass from being committed, so that status never knows the data.
	It("is held back also while the restarts of a rotation fail", func() {
		r, c := contestedBy(func(_ int, what string) bool { return what == "apply *v1.DeploymentApplyConfiguration" })
		s := made("db", workloads("db"))
		rotate(s)
		written := 0
		for range 20 {
			tampered("db", hacked)
			before := versionOf("db")
			_, err := r.Secret.Reconcile(ctx, environment.Request(s))
			Expect(err).To(Or(Succeed(), MatchError(apierrors.IsConflict, "a conflict")))
			if t := target("db"); t.ResourceVersion != before {
				seen(t)
				written++
			}
		}
		Expect(c.refused).To(BeNumerically(">", 0))
		Expect(written).To(Equal(5))
	})
})

var _ = Describe("The manager", func() {
	It("forgets a fight when it starts anew, and learns of it again", func() {
		s := made("db")
		fought(s, 10, time.Second, func() { tampered("db", hacked) })
		again, writes := env.Faulty()
		for n := range 10 {
			tampered("db", func(t *corev1.Secret) { t.Data["value"] = fmt.Append(nil, "hacked ", n) })
			_, err := again.Secret.Reconcile(ctx, environment.Request(s))
			Expect(err).NotTo(HaveOccurred())
			seen(target("db"))
		}
		Expect(writes.Log()).To(HaveLen(7), "five heals, Ready, and not Ready: %v", writes.Log())
		refresh(s)
		is(s, metav1.ConditionFalse, v1alpha1.ReasonConflict, "other-operator")
	})
})
