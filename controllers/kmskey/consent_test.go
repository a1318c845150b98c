package kmskey_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

// relisted has a primary mean whoever has the names of its replicas by now.
func relisted(primary *v1alpha1.KMSKey) {
	GinkgoHelper()
	refresh(primary)
	listed := primary.Spec.ReplicaRegions
	update(primary, func() { primary.Spec.ReplicaRegions = nil })
	reconcile(primary)
	update(primary, func() { primary.Spec.ReplicaRegions = listed })
}

// getsNothing tells that a KMSKey has neither material nor opens what its primary encrypts.
func getsNothing(k, primary *v1alpha1.KMSKey) {
	GinkgoHelper()
	Expect(k.Status.KeyMaterials).To(BeEmpty())
	Expect(materialsFor(k)).To(BeEmpty())
	Expect(readyReason(k)).To(Equal(v1alpha1.ReasonNotReplicated))
	_, err := env.Services.KMS.Decrypt(ctx, k, nil, sealedBy(primary, "x"))
	Expect(err).To(HaveOccurred())
}

// materialsFor are the materials that were made for a KMSKey since it is there.
func materialsFor(k *v1alpha1.KMSKey) (own []v1alpha1.Envelope) {
	for _, e := range materialsOf(k.Name) {
		if e.CreationTimestamp.After(k.CreationTimestamp.Time) {
			own = append(own, e)
		}
	}
	return own
}

// lost takes a KMSKey away as the loss of a cluster does: without a pass, so that nothing is noted of it.
func lost(k *v1alpha1.KMSKey) {
	GinkgoHelper()
	update(k, func() { k.Finalizers = nil })
	remove(k)
}

var _ = Describe("A primary's consent to a replica", func() {
	It("is to the first KMSKey of the name, and to another one when the region was taken out and listed again", func() {
		primary := made("shop", replicated(abroad))
		replica := made("shop-eu", of("shop", abroad))
		refresh(primary)
		Expect(primary.Status.Replicas).To(Equal([]v1alpha1.KeyReplica{{Region: abroad, Name: "shop-eu", UID: string(replica.UID)}}))
		buryNamed(replica)

		again := made("shop-eu", of("shop", abroad))
		getsNothing(again, primary)
		Expect(condition(again, v1alpha1.ConditionReady).Message).To(ContainSubstring("had another KMSKey of this name"))
		reconcile(primary)
		reconcile(again)
		getsNothing(again, primary)

		relisted(primary)
		reconcile(again)
		unlocks(again, sealedBy(primary, "x"), "x")
		refresh(primary)
		Expect(primary.Status.Replicas).To(Equal([]v1alpha1.KeyReplica{{Region: abroad, Name: "shop-eu", UID: string(again.UID)}}))
	})

	It("is to no other KMSKey either when what the first one left is gone", func() {
		primary := made("shop", replicated(abroad))
		lost(made("shop-eu", of("shop", abroad)))
		for _, e := range materialsOf("shop-eu") {
			Expect(cp.Client.Delete(ctx, &e)).To(Succeed())
			gone(&e)
		}
		again := made("shop-eu", of("shop", abroad))
		getsNothing(again, primary)
		Expect(again.Status.KeyID).To(BeEmpty())
	})

	It("is to another name at once when the list has another", func() {
		primary := made("shop", replicated(abroad))
		buryNamed(made("shop-eu", of("shop", abroad)))
		update(primary, func() { primary.Spec.ReplicaRegions[0].Name = "europe" })
		unlocks(made("europe", of("shop", abroad)), sealedBy(primary, "x"), "x")
	})

	It("is given anew by a primary that is made anew, as from manifests or a backup in another cluster", func() {
		primary := made("shop", replicated(abroad))
		replica := made("shop-eu", of("shop", abroad))
		blob, id := sealedBy(primary, "x"), primary.Status.KeyID
		lost(replica)
		lost(primary)
		primary = made("shop", replicated(abroad))
		Expect(primary.Status.KeyID).To(Equal(id))
		Expect(primary.Status.Replicas).To(BeEmpty())
		unlocks(made("shop-eu", of("shop", abroad)), blob, "x")
	})

	It("goes over to the new primary when the primary changes, and so does what it does not mean", func() {
		primary := made("shop", replicated(abroad, farther))
		near, far := made("shop-eu", of("shop", abroad)), made("shop-far", of("shop", farther))
		buryNamed(far)
		refresh(primary)
		seen(primary)
		Expect(env.Services.KMS.UpdatePrimary(ctx, primary, near, func(*v1alpha1.KMSKey) error { return nil })).To(Succeed())
		reconcile(near)
		reconcile(primary)
		Expect(kms.IsReplica(near)).To(BeFalse())
		Expect(kms.Replicates(near, environment.Region, primary)).To(BeTrue())
		Expect(primary.Status.Replicas).To(BeEmpty(), "a replica consents to nothing")

		again := made("shop-far", of("shop-eu", farther), func(k *v1alpha1.KMSKey) { k.Spec.ReplicaOf.Region = abroad })
		getsNothing(again, near)
		update(near, annotate(near, "now"))
		reconcile(near)
		reconcile(primary)
		Expect(currentID(primary)).To(Equal(currentID(near)), "the former one follows")
	})

	It("is not used up by a KMSKey that another has taken the name of since it was read", func() {
		primary := made("shop", replicated(abroad))
		stale := environment.KMSKey(namespace, "shop-eu", of("shop", abroad))
		create(stale)
		was := stale.DeepCopy()
		lost(stale)
		now := environment.KMSKey(namespace, "shop-eu", of("shop", abroad))
		create(now)
		_, err := env.Services.KMS.Consents(ctx, primary, was)
		Expect(err).To(MatchError(kms.ErrGone))
		reconcile(now)
		unlocks(now, sealedBy(primary, "x"), "x")
	})
})
