package ssm_test

import (
	"fmt"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"
)

func label(name string, version int64, labels ...string) (*sdk.LabelParameterVersionOutput, error) {
	GinkgoHelper()
	in := &sdk.LabelParameterVersionInput{Name: &name, Labels: labels}
	if version != 0 {
		in.ParameterVersion = &version
	}
	return do[sdk.LabelParameterVersionOutput](administrator, "LabelParameterVersion", in)
}

func unlabel(name string, version int64, labels ...string) (*sdk.UnlabelParameterVersionOutput, error) {
	GinkgoHelper()
	return do[sdk.UnlabelParameterVersionOutput](administrator, "UnlabelParameterVersion",
		&sdk.UnlabelParameterVersionInput{Name: &name, ParameterVersion: &version, Labels: labels})
}

// labelled are the labels of each version.
func labelled(name string) (all [][]string) {
	GinkgoHelper()
	for _, v := range must[sdk.GetParameterHistoryOutput]("GetParameterHistory", &sdk.GetParameterHistoryInput{Name: &name}).Parameters {
		all = append(all, v.Labels)
	}
	return all
}

func numbered(prefix string, n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprint(prefix, i))
	}
	return out
}

// https://docs.aws.amazon.com/systems-manager/latest/userguide/sysman-paramstore-labels.html
var _ = Describe("A label", func() {
	BeforeEach(func() {
		mustPut("l", "1")
		mustPut("l", "2", overwrite)
		mustPut("l", "3", overwrite)
	})

	It("is put on the latest version if none is named, and on the one that is", func() {
		out, err := label("l", 0, "new")
		Expect(err).NotTo(HaveOccurred())
		Expect(out.ParameterVersion).To(Equal(int64(3)))
		Expect(out.InvalidLabels).To(BeEmpty())
		out, err = label("l", 1, "old")
		Expect(err).NotTo(HaveOccurred())
		Expect(out.ParameterVersion).To(Equal(int64(1)))
		Expect(labelled("l")).To(Equal([][]string{{"old"}, {}, {"new"}}))
		Expect(*mustGet("l:old").Value).To(Equal("1"))
		Expect(*mustGet(arnOf("l") + ":new").Value).To(Equal("3"))
	})

	It("moves to the version that it is put on last, and stays there when a new version comes", func() {
		_, err := label("l", 1, "prod", "blue")
		Expect(err).NotTo(HaveOccurred())
		_, err = label("l", 2, "prod")
		Expect(err).NotTo(HaveOccurred())
		Expect(labelled("l")).To(Equal([][]string{{"blue"}, {"prod"}, {}}))
		mustPut("l", "4", overwrite)
		Expect(*mustGet("l:prod").Value).To(Equal("2"))
		_, err = label("l", 2, "prod")
		Expect(err).NotTo(HaveOccurred(), "it is there already")
		Expect(labelled("l")).To(Equal([][]string{{"blue"}, {"prod"}, {}, {}}))
	})

	It("is one of ten of a version, and an eleventh puts none on", func() {
		_, err := label("l", 1, numbered("a", 9)...)
		Expect(err).NotTo(HaveOccurred())
		_, err = label("l", 1, "b0", "b1")
		be(err, "ParameterVersionLabelLimitExceeded")
		Expect(err).To(MatchError(ContainSubstring("maximum of 10 labels")))
		Expect(labelled("l")[0]).To(HaveLen(9))
		_, err = label("l", 1, "b0")
		Expect(err).NotTo(HaveOccurred())
		_, err = label("l", 1, "b0", "a0")
		Expect(err).NotTo(HaveOccurred(), "no label more than there are")
		_, err = label("l", 2, numbered("a", 9)...)
		Expect(err).NotTo(HaveOccurred(), "those that move are on one version each")
		Expect(labelled("l")).To(Equal([][]string{{"b0"}, numbered("a", 9), {}}))
	})

	DescribeTable("that can be none is reported, and the others are put on", func(bad string) {
		out, err := label("l", 2, "good", bad)
		Expect(err).NotTo(HaveOccurred())
		Expect(out.InvalidLabels).To(Equal([]string{bad}))
		Expect(labelled("l")[1]).To(Equal([]string{"good"}))
	},
		Entry("a digit in front", "1st"), Entry("aws in front", "aws-prod"), Entry("AWS in front", "AWSprod"), Entry("ssm in front", "ssm.prod"),
		Entry("a space", "a b"), Entry("a slash", "a/b"), Entry("a colon", "a:b"), Entry("an umlaut", "ä"),
		Entry("of 101 characters", strings.Repeat("l", 101)),
	)

	It("can have every sign that AWS allows, and a hundred characters", func() {
		good := []string{"_x", "-x", ".x", "A.b-c_9", strings.Repeat("l", 100), "myaws"}
		out, err := label("l", 2, good...)
		Expect(err).NotTo(HaveOccurred())
		Expect(out.InvalidLabels).To(BeEmpty())
		Expect(labelled("l")[1]).To(ConsistOf(good))
	})

	It("of a version that there is not is told with the version", func() {
		_, err := label("l", 4, "x")
		be(err, "ParameterVersionNotFound")
		Expect(err).To(MatchError(ContainSubstring("version 4 of l")))
		_, err = unlabel("l", 9, "x")
		be(err, "ParameterVersionNotFound")
		_, err = unlabel("l", 0, "x")
		be(err, "ParameterVersionNotFound")
	})

	It("is taken from the version that has it, and from no other", func() {
		_, err := label("l", 2, "x", "y")
		Expect(err).NotTo(HaveOccurred())
		out, err := unlabel("l", 1, "x")
		Expect(err).NotTo(HaveOccurred())
		Expect(out.RemovedLabels).To(BeEmpty())
		Expect(out.InvalidLabels).To(Equal([]string{"x"}))
		out, err = unlabel("l", 2, "x", "none")
		Expect(err).NotTo(HaveOccurred())
		Expect(out.RemovedLabels).To(Equal([]string{"x"}))
		Expect(out.InvalidLabels).To(Equal([]string{"none"}))
		Expect(labelled("l")).To(Equal([][]string{{}, {"y"}, {}}))
		_, err = get("l:x", true)
		be(err, "ParameterVersionNotFound")
	})

	It("changes neither the value nor when the parameter was modified", func() {
		before := mustGet("l")
		world.Clock.Advance(90 * 1e9)
		_, err := label("l", 3, "x")
		Expect(err).NotTo(HaveOccurred())
		Expect(mustGet("l")).To(Equal(before))
	})
})

