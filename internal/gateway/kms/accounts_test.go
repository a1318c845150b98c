package kms_test

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"strongroom.dev/strongroom/internal/core/arn"
)

// statement is one of a key policy, for principals ROOT, ALICE and OTHER (another account), and STRANGER (a user of it).
func statement(effect, principal, action string) string {
	return fmt.Sprintf(`{"Effect":%q,"Principal":{"AWS":"%s"},"Action":"kms:%s","Resource":"*"}`, effect, principal, action)
}

// withPolicy makes a key of the spec's account under a policy of statements.
func withPolicy(other string, statements ...string) string {
	GinkgoHelper()
	account := arn.DeriveAccount(world.Namespace)
	text := strings.NewReplacer("ROOT", "arn:aws:iam::"+account+":root", "ALICE", "arn:aws:iam::"+account+":user/alice",
		"OTHER", "arn:aws:iam::"+arn.DeriveAccount(other)+":root", "STRANGER", "arn:aws:iam::"+arn.DeriveAccount(other)+":user/alice").
		Replace(`{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`)
	return *createKey(admin(), func(in *awskms.CreateKeyInput) { in.Policy, in.BypassPolicyLockoutSafetyCheck = &text, true }).Arn
}

const (
	encrypting = `{"Effect":"Allow","Action":"kms:Encrypt","Resource":"*"}`
	forbidding = `{"Effect":"Deny","Action":"kms:Encrypt","Resource":"*"}`
)

