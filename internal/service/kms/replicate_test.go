package kms_test

import (
	"context"
	"errors"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

// interleaved is a client that does something before or after its n-th patch, once.
type interleaved struct {
	client.Client
	patches, at   int
	before, after func()
}

func (i *interleaved) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	i.patches++
	now := i.patches == i.at
	if now && i.before != nil {
		i.before()
	}
	err := i.Client.Patch(ctx, obj, patch, opts...)
	if now && i.after != nil {
		i.after()
	}
	return err
}

func always(*v1alpha1.KMSKey) error { return nil }

func multiRegionPrimary(name string) *v1alpha1.KMSKey {
	GinkgoHelper()
	return world.ReadyKey(name, func(k *v1alpha1.KMSKey) { k.Spec.MultiRegion = true })
}

// replicaIn makes a replica, and the pass that brings it its material.
func replicaIn(primary *v1alpha1.KMSKey, region string) *v1alpha1.KMSKey {
	GinkgoHelper()
	made, err := service().Replicate(ctx, primary, region, v1alpha1.KMSKeySpec{}, always)
	Expect(err).NotTo(HaveOccurred())
	made = made.DeepCopy()
	world.ReconcileKey(made)
	world.Refresh(made)
	world.Refresh(primary)
	world.Seen(primary)
	return made
}

func keysOf() (names []string) {
	GinkgoHelper()
	var list v1alpha1.KMSKeyList
	Expect(world.ControlPlane.Client.List(ctx, &list, client.InNamespace(world.Namespace))).To(Succeed())
	for _, k := range list.Items {
		names = append(names, k.Name)
	}
	return names
}

// goes checks that a KMSKey is being deleted, and makes the pass that lets it go.
func goes(name string) {
	GinkgoHelper()
	key := &v1alpha1.KMSKey{}
	Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKey{Namespace: world.Namespace, Name: name}, key)).To(Succeed())
	Expect(key.DeletionTimestamp).NotTo(BeNil())
	world.Seen(key)
	_, err := world.KMSKey.Reconcile(ctx, environment.Request(key))
	Expect(err).NotTo(HaveOccurred())
	Expect(keysOf()).To(Equal([]string{"shop"}))
}

var _ = Describe("A key that is replicated", func() {
	const there = environment.OtherRegion

	It("by a request that is cancelled leaves no replica that the primary does not name", func() {
		primary := multiRegionPrimary("shop")
		cancelled, cancel := context.WithCancel(ctx)
		s := service(func(s *kms.Service) { s.Client = &interleaved{Client: s.Client, at: 1, before: cancel} })
		_, err := s.Replicate(cancelled, primary, there, v1alpha1.KMSKeySpec{}, always)
		Expect(err).To(MatchError(context.Canceled))
		goes("shop-" + there)
		replicaIn(primary, there)
		Expect(keysOf()).To(ConsistOf("shop", "shop-"+there), "who asks again gets it, by its name")
	})

	It("by a request that is cancelled when its last write is done has the replica that the primary names", func() {
		primary := multiRegionPrimary("shop")
		cancelled, cancel := context.WithCancel(ctx)
		s := service(func(s *kms.Service) { s.Client = &interleaved{Client: s.Client, at: 1, after: cancel} })
		_, err := s.Replicate(cancelled, primary, there, v1alpha1.KMSKeySpec{}, always)
		Expect(err).To(HaveOccurred())
		world.Refresh(primary)
		Expect(kms.Lists(primary, there, "shop-"+there)).To(BeTrue())
		Expect(keysOf()).To(ConsistOf("shop", "shop-"+there))
	})

	It("while its state changes has no replica", func() {
		primary := multiRegionPrimary("shop")
		refused, asked := errors.New("refused"), 0
		_, err := service().Replicate(ctx, primary, there, v1alpha1.KMSKeySpec{}, func(*v1alpha1.KMSKey) error {
			if asked++; asked > 1 {
				return refused
			}
			return nil
		})
		Expect(err).To(MatchError(refused))
		goes("shop-" + there)
	})

	It("has a replica of its origin", func() {
		primary := environment.KMSKey(world.Namespace, "shop", func(k *v1alpha1.KMSKey) { k.Spec.MultiRegion, k.Spec.Origin = true, v1alpha1.KeyOriginExternal })
		world.Create(primary)
		world.ReconcileKey(primary)
		world.Refresh(primary)
		Expect(replicaIn(primary, there).Spec.Origin).To(Equal(v1alpha1.KeyOriginExternal))
	})
})

