package secretsmanager_test

import (
	"fmt"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/gateway"
)

// foreigner is a user of another account, with identity policies.
type foreigner struct{ namespace, account string }

func newForeigner() foreigner {
	GinkgoHelper()
	namespace := world.NewNamespace()
	return foreigner{namespace, arn.DeriveAccount(namespace)}
}

func (f foreigner) call(operation string, policies ...caller) *gateway.Call {
	GinkgoHelper()
	call := stranger.call(operation, policies...)
	call.Identity.Namespace = f.namespace
	call.Identity.Principal.Account, call.Identity.Principal.ARN = f.account, "arn:aws:iam::"+f.account+":user/alice"
	return call
}

func (f foreigner) root() string { return `{"AWS":"` + f.account + `"}` }
func (f foreigner) user() string { return `{"AWS":"arn:aws:iam::` + f.account + `:user/alice"}` }

// try carries out an operation on an id, with the usual input.
func (f foreigner) try(operation, id string, policies ...caller) error {
	GinkgoHelper()
	return f.with(operation, inputs[operation](&id), policies...)
}

func (f foreigner) with(operation string, in any, policies ...caller) error {
	GinkgoHelper()
	for i := range service.Operations {
		if service.Operations[i].Name == operation {
			_, err := service.Operations[i].Invoke(ctx, f.call(operation, policies...), in)
			return err
		}
	}
	Fail("there is no operation " + operation)
	return nil
}

// sharedSecret is under a customer's key that leaves itself to both accounts.
func sharedSecret(f foreigner, keyPolicy string) string {
	GinkgoHelper()
	world.ReadyKey("shared", func(k *v1alpha1.KMSKey) {
		k.Spec.Aliases = []string{"alias/shared"}
		if keyPolicy != "" {
			k.Spec.Policy = &v1alpha1.PolicyDocument{}
			k.Spec.Policy.Raw = []byte(keyPolicy)
		}
	})
	return *create("shared", "value", func(in *sdk.CreateSecretInput) { in.KmsKeyId = ptr.To("alias/shared") }).ARN
}

func onKeys(principals ...string) string {
	var statements []string
	for _, p := range append([]string{`{"AWS":"ACCOUNT"}`}, principals...) {
		statements = append(statements, letting(p, "kms:*"))
	}
	return policyOf(statements...)
}