var _ = Describe("A history", func() {
	It("has a hundred versions; the oldest goes for the next, unless it has a label", func() {
		mustPut("h", "1")
		for n := 2; n <= 100; n++ {
			mustPut("h", fmt.Sprint(n), overwrite)
		}
		_, err := label("h", 1, "first")
		Expect(err).NotTo(HaveOccurred())
		_, err = put("h", "101", overwrite)
		be(err, "ParameterMaxVersionLimitExceeded")
		Expect(err).To(MatchError(And(ContainSubstring("Version 1, the oldest version"), ContainSubstring("label"))))
		Expect(mustGet("h").Version).To(Equal(int64(100)))
		_, err = label("h", 50, "first")
		Expect(err).NotTo(HaveOccurred(), "the text says to move the label")
		Expect(mustPut("h", "101", overwrite).Version).To(Equal(int64(101)))
		_, err = get("h:1", true)
		be(err, "ParameterVersionNotFound")
		_, err = label("h", 2, "second")
		Expect(err).NotTo(HaveOccurred())
		_, err = put("h", "102", overwrite)
		be(err, "ParameterMaxVersionLimitExceeded")
		Expect(err).To(MatchError(ContainSubstring("Version 2, the oldest version")))
		numbers := all(func(most *int32, token *string) ([]string, *string, error) {
			out, err := do[sdk.GetParameterHistoryOutput](administrator, "GetParameterHistory",
				&sdk.GetParameterHistoryInput{Name: ptr.To("h"), MaxResults: most, NextToken: token})
			if err != nil {
				return nil, nil, err
			}
			var page []string
			for _, v := range out.Parameters {
				page = append(page, fmt.Sprint(v.Version))
				Expect(*v.Value).To(Equal(fmt.Sprint(v.Version)))
			}
			return page, out.NextToken, nil
		}, 50, func() {})
		Expect(numbers).To(HaveLen(100))
		Expect(numbers[0]).To(Equal("2"))
		Expect(*mustGet("h:first").Value).To(Equal("50"))
	})

	It("tells of the latest version what a request said of it, and of earlier ones what was kept", func() {
		mustPut("h", "1", func(in *sdk.PutParameterInput) { in.Description, in.AllowedPattern = ptr.To("one"), ptr.To("1") })
		mustPut("h", "2", overwrite, func(in *sdk.PutParameterInput) { in.Description, in.AllowedPattern = ptr.To("two"), ptr.To("2") })
		both := must[sdk.GetParameterHistoryOutput]("GetParameterHistory", &sdk.GetParameterHistoryInput{Name: ptr.To("h")}).Parameters
		Expect(both).To(HaveLen(2))
		Expect(both[0]).To(And(HaveField("Description", BeNil()), HaveField("Version", int64(1)), HaveField("Value", HaveValue(Equal("1")))))
		Expect(both[1]).To(And(HaveField("Description", HaveValue(Equal("two"))), HaveField("AllowedPattern", HaveValue(Equal("2"))),
			HaveField("Tier", types.ParameterTierStandard), HaveField("KeyId", BeNil()), HaveField("DataType", HaveValue(Equal("text")))))
	})
})

