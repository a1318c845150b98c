package kms_test

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"k8s.io/apimachinery/pkg/api/meta"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
)

func aliasesOf() map[string]string {
	GinkgoHelper()
	out := map[string]string{}
	for _, a := range must[awskms.ListAliasesOutput](admin(), "ListAliases", &awskms.ListAliasesInput{}).Aliases {
		out[*a.AliasName] = *a.TargetKeyId
	}
	return out
}

var _ = Describe("An alias", func() {
	It("is made, moved and deleted, and is the key's spec", func() {
		one, two := createKey(admin()), createKey(admin())
		alias(admin(), "alias/shop", *one.KeyId)
		alias(admin(), "alias/other", *one.Arn)
		Expect(object(*one.KeyId).Spec.Aliases).To(Equal([]string{"alias/shop", "alias/other"}))
		must[awskms.UpdateAliasOutput](admin(), "UpdateAlias", &awskms.UpdateAliasInput{AliasName: s("alias/shop"), TargetKeyId: two.KeyId})
		Expect(aliasesOf()).To(Equal(map[string]string{"alias/shop": *two.KeyId, "alias/other": *one.KeyId}))
		must[awskms.DeleteAliasOutput](admin(), "DeleteAlias", &awskms.DeleteAliasInput{AliasName: s("alias/shop")})
		Expect(aliasesOf()).To(Equal(map[string]string{"alias/other": *one.KeyId}))
		code, message := refused[any](admin(), "DeleteAlias", &awskms.DeleteAliasInput{AliasName: s("alias/shop")})
		Expect(code).To(Equal("NotFoundException"))
		Expect(message).To(HaveSuffix(":alias/shop is not found."))
		listed := must[awskms.ListAliasesOutput](admin(), "ListAliases", &awskms.ListAliasesInput{KeyId: two.KeyId})
		Expect(listed.Aliases).To(BeEmpty())
	})

	It("that is moved is of one key again when a crash left it to two", func() {
		one, two := createKey(admin()), createKey(admin())
		for _, id := range []string{*one.KeyId, *two.KeyId} {
			key := object(id)
			world.Update(key, func() { key.Spec.Aliases = []string{"alias/shop"} })
		}
		must[awskms.UpdateAliasOutput](admin(), "UpdateAlias", &awskms.UpdateAliasInput{AliasName: s("alias/shop"), TargetKeyId: two.KeyId})
		Expect(object(*one.KeyId).Spec.Aliases).To(BeEmpty())
		Expect(object(*two.KeyId).Spec.Aliases).To(Equal([]string{"alias/shop"}))
	})

	It("is refused where AWS refuses it", func() {
		key := createKey(admin())
		alias(admin(), "alias/shop", *key.KeyId)
		shop := arn.KMSAlias(region, arn.DeriveAccount(world.Namespace), "alias/shop")
		for _, tt := range []struct{ name, target, code, message string }{
			{"alias/shop", *key.KeyId, "AlreadyExistsException", "An alias with the name " + shop + " already exists"},
			{"alias/two", "alias/shop", "ValidationException", "Aliases must refer to keys. Not aliases"},
			{"alias/two", shop, "ValidationException", "Aliases must refer to keys. Not aliases"},
			{"alias/two", absent, "NotFoundException", "does not exist"},
			{"two", *key.KeyId, "ValidationException", "Invalid identifier"},
			{"alias/aws/two", *key.KeyId, "NotAuthorizedException", "reserved"},
			{"alias/a b", *key.KeyId, "InvalidAliasNameException", "letters"},
		} {
			code, message := refused[any](admin(), "CreateAlias", &awskms.CreateAliasInput{AliasName: &tt.name, TargetKeyId: &tt.target})
			Expect(code).To(Equal(tt.code), tt.name)
			Expect(message).To(ContainSubstring(tt.message))
		}
	})

	It("is one of 50 at most, of which lists are pages", func() {
		key := createKey(admin())
		k := object(*key.KeyId)
		world.Update(k, func() {
			for i := range 50 {
				k.Spec.Aliases = append(k.Spec.Aliases, fmt.Sprintf("alias/%02d", i))
			}
		})
		code, _ := refused[any](admin(), "CreateAlias", &awskms.CreateAliasInput{AliasName: s("alias/more"), TargetKeyId: key.KeyId})
		Expect(code).To(Equal("LimitExceededException"))
		first := must[awskms.ListAliasesOutput](admin(), "ListAliases", &awskms.ListAliasesInput{Limit: aws.Int32(30)})
		second := must[awskms.ListAliasesOutput](admin(), "ListAliases", &awskms.ListAliasesInput{Limit: aws.Int32(30), Marker: first.NextMarker})
		Expect(len(first.Aliases) + len(second.Aliases)).To(Equal(50))
		Expect(*second.Aliases[0].AliasName).To(Equal("alias/30"))
	})
})