// https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-overview.html: without the key policy's word nothing is allowed, and
// what it gives to an account is the account's to give on.
var _ = DescribeTable("Who may encrypt, by the key's policy and the caller's",
	func(foreign bool, own string, allowed bool, statements ...string) {
		other := world.NewNamespace()
		key := withPolicy(other, statements...)
		who := user(world.Namespace, own)
		if foreign {
			who = user(other, own)
		}
		err := invoke(who, "Encrypt", &awskms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
		if allowed {
			Expect(err).NotTo(HaveOccurred())
			return
		}
		code, message := refused[any](who, "Encrypt", &awskms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
		Expect(code).To(Equal("AccessDeniedException"))
		Expect(message).To(ContainSubstring("is not authorized to perform: kms:Encrypt on resource"))
	},
	Entry("the account is named, and the caller's own policy allows", false, encrypting, true, statement("Allow", "ROOT", "*")),
	Entry("the account is named, and the caller has no policy", false, "", false, statement("Allow", "ROOT", "*")),
	Entry("the account is named for another action", false, everything, false, statement("Allow", "ROOT", "Decrypt")),
	Entry("the user is named, and needs no policy of the own", false, "", true, statement("Allow", "ALICE", "Encrypt")),
	Entry("the user is named, and the own policy denies", false, forbidding, false, statement("Allow", "ALICE", "Encrypt")),
	Entry("nobody of the account is named, whatever the own policy allows", false, everything, false, statement("Allow", "OTHER", "*")),
	Entry("the key's policy denies what both allow", false, encrypting, false, statement("Allow", "ROOT", "*"), statement("Deny", "ALICE", "Encrypt")),
	Entry("the key's policy denies another account's user", false, encrypting, true, statement("Allow", "ROOT", "*"), statement("Deny", "STRANGER", "*")),
	Entry("from another account that is named, with an own policy", true, encrypting, true, statement("Allow", "OTHER", "Encrypt")),
	Entry("from another account that is named, without one", true, "", false, statement("Allow", "OTHER", "Encrypt")),
	Entry("from another account whose user is named, without an own policy", true, "", false, statement("Allow", "STRANGER", "Encrypt")),
	Entry("from another account whose user is named, with one", true, encrypting, true, statement("Allow", "STRANGER", "Encrypt")),
	Entry("from another account that is not named", true, everything, false, statement("Allow", "ROOT", "*")),
	Entry("from another account, by a policy that lets everybody", true, encrypting, true, statement("Allow", "*", "Encrypt")),
	Entry("from another account, against a Deny of the key", true, encrypting, false, statement("Allow", "OTHER", "*"), statement("Deny", "OTHER", "Encrypt")),
)

var _ = Describe("From another account", func() {
	// The operations of AWS's list "Cross-account use: Yes".
	// https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html
	across := map[string]bool{"GetKeyRotationStatus": true, "CreateGrant": true, "ListGrants": true}
	for name := range anyNames {
		across[name] = true
	}

	It("each operation is carried out, or refused as if there were no such key, as AWS has it, where both policies allow all", func() {
		other := world.NewNamespace()
		key := withPolicy(other, statement("Allow", "OTHER", "*"), statement("Allow", "ROOT", "*"))
		before := object(arn.Resource(key)[len("key/"):])
		for name, in := range onKeys {
			if name == "RetireGrant" || name == "RevokeGrant" { // they are about a grant, which there is none of: see retire_test.go
				continue
			}
			_, err := answered(user(other, everything), name, in(key))
			switch {
			case !across[name]:
				missing := arn.KMSKey(region, arn.DeriveAccount(world.Namespace), absent)
				_, other := answered(user(other, everything), name, in(missing))
				Expect(err).To(MatchError(ContainSubstring("AccessDenied")), name)
				Expect(err.Error()).To(Equal(strings.ReplaceAll(other.Error(), missing, key)), name)
			case err != nil: // of what is wrong with the input, which comes after the key was found
				Expect(err).NotTo(MatchError(Or(ContainSubstring("NotFound"), ContainSubstring("AccessDenied"))), name)
			}
		}
		Expect(object(before.Name)).To(Equal(before))
	})

	It("a key is named by its ARN: an id and an alias are the caller's own account's", func() {
		other := world.NewNamespace()
		key := withPolicy(other, statement("Allow", "OTHER", "*"), statement("Allow", "ROOT", "*"))
		id := arn.Resource(key)[len("key/"):]
		alias(admin(), "alias/shared", id)
		stranger := user(other, everything)
		for _, name := range []string{key, arn.KMSAlias(region, arn.DeriveAccount(world.Namespace), "alias/shared")} {
			encrypt(stranger, name, "x", nil)
		}
		for _, name := range []string{id, "alias/shared"} {
			code, _ := refused[any](stranger, "Encrypt", &awskms.EncryptInput{KeyId: &name, Plaintext: []byte("x")})
			Expect(code).To(Equal("NotFoundException"), name)
		}
	})

	It("an alias of the own account does not come to name a foreign key", func() {
		other := world.NewNamespace()
		key := withPolicy(other, statement("Allow", "OTHER", "*"), statement("Allow", "ROOT", "*"))
		stranger := user(other, everything)
		code, _ := refused[any](stranger, "CreateAlias", &awskms.CreateAliasInput{AliasName: s("alias/theirs"), TargetKeyId: &key})
		Expect(code).To(Equal("AccessDeniedException"))
		own := createKey(stranger)
		alias(stranger, "alias/mine", *own.KeyId)
		code, _ = refused[any](stranger, "UpdateAlias", &awskms.UpdateAliasInput{AliasName: s("alias/mine"), TargetKeyId: &key})
		Expect(code).To(Equal("AccessDeniedException"))
		Expect(object(arn.Resource(key)[len("key/"):]).Spec.Aliases).To(BeEmpty())
	})

	It("ReEncrypt moves from one account's key to another's with the word of both, and of each for its own side", func() {
		other := world.NewNamespace()
		from := withPolicy(other, statement("Allow", "ROOT", "*"), statement("Allow", "OTHER", "ReEncryptFrom"))
		blob := encrypt(admin(), from, "moved", nil)
		stranger := user(other, everything)
		to := createKey(stranger)
		in := &awskms.ReEncryptInput{CiphertextBlob: blob, DestinationKeyId: to.KeyId}
		out := must[awskms.ReEncryptOutput](stranger, "ReEncrypt", in)
		Expect(decrypt(stranger, out.CiphertextBlob, nil)).To(Equal("moved"))
		Expect(*out.SourceKeyId).To(Equal(from))
		_, err := decrypt(stranger, blob, nil)
		Expect(err).To(MatchError(ContainSubstring("AccessDenied")), "the permission to move it is not one to read it")
		code, message := refused[any](stranger, "ReEncrypt", &awskms.ReEncryptInput{CiphertextBlob: out.CiphertextBlob, DestinationKeyId: &from})
		Expect(code).To(Equal("AccessDeniedException"))
		Expect(message).To(ContainSubstring("kms:ReEncryptTo"))
	})

	It("a permission counts from the policy's next write on, and no longer than that", func() {
		other := world.NewNamespace()
		key := withPolicy(other, statement("Allow", "ROOT", "*"))
		stranger := user(other, everything)
		try := func() error {
			return invoke(stranger, "Encrypt", &awskms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
		}
		put := func(statements string) {
			policy := `{"Version":"2012-10-17","Statement":[` + strings.ReplaceAll(statements, "OTHER", arn.DeriveAccount(other)) + `]}`
			policy = strings.ReplaceAll(policy, "ROOT", arn.DeriveAccount(world.Namespace))
			must[awskms.PutKeyPolicyOutput](admin(), "PutKeyPolicy", &awskms.PutKeyPolicyInput{KeyId: &key, Policy: &policy})
		}
		for range 3 {
			Expect(try()).To(MatchError(ContainSubstring("AccessDenied")))
			put(statement("Allow", "ROOT", "*") + "," + statement("Allow", "OTHER", "Encrypt"))
			Expect(try()).To(Succeed())
			put(statement("Allow", "ROOT", "*"))
		}
	})
})
