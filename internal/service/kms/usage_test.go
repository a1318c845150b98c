package kms_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/service/kms"
)

var _ = Describe("When keys were used last", func() {
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	// replica is one of several processes, with a memory of its own.
	replica := func() *kms.Service {
		return service(func(s *kms.Service) { s.Usages = kms.NewUsages(start) })
	}
	use := func(s *kms.Service, key *v1alpha1.KMSKey, after time.Duration) {
		s.Used(key, kms.Usage{Operation: keys.Decrypt, Time: start.Add(after), EventID: after.String(), RequestID: "r"})
	}

	It("is written once for many uses, and not for each", func() {
		key, s := world.ReadyKey("key"), replica()
		for n := range 50 {
			use(s, key, time.Duration(n)*time.Second)
		}
		before := key.ResourceVersion
		Expect(s.WriteUsages(ctx, false)).To(Succeed())
		world.Refresh(key)
		world.Seen(key)
		Expect(key.ResourceVersion).NotTo(Equal(before))
		Expect(*key.Status.LastUsage).To(HaveField("EventID", "49s"))
		Expect(key.Status.LastUsage.Operation).To(Equal(v1alpha1.KeyOperation("Decrypt")))
		written := key.ResourceVersion
		use(s, key, time.Minute)
		Expect(s.WriteUsages(ctx, false)).To(Succeed())
		world.Refresh(key)
		Expect(key.ResourceVersion).To(Equal(written), "half of the interval is not over")
		Expect(s.WriteUsages(ctx, true)).To(Succeed())
		world.Refresh(key)
		world.Seen(key)
		Expect(key.Status.LastUsage.EventID).To(Equal("1m0s"), "a process that ends writes what it knows")
		world.ReconcileKey(key)
		Expect(key.Status.LastUsage.EventID).To(Equal("1m0s"), "the controller leaves it")
	})

	It("is the latest of all replicas, in whatever order they write", func() {
		key, one, two := world.ReadyKey("key"), replica(), replica()
		use(one, key, 2*time.Hour)
		use(two, key, time.Hour)
		Expect(one.WriteUsages(ctx, true)).To(Succeed())
		Expect(two.WriteUsages(ctx, true)).To(Succeed())
		world.Refresh(key)
		world.Seen(key)
		Expect(key.Status.LastUsage.EventID).To(Equal("2h0m0s"))
		last, _ := two.LastUsage(key)
		Expect(last.EventID).To(Equal("2h0m0s"))
	})

	It("survives a write of somebody else's at the same moment", func() {
		key, s := world.ReadyKey("key"), replica()
		stale := key.DeepCopy()
		world.Rotate(key, "now")
		use(s, key, time.Hour)
		s.Reader = lagging{s.Reader, stale}
		Expect(s.WriteUsages(ctx, false)).To(Succeed())
		world.Refresh(key)
		Expect(key.Status.LastUsage).NotTo(BeNil())
		Expect(key.Status.KeyMaterials).To(HaveLen(2), "what the other has written stays")
	})

	It("is forgotten with the key, and not written to another of its name", func() {
		key, s := world.ReadyKey("key"), replica()
		use(s, key, time.Hour)
		other := key.DeepCopy()
		other.UID = "another"
		use(s, other, 2*time.Hour)
		Expect(s.WriteUsages(ctx, true)).To(Succeed())
		world.Refresh(key)
		Expect(key.Status.LastUsage.EventID).To(Equal("1h0m0s"))
	})

	It("goes on after a failure, which is told, and is written the next time", func() {
		key, s := world.ReadyKey("key"), replica()
		use(s, key, time.Hour)
		reader := s.Reader
		s.Reader = deaf{reader}
		Expect(s.WriteUsages(ctx, false)).To(MatchError(ContainSubstring("noting the last use of KMSKey " + world.Namespace + "/key")))
		s.Reader = reader
		Expect(s.WriteUsages(ctx, false)).To(Succeed())
		world.Refresh(key)
		Expect(key.Status.LastUsage).NotTo(BeNil())
	})

	It("is written by a writer at intervals, and when it ends", func() {
		key, s := world.ReadyKey("key"), replica()
		w := &kms.UsageWriter{Service: s, Log: GinkgoLogr, Interval: 20 * time.Millisecond}
		Expect(w.NeedLeaderElection()).To(BeFalse())
		running, stop := context.WithCancel(ctx)
		ended := make(chan error)
		go func() { ended <- w.Start(running) }()
		use(s, key, time.Hour)
		Eventually(func() *v1alpha1.KeyLastUsage {
			world.Refresh(key)
			return key.Status.LastUsage
		}).ShouldNot(BeNil())
		world.Seen(key)
		use(s, key, time.Hour+time.Minute)
		stop()
		Expect(<-ended).To(Succeed())
		world.Refresh(key)
		Expect(key.Status.LastUsage.EventID).To(Equal("1h1m0s"))
	})
})

// lagging is a cache that has not seen the last write of a key.
type lagging struct {
	client.Reader
	key *v1alpha1.KMSKey
}

func (b lagging) Get(ctx context.Context, name client.ObjectKey, into client.Object, options ...client.GetOption) error {
	if key, ok := into.(*v1alpha1.KMSKey); ok && name == client.ObjectKeyFromObject(b.key) {
		b.key.DeepCopyInto(key)
		return nil
	}
	return b.Reader.Get(ctx, name, into, options...)
}
