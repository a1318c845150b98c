package parameter_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

type edit = func(*v1alpha1.Parameter)

func named(name string) edit { return func(p *v1alpha1.Parameter) { p.Spec.Name = name } }

func tiered(tier v1alpha1.ParameterTier, bytes int) edit {
	return func(p *v1alpha1.Parameter) { p.Spec.Tier, p.Spec.Value = tier, strings.Repeat("v", bytes) }
}

var _ = Describe("A manifest", func() {
	DescribeTable("is taken by the API server at the edge of every limit",
		func(change edit) {
			p := create("a", change)
			reconcile(p)
			Expect(condition(p).Reason).To(BeElementOf(v1alpha1.ReasonSucceeded, v1alpha1.ReasonNoValue, v1alpha1.ReasonKeyUnusable))
		},
		Entry("fifteen levels", named(strings.Repeat("/l", 15))),
		Entry("a name with every sign", named("/A.b-c_9/x")),
		Entry("a name that only holds aws", named("/prod/aws")),
		Entry("Standard's size", tiered("", 4096)),
		Entry("Standard's size, said", tiered(v1alpha1.TierStandard, 4096)),
		Entry("Advanced's size", tiered(v1alpha1.TierAdvanced, 8192)),
		Entry("Intelligent-Tiering's size", tiered(v1alpha1.TierIntelligent, 8192)),
		Entry("a list", func(p *v1alpha1.Parameter) { p.Spec.Type, p.Spec.Value = v1alpha1.ParameterStringList, "a,b,,c" }),
		Entry("no value", valued("")),
		Entry("a pattern that it matches", func(p *v1alpha1.Parameter) { p.Spec.AllowedPattern = "^(info|debug)$" }),
		Entry("a secret without a source", func(p *v1alpha1.Parameter) {
			p.Spec.Type, p.Spec.Value, p.Spec.Target = v1alpha1.ParameterSecureString, "", nil
		}),
	)

	DescribeTable("is refused by the API server, which says what to do",
		func(text string, change edit) {
			p := environment.Parameter(world.Namespace, "a", change)
			Expect(world.ControlPlane.Client.Create(ctx, p)).To(MatchError(ContainSubstring(text)))
		},
		Entry("with sixteen levels", "at most 15 levels", named(strings.Repeat("/l", 16))),
		Entry("with a path without its slash", "begins with a slash", named("a/b")),
		Entry("with a name of AWS's", "AWS's own", named("/AWS/x")),
		Entry("with a name of SSM's", "AWS's own", named("ssmx")),
		Entry("with a value over Standard's size", "over its tier's size", tiered("", 4097)),
		Entry("with a value over Standard's size in bytes", "over its tier's size", valued(strings.Repeat("é", 2049))),
		Entry("with a value over Advanced's size", "", tiered(v1alpha1.TierAdvanced, 8193)),
		Entry("with a reference", "take {{ out of it", valued("{{ssm:x}}")),
		Entry("with a value that the pattern refuses", "does not match allowedPattern", func(p *v1alpha1.Parameter) { p.Spec.AllowedPattern = "^x$" }),
		Entry("with a secret in the clear", "no value in the clear", func(p *v1alpha1.Parameter) {
			p.Spec.Type, p.Spec.Target = v1alpha1.ParameterSecureString, nil
		}),
		Entry("with a secret in a ConfigMap", "which anybody may read", func(p *v1alpha1.Parameter) {
			p.Spec.Type, p.Spec.Value = v1alpha1.ParameterSecureString, ""
		}),
		Entry("with a String that is generated", "only a SecureString is generated", func(p *v1alpha1.Parameter) {
			p.Spec.Value, p.Spec.Generate = "", &v1alpha1.SecretGenerator{UUID: &v1alpha1.UUIDGenerator{}}
		}),
		Entry("with a String that is imported", "only a SecureString is imported", func(p *v1alpha1.Parameter) {
			p.Spec.Value = ""
			p.Spec.ValueFrom = &v1alpha1.SecretValueSource{SecretKeyRef: v1alpha1.SecretKeyReference{Name: "s", Key: "k"}}
		}),
		Entry("with a String under a key", "only a SecureString is encrypted", func(p *v1alpha1.Parameter) {
			p.Spec.KMSKeyRef = &v1alpha1.LocalReference{Name: "key"}
		}),
		Entry("with two sources", "", func(p *v1alpha1.Parameter) {
			from("s", v1alpha1.ImportOnce)(p)
			p.Spec.Generate = &v1alpha1.SecretGenerator{UUID: &v1alpha1.UUIDGenerator{}}
		}),
		Entry("that writes over its own source", "write over its own source", func(p *v1alpha1.Parameter) {
			from("a", v1alpha1.ImportOnce)(p)
		}),
		Entry("with another data type", "", func(p *v1alpha1.Parameter) { p.Spec.DataType = "aws:ec2:image" }),
		Entry("with two targets", "", func(p *v1alpha1.Parameter) { p.Spec.Target.Secret = &v1alpha1.ParameterTargetKey{} }),
		Entry("with a region that is none", "a region is written as AWS does", func(p *v1alpha1.Parameter) { p.Spec.Region = "Frankfurt" }),
	)

	DescribeTable("cannot be changed in what its ARN and its versions are bound to",
		func(text string, before, after edit) {
			p := create("a", before)
			after(p)
			Expect(world.ControlPlane.Client.Update(ctx, p)).To(MatchError(ContainSubstring(text)))
		},
		Entry("its name", "name cannot be changed", named("/x"), named("/y")),
		Entry("that it has a name", "name cannot be changed", named("/x"), named("")),
		Entry("the slash of its name", "name cannot be changed", named("/x"), named("x")),
		Entry("its type", "type cannot be changed", valued(""), func(p *v1alpha1.Parameter) { p.Spec.Type = v1alpha1.ParameterStringList }),
		Entry("its region", "region cannot be changed", valued("x"), func(p *v1alpha1.Parameter) { p.Spec.Region = "eu-west-1" }),
		Entry("Advanced to Standard", "cannot become Standard", tiered(v1alpha1.TierAdvanced, 1), tiered(v1alpha1.TierStandard, 1)),
		Entry("Advanced to nothing said", "cannot become Standard", tiered(v1alpha1.TierAdvanced, 1), tiered("", 1)),
	)

	It("without a spec.name cannot have an object name of AWS's", func() {
		p := environment.Parameter(world.Namespace, "aws-thing")
		Expect(world.ControlPlane.Client.Create(ctx, p)).To(MatchError(ContainSubstring("set spec.name")))
	})

	It("has a status that says Unknown and Reconciling before any controller has looked", func() {
		p := create("a")
		Expect(condition(p)).To(HaveField("Status", metav1.ConditionUnknown))
		Expect(p.Status.Conditions).To(ContainElement(And(HaveField("Type", v1alpha1.ConditionReconciling), HaveField("Status", metav1.ConditionTrue))))
		Expect(p.Status.ObservedGeneration).To(Equal(int64(-1)))
	})
})

