package parametertree_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/parametertree"
	"strongroom.dev/strongroom/internal/core/fairshare"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/test/environment"
)

// A value has its end, whatever its namespace has had written.
var _ = Describe("A tree of a namespace whose bytes are spent", func() {
	var (
		budget *fairshare.Budget
		faulty *environment.Reconcilers
		writes *environment.FaultyClient
		a, b   *v1alpha1.Parameter
	)
	BeforeEach(func() {
		faulty, writes = world.Faulty()
		budget = projection.NewBudget(world.Clock.Now)
		faulty.ParameterTree.Pace = parametertree.NewPace(budget, world.Clock.Now)
		a, b = put("a", "/p/a", "1"), put("b", "/p/b", "2")
	})
	// once makes one pass, and tells when the next one is and what this one wrote.
	once := func(t *v1alpha1.ParameterTree) (time.Duration, []string) {
		GinkgoHelper()
		writes.FailAt(0, false)
		result, err := faulty.ParameterTree.Reconcile(ctx, environment.Request(t))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(t)
		world.Seen(t)
		return result.RequeueAfter, writes.Log()
	}
	shown := func(changes ...edit) *v1alpha1.ParameterTree {
		GinkgoHelper()
		t := tree(changes...)
		once(t)
		inForce(t)
		world.Seen(configMap("tree"))
		return t
	}
	// spend leaves nothing for changes for half a minute.
	spend := func() { budget.Settle(world.Namespace, "somebody", 16<<20) }
	// wait lets the time of a tree come, and tells what was written meanwhile.
	wait := func(t *v1alpha1.ParameterTree) (all []string) {
		GinkgoHelper()
		for range 10 {
			held, log := once(t)
			all = append(all, log...)
			if held == 0 || len(log) > 0 {
				return all
			}
			Expect(held).To(BeNumerically("<=", 10*time.Second))
			world.Clock.Advance(held)
		}
		Fail("it waits for ever")
		return nil
	}

	It("loses what is deleted by one write of the target, and restarts workloads then if nothing else waits", func() {
		web := deployment("web")
		t := shown(restarting("web"))
		spend()
		world.Remove(b)
		next, log := once(t)
		Expect(log).To(Equal([]string{"patch", "apply", "status"}), "the target, the Deployment, status")
		Expect(next).To(BeZero())
		inForce(t)
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "1"}))
		world.Refresh(web)
		Expect(web.Generation).To(Equal(int64(2)))
		world.Seen(configMap("tree"))
		change(a, "3")
		held, log := once(t)
		Expect(held).To(BeNumerically(">", 0), "it has not bought a change by that")
		Expect(log).To(BeEmpty())
	})

	It("loses what is deleted or has expired while what has changed waits, stays Ready, and restarts workloads once, with the rest", func() {
		web := deployment("web")
		restarts := func() int64 {
			GinkgoHelper()
			world.Refresh(web)
			return web.Generation - 1
		}
		put("c", "/p/c", "3", expires(time.Hour))
		t := shown(restarting("web"))
		before := condition(t).DeepCopy()
		world.Clock.Advance(2 * time.Hour)
		spend()
		world.Remove(b)
		change(a, "another")
		next, log := once(t)
		Expect(log).To(Equal([]string{"patch", "status"}))
		Expect(next).To(Equal(10 * time.Second))
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "1"}), "all that has its end has gone, and nothing has come")
		Expect(t.Status.Projection.Keys).To(Equal([]string{"a"}))
		Expect(t.Status.Projection.Shows).To(HaveLen(1))
		Expect(t.Status.Parameters).To(Equal(int32(1)))
		Expect(t.Status.Projection.Digest).To(Equal(projection.Withdrawn), "workloads are restarted though all should become as it was before")
		Expect(condition(t)).To(Equal(before))
		Expect(restarts()).To(BeZero())
		world.Seen(configMap("tree"))

		_, log = once(t)
		Expect(log).To(BeEmpty(), "it loses it once")
		Expect(wait(t)).To(Equal([]string{"apply", "apply", "status"}), "the target, the Deployment, status")
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "another"}))
		inForce(t)
		Expect(restarts()).To(Equal(int64(1)))
		world.Seen(configMap("tree"))
		Expect(wait(t)).To(BeEmpty())
		Expect(restarts()).To(Equal(int64(1)))
	})

	It("loses what is deleted though its spec has changed and the budget of those is spent, too", func() {
		t := shown()
		parametertree.SpendUrgent(faulty.ParameterTree.Pace, world.Namespace, 256<<20)
		world.Update(t, func() { snake(t) })
		world.Remove(b)
		_, log := once(t)
		Expect(log).To(Equal([]string{"patch", "status"}))
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "1"}), "as its former spec says")
		Expect(t.Status.ObservedGeneration).To(BeNumerically("<", t.Generation), "it waits to be shown as its spec says")
	})

	It("goes by what its status tells, also by the keys alone", func() {
		t := shown()
		t.Status.Projection.Shows = nil
		Expect(world.ControlPlane.Client.Status().Update(ctx, t)).To(Succeed())
		world.Seen(t)
		spend()
		change(a, "another")
		held, log := once(t)
		Expect(held).To(BeNumerically(">", 0))
		Expect(log).To(BeEmpty(), "nothing has gone")
		world.Clock.Advance(time.Second)
		world.Remove(b)
		_, log = once(t)
		Expect(log).To(Equal([]string{"patch", "status"}))
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "1"}))
	})

	for _, after := range []bool{false, true} {
		where := map[bool]string{false: "before it is done", true: "when only its answer is lost"}[after]

		It("that dies at any write "+where+" has lost what is deleted after the next pass, and shows the rest in its turn", func() {
			for n := 1; n <= 2; n++ {
				b := put(fmt.Sprint("b", n), fmt.Sprint("/p/b", n), "2")
				t := environment.ParameterTree(world.Namespace, fmt.Sprint("tree-", n), "/p")
				world.Create(t)
				once(t)
				inForce(t)
				world.Seen(configMap(t.Name))
				spend()
				world.Remove(b)
				world.Clock.Advance(time.Second)
				change(a, fmt.Sprint("another ", n))
				writes.FailAt(n, after)
				_, err := faulty.ParameterTree.Reconcile(ctx, environment.Request(t))
				Expect(err).To(HaveOccurred())
				world.Refresh(t)
				if !after {
					Expect(t.Status.Projection.Keys).To(ContainElement(fmt.Sprint("b", n)), "keys leave status after they have left the target")
				}
				world.Seen(t)
				_, _ = once(t)
				Expect(configMap(t.Name).Data).NotTo(HaveKey(fmt.Sprint("b", n)))
				Expect(t.Status.Projection.Keys).NotTo(ContainElement(fmt.Sprint("b", n)))
				world.Seen(configMap(t.Name))
				Expect(wait(t)).To(ContainElement("apply"))
				Expect(configMap(t.Name).Data).To(HaveKeyWithValue("a", plain(a)))
				inForce(t)
			}
		})
	}
})
