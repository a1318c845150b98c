package kms_test

import (
	"encoding/json"
	"errors"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/gateway/kms"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("Grants by way of AWS's SDK", func() {
	It("are created, used, listed by its paginators, retired and revoked, and recorded without their tokens", func() {
		door := world.Open(kms.New(kms.Dependencies{KMS: world.Services.KMS, Authorities: world.Services.Authorities}))
		remote := awskms.NewFromConfig(door.Config(environment.Region, allKMS))
		bystander := awskms.NewFromConfig(door.Config(environment.Region, `"Action":"s3:*","Resource":"*"`))
		alice := person(world.Namespace, "alice", "") // who asks at the door
		door.UniqueID = alice.call.Identity.Principal.UniqueID
		key, err := remote.CreateKey(ctx, &awskms.CreateKeyInput{})
		Expect(err).NotTo(HaveOccurred())
		id := key.KeyMetadata.KeyId
		plain := &awskms.EncryptInput{KeyId: id, Plaintext: []byte("x")}
		_, err = bystander.Encrypt(ctx, plain)
		Expect(err).To(MatchError(ContainSubstring("AccessDeniedException")))

		made, err := remote.CreateGrant(ctx, &awskms.CreateGrantInput{
			KeyId: id, GranteePrincipal: s(alice.arn()), RetiringPrincipal: s(alice.arn()), Name: s("n"),
			Operations: []types.GrantOperation{types.GrantOperationEncrypt, types.GrantOperationDecrypt},
		})
		Expect(err).NotTo(HaveOccurred())
		plain.GrantTokens = []string{*made.GrantToken}
		out, err := bystander.Encrypt(ctx, plain)
		Expect(err).NotTo(HaveOccurred())
		_, err = bystander.Decrypt(ctx, &awskms.DecryptInput{CiphertextBlob: out.CiphertextBlob, GrantTokens: plain.GrantTokens})
		Expect(err).NotTo(HaveOccurred())

		grants := awskms.NewListGrantsPaginator(remote, &awskms.ListGrantsInput{KeyId: id})
		page, err := grants.NextPage(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(page.Grants).To(HaveLen(1))
		Expect(page.Grants[0].GrantId).To(Equal(made.GrantId))
		Expect(grants.HasMorePages()).To(BeFalse())
		retirable, err := awskms.NewListRetirableGrantsPaginator(remote, &awskms.ListRetirableGrantsInput{RetiringPrincipal: s(alice.arn())}).NextPage(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(retirable.Grants).To(HaveLen(1))

		_, err = bystander.RetireGrant(ctx, &awskms.RetireGrantInput{GrantToken: made.GrantToken})
		Expect(err).NotTo(HaveOccurred())
		_, err = bystander.Encrypt(ctx, plain)
		Expect(err).To(MatchError(ContainSubstring("AccessDeniedException")))
		_, err = remote.RevokeGrant(ctx, &awskms.RevokeGrantInput{KeyId: id, GrantId: made.GrantId})
		var missing *types.NotFoundException
		Expect(errors.As(err, &missing)).To(BeTrue(), "%v", err)
		plain.GrantTokens = []string{"x"}
		_, err = bystander.Encrypt(ctx, plain)
		var invalid *types.InvalidGrantTokenException
		Expect(errors.As(err, &invalid)).To(BeTrue(), "%v", err)

		Expect(door.Text()).NotTo(ContainSubstring(*made.GrantToken))
		Expect(recorded(door, "CreateGrant")["responseElements"]).To(HaveKeyWithValue("grantId", *made.GrantId))
		retired := recorded(door, "RetireGrant")
		Expect(retired["additionalEventData"]).To(Equal(map[string]any{"grantId": *made.GrantId}))
		Expect(retired["resources"]).To(ContainElement(And(HaveKeyWithValue("ARN", *key.KeyMetadata.Arn),
			HaveKeyWithValue("accountId", arn.DeriveAccount(world.Namespace)))))
	})
})

// recorded is the first record of an operation.
func recorded(door *environment.Door, operation string) map[string]any {
	GinkgoHelper()
	for line := range strings.Lines(door.Text()) {
		record := map[string]any{}
		if json.Unmarshal([]byte(line), &record) == nil && record["eventName"] == operation {
			return record
		}
	}
	Fail("there is no record of " + operation)
	return nil
}
