package ssm_test

import (
	"errors"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway/kms"
	"strongroom.dev/strongroom/test/environment"
)

// The encryption context of a SecureString has its ARN and nothing else.
// https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html#parameter-store-encryption-context
var _ = Describe("A grant of a parameter's key, by way of AWS's SDK", func() {
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
		all := `"Action":["kms:*","ssm:*"],"Resource":"*"`
		keys, admin = awskms.NewFromConfig(door.Config(home, all)), sdk.NewFromConfig(door.Config(home, all))
		grantee = sdk.NewFromConfig(door.Config(home, `"Action":["ssm:GetParameter*","ssm:PutParameter"],"Resource":"*"`)) // no word of KMS
		made, err := keys.CreateKey(ctx, &awskms.CreateKeyInput{})
		Expect(err).NotTo(HaveOccurred())
		key = *made.KeyMetadata.Arn
		for _, name := range []string{"/shop/ours", "/shop/theirs"} {
			_, err := admin.PutParameter(ctx, &sdk.PutParameterInput{
				Name: &name, Value: ptr.To("value of " + name), Type: types.ParameterTypeSecureString, KeyId: &key,
			})
			Expect(err).NotTo(HaveOccurred())
		}
	})
	grant := func(c *kmstypes.GrantConstraints, operations ...kmstypes.GrantOperation) *awskms.CreateGrantOutput {
		GinkgoHelper()
		made, err := keys.CreateGrant(ctx, &awskms.CreateGrantInput{KeyId: &key, GranteePrincipal: &alice, RetiringPrincipal: &alice, Operations: operations, Constraints: c})
		Expect(err).NotTo(HaveOccurred())
		return made
	}
	of := func(name string) *kmstypes.GrantConstraints {
		return &kmstypes.GrantConstraints{EncryptionContextEquals: map[string]string{"PARAMETER_ARN": arnOf(name)}}
	}
	get := func(name string) (string, error) {
		out, err := grantee.GetParameter(ctx, &sdk.GetParameterInput{Name: &name, WithDecryption: ptr.To(true)})
		if err != nil {
			return "", err
		}
		return *out.Parameter.Value, nil
	}
	denied := func(name string) {
		GinkgoHelper()
		_, err := get(name)
		var api smithy.APIError
		Expect(errors.As(err, &api)).To(BeTrue(), "%v", err)
		Expect(api.ErrorCode()).To(Equal("AccessDeniedException"))
	}

	It("lets one read who has no permission of KMS, by the parameter's ARN and until it is retired", func() {
		denied("/shop/ours")
		made := grant(of("/shop/ours"), kmstypes.GrantOperationDecrypt)
		Expect(get("/shop/ours")).To(Equal("value of /shop/ours"))
		denied("/shop/theirs")
		out, err := grantee.GetParametersByPath(ctx, &sdk.GetParametersByPathInput{Path: ptr.To("/shop"), WithDecryption: ptr.To(true)})
		Expect(err).To(MatchError(ContainSubstring("AccessDenied")), "%v: a path has those of which it is not", out)
		out, err = grantee.GetParametersByPath(ctx, &sdk.GetParametersByPathInput{Path: ptr.To("/shop")})
		Expect(err).NotTo(HaveOccurred())
		Expect(out.Parameters).To(HaveLen(2), "as long as nothing is decrypted")

		_, err = keys.RetireGrant(ctx, &awskms.RetireGrantInput{KeyId: &key, GrantId: made.GrantId})
		Expect(err).NotTo(HaveOccurred())
		denied("/shop/ours")
	})

	It("of another parameter's ARN, or of more than the context has, lets one read nothing", func() {
		grant(of("/shop/theirs"), kmstypes.GrantOperationDecrypt)
		grant(&kmstypes.GrantConstraints{EncryptionContextSubset: map[string]string{"PARAMETER_ARN": arnOf("/shop/ours"), "app": "shop"}}, kmstypes.GrantOperationDecrypt)
		grant(&kmstypes.GrantConstraints{EncryptionContextEquals: map[string]string{"SecretARN": arnOf("/shop/ours")}}, kmstypes.GrantOperationDecrypt)
		grant(of("/shop/ours"), kmstypes.GrantOperationEncrypt, kmstypes.GrantOperationDescribeKey)
		denied("/shop/ours")
		Expect(get("/shop/theirs")).To(Equal("value of /shop/theirs"))
		grant(&kmstypes.GrantConstraints{EncryptionContextSubset: map[string]string{"parameter_arn": arnOf("/shop/ours")}}, kmstypes.GrantOperationDecrypt)
		Expect(get("/shop/ours")).To(Equal("value of /shop/ours"), "names of a context have no case in a grant")
	})

	It("lets one put a value with Encrypt, of the parameter whose ARN it has", func() {
		grant(of("/shop/ours"), kmstypes.GrantOperationEncrypt)
		put := func(name string) error {
			_, err := grantee.PutParameter(ctx, &sdk.PutParameterInput{
				Name: &name, Value: ptr.To("mine"), Type: types.ParameterTypeSecureString, KeyId: &key, Overwrite: ptr.To(true),
			})
			return err
		}
		Expect(put("/shop/ours")).To(Succeed())
		Expect(put("/shop/theirs")).To(MatchError(ContainSubstring("AccessDenied")))
		denied("/shop/ours") // who may encrypt may not decrypt for that
		for name, want := range map[string]string{"/shop/ours": "mine", "/shop/theirs": "value of /shop/theirs"} {
			out, err := admin.GetParameter(ctx, &sdk.GetParameterInput{Name: &name, WithDecryption: ptr.To(true)})
			Expect(err).NotTo(HaveOccurred())
			Expect(*out.Parameter.Value).To(Equal(want))
		}
	})
})
