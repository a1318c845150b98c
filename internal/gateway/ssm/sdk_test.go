package ssm_test

import (
	"errors"
	"fmt"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/test/environment"
)

// These specs go the whole way: AWS's own client, its signature, the wire, and back.
var _ = Describe("AWS's own client", func() {
	var (
		door   *environment.Door
		client *sdk.Client
	)
	BeforeEach(func() {
		door = world.Open(service)
		client = sdk.NewFromConfig(door.Config(home, `"Action":["ssm:*","kms:*"],"Resource":"*"`))
	})
	put := func(name, value string, changes ...func(*sdk.PutParameterInput)) error {
		in := &sdk.PutParameterInput{Name: &name, Value: &value, Type: types.ParameterTypeString}
		for _, c := range changes {
			c(in)
		}
		_, err := client.PutParameter(ctx, in)
		return err
	}

	It("lives a parameter's life through", func() {
		Expect(put("/app/db", "hush", secure)).To(Succeed())
		Expect(put("/app/db", "hush hush", secure, overwrite)).To(Succeed())
		_, err := client.LabelParameterVersion(ctx, &sdk.LabelParameterVersionInput{Name: ptr.To("/app/db"), ParameterVersion: ptr.To(int64(1)), Labels: []string{"old"}})
		Expect(err).NotTo(HaveOccurred())
		got, err := client.GetParameter(ctx, &sdk.GetParameterInput{Name: ptr.To("/app/db:old"), WithDecryption: ptr.To(true)})
		Expect(err).NotTo(HaveOccurred())
		Expect(*got.Parameter.Value).To(Equal("hush"))
		Expect(*got.Parameter.Selector).To(Equal(":old"))
		Expect(*got.Parameter.LastModifiedDate).To(BeTemporally("~", world.Clock.Now(), 2e9))
		history, err := client.GetParameterHistory(ctx, &sdk.GetParameterHistoryInput{Name: ptr.To("/app/db"), WithDecryption: ptr.To(true)})
		Expect(err).NotTo(HaveOccurred())
		Expect(history.Parameters).To(HaveLen(2))
		Expect(*history.Parameters[1].Value).To(Equal("hush hush"))
		many, err := client.GetParameters(ctx, &sdk.GetParametersInput{Names: []string{"/app/db", "none"}})
		Expect(err).NotTo(HaveOccurred())
		Expect(many.InvalidParameters).To(Equal([]string{"none"}))
		_, err = client.DeleteParameter(ctx, &sdk.DeleteParameterInput{Name: ptr.To("/app/db")})
		Expect(err).NotTo(HaveOccurred())

		record := door.Text()
		for _, operation := range []string{"PutParameter", "LabelParameterVersion", "GetParameter", "GetParameterHistory", "GetParameters", "DeleteParameter"} {
			Expect(record).To(ContainSubstring(`"eventName":"` + operation + `"`))
		}
		Expect(record).To(ContainSubstring(arnOf("/app/db")))
		Expect(record).NotTo(ContainSubstring("hush"), "a record tells a value")
	})

	It("is told AWS's errors as the types that its users look for", func() {
		Expect(put("a", "v")).To(Succeed())
		var (
			exists   *types.ParameterAlreadyExists
			missing  *types.ParameterNotFound
			version  *types.ParameterVersionNotFound
			pattern  *types.ParameterPatternMismatchException
			levels   *types.HierarchyLevelLimitExceededException
			mismatch *types.HierarchyTypeMismatchException
			token    *types.InvalidNextToken
			key      *types.InvalidFilterKey
			resource *types.InvalidResourceId
			kms      *types.InvalidKeyId
		)
		Expect(errors.As(put("a", "w"), &exists)).To(BeTrue())
		Expect(exists.ErrorMessage()).To(ContainSubstring("overwrite"))
		_, err := client.GetParameter(ctx, &sdk.GetParameterInput{Name: ptr.To("none")})
		Expect(errors.As(err, &missing)).To(BeTrue())
		_, err = client.GetParameter(ctx, &sdk.GetParameterInput{Name: ptr.To("a:7")})
		Expect(errors.As(err, &version)).To(BeTrue())
		Expect(errors.As(put("b", "v", func(in *sdk.PutParameterInput) { in.AllowedPattern = ptr.To("x") }), &pattern)).To(BeTrue())
		Expect(errors.As(put(strings.Repeat("/l", 16), "v"), &levels)).To(BeTrue())
		Expect(errors.As(put("a", "v", secure, overwrite), &mismatch)).To(BeTrue())
		_, err = client.DescribeParameters(ctx, &sdk.DescribeParametersInput{NextToken: ptr.To("x")})
		Expect(errors.As(err, &token)).To(BeTrue())
		_, err = client.GetParametersByPath(ctx, &sdk.GetParametersByPathInput{Path: ptr.To("/"), ParameterFilters: []types.ParameterStringFilter{filter("Tier", "", "x")}})
		Expect(errors.As(err, &key)).To(BeTrue())
		_, err = client.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceType: parameterType, ResourceId: ptr.To("none")})
		Expect(errors.As(err, &resource)).To(BeTrue())
		Expect(errors.As(put("s", "v", keyed("alias/none")), &kms)).To(BeTrue())
	})

	It("is held to the limits of AWS's model before anything is looked at", func() {
		for _, bad := range []func(*sdk.PutParameterInput){
			func(in *sdk.PutParameterInput) { in.Name = ptr.To(strings.Repeat("n", 2049)) },
			func(in *sdk.PutParameterInput) { in.Description = ptr.To(strings.Repeat("d", 1025)) },
			func(in *sdk.PutParameterInput) { in.AllowedPattern = ptr.To(strings.Repeat("p", 1025)) },
			func(in *sdk.PutParameterInput) { in.Type = "Number" },
			func(in *sdk.PutParameterInput) { in.Tier = "Free" },
			func(in *sdk.PutParameterInput) { in.KeyId = ptr.To("alias/ä") },
		} {
			be(put("a", "v", bad), "ValidationException")
		}
		_, err := client.GetParameters(ctx, &sdk.GetParametersInput{Names: make([]string, 11)})
		be(err, "ValidationException")
		_, err = client.GetParametersByPath(ctx, &sdk.GetParametersByPathInput{Path: ptr.To("/"), MaxResults: ptr.To(int32(11))})
		be(err, "ValidationException")
		_, err = client.GetParameterHistory(ctx, &sdk.GetParameterHistoryInput{Name: ptr.To("a"), MaxResults: ptr.To(int32(51))})
		be(err, "ValidationException")
		_, err = client.LabelParameterVersion(ctx, &sdk.LabelParameterVersionInput{Name: ptr.To("a"), Labels: numbered("l", 11)})
		be(err, "ValidationException")
	})

	It("goes through all pages by itself", func() {
		var want []string
		for i := range 12 {
			name := fmt.Sprintf("/p/%02d", i)
			want = append(want, name)
			Expect(put(name, "v")).To(Succeed())
		}
		var got []string
		pages := sdk.NewGetParametersByPathPaginator(client, &sdk.GetParametersByPathInput{Path: ptr.To("/p"), MaxResults: ptr.To(int32(5))})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			Expect(err).NotTo(HaveOccurred())
			got = append(got, names(page.Parameters)...)
		}
		Expect(got).To(Equal(want))
	})

	It("of the other region does not see this one's", func() {
		Expect(put("a", "v")).To(Succeed())
		elsewhere := sdk.NewFromConfig(door.Config(environment.OtherRegion, `"Action":"ssm:*","Resource":"*"`))
		_, err := elsewhere.GetParameter(ctx, &sdk.GetParameterInput{Name: ptr.To("a")})
		be(err, "ParameterNotFound")
		_, err = elsewhere.GetParameter(ctx, &sdk.GetParameterInput{Name: ptr.To(arnOf("a"))})
		be(err, "ParameterNotFound")
	})
})
