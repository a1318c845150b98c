package secretsmanager_test

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

const (
	abroad  = environment.OtherRegion
	further = environment.ThirdRegion
)

// inEurope is a caller in the region abroad.
func inEurope(c caller) caller {
	c.region = abroad
	return c
}

// region is one to replicate to, under the account's own key or one that is named.
func region(name string, key ...string) types.ReplicaRegionType {
	out := types.ReplicaRegionType{Region: &name}
	if len(key) > 0 {
		out.KmsKeyId = &key[0]
	}
	return out
}

func replicate(id string, regions ...types.ReplicaRegionType) (*sdk.ReplicateSecretToRegionsOutput, error) {
	GinkgoHelper()
	return do[sdk.ReplicateSecretToRegionsOutput](administrator, "ReplicateSecretToRegions",
		&sdk.ReplicateSecretToRegionsInput{SecretId: &id, AddReplicaRegions: regions})
}

// elsewhere is an ARN in another region.
func elsewhere(arn *string, region string) string { return strings.Replace(*arn, home, region, 1) }

// settle makes the passes that a controller makes of a secret and its replica abroad.
func settle(arn *string) {
	GinkgoHelper()
	primary := object(*arn)
	reconcile(primary)
	replica := object(elsewhere(arn, abroad))
	world.Seen(replica)
	reconcile(replica)
	reconcile(primary)
}

// abroadOne is a secret "db" with a replica abroad that is in sync.
func abroadOne(text string) *sdk.CreateSecretOutput {
	GinkgoHelper()
	made := create("db", text, func(in *sdk.CreateSecretInput) { in.AddReplicaRegions = []types.ReplicaRegionType{region(abroad)} })
	settle(made.ARN)
	return made
}

func getAbroad(id string) *sdk.GetSecretValueOutput {
	GinkgoHelper()
	return must[sdk.GetSecretValueOutput](inEurope(administrator), "GetSecretValue", &sdk.GetSecretValueInput{SecretId: &id})
}

func describeAbroad(id string) *sdk.DescribeSecretOutput {
	GinkgoHelper()
	return must[sdk.DescribeSecretOutput](inEurope(administrator), "DescribeSecret", &sdk.DescribeSecretInput{SecretId: &id})
}

// is is how far one replica is.
func is(all []types.ReplicationStatusType, status types.StatusType, message string) {
	GinkgoHelper()
	Expect(all).To(HaveLen(1))
	Expect(all[0].Status).To(Equal(status))
	Expect(aws.ToString(all[0].StatusMessage)).To(Equal(message))
}

const onReplica = "Operation not permitted on a replica secret. Call must be made in primary secret's region."

