package kms_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	servicekms "strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

func object(id string) *v1alpha1.KMSKey {
	key := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: id}}
	world.Refresh(key)
	return key
}

var _ = Describe("CreateKey", func() {
	It("answers with a key that works at once, and is a KMSKey", func() {
		made := createKey(admin(), func(in *awskms.CreateKeyInput) {
			in.Description, in.Tags = s("shop"), []types.Tag{{TagKey: s("team"), TagValue: s("a")}}
		})
		account := arn.DeriveAccount(world.Namespace)
		Expect(*made.Arn).To(Equal("arn:aws:kms:us-east-1:" + account + ":key/" + *made.KeyId))
		Expect(*made.AWSAccountId).To(Equal(account))
		Expect(made.KeyState).To(Equal(types.KeyStateEnabled))
		Expect(made.Enabled).To(BeTrue())
		Expect(*made.Description).To(Equal("shop"))
		Expect(made.KeyManager).To(Equal(types.KeyManagerTypeCustomer))
		Expect(made.KeySpec).To(Equal(types.KeySpecSymmetricDefault))
		Expect(*made.CurrentKeyMaterialId).To(HaveLen(64))
		Expect(decrypt(admin(), encrypt(admin(), *made.KeyId, "hello", nil), nil)).To(Equal("hello"))
		key := object(*made.KeyId)
		Expect(key.Spec.Tags).To(Equal([]v1alpha1.Tag{{Key: "team", Value: "a"}}))
		Expect(key.ManagedFields).To(ContainElement(HaveField("Manager", "strongroom-gateway")))
		Expect(meta.FindStatusCondition(key.Status.Conditions, "Ready").Status).To(Equal(metav1.ConditionUnknown))
	})

	It("leaves nothing to the controller but to say so, and races with it without harm", func() {
		made := createKey(admin())
		before := object(*made.KeyId).Status.KeyMaterials
		key := object(*made.KeyId)
		world.ReconcileKey(key)
		Expect(meta.IsStatusConditionTrue(key.Status.Conditions, "Ready")).To(BeTrue())
		Expect(key.Status.KeyMaterials).To(Equal(before))
		Expect(world.Envelopes(v1alpha1.EnvelopeKeyMaterial)).To(HaveLen(1))
	})

	It("that died at any write leaves a key that the controller completes", func() {
		faulty, fault := world.Faulty()
		for write := 1; write <= 3; write++ {
			for _, after := range []bool{false, true} {
				fault.FailAt(write, after)
				key := servicekms.New(world.Namespace, v1alpha1.KMSKeySpec{})
				_, err := faulty.KMSKey.KMS.Create(ctx, key)
				Expect(err).To(MatchError(environment.ErrInjected))
				fault.FailAt(0, false)
				if write == 1 && !after {
					continue
				}
				left := object(key.Name)
				world.Seen(left)
				world.ReconcileKey(left)
				Expect(left.Status.KeyID).To(Equal(key.Name))
				Expect(left.Status.KeyMaterials).To(HaveLen(1))
				Expect(decrypt(admin(), encrypt(admin(), key.Name, "x", nil), nil)).To(Equal("x"))
			}
		}
	})

	DescribeTable("refuses what there is not", func(change func(*awskms.CreateKeyInput), code string) {
		in := &awskms.CreateKeyInput{}
		change(in)
		got, message := refused[awskms.CreateKeyOutput](admin(), "CreateKey", in)
		Expect(got).To(Equal(code))
		Expect(message).NotTo(BeEmpty())
		var list v1alpha1.KMSKeyList
		Expect(world.ControlPlane.Client.List(ctx, &list, client.InNamespace(world.Namespace))).To(Succeed())
		Expect(list.Items).To(BeEmpty())
	},
		Entry("a curve of China's", func(in *awskms.CreateKeyInput) {
			in.KeySpec, in.KeyUsage = types.KeySpecSm2, types.KeyUsageTypeSignVerify
		}, "UnsupportedOperationException"),
		Entry("an asymmetric key without a usage", func(in *awskms.CreateKeyInput) { in.KeySpec = types.KeySpecRsa2048 }, "ValidationException"),
		Entry("RSA that agrees on keys", func(in *awskms.CreateKeyInput) {
			in.KeySpec, in.KeyUsage = types.KeySpecRsa2048, types.KeyUsageTypeKeyAgreement
		}, "ValidationException"),
		Entry("HMAC without a usage", func(in *awskms.CreateKeyInput) { in.KeySpec = types.KeySpecHmac256 }, "ValidationException"),
		Entry("HMAC that encrypts", func(in *awskms.CreateKeyInput) {
			in.KeySpec, in.KeyUsage = types.KeySpecHmac256, types.KeyUsageTypeEncryptDecrypt
		}, "ValidationException"),
		Entry("a curve that encrypts", func(in *awskms.CreateKeyInput) {
			in.KeySpec, in.KeyUsage = types.KeySpecEccNistP256, types.KeyUsageTypeEncryptDecrypt
		}, "ValidationException"),
		Entry("two specs", func(in *awskms.CreateKeyInput) {
			in.KeySpec, in.CustomerMasterKeySpec = types.KeySpecSymmetricDefault, types.CustomerMasterKeySpecSymmetricDefault //nolint:staticcheck // the old name is what it is about
		}, "ValidationException"),
		Entry("a usage that is not the spec's", func(in *awskms.CreateKeyInput) { in.KeyUsage = types.KeyUsageTypeSignVerify }, "ValidationException"),
		Entry("a key of an external key store", func(in *awskms.CreateKeyInput) { in.Origin = types.OriginTypeExternalKeyStore }, "UnsupportedOperationException"),
		Entry("many regions, in a custom key store", func(in *awskms.CreateKeyInput) {
			in.Origin, in.CustomKeyStoreId, in.MultiRegion = types.OriginTypeAwsCloudhsm, s("cks"), aws.Bool(true)
		}, "UnsupportedOperationException"),
		Entry("an external key store", func(in *awskms.CreateKeyInput) { in.XksKeyId = s("x") }, "UnsupportedOperationException"),
		Entry("a custom key store without its origin", func(in *awskms.CreateKeyInput) { in.CustomKeyStoreId = s("cks") }, "ValidationException"),
		Entry("the origin of a custom key store without one", func(in *awskms.CreateKeyInput) { in.Origin = types.OriginTypeAwsCloudhsm }, "ValidationException"),
		Entry("two tags of one key", func(in *awskms.CreateKeyInput) {
			in.Tags = []types.Tag{{TagKey: s("a"), TagValue: s("1")}, {TagKey: s("a"), TagValue: s("2")}}
		}, "TagException"),
		Entry("a tag of AWS's", func(in *awskms.CreateKeyInput) { in.Tags = []types.Tag{{TagKey: s("aws:x"), TagValue: s("1")}} }, "TagException"),
		Entry("a malformed policy", func(in *awskms.CreateKeyInput) { in.Policy = s(`{"Version":`) }, "MalformedPolicyDocumentException"),
		Entry("a policy that locks everybody out", func(in *awskms.CreateKeyInput) { in.Policy = s(denying) }, "MalformedPolicyDocumentException"),
	)

	It("makes nothing while the root of trust is sealed", func() {
		world.Seal(nil)
		code, _ := refused[awskms.CreateKeyOutput](admin(), "CreateKey", &awskms.CreateKeyInput{})
		Expect(code).To(Equal("KeyUnavailableException"))
		var list v1alpha1.KMSKeyList
		Expect(world.ControlPlane.Client.List(ctx, &list, client.InNamespace(world.Namespace))).To(Succeed())
		Expect(list.Items).To(BeEmpty())
	})

	It("asks for kms:TagResource too where tags are given, and lets policies ask for the tags and the spec", func() {
		tagged := &awskms.CreateKeyInput{Tags: []types.Tag{{TagKey: s("team"), TagValue: s("a")}}}
		maker := user(world.Namespace, `{"Effect":"Allow","Action":"kms:CreateKey","Resource":"*"}`)
		code, message := refused[awskms.CreateKeyOutput](maker, "CreateKey", tagged)
		Expect(code).To(Equal("AccessDeniedException"))
		Expect(message).To(ContainSubstring("kms:TagResource"))
		conditional := user(world.Namespace, `{"Effect":"Allow","Action":["kms:CreateKey","kms:TagResource"],"Resource":"*","Condition":{
			"StringEquals":{"aws:RequestTag/team":"a","kms:KeySpec":"SYMMETRIC_DEFAULT","kms:KeyOrigin":"AWS_KMS"},
			"ForAllValues:StringEquals":{"aws:TagKeys":["team"]}}}`)
		must[awskms.CreateKeyOutput](conditional, "CreateKey", tagged)
		code, _ = refused[awskms.CreateKeyOutput](conditional, "CreateKey", &awskms.CreateKeyInput{})
		Expect(code).To(Equal("AccessDeniedException"))
	})
})

