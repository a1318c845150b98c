package ssm_test

import (
	"errors"
	"fmt"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/gateway/ssm"
	"strongroom.dev/strongroom/test/environment"
)

// foreigner is a user of another account.
type foreigner struct{ namespace, account string }

func newForeigner() foreigner {
	GinkgoHelper()
	namespace := world.NewNamespace()
	return foreigner{namespace, arn.DeriveAccount(namespace)}
}

func (f foreigner) user() string { return "arn:aws:iam::" + f.account + ":user/alice" }

// ask carries out an operation in the foreigner's name.
func (f foreigner) ask(who caller, operation string, in any) (any, error) {
	GinkgoHelper()
	call := callOf(who, operation)
	call.Identity.Namespace, call.Identity.Name = f.namespace, "alice"
	call.Identity.Principal.Account, call.Identity.Principal.ARN = f.account, f.user()
	return invoke(call, in)
}

// read reads a parameter by its ARN.
func (f foreigner) read(who caller, id string) error {
	GinkgoHelper()
	_, err := f.ask(who, "GetParameter", &sdk.GetParameterInput{Name: &id, WithDecryption: ptr.To(true)})
	return err
}

// policy is a document of statements.
func policy(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

func letting(effect, principal, action string) string {
	return fmt.Sprintf(`{"Effect":%q,"Principal":{"AWS":%q},"Action":%q,"Resource":"*"}`, effect, principal, action)
}

func advanced(in *sdk.PutParameterInput) { in.Tier = types.ParameterTierAdvanced }

// share attaches a policy to a parameter that has none.
func share(name string, statements ...string) *sdk.PutResourcePolicyOutput {
	GinkgoHelper()
	out := must[sdk.PutResourcePolicyOutput]("PutResourcePolicy", &sdk.PutResourcePolicyInput{ResourceArn: ptr.To(arnOf(name)), Policy: ptr.To(policy(statements...))})
	Eventually(func() []types.GetResourcePoliciesResponseEntry {
		return must[sdk.GetResourcePoliciesOutput]("GetResourcePolicies", &sdk.GetResourcePoliciesInput{ResourceArn: ptr.To(arnOf(name))}).Policies
	}).Should(HaveLen(1))
	return out
}

var _ = Describe("Resource policies, by AWS's own client", func() {
	var client *sdk.Client
	const root = "111122223333"
	BeforeEach(func() {
		client = sdk.NewFromConfig(world.Open(service).Config(home, `"Action":"ssm:*","Resource":"*"`))
		mustPut("/a", "v", advanced)
	})
	put := func(change func(*sdk.PutResourcePolicyInput)) (*sdk.PutResourcePolicyOutput, error) {
		in := &sdk.PutResourcePolicyInput{ResourceArn: ptr.To(arnOf("/a")), Policy: ptr.To(policy(letting("Allow", root, "ssm:GetParameter")))}
		if change != nil {
			change(in)
		}
		return client.PutResourcePolicy(ctx, in)
	}
	list := func() []types.GetResourcePoliciesResponseEntry {
		GinkgoHelper()
		out, err := client.GetResourcePolicies(ctx, &sdk.GetResourcePoliciesInput{ResourceArn: ptr.To(arnOf("/a"))})
		Expect(err).NotTo(HaveOccurred())
		return out.Policies
	}
	remove := func(id, hash string) error {
		_, err := client.DeleteResourcePolicy(ctx, &sdk.DeleteResourcePolicyInput{ResourceArn: ptr.To(arnOf("/a")), PolicyId: &id, PolicyHash: &hash})
		return err
	}

	It("live their life: put, told, replaced by id and hash, and deleted by them", func() {
		Expect(list()).To(BeEmpty())
		first, err := put(nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(list()).To(ConsistOf(And(HaveField("PolicyId", Equal(first.PolicyId)), HaveField("PolicyHash", Equal(first.PolicyHash)),
			HaveField("Policy", HaveValue(MatchJSON(policy(letting("Allow", root, "ssm:GetParameter"))))))))
		same, err := put(func(in *sdk.PutResourcePolicyInput) { in.PolicyId, in.PolicyHash = first.PolicyId, first.PolicyHash })
		Expect(err).NotTo(HaveOccurred())
		Expect(*same.PolicyId).To(Equal(*first.PolicyId))
		Expect(*same.PolicyHash).NotTo(Equal(*first.PolicyHash), "it was saved again, though its text is the same")
		var conflict *types.ResourcePolicyConflictException
		_, err = put(func(in *sdk.PutResourcePolicyInput) { in.PolicyId, in.PolicyHash = first.PolicyId, first.PolicyHash })
		Expect(errors.As(err, &conflict)).To(BeTrue(), "%v", err)
		Expect(conflict.ErrorMessage()).To(ContainSubstring("doesn't match the stored hash"))
		Expect(errors.As(remove(*first.PolicyId, *first.PolicyHash), &conflict)).To(BeTrue())
		Expect(remove(*same.PolicyId, *same.PolicyHash)).To(Succeed())
		Expect(list()).To(BeEmpty())
		var none *types.ResourcePolicyNotFoundException
		Expect(errors.As(remove(*same.PolicyId, *same.PolicyHash), &none)).To(BeTrue())
	})

	It("are refused by the types that AWS has", func() {
		var (
			invalid   *types.ResourcePolicyInvalidParameterException
			limit     *types.ResourcePolicyLimitExceededException
			none      *types.ResourcePolicyNotFoundException
			missing   *types.ResourceNotFoundException
			malformed *types.MalformedResourcePolicyDocumentException
		)
		mustPut("/standard", "v")
		for name, change := range map[string]func(*sdk.PutResourcePolicyInput){
			"ResourceArn: a name":    func(in *sdk.PutResourcePolicyInput) { in.ResourceArn = ptr.To("/a-name-that-is-no-arn") },
			"ResourceArn: a version": func(in *sdk.PutResourcePolicyInput) { in.ResourceArn = ptr.To(arnOf("/a") + ":1") },
			"ResourceArn: an OpsItem": func(in *sdk.PutResourcePolicyInput) {
				in.ResourceArn = ptr.To("arn:aws:ssm:us-east-1:" + account + ":opsitemgroup/default")
			},
			"ResourceArn: not shared": func(in *sdk.PutResourcePolicyInput) { in.ResourceArn = ptr.To(arnOf("/standard")) },
			"PolicyHash: an id alone": func(in *sdk.PutResourcePolicyInput) { in.PolicyId = ptr.To("x") },
			"PolicyId: a hash alone":  func(in *sdk.PutResourcePolicyInput) { in.PolicyHash = ptr.To("x") },
		} {
			_, err := put(change)
			Expect(errors.As(err, &invalid)).To(BeTrue(), "%s: %v", name, err)
			Expect(invalid.ParameterNames).To(Equal([]string{strings.Split(name, ":")[0]}), name)
		}
		_, err := put(func(in *sdk.PutResourcePolicyInput) { in.ResourceArn = ptr.To(arnOf("/none")) })
		Expect(errors.As(err, &missing)).To(BeTrue(), "%v", err)
		_, err = put(func(in *sdk.PutResourcePolicyInput) { in.PolicyId, in.PolicyHash = ptr.To("x"), ptr.To("y") })
		Expect(errors.As(err, &none)).To(BeTrue(), "%v", err)
		for _, text := range []string{
			"{", "[]", policy(`{"Effect":"Allow","Action":"*","Resource":"*"}`), policy(letting("Perhaps", root, "*")),
			policy(letting("Allow", "arn:aws:iam::"+account+":user/nobody", "*")), policy(`{"Effect":"Allow","Principal":{"Service":"nowhere"},"Action":"*","Resource":"*"}`),
			policy(letting("Allow", root, "ssm:"+strings.Repeat("x", 4096))),
		} {
			_, err = put(func(in *sdk.PutResourcePolicyInput) { in.Policy = &text })
			Expect(errors.As(err, &malformed)).To(BeTrue(), "%.80s: %v", text, err)
		}
		Expect(list()).To(BeEmpty(), "what was refused is there")
		_, err = put(nil)
		Expect(err).NotTo(HaveOccurred())
		_, err = put(nil)
		Expect(errors.As(err, &limit)).To(BeTrue(), "%v", err)
		Expect(limit.Limit).To(Equal(int32(1)))
		_, err = client.GetResourcePolicies(ctx, &sdk.GetResourcePoliciesInput{ResourceArn: ptr.To(arnOf("/a")), NextToken: ptr.To("x")})
		Expect(errors.As(err, &invalid)).To(BeTrue(), "%v", err)
		_, err = client.GetResourcePolicies(ctx, &sdk.GetResourcePoliciesInput{ResourceArn: ptr.To(arnOf("/none"))})
		Expect(errors.As(err, &missing)).To(BeTrue(), "%v", err)
		_, err = client.DeleteResourcePolicy(ctx, &sdk.DeleteResourcePolicyInput{ResourceArn: ptr.To(arnOf("/none")), PolicyId: ptr.To("x"), PolicyHash: ptr.To("y")})
		Expect(errors.As(err, &missing)).To(BeTrue(), "%v", err)
	})
})

var _ = Describe("The operations on resource policies", func() {
	It("are permitted by the parameter's ARN, and tell strangers nothing of what there is", func() {
		mustPut("/a", "v", advanced)
		for operation, in := range map[string]func(id string) any{
			"PutResourcePolicy": func(id string) any {
				return &sdk.PutResourcePolicyInput{ResourceArn: &id, Policy: ptr.To(policy(letting("Allow", "111122223333", "*")))}
			},
			"GetResourcePolicies": func(id string) any { return &sdk.GetResourcePoliciesInput{ResourceArn: &id} },
			"DeleteResourcePolicy": func(id string) any {
				return &sdk.DeleteResourcePolicyInput{ResourceArn: &id, PolicyId: ptr.To("x"), PolicyHash: ptr.To("y")}
			},
		} {
			told := map[string]bool{}
			for _, name := range []string{"/a", "/none"} {
				_, err := invoke(callOf(stranger, operation), in(arnOf(name)))
				be(err, "AccessDeniedException")
				told[strings.ReplaceAll(err.Error(), strings.TrimPrefix(name, "/"), "NAME")] = true
			}
			_, err := invoke(callOf(allowed("ssm:"+operation, arnOf("/b")), operation), in(arnOf("/a")))
			be(err, "AccessDeniedException")
			_, err = invoke(callOf(allowed("ssm:"+operation, arnOf("/a")), operation), in(arnOf("/a")))
			Expect(codeOf(err)).To(BeElementOf("", "ResourcePolicyNotFoundException"))
		}
	})

	It("are one write each, which is made again without harm", func() {
		mustPut("/a", "v", advanced)
		_, writes := world.Faulty()
		for _, after := range []bool{false, true} {
			writes.FailAt(1, after)
			service = ssm.New(ssm.Dependencies{Parameters: world.ParametersOver(writes)})
			in := &sdk.PutResourcePolicyInput{ResourceArn: ptr.To(arnOf("/a")), Policy: ptr.To(policy(letting("Allow", "111122223333", "*")))}
			_, err := do[sdk.PutResourcePolicyOutput](administrator, "PutResourcePolicy", in)
			Expect(errors.Is(err, environment.ErrInjected)).To(BeTrue(), "%v", err)
			writes.FailAt(0, false)
			_, err = do[sdk.PutResourcePolicyOutput](administrator, "PutResourcePolicy", in)
			if after {
				be(err, "ResourcePolicyLimitExceededException") // the first one is there
				return
			}
			Expect(err).NotTo(HaveOccurred())
			p := onlyObject()
			world.Update(p, func() { p.Spec.ResourcePolicy = nil })
		}
	})
})

// https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-shared-parameters.html
var _ = Describe("From another account", func() {
	reading := allowed("ssm:GetParameter", "*")

	DescribeTable("a parameter is read by its ARN with the word of both sides", func(statements func(foreigner) []string, who caller, want bool) {
		f := newForeigner()
		mustPut("/p/a", "v", advanced)
		if s := statements(f); s != nil {
			share("/p/a", s...)
		}
		err := f.read(who, arnOf("/p/a"))
		Expect(err == nil).To(Equal(want), "%v", err)
		if !want {
			be(err, "AccessDeniedException")
			absent := f.read(who, arnOf("/p/b"))
			if s := statements(f); s == nil {
				Expect(strings.ReplaceAll(absent.Error(), "/p/b", "/p/a")).To(Equal(err.Error()), "it is told that there is one")
			}
		}
	},
		Entry("no policy, and the own one", func(foreigner) []string { return nil }, reading, false),
		Entry("the account is named, and the own policy", func(f foreigner) []string { return []string{letting("Allow", f.account, "ssm:GetParameter")} }, reading, true),
		Entry("the account is named, and no own policy", func(f foreigner) []string { return []string{letting("Allow", f.account, "*")} }, stranger, false),
		Entry("the user is named, and the own policy", func(f foreigner) []string { return []string{letting("Allow", f.user(), "ssm:Get*")} }, reading, true),
		Entry("the user is named, and no own policy", func(f foreigner) []string { return []string{letting("Allow", f.user(), "*")} }, stranger, false),
		Entry("another operation, and the own policy", func(f foreigner) []string { return []string{letting("Allow", f.account, "ssm:GetParameters")} }, reading, false),
		Entry("a Deny beside the Allow", func(f foreigner) []string {
			return []string{letting("Allow", f.account, "*"), letting("Deny", f.user(), "*")}
		}, reading, false),
		Entry("the owner's account alone", func(foreigner) []string { return []string{letting("Allow", account, "*")} }, reading, false),
	)

	It("GetParameters and GetParameterHistory read it, too, with what is the caller's own; nothing is written or listed", func() {
		f := newForeigner()
		mustPut("/p/a", "v", advanced)
		share("/p/a", letting("Allow", f.account, "ssm:*"))
		id := arnOf("/p/a")
		_, err := f.ask(administrator, "GetParameters", &sdk.GetParametersInput{Names: []string{"/p/a", id, arnOf("/p/none") + ":1", id + ":1"}})
		be(err, "AccessDeniedException") // of a parameter that is not there nobody has shared one
		out, err := f.ask(administrator, "GetParameters", &sdk.GetParametersInput{Names: []string{"/p/a", id, id + ":1", id + ":2"}})
		Expect(err).NotTo(HaveOccurred())
		got := out.(*sdk.GetParametersOutput)
		Expect(got.InvalidParameters).To(Equal([]string{"/p/a", id + ":2"}), "by its name it is the caller's own account's")
		Expect(got.Parameters).To(HaveLen(2))
		Expect(*got.Parameters[0].ARN).To(Equal(id))
		history, err := f.ask(administrator, "GetParameterHistory", &sdk.GetParameterHistoryInput{Name: &id})
		Expect(err).NotTo(HaveOccurred())
		Expect(history.(*sdk.GetParameterHistoryOutput).Parameters).To(HaveLen(1))
		for operation, in := range map[string]any{
			"DeleteParameter":       &sdk.DeleteParameterInput{Name: &id},
			"LabelParameterVersion": &sdk.LabelParameterVersionInput{Name: &id, Labels: []string{"l"}},
			"ListTagsForResource":   &sdk.ListTagsForResourceInput{ResourceType: parameterType, ResourceId: &id},
		} {
			_, err := f.ask(administrator, operation, in)
			be(err, "AccessDeniedException")
		}
		for _, shared := range []*bool{nil, ptr.To(true)} {
			described, err := f.ask(administrator, "DescribeParameters", &sdk.DescribeParametersInput{Shared: shared})
			Expect(err).NotTo(HaveOccurred())
			Expect(described.(*sdk.DescribeParametersOutput).Parameters).To(BeEmpty())
		}
		Expect(*mustGet("/p/a").Value).To(Equal("v"))
	})

	It("a SecureString needs its key from both sides, and under the account's own key is for nobody else", func() {
		f := newForeigner()
		mustPut("/p/own", "v", secure, advanced)
		share("/p/own", letting("Allow", f.account, "*"))
		be(f.read(administrator, arnOf("/p/own")), "AccessDeniedException")
		for name, keyPolicy := range map[string]string{
			"shared": policy(letting("Allow", account, "kms:*"), letting("Allow", f.account, "kms:Decrypt")), "kept": policy(letting("Allow", account, "kms:*")),
		} {
			world.ReadyKey(name, func(k *v1alpha1.KMSKey) {
				k.Spec.Aliases, k.Spec.Policy = []string{"alias/" + name}, &v1alpha1.PolicyDocument{}
				k.Spec.Policy.Raw = []byte(keyPolicy)
			})
			mustPut("/p/"+name, "v", secure, advanced, keyed("alias/"+name))
			share("/p/"+name, letting("Allow", f.account, "ssm:GetParameter"))
		}
		Expect(f.read(administrator, arnOf("/p/shared"))).To(Succeed())
		be(f.read(reading, arnOf("/p/shared")), "AccessDeniedException")
		be(f.read(administrator, arnOf("/p/kept")), "AccessDeniedException")
	})

	It("neither another region's nor a parameter that has expired is read", func() {
		f := newForeigner()
		mustPut("/p/a", "v", policed(inOneHour()))
		share("/p/a", letting("Allow", f.account, "*"))
		Expect(f.read(administrator, arnOf("/p/a"))).To(Succeed())
		Expect(f.read(administrator, strings.Replace(arnOf("/p/a"), home, "eu-west-1", 1))).NotTo(Succeed())
		advance(2 * 3600e9)
		be(f.read(administrator, arnOf("/p/a")), "AccessDeniedException")
	})
})

var _ = Describe("In the own account a resource policy", func() {
	It("allows what no identity policy does, and denies what one allows, whatever the operation", func() {
		mustPut("/a", "v", advanced)
		_, err := do[sdk.GetParameterOutput](stranger, "GetParameter", &sdk.GetParameterInput{Name: ptr.To("/a")})
		be(err, "AccessDeniedException")
		everybody := `{"Effect":"Allow","Principal":"*","Action":"ssm:GetParameter","Resource":"*"}`
		share("/a", everybody, `{"Effect":"Deny","Principal":"*","Action":["ssm:DeleteParameter","ssm:PutParameter"],"Resource":"*"}`)
		_, err = do[sdk.GetParameterOutput](stranger, "GetParameter", &sdk.GetParameterInput{Name: ptr.To("/a")})
		Expect(err).NotTo(HaveOccurred())
		_, err = do[sdk.DeleteParameterOutput](administrator, "DeleteParameter", &sdk.DeleteParameterInput{Name: ptr.To("/a")})
		be(err, "AccessDeniedException")
		_, err = put("/a", "w", overwrite)
		be(err, "AccessDeniedException")
	})

	It("that a manifest has and that cannot be read lets nobody in", func() {
		mustPut("/a", "v", advanced)
		p := onlyObject()
		world.Update(p, func() {
			p.Spec.ResourcePolicy = &v1alpha1.PolicyDocument{}
			p.Spec.ResourcePolicy.Raw = []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Perhaps"}]}`)
		})
		_, err := get("/a", true)
		be(err, "AccessDeniedException")
	})
})
