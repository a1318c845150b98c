package kmskey_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/kmskey"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// hold makes an Envelope of an owner under a key.
func hold(k *v1alpha1.KMSKey, kind, name string, class v1alpha1.EnvelopeClass) *v1alpha1.Envelope {
	GinkgoHelper()
	e := store.New(namespace, class, v1alpha1.EnvelopeOwner{Kind: kind, Name: name}, "arn:"+name,
		versions.Version{ID: "one", Sequence: 1, Created: time.Now()}, k.Status.ARN)
	e.Spec.Ciphertext = []byte("under the key")
	create(e)
	return e
}

func window(days int32) func(*v1alpha1.KMSKey) {
	return func(k *v1alpha1.KMSKey) { k.Spec.Deletion = &v1alpha1.KeyDeletion{PendingWindowInDays: days} }
}

var _ = Describe("A deletion that is blocked", func() {
	It("names how many Envelopes hold the key, and up to five of their objects", func() {
		k := ready()
		var holders []*v1alpha1.Envelope
		for n := range 7 {
			holders = append(holders, hold(k, "Secret", fmt.Sprintf("s%d", n), v1alpha1.EnvelopeSecretVersion))
		}
		deleting(k)
		message := func() string {
			GinkgoHelper()
			Expect(reconcile(k)).To(Equal(10*time.Minute), "it is looked at again though nothing may change")
			Expect(condition(k, v1alpha1.ConditionDeletionBlocked)).To(And(
				HaveField("Status", metav1.ConditionTrue), HaveField("Reason", v1alpha1.ReasonInUse)))
			return condition(k, v1alpha1.ConditionDeletionBlocked).Message
		}
		Expect(message()).To(HavePrefix("7 Envelopes are encrypted under this key: " +
			"Secret/s0, Secret/s1, Secret/s2, Secret/s3, Secret/s4, and 2 more. Delete those objects"))
		for _, e := range holders[:6] {
			remove(e)
		}
		Expect(message()).To(HavePrefix("1 Envelopes are encrypted under this key: Secret/s6. "))
		Expect(tombstonesOf("key")).To(BeEmpty(), "nothing is buried that is held back")
		remove(holders[6])
		pass(k)
		gone(k)
		Expect(tombstonesOf("key")).To(HaveLen(1))
	})

	It("is blocked by what is encrypted under this key alone", func() {
		k := ready()
		other := readyNamed("other")
		hold(other, "Secret", "theirs", v1alpha1.EnvelopeSecretVersion)
		elsewhere := hold(k, "Secret", "mine", v1alpha1.EnvelopeSecretVersion)
		remove(elsewhere)
		var err error
		first := namespace
		namespace, err = cp.NewNamespace(ctx)
		Expect(err).NotTo(HaveOccurred())
		seen(namespaceNamed(namespace))
		hold(k, "Secret", "elsewhere", v1alpha1.EnvelopeSecretVersion)
		namespace = first
		buryNamed(k)
	})

	It("writes no more once it has said so", func() {
		k := ready()
		hold(k, "Secret", "db", v1alpha1.EnvelopeSecretVersion)
		deleting(k)
		reconcile(k)
		before := k.ResourceVersion
		reconcile(k)
		Expect(k.ResourceVersion).To(Equal(before))
	})
})

