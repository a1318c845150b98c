package kmskey_test

import (
	"errors"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// kstatus is what `kubectl wait`, Flux and Argo CD make of an object: the rules of kstatus, in its order.
// https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md
func kstatus(k *v1alpha1.KMSKey) string {
	is := func(conditionType string, status metav1.ConditionStatus) bool {
		c := condition(k, conditionType)
		return c != nil && c.Status == status
	}
	switch {
	case k.DeletionTimestamp != nil:
		return "Terminating"
	case k.Status.ObservedGeneration != k.Generation, is(v1alpha1.ConditionReconciling, metav1.ConditionTrue):
		return "InProgress"
	case is(v1alpha1.ConditionStalled, metav1.ConditionTrue):
		return "Failed"
	case !is(v1alpha1.ConditionReady, metav1.ConditionTrue):
		return "InProgress"
	}
	return "Current"
}

// sealKeyring seals the keyring until the function that it returns is called, or the spec ends.
func sealKeyring() (unseal func()) {
	GinkgoHelper()
	holder := env.Services.Keyring
	ring, err := holder.Get()
	Expect(err).NotTo(HaveOccurred())
	holder.SetSealed(errors.New("core Secret strongroom-root is missing"))
	env.Services.KMS.Materials.Clear()
	unseal = func() { holder.Set(ring) }
	DeferCleanup(unseal)
	return unseal
}

// replaceMaterial exchanges the Envelope of a material of the key "key" by a changed copy, and returns how to heal it.
func replaceMaterial(sequence int64, change func(*v1alpha1.Envelope)) (heal func()) {
	GinkgoHelper()
	put := func(spec v1alpha1.EnvelopeSpec) {
		GinkgoHelper()
		for _, e := range materialsOf("key") {
			if e.Name == store.Name(v1alpha1.EnvelopeKeyMaterial, e.Spec.Subject, sequence) {
				remove(&e)
				create(&v1alpha1.Envelope{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: e.Name}, Spec: spec})
				return
			}
		}
		Fail("there is no such material")
	}
	var good v1alpha1.EnvelopeSpec
	for _, e := range materialsOf("key") {
		if e.Spec.Sequence == sequence {
			good = e.Spec
		}
	}
	bad := v1alpha1.Envelope{Spec: *good.DeepCopy()}
	change(&bad)
	put(bad.Spec)
	return func() {
		GinkgoHelper()
		put(good)
	}
}

var _ = Describe("What kstatus makes of a KMSKey", func() {
	It("is InProgress from its first moment, and Current when it is Enabled, Disabled or changed", func() {
		k := environment.KMSKey(namespace, "key")
		create(k)
		Expect(kstatus(k)).To(Equal("InProgress"), "before anybody has looked at it")
		Expect(condition(k, v1alpha1.ConditionReady)).To(And(
			HaveField("Status", metav1.ConditionUnknown), HaveField("Reason", v1alpha1.ReasonPending)))
		reconcile(k)
		Expect(kstatus(k)).To(Equal("Current"))
		update(k, func() { k.Spec.Enabled = ptr.To(false) })
		Expect(kstatus(k)).To(Equal("InProgress"), "the spec is newer than the status")
		reconcile(k)
		Expect(kstatus(k)).To(Equal("Current"))
		Expect(condition(k, v1alpha1.ConditionReady).Message).To(Equal("The key is Disabled"))
	})

	It("is Failed when somebody must do something, and Current when it is done", func() {
		k := ready()
		heal := replaceMaterial(1, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[90] ^= 1 })
		reconcile(k)
		Expect(kstatus(k)).To(Equal("Failed"))
		heal()
		reconcile(k)
		Expect(kstatus(k)).To(Equal("Current"))
		Expect(condition(k, v1alpha1.ConditionStalled)).To(BeNil())
	})

	It("is InProgress while the keyring is sealed, and says why", func() {
		unseal := sealKeyring()
		k := environment.KMSKey(namespace, "key")
		create(k)
		Expect(reconcile(k)).To(BeNumerically("~", 15*time.Second, 2*time.Second), "it is looked for again soon")
		Expect(kstatus(k)).To(Equal("InProgress"))
		Expect(condition(k, v1alpha1.ConditionReady)).To(And(HaveField("Reason", v1alpha1.ReasonSealed),
			HaveField("Message", ContainSubstring("strongroom-root is missing"))))
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateCreating))
		Expect(materialsOf("key")).To(BeEmpty())
		unseal()
		reconcile(k)
		Expect(kstatus(k)).To(Equal("Current"))
	})

	It("is Terminating while a deletion is blocked, and neither Stalled nor Reconciling", func() {
		k := ready()
		secretUnder()
		deleting(k)
		reconcile(k)
		Expect(kstatus(k)).To(Equal("Terminating"))
		Expect(condition(k, v1alpha1.ConditionReady)).To(And(
			HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonInUse)))
		Expect(condition(k, v1alpha1.ConditionStalled)).To(BeNil())
		Expect(condition(k, v1alpha1.ConditionReconciling)).To(BeNil())
	})

	It("speaks in every condition of the generation that was looked at", func() {
		k := ready()
		for n := range 3 {
			update(k, func() { k.Spec.Description = fmt.Sprint(n) })
			reconcile(k)
			Expect(k.Status.ObservedGeneration).To(Equal(k.Generation))
			Expect(k.Status.Conditions).To(HaveEach(HaveField("ObservedGeneration", k.Generation)))
		}
	})
})

