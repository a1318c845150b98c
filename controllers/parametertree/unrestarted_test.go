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
})
