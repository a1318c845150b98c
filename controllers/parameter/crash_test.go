package parameter_test

import (
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

func keyOf(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: world.Namespace, Name: name}
}

// sweepUntilEntombed makes passes over the Envelopes of a deleted Parameter until it has a tombstone in the cache.
func sweepUntilEntombed(name string) {
	GinkgoHelper()
	Eventually(func() int {
		sweep(name)
		return len(world.Envelopes(v1alpha1.EnvelopeTombstone))
	}).WithTimeout(5 * time.Second).Should(Equal(1))
	e := world.Envelopes(v1alpha1.EnvelopeTombstone)[0]
	world.Seen(&e)
}

// Every write of a pass is made to fail in turn, before it is done and after it, as if the manager had died there. A fresh pass must
// then bring everything to agree and lose no version.
var _ = Describe("A crash at any write", func() {
	var (
		faulty *environment.Reconcilers
		writes *environment.FaultyClient
	)
	BeforeEach(func() { faulty, writes = world.Faulty() })

	pass := func(p *v1alpha1.Parameter) error {
		_, err := faulty.Parameter.Reconcile(ctx, environment.Request(p))
		return err
	}
	settle := func(p *v1alpha1.Parameter) {
		GinkgoHelper()
		for range 5 {
			writes.FailAt(0, false)
			Expect(pass(p)).To(Succeed())
			world.Refresh(p)
			world.Seen(p)
			if writes.Writes() == 0 {
				return
			}
		}
		Fail("it does not settle: " + strings.Join(writes.Log(), ", "))
	}
	agree := func(p *v1alpha1.Parameter, versions int, shown func() string) {
		GinkgoHelper()
		Expect(condition(p)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(p.Status.Versions).To(HaveLen(versions))
		Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(HaveLen(versions), "an Envelope was lost or left over")
		Expect(shown()).To(Equal(stored(p, versions)))
	}
	clean := func(p *v1alpha1.Parameter) {
		GinkgoHelper()
		world.Remove(p)
		for _, e := range world.Envelopes(v1alpha1.EnvelopeParameterVersion) {
			world.Remove(&e)
		}
	}

	for _, after := range []bool{false, true} {
		where := map[bool]string{false: "before it is done", true: "when only its answer is lost"}[after]

		It("of a first version, "+where+", ends in one version", func() {
			world.ReadyKey("key")
			for n := 1; ; n++ {
				p := create(fmt.Sprintf("crash-%d", n), secure("key"))
				writes.FailAt(n, after)
				err := pass(p)
				if writes.Writes() < n {
					Expect(err).NotTo(HaveOccurred())
					Expect(n).To(Equal(4), "a new Parameter has three writes")
					return
				}
				Expect(err).To(HaveOccurred())
				settle(p)
				agree(p, 1, func() string { return string(coreSecret(p.Name).Data["password"]) })
				clean(p)
			}
		})

		It("of another value, "+where+", ends in two versions and the ConfigMap of the second", func() {
			for n := 1; ; n++ {
				p := create(fmt.Sprintf("crash-%d", n))
				writes.FailAt(0, false)
				Expect(pass(p)).To(Succeed())
				world.Refresh(p)
				world.Seen(p)
				world.Update(p, func() { p.Spec.Value = "debug" })
				writes.FailAt(n, after)
				err := pass(p)
				if writes.Writes() < n {
					Expect(err).NotTo(HaveOccurred())
					Expect(n).To(Equal(4), "a new value has three writes")
					return
				}
				Expect(err).To(HaveOccurred())
				settle(p)
				agree(p, 2, func() string { return configMap(p.Name).Data["LOG_LEVEL"] })
				Expect(stored(p, 1)).To(Equal("info"), "the former value is lost")
				clean(p)
			}
		})
	}
})

var _ = Describe("What a pass costs", func() {
	It("is three writes for a new Parameter, three for a new value, and none for a resync", func() {
		faulty, writes := world.Faulty()
		p := create("cost")
		made := func() []string {
			GinkgoHelper()
			writes.FailAt(0, false)
			_, err := faulty.Parameter.Reconcile(ctx, environment.Request(p))
			Expect(err).NotTo(HaveOccurred())
			world.Refresh(p)
			world.Seen(p)
			return writes.Log()
		}
		Expect(made()).To(Equal([]string{"create", "create", "status"}))
		Expect(made()).To(BeEmpty())
		world.Update(p, func() { p.Spec.Value = "debug" })
		Expect(made()).To(Equal([]string{"create", "apply", "status"}))
	})
})
