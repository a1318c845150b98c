package iam_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/internal/service/iam"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("A service account's token", func() {
	token := func(audiences ...string) string {
		GinkgoHelper()
		made, err := world.ControlPlane.Token(ctx, world.Namespace, "app", audiences...)
		Expect(err).NotTo(HaveOccurred())
		return made
	}
	resigned := func(by *ecdsa.PrivateKey, change func(map[string]any)) string {
		GinkgoHelper()
		made, err := environment.Resign(token(iam.TokenAudience), by, change)
		Expect(err).NotTo(HaveOccurred())
		return made
	}
	clusters := func() *ecdsa.PrivateKey {
		GinkgoHelper()
		key, err := world.ControlPlane.SignerKey()
		Expect(err).NotTo(HaveOccurred())
		return key
	}
	another := func() *ecdsa.PrivateKey {
		GinkgoHelper()
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		Expect(err).NotTo(HaveOccurred())
		return key
	}
	app := func() *corev1.ServiceAccount { return &corev1.ServiceAccount{ObjectMeta: meta("app")} }

	BeforeEach(func() { Expect(world.ControlPlane.Client.Create(ctx, app())).To(Succeed()) })

	It("is the service account's by the word of the API server", func() {
		for _, made := range []string{token(iam.TokenAudience), token("else", iam.TokenAudience), resigned(clusters(), func(map[string]any) {})} {
			who, err := service.ReviewToken(ctx, made)
			Expect(err).NotTo(HaveOccurred())
			Expect([]string{who.Namespace, who.ServiceAccount}).To(Equal([]string{world.Namespace, "app"}))
			Expect(who.Issuer).To(HavePrefix("https://"))
		}
	})

	DescribeTable("is refused", func(want error, make func() string) {
		made := make()
		who, err := service.ReviewToken(ctx, made)
		Expect(err).To(MatchError(want))
		Expect(who).To(BeNil())
		Expect(err.Error()).NotTo(ContainSubstring(made))
	},
		Entry("of another audience", iam.ErrTokenAudience, func() string { return token("https://else.example") }),
		Entry("of the API server's own audience", iam.ErrTokenAudience, func() string { return token() }),
		Entry("of another cluster, with the same claims", iam.ErrTokenRejected, func() string { return resigned(another(), func(map[string]any) {}) }),
		Entry("whose signature is cut", iam.ErrTokenRejected, func() string { made := token(iam.TokenAudience); return made[:len(made)-8] }),
		Entry("whose subject was changed", iam.ErrTokenRejected, func() string {
			return resigned(another(), func(c map[string]any) { c["sub"] = "system:serviceaccount:kube-system:admin" })
		}),
		Entry("of another issuer", iam.ErrTokenRejected, func() string {
			return resigned(clusters(), func(c map[string]any) { c["iss"] = "https://else.example" })
		}),
		Entry("whose time is over", iam.ErrTokenExpired, func() string {
			return resigned(clusters(), func(c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() })
		}),
		Entry("whose time has not come", iam.ErrTokenRejected, func() string {
			return resigned(clusters(), func(c map[string]any) { c["nbf"] = time.Now().Add(time.Hour).Unix() })
		}),
		Entry("of a service account that is gone", iam.ErrTokenRejected, func() string {
			made := token(iam.TokenAudience)
			Expect(world.ControlPlane.Client.Delete(ctx, app())).To(Succeed())
			return made
		}),
		Entry("of a service account that was made again under its name", iam.ErrTokenRejected, func() string {
			made := token(iam.TokenAudience)
			Expect(world.ControlPlane.Client.Delete(ctx, app())).To(Succeed())
			Expect(world.ControlPlane.Client.Create(ctx, app())).To(Succeed())
			return made
		}),
	)

	It("is asked for if the API server signed it, and else not, however many are made up", func() {
		counted := &counting{Writer: service.Tokens}
		service.Tokens = counted
		_, err := service.ReviewToken(ctx, token(iam.TokenAudience))
		Expect(err).NotTo(HaveOccurred())
		Expect(counted.reviews).To(Equal(1))
		forger := another()
		for i := range 50 {
			_, err := service.ReviewToken(ctx, func() string {
				made, err := environment.Resign(token(iam.TokenAudience), forger, func(c map[string]any) { c["n"] = i })
				Expect(err).NotTo(HaveOccurred())
				return made
			}())
			Expect(err).To(MatchError(iam.ErrTokenRejected))
		}
		Expect(counted.reviews).To(Equal(1))
	})

	It("is not refused but failed on when the API server cannot be asked, and is not in the error", func() {
		cfg := *world.ControlPlane.Config
		cfg.Host = "https://127.0.0.1:1"
		c, err := client.New(&cfg, client.Options{Scheme: operator.Scheme()})
		Expect(err).NotTo(HaveOccurred())
		service.Tokens = c
		made := token(iam.TokenAudience)
		_, err = service.ReviewToken(ctx, made)
		Expect(err).To(HaveOccurred())
		for _, refusal := range []error{iam.ErrTokenMalformed, iam.ErrTokenExpired, iam.ErrTokenAudience, iam.ErrTokenRejected, iam.ErrTokenSubject} {
			Expect(err).NotTo(MatchError(refusal))
		}
		Expect(err.Error()).NotTo(ContainSubstring(made))
	})
})

// counting counts TokenReviews.
type counting struct {
	client.Writer
	reviews int
}

func (c *counting) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	c.reviews++
	return c.Writer.Create(ctx, obj, opts...)
}
