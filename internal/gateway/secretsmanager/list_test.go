package secretsmanager_test

import (
	"fmt"
	"slices"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

func list(in sdk.ListSecretsInput) (names []string, next *string) {
	GinkgoHelper()
	out := must[sdk.ListSecretsOutput](administrator, "ListSecrets", &in)
	for _, e := range out.SecretList {
		names = append(names, *e.Name)
	}
	return names, out.NextToken
}

var _ = Describe("A list of secrets", func() {
	It("has those of the account and region, whoever made them, and those to be deleted on demand", func() {
		create("made/by-api", "a")
		s := environment.Secret(world.Namespace, "made-by-kubectl", func(s *v1alpha1.Secret) { s.Spec.KMSKeyRef = nil })
		world.Create(s)
		reconcile(s)
		create("gone", "a")
		_, err := remove("gone", nil, nil)
		Expect(err).NotTo(HaveOccurred())
		abroad := administrator
		abroad.region = "eu-west-1"
		must[sdk.CreateSecretOutput](abroad, "CreateSecret", &sdk.CreateSecretInput{Name: ptr.To("abroad"), ClientRequestToken: token()})

		names, next := list(sdk.ListSecretsInput{})
		Expect(names).To(ConsistOf("made/by-api", "made-by-kubectl"))
		Expect(next).To(BeNil())
		out := must[sdk.ListSecretsOutput](administrator, "ListSecrets", &sdk.ListSecretsInput{IncludePlannedDeletion: ptr.To(true)})
		Expect(out.SecretList).To(HaveLen(3))
		for _, e := range out.SecretList {
			Expect(e.DeletedDate != nil).To(Equal(*e.Name == "gone"))
			Expect(e.SecretVersionsToStages).To(HaveLen(1))
		}
	})

	It("comes in pages that show each secret once, in either order, though secrets come and go in between", func() {
		var all, gone []string
		for n := range 7 {
			all = append(all, fmt.Sprintf("s%d", n))
			create(all[n], "")
		}
		for _, order := range []types.SortOrderType{types.SortOrderTypeAsc, types.SortOrderTypeDesc} {
			var seen []string
			in := sdk.ListSecretsInput{MaxResults: ptr.To[int32](3), SortBy: types.SortByTypeName, SortOrder: order}
			for {
				names, next := list(in)
				Expect(len(names)).To(BeNumerically("<=", 3))
				if seen = append(seen, names...); next == nil {
					break
				}
				in.NextToken = next
				if len(seen) == 3 {
					_, err := remove(names[2], nil, ptr.To(true)) // what the token stands on goes
					Expect(err).NotTo(HaveOccurred())
					all = slices.DeleteFunc(all, func(name string) bool { return name == names[2] })
					gone = append(gone, names[2])
				}
			}
			want := append(slices.Clone(all), gone[len(gone)-1])
			slices.Sort(want)
			if order == types.SortOrderTypeDesc {
				slices.Reverse(want)
			}
			Expect(seen).To(Equal(want))
		}
		for _, bad := range []string{"x", "", "eyJvIjoieCJ9"} {
			_, err := do[sdk.ListSecretsOutput](administrator, "ListSecrets", &sdk.ListSecretsInput{NextToken: &bad})
			be(err, "InvalidNextTokenException", "Invalid NextToken.")
		}
	})

	It("goes on with the filters, the order and the operation that it began with, and no others", func() {
		for _, name := range []string{"a", "b", "c"} {
			create("page/"+name, "x")
		}
		filters := []types.Filter{{Key: types.FilterNameStringTypeName, Values: []string{"page/"}}}
		first := must[sdk.ListSecretsOutput](administrator, "ListSecrets", &sdk.ListSecretsInput{Filters: filters, MaxResults: ptr.To[int32](1)})
		for _, other := range []*sdk.ListSecretsInput{
			{}, {Filters: []types.Filter{{Key: types.FilterNameStringTypeName, Values: []string{"other/"}}}}, {Filters: filters, SortOrder: types.SortOrderTypeDesc},
			{Filters: filters, IncludePlannedDeletion: ptr.To(true)},
		} {
			other.NextToken = first.NextToken
			_, err := do[sdk.ListSecretsOutput](administrator, "ListSecrets", other)
			be(err, "InvalidNextTokenException", "Invalid NextToken.")
		}
		_, err := do[sdk.BatchGetSecretValueOutput](administrator, "BatchGetSecretValue", &sdk.BatchGetSecretValueInput{Filters: filters, NextToken: first.NextToken})
		be(err, "InvalidNextTokenException", "Invalid NextToken.")
		rest := must[sdk.ListSecretsOutput](administrator, "ListSecrets", &sdk.ListSecretsInput{Filters: filters, MaxResults: ptr.To[int32](10), NextToken: first.NextToken})
		Expect(rest.SecretList).To(HaveLen(2))
		batch := must[sdk.BatchGetSecretValueOutput](administrator, "BatchGetSecretValue", &sdk.BatchGetSecretValueInput{Filters: filters, MaxResults: ptr.To[int32](1)})
		_, err = do[sdk.BatchGetSecretValueOutput](administrator, "BatchGetSecretValue", &sdk.BatchGetSecretValueInput{
			Filters: []types.Filter{{Key: types.FilterNameStringTypeName, Values: []string{"p"}}}, NextToken: batch.NextToken,
		})
		be(err, "InvalidNextTokenException", "Invalid NextToken.")
	})

	Context("with filters", func() {
		BeforeEach(func() {
			tag := func(key, value string) func(*sdk.CreateSecretInput) {
				return func(in *sdk.CreateSecretInput) { in.Tags = []types.Tag{{Key: &key, Value: &value}} }
			}
			text := func(text string) func(*sdk.CreateSecretInput) {
				return func(in *sdk.CreateSecretInput) { in.Description = &text }
			}
			create("DatabaseSecret", "", text("My basic description"))
			create("databaseSecret", "", tag("Team", "Shop"))
			create("MyData", "", text("of another kind"), tag("team", "bank"))
			create("prod/db-1", "")
		})
		DescribeTable("shows those that all filters let through", func(filters []types.Filter, want ...string) {
			names, _ := list(sdk.ListSecretsInput{Filters: filters})
			Expect(names).To(ConsistOf(want))
		},
			Entry("the beginning of a name, in its case", by("name", "Data"), "DatabaseSecret"),
			Entry("one of several", by("name", "Data", "prod/"), "DatabaseSecret", "prod/db-1"),
			Entry("all but", by("name", "!Data"), "databaseSecret", "MyData", "prod/db-1"),
			Entry("words of a description, in any case", by("description", "my Description"), "DatabaseSecret"),
			Entry("words of a description that are not all there", by("description", "my other")),
			Entry("a tag's key, in its case", by("tag-key", "Te"), "databaseSecret"),
			Entry("a tag's value", by("tag-value", "ba"), "MyData"),
			Entry("words anywhere", by("all", "DATA"), "DatabaseSecret", "databaseSecret", "MyData"),
			Entry("words anywhere, any of them", by("all", "bank_prod"), "MyData", "prod/db-1"),
			Entry("an owning service", by("owning-service", "rds")),
			Entry("two filters", append(by("all", "data"), by("tag-key", "team")...), "MyData"),
		)
	})
})

func by(key string, values ...string) []types.Filter {
	return []types.Filter{{Key: types.FilterNameStringType(key), Values: values}}
}

var _ = Describe("A secret's tags and description", func() {
	It("are changed, and only what is named of them", func() {
		made := create("db", "value", func(in *sdk.CreateSecretInput) {
			in.Description = ptr.To("before")
			in.Tags = []types.Tag{{Key: ptr.To("a"), Value: ptr.To("1")}, {Key: ptr.To("b"), Value: ptr.To("2")}}
		})
		must[sdk.TagResourceOutput](administrator, "TagResource", &sdk.TagResourceInput{SecretId: ptr.To("db"),
			Tags: []types.Tag{{Key: ptr.To("b"), Value: ptr.To("3")}, {Key: ptr.To("c"), Value: ptr.To("")}}})
		must[sdk.UntagResourceOutput](administrator, "UntagResource", &sdk.UntagResourceInput{SecretId: ptr.To("db"), TagKeys: []string{"a", "x"}})
		Expect(describe("db").Tags).To(Equal([]types.Tag{{Key: ptr.To("b"), Value: ptr.To("3")}, {Key: ptr.To("c"), Value: ptr.To("")}}))

		update := func(change func(*sdk.UpdateSecretInput)) *sdk.UpdateSecretOutput {
			GinkgoHelper()
			in := &sdk.UpdateSecretInput{SecretId: ptr.To("db"), ClientRequestToken: token()}
			change(in)
			return must[sdk.UpdateSecretOutput](administrator, "UpdateSecret", in)
		}
		out := update(func(in *sdk.UpdateSecretInput) { in.SecretString = ptr.To("new") })
		Expect(out.VersionId).NotTo(BeNil())
		Expect(*get("db").SecretString).To(Equal("new"))
		Expect(describe("db").Description).To(HaveValue(Equal("before")))
		key := world.ReadyKey("mine")
		out = update(func(in *sdk.UpdateSecretInput) { in.Description, in.KmsKeyId = ptr.To(""), &key.Status.KeyID })
		Expect(out.VersionId).To(BeNil())
		after := describe("db")
		Expect(after.Description).To(BeNil())
		Expect(after.KmsKeyId).To(HaveValue(Equal(key.Status.ARN)))
		Expect(after.ARN).To(Equal(made.ARN))
		Expect(*get("db").SecretString).To(Equal("new"), "a version stays under the key that it has")
		update(func(in *sdk.UpdateSecretInput) { in.KmsKeyId = ptr.To("alias/aws/secretsmanager") })
		Expect(describe("db").KmsKeyId).To(BeNil())
	})

	It("say when the secret was changed", func() {
		made := create("db", "value")
		created := describe("db")
		Expect(created.LastChangedDate).To(HaveValue(BeTemporally(">=", *created.CreatedDate)))
		world.Clock.Advance(2 * 3600e9)
		put("db", "next")
		Expect(*describe("db").LastChangedDate).To(BeTemporally("==", world.Clock.Now().Truncate(1e9)))
		world.Clock.Advance(3600e9)
		must[sdk.UpdateSecretOutput](administrator, "UpdateSecret",
			&sdk.UpdateSecretInput{SecretId: ptr.To("db"), ClientRequestToken: token(), Description: ptr.To("x")})
		reconcile(object(*made.ARN))
		Expect(*describe("db").LastChangedDate).To(BeTemporally("==", world.Clock.Now().Truncate(1e9)))
		Expect(*describe("db").CreatedDate).To(Equal(*created.CreatedDate))
	})

	DescribeTable("are refused", func(tags ...types.Tag) {
		create("db", "value")
		_, err := do[sdk.TagResourceOutput](administrator, "TagResource", &sdk.TagResourceInput{SecretId: ptr.To("db"), Tags: tags})
		Expect(err).To(MatchError(ContainSubstring("InvalidParameterException")))
		Expect(describe("db").Tags).To(BeNil())
	},
		Entry("of a reserved key", types.Tag{Key: ptr.To("AWS:x"), Value: ptr.To("")}),
		Entry("twice of one key", types.Tag{Key: ptr.To("a")}, types.Tag{Key: ptr.To("a")}),
		Entry("without a key", types.Tag{Value: ptr.To("a")}),
		Entry("of a long key", types.Tag{Key: ptr.To(strings.Repeat("x", 129))}),
		Entry("more than 50", many(51)...),
	)
})

func many(n int) (out []any) {
	for i := range n {
		out = append(out, types.Tag{Key: ptr.To(fmt.Sprint(i)), Value: ptr.To("")})
	}
	return out
}

var _ = Describe("A random password", func() {
	It("is as asked, and another each time", func() {
		in := &sdk.GetRandomPasswordInput{PasswordLength: ptr.To[int64](20), ExcludePunctuation: ptr.To(true)}
		one := *must[sdk.GetRandomPasswordOutput](administrator, "GetRandomPassword", in).RandomPassword
		two := *must[sdk.GetRandomPasswordOutput](administrator, "GetRandomPassword", in).RandomPassword
		Expect(one).To(MatchRegexp("^[a-zA-Z0-9]{20}$"))
		Expect(two).NotTo(Equal(one))
		Expect(*must[sdk.GetRandomPasswordOutput](administrator, "GetRandomPassword", &sdk.GetRandomPasswordInput{}).RandomPassword).To(HaveLen(32))
		_, err := do[sdk.GetRandomPasswordOutput](administrator, "GetRandomPassword", &sdk.GetRandomPasswordInput{PasswordLength: ptr.To[int64](3)})
		Expect(err).To(MatchError(ContainSubstring("InvalidParameterException")))
	})
})

var _ = Describe("A batch of values", func() {
	It("has those that may be read, and an error for each of the others", func() {
		create("a/one", "1")
		create("a/two", "2")
		create("b/three", "3")
		who := caller{policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:BatchGetSecretValue","Resource":"*"},` +
			`{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"arn:aws:secretsmanager:*:*:secret:a/*"}]}`}
		out := must[sdk.BatchGetSecretValueOutput](who, "BatchGetSecretValue",
			&sdk.BatchGetSecretValueInput{SecretIdList: []string{"a/two", "b/three", "a/none", "a/one", "é"}})
		var values []string
		for _, v := range out.SecretValues {
			values = append(values, *v.Name+"="+*v.SecretString)
		}
		Expect(values).To(Equal([]string{"a/two=2", "a/one=1"}))
		codes := map[string]string{}
		for _, e := range out.Errors {
			codes[*e.SecretId] = *e.ErrorCode
		}
		Expect(codes).To(Equal(map[string]string{
			"b/three": "AccessDeniedException", "a/none": "ResourceNotFoundException", "é": "ValidationException",
		}))
		_, err := do[sdk.BatchGetSecretValueOutput](who, "BatchGetSecretValue", &sdk.BatchGetSecretValueInput{Filters: by("name", "a/")})
		be(err, "AccessDeniedException", "User: arn:aws:iam::"+account+":user/tester is not authorized to perform: secretsmanager:ListSecrets "+
			"because no identity-based policy allows the secretsmanager:ListSecrets action")
	})

	It("by filters comes in pages", func() {
		for n := range 5 {
			create(fmt.Sprintf("a/%d", n), fmt.Sprint(n))
		}
		var seen []string
		in := &sdk.BatchGetSecretValueInput{Filters: by("name", "a/"), MaxResults: ptr.To[int32](2)}
		for {
			out := must[sdk.BatchGetSecretValueOutput](administrator, "BatchGetSecretValue", in)
			for _, v := range out.SecretValues {
				seen = append(seen, *v.SecretString)
			}
			if in.NextToken = out.NextToken; in.NextToken == nil {
				break
			}
		}
		Expect(seen).To(ConsistOf("0", "1", "2", "3", "4"))
		_, err := do[sdk.BatchGetSecretValueOutput](administrator, "BatchGetSecretValue", &sdk.BatchGetSecretValueInput{})
		Expect(err).To(MatchError(ContainSubstring("InvalidParameterException")))
	})
})
