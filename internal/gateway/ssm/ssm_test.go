package ssm_test

import (
	"encoding/base64"
	"fmt"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

func names(parameters []types.Parameter) (out []string) {
	for i := range parameters {
		out = append(out, *parameters[i].Name)
	}
	return out
}

var _ = Describe("PutParameter and GetParameter", func() {
	It("make a parameter, and the object that a manifest would", func() {
		out := mustPut("/prod/shop/level", "info")
		Expect(out.Version).To(Equal(int64(1)))
		Expect(out.Tier).To(Equal(types.ParameterTierStandard))
		p := mustGet("/prod/shop/level")
		Expect(p).To(HaveValue(HaveField("Value", HaveValue(Equal("info")))))
		Expect(*p.ARN).To(Equal(arnOf("/prod/shop/level")))
		Expect(*p.Name).To(Equal("/prod/shop/level"))
		Expect(*p.DataType).To(Equal("text"))
		Expect(p.LastModifiedDate).NotTo(BeNil())
		var list v1alpha1.ParameterList
		Expect(world.ControlPlane.Client.List(ctx, &list, client.InNamespace(world.Namespace))).To(Succeed())
		Expect(list.Items).To(HaveLen(1))
		Expect(list.Items[0].Spec.Value).To(BeEmpty(), "a value is in a spec")
		Expect(list.Items[0].Status.Conditions[0]).To(HaveField("Status", BeEquivalentTo("True")))
	})

	It("know x and /x as one parameter, by name and ARN", func() {
		mustPut("x", "1")
		_, err := put("/x", "2")
		be(err, "ParameterAlreadyExists")
		for _, name := range []string{"x", "/x", arnOf("x")} {
			Expect(*mustGet(name).Value).To(Equal("1"))
		}
	})

	It("select versions and labels", func() {
		mustPut("/a/b", "one")
		Expect(mustPut("/a/b", "two", overwrite).Version).To(Equal(int64(2)))
		must[sdk.LabelParameterVersionOutput]("LabelParameterVersion",
			&sdk.LabelParameterVersionInput{Name: ptr.To("/a/b"), ParameterVersion: ptr.To(int64(1)), Labels: []string{"stable"}})
		for selector, want := range map[string]string{"": "two", ":1": "one", ":2": "two", ":stable": "one"} {
			p := mustGet("/a/b" + selector)
			Expect(*p.Value).To(Equal(want), selector)
			if selector != "" {
				Expect(*p.Selector).To(Equal(selector))
			}
			Expect(*mustGet(arnOf("/a/b") + selector).Value).To(Equal(want))
		}
		for _, selector := range []string{":3", ":none"} {
			_, err := get("/a/b"+selector, true)
			be(err, "ParameterVersionNotFound")
		}
	})

	It("overwrite keeps type, tags, description and tier, and takes no tags", func() {
		mustPut("a", "1", func(in *sdk.PutParameterInput) {
			in.Type, in.Description, in.Tier = types.ParameterTypeStringList, ptr.To("d"), types.ParameterTierAdvanced
			in.Tags = []types.Tag{{Key: ptr.To("team"), Value: ptr.To("shop")}}
		})
		out := mustPut("a", "2", overwrite, func(in *sdk.PutParameterInput) { in.Type = "" })
		Expect(out.Tier).To(Equal(types.ParameterTierAdvanced))
		described := must[sdk.DescribeParametersOutput]("DescribeParameters", &sdk.DescribeParametersInput{}).Parameters[0]
		Expect(described.Type).To(Equal(types.ParameterTypeStringList))
		Expect(*described.Description).To(Equal("d"))
		Expect(must[sdk.ListTagsForResourceOutput]("ListTagsForResource", &sdk.ListTagsForResourceInput{
			ResourceType: types.ResourceTypeForTaggingParameter, ResourceId: ptr.To("a"),
		}).TagList).To(HaveLen(1))
		_, err := put("a", "3", overwrite, func(in *sdk.PutParameterInput) { in.Tags = []types.Tag{{Key: ptr.To("k"), Value: ptr.To("v")}} })
		be(err, "ValidationException")
		_, err = put("a", "3", overwrite, secure)
		be(err, "HierarchyTypeMismatchException")
		_, err = put("a", "3", overwrite, func(in *sdk.PutParameterInput) { in.Type, in.Tier = "", types.ParameterTierStandard })
		be(err, "ValidationException")
	})

	DescribeTable("refuse what AWS refuses, and make nothing", func(name, value, code string, changes ...func(*sdk.PutParameterInput)) {
		_, err := put(name, value, changes...)
		be(err, code)
		_, err = get("x", true)
		be(err, "ParameterNotFound")
	},
		Entry("a name of aws", "awsx", "v", "ValidationException"),
		Entry("a path of SSM", "/SSM/x", "v", "ValidationException"),
		Entry("a path without its slash", "a/b", "v", "ValidationException"),
		Entry("a name with a space", "a b", "v", "ValidationException"),
		Entry("sixteen levels", strings.Repeat("/a", 16), "v", "HierarchyLevelLimitExceededException"),
		Entry("a reference", "x", "{{ssm:y}}", "ValidationException"),
		Entry("a long value", "x", strings.Repeat("v", 4097), "ValidationException"),
		Entry("a very long value", "x", strings.Repeat("v", 8193), "ValidationException",
			func(in *sdk.PutParameterInput) { in.Tier = types.ParameterTierIntelligentTiering }),
		Entry("another than the pattern's value", "x", "v", "ParameterPatternMismatchException",
			func(in *sdk.PutParameterInput) { in.AllowedPattern = ptr.To("^[0-9]+$") }),
		Entry("a pattern that is none", "x", "v", "InvalidAllowedPatternException",
			func(in *sdk.PutParameterInput) { in.AllowedPattern = ptr.To("(") }),
		Entry("another data type", "x", "v", "ValidationException", func(in *sdk.PutParameterInput) { in.DataType = ptr.To("aws:ec2:image") }),
		Entry("no type", "x", "v", "ValidationException", func(in *sdk.PutParameterInput) { in.Type = "" }),
		Entry("a key that is not there", "x", "v", "InvalidKeyId", secure, func(in *sdk.PutParameterInput) { in.KeyId = ptr.To("alias/none") }),
	)

	It("refuse to put a value where the manifest has one, which wins", func() {
		p := environment.Parameter(world.Namespace, "declared")
		world.Create(p)
		_, err := world.Parameter.Reconcile(ctx, environment.Request(p))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(p)
		world.Seen(p)
		Expect(*mustGet("declared").Value).To(Equal("info"))
		_, err = put("declared", "debug", overwrite)
		be(err, "ValidationException")
		Expect(err).To(MatchError(ContainSubstring("spec.value")))
	})
})

var _ = Describe("A SecureString", func() {
	It("is answered in the clear only with decryption", func() {
		mustPut("s", "hush", secure)
		Expect(*mustGet("s").Value).To(Equal("hush"))
		p, err := get("s", false)
		Expect(err).NotTo(HaveOccurred())
		raw, err := base64.StdEncoding.DecodeString(*p.Value)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(raw)).NotTo(ContainSubstring("hush"))
	})

	It("under a customer's key needs kms:Decrypt by way of ssm, with the parameter's ARN in the context", func() {
		key := world.ReadyKey("key")
		mustPut("s", "hush", secure, func(in *sdk.PutParameterInput) { in.KeyId = &key.Status.KeyID })
		read := allowed("ssm:GetParameter", arnOf("s"))
		decrypt := allowed("kms:Decrypt", key.Status.ARN,
			`{"StringEquals":{"kms:ViaService":"ssm.us-east-1.amazonaws.com","kms:EncryptionContext:PARAMETER_ARN":"`+arnOf("s")+`"}}`)
		in := &sdk.GetParameterInput{Name: ptr.To("s"), WithDecryption: ptr.To(true)}
		_, err := do[sdk.GetParameterOutput](read, "GetParameter", in)
		be(err, "AccessDeniedException")
		out, err := do[sdk.GetParameterOutput](read+","+decrypt, "GetParameter", in)
		Expect(err).NotTo(HaveOccurred())
		Expect(*out.Parameter.Value).To(Equal("hush"))
		in.WithDecryption = nil
		_, err = do[sdk.GetParameterOutput](read, "GetParameter", in)
		Expect(err).NotTo(HaveOccurred(), "the ciphertext needs no key")
		history := must[sdk.GetParameterHistoryOutput]("GetParameterHistory", &sdk.GetParameterHistoryInput{Name: ptr.To("s")})
		Expect(*history.Parameters[0].KeyId).To(Equal(key.Status.ARN))
	})
})