var _ = Describe("A request to look at a key", func() {
	It("is echoed once it is handled, and is no rotation", func() {
		k := ready()
		update(k, func() { metav1.SetMetaDataAnnotation(&k.ObjectMeta, v1alpha1.ReconcileAnnotation, "please") })
		reconcile(k)
		Expect(k.Status.LastHandledReconcileAt).To(Equal("please"))
		Expect(k.Status.LastHandledRotateAt).To(BeEmpty())
		Expect(k.Status.KeyMaterials).To(HaveLen(1))
	})
})

var _ = Describe("Key material that is not as it was", func() {
	type damage func(*v1alpha1.Envelope)

	DescribeTable("makes the key Unavailable if it is the current one, and heals",
		func(change damage) {
			k := ready()
			update(k, annotate(k, "now"))
			reconcile(k)
			_, encrypted, err := env.Services.KMS.GenerateDataKey(ctx, k, nil)
			Expect(err).NotTo(HaveOccurred())
			env.DrainEvents()

			heal := replaceMaterial(2, change)
			reconcile(k)
			Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateUnavailable))
			Expect(condition(k, v1alpha1.ConditionStalled)).To(HaveField("Reason", v1alpha1.ReasonEnvelopeTampered))
			Expect(env.DrainEvents()).To(ConsistOf(ContainSubstring(v1alpha1.ReasonEnvelopeTampered)))
			reconcile(k)
			Expect(env.DrainEvents()).To(BeEmpty(), "what is known is no news")
			_, err = env.Services.KMS.Decrypt(ctx, k, nil, encrypted)
			Expect(err).To(MatchError(ContainSubstring("it is Unavailable")))
			Expect(k.Status.KeyMaterials).To(HaveLen(2), "no material is made in its place")

			heal()
			reconcile(k)
			Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
			_, err = env.Services.KMS.Decrypt(ctx, k, nil, encrypted)
			Expect(err).NotTo(HaveOccurred())
		},
		Entry("with a bit changed", damage(func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[len(e.Spec.Ciphertext)-1] ^= 1 })),
		Entry("cut off", damage(func(e *v1alpha1.Envelope) { e.Spec.Ciphertext = e.Spec.Ciphertext[:60] })),
		Entry("of another kind of rotation", damage(func(e *v1alpha1.Envelope) { e.Spec.Stages = []string{"AUTOMATIC"} })),
		Entry("made at another time", damage(func(e *v1alpha1.Envelope) { e.Spec.CreatedTime = metav1.Unix(1, 0) })),
		Entry("replaced by the former material", damage(func(e *v1alpha1.Envelope) {
			for _, first := range materialsOf("key") {
				if first.Spec.Sequence == 1 {
					e.Spec.Ciphertext, e.Spec.Version = first.Spec.Ciphertext, first.Spec.Version
				}
			}
		})),
	)

	It("leaves a key that lost a former one Enabled, and says which", func() {
		k := ready()
		_, old, err := env.Services.KMS.GenerateDataKey(ctx, k, nil)
		Expect(err).NotTo(HaveOccurred())
		update(k, annotate(k, "now"))
		reconcile(k)
		lost := materialsOf("key")[0]
		Expect(lost.Spec.Sequence).To(Equal(int64(1)))
		remove(&lost)
		refusedFor(k, v1alpha1.ReasonEnvelopeMissing, lost.Name, "restore it from a backup")
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
		_, _, err = env.Services.KMS.GenerateDataKey(ctx, k, nil)
		Expect(err).NotTo(HaveOccurred(), "the current material is whole")
		_, err = env.Services.KMS.Decrypt(ctx, k, nil, old)
		Expect(err).To(MatchError(store.ErrMissing))
	})

	It("is not known to be lost while the keyring is sealed", func() {
		k := ready()
		sealKeyring()
		reconcile(k)
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled), "sealed says nothing about the key")
		Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonSealed))
	})
})