var _ = Describe("A change of the primary, while others change its list,", func() {
	const there, farther = environment.OtherRegion, environment.ThirdRegion

	// changes makes the change, with something done to the former primary before its n-th patch.
	changes := func(n int, do func(primary *v1alpha1.KMSKey)) (primary, replica *v1alpha1.KMSKey, done bool, err error) {
		GinkgoHelper()
		primary = multiRegionPrimary(fmt.Sprint("shop-", n))
		replica = replicaIn(primary, there)
		s := service(func(s *kms.Service) {
			s.Client = &interleaved{Client: s.Client, at: n, before: func() {
				defer GinkgoRecover()
				now := primary.DeepCopy()
				world.Refresh(now)
				if kms.IsReplica(now) {
					return // it has no list any more
				}
				do(now)
				err := world.ControlPlane.Client.Update(ctx, now)
				Expect(client.IgnoreNotFound(err)).To(Succeed())
				done = err == nil
			}}
		})
		err = s.UpdatePrimary(ctx, primary, replica, always)
		world.Refresh(primary)
		world.Refresh(replica)
		return primary, replica, done, err
	}

	It("gives the new one each region that was listed meanwhile, and the rotation", func() {
		times := 0
		for n := 1; n <= 5; n++ {
			primary, replica, done, err := changes(n, func(k *v1alpha1.KMSKey) {
				k.Spec.ReplicaRegions = append(k.Spec.ReplicaRegions, v1alpha1.KeyReplicaRegion{Region: farther, Name: "third"})
				k.Spec.Rotation = &v1alpha1.KeyRotation{Enabled: true, PeriodInDays: 100}
			})
			Expect(err).NotTo(HaveOccurred(), fmt.Sprint(n))
			Expect(kms.IsReplica(primary)).To(BeTrue())
			Expect(kms.IsReplica(replica)).To(BeFalse())
			Expect(kms.Replicates(replica, environment.Region, primary)).To(BeTrue())
			Expect(kms.Lists(replica, farther, "third")).To(Equal(done), "before write %d", n)
			Expect(replica.Spec.Rotation != nil).To(Equal(done))
			Expect([]bool{kms.Updating(primary), kms.Updating(replica)}).To(Equal([]bool{false, false}))
			if done {
				times++
			}
		}
		Expect(times).To(BeNumerically(">=", 3), "there are that many writes before the former one is a replica")
	})

	It("is ended when the new one is listed no more, and leaves the primary what it is", func() {
		times := 0
		for n := 1; n <= 5; n++ {
			primary, replica, done, err := changes(n, func(k *v1alpha1.KMSKey) { k.Spec.ReplicaRegions = nil })
			if !done {
				Expect(err).NotTo(HaveOccurred())
				continue
			}
			times++
			Expect(err).To(MatchError(kms.ErrPrimaryStays), "before write %d", n)
			Expect(kms.IsReplica(primary)).To(BeFalse())
			Expect(kms.IsReplica(replica)).To(BeTrue())
			Expect(primary.Spec.ReplicaRegions).To(BeEmpty())
			Expect(kms.Updating(primary)).To(BeFalse())
			world.Seen(primary)
			world.ReconcileKey(replica)
			world.Refresh(replica)
			Expect(kms.Updating(replica)).To(BeFalse())
		}
		Expect(times).To(BeNumerically(">=", 3))
	})

	It("is made anew by what the primary has when its annotation says less, as after a crash", func() {
		primary := multiRegionPrimary("shop")
		replica := replicaIn(primary, there)
		third := replicaIn(primary, farther)
		world.Update(primary, func() {
			primary.Annotations = map[string]string{v1alpha1.PrimaryUpdateAnnotation: `{"from":"shop","to":"` + replica.Name + `"}`}
		})
		Expect(service().AdvancePrimary(ctx, primary)).To(Succeed())
		world.Refresh(replica)
		Expect(kms.IsReplica(replica)).To(BeFalse())
		Expect(kms.Replicates(replica, farther, third)).To(BeTrue())
	})

	It("that is never let alone ends with an error, and is gone on with later", func() {
		primary := multiRegionPrimary("shop")
		replica := replicaIn(primary, there)
		busy := &meddler{do: func(obj client.Object) {
			defer GinkgoRecover()
			if obj.GetName() != replica.Name {
				return
			}
			now := primary.DeepCopy()
			world.Refresh(now)
			now.Spec.Rotation = &v1alpha1.KeyRotation{Enabled: true, PeriodInDays: 90 + int32(now.Generation)}
			Expect(world.ControlPlane.Client.Update(ctx, now)).To(Succeed())
		}}
		s := service(func(s *kms.Service) { busy.Client = s.Client; s.Client = busy })
		Expect(s.UpdatePrimary(ctx, primary, replica, always)).To(MatchError(ContainSubstring("all the time")))
		world.Refresh(primary)
		Expect(kms.IsReplica(primary)).To(BeFalse())
		Expect(service().AdvancePrimary(ctx, primary)).To(Succeed())
		world.Refresh(replica)
		Expect(kms.IsReplica(replica)).To(BeFalse())
		Expect(replica.Spec.Rotation).NotTo(BeNil())
	})
})

// meddler is a client that does something before each of its patches.
type meddler struct {
	client.Client
	do func(client.Object)
}

func (m *meddler) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	m.do(obj)
	return m.Client.Patch(ctx, obj, patch, opts...)
}
