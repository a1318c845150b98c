package kmskey_test

import (
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/kmskey"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("A new KMSKey", func() {
	It("gets an id, an ARN, and wrapped key material, and is Enabled", func() {
		k := ready()
		Expect(k.Status.KeyID).To(Equal(string(k.UID)))
		Expect(k.Status.ARN).To(MatchRegexp(`^arn:aws:kms:us-east-1:\d{12}:key/` + k.Status.KeyID + `$`))
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
		Expect(k.Status.KeyMaterials).To(HaveLen(1))
		Expect(k.Status.KeyMaterials[0]).To(And(HaveField("State", v1alpha1.KeyMaterialCurrent), HaveField("Sequence", int64(1)),
			HaveField("ID", HaveLen(64)), HaveField("RotationType", BeEmpty())))
		Expect(envelopes(v1alpha1.EnvelopeKeyMaterial)).To(HaveLen(1))
		Expect(k.Finalizers).To(ContainElement(kmskey.Finalizer))
	})

	It("says honestly that its root of trust is a core Secret", func() {
		Expect(condition(ready(), v1alpha1.ConditionRootProtected)).To(And(
			HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonCoreSecretRoot),
			HaveField("Message", ContainSubstring("strongroom-system/strongroom-root"))))
	})

	It("writes nothing more once it is Ready", func() {
		k := ready()
		before := k.ResourceVersion
		reconcile(k)
		Expect(k.ResourceVersion).To(Equal(before))
	})

	It("with an alias that an older key has is Stalled until the alias is free", func() {
		first := ready(func(k *v1alpha1.KMSKey) { k.Spec.Aliases = []string{"alias/shop"} })
		second := environment.KMSKey(namespace, "second", func(k *v1alpha1.KMSKey) { k.Spec.Aliases = []string{"alias/shop"} })
		create(second)
		reconcile(second)
		Expect(condition(second, v1alpha1.ConditionStalled)).To(And(
			HaveField("Reason", v1alpha1.ReasonNameConflict), HaveField("Message", ContainSubstring("KMSKey key"))))
		update(first, func() { first.Spec.Aliases = nil })
		reconcile(second)
		Expect(condition(second, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	})
})

