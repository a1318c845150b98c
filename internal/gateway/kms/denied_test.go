package kms_test

import (
	"fmt"
	"reflect"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/internal/core/arn"
)

const absent = "0987dcba-09fe-87dc-65ba-ab0987654321"

// onKeys are the inputs of every operation on a key, by the key's name.
var onKeys = map[string]func(key string) any{
	"DescribeKey":                     func(k string) any { return &awskms.DescribeKeyInput{KeyId: &k} },
	"Encrypt":                         func(k string) any { return &awskms.EncryptInput{KeyId: &k, Plaintext: []byte("x")} },
	"Decrypt":                         func(k string) any { return &awskms.DecryptInput{KeyId: &k, CiphertextBlob: []byte("x")} },
	"ReEncrypt":                       func(k string) any { return &awskms.ReEncryptInput{SourceKeyId: &k, DestinationKeyId: &k} },
	"GenerateDataKey":                 func(k string) any { return &awskms.GenerateDataKeyInput{KeyId: &k} },
	"GenerateDataKeyWithoutPlaintext": func(k string) any { return &awskms.GenerateDataKeyWithoutPlaintextInput{KeyId: &k} },
	"Sign":                            func(k string) any { return &awskms.SignInput{KeyId: &k, Message: []byte("x")} },
	"Verify": func(k string) any {
		return &awskms.VerifyInput{KeyId: &k, Message: []byte("x"), Signature: []byte("x")}
	},
	"GenerateDataKeyPair":                 func(k string) any { return &awskms.GenerateDataKeyPairInput{KeyId: &k} },
	"GenerateDataKeyPairWithoutPlaintext": func(k string) any { return &awskms.GenerateDataKeyPairWithoutPlaintextInput{KeyId: &k} },
	"GenerateMac":                         func(k string) any { return &awskms.GenerateMacInput{KeyId: &k, Message: []byte("x")} },
	"VerifyMac": func(k string) any {
		return &awskms.VerifyMacInput{KeyId: &k, Message: []byte("x"), Mac: []byte("x")}
	},
	"DeriveSharedSecret": func(k string) any { return &awskms.DeriveSharedSecretInput{KeyId: &k, PublicKey: []byte("x")} },
	"Encapsulate": func(k string) any {
		return &awskms.EncapsulateInput{KeyId: &k, EncapsulationAlgorithm: types.EncapsulationAlgorithmSpecMlKem}
	},
	"Decapsulate": func(k string) any {
		return &awskms.DecapsulateInput{KeyId: &k, EncapsulationAlgorithm: types.EncapsulationAlgorithmSpecMlKem, SharedSecretCiphertextBlob: []byte("x")}
	},
	"GetPublicKey":         func(k string) any { return &awskms.GetPublicKeyInput{KeyId: &k} },
	"GetKeyPolicy":         func(k string) any { return &awskms.GetKeyPolicyInput{KeyId: &k} },
	"PutKeyPolicy":         func(k string) any { return &awskms.PutKeyPolicyInput{KeyId: &k, Policy: aws.String("{}")} },
	"ListKeyPolicies":      func(k string) any { return &awskms.ListKeyPoliciesInput{KeyId: &k} },
	"EnableKey":            func(k string) any { return &awskms.EnableKeyInput{KeyId: &k} },
	"DisableKey":           func(k string) any { return &awskms.DisableKeyInput{KeyId: &k} },
	"UpdateKeyDescription": func(k string) any { return &awskms.UpdateKeyDescriptionInput{KeyId: &k} },
	"ScheduleKeyDeletion":  func(k string) any { return &awskms.ScheduleKeyDeletionInput{KeyId: &k} },
	"CancelKeyDeletion":    func(k string) any { return &awskms.CancelKeyDeletionInput{KeyId: &k} },
	"EnableKeyRotation":    func(k string) any { return &awskms.EnableKeyRotationInput{KeyId: &k} },
	"DisableKeyRotation":   func(k string) any { return &awskms.DisableKeyRotationInput{KeyId: &k} },
	"GetKeyRotationStatus": func(k string) any { return &awskms.GetKeyRotationStatusInput{KeyId: &k} },
	"RotateKeyOnDemand":    func(k string) any { return &awskms.RotateKeyOnDemandInput{KeyId: &k} },
	"ListKeyRotations":     func(k string) any { return &awskms.ListKeyRotationsInput{KeyId: &k} },
	"TagResource":          func(k string) any { return &awskms.TagResourceInput{KeyId: &k} },
	"UntagResource":        func(k string) any { return &awskms.UntagResourceInput{KeyId: &k} },
	"ListResourceTags":     func(k string) any { return &awskms.ListResourceTagsInput{KeyId: &k} },
	"CreateGrant": func(k string) any {
		return &awskms.CreateGrantInput{KeyId: &k, GranteePrincipal: aws.String("111122223333"), Operations: []types.GrantOperation{types.GrantOperationDecrypt}}
	},
	"ListGrants": func(k string) any { return &awskms.ListGrantsInput{KeyId: &k} },
	"RetireGrant": func(k string) any {
		return &awskms.RetireGrantInput{KeyId: &k, GrantId: aws.String(strings.Repeat("a", 64))}
	},
	"RevokeGrant": func(k string) any {
		return &awskms.RevokeGrantInput{KeyId: &k, GrantId: aws.String(strings.Repeat("a", 64))}
	},
	"GetParametersForImport": func(k string) any {
		return &awskms.GetParametersForImportInput{KeyId: &k, WrappingAlgorithm: types.AlgorithmSpecRsaesOaepSha256, WrappingKeySpec: types.WrappingKeySpecRsa2048}
	},
	"ImportKeyMaterial": func(k string) any {
		return &awskms.ImportKeyMaterialInput{
			KeyId: &k, ImportToken: []byte("x"), EncryptedKeyMaterial: []byte("x"), ExpirationModel: types.ExpirationModelTypeKeyMaterialDoesNotExpire,
		}
	},
	"DeleteImportedKeyMaterial": func(k string) any { return &awskms.DeleteImportedKeyMaterialInput{KeyId: &k} },
	"GetKeyLastUsage":           func(k string) any { return &awskms.GetKeyLastUsageInput{KeyId: &k} },
	"ReplicateKey":              func(k string) any { return &awskms.ReplicateKeyInput{KeyId: &k, ReplicaRegion: aws.String(there)} },
	"UpdatePrimaryRegion": func(k string) any {
		return &awskms.UpdatePrimaryRegionInput{KeyId: &k, PrimaryRegion: aws.String(there)}
	},
}

