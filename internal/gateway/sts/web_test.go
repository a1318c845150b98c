package sts_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"

	sdk "github.com/aws/aws-sdk-go-v2/service/sts"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/internal/core/arn"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
	"strongroom.dev/strongroom/test/environment"
)

const web = "AssumeRoleWithWebIdentity"

var _ = Describe("AssumeRoleWithWebIdentity", func() {
	It("gives a service account the session of a role that names it, by the token that the API server made", func() {
		r := role("shop", forApp)
		out := must[sdk.AssumeRoleWithWebIdentityOutput](nil, web, byToken(r, token(serviceiam.TokenAudience)))
		session := "arn:aws:sts::" + account + ":assumed-role/shop/pod"
		Expect(*out.AssumedRoleUser.Arn).To(Equal(session))
		Expect(*out.AssumedRoleUser.AssumedRoleId).To(Equal(r.Status.UniqueID + ":pod"))
		Expect(*out.SubjectFromWebIdentityToken).To(Equal("system:serviceaccount:" + world.Namespace + ":app"))
		Expect(*out.Audience).To(Equal("sts.amazonaws.com"))
		Expect(*out.Credentials.Expiration).To(BeTemporally("~", world.Clock.Now().Add(time.Hour), time.Second))
		Expect(out.PackedPolicySize).To(BeNil()) //nolint:staticcheck // older clients know no other member
		who := must[sdk.GetCallerIdentityOutput](holder(out.Credentials), "GetCallerIdentity", &sdk.GetCallerIdentityInput{})
		Expect(*who.Arn).To(Equal(session))
		Expect(*who.Account).To(Equal(account))
	})

	It("gives a session that another replica knows, with the same secret", func() {
		out := must[sdk.AssumeRoleWithWebIdentityOutput](nil, web, byToken(role("shop", forApp), token(serviceiam.TokenAudience)))
		found, err := replica().Credential(ctx, *out.Credentials.AccessKeyId, *out.Credentials.SessionToken)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(found.Secret.Reveal())).To(Equal(*out.Credentials.SecretAccessKey))
		Expect(found.Identity.Type).To(Equal(serviceiam.TypeAssumedRole))
	})

	It("trusts by the role's trust policy with the token's subject and audience as condition keys", func() {
		claims := provider()
		statement := func(subject string) string {
			return `{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::` + account + `:oidc-provider/` + claims + `"},` +
				`"Action":"sts:AssumeRoleWithWebIdentity","Condition":{"StringEquals":{"` + claims + `:sub":"` + subject + `","` + claims + `:aud":"sts.amazonaws.com"}}}`
		}
		must[sdk.AssumeRoleWithWebIdentityOutput](nil, web,
			byToken(role("yes", trusting(statement("system:serviceaccount:"+world.Namespace+":app"))), token(serviceiam.TokenAudience)))
		code, _ := refused[sdk.AssumeRoleWithWebIdentityOutput](nil, web,
			byToken(role("no", trusting(statement("system:serviceaccount:"+world.Namespace+":other"))), token(serviceiam.TokenAudience)))
		Expect(code).To(Equal("AccessDenied"))
	})

	It("obeys a Deny of the trust policy over spec.serviceAccounts", func() {
		r := role("shop", forApp, trusting(`{"Effect":"Deny","Principal":"*","Action":"sts:AssumeRoleWithWebIdentity"}`))
		code, message := refused[sdk.AssumeRoleWithWebIdentityOutput](nil, web, byToken(r, token(serviceiam.TokenAudience)))
		Expect(code).To(Equal("AccessDenied"))
		Expect(message).To(Equal("Not authorized to perform sts:AssumeRoleWithWebIdentity"))
	})

	It("says the same of a role that does not name the service account and of one that is not there", func() {
		r := role("shop")
		for _, in := range []*sdk.AssumeRoleWithWebIdentityInput{byToken(r, token(serviceiam.TokenAudience)), {
			RoleArn: ptr.To(arn.IAMRole(account, "/", "nobody")), RoleSessionName: ptr.To("pod"), WebIdentityToken: ptr.To(token(serviceiam.TokenAudience)),
		}} {
			code, message := refused[sdk.AssumeRoleWithWebIdentityOutput](nil, web, in)
			Expect([]string{code, message}).To(Equal([]string{"AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"}))
		}
	})

	DescribeTable("refuses a token", func(code, message string, make func() string) {
		r := role("shop", forApp)
		gotCode, gotMessage := refused[sdk.AssumeRoleWithWebIdentityOutput](nil, web, byToken(r, make()))
		Expect(gotCode).To(Equal(code))
		Expect(gotMessage).To(ContainSubstring(message))
	},
		Entry("of another audience", "InvalidIdentityToken", "Incorrect token audience", func() string { return token("https://else.example") }),
		Entry("of the API server's own audience", "InvalidIdentityToken", "Incorrect token audience", func() string { return token() }),
		Entry("of another cluster", "InvalidIdentityToken", "does not accept", func() string {
			return resigned(mustKey(), nil)
		}),
		Entry("that is expired", "ExpiredTokenException", "Token expired", func() string {
			return resigned(clusterKey(), func(c map[string]any) { c["exp"] = time.Now().Add(-time.Hour).Unix() })
		}),
		Entry("whose audience was changed", "InvalidIdentityToken", "does not accept", func() string {
			real := token("https://else.example")
			changed, err := environment.Resign(real, mustKey(), func(c map[string]any) { c["aud"] = serviceiam.TokenAudience })
			Expect(err).NotTo(HaveOccurred())
			return changed
		}),
		Entry("that is none", "InvalidIdentityToken", "not a valid JWT", func() string { return "abcd" }),
		Entry("of a service account that is gone", "InvalidIdentityToken", "does not accept", func() string {
			made := token(serviceiam.TokenAudience)
			Expect(world.ControlPlane.Client.Delete(ctx, serviceAccount())).To(Succeed())
			Eventually(func() bool { // the API server's own cache may have it for a moment
				review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: made, Audiences: []string{serviceiam.TokenAudience}}}
				Expect(world.ControlPlane.Client.Create(ctx, review)).To(Succeed())
				return review.Status.Authenticated
			}).Should(BeFalse())
			return made
		}),
	)

	It("accepts the same claims signed by the cluster's key, so that the refusals above are for what they say", func() {
		must[sdk.AssumeRoleWithWebIdentityOutput](nil, web, byToken(role("shop", forApp), resigned(clusterKey(), nil)))
	})

	It("ends with the role, and is not the role's that is made again under its name", func() {
		r := role("shop", forApp)
		out := must[sdk.AssumeRoleWithWebIdentityOutput](nil, web, byToken(r, token(serviceiam.TokenAudience)))
		holder(out.Credentials) // it is remembered
		world.Remove(r)
		_, err := service.Credential(ctx, *out.Credentials.AccessKeyId, *out.Credentials.SessionToken)
		Expect(err).To(MatchError(serviceiam.ErrUnknownAccessKey))
		role("shop", forApp)
		for _, s := range []*serviceiam.Service{service, replica()} {
			_, err = s.Credential(ctx, *out.Credentials.AccessKeyId, *out.Credentials.SessionToken)
			Expect(err).To(MatchError(serviceiam.ErrUnknownAccessKey))
		}
	})
})

func provider() string {
	GinkgoHelper()
	var issuer string
	_, err := environment.Resign(token(), mustKey(), func(c map[string]any) { issuer = c["iss"].(string) })
	Expect(err).NotTo(HaveOccurred())
	return (&serviceiam.WebIdentity{Issuer: issuer}).Provider()
}

func mustKey() *ecdsa.PrivateKey {
	GinkgoHelper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	return key
}

func clusterKey() *ecdsa.PrivateKey {
	GinkgoHelper()
	key, err := world.ControlPlane.SignerKey()
	Expect(err).NotTo(HaveOccurred())
	return key
}

func resigned(key *ecdsa.PrivateKey, change func(map[string]any)) string {
	GinkgoHelper()
	if change == nil {
		change = func(map[string]any) {}
	}
	made, err := environment.Resign(token(serviceiam.TokenAudience), key, change)
	Expect(err).NotTo(HaveOccurred())
	return made
}
