package sts_test

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	sdk "github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/gateway"
	serviceiam "strongroom.dev/strongroom/internal/service/iam"
)

const anything = `{"Effect":"Allow","Action":"*","Resource":"*"}`

// byAccount trusts whoever of the account may.
func byAccount(actions string) func(*v1alpha1.IAMRole) {
	return func(r *v1alpha1.IAMRole) {
		trusting(`{"Effect":"Allow","Principal":{"AWS":"` + account + `"},"Action":[` + actions + `]}`)(r)
	}
}

const allSTS = `"sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"`

func tag(key, value string) types.Tag { return types.Tag{Key: &key, Value: &value} }

var _ = Describe("AssumeRole", func() {
	It("needs the word of the trust policy and, if that names the account, of the caller's policies", func() {
		r := role("shop", byAccount(allSTS))
		_, permitted := user("alice", anything)
		_, not := user("bob", "")
		out := must[sdk.AssumeRoleOutput](caller(permitted, ""), "AssumeRole", assume(r))
		Expect(*out.AssumedRoleUser.Arn).To(Equal("arn:aws:sts::" + account + ":assumed-role/shop/one"))
		code, message := refused[sdk.AssumeRoleOutput](caller(not, ""), "AssumeRole", assume(r))
		Expect(code).To(HavePrefix("AccessDenied"))
		Expect(message).To(Equal("User: arn:aws:iam::" + account + ":user/bob is not authorized to perform: sts:AssumeRole on resource: " + r.Status.ARN))
	})

	It("says the same of a role that is not there, of one without a trust policy, and of one with a malformed one", func() {
		_, id := user("alice", anything)
		missing := &v1alpha1.IAMRole{}
		missing.Status.ARN = arn.IAMRole(account, "/", "missing")
		for _, r := range []*v1alpha1.IAMRole{missing, role("silent"), role("broken", trusting(`{"Effect":"Maybe"}`))} {
			code, message := refused[sdk.AssumeRoleOutput](caller(id, ""), "AssumeRole", assume(r))
			Expect(code).To(HavePrefix("AccessDenied"))
			Expect(message).To(HaveSuffix("is not authorized to perform: sts:AssumeRole on resource: " + r.Status.ARN))
		}
	})

	It("asks the trust policy for the external id", func() {
		r := role("shop", trusting(`{"Effect":"Allow","Principal":{"AWS":"`+account+`"},"Action":"sts:AssumeRole","Condition":{"StringEquals":{"sts:ExternalId":"x1"}}}`))
		_, id := user("alice", anything)
		must[sdk.AssumeRoleOutput](caller(id, ""), "AssumeRole", assume(r, func(in *sdk.AssumeRoleInput) { in.ExternalId = ptr.To("x1") }))
		code, _ := refused[sdk.AssumeRoleOutput](caller(id, ""), "AssumeRole", assume(r))
		Expect(code).To(HavePrefix("AccessDenied"))
	})

	It("bounds the duration by the role's, and by an hour for a role that a role's session asks for", func() {
		r := role("shop", byAccount(allSTS), may(anything), func(r *v1alpha1.IAMRole) { r.Spec.MaxSessionDuration = 7200 })
		_, id := user("alice", anything)
		lasting := func(seconds int32) *sdk.AssumeRoleInput {
			return assume(r, func(in *sdk.AssumeRoleInput) { in.DurationSeconds = &seconds })
		}
		out := must[sdk.AssumeRoleOutput](caller(id, ""), "AssumeRole", lasting(7200))
		Expect(*out.Credentials.Expiration).To(BeTemporally("~", world.Clock.Now().Add(2*time.Hour), time.Second))
		for seconds, problem := range map[int32]string{7201: "MaxSessionDuration set for this role", 899: "900"} {
			code, message := refused[sdk.AssumeRoleOutput](caller(id, ""), "AssumeRole", lasting(seconds))
			Expect(code).To(Equal("ValidationError"))
			Expect(message).To(ContainSubstring(problem))
		}
		chained := holder(out.Credentials)
		must[sdk.AssumeRoleOutput](chained, "AssumeRole", lasting(3600))
		_, message := refused[sdk.AssumeRoleOutput](chained, "AssumeRole", lasting(3601))
		Expect(message).To(Equal("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."))
	})

	It("hands transitive tags and the source identity on, which the next role cannot change", func() {
		r := role("shop", byAccount(allSTS), may(anything))
		_, id := user("alice", anything)
		first := must[sdk.AssumeRoleOutput](caller(id, ""), "AssumeRole", assume(r, func(in *sdk.AssumeRoleInput) {
			in.Tags, in.TransitiveTagKeys = []types.Tag{tag("Team", "red"), tag("Once", "x")}, []string{"Team"}
			in.SourceIdentity = ptr.To("alice")
		}))
		Expect(*first.PackedPolicySize).To(BeNumerically(">", 0)) //nolint:staticcheck // older clients know no other member
		Expect(holder(first.Credentials).Tags).To(Equal(map[string][]string{"team": {"red"}, "once": {"x"}}))
		second := must[sdk.AssumeRoleOutput](holder(first.Credentials), "AssumeRole", assume(r))
		Expect(*second.SourceIdentity).To(Equal("alice"))
		identity := holder(second.Credentials)
		Expect(identity.Tags).To(Equal(map[string][]string{"team": {"red"}}))
		Expect(identity.SourceIdentity).To(Equal("alice"))
		code, _ := refused[sdk.AssumeRoleOutput](identity, "AssumeRole", assume(r, func(in *sdk.AssumeRoleInput) { in.Tags = []types.Tag{tag("team", "blue")} }))
		Expect(code).To(Equal("ValidationError"))
		code, _ = refused[sdk.AssumeRoleOutput](identity, "AssumeRole", assume(r, func(in *sdk.AssumeRoleInput) { in.SourceIdentity = ptr.To("bob") }))
		Expect(code).To(Equal("AccessDenied"))
	})

	DescribeTable("needs a permission of its own", func(action string, change func(*sdk.AssumeRoleInput)) {
		r := role("shop", byAccount(`"sts:AssumeRole"`))
		_, id := user("alice", anything)
		_, message := refused[sdk.AssumeRoleOutput](caller(id, ""), "AssumeRole", assume(r, change))
		Expect(message).To(ContainSubstring("is not authorized to perform: " + action + " on resource: "))
	},
		Entry("for tags", "sts:TagSession", func(in *sdk.AssumeRoleInput) { in.Tags = []types.Tag{tag("a", "b")} }),
		Entry("for a source identity", "sts:SetSourceIdentity", func(in *sdk.AssumeRoleInput) { in.SourceIdentity = ptr.To("alice") }),
	)

	DescribeTable("refuses", func(code, problem string, change func(*sdk.AssumeRoleInput)) {
		r := role("shop", byAccount(allSTS))
		_, id := user("alice", anything)
		gotCode, message := refused[sdk.AssumeRoleOutput](caller(id, ""), "AssumeRole", assume(r, change))
		Expect(gotCode).To(Equal(code))
		Expect(message).To(ContainSubstring(problem))
	},
		Entry("a session policy that is none", "MalformedPolicyDocument", "", func(in *sdk.AssumeRoleInput) { in.Policy = ptr.To("{") }),
		Entry("a session policy that is not there", "MalformedPolicyDocument", "no usable policy", func(in *sdk.AssumeRoleInput) {
			in.PolicyArns = []types.PolicyDescriptorType{{Arn: ptr.To("arn:aws:iam::aws:policy/Nothing")}}
		}),
		Entry("tags that do not fit", "PackedPolicyTooLarge", "Packed size", func(in *sdk.AssumeRoleInput) {
			for i := range 50 {
				in.Tags = append(in.Tags, tag(strings.Repeat(string(rune('a'+i%26)), 100)+strings.Repeat("0", i), strings.Repeat("v", 256)))
			}
		}),
		Entry("a tag twice", "ValidationError", "Duplicate tag keys", func(in *sdk.AssumeRoleInput) { in.Tags = []types.Tag{tag("a", "1"), tag("A", "2")} }),
		Entry("a tag of AWS's", "ValidationError", "'aws:' prefixed", func(in *sdk.AssumeRoleInput) { in.Tags = []types.Tag{tag("aws:x", "1")} }),
		Entry("a transitive tag that is not there", "ValidationError", "must be included", func(in *sdk.AssumeRoleInput) { in.TransitiveTagKeys = []string{"a"} }),
		Entry("a code of a device that nobody has", "AccessDenied", "MultiFactorAuthentication failed", func(in *sdk.AssumeRoleInput) { in.TokenCode = ptr.To("123456") }),
		Entry("an ARN that is no role's", "ValidationError", "is invalid", func(in *sdk.AssumeRoleInput) { in.RoleArn = ptr.To("arn:aws:iam::123456789012:user/x") }),
	)

	It("limits a session by its session policies", func() {
		r := role("shop", byAccount(allSTS), may(anything))
		_, id := user("alice", anything)
		out := must[sdk.AssumeRoleOutput](caller(id, ""), "AssumeRole", assume(r, func(in *sdk.AssumeRoleInput) {
			in.Policy = ptr.To(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:ListKeys","Resource":"*"}]}`)
		}))
		call := gateway.Call{Identity: holder(out.Credentials), Time: world.Clock.Now()}
		Expect(call.Authorize(gateway.Question{Action: "kms:ListKeys", Resource: "*"})).To(Succeed())
		Expect(call.Authorize(gateway.Question{Action: "kms:CreateKey", Resource: "*"})).To(MatchError(ContainSubstring("because no session policy allows")))
	})
})

var _ = Describe("Credentials", func() {
	It("of a user are refused as soon as the cache has that the key is inactive, gone, or its user is", func() {
		u, id := user("alice", anything)
		caller(id, "")
		world.Update(u, func() { u.Spec.AccessKeys[0].Inactive = true })
		_, err := service.Credential(ctx, id, "")
		Expect(err).To(MatchError(serviceiam.ErrUnknownAccessKey))
		world.Update(u, func() { u.Spec.AccessKeys[0].Inactive = false })
		caller(id, "")
		world.Remove(u)
		_, err = service.Credential(ctx, id, "")
		Expect(err).To(MatchError(serviceiam.ErrUnknownAccessKey))
	})

	It("see a changed policy with the next request", func() {
		u, id := user("alice", anything)
		ask := func() error {
			call := gateway.Call{Identity: caller(id, ""), Time: world.Clock.Now()}
			return call.Authorize(gateway.Question{Action: "kms:ListKeys", Resource: "*"})
		}
		Expect(ask()).To(Succeed())
		world.Update(u, func() { u.Spec.Policies = nil })
		Expect(ask()).To(MatchError(ContainSubstring("because no identity-based policy allows")))
	})

	It("of a session are refused when it is over, with another key's id, and when the token is changed", func() {
		_, id := user("alice", "")
		c := must[sdk.GetSessionTokenOutput](caller(id, ""), "GetSessionToken", &sdk.GetSessionTokenInput{DurationSeconds: ptr.To[int32](900)}).Credentials
		Expect(holder(c).Principal.ARN).To(Equal(arn.IAMUser(account, "/", "alice")))
		other := must[sdk.GetSessionTokenOutput](caller(id, ""), "GetSessionToken", &sdk.GetSessionTokenInput{}).Credentials
		_, err := service.Credential(ctx, *other.AccessKeyId, *c.SessionToken)
		Expect(err).To(MatchError(serviceiam.ErrUnknownAccessKey))
		changed := []byte(*c.SessionToken)
		changed[len(changed)/2] ^= 1
		_, err = service.Credential(ctx, *c.AccessKeyId, string(changed))
		Expect(err).To(MatchError(serviceiam.ErrUnknownAccessKey))
		world.Clock.Advance(15 * time.Minute)
		for _, s := range []*serviceiam.Service{service, replica()} {
			_, err = s.Credential(ctx, *c.AccessKeyId, *c.SessionToken)
			Expect(err).To(MatchError(serviceiam.ErrExpiredToken))
		}
	})
})

var _ = Describe("GetSessionToken", func() {
	It("is not for sessions, and has AWS's durations", func() {
		_, id := user("alice", "")
		out := must[sdk.GetSessionTokenOutput](caller(id, ""), "GetSessionToken", &sdk.GetSessionTokenInput{})
		Expect(*out.Credentials.Expiration).To(BeTemporally("~", world.Clock.Now().Add(12*time.Hour), time.Second))
		code, message := refused[sdk.GetSessionTokenOutput](holder(out.Credentials), "GetSessionToken", &sdk.GetSessionTokenInput{})
		Expect([]string{code, message}).To(Equal([]string{"AccessDenied", "Cannot call GetSessionToken with session credentials"}))
		for _, seconds := range []int32{899, 129601} {
			code, _ = refused[sdk.GetSessionTokenOutput](caller(id, ""), "GetSessionToken", &sdk.GetSessionTokenInput{DurationSeconds: &seconds})
			Expect(code).To(Equal("ValidationError"))
		}
	})
})

var _ = Describe("What needs no role", func() {
	It("tells who a user is, and the account of an access key, without a request for it", func() {
		u, id := user("alice", `{"Effect":"Allow","Action":"sts:GetAccessKeyInfo","Resource":"*"}`)
		who := must[sdk.GetCallerIdentityOutput](caller(id, ""), "GetCallerIdentity", &sdk.GetCallerIdentityInput{})
		Expect([]string{*who.Account, *who.Arn, *who.UserId}).To(Equal([]string{account, u.Status.ARN, u.Status.UniqueID}))
		info := must[sdk.GetAccessKeyInfoOutput](caller(id, ""), "GetAccessKeyInfo", &sdk.GetAccessKeyInfoInput{AccessKeyId: &id})
		Expect(*info.Account).To(Equal(account))
		code, _ := refused[sdk.GetAccessKeyInfoOutput](caller(id, ""), "GetAccessKeyInfo", &sdk.GetAccessKeyInfoInput{AccessKeyId: ptr.To("AKIAIOSFODNN7EXAMPLE")})
		Expect(code).To(Equal("ValidationError"))
	})

	It("decodes an authorization message for those of its account alone", func() {
		_, id := user("alice", anything)
		encoded, err := service.EncodeAuthorizationMessage(account, `{"allowed":false}`)
		Expect(err).NotTo(HaveOccurred())
		out := must[sdk.DecodeAuthorizationMessageOutput](caller(id, ""), "DecodeAuthorizationMessage", &sdk.DecodeAuthorizationMessageInput{EncodedMessage: &encoded})
		Expect(*out.DecodedMessage).To(Equal(`{"allowed":false}`))
		foreign, err := service.EncodeAuthorizationMessage("999999999999", "{}")
		Expect(err).NotTo(HaveOccurred())
		for _, message := range []string{foreign, "x", encoded + "\n"} {
			code, _ := refused[sdk.DecodeAuthorizationMessageOutput](caller(id, ""), "DecodeAuthorizationMessage", &sdk.DecodeAuthorizationMessageInput{EncodedMessage: &message})
			Expect(code).To(Equal("InvalidAuthorizationMessageException"))
		}
	})
})