var _ = Describe("Rotation of a KMSKey", func() {
	It("on request makes new material, and what was encrypted before is still read", func() {
		k := ready()
		ec := keys.Context{"purpose": "test"}
		plaintext, encrypted, err := env.Services.KMS.GenerateDataKey(ctx, k, ec)
		Expect(err).NotTo(HaveOccurred())
		update(k, annotate(k, "now"))
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(HaveLen(2))
		Expect(k.Status.KeyMaterials[0].State).To(Equal(v1alpha1.KeyMaterialNonCurrent))
		Expect(k.Status.KeyMaterials[1]).To(And(HaveField("State", v1alpha1.KeyMaterialCurrent),
			HaveField("RotationType", v1alpha1.RotationOnDemand)))
		Expect(k.Status.OnDemandRotations).To(Equal(int32(1)))
		Expect(k.Status.LastHandledRotateAt).To(Equal("now"))
		opened, err := env.Services.KMS.Decrypt(ctx, k, ec, encrypted)
		Expect(err).NotTo(HaveOccurred())
		Expect(opened.Equal(plaintext)).To(BeTrue())
		_, err = env.Services.KMS.Decrypt(ctx, k, keys.Context{"purpose": "other"}, encrypted)
		Expect(err).To(MatchError(keys.ErrInvalidCiphertext))
	})

	It("happens by its period, and says when it is next", func() {
		k := ready(func(k *v1alpha1.KMSKey) { k.Spec.Rotation = &v1alpha1.KeyRotation{Enabled: true, PeriodInDays: 90} })
		next := k.Status.NextRotationTime.Time
		Expect(next).To(BeTemporally("~", env.Clock.Now().AddDate(0, 0, 90), 24*time.Hour))
		Expect(reconcile(k)).To(BeNumerically("~", next.Sub(env.Clock.Now()), time.Second))
		env.Clock.Set(next.Add(time.Minute))
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(HaveLen(2))
		Expect(k.Status.KeyMaterials[1].RotationType).To(Equal(v1alpha1.RotationAutomatic))
	})

	It("counts from when it was turned on, however old the key is, and each further period from the last automatic rotation", func() {
		k := ready()
		Expect(k.Status.RotationEnabledTime).To(BeNil())
		env.Clock.Advance(400 * 24 * time.Hour)
		update(k, func() { k.Spec.Rotation = &v1alpha1.KeyRotation{Enabled: true, PeriodInDays: 90} })
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(HaveLen(1), "it rotates at once")
		Expect(k.Status.RotationEnabledTime.Time).To(BeTemporally("~", env.Clock.Now(), time.Second))
		next := k.Status.NextRotationTime.Time
		Expect(next).To(BeTemporally("~", env.Clock.Now().AddDate(0, 0, 90), 2*time.Hour))

		version := k.ResourceVersion
		env.Clock.Advance(24 * time.Hour)
		reconcile(k)
		Expect(k.Status.NextRotationTime.Time).To(BeTemporally("==", next))
		Expect(k.ResourceVersion).To(Equal(version), "a pass that finds nothing new writes nothing")
		env.Clock.Set(next.Add(time.Minute))
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(HaveLen(2))
		Expect(k.Status.NextRotationTime.Time).To(BeTemporally("~", next.AddDate(0, 0, 90), 2*time.Hour))
	})

	It("begins anew when it was turned off, and goes on when the key was disabled", func() {
		k := ready(func(k *v1alpha1.KMSKey) { k.Spec.Rotation = &v1alpha1.KeyRotation{Enabled: true, PeriodInDays: 90} })
		env.Clock.Advance(80 * 24 * time.Hour)
		update(k, func() { k.Spec.Rotation = nil })
		reconcile(k)
		Expect(k.Status).To(And(HaveField("RotationEnabledTime", BeNil()), HaveField("NextRotationTime", BeNil())))
		env.Clock.Advance(20 * 24 * time.Hour)
		update(k, func() { k.Spec.Rotation = &v1alpha1.KeyRotation{Enabled: true, PeriodInDays: 90} })
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(HaveLen(1))
		next := k.Status.NextRotationTime.Time
		Expect(next).To(BeTemporally("~", env.Clock.Now().AddDate(0, 0, 90), 2*time.Hour))

		update(k, func() { k.Spec.Enabled = ptr.To(false) })
		reconcile(k)
		Expect(k.Status.RotationEnabledTime).NotTo(BeNil())
		update(k, func() { k.Spec.Enabled = ptr.To(true) })
		reconcile(k)
		Expect(k.Status.NextRotationTime.Time).To(BeTemporally("==", next))
		update(k, func() { k.Spec.Enabled = ptr.To(false) })
		env.Clock.Set(next.Add(time.Hour))
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(HaveLen(1))
		update(k, func() { k.Spec.Enabled = ptr.To(true) })
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(HaveLen(2), "what it missed is made up for")
	})

	It("of a key whose status was lost counts from its material, rather too early than too late", func() {
		k := ready(func(k *v1alpha1.KMSKey) { k.Spec.Rotation = &v1alpha1.KeyRotation{Enabled: true, PeriodInDays: 90} })
		next := k.Status.NextRotationTime.Time
		env.Clock.Advance(10 * 24 * time.Hour)
		k.Status = v1alpha1.KMSKeyStatus{}
		Expect(cp.Client.Status().Update(ctx, k)).To(Succeed())
		seen(k)
		reconcile(k)
		Expect(k.Status.NextRotationTime.Time).To(BeTemporally("~", next, 2*time.Hour))
	})

	It("on request is refused after 25 times, as in AWS KMS", func() {
		k := ready()
		for i := range kms.MaximumOnDemandRotations {
			update(k, annotate(k, fmt.Sprint(i)))
			reconcile(k)
		}
		Expect(k.Status.OnDemandRotations).To(Equal(int32(25)))
		update(k, annotate(k, "one too many"))
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(HaveLen(26))
		Expect(condition(k, v1alpha1.ConditionStalled)).To(HaveField("Message", ContainSubstring("25")))
	})

	It("of a disabled key waits until it is enabled", func() {
		k := ready(func(k *v1alpha1.KMSKey) { k.Spec.Enabled = ptr.To(false) })
		update(k, annotate(k, "now"))
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(HaveLen(1))
		update(k, func() { k.Spec.Enabled = ptr.To(true) })
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(HaveLen(2))
	})
})

