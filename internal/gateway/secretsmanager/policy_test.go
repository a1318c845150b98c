package secretsmanager_test

import (
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// policyOf is a resource policy of statements. ACCOUNT is the spec's own.
func policyOf(statements ...string) string {
	return strings.ReplaceAll(document(statements...), "ACCOUNT", account)
}

// document is policyOf before there is an account, as in the entries of a table.
func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// letting and denying are statements on all secrets, for a principal as JSON has it.
func letting(principal, action string) string {
	return `{"Effect":"Allow","Principal":` + principal + `,"Action":"` + action + `","Resource":"*"}`
}

func denying(principal, action string) string {
	return strings.Replace(letting(principal, action), "Allow", "Deny", 1)
}

func putPolicy(id string, statements ...string) {
	GinkgoHelper()
	must[sdk.PutResourcePolicyOutput](administrator, "PutResourcePolicy",
		&sdk.PutResourcePolicyInput{SecretId: &id, ResourcePolicy: ptr.To(policyOf(statements...))})
}

func tryPolicy(document string, changes ...func(*sdk.PutResourcePolicyInput)) error {
	GinkgoHelper()
	in := &sdk.PutResourcePolicyInput{SecretId: ptr.To("db"), ResourcePolicy: &document}
	for _, change := range changes {
		change(in)
	}
	_, err := do[sdk.PutResourcePolicyOutput](administrator, "PutResourcePolicy", in)
	return err
}

func policyText(id string) *string {
	GinkgoHelper()
	return must[sdk.GetResourcePolicyOutput](administrator, "GetResourcePolicy", &sdk.GetResourcePolicyInput{SecretId: &id}).ResourcePolicy
}

const (
	tester   = `{"AWS":"arn:aws:iam::ACCOUNT:user/tester"}`
	everyone = `"*"`
)

// iamUser makes a user of the spec's account, whom a policy can name.
func iamUser(name string) {
	GinkgoHelper()
	user := &v1alpha1.IAMUser{ObjectMeta: object0(name)}
	world.Create(user)
	_, err := world.IAMUser.Reconcile(ctx, environment.Request(user))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(user)
	world.Seen(user)
}

var _ = Describe("A resource policy", func() {
	BeforeEach(func() { create("db", "value") })

	It("is put, had back, replaced and taken away, and is part of the object", func() {
		Expect(policyText("db")).To(BeNil())
		first := policyOf(letting(`{"AWS":"ACCOUNT"}`, "secretsmanager:*"))
		out := must[sdk.PutResourcePolicyOutput](administrator, "PutResourcePolicy", &sdk.PutResourcePolicyInput{SecretId: ptr.To("db"), ResourcePolicy: &first})
		Expect(*out.Name).To(Equal("db"))
		Expect(out.ARN).To(Equal(describe("db").ARN))
		Expect(*policyText("db")).To(MatchJSON(first))
		Expect(object(*out.ARN).Spec.ResourcePolicy.Raw).To(MatchJSON(first))
		second := policyOf(denying(everyone, "secretsmanager:PutSecretValue"))
		Expect(tryPolicy(second)).To(Succeed())
		Expect(*policyText(*out.ARN)).To(MatchJSON(second))
		for range 2 { // the second time there is none
			gone := must[sdk.DeleteResourcePolicyOutput](administrator, "DeleteResourcePolicy", &sdk.DeleteResourcePolicyInput{SecretId: out.ARN})
			Expect([]*string{gone.ARN, gone.Name}).To(Equal([]*string{out.ARN, out.Name}))
		}
		Expect(policyText("db")).To(BeNil())
		Expect(object(*out.ARN).Spec.ResourcePolicy).To(BeNil())
	})

	It("is had of a manifest as of a request", func() {
		s := object(*describe("db").ARN)
		world.Update(s, func() {
			s.Spec.ResourcePolicy = &v1alpha1.PolicyDocument{}
			s.Spec.ResourcePolicy.Raw = []byte(policyOf(denying(everyone, "secretsmanager:GetSecretValue")))
		})
		Expect(*policyText("db")).To(MatchJSON(policyOf(denying(everyone, "secretsmanager:GetSecretValue"))))
		Expect(getError("db")).To(MatchError(ContainSubstring("with an explicit deny in a resource-based policy")))
	})

	It("lets in whom it names, without a policy of their own", func() {
		read := func() error { return invokeAny(stranger, "GetSecretValue", inputs["GetSecretValue"](ptr.To("db"))) }
		Expect(read()).To(MatchError(ContainSubstring("AccessDenied")))
		iamUser("tester")
		putPolicy("db", letting(tester, "secretsmanager:GetSecretValue"))
		Expect(read()).To(Succeed())
		Expect(invokeAny(stranger, "DescribeSecret", inputs["DescribeSecret"](ptr.To("db")))).To(MatchError(ContainSubstring("AccessDenied")), "it is let read alone")
		putPolicy("db", letting(`{"AWS":"ACCOUNT"}`, "secretsmanager:*"))
		Expect(read()).To(MatchError(ContainSubstring("AccessDenied")), "the account is named, which leaves it to the own policies")
		putPolicy("db", letting(everyone, "secretsmanager:GetSecretValue"))
		Expect(read()).To(Succeed())
		putPolicy("db", letting(everyone, "secretsmanager:GetSecretValue"), denying(tester, "*"))
		Expect(read()).To(MatchError(ContainSubstring("AccessDenied")))
	})

	It("is about its own secret: a resource that is another's lets nobody in", func() {
		putPolicy("db", strings.Replace(letting(everyone, "*"), `"Resource":"*"`, `"Resource":"arn:aws:secretsmanager:*:*:secret:other-*"`, 1))
		Expect(invokeAny(stranger, "GetSecretValue", inputs["GetSecretValue"](ptr.To("db")))).To(MatchError(ContainSubstring("AccessDenied")))
	})

	It("asks for what the request and the secret are", func() {
		create("tagged", "value")
		must[sdk.TagResourceOutput](administrator, "TagResource", inputs["TagResource"](ptr.To("tagged")).(*sdk.TagResourceInput))
		condition := func(text string) string {
			return strings.TrimSuffix(letting(everyone, "*"), "}") + `,"Condition":` + text + `}`
		}
		for text, allowed := range map[string]bool{
			`{"StringEquals":{"aws:ResourceTag/tagged":"tagged"}}`:                  true,
			`{"StringEquals":{"aws:ResourceTag/tagged":"x"}}`:                       false,
			`{"StringEquals":{"secretsmanager:VersionStage":"AWSCURRENT"}}`:         true,
			`{"StringEquals":{"secretsmanager:VersionStage":"AWSPREVIOUS"}}`:        false,
			`{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::` + account + `:*"}}`:     true,
			`{"ArnLike":{"aws:PrincipalArn":"arn:aws:iam::999999999999:*"}}`:        false,
			`{"StringEquals":{"aws:PrincipalAccount":"${aws:PrincipalAccount}"}}`:   true,
			`{"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}`:                           true,
			`{"StringEquals":{"aws:SourceVpce":"vpce-1"}}`:                          false,
			`{"StringEquals":{"secretsmanager:SecretId":"${secretsmanager:Name}"}}`: false,
		} {
			putPolicy("tagged", condition(text))
			err := invokeAny(stranger, "GetSecretValue", inputs["GetSecretValue"](ptr.To("tagged")))
			Expect(err == nil).To(Equal(allowed), "%s: %v", text, err)
		}
	})

	It("denies each operation to who may do everything, and says so to them alone", func() {
		putPolicy("db", denying(everyone, "secretsmanager:*"))
		before := object(*must[sdk.ListSecretsOutput](administrator, "ListSecrets", &sdk.ListSecretsInput{}).SecretList[0].ARN)
		for name, input := range inputs {
			switch name {
			case "CreateSecret", "GetRandomPassword", "ListSecrets", "BatchGetSecretValue": // are not about a secret that is there
				continue
			}
			Expect(invokeAny(administrator, name, input(ptr.To("db")))).To(MatchError(And(ContainSubstring("AccessDeniedException"),
				ContainSubstring("with an explicit deny in a resource-based policy"))), name)
			Expect(invokeAny(stranger, name, input(ptr.To("db")))).To(MatchError(ContainSubstring("because no identity-based policy allows")), name)
		}
		out := must[sdk.BatchGetSecretValueOutput](administrator, "BatchGetSecretValue", &sdk.BatchGetSecretValueInput{SecretIdList: []string{"db"}})
		Expect(out.SecretValues).To(BeEmpty())
		Expect(*out.Errors[0].ErrorCode).To(Equal("AccessDeniedException"))
		Expect(object(before.Status.ARN)).To(Equal(before))
	})

	It("holds within the deletion window, is not to be changed there, and comes back with the secret", func() {
		id := *describe("db").ARN
		putPolicy("db", denying(everyone, "secretsmanager:ListSecretVersionIds"))
		_, err := remove("db", nil, nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(invokeAny(administrator, "ListSecretVersionIds", inputs["ListSecretVersionIds"](&id))).To(MatchError(ContainSubstring("explicit deny in a resource-based policy")))
		Expect(invokeAny(administrator, "DescribeSecret", inputs["DescribeSecret"](&id))).To(Succeed())
		for _, name := range []string{"PutResourcePolicy", "GetResourcePolicy", "DeleteResourcePolicy", "ValidateResourcePolicy"} {
			be(invokeAny(administrator, name, inputs[name](&id)), "InvalidRequestException",
				"You can't perform this operation on the secret because it was marked for deletion.")
		}
		must[sdk.RestoreSecretOutput](administrator, "RestoreSecret", &sdk.RestoreSecretInput{SecretId: &id})
		Expect(*policyText("db")).To(MatchJSON(policyOf(denying(everyone, "secretsmanager:ListSecretVersionIds"))))
	})

	It("of a secret that is not there is told so to who may ask", func() {
		for _, name := range []string{"PutResourcePolicy", "GetResourcePolicy", "DeleteResourcePolicy", "ValidateResourcePolicy"} {
			be(invokeAny(administrator, name, inputs[name](ptr.To("no"))), "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
		}
	})
})

var _ = Describe("A manifest whose resource policy cannot be understood", func() {
	It("lets nobody do anything, since it may have denied it, until the manifest is mended", func() {
		made := create("db", "value")
		s := object(*made.ARN)
		set := func(text string) {
			world.Update(s, func() {
				s.Spec.ResourcePolicy = &v1alpha1.PolicyDocument{}
				s.Spec.ResourcePolicy.Raw = []byte(text)
			})
		}
		for _, text := range []string{`{"Statement":{"Effect":"Permit","Principal":"*","Action":"*","Resource":"*"}}`, `{}`, strings.Replace(policyOf(letting(everyone, "*")), "*", strings.Repeat("x", 20480), 1)} {
			set(text)
			for _, name := range []string{"GetSecretValue", "DeleteResourcePolicy", "DeleteSecret", "DescribeSecret"} {
				Expect(invokeAny(administrator, name, inputs[name](ptr.To("db")))).To(MatchError(ContainSubstring("explicit deny in a resource-based policy")), name)
			}
		}
		set(policyOf(letting(`{"AWS":"ACCOUNT"}`, "*")))
		Expect(getError("db")).To(Succeed())
	})
})
