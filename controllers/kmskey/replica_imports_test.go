package kmskey_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

// newImportedSet is a set whose material is imported into each key.
func newImportedSet(name string, material []byte) set {
	GinkgoHelper()
	s := set{
		primary: external(name, replicated(abroad, farther)),
		near:    external(name+"-eu", of(name, abroad)),
		far:     external(name+"-far", of(name, farther)),
	}
	s.importAll(material)
	s.settle()
	return s
}

// importAll imports the same material into each key of a set, its primary first.
func (s set) importAll(material []byte, asked ...kms.Import) {
	GinkgoHelper()
	for i, k := range s.all() {
		if i > 0 || len(asked) == 0 {
			bring(k, material, kms.Import{})
			continue
		}
		bring(k, material, asked[0])
	}
}

// tries imports material as ImportKeyMaterial does, and tells how that ends.
func tries(k *v1alpha1.KMSKey, material []byte, asked kms.Import) error {
	GinkgoHelper()
	_, err := env.Services.KMS.ImportMaterial(ctx, k, wrapped(k, material), asked, anyState)
	refresh(k)
	seen(k)
	return err
}

// without deletes material of an id, as DeleteImportedKeyMaterial does.
func without(k *v1alpha1.KMSKey, id string) {
	GinkgoHelper()
	_, err := env.Services.KMS.DeleteImportedMaterial(ctx, k, id, anyState)
	Expect(err).NotTo(HaveOccurred())
	refresh(k)
	seen(k)
}

func states(k *v1alpha1.KMSKey) (out []v1alpha1.KeyMaterialState) {
	for _, m := range k.Status.KeyMaterials {
		out = append(out, m.State)
	}
	return out
}

var fresh = kms.Import{Type: v1alpha1.ImportTypeNew}

