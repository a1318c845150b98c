package ssm_test

import (
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("A name", func() {
	DescribeTable("that is AWS's own is refused as AWS does", func(name, code string) {
		_, err := put(name, "v")
		be(err, code)
	},
		Entry("a path", "/aws/service/x", "AccessDeniedException"), Entry("in any case", "/AWSreference/x", "AccessDeniedException"),
		Entry("no path", "aws-x", "ValidationException"), Entry("a single level", "/aws", "ValidationException"), Entry("ssm", "/ssm/x", "ValidationException"),
	)

	It("has a version behind it in one way only", func() {
		mustPut("n", "v")
		for _, selector := range []string{":01", ":+1", ":1 ", ":0x1", ":-1", ":0"} {
			_, err := get("n"+selector, true)
			Expect(err).To(HaveOccurred(), selector)
		}
		_, err := get("n:1", true)
		Expect(err).NotTo(HaveOccurred())
	})
})

var _ = Describe("A value that refers to another parameter", func() {
	It("is refused whatever the type is", func() {
		for _, change := range []func(*sdk.PutParameterInput){secure, func(*sdk.PutParameterInput) {}} {
			_, err := put("nested", "a {{ssm:other}}", change)
			be(err, "ValidationException")
			Expect(err).To(MatchError(ContainSubstring("can't nest another parameter")))
		}
	})
})

var _ = Describe("GetParametersByPath", func() {
	// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
	DescribeTable("asks the policies about the path as the request has it", func(resource, path string, may bool) {
		mustPut("/mine/x", "v")
		_, err := do[sdk.GetParametersByPathOutput](allowed("ssm:GetParametersByPath", arnOf("")+resource), "GetParametersByPath",
			&sdk.GetParametersByPathInput{Path: &path})
		if may {
			Expect(err).NotTo(HaveOccurred())
			return
		}
		be(err, "AccessDeniedException")
	},
		Entry("what is below, with its slash", "mine/*", "/mine/", true), Entry("what is below, without", "mine/*", "/mine", false),
		Entry("the path, without", "mine", "/mine", true), Entry("the path, with its slash", "mine", "/mine/", false),
		Entry("all that begins so", "mine*", "/mine/", true), Entry("another path", "mine/*", "/", false), Entry("all", "*", "/", true),
	)
})

var _ = Describe("What a manifest says of a parameter", func() {
	var declared *v1alpha1.Parameter
	BeforeEach(func() {
		declared = environment.Parameter(world.Namespace, "git", func(p *v1alpha1.Parameter) {
			p.Spec.Name, p.Spec.Value, p.Spec.AllowedPattern, p.Spec.Description = "/git", "", "^[a-z]+$", "from git"
		})
		world.Create(declared)
		passOver()
	})

	It("wins over what a request wants in its place, and the answer names it; a value may be put beside it", func() {
		_, err := put("/git", "123", func(in *sdk.PutParameterInput) {
			in.AllowedPattern, in.Description = ptr.To(".*"), ptr.To("from a request")
		})
		be(err, "ValidationException")
		Expect(err).To(MatchError(And(ContainSubstring("allowedPattern, description"), ContainSubstring("Parameter git"))))
		_, err = put("/git", "123")
		be(err, "ParameterPatternMismatchException")
		Expect(mustPut("/git", "abc").Version).To(Equal(int64(1)))
		// The same again is no change.
		mustPut("/git", "abd", overwrite, func(in *sdk.PutParameterInput) {
			in.AllowedPattern, in.Description = ptr.To("^[a-z]+$"), ptr.To("from git")
		})
		world.Refresh(declared)
		Expect(declared.Spec.AllowedPattern).To(Equal("^[a-z]+$"))
		Expect(declared.Spec.Description).To(Equal("from git"))
	})

	It("says nothing of the fields that it leaves out, which requests go on to change", func() {
		for _, tier := range []types.ParameterTier{types.ParameterTierAdvanced} {
			mustPut("/git", "abc", overwrite, func(in *sdk.PutParameterInput) { in.Tier = tier })
		}
		world.Refresh(declared)
		Expect(declared.Spec.Tier).To(Equal(v1alpha1.TierAdvanced))
		mustPut("/git", "abd", overwrite, func(in *sdk.PutParameterInput) {
			in.Policies = ptr.To(`[{"Type":"NoChangeNotification","Version":"1.0","Attributes":{"After":"1","Unit":"Days"}}]`)
		})
		world.Refresh(declared)
		Expect(declared.Spec.Policies).To(HaveLen(1))
		mustPut("/git", "abe", overwrite, func(in *sdk.PutParameterInput) {
			in.Policies = ptr.To(`[{"Type":"NoChangeNotification","Version":"1.0","Attributes":{"After":"2","Unit":"Days"}}]`)
		})
	})

	It("is not said of a parameter that requests made, until somebody writes it", func() {
		mustPut("api", "1", func(in *sdk.PutParameterInput) { in.Description = ptr.To("one") })
		mustPut("api", "2", overwrite, func(in *sdk.PutParameterInput) { in.Description = ptr.To("two") })
		made := &v1alpha1.Parameter{}
		Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKey{Namespace: world.Namespace, Name: "api"}, made)).To(Succeed())
		Expect(made.Spec.Description).To(Equal("two"))
		world.Update(made, func() { made.Spec.Description = "three" })
		_, err := put("api", "3", overwrite, func(in *sdk.PutParameterInput) { in.Description = ptr.To("four") })
		be(err, "ValidationException")
	})
})
