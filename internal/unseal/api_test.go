package unseal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/internal/unseal"
)

var _ = Describe("Many managers that start at once", func() {
	It("make one root and one domain key, and all have the same keyring", func(ctx SpecContext) {
		const managers = 12
		var all []*unseal.Unsealer
		until, stop := context.WithCancel(ctx)
		defer stop()
		start := make(chan struct{})
		failures := make(chan error, managers)
		var running sync.WaitGroup
		for range managers {
			u := newUnsealer()
			all = append(all, u)
			running.Go(func() { <-start; failures <- u.Start(until) }) // who is overtaken in between may need another attempt
		}
		close(start)
		for _, u := range all {
			Eventually(u.Holder.Unsealed()).Should(BeClosed())
		}
		stop()
		running.Wait()
		for range managers {
			Expect(<-failures).To(Succeed())
		}
		for _, u := range all[1:] {
			Expect(digestOf(u)).To(Equal(digestOf(all[0])))
		}
		secrets, domainKeys := stored(ctx)
		Expect(secrets).To(HaveLen(1))
		Expect(domainKeys).To(HaveLen(1))
		Expect(domainKeys[0].Spec.Class).To(Equal(v1alpha1.EnvelopeDomainKey))
		Expect(domainKeys[0].Spec.Sequence).To(Equal(int64(1)))
	})

	It("do not depend on who was faster at which of the two writes", func(ctx SpecContext) {
		// The one makes the root, and before it makes the domain key the other has done all of its work.
		first, second := newUnsealer(), newUnsealer()
		overtaken := &hooked{Client: cp.Client, before: func(obj client.Object) {
			if _, ok := obj.(*v1alpha1.Envelope); ok {
				Expect(second.Unseal(ctx)).To(Succeed())
			}
		}}
		first.Client = overtaken
		Expect(first.Unseal(ctx)).To(Succeed())
		Expect(overtaken.creates).To(Equal(2))
		Expect(digestOf(first)).To(Equal(digestOf(second)))
		_, domainKeys := stored(ctx)
		Expect(domainKeys).To(HaveLen(1))
	})
})

// hooked is the real client, with something done just before each creation.
type hooked struct {
	client.Client
	before  func(client.Object)
	creates int
}

func (h *hooked) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	h.creates++
	h.before(obj)
	return h.Client.Create(ctx, obj, opts...)
}

