package kmskey_test

import (
	"encoding/json"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/kmskey"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

const (
	abroad  = environment.OtherRegion
	farther = environment.ThirdRegion
)

// replicated has a key of many regions that lets some have the replicas of replicaNames.
func replicated(regions ...string) func(*v1alpha1.KMSKey) {
	return func(k *v1alpha1.KMSKey) {
		k.Spec.MultiRegion = true
		for _, region := range regions {
			k.Spec.ReplicaRegions = append(k.Spec.ReplicaRegions, v1alpha1.KeyReplicaRegion{Region: region, Name: k.Name + suffixes[region]})
		}
	}
}

// suffixes are what the name of a replica has besides its primary's.
var suffixes = map[string]string{abroad: "-eu", farther: "-far"}

// of makes a KMSKey a replica.
func of(primary, region string) func(*v1alpha1.KMSKey) {
	return func(k *v1alpha1.KMSKey) {
		k.Spec.MultiRegion, k.Spec.Region = true, region
		k.Spec.ReplicaOf = &v1alpha1.PrimaryKey{Name: primary, Region: environment.Region}
	}
}

// made creates a KMSKey and makes a pass over it.
func made(name string, changes ...func(*v1alpha1.KMSKey)) *v1alpha1.KMSKey {
	GinkgoHelper()
	k := environment.KMSKey(namespace, name, changes...)
	create(k)
	reconcile(k)
	return k
}

func readyReason(k *v1alpha1.KMSKey) string { return condition(k, v1alpha1.ConditionReady).Reason }

// sealedBy encrypts a text under a key.
func sealedBy(k *v1alpha1.KMSKey, text string) []byte {
	GinkgoHelper()
	blob, _, err := env.Services.KMS.Encrypt(ctx, k, keys.Encrypt, nil, secretbytes.Own([]byte(text)))
	Expect(err).NotTo(HaveOccurred())
	return blob
}

// unlocks tells that a key opens what another has encrypted.
func unlocks(k *v1alpha1.KMSKey, blob []byte, text string) {
	GinkgoHelper()
	opened, err := env.Services.KMS.Decrypt(ctx, k, nil, blob)
	Expect(err).NotTo(HaveOccurred())
	Expect(string(opened.Reveal())).To(Equal(text))
}

func materialIDs(k *v1alpha1.KMSKey) (ids []string) {
	for _, m := range k.Status.KeyMaterials {
		ids = append(ids, m.ID)
	}
	return ids
}

func currentID(k *v1alpha1.KMSKey) string {
	m, _ := kms.CurrentMaterial(k)
	return m.ID
}

var _ = Describe("A replica that a manifest has", func() {
	It("gets its primary's id and material, in Envelopes of its own", func() {
		primary := made("shop", replicated(abroad))
		Expect(primary.Status.KeyID).To(Equal(keys.MultiRegionID(string(primary.UID))))
		replica := made("shop-eu", of("shop", abroad))
		Expect(readyReason(replica)).To(Equal(v1alpha1.ReasonSucceeded))
		Expect(replica.Status.KeyID).To(Equal(primary.Status.KeyID))
		Expect(replica.Status.ARN).To(Equal(arn.KMSKey(abroad, arn.DeriveAccount(namespace), primary.Status.KeyID)))
		Expect(replica.Status.KeyMaterials).To(Equal(primary.Status.KeyMaterials))
		own := materialsOf("shop-eu")
		Expect(own).To(HaveLen(1))
		Expect(own[0].Spec.Subject).To(Equal(replica.Status.ARN))
		Expect(own[0].Spec.Ciphertext).NotTo(Equal(materialsOf("shop")[0].Spec.Ciphertext))
		unlocks(replica, sealedBy(primary, "x"), "x")
		unlocks(primary, sealedBy(replica, "y"), "y")
	})

	It("that comes before its primary waits for it, and for its region to be listed", func() {
		replica := made("shop-eu", of("shop", abroad))
		Expect(readyReason(replica)).To(Equal(v1alpha1.ReasonPrimaryNotFound))
		Expect(replica.Status.KeyState).To(Equal(v1alpha1.KeyStateCreating))
		primary := made("shop", replicated())
		reconcile(replica)
		Expect(readyReason(replica)).To(Equal(v1alpha1.ReasonNotReplicated))
		Expect(replica.Status.KeyMaterials).To(BeEmpty(), "nobody gets the material of a key by a manifest of their own alone")
		Expect(materialsOf("shop-eu")).To(BeEmpty())
		update(primary, func() { replicated(abroad)(primary) })
		reconcile(replica)
		Expect(replica.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
	})

	DescribeTable("gets nothing of a key", func(primary, replica func(*v1alpha1.KMSKey)) {
		made("shop", replicated(abroad, farther), primary)
		k := made("shop-eu", of("shop", abroad), replica)
		Expect(readyReason(k)).To(Equal(v1alpha1.ReasonPrimaryNotFound))
		Expect(k.Status.KeyID).To(BeEmpty())
		Expect(materialsOf("shop-eu")).To(BeEmpty())
	},
		Entry("that is in one region", func(k *v1alpha1.KMSKey) { k.Spec.MultiRegion, k.Spec.ReplicaRegions = false, nil }, func(*v1alpha1.KMSKey) {}),
		Entry("of another spec", func(k *v1alpha1.KMSKey) {
			k.Spec.KeySpec, k.Spec.KeyUsage = v1alpha1.KeySpecHMAC256, v1alpha1.KeyUsageGenerateVerifyMac
		}, func(*v1alpha1.KMSKey) {}),
		Entry("of another usage", func(k *v1alpha1.KMSKey) {
			k.Spec.KeySpec, k.Spec.KeyUsage = v1alpha1.KeySpecECCNISTP256, v1alpha1.KeyUsageSignVerify
		}, func(k *v1alpha1.KMSKey) {
			k.Spec.KeySpec, k.Spec.KeyUsage = v1alpha1.KeySpecECCNISTP256, v1alpha1.KeyUsageKeyAgreement
		}),
		Entry("of another region than it says", func(*v1alpha1.KMSKey) {}, func(k *v1alpha1.KMSKey) { k.Spec.ReplicaOf.Region = farther }),
		Entry("that is not there", func(*v1alpha1.KMSKey) {}, func(k *v1alpha1.KMSKey) { k.Spec.ReplicaOf.Name = "other" }),
	)

	It("gets nothing of a key of another namespace, whatever it names", func() {
		primary := made("shop", replicated(abroad))
		other, err := cp.NewNamespace(ctx)
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() error { return env.GetClient().Get(ctx, clientKey("", other), environment.NamespaceObject()) }).Should(Succeed())
		k := environment.KMSKey(other, primary.Status.KeyID, of("shop", abroad))
		create(k)
		reconcile(k)
		Expect(readyReason(k)).To(Equal(v1alpha1.ReasonPrimaryNotFound))
		Expect(k.Status.KeyID).To(BeEmpty())
		update(k, func() { k.Spec.ReplicaOf = nil }) // now it is a primary of that id, in its own account
		reconcile(k)
		Expect(k.Status.KeyID).To(Equal(primary.Status.KeyID))
		Expect(k.Status.KeyMaterials).To(HaveLen(1))
		Expect(materialIDs(k)).NotTo(Equal(materialIDs(primary)))
		_, err = env.Services.KMS.Decrypt(ctx, k, nil, sealedBy(primary, "x"))
		Expect(err).To(MatchError(keys.ErrInvalidCiphertext))
	})

	// plant puts an Envelope of the primary's under the name of one of the replica's.
	plant := func(primary *v1alpha1.KMSKey, sequence int64) *v1alpha1.Envelope {
		GinkgoHelper()
		planted := materialsOf("shop")[0].DeepCopy()
		planted.ObjectMeta = metav1.ObjectMeta{Namespace: namespace}
		planted.Spec.Owner.Name, planted.Spec.Subject = "shop-eu", arn.KMSKey(abroad, arn.DeriveAccount(namespace), primary.Status.KeyID)
		planted.Spec.Sequence, planted.Name = sequence, storeName(planted.Spec.Subject, sequence)
		create(planted)
		return planted
	}

	It("opens nothing by an Envelope of its primary's that somebody has put under its name", func() {
		primary := made("shop", replicated(abroad))
		planted := plant(primary, 1)
		replica := made("shop-eu", of("shop", abroad))
		Expect(readyReason(replica)).To(Equal(v1alpha1.ReasonEnvelopeTampered))
		Expect(replica.Status.KeyMaterials).To(BeEmpty())
		remove(planted)
		reconcile(replica)
		unlocks(replica, sealedBy(primary, "x"), "x")
	})

	It("passes over such an Envelope where its next material was to be", func() {
		primary := made("shop", replicated(abroad))
		replica := made("shop-eu", of("shop", abroad))
		plant(primary, 2)
		update(primary, annotate(primary, "now"))
		reconcile(primary)
		reconcile(replica)
		Expect(readyReason(replica)).To(Equal(v1alpha1.ReasonEnvelopeTampered))
		Expect(materialIDs(replica)).To(Equal(materialIDs(primary)))
		Expect(replica.Status.KeyMaterials[1].Sequence).To(Equal(int64(3)))
		reconcile(replica)
		Expect(materialIDs(replica)).To(Equal(materialIDs(primary)))
		unlocks(primary, sealedBy(replica, "x"), "x")
	})

	It("is the one that its primary names, and no other of the region, whoever is first", func() {
		primary := made("shop", replicated(abroad))
		first, named := made("one", of("shop", abroad)), made("shop-eu", of("shop", abroad))
		Expect(readyReason(first)).To(Equal(v1alpha1.ReasonNotReplicated))
		Expect(condition(first, v1alpha1.ConditionReady).Message).To(ContainSubstring("does not name this KMSKey"))
		Expect(first.Status.KeyID).To(BeEmpty())
		Expect(materialsOf("one")).To(BeEmpty())
		Expect(readyReason(named)).To(Equal(v1alpha1.ReasonSucceeded))

		// Another one is named while the first has the id: it gets none, and the first no new material.
		update(primary, func() { primary.Spec.ReplicaRegions[0].Name = "one" })
		update(primary, annotate(primary, "now"))
		reconcile(primary)
		reconcile(first)
		reconcile(named)
		Expect(readyReason(first)).To(Equal(v1alpha1.ReasonNameConflict))
		Expect(readyReason(named)).To(Equal(v1alpha1.ReasonNotReplicated))
		Expect(named.Status.KeyMaterials).To(HaveLen(1))
		_, err := env.Services.KMS.Decrypt(ctx, named, nil, sealedBy(primary, "new"))
		Expect(err).To(MatchError(keys.ErrInvalidCiphertext))
	})

	It("is named by its primary's name and the region where the list has no other", func() {
		made("shop", func(k *v1alpha1.KMSKey) {
			k.Spec.MultiRegion, k.Spec.ReplicaRegions = true, []v1alpha1.KeyReplicaRegion{{Region: abroad}}
		})
		Expect(readyReason(made("shop-eu", of("shop", abroad)))).To(Equal(v1alpha1.ReasonNotReplicated))
		Expect(readyReason(made("shop-"+abroad, of("shop", abroad)))).To(Equal(v1alpha1.ReasonSucceeded))
	})

	It("has a state of its own", func() {
		primary, disabled := made("shop", replicated(abroad)), false
		replica := made("shop-eu", of("shop", abroad))
		blob := sealedBy(primary, "x")
		update(primary, func() { primary.Spec.Enabled = &disabled })
		reconcile(primary)
		reconcile(replica)
		Expect(primary.Status.KeyState).To(Equal(v1alpha1.KeyStateDisabled))
		Expect(replica.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
		unlocks(replica, blob, "x")
	})
})

var _ = Describe("A multi-Region key that is rotated", func() {
	It("is opened by its replicas from the first moment, and they encrypt under the new material when they have it", func() {
		primary := made("shop", replicated(abroad))
		replica := made("shop-eu", of("shop", abroad))
		old := sealedBy(replica, "old")
		update(primary, annotate(primary, "now"))
		reconcile(primary)
		Expect(primary.Status.KeyMaterials).To(HaveLen(2))
		unlocks(replica, sealedBy(primary, "new"), "new")
		unlocks(primary, sealedBy(replica, "late"), "late")

		reconcile(replica)
		Expect(replica.Status.KeyMaterials).To(Equal(primary.Status.KeyMaterials))
		Expect(replica.Status.OnDemandRotations).To(Equal(int32(1)))
		Expect(currentID(replica)).To(Equal(currentID(primary)))
		unlocks(primary, old, "old")
		unlocks(replica, old, "old")
	})

	It("is not opened by what was a replica in a region that is listed no more, which works on with what it has", func() {
		primary := made("shop", replicated(abroad))
		replica := made("shop-eu", of("shop", abroad))
		old := sealedBy(primary, "old")
		update(primary, func() {
			primary.Spec.ReplicaRegions = nil
			annotate(primary, "now")()
		})
		reconcile(primary)
		_, err := env.Services.KMS.Decrypt(ctx, replica, nil, sealedBy(primary, "new"))
		Expect(err).To(MatchError(keys.ErrInvalidCiphertext))
		reconcile(replica)
		Expect(readyReason(replica)).To(Equal(v1alpha1.ReasonNotReplicated))
		Expect(replica.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
		Expect(replica.Status.KeyMaterials).To(HaveLen(1))
		unlocks(replica, old, "old")
	})

	It("is rotated at the primary alone", func() {
		made("shop", replicated(abroad))
		replica := made("shop-eu", of("shop", abroad))
		update(replica, annotate(replica, "now"))
		reconcile(replica)
		Expect(readyReason(replica)).To(Equal(v1alpha1.ReasonUnsupportedOperation))
		Expect(replica.Status.KeyMaterials).To(HaveLen(1))
		Expect(replica.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
	})

	It("is not rotated while two claim to be the primary", func() {
		primary := made("shop", replicated(abroad), func(k *v1alpha1.KMSKey) { k.Spec.Rotation = &v1alpha1.KeyRotation{Enabled: true} })
		replica := made("shop-eu", of("shop", abroad))
		update(replica, func() { replica.Spec.ReplicaOf = nil })
		update(primary, annotate(primary, "now"))
		for _, k := range []*v1alpha1.KMSKey{primary, replica} {
			reconcile(k)
			Expect(readyReason(k)).To(Equal(v1alpha1.ReasonNameConflict), k.Name)
			Expect(k.Status.KeyMaterials).To(HaveLen(1))
		}
		update(primary, func() {
			primary.Spec.ReplicaOf = &v1alpha1.PrimaryKey{Name: "shop-eu", Region: abroad}
			primary.Spec.Rotation, primary.Spec.ReplicaRegions = nil, nil
			delete(primary.Annotations, v1alpha1.RotateAnnotation)
		})
		update(replica, func() {
			replica.Spec.ReplicaRegions = []v1alpha1.KeyReplicaRegion{{Region: environment.Region, Name: "shop"}}
			annotate(replica, "then")()
		})
		reconcile(replica)
		reconcile(primary)
		Expect(replica.Status.KeyMaterials).To(HaveLen(2))
		Expect(primary.Status.KeyMaterials).To(Equal(replica.Status.KeyMaterials), "who changed the manifests has changed the primary")
	})

	It("is another than what was to be its replica and is called a primary before it was let", func() {
		primary := made("shop", replicated())
		replica := made("shop-eu", of("shop", abroad))
		update(replica, func() { replica.Spec.ReplicaOf = nil })
		reconcile(replica)
		Expect(readyReason(replica)).To(Equal(v1alpha1.ReasonSucceeded))
		Expect(replica.Status.KeyID).NotTo(Equal(primary.Status.KeyID))
		Expect(materialIDs(replica)).To(And(HaveLen(1), Not(Equal(materialIDs(primary)))))
	})
})

var _ = Describe("The deletion of a multi-Region key", func() {
	scheduled := func(k *v1alpha1.KMSKey) func() {
		return func() { k.Spec.Deletion = &v1alpha1.KeyDeletion{Scheduled: true, PendingWindowInDays: 7} }
	}

	It("waits for the last replica, and its window begins then", func() {
		primary := made("shop", replicated(abroad))
		replica := made("shop-eu", of("shop", abroad))
		update(primary, scheduled(primary))
		reconcile(primary)
		Expect(primary.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingReplicaDeletion))
		Expect(primary.Status.DeletionTime).To(BeNil())
		env.Clock.Advance(30 * 24 * time.Hour)
		reconcile(primary)
		Expect(primary.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingReplicaDeletion))

		update(replica, scheduled(replica))
		reconcile(replica)
		Expect(replica.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingDeletion))
		reconcile(primary)
		Expect(primary.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingReplicaDeletion), "scheduled is not gone")
		env.Clock.Advance(7*24*time.Hour + time.Second)
		pass(replica)
		refresh(replica)
		seen(replica)
		pass(replica)
		gone(replica)
		refresh(primary)
		seen(primary)
		Expect(primary.Spec.ReplicaRegions).To(BeEmpty(), "another replica is made only if somebody says so")
		reconcile(primary)
		Expect(primary.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingDeletion))
		Expect(primary.Status.DeletionTime.Time).To(BeTemporally("~", env.Clock.Now().Add(7*24*time.Hour), 2*time.Second))
	})

	It("makes no new replica meanwhile", func() {
		primary := made("shop", replicated(abroad))
		update(primary, scheduled(primary))
		reconcile(primary)
		at := primary.Status.DeletionTime.Time
		replica := made("shop-eu", of("shop", abroad))
		Expect(readyReason(replica)).To(Equal(v1alpha1.ReasonNotReplicated))
		Expect(materialsOf("shop-eu")).To(BeEmpty())
		reconcile(primary)
		Expect(primary.Status.DeletionTime.Time).To(BeTemporally("==", at), "nor does it hold the deletion up")
	})

	It("by kubectl is held by replicas, which go by themselves", func() {
		primary := made("shop", replicated(abroad))
		replica := made("shop-eu", of("shop", abroad))
		deleting(primary)
		reconcile(primary)
		Expect(condition(primary, v1alpha1.ConditionDeletionBlocked).Message).To(ContainSubstring("1 KMSKeys are replicas of this key: shop-eu."))
		buryNamed(replica)
		reconcile(primary)
		Expect(condition(primary, v1alpha1.ConditionDeletionBlocked).Message).To(
			MatchRegexp(`1 replicas were deleted and can be had back with this key's material: shop-eu in eu-west-1 until \d{4}-`))
		env.Clock.Advance(30*24*time.Hour + time.Second)
		pass(primary)
		gone(primary)
	})

	It("waits for the window of a replica that kubectl has deleted, which can be had back until then, and after which nothing of the material is left", func() {
		primary := made("shop", replicated(abroad))
		replica := made("shop-eu", of("shop", abroad), func(k *v1alpha1.KMSKey) { k.Spec.Deletion = &v1alpha1.KeyDeletion{PendingWindowInDays: 20} })
		blob := sealedBy(replica, "x")
		buryNamed(replica)
		update(primary, scheduled(primary))
		after := reconcile(primary)
		Expect(primary.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingReplicaDeletion))
		Expect(primary.Status.DeletionTime).To(BeNil())
		Expect(after).To(BeNumerically("~", 20*24*time.Hour, time.Minute), "it is looked at when that window ends")

		env.Clock.Advance(8 * 24 * time.Hour) // longer than the primary's own window
		reconcile(primary)
		Expect(primary.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingReplicaDeletion))
		relisted(primary)
		back := made("shop-eu", of("shop", abroad), func(k *v1alpha1.KMSKey) { k.Spec.Deletion = &v1alpha1.KeyDeletion{PendingWindowInDays: 20} })
		unlocks(back, blob, "x")
		buryNamed(back)

		env.Clock.Advance(20*24*time.Hour + time.Second)
		reconcile(primary)
		Expect(primary.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingDeletion), "its window begins with the end of that one")
		Expect(env.SweepOnce(ctx, "KMSKey", namespace, "shop-eu")).To(Succeed())
		Eventually(func() int { return len(materialsOf("shop-eu")) }).Should(BeZero())
		env.Clock.Advance(7*24*time.Hour + time.Second)
		pass(primary)
		refresh(primary)
		seen(primary)
		pass(primary)
		gone(primary)
		again := made("shop-eu", func(k *v1alpha1.KMSKey) { k.Spec.MultiRegion, k.Spec.Region = true, abroad })
		Expect(again.Status.KeyID).NotTo(Equal(back.Status.KeyID), "nobody has the material back after its primary")
		_, err := env.Services.KMS.Decrypt(ctx, again, nil, blob)
		Expect(err).To(MatchError(keys.ErrInvalidCiphertext))
	})

	It("is answered as PendingReplicaDeletion at once when a deleted replica can be had back", func() {
		primary := made("shop", replicated(abroad))
		buryNamed(made("shop-eu", of("shop", abroad)))
		changed, err := env.Services.KMS.ScheduleDeletion(ctx, primary, 7, func(*v1alpha1.KMSKey) error { return nil })
		Expect(err).NotTo(HaveOccurred())
		Expect(changed.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingReplicaDeletion))
		Expect(changed.Status.DeletionTime).To(BeNil())
	})

	It("is held by a key of its id that has the material and names another primary, and by none that is a primary itself", func() {
		primary := made("shop", replicated(abroad))
		replica := made("shop-eu", of("shop", abroad))
		update(replica, func() { replica.Spec.ReplicaOf.Name = "nobody" })
		update(primary, scheduled(primary))
		reconcile(primary)
		Expect(primary.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingReplicaDeletion))
		update(replica, func() { replica.Spec.ReplicaOf = nil })
		reconcile(primary)
		Expect(primary.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingDeletion), "the other one goes on with the material, as its manifest says")
	})

	It("leaves a replica nothing to open with once it is gone, and what it had comes back with it within its window alone", func() {
		primary := made("shop", replicated(abroad))
		replica := made("shop-eu", of("shop", abroad), func(k *v1alpha1.KMSKey) { k.Spec.Deletion = &v1alpha1.KeyDeletion{PendingWindowInDays: 7} })
		blob, former := sealedBy(replica, "x"), replica.DeepCopy()
		buryNamed(replica)
		Expect(tombstonesOf("shop-eu")).To(HaveLen(1))
		relisted(primary)
		again := made("shop-eu", of("shop", abroad))
		Expect(again.Status.KeyMaterials).To(Equal(former.Status.KeyMaterials))
		unlocks(again, blob, "x")
		buryNamed(again)

		env.Clock.Advance(31 * 24 * time.Hour)
		Expect(env.SweepOnce(ctx, "KMSKey", namespace, "shop-eu")).To(Succeed())
		Eventually(func() int { return len(materialsOf("shop-eu")) }).Should(BeZero())
		unlocks(primary, blob, "x")
	})

	It("of a key of one region does not make it one of many when it comes back, nor the reverse", func() {
		single := made("shop")
		id := single.Status.KeyID
		buryNamed(single)
		many := made("shop", replicated())
		Expect(many.Status.KeyID).To(HavePrefix("mrk-"))
		Expect(materialIDs(many)).NotTo(Equal(materialIDs(single)))
		buryNamed(many)
		back := made("shop")
		Expect(back.Status.KeyID).To(Equal(id))
	})
})

