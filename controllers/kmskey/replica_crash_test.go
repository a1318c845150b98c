package kmskey_test

import (
	"encoding/json"
	"fmt"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

// set is a primary with two replicas.
type set struct{ primary, near, far *v1alpha1.KMSKey }

func (s set) all() []*v1alpha1.KMSKey { return []*v1alpha1.KMSKey{s.primary, s.near, s.far} }

func newSet(name string) set {
	GinkgoHelper()
	return set{
		primary: made(name, replicated(abroad, farther), func(k *v1alpha1.KMSKey) {
			k.Spec.Rotation = &v1alpha1.KeyRotation{Enabled: true, PeriodInDays: 90}
		}),
		near: made(name+"-eu", of(name, abroad)),
		far:  made(name+"-far", of(name, farther)),
	}
}

// begin writes on an object that the near replica is being made the primary.
func (s set) begin(on *metav1.ObjectMeta) {
	GinkgoHelper()
	text, err := json.Marshal(kms.PrimaryUpdate{
		From: s.primary.Name, To: s.near.Name, Rotation: s.primary.Spec.Rotation,
		ReplicaRegions: []v1alpha1.KeyReplicaRegion{{Region: farther, Name: s.far.Name}, {Region: environment.Region, Name: s.primary.Name}},
	})
	Expect(err).NotTo(HaveOccurred())
	metav1.SetMetaDataAnnotation(on, v1alpha1.PrimaryUpdateAnnotation, string(text))
}

// settle makes passes over all keys of a set until none writes.
func (s set) settle() {
	GinkgoHelper()
	for range 8 {
		var before, after []string
		for _, k := range s.all() {
			refresh(k)
			seen(k)
			before = append(before, k.ResourceVersion)
		}
		for _, k := range s.all() {
			reconcile(k)
		}
		for _, k := range s.all() {
			refresh(k)
			seen(k)
			after = append(after, k.ResourceVersion)
		}
		if slices.Equal(before, after) {
			return
		}
	}
	Fail("it does not settle")
}

// agree checks that all keys of a set have the same materials, and open what any has encrypted.
func (s set) agree() {
	GinkgoHelper()
	for _, k := range s.all() {
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled), k.Name)
		Expect(materialIDs(k)).To(Equal(materialIDs(s.primary)), k.Name)
		Expect(currentID(k)).To(Equal(currentID(s.primary)), k.Name)
		Expect(materialsOf(k.Name)).To(HaveLen(len(k.Status.KeyMaterials)), "an Envelope was lost or left over")
		blob := sealedBy(k, k.Name)
		for _, other := range s.all() {
			unlocks(other, blob, k.Name)
		}
	}
}

// primaries are the keys of a set that are a primary.
func (s set) primaries() (names []string) {
	for _, k := range s.all() {
		refresh(k)
		if !kms.IsReplica(k) {
			names = append(names, k.Name)
		}
	}
	return names
}