// onNone are the inputs of the operations that are about no key, or about an alias.
var onNone = map[string]func(alias string) any{
	"CreateKey":      func(string) any { return &awskms.CreateKeyInput{} },
	"ListKeys":       func(string) any { return &awskms.ListKeysInput{} },
	"ListAliases":    func(string) any { return &awskms.ListAliasesInput{} },
	"GenerateRandom": func(string) any { return &awskms.GenerateRandomInput{} },
	"CreateAlias":    func(a string) any { return &awskms.CreateAliasInput{AliasName: &a, TargetKeyId: aws.String(absent)} },
	"UpdateAlias":    func(a string) any { return &awskms.UpdateAliasInput{AliasName: &a, TargetKeyId: aws.String(absent)} },
	"DeleteAlias":    func(a string) any { return &awskms.DeleteAliasInput{AliasName: &a} },
	"ListRetirableGrants": func(string) any {
		return &awskms.ListRetirableGrantsInput{RetiringPrincipal: aws.String(arn.DeriveAccount(world.Namespace))}
	},

	"CreateCustomKeyStore":     func(string) any { return &awskms.CreateCustomKeyStoreInput{} },
	"DescribeCustomKeyStores":  func(string) any { return &awskms.DescribeCustomKeyStoresInput{} },
	"ConnectCustomKeyStore":    func(string) any { return &awskms.ConnectCustomKeyStoreInput{} },
	"DisconnectCustomKeyStore": func(string) any { return &awskms.DisconnectCustomKeyStoreInput{} },
	"UpdateCustomKeyStore":     func(string) any { return &awskms.UpdateCustomKeyStoreInput{} },
	"DeleteCustomKeyStore":     func(string) any { return &awskms.DeleteCustomKeyStoreInput{} },
}

var anyNames = map[string]bool{
	"DescribeKey": true, "Encrypt": true, "Decrypt": true, "ReEncrypt": true, "GenerateDataKey": true,
	"GenerateDataKeyWithoutPlaintext": true, "Sign": true, "Verify": true, "GetPublicKey": true,
	"GenerateDataKeyPair": true, "GenerateDataKeyPairWithoutPlaintext": true, "GenerateMac": true, "VerifyMac": true, "DeriveSharedSecret": true,
	"Encapsulate": true, "Decapsulate": true,
}

const (
	lockedOut = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::ACCOUNT:user/bob"},"Action":"kms:*","Resource":"*"}]}`
	denying   = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*"}]}`
)

