package kmskey_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/kmskey"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("What a review found", func() {
	// deletion.go:entomb counts the window from the deletion timestamp, though the deletion was held back longer than it.
	It("a key that was held back longer than its window still has a window when it goes", func() {
		k := ready(window(7))
		holder := hold(k, "Secret", "db", v1alpha1.EnvelopeSecretVersion)
		deleting(k)
		reconcile(k)
		env.Clock.Advance(8 * 24 * time.Hour)
		remove(holder)
		pass(k)
		gone(k)
		Expect(tombstonesOf("key")[0].Spec.ExpireTime.Time).To(BeTemporally(">", env.Clock.Now()),
			"the material is gone for good at the moment that nothing holds it")
	})

	// identity.go:materialsOf takes any ended tombstone of the ARN for the end, where the envelope controller takes the latest.
	It("of two tombstones of a key the later one counts", func() {
		k := ready()
		update(k, annotate(k, "now"))
		reconcile(k)
		buryNamed(k)
		ring, err := env.Services.Keyring.Get()
		Expect(err).NotTo(HaveOccurred())
		ix := kmskey.IndexOf(k)[:1] // an earlier deletion, whose tombstone was not swept yet
		past, err := store.NewTombstone(ring, namespace, kms.Owner("key"), k.Status.ARN,
			store.Tombstone{Index: ix}, time.Now().AddDate(0, 0, -8), time.Now().Add(-time.Hour))
		Expect(err).NotTo(HaveOccurred())
		create(past)
		Expect(ready().Status.KeyID).To(Equal(k.Status.KeyID), "the key is within its window and was not restored")
	})

	// material.go:verify ends at the first material that does not open, so it never gets to the current one.
	It("a key whose former and current materials are both lost is Unavailable", func() {
		k := ready()
		update(k, annotate(k, "now"))
		reconcile(k)
		for _, e := range materialsOf("key") {
			remove(&e)
		}
		reconcile(k)
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateUnavailable))
	})

	// material.go:material counts the period from the last material, whatever made it.
	// https://docs.aws.amazon.com/kms/latest/developerguide/rotating-keys-on-demand.html: "On-demand rotations do not change
	// existing automatic rotation schedules."
	It("a rotation on demand does not put off the automatic one", func() {
		k := ready(func(k *v1alpha1.KMSKey) { k.Spec.Rotation = &v1alpha1.KeyRotation{Enabled: true, PeriodInDays: 90} })
		before := k.Status.NextRotationTime.Time
		env.Clock.Advance(80 * 24 * time.Hour)
		update(k, annotate(k, "now"))
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(HaveLen(2))
		Expect(k.Status.NextRotationTime.Time).To(BeTemporally("~", before, time.Hour))
	})

	// identity.go:restore does not call one material of the key's own UID restored, so the annotation that was there from the
	// start, and that the first material answers, is taken for a new request.
	It("a key that is made with a rotate annotation has one material, also after a crash", func() {
		faulty, writes := env.Faulty()
		k := environment.KMSKey(namespace, "key", func(k *v1alpha1.KMSKey) {
			metav1.SetMetaDataAnnotation(&k.ObjectMeta, v1alpha1.RotateAnnotation, "now")
		})
		create(k)
		writes.FailAt(3, false)
		_, err := faulty.KMSKey.Reconcile(ctx, environment.Request(k))
		Expect(err).To(MatchError(environment.ErrInjected))
		refresh(k)
		seen(k)
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(HaveLen(1))
	})

	// status.go:summarise computes keyState anew of a pass that did not get to verify.
	It("an Unavailable key is not Enabled because the keyring is sealed", func() {
		k := ready()
		replaceMaterial(1, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[90] ^= 1 })
		reconcile(k)
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateUnavailable))
		sealKeyring()
		reconcile(k)
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateUnavailable))
	})

	It("an Unavailable key is not Enabled because its alias is taken", func() {
		readyNamed("elder", aliases("alias/shop"))
		k := younger("key")
		reconcile(k)
		replaceMaterial(1, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[90] ^= 1 })
		reconcile(k)
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateUnavailable))
		update(k, func() { k.Spec.Aliases = []string{"alias/shop"} })
		reconcile(k)
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateUnavailable))
	})

	// deletion.go:entomb takes the tombstone of an earlier deletion, of the same last material, for its own.
	It("a key that is deleted a second time gets a whole window again", func() {
		k := ready(window(7))
		buryNamed(k)
		first := tombstonesOf("key")[0]
		remove(&first)
		ring, err := env.Services.Keyring.Get()
		Expect(err).NotTo(HaveOccurred())
		old, err := store.NewTombstone(ring, namespace, kms.Owner("key"), k.Status.ARN,
			store.Tombstone{Index: kmskey.IndexOf(k)}, time.Now().AddDate(0, 0, -6), time.Now().AddDate(0, 0, 1))
		Expect(err).NotTo(HaveOccurred())
		create(old)
		k = ready(window(7)) // restored on the sixth day, and deleted before the envelope controller swept the tombstone
		buryNamed(k)
		Expect(tombstonesOf("key")[0].Spec.ExpireTime.Time).To(BeTemporally("~", time.Now().AddDate(0, 0, 7), time.Minute))
	})

	// deletion.go:delete does not take DeletionBlocked away when nothing holds the key any more.
	It("a deletion that waits for the keyring alone is not said to be blocked", func() {
		k := ready()
		holder := hold(k, "Secret", "db", v1alpha1.EnvelopeSecretVersion)
		deleting(k)
		reconcile(k)
		remove(holder)
		sealKeyring()
		reconcile(k)
		Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonSealed))
		Expect(condition(k, v1alpha1.ConditionDeletionBlocked)).To(BeNil())
	})
})