var _ = Describe("A disabled KMSKey", func() {
	It("neither encrypts nor decrypts", func() {
		k := ready()
		_, encrypted, err := env.Services.KMS.GenerateDataKey(ctx, k, nil)
		Expect(err).NotTo(HaveOccurred())
		update(k, func() { k.Spec.Enabled = ptr.To(false) })
		reconcile(k)
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateDisabled))
		_, _, err = env.Services.KMS.GenerateDataKey(ctx, k, nil)
		Expect(err).To(MatchError(ContainSubstring("Disabled")))
		_, err = env.Services.KMS.Decrypt(ctx, k, nil, encrypted)
		Expect(err).To(MatchError(ContainSubstring("Disabled")))
	})
})

var _ = Describe("Key material", func() {
	It("that was tampered with makes the key Unavailable, and heals with a backup", func() {
		k := ready()
		e := envelopes(v1alpha1.EnvelopeKeyMaterial)[0]
		good := e.DeepCopy()
		replace := func(by *v1alpha1.Envelope) {
			current := envelopes(v1alpha1.EnvelopeKeyMaterial)[0]
			remove(&current)
			by.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: current.Name}
			create(by)
		}
		e.Spec.Ciphertext[60] ^= 1
		replace(&e)
		reconcile(k)
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateUnavailable))
		Expect(condition(k, v1alpha1.ConditionStalled)).To(HaveField("Reason", v1alpha1.ReasonEnvelopeTampered))
		replace(good)
		reconcile(k)
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
	})

	It("that nobody asked for never gets into a rebuilt index", func() {
		k := ready()
		forged := envelopes(v1alpha1.EnvelopeKeyMaterial)[0]
		forged.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: store.Name(forged.Spec.Class, forged.Spec.Subject, 2)}
		forged.Spec.Sequence, forged.Spec.Version = 2, strings.Repeat("f", 64)
		create(&forged)
		id := k.Status.KeyID
		k.Status = v1alpha1.KMSKeyStatus{}
		Expect(cp.Client.Status().Update(ctx, k)).To(Succeed())
		seen(k)
		reconcile(k)
		Expect(condition(k, v1alpha1.ConditionStalled)).To(HaveField("Reason", v1alpha1.ReasonEnvelopeTampered))
		Expect(k.Status.KeyMaterials).To(HaveLen(1))
		remove(&forged)
		reconcile(k)
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
		Expect(k.Status.KeyID).To(Equal(id))
		Expect(k.Status.KeyMaterials).To(HaveLen(1))
	})

	It("of one key does not open under another", func() {
		k := ready()
		other := environment.KMSKey(namespace, "other")
		create(other)
		reconcile(other)
		_, encrypted, err := env.Services.KMS.GenerateDataKey(ctx, k, nil)
		Expect(err).NotTo(HaveOccurred())
		_, err = env.Services.KMS.Decrypt(ctx, other, nil, encrypted)
		Expect(err).To(MatchError(keys.ErrInvalidCiphertext))
	})
})

