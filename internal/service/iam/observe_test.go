package iam_test

import (
	"context"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/iam"
	"strongroom.dev/strongroom/test/environment"
)

// looks counts what is read of a service's cache.
type looks struct {
	client.Client
	n atomic.Int64
}

func (l *looks) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	l.n.Add(1)
	return l.Client.Get(ctx, key, obj, opts...)
}

var _ = Describe("A cache that is told of changes", func() {
	var (
		observed *iam.Service
		read     *looks
	)
	BeforeEach(func() {
		read = &looks{Client: world.Services.IAM.Client} // which tells the operator's own cache what is written through it
		s := *world.Services.IAM
		s.Client = read
		observed = &s
	})
	// settled is a user's key that was looked at after the last change.
	settled := func(policies v1alpha1.IdentityPolicies, groups ...string) *v1alpha1.IAMUser {
		u := user("alice", policies, groups...)
		Eventually(func(g Gomega) {
			before := read.n.Load()
			_, err := observed.Credential(ctx, keyOf(u), "")
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(read.n.Load()).To(Equal(before), "nothing was looked at")
		}, "10s", "1ms").Should(Succeed())
		return u
	}
	decision := func(id string) func() string {
		return func() string {
			c, err := observed.Credential(ctx, id, "")
			if err != nil {
				return err.Error()
			}
			return may(c.Identity, "iam:GetUser")
		}
	}

	It("answers a thousand requests without a look at user, policies, group and Envelope, and each costs one where it is not told", func() {
		policy("read", allowGet)
		group("readers", managed("read"))
		u := settled(managed("read"), "readers")
		before := read.n.Load()
		for range 1000 {
			Expect(decision(keyOf(u))()).To(Equal("allowed"))
		}
		Expect(read.n.Load()).To(Equal(before))

		untold := *observed
		untold.Cache = iam.NewCache(world.Clock.Now)
		for range 2 {
			_, err := untold.Credential(ctx, keyOf(u), "")
			Expect(err).NotTo(HaveOccurred())
		}
		before = read.n.Load()
		_, err := untold.Credential(ctx, keyOf(u), "")
		Expect(err).NotTo(HaveOccurred())
		Expect(read.n.Load()-before).To(BeNumerically(">=", 4), "user, Envelope, group and policy")
	})

	DescribeTable("hears of a change that somebody else makes to", func(change func(u *v1alpha1.IAMUser), want string) {
		policy("read", allowGet)
		group("readers", v1alpha1.IdentityPolicies{})
		u := settled(managed("read"), "readers")
		Expect(decision(keyOf(u))()).To(Equal("allowed"))
		change(u)
		Eventually(decision(keyOf(u)), "10s", "1ms").Should(Equal(want))
	},
		Entry("the user", func(u *v1alpha1.IAMUser) {
			world.Update(u, func() { u.Spec.AccessKeys[0].Inactive = true })
		}, iam.ErrUnknownAccessKey.Error()),
		Entry("a managed policy", func(*v1alpha1.IAMUser) {
			p := &v1alpha1.IAMPolicy{ObjectMeta: meta("read")}
			world.Refresh(p)
			world.Update(p, func() { p.Spec.Document = document(denyGet) })
		}, "explicitDeny"),
		Entry("a group", func(*v1alpha1.IAMUser) {
			g := &v1alpha1.IAMGroup{ObjectMeta: meta("readers")}
			world.Refresh(g)
			world.Update(g, func() { g.Spec.IdentityPolicies = inline(denyGet) })
		}, "explicitDeny"),
		Entry("the key's Envelope", func(*v1alpha1.IAMUser) {
			for _, e := range world.Envelopes(v1alpha1.EnvelopeAccessKey) {
				world.Remove(&e)
			}
		}, iam.ErrUnknownAccessKey.Error()),
		Entry("the namespace's account id, a second later", func(*v1alpha1.IAMUser) {
			ns := environment.NamespaceObject()
			ns.Name = world.Namespace
			world.Update(ns, func() { ns.Labels = map[string]string{v1alpha1.AccountIDLabel: "000000000077"} })
			world.Clock.Advance(time.Second + time.Millisecond)
		}, iam.ErrUnknownAccessKey.Error()),
	)

	It("hears of a role's change for its sessions", func() {
		r := role("deployer", inline(allowGet))
		issued, err := observed.IssueSession(ctx, &iam.SessionRequest{Role: r, Name: "one", Duration: time.Hour})
		Expect(err).NotTo(HaveOccurred())
		decided := func() string {
			c, err := observed.Credential(ctx, issued.AccessKeyID, issued.Token)
			if err != nil {
				return err.Error()
			}
			return may(c.Identity, "iam:GetUser")
		}
		Eventually(decided, "10s", "1ms").Should(Equal("allowed"))
		world.Update(r, func() { r.Spec.IdentityPolicies = inline(denyGet) })
		Eventually(decided, "10s", "1ms").Should(Equal("explicitDeny"))
		world.Remove(r)
		Eventually(decided, "10s", "1ms").Should(Equal(iam.ErrUnknownAccessKey.Error()))
	})

	It("has what the service itself writes in force with the next request, a hundred times in a row", func() {
		u := settled(inline(allowGet))
		for i := range 100 {
			text, want := denyGet, "explicitDeny"
			if i%2 == 1 {
				text, want = allowGet, "allowed"
			}
			Expect(iam.Change(ctx, observed, u, func(live *v1alpha1.IAMUser) error {
				live.Spec.Policies = inline(text).Policies
				return nil
			})).To(Succeed())
			Expect(decision(keyOf(u))()).To(Equal(want), "write %d", i)
		}
		Expect(iam.Delete(ctx, observed, u)).To(Succeed())
		Expect(decision(keyOf(u))()).To(Equal(iam.ErrUnknownAccessKey.Error()))
	})

	It("is not disturbed by the Envelopes of secrets, which change all the time", func() {
		u := settled(inline(allowGet))
		world.ReadyKey("busy")
		Expect(world.Envelopes(v1alpha1.EnvelopeKeyMaterial)).NotTo(BeEmpty())
		before := read.n.Load()
		Consistently(decision(keyOf(u)), "200ms", "5ms").Should(Equal("allowed"))
		Expect(read.n.Load()).To(Equal(before))
	})
})
