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
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/sealing"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

// lose takes the Envelope of a key material away, and gives it back by what it returns.
func lose(k *v1alpha1.KMSKey, material int) (giveBack func()) {
	GinkgoHelper()
	for _, e := range materialsOf(k.Name) {
		if e.Spec.Version == k.Status.KeyMaterials[material].ID {
			remove(e.DeepCopy())
			return func() {
				GinkgoHelper()
				create(&v1alpha1.Envelope{ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Name}, Spec: e.Spec})
			}
		}
	}
	Fail("there is no such material")
	return nil
}

func anything(*v1alpha1.KMSKey) error { return nil }

var _ = Describe("A change of the primary", func() {
	rotated := func(k *v1alpha1.KMSKey, value string) {
		GinkgoHelper()
		update(k, annotate(k, value))
		reconcile(k)
	}

	It("that cannot bring a former material to the new one is ended by the controller, which says why, and is made when it can", func() {
		primary := made("shop", replicated(abroad))
		rotated(primary, "a")
		rotated(primary, "b")
		giveBack := lose(primary, 1)
		replica := made("shop-eu", of("shop", abroad))
		s := set{primary, replica, replica}
		update(primary, func() { s.begin(&primary.ObjectMeta) })
		env.DrainEvents()
		reconcile(primary)
		Expect(kms.IsReplica(primary)).To(BeFalse())
		Expect(kms.Updating(primary)).To(BeFalse(), "it does not wait for ever")
		refresh(replica)
		seen(replica)
		Expect(kms.Updating(replica)).To(BeFalse())
		for range 2 { // as long as that is so
			failed := condition(primary, v1alpha1.ConditionPrimaryUpdateFailed)
			Expect(failed).To(And(HaveField("Status", metav1.ConditionTrue), HaveField("Reason", v1alpha1.ReasonEnvelopeMissing)))
			Expect(failed.Message).To(ContainSubstring("KMSKey shop-eu cannot take the place of KMSKey shop"))
			Expect(failed.Message).To(ContainSubstring(storeName(primary.Status.ARN, primary.Status.KeyMaterials[1].Sequence)), "it says which Envelope")
			reconcile(primary)
			reconcile(replica)
		}
		Expect(env.DrainEvents()).To(ContainElement(ContainSubstring(v1alpha1.ConditionPrimaryUpdateFailed)))
		unlocks(replica, sealedBy(primary, "x"), "x")

		giveBack()
		reconcile(primary)
		Expect(condition(primary, v1alpha1.ConditionPrimaryUpdateFailed)).To(BeNil())
		reconcile(replica)
		Expect(env.Services.KMS.UpdatePrimary(ctx, primary, replica, anything)).To(Succeed())
		refresh(replica)
		Expect(kms.IsReplica(replica)).To(BeFalse())
		Expect(replica.Status.KeyMaterials).To(HaveLen(3))
	})

	It("that was ended at its last step but one gives the former primary what it had, the replica among it", func() {
		s := newSet("shop")
		rotated(s.primary, "a")
		lose(s.primary, 1)
		update(s.primary, func() { // it has yielded, and its status was set forward, or the new one's back
			s.begin(&s.primary.ObjectMeta)
			s.primary.Spec.Rotation, s.primary.Spec.ReplicaRegions = nil, nil
			s.primary.Spec.ReplicaOf = &v1alpha1.PrimaryKey{Name: s.near.Name, Region: abroad}
		})
		reconcile(s.primary)
		Expect(kms.IsReplica(s.primary)).To(BeFalse(), "a key that lacks what another has encrypts under nothing new")
		Expect(kms.Updating(s.primary)).To(BeFalse())
		Expect(s.primary.Spec.Rotation).To(Equal(&v1alpha1.KeyRotation{Enabled: true, PeriodInDays: 90}))
		Expect(s.primary.Spec.ReplicaRegions).To(ConsistOf(
			v1alpha1.KeyReplicaRegion{Region: farther, Name: "shop-far"}, v1alpha1.KeyReplicaRegion{Region: abroad, Name: "shop-eu"}))
	})

	It("does not put off the rotation: a replica has since when it is on, and goes on from there as the primary", func() {
		s := newSet("shop")
		s.settle()
		since, next := s.primary.Status.RotationEnabledTime, s.primary.Status.NextRotationTime
		Expect(since).NotTo(BeNil())
		Expect(s.near.Status).To(And(HaveField("RotationEnabledTime.Time", BeTemporally("==", since.Time)), HaveField("NextRotationTime", BeNil())))
		env.Clock.Advance(30 * 24 * time.Hour)
		Expect(env.Services.KMS.UpdatePrimary(ctx, s.primary, s.near, anything)).To(Succeed())
		s.settle()
		Expect(kms.IsReplica(s.near)).To(BeFalse())
		Expect(s.near.Status.RotationEnabledTime.Time).To(BeTemporally("==", since.Time))
		Expect(s.near.Status.NextRotationTime.Time).To(BeTemporally("~", next.Time, 2*time.Hour))
	})

	It("that is over is not made again by a process that wakes up late", func() {
		s := newSet("shop")
		update(s.primary, func() { s.begin(&s.primary.ObjectMeta) })
		late := s.primary.DeepCopy()
		s.settle()
		Expect(s.primaries()).To(Equal([]string{s.near.Name}))
		Expect(env.Services.KMS.AdvancePrimary(ctx, late)).To(Succeed())
		Expect(s.primaries()).To(Equal([]string{s.near.Name}), "it is what it was")

		Expect(env.Services.KMS.UpdatePrimary(ctx, s.near, s.primary, anything)).To(Succeed())
		s.settle()
		Expect(s.primaries()).To(Equal([]string{s.primary.Name}))
		former := []string{s.primary.ResourceVersion, s.far.ResourceVersion}
		Expect(env.Services.KMS.AdvancePrimary(ctx, late)).To(Succeed())
		s.settle()
		Expect(s.primaries()).To(Equal([]string{s.primary.Name}), "there would be none")
		Expect([]string{s.primary.ResourceVersion, s.far.ResourceVersion}).To(Equal(former), "nothing is written")
		Expect(s.near.Annotations).NotTo(HaveKey(v1alpha1.PrimaryUpdateAnnotation))
		Expect(s.far.Spec.ReplicaOf.Name).To(Equal(s.primary.Name))
		s.agree()
	})

	It("goes to its end when the former primary is deleted in the middle of it, whichever write it died at, and the key goes as the replica that it then is", func() {
		faulty, writes := env.Faulty()
		for _, after := range []bool{false, true} {
			for n := 1; n <= 9; n++ {
				s := newSet(fmt.Sprintf("shop-%d-%t", n, after))
				blob := sealedBy(s.primary, "x")
				update(s.primary, func() { s.begin(&s.primary.ObjectMeta) })
				writes.FailAt(n, after)
				_, err := faulty.KMSKey.Reconcile(ctx, environment.Request(s.primary))
				if err == nil {
					continue // there are not so many writes
				}
				Expect(err).To(MatchError(environment.ErrInjected), fmt.Sprint(writes.Log()))
				deleting(s.primary)
				for range 3 { // the pass that ends the change, and that which lets it go
					pass(s.primary)
					if apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(s.primary), s.primary)) {
						break
					}
					seen(s.primary)
				}
				gone(s.primary)
				for range 2 {
					for _, k := range []*v1alpha1.KMSKey{s.near, s.far} {
						refresh(k)
						seen(k)
						reconcile(k)
					}
				}
				Expect(kms.IsReplica(s.near)).To(BeFalse(), "%d %t", n, after)
				Expect(s.far.Spec.ReplicaOf).To(Equal(&v1alpha1.PrimaryKey{Name: s.near.Name, Region: abroad}))
				Expect(s.near.Spec.Rotation).To(Equal(&v1alpha1.KeyRotation{Enabled: true, PeriodInDays: 90}))
				for _, k := range []*v1alpha1.KMSKey{s.near, s.far} {
					Expect(k.Annotations).NotTo(HaveKey(v1alpha1.PrimaryUpdateAnnotation), k.Name)
					Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
					unlocks(k, blob, "x")
				}
			}
		}
	})

	It("goes to its end when the new primary is deleted that is it already, and its replicas hold it", func() {
		s := newSet("shop")
		update(s.primary, func() {
			s.begin(&s.primary.ObjectMeta)
			s.primary.Spec.Rotation, s.primary.Spec.ReplicaRegions = nil, nil
			s.primary.Spec.ReplicaOf = &v1alpha1.PrimaryKey{Name: s.near.Name, Region: abroad}
		})
		update(s.near, func() {
			s.near.Spec.ReplicaOf = nil
			s.near.Spec.ReplicaRegions = []v1alpha1.KeyReplicaRegion{{Region: environment.Region, Name: "shop"}, {Region: farther, Name: "shop-far"}}
		})
		deleting(s.near)
		s.settle()
		Expect(s.primaries()).To(Equal([]string{s.near.Name}))
		Expect(s.far.Spec.ReplicaOf.Name).To(Equal(s.near.Name))
		Expect(condition(s.near, v1alpha1.ConditionDeletionBlocked).Message).To(ContainSubstring("2 KMSKeys are replicas of this key"))
	})
})

