package kms_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/test/environment"
)

// person is a user that there is, of a namespace's account, with statements of the own.
func person(namespace, name, statements string) *caller {
	GinkgoHelper()
	there := &v1alpha1.IAMUser{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	world.Create(there)
	_, err := world.IAMUser.Reconcile(ctx, environment.Request(there))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(there)
	world.Seen(there)
	c := user(namespace, statements)
	identity := *c.call.Identity
	identity.Name = name
	identity.Principal.ARN, identity.Principal.UniqueID = there.Status.ARN, there.Status.UniqueID
	c.call.Identity = &identity
	return c
}

func (c *caller) arn() string { return c.call.Identity.Principal.ARN }

// grant creates a grant of a key to somebody.
func grant(c *caller, key, grantee string, operations ...types.GrantOperation) *awskms.CreateGrantOutput {
	GinkgoHelper()
	return must[awskms.CreateGrantOutput](c, "CreateGrant", &awskms.CreateGrantInput{KeyId: &key, GranteePrincipal: &grantee, Operations: operations})
}

func listed(c *caller, key string) []types.GrantListEntry {
	GinkgoHelper()
	return must[awskms.ListGrantsOutput](c, "ListGrants", &awskms.ListGrantsInput{KeyId: &key}).Grants
}

func denied(c *caller, name string, in any) {
	GinkgoHelper()
	code, _ := refused[any](c, name, in)
	Expect(code).To(Equal("AccessDeniedException"))
}

// grantable are the operations that a grant of a symmetric key can allow.
var grantable = []types.GrantOperation{
	"Encrypt", "Decrypt", "ReEncryptFrom", "ReEncryptTo", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair",
	"GenerateDataKeyPairWithoutPlaintext", "CreateGrant", "RetireGrant", "DescribeKey",
}

var _ = Describe("A grant", func() {
	It("lets a user without any policy do what it says, from the answer on, and nothing else", func() {
		key, bob := createKey(admin()), person(world.Namespace, "bob", "")
		denied(bob, "Encrypt", &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x")})
		out := grant(admin(), *key.KeyId, bob.arn(), "Encrypt", "Decrypt", "DescribeKey", "ReEncryptFrom", "ReEncryptTo")
		Expect(*out.GrantId).To(MatchRegexp("^[0-9a-f]{64}$"))
		Expect(len(*out.GrantToken)).To(BeNumerically("<", 1024))

		Expect(decrypt(bob, encrypt(bob, *key.KeyId, "x", nil), nil)).To(Equal("x"))
		Expect(must[awskms.DescribeKeyOutput](bob, "DescribeKey", &awskms.DescribeKeyInput{KeyId: key.KeyId}).KeyMetadata.KeyId).To(Equal(key.KeyId))
		must[awskms.ReEncryptOutput](bob, "ReEncrypt", &awskms.ReEncryptInput{CiphertextBlob: encrypt(bob, *key.KeyId, "x", nil), DestinationKeyId: key.Arn})
		denied(bob, "GenerateDataKey", &awskms.GenerateDataKeyInput{KeyId: key.KeyId, KeySpec: "AES_256"})
		denied(bob, "GetKeyPolicy", &awskms.GetKeyPolicyInput{KeyId: key.KeyId})
		denied(bob, "ListGrants", &awskms.ListGrantsInput{KeyId: key.KeyId})
		denied(bob, "RevokeGrant", &awskms.RevokeGrantInput{KeyId: key.KeyId, GrantId: out.GrantId})
		denied(person(world.Namespace, "carol", ""), "Encrypt", &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x")})
		denied(bob, "Encrypt", &awskms.EncryptInput{KeyId: createKey(admin()).KeyId, Plaintext: []byte("x")})
	})

	It("is not stronger than a Deny, be it of the key's policy or of the grantee's", func() {
		key := withPolicy(world.Namespace, statement("Allow", "ROOT", "*"), strings.ReplaceAll(statement("Deny", "ROOT", "Encrypt"), `"Resource"`,
			`"Condition":{"StringEquals":{"aws:username":"bob"}},"Resource"`))
		bob := person(world.Namespace, "bob", "")
		grant(admin(), key, bob.arn(), "Encrypt", "GenerateDataKeyWithoutPlaintext")
		denied(bob, "Encrypt", &awskms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
		Expect(invoke(bob, "GenerateDataKeyWithoutPlaintext", &awskms.GenerateDataKeyWithoutPlaintextInput{KeyId: &key, KeySpec: "AES_256"})).To(Succeed())

		carol := person(world.Namespace, "carol", forbidding)
		grant(admin(), key, carol.arn(), "Encrypt", "GenerateDataKeyWithoutPlaintext")
		denied(carol, "Encrypt", &awskms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
	})

	It("constrains the encryption context of what it allows, and not DescribeKey", func() {
		key, bob := createKey(admin()), person(world.Namespace, "bob", "")
		must[awskms.CreateGrantOutput](admin(), "CreateGrant", &awskms.CreateGrantInput{
			KeyId: key.KeyId, GranteePrincipal: s(bob.arn()), Operations: []types.GrantOperation{"Encrypt", "DescribeKey"},
			Constraints: &types.GrantConstraints{EncryptionContextSubset: map[string]string{"App": "shop"}},
		})
		must[awskms.CreateGrantOutput](admin(), "CreateGrant", &awskms.CreateGrantInput{
			KeyId: key.KeyId, GranteePrincipal: s(bob.arn()), Operations: []types.GrantOperation{"Decrypt"},
			Constraints: &types.GrantConstraints{EncryptionContextEquals: map[string]string{"app": "shop", "user": "1"}},
		})
		for _, ec := range []map[string]string{nil, {"app": "Shop"}, {"user": "1"}} {
			denied(bob, "Encrypt", &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x"), EncryptionContext: ec})
		}
		fits, more := map[string]string{"app": "shop", "user": "1"}, map[string]string{"app": "shop", "user": "1", "x": "y"}
		Expect(decrypt(bob, encrypt(bob, *key.KeyId, "x", fits), fits)).To(Equal("x"))
		_, err := decrypt(bob, encrypt(bob, *key.KeyId, "x", more), more)
		Expect(err).To(HaveOccurred())
		must[awskms.DescribeKeyOutput](bob, "DescribeKey", &awskms.DescribeKeyInput{KeyId: key.KeyId})
	})

	It("is of use to another account's user without a word of that account, and by its account with one", func() {
		other := world.NewNamespace()
		key := createKey(admin())
		bob, carol, dave := person(other, "bob", ""), person(other, "carol", encrypting), person(other, "dave", "")
		in := &awskms.EncryptInput{KeyId: key.Arn, Plaintext: []byte("x")}
		denied(carol, "Encrypt", in)
		grant(admin(), *key.KeyId, bob.arn(), "Encrypt")
		Expect(invoke(bob, "Encrypt", in)).To(Succeed())
		denied(carol, "Encrypt", in)
		grant(admin(), *key.KeyId, arn.DeriveAccount(other), "Encrypt")
		Expect(invoke(carol, "Encrypt", in)).To(Succeed())
		denied(dave, "Encrypt", in)
	})

	It("goes with a KMSGrant, and is one that a manifest makes", func() {
		key, bob := createKey(admin()), person(world.Namespace, "bob", "")
		made := &v1alpha1.KMSGrant{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "app"}, Spec: v1alpha1.KMSGrantSpec{
			KMSKeyRef: v1alpha1.LocalReference{Name: *key.KeyId}, GranteePrincipal: bob.arn(), Operations: []v1alpha1.GrantOperation{"Encrypt"},
		}}
		world.Create(made)
		encrypt(bob, *key.KeyId, "x", nil)
		entry := listed(admin(), *key.KeyId)
		Expect(entry).To(HaveLen(1))
		Expect(*entry[0].GrantId).To(MatchRegexp("^[0-9a-f]{64}$"))
		Expect(*entry[0].IssuingAccount).To(Equal("arn:aws:iam::" + arn.DeriveAccount(world.Namespace) + ":root"))
		world.Remove(made)
		denied(bob, "Encrypt", &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x")})
	})

	It("means whom it meant when it was made, and nobody who has the name afterwards", func() {
		key, bob := createKey(admin()), person(world.Namespace, "bob", "")
		out := grant(admin(), *key.KeyId, bob.arn(), "Encrypt")
		encrypt(bob, *key.KeyId, "x", nil)
		later := *bob
		identity := *bob.call.Identity
		identity.Principal.UniqueID = "AIDAANOTHER"
		later.call.Identity = &identity
		denied(&later, "Encrypt", &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x")}) // before any pass of the controller
		object := &v1alpha1.KMSGrant{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: *out.GrantId}}
		_, err := world.KMSGrant.Reconcile(ctx, environment.Request(object))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(object)
		world.Seen(object)
		encrypt(bob, *key.KeyId, "x", nil)
		denied(&later, "Encrypt", &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x")})
	})

	It("is of the keys of one's own state: none of a disabled one, and gone with RevokeGrant whatever the state", func() {
		key, bob := createKey(admin()), person(world.Namespace, "bob", "")
		out := grant(admin(), *key.KeyId, bob.arn(), "Encrypt")
		Expect(invoke(admin(), "DisableKey", &awskms.DisableKeyInput{KeyId: key.KeyId})).To(Succeed())
		in := &awskms.CreateGrantInput{KeyId: key.KeyId, GranteePrincipal: s(bob.arn()), Operations: grantable[:1]}
		code, _ := refused[any](admin(), "CreateGrant", in)
		Expect(code).To(Equal("DisabledException"))
		Expect(invoke(admin(), "ScheduleKeyDeletion", &awskms.ScheduleKeyDeletionInput{KeyId: key.KeyId})).To(Succeed())
		code, _ = refused[any](admin(), "CreateGrant", in)
		Expect(code).To(Equal("KMSInvalidStateException"))
		Expect(listed(admin(), *key.KeyId)).To(HaveLen(1))
		Expect(invoke(admin(), "RevokeGrant", &awskms.RevokeGrantInput{KeyId: key.KeyId, GrantId: out.GrantId})).To(Succeed())
		Expect(listed(admin(), *key.KeyId)).To(BeEmpty())
	})

	It("and its object leave with the deletion of the key, if the API made it", func() {
		key, bob := createKey(admin()), person(world.Namespace, "bob", "")
		grant(admin(), *key.KeyId, bob.arn(), "Encrypt")
		declared := &v1alpha1.KMSGrant{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "app"}, Spec: v1alpha1.KMSGrantSpec{
			KMSKeyRef: v1alpha1.LocalReference{Name: *key.KeyId}, GranteePrincipal: bob.arn(), Operations: []v1alpha1.GrantOperation{"Encrypt"},
		}}
		world.Create(declared)
		object := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: *key.KeyId}}
		Expect(world.ControlPlane.Client.Delete(ctx, object)).To(Succeed())
		Eventually(func() error {
			if _, err := world.KMSKey.Reconcile(ctx, environment.Request(object)); err != nil {
				return err
			}
			return world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(object), &v1alpha1.KMSKey{})
		}).Should(MatchError(ContainSubstring("not found")))
		var left v1alpha1.KMSGrantList
		Expect(world.ControlPlane.Client.List(ctx, &left, client.InNamespace(world.Namespace))).To(Succeed())
		Expect(left.Items).To(HaveLen(1))
		Expect(left.Items[0].Name).To(Equal("app"))
	})
})