// https://docs.aws.amazon.com/kms/latest/APIReference/API_ScheduleKeyDeletion.html: 7 to 30 days, 30 by default
var _ = Describe("The waiting period of a deleted key", func() {
	for days, taken := range map[int32]bool{-1: false, 1: false, 6: false, 7: true, 30: true, 31: false} {
		It(fmt.Sprintf("of %d days is taken: %t", days, taken), func() {
			k := environment.KMSKey(namespace, "key", window(days))
			err := cp.Client.Create(ctx, k)
			if !taken {
				Expect(apierrors.IsInvalid(err)).To(BeTrue(), "it is %v", err)
				Expect(err).To(MatchError(ContainSubstring("pendingWindowInDays")))
				return
			}
			Expect(err).NotTo(HaveOccurred())
			seen(k)
			reconcile(k)
			buryNamed(k)
			Expect(tombstonesOf("key")[0].Spec.ExpireTime.Time).To(
				BeTemporally("~", time.Now().AddDate(0, 0, int(days)), time.Minute))
		})
	}

	It("is 30 days when none is named", func() {
		buryNamed(ready())
		Expect(tombstonesOf("key")[0].Spec.ExpireTime.Time).To(BeTemporally("~", time.Now().AddDate(0, 0, 30), time.Minute))
	})

	It("keeps the spec, the key id and the order of the materials in the tombstone", func() {
		k := ready(func(k *v1alpha1.KMSKey) { k.Spec.Description = "of the shop" })
		update(k, annotate(k, "now"))
		reconcile(k)
		buryNamed(k)
		ring, err := env.Services.Keyring.Get()
		Expect(err).NotTo(HaveOccurred())
		stone := tombstonesOf("key")[0]
		Expect(stone.Spec.Subject).To(Equal(k.Status.ARN))
		content, err := store.OpenTombstone(ring, &stone)
		Expect(err).NotTo(HaveOccurred())
		Expect(content.KeyID).To(Equal(k.Status.KeyID))
		Expect(string(content.Spec)).To(ContainSubstring("of the shop"))
		Expect(content.Index).To(HaveLen(2))
		for i, v := range content.Index {
			Expect(v.ID).To(Equal(k.Status.KeyMaterials[i].ID))
		}
	})
})

var _ = Describe("A key that is deleted", func() {
	It("before it had any material goes at once, without a tombstone", func() {
		unseal := sealKeyring()
		k := environment.KMSKey(namespace, "key")
		create(k)
		reconcile(k)
		Expect(k.Finalizers).To(ContainElement(kmskey.Finalizer))
		deleting(k)
		pass(k)
		gone(k)
		unseal()
		Expect(tombstonesOf("key")).To(BeEmpty())
	})

	It("before any pass has no finalizer to wait for", func() {
		k := environment.KMSKey(namespace, "key")
		create(k)
		Expect(k.Finalizers).To(BeEmpty())
		remove(k)
		pass(k)
	})

	It("while the keyring is sealed stays, and goes when its tombstone can be sealed", func() {
		k := ready()
		unseal := sealKeyring()
		deleting(k)
		reconcile(k)
		Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonSealed))
		Expect(k.Finalizers).To(ContainElement(kmskey.Finalizer))
		unseal()
		pass(k)
		gone(k)
		Expect(tombstonesOf("key")).To(HaveLen(1))
	})

	It("with its namespace does not hold the namespace up", func() {
		k := ready()
		ns := namespaceNamed(namespace)
		Expect(cp.Client.Delete(ctx, ns)).To(Succeed())
		deleting(k)
		pass(k)
		gone(k)
		Expect(tombstonesOf("key")).To(BeEmpty(), "nothing can be made in a namespace that ends")
	})

	It("and applied again twice is the same key each time", func() {
		k := ready()
		first := k.Status.DeepCopy()
		for n := range 2 {
			buryNamed(k)
			k = ready()
			Expect(k.Status.KeyID).To(Equal(first.KeyID))
			Expect(k.Status.KeyMaterials[:n+1]).To(HaveLen(n + 1))
			update(k, annotate(k, fmt.Sprint(n)))
			reconcile(k)
			Expect(k.Status.KeyMaterials).To(HaveLen(n + 2))
		}
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(k), k)).To(Succeed())
	})

	// The end of the window is made to be in the past, since the time at which an object is made is the API server's.
	It("and applied again after its window is another key, and the old material stays for those who sweep", func() {
		k := ready()
		old := k.Status.DeepCopy()
		buryNamed(k)
		stone := tombstonesOf("key")[0]
		remove(&stone)
		ring, err := env.Services.Keyring.Get()
		Expect(err).NotTo(HaveOccurred())
		past, err := store.NewTombstone(ring, namespace, kms.Owner("key"), old.ARN,
			store.Tombstone{Index: kmskey.IndexOf(k), KeyID: old.KeyID}, time.Now().AddDate(0, 0, -8), time.Now().Add(-time.Hour))
		Expect(err).NotTo(HaveOccurred())
		create(past)
		again := ready()
		Expect(again.Status.KeyID).To(Equal(string(again.UID)))
		Expect(again.Status.ARN).NotTo(Equal(old.ARN))
		Expect(again.Status.KeyMaterials[0].ID).NotTo(Equal(old.KeyMaterials[0].ID))
		Expect(materialsOf("key")).To(HaveLen(2))
	})
})