var _ = Describe("A replica of a key whose material is imported", func() {
	It("has the id and what is said of the material, and waits until the same material is imported into it", func() {
		primary := external("shop", replicated(abroad))
		bring(primary, material32(1), kms.Import{ValidTo: in(day)})
		replica := external("shop-eu", of("shop", abroad))
		Expect(replica.Status.KeyID).To(Equal(primary.Status.KeyID))
		Expect(materialIDs(replica)).To(Equal(materialIDs(primary)))
		Expect(replica.Status.KeyMaterials[0].Import.State).To(Equal(v1alpha1.ImportStatePendingImport))
		Expect(bytesStored("shop-eu")).To(BeEmpty(), "it gets nothing of its primary's")
		Expect(condition(replica, v1alpha1.ConditionReady)).To(And(HaveField("Reason", v1alpha1.ReasonPendingImport), HaveField("Message", And(
			ContainSubstring("gets none from its primary"), ContainSubstring("--key-id "+primary.Status.KeyID+" --region "+abroad)))))
		blob := encrypted(primary)
		Expect(opens(replica, blob)).To(MatchError(ContainSubstring("it is PendingImport")))
		Expect(tries(replica, material32(2), kms.Import{})).To(MatchError(kms.ErrIncorrectMaterial))

		Expect(bring(replica, material32(1), kms.Import{})).To(Equal(primary.Status.KeyMaterials[0].ID), "it has one id in all regions")
		settled(replica)
		Expect(replica.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
		Expect(replica.Status.ExpirationModel).To(Equal(v1alpha1.ExpirationModelDoesNotExpire), "its end is its own")
		Expect(readyReason(replica)).To(Equal(v1alpha1.ReasonSucceeded))
		Expect(opens(replica, blob)).To(Succeed())
		Expect(opens(primary, encrypted(replica))).To(Succeed())
		own := bytesStored("shop-eu")
		Expect(own).To(HaveLen(1))
		Expect(own[0].Spec.Subject).To(Equal(replica.Status.ARN))
	})

	It("takes no token of its primary's", func() {
		primary := external("shop", replicated(abroad))
		bring(primary, material32(1), kms.Import{})
		replica := external("shop-eu", of("shop", abroad))
		_, err := env.Services.KMS.ImportMaterial(ctx, replica, wrapped(primary, material32(1)), kms.Import{}, anyState)
		Expect(err).To(MatchError(ContainSubstring("import token is not valid")))
	})

	It("is imported from its manifest, which waits for the primary's material", func() {
		primary := external("shop", replicated(abroad))
		replica := external("shop-eu", of("shop", abroad))
		declare(replica, material32(1))
		reconcile(replica)
		Expect(condition(replica, v1alpha1.ConditionReady)).To(And(HaveField("Reason", v1alpha1.ReasonImportFailed), HaveField("Message", ContainSubstring("imported into the primary key"))))
		declare(primary, material32(1))
		reconcile(primary)
		settled(replica)
		Expect(readyReason(replica)).To(Equal(v1alpha1.ReasonSucceeded))
		Expect(opens(replica, encrypted(primary))).To(Succeed())
		declare(replica, material32(2))
		reconcile(replica)
		Expect(condition(replica, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonImportFailed))
		Expect(replica.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
	})

	It("is of one origin with its primary", func() {
		made("shop", replicated(abroad))
		replica := made("shop-eu", of("shop", abroad), func(k *v1alpha1.KMSKey) { k.Spec.Origin = v1alpha1.KeyOriginExternal })
		Expect(readyReason(replica)).To(Equal(v1alpha1.ReasonPrimaryNotFound))
		Expect(replica.Status.KeyID).To(BeEmpty())
		external("wares", replicated(abroad))
		other := made("wares-eu", of("wares", abroad))
		Expect(readyReason(other)).To(Equal(v1alpha1.ReasonPrimaryNotFound))
	})

	It("loses material, by deletion or by its end, for itself alone", func() {
		s := newImportedSet("shop", material32(1))
		blob := encrypted(s.primary)
		without(s.near, "")
		s.settle()
		Expect(s.near.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingImport))
		Expect(bytesStored("shop-eu")).To(BeEmpty())
		Expect(opens(s.primary, blob)).To(Succeed())
		Expect(opens(s.far, blob)).To(Succeed())
		bring(s.near, material32(1), kms.Import{})

		bring(s.primary, material32(1), kms.Import{ValidTo: in(time.Hour)})
		env.Clock.Advance(time.Hour)
		s.settle()
		Expect(s.primary.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingImport))
		for _, k := range []*v1alpha1.KMSKey{s.near, s.far} {
			Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
			Expect(opens(k, blob)).To(Succeed())
		}
		without(s.near, "")
		Expect(tries(s.near, material32(1), kms.Import{})).To(Succeed(), "the primary knows it, though it does not have it")
	})

	It("works on with what it has when its primary does not list it any more, and takes that again alone", func() {
		s := newImportedSet("shop", material32(1))
		update(s.primary, func() { s.primary.Spec.ReplicaRegions = s.primary.Spec.ReplicaRegions[1:] })
		bring(s.primary, material32(2), fresh)
		s.settle()
		Expect(readyReason(s.near)).To(Equal(v1alpha1.ReasonNotReplicated))
		Expect(tries(s.near, material32(2), kms.Import{})).To(MatchError(kms.ErrIncorrectMaterial))
		Expect(tries(s.near, material32(1), kms.Import{ValidTo: in(day)})).To(Succeed())
		Expect(s.near.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
	})

	It("is back with what it had when it is deleted and applied again, and follows", func() {
		s := newImportedSet("shop", material32(1))
		s.importAll(material32(2), fresh)
		buryNamed(s.near)
		update(s.primary, annotate(s.primary, "now"))
		settled(s.primary)
		Expect(s.primary.Status.KeyMaterials).To(HaveLen(2))
		s.near = environment.KMSKey(namespace, "shop-eu", of("shop", abroad), func(k *v1alpha1.KMSKey) { k.Spec.Origin = v1alpha1.KeyOriginExternal })
		relisted(s.primary)
		create(s.near)
		s.settle()
		Expect(states(s.near)).To(Equal([]v1alpha1.KeyMaterialState{v1alpha1.KeyMaterialNonCurrent, v1alpha1.KeyMaterialCurrent}))
		s.agreeOnImports()
	})

	It("holds its primary also without material", func() {
		primary := external("shop", replicated(abroad))
		replica := external("shop-eu", of("shop", abroad))
		deleting(primary)
		reconcile(primary)
		Expect(condition(primary, v1alpha1.ConditionDeletionBlocked).Message).To(ContainSubstring("shop-eu"))
		buryNamed(replica)
		pass(primary)
		gone(primary)
	})
})

// agreeOnImports checks that all keys of a set are of use and open what any has encrypted.
func (s set) agreeOnImports() {
	GinkgoHelper()
	for _, k := range s.all() {
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled), k.Name)
		Expect(materialIDs(k)).To(Equal(materialIDs(s.primary)), k.Name)
		Expect(currentID(k)).To(Equal(currentID(s.primary)), k.Name)
		Expect(bytesStored(k.Name)).To(HaveLen(len(k.Status.KeyMaterials)), k.Name)
		Expect(materialsOf(k.Name)).To(HaveLen(len(k.Status.KeyMaterials)), "an Envelope was lost or left over")
		blob := encrypted(k)
		for _, other := range s.all() {
			Expect(opens(other, blob)).To(Succeed(), "%s by %s", k.Name, other.Name)
		}
	}
}

