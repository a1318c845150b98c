package parameter_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// typed gives it a type, and a value if that is written in its spec. It is shown in a ConfigMap, but a SecureString.
func typed(of v1alpha1.ParameterType) func(*v1alpha1.Parameter) {
	if of == v1alpha1.ParameterSecureString {
		return secure("key")
	}
	return func(p *v1alpha1.Parameter) { p.Spec.Type = of }
}

// unset takes the value out, so that what there is counts.
func unset(p *v1alpha1.Parameter) { p.Spec.Value, p.Spec.Generate = "", nil }

// left is a Parameter of one version that kubectl has deleted and that has its tombstone.
func left(name string, of v1alpha1.ParameterType) (value string) {
	GinkgoHelper()
	p := ready(name, typed(of))
	value = stored(p, 1)
	world.Remove(p)
	sweepUntilEntombed(name)
	return value
}

// removed deletes what a spec made under a name, and looks at what that leaves.
func removed(p *v1alpha1.Parameter) {
	GinkgoHelper()
	world.Remove(p)
	sweepUntilEntombed(p.Name)
}

func configMaps() []corev1.ConfigMap {
	GinkgoHelper()
	var list corev1.ConfigMapList
	Expect(world.ControlPlane.Client.List(ctx, &list, client.InNamespace(world.Namespace))).To(Succeed())
	return list.Items
}

