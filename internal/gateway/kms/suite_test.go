package kms_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/iam"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/kms"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
	"strongroom.dev/strongroom/test/environment"
)

func TestKMS(t *testing.T) {
	environment.Specs(t, "KMS operations")
}

const region = "us-east-1"

var (
	ctx        = context.Background()
	world      *environment.World
	operations map[string]gateway.Operation
	requests   int
)

var _ = BeforeSuite(func() {
	world = environment.NewWorld(ctx)
	operations = map[string]gateway.Operation{}
	for _, o := range kms.New(kms.Dependencies{KMS: world.Services.KMS, KeyStores: world.Services.CloudHSM, Authorities: world.Services.Authorities}).Operations {
		operations[o.Name] = o
	}
})

var _ = BeforeEach(func() { world.Fresh() }, OncePerOrdered)

// caller is a user of a namespace's account, with a policy's statements.
type caller struct{ call gateway.Call }

func user(namespace, statements string) *caller {
	GinkgoHelper()
	account := arn.DeriveAccount(namespace)
	identity := &serviceiam.Identity{
		Type: serviceiam.TypeIAMUser, Namespace: namespace, Name: "alice",
		Principal: iam.Principal{Account: account, ARN: "arn:aws:iam::" + account + ":user/alice"},
	}
	if statements != "" {
		policy, err := iam.Parse([]byte(`{"Version":"2012-10-17","Statement":[`+statements+`]}`), iam.Identity)
		Expect(err).NotTo(HaveOccurred())
		identity.Identity = []*iam.Policy{policy}
	}
	return &caller{gateway.Call{
		Identity: identity, Region: region, Service: "kms", Time: world.Clock.Now(), SourceIP: netip.MustParseAddr("192.0.2.1"),
	}}
}

const everything = `{"Effect":"Allow","Action":"kms:*","Resource":"*"}`

// admin may do all in the spec's account; nobody has no policy.
func admin() *caller  { return user(world.Namespace, everything) }
func nobody() *caller { return user(world.Namespace, "") }

func (c *caller) in(region string) *caller {
	other := *c
	other.call.Region = region
	return &other
}

// try carries out an operation.
func try[O any](c *caller, name string, in any) (*O, error) {
	GinkgoHelper()
	out, err := answered(c, name, in)
	if err != nil {
		return nil, err
	}
	return out.(*O), nil
}

// invoke is try where the answer is no matter.
func invoke(c *caller, name string, in any) error {
	GinkgoHelper()
	_, err := answered(c, name, in)
	return err
}

func answered(c *caller, name string, in any) (any, error) {
	GinkgoHelper()
	op, ok := operations[name]
	Expect(ok).To(BeTrue(), name)
	call := c.call
	requests++
	call.Operation, call.RequestID = name, fmt.Sprint("request-", requests)
	return op.Invoke(ctx, &call, in)
}

func must[O any](c *caller, name string, in any) *O {
	GinkgoHelper()
	out, err := try[O](c, name, in)
	Expect(err).NotTo(HaveOccurred())
	return out
}

// refused carries out an operation that is refused, and returns code and message.
func refused[O any](c *caller, name string, in any) (code, message string) {
	GinkgoHelper()
	_, err := try[O](c, name, in)
	Expect(err).To(HaveOccurred())
	var api smithy.APIError
	Expect(errors.As(err, &api)).To(BeTrue(), err.Error())
	return api.ErrorCode(), api.ErrorMessage()
}

func createKey(c *caller, changes ...func(*awskms.CreateKeyInput)) *types.KeyMetadata {
	GinkgoHelper()
	in := &awskms.CreateKeyInput{}
	for _, change := range changes {
		change(in)
	}
	return must[awskms.CreateKeyOutput](c, "CreateKey", in).KeyMetadata
}

func encrypt(c *caller, key, text string, ec map[string]string) []byte {
	GinkgoHelper()
	return must[awskms.EncryptOutput](c, "Encrypt", &awskms.EncryptInput{
		KeyId: &key, Plaintext: []byte(text), EncryptionContext: ec,
	}).CiphertextBlob
}

func decrypt(c *caller, blob []byte, ec map[string]string) (string, error) {
	GinkgoHelper()
	out, err := try[awskms.DecryptOutput](c, "Decrypt", &awskms.DecryptInput{CiphertextBlob: blob, EncryptionContext: ec})
	if err != nil {
		return "", err
	}
	return string(out.Plaintext), nil
}

func alias(c *caller, name, key string) {
	GinkgoHelper()
	must[awskms.CreateAliasOutput](c, "CreateAlias", &awskms.CreateAliasInput{AliasName: &name, TargetKeyId: &key})
}

var s = aws.String
