package secretsmanager_test

import (
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("Resource policies by way of AWS's SDK", func() {
	var door *environment.Door
	var remote, powerless *sdk.Client
	BeforeEach(func() {
		door = world.Open(service)
		remote = sdk.NewFromConfig(door.Config(home, `"Action":["secretsmanager:*","kms:*"],"Resource":"*"`))
		powerless = sdk.NewFromConfig(door.Config(home, `"Action":"sqs:*","Resource":"*"`))
		create("db", "value")
	})

	It("are put, asked, had back, validated and taken away, and the record shows each of them", func() {
		iamUser("alice")
		document := policyOf(letting(`{"AWS":"arn:aws:iam::ACCOUNT:user/alice"}`, "secretsmanager:GetSecretValue"))
		_, err := powerless.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: ptr.To("db")})
		Expect(err).To(MatchError(ContainSubstring("AccessDenied")))
		put, err := remote.PutResourcePolicy(ctx, &sdk.PutResourcePolicyInput{SecretId: ptr.To("db"), ResourcePolicy: &document, BlockPublicPolicy: aws.Bool(true)})
		Expect(err).NotTo(HaveOccurred())
		value, err := powerless.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: put.ARN})
		Expect(err).NotTo(HaveOccurred())
		Expect(*value.SecretString).To(Equal("value"))
		got, err := remote.GetResourcePolicy(ctx, &sdk.GetResourcePolicyInput{SecretId: ptr.To("db")})
		Expect(err).NotTo(HaveOccurred())
		Expect(*got.ResourcePolicy).To(MatchJSON(document))
		Expect([]string{*got.ARN, *got.Name}).To(Equal([]string{*put.ARN, "db"}))
		valid, err := remote.ValidateResourcePolicy(ctx, &sdk.ValidateResourcePolicyInput{ResourcePolicy: &document})
		Expect(err).NotTo(HaveOccurred())
		Expect(valid.PolicyValidationPassed).To(BeTrue())
		broad := policyOf(letting(everyone, "*"))
		valid, err = remote.ValidateResourcePolicy(ctx, &sdk.ValidateResourcePolicyInput{ResourcePolicy: &broad, SecretId: put.ARN})
		Expect(err).NotTo(HaveOccurred())
		Expect(valid.PolicyValidationPassed).To(BeFalse())
		Expect(valid.ValidationErrors).To(HaveLen(1))
		_, err = remote.DeleteResourcePolicy(ctx, &sdk.DeleteResourcePolicyInput{SecretId: put.ARN})
		Expect(err).NotTo(HaveOccurred())
		got, err = remote.GetResourcePolicy(ctx, &sdk.GetResourcePolicyInput{SecretId: ptr.To("db")})
		Expect(err).NotTo(HaveOccurred())
		Expect(got.ResourcePolicy).To(BeNil())
		_, err = powerless.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: put.ARN})
		Expect(err).To(MatchError(ContainSubstring("AccessDenied")))

		records := door.Text()
		for _, name := range []string{"PutResourcePolicy", "GetResourcePolicy", "ValidateResourcePolicy", "DeleteResourcePolicy"} {
			Expect(records).To(ContainSubstring(`"eventName":"`+name+`"`), name)
		}
		Expect(records).To(ContainSubstring(`"blockPublicPolicy":true`))
		Expect(records).To(ContainSubstring(`user/alice\"`), "what was put is to be seen")
		Expect(records).NotTo(ContainSubstring(`"value"`))
	})

	It("are refused by the SDK's own types of error", func() {
		broad := policyOf(letting(everyone, "*"))
		_, err := remote.PutResourcePolicy(ctx, &sdk.PutResourcePolicyInput{SecretId: ptr.To("db"), ResourcePolicy: &broad, BlockPublicPolicy: aws.Bool(true)})
		var public *types.PublicPolicyException
		Expect(errors.As(err, &public)).To(BeTrue(), "%v", err)
		for _, document := range []string{"{", policyOf(letting(`{"AWS":"arn:aws:iam::ACCOUNT:role/none"}`, "*"))} {
			var malformed *types.MalformedPolicyDocumentException
			_, err = remote.PutResourcePolicy(ctx, &sdk.PutResourcePolicyInput{SecretId: ptr.To("db"), ResourcePolicy: &document})
			Expect(errors.As(err, &malformed)).To(BeTrue(), "%v", err)
			_, err = remote.ValidateResourcePolicy(ctx, &sdk.ValidateResourcePolicyInput{ResourcePolicy: &document})
			Expect(errors.As(err, &malformed)).To(BeTrue(), "%v", err)
		}
		_, err = remote.PutResourcePolicy(ctx, &sdk.PutResourcePolicyInput{SecretId: ptr.To("db"), ResourcePolicy: ptr.To(strings.Repeat(" ", 20481))})
		Expect(err).To(MatchError(And(ContainSubstring("ValidationException"), ContainSubstring("resourcePolicy"), ContainSubstring("20480"))))
		_, err = remote.PutResourcePolicy(ctx, &sdk.PutResourcePolicyInput{SecretId: ptr.To("none"), ResourcePolicy: &broad})
		var missing *types.ResourceNotFoundException
		Expect(errors.As(err, &missing)).To(BeTrue(), "%v", err)
	})
})
