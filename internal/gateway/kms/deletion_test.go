package kms_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

func schedule(key *string, days *int32) *awskms.ScheduleKeyDeletionOutput {
	GinkgoHelper()
	return must[awskms.ScheduleKeyDeletionOutput](admin(), "ScheduleKeyDeletion", &awskms.ScheduleKeyDeletionInput{KeyId: key, PendingWindowInDays: days})
}

func cancel(key *string) {
	GinkgoHelper()
	must[awskms.CancelKeyDeletionOutput](admin(), "CancelKeyDeletion", &awskms.CancelKeyDeletionInput{KeyId: key})
}

func described(key *string) *types.KeyMetadata {
	GinkgoHelper()
	return must[awskms.DescribeKeyOutput](admin(), "DescribeKey", &awskms.DescribeKeyInput{KeyId: key}).KeyMetadata
}

var _ = Describe("ScheduleKeyDeletion", func() {
	It("says when the key goes, which DescribeKey tells and no pass of the controller changes", func() {
		key := createKey(admin())
		out := schedule(key.KeyId, aws.Int32(7))
		Expect(out.KeyId).To(HaveValue(Equal(*key.Arn)))
		Expect(out.KeyState).To(Equal(types.KeyStatePendingDeletion))
		Expect(out.PendingWindowInDays).To(HaveValue(BeEquivalentTo(7)))
		Expect(*out.DeletionDate).To(BeTemporally("~", world.Clock.Now().AddDate(0, 0, 7), time.Second))
		Expect(described(key.KeyId).DeletionDate).To(HaveValue(Equal(*out.DeletionDate)))
		world.Clock.Advance(time.Hour)
		world.ReconcileKey(object(*key.KeyId))
		Expect(described(key.KeyId).DeletionDate).To(HaveValue(Equal(*out.DeletionDate)))
		Expect(described(key.KeyId).KeyState).To(Equal(types.KeyStatePendingDeletion))
	})

	It("waits for AWS's 30 days if it is told nothing, whatever kubectl's deletion would wait", func() {
		key := createKey(admin())
		k := object(*key.KeyId)
		world.Update(k, func() { k.Spec.Deletion = &v1alpha1.KeyDeletion{PendingWindowInDays: 7} })
		out := schedule(key.KeyId, nil)
		Expect(out.PendingWindowInDays).To(HaveValue(BeEquivalentTo(30)))
		Expect(*out.DeletionDate).To(BeTemporally("~", world.Clock.Now().AddDate(0, 0, 30), time.Second))
	})

	DescribeTable("refuses a window that is not one of 7 to 30 days", func(days int32) {
		key := createKey(admin())
		code, message := refused[any](admin(), "ScheduleKeyDeletion", &awskms.ScheduleKeyDeletionInput{KeyId: key.KeyId, PendingWindowInDays: &days})
		Expect(code).To(Equal("ValidationException"))
		Expect(message).To(ContainSubstring("between 7 and 30"))
		Expect(described(key.KeyId).KeyState).To(Equal(types.KeyStateEnabled))
	}, Entry("0", int32(0)), Entry("6", int32(6)), Entry("31", int32(31)), Entry("-7", int32(-7)))

	It("is decided by the condition key of its window", func() {
		key := createKey(admin())
		who := user(world.Namespace, `{"Effect":"Allow","Action":"kms:ScheduleKeyDeletion","Resource":"*","Condition":{"NumericGreaterThanEquals":{"kms:ScheduleKeyDeletionPendingWindowInDays":"14"}}}`)
		code, _ := refused[any](who, "ScheduleKeyDeletion", &awskms.ScheduleKeyDeletionInput{KeyId: key.KeyId, PendingWindowInDays: aws.Int32(13)})
		Expect(code).To(Equal("AccessDeniedException"))
		Expect(invoke(who, "ScheduleKeyDeletion", &awskms.ScheduleKeyDeletionInput{KeyId: key.KeyId})).To(Succeed(), "30 if it is left out")
	})

	It("deletes the key for good when its time is come, and not a second before", func() {
		key := createKey(admin())
		blob := encrypt(admin(), *key.KeyId, "x", nil)
		out := schedule(key.KeyId, aws.Int32(7))
		k := object(*key.KeyId)
		world.Clock.Set(out.DeletionDate.Add(-time.Second))
		world.ReconcileKey(k)
		Expect(k.DeletionTimestamp).To(BeNil())
		world.Clock.Set(*out.DeletionDate)
		pass := func() {
			_, err := world.KMSKey.Reconcile(ctx, environment.Request(k))
			Expect(err).NotTo(HaveOccurred())
		}
		pass()
		Eventually(func() error {
			pass()
			return world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(k), &v1alpha1.KMSKey{})
		}).Should(MatchError(apierrors.IsNotFound, "not found"))
		var tombstones []v1alpha1.Envelope
		for _, e := range world.Envelopes(v1alpha1.EnvelopeTombstone) {
			if e.Spec.Subject == *key.Arn {
				tombstones = append(tombstones, e)
			}
		}
		Expect(tombstones).To(HaveLen(1))
		Expect(tombstones[0].Spec.ExpireTime.Time).NotTo(BeTemporally(">", world.Clock.Now()), "there is no second waiting period")
		Eventually(func() string {
			code, _ := refused[any](admin(), "Decrypt", &awskms.DecryptInput{KeyId: key.KeyId, CiphertextBlob: blob})
			return code
		}).Should(Equal("NotFoundException"))
	})
})

var _ = Describe("CancelKeyDeletion", func() {
	It("leaves the key disabled, with all that it encrypted", func() {
		key := createKey(admin())
		blob := encrypt(admin(), *key.KeyId, "kept", nil)
		schedule(key.KeyId, nil)
		code, _ := refused[any](admin(), "Decrypt", &awskms.DecryptInput{CiphertextBlob: blob})
		Expect(code).To(Equal("KMSInvalidStateException"))
		cancel(key.KeyId)
		Expect(described(key.KeyId)).To(And(HaveField("KeyState", types.KeyStateDisabled), HaveField("DeletionDate", BeNil())))
		must[awskms.EnableKeyOutput](admin(), "EnableKey", &awskms.EnableKeyInput{KeyId: key.KeyId})
		Expect(decrypt(admin(), blob, nil)).To(Equal("kept"))
		world.ReconcileKey(object(*key.KeyId))
		Expect(decrypt(admin(), blob, nil)).To(Equal("kept"))
	})

	It("gives the next deletion its whole waiting period, though the controller saw nothing of it", func() {
		key := createKey(admin())
		schedule(key.KeyId, aws.Int32(7))
		world.Clock.Advance(7*24*time.Hour - time.Minute)
		cancel(key.KeyId)
		out := schedule(key.KeyId, aws.Int32(7))
		Expect(*out.DeletionDate).To(BeTemporally("~", world.Clock.Now().AddDate(0, 0, 7), time.Second))
		k := object(*key.KeyId)
		world.Clock.Advance(time.Hour)
		world.ReconcileKey(k)
		Expect(k.DeletionTimestamp).To(BeNil())
		Expect(described(key.KeyId).KeyState).To(Equal(types.KeyStatePendingDeletion))
	})

	It("says of a KMSKey that was deleted by kubectl who can undo that", func() {
		key := inState(held, encrypts)
		code, message := refused[any](admin(), "CancelKeyDeletion", &awskms.CancelKeyDeletionInput{KeyId: &key.Name})
		Expect(code).To(Equal("KMSInvalidStateException"))
		Expect(message).To(ContainSubstring("the condition DeletionBlocked of KMSKey " + key.Name))
	})
})
