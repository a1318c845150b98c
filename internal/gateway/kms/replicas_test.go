package kms_test

import (
	"reflect"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/objectname"
	"strongroom.dev/strongroom/test/environment"
)

const (
	there   = environment.OtherRegion
	farther = environment.ThirdRegion
)

// multiRegion makes a multi-Region primary key.
func multiRegion(changes ...func(*awskms.CreateKeyInput)) *types.KeyMetadata {
	GinkgoHelper()
	return createKey(admin(), append(changes, func(in *awskms.CreateKeyInput) { in.MultiRegion = aws.Bool(true) })...)
}

// replicate makes a replica, and the pass that brings it its material.
func replicate(id, region string, changes ...func(*awskms.ReplicateKeyInput)) *awskms.ReplicateKeyOutput {
	GinkgoHelper()
	in := &awskms.ReplicateKeyInput{KeyId: &id, ReplicaRegion: &region}
	for _, change := range changes {
		change(in)
	}
	out := must[awskms.ReplicateKeyOutput](admin(), "ReplicateKey", in)
	world.ReconcileKey(replicaOf(id, region))
	return out
}

// replicaOf is the object of a key's replica.
func replicaOf(id, region string) *v1alpha1.KMSKey { return object(id + "-" + region) }

func describe(c *caller, id string) *types.KeyMetadata {
	GinkgoHelper()
	return must[awskms.DescribeKeyOutput](c, "DescribeKey", &awskms.DescribeKeyInput{KeyId: &id}).KeyMetadata
}

// keyARN is the ARN of a key of the spec's account.
func keyARN(id, region string) string {
	return arn.KMSKey(region, arn.DeriveAccount(world.Namespace), id)
}

