package parameterstore_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("A parameter that a request makes", func() {
	DescribeTable("is an object that a manifest could have made, under a name of Kubernetes's",
		func(name, object string, ownName bool) {
			p := mustPut(name, "v")
			Expect(p.AWSName()).To(Equal(name))
			Expect(p.Spec.Name == "").To(Equal(ownName), "spec.name is there only where metadata.name is not the name")
			Expect(p.Name).To(HavePrefix(object))
			Expect(p.Status.ARN).To(Equal(arn.Parameter(home, account, name)))
			Expect(p.Spec.Value).To(BeEmpty(), "the value is in an Envelope alone")
			Expect(mustFind(name).UID).To(Equal(p.UID))
		},
		Entry("a name that Kubernetes has too", "log-level", "log-level", true),
		Entry("the same with a slash", "/log-level", "log-level", false),
		Entry("a path", "/prod/shop/log-level", "prod-shop-log-level-", false),
		Entry("with capitals", "LogLevel", "loglevel-", false),
		Entry("with an underscore", "log_level", "log-level-", false),
		Entry("of nothing but signs", "_._", "", false),
	)

	It("can have a name as long as its ARN lets it be, and no longer", func() {
		room := 1011 - len(arn.Parameter(home, account, ""))
		longest := "/" + strings.Repeat("n", room)
		p := mustPut(longest, "v")
		Expect(p.Status.ARN).To(HaveLen(1011))
		Expect(len(p.Name)).To(BeNumerically("<=", 253))
		Expect(read(mustFind(longest), "")).To(Equal("v"))
	})

	It("takes another name when its first choice is another parameter's", func() {
		world.Create(environment.Parameter(world.Namespace, "level", func(p *v1alpha1.Parameter) { p.Spec.Name = "/other" }))
		p := mustPut("level", "v")
		Expect(p.Name).To(HavePrefix("level-"))
		Expect(p.Spec.Name).To(Equal("level"))
		Expect(read(mustFind("level"), "")).To(Equal("v"))
	})

	It("is one for x and /x, and two in two regions or namespaces", func() {
		first := mustPut("x", "1")
		_, _, err := put("/x", "2")
		be(err, "ParameterAlreadyExists", "overwrite option")
		elsewhere := mustPut("x", "there", func(in *parameterstore.PutInput) { in.Region = "eu-west-1" })
		Expect(elsewhere.Name).NotTo(Equal(first.Name))
		Expect(elsewhere.Spec.Region).To(Equal("eu-west-1"))
		Expect(elsewhere.Status.ARN).To(Equal(arn.Parameter("eu-west-1", account, "x")))
		Expect(read(elsewhere, "")).To(Equal("there"))
		other := world.NewNamespace()
		_, v, err := put("x", "other", func(in *parameterstore.PutInput) { in.Namespace, in.Account = other, arn.DeriveAccount(other) })
		Expect(err).NotTo(HaveOccurred())
		Expect(v.Sequence).To(Equal(int64(1)))
		Expect(read(mustFind("x"), "")).To(Equal("1"))
	})

	It("is Ready at once, and a pass of the controller finds nothing to do", func() {
		p := mustPut("a", "v")
		Expect(p.Status.Conditions).To(ContainElement(And(HaveField("Type", "Ready"), HaveField("Status", metav1.ConditionTrue))))
		Expect(p.Status.ObservedGeneration).To(Equal(p.Generation))
		before := p.ResourceVersion
		pass(p)
		Expect(p.ResourceVersion).To(Equal(before))
	})

	It("keeps what the request says of it", func() {
		p := mustPut("a", "v1", tier(v1alpha1.TierAdvanced), pattern("^v"), described("what it is for"),
			func(in *parameterstore.PutInput) { in.Tags = []v1alpha1.Tag{{Key: "team", Value: "shop"}} })
		Expect(p.Spec).To(And(HaveField("Description", "what it is for"), HaveField("AllowedPattern", "^v"),
			HaveField("Tags", []v1alpha1.Tag{{Key: "team", Value: "shop"}})))
		Expect(p.Status.Tier).To(Equal(v1alpha1.TierAdvanced))
	})

	It("needs a type", func() {
		_, _, err := put("a", "v", func(in *parameterstore.PutInput) { in.Type = "" })
		be(err, "ValidationException", "type is required")
		Expect(objects()).To(BeEmpty())
	})

	DescribeTable("is not made when its value cannot be stored",
		func(value, wanted, text string, changes ...change) {
			_, _, err := put("a", value, changes...)
			be(err, wanted, text)
			Expect(err.Error()).NotTo(ContainSubstring(strings.Repeat("s", 8)), "the error tells the value")
			Expect(objects()).To(BeEmpty())
			Expect(envelopes()).To(BeEmpty())
		},
		Entry("since it is empty", "", "ValidationException", "'value' failed to satisfy constraint"),
		Entry("since it is over Standard's size", strings.Repeat("s", 4097), "ValidationException", "4096 characters"),
		Entry("since it is over Advanced's size", strings.Repeat("s", 8193), "ValidationException", "8192 characters", tier(v1alpha1.TierAdvanced)),
		Entry("since it does not match", "ssssssss", "ParameterPatternMismatchException", "allowedPattern: ^[0-9]+$", pattern("^[0-9]+$")),
		Entry("since its pattern is none", "ssssssss", "InvalidAllowedPatternException", "regular expression", pattern("[")),
		Entry("since it nests another", "{{ssssssss}}", "ValidationException", "nest"),
	)

	DescribeTable("can have a value as long as its tier lets it be",
		func(length int, want v1alpha1.ParameterTier, changes ...change) {
			p := mustPut("a", strings.Repeat("v", length), changes...)
			Expect(p.Status.Tier).To(Equal(want))
			Expect(read(p, "")).To(HaveLen(length))
		},
		Entry("Standard if nothing is said", 4096, v1alpha1.TierStandard),
		Entry("Intelligent-Tiering, of Standard's size", 4096, v1alpha1.TierStandard, tier(v1alpha1.TierIntelligent)),
		Entry("Intelligent-Tiering, of one byte more", 4097, v1alpha1.TierAdvanced, tier(v1alpha1.TierIntelligent)),
		Entry("Advanced", 8192, v1alpha1.TierAdvanced, tier(v1alpha1.TierAdvanced)),
		Entry("Advanced, though it is short", 1, v1alpha1.TierAdvanced, tier(v1alpha1.TierAdvanced)),
	)
})