var _ = Describe("New material of a multi-Region key", func() {
	It("is rotated to when each replica has it, too, and then by all of them", func() {
		s := newImportedSet("shop", material32(1))
		old := encrypted(s.far)
		Expect(tries(s.near, material32(2), fresh)).To(MatchError(kms.ErrNewAtPrimary))
		Expect(tries(s.near, material32(2), kms.Import{})).To(MatchError(kms.ErrIncorrectMaterial), "the primary is first")
		bring(s.primary, material32(2), fresh)
		s.settle()
		Expect(s.near.Status.KeyMaterials).To(HaveLen(1), "what waits there is nothing here")
		Expect(s.near.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
		update(s.primary, annotate(s.primary, "now"))
		bring(s.near, material32(2), kms.Import{})
		s.settle()
		Expect(condition(s.primary, v1alpha1.ConditionReady)).To(And(HaveField("Reason", v1alpha1.ReasonPendingImport),
			HaveField("Message", And(ContainSubstring("replicas in "+farther+" lack"), Not(ContainSubstring(abroad))))))
		Expect(s.primary.Status.OnDemandRotations).To(BeZero())
		Expect(states(s.near)[1]).To(Equal(v1alpha1.KeyMaterialPendingRotation))

		bring(s.far, material32(2), kms.Import{Type: v1alpha1.ImportTypeExisting})
		reconcile(s.primary)
		Expect(states(s.primary)).To(Equal([]v1alpha1.KeyMaterialState{v1alpha1.KeyMaterialNonCurrent, v1alpha1.KeyMaterialCurrent}))
		blob := encrypted(s.primary)
		Expect(states(s.near)[1]).To(Equal(v1alpha1.KeyMaterialPendingRotation))
		Expect(opens(s.near, blob)).To(Succeed(), "there is no moment in which what one encrypts the other does not open")
		Expect(opens(s.primary, encrypted(s.near))).To(Succeed())
		s.settle()
		for _, k := range s.all() {
			Expect(k.Status.OnDemandRotations).To(Equal(int32(1)), k.Name)
			Expect(k.Status.KeyMaterials[1].Import.RotationTime).To(Equal(s.primary.Status.KeyMaterials[1].Import.RotationTime))
			Expect(opens(k, old)).To(Succeed())
			Expect(readyReason(k)).To(Equal(v1alpha1.ReasonSucceeded))
		}
		s.agreeOnImports()
	})

	It("is imported one after the other into a replica whose controller has not looked meanwhile", func() {
		s := newImportedSet("shop", material32(1))
		for i := byte(2); i < 4; i++ {
			s.importAll(material32(i), fresh) // the replicas follow by the import itself
			update(s.primary, annotate(s.primary, string('0'+rune(i))))
			settled(s.primary)
			Expect(s.primary.Status.KeyMaterials).To(HaveLen(int(i)))
		}
		s.settle()
		s.agreeOnImports()
	})

	It("is taken away from the replicas when it is deleted at the primary, at once, and from one alone when it is deleted there", func() {
		s := newImportedSet("shop", material32(1))
		s.importAll(material32(2), fresh)
		id := s.primary.Status.KeyMaterials[1].ID
		without(s.near, id)
		s.settle()
		Expect([]int{len(s.primary.Status.KeyMaterials), len(s.near.Status.KeyMaterials), len(s.far.Status.KeyMaterials)}).To(Equal([]int{2, 1, 2}))
		bring(s.near, material32(2), kms.Import{})
		without(s.primary, id)
		for _, k := range s.all() {
			Expect(bytesStored(k.Name)).To(HaveLen(1), k.Name)
		}
		s.settle()
		s.agreeOnImports()
		s.importAll(material32(3), fresh)
		update(s.primary, annotate(s.primary, "now"))
		s.settle()
		s.agreeOnImports()
	})

	It("that expires at the primary waits in no replica, and that expires at a replica is awaited there", func() {
		s := newImportedSet("shop", material32(1))
		bring(s.primary, material32(2), fresh)
		bring(s.near, material32(2), kms.Import{ValidTo: in(time.Hour)})
		bring(s.far, material32(2), kms.Import{})
		env.Clock.Advance(time.Hour)
		update(s.primary, annotate(s.primary, "now"))
		reconcile(s.primary)
		Expect(condition(s.primary, v1alpha1.ConditionReady).Message).To(ContainSubstring("replicas in "+abroad+" lack"), "also before that one's controller has looked")
		bring(s.primary, material32(2), kms.Import{ValidTo: in(time.Hour)})
		env.Clock.Advance(time.Hour)
		s.settle()
		for _, k := range s.all() {
			Expect(k.Status.KeyMaterials).To(HaveLen(1), k.Name)
			Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
		}
	})

	It("is awaited of a replica that comes later, and of none that is being deleted, which waits for it when it is had back", func() {
		s := newImportedSet("shop", material32(1))
		bring(s.primary, material32(2), fresh)
		bring(s.near, material32(2), kms.Import{})
		awaited := func() []string {
			GinkgoHelper()
			regions, err := env.Services.KMS.AwaitedReplicas(ctx, s.primary)
			Expect(err).NotTo(HaveOccurred())
			return regions
		}
		Expect(awaited()).To(Equal([]string{farther}))
		update(s.far, func() { s.far.Spec.Deletion = &v1alpha1.KeyDeletion{Scheduled: true} })
		Expect(awaited()).To(BeEmpty())
		update(s.primary, annotate(s.primary, "now"))
		s.settle()
		Expect(s.primary.Status.KeyMaterials[1].State).To(Equal(v1alpha1.KeyMaterialCurrent))
		update(s.far, func() { s.far.Spec.Deletion = nil })
		s.settle()
		Expect(s.far.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingImport))
		Expect(materialIDs(s.far)).To(Equal(materialIDs(s.primary)))
		bring(s.far, material32(2), kms.Import{})
		s.settle()
		s.agreeOnImports()
	})

	It("whose Envelope a replica has lost is to be imported there once more when the primary was rotated to it", func() {
		s := newImportedSet("shop", material32(1))
		s.importAll(material32(2), fresh)
		lose(s.near, 1)
		update(s.primary, annotate(s.primary, "now"))
		s.settle()
		Expect(s.near.Status.KeyState).To(Equal(v1alpha1.KeyStatePendingImport))
		bring(s.near, material32(2), kms.Import{})
		s.settle()
		s.agreeOnImports()
	})

	It("is not rotated to while two claim to be the primary", func() {
		s := newImportedSet("shop", material32(1))
		s.importAll(material32(2), fresh)
		update(s.near, func() { s.near.Spec.ReplicaOf = nil })
		update(s.primary, annotate(s.primary, "now"))
		reconcile(s.primary)
		Expect(readyReason(s.primary)).To(Equal(v1alpha1.ReasonNameConflict))
		Expect(s.primary.Status.OnDemandRotations).To(BeZero())
	})

	It("that a replica was rotated to by itself is told, and nothing of it is taken away", func() {
		s := newImportedSet("shop", material32(1))
		update(s.near, func() { s.near.Spec.ReplicaOf = nil })
		bring(s.near, material32(2), fresh)
		update(s.primary, func() {
			s.primary.Spec.ReplicaRegions = nil
			s.primary.Spec.ReplicaOf = &v1alpha1.PrimaryKey{Name: "shop-eu", Region: abroad}
		})
		update(s.near, annotate(s.near, "now"))
		settled(s.near)
		Expect(s.near.Status.OnDemandRotations).To(Equal(int32(1)))
		blob := encrypted(s.near)
		update(s.near, func() { s.near.Spec.ReplicaOf = &v1alpha1.PrimaryKey{Name: "shop", Region: environment.Region} })
		update(s.primary, func() {
			s.primary.Spec.ReplicaOf = nil
			replicated(abroad, farther)(s.primary)
		})
		s.settle()
		Expect(readyReason(s.near)).To(Equal(v1alpha1.ReasonConflict))
		Expect(opens(s.near, blob)).To(Succeed())
		Expect(bytesStored("shop-eu")).To(HaveLen(2))
	})
})
