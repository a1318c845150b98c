package iam_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/iam"
)

const (
	allowed  = "allowed"
	implicit = "implicitDeny"
	explicit = "explicitDeny"
)

// Each change counts for the next request of a credential that is remembered, and for a replica that knows nothing.
var _ = Describe("What a user may do changes with the next request when", func() {
	decides := func(u *v1alpha1.IAMUser, want string) {
		GinkgoHelper()
		Expect(may(caller(keyOf(u), ""), "iam:GetUser")).To(Equal(want))
		fresh, err := replica().Credential(ctx, keyOf(u), "")
		Expect(err).NotTo(HaveOccurred())
		Expect(may(fresh.Identity, "iam:GetUser")).To(Equal(want))
	}

	It("its own policies do", func() {
		u := user("alice", inline(allowOther))
		decides(u, implicit)
		world.Update(u, func() { u.Spec.IdentityPolicies = inline(allowGet) })
		decides(u, allowed)
		world.Update(u, func() { u.Spec.IdentityPolicies = inline(malformed) })
		decides(u, explicit)
		world.Update(u, func() { u.Spec.IdentityPolicies = inline(denyGet) })
		decides(u, explicit)
		world.Update(u, func() { u.Spec.IdentityPolicies = v1alpha1.IdentityPolicies{} })
		decides(u, implicit)
	})

	It("a managed policy does, or is attached, or goes and comes back", func() {
		p := policy("get", allowGet)
		u := user("alice", v1alpha1.IdentityPolicies{})
		decides(u, implicit)
		world.Update(u, func() { u.Spec.IdentityPolicies = managed("get") })
		decides(u, allowed)
		world.Update(p, func() { p.Spec.Document = document(allowOther) })
		decides(u, implicit)
		world.Update(p, func() { p.Spec.Document = document(malformed) })
		decides(u, explicit)
		world.Update(p, func() { p.Spec.Document = document(allowGet) })
		decides(u, allowed)
		world.Remove(p)
		decides(u, explicit)
		policy("get", allowGet)
		decides(u, allowed)
	})

	It("its boundary does", func() {
		p := policy("limit", allowGet)
		u := user("alice", v1alpha1.IdentityPolicies{ManagedPolicyARNs: []string{readOnly}})
		decides(u, allowed)
		world.Update(u, func() { u.Spec.PermissionsBoundary = managed("limit").ManagedPolicyARNs[0] })
		decides(u, allowed)
		world.Update(p, func() { p.Spec.Document = document(allowOther) })
		decides(u, implicit)
		world.Update(p, func() { p.Spec.Document = document(malformed) })
		decides(u, explicit)
		world.Remove(p)
		decides(u, explicit)
		world.Update(u, func() { u.Spec.PermissionsBoundary = "" })
		decides(u, allowed)
	})

	It("it joins or leaves a group, or the group's policies change, before any controller has seen it", func() {
		g := &v1alpha1.IAMGroup{ObjectMeta: meta("readers"), Spec: v1alpha1.IAMGroupSpec{IdentityPolicies: inline(allowGet)}}
		world.Create(g)
		u := user("alice", inline(allowOther))
		decides(u, implicit)
		world.Update(u, func() { u.Spec.Groups = []string{"readers"} })
		decides(u, allowed)
		Expect(may(caller(keyOf(u), ""), "kms:Encrypt")).To(Equal(allowed), "its own policies count too")
		world.Update(g, func() { g.Spec.IdentityPolicies = inline(denyGet) })
		decides(u, explicit)
		world.Update(g, func() { g.Spec.IdentityPolicies = inline(malformed) })
		decides(u, explicit)
		Expect(may(caller(keyOf(u), ""), "kms:Encrypt")).To(Equal(explicit), "a malformed policy denies everything")
		world.Update(g, func() { g.Spec.IdentityPolicies = managed("get") })
		Expect(may(caller(keyOf(u), ""), "kms:Encrypt")).To(Equal(explicit), "and so does one that is not there")
		p := policy("get", allowGet)
		decides(u, allowed)
		world.Update(p, func() { p.Spec.Document = document(allowOther) })
		decides(u, implicit)
		world.Update(u, func() { u.Spec.Groups = nil })
		decides(u, implicit)
	})

	It("a group of its goes and comes back", func() {
		u := user("alice", inline(allowGet), "readers")
		decides(u, explicit)
		g := group("readers", v1alpha1.IdentityPolicies{})
		decides(u, allowed)
		world.Remove(g)
		decides(u, explicit)
		group("readers", inline(allowGet))
		decides(u, allowed)
	})

	It("an older group has the name of its group, which then is in force for nobody", func() {
		older := group("a", v1alpha1.IdentityPolicies{})
		g := group("readers", inline(allowGet))
		u := user("alice", v1alpha1.IdentityPolicies{}, "readers")
		decides(u, allowed)
		world.Update(older, func() { older.Spec.Name = "Readers" })
		pass(g)
		decides(u, explicit)
		world.Update(older, func() { older.Spec.Name = "" })
		decides(u, allowed)
	})

	It("a version of a managed policy is made the default", func() {
		p := policy("get", allowOther)
		u := user("alice", managed("get"))
		decides(u, implicit)
		version, err := service.CreatePolicyVersion(ctx, p, document(allowGet), false)
		Expect(err).NotTo(HaveOccurred())
		decides(u, implicit)
		Expect(service.SetDefaultPolicyVersion(ctx, p, version.VersionID)).To(Succeed())
		world.Refresh(p)
		world.Seen(p)
		decides(u, allowed)
	})
})

var _ = Describe("Who is meant by an ARN", func() {
	It("is a user with its groups, a role, or a group alone, and nobody of another account", func() {
		group("readers", inline(allowGet))
		u := user("alice", inline(allowOther), "readers")
		r := role("shop", inline(allowGet))
		for of, want := range map[string][2]string{
			u.Status.ARN: {allowed, allowed}, r.Status.ARN: {allowed, implicit}, "arn:aws:iam::" + account + ":group/readers": {allowed, implicit},
		} {
			who, err := service.IdentityOf(ctx, world.Namespace, of)
			Expect(err).NotTo(HaveOccurred())
			Expect(who).NotTo(BeNil(), of)
			Expect(who.Principal.ARN).To(Equal(of))
			Expect(who.Principal.Account).To(Equal(account))
			Expect([2]string{may(who, "iam:GetUser"), may(who, "kms:Encrypt")}).To(Equal(want), of)
			Expect(service.IdentityOf(ctx, "default", of)).To(BeNil())
		}
		for _, of := range []string{"", "arn:aws:iam::" + account + ":group/none", "arn:aws:iam::" + account + ":user/none"} {
			Expect(service.IdentityOf(ctx, world.Namespace, of)).To(BeNil())
		}
	})
})

var _ = Describe("A role's trust policy", func() {
	It("is compiled, absent or malformed, and told so", func() {
		r := role("shop", v1alpha1.IdentityPolicies{})
		Expect(service.TrustPolicy(r)).To(BeNil())
		trust := document(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"*"},"Action":"sts:AssumeRole"}}`)
		world.Update(r, func() { r.Spec.AssumeRolePolicy = &trust })
		Expect(service.TrustPolicy(r)).NotTo(BeNil())
		trust = document(malformed)
		world.Update(r, func() { r.Spec.AssumeRolePolicy = &trust })
		_, err := service.TrustPolicy(r)
		Expect(err).To(MatchError(iam.ErrMalformedTrust))
		Expect(err).To(MatchError(ContainSubstring(world.Namespace + "/shop")))
	})
})