var _ = Describe("Several parameters", func() {
	BeforeEach(func() {
		for _, name := range []string{"/a/x", "/a/b/y", "/a/b/c/z", "/ab", "top"} {
			mustPut(name, "v")
		}
	})

	It("are read by name, and what is not there is told", func() {
		out := must[sdk.GetParametersOutput]("GetParameters", &sdk.GetParametersInput{Names: []string{"/a/x", "none", "/a/x:9", "top:1", "a b"}})
		Expect(names(out.Parameters)).To(Equal([]string{"/a/x", "top"}))
		Expect(out.InvalidParameters).To(Equal([]string{"none", "/a/x:9", "a b"}))
	})

	DescribeTable("are read by path", func(path string, recursive bool, want ...string) {
		out := must[sdk.GetParametersByPathOutput]("GetParametersByPath", &sdk.GetParametersByPathInput{Path: &path, Recursive: &recursive})
		Expect(names(out.Parameters)).To(ConsistOf(want))
	},
		Entry("one level", "/a", false, "/a/x"),
		Entry("with a slash at its end", "/a/", false, "/a/x"),
		Entry("all levels", "/a", true, "/a/x", "/a/b/y", "/a/b/c/z"),
		Entry("the root", "/", false, "/ab", "top"),
		Entry("all", "/", true, "/a/x", "/a/b/y", "/a/b/c/z", "/ab", "top"),
		Entry("nothing", "/none", true),
	)

	It("come in pages that miss and repeat nothing", func() {
		var seen []string
		in := &sdk.GetParametersByPathInput{Path: ptr.To("/"), Recursive: ptr.To(true), MaxResults: ptr.To(int32(2))}
		for range 5 {
			out := must[sdk.GetParametersByPathOutput]("GetParametersByPath", in)
			seen = append(seen, names(out.Parameters)...)
			if in.NextToken = out.NextToken; in.NextToken == nil {
				break
			}
		}
		Expect(seen).To(Equal([]string{"/a/b/c/z", "/a/b/y", "/a/x", "/ab", "top"}))
		in.NextToken = ptr.To("bm9uZQ")
		_, err := do[sdk.GetParametersByPathOutput](administrator, "GetParametersByPath", in)
		be(err, "InvalidNextToken")
	})

	DescribeTable("are described by filters", func(filter types.ParameterStringFilter, want ...string) {
		out := must[sdk.DescribeParametersOutput]("DescribeParameters", &sdk.DescribeParametersInput{ParameterFilters: []types.ParameterStringFilter{filter}})
		var got []string
		for i := range out.Parameters {
			got = append(got, *out.Parameters[i].Name)
		}
		Expect(got).To(ConsistOf(want))
	},
		Entry("by name", types.ParameterStringFilter{Key: ptr.To("Name"), Values: []string{"top", "ab"}}, "top", "/ab"),
		Entry("by its beginning", types.ParameterStringFilter{Key: ptr.To("Name"), Option: ptr.To("BeginsWith"), Values: []string{"/a/"}}, "/a/x", "/a/b/y", "/a/b/c/z"),
		Entry("by a part", types.ParameterStringFilter{Key: ptr.To("Name"), Option: ptr.To("Contains"), Values: []string{"b/"}}, "/a/b/y", "/a/b/c/z"),
		Entry("by path", types.ParameterStringFilter{Key: ptr.To("Path"), Option: ptr.To("OneLevel"), Values: []string{"/a/b"}}, "/a/b/y"),
		Entry("by type", types.ParameterStringFilter{Key: ptr.To("Type"), Values: []string{"SecureString"}}),
		Entry("by tag", types.ParameterStringFilter{Key: ptr.To("tag:team")}),
	)

	It("have filters that are checked", func() {
		for code, filter := range map[string]types.ParameterStringFilter{
			"InvalidFilterKey":    {Key: ptr.To("Label"), Values: []string{"x"}},
			"InvalidFilterOption": {Key: ptr.To("Name"), Option: ptr.To("Recursive"), Values: []string{"x"}},
			"InvalidFilterValue":  {Key: ptr.To("Name")},
			"ValidationException": {Key: ptr.To("Path"), Values: []string{"x"}},
		} {
			_, err := do[sdk.DescribeParametersOutput](administrator, "DescribeParameters",
				&sdk.DescribeParametersInput{ParameterFilters: []types.ParameterStringFilter{filter}})
			be(err, code)
		}
	})

	It("are deleted with all versions, and start anew at version 1", func() {
		mustPut("top", "2", overwrite)
		out := must[sdk.DeleteParametersOutput]("DeleteParameters", &sdk.DeleteParametersInput{Names: []string{"top", "none"}})
		Expect(out.DeletedParameters).To(Equal([]string{"top"}))
		Expect(out.InvalidParameters).To(Equal([]string{"none"}))
		_, err := do[sdk.DeleteParameterOutput](administrator, "DeleteParameter", &sdk.DeleteParameterInput{Name: ptr.To("top")})
		be(err, "ParameterNotFound")
		Expect(mustPut("top", "again").Version).To(Equal(int64(1)))
		Expect(*mustGet("top").Value).To(Equal("again"))
	})
})