var _ = Describe("Replication", func() {
	It("from the first brings value, id, stages, tags and description to the other region, and says how far it is", func() {
		made := create("db", "one", func(in *sdk.CreateSecretInput) {
			in.AddReplicaRegions = []types.ReplicaRegionType{region(abroad)}
			in.Tags = []types.Tag{{Key: ptr.To("team"), Value: ptr.To("shop")}}
			in.Description = ptr.To("d")
		})
		Expect(made.ReplicationStatus).To(ConsistOf(types.ReplicationStatusType{
			Region: ptr.To(abroad), KmsKeyId: ptr.To("alias/aws/secretsmanager"), Status: types.StatusTypeInProgress,
		}))
		settle(made.ARN)
		here, there := describe("db"), describeAbroad("db")
		is(here.ReplicationStatus, types.StatusTypeInSync, "")
		Expect(there.ReplicationStatus).To(BeNil())
		for _, d := range []*sdk.DescribeSecretOutput{here, there} {
			Expect(d.PrimaryRegion).To(HaveValue(Equal(home)))
			Expect(d.Tags).To(HaveLen(1))
			Expect(d.Description).To(HaveValue(Equal("d")))
			Expect(d.VersionIdsToStages).To(Equal(map[string][]string{*made.VersionId: {"AWSCURRENT"}}))
		}
		Expect(*there.ARN).To(Equal(elsewhere(made.ARN, abroad)))
		got := getAbroad("db")
		Expect(*got.SecretString).To(Equal("one"))
		Expect(got.VersionId).To(Equal(made.VersionId))
		be(getError(*there.ARN), "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	})

	It("later brings all versions that have a stage, bytes as bytes, and each new one", func() {
		create("db", "")
		must[sdk.PutSecretValueOutput](administrator, "PutSecretValue",
			&sdk.PutSecretValueInput{SecretId: ptr.To("db"), SecretBinary: []byte{0, 255}, ClientRequestToken: token()})
		put("db", "dropped", "mine")
		put("db", "two", "AWSCURRENT", "mine")
		out, err := replicate("db", region(abroad))
		Expect(err).NotTo(HaveOccurred())
		is(out.ReplicationStatus, types.StatusTypeInProgress, "")
		settle(out.ARN)
		Expect(*getAbroad("db").SecretString).To(Equal("two"))
		previous := must[sdk.GetSecretValueOutput](inEurope(administrator), "GetSecretValue", &sdk.GetSecretValueInput{SecretId: ptr.To("db"), VersionStage: ptr.To("AWSPREVIOUS")})
		Expect(previous.SecretBinary).To(Equal([]byte{0, 255}))
		put("db", "three")
		is(describe("db").ReplicationStatus, types.StatusTypeInProgress, "")
		Expect(*getAbroad("db").SecretString).To(Equal("two"))
		settle(out.ARN)
		is(describe("db").ReplicationStatus, types.StatusTypeInSync, "")
		Expect(*getAbroad("db").SecretString).To(Equal("three"))
		Expect(describeAbroad("db").VersionIdsToStages).To(Equal(describe("db").VersionIdsToStages))
	})

	It("is refused to the secret's own region, to one that is not served, and twice to one; nothing is changed then", func() {
		create("db", "one")
		for _, regions := range [][]types.ReplicaRegionType{{region(home)}, {region("sa-east-1")}, {region(abroad), region("sa-east-1")}, {region(abroad), region(abroad)}} {
			_, err := replicate("db", regions...)
			be(err, "InvalidParameterException", "Invalid replica region.")
			_, err = do[sdk.CreateSecretOutput](administrator, "CreateSecret",
				&sdk.CreateSecretInput{Name: ptr.To("new"), ClientRequestToken: token(), AddReplicaRegions: regions})
			be(err, "InvalidParameterException", "Invalid replica region.")
		}
		Expect(describe("db").PrimaryRegion).To(BeNil())
		be(getError("new"), "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
	})

	It("where the name is taken fails, until it is asked for by force", func() {
		_, err := do[sdk.CreateSecretOutput](inEurope(administrator), "CreateSecret",
			&sdk.CreateSecretInput{Name: ptr.To("db"), ClientRequestToken: token(), SecretString: ptr.To("theirs")})
		Expect(err).NotTo(HaveOccurred())
		made := create("db", "ours", func(in *sdk.CreateSecretInput) { in.AddReplicaRegions = []types.ReplicaRegionType{region(abroad)} })
		reconcile(object(*made.ARN))
		is(describe("db").ReplicationStatus, types.StatusTypeFailed, "Replication failed: Secret name db already exists in region eu-west-1.")
		Expect(*getAbroad("db").SecretString).To(Equal("theirs"))
		must[sdk.ReplicateSecretToRegionsOutput](administrator, "ReplicateSecretToRegions", &sdk.ReplicateSecretToRegionsInput{
			SecretId: ptr.To("db"), AddReplicaRegions: []types.ReplicaRegionType{region(abroad)}, ForceOverwriteReplicaSecret: true,
		})
		settle(made.ARN)
		is(describe("db").ReplicationStatus, types.StatusTypeInSync, "")
		Expect(*getAbroad("db").SecretString).To(Equal("ours"))
	})

	It("refuses each write to a replica but that of its key, whatever of the secret it is", func() {
		abroadOne("one")
		readers := map[string]bool{
			"BatchGetSecretValue": true, "CreateSecret": true, "DescribeSecret": true, "GetRandomPassword": true, "GetResourcePolicy": true,
			"GetSecretValue": true, "ListSecretVersionIds": true, "ListSecrets": true, "StopReplicationToReplica": true, "RestoreSecret": true, "ValidateResourcePolicy": true,
		}
		for name, input := range inputs {
			if !readers[name] {
				be(invokeAny(inEurope(administrator), name, input(ptr.To("db"))), "InvalidParameterException", onReplica)
			}
		}
		for _, force := range []bool{false, true} {
			_, err := do[sdk.DeleteSecretOutput](inEurope(administrator), "DeleteSecret",
				&sdk.DeleteSecretInput{SecretId: ptr.To("db"), ForceDeleteWithoutRecovery: &force})
			be(err, "InvalidParameterException", onReplica)
		}
		be(invokeAny(inEurope(stranger), "PutSecretValue", inputs["PutSecretValue"](ptr.To("db"))), "AccessDeniedException",
			"User: arn:aws:iam::"+account+":user/tester is not authorized to perform: secretsmanager:PutSecretValue on resource: db because no identity-based policy allows the secretsmanager:PutSecretValue action")
		Expect(*getAbroad("db").SecretString).To(Equal("one"))
	})

	It("lets a replica's key be changed in its region, and encrypts under it from then on", func() {
		made := abroadOne("one")
		key := world.ReadyKey("europe", func(k *v1alpha1.KMSKey) { k.Spec.Region, k.Spec.Aliases = abroad, []string{"alias/europe"} })
		must[sdk.UpdateSecretOutput](inEurope(administrator), "UpdateSecret",
			&sdk.UpdateSecretInput{SecretId: ptr.To("db"), ClientRequestToken: token(), KmsKeyId: ptr.To("alias/europe")})
		put("db", "two")
		settle(made.ARN)
		Expect(describeAbroad("db").KmsKeyId).To(HaveValue(Equal(key.Status.ARN)))
		Expect(describe("db").KmsKeyId).To(BeNil())
		Expect(describe("db").ReplicationStatus[0].KmsKeyId).To(HaveValue(Equal(key.Status.ARN)))
		listed := must[sdk.ListSecretVersionIdsOutput](inEurope(administrator), "ListSecretVersionIds", &sdk.ListSecretVersionIdsInput{SecretId: ptr.To("db")})
		Expect(listed.Versions[1].KmsKeyIds).To(Equal([]string{key.Status.ARN}))
		Expect(*getAbroad("db").SecretString).To(Equal("two"))
		_, err := do[sdk.UpdateSecretOutput](inEurope(administrator), "UpdateSecret",
			&sdk.UpdateSecretInput{SecretId: ptr.To("db"), ClientRequestToken: token(), KmsKeyId: ptr.To("alias/europe"), Description: ptr.To("x")})
		be(err, "InvalidParameterException", onReplica)
	})

	It("keeps a secret from being deleted, and ends with the replica gone", func() {
		made := abroadOne("one")
		for _, force := range []bool{false, true} {
			_, err := remove("db", nil, &force)
			be(err, "InvalidParameterException", "You can't delete secret "+*made.ARN+" that still has replica regions [eu-west-1].")
		}
		for range 2 { // a region that it is not replicated to is no error
			out := must[sdk.RemoveRegionsFromReplicationOutput](administrator, "RemoveRegionsFromReplication",
				&sdk.RemoveRegionsFromReplicationInput{SecretId: ptr.To("db"), RemoveReplicaRegions: []string{abroad, further}})
			Expect(out.ReplicationStatus).To(BeEmpty())
		}
		_, err := do[sdk.GetSecretValueOutput](inEurope(administrator), "GetSecretValue", &sdk.GetSecretValueInput{SecretId: ptr.To("db")})
		be(err, "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
		Expect(world.Envelopes(v1alpha1.EnvelopeSecretVersion)).To(HaveLen(1))
		_, err = remove("db", nil, nil)
		Expect(err).NotTo(HaveOccurred())
	})

	It("stops with a secret of its own in the other region, which keeps its versions and goes its own way", func() {
		made := abroadOne("one")
		stop := func() error {
			_, err := do[sdk.StopReplicationToReplicaOutput](inEurope(administrator), "StopReplicationToReplica", &sdk.StopReplicationToReplicaInput{SecretId: ptr.To("db")})
			return err
		}
		Expect(stop()).To(Succeed())
		Expect(stop()).To(Succeed(), "an answer that was lost is given again")
		Expect(describe("db").ReplicationStatus).To(BeNil())
		Expect(describeAbroad("db").PrimaryRegion).To(BeNil())
		put("db", "two")
		reconcile(object(*made.ARN))
		reconcile(object(elsewhere(made.ARN, abroad)))
		Expect(*getAbroad("db").SecretString).To(Equal("one"))
		must[sdk.PutSecretValueOutput](inEurope(administrator), "PutSecretValue",
			&sdk.PutSecretValueInput{SecretId: ptr.To("db"), SecretString: ptr.To("three"), ClientRequestToken: token()})
		Expect(*get("db").SecretString).To(Equal("two"))
		Expect(*getAbroad("db").SecretString).To(Equal("three"))
		Expect(describeAbroad("db").VersionIdsToStages).To(HaveKeyWithValue(*made.VersionId, []string{"AWSPREVIOUS"}))
	})

	It("does not stop at the primary, nor for a secret that never was a replica", func() {
		abroadOne("one")
		create("alone", "two")
		for _, id := range []string{"db", "alone"} {
			be(invokeAny(administrator, "StopReplicationToReplica", inputs["StopReplicationToReplica"](&id)), "InvalidRequestException",
				"You can't stop replication to this secret because it is not a replica.")
		}
		is(describe("db").ReplicationStatus, types.StatusTypeInSync, "")
	})

	It("that stops and dies half way is finished when it is asked again", func() {
		for _, after := range []bool{false, true} {
			for n := 1; ; n++ {
				made := abroadOne("one")
				working := service
				reconcilers, writes := world.Faulty()
				service = newService(reconcilers.SecretsOver(writes))
				writes.FailAt(n, after)
				in := &sdk.StopReplicationToReplicaInput{SecretId: ptr.To("db")}
				_, err := do[sdk.StopReplicationToReplicaOutput](inEurope(administrator), "StopReplicationToReplica", in)
				reached := writes.Writes() >= n
				service = working
				Expect(err != nil).To(Equal(reached))
				reconcile(object(*made.ARN)) // a primary's pass in between does the promoted one no harm
				must[sdk.StopReplicationToReplicaOutput](inEurope(administrator), "StopReplicationToReplica", in)
				Expect(describe("db").ReplicationStatus).To(BeNil())
				Expect(object(elsewhere(made.ARN, abroad)).OwnerReferences).To(BeEmpty())
				Expect(*getAbroad("db").SecretString).To(Equal("one"))
				for _, c := range []caller{administrator, inEurope(administrator)} {
					must[sdk.DeleteSecretOutput](c, "DeleteSecret", &sdk.DeleteSecretInput{SecretId: ptr.To("db"), ForceDeleteWithoutRecovery: ptr.To(true)})
				}
				Eventually(func() bool {
					return apierrors.IsNotFound(world.GetClient().Get(ctx, client.ObjectKey{Namespace: world.Namespace, Name: "db-" + abroad}, &v1alpha1.Secret{}))
				}).Should(BeTrue())
				if !reached {
					Expect(n).To(Equal(3), "the replica and its primary")
					break
				}
			}
		}
	})
})
