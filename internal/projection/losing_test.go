package projection_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/projection"
)

var _ = Describe("A target that is merely to lose keys", func() {
	three := withData("a", "1", "b", "2", "c", "3")
	showing := func(t *projection.Target, former *projection.Former) *projection.Showing {
		return &projection.Showing{Owner: owner, Namespace: namespace, Generation: 1, Version: "v", Now: time.Now(), Target: t, Former: former, Losing: true}
	}
	formerly := func() *projection.Former {
		return &projection.Former{Name: "shown", Keys: []string{"a", "b", "c"}, Digest: "before"}
	}

	It("loses them by one write", func() {
		project(goal(three))
		traffic.take()
		shown, err := projector.Show(ctx, showing(goal(withData("a", "1")), formerly()))
		Expect(err).NotTo(HaveOccurred())
		Expect(shown).To(And(HaveField("Done", true), HaveField("Writes", 1), HaveField("Keys", []string{"a"})))
		Expect(traffic.take()).To(HaveExactElements("merge secrets"))
		Expect(dataOf("shown")).To(Equal(map[string]string{"a": "1"}))
	})

	It("is shown without a write where they are gone already, also if it merges", func() {
		for _, policy := range []v1alpha1.CreationPolicy{v1alpha1.CreationPolicyOwner, mergePolicy} {
			if policy == mergePolicy {
				removed("shown")
				foreign("kubectl-create")
			}
			project(goal(withData("a", "1"), withPolicy(policy)))
			seen(stored("shown"))
			shown, err := projector.Show(ctx, showing(goal(withData("a", "1"), withPolicy(policy)), formerly()))
			Expect(err).NotTo(HaveOccurred())
			Expect(shown).To(And(HaveField("Done", true), HaveField("Writes", 0)), "%s", policy)
		}
	})

	DescribeTable("is left as it is where more is to be written", func(data []string, change func(*projection.Target), former func(*projection.Former)) {
		project(goal(three))
		traffic.take()
		t, before := goal(withData(data...)), formerly()
		change(t)
		former(before)
		shown, err := projector.Show(ctx, showing(t, before))
		Expect(err).To(MatchError(projection.ErrMore))
		Expect(shown).To(Equal(projection.Shown{}))
		Expect(traffic.take()).To(BeEmpty())
		Expect(dataOf("shown")).To(Equal(map[string]string{"a": "1", "b": "2", "c": "3"}))
	},
		Entry("another value", []string{"a", "2"}, func(*projection.Target) {}, func(*projection.Former) {}),
		Entry("another key", []string{"a", "1", "d", "1"}, func(*projection.Target) {}, func(*projection.Former) {}),
		Entry("another name", []string{"a", "1"}, func(t *projection.Target) { t.Name = "other" }, func(*projection.Former) {}),
		Entry("another kind", []string{"a", "1"}, func(t *projection.Target) { t.ConfigMap = true }, func(*projection.Former) {}),
		Entry("an immutable one", []string{"a", "1"}, func(t *projection.Target) { t.Immutable = true }, func(*projection.Former) {}),
		Entry("another annotation", []string{"a", "1"}, func(t *projection.Target) { t.Annotations = map[string]string{"x": "1"} }, func(*projection.Former) {}),
		Entry("one that status does not know", []string{"a", "1"}, func(*projection.Target) {}, func(f *projection.Former) { f.Name = "earlier" }),
		Entry("one that merges, whose keys may be others' by now", []string{"a", "1"}, withPolicy(mergePolicy), func(*projection.Former) {}),
	)
})

var _ = Describe("Keys that are withdrawn", func() {
	It("cost what the whole object does, and nothing when they are gone", func() {
		big := make([]byte, 100_000)
		project(goal(withData("a", "1", "b", string(big))))
		edit(func(s *corev1.Secret) { s.Data["theirs"] = big })
		cost, err := projector.Withdraw(ctx, namespace, owner, &projection.Former{Name: "shown"}, []string{"a"})
		Expect(err).NotTo(HaveOccurred())
		Expect(cost).To(BeNumerically("~", 2*len(big), 10_000))
		Expect(dataOf("shown")).To(And(HaveLen(2), Not(HaveKey("a"))))
		for _, name := range []string{"shown", "gone"} {
			Expect(projector.Withdraw(ctx, namespace, owner, &projection.Former{Name: name}, []string{"a"})).To(BeZero())
		}
	})
})