var _ = Describe("Values", func() {
	DescribeTable("come back as they were put", func(value string, of types.ParameterType) {
		mustPut("v", value, func(in *sdk.PutParameterInput) { in.Type = of })
		got := mustGet("v")
		Expect(*got.Value).To(Equal(value))
		Expect(got.Type).To(Equal(of))
	},
		Entry("a list", "a,b,c", types.ParameterTypeStringList), Entry("a list of one", "a", types.ParameterTypeStringList),
		Entry("a list with empty items and spaces", " a,, b ,", types.ParameterTypeStringList),
		Entry("lines", "a\nb\r\n", types.ParameterTypeString), Entry("blanks", "  ", types.ParameterTypeString),
		Entry("characters of more bytes", "grüße €", types.ParameterTypeString), Entry("quotes", `{"a":"b"}`, types.ParameterTypeString),
		Entry("half a reference in a secret", "x}}{{", types.ParameterTypeSecureString),
		Entry("a secret of Standard's size", strings.Repeat("s", 4096), types.ParameterTypeSecureString),
	)

	DescribeTable("have the size of their tier", func(tier types.ParameterTier, length int, want types.ParameterTier) {
		out, err := put("v", strings.Repeat("v", length), func(in *sdk.PutParameterInput) { in.Tier = tier })
		if want == "" {
			be(err, "ValidationException")
			Expect(err).To(MatchError(ContainSubstring("support a maximum parameter value of")))
			return
		}
		Expect(err).NotTo(HaveOccurred())
		Expect(out.Tier).To(Equal(want))
	},
		Entry(nil, types.ParameterTier(""), 4095, types.ParameterTierStandard), Entry(nil, types.ParameterTier(""), 4096, types.ParameterTierStandard),
		Entry(nil, types.ParameterTier(""), 4097, types.ParameterTier("")),
		Entry(nil, types.ParameterTierStandard, 4096, types.ParameterTierStandard), Entry(nil, types.ParameterTierStandard, 4097, types.ParameterTier("")),
		Entry(nil, types.ParameterTierAdvanced, 4096, types.ParameterTierAdvanced), Entry(nil, types.ParameterTierAdvanced, 8192, types.ParameterTierAdvanced),
		Entry(nil, types.ParameterTierAdvanced, 8193, types.ParameterTier("")),
		Entry(nil, types.ParameterTierIntelligentTiering, 4096, types.ParameterTierStandard),
		Entry(nil, types.ParameterTierIntelligentTiering, 8192, types.ParameterTierAdvanced),
		Entry(nil, types.ParameterTierIntelligentTiering, 8193, types.ParameterTier("")),
	)

	It("are text: other data types are refused, and what says nothing is taken", func() {
		for _, in := range []func(*sdk.PutParameterInput){
			func(in *sdk.PutParameterInput) { in.DataType = ptr.To("aws:ec2:image") },
			func(in *sdk.PutParameterInput) { in.DataType = ptr.To("aws:ssm:integration") },
		} {
			_, err := put("v", "v", in)
			be(err, "ValidationException")
			Expect(err).To(MatchError(ContainSubstring("not supported")))
		}
		mustPut("v", "v", func(in *sdk.PutParameterInput) { in.DataType, in.Policies = ptr.To("text"), ptr.To("[]") })
		mustPut("v", "v", overwrite, func(in *sdk.PutParameterInput) { in.DataType = ptr.To("") })
	})

	It("must match the pattern of the request or of the parameter", func() {
		number := func(in *sdk.PutParameterInput) { in.AllowedPattern = ptr.To(`^\d+$`) }
		_, err := put("v", "x", number)
		be(err, "ParameterPatternMismatchException")
		Expect(err).To(MatchError(ContainSubstring(`allowedPattern: ^\d+$`)))
		mustPut("v", "1", number)
		_, err = put("v", "x", overwrite)
		be(err, "ParameterPatternMismatchException")
		mustPut("v", "x", overwrite, func(in *sdk.PutParameterInput) { in.AllowedPattern = ptr.To("^x$") })
		_, err = put("v", "x", overwrite, func(in *sdk.PutParameterInput) { in.AllowedPattern = ptr.To("(?<=a)x") })
		be(err, "InvalidAllowedPatternException")
	})
})