// https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_examples_cross.html
var _ = Describe("From another account", func() {
	reading := func() caller { return allowed("secretsmanager:GetSecretValue", "*") }

	DescribeTable("a secret is read with the word of both sides",
		func(owner func(foreigner) []string, own bool, want bool) {
			f := newForeigner()
			id := sharedSecret(f, onKeys(f.root()))
			if statements := owner(f); statements != nil {
				putPolicy(id, statements...)
			}
			policies := []caller{allowed("kms:Decrypt", "*")}
			if own {
				policies = append(policies, reading())
			}
			err := f.try("GetSecretValue", id, policies...)
			Expect(err == nil).To(Equal(want), "%v", err)
			if !want {
				Expect(err).To(MatchError(ContainSubstring("AccessDeniedException")))
			}
		},
		Entry("no policy, and the own one", func(foreigner) []string { return nil }, true, false),
		Entry("the account is named, and the own policy", func(f foreigner) []string { return []string{letting(f.root(), "secretsmanager:GetSecretValue")} }, true, true),
		Entry("the account is named, and no own policy", func(f foreigner) []string { return []string{letting(f.root(), "*")} }, false, false),
		Entry("the user is named, and the own policy", func(f foreigner) []string { return []string{letting(f.user(), "secretsmanager:Get*")} }, true, true),
		Entry("the user is named, and no own policy", func(f foreigner) []string { return []string{letting(f.user(), "*")} }, false, false),
		Entry("everybody, and the own policy", func(foreigner) []string { return []string{letting(everyone, "*")} }, true, true),
		Entry("everybody, and no own policy", func(foreigner) []string { return []string{letting(everyone, "*")} }, false, false),
		Entry("another operation, and the own policy", func(f foreigner) []string { return []string{letting(f.root(), "secretsmanager:DescribeSecret")} }, true, false),
		Entry("the owner's account alone", func(foreigner) []string { return []string{letting(`{"AWS":"ACCOUNT"}`, "*")} }, true, false),
		Entry("a Deny beside the Allow", func(f foreigner) []string { return []string{letting(f.root(), "*"), denying(f.user(), "*")} }, true, false),
		Entry("all but the account are let in", func(f foreigner) []string {
			return []string{strings.Replace(letting(f.root(), "*"), "Principal", "NotPrincipal", 1)}
		}, true, false),
	)

	DescribeTable("the secret's key is asked too, by both sides", func(keyNames, own bool, want string) {
		f := newForeigner()
		key := onKeys()
		if keyNames {
			key = onKeys(f.user())
		}
		id := sharedSecret(f, key)
		putPolicy(id, letting(f.root(), "*"))
		policies := []caller{reading()}
		if own {
			policies = append(policies, allowed("kms:Decrypt", "*"))
		}
		err := f.try("GetSecretValue", id, policies...)
		if want == "" {
			Expect(err).NotTo(HaveOccurred())
			return
		}
		be(err, "AccessDeniedException", want)
	},
		Entry("both allow", true, true, ""),
		Entry("the key alone, though it names the user", true, false, "Access to KMS is not allowed"),
		Entry("the caller's policies alone", false, true, "Access to KMS is not allowed"),
		Entry("neither", false, false, "Access to KMS is not allowed"),
	)

	It("a secret under the account's own key is not read or written, in AWS's words", func() {
		f := newForeigner()
		id := *create("own", "value").ARN
		putPolicy(id, letting(f.root(), "*"))
		for _, name := range []string{"GetSecretValue", "PutSecretValue"} {
			be(f.try(name, id, administrator), "InvalidRequestException",
				"You can't access a secret from a different AWS account if you encrypt the secret with the default KMS service key.")
		}
		Expect(*get("own").SecretString).To(Equal("value"))
		Expect(f.try("DescribeSecret", id, administrator)).To(Succeed())
	})

	It("each operation is carried out where both allow all, and changes the secret that is named", func() {
		f := newForeigner()
		for name, input := range inputs {
			if name == "CreateSecret" || name == "GetRandomPassword" || name == "ListSecrets" {
				continue
			}
			id := *create("of"+name, "value", func(in *sdk.CreateSecretInput) { in.KmsKeyId = ptr.To(keyOf(f)) }).ARN
			putPolicy(id, letting(f.root(), "*"))
			err := f.with(name, input(&id), administrator)
			if err != nil { // of what the input asks for, which comes after the secret was found
				Expect(err).NotTo(MatchError(Or(ContainSubstring("find the specified secret."), ContainSubstring("AccessDenied"))), name)
			}
			var list v1alpha1.SecretList
			Expect(world.ControlPlane.Client.List(ctx, &list)).To(Succeed())
			for i := range list.Items {
				Expect(list.Items[i].Namespace).NotTo(Equal(f.namespace), "%s made one in the caller's account", name)
			}
		}
	})

	It("a name is the caller's own account's, and so is what is made", func() {
		f := newForeigner()
		id := sharedSecret(f, onKeys(f.root()))
		putPolicy(id, letting(everyone, "*"))
		be(f.try("GetSecretValue", "shared", administrator), "ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
		elsewhere := strings.Replace(id, ":us-east-1:", ":eu-west-1:", 1)
		Expect(f.try("GetSecretValue", elsewhere, administrator)).To(MatchError(ContainSubstring("AccessDenied")), "of another region")
	})

	It("a secret that is deleted or never was, and an account that there is not, are told apart by nobody", func() {
		f := newForeigner()
		id := sharedSecret(f, onKeys(f.root()))
		putPolicy(id, letting(`{"AWS":"ACCOUNT"}`, "*"), denying(f.user(), "secretsmanager:GetSecretValue"))
		gone := *create("gone", "value").ARN
		_, err := remove("gone", nil, nil)
		Expect(err).NotTo(HaveOccurred())
		ids := []string{id, gone, strings.Replace(id, ":shared-", ":nope12-", 1), strings.Replace(id, account, "999999999999", 1), id[:len(id)-7]}
		for name, input := range inputs {
			if name == "CreateSecret" || name == "GetRandomPassword" || strings.HasPrefix(name, "ListSecrets") || name == "BatchGetSecretValue" {
				continue
			}
			for _, who := range []caller{administrator, stranger} {
				told := map[string]bool{}
				for _, id := range ids {
					err := f.with(name, input(&id), who)
					told[strings.ReplaceAll(message(err), id, "ID")] = true
				}
				Expect(told).To(HaveLen(1), name)
			}
		}
	})

	It("a key of an update is the secret's account's, and whether there is one is not told before it is permitted", func() {
		f := newForeigner()
		id := sharedSecret(f, onKeys(f.root()))
		mine := &v1alpha1.KMSKey{}
		mine.Namespace, mine.Name, mine.Spec.Aliases = f.namespace, "second", []string{"alias/second"}
		world.Create(mine)
		world.ReconcileKey(mine)
		update := func(key string, policies ...caller) error {
			return f.with("UpdateSecret", &sdk.UpdateSecretInput{SecretId: &id, ClientRequestToken: token(), KmsKeyId: &key}, policies...)
		}
		// A condition on the key would tell which key an alias of the other account has, or whether it has one.
		probe := func(key string) string {
			deny := caller{policy: `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringLike":{"secretsmanager:KmsKeyArn":"*:key/*"}}}]}`}
			return strings.ReplaceAll(message(update(key, administrator, deny)), key, "KEY")
		}
		Expect(probe("alias/shared")).To(Equal(probe("alias/nothere")))
		putPolicy(id, letting(f.root(), "*"))
		Expect(update(mine.Status.ARN, administrator)).To(MatchError(And(ContainSubstring("AccessDenied"), ContainSubstring("KMS"))))
		for _, other := range []string{"alias/second", "alias/shared", mine.Status.KeyID, strings.Replace(mine.Status.ARN, "key/"+mine.Status.KeyID, "alias/shared", 1)} {
			Expect(update(other, administrator)).To(MatchError(ContainSubstring("named by its key ARN")), "a Deny by the key's ARN would not see it")
		}
		Expect(object(id).Spec.KMSKeyRef.Name).To(Equal("shared"))
		other := world.ReadyKey("other", func(k *v1alpha1.KMSKey) {
			k.Spec.Policy = &v1alpha1.PolicyDocument{}
			k.Spec.Policy.Raw = []byte(onKeys(f.root()))
		})
		closed := world.ReadyKey("closed")
		Expect(update(other.Status.ARN, administrator)).To(Succeed())
		Expect(object(id).Spec.KMSKeyRef.Name).To(Equal("other"))
		none := strings.Replace(closed.Status.ARN, closed.Status.KeyID, "00000000-0000-4000-8000-000000000000", 1)
		Expect(message(update(closed.Status.ARN, administrator))).To(Equal(message(update(none, administrator))), "a key that is not there is told apart")
	})

	It("a rotation function of the secret's namespace is set by nobody, whatever the own policies say", func() {
		f := newForeigner()
		id := sharedSecret(f, onKeys(f.root()))
		putPolicy(id, letting(f.root(), "*"))
		err := f.with("RotateSecret", &sdk.RotateSecretInput{
			SecretId: &id, ClientRequestToken: token(), RotationLambdaARN: ptr.To("arn:aws:lambda:us-east-1:" + account + ":function:rotator"),
		}, administrator)
		Expect(err).To(MatchError(And(ContainSubstring("AccessDenied"), ContainSubstring("lambda:InvokeFunction"))))
		Expect(object(id).Spec.Rotation).To(BeNil())
	})

	It("a batch has the secrets of both accounts, each by its own permission", func() {
		f := newForeigner()
		id := sharedSecret(f, onKeys(f.root()))
		closed := *create("closed", "x").ARN
		putPolicy(id, letting(f.root(), "secretsmanager:GetSecretValue"))
		out, err := invoke[sdk.BatchGetSecretValueOutput](f.call("BatchGetSecretValue", administrator), &sdk.BatchGetSecretValueInput{SecretIdList: []string{id, closed}})
		Expect(err).NotTo(HaveOccurred())
		Expect(out.SecretValues).To(HaveLen(1))
		Expect(*out.SecretValues[0].SecretString).To(Equal("value"))
		Expect(*out.Errors[0].ErrorCode).To(Equal("AccessDeniedException"))
	})

	It("the record names the account that the secret is of", func() {
		f := newForeigner()
		id := sharedSecret(f, onKeys(f.root()))
		putPolicy(id, letting(f.root(), "*"))
		call := f.call("GetSecretValue", administrator)
		_, err := invoke[sdk.GetSecretValueOutput](call, &sdk.GetSecretValueInput{SecretId: &id})
		Expect(err).NotTo(HaveOccurred())
		Expect(fmt.Sprint(call.Resources)).To(And(ContainSubstring(id), ContainSubstring(account)))
	})
})

// keyOf is a customer's key that leaves itself to both accounts, by its ARN.
func keyOf(f foreigner) string {
	GinkgoHelper()
	key := &v1alpha1.KMSKey{}
	key.Name = "both"
	if err := world.ControlPlane.Client.Get(ctx, keyName("both"), key); err == nil {
		return key.Status.ARN
	}
	return world.ReadyKey("both", func(k *v1alpha1.KMSKey) {
		k.Spec.Policy = &v1alpha1.PolicyDocument{}
		k.Spec.Policy.Raw = []byte(onKeys(f.root()))
	}).Status.ARN
}
