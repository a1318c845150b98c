package kmskey_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyimport"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

const day = 24 * time.Hour

// external makes a key that waits for its material.
func external(name string, changes ...func(*v1alpha1.KMSKey)) *v1alpha1.KMSKey {
	GinkgoHelper()
	k := environment.KMSKey(namespace, name, append(changes, func(k *v1alpha1.KMSKey) { k.Spec.Origin = v1alpha1.KeyOriginExternal })...)
	create(k)
	reconcile(k)
	Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingImport))
	return k
}

// wrapped is material on its way into a key, as the AWS API and a manifest have it.
func wrapped(k *v1alpha1.KMSKey, material []byte) kms.Wrapped {
	GinkgoHelper()
	p, err := env.Services.KMS.ParametersForImport(ctx, k, keyimport.OAEPSHA256, keys.RSA2048)
	Expect(err).NotTo(HaveOccurred())
	public, err := x509.ParsePKIXPublicKey(p.PublicKey)
	Expect(err).NotTo(HaveOccurred())
	out, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public.(*rsa.PublicKey), material, nil)
	Expect(err).NotTo(HaveOccurred())
	return kms.Wrapped{Token: p.Token, Material: out}
}

func anyState(*v1alpha1.KMSKey) error { return nil }

// bring imports material as ImportKeyMaterial does.
func bring(k *v1alpha1.KMSKey, material []byte, asked kms.Import) string {
	GinkgoHelper()
	id, err := env.Services.KMS.ImportMaterial(ctx, k, wrapped(k, material), asked, anyState)
	Expect(err).NotTo(HaveOccurred())
	refresh(k)
	seen(k)
	return id
}

// declare puts material into a key's manifest.
func declare(k *v1alpha1.KMSKey, material []byte, changes ...func(*v1alpha1.ImportedMaterial)) {
	GinkgoHelper()
	w := wrapped(k, material)
	m := &v1alpha1.ImportedMaterial{ImportToken: w.Token, EncryptedKeyMaterial: w.Material}
	for _, change := range changes {
		change(m)
	}
	update(k, func() { k.Spec.ImportedMaterial = m })
}

// removeMaterial is DeleteImportedKeyMaterial.
func removeMaterial(k *v1alpha1.KMSKey) {
	GinkgoHelper()
	_, err := env.Services.KMS.DeleteImportedMaterial(ctx, k, "", anyState)
	Expect(err).NotTo(HaveOccurred())
}

