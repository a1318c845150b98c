package iam_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/service/iam"
)

var _ = Describe("A session of a role", func() {
	It("is all that was asked for, on every replica", func() {
		r := made(&v1alpha1.IAMRole{ObjectMeta: meta("shop"), Spec: v1alpha1.IAMRoleSpec{Permissions: v1alpha1.Permissions{
			IdentityPolicies: inline(allowGet), Tags: []v1alpha1.Tag{{Key: "Team", Value: "shop"}, {Key: "cost", Value: "1"}},
		}}})
		issued := session(r, func(q *iam.SessionRequest) {
			q.Tags, q.Transitive, q.SourceIdentity = map[string]string{"team": "other", "Job": "x"}, []string{"JOB"}, "alice"
		})
		Expect(issued.ARN).To(Equal("arn:aws:sts::" + account + ":assumed-role/shop/one"))
		Expect(issued.ID).To(Equal(r.Status.UniqueID + ":one"))
		c, err := replica().Credential(ctx, issued.AccessKeyID, issued.Token)
		Expect(err).NotTo(HaveOccurred())
		Expect(c.Secret.Reveal()).To(Equal(issued.Secret.Reveal()))
		id := c.Identity
		Expect(id.Type).To(Equal(iam.TypeAssumedRole))
		Expect(id.Principal.ARN).To(Equal(issued.ARN))
		Expect(id.Principal.RoleARN).To(Equal(r.Status.ARN))
		Expect([]string{id.UserID, id.Name, id.SessionName, id.AccessKeyID, id.SourceIdentity}).To(Equal([]string{issued.ID, "shop", "one", issued.AccessKeyID, "alice"}))
		Expect(id.Tags).To(Equal(map[string][]string{"team": {"other"}, "cost": {"1"}, "job": {"x"}}))
		Expect(id.TransitiveTags).To(Equal(map[string]string{"Job": "x"}))
		Expect(id.Issued).To(BeTemporally("==", world.Clock.Now().Truncate(time.Second)))
		Expect(id.Expires).To(BeTemporally("==", issued.Expires))
	})

	It("is over at its second, remembered or not, and not before", func() {
		issued := session(role("shop", inline(allowGet)), func(q *iam.SessionRequest) { q.Duration = 900 * time.Second })
		Expect(issued.Expires).To(BeTemporally("==", world.Clock.Now().Truncate(time.Second).Add(900*time.Second)))
		world.Clock.Set(issued.Expires.Add(-time.Nanosecond))
		caller(issued.AccessKeyID, issued.Token)
		world.Clock.Set(issued.Expires)
		refused(service, issued.AccessKeyID, issued.Token, iam.ErrExpiredToken)
		refused(replica(), issued.AccessKeyID, issued.Token, iam.ErrExpiredToken)
		world.Clock.Set(issued.Expires.Add(-time.Second))
		caller(issued.AccessKeyID, issued.Token)
	})

	It("is nobody's if its token was changed in any place, or is another's", func() {
		r := role("shop", inline(allowGet))
		issued, other := session(r), session(r)
		caller(issued.AccessKeyID, issued.Token)
		for at := 0; at < len(issued.Token); at += 7 {
			refused(service, issued.AccessKeyID, changed(issued.Token, at), iam.ErrUnknownAccessKey)
		}
		raw, err := base64.StdEncoding.DecodeString(issued.Token)
		Expect(err).NotTo(HaveOccurred())
		for name, token := range map[string]string{
			"cut":                     issued.Token[:len(issued.Token)-4],
			"longer":                  base64.StdEncoding.EncodeToString(append(raw[:len(raw):len(raw)], 0)),
			"with a line break":       issued.Token[:40] + "\n" + issued.Token[40:],
			"with a break at its end": issued.Token + "\r\n",
			"of another alphabet":     base64.URLEncoding.EncodeToString(raw) + "-",
			"of another session":      other.Token,
			"twice":                   issued.Token + issued.Token,
		} {
			refused(service, issued.AccessKeyID, token, iam.ErrUnknownAccessKey)
			By(name)
		}
		// A token that is remembered is good for its own access key alone.
		caller(other.AccessKeyID, other.Token)
		refused(service, issued.AccessKeyID, other.Token, iam.ErrUnknownAccessKey)
		caller(issued.AccessKeyID, issued.Token)
	})

	DescribeTable("ends with the next request when", func(end func(r *v1alpha1.IAMRole)) {
		r := role("shop", inline(allowGet))
		issued := session(r)
		caller(issued.AccessKeyID, issued.Token)
		end(r)
		refused(service, issued.AccessKeyID, issued.Token, iam.ErrUnknownAccessKey)
		refused(replica(), issued.AccessKeyID, issued.Token, iam.ErrUnknownAccessKey)
	},
		Entry("the role is deleted", func(r *v1alpha1.IAMRole) { world.Remove(r) }),
		Entry("the role is another of its name, with another UID", func(r *v1alpha1.IAMRole) {
			world.Remove(r)
			role("shop", inline(allowGet))
		}),
		Entry("the role's deletion has begun", func(r *v1alpha1.IAMRole) {
			world.Update(r, func() { r.Finalizers = []string{"example.com/held"} })
			Expect(world.ControlPlane.Client.Delete(ctx, r)).To(Succeed())
			world.Refresh(r)
			world.Seen(r)
			DeferCleanup(func() {
				r.Finalizers = nil
				Expect(world.ControlPlane.Client.Update(ctx, r)).To(Succeed())
			})
		}),
		Entry("the role's ARN is gone", func(r *v1alpha1.IAMRole) {
			r.Status = v1alpha1.IAMRoleStatus{}
			Expect(world.ControlPlane.Client.Status().Update(ctx, r)).To(Succeed())
			world.Seen(r)
		}),
	)

	It("may do what the role may now, and what its session policies let through of that", func() {
		r := role("shop", inline(allowOther))
		policy("only-get", allowGet)
		plain := session(r)
		limited := session(r, func(q *iam.SessionRequest) { q.Policy = allowGet })
		byARN := session(r, func(q *iam.SessionRequest) { q.PolicyARNs = managed("only-get").ManagedPolicyARNs })
		decide := func(s *iam.Session) [2]string {
			who := caller(s.AccessKeyID, s.Token)
			return [2]string{may(who, "iam:GetUser"), may(who, "kms:Encrypt")}
		}
		Expect(decide(plain)).To(Equal([2]string{implicit, allowed}))
		Expect(decide(limited)).To(Equal([2]string{implicit, implicit}))
		world.Update(r, func() { r.Spec.ManagedPolicyARNs = []string{readOnly} })
		Expect(decide(plain)).To(Equal([2]string{allowed, allowed}))
		Expect(decide(limited)).To(Equal([2]string{allowed, implicit}))
		Expect(decide(byARN)).To(Equal([2]string{allowed, implicit}))
		p := &v1alpha1.IAMPolicy{ObjectMeta: meta("only-get")}
		world.Update(p, func() { p.Spec.Document = document(malformed) })
		Expect(decide(byARN)).To(Equal([2]string{explicit, explicit}), "a session policy may have held a Deny")
		world.Remove(p)
		Expect(decide(byARN)).To(Equal([2]string{explicit, explicit}))
	})

	DescribeTable("is not made", func(want error, change func(*iam.SessionRequest)) {
		request := &iam.SessionRequest{Role: role("shop", inline(allowGet)), Name: "one", Duration: time.Hour}
		change(request)
		issued, err := service.IssueSession(ctx, request)
		Expect(err).To(MatchError(want))
		Expect(issued).To(BeNil())
	},
		Entry("with a malformed policy", iam.ErrSessionPolicy, func(q *iam.SessionRequest) { q.Policy = malformed }),
		Entry("with a policy over 2,048 characters", iam.ErrSessionPolicy, func(q *iam.SessionRequest) {
			q.Policy = allowGet + strings.Repeat(" ", iam.MaximumSessionPolicy-len(allowGet)+1)
		}),
		Entry("with a managed policy that is not there", iam.ErrSessionPolicy, func(q *iam.SessionRequest) { q.PolicyARNs = managed("none").ManagedPolicyARNs }),
		Entry("with eleven managed policies", iam.ErrSessionPolicy, func(q *iam.SessionRequest) {
			for range 11 {
				q.PolicyARNs = append(q.PolicyARNs, readOnly)
			}
		}),
		Entry("with 51 tags", iam.ErrPackedPolicyTooLarge, func(q *iam.SessionRequest) {
			q.Tags = map[string]string{}
			for i := range 51 {
				q.Tags[fmt.Sprint("k", i)] = ""
			}
		}),
		Entry("with tags that no token holds", iam.ErrPackedPolicyTooLarge, func(q *iam.SessionRequest) {
			q.Tags = map[string]string{}
			for i := range 50 {
				q.Tags[fmt.Sprintf("%0128d", i)] = strings.Repeat("v", 256)
			}
		}),
	)

	It("tells how much of a token it takes, in percent of the greatest", func() {
		r := role("shop", inline(allowGet))
		small, large := session(r), session(r, func(q *iam.SessionRequest) {
			q.Policy = allowGet + strings.Repeat(" ", iam.MaximumSessionPolicy-len(allowGet))
		})
		for _, s := range []*iam.Session{small, large} {
			Expect(s.Packed).To(BeNumerically("==", (len(s.Token)*100+iam.MaximumToken-1)/iam.MaximumToken))
		}
		Expect(large.Packed).To(BeNumerically(">", small.Packed+20))
	})

	It("is neither made nor known while the keyring is sealed", func() {
		r := role("shop", inline(allowGet))
		issued := session(r)
		world.Seal(fmt.Errorf("the root is gone"))
		_, err := service.IssueSession(ctx, &iam.SessionRequest{Role: r, Name: "one", Duration: time.Hour})
		Expect(err).To(MatchError(keyring.ErrSealed))
		refused(replica(), issued.AccessKeyID, issued.Token, keyring.ErrSealed)
	})
})