var _ = Describe("Labels and history", func() {
	It("move, are refused when they can be none, and are bounded", func() {
		mustPut("l", "1")
		mustPut("l", "2", overwrite)
		label := func(version int64, labels ...string) (*sdk.LabelParameterVersionOutput, error) {
			return do[sdk.LabelParameterVersionOutput](administrator, "LabelParameterVersion",
				&sdk.LabelParameterVersionInput{Name: ptr.To("l"), ParameterVersion: &version, Labels: labels})
		}
		out, err := label(1, "prod", "1st", "aws-x", "SSM.y", "ok_1.2-3")
		Expect(err).NotTo(HaveOccurred())
		Expect(out.InvalidLabels).To(Equal([]string{"1st", "aws-x", "SSM.y"}))
		_, err = label(2, "prod")
		Expect(err).NotTo(HaveOccurred())
		history := must[sdk.GetParameterHistoryOutput]("GetParameterHistory", &sdk.GetParameterHistoryInput{Name: ptr.To("l")}).Parameters
		Expect(history[0].Labels).To(Equal([]string{"ok_1.2-3"}))
		Expect(history[1].Labels).To(Equal([]string{"prod"}))
		var many []string
		for i := range 10 {
			many = append(many, fmt.Sprintf("l%d", i))
		}
		_, err = label(2, many...)
		be(err, "ParameterVersionLabelLimitExceeded")
		_, err = label(9, "x")
		be(err, "ParameterVersionNotFound")
		removed := must[sdk.UnlabelParameterVersionOutput]("UnlabelParameterVersion",
			&sdk.UnlabelParameterVersionInput{Name: ptr.To("l"), ParameterVersion: ptr.To(int64(2)), Labels: []string{"prod", "none"}})
		Expect(removed.RemovedLabels).To(Equal([]string{"prod"}))
		Expect(removed.InvalidLabels).To(Equal([]string{"none"}))
	})
})

