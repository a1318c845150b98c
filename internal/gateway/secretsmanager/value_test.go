package secretsmanager_test

import (
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
)

var _ = Describe("A secret that the API makes", func() {
	It("is read at once, by name, ARN and partial ARN, and its Secret says what it is", func() {
		out := create("MySecret", "hunter2", func(in *sdk.CreateSecretInput) { in.Description = ptr.To("for tests") })
		Expect(arn.IsSecret(*out.ARN, home, account, "MySecret")).To(BeTrue())
		for _, id := range []string{"MySecret", *out.ARN, (*out.ARN)[:len(*out.ARN)-7]} {
			value := get(id)
			Expect(*value.SecretString).To(Equal("hunter2"), id)
			Expect(value.SecretBinary).To(BeNil())
			Expect(value).To(And(HaveField("ARN", out.ARN), HaveField("Name", HaveValue(Equal("MySecret"))),
				HaveField("VersionId", out.VersionId), HaveField("VersionStages", []string{"AWSCURRENT"})))
			Expect(*value.CreatedDate).To(BeTemporally("==", world.Clock.Now().Truncate(time.Second)))
		}
		s := object(*out.ARN)
		Expect(s.Spec).To(Equal(v1alpha1.SecretSpec{Name: "MySecret", Description: "for tests"}))
		Expect(meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
		Expect(s.ManagedFields).To(ContainElement(HaveField("Manager", "strongroom-gateway")))
		before := s.ResourceVersion
		reconcile(s)
		Expect(s.ResourceVersion).To(Equal(before), "the controller has nothing to add")
	})

	It("without a value says so in AWS's words and in its conditions, until one is put", func() {
		out := create("empty", "")
		Expect(out.VersionId).To(BeNil())
		be(getError("empty"), "ResourceNotFoundException",
			"Secrets Manager can't find the specified secret value for staging label: AWSCURRENT")
		s := object(*out.ARN)
		world.Clock.Advance(10 * time.Second) // before, a value may be on its way
		reconcile(s)
		ready := meta.FindStatusCondition(s.Status.Conditions, v1alpha1.ConditionReady)
		Expect(ready).To(And(HaveField("Reason", v1alpha1.ReasonNoValue), HaveField("Message", ContainSubstring("PutSecretValue"))))
		Expect(s.Status.ARN).To(Equal(*out.ARN))

		put("empty", "first")
		Expect(*get("empty").SecretString).To(Equal("first"))
		world.Refresh(s)
		Expect(meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
	})

	It("tells text and bytes apart, of the same bytes too", func() {
		in := &sdk.CreateSecretInput{Name: ptr.To("bytes"), ClientRequestToken: token(), SecretBinary: []byte("hunter2")}
		out := must[sdk.CreateSecretOutput](administrator, "CreateSecret", in)
		value := get("bytes")
		Expect(value.SecretBinary).To(Equal([]byte("hunter2")))
		Expect(value.SecretString).To(BeNil())
		_, err := do[sdk.PutSecretValueOutput](administrator, "PutSecretValue", &sdk.PutSecretValueInput{
			SecretId: ptr.To("bytes"), ClientRequestToken: in.ClientRequestToken, SecretString: ptr.To("hunter2"),
		})
		be(err, "ResourceExistsException", "You can't use ClientRequestToken "+*in.ClientRequestToken+
			" because that value is already in use for a version of secret "+*out.ARN+".")
	})

	It("exists once: the same request made again is the same secret, another is refused", func() {
		in := &sdk.CreateSecretInput{Name: ptr.To("once"), ClientRequestToken: token(), SecretString: ptr.To("a")}
		first := must[sdk.CreateSecretOutput](administrator, "CreateSecret", in)
		Expect(must[sdk.CreateSecretOutput](administrator, "CreateSecret", in)).To(Equal(first))
		for _, other := range []*sdk.CreateSecretInput{
			{Name: in.Name, ClientRequestToken: token(), SecretString: in.SecretString},
			{Name: in.Name, ClientRequestToken: in.ClientRequestToken, SecretString: ptr.To("b")},
			{Name: in.Name, ClientRequestToken: token()},
		} {
			_, err := do[sdk.CreateSecretOutput](administrator, "CreateSecret", other)
			be(err, "ResourceExistsException", "The operation failed because the secret once already exists.")
		}
	})

	It("has whatever name AWS allows, and is told from those that look alike", func() {
		names := []string{"prod/db", "prod-db", "Prod/DB", "prod.db", "prod_db", "-", "a/", strings.Repeat("x", 512), "name-abcdef", "UPPER"}
		for _, name := range names {
			create(name, "value of "+name)
		}
		for _, name := range names {
			Expect(*get(name).SecretString).To(Equal("value of " + name))
		}
		be(getError("prod/Db"), "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
		be(getError("arn:aws:secretsmanager:"+home+":"+account+":secret:name-abcdef"), "ResourceNotFoundException",
			"Secrets Manager can't find the specified secret.") // AWS takes the end of the name for an ARN's six characters
	})

	DescribeTable("is refused under what is no name", func(name string) {
		_, err := do[sdk.CreateSecretOutput](administrator, "CreateSecret",
			&sdk.CreateSecretInput{Name: &name, ClientRequestToken: token(), SecretString: ptr.To("a")})
		be(err, "ValidationException",
			"Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!")
	}, Entry("a space", "a b"), Entry("an accent", "é"), Entry("a colon", "a:b"), Entry("a line", "a\n"), Entry("513", strings.Repeat("x", 513)))

	It("keeps its object name to itself where that is another secret's", func() {
		world.Create(&v1alpha1.Secret{
			ObjectMeta: object0("taken"), Spec: v1alpha1.SecretSpec{Name: "another/name", Generate: &v1alpha1.SecretGenerator{UUID: &v1alpha1.UUIDGenerator{}}},
		})
		out := create("taken", "mine")
		Expect(*get("taken").SecretString).To(Equal("mine"))
		Expect(object(*out.ARN).Name).To(HavePrefix("taken-"))
	})

	It("is another in another region, and neither region sees the other's", func() {
		here := create("twin", "here")
		abroad := administrator
		abroad.region = "eu-west-1"
		in := &sdk.CreateSecretInput{Name: ptr.To("twin"), ClientRequestToken: token(), SecretString: ptr.To("there")}
		there := must[sdk.CreateSecretOutput](abroad, "CreateSecret", in)
		Expect(*there.ARN).To(HavePrefix("arn:aws:secretsmanager:eu-west-1:" + account + ":secret:twin-"))
		Expect(*get("twin").SecretString).To(Equal("here"))
		value := must[sdk.GetSecretValueOutput](abroad, "GetSecretValue", &sdk.GetSecretValueInput{SecretId: ptr.To("twin")})
		Expect(*value.SecretString).To(Equal("there"))
		_, err := do[sdk.GetSecretValueOutput](abroad, "GetSecretValue", &sdk.GetSecretValueInput{SecretId: here.ARN})
		be(err, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	})

	It("needs a token, and one value at most, of at most 65,536 bytes", func() {
		name := ptr.To("inputs")
		_, err := do[sdk.CreateSecretOutput](administrator, "CreateSecret", &sdk.CreateSecretInput{Name: name})
		be(err, "InvalidRequestException", "You must provide a ClientRequestToken value. We recommend a UUID-type value.")
		_, err = do[sdk.CreateSecretOutput](administrator, "CreateSecret",
			&sdk.CreateSecretInput{Name: name, ClientRequestToken: token(), SecretString: ptr.To("a"), SecretBinary: []byte("a")})
		Expect(err).To(MatchError(ContainSubstring("both")))
		long := strings.Repeat("x", 65536)
		create("inputs", long)
		Expect(*get("inputs").SecretString).To(Equal(long))
		_, err = do[sdk.PutSecretValueOutput](administrator, "PutSecretValue",
			&sdk.PutSecretValueInput{SecretId: name, ClientRequestToken: token(), SecretString: ptr.To(long + "x")})
		Expect(err).To(MatchError(And(ContainSubstring("InvalidParameterException"), ContainSubstring("65536"))))
		_, err = do[sdk.PutSecretValueOutput](administrator, "PutSecretValue",
			&sdk.PutSecretValueInput{SecretId: name, ClientRequestToken: token()})
		be(err, "InvalidRequestException", "You must provide either SecretString or SecretBinary.")
	})
})
