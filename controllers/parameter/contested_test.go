package parameter_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// pass makes one and says when the next is wanted.
func pass(p *v1alpha1.Parameter) ctrl.Result {
	GinkgoHelper()
	result, err := world.Parameter.Reconcile(ctx, environment.Request(p))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(p)
	world.Seen(p)
	return result
}

var _ = Describe("Another controller that undoes each write of a Parameter's target", func() {
	for name, target := range map[string]struct {
		change  func(*v1alpha1.Parameter)
		read    func(name string) client.Object
		spoil   func(client.Object)
		intact  func(p *v1alpha1.Parameter) bool
		message string
	}{
		"a ConfigMap": {
			change:  func(*v1alpha1.Parameter) {},
			read:    func(name string) client.Object { return configMap(name) },
			spoil:   func(o client.Object) { o.(*corev1.ConfigMap).Data["LOG_LEVEL"] = "hacked" },
			intact:  func(*v1alpha1.Parameter) bool { return configMap("a").Data["LOG_LEVEL"] == "info" },
			message: "ConfigMap a: other-operator",
		},
		"a core Secret": {
			change:  secure("key"),
			read:    func(name string) client.Object { return coreSecret(name) },
			spoil:   func(o client.Object) { o.(*corev1.Secret).Data["password"] = []byte("hacked") },
			intact:  func(p *v1alpha1.Parameter) bool { return string(coreSecret("a").Data["password"]) == stored(p, 1) },
			message: "core Secret a: other-operator",
		},
	} {
		It("of kind "+name+" is written against five times, is then said by name, and no more once it stops", func() {
			world.ReadyKey("key")
			p := ready("a", target.change)
			healed := 0
			for range 20 {
				rival := target.read("a")
				target.spoil(rival)
				Expect(world.ControlPlane.Client.Update(ctx, rival, client.FieldOwner("other-operator"))).To(Succeed())
				world.Seen(rival)
				pass(p)
				if target.intact(p) {
					healed++
					world.Seen(target.read("a"))
				}
				world.Clock.Advance(100 * time.Millisecond)
			}
			Expect(healed).To(Equal(5))
			Expect(condition(p)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonConflict)))
			Expect(condition(p).Message).To(And(ContainSubstring(target.message), ContainSubstring("stop it there")))

			By("the end of the fight")
			began := world.Clock.Now()
			for condition(p).Status != metav1.ConditionTrue {
				Expect(world.Clock.Now().Sub(began)).To(BeNumerically("<", 5*time.Minute))
				after := pass(p).RequeueAfter
				if condition(p).Status != metav1.ConditionTrue {
					Expect(after).To(BeNumerically(">", 0), "it looks again by itself")
				}
				world.Seen(target.read("a"))
				world.Clock.Advance(after)
			}
			Expect(target.intact(p)).To(BeTrue())
		})
	}

	It("keeps no new value from being shown", func() {
		p := ready("a")
		for range 8 {
			rival := configMap("a")
			world.Update(rival, func() { rival.Data["LOG_LEVEL"] = "hacked" })
			pass(p)
			world.Seen(configMap("a"))
		}
		Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonConflict))
		world.Update(p, func() { p.Spec.Value = "debug" })
		pass(p)
		Expect(condition(p).Status).To(Equal(metav1.ConditionTrue))
		Expect(configMap("a").Data).To(HaveKeyWithValue("LOG_LEVEL", "debug"))
	})
})

var _ = Describe("A Parameter that follows a core Secret", func() {
	source := func() *corev1.Secret {
		GinkgoHelper()
		s := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: world.Namespace, Name: "source", Labels: map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedSource},
			},
			Data: map[string][]byte{"k": []byte("0")},
		}
		world.Create(s)
		return s
	}
	follows := func(name string) func(*v1alpha1.Parameter) {
		return func(p *v1alpha1.Parameter) {
			p.Spec.Generate = nil
			p.Spec.ValueFrom = &v1alpha1.SecretValueSource{
				SecretKeyRef: v1alpha1.SecretKeyReference{Name: name, Key: "k"}, Policy: v1alpha1.ImportFollow,
			}
		}
	}

	It("which changes all the time makes five versions a minute, and the newest value is not lost", func() {
		world.ReadyKey("key")
		s := source()
		p := ready("a", secure("key"), follows("source"))
		var wait time.Duration
		for n := range 20 {
			world.Update(s, func() { s.Data["k"] = fmt.Append(nil, n) })
			world.Clock.Advance(time.Second)
			wait = pass(p).RequeueAfter
		}
		Expect(p.Status.Version).To(Equal(int64(5)))
		Expect(wait).To(And(BeNumerically(">", 30*time.Second), BeNumerically("<=", time.Minute)))
		Expect(condition(p).Status).To(Equal(metav1.ConditionTrue))
		world.Clock.Advance(wait)
		pass(p)
		Expect(stored(p, 6)).To(Equal("19"))
	})

	It("which a Secret makes of its own target is a Cycle, which ends with either", func() {
		world.ReadyKey("key")
		secret := environment.Secret(world.Namespace, "b", func(s *v1alpha1.Secret) {
			s.Spec.Generate, s.Spec.Target.Name = nil, "x"
			s.Spec.ValueFrom = &v1alpha1.SecretValueSource{
				SecretKeyRef: v1alpha1.SecretKeyReference{Name: "a", Key: "password"}, Policy: v1alpha1.ImportFollow,
			}
		})
		world.Create(secret)
		p := create("a", secure("key"), follows("x"))
		pass(p)
		Expect(condition(p)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonCycle)))
		_, err := world.Secret.Reconcile(ctx, environment.Request(secret))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(secret)
		Expect(secret.Status.Conditions).To(ContainElement(HaveField("Reason", v1alpha1.ReasonCycle)))
		world.Remove(secret)
		pass(p)
		Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonSourceNotFound), "nobody makes the source now")
	})
})
