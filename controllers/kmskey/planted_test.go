package kmskey_test

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/store"
)

// planted is an Envelope that somebody put there who may write Envelopes: a copy of the key's own material, changed.
func planted(change func(*v1alpha1.Envelope)) *v1alpha1.Envelope {
	GinkgoHelper()
	e := materialsOf("key")[0]
	e.ObjectMeta = metav1.ObjectMeta{}
	e.Spec.Version = strings.Repeat("f", 64)
	change(&e)
	if e.Name == "" {
		e.Name = store.Name(e.Spec.Class, e.Spec.Subject, e.Spec.Sequence)
	}
	e.Namespace = namespace
	create(&e)
	return &e
}

// usable says that a key encrypts and decrypts.
func usable(k *v1alpha1.KMSKey) {
	GinkgoHelper()
	Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
	_, encrypted, err := env.Services.KMS.GenerateDataKey(ctx, k, nil)
	Expect(err).NotTo(HaveOccurred())
	_, err = env.Services.KMS.Decrypt(ctx, k, nil, encrypted)
	Expect(err).NotTo(HaveOccurred())
}

func forget(k *v1alpha1.KMSKey) {
	GinkgoHelper()
	refresh(k)
	k.Status = v1alpha1.KMSKeyStatus{}
	Expect(cp.Client.Status().Update(ctx, k)).To(Succeed())
	seen(k)
}

var _ = Describe("Key material that somebody planted", func() {
	later := metav1.NewTime(time.Now().AddDate(1, 0, 0))
	ways := []TableEntry{
		Entry("as the next", func(e *v1alpha1.Envelope) { e.Spec.Sequence = 2 }),
		Entry("as a later one", func(e *v1alpha1.Envelope) { e.Spec.Sequence = 1 << 40 }),
		Entry("as a copy of the current one", func(e *v1alpha1.Envelope) { e.Spec.Sequence = 2; e.Spec.Version = materialsOf("key")[0].Spec.Version }),
		Entry("of an id that is none", func(e *v1alpha1.Envelope) { e.Spec.Sequence = 2; e.Spec.Version = "none" }),
		Entry("of no token", func(e *v1alpha1.Envelope) { e.Spec.Sequence = 2; e.Spec.Ciphertext = []byte("bogus") }),
		Entry("under another's name", func(e *v1alpha1.Envelope) { e.Spec.Sequence = 2; e.Name = "planted" }),
		Entry("in the future", func(e *v1alpha1.Envelope) { e.Spec.Sequence = 2; e.Spec.CreatedTime = later }),
	}

	DescribeTable("is left out and said, and the key goes on with its own", func(change func(*v1alpha1.Envelope)) {
		k := ready()
		before := k.Status.DeepCopy()
		e := planted(change)
		refusedFor(k, v1alpha1.ReasonEnvelopeTampered, e.Name, "left out", "delete that Envelope")
		Expect(k.Status.KeyMaterials).To(Equal(before.KeyMaterials))
		usable(k)
		Expect(env.DrainEvents()).To(ContainElement(And(ContainSubstring("Warning EnvelopeTampered"), ContainSubstring(e.Name))))
		settled(k)
		Expect(env.DrainEvents()).To(BeEmpty(), "once")

		By("a rotation")
		update(k, annotate(k, "now"))
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(HaveLen(2))
		Expect(k.Status.LastHandledRotateAt).To(Equal("now"))
		usable(k)

		By("a lost status")
		materials := k.Status.KeyMaterials
		forget(k)
		refusedFor(k, v1alpha1.ReasonEnvelopeTampered, e.Name)
		Expect(k.Status.KeyMaterials).To(Equal(materials))
		Expect(k.Status.ARN).To(Equal(before.ARN))
		usable(k)

		By("the Envelope going")
		remove(e)
		reconcile(k)
		Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(k.Status.KeyMaterials).To(Equal(materials))
	}, ways)

	DescribeTable("under another ARN does not lead a key astray whose status is lost", func(subject string) {
		k := ready()
		before := k.Status.DeepCopy()
		e := planted(func(e *v1alpha1.Envelope) { e.Spec.Subject, e.Spec.CreatedTime = subject, later })
		forget(k)
		reconcile(k)
		Expect(k.Status.ARN).To(Equal(before.ARN))
		Expect(k.Status.KeyID).To(Equal(before.KeyID))
		Expect(k.Status.KeyMaterials).To(Equal(before.KeyMaterials))
		usable(k)
		remove(e)

		By("a deletion")
		planted(func(e *v1alpha1.Envelope) { e.Spec.Subject, e.Spec.CreatedTime = subject, later })
		buryNamed(k)
		k = ready()
		Expect(k.Status.ARN).To(Equal(before.ARN))
		usable(k)
	},
		Entry("of a key", arn.KMSKey("us-east-1", "111122223333", "00000000-0000-4000-8000-000000000000")),
		Entry("of a key whose id is none", "arn:aws:kms:us-east-1:111122223333:key/none"),
		Entry("that is no key's", "nonsense"),
	)

	It("is all there is: then nothing is made in its place, and it is said", func() {
		k := ready()
		replaceMaterial(1, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[90] ^= 1 })
		forget(k)
		refusedFor(k, v1alpha1.ReasonEnvelopeTampered, materialsOf("key")[0].Name, "restore it from a backup")
		Expect(k.Status.KeyMaterials).To(BeEmpty())
		Expect(materialsOf("key")).To(HaveLen(1))
	})

	It("and is good after all, since a backup brought it, is taken in", func() {
		k := ready()
		update(k, annotate(k, "now"))
		reconcile(k)
		materials := k.Status.KeyMaterials
		var good *v1alpha1.Envelope
		for _, e := range materialsOf("key") {
			if e.Spec.Sequence == 1 {
				good = e.DeepCopy()
			}
		}
		replaceMaterial(1, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[90] ^= 1 })
		forget(k)
		refusedFor(k, v1alpha1.ReasonEnvelopeTampered, good.Name)
		Expect(k.Status.KeyMaterials).To(HaveLen(1))
		replaceMaterial(1, func(e *v1alpha1.Envelope) { e.Spec = good.Spec })
		reconcile(k)
		Expect(k.Status.KeyMaterials).To(Equal(materials))
		Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	})
})
