package kms_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	servicekms "strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

func lastUsage(c *caller, id string) *awskms.GetKeyLastUsageOutput {
	GinkgoHelper()
	return must[awskms.GetKeyLastUsageOutput](c, "GetKeyLastUsage", &awskms.GetKeyLastUsageInput{KeyId: &id})
}

// at is a caller at a time, whose request has an audit record.
func (c *caller) at(t time.Time) *caller {
	other := *c
	other.call.Time, other.call.EventID = t, "event-"+t.Format("150405")
	return &other
}

var _ = Describe("GetKeyLastUsage", func() {
	noon := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

	It("says of a key that was never used that it was not, since it was made", func() {
		id := *createKey(admin()).KeyId
		out := lastUsage(admin(), id)
		Expect(*out.KeyId).To(Equal(id))
		Expect(*out.KeyLastUsage).To(BeZero())
		Expect(*out.TrackingStartDate).To(BeTemporally("==", *out.KeyCreationDate))
		Expect(*out.KeyCreationDate).To(BeTemporally("==", object(id).CreationTimestamp.Time))
	})

	DescribeTable("tells of a use as", func(operation string, key func(*awskms.CreateKeyInput), use func(c *caller, id *string)) {
		id := *createKey(admin(), key).KeyId
		use(admin().at(noon), &id)
		last := lastUsage(admin(), id).KeyLastUsage
		Expect(string(last.Operation)).To(Equal(operation))
		Expect(*last.Timestamp).To(BeTemporally("==", noon))
		Expect(*last.CloudTrailEventId).To(Equal("event-120000"))
		Expect(*last.KmsRequestId).To(HavePrefix("request-"))
	},
		Entry(nil, "Encrypt", func(*awskms.CreateKeyInput) {}, func(c *caller, id *string) { encrypt(c, *id, "x", nil) }),
		Entry(nil, "Decrypt", func(*awskms.CreateKeyInput) {}, func(c *caller, id *string) {
			_, err := decrypt(c.at(noon), encrypt(c.at(noon.Add(-time.Minute)), *id, "x", nil), nil)
			Expect(err).NotTo(HaveOccurred())
		}),
		Entry(nil, "GenerateDataKey", func(*awskms.CreateKeyInput) {}, func(c *caller, id *string) {
			must[awskms.GenerateDataKeyOutput](c, "GenerateDataKey", &awskms.GenerateDataKeyInput{KeyId: id, KeySpec: types.DataKeySpecAes256})
		}),
		Entry(nil, "GenerateDataKeyWithoutPlaintext", func(*awskms.CreateKeyInput) {}, func(c *caller, id *string) {
			Expect(invoke(c, "GenerateDataKeyWithoutPlaintext", &awskms.GenerateDataKeyWithoutPlaintextInput{KeyId: id, KeySpec: types.DataKeySpecAes256})).To(Succeed())
		}),
		Entry(nil, "GenerateDataKeyPair", func(*awskms.CreateKeyInput) {}, func(c *caller, id *string) {
			Expect(invoke(c, "GenerateDataKeyPair", &awskms.GenerateDataKeyPairInput{KeyId: id, KeyPairSpec: types.DataKeyPairSpecEccNistP256})).To(Succeed())
		}),
		Entry(nil, "Sign", signing(types.KeySpecEccNistP256), func(c *caller, id *string) { sign(c, id, p256, raw, []byte("x")) }),
		Entry(nil, "Encapsulate", encapsulates, func(c *caller, id *string) { encapsulate(c, id) }),
		Entry(nil, "Decapsulate", encapsulates, func(c *caller, id *string) {
			made := encapsulate(c.at(noon.Add(-time.Minute)), id)
			decapsulate(c.at(noon), id, made.SharedSecretCiphertextBlob)
		}),
		Entry(nil, "GenerateMac", func(in *awskms.CreateKeyInput) {
			in.KeySpec, in.KeyUsage = types.KeySpecHmac256, types.KeyUsageTypeGenerateVerifyMac
		}, func(c *caller, id *string) {
			Expect(invoke(c, "GenerateMac", &awskms.GenerateMacInput{KeyId: id, Message: []byte("m"), MacAlgorithm: types.MacAlgorithmSpecHmacSha256})).To(Succeed())
		}),
	)

	It("tells of ReEncrypt at both keys", func() {
		from, to := *createKey(admin()).KeyId, *createKey(admin()).KeyId
		blob := encrypt(admin().at(noon.Add(-time.Hour)), from, "x", nil)
		must[awskms.ReEncryptOutput](admin().at(noon), "ReEncrypt", &awskms.ReEncryptInput{CiphertextBlob: blob, DestinationKeyId: &to})
		for _, id := range []string{from, to} {
			last := lastUsage(admin(), id).KeyLastUsage
			Expect(last.Operation).To(Equal(types.KeyLastUsageTrackingOperationReEncrypt))
			Expect(*last.Timestamp).To(BeTemporally("==", noon))
		}
	})

	It("tells nothing of what failed, was a dry run, or is no cryptographic operation", func() {
		id := *createKey(admin()).KeyId
		describe(admin().at(noon), id)
		_, err := decrypt(admin().at(noon), []byte("x"), nil)
		Expect(err).To(HaveOccurred())
		Expect(invoke(admin().at(noon), "Encrypt", &awskms.EncryptInput{KeyId: &id, Plaintext: []byte("x"), DryRun: aws.Bool(true)})).NotTo(Succeed())
		Expect(invoke(nobody().at(noon), "Encrypt", &awskms.EncryptInput{KeyId: &id, Plaintext: []byte("x")})).NotTo(Succeed())
		Expect(*lastUsage(admin(), id).KeyLastUsage).To(BeZero())
	})

	It("tells of a Secret's use of the key, which no request to KMS is", func() {
		key := world.ReadyKey("for-secrets")
		holder := environment.Secret(world.Namespace, "holder", func(s *v1alpha1.Secret) { s.Spec.KMSKeyRef.Name = "for-secrets" })
		world.Create(holder)
		_, err := world.Secret.Reconcile(ctx, environment.Request(holder))
		Expect(err).NotTo(HaveOccurred())
		last := lastUsage(admin(), key.Status.KeyID).KeyLastUsage
		Expect(*last.Timestamp).To(BeTemporally("~", world.Clock.Now(), time.Minute))
		Expect(last.CloudTrailEventId).To(BeNil())
	})

	It("is each multi-Region key's own", func() {
		id := *multiRegion().KeyId
		replicate(id, there)
		encrypt(admin().in(there).at(noon), id, "x", nil)
		Expect(*lastUsage(admin().in(there), id).KeyLastUsage.Timestamp).To(BeTemporally("==", noon))
		Expect(*lastUsage(admin(), id).KeyLastUsage).To(BeZero())
	})

	It("survives the process that has seen the use, and another replica tells of it then", func() {
		id := *createKey(admin()).KeyId
		encrypt(admin().at(noon), id, "x", nil)
		Expect(world.Services.KMS.WriteUsages(ctx, true)).To(Succeed())
		world.Seen(object(id))
		Expect(object(id).Status.LastUsage.EventID).To(Equal("event-120000"))
		other := *world.Services.KMS
		other.Usages = servicekms.NewUsages(noon.Add(time.Hour))
		last, since := other.LastUsage(object(id))
		Expect(last.Time).To(BeTemporally("==", noon))
		Expect(since).To(BeTemporally("==", object(id).CreationTimestamp.Time))
	})

	It("needs its own permission, and knows no aliases", func() {
		id := *createKey(admin()).KeyId
		alias(admin(), "alias/used", id)
		denied(user(world.Namespace, `{"Effect":"Allow","Action":"kms:DescribeKey","Resource":"*"}`), "GetKeyLastUsage", &awskms.GetKeyLastUsageInput{KeyId: &id})
		code, _ := refused[any](admin(), "GetKeyLastUsage", &awskms.GetKeyLastUsageInput{KeyId: s("alias/used")})
		Expect(code).To(Equal("NotFoundException"))
		code, _ = refused[any](admin(), "GetKeyLastUsage", &awskms.GetKeyLastUsageInput{KeyId: s(absent)})
		Expect(code).To(Equal("NotFoundException"))
		code, _ = refused[any](admin(), "GetKeyLastUsage", &awskms.GetKeyLastUsageInput{KeyId: s("arn:aws:iam::1:user/x")})
		Expect(code).To(Equal("InvalidArnException"))
	})
})