var _ = Describe("The root Secret", func() {
	It("is 32 random bytes under one key, and cannot be changed", func(ctx SpecContext) {
		Expect(newUnsealer().Unseal(ctx)).To(Succeed())
		root := rootSecret()
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(root), root)).To(Succeed())
		Expect(root.Data).To(HaveLen(1))
		Expect(root.Data["root"]).To(HaveLen(32))
		Expect(root.Data["root"]).NotTo(Equal(make([]byte, 32)))
		root.Data["root"][0] ^= 1
		Expect(apierrors.IsInvalid(cp.Client.Update(ctx, root))).To(BeTrue(), "an immutable Secret was changed")
	})

	It("is never in an Envelope, nor is a domain key in the clear", func(ctx SpecContext) {
		random := bytes.Repeat([]byte("CANARY-1"), 64)
		u := newUnsealer()
		u.Random = bytes.NewReader(random)
		Expect(u.Unseal(ctx)).To(Succeed())
		_, domainKeys := stored(ctx)
		Expect(domainKeys).To(HaveLen(1))
		Expect(fmt.Sprintf("%+v", domainKeys[0])).NotTo(ContainSubstring("CANARY"))
		Expect(bytes.Contains(domainKeys[0].Spec.Ciphertext, []byte("CANARY"))).To(BeFalse())
	})

	DescribeTable("that somebody made of another form leaves everything sealed and makes no key under it",
		func(ctx SpecContext, data map[string][]byte, says string) {
			root := rootSecret()
			root.Data = data
			Expect(cp.Client.Create(ctx, root)).To(Succeed())
			u := newUnsealer()
			err := u.Unseal(ctx)
			Expect(err).To(MatchError(keyring.ErrSealed))
			Expect(err).To(MatchError(And(ContainSubstring(says), ContainSubstring(own+"/strongroom-root"), ContainSubstring("restore"))))
			_, err = u.Holder.Get()
			Expect(err).To(MatchError(keyring.ErrSealed))
			secrets, domainKeys := stored(ctx)
			Expect(domainKeys).To(BeEmpty())
			Expect(secrets).To(HaveLen(1))
			Expect(secrets[0].Data).To(HaveLen(len(data)), "the Secret was changed")
		},
		Entry("no data", map[string][]byte{}, "has 0 bytes, not 32"),
		Entry("empty", map[string][]byte{"root": {}}, "has 0 bytes, not 32"),
		Entry("a byte short", map[string][]byte{"root": make([]byte, 31)}, "has 31 bytes, not 32"),
		Entry("a byte long", map[string][]byte{"root": make([]byte, 33)}, "has 33 bytes, not 32"),
		Entry("as hex", map[string][]byte{"root": bytes.Repeat([]byte("a"), 64)}, "has 64 bytes, not 32"),
		Entry("under another key", map[string][]byte{"key": make([]byte, 32)}, "has 0 bytes, not 32"),
	)

	It("that is missing while there are domain keys is not replaced, and everything goes on when it comes back", func(ctx SpecContext) {
		before := newUnsealer()
		Expect(before.Unseal(ctx)).To(Succeed())
		root := rootSecret()
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(root), root)).To(Succeed())
		Expect(cp.Client.Delete(ctx, rootSecret())).To(Succeed())

		u := newUnsealer()
		attempts := make(chan struct{}, 1000)
		u.Live = &counting{Reader: cp.Client, lists: attempts}
		stop, cancel := context.WithCancel(ctx)
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- u.Start(stop) }()
		for range 5 { // it goes on trying
			Eventually(attempts).Should(Receive())
		}
		_, err := u.Holder.Get()
		Expect(err).To(MatchError(And(ContainSubstring("is missing"), ContainSubstring("restore it from a backup"))))
		secrets, domainKeys := stored(ctx)
		Expect(secrets).To(BeEmpty(), "a new root was made")
		Expect(domainKeys).To(HaveLen(1))
		Expect(ended).NotTo(Receive())

		waiting := u.Holder.Unsealed()
		root.ResourceVersion, root.UID = "", ""
		Expect(cp.Client.Create(ctx, root)).To(Succeed())
		Eventually(waiting).Should(BeClosed())
		Expect(ended).NotTo(Receive(), "it looks after the keyring")
		cancel()
		Eventually(ended).Should(Receive(BeNil()))
		Expect(digestOf(u)).To(Equal(digestOf(before)))
		protected, message := u.Protection()
		Expect(protected).To(BeFalse())
		Expect(message).To(ContainSubstring(own + "/strongroom-root"))
	})

	It("of another installation is told from a damaged domain key", func(ctx SpecContext) {
		Expect(newUnsealer().Unseal(ctx)).To(Succeed())
		Expect(cp.Client.Delete(ctx, rootSecret())).To(Succeed())
		root := rootSecret()
		root.Data = map[string][]byte{"root": bytes.Repeat([]byte{7}, 32)}
		Expect(cp.Client.Create(ctx, root)).To(Succeed())
		u := newUnsealer()
		Expect(u.Unseal(ctx)).To(MatchError(keyring.ErrOtherRoot))
		_, message := u.Protection()
		Expect(message).To(BeEmpty(), "a root that opens nothing is not in use")
	})
})

// counting is the real reader, and tells of each list.
type counting struct {
	client.Reader
	lists chan struct{}
}

func (c *counting) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	c.lists <- struct{}{}
	return c.Reader.List(ctx, list, opts...)
}