var _ = Describe("Overwriting a parameter", func() {
	It("makes the next version, and leaves what the request does not name", func() {
		mustPut("a", "1", tier(v1alpha1.TierAdvanced), described("d"), pattern("^[0-9]$"),
			func(in *parameterstore.PutInput) { in.Tags = []v1alpha1.Tag{{Key: "k", Value: "v"}} })
		p := mustPut("a", "2", overwrite, func(in *parameterstore.PutInput) { in.Type = "" })
		Expect(numbers(p)).To(Equal([]int64{1, 2}))
		Expect(p.Spec).To(And(HaveField("Description", "d"), HaveField("AllowedPattern", "^[0-9]$"), HaveField("Tier", v1alpha1.TierAdvanced),
			HaveField("Type", v1alpha1.ParameterString), HaveField("Tags", HaveLen(1))))
		Expect(read(p, "1")).To(Equal("1"))
		Expect(read(p, "")).To(Equal("2"))
	})

	It("makes a version of the same value too, as AWS does", func() {
		mustPut("a", "same")
		Expect(numbers(mustPut("a", "same", overwrite))).To(Equal([]int64{1, 2}))
	})

	It("changes what the request names, and takes away what it names as nothing", func() {
		mustPut("a", "1", described("d"), pattern("^[0-9]$"))
		p := mustPut("a", "x", overwrite, described("e"), pattern(""))
		Expect(p.Spec).To(And(HaveField("Description", "e"), HaveField("AllowedPattern", "")))
	})

	DescribeTable("that is refused changes nothing at all",
		func(value, wanted string, changes ...change) {
			before := mustPut("a", "1", described("before"), pattern("^[0-9]+$"))
			_, _, err := put("a", value, append(changes, overwrite, described("after"))...)
			be(err, wanted)
			world.Refresh(before)
			Expect(before.Spec).To(And(HaveField("Description", "before"), HaveField("AllowedPattern", "^[0-9]+$"), HaveField("Tier", BeEmpty())))
			Expect(numbers(before)).To(Equal([]int64{1}))
			Expect(envelopes()).To(HaveLen(1))
		},
		Entry("for its pattern", "x", "ParameterPatternMismatchException"),
		Entry("for a pattern of its own", "2", "ParameterPatternMismatchException", pattern("^[a-z]$")),
		Entry("for its size", strings.Repeat("1", 4097), "ValidationException"),
		Entry("for its size in the tier it asks for", strings.Repeat("1", 8193), "ValidationException", tier(v1alpha1.TierAdvanced)),
		Entry("for its type", "2", "HierarchyTypeMismatchException", secure),
		Entry("for its tags", "2", "ValidationException", func(in *parameterstore.PutInput) { in.Tags = []v1alpha1.Tag{{Key: "k"}} }),
	)

	DescribeTable("does not take it back from Advanced", func(changes ...change) {
		mustPut("a", strings.Repeat("v", 4097), changes...)
		_, _, err := put("a", "short", overwrite, tier(v1alpha1.TierStandard))
		be(err, "ValidationException", "downgrade")
		p := mustPut("a", "short", overwrite)
		Expect(p.Status.Tier).To(Equal(v1alpha1.TierAdvanced))
		Expect(p.Spec.Tier).NotTo(Equal(v1alpha1.TierStandard))
	},
		Entry("that was asked for", tier(v1alpha1.TierAdvanced)),
		Entry("that its value needed", tier(v1alpha1.TierIntelligent)),
	)

	It("is refused while the manifest has a value, and tells where", func() {
		p := environment.Parameter(world.Namespace, "declared")
		world.Create(p)
		pass(p)
		_, _, err := put("declared", "debug", overwrite)
		be(err, "ValidationException", "spec.value of Parameter declared")
		world.Refresh(p)
		Expect(numbers(p)).To(Equal([]int64{1}))
		world.Update(p, func() { p.Spec.Value = "" })
		Expect(read(mustPut("declared", "debug", overwrite), "")).To(Equal("debug"))
	})

	It("shows in the target after the controller's pass, and until then the parameter is not Ready", func() {
		p := environment.Parameter(world.Namespace, "shown", func(p *v1alpha1.Parameter) { p.Spec.Value = "" })
		world.Create(p)
		pass(p)
		Expect(p.Status.Conditions).To(ContainElement(HaveField("Reason", v1alpha1.ReasonNoValue)))
		p = mustPut("shown", "debug")
		Expect(p.Status.Conditions).To(ContainElement(And(HaveField("Type", "Ready"), HaveField("Status", Not(Equal(metav1.ConditionTrue))))))
		pass(p)
		Expect(p.Status.Conditions).To(ContainElement(And(HaveField("Type", "Ready"), HaveField("Status", metav1.ConditionTrue))))
	})

	It("tells whoever asks before the controller has looked at a manifest to try again", func() {
		world.Create(environment.Parameter(world.Namespace, "new", func(p *v1alpha1.Parameter) { p.Spec.Value = "" }))
		_, _, err := put("new", "v", overwrite)
		be(err, "TooManyUpdates")
		Expect(envelopes()).To(BeEmpty())
	})
})

