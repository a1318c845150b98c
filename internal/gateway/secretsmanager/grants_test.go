package secretsmanager_test

import (
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/smithy-go"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway/kms"
	"strongroom.dev/strongroom/test/environment"
)

// The encryption context of a secret's value has its ARN and the id of its version.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html#security-encryption-encryption-context
var _ = Describe("A grant of a secret's key, by way of AWS's SDK", func() {
	const reader = `"Action":["secretsmanager:GetSecretValue","secretsmanager:PutSecretValue"],"Resource":"*"`
	var (
		keys           *awskms.Client
		admin, grantee *sdk.Client
		alice, key     string
	)
	BeforeEach(func() {
		door := world.Open(service, kms.New(kms.Dependencies{KMS: world.Services.KMS, Authorities: world.Services.Authorities}))
		user := &v1alpha1.IAMUser{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "alice"}}
		world.Create(user)
		_, err := world.IAMUser.Reconcile(ctx, environment.Request(user))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(user)
		world.Seen(user)
		door.UniqueID, alice = user.Status.UniqueID, user.Status.ARN
		all := `"Action":["kms:*","secretsmanager:*"],"Resource":"*"`
		keys, admin = awskms.NewFromConfig(door.Config(home, all)), sdk.NewFromConfig(door.Config(home, all))
		grantee = sdk.NewFromConfig(door.Config(home, reader)) // no word of KMS
		made, err := keys.CreateKey(ctx, &awskms.CreateKeyInput{})
		Expect(err).NotTo(HaveOccurred())
		key = *made.KeyMetadata.Arn
	})
	secret := func(name string) (arn, version string) {
		GinkgoHelper()
		made, err := admin.CreateSecret(ctx, &sdk.CreateSecretInput{Name: &name, SecretString: aws.String("value of " + name), KmsKeyId: &key})
		Expect(err).NotTo(HaveOccurred())
		return *made.ARN, *made.VersionId
	}
	grant := func(c *kmstypes.GrantConstraints, operations ...kmstypes.GrantOperation) *awskms.CreateGrantOutput {
		GinkgoHelper()
		made, err := keys.CreateGrant(ctx, &awskms.CreateGrantInput{KeyId: &key, GranteePrincipal: &alice, RetiringPrincipal: &alice, Operations: operations, Constraints: c})
		Expect(err).NotTo(HaveOccurred())
		return made
	}
	subset := func(pairs map[string]string) *kmstypes.GrantConstraints {
		return &kmstypes.GrantConstraints{EncryptionContextSubset: pairs}
	}
	get := func(arn string) (string, error) {
		out, err := grantee.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: &arn})
		if err != nil {
			return "", err
		}
		return *out.SecretString, nil
	}
	denied := func(arn string) {
		GinkgoHelper()
		_, err := get(arn)
		var api smithy.APIError
		Expect(errors.As(err, &api)).To(BeTrue(), "%v", err)
		Expect(api.ErrorCode()).To(Equal("AccessDeniedException"))
		Expect(api.ErrorMessage()).To(ContainSubstring("KMS"))
	}

	It("lets one read who has no permission of KMS, by the secret's ARN and until it is retired", func() {
		ours, _ := secret("ours")
		theirs, _ := secret("theirs")
		denied(ours)
		made := grant(subset(map[string]string{"SecretARN": ours}), kmstypes.GrantOperationDecrypt)
		Expect(get(ours)).To(Equal("value of ours"))
		denied(theirs)
		_, err := grantee.PutSecretValue(ctx, &sdk.PutSecretValueInput{SecretId: &ours, SecretString: aws.String("new")})
		Expect(err).To(MatchError(ContainSubstring("AccessDenied")), "it does not let one encrypt")

		_, err = admin.PutSecretValue(ctx, &sdk.PutSecretValueInput{SecretId: &ours, SecretString: aws.String("next")})
		Expect(err).NotTo(HaveOccurred())
		Expect(get(ours)).To(Equal("next"), "of whichever version")

		_, err = keys.RetireGrant(ctx, &awskms.RetireGrantInput{GrantToken: made.GrantToken})
		Expect(err).NotTo(HaveOccurred())
		denied(ours)
	})

	It("lets one read the version alone that all of its encryption context names", func() {
		ours, version := secret("ours")
		made := grant(&kmstypes.GrantConstraints{EncryptionContextEquals: map[string]string{"SecretARN": ours}}, kmstypes.GrantOperationDecrypt)
		denied(ours) // the context has the version besides
		_, err := keys.RevokeGrant(ctx, &awskms.RevokeGrantInput{KeyId: &key, GrantId: made.GrantId})
		Expect(err).NotTo(HaveOccurred())
		grant(&kmstypes.GrantConstraints{EncryptionContextEquals: map[string]string{"SecretARN": ours, "SecretVersionId": version}}, kmstypes.GrantOperationDecrypt)
		Expect(get(ours)).To(Equal("value of ours"))
		_, err = admin.PutSecretValue(ctx, &sdk.PutSecretValueInput{SecretId: &ours, SecretString: aws.String("next")})
		Expect(err).NotTo(HaveOccurred())
		denied(ours)
	})

	It("lets one put a value with GenerateDataKey and Decrypt, and none with one of another secret", func() {
		ours, _ := secret("ours")
		theirs, _ := secret("theirs")
		grant(subset(map[string]string{"SecretARN": ours}), kmstypes.GrantOperationGenerateDataKey, kmstypes.GrantOperationDecrypt)
		_, err := grantee.PutSecretValue(ctx, &sdk.PutSecretValueInput{SecretId: &ours, SecretString: aws.String("mine")})
		Expect(err).NotTo(HaveOccurred())
		Expect(get(ours)).To(Equal("mine"))
		_, err = grantee.PutSecretValue(ctx, &sdk.PutSecretValueInput{SecretId: &theirs, SecretString: aws.String("mine")})
		Expect(err).To(MatchError(ContainSubstring("AccessDenied")))
		out, err := admin.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: &theirs})
		Expect(err).NotTo(HaveOccurred())
		Expect(*out.SecretString).To(Equal("value of theirs"))
	})

	It("of another operation or another key lets one read nothing, and none is stronger than a key policy's Deny", func() {
		ours, _ := secret("ours")
		grant(subset(map[string]string{"SecretARN": ours}), kmstypes.GrantOperationEncrypt, kmstypes.GrantOperationDescribeKey)
		other, err := keys.CreateKey(ctx, &awskms.CreateKeyInput{})
		Expect(err).NotTo(HaveOccurred())
		_, err = keys.CreateGrant(ctx, &awskms.CreateGrantInput{
			KeyId: other.KeyMetadata.KeyId, GranteePrincipal: &alice, Operations: []kmstypes.GrantOperation{kmstypes.GrantOperationDecrypt},
		})
		Expect(err).NotTo(HaveOccurred())
		denied(ours)

		grant(nil, kmstypes.GrantOperationDecrypt)
		Expect(get(ours)).To(Equal("value of ours"))
		_, err = keys.PutKeyPolicy(ctx, &awskms.PutKeyPolicyInput{KeyId: &key, Policy: aws.String(`{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + account + `:root"},"Action":"kms:*","Resource":"*"},
			{"Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*","Condition":{"StringLike":{"kms:ViaService":"secretsmanager.*.amazonaws.com"}}}]}`)})
		Expect(err).NotTo(HaveOccurred())
		denied(ours)
	})
})