var _ = Describe("Permission", func() {
	It("is asked for before it is told what there is", func() {
		mustPut("/a/x", "v")
		for _, name := range []string{"/a/x", "/a/none"} {
			_, err := do[sdk.GetParameterOutput](stranger, "GetParameter", &sdk.GetParameterInput{Name: &name})
			be(err, "AccessDeniedException")
			_, err = do[sdk.DeleteParameterOutput](stranger, "DeleteParameter", &sdk.DeleteParameterInput{Name: &name})
			be(err, "AccessDeniedException")
		}
	})

	It("is asked for each of several names", func() {
		mustPut("a", "v")
		mustPut("b", "v")
		one := allowed("ssm:GetParameters", arnOf("a"))
		in := &sdk.GetParametersInput{Names: []string{"a", "b"}}
		_, err := do[sdk.GetParametersOutput](one, "GetParameters", in)
		be(err, "AccessDeniedException")
		_, err = do[sdk.GetParametersOutput](one+","+allowed("ssm:GetParameters", arnOf("b")), "GetParameters", in)
		Expect(err).NotTo(HaveOccurred())
	})

	It("can depend on tags, on overwriting and on recursion", func() {
		mustPut("a", "v", func(in *sdk.PutParameterInput) { in.Tags = []types.Tag{{Key: ptr.To("team"), Value: ptr.To("shop")}} })
		for team, ok := range map[string]bool{"shop": true, "bank": false} {
			who := allowed("ssm:GetParameter", "*", `{"StringEquals":{"aws:ResourceTag/team":"`+team+`"}}`)
			_, err := do[sdk.GetParameterOutput](who, "GetParameter", &sdk.GetParameterInput{Name: ptr.To("a")})
			Expect(err == nil).To(Equal(ok), team)
		}
		who := allowed("ssm:PutParameter", "*", `{"StringEquals":{"ssm:Overwrite":"false"}}`)
		in := &sdk.PutParameterInput{Name: ptr.To("a"), Value: ptr.To("2"), Overwrite: ptr.To(true)}
		_, err := do[sdk.PutParameterOutput](who, "PutParameter", in)
		be(err, "AccessDeniedException")
		who = allowed("ssm:GetParametersByPath", "*", `{"StringEquals":{"ssm:Recursive":"false"}}`)
		_, err = do[sdk.GetParametersByPathOutput](who, "GetParametersByPath", &sdk.GetParametersByPathInput{Path: ptr.To("/"), Recursive: ptr.To(true)})
		be(err, "AccessDeniedException")
	})
})

// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html#systemsmanager-PutParameter-request-Name
var _ = Describe("The name of a put", func() {
	It("loses the spaces at its ends, for policies too", func() {
		mustPut(" /u/sp ", "v")
		Expect(*mustGet("/u/sp").Name).To(Equal("/u/sp"))
		_, err := put("  /u/sp", "w")
		be(err, "ParameterAlreadyExists")
		spaced := &sdk.PutParameterInput{Name: ptr.To("/u/sp  "), Value: ptr.To("w"), Type: types.ParameterTypeString, Overwrite: ptr.To(true)}
		_, err = do[sdk.PutParameterOutput](allowed("ssm:PutParameter", arnOf("/u/other")), "PutParameter", spaced)
		be(err, "AccessDeniedException")
		Expect(err).To(MatchError(ContainSubstring("on resource: ")))
		_, err = do[sdk.PutParameterOutput](allowed("ssm:PutParameter", arnOf("/u/sp")), "PutParameter", spaced)
		Expect(err).NotTo(HaveOccurred())
		Expect(*mustGet("/u/sp").Value).To(Equal("w"))
	})

	It("has no space in the middle, nor spaces alone, nor another white space", func() {
		for _, name := range []string{"/u/s p", " ", "   ", "/u/sp\t", "\n/u/sp"} {
			_, err := put(name, "v")
			be(err, "ValidationException")
		}
	})
})
