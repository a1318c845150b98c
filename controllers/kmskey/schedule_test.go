package kmskey_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

func scheduled(on bool) func(*v1alpha1.KMSKey) {
	return func(k *v1alpha1.KMSKey) {
		k.Spec.Deletion = &v1alpha1.KeyDeletion{PendingWindowInDays: 7, Scheduled: on}
	}
}

var _ = Describe("A key whose spec schedules its deletion", func() {
	It("is PendingDeletion, says when it goes and how it is kept, and costs nothing more until then", func() {
		k := ready()
		update(k, func() { scheduled(true)(k) })
		Expect(reconcile(k)).To(BeNumerically("~", 7*24*time.Hour, time.Minute))
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingDeletion))
		Expect(k.Status.DeletionTime.Time).To(BeTemporally("~", env.Clock.Now().AddDate(0, 0, 7), time.Second))
		Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Message", And(
			ContainSubstring(k.Status.DeletionTime.UTC().Format(time.RFC3339)), ContainSubstring("set spec.deletion.scheduled to false"))))
		Expect(env.DrainEvents()).To(ContainElement(ContainSubstring("DeletionScheduled")))
		version := k.ResourceVersion
		env.Clock.Advance(24 * time.Hour)
		Expect(reconcile(k)).To(BeNumerically("~", 6*24*time.Hour, time.Minute))
		Expect(k.ResourceVersion).To(Equal(version))
		Expect(env.DrainEvents()).To(BeEmpty())
	})

	It("does nothing meanwhile, and all that it did when it is kept", func() {
		k := ready()
		blob, _, err := env.Services.KMS.Encrypt(ctx, k, keys.Encrypt, nil, secretbytes.Copy([]byte("kept")))
		Expect(err).NotTo(HaveOccurred())
		update(k, func() { scheduled(true)(k) })
		_, err = env.Services.KMS.Decrypt(ctx, k, nil, blob)
		Expect(err).To(MatchError(ContainSubstring("PendingDeletion")), "from the moment that spec says so")
		reconcile(k)
		_, err = env.Services.KMS.Decrypt(ctx, k, nil, blob)
		Expect(err).To(MatchError(ContainSubstring("PendingDeletion")))
		_, _, err = env.Services.KMS.Encrypt(ctx, k, keys.Encrypt, nil, secretbytes.Copy([]byte("x")))
		Expect(err).To(HaveOccurred())
		update(k, func() { scheduled(false)(k) })
		reconcile(k)
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
		Expect(k.Status.DeletionTime).To(BeNil())
		Expect(k.Status.DeletionGeneration).To(BeZero())
		plaintext, err := env.Services.KMS.Decrypt(ctx, k, nil, blob)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(plaintext.Reveal())).To(Equal("kept"))
	})

	It("is not rotated meanwhile", func() {
		k := ready()
		update(k, func() { scheduled(true)(k); annotate(k, "now")() })
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(HaveLen(1))
		update(k, func() { scheduled(false)(k) })
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(HaveLen(2), "a request is answered when the key is kept")
	})

	It("does not go while something is encrypted under it, says what, and goes when that is gone", func() {
		k := ready()
		s := hold(k, "Secret", "db", v1alpha1.EnvelopeSecretVersion)
		update(k, func() { scheduled(true)(k) })
		reconcile(k)
		env.Clock.Advance(8 * 24 * time.Hour)
		Expect(reconcile(k)).To(Equal(10 * time.Minute))
		Expect(k.DeletionTimestamp).To(BeNil())
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingDeletion))
		Expect(condition(k, v1alpha1.ConditionDeletionBlocked)).To(And(HaveField("Status", metav1.ConditionTrue), HaveField("Message", And(
			ContainSubstring("Secret/db"), HaveSuffix("To keep the key instead, set spec.deletion.scheduled to false")))))
		Expect(env.DrainEvents()).To(ContainElement(ContainSubstring("DeletionBlocked")))
		version := k.ResourceVersion
		reconcile(k)
		Expect(k.ResourceVersion).To(Equal(version), "it is told once")
		Expect(env.DrainEvents()).To(BeEmpty())

		update(k, func() { scheduled(false)(k) })
		reconcile(k)
		Expect(condition(k, v1alpha1.ConditionDeletionBlocked)).To(BeNil(), "it is kept")
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))

		update(k, func() { scheduled(true)(k) })
		reconcile(k)
		env.Clock.Advance(7*24*time.Hour - time.Minute)
		reconcile(k)
		Expect(k.DeletionTimestamp).To(BeNil(), "the second waiting period is whole")
		remove(s)
		env.Clock.Advance(2 * time.Minute)
		pass(k)
		Expect(kms.Scheduled(k)).To(BeTrue())
		refresh(k)
		Expect(k.DeletionTimestamp).NotTo(BeNil())
		seen(k)
		pass(k)
		gone(k)
		stones := tombstonesOf("key")
		Expect(stones).To(HaveLen(1))
		Expect(stones[0].Spec.ExpireTime.Time).NotTo(BeTemporally(">", env.Clock.Now()), "it has waited already")
	})

	It("that is deleted by kubectl meanwhile can be had back until the time that was told", func() {
		k := ready()
		update(k, func() { scheduled(true)(k) })
		reconcile(k)
		at := k.Status.DeletionTime.Time
		env.Clock.Advance(3 * 24 * time.Hour)
		deleting(k)
		pass(k)
		gone(k)
		Expect(tombstonesOf("key")[0].Spec.ExpireTime.Time).To(BeTemporally("==", at))
		again := environment.KMSKey(namespace, "key")
		create(again)
		reconcile(again)
		Expect(again.Status.KeyID).To(Equal(k.Status.KeyID))
		Expect(again.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
	})

	It("that never had material is made first, and waits then", func() {
		k := environment.KMSKey(namespace, "key", scheduled(true))
		create(k)
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(HaveLen(1))
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingDeletion))
	})
})