var _ = Describe("A key", func() {
	It("that kubectl made is in ListKeys and works, of another region is not there", func() {
		mine := world.ReadyKey("mine")
		abroad := world.ReadyKey("abroad", func(k *v1alpha1.KMSKey) { k.Spec.Region = "eu-west-1" })
		Expect(abroad.Status.ARN).To(HavePrefix("arn:aws:kms:eu-west-1:"))
		list := must[awskms.ListKeysOutput](admin(), "ListKeys", &awskms.ListKeysInput{})
		Expect(list.Keys).To(HaveLen(1))
		Expect(*list.Keys[0].KeyArn).To(Equal(mine.Status.ARN))
		code, message := refused[awskms.DescribeKeyOutput](admin(), "DescribeKey", &awskms.DescribeKeyInput{KeyId: &abroad.Status.KeyID})
		Expect(code).To(Equal("NotFoundException"))
		Expect(message).To(Equal("Key '" + arn.KMSKey(region, arn.DeriveAccount(world.Namespace), abroad.Status.KeyID) + "' does not exist"))
		must[awskms.DescribeKeyOutput](admin().in("eu-west-1"), "DescribeKey", &awskms.DescribeKeyInput{KeyId: &abroad.Status.KeyID})
		code, message = refused[awskms.DescribeKeyOutput](admin(), "DescribeKey", &awskms.DescribeKeyInput{KeyId: &abroad.Status.ARN})
		Expect(code + message).To(Equal("NotFoundExceptionInvalid arn eu-west-1"))
		blob := encrypt(admin().in("eu-west-1"), abroad.Status.KeyID, "x", nil)
		_, err := decrypt(admin(), blob, nil)
		Expect(err).To(MatchError(ContainSubstring("does not exist in this region")))
	})

	It("whose region is changed is refused", func() {
		key := world.ReadyKey("mine")
		key.Spec.Region = "eu-west-1"
		Expect(world.ControlPlane.Client.Update(ctx, key)).To(MatchError(ContainSubstring("region cannot be changed")))
	})

	It("whose name is another's id is stalled, and does not take its place", func() {
		first := world.ReadyKey("mine")
		blob := encrypt(admin(), first.Status.KeyID, "x", nil)
		thief := environment.KMSKey(world.Namespace, first.Status.KeyID)
		world.Create(thief)
		world.ReconcileKey(thief)
		Expect(meta.FindStatusCondition(thief.Status.Conditions, "Stalled").Reason).To(Equal(v1alpha1.ReasonNameConflict))
		Expect(decrypt(admin(), blob, nil)).To(Equal("x"))
	})

	It("in another account that claims an id does not stand in a ciphertext's way", func() {
		first := createKey(admin())
		blob := encrypt(admin(), *first.KeyId, "x", nil)
		world.Create(environment.KMSKey(world.NewNamespace(), *first.KeyId))
		Expect(decrypt(admin(), blob, nil)).To(Equal("x"))
	})

	DescribeTable("is not found by", func(name, code, message string) {
		account := arn.DeriveAccount(world.Namespace)
		name, message = strings.ReplaceAll(name, "ACCOUNT", account), strings.ReplaceAll(message, "ACCOUNT", account)
		gotCode, got := refused[awskms.DescribeKeyOutput](admin(), "DescribeKey", &awskms.DescribeKeyInput{KeyId: &name})
		Expect(gotCode).To(Equal(code))
		Expect(got).To(Equal(message))
	},
		Entry("an id", absent, "NotFoundException", "Key 'arn:aws:kms:us-east-1:ACCOUNT:key/"+absent+"' does not exist"),
		Entry("an ARN", "arn:aws:kms:us-east-1:ACCOUNT:key/"+absent, "NotFoundException", "Key 'arn:aws:kms:us-east-1:ACCOUNT:key/"+absent+"' does not exist"),
		Entry("an alias", "alias/none", "NotFoundException", "Alias arn:aws:kms:us-east-1:ACCOUNT:alias/none is not found."),
		Entry("an alias ARN", "arn:aws:kms:us-east-1:ACCOUNT:alias/none", "NotFoundException", "Alias arn:aws:kms:us-east-1:ACCOUNT:alias/none is not found."),
		Entry("what is no id", "shop", "NotFoundException", "Invalid keyId 'shop'"),
		Entry("an ARN of another service", "arn:aws:s3:us-east-1:ACCOUNT:key/x", "InvalidArnException", "Invalid arn arn:aws:s3:us-east-1:ACCOUNT:key/x"),
	)

	It("is managed by its ARN and not by an alias", func() {
		key := createKey(admin())
		alias(admin(), "alias/shop", *key.KeyId)
		code, message := refused[awskms.DisableKeyOutput](admin(), "DisableKey", &awskms.DisableKeyInput{KeyId: s("alias/shop")})
		Expect(code + message).To(Equal("NotFoundExceptionInvalid keyId 'alias/shop'"))
		aliasARN := arn.KMSAlias(region, arn.DeriveAccount(world.Namespace), "alias/shop")
		code, message = refused[awskms.DisableKeyOutput](admin(), "DisableKey", &awskms.DisableKeyInput{KeyId: &aliasARN})
		Expect(code + message).To(Equal("InvalidArnExceptionKey Aliases are not supported for this operation."))
	})

	It("that is disabled refuses to encrypt and to decrypt at once, and does so again when it is enabled", func() {
		key := createKey(admin())
		blob := encrypt(admin(), *key.KeyId, "x", nil)
		must[awskms.DisableKeyOutput](admin(), "DisableKey", &awskms.DisableKeyInput{KeyId: key.KeyId})
		for name, in := range map[string]any{
			"Encrypt":           &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x")},
			"Decrypt":           &awskms.DecryptInput{CiphertextBlob: blob},
			"GenerateDataKey":   &awskms.GenerateDataKeyInput{KeyId: key.KeyId, KeySpec: types.DataKeySpecAes256},
			"EnableKeyRotation": &awskms.EnableKeyRotationInput{KeyId: key.KeyId},
		} {
			code, message := refused[any](admin(), name, in)
			Expect(code+message).To(Equal("DisabledException"+*key.Arn+" is disabled."), name)
		}
		described := must[awskms.DescribeKeyOutput](admin(), "DescribeKey", &awskms.DescribeKeyInput{KeyId: key.KeyId}).KeyMetadata
		Expect(described.KeyState).To(Equal(types.KeyStateDisabled))
		Expect(described.Enabled).To(BeFalse())
		must[awskms.EnableKeyOutput](admin(), "EnableKey", &awskms.EnableKeyInput{KeyId: key.KeyId})
		Expect(decrypt(admin(), blob, nil)).To(Equal("x"))
	})

	It("that is being deleted decrypts and does nothing else", func() {
		key := createKey(admin())
		blob := encrypt(admin(), *key.KeyId, "x", nil)
		Expect(world.ControlPlane.Client.Delete(ctx, object(*key.KeyId))).To(Succeed())
		world.Seen(object(*key.KeyId))
		code, message := refused[awskms.EncryptOutput](admin(), "Encrypt", &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x")})
		Expect(code + message).To(Equal("KMSInvalidStateException" + *key.Arn + " is pending deletion."))
		Expect(decrypt(admin(), blob, nil)).To(Equal("x"))
	})

	It("can be described anew", func() {
		key := createKey(admin())
		must[awskms.UpdateKeyDescriptionOutput](admin(), "UpdateKeyDescription", &awskms.UpdateKeyDescriptionInput{KeyId: key.KeyId, Description: s("new")})
		Expect(*must[awskms.DescribeKeyOutput](admin(), "DescribeKey", &awskms.DescribeKeyInput{KeyId: key.Arn}).KeyMetadata.Description).To(Equal("new"))
	})
})

var _ = Describe("ListKeys", func() {
	It("pages in one order, and takes no marker but its own", func() {
		ids := map[string]bool{}
		for range 5 {
			ids[*createKey(admin()).KeyId] = true
		}
		var seen []string
		in := &awskms.ListKeysInput{Limit: aws.Int32(2)}
		for {
			out := must[awskms.ListKeysOutput](admin(), "ListKeys", in)
			for _, k := range out.Keys {
				seen = append(seen, *k.KeyId)
			}
			Expect(out.Truncated).To(Equal(out.NextMarker != nil))
			if !out.Truncated {
				break
			}
			in.Marker = out.NextMarker
		}
		Expect(seen).To(HaveLen(5))
		for _, id := range seen {
			Expect(ids).To(HaveKey(id))
		}
		for _, marker := range []string{"x", "", strings.ToUpper(*in.Marker)} {
			code, _ := refused[awskms.ListKeysOutput](admin(), "ListKeys", &awskms.ListKeysInput{Marker: &marker})
			Expect(code).To(Equal("InvalidMarkerException"))
		}
		code, _ := refused[awskms.ListAliasesOutput](admin(), "ListAliases", &awskms.ListAliasesInput{Marker: in.Marker})
		Expect(code).To(Equal("InvalidMarkerException"))
		code, _ = refused[awskms.ListKeysOutput](user(world.NewNamespace(), everything), "ListKeys", &awskms.ListKeysInput{Marker: in.Marker})
		Expect(code).To(Equal("InvalidMarkerException"))
	})
})