var _ = Describe("A manager that dies at any write of multi-Region keys", func() {
	It("gives a replica each of its primary's materials once", func() {
		faulty, writes := env.Faulty()
		for _, after := range []bool{false, true} {
			for n, want := range []string{"patch", "status", "create", "create", "status"} {
				name := fmt.Sprintf("dies-%d-%t", n, after)
				primary := made(name, replicated(abroad))
				update(primary, annotate(primary, "now"))
				reconcile(primary)
				blob := sealedBy(primary, "x")
				replica := environment.KMSKey(namespace, name+"-eu", of(name, abroad))
				create(replica)
				writes.FailAt(n+1, after)
				_, err := faulty.KMSKey.Reconcile(ctx, environment.Request(replica))
				Expect(err).To(MatchError(environment.ErrInjected))
				Expect(writes.Log()[n]).To(Equal(want))
				refresh(replica)
				seen(replica)
				settled(replica)
				Expect(replica.Status.KeyMaterials).To(Equal(primary.Status.KeyMaterials))
				Expect(materialsOf(replica.Name)).To(HaveLen(2), "an Envelope was lost or left over")
				unlocks(replica, blob, "x")
			}
		}
	})

	It("has one primary at most at each moment of a change of it, and one in the end, with all that the former one had", func() {
		faulty, writes := env.Faulty()
		for _, after := range []bool{false, true} {
			for n := 1; n <= 10; n++ {
				s := newSet(fmt.Sprintf("shop-%d-%t", n, after))
				update(s.primary, annotate(s.primary, "now"))
				reconcile(s.primary) // the replicas do not have the last material yet
				blob := sealedBy(s.primary, "x")
				update(s.primary, func() { s.begin(&s.primary.ObjectMeta) })
				writes.FailAt(n, after)
				_, err := faulty.KMSKey.Reconcile(ctx, environment.Request(s.primary))
				Expect(err).To(MatchError(environment.ErrInjected), fmt.Sprint(writes.Log()))
				Expect(len(s.primaries())).To(BeNumerically("<=", 1))
				for _, k := range s.all() {
					unlocks(k, blob, "x")
				}
				s.settle()
				Expect(s.primaries()).To(Equal([]string{s.near.Name}))
				Expect(s.near.Spec.Rotation).To(Equal(&v1alpha1.KeyRotation{Enabled: true, PeriodInDays: 90}))
				Expect(kms.Replicates(s.near, environment.Region, s.primary) && kms.Replicates(s.near, farther, s.far)).To(BeTrue())
				Expect(s.far.Spec.ReplicaOf).To(Equal(&v1alpha1.PrimaryKey{Name: s.near.Name, Region: abroad}))
				Expect(s.primary.Spec.ReplicaOf).To(Equal(&v1alpha1.PrimaryKey{Name: s.near.Name, Region: abroad}))
				Expect(s.primary.Spec.Rotation).To(BeNil())
				for _, k := range s.all() {
					Expect(k.Annotations).NotTo(HaveKey(v1alpha1.PrimaryUpdateAnnotation), k.Name)
				}
				s.agree()

				update(s.near, annotate(s.near, "again"))
				s.settle()
				Expect(s.near.Status.KeyMaterials).To(HaveLen(3))
				s.agree()
			}
		}
	})

	It("leaves the primary what it was when the key that was to be it is gone", func() {
		s := newSet("shop")
		buryNamed(s.near)
		update(s.primary, func() {
			s.begin(&s.primary.ObjectMeta)
			s.primary.Spec.ReplicaOf = &v1alpha1.PrimaryKey{Name: s.near.Name, Region: abroad}
			s.primary.Spec.Rotation, s.primary.Spec.ReplicaRegions = nil, nil
		})
		s.near = s.far
		s.settle()
		Expect(kms.IsReplica(s.primary)).To(BeFalse())
		Expect(s.primary.Spec.Rotation).To(Equal(&v1alpha1.KeyRotation{Enabled: true, PeriodInDays: 90}))
		Expect(s.primary.Spec.ReplicaRegions).To(Equal([]v1alpha1.KeyReplicaRegion{{Region: farther, Name: "shop-far"}}))
		Expect(s.primary.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
	})

	It("takes no material into the index of a key whose primary is changing, which its successor would not have", func() {
		s := newSet("shop")
		_, err := env.Services.KMS.CreateMaterial(ctx, s.primary, s.primary.Status.KeyID, s.primary.Status.ARN, 2, v1alpha1.RotationOnDemand, nil)
		Expect(err).NotTo(HaveOccurred()) // a pass made it, and lost its commit to the annotation
		Expect(env.Services.KMS.UpdatePrimary(ctx, s.primary, s.near, func(*v1alpha1.KMSKey) error { return nil })).To(Succeed())
		s.settle()
		Expect(s.primaries()).To(Equal([]string{s.near.Name}))
		for _, k := range s.all() {
			Expect(currentID(k)).To(Equal(s.near.Status.KeyMaterials[0].ID), "what was never committed encrypts nothing")
		}
		update(s.near, annotate(s.near, "now"))
		s.settle()
		for _, k := range s.all() {
			blob := sealedBy(k, k.Name)
			for _, other := range s.all() {
				unlocks(other, blob, k.Name)
			}
			Expect(currentID(k)).To(Equal(currentID(s.near)))
		}
	})
})
