package parameter_test

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

var _ = Describe("A Parameter that was deleted and that a finalizer of somebody else's holds", func() {
	// held makes one that is Ready, and deletes it.
	held := func(finalizers int, changes ...func(*v1alpha1.Parameter)) *v1alpha1.Parameter {
		GinkgoHelper()
		p := ready("a", append(changes, func(p *v1alpha1.Parameter) {
			for n := range finalizers {
				p.Finalizers = append(p.Finalizers, fmt.Sprintf("example.com/hold-%d", n))
			}
		})...)
		DeferCleanup(func() {
			world.Refresh(p)
			p.Finalizers = nil
			Expect(world.ControlPlane.Client.Update(ctx, p)).To(Succeed())
		})
		Expect(world.ControlPlane.Client.Delete(ctx, p.DeepCopy())).To(Succeed())
		world.Refresh(p)
		world.Seen(p)
		return p
	}

	It("is shown no more and not Ready, and says what holds it; another pass writes nothing", func() {
		p := held(7)
		reconcile(p)
		gone(&corev1.ConfigMap{}, "a")
		Expect(condition(p)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonTerminating),
			HaveField("Message", And(ContainSubstring("example.com/hold-4, and 2 more"), Not(ContainSubstring("hold-5"))))))
		Expect(p.Status.Projection).To(BeNil())
		before := p.ResourceVersion
		reconcile(p)
		Expect(p.ResourceVersion).To(Equal(before))
	})

	It("is shown no more though it is suspended, and status has lost where it is shown", func() {
		p := held(1)
		p.Status.Projection = nil
		Expect(world.ControlPlane.Client.Status().Update(ctx, p)).To(Succeed())
		world.Update(p, func() { p.Spec.Suspend = true })
		reconcile(p)
		gone(&corev1.ConfigMap{}, "a")
	})

	It("leaves what is another's: the target that it merged into, with its key, as when it goes at once", func() {
		foreign("shared", map[string]string{"theirs": "x"})
		p := held(1, shown(&at{Name: "shared", Key: "mine", CreationPolicy: v1alpha1.CreationPolicyMerge}, nil))
		reconcile(p)
		Expect(configMap("shared").Data).To(Equal(map[string]string{"theirs": "x", "mine": "info"}))
		Expect(condition(p)).To(HaveField("Reason", v1alpha1.ReasonTerminating))
	})

	// The API server takes the finalizer for the policy of a request that has none, and refuses to add it once the deletion has begun.
	It("goes with its target for whoever says so, as kubectl does, though somebody has put the finalizer on it that makes orphans", func() {
		planted := func(p *v1alpha1.Parameter) {
			p.Finalizers = append(p.Finalizers, metav1.FinalizerOrphanDependents, "example.com/hold")
		}
		p := ready("a", planted)
		DeferCleanup(func() {
			world.Refresh(p)
			p.Finalizers = nil
			Expect(world.ControlPlane.Client.Update(ctx, p)).To(Succeed())
		})
		Expect(world.ControlPlane.Client.Delete(ctx, p.DeepCopy(), client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
		world.Refresh(p)
		world.Seen(p)
		Expect(p.Finalizers).To(Equal([]string{"example.com/hold"}))
		late := p.DeepCopy()
		planted(late)
		Expect(apierrors.IsInvalid(world.ControlPlane.Client.Update(ctx, late))).To(BeTrue())
		reconcile(p)
		gone(&corev1.ConfigMap{}, "a")
	})

	It("leaves its target to whoever deletes it so that its dependents become orphans", func() {
		p := ready("a")
		DeferCleanup(func() {
			world.Refresh(p)
			p.Finalizers = nil
			Expect(world.ControlPlane.Client.Update(ctx, p)).To(Succeed())
		})
		Expect(world.ControlPlane.Client.Delete(ctx, p.DeepCopy(), client.PropagationPolicy(metav1.DeletePropagationOrphan))).To(Succeed())
		world.Refresh(p)
		world.Seen(p)
		reconcile(p)
		Expect(configMap("a").Data).To(HaveKeyWithValue("LOG_LEVEL", "info"))
		Expect(condition(p)).To(HaveField("Reason", v1alpha1.ReasonTerminating))
	})
})