var _ = Describe("What a Parameter says of itself", func() {
	It("tells the value in no condition, event or status", func() {
		world.ReadyKey("key")
		p := ready("a", secure("key"))
		value := string(coreSecret("a").Data["password"])
		world.Update(p, func() { metav1.SetMetaDataAnnotation(&p.ObjectMeta, v1alpha1.RotateAnnotation, "1") })
		reconcile(p)
		for _, v := range []string{value, string(coreSecret("a").Data["password"])} {
			Expect(strings.Join(world.DrainEvents(), "\n")).NotTo(ContainSubstring(v))
			for _, c := range p.Status.Conditions {
				Expect(c.Message).NotTo(ContainSubstring(v))
			}
		}
	})

	It("echoes the annotations that it has handled, once each", func() {
		p := create("a", func(p *v1alpha1.Parameter) {
			p.Annotations = map[string]string{v1alpha1.ReconcileAnnotation: "r1", v1alpha1.RotateAnnotation: "t1"}
		})
		reconcile(p)
		Expect(p.Status).To(And(HaveField("LastHandledReconcileAt", "r1"), HaveField("LastHandledRotateAt", "t1")))
		Expect(p.Status.Versions).To(HaveLen(1), "a value that is written is not made anew")
	})

	It("of a value that its own pattern refuses is InvalidValue at once, and so is a pattern that would take long", func() {
		for name, pattern := range map[string]string{"a": "^x{1}$", "b": strings.Repeat(".{0,1000}", 100)} {
			p := create(name, func(p *v1alpha1.Parameter) { p.Spec.AllowedPattern = pattern })
			reconcile(p)
			Expect(condition(p)).To(And(HaveField("Reason", v1alpha1.ReasonInvalidValue), HaveField("Message", ContainSubstring("spec.allowedPattern"))))
		}
		Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(BeEmpty())
	})

	It("of a generator whose values the pattern refuses is InvalidValue, and keeps none of them", func() {
		world.ReadyKey("key")
		p := create("a", secure("key"), func(p *v1alpha1.Parameter) { p.Spec.AllowedPattern = "^never$" })
		reconcile(p)
		Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonInvalidValue))
		Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(BeEmpty())
	})

	It("of a generator that makes nothing is InvalidGenerator, at first and for the next value", func() {
		world.ReadyKey("key")
		impossible := func(p *v1alpha1.Parameter) {
			p.Spec.Generate = &v1alpha1.SecretGenerator{JSON: &v1alpha1.JSONGenerator{Template: "{,}", Key: "password"}}
		}
		p := create("a", secure("key"), impossible)
		reconcile(p)
		Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonInvalidGenerator))
		q := ready("b", secure("key"))
		world.Update(q, func() { impossible(q) })
		reconcile(q)
		Expect(condition(q).Reason).To(Equal(v1alpha1.ReasonInvalidGenerator))
		Expect(coreSecret("b").Data["password"]).To(BeEquivalentTo(stored(q, 1)), "what there is stays")
	})

	It("names the older Parameter that has the AWS name, in whatever form, and has it when that one goes", func() {
		older := ready("b", named("/x"))
		p := create("c", named("x"))
		reconcile(p)
		Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonNameConflict))
		Expect(condition(p).Message).To(ContainSubstring("Parameter b"))
		Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(HaveLen(1))
		other := ready("d", named("x"), func(p *v1alpha1.Parameter) { p.Spec.Region = "eu-west-1" })
		Expect(other.Status.ARN).To(ContainSubstring(":eu-west-1:"))
		metav1.SetMetaDataAnnotation(&older.ObjectMeta, v1alpha1.ForceDeleteAnnotation, "true")
		world.Remove(older)
		for _, e := range world.Envelopes(v1alpha1.EnvelopeParameterVersion) {
			if e.Spec.Owner.Name == "b" {
				world.Remove(&e)
			}
		}
		reconcile(p)
		Expect(condition(p)).To(HaveField("Status", metav1.ConditionTrue))
	})
})