func material32(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func in(d time.Duration) *time.Time {
	t := env.Clock.Now().Add(d)
	return &t
}

func encrypted(k *v1alpha1.KMSKey) []byte {
	GinkgoHelper()
	refresh(k)
	blob, _, err := env.Services.KMS.Encrypt(ctx, k, keys.Encrypt, nil, secretbytes.Own([]byte("kept")))
	Expect(err).NotTo(HaveOccurred())
	return blob
}

func opens(k *v1alpha1.KMSKey, blob []byte) error {
	GinkgoHelper()
	found, err := env.Services.KMS.ByName(ctx, k.Namespace, k.Name)
	Expect(err).NotTo(HaveOccurred())
	opened, err := env.Services.KMS.Decrypt(ctx, found, nil, blob)
	if err == nil {
		Expect(string(opened.Reveal())).To(Equal("kept"))
	}
	return err
}

// bytesStored are the Envelopes of a key that hold material.
func bytesStored(name string) (out []v1alpha1.Envelope) {
	GinkgoHelper()
	for _, e := range materialsOf(name) {
		if e.Spec.Import.State == v1alpha1.ImportStateImported {
			out = append(out, e)
		}
	}
	return out
}

var _ = Describe("A key whose material is imported", func() {
	It("waits for it, and says what is to be done", func() {
		k := external("key")
		Expect(k.Status.KeyMaterials).To(BeEmpty())
		Expect(envelopes(v1alpha1.EnvelopeKeyMaterial)).To(BeEmpty())
		Expect(condition(k, v1alpha1.ConditionReady)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonPendingImport),
			HaveField("Message", ContainSubstring("get-parameters-for-import --key-id "+k.Status.KeyID))))
		before := k.ResourceVersion
		reconcile(k)
		Expect(k.ResourceVersion).To(Equal(before), "it waits in silence")
	})

	It("is imported from its manifest, which can be applied for ever: the token's end does not matter", func() {
		k := external("key")
		declare(k, material32(1), func(m *v1alpha1.ImportedMaterial) { m.Description = "of 2026" })
		reconcile(k)
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
		Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(k.Status.ExpirationModel).To(Equal(v1alpha1.ExpirationModelDoesNotExpire))
		Expect(k.Status.KeyMaterials).To(ConsistOf(And(HaveField("State", v1alpha1.KeyMaterialCurrent), HaveField("Import.Description", "of 2026"))))
		blob := encrypted(k)
		manifest := k.Spec.ImportedMaterial.DeepCopy()
		env.Clock.Advance(100 * day)
		before := k.Status.DeepCopy()
		update(k, func() { k.Spec.ImportedMaterial = nil })
		reconcile(k)
		update(k, func() { k.Spec.ImportedMaterial = manifest })
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(Equal(before.KeyMaterials))
		Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))

		refresh(k)
		k.Status = v1alpha1.KMSKeyStatus{} // a backup that has no status
		Expect(cp.Client.Status().Update(ctx, k)).To(Succeed())
		seen(k)
		settled(k)
		Expect(k.Status.KeyMaterials).To(Equal(before.KeyMaterials))
		Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(opens(k, blob)).To(Succeed())
	})

	It("is not imported again from its manifest after it was deleted", func() {
		k := external("key")
		declare(k, material32(1))
		reconcile(k)
		_, err := env.Services.KMS.DeleteImportedMaterial(ctx, k, "", anyState)
		Expect(err).NotTo(HaveOccurred())
		settled(k)
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingImport))
		Expect(bytesStored("key")).To(BeEmpty())
		declare(k, material32(1))
		reconcile(k)
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled), "another token is another import")
	})

	DescribeTable("that is gone is not brought back by the token that brought it, whatever else its manifest says now", func(end func(*v1alpha1.KMSKey), edit func(*v1alpha1.ImportedMaterial)) {
		k := external("key")
		declare(k, material32(1), func(m *v1alpha1.ImportedMaterial) { m.ValidTo = &metav1.Time{Time: *in(time.Hour)} })
		reconcile(k)
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
		end(k)
		settled(k)
		update(k, func() { edit(k.Spec.ImportedMaterial) })
		for range 2 {
			reconcile(k)
			Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingImport))
			Expect(bytesStored("key")).To(BeEmpty())
			Expect(condition(k, v1alpha1.ConditionReady)).To(And(HaveField("Reason", v1alpha1.ReasonPendingImport),
				HaveField("Message", ContainSubstring("comes back by another token"))))
		}
		declare(k, material32(1), func(m *v1alpha1.ImportedMaterial) { m.Description = "again" })
		reconcile(k)
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled), "another token is another import")
	},
		Entry("deleted, another description", removeMaterial, func(m *v1alpha1.ImportedMaterial) { m.Description = "x" }),
		Entry("deleted, no end", removeMaterial, func(m *v1alpha1.ImportedMaterial) { m.ValidTo = nil }),
		Entry("deleted, another type", removeMaterial, func(m *v1alpha1.ImportedMaterial) { m.ImportType = v1alpha1.ImportTypeExisting }),
		Entry("expired, a later end", func(*v1alpha1.KMSKey) { env.Clock.Advance(time.Hour) }, func(m *v1alpha1.ImportedMaterial) { m.ValidTo = &metav1.Time{Time: *in(day)} }),
	)

	It("that was deleted while it waited to be rotated to is not brought back by an edited manifest", func() {
		k := external("key")
		bring(k, material32(1), kms.Import{})
		declare(k, material32(2), func(m *v1alpha1.ImportedMaterial) { m.ImportType = v1alpha1.ImportTypeNew })
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(HaveLen(2))
		_, err := env.Services.KMS.DeleteImportedMaterial(ctx, k, k.Status.KeyMaterials[1].ID, anyState)
		Expect(err).NotTo(HaveOccurred())
		settled(k)
		update(k, func() { k.Spec.ImportedMaterial.Description = "x" })
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(HaveLen(1))
		Expect(bytesStored("key")).To(HaveLen(1))
		Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	})

	It("that was deleted while it waited to be rotated to is not brought back by its manifest when others came and went since", func() {
		k := external("key")
		bring(k, material32(1), kms.Import{})
		put := func(manifest *v1alpha1.ImportedMaterial) {
			update(k, func() { k.Spec.ImportedMaterial = manifest })
			reconcile(k)
		}
		var manifests []*v1alpha1.ImportedMaterial
		for _, n := range []byte{2, 3} {
			declare(k, material32(n), func(m *v1alpha1.ImportedMaterial) { m.ImportType = v1alpha1.ImportTypeNew })
			reconcile(k)
			manifests = append(manifests, k.Spec.ImportedMaterial.DeepCopy())
			Expect(k.Status.KeyMaterials).To(HaveLen(2))
			_, err := env.Services.KMS.DeleteImportedMaterial(ctx, k, k.Status.KeyMaterials[1].ID, anyState)
			Expect(err).NotTo(HaveOccurred())
			settled(k)
		}
		for _, m := range append(manifests, manifests...) {
			put(m)
			Expect(k.Status.KeyMaterials).To(HaveLen(1))
			Expect(bytesStored("key")).To(HaveLen(1))
		}
		declare(k, material32(2), func(m *v1alpha1.ImportedMaterial) { m.ImportType = v1alpha1.ImportTypeNew })
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(HaveLen(2), "another token is another import")
	})

	It("that is there is said to be otherwise by the token that brought it", func() {
		k := external("key")
		declare(k, material32(1))
		reconcile(k)
		blob, until := encrypted(k), metav1.Time{Time: *in(day)}
		update(k, func() { k.Spec.ImportedMaterial.Description, k.Spec.ImportedMaterial.ValidTo = "of 2026", &until })
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(ConsistOf(And(HaveField("Import.Description", "of 2026"), HaveField("Import.ValidTo.Time", BeTemporally("~", until.Time, time.Second)))))
		Expect(opens(k, blob)).To(Succeed())
	})

	It("and whose manifest is refused says both, why, and what it waits for", func() {
		k := external("key")
		declare(k, material32(1)[:16])
		reconcile(k)
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingImport))
		both := And(HavePrefix("spec.importedMaterial: "), ContainSubstring("not of the key's spec"), ContainSubstring("get-parameters-for-import --key-id "+k.Status.KeyID))
		for _, conditionType := range []string{v1alpha1.ConditionReady, v1alpha1.ConditionStalled} {
			Expect(condition(k, conditionType)).To(And(HaveField("Reason", v1alpha1.ReasonImportFailed), HaveField("Message", both)))
		}
		Expect(condition(k, v1alpha1.ConditionStalled)).To(HaveField("Status", metav1.ConditionTrue))
		update(k, func() { k.Spec.ImportedMaterial = nil })
		reconcile(k)
		Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonPendingImport))
	})

	It("and whose Envelope is lost tells of that and of the import that was to mend it and was refused", func() {
		k := external("key")
		bring(k, material32(1), kms.Import{})
		lost := materialsOf("key")[0]
		remove(&lost)
		declare(k, material32(2))
		reconcile(k)
		Expect(condition(k, v1alpha1.ConditionReady)).To(And(HaveField("Reason", v1alpha1.ReasonEnvelopeMissing),
			HaveField("Message", ContainSubstring("; and spec.importedMaterial: "))))
	})

	DescribeTable("tells what is wrong with its manifest and goes on with what it has", func(says string, change func(k *v1alpha1.KMSKey)) {
		k := external("key")
		bring(k, material32(1), kms.Import{})
		blob := encrypted(k)
		change(k)
		reconcile(k)
		Expect(condition(k, v1alpha1.ConditionReady)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonImportFailed),
			HaveField("Message", And(HavePrefix("spec.importedMaterial: "), ContainSubstring(says)))))
		Expect(condition(k, v1alpha1.ConditionStalled)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
		Expect(opens(k, blob)).To(Succeed())
	},
		Entry("another's token", "import token is not valid", func(k *v1alpha1.KMSKey) {
			other := external("other")
			w := wrapped(other, material32(1))
			update(k, func() {
				k.Spec.ImportedMaterial = &v1alpha1.ImportedMaterial{ImportToken: w.Token, EncryptedKeyMaterial: w.Material}
			})
		}),
		Entry("a token that has ended, for what is not there as it says", "token has expired", func(k *v1alpha1.KMSKey) {
			declare(k, material32(1), func(m *v1alpha1.ImportedMaterial) { m.ValidTo = &metav1.Time{Time: *in(30 * day)} })
			env.Clock.Advance(day)
		}),
		Entry("material that does not open", "does not open", func(k *v1alpha1.KMSKey) {
			declare(k, material32(1), func(m *v1alpha1.ImportedMaterial) { m.EncryptedKeyMaterial[7] ^= 1 })
		}),
		Entry("material of another length", "not of the key's spec", func(k *v1alpha1.KMSKey) { declare(k, material32(1)[:16]) }),
		Entry("other material", "not key material that was imported", func(k *v1alpha1.KMSKey) { declare(k, material32(2)) }),
		Entry("an end that is too far", "365 days", func(k *v1alpha1.KMSKey) {
			declare(k, material32(1), func(m *v1alpha1.ImportedMaterial) { m.ValidTo = &metav1.Time{Time: *in(366 * day)} })
		}),
	)

	It("rotates by the annotation to what its manifest brings, and says so when there is nothing to rotate to", func() {
		k := external("key")
		declare(k, material32(1))
		reconcile(k)
		old := encrypted(k)
		update(k, annotate(k, "too soon"))
		reconcile(k)
		Expect(condition(k, v1alpha1.ConditionReady)).To(And(HaveField("Reason", v1alpha1.ReasonPendingImport), HaveField("Message", ContainSubstring("import new key material first"))))
		Expect(opens(k, old)).To(Succeed())
		declare(k, material32(2), func(m *v1alpha1.ImportedMaterial) { m.ImportType = v1alpha1.ImportTypeNew })
		reconcile(k)
		Expect(k.Status.KeyMaterials[1].State).To(Equal(v1alpha1.KeyMaterialPendingRotation))
		settled(k)
		Expect(k.Status.KeyMaterials).To(HaveExactElements(HaveField("State", v1alpha1.KeyMaterialNonCurrent), And(HaveField("State", v1alpha1.KeyMaterialCurrent),
			HaveField("RotationType", v1alpha1.RotationOnDemand))))
		Expect(k.Status.LastHandledRotateAt).To(Equal("too soon"))
		Expect(opens(k, old)).To(Succeed())
		Expect(opens(k, encrypted(k))).To(Succeed())
		Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	})

	It("asks to be looked at when material expires, and erases it then", func() {
		k := external("key")
		bring(k, material32(1), kms.Import{ValidTo: in(time.Hour)})
		Expect(reconcile(k)).To(BeNumerically("~", time.Hour, 2*time.Second))
		Expect(k.Status.ValidTo.Time).To(BeTemporally("~", *in(time.Hour), time.Second))
		blob := encrypted(k)
		early, err := env.Services.KMS.ByName(ctx, k.Namespace, k.Name)
		Expect(err).NotTo(HaveOccurred())
		env.Clock.Advance(time.Hour)
		_, err = env.Services.KMS.Decrypt(ctx, early, nil, blob)
		Expect(err).To(MatchError(kms.ErrPendingImport), "a request that began before its end is not served after it")
		Expect(opens(k, blob)).To(MatchError(ContainSubstring("it is PendingImport")))
		reconcile(k)
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingImport))
		Expect(k.Status.SealingPublicKey).To(BeEmpty())
		Expect(bytesStored("key")).To(BeEmpty())
		env.Clock.Set(time.Now()) // and a clock that is set back does not bring it back
		settled(k)
		Expect(opens(k, blob)).To(HaveOccurred())
		bring(k, material32(1), kms.Import{})
		Expect(opens(k, blob)).To(Succeed())
	})

	It("is back with what it had when it is deleted and applied again, the end of its material and what was deleted included", func() {
		k := external("key")
		bring(k, material32(1), kms.Import{})
		bring(k, material32(2), kms.Import{Type: v1alpha1.ImportTypeNew, ValidTo: in(10 * day)})
		update(k, annotate(k, "now"))
		settled(k)
		blob, former := encrypted(k), k.Status.DeepCopy()
		buryNamed(k)
		k = environment.KMSKey(namespace, "key", func(k *v1alpha1.KMSKey) { k.Spec.Origin = v1alpha1.KeyOriginExternal })
		create(k)
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(Equal(former.KeyMaterials))
		Expect(k.Status.ValidTo).To(Equal(former.ValidTo))
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
		Expect(opens(k, blob)).To(Succeed())
		env.Clock.Advance(10 * day)
		Expect(opens(k, blob)).To(MatchError(ContainSubstring("it is PendingImport")))
	})

	It("and that is applied again with another origin does not use the material that waits for the former one", func() {
		k := external("key")
		bring(k, material32(1), kms.Import{})
		buryNamed(k)
		again := environment.KMSKey(namespace, "key")
		create(again)
		reconcile(again)
		Expect(condition(again, v1alpha1.ConditionReady)).To(And(HaveField("Reason", v1alpha1.ReasonKeyUnusable), HaveField("Message", ContainSubstring("origin AWS_KMS"))))
	})

	It("erases what a backup brings back of deleted material, and takes in what its status lost", func() {
		k := external("key")
		bring(k, material32(1), kms.Import{})
		kept := materialsOf("key")[0]
		_, err := env.Services.KMS.DeleteImportedMaterial(ctx, k, "", anyState)
		Expect(err).NotTo(HaveOccurred())
		settled(k)
		kept.ObjectMeta = metav1.ObjectMeta{Namespace: kept.Namespace, Name: kept.Name}
		create(&kept)
		settled(k)
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingImport))
		Expect(bytesStored("key")).To(BeEmpty())

		bring(k, material32(1), kms.Import{})
		settled(k)
		blob, whole := encrypted(k), k.Status.DeepCopy()
		refresh(k)
		k.Status.KeyMaterials = nil // and lastImportSequence says that they were taken in
		Expect(cp.Client.Status().Update(ctx, k)).To(Succeed())
		seen(k)
		settled(k)
		Expect(k.Status.KeyMaterials).To(Equal(whole.KeyMaterials))
		Expect(opens(k, blob)).To(Succeed())
	})

	It("erases what a backup brings back of material that was deleted while it waited to be rotated to, and never rotates to it", func() {
		k := external("key")
		bring(k, material32(1), kms.Import{})
		waits := bring(k, material32(2), kms.Import{Type: v1alpha1.ImportTypeNew})
		var kept v1alpha1.Envelope
		for _, e := range materialsOf("key") {
			if e.Spec.Version == waits {
				kept = e
			}
		}
		Expect(kept.Spec.Import.PendingRotation).To(BeTrue())
		_, err := env.Services.KMS.DeleteImportedMaterial(ctx, k, waits, anyState)
		Expect(err).NotTo(HaveOccurred())
		settled(k)
		kept.ObjectMeta = metav1.ObjectMeta{Namespace: kept.Namespace, Name: kept.Name}
		create(&kept)
		refresh(k)
		metav1.SetMetaDataAnnotation(&k.ObjectMeta, v1alpha1.RotateAnnotation, "now")
		Expect(cp.Client.Update(ctx, k)).To(Succeed())
		seen(k)
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(HaveLen(1))
		Expect(k.Status.OnDemandRotations).To(BeZero())
		Expect(bytesStored("key")).To(HaveLen(1))
	})

	It("leaves out an Envelope that somebody planted under the next name, and is imported into past it", func() {
		k := external("key")
		bring(k, material32(1), kms.Import{})
		planted := materialsOf("key")[0]
		planted.ObjectMeta = metav1.ObjectMeta{Namespace: planted.Namespace, Name: planted.Name[:len(planted.Name)-1] + "2"}
		planted.Spec.Sequence = 2
		create(&planted)
		reconcile(k)
		Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonEnvelopeTampered))
		bring(k, material32(1), kms.Import{ValidTo: in(day)})
		Expect(k.Status.LastImportSequence).To(Equal(int64(3)))
		Expect(opens(k, encrypted(k))).To(Succeed())
	})
})