var _ = Describe("A value that is sealed for multi-Region keys", func() {
	It("is opened by a key that can be used, and by the primary rather than by a replica", func() {
		primary := made("shop", replicated(abroad))
		replica := made("shop-eu", of("shop", abroad))
		public, err := sealing.ParsePublicKey(primary.Status.SealingPublicKey)
		Expect(err).NotTo(HaveOccurred())
		text, err := public.Seal(sealing.Scope{Account: arn.DeriveAccount(namespace), Region: environment.Region, Kind: "Secret", Name: "db"}, secretbytes.Own([]byte("x")))
		Expect(err).NotTo(HaveOccurred())
		opens := func() string {
			GinkgoHelper()
			k, err := env.Services.KMS.SealedFor(ctx, namespace, text)
			Expect(err).NotTo(HaveOccurred())
			return k.Name
		}
		Expect(opens()).To(Equal("shop"))
		no := false
		update(primary, func() { primary.Spec.Enabled = &no })
		reconcile(primary)
		Expect(opens()).To(Equal("shop-eu"))
		Expect(kms.CheckUsable(replica, keys.Decrypt)).To(Succeed())
		update(replica, func() { replica.Spec.Enabled = &no })
		reconcile(replica)
		Expect(opens()).To(Equal("shop"), "which then says that it is disabled")
	})
})
