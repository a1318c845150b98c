package iam_test

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/iam"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("A change of a policy's versions", func() {
	numbered := func(n int) v1alpha1.PolicyDocument {
		return document(strings.Replace(allowGet, "Get", fmt.Sprint("Get", n), 1))
	}
	have := func(p *v1alpha1.IAMPolicy) string {
		GinkgoHelper()
		world.Refresh(p)
		v := iam.VersionsOf(p, world.Clock.Now())
		var out []string
		for _, version := range v.Kept {
			out = append(out, version.VersionID+map[bool]string{true: "*"}[version.VersionID == v.Default])
		}
		return strings.Join(out, " ")
	}

	It("is told what is wrong", func() {
		p := policy("get", allowGet)
		Expect(service.DeletePolicyVersion(ctx, p, "v9")).To(MatchError(iam.ErrNoVersion))
		Expect(service.DeletePolicyVersion(ctx, p, "v1")).To(MatchError(iam.ErrDefaultVersion))
		Expect(service.SetDefaultPolicyVersion(ctx, p, "v9")).To(MatchError(iam.ErrNoVersion))
		for n := range 4 {
			_, err := service.CreatePolicyVersion(ctx, p, numbered(n), false)
			Expect(err).NotTo(HaveOccurred())
		}
		_, err := service.CreatePolicyVersion(ctx, p, numbered(9), true)
		Expect(err).To(MatchError(iam.ErrTooManyVersions))
		Expect(have(p)).To(Equal("v1* v2 v3 v4 v5"))
		world.Remove(p)
		Expect(service.DeletePolicyVersion(ctx, p, "v2")).To(MatchError(iam.ErrGone))
		policy("get", allowGet)
		Expect(service.SetDefaultPolicyVersion(ctx, p, "v1")).To(MatchError(iam.ErrGone), "another under its name")
	})

	It("sees what kubectl did before it, though no controller has", func() {
		p := policy("get", allowGet)
		world.Update(p, func() { p.Spec.Document = numbered(1) })
		Expect(service.DeletePolicyVersion(ctx, p, "v2")).To(MatchError(iam.ErrDefaultVersion))
		made, err := service.CreatePolicyVersion(ctx, p, numbered(2), false)
		Expect(err).NotTo(HaveOccurred())
		Expect(made.VersionID).To(Equal("v3"))
		Expect(have(p)).To(Equal("v1 v2* v3"))
	})

	It("deletes one, whose number does not come again", func() {
		p := policy("get", allowGet)
		for n := range 2 {
			_, err := service.CreatePolicyVersion(ctx, p, numbered(n), false)
			Expect(err).NotTo(HaveOccurred())
		}
		Expect(service.DeletePolicyVersion(ctx, p, "v3")).To(Succeed())
		Expect(have(p)).To(Equal("v1* v2"))
		made, err := service.CreatePolicyVersion(ctx, p, numbered(3), true)
		Expect(err).NotTo(HaveOccurred())
		Expect(made.VersionID).To(Equal("v4"))
		Expect(have(p)).To(Equal("v1 v2 v4*"))
		Expect(service.DeletePolicyVersion(ctx, p, "v3")).To(MatchError(iam.ErrNoVersion))
	})

	It("keeps no document that is no policy, nor its number", func() {
		p := policy("get", allowGet)
		world.Update(p, func() { p.Spec.Document = document(malformed) })
		Expect(have(p)).To(Equal("v1 v2*"))
		Expect(service.DeletePolicyVersion(ctx, p, "v2")).To(MatchError(iam.ErrDefaultVersion))
		Expect(service.SetDefaultPolicyVersion(ctx, p, "v1")).To(Succeed())
		Expect(have(p)).To(Equal("v1*"))
		Expect(p.Status.Versions).To(HaveLen(1))
		made, err := service.CreatePolicyVersion(ctx, p, numbered(1), false)
		Expect(err).NotTo(HaveOccurred())
		Expect(made.VersionID).To(Equal("v3"))
	})

	// A death between the two writes leaves spec in force, and the next attempt does what was asked.
	It("that dies at either write leaves what was in force, or what was asked for", func() {
		dying := replica()
		writes := &environment.FaultyClient{Client: dying.Client}
		dying.Client = writes
		for _, after := range []bool{false, true} {
			for n := 1; n <= 2; n++ {
				p := policy(fmt.Sprintf("dies-%d-%t", n, after), allowGet)
				By(fmt.Sprintf("dying at write %d, done=%t", n, after))
				writes.FailAt(n, after)
				_, err := dying.CreatePolicyVersion(ctx, p, numbered(1), true)
				Expect(err).To(MatchError(environment.ErrInjected))
				Expect(writes.Log()[:n]).To(Equal([]string{"status", "update"}[:n]))
				want := map[string]string{"1-false": "v1*", "1-true": "v1* v2", "2-false": "v1* v2", "2-true": "v1 v2*"}[fmt.Sprintf("%d-%t", n, after)]
				Expect(have(p)).To(Equal(want))
				world.Seen(p)
				pass(p)
				Expect(have(p)).To(Equal(want))
				if want != "v1*" {
					Expect(service.SetDefaultPolicyVersion(ctx, p, "v2")).To(Succeed())
					Expect(have(p)).To(Equal("v1 v2*"))
				}
			}
		}
	})
})