var _ = Describe("A multi-Region key", func() {
	It("has an id that says so, and is a primary key without replicas", func() {
		made := multiRegion()
		Expect(*made.KeyId).To(MatchRegexp(`^mrk-[0-9a-f]{32}$`))
		Expect(*made.MultiRegion).To(BeTrue())
		Expect(made.MultiRegionConfiguration.MultiRegionKeyType).To(Equal(types.MultiRegionKeyTypePrimary))
		Expect(*made.MultiRegionConfiguration.PrimaryKey).To(Equal(types.MultiRegionKey{Arn: made.Arn, Region: s(region)}))
		Expect(made.MultiRegionConfiguration.ReplicaKeys).To(BeEmpty())
		text, err := decrypt(admin(), encrypt(admin(), *made.KeyId, "x", nil), nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(text).To(Equal("x"))
	})

	It("is replicated to a region whose key of the same id opens what it has encrypted, and the reverse", func() {
		id := *multiRegion().KeyId
		out := must[awskms.ReplicateKeyOutput](admin(), "ReplicateKey", &awskms.ReplicateKeyInput{KeyId: &id, ReplicaRegion: s(there)})
		Expect(*out.ReplicaKeyMetadata.KeyId).To(Equal(id))
		Expect(*out.ReplicaKeyMetadata.Arn).To(Equal(keyARN(id, there)))
		Expect(out.ReplicaKeyMetadata.KeyState).To(Equal(types.KeyStateCreating))
		code, _ := refused[awskms.EncryptOutput](admin().in(there), "Encrypt", &awskms.EncryptInput{KeyId: &id, Plaintext: []byte("x")})
		Expect(code).To(Equal("KMSInvalidStateException"))

		world.ReconcileKey(replicaOf(id, there))
		Expect(describe(admin().in(there), id).KeyState).To(Equal(types.KeyStateEnabled))
		ec := map[string]string{"app": "shop"}
		text, err := decrypt(admin().in(there), encrypt(admin(), id, "from here", ec), ec)
		Expect(err).NotTo(HaveOccurred())
		Expect(text).To(Equal("from here"))
		text, err = decrypt(admin(), encrypt(admin().in(there), id, "from there", ec), ec)
		Expect(err).NotTo(HaveOccurred())
		Expect(text).To(Equal("from there"))
	})

	It("signs, and makes codes, as its replica verifies them", func() {
		signing := *multiRegion(func(in *awskms.CreateKeyInput) {
			in.KeySpec, in.KeyUsage = types.KeySpecEccNistP256, types.KeyUsageTypeSignVerify
		}).KeyId
		replicate(signing, there)
		signed := must[awskms.SignOutput](admin(), "Sign", &awskms.SignInput{
			KeyId: &signing, Message: []byte("m"), SigningAlgorithm: types.SigningAlgorithmSpecEcdsaSha256,
		})
		verified := must[awskms.VerifyOutput](admin().in(there), "Verify", &awskms.VerifyInput{
			KeyId: &signing, Message: []byte("m"), SigningAlgorithm: types.SigningAlgorithmSpecEcdsaSha256, Signature: signed.Signature,
		})
		Expect(verified.SignatureValid).To(BeTrue())
		here := must[awskms.GetPublicKeyOutput](admin(), "GetPublicKey", &awskms.GetPublicKeyInput{KeyId: &signing})
		Expect(must[awskms.GetPublicKeyOutput](admin().in(there), "GetPublicKey", &awskms.GetPublicKeyInput{KeyId: &signing}).PublicKey).To(Equal(here.PublicKey))

		codes := *multiRegion(func(in *awskms.CreateKeyInput) {
			in.KeySpec, in.KeyUsage = types.KeySpecHmac256, types.KeyUsageTypeGenerateVerifyMac
		}).KeyId
		replicate(codes, there)
		mac := must[awskms.GenerateMacOutput](admin().in(there), "GenerateMac", &awskms.GenerateMacInput{
			KeyId: &codes, Message: []byte("m"), MacAlgorithm: types.MacAlgorithmSpecHmacSha256,
		})
		Expect(invoke(admin(), "VerifyMac", &awskms.VerifyMacInput{
			KeyId: &codes, Message: []byte("m"), MacAlgorithm: types.MacAlgorithmSpecHmacSha256, Mac: mac.Mac,
		})).To(Succeed())
	})

	It("is described with all keys of its id, by each of them", func() {
		id := *multiRegion().KeyId
		replicate(id, there)
		replicate(id, farther)
		for in, kind := range map[string]types.MultiRegionKeyType{region: types.MultiRegionKeyTypePrimary, there: types.MultiRegionKeyTypeReplica, farther: types.MultiRegionKeyTypeReplica} {
			c := describe(admin().in(in), id).MultiRegionConfiguration
			Expect(c.MultiRegionKeyType).To(Equal(kind))
			Expect(*c.PrimaryKey).To(Equal(types.MultiRegionKey{Arn: s(keyARN(id, region)), Region: s(region)}))
			Expect(c.ReplicaKeys).To(ConsistOf(
				types.MultiRegionKey{Arn: s(keyARN(id, there)), Region: s(there)}, types.MultiRegionKey{Arn: s(keyARN(id, farther)), Region: s(farther)}))
		}
		Expect(describe(admin(), *createKey(admin()).KeyId).MultiRegionConfiguration).To(BeNil())
	})

	It("has a replica with a description, tags, a policy, aliases, grants and a state of its own", func() {
		id := *multiRegion(func(in *awskms.CreateKeyInput) { in.Description = s("primary") }).KeyId
		out := replicate(id, there, func(in *awskms.ReplicateKeyInput) {
			in.Description, in.Tags, in.Policy = s("replica"), []types.Tag{{TagKey: s("team"), TagValue: s("eu")}}, s(replicaPolicy())
		})
		Expect(out.ReplicaTags).To(Equal([]types.Tag{{TagKey: s("team"), TagValue: s("eu")}}))
		Expect(*out.ReplicaPolicy).To(MatchJSON(replicaPolicy()))
		Expect(*describe(admin().in(there), id).Description).To(Equal("replica"))
		Expect(*describe(admin(), id).Description).To(Equal("primary"))
		Expect(must[awskms.ListResourceTagsOutput](admin(), "ListResourceTags", &awskms.ListResourceTagsInput{KeyId: &id}).Tags).To(BeEmpty())
		alias(admin(), "alias/mine", id)
		alias(admin().in(there), "alias/mine", id)
		_, err := try[awskms.EncryptOutput](admin().in(farther), "Encrypt", &awskms.EncryptInput{KeyId: s("alias/mine"), Plaintext: []byte("x")})
		Expect(err).To(MatchError(ContainSubstring("alias/mine is not found")))

		blob := encrypt(admin(), "alias/mine", "x", nil)
		bob := person(world.Namespace, "bob", "")
		grant(admin().in(there), id, bob.arn(), types.GrantOperationDecrypt)
		text, err := decrypt(bob.in(there), blob, nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(text).To(Equal("x"))
		_, err = decrypt(bob, blob, nil)
		Expect(err).To(MatchError(ContainSubstring("AccessDenied")), "a grant of one key is none of the others")

		must[awskms.DisableKeyOutput](admin(), "DisableKey", &awskms.DisableKeyInput{KeyId: &id})
		_, err = decrypt(admin().in(there), blob, nil)
		Expect(err).NotTo(HaveOccurred())
		code, _ := refused[awskms.DecryptOutput](admin(), "Decrypt", &awskms.DecryptInput{CiphertextBlob: blob})
		Expect(code).To(Equal("DisabledException"))
	})

	It("is rotated at its primary alone, and tells of it everywhere", func() {
		id := *multiRegion().KeyId
		replicate(id, there)
		must[awskms.EnableKeyRotationOutput](admin(), "EnableKeyRotation", &awskms.EnableKeyRotationInput{KeyId: &id, RotationPeriodInDays: aws.Int32(90)})
		rotate(id)
		here, away := admin(), admin().in(there)
		for _, in := range []any{&awskms.EnableKeyRotationInput{KeyId: &id}, &awskms.DisableKeyRotationInput{KeyId: &id}, &awskms.RotateKeyOnDemandInput{KeyId: &id}} {
			code, message := refused[any](away, operationOf(in), in)
			Expect(code).To(Equal("UnsupportedOperationException"))
			Expect(message).To(ContainSubstring("replica key"))
		}
		status := must[awskms.GetKeyRotationStatusOutput](away, "GetKeyRotationStatus", &awskms.GetKeyRotationStatusInput{KeyId: &id})
		Expect(status.KeyRotationEnabled).To(BeTrue())
		Expect(*status.RotationPeriodInDays).To(Equal(int32(90)))
		Expect(*status.KeyId).To(Equal(keyARN(id, there)))

		blob := encrypt(here, id, "x", nil)
		text, err := decrypt(away, blob, nil) // the replica does not have the material yet, and it is named by the ciphertext alone
		Expect(err).NotTo(HaveOccurred())
		Expect(text).To(Equal("x"))
		world.ReconcileKey(replicaOf(id, there))
		list := func(c *caller) []string {
			var ids []string
			for _, r := range must[awskms.ListKeyRotationsOutput](c, "ListKeyRotations", &awskms.ListKeyRotationsInput{KeyId: &id}).Rotations {
				ids = append(ids, *r.KeyMaterialId)
			}
			return ids
		}
		Expect(list(away)).To(Equal(list(here)))
		Expect(list(away)).To(HaveLen(1))
	})

	It("is moved between its regions by ReEncrypt, which is the same key to no policy", func() {
		id := *multiRegion().KeyId
		replicate(id, there)
		blob := encrypt(admin(), id, "x", nil)
		out := must[awskms.ReEncryptOutput](admin().in(there), "ReEncrypt", &awskms.ReEncryptInput{CiphertextBlob: blob, DestinationKeyId: &id})
		Expect(*out.SourceKeyId).To(Equal(keyARN(id, there)))
		text, err := decrypt(admin(), out.CiphertextBlob, nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(text).To(Equal("x"))
	})

	It("is not one with the key of one region that has the digits of its id", func() {
		id := *multiRegion().KeyId
		digits := id[len("mrk-"):]
		single := digits[:8] + "-" + digits[8:12] + "-" + digits[12:16] + "-" + digits[16:20] + "-" + digits[20:]
		world.ReadyKey(single)
		ours, theirs := encrypt(admin(), id, "ours", nil), encrypt(admin(), single, "theirs", nil)
		for blob, want := range map[string]string{string(ours): "ours", string(theirs): "theirs"} {
			text, err := decrypt(admin(), []byte(blob), nil)
			Expect(err).NotTo(HaveOccurred())
			Expect(text).To(Equal(want))
		}
		code, _ := refused[awskms.DecryptOutput](admin(), "Decrypt", &awskms.DecryptInput{KeyId: &single, CiphertextBlob: ours})
		Expect(code).To(Equal("InvalidCiphertextException"))
	})

	It("opens for no other account what it has encrypted, whatever that one calls a key", func() {
		id := *multiRegion().KeyId
		blob := encrypt(admin(), id, "x", nil)
		former := world.Namespace
		world.Fresh()
		world.ReadyKey(id, func(k *v1alpha1.KMSKey) { k.Spec.MultiRegion = true })
		code, _ := refused[awskms.DecryptOutput](admin(), "Decrypt", &awskms.DecryptInput{CiphertextBlob: blob, KeyId: &id})
		Expect(code).To(Equal("InvalidCiphertextException"))
		code, _ = refused[awskms.DecryptOutput](admin(), "Decrypt", &awskms.DecryptInput{CiphertextBlob: blob})
		Expect(code).To(Equal("AccessDeniedException"))
		text, err := decrypt(user(former, everything), blob, nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(text).To(Equal("x"))
	})

	It("is deleted after its replicas", func() {
		id := *multiRegion().KeyId
		replicate(id, there)
		out := must[awskms.ScheduleKeyDeletionOutput](admin(), "ScheduleKeyDeletion", &awskms.ScheduleKeyDeletionInput{KeyId: &id, PendingWindowInDays: aws.Int32(9)})
		Expect(out.KeyState).To(Equal(types.KeyStatePendingReplicaDeletion))
		Expect(out.DeletionDate).To(BeNil())
		Expect(*out.PendingWindowInDays).To(Equal(int32(9)))
		m := describe(admin(), id)
		Expect(*m.PendingDeletionWindowInDays).To(Equal(int32(9)))
		Expect(m.DeletionDate).To(BeNil())
		code, message := refused[awskms.EncryptOutput](admin(), "Encrypt", &awskms.EncryptInput{KeyId: &id, Plaintext: []byte("x")})
		Expect(code).To(Equal("KMSInvalidStateException"))
		Expect(message).To(HaveSuffix("is pending replica deletion."))
		encrypt(admin().in(there), id, "x", nil)

		must[awskms.CancelKeyDeletionOutput](admin(), "CancelKeyDeletion", &awskms.CancelKeyDeletionInput{KeyId: &id})
		Expect(describe(admin(), id).KeyState).To(Equal(types.KeyStateDisabled))
		replica := must[awskms.ScheduleKeyDeletionOutput](admin().in(there), "ScheduleKeyDeletion", &awskms.ScheduleKeyDeletionInput{KeyId: &id})
		Expect(replica.KeyState).To(Equal(types.KeyStatePendingDeletion))
		Expect(replica.DeletionDate).NotTo(BeNil())
	})
})

// replicaPolicy lets the account do everything, and is not the default policy.
func replicaPolicy() string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::` + arn.DeriveAccount(world.Namespace) +
		`:root"},"Action":"kms:*","Resource":"*","Condition":{"Bool":{"kms:MultiRegion":"true"}}}]}`
}

// operationOf is the operation of an input, by the name of its type.
func operationOf(in any) string {
	return strings.TrimSuffix(reflect.TypeOf(in).Elem().Name(), "Input")
}

var _ = Describe("ReplicateKey", func() {
	DescribeTable("is refused", func(prepare func() string, to, code, message string) {
		id := prepare()
		got, text := refused[awskms.ReplicateKeyOutput](admin(), "ReplicateKey", &awskms.ReplicateKeyInput{KeyId: &id, ReplicaRegion: &to})
		Expect(got).To(Equal(code))
		Expect(text).To(ContainSubstring(message))
	},
		Entry("of a key of one region", func() string { return *createKey(admin()).KeyId }, there, "UnsupportedOperationException", "not a multi-Region primary key"),
		Entry("to a region that has one", func() string {
			id := *multiRegion().KeyId
			replicate(id, there)
			return id
		}, there, "AlreadyExistsException", "already exists in the region eu-west-1"),
		Entry("to the primary's own region", func() string { return *multiRegion().KeyId }, region, "ValidationException", "is the region of the primary key"),
		Entry("to a region that is not served", func() string { return *multiRegion().KeyId }, "us-west-2", "ValidationException", "us-west-2 is not served"),
		Entry("of a disabled key", func() string {
			id := *multiRegion().KeyId
			must[awskms.DisableKeyOutput](admin(), "DisableKey", &awskms.DisableKeyInput{KeyId: &id})
			return id
		}, there, "DisabledException", "is disabled"),
		Entry("of a key that is being deleted", func() string {
			id := *multiRegion().KeyId
			must[awskms.ScheduleKeyDeletionOutput](admin(), "ScheduleKeyDeletion", &awskms.ScheduleKeyDeletionInput{KeyId: &id})
			return id
		}, there, "KMSInvalidStateException", "is pending deletion"),
		Entry("of a key that is not there", func() string { return "mrk-0123456789abcdef0123456789abcdef" }, there, "NotFoundException", "does not exist"),
	)

	It("is refused at a replica", func() {
		id := *multiRegion().KeyId
		replicate(id, there)
		code, _ := refused[awskms.ReplicateKeyOutput](admin().in(there), "ReplicateKey", &awskms.ReplicateKeyInput{KeyId: &id, ReplicaRegion: s(farther)})
		Expect(code).To(Equal("UnsupportedOperationException"))
	})

	DescribeTable("is refused for what the replica was to have, and makes nothing", func(change func(*awskms.ReplicateKeyInput), code string) {
		id := *multiRegion().KeyId
		in := &awskms.ReplicateKeyInput{KeyId: &id, ReplicaRegion: s(there)}
		change(in)
		got, _ := refused[awskms.ReplicateKeyOutput](admin(), "ReplicateKey", in)
		Expect(got).To(Equal(code))
		Expect(object(id).Spec.ReplicaRegions).To(BeEmpty())
	},
		Entry("a policy that locks everybody out", func(in *awskms.ReplicateKeyInput) { in.Policy = s(denying) }, "MalformedPolicyDocumentException"),
		Entry("a tag of AWS's", func(in *awskms.ReplicateKeyInput) { in.Tags = []types.Tag{{TagKey: s("aws:x"), TagValue: s("1")}} }, "TagException"),
	)

	It("goes on with what an earlier request has left, and with nothing else", func() {
		id := *multiRegion(func(in *awskms.CreateKeyInput) { in.Description = s("d") }).KeyId
		primary := object(id)
		world.Update(primary, func() { primary.Spec.ReplicaRegions = []v1alpha1.KeyReplicaRegion{{Region: there}} })
		left := environment.KMSKey(world.Namespace, id+"-"+there, func(k *v1alpha1.KMSKey) {
			k.Spec = v1alpha1.KMSKeySpec{
				MultiRegion: true, Region: there, KeySpec: primary.Spec.KeySpec, KeyUsage: primary.Spec.KeyUsage,
				ReplicaOf: &v1alpha1.PrimaryKey{Name: id, Region: region},
			}
		})
		world.Create(left)
		code, _ := refused[awskms.ReplicateKeyOutput](admin(), "ReplicateKey", &awskms.ReplicateKeyInput{KeyId: &id, ReplicaRegion: s(there), Description: s("another")})
		Expect(code).To(Equal("AlreadyExistsException"))
		replicate(id, there)
		Expect(describe(admin().in(there), id).KeyState).To(Equal(types.KeyStateEnabled))
	})

	It("names what it has made, and gives nothing to a key that somebody has put under its name", func() {
		id := *multiRegion().KeyId
		planted := environment.KMSKey(world.Namespace, id+"-"+there, func(k *v1alpha1.KMSKey) {
			k.Spec = v1alpha1.KMSKeySpec{
				MultiRegion: true, Region: there, ReplicaOf: &v1alpha1.PrimaryKey{Name: id, Region: region}, Policy: &v1alpha1.PolicyDocument{Raw: []byte(replicaPolicy())},
			}
		})
		world.Create(planted)
		world.ReconcileKey(planted)
		must[awskms.ReplicateKeyOutput](admin(), "ReplicateKey", &awskms.ReplicateKeyInput{KeyId: &id, ReplicaRegion: s(there)})
		listed := object(id).Spec.ReplicaRegions
		Expect(listed).To(HaveLen(1))
		Expect(listed[0].Region).To(Equal(there))
		Expect(listed[0].Name).To(And(HavePrefix("mrk-"), Not(Equal(planted.Name))))
		world.ReconcileKey(object(planted.Name))
		world.ReconcileKey(object(listed[0].Name))
		Expect(object(planted.Name).Status.KeyID).To(BeEmpty())
		Expect(object(planted.Name).Status.KeyMaterials).To(BeEmpty())
		Expect(object(listed[0].Name).Status.KeyMaterials).To(HaveLen(1))
		Expect(describe(admin().in(there), id).KeyState).To(Equal(types.KeyStateEnabled))
	})

	DescribeTable("makes the replica itself, and takes over no KMSKey that somebody has made under its name with", func(alter func(*v1alpha1.KMSKey)) {
		id := *multiRegion().KeyId
		primary := object(id)
		planted := environment.KMSKey(world.Namespace, id+"-"+there, func(k *v1alpha1.KMSKey) {
			k.Spec = v1alpha1.KMSKeySpec{
				MultiRegion: true, Region: there, KeySpec: primary.Spec.KeySpec, KeyUsage: primary.Spec.KeyUsage,
				ReplicaOf: &v1alpha1.PrimaryKey{Name: id, Region: region},
			}
			alter(k)
		})
		taken := environment.KMSKey(world.Namespace, objectname.Derived("kmskey-replica", there, id), func(k *v1alpha1.KMSKey) { k.Spec.MultiRegion = true })
		world.Create(planted)
		world.Create(taken)
		must[awskms.ReplicateKeyOutput](admin(), "ReplicateKey", &awskms.ReplicateKeyInput{KeyId: &id, ReplicaRegion: s(there)})
		name := object(id).Spec.ReplicaRegions[0].Name
		Expect(name).NotTo(BeElementOf(planted.Name, taken.Name), "whoever has taken both names keeps nobody from a replica")
		Expect(object(planted.Name).Status.KeyID).To(BeEmpty())
		world.ReconcileKey(object(name))
		replica := object(name)
		Expect(replica.Status.KeyMaterials).To(HaveLen(1))
		Expect(replica.OwnerReferences).To(BeEmpty())
		Expect(replica.Finalizers).To(Equal([]string{kms.Finalizer}))
		Expect(object(id).Status.Replicas).To(Equal([]v1alpha1.KeyReplica{{Region: there, Name: name, UID: string(replica.UID)}}))
		world.Update(planted, func() { planted.Finalizers = nil })
	},
		Entry("an owner", func(k *v1alpha1.KMSKey) {
			k.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "mine", UID: "2b1c8a3e-0000-4000-8000-000000000001"}}
		}),
		Entry("a finalizer", func(k *v1alpha1.KMSKey) { k.Finalizers = []string{"example.com/mine"} }),
		Entry("labels", func(k *v1alpha1.KMSKey) { k.Labels = map[string]string{"app.kubernetes.io/managed-by": "mine"} }),
		Entry("annotations", func(k *v1alpha1.KMSKey) { k.Annotations = map[string]string{v1alpha1.RotateAnnotation: "mine"} }),
	)

	It("makes another one where the replica has gone and somebody has taken its name", func() {
		id := *multiRegion().KeyId
		replicate(id, there)
		gone := replicaOf(id, there)
		world.Update(gone, func() { gone.Finalizers = nil })
		world.Remove(gone)
		planted := environment.KMSKey(world.Namespace, gone.Name, func(k *v1alpha1.KMSKey) {
			k.Spec = *gone.Spec.DeepCopy()
			k.Spec.Policy = &v1alpha1.PolicyDocument{Raw: []byte(replicaPolicy())}
		})
		world.Create(planted)
		world.ReconcileKey(planted)
		Expect(planted.Status.KeyMaterials).To(BeEmpty())
		must[awskms.ReplicateKeyOutput](admin(), "ReplicateKey", &awskms.ReplicateKeyInput{KeyId: &id, ReplicaRegion: s(there)})
		name := object(id).Spec.ReplicaRegions[0].Name
		Expect(name).NotTo(Equal(planted.Name))
		world.ReconcileKey(object(name))
		world.ReconcileKey(planted)
		Expect(planted.Status.KeyMaterials).To(BeEmpty())
		Expect(describe(admin().in(there), id).KeyState).To(Equal(types.KeyStateEnabled))
	})

	It("makes the same one again where the replica has gone", func() {
		id := *multiRegion().KeyId
		replicate(id, there)
		gone := replicaOf(id, there)
		world.Update(gone, func() { gone.Finalizers = nil })
		world.Remove(gone)
		replicate(id, there)
		Expect(object(id).Status.Replicas).To(Equal([]v1alpha1.KeyReplica{{Region: there, Name: gone.Name, UID: string(replicaOf(id, there).UID)}}))
		Expect(describe(admin().in(there), id).KeyState).To(Equal(types.KeyStateEnabled))
	})

	It("makes the replica by the name that the list has for it", func() {
		id := *multiRegion().KeyId
		primary := object(id)
		world.Update(primary, func() { primary.Spec.ReplicaRegions = []v1alpha1.KeyReplicaRegion{{Region: there, Name: "europe"}} })
		must[awskms.ReplicateKeyOutput](admin(), "ReplicateKey", &awskms.ReplicateKeyInput{KeyId: &id, ReplicaRegion: s(there)})
		world.ReconcileKey(object("europe"))
		Expect(object("europe").Status.KeyMaterials).To(HaveLen(1))
		Expect(object(id).Spec.ReplicaRegions).To(Equal([]v1alpha1.KeyReplicaRegion{{Region: there, Name: "europe"}}))
	})

	DescribeTable("needs the right to replicate the primary, and to make such a key in the other region", func(statements string, allowed bool) {
		id := *multiRegion().KeyId
		err := invoke(user(world.Namespace, statements), "ReplicateKey", &awskms.ReplicateKeyInput{
			KeyId: &id, ReplicaRegion: s(there), Tags: []types.Tag{{TagKey: s("team"), TagValue: s("a")}},
		})
		if allowed {
			Expect(err).NotTo(HaveOccurred())
			return
		}
		Expect(err).To(MatchError(ContainSubstring("AccessDenied")))
		Expect(object(id).Spec.ReplicaRegions).To(BeEmpty())
	},
		Entry("all of them", `{"Effect":"Allow","Action":["kms:ReplicateKey","kms:CreateKey","kms:TagResource"],"Resource":"*"}`, true),
		Entry("not to replicate", `{"Effect":"Allow","Action":["kms:CreateKey","kms:TagResource"],"Resource":"*"}`, false),
		Entry("not to make keys", `{"Effect":"Allow","Action":["kms:ReplicateKey","kms:TagResource"],"Resource":"*"}`, false),
		Entry("not to tag", `{"Effect":"Allow","Action":["kms:ReplicateKey","kms:CreateKey"],"Resource":"*"}`, false),
		Entry("to make keys at home alone", everything+`,{"Effect":"Deny","Action":"kms:CreateKey","Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":"us-east-1"}}}`, false),
		Entry("to this region", everything+`,{"Effect":"Deny","Action":"kms:ReplicateKey","Resource":"*","Condition":{"StringNotEquals":{"kms:ReplicaRegion":"eu-west-1"}}}`, true),
		Entry("to another region", everything+`,{"Effect":"Deny","Action":"kms:ReplicateKey","Resource":"*","Condition":{"StringNotEquals":{"kms:ReplicaRegion":"ap-south-1"}}}`, false),
		Entry("no replicas", everything+`,{"Effect":"Deny","Action":"kms:CreateKey","Resource":"*","Condition":{"StringEquals":{"kms:MultiRegionKeyType":"REPLICA"}}}`, false),
		Entry("primaries alone are denied", everything+`,{"Effect":"Deny","Action":"kms:CreateKey","Resource":"*","Condition":{"StringEquals":{"kms:MultiRegionKeyType":"PRIMARY"}}}`, true),
		Entry("no primaries are replicated", everything+`,{"Effect":"Deny","Action":"kms:*","Resource":"*","Condition":{"StringEquals":{"kms:MultiRegionKeyType":"PRIMARY"}}}`, false),
		Entry("nothing of many regions", everything+`,{"Effect":"Deny","Action":"kms:*","Resource":"*","Condition":{"Bool":{"kms:MultiRegion":"true"}}}`, false),
	)
})

var _ = Describe("UpdatePrimaryRegion", func() {
	update := func(c *caller, id, to string) error {
		return invoke(c, "UpdatePrimaryRegion", &awskms.UpdatePrimaryRegionInput{KeyId: &id, PrimaryRegion: &to})
	}

	It("makes a replica the primary, with the rotation and the replicas of the former", func() {
		id := *multiRegion().KeyId
		replicate(id, there)
		replicate(id, farther)
		must[awskms.EnableKeyRotationOutput](admin(), "EnableKeyRotation", &awskms.EnableKeyRotationInput{KeyId: &id, RotationPeriodInDays: aws.Int32(90)})
		rotate(id)
		blob := encrypt(admin(), id, "x", nil)
		Expect(update(admin(), id, there)).To(Succeed())
		for _, in := range []string{region, there, farther} {
			m := describe(admin().in(in), id)
			Expect(m.KeyState).To(Equal(types.KeyStateEnabled), in)
			Expect(*m.MultiRegionConfiguration.PrimaryKey.Region).To(Equal(there))
			Expect(m.MultiRegionConfiguration.ReplicaKeys).To(HaveLen(2))
			text, err := decrypt(admin().in(in), blob, nil)
			Expect(err).NotTo(HaveOccurred())
			Expect(text).To(Equal("x"))
			status := must[awskms.GetKeyRotationStatusOutput](admin().in(in), "GetKeyRotationStatus", &awskms.GetKeyRotationStatusInput{KeyId: &id})
			Expect(status.KeyRotationEnabled).To(BeTrue())
		}
		must[awskms.RotateKeyOnDemandOutput](admin().in(there), "RotateKeyOnDemand", &awskms.RotateKeyOnDemandInput{KeyId: &id})
		for _, name := range []string{id + "-" + there, id, id + "-" + farther} {
			world.ReconcileKey(object(name))
			Expect(object(name).Status.KeyMaterials).To(HaveLen(3), name)
		}
		Expect(update(admin().in(there), id, region)).To(Succeed(), "and back")
		Expect(*describe(admin(), id).MultiRegionConfiguration.PrimaryKey.Region).To(Equal(region))
	})

	It("is refused, and leaves the primary what it is, if the replica cannot get all of the key material", func() {
		id := *multiRegion().KeyId
		rotate(id)
		rotate(id)
		for _, e := range world.Envelopes(v1alpha1.EnvelopeKeyMaterial) {
			if e.Spec.Version == object(id).Status.KeyMaterials[1].ID {
				world.Remove(&e)
			}
		}
		must[awskms.ReplicateKeyOutput](admin(), "ReplicateKey", &awskms.ReplicateKeyInput{KeyId: &id, ReplicaRegion: s(there)})
		world.ReconcileKey(replicaOf(id, there))
		Expect(replicaOf(id, there).Status.KeyMaterials).To(HaveLen(2), "it has the others")
		code, message := refused[awskms.UpdatePrimaryRegionOutput](admin(), "UpdatePrimaryRegion", &awskms.UpdatePrimaryRegionInput{KeyId: &id, PrimaryRegion: s(there)})
		Expect(code).To(Equal("KMSInvalidStateException"))
		Expect(message).To(ContainSubstring("stays the primary key"))
		for in, kind := range map[string]types.MultiRegionKeyType{region: types.MultiRegionKeyTypePrimary, there: types.MultiRegionKeyTypeReplica} {
			m := describe(admin().in(in), id)
			Expect(m.KeyState).To(Equal(types.KeyStateEnabled), in)
			Expect(m.MultiRegionConfiguration.MultiRegionKeyType).To(Equal(kind), in)
		}
		failed := meta.FindStatusCondition(object(id).Status.Conditions, v1alpha1.ConditionPrimaryUpdateFailed)
		Expect(failed).NotTo(BeNil())
		Expect(failed.Reason).To(Equal(v1alpha1.ReasonEnvelopeMissing))
		Expect(failed.Message).To(ContainSubstring("does not get all of its key material"))
		text, err := decrypt(admin().in(there), encrypt(admin(), id, "x", nil), nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(text).To(Equal("x"))
	})

	It("leaves both keys in use and unmanageable while it is under way, as long as a crash has it wait", func() {
		id := *multiRegion().KeyId
		replicate(id, there)
		text := `{"from":"` + id + `","to":"` + id + `-eu-west-1"}`
		for _, name := range []string{id, id + "-" + there} {
			k := object(name)
			world.Update(k, func() { k.Annotations = map[string]string{v1alpha1.PrimaryUpdateAnnotation: text} })
		}
		for _, in := range []string{region, there} {
			Expect(describe(admin().in(in), id).KeyState).To(Equal(types.KeyStateUpdating))
			encrypt(admin().in(in), id, "x", nil)
			code, message := refused[awskms.DisableKeyOutput](admin().in(in), "DisableKey", &awskms.DisableKeyInput{KeyId: &id})
			Expect(code).To(Equal("KMSInvalidStateException"))
			Expect(message).To(HaveSuffix("is updating."))
		}
		code, _ := refused[awskms.ReplicateKeyOutput](admin(), "ReplicateKey", &awskms.ReplicateKeyInput{KeyId: &id, ReplicaRegion: s(farther)})
		Expect(code).To(Equal("KMSInvalidStateException"))
		Expect(update(admin(), id, there)).To(MatchError(ContainSubstring("is updating")))
		world.ReconcileKey(object(id))
		Expect(*describe(admin(), id).MultiRegionConfiguration.PrimaryKey.Region).To(Equal(there))
		Expect(describe(admin(), id).KeyState).To(Equal(types.KeyStateEnabled))
	})

	DescribeTable("is refused", func(prepare func() (from, id string), to, code string) {
		from, id := prepare()
		got, _ := refused[awskms.UpdatePrimaryRegionOutput](admin().in(from), "UpdatePrimaryRegion", &awskms.UpdatePrimaryRegionInput{KeyId: &id, PrimaryRegion: &to})
		Expect(got).To(Equal(code))
	},
		Entry("of a key of one region", func() (string, string) { return region, *createKey(admin()).KeyId }, there, "UnsupportedOperationException"),
		Entry("at a replica", func() (string, string) {
			id := *multiRegion().KeyId
			replicate(id, there)
			return there, id
		}, region, "UnsupportedOperationException"),
		Entry("to a region without a replica", func() (string, string) { return region, *multiRegion().KeyId }, there, "NotFoundException"),
		Entry("to a replica whose region is listed no more", func() (string, string) {
			id := *multiRegion().KeyId
			replicate(id, there)
			primary := object(id)
			world.Update(primary, func() { primary.Spec.ReplicaRegions = nil })
			return region, id
		}, there, "NotFoundException"),
		Entry("to the region that it is in", func() (string, string) { return region, *multiRegion().KeyId }, region, "UnsupportedOperationException"),
		Entry("to a disabled replica", func() (string, string) {
			id := *multiRegion().KeyId
			replicate(id, there)
			must[awskms.DisableKeyOutput](admin().in(there), "DisableKey", &awskms.DisableKeyInput{KeyId: &id})
			return region, id
		}, there, "DisabledException"),
		Entry("of a disabled primary", func() (string, string) {
			id := *multiRegion().KeyId
			replicate(id, there)
			must[awskms.DisableKeyOutput](admin(), "DisableKey", &awskms.DisableKeyInput{KeyId: &id})
			return region, id
		}, there, "DisabledException"),
		Entry("to a replica that is being deleted", func() (string, string) {
			id := *multiRegion().KeyId
			replicate(id, there)
			must[awskms.ScheduleKeyDeletionOutput](admin().in(there), "ScheduleKeyDeletion", &awskms.ScheduleKeyDeletionInput{KeyId: &id})
			return region, id
		}, there, "KMSInvalidStateException"),
		Entry("of a key that is not there", func() (string, string) { return region, "mrk-0123456789abcdef0123456789abcdef" }, there, "NotFoundException"),
	)

	DescribeTable("needs the right at both keys", func(deny string, allowed bool) {
		id := *multiRegion().KeyId
		replicate(id, there)
		err := update(user(world.Namespace, everything+deny), id, there)
		if allowed {
			Expect(err).NotTo(HaveOccurred())
			return
		}
		Expect(err).To(MatchError(ContainSubstring("AccessDenied")))
		Expect(*describe(admin(), id).MultiRegionConfiguration.PrimaryKey.Region).To(Equal(region))
	},
		Entry("with all", ``, true),
		Entry("denied at the primary", `,{"Effect":"Deny","Action":"kms:UpdatePrimaryRegion","Resource":"arn:aws:kms:us-east-1:*:*"}`, false),
		Entry("denied at the replica", `,{"Effect":"Deny","Action":"kms:UpdatePrimaryRegion","Resource":"arn:aws:kms:eu-west-1:*:*"}`, false),
		Entry("to that region", `,{"Effect":"Deny","Action":"kms:*","Resource":"*","Condition":{"StringNotEqualsIfExists":{"kms:PrimaryRegion":"eu-west-1"}}}`, true),
		Entry("to another region alone", `,{"Effect":"Deny","Action":"kms:*","Resource":"*","Condition":{"StringNotEqualsIfExists":{"kms:PrimaryRegion":"ap-south-1"}}}`, false),
	)
})
