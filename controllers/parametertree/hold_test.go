package parametertree_test

import (
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/parametertree"
	"strongroom.dev/strongroom/internal/core/fairshare"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("Trees of a namespace that have had many bytes written", func() {
	const (
		members = 40 // of 8,000 characters each: a write of a tree is some 330 KB
		burst   = 4 << 20
	)
	var (
		first  *v1alpha1.Parameter
		budget *fairshare.Budget
	)
	large := func(p *v1alpha1.Parameter) { p.Spec.Tier = v1alpha1.TierAdvanced }
	text := func(n int) string { return strings.Repeat(fmt.Sprintf("%08d", n), 1000) }
	BeforeEach(func() {
		budget = projection.NewBudget(world.Clock.Now)
		world.ParameterTree.Pace = parametertree.NewPace(budget, world.Clock.Now)
		DeferCleanup(func() { world.ParameterTree.Pace = nil })
		for n := range members {
			p := put(fmt.Sprint("x", n), fmt.Sprint("/p/x", n), text(n), large)
			if n == 0 {
				first = p
			}
		}
	})
	// once makes one pass, and tells how long the tree is held.
	once := func(t *v1alpha1.ParameterTree) time.Duration {
		GinkgoHelper()
		before := t.DeepCopy()
		result, err := world.ParameterTree.Reconcile(ctx, environment.Request(t))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(t)
		world.Seen(t)
		if t.ResourceVersion != before.ResourceVersion {
			return 0
		}
		return result.RequeueAfter
	}
	// spend changes a parameter until the tree is held, within one second, and tells how many writes that took.
	spend := func(t *v1alpha1.ParameterTree) (writes int) {
		GinkgoHelper()
		for n := range 40 {
			change(first, text(n+1000))
			if held := once(t); held > 0 {
				return writes
			}
			writes++
		}
		Fail("it is never held")
		return 0
	}

	It("are held as their budget says, show what they showed meanwhile, and then all that has changed", func() {
		t := ready()
		writes := spend(t)
		Expect(writes).To(BeNumerically("~", burst/(members*8200), 2))
		inForce(t)
		shown := configMap("tree").Data["x0"]
		Expect(shown).To(Equal(text(999+writes)), "the last that was written")
		total := time.Duration(0)
		for held := once(t); held > 0; held = once(t) {
			Expect(held).To(BeNumerically("<=", 10*time.Second))
			world.Clock.Advance(held)
			total += held
		}
		Expect(total).To(BeNumerically("~", 600*time.Millisecond, 600*time.Millisecond))
		Expect(configMap("tree").Data["x0"]).To(Equal(text(1000 + writes)))
	})

	It("are not held when their own spec changes, nor new ones", func() {
		t := ready()
		spend(t)
		world.Update(t, func() { snake(t) })
		Expect(once(t)).To(BeZero())
		Expect(configMap("tree").Data).To(HaveKey("X0"))
		other := environment.ParameterTree(world.Namespace, "other", "/p")
		world.Create(other)
		Expect(once(other)).To(BeZero())
		Expect(configMap("other").Data).To(HaveLen(members))
	})

	It("are held when specs change without end", func() {
		t := ready()
		writes := 0
		for ; writes < 400; writes++ {
			world.Update(t, func() {
				t.Spec.Keys = &v1alpha1.ParameterTreeKeys{Format: []v1alpha1.ParameterKeyFormat{v1alpha1.KeyDotted, v1alpha1.KeyUpperSnake}[writes%2]}
			})
			if once(t) > 0 {
				break
			}
		}
		Expect(writes).To(BeNumerically("~", (64<<20)/(members*8200)/2, 10), "each is two writes of the target: of the keys that come, and of those that go")
	})

	It("are not held when a parameter is deleted, which they look at once a second", func() {
		t := ready()
		budget.Settle(world.Namespace, "somebody", 16<<20) // half a minute's
		change(first, text(1))
		Expect(once(t)).To(Equal(10 * time.Second))
		world.Remove(first)
		Expect(once(t)).To(Equal(time.Second), "another tree of the namespace has looked in this moment")
		world.Clock.Advance(time.Second)
		Expect(once(t)).To(BeZero())
		Expect(configMap("tree").Data).To(HaveLen(members - 1))
	})

	It("are held in other namespaces by what those spend alone", func() {
		t := ready()
		spend(t)
		world.Fresh()
		first = put("x", "/p/x", "1")
		other := ready()
		change(first, "2")
		Expect(once(other)).To(BeZero())
		Expect(configMap("tree").Data).To(Equal(map[string]string{"x": "2"}))
	})

	It("give back what they have booked when they are deleted, though somebody's finalizer holds them", func() {
		t := ready(func(t *v1alpha1.ParameterTree) { t.Finalizers = []string{"example.com/hold"} })
		spend(t)
		payer := "ParameterTree/" + world.Namespace + "/tree"
		Expect(budget.Booked(payer)).To(BeTrue())
		DeferCleanup(func() {
			world.Refresh(t)
			t.Finalizers = nil
			Expect(world.ControlPlane.Client.Update(ctx, t)).To(Succeed())
		})
		Expect(world.ControlPlane.Client.Delete(ctx, t)).To(Succeed())
		world.Refresh(t)
		world.Seen(t)
		_, err := world.ParameterTree.Reconcile(ctx, environment.Request(t))
		Expect(err).NotTo(HaveOccurred())
		Expect(budget.Booked(payer)).To(BeFalse())
	})

	It("pay nothing for passes that write nothing", func() {
		t := ready()
		for range 40 {
			result, err := world.ParameterTree.Reconcile(ctx, environment.Request(t))
			Expect(err).NotTo(HaveOccurred())
			Expect(result.RequeueAfter).To(BeZero())
		}
		Expect(spend(t)).To(BeNumerically(">", 10))
	})
})