var _ = Describe("A SecureString", func() {
	It("is under its key with the encryption context that AWS has, and opens under no other", func() {
		key := world.ReadyKey("key")
		p := mustPut("/prod/db", "hunter2", under("key"))
		e := envelopes()[0]
		Expect(e.Spec.KeyARN).To(Equal(key.Status.ARN))
		Expect(string(e.Spec.Ciphertext)).NotTo(ContainSubstring("hunter2"))
		dataKey, err := world.Services.KMS.Decrypt(ctx, key, keys.Context{"PARAMETER_ARN": p.Status.ARN}, e.Spec.EncryptedDataKey)
		Expect(err).NotTo(HaveOccurred())
		Expect(dataKey.Len()).To(Equal(32))
		for _, wrong := range []keys.Context{
			nil, {"PARAMETER_ARN": p.Status.ARN + "x"}, {"parameter_arn": p.Status.ARN}, {"PARAMETER_ARN": p.Status.ARN, "more": "x"},
		} {
			_, err := world.Services.KMS.Decrypt(ctx, key, wrong, e.Spec.EncryptedDataKey)
			Expect(err).To(MatchError(keys.ErrInvalidCiphertext), "%v", wrong)
		}
	})

	It("under a key that is not there, or cannot be used, is not stored, and the request says which key", func() {
		_, _, err := put("a", "v", under("none"))
		Expect(fault.Of(err).Reason).To(Equal(v1alpha1.ReasonKeyNotFound))
		world.ReadyKey("off", func(k *v1alpha1.KMSKey) {})
		off := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "off"}}
		world.Update(off, func() { enabled := false; off.Spec.Enabled = &enabled })
		world.ReconcileKey(off)
		_, _, err = put("b", "v", under("off"))
		Expect(fault.Of(err).Reason).To(Equal(v1alpha1.ReasonKeyUnusable))
		Expect(envelopes()).To(BeEmpty())
		Expect(find("a")).To(BeNil(), "a parameter without a version does not exist")
	})

	It("takes another key with the next version, and the earlier one stays readable under its own", func() {
		first, second := world.ReadyKey("first"), world.ReadyKey("second")
		mustPut("a", "1", under("first"))
		p := mustPut("a", "2", overwrite, under("second"))
		Expect(read(p, "1")).To(Equal("1"))
		Expect(read(p, "2")).To(Equal("2"))
		byVersion := map[string]string{}
		for _, e := range envelopes() {
			byVersion[e.Spec.Version] = e.Spec.KeyARN
		}
		Expect(byVersion).To(Equal(map[string]string{"1": first.Status.ARN, "2": second.Status.ARN}))
	})

	It("goes back to the account's own key when the request names that", func() {
		own := world.ReadyKey("aws-ssm")
		world.ReadyKey("key")
		mustPut("a", "1", under("key"))
		p := mustPut("a", "2", overwrite, under(""))
		Expect(p.Spec.KMSKeyRef).To(BeNil())
		Expect(envelopes()[1].Spec.KeyARN).To(Equal(own.Status.ARN))
	})

	It("is in no object of Kubernetes in the clear", func() {
		world.ReadyKey("key")
		p := mustPut("a", "hunter2", under("key"), described("d"))
		Expect(everything(p)).NotTo(ContainSubstring("hunter2"))
		for _, e := range envelopes() {
			Expect(everything(&e)).NotTo(ContainSubstring("hunter2"))
		}
	})
})

var _ = Describe("The caller's value", func() {
	It("stays the caller's to wipe", func() {
		in := input("a", "hunter2")
		_, _, err := service.Put(ctx, in)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(in.Value.Reveal())).To(Equal("hunter2"))
		again := input("a", "other", overwrite)
		_, _, err = service.Put(ctx, again)
		Expect(err).NotTo(HaveOccurred())
		Expect(again.Value.Equal(secretbytes.Copy([]byte("other")))).To(BeTrue())
	})
})