func beMismatched(p *v1alpha1.Parameter, texts ...string) {
	GinkgoHelper()
	Expect(condition(p)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", "TypeMismatch")))
	for _, text := range texts {
		Expect(condition(p).Message).To(ContainSubstring(text))
	}
	Expect(p.Status.Versions).To(BeEmpty())
	Expect(p.Status.ARN).To(BeEmpty(), "the tombstone would go")
}

var _ = Describe("A Parameter that is applied again as one of another type", func() {
	BeforeEach(func() { world.ReadyKey("key") })

	DescribeTable("takes no version over, and says what to do",
		func(before, after v1alpha1.ParameterType, kept string) { // a spec of a String and a StringList is known to whoever saw the deletion: see below
			value := left("a", before)
			was := world.Envelopes(v1alpha1.EnvelopeParameterVersion)
			back := create("a", typed(after), unset)
			reconcile(back)
			reconcile(back)
			beMismatched(back, kept+", and not "+string(after), "apply it as "+kept)
			if before == v1alpha1.ParameterSecureString { // what shows a String goes by the collector of garbage, which there is none of here
				Expect(configMaps()).NotTo(ContainElement(HaveField("Name", "a")))
			}
			sweep("a")
			Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(Equal(was), "nothing is written to them")
			Expect(world.Envelopes(v1alpha1.EnvelopeTombstone)).To(HaveLen(1))

			By("applying it as what it was")
			removed(back)
			again := create("a", typed(before), unset)
			reconcile(again)
			Expect(condition(again)).To(HaveField("Status", metav1.ConditionTrue), "%+v", condition(again))
			Expect(stored(again, 1)).To(Equal(value))
		},
		Entry("a SecureString as a String", v1alpha1.ParameterSecureString, v1alpha1.ParameterString, "SecureString"),
		Entry("a SecureString as a StringList", v1alpha1.ParameterSecureString, v1alpha1.ParameterStringList, "SecureString"),
		Entry("a String as a SecureString", v1alpha1.ParameterString, v1alpha1.ParameterSecureString, "String or StringList"),
		Entry("a StringList as a SecureString", v1alpha1.ParameterStringList, v1alpha1.ParameterSecureString, "String or StringList"),
	)

	It("with a value of its own makes no version either", func() {
		left("a", v1alpha1.ParameterSecureString)
		back := create("a", valued("mine"))
		reconcile(back)
		beMismatched(back)
		Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(HaveLen(1))
	})

	It("does not either while what was deleted has no tombstone yet, or one of which nobody saw the end", func() {
		p := ready("a", secure("key"))
		world.Remove(p)
		back := create("a", unset)
		reconcile(back)
		beMismatched(back, "SecureString, and not String")
		world.Remove(back)
		sweepUntilEntombed("a")
		again := create("a", unset)
		reconcile(again)
		beMismatched(again, "SecureString, and not String")
	})

	It("is told so although its status was written by hand to have the ARN, and shows nothing", func() {
		p := ready("a", secure("key"))
		former := p.Status.DeepCopy()
		removed(p)
		back := create("a", unset)
		world.Refresh(back)
		back.Status.ARN = former.ARN
		Expect(world.ControlPlane.Client.Status().Update(ctx, back)).To(Succeed())
		world.Seen(back)
		reconcile(back)
		Expect(condition(back).Reason).To(Equal("TypeMismatch"))
		Expect(configMaps()).NotTo(ContainElement(HaveField("Name", "a")))
	})
})

var _ = Describe("A version under a KMSKey of what says that it is a String", func() {
	// disguised is an object that an earlier release made, which took over what was another's: a SecureString's version under a String.
	disguised := func(changes ...func(*v1alpha1.Parameter)) (p *v1alpha1.Parameter, value string) {
		GinkgoHelper()
		world.ReadyKey("key")
		before := ready("a", secure("key"))
		value = stored(before, 1)
		former := before.Status.DeepCopy()
		removed(before)
		p = environment.Parameter(world.Namespace, "a", append(changes, unset)...)
		world.Create(p)
		world.Refresh(p)
		p.Status.ARN, p.Status.Version, p.Status.Versions = former.ARN, former.Version, former.Versions
		Expect(world.ControlPlane.Client.Status().Update(ctx, p)).To(Succeed())
		world.Seen(p)
		return p, value
	}

	It("is shown in no ConfigMap, and goes from one that an earlier release showed it in", func() {
		p, _ := disguised()
		reconcile(p)
		Expect(condition(p)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonSecureStringInConfigMap)))
		Expect(condition(p).Message).To(And(ContainSubstring("use target.secret"), ContainSubstring("put another value")))
		Expect(configMaps()).NotTo(ContainElement(HaveField("Name", "a")))

		By("putting another value")
		Expect(putByAPI(p, "plain")).To(Succeed())
		reconcile(p)
		Expect(condition(p)).To(HaveField("Status", metav1.ConditionTrue), "%+v", condition(p))
		Expect(configMap("a").Data).To(HaveKeyWithValue("LOG_LEVEL", "plain"))
	})

	It("is shown in a core Secret, which those read who may", func() {
		p, value := disguised(func(p *v1alpha1.Parameter) {
			p.Spec.Target = &v1alpha1.ParameterTarget{Secret: &v1alpha1.ParameterTargetKey{Key: "password"}}
		})
		reconcile(p)
		Expect(condition(p)).To(HaveField("Status", metav1.ConditionTrue), "%+v", condition(p))
		Expect(coreSecret("a").Data).To(HaveKeyWithValue("password", []byte(value)))
	})
})

var _ = Describe("An Envelope that no KMSKey encrypts under a SecureString's object", func() {
	It("is none of its versions, though it was one of a String of the name, and is shown nowhere", func() {
		world.ReadyKey("key")
		of := ready("a")
		text := world.Envelopes(v1alpha1.EnvelopeParameterVersion)[0]
		world.Remove(of)
		world.Remove(text.DeepCopy())
		p := ready("a", secure("key"))
		value := stored(p, 1)
		under := world.Envelopes(v1alpha1.EnvelopeParameterVersion)[0]
		world.Exchange(&under, func(e *v1alpha1.Envelope) {
			Expect(text.Spec.Owner).To(Equal(e.Spec.Owner), "it is no Envelope of this parameter")
			e.Spec = text.Spec
		})
		reconcile(p)
		Expect(condition(p)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonEnvelopeTampered),
			HaveField("Message", And(ContainSubstring(under.Name), ContainSubstring("put another value")))))
		Expect(coreSecret("a").Data).To(HaveKeyWithValue("password", []byte(value)), "what was shown stays")
	})
})