// A backup tool that restores objects without their status, or kubectl replace, loses the index.
var _ = Describe("A status that was lost", func() {
	It("comes back from the Envelopes: id, order, kinds of rotation, and which one encrypts", func() {
		k := ready(func(k *v1alpha1.KMSKey) { k.Spec.Rotation = &v1alpha1.KeyRotation{Enabled: true, PeriodInDays: 90} })
		var encrypted [][]byte
		for n := range 11 { // so that the order of names, 1 10 11 2, is not the order of numbers
			_, ciphertext, err := env.Services.KMS.GenerateDataKey(ctx, k, nil)
			Expect(err).NotTo(HaveOccurred())
			encrypted = append(encrypted, ciphertext)
			if n%3 == 2 {
				env.Clock.Set(k.Status.NextRotationTime.Add(time.Minute))
			} else {
				update(k, annotate(k, fmt.Sprint(n)))
			}
			reconcile(k)
		}
		before := k.Status.DeepCopy()
		Expect(before.KeyMaterials).To(HaveLen(12))
		Expect(before.OnDemandRotations).To(Equal(int32(8)))
		env.DrainEvents()

		k.Status = v1alpha1.KMSKeyStatus{}
		Expect(cp.Client.Status().Update(ctx, k)).To(Succeed())
		seen(k)
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(Equal(before.KeyMaterials))
		Expect(k.Status.KeyID).To(Equal(before.KeyID))
		Expect(k.Status.ARN).To(Equal(before.ARN))
		Expect(k.Status.OnDemandRotations).To(Equal(before.OnDemandRotations))
		Expect(k.Status.LastHandledRotateAt).To(Equal(before.LastHandledRotateAt), "a request that was met is not met again")
		Expect(k.Status.NextRotationTime.Time).To(BeTemporally("==", before.NextRotationTime.Time))
		Expect(env.DrainEvents()).To(ConsistOf(And(ContainSubstring(v1alpha1.ReasonRestored), ContainSubstring("12 key materials"))))
		for _, ciphertext := range encrypted {
			_, err := env.Services.KMS.Decrypt(ctx, k, nil, ciphertext)
			Expect(err).NotTo(HaveOccurred())
		}
		settled(k)
		Expect(materialsOf("key")).To(HaveLen(12))
	})

	It("does not come back while the keyring is sealed, and comes back afterwards", func() {
		k := ready()
		id := k.Status.KeyMaterials[0].ID
		k.Status = v1alpha1.KMSKeyStatus{}
		Expect(cp.Client.Status().Update(ctx, k)).To(Succeed())
		seen(k)
		unseal := sealKeyring()
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(BeEmpty(), "only what opens gets into the index")
		unseal()
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(ConsistOf(HaveField("ID", id)))
		Expect(materialsOf("key")).To(HaveLen(1))
	})
})