var _ = Describe("A session of a user", func() {
	It("is the user, and ends with the access key that it was made with, and not with another", func() {
		u := user("alice", inline(allowGet))
		world.Update(u, func() { u.Spec.AccessKeys = append(u.Spec.AccessKeys, v1alpha1.AccessKey{Name: "second"}) })
		pass(u)
		issued, err := service.IssueUserSession(ctx, caller(keyOf(u), ""), time.Hour)
		Expect(err).NotTo(HaveOccurred())
		who := caller(issued.AccessKeyID, issued.Token)
		Expect(who.Type).To(Equal(iam.TypeIAMUser))
		Expect([]string{who.Principal.ARN, who.UserID, who.AccessKeyID}).To(Equal([]string{u.Status.ARN, u.Status.UniqueID, issued.AccessKeyID}))
		Expect(may(who, "iam:GetUser")).To(Equal(allowed))
		world.Update(u, func() { u.Spec.AccessKeys[1].Inactive = true })
		caller(issued.AccessKeyID, issued.Token)
		world.Update(u, func() { u.Spec.AccessKeys[0].Inactive = true })
		refused(service, issued.AccessKeyID, issued.Token, iam.ErrUnknownAccessKey)
	})

	It("has the policies of the user's groups", func() {
		g := group("readers", inline(allowGet))
		u := user("alice", v1alpha1.IdentityPolicies{}, "readers")
		issued, err := service.IssueUserSession(ctx, caller(keyOf(u), ""), time.Hour)
		Expect(err).NotTo(HaveOccurred())
		Expect(may(caller(issued.AccessKeyID, issued.Token), "iam:GetUser")).To(Equal(allowed))
		world.Update(g, func() { g.Spec.IdentityPolicies = inline(denyGet) })
		Expect(may(caller(issued.AccessKeyID, issued.Token), "iam:GetUser")).To(Equal(explicit))
	})

	It("is made of a user's own access key alone", func() {
		u, r := user("alice", inline(allowGet)), role("shop", inline(allowGet))
		own := caller(keyOf(u), "")
		ofUser, err := service.IssueUserSession(ctx, own, time.Hour)
		Expect(err).NotTo(HaveOccurred())
		ofRole := session(r)
		for _, who := range []*iam.Identity{caller(ofUser.AccessKeyID, ofUser.Token), caller(ofRole.AccessKeyID, ofRole.Token), {}} {
			_, err := service.IssueUserSession(ctx, who, time.Hour)
			Expect(err).To(MatchError(iam.ErrNoUser))
		}
		world.Update(u, func() { u.Spec.AccessKeys = nil })
		_, err = service.IssueUserSession(ctx, own, time.Hour)
		Expect(err).To(MatchError(iam.ErrNoUser))
	})
})
