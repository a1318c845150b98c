package secretsmanager_test

import (
	"errors"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/gateway"
	"strongroom.dev/strongroom/internal/gateway/secretsmanager"
	service0 "strongroom.dev/strongroom/internal/service/secretsmanager"
)

// newService is the API over another service.
func newService(secrets *service0.Service) gateway.Service {
	return secretsmanager.New(secretsmanager.Dependencies{Secrets: secrets})
}

// denied expects that a request is refused, or is not.
func denied(err error, want bool) {
	GinkgoHelper()
	if want {
		Expect(err).To(MatchError(ContainSubstring("AccessDenied")))
		return
	}
	Expect(err).NotTo(HaveOccurred())
}

var _ = Describe("A policy about replication", func() {
	try := func(who caller, force bool, regions ...types.ReplicaRegionType) error {
		GinkgoHelper()
		_, err := do[sdk.ReplicateSecretToRegionsOutput](who, "ReplicateSecretToRegions",
			&sdk.ReplicateSecretToRegionsInput{SecretId: ptr.To("db"), AddReplicaRegions: regions, ForceOverwriteReplicaSecret: force})
		return err
	}

	It("asks for the regions of a request, one or all", func() {
		create("db", "")
		all := allowed("secretsmanager:*", "*", `{"ForAllValues:StringEquals":{"secretsmanager:AddReplicaRegions":["`+abroad+`"]}}`)
		denied(try(all, false, region(further)), true)
		denied(try(all, false, region(abroad), region(further)), true)
		denied(try(all, false, region(abroad)), false)
		none := allowed("secretsmanager:*", "*", `{"Null":{"secretsmanager:AddReplicaRegions":"true"}}`)
		denied(try(none, false, region(further)), true)
	})

	It("asks whether a secret may be overwritten", func() {
		create("db", "")
		who := allowed("secretsmanager:*", "*", `{"Bool":{"secretsmanager:ForceOverwriteReplicaSecret":"false"}}`)
		denied(try(who, true, region(abroad)), true)
		denied(try(who, false, region(abroad)), false)
	})

	It("asks for the primary's region, of a replica and of any secret", func() {
		abroadOne("one")
		create("alone", "two")
		who := allowed("secretsmanager:GetSecretValue", "*", `{"StringEquals":{"secretsmanager:SecretPrimaryRegion":"`+home+`"}}`)
		for _, c := range []caller{who, inEurope(who)} {
			denied(invokeAny(c, "GetSecretValue", inputs["GetSecretValue"](ptr.To("db"))), false)
		}
		denied(invokeAny(who, "GetSecretValue", inputs["GetSecretValue"](ptr.To("alone"))), false)
		other := allowed("secretsmanager:GetSecretValue", "*", `{"StringEquals":{"secretsmanager:SecretPrimaryRegion":"`+abroad+`"}}`)
		denied(invokeAny(inEurope(other), "GetSecretValue", inputs["GetSecretValue"](ptr.To("db"))), true)
	})

	It("is asked for ReplicateSecretToRegions too by who creates a secret with replicas, and before anything is made", func() {
		make := func(who caller) error {
			_, err := do[sdk.CreateSecretOutput](who, "CreateSecret", &sdk.CreateSecretInput{
				Name: ptr.To("new"), ClientRequestToken: token(), AddReplicaRegions: []types.ReplicaRegionType{region(abroad)},
			})
			return err
		}
		denied(make(allowed("secretsmanager:CreateSecret", "*")), true)
		be(getError("new"), "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
		denied(make(caller{policy: `{"Statement":{"Effect":"Allow","Action":["secretsmanager:CreateSecret","secretsmanager:ReplicateSecretToRegions"],"Resource":"*"}}`}), false)
	})

	It("of a resource is the same in the other region", func() {
		made := create("db", "one", func(in *sdk.CreateSecretInput) { in.AddReplicaRegions = []types.ReplicaRegionType{region(abroad)} })
		must[sdk.PutResourcePolicyOutput](administrator, "PutResourcePolicy", &sdk.PutResourcePolicyInput{
			SecretId: ptr.To("db"), ResourcePolicy: ptr.To(`{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*"}}`),
		})
		settle(made.ARN)
		denied(invokeAny(inEurope(administrator), "GetSecretValue", inputs["GetSecretValue"](ptr.To("db"))), true)
		shown := must[sdk.GetResourcePolicyOutput](inEurope(administrator), "GetResourcePolicy", &sdk.GetResourcePolicyInput{SecretId: ptr.To("db")})
		Expect(shown.ResourcePolicy).To(HaveValue(ContainSubstring("Deny")))
		must[sdk.DeleteResourcePolicyOutput](administrator, "DeleteResourcePolicy", &sdk.DeleteResourcePolicyInput{SecretId: ptr.To("db")})
		settle(made.ARN)
		denied(invokeAny(inEurope(administrator), "GetSecretValue", inputs["GetSecretValue"](ptr.To("db"))), false)
	})
})

var _ = Describe("The keys of replication", func() {
	var mine, europe *v1alpha1.KMSKey
	secrets := allowed("secretsmanager:*", "*")
	BeforeEach(func() {
		mine = world.ReadyKey("mine", func(k *v1alpha1.KMSKey) { k.Spec.Aliases = []string{"alias/mine"} })
		europe = world.ReadyKey("europe", func(k *v1alpha1.KMSKey) { k.Spec.Region, k.Spec.Aliases = abroad, []string{"alias/europe"} })
	})
	as := func(regions []types.ReplicaRegionType, more ...caller) error {
		GinkgoHelper()
		_, err := invoke[sdk.ReplicateSecretToRegionsOutput](secrets.call("ReplicateSecretToRegions", more...),
			&sdk.ReplicateSecretToRegionsInput{SecretId: ptr.To("db"), AddReplicaRegions: regions})
		return err
	}

	It("are the caller's to use: the primary's to decrypt, the replica's to encrypt by way of Secrets Manager in its region", func() {
		made := create("db", "one", func(in *sdk.CreateSecretInput) { in.KmsKeyId = ptr.To("alias/mine") })
		decrypt := allowed("kms:Decrypt", mine.Status.ARN)
		plain := []types.ReplicaRegionType{region(further)}
		be(as(plain), "AccessDeniedException", "Access to KMS is not allowed")
		Expect(as(plain, decrypt)).To(Succeed())
		under := []types.ReplicaRegionType{region(abroad, "alias/europe")}
		be(as(under, decrypt, allowed("kms:GenerateDataKey", "*")), "AccessDeniedException", "Access to KMS is not allowed")
		be(as(under, decrypt, allowed("kms:Encrypt", "*")), "AccessDeniedException", "Access to KMS is not allowed")
		both := func(condition string) caller {
			return caller{policy: `{"Statement":{"Effect":"Allow","Action":["kms:Encrypt","kms:GenerateDataKey"],"Resource":"` + europe.Status.ARN + `","Condition":` + condition + `}}`}
		}
		be(as(under, decrypt, both(`{"StringEquals":{"kms:ViaService":"secretsmanager.us-east-1.amazonaws.com"}}`)), "AccessDeniedException", "Access to KMS is not allowed")
		be(as(under, decrypt, both(`{"StringEquals":{"kms:EncryptionContext:SecretARN":"`+*made.ARN+`"}}`)), "AccessDeniedException", "Access to KMS is not allowed")
		Expect(object(*made.ARN).Spec.ReplicaRegions).To(HaveLen(1), "a refusal changes nothing")
		Expect(as(under, decrypt, both(`{"StringEquals":{"kms:ViaService":"secretsmanager.eu-west-1.amazonaws.com","kms:EncryptionContext:SecretARN":"`+elsewhere(made.ARN, abroad)+`"}}`))).To(Succeed())
		settle(made.ARN)
		Expect(*getAbroad("db").SecretString).To(Equal("one"))
	})

	It("are those of every version that is copied, and of what is put from now on", func() {
		create("db", "one", func(in *sdk.CreateSecretInput) { in.KmsKeyId = ptr.To("alias/mine") })
		must[sdk.UpdateSecretOutput](administrator, "UpdateSecret", &sdk.UpdateSecretInput{
			SecretId: ptr.To("db"), ClientRequestToken: token(), KmsKeyId: ptr.To("alias/aws/secretsmanager"), SecretString: ptr.To("two"),
		})
		plain, decrypt := []types.ReplicaRegionType{region(further)}, allowed("kms:Decrypt", mine.Status.ARN)
		be(as(plain), "AccessDeniedException", "Access to KMS is not allowed") // of AWSPREVIOUS
		Expect(as(plain, decrypt)).To(Succeed())

		make := func(more ...caller) error {
			_, err := invoke[sdk.CreateSecretOutput](allowed("secretsmanager:*", "*").call("CreateSecret", append(more, allowed("kms:GenerateDataKey", "*"))...), &sdk.CreateSecretInput{
				Name: ptr.To("new"), ClientRequestToken: token(), KmsKeyId: ptr.To("alias/mine"), SecretString: ptr.To("x"), AddReplicaRegions: plain,
			})
			return err
		}
		be(make(), "AccessDeniedException", "Access to KMS is not allowed")
		be(getError("new"), "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
		Expect(make(decrypt)).To(Succeed())
	})

	It("are of the replica's region and are there; another is refused", func() {
		create("db", "one")
		for _, key := range []string{"alias/mine", "alias/nope", mine.Status.ARN, "arn:aws:kms:" + abroad + ":999999999999:key/" + europe.Status.KeyID} {
			_, err := replicate("db", region(abroad, key))
			Expect(err).To(MatchError(And(ContainSubstring("InvalidParameterException"), ContainSubstring("There is no KMS key"))), key)
		}
		for _, key := range []string{"alias/europe", europe.Status.ARN, europe.Status.KeyID, "alias/aws/secretsmanager", ""} {
			_, err := replicate("db", region(abroad, key))
			Expect(err).NotTo(HaveOccurred(), key)
		}
	})
})

var _ = Describe("A list", func() {
	It("tells the primary region of what is replicated, in each region its own, and finds by it", func() {
		abroadOne("one")
		create("alone", "two")
		list := func(who caller, filter ...string) (names []string) {
			in := &sdk.ListSecretsInput{}
			if len(filter) > 0 {
				in.Filters = []types.Filter{{Key: types.FilterNameStringTypePrimaryRegion, Values: filter}}
			}
			for _, e := range must[sdk.ListSecretsOutput](who, "ListSecrets", in).SecretList {
				line := *e.Name
				if e.PrimaryRegion != nil {
					line += " of " + *e.PrimaryRegion
				}
				names = append(names, line)
			}
			return names
		}
		Expect(list(administrator)).To(ConsistOf("db of us-east-1", "alone"))
		Expect(list(inEurope(administrator))).To(ConsistOf("db of us-east-1"))
		Expect(list(administrator, "us-east-1")).To(ConsistOf("db of us-east-1"))
		Expect(list(inEurope(administrator), "us-")).To(ConsistOf("db of us-east-1"))
		Expect(list(inEurope(administrator), "eu-west-1")).To(BeEmpty())
	})
})

var _ = Describe("By way of AWS's SDK, in two regions,", func() {
	It("a secret is replicated, overwritten, described, promoted and removed", func() {
		door := world.Open(service)
		all := `"Action":["secretsmanager:*","kms:*"],"Resource":"*"`
		here, there := sdk.NewFromConfig(door.Config(home, all)), sdk.NewFromConfig(door.Config(abroad, all))
		taken, err := there.CreateSecret(ctx, &sdk.CreateSecretInput{Name: ptr.To("db"), SecretString: ptr.To("theirs-hunter2")})
		Expect(err).NotTo(HaveOccurred())
		made, err := here.CreateSecret(ctx, &sdk.CreateSecretInput{
			Name: ptr.To("db"), SecretString: ptr.To("ours-hunter2"), AddReplicaRegions: []types.ReplicaRegionType{region(abroad)},
		})
		Expect(err).NotTo(HaveOccurred())
		is(made.ReplicationStatus, types.StatusTypeInProgress, "")
		reconcile(object(*made.ARN))
		described, err := here.DescribeSecret(ctx, &sdk.DescribeSecretInput{SecretId: ptr.To("db")})
		Expect(err).NotTo(HaveOccurred())
		is(described.ReplicationStatus, types.StatusTypeFailed, "Replication failed: Secret name db already exists in region eu-west-1.")
		_, err = here.ReplicateSecretToRegions(ctx, &sdk.ReplicateSecretToRegionsInput{
			SecretId: made.ARN, AddReplicaRegions: []types.ReplicaRegionType{region(abroad)}, ForceOverwriteReplicaSecret: true,
		})
		Expect(err).NotTo(HaveOccurred())
		settle(made.ARN)
		read, err := there.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: ptr.To(elsewhere(made.ARN, abroad))})
		Expect(err).NotTo(HaveOccurred())
		Expect(*read.SecretString).To(Equal("ours-hunter2"))
		_, err = there.GetSecretValue(ctx, &sdk.GetSecretValueInput{SecretId: taken.ARN})
		Expect(err).To(MatchError(ContainSubstring("marked for deletion")), "it can be had back")
		var refused *types.InvalidParameterException
		_, err = there.PutSecretValue(ctx, &sdk.PutSecretValueInput{SecretId: ptr.To("db"), SecretString: ptr.To("x")})
		Expect(errors.As(err, &refused)).To(BeTrue(), "%v", err)
		stopped, err := there.StopReplicationToReplica(ctx, &sdk.StopReplicationToReplicaInput{SecretId: ptr.To("db")})
		Expect(err).NotTo(HaveOccurred())
		Expect(*stopped.ARN).To(Equal(elsewhere(made.ARN, abroad)))
		_, err = there.PutSecretValue(ctx, &sdk.PutSecretValueInput{SecretId: ptr.To("db"), SecretString: ptr.To("x")})
		Expect(err).NotTo(HaveOccurred())
		out, err := here.RemoveRegionsFromReplication(ctx, &sdk.RemoveRegionsFromReplicationInput{SecretId: ptr.To("db"), RemoveReplicaRegions: []string{abroad}})
		Expect(err).NotTo(HaveOccurred())
		Expect(out.ReplicationStatus).To(BeEmpty())
		_, err = there.DescribeSecret(ctx, &sdk.DescribeSecretInput{SecretId: ptr.To("db")})
		Expect(err).NotTo(HaveOccurred(), "what was promoted is not removed")
		Expect(door.Text()).To(ContainSubstring(`"StopReplicationToReplica"`))
		Expect(door.Text()).NotTo(ContainSubstring("hunter2"))
	})
})
