package secretsmanager_test

import (
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"
)

func blocking(in *sdk.PutResourcePolicyInput) { in.BlockPublicPolicy = ptr.To(true) }

func validated(who caller, document string, id *string) (*sdk.ValidateResourcePolicyOutput, error) {
	GinkgoHelper()
	return do[sdk.ValidateResourcePolicyOutput](who, "ValidateResourcePolicy", &sdk.ValidateResourcePolicyInput{SecretId: id, ResourcePolicy: &document})
}

// https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_resource-policies.html
var _ = Describe("A resource policy of a request", func() {
	BeforeEach(func() { create("db", "value") })

	DescribeTable("that is wrong is refused in AWS's words, by both operations, and changes nothing", func(document, text string) {
		document = strings.ReplaceAll(document, "ACCOUNT", account)
		_, invalid := validated(administrator, document, ptr.To("db"))
		for _, err := range []error{tryPolicy(document), tryPolicy(document, blocking), invalid} {
			Expect(err).To(MatchError(And(ContainSubstring("MalformedPolicyDocumentException"), ContainSubstring("This resource policy contains "+text))))
		}
		Expect(policyText("db")).To(BeNil())
	},
		Entry("an effect that there is not", `{"Statement":{"Effect":"AllowSomething","Principal":"*","Action":"*","Resource":"*"}}`,
			"a syntax error. At /Statement/Effect (byte 39): an Effect is Allow or Deny"),
		Entry("no JSON", `Allow`, "a syntax error. At"),
		Entry("two documents", `{"Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}{}`, "a syntax error. At"),
		Entry("a member twice", `{"Statement":[{"Effect":"Deny","Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`, "a syntax error. At /Statement/0"),
		Entry("no principal", `{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`, "a syntax error. At"),
		Entry("no resource", `{"Statement":{"Effect":"Allow","Principal":"*","Action":"*"}}`, "a syntax error. At"),
		Entry("no action", `{"Statement":{"Effect":"Allow","Principal":"*","Resource":"*"}}`, "a syntax error. At"),
		Entry("a version that there is not", `{"Version":"2019-10-19","Statement":{"Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}}`, "a syntax error. At"),
		Entry("a wildcard for the account of a principal", `{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::*:root"},"Action":"*","Resource":"*"}}`, "a syntax error. At"),
		Entry("bytes that are no UTF-8", "{\"Id\":\"\xff\",\"Statement\":{\"Effect\":\"Deny\",\"Principal\":\"*\",\"Action\":\"*\",\"Resource\":\"*\"}}", "a syntax error. At"),
		Entry("a depth", strings.Repeat(`{"Statement":`, 2000), "a syntax error. At"),
		Entry("more than can be kept", `{"Statement":{"Sid":"a","Effect":"Deny","Principal":"*","Action":"*","Resource":"arn:aws:secretsmanager:*:*:secret:`+strings.Repeat("&", 10000)+`"}}`,
			"a syntax error. At /: the document has"),
		Entry("a user who is not there", `{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::ACCOUNT:user/nobody"},"Action":"*","Resource":"*"}}`, "an unsupported principal."),
		Entry("a role that is not there, in a NotPrincipal", `{"Statement":{"Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam::ACCOUNT:role/nobody"},"Action":"*","Resource":"*"}}`, "an unsupported principal."),
		Entry("a session of a role that is not there", `{"Statement":{"Effect":"Allow","Principal":{"AWS":"arn:aws:sts::ACCOUNT:assumed-role/nobody/pod"},"Action":"*","Resource":"*"}}`, "an unsupported principal."),
		Entry("a service that there cannot be", `{"Statement":{"Effect":"Allow","Principal":{"Service":"invalidservice"},"Action":"*","Resource":"*"}}`, "an unsupported service principal."),
		Entry("every service", `{"Statement":{"Effect":"Allow","Principal":{"Service":"*"},"Action":"*","Resource":"*"}}`, "an unsupported service principal."),
	)

	It("names whomever of another account: nothing is told of who is there", func() {
		for _, principal := range []string{`{"AWS":"999999999999"}`, `{"AWS":"arn:aws:iam::999999999999:user/nobody"}`, `{"Service":"lambda.amazonaws.com"}`} {
			Expect(tryPolicy(policyOf(letting(principal, "*")))).To(Succeed(), principal)
		}
	})

	It("that is broad is put, unless the request forbids that", func() {
		broad, narrow := policyOf(letting(everyone, "*")), policyOf(letting(`{"AWS":"ACCOUNT"}`, "*"))
		be(tryPolicy(broad, blocking), "PublicPolicyException", "You can't attach a resource-based policy that allows broad access to the secret.")
		Expect(policyText("db")).To(BeNil())
		Expect(tryPolicy(narrow, blocking)).To(Succeed())
		Expect(tryPolicy(broad, func(in *sdk.PutResourcePolicyInput) { in.BlockPublicPolicy = ptr.To(false) })).To(Succeed())
		Expect(tryPolicy(broad, blocking)).To(MatchError(ContainSubstring("PublicPolicyException")), "though it is the one that the secret has")
		Expect(*policyText("db")).To(MatchJSON(broad))
	})

	It("may be held to BlockPublicPolicy by who gives the permission to put it", func() {
		who := allowed("secretsmanager:PutResourcePolicy", "*", `{"Bool":{"secretsmanager:BlockPublicPolicy":"true"}}`)
		in := &sdk.PutResourcePolicyInput{SecretId: ptr.To("db"), ResourcePolicy: ptr.To(policyOf(letting(`{"AWS":"ACCOUNT"}`, "*")))}
		for given, allowed := range map[*bool]bool{nil: false, ptr.To(false): false, ptr.To(true): true} {
			in.BlockPublicPolicy = given
			_, err := do[sdk.PutResourcePolicyOutput](who, "PutResourcePolicy", in)
			Expect(err == nil).To(Equal(allowed), "%v", err)
		}
	})

	DescribeTable("is validated: what passes, and what does not with what is found", func(text string, checks ...string) {
		text = strings.ReplaceAll(text, "ACCOUNT", account)
		for _, id := range []*string{ptr.To("db"), nil} {
			out, err := validated(administrator, text, id)
			Expect(err).NotTo(HaveOccurred())
			found := []string{}
			for _, e := range out.ValidationErrors {
				found = append(found, *e.CheckName+": "+*e.ErrorMessage)
			}
			Expect(found).To(HaveExactElements(append([]string{}, checks...)))
			Expect(out.ValidationErrors).NotTo(BeNil(), "an empty list is one")
			Expect(out.PolicyValidationPassed).To(Equal(len(checks) == 0))
		}
		Expect(policyText("db")).To(BeNil(), "nothing is put")
	},
		Entry("an account", document(letting(`{"AWS":"ACCOUNT"}`, "*"))),
		Entry("everybody", document(letting(everyone, "*")),
			"BlockPublicPolicyCheck: This resource policy grants broad access to your secret. Statement 0 lets in every principal, and no condition limits it to fixed values."),
		Entry("everybody is denied", document(denying(everyone, "secretsmanager:*")),
			"LockOutCheck: Your requested changes will not allow you to manage this secret in the future."),
		Entry("the account is denied the change alone", document(denying(`{"AWS":"ACCOUNT"}`, "secretsmanager:PutResourcePolicy")),
			"LockOutCheck: Your requested changes will not allow you to manage this secret in the future."),
		Entry("another operation is denied", document(denying(everyone, "secretsmanager:GetSecretValue"))),
		Entry("two that are broad, and a lock-out", document(strings.Replace(letting(everyone, "*"), "{", `{"Sid":"One",`, 1),
			`{"Effect":"Allow","NotPrincipal":{"AWS":"ACCOUNT"},"Action":"*","Resource":"*"}`, denying(everyone, "secretsmanager:Put*")),
			"BlockPublicPolicyCheck: This resource policy grants broad access to your secret. Statement 0 (One) lets in every principal, and no condition limits it to fixed values.",
			"BlockPublicPolicyCheck: This resource policy grants broad access to your secret. Statement 1 lets in everybody but those whom NotPrincipal names, and no condition limits it to fixed values.",
			"LockOutCheck: Your requested changes will not allow you to manage this secret in the future."),
	)

	It("is validated for who may validate and put, and for nobody else", func() {
		document := policyOf(letting(`{"AWS":"ACCOUNT"}`, "*"))
		one, other := allowed("secretsmanager:ValidateResourcePolicy", "*"), allowed("secretsmanager:PutResourcePolicy", "*")
		for _, id := range []*string{ptr.To("db"), nil} {
			_, err := validated(one, document, id)
			Expect(err).To(MatchError(And(ContainSubstring("AccessDenied"), ContainSubstring("perform: secretsmanager:PutResourcePolicy"))))
			_, err = validated(other, document, id)
			Expect(err).To(MatchError(And(ContainSubstring("AccessDenied"), ContainSubstring("perform: secretsmanager:ValidateResourcePolicy"))))
			_, err = invoke[sdk.ValidateResourcePolicyOutput](one.call("ValidateResourcePolicy", other), &sdk.ValidateResourcePolicyInput{SecretId: id, ResourcePolicy: &document})
			Expect(err).NotTo(HaveOccurred())
		}
	})
})