var _ = Describe("A caller without permission", func() {
	// ask tells the same of an operation on a key that is there and on one that is not, but for its name.
	same := func(c *caller, name string, in func(string) any, there, missing string) {
		GinkgoHelper()
		code, message := refused[any](c, name, in(there))
		Expect(code).To(Equal("AccessDeniedException"))
		otherCode, other := refused[any](c, name, in(missing))
		Expect(otherCode).To(Equal("AccessDeniedException"))
		Expect(message).To(Equal(strings.ReplaceAll(other, missing, there)))
	}

	It("is told the same by every operation, whether or not the key exists and whatever its policy says", func() {
		account := arn.DeriveAccount(world.Namespace)
		var keys []string
		for _, policy := range []string{"", strings.ReplaceAll(lockedOut, "ACCOUNT", account), denying} {
			keys = append(keys, *createKey(admin(), func(in *awskms.CreateKeyInput) {
				if policy != "" {
					in.Policy, in.BypassPolicyLockoutSafetyCheck = &policy, true
				}
			}).KeyId)
		}
		for name, in := range onKeys {
			By(name)
			for _, key := range keys {
				same(nobody(), name, in, key, absent)
				same(nobody(), name, in, arn.KMSKey(region, account, key), arn.KMSKey(region, account, absent))
			}
		}
	})

	It("is told the same about an alias, without the key's id", func() {
		key := createKey(admin())
		alias(admin(), "alias/shop", *key.KeyId)
		for name := range anyNames {
			By(name)
			same(nobody(), name, onKeys[name], "alias/shop", "alias/none")
			_, message := refused[any](nobody(), name, onKeys[name]("alias/shop"))
			Expect(message).To(ContainSubstring(":alias/shop"))
			Expect(message).NotTo(ContainSubstring(*key.KeyId))
		}
	})

	It("is told the same about another account's key, be it let in by its policy", func() {
		other := world.NewNamespace()
		open := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::%s:root"},"Action":"kms:*","Resource":"*"}]}`,
			arn.DeriveAccount(world.Namespace))
		for _, policy := range []*string{nil, &open} {
			key := createKey(user(other, everything), func(in *awskms.CreateKeyInput) { in.Policy, in.BypassPolicyLockoutSafetyCheck = policy, true })
			for name, in := range onKeys {
				By(name)
				same(nobody(), name, in, *key.Arn, arn.KMSKey(region, arn.DeriveAccount(other), absent))
			}
		}
	})

	It("gets nothing from the operations that are about no key or about an alias", func() {
		key := createKey(admin())
		alias(admin(), "alias/shop", *key.KeyId)
		for name, in := range onNone {
			By(name)
			same(nobody(), name, in, "alias/shop", "alias/none")
		}
	})

	It("cannot learn of a target key by naming it for an alias", func() {
		key := createKey(admin())
		alice := user(world.Namespace, `{"Effect":"Allow","Action":"kms:*","Resource":"arn:aws:kms:*:*:alias/*"}`)
		same(alice, "CreateAlias", func(k string) any {
			return &awskms.CreateAliasInput{AliasName: aws.String("alias/new"), TargetKeyId: &k}
		}, *key.KeyId, absent)
	})

	It("cannot learn from a ciphertext whether its key exists", func() {
		key := createKey(admin())
		blob := encrypt(admin(), *key.KeyId, "x", nil)
		unknown := append([]byte(nil), blob...)
		unknown[5] ^= 1 // of the key id
		broken := append([]byte(nil), blob...)
		broken[len(broken)-1] ^= 1
		for _, b := range [][]byte{blob, unknown, broken} {
			code, message := refused[awskms.DecryptOutput](nobody(), "Decrypt", &awskms.DecryptInput{CiphertextBlob: b})
			Expect(code).To(Equal("AccessDeniedException"))
			Expect(message).To(HavePrefix("The ciphertext refers to a customer master key that does not exist, "))
		}
		code, _ := refused[awskms.DecryptOutput](admin(), "Decrypt", &awskms.DecryptInput{CiphertextBlob: unknown})
		Expect(code).To(Equal("AccessDeniedException"))
		code, _ = refused[awskms.DecryptOutput](admin(), "Decrypt", &awskms.DecryptInput{CiphertextBlob: broken})
		Expect(code).To(Equal("InvalidCiphertextException"))
	})

	It("is thought of in every operation", func() {
		Expect(len(onKeys) + len(onNone)).To(Equal(len(operations)))
		for name := range operations {
			in := onKeys[name]
			if in == nil {
				in = onNone[name]
			}
			Expect(reflect.TypeOf(in("x")).Elem().Name()).To(Equal(name + "Input"))
		}
	})
})