var _ = Describe("Tags", func() {
	tag := func(tags ...types.Tag) error {
		_, err := do[sdk.AddTagsToResourceOutput](administrator, "AddTagsToResource",
			&sdk.AddTagsToResourceInput{ResourceType: parameterType, ResourceId: ptr.To("t"), Tags: tags})
		return err
	}
	of := func(pairs ...string) (out []types.Tag) {
		for i := 0; i < len(pairs); i += 2 {
			out = append(out, types.Tag{Key: &pairs[i], Value: &pairs[i+1]})
		}
		return out
	}
	there := func() map[string]string {
		out := map[string]string{}
		for _, t := range must[sdk.ListTagsForResourceOutput]("ListTagsForResource",
			&sdk.ListTagsForResourceInput{ResourceType: parameterType, ResourceId: ptr.To("t")}).TagList {
			out[*t.Key] = *t.Value
		}
		return out
	}
	BeforeEach(func() { mustPut("t", "v") })

	It("are put on over those of the same key, and taken off by key", func() {
		Expect(tag(of("team", "shop", "stage", "")...)).To(Succeed())
		Expect(tag(of("team", "bank")...)).To(Succeed())
		Expect(there()).To(Equal(map[string]string{"team": "bank", "stage": ""}))
		must[sdk.RemoveTagsFromResourceOutput]("RemoveTagsFromResource",
			&sdk.RemoveTagsFromResourceInput{ResourceType: parameterType, ResourceId: ptr.To(arnOf("t")), TagKeys: []string{"team", "none"}})
		Expect(there()).To(Equal(map[string]string{"stage": ""}))
		Expect(mustGet("t").Version).To(Equal(int64(1)), "tags make no version")
	})

	It("are at most fifty, and one more puts none on", func() {
		var fifty []string
		for i := range 50 {
			fifty = append(fifty, fmt.Sprint("k", i), "v")
		}
		Expect(tag(of(fifty...)...)).To(Succeed())
		Expect(tag(of("k0", "again")...)).To(Succeed())
		be(tag(of("k1", "changed", "one more", "v")...), "TooManyTagsError")
		Expect(there()).To(And(HaveLen(50), HaveKeyWithValue("k0", "again"), HaveKeyWithValue("k1", "v")))
		_, err := put("new", "v", func(in *sdk.PutParameterInput) { in.Tags = of(append(fifty, "one more", "v")...) })
		be(err, "TooManyTagsError")
	})

	It("are not AWS's own, nor twice the same for a policy", func() {
		for _, bad := range [][]types.Tag{of("aws:x", "v"), of("AWS:x", "v"), of("k", "1", "k", "2"), of("k", "1", "K", "2")} {
			be(tag(bad...), "ValidationException")
			_, err := put("new", "v", func(in *sdk.PutParameterInput) { in.Tags = bad })
			be(err, "ValidationException")
		}
		Expect(there()).To(BeEmpty())
	})

	It("are of parameters alone, and of whole ones", func() {
		for id, of := range map[string]types.ResourceTypeForTagging{"t": types.ResourceTypeForTaggingDocument, "t ": types.ResourceTypeForTaggingOpsItem} {
			_, err := do[sdk.ListTagsForResourceOutput](administrator, "ListTagsForResource", &sdk.ListTagsForResourceInput{ResourceType: of, ResourceId: &id})
			be(err, "InvalidResourceType")
		}
		for _, id := range []string{"t:1", "t t", ""} {
			_, err := do[sdk.ListTagsForResourceOutput](administrator, "ListTagsForResource",
				&sdk.ListTagsForResourceInput{ResourceType: parameterType, ResourceId: &id})
			be(err, "InvalidResourceId")
		}
	})
})
