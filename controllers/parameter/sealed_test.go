package parameter_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/sealing"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("A parameter whose value is sealed", func() {
	var key *v1alpha1.KMSKey
	BeforeEach(func() { key = world.ReadyKey("key") })

	// seal encrypts as the command line does, by what the KMSKey publishes.
	seal := func(kind, name, value string) string {
		GinkgoHelper()
		public, err := sealing.ParsePublicKey(key.Status.SealingPublicKey)
		Expect(err).NotTo(HaveOccurred())
		text, err := public.Seal(sealing.Scope{Kind: kind, Account: arn.Account(public.KeyARN), Region: arn.Region(public.KeyARN), Name: name},
			secretbytes.Own([]byte(value)))
		Expect(err).NotTo(HaveOccurred())
		return text
	}
	sealed := func(text string) func(*v1alpha1.Parameter) {
		return func(p *v1alpha1.Parameter) {
			secure("key")(p)
			p.Spec.Generate, p.Spec.Sealed = nil, text
		}
	}
	stalled := func(p *v1alpha1.Parameter) {
		GinkgoHelper()
		Expect(condition(p)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonSealedInvalid),
			HaveField("Message", And(ContainSubstring("seal the value again"), Not(ContainSubstring("hunter2"))))))
	}

	It("is opened once, shown, and not opened again", func() {
		p := ready("a", sealed(seal("Parameter", "a", "hunter2")))
		Expect(stored(p, 1)).To(Equal("hunter2"))
		Expect(coreSecret("a").Data["password"]).To(BeEquivalentTo("hunter2"))
		Expect(p.Status.ImportedFrom).To(HavePrefix(v1alpha1.SealedSource))
		before := p.ResourceVersion
		reconcile(p)
		Expect(p.ResourceVersion).To(Equal(before))
	})

	It("is another version when another text comes, and none when the same value does", func() {
		p := ready("a", sealed(seal("Parameter", "a", "one")))
		world.Update(p, func() { p.Spec.Sealed = seal("Parameter", "a", "one") })
		reconcile(p)
		Expect(p.Status.Versions).To(HaveLen(1))
		world.Update(p, func() { p.Spec.Sealed = seal("Parameter", "a", "two") })
		reconcile(p)
		Expect(p.Status.Versions).To(HaveLen(2))
		Expect(stored(p, 2)).To(Equal("two"))
	})

	It("may be overwritten by the API, which stays until another text comes", func() {
		p := ready("a", sealed(seal("Parameter", "a", "one")))
		Expect(putByAPI(p, "by hand")).To(Succeed())
		reconcile(p)
		Expect(coreSecret("a").Data["password"]).To(BeEquivalentTo("by hand"))
		world.Update(p, func() { p.Spec.Description = "another generation" })
		reconcile(p)
		Expect(p.Status.Versions).To(HaveLen(2), "the sealed value took the place of what was put")
		world.Update(p, func() { p.Spec.Sealed = seal("Parameter", "a", "two") })
		reconcile(p)
		Expect(coreSecret("a").Data["password"]).To(BeEquivalentTo("two"))
	})

	It("is one parameter whether or not its name begins with a slash", func() {
		p := ready("a", sealed(seal("Parameter", "b", "hunter2")), func(p *v1alpha1.Parameter) { p.Spec.Name = "/b" })
		Expect(stored(p, 1)).To(Equal("hunter2"))
	})

	DescribeTable("opens for nothing but what it was sealed for", func(text func() string) {
		p := create("a", sealed(text()))
		reconcile(p)
		stalled(p)
		Expect(p.Status.Versions).To(BeEmpty())
	},
		Entry("a secret of the name", func() string { return seal("Secret", "a", "hunter2") }),
		Entry("another parameter", func() string { return seal("Parameter", "b", "hunter2") }),
		Entry("a text that was cut", func() string { t := seal("Parameter", "a", "hunter2"); return t[:len(t)-4] }),
		Entry("nothing of anybody's", func() string { return "srs1.AAAA" }),
	)

	It("says that it is too long for its tier, and what is in force stays", func() {
		p := ready("a", sealed(seal("Parameter", "a", "one")))
		world.Update(p, func() { p.Spec.Sealed = seal("Parameter", "a", string(make([]byte, 4097))) })
		reconcile(p)
		Expect(condition(p)).To(HaveField("Reason", v1alpha1.ReasonInvalidValue))
		Expect(coreSecret("a").Data["password"]).To(BeEquivalentTo("one"))
	})

	It("outlives the key that it was sealed for", func() {
		world.ReadyKey("other")
		p := ready("a", sealed(seal("Parameter", "a", "one")), func(p *v1alpha1.Parameter) { p.Spec.KMSKeyRef.Name = "other" })
		world.Update(key, func() { disabled := false; key.Spec.Enabled = &disabled })
		_, err := world.KMSKey.Reconcile(ctx, environment.Request(key))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(key)
		world.Seen(key)
		reconcile(p)
		Expect(condition(p)).To(HaveField("Status", metav1.ConditionTrue))
	})
})
