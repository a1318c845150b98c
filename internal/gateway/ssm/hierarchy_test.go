package ssm_test

import (
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"
)

func byPath(path string, changes ...func(*sdk.GetParametersByPathInput)) (*sdk.GetParametersByPathOutput, error) {
	GinkgoHelper()
	in := &sdk.GetParametersByPathInput{Path: &path}
	for _, c := range changes {
		c(in)
	}
	return do[sdk.GetParametersByPathOutput](administrator, "GetParametersByPath", in)
}

func recursively(in *sdk.GetParametersByPathInput) { in.Recursive = ptr.To(true) }

func decrypted(in *sdk.GetParametersByPathInput) { in.WithDecryption = ptr.To(true) }

func filtered(filters ...types.ParameterStringFilter) func(*sdk.GetParametersByPathInput) {
	return func(in *sdk.GetParametersByPathInput) { in.ParameterFilters = filters }
}

func filter(key, option string, values ...string) types.ParameterStringFilter {
	f := types.ParameterStringFilter{Key: &key, Values: values}
	if option != "" {
		f.Option = &option
	}
	return f
}

// https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParametersByPath.html
var _ = Describe("A hierarchy", func() {
	It("of fifteen levels is read from any of them, and a parameter is not under its own name", func() {
		deepest := strings.Repeat("/l", 15)
		mustPut(deepest, "v")
		mustPut("/l", "itself")
		for level := range 15 {
			path := strings.Repeat("/l", level)
			if path == "" {
				path = "/"
			}
			out, err := byPath(path, recursively)
			Expect(err).NotTo(HaveOccurred())
			Expect(names(out.Parameters)).To(ContainElement(deepest), "from %s", path)
		}
		out, err := byPath(deepest, recursively)
		Expect(err).NotTo(HaveOccurred())
		Expect(out.Parameters).To(BeEmpty())
		out, err = byPath("/l", recursively)
		Expect(err).NotTo(HaveOccurred())
		Expect(names(out.Parameters)).To(Equal([]string{deepest}))
	})

	It("does not take a name that only begins alike for a level", func() {
		mustPut("/prod/a", "v")
		mustPut("/production/a", "v")
		mustPut("/prod.a", "v")
		out, err := byPath("/prod", recursively)
		Expect(err).NotTo(HaveOccurred())
		Expect(names(out.Parameters)).To(Equal([]string{"/prod/a"}))
	})

	DescribeTable("has paths that are checked before anything is looked for",
		func(path string) {
			_, err := byPath(path)
			be(err, "ValidationException")
			_, err = do[sdk.GetParametersByPathOutput](stranger, "GetParametersByPath", &sdk.GetParametersByPathInput{Path: &path})
			be(err, "ValidationException")
		},
		Entry("nothing", ""), Entry("no slash in front", "prod"), Entry("an empty level", "/prod//a"), Entry("slashes alone", "//"),
		Entry("a wildcard", "/prod/*"), Entry("a selector", "/prod/a:1"), Entry("a space", "/prod/a b"), Entry("an umlaut", "/prod/ä"),
		Entry("an ARN", "arn:aws:ssm:us-east-1:111122223333:parameter/prod"), Entry("a question mark", "/pro?"),
	)

	It("is answered with all that GetParameter tells, in the order of names", func() {
		mustPut("/s/b", "2", secure)
		mustPut("/s/a", "1")
		mustPut("/s/a", "1+", overwrite)
		out, err := byPath("/s", decrypted)
		Expect(err).NotTo(HaveOccurred())
		Expect(names(out.Parameters)).To(Equal([]string{"/s/a", "/s/b"}))
		for i, name := range []string{"/s/a", "/s/b"} {
			Expect(out.Parameters[i]).To(Equal(*mustGet(name)))
		}
		out, err = byPath("/s")
		Expect(err).NotTo(HaveOccurred())
		Expect(*out.Parameters[1].Value).NotTo(Equal("2"), "a SecureString is in the clear without decryption")
	})

	DescribeTable("is filtered", func(want []string, filters ...types.ParameterStringFilter) {
		world.ReadyKey("mine")
		mustPut("/f/text", "v")
		mustPut("/f/list", "a,b", func(in *sdk.PutParameterInput) { in.Type = types.ParameterTypeStringList })
		mustPut("/f/own", "v", secure)
		mustPut("/f/new", "v")
		must[sdk.LabelParameterVersionOutput]("LabelParameterVersion", &sdk.LabelParameterVersionInput{Name: ptr.To("/f/new"), Labels: []string{"green"}})
		out, err := byPath("/f", filtered(filters...))
		Expect(err).NotTo(HaveOccurred())
		Expect(names(out.Parameters)).To(Equal(want))
	},
		Entry("by type", []string{"/f/list"}, filter("Type", "", "StringList")),
		Entry("by one of two types", []string{"/f/list", "/f/own"}, filter("Type", "Equals", "StringList", "SecureString")),
		Entry("by the beginning of a type", []string{"/f/list", "/f/new", "/f/text"}, filter("Type", "BeginsWith", "String")),
		Entry("by key", []string{"/f/own"}, filter("KeyId", "", "alias/aws/ssm")),
		Entry("by the beginning of a key", []string{"/f/own"}, filter("KeyId", "BeginsWith", "alias/")),
		Entry("by label", []string{"/f/new"}, filter("Label", "", "green")),
		Entry("by two filters, of which both must hold", nil, filter("Label", "", "green"), filter("Type", "", "SecureString")),
	)

	It("filtered by a label shows the version that has it", func() {
		mustPut("/f/a", "one")
		must[sdk.LabelParameterVersionOutput]("LabelParameterVersion", &sdk.LabelParameterVersionInput{Name: ptr.To("/f/a"), Labels: []string{"stable"}})
		mustPut("/f/a", "two", overwrite)
		mustPut("/f/unlabelled", "v")
		out, err := byPath("/f", filtered(filter("Label", "Equals", "stable")))
		Expect(err).NotTo(HaveOccurred())
		Expect(out.Parameters).To(HaveLen(1))
		Expect(*out.Parameters[0].Value).To(Equal("one"))
		Expect(out.Parameters[0].Version).To(Equal(int64(1)))
	})

	DescribeTable("has filters that are checked, by AWS's list of what is none",
		func(code string, f types.ParameterStringFilter) {
			_, err := byPath("/f", filtered(f))
			be(err, code)
		},
		Entry("a name", "InvalidFilterKey", filter("Name", "", "x")), Entry("a path", "InvalidFilterKey", filter("Path", "", "/x")),
		Entry("a tier", "InvalidFilterKey", filter("Tier", "", "Standard")), Entry("a tag", "InvalidFilterKey", filter("tag:team", "", "x")),
		Entry("a data type", "InvalidFilterKey", filter("DataType", "", "text")), Entry("no filter at all", "InvalidFilterKey", filter("Nonsense", "", "x")),
		Entry("the beginning of a label", "InvalidFilterOption", filter("Label", "BeginsWith", "x")),
		Entry("a part of a type", "InvalidFilterOption", filter("Type", "Contains", "x")),
		Entry("no value", "InvalidFilterValue", filter("Type", "Equals")),
	)

	DescribeTable("is denied by a policy that denies its path, with the slash at its end and without",
		func(denied, path string, want bool) {
			mustPut("/secret/a", "v")
			mustPut("/secret/b/c", "v")
			who := caller(`{"Effect":"Allow","Action":"ssm:*","Resource":"*"},{"Effect":"Deny","Action":"ssm:GetParametersByPath","Resource":"` + arnOf(denied) + `"}`)
			out, err := do[sdk.GetParametersByPathOutput](who, "GetParametersByPath", &sdk.GetParametersByPathInput{Path: &path})
			if want {
				be(err, "AccessDeniedException")
				Expect(err).To(MatchError(ContainSubstring("on resource: " + arnOf("") + strings.TrimPrefix(path, "/") + " with an explicit deny")))
				return
			}
			Expect(err).NotTo(HaveOccurred())
			Expect(out.Parameters).NotTo(BeEmpty())
		},
		Entry(nil, "/secret", "/secret", true), Entry(nil, "/secret", "/secret/", true), Entry(nil, "/secret/", "/secret", true), Entry(nil, "/secret/", "/secret/", true),
		Entry("all that is below", "/secret/*", "/secret", true), Entry("all that is below, with the slash", "/secret/*", "/secret/", true),
		Entry("a level below alone", "/secret/b", "/secret", false), Entry("a level below alone", "/secret/b", "/secret/", false), Entry("a level below", "/secret/b", "/secret/b/", true),
		Entry("another name", "/secrets", "/secret/", false), Entry("the root", "/", "/secret/", false), Entry("the path of a Deny of the root", "/", "/", true),
	)

	It("of another account or region is not seen", func() {
		mustPut("/here/a", "v")
		region = "eu-west-1"
		out, err := byPath("/", recursively)
		Expect(err).NotTo(HaveOccurred())
		Expect(out.Parameters).To(BeEmpty())
		mustPut("/here/a", "theirs")
		Expect(*mustGet("/here/a").Value).To(Equal("theirs"))
		region = home
		Expect(*mustGet("/here/a").Value).To(Equal("v"))
		_, err = get("arn:aws:ssm:eu-west-1:"+account+":parameter/here/a", true)
		be(err, "ParameterNotFound")
		_, err = get("arn:aws:ssm:us-east-1:999999999999:parameter/here/a", true)
		be(err, "AccessDeniedException")
	})
})