var _ = Describe("Deletion of a KMSKey", func() {
	It("is blocked while a Secret is encrypted under it, and says by what", func() {
		k := ready()
		s := secretUnder()
		Expect(cp.Client.Delete(ctx, k)).To(Succeed())
		refresh(k)
		seen(k)
		reconcile(k)
		Expect(condition(k, v1alpha1.ConditionDeletionBlocked)).To(And(
			HaveField("Status", metav1.ConditionTrue), HaveField("Message", ContainSubstring("Secret/db"))))
		_, err := env.Secret.Reconcile(ctx, environment.Request(s))
		Expect(err).NotTo(HaveOccurred())
		refresh(s)
		Expect(s.Status.Conditions).To(ContainElement(And(
			HaveField("Type", v1alpha1.ConditionReady), HaveField("Reason", v1alpha1.ReasonKeyUnusable))), "its next version cannot be made")
		current := s.Status.Versions[0]
		_, err = env.Services.Secrets.Versions().Value(ctx, env.Services.Secrets.SubjectOf(s), versions.Version{ID: current.VersionID, Sequence: current.Sequence})
		Expect(err).NotTo(HaveOccurred(), "a key that is held back must go on decrypting")
		_, _, err = env.Services.KMS.GenerateDataKey(ctx, k, nil)
		Expect(err).To(MatchError(ContainSubstring("being deleted")))
	})

	It("leaves a tombstone, and applying it again brings the same key back", func() {
		k := ready()
		before := k.Status.DeepCopy()
		_, encrypted, err := env.Services.KMS.GenerateDataKey(ctx, k, nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(cp.Client.Delete(ctx, k)).To(Succeed())
		refresh(k)
		seen(k)
		pass(k)
		gone(k)
		Expect(envelopes(v1alpha1.EnvelopeTombstone)).To(HaveLen(1))
		Expect(envelopes(v1alpha1.EnvelopeKeyMaterial)).To(HaveLen(1))

		again := ready()
		Expect(again.UID).NotTo(Equal(k.UID))
		Expect(again.Status.KeyID).To(Equal(before.KeyID))
		Expect(again.Status.KeyMaterials).To(Equal(before.KeyMaterials))
		_, err = env.Services.KMS.Decrypt(ctx, again, nil, encrypted)
		Expect(err).NotTo(HaveOccurred())
		Expect(env.DrainEvents()).To(ContainElement(ContainSubstring(v1alpha1.ReasonRestored)))
	})
})

var _ = Describe("A crash at any write of a KMSKey's pass", func() {
	for _, after := range []bool{false, true} {
		It(fmt.Sprintf("leaves one material and no more (after=%t)", after), func() {
			faulty, writes := env.Faulty()
			for n := 1; ; n++ {
				k := environment.KMSKey(namespace, fmt.Sprintf("crash-%d", n))
				create(k)
				writes.FailAt(n, after)
				_, err := faulty.KMSKey.Reconcile(ctx, environment.Request(k))
				if writes.Writes() < n {
					Expect(err).NotTo(HaveOccurred())
					Expect(n).To(BeNumerically(">", 3))
					return
				}
				Expect(err).To(HaveOccurred())
				writes.FailAt(0, false)
				refresh(k)
				seen(k)
				reconcile(k)
				Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
				Expect(k.Status.KeyMaterials).To(HaveLen(1))
				Expect(envelopes(v1alpha1.EnvelopeKeyMaterial)).To(HaveLen(n))
			}
		})
	}
})

var _ = Describe("A key policy with a condition key that AWS KMS does not have", func() {
	fenced := func(key string) *v1alpha1.PolicyDocument {
		document := &v1alpha1.PolicyDocument{}
		document.Raw = []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"kms:Decrypt","Resource":"*","Condition":{"StringNotLike":{"` + key + `":"x"}}}]}`)
		return document
	}

	It("is in force, and the key says which one until the policy is corrected or gone", func() {
		k := ready(func(k *v1alpha1.KMSKey) { k.Spec.Policy = fenced("kms:EncryptionContexts:app") })
		Expect(condition(k, v1alpha1.ConditionUnknownConditionKey)).To(And(HaveField("Status", metav1.ConditionTrue), HaveField("Message", ContainSubstring("kms:encryptioncontexts:app"))))
		version := k.ResourceVersion
		reconcile(k)
		Expect(k.ResourceVersion).To(Equal(version), "a second pass changes nothing")
		update(k, func() { k.Spec.Policy = fenced("kms:EncryptionContext:app") })
		reconcile(k)
		Expect(condition(k, v1alpha1.ConditionUnknownConditionKey)).To(BeNil())
		update(k, func() { k.Spec.Policy = fenced("kms:None") })
		reconcile(k)
		Expect(condition(k, v1alpha1.ConditionUnknownConditionKey)).NotTo(BeNil())
		update(k, func() { k.Spec.Policy = nil })
		reconcile(k)
		Expect(condition(k, v1alpha1.ConditionUnknownConditionKey)).To(BeNil())
	})
})
