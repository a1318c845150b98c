package iam_test

import (
	"errors"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/service/iam"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("An access key", func() {
	It("is its user, with the secret that was handed out", func() {
		u := made(&v1alpha1.IAMUser{ObjectMeta: meta("alice"), Spec: v1alpha1.IAMUserSpec{
			Name: "Alice", Path: "/team/", AccessKeys: []v1alpha1.AccessKey{{Name: "first"}},
			Permissions: v1alpha1.Permissions{Tags: []v1alpha1.Tag{{Key: "Team", Value: "shop"}}},
		}})
		c, err := service.Credential(ctx, keyOf(u), "")
		Expect(err).NotTo(HaveOccurred())
		handed := &corev1.Secret{}
		Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKey{Namespace: u.Namespace, Name: "alice-first"}, handed)).To(Succeed())
		Expect(c.Secret.Reveal()).To(Equal(handed.Data[iam.SecretAccessKeyEntry]))
		Expect(*c.Identity).To(Equal(iam.Identity{
			Type: iam.TypeIAMUser, Principal: c.Identity.Principal, Namespace: u.Namespace, UserID: u.Status.UniqueID, Name: "Alice",
			AccessKeyID: keyOf(u), Tags: map[string][]string{"team": {"shop"}},
		}))
		Expect(c.Identity.Principal.ARN).To(Equal("arn:aws:iam::" + account + ":user/team/Alice"))
		Expect(c.Identity.Principal.Account).To(Equal(account))
		Expect(may(c.Identity, "iam:GetUser")).To(Equal("implicitDeny"))
	})

	DescribeTable("is nobody's that is", func(id, token string) { refused(service, id, token, iam.ErrUnknownAccessKey) },
		Entry("empty", "", ""),
		Entry("shorter than a prefix", "AK", ""),
		Entry("not there", "AKIAAAAAAAAAAAAAAAAA", ""),
		Entry("longer than any", "AKIA"+strings.Repeat("A", 200), ""),
		Entry("a user's, with a token", "AKIAAAAAAAAAAAAAAAAA", "token"),
		Entry("a session's, without a token", "ASIAAAAAAAAAAAAAAAAA", ""),
		Entry("a session's, with no token of ours", "ASIAAAAAAAAAAAAAAAAA", "bm90IG91cnM="),
		Entry("a session's, with a token over the limit", "ASIAAAAAAAAAAAAAAAAA", strings.Repeat("A", iam.MaximumToken+4)),
		Entry("of another prefix", "AROAAAAAAAAAAAAAAAAA", ""),
	)

	// Each ends it with the next request, though a minute has not passed, and on a replica that never saw it.
	DescribeTable("is refused from the next request on when", func(end func(u *v1alpha1.IAMUser)) {
		u := user("alice", inline(allowGet))
		id := keyOf(u)
		Expect(may(caller(id, ""), "iam:GetUser")).To(Equal("allowed"))
		remembered, _ := service.Cache.Len()
		Expect(remembered).To(Equal(1))
		end(u)
		refused(service, id, "", iam.ErrUnknownAccessKey)
		refused(replica(), id, "", iam.ErrUnknownAccessKey)
		remembered, _ = service.Cache.Len()
		Expect(remembered).To(Equal(0), "and forgotten")
	},
		Entry("it is inactive", func(u *v1alpha1.IAMUser) {
			world.Update(u, func() { u.Spec.AccessKeys[0].Inactive = true })
		}),
		Entry("it is taken out of spec, before the controller has seen it", func(u *v1alpha1.IAMUser) {
			world.Update(u, func() { u.Spec.AccessKeys = nil })
		}),
		Entry("it is revoked", func(u *v1alpha1.IAMUser) {
			world.Update(u, func() { u.Spec.AccessKeys = nil })
			pass(u)
		}),
		Entry("another of the same name took its place", func(u *v1alpha1.IAMUser) {
			world.Update(u, func() { u.Spec.AccessKeys = nil })
			pass(u)
			world.Update(u, func() { u.Spec.AccessKeys = []v1alpha1.AccessKey{{Name: "first"}} })
			pass(u)
		}),
		Entry("its user's deletion has begun", func(u *v1alpha1.IAMUser) {
			Expect(world.ControlPlane.Client.Delete(ctx, u)).To(Succeed())
			world.Refresh(u)
			world.Seen(u)
		}),
		Entry("its user was made again under its name", func(u *v1alpha1.IAMUser) {
			world.Update(u, func() { u.Finalizers = nil })
			world.Remove(u)
			user("alice", inline(allowGet))
		}),
		Entry("its Envelope is gone", func(*v1alpha1.IAMUser) {
			for _, e := range world.Envelopes(v1alpha1.EnvelopeAccessKey) {
				world.Remove(&e)
			}
		}),
		Entry("its user's status is lost", func(u *v1alpha1.IAMUser) {
			u.Status = v1alpha1.IAMUserStatus{}
			Expect(world.ControlPlane.Client.Status().Update(ctx, u)).To(Succeed())
			world.Seen(u)
		}),
	)

	It("works again when it is active again", func() {
		u := user("alice", inline(allowGet))
		world.Update(u, func() { u.Spec.AccessKeys[0].Inactive = true })
		refused(service, keyOf(u), "", iam.ErrUnknownAccessKey)
		world.Update(u, func() { u.Spec.AccessKeys[0].Inactive = false })
		Expect(caller(keyOf(u), "").Name).To(Equal("alice"))
	})

	It("ends with its namespace's account id, within a second", func() {
		u := user("alice", inline(allowGet))
		Expect(caller(keyOf(u), "").Principal.Account).To(Equal(account))
		ns := environment.NamespaceObject()
		ns.Name = world.Namespace
		world.Update(ns, func() { ns.Labels = map[string]string{v1alpha1.AccountIDLabel: "000000000042"} })
		world.Clock.Advance(time.Second + time.Millisecond)
		refused(service, keyOf(u), "", iam.ErrUnknownAccessKey)
		world.Update(ns, func() { delete(ns.Labels, v1alpha1.AccountIDLabel) })
		world.Clock.Advance(time.Second + time.Millisecond)
		Expect(caller(keyOf(u), "").Name).To(Equal("alice"))
	})

	It("does not open if its Envelope is another's, and that is a failure and not a refusal", func() {
		u := user("alice", inline(allowGet))
		e := world.Envelopes(v1alpha1.EnvelopeAccessKey)[0]
		world.Exchange(&e, func(by *v1alpha1.Envelope) { by.Spec.Ciphertext[len(by.Spec.Ciphertext)-1] ^= 1 })
		_, err := service.Credential(ctx, keyOf(u), "")
		Expect(err).To(HaveOccurred())
		Expect(errors.Is(err, iam.ErrUnknownAccessKey)).To(BeFalse())
	})

	It("waits for the keyring, and is remembered no longer than it is unsealed", func() {
		u := user("alice", inline(allowGet))
		caller(keyOf(u), "")
		unseal := world.Seal(errors.New("the root is gone"))
		refused(service, keyOf(u), "", keyring.ErrSealed)
		unseal()
		Expect(caller(keyOf(u), "").Name).To(Equal("alice"))
	})
})

