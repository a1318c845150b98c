package projection_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/internal/projection"
)

var _ = Describe("Who else writes a target", func() {
	rival := func() string {
		GinkgoHelper()
		who, err := projector.Rival(ctx, goal(withData("a", "1", "b", "2")))
		Expect(err).NotTo(HaveOccurred())
		return who
	}
	by := func(manager string, change func(*corev1.Secret)) {
		GinkgoHelper()
		s := stored("shown")
		change(s)
		Expect(cp.Client.Update(ctx, s, client.FieldOwner(manager))).To(Succeed())
		seen(s)
	}

	It("is whoever wrote a key with another value, and not who wrote something else", func() {
		project(goal(withData("a", "1", "b", "2")))
		by("labeller", func(s *corev1.Secret) { s.Labels["x"] = "y" })
		by("other-operator", func(s *corev1.Secret) { s.Data["a"] = []byte("hacked") })
		Expect(rival()).To(Equal("other-operator"))
		by("another", func(s *corev1.Secret) { s.Data["b"] = []byte("hacked") })
		Expect(rival()).To(Equal("another, other-operator"))
	})

	It("is whoever else has written at all, if no key says more", func() {
		project(goal(withData("a", "1", "b", "2")))
		Expect(rival()).To(Equal("somebody"))
		by("labeller", func(s *corev1.Secret) { s.Annotations = nil })
		by("labeller", func(s *corev1.Secret) { s.Labels["x"] = "y" })
		Expect(rival()).To(Equal("labeller"))
	})

	It("is somebody who deletes it, if it is not there", func() {
		Expect(rival()).To(Equal("somebody who deletes it"))
	})
})

var _ = Describe("A target is in sync", func() {
	inSync := func(t *projection.Target) bool {
		GinkgoHelper()
		traffic.take()
		is, err := projector.InSync(ctx, t)
		Expect(err).NotTo(HaveOccurred())
		Expect(traffic.take()).To(BeEmpty(), "it asks the cache alone")
		return is
	}

	It("if Project would write nothing", func() {
		Expect(inSync(goal())).To(BeFalse(), "it is not there")
		project(goal())
		Expect(inSync(goal())).To(BeTrue())
		Expect(inSync(goal(withData("password", "other")))).To(BeFalse())
		edit(noLabel)
		Expect(inSync(goal())).To(BeFalse(), "it is not seen")
	})

	It("not if it is somebody else's", func() {
		foreign("widgets", controlledBy("Widget", "w", "w"), labelled, func(s *corev1.Secret) { s.Data["password"] = []byte("CANARY-hunter2") })
		Expect(inSync(goal())).To(BeFalse())
	})
})
