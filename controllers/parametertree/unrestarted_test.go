package parametertree_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/parametertree"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/test/environment"
)

// A typing error in spec.target.restart is enough for it.
var _ = Describe("A tree whose restart fails", func() {
	It("knows what it shows, takes a value out that has its end, and is held by the budget of its namespace", func() {
		a := put("a", "/p/a", "1")
		t := tree(restarting("a..b"))
		reconcile(t)
		c := put("c", "/p/c", "3")
		change(a, "2")
		reconcile(t)
		refused(t, v1alpha1.ReasonInvalidSelector)
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "2", "c": "3"}))
		Expect(t.Status.Projection).To(And(HaveField("Keys", []string{"a", "c"}), HaveField("Digest", projection.Unrestarted)))

		By("deleting a parameter while the others cannot be shown")
		declare("z", "/p/z")
		world.Remove(c)
		reconcile(t)
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "2"}))

		By("spending what the namespace may have written")
		budget := projection.NewBudget(world.Clock.Now)
		budget.Settle(world.Namespace, "somebody", 100<<20)
		world.ParameterTree.Pace = parametertree.NewPace(budget, world.Clock.Now)
		DeferCleanup(func() { world.ParameterTree.Pace = nil })
		result, err := world.ParameterTree.Reconcile(ctx, environment.Request(t))
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(Equal(10 * time.Second))
	})

	It("is restarted without a wait for bytes if all is written, and waits with another content, for which it is read once", func() {
		a := put("a", "/p/a", "1")
		t := tree(restarting("a..b"))
		reconcile(t)
		change(a, "2")
		reconcile(t)
		Expect(t.Status.Projection.Digest).To(Equal(projection.Unrestarted))
		budget := projection.NewBudget(world.Clock.Now)
		former := world.ParameterTree.Projector.Budget
		world.ParameterTree.Projector.Budget, world.ParameterTree.Pace = budget, parametertree.NewPace(budget, world.Clock.Now)
		DeferCleanup(func() { world.ParameterTree.Projector.Budget, world.ParameterTree.Pace = former, nil })
		budget.Settle(world.Namespace, "somebody", 8<<20)
		once := func() time.Duration {
			GinkgoHelper()
			result, err := world.ParameterTree.Reconcile(ctx, environment.Request(t))
			Expect(err).NotTo(HaveOccurred())
			world.Refresh(t)
			world.Seen(t)
			return result.RequeueAfter
		}
		once()
		refused(t, v1alpha1.ReasonInvalidSelector)
		Expect(budget.Waiting()).To(BeZero())

		change(a, "3")
		Expect(once()).To(BeNumerically(">", 0), "nothing but the time asks for it again")
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "2"}))
		Expect(budget.Waiting()).To(Equal(1))
		before := t.ResourceVersion
		for held := once(); held > 0 && t.ResourceVersion == before; held = once() {
			Expect(held).To(BeNumerically("<=", 10*time.Second))
			world.Clock.Advance(held)
		}
		refused(t, v1alpha1.ReasonInvalidSelector)
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "3"}))
		Expect(budget.Waiting()).To(BeZero())
	})
})
