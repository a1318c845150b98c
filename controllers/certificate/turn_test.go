package certificate_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("A certificate that waits for its turn to have an RSA key", func() {
	// waits has two others hold the turns and a certificate wait for one, and gives what lets the first of them go.
	waits := func() (c *v1alpha1.Certificate, free func()) {
		GinkgoHelper()
		var held []func()
		for _, group := range []string{"one", "two"} {
			release, err := keys.AwaitTurn(group, group)(ctx)
			Expect(err).NotTo(HaveOccurred())
			held = append(held, release)
		}
		DeferCleanup(held[1])
		DeferCleanup(held[0])
		readyRoot()
		c = shop(func(c *v1alpha1.Certificate) { c.Spec.KeyAlgorithm = v1alpha1.KeyAlgorithmRSA2048 })
		create(c)
		reconcile(c)
		Expect(c.Status.Versions).To(BeEmpty(), "it has its turn already")
		_, err := keys.TryTurn("another", "another")(ctx)
		Expect(err).To(HaveOccurred(), "both turns are taken")
		DeferCleanup(func() { keys.ForgetTurn("another") })
		return c, held[0]
	}

	It("and is deleted keeps no other namespace waiting", func() {
		c, free := waits()
		remove(c)
		_, err := env.Certificate.Reconcile(ctx, environment.Request(c))
		Expect(err).NotTo(HaveOccurred())
		free()
		release, err := keys.TryTurn("another", "another")(ctx)
		Expect(err).NotTo(HaveOccurred(), "it counts on for its namespace's share")
		release()
	})

	It("has it before another namespace that came later, as long as it is there", func() {
		c, free := waits()
		free()
		_, err := keys.TryTurn("another", "another")(ctx)
		Expect(err).To(HaveOccurred(), "it has come later")
		reconcile(c)
		isReady(c)
	})
})