var _ = Describe("A change of the primary that is written on a key", func() {
	It("and means no key that it can is taken away", func() {
		primary := made("shop", replicated(abroad), func(k *v1alpha1.KMSKey) {
			text, err := json.Marshal(kms.PrimaryUpdate{From: "shop", To: "nobody"})
			Expect(err).NotTo(HaveOccurred())
			k.Annotations = map[string]string{v1alpha1.PrimaryUpdateAnnotation: string(text)}
		})
		Expect(primary.Annotations).NotTo(HaveKey(v1alpha1.PrimaryUpdateAnnotation))
		reconcile(primary)
		Expect(primary.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
		Expect(primary.Finalizers).To(ContainElement(kmskey.Finalizer))
		update(primary, func() {
			metav1.SetMetaDataAnnotation(&primary.ObjectMeta, v1alpha1.PrimaryUpdateAnnotation, `{"from":`)
		})
		reconcile(primary)
		Expect(primary.Annotations).NotTo(HaveKey(v1alpha1.PrimaryUpdateAnnotation))
	})
})

var _ = Describe("The material of a multi-Region key", func() {
	It("does not come back under a deleted replica's name without the primary's consent, be it as a replica or as a primary", func() {
		primary := made("shop", replicated(abroad))
		replica := made("shop-eu", of("shop", abroad))
		Expect(replica.Status.KeyMaterials).To(HaveLen(1))
		buryNamed(replica)
		update(primary, func() { primary.Spec.ReplicaRegions = nil })
		reconcile(primary)
		for _, change := range []func(*v1alpha1.KMSKey){of("shop", abroad), func(k *v1alpha1.KMSKey) { k.Spec.MultiRegion, k.Spec.Region = true, abroad }} {
			again := environment.KMSKey(namespace, "shop-eu", change)
			create(again)
			reconcile(again)
			Expect(again.Status.KeyMaterials).To(BeEmpty())
			Expect(readyReason(again)).To(Equal(v1alpha1.ReasonNotReplicated))
			buryNamed(again)
		}
		update(primary, func() { replicated(abroad)(primary) })
		back := made("shop-eu", of("shop", abroad))
		unlocks(back, sealedBy(primary, "x"), "x")
	})

	It("keeps its primary as long as a KMSKey waits for it under a deleted replica's name, also when that one's window is over", func() {
		primary := made("shop", replicated(abroad))
		replica := made("shop-eu", of("shop", abroad))
		buryNamed(replica)
		update(primary, func() { primary.Spec.ReplicaRegions = nil })
		again := environment.KMSKey(namespace, "shop-eu", of("shop", abroad))
		create(again)
		reconcile(again)
		env.Clock.Advance(31 * 24 * time.Hour)
		others, err := env.Services.KMS.Outlived(ctx, primary)
		Expect(err).NotTo(HaveOccurred())
		Expect(others).To(ConsistOf(And(HaveField("Name", "shop-eu"), HaveField("Region", abroad), HaveField("Deleted", false))))
	})

	It("reaches a replica but for what is damaged, which does not have it encrypt under what is retired", func() {
		primary := made("shop", replicated(abroad))
		for n := range 2 {
			update(primary, func() {
				metav1.SetMetaDataAnnotation(&primary.ObjectMeta, v1alpha1.RotateAnnotation, string(rune('a'+n)))
			})
			reconcile(primary)
		}
		Expect(primary.Status.KeyMaterials).To(HaveLen(3))
		for _, e := range materialsOf("shop") {
			if e.Spec.Version == primary.Status.KeyMaterials[1].ID {
				Expect(cp.Client.Delete(ctx, e.DeepCopy())).To(Succeed())
				Eventually(func() bool {
					return apierrors.IsNotFound(env.GetClient().Get(ctx, client.ObjectKeyFromObject(&e), &v1alpha1.Envelope{}))
				}).Should(BeTrue())
			}
		}
		replica := made("shop-eu", of("shop", abroad))
		Expect(materialIDs(replica)).To(ConsistOf(primary.Status.KeyMaterials[0].ID, primary.Status.KeyMaterials[2].ID))
		Expect(currentID(replica)).To(Equal(primary.Status.KeyMaterials[2].ID))
		unlocks(replica, sealedBy(primary, "x"), "x")
	})

	It("that a replica has and its primary lacks stays current there, and is told", func() {
		primary := made("shop", replicated(abroad))
		replica := made("shop-eu", of("shop", abroad))
		first := currentID(replica)
		update(primary, func() { metav1.SetMetaDataAnnotation(&primary.ObjectMeta, v1alpha1.RotateAnnotation, "now") })
		reconcile(primary)
		// The primary changes by manifests, before the replica has the new material.
		update(primary, func() {
			primary.Spec.ReplicaRegions, primary.Spec.ReplicaOf = nil, &v1alpha1.PrimaryKey{Name: "shop-eu", Region: abroad}
		})
		update(replica, func() {
			replica.Spec.ReplicaOf = nil
			replica.Spec.ReplicaRegions = []v1alpha1.KeyReplicaRegion{{Region: environment.Region, Name: "shop"}}
		})
		reconcile(replica)
		reconcile(primary)
		Expect(currentID(primary)).NotTo(Equal(first), "the rotation is undone")
		Expect(readyReason(primary)).To(Equal(v1alpha1.ReasonConflict))
	})
})