var _ = Describe("The days without a use of a key", func() {
	const guarded = everything + `,{"Effect":"Deny","Action":["kms:DisableKey","kms:ScheduleKeyDeletion"],"Resource":"*",
		"Condition":{"NumericLessThan":{"kms:TrailingDaysWithoutKeyUsage":"90"}}}`
	ended := func(id string) []error {
		who := user(world.Namespace, guarded)
		return []error{
			invoke(who, "DisableKey", &awskms.DisableKeyInput{KeyId: &id}),
			invoke(who, "ScheduleKeyDeletion", &awskms.ScheduleKeyDeletionInput{KeyId: &id}),
		}
	}
	kept := func(id string) {
		GinkgoHelper()
		for _, err := range ended(id) {
			Expect(err).To(MatchError(ContainSubstring("explicit deny")))
		}
	}
	BeforeEach(func() { DeferCleanup(func() { world.Clock.Set(time.Now()) }) })

	It("keep one that was used from being disabled or deleted by who may only end what is not used, to the day", func() {
		id := *createKey(admin()).KeyId
		world.Clock.Advance(200 * 24 * time.Hour)
		used := world.Clock.Now()
		encrypt(admin().at(used), id, "x", nil)
		world.Clock.Set(used.Add(time.Second))
		kept(id)
		world.Clock.Set(used.Add(90*24*time.Hour - time.Second)) // of a day that has begun nothing counts
		kept(id)
		world.Clock.Set(used.Add(90 * 24 * time.Hour))
		Expect(ended(id)).To(Equal([]error{nil, nil}))
	})

	It("are counted from when it was made if it was never used", func() {
		id := *createKey(admin()).KeyId
		kept(id)
		made := object(id).CreationTimestamp.Time
		world.Clock.Set(made.Add(90*24*time.Hour - time.Second))
		kept(id)
		world.Clock.Set(made.Add(90 * 24 * time.Hour))
		Expect(ended(id)).To(Equal([]error{nil, nil}))
	})

	It("are asked about of no other operation", func() {
		id := *createKey(admin()).KeyId
		other := user(world.Namespace, everything+`,{"Effect":"Deny","Action":"kms:*","Resource":"*","Condition":{"Null":{"kms:TrailingDaysWithoutKeyUsage":"false"}}}`)
		describe(other, id)
		Expect(invoke(other, "DisableKeyRotation", &awskms.DisableKeyRotationInput{KeyId: &id})).To(Succeed())
		Expect(invoke(other, "DisableKey", &awskms.DisableKeyInput{KeyId: &id})).To(MatchError(ContainSubstring("explicit deny")))
	})
})