var _ = Describe("A key policy", func() {
	get := func(key string) string {
		GinkgoHelper()
		return *must[awskms.GetKeyPolicyOutput](admin(), "GetKeyPolicy", &awskms.GetKeyPolicyInput{KeyId: &key}).Policy
	}
	allow := func(action string) string {
		return strings.ReplaceAll(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::ACCOUNT:root"},"Action":`+action+`,"Resource":"*"}]}`,
			"ACCOUNT", arn.DeriveAccount(world.Namespace))
	}

	It("that is left out is AWS's, and one that is put counts at once", func() {
		key := createKey(admin())
		Expect(get(*key.KeyId)).To(ContainSubstring(`"Sid" : "Enable IAM User Permissions"`))
		policy := allow(`["kms:PutKeyPolicy","kms:GetKeyPolicy"]`)
		must[awskms.PutKeyPolicyOutput](admin(), "PutKeyPolicy", &awskms.PutKeyPolicyInput{KeyId: key.KeyId, Policy: &policy})
		Expect(get(*key.KeyId)).To(MatchJSON(policy))
		code, message := refused[any](admin(), "Encrypt", &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x")})
		Expect(code).To(Equal("AccessDeniedException"))
		Expect(message).To(ContainSubstring("no resource-based policy allows the kms:Encrypt action"))
		policy = allow(`"kms:*"`)
		must[awskms.PutKeyPolicyOutput](admin(), "PutKeyPolicy", &awskms.PutKeyPolicyInput{KeyId: key.KeyId, Policy: &policy, PolicyName: s("default")})
		Expect(encrypt(admin(), *key.KeyId, "x", nil)).NotTo(BeEmpty())
		Expect(must[awskms.ListKeyPoliciesOutput](admin(), "ListKeyPolicies", &awskms.ListKeyPoliciesInput{KeyId: key.KeyId}).PolicyNames).
			To(Equal([]string{"default"}))
	})

	It("that locks everybody out or is malformed is refused, the first unless the check is bypassed", func() {
		key := createKey(admin())
		policy := allow(`"kms:Encrypt"`)
		code, message := refused[any](admin(), "PutKeyPolicy", &awskms.PutKeyPolicyInput{KeyId: key.KeyId, Policy: &policy})
		Expect(code + message).To(Equal("MalformedPolicyDocumentExceptionThe new key policy will not allow you to update the key policy in the future."))
		for _, malformed := range []string{"", "{}x", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:*","Resource":"*"}]}`, strings.Repeat(" ", 32<<10)} {
			code, _ = refused[any](admin(), "PutKeyPolicy", &awskms.PutKeyPolicyInput{KeyId: key.KeyId, Policy: &malformed, BypassPolicyLockoutSafetyCheck: true})
			Expect(code).To(Equal("MalformedPolicyDocumentException"))
		}
		tooLong := strings.Repeat(" ", 32<<10+1)
		code, message = refused[any](admin(), "PutKeyPolicy", &awskms.PutKeyPolicyInput{KeyId: key.KeyId, Policy: &tooLong, BypassPolicyLockoutSafetyCheck: true})
		Expect(code + " " + message).To(Equal("LimitExceededException The policy is longer than 32768 bytes."))
		must[awskms.PutKeyPolicyOutput](admin(), "PutKeyPolicy", &awskms.PutKeyPolicyInput{KeyId: key.KeyId, Policy: &policy, BypassPolicyLockoutSafetyCheck: true})
		code, _ = refused[any](admin(), "PutKeyPolicy", &awskms.PutKeyPolicyInput{KeyId: key.KeyId, Policy: &policy, BypassPolicyLockoutSafetyCheck: true})
		Expect(code).To(Equal("AccessDeniedException"))
	})

	It("that a manifest has malformed stalls the key with the place, and lets nobody in", func() {
		key := world.ReadyKey("mine", func(k *v1alpha1.KMSKey) {
			k.Spec.Policy = &v1alpha1.PolicyDocument{}
			k.Spec.Policy.Raw = []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Permit","Principal":"*","Action":"kms:*","Resource":"*"}]}`)
		})
		stalled := meta.FindStatusCondition(key.Status.Conditions, "Stalled")
		Expect(stalled.Reason).To(Equal("MalformedPolicyDocument"))
		Expect(stalled.Message).To(ContainSubstring("/Statement/0/Effect"))
		code, _ := refused[any](admin(), "Encrypt", &awskms.EncryptInput{KeyId: &key.Status.KeyID, Plaintext: []byte("x")})
		Expect(code).To(Equal("AccessDeniedException"))
	})

	It("of a key of Strongroom's own lets the account look, and use it through its service alone", func() {
		key := world.ReadyKey("aws-secretsmanager", func(k *v1alpha1.KMSKey) { k.Spec.Aliases = []string{"alias/aws/secretsmanager"} })
		described := must[awskms.DescribeKeyOutput](admin(), "DescribeKey", &awskms.DescribeKeyInput{KeyId: s("alias/aws/secretsmanager")})
		Expect(described.KeyMetadata.KeyManager).To(Equal(types.KeyManagerTypeAws))
		for name, in := range map[string]any{
			"Encrypt":      &awskms.EncryptInput{KeyId: s("alias/aws/secretsmanager"), Plaintext: []byte("x")},
			"DisableKey":   &awskms.DisableKeyInput{KeyId: &key.Status.KeyID},
			"PutKeyPolicy": &awskms.PutKeyPolicyInput{KeyId: &key.Status.KeyID, Policy: s("{}")},
		} {
			code, _ := refused[any](admin(), name, in)
			Expect(code).To(Equal("AccessDeniedException"), name)
		}
	})
})

var _ = Describe("Rotation", func() {
	It("is turned on and off, and told", func() {
		key := createKey(admin())
		status := func() *awskms.GetKeyRotationStatusOutput {
			return must[awskms.GetKeyRotationStatusOutput](admin(), "GetKeyRotationStatus", &awskms.GetKeyRotationStatusInput{KeyId: key.KeyId})
		}
		Expect(status().KeyRotationEnabled).To(BeFalse())
		must[awskms.EnableKeyRotationOutput](admin(), "EnableKeyRotation", &awskms.EnableKeyRotationInput{KeyId: key.KeyId})
		Expect(*status().RotationPeriodInDays).To(BeEquivalentTo(365))
		must[awskms.EnableKeyRotationOutput](admin(), "EnableKeyRotation", &awskms.EnableKeyRotationInput{KeyId: key.KeyId, RotationPeriodInDays: aws.Int32(90)})
		world.ReconcileKey(object(*key.KeyId))
		Expect(*status().RotationPeriodInDays).To(BeEquivalentTo(90))
		Expect(*status().NextRotationDate).To(BeTemporally(">", world.Clock.Now()))
		must[awskms.DisableKeyRotationOutput](admin(), "DisableKeyRotation", &awskms.DisableKeyRotationInput{KeyId: key.KeyId})
		Expect(status().KeyRotationEnabled).To(BeFalse())
		code, _ := refused[any](admin(), "EnableKeyRotation", &awskms.EnableKeyRotationInput{KeyId: key.KeyId, RotationPeriodInDays: aws.Int32(89)})
		Expect(code).To(Equal("ValidationException"))
	})
})

var _ = Describe("Tags", func() {
	It("are set, replaced, listed in order and taken away, and policies see them", func() {
		key := createKey(admin())
		must[awskms.TagResourceOutput](admin(), "TagResource", &awskms.TagResourceInput{KeyId: key.KeyId, Tags: []types.Tag{
			{TagKey: s("team"), TagValue: s("a")}, {TagKey: s("app"), TagValue: s("shop")},
		}})
		must[awskms.TagResourceOutput](admin(), "TagResource", &awskms.TagResourceInput{KeyId: key.KeyId, Tags: []types.Tag{{TagKey: s("team"), TagValue: s("b")}}})
		first := must[awskms.ListResourceTagsOutput](admin(), "ListResourceTags", &awskms.ListResourceTagsInput{KeyId: key.KeyId, Limit: aws.Int32(1)})
		Expect(*first.Tags[0].TagKey).To(Equal("app"))
		second := must[awskms.ListResourceTagsOutput](admin(), "ListResourceTags", &awskms.ListResourceTagsInput{KeyId: key.KeyId, Marker: first.NextMarker})
		Expect(*second.Tags[0].TagValue).To(Equal("b"))
		tagged := user(world.Namespace, `{"Effect":"Allow","Action":"kms:Encrypt","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/team":"b"}}}`)
		Expect(encrypt(tagged, *key.KeyId, "x", nil)).NotTo(BeEmpty())
		must[awskms.UntagResourceOutput](admin(), "UntagResource", &awskms.UntagResourceInput{KeyId: key.KeyId, TagKeys: []string{"team", "none"}})
		code, _ := refused[any](tagged, "Encrypt", &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x")})
		Expect(code).To(Equal("AccessDeniedException"))
	})

	It("of AWS's own names are neither set nor taken away", func() {
		key := *createKey(admin()).KeyId
		for name, in := range map[string]any{
			"CreateKey":     &awskms.CreateKeyInput{Tags: []types.Tag{{TagKey: s("aws:a"), TagValue: s("")}}},
			"TagResource":   &awskms.TagResourceInput{KeyId: &key, Tags: []types.Tag{{TagKey: s("AWS:a"), TagValue: s("")}}},
			"UntagResource": &awskms.UntagResourceInput{KeyId: &key, TagKeys: []string{"a", "aws:a"}},
		} {
			code, message := refused[any](admin(), name, in)
			Expect(code).To(Equal("TagException"), name)
			Expect(message).To(ContainSubstring("cannot start with aws:"))
		}
	})

	It("whose keys differ in case alone let in nobody whom one of them does not, and a Deny is kept by any", func() {
		id := createKey(admin(), func(in *awskms.CreateKeyInput) { in.Tags = []types.Tag{{TagKey: s("Team"), TagValue: s("beta")}} }).KeyId
		const tagger = `{"Effect":"Allow","Action":"kms:TagResource","Resource":"*","Condition":{"ForAllValues:StringNotEquals":{"aws:TagKeys":["Team"]}}}`
		alpha := user(world.Namespace, tagger+`,{"Effect":"Allow","Action":"kms:Encrypt","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/Team":"alpha"}}}`)
		fenced := user(world.Namespace, everything+`,{"Effect":"Deny","Action":"kms:Encrypt","Resource":"*","Condition":{"StringNotEquals":{"aws:ResourceTag/Team":"alpha"}}}`)
		beta := user(world.Namespace, everything+`,{"Effect":"Deny","Action":"kms:Encrypt","Resource":"*","Condition":{"StringEquals":{"aws:ResourceTag/Team":"beta"}}}`)
		denied := func() {
			GinkgoHelper()
			for _, who := range []*caller{alpha, fenced, beta} {
				code, _ := refused[any](who, "Encrypt", &awskms.EncryptInput{KeyId: id, Plaintext: []byte("x")})
				Expect(code).To(Equal("AccessDeniedException"))
			}
		}
		tag := func(key, value string) *awskms.TagResourceInput {
			return &awskms.TagResourceInput{KeyId: id, Tags: []types.Tag{{TagKey: &key, TagValue: &value}}}
		}
		denied()
		Expect(invoke(alpha, "TagResource", tag("Team", "alpha"))).To(MatchError(ContainSubstring("AccessDenied")))
		for _, other := range []string{"team", "TEAM"} {
			Expect(invoke(alpha, "TagResource", tag(other, "alpha"))).To(Succeed())
			denied()
		}
		Expect(invoke(admin(), "TagResource", tag("Team", "alpha"))).To(Succeed())
		for _, who := range []*caller{alpha, fenced, beta} {
			Expect(encrypt(who, *id, "x", nil)).NotTo(BeEmpty(), "all of them say alpha")
		}
	})

	It("are 50 at most", func() {
		key := createKey(admin())
		var tags []types.Tag
		for i := range 51 {
			tags = append(tags, types.Tag{TagKey: s(fmt.Sprint("k", i)), TagValue: s("")})
		}
		code, _ := refused[any](admin(), "TagResource", &awskms.TagResourceInput{KeyId: key.KeyId, Tags: tags})
		Expect(code).To(Equal("LimitExceededException"))
		must[awskms.TagResourceOutput](admin(), "TagResource", &awskms.TagResourceInput{KeyId: key.KeyId, Tags: tags[:50]})

		primary := multiRegion().KeyId
		for name, in := range map[string]any{
			"CreateKey": &awskms.CreateKeyInput{Tags: tags}, "ReplicateKey": &awskms.ReplicateKeyInput{KeyId: primary, ReplicaRegion: s(there), Tags: tags},
		} {
			code, message := refused[any](admin(), name, in)
			Expect(code+": "+message).To(Equal("TagException: Too many tags"), name)
		}
		Expect(createKey(admin(), func(in *awskms.CreateKeyInput) { in.Tags = tags[:50] }).KeyId).NotTo(BeNil())
	})
})