var _ = Describe("What is remembered of a credential", func() {
	It("is the same identity as long as nothing changes, and for a minute at most", func() {
		u := user("alice", inline(allowGet))
		first := caller(keyOf(u), "")
		Expect(caller(keyOf(u), "")).To(BeIdenticalTo(first))
		policy("unrelated", allowGet)
		Expect(caller(keyOf(u), "")).To(BeIdenticalTo(first))
		world.Clock.Advance(time.Minute + time.Second)
		Expect(caller(keyOf(u), "")).NotTo(BeIdenticalTo(first))
	})

	It("goes when it is too old, and when the process ends", func() {
		u := user("alice", inline(allowGet))
		caller(keyOf(u), "")
		service.Cache.Expire()
		remembered, _ := service.Cache.Len()
		Expect(remembered).To(Equal(1))
		world.Clock.Advance(time.Minute + time.Second)
		service.Cache.Expire()
		credentials, documents := service.Cache.Len()
		Expect([]int{credentials, documents}).To(Equal([]int{0, 1}), "compiled policies last longer")
		caller(keyOf(u), "")
		service.Cache.Clear()
		credentials, documents = service.Cache.Len()
		Expect([]int{credentials, documents}).To(Equal([]int{0, 0}))
	})

	It("is nothing while a policy is not there, since nothing tells when it comes", func() {
		u := user("alice", managed("later"))
		Expect(may(caller(keyOf(u), ""), "iam:GetUser")).To(Equal("explicitDeny"))
		remembered, _ := service.Cache.Len()
		Expect(remembered).To(Equal(0))
		policy("later", allowGet)
		Expect(may(caller(keyOf(u), ""), "iam:GetUser")).To(Equal("allowed"))
	})
})
