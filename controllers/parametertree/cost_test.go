package parametertree_test

import (
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// Every write of a pass is made to fail in turn, before it is done and after it, as if the manager had died there. A fresh pass must then
// bring everything to agree.
var _ = Describe("A crash at any write of a tree's pass", func() {
	var (
		faulty *environment.Reconcilers
		writes *environment.FaultyClient
	)
	BeforeEach(func() { faulty, writes = world.Faulty() })
	once := func(t *v1alpha1.ParameterTree) error {
		_, err := faulty.ParameterTree.Reconcile(ctx, environment.Request(t))
		return err
	}
	settle := func(t *v1alpha1.ParameterTree) {
		GinkgoHelper()
		for range 5 {
			writes.FailAt(0, false)
			Expect(once(t)).To(Succeed())
			world.Refresh(t)
			world.Seen(t)
			if writes.Writes() == 0 {
				return
			}
		}
		Fail("it does not settle: " + strings.Join(writes.Log(), ", "))
	}

	for _, after := range []bool{false, true} {
		where := map[bool]string{false: "before it is done", true: "when only its answer is lost"}[after]

		It("of a new tree, "+where+", ends in the whole ConfigMap", func() {
			put("a", "/p/a", "1")
			for n := 1; ; n++ {
				t := environment.ParameterTree(world.Namespace, fmt.Sprint("crash-", n), "/p")
				world.Create(t)
				writes.FailAt(n, after)
				err := once(t)
				if writes.Writes() < n {
					Expect(err).NotTo(HaveOccurred())
					Expect(n).To(Equal(3), "a new tree has two writes")
					return
				}
				Expect(err).To(HaveOccurred())
				settle(t)
				inForce(t)
				Expect(configMap(t.Name).Data).To(Equal(map[string]string{"a": "1"}))
			}
		})

		It("of another value and another key, "+where+", ends in the whole ConfigMap", func() {
			a, b := put("a", "/p/a", "1"), put("b", "/p/b", "1")
			for n := 1; ; n++ {
				t := environment.ParameterTree(world.Namespace, fmt.Sprint("crash-", n), "/p")
				world.Create(t)
				settle(t)
				change(a, fmt.Sprint("two ", n))
				world.Update(t, func() { filtered(filter{Exclude: []v1alpha1.ParameterNamePattern{"b"}})(t) })
				writes.FailAt(n, after)
				err := once(t)
				if writes.Writes() < n {
					Expect(err).NotTo(HaveOccurred())
					Expect(n).To(Equal(4), "it has three writes: the value, the key that goes, status")
					return
				}
				Expect(err).To(HaveOccurred())
				settle(t)
				inForce(t)
				Expect(configMap(t.Name).Data).To(Equal(map[string]string{"a": plain(a)}))
				Expect(plain(b)).To(Equal("1"))
			}
		})
	}
})

// many makes Strings /p/x/N without waiting for each, and returns the last.
func many(n int) *v1alpha1.Parameter {
	GinkgoHelper()
	all := make([]*v1alpha1.Parameter, 0, n)
	for i := range n {
		p := environment.Parameter(world.Namespace, fmt.Sprint("x", i), func(p *v1alpha1.Parameter) {
			p.Spec.Name, p.Spec.Value, p.Spec.Target = fmt.Sprintf("/p/x/%d", i), "value", nil
		})
		Expect(world.ControlPlane.Client.Create(ctx, p)).To(Succeed())
		all = append(all, p)
	}
	last := all[n-1]
	world.Seen(last)
	for _, p := range all {
		_, err := world.Parameter.Reconcile(ctx, environment.Request(p))
		Expect(err).NotTo(HaveOccurred())
	}
	world.Refresh(last)
	world.Seen(last)
	return last
}

var _ = Describe("What a tree of 1,000 parameters costs", func() {
	It("is two writes when it is new, one of the target and one of status for a change or the end of one, and none for a resync", func() {
		last := many(1000)
		faulty, writes := world.Faulty()
		t := tree()
		made := func() ([]string, time.Duration) {
			GinkgoHelper()
			writes.FailAt(0, false)
			began := time.Now()
			_, err := faulty.ParameterTree.Reconcile(ctx, environment.Request(t))
			took := time.Since(began)
			Expect(err).NotTo(HaveOccurred())
			world.Refresh(t)
			world.Seen(t)
			return writes.Log(), took
		}
		log, first := made()
		Expect(log).To(Equal([]string{"create", "status"}))
		inForce(t)
		Expect(configMap("tree").Data).To(HaveLen(1000))
		world.Seen(configMap("tree"))
		change(last, "another")
		log, one := made()
		Expect(log).To(Equal([]string{"apply", "status"}))
		Expect(configMap("tree").Data).To(HaveKeyWithValue("x.999", "another"))
		world.Seen(configMap("tree"))
		log, none := made()
		Expect(log).To(BeEmpty())
		world.Remove(last)
		log, gone := made()
		Expect(log).To(Equal([]string{"patch", "status"}), "what is deleted has the target written once, too")
		Expect(configMap("tree").Data).To(And(HaveLen(999), Not(HaveKey("x.999"))))
		AddReportEntry("passes over 1,000 parameters", fmt.Sprintf("new %s, one changed %s, none changed %s, one gone %s", first, one, none, gone))
	})
})