var _ = Describe("Domain keys", func() {
	It("are found among the namespace's other Envelopes, and a damaged one seals everything", func(ctx SpecContext) {
		before := newUnsealer()
		Expect(before.Unseal(ctx)).To(Succeed())
		_, domainKeys := stored(ctx)
		other := domainKeys[0].DeepCopy()
		other.ObjectMeta = metav1.ObjectMeta{Namespace: own, Name: "other"}
		other.Spec.Class = v1alpha1.EnvelopeTombstone
		Expect(cp.Client.Create(ctx, other)).To(Succeed())
		again := newUnsealer()
		Expect(again.Unseal(ctx)).To(Succeed())
		Expect(digestOf(again)).To(Equal(digestOf(before)))

		damaged := domainKeys[0].DeepCopy()
		damaged.ObjectMeta = metav1.ObjectMeta{Namespace: own, Name: "damaged"}
		damaged.Spec.Sequence = 2
		Expect(cp.Client.Create(ctx, damaged)).To(Succeed())
		Expect(newUnsealer().Unseal(ctx)).To(And(MatchError(keyring.ErrSealed), MatchError(ContainSubstring("epoch 2"))))
		Expect(cp.Client.Delete(ctx, damaged)).To(Succeed())
		Expect(newUnsealer().Unseal(ctx)).To(Succeed())
	})

	It("of all epochs are opened, and the newest wraps", func(ctx SpecContext) {
		Expect(newUnsealer().Unseal(ctx)).To(Succeed())
		u := newUnsealer()
		root := rootSecret()
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(root), root)).To(Succeed())
		second := secondDomainKey(ctx, root.Data["root"])
		Expect(cp.Client.Create(ctx, second)).To(Succeed())
		Expect(u.Unseal(ctx)).To(Succeed())
		ring, err := u.Holder.Get()
		Expect(err).NotTo(HaveOccurred())
		Expect(ring.CurrentEpoch()).To(Equal(int64(2)))
		Expect(ring.Epochs()).To(Equal([]int64{1, 2}))
	})
})

var _ = Describe("Unsealing that fails", func() {
	It("for want of random bytes makes neither half a root nor a weak one", func(ctx SpecContext) {
		for _, n := range []int{0, 31, 32, 31} {
			u := newUnsealer()
			u.Random = bytes.NewReader(bytes.Repeat([]byte{1}, n))
			Expect(u.Unseal(ctx)).NotTo(Succeed(), "%d bytes", n)
			secrets, domainKeys := stored(ctx)
			Expect(domainKeys).To(BeEmpty())
			for _, s := range secrets {
				Expect(s.Data["root"]).To(HaveLen(32))
			}
		}
	})

	It("is tried again until it is told to stop, and says why meanwhile", func(ctx SpecContext) {
		u := newUnsealer()
		cause := errors.New("the API server is away")
		u.Live = failing{cause}
		stop, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- u.Start(stop) }()
		Expect(u.Holder.AwaitAttempt(ctx)).To(Succeed())
		_, err := u.Holder.Get()
		Expect(err).To(And(MatchError(cause), MatchError(keyring.ErrSealed)))
		Consistently(ended, "100ms").ShouldNot(Receive())
		cancel()
		Eventually(ended, 5*time.Second).Should(Receive(BeNil()))
	})

	It("with a keyring of before leaves that in use until it is told", func(ctx SpecContext) {
		u := newUnsealer()
		Expect(u.Unseal(ctx)).To(Succeed())
		u.Live = failing{errors.New("away")}
		Expect(u.Unseal(ctx)).NotTo(Succeed())
		Expect(digestOf(u)).NotTo(BeEmpty())
	})
})

type failing struct{ err error }

func (f failing) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return f.err
}
func (f failing) List(context.Context, client.ObjectList, ...client.ListOption) error { return f.err }

// secondDomainKey is what a rotation of the domain key makes.
func secondDomainKey(ctx context.Context, root []byte) *v1alpha1.Envelope {
	GinkgoHelper()
	now := time.Now()
	made, err := keyring.NewDomainKey(ctx, keyring.NewSoftwareRoot(unseal.CoreSecretProvider, secretbytes.Copy(root)), 2, nil, now)
	Expect(err).NotTo(HaveOccurred())
	e := store.New(own, v1alpha1.EnvelopeDomainKey, v1alpha1.EnvelopeOwner{Kind: "Keyring", Name: "strongroom"}, unseal.Subject,
		versions.Version{ID: "epoch-2", Sequence: 2, Created: now}, "root:"+unseal.CoreSecretProvider)
	e.Spec.Ciphertext = made.Wrapped
	return e
}
