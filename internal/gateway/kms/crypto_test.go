package kms_test

import (
	"bytes"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/keys"
)

var _ = Describe("Encrypt and Decrypt", func() {
	It("answer with the key's ARN, by whichever name it was called", func() {
		key := createKey(admin())
		alias(admin(), "alias/shop", *key.KeyId)
		account := arn.DeriveAccount(world.Namespace)
		for _, name := range []string{*key.KeyId, *key.Arn, "alias/shop", arn.KMSAlias(region, account, "alias/shop")} {
			out := must[awskms.EncryptOutput](admin(), "Encrypt", &awskms.EncryptInput{KeyId: &name, Plaintext: []byte("hello")})
			Expect(*out.KeyId).To(Equal(*key.Arn))
			Expect(out.EncryptionAlgorithm).To(Equal(types.EncryptionAlgorithmSpecSymmetricDefault))
			back := must[awskms.DecryptOutput](admin(), "Decrypt", &awskms.DecryptInput{KeyId: &name, CiphertextBlob: out.CiphertextBlob})
			Expect(string(back.Plaintext)).To(Equal("hello"))
			Expect(*back.KeyId).To(Equal(*key.Arn))
			Expect(*back.KeyMaterialId).To(Equal(*key.CurrentKeyMaterialId))
		}
	})

	It("hold an encryption context to the letter, and refuse one that a policy cannot tell apart", func() {
		key := createKey(admin())
		blob := encrypt(admin(), *key.KeyId, "x", map[string]string{"app": "shop"})
		for _, ec := range []map[string]string{nil, {"app": "Shop"}, {"App": "shop"}, {"app": "shop", "b": ""}} {
			code, _ := refused[awskms.DecryptOutput](admin(), "Decrypt", &awskms.DecryptInput{CiphertextBlob: blob, EncryptionContext: ec})
			Expect(code).To(Equal("InvalidCiphertextException"))
		}
		Expect(decrypt(admin(), blob, map[string]string{"app": "shop"})).To(Equal("x"))
		code, _ := refused[awskms.EncryptOutput](admin(), "Encrypt", &awskms.EncryptInput{
			KeyId: key.KeyId, Plaintext: []byte("x"), EncryptionContext: map[string]string{"app": "a", "APP": "b"},
		})
		Expect(code).To(Equal("ValidationException"))
		code, _ = refused[awskms.EncryptOutput](admin(), "Encrypt", &awskms.EncryptInput{
			KeyId: key.KeyId, Plaintext: []byte("x"), EncryptionContext: map[string]string{"app": strings.Repeat("x", keys.MaxContext)},
		})
		Expect(code).To(Equal("ValidationException"))
	})

	It("tell a ciphertext of another key, and one that is none", func() {
		key, other := createKey(admin()), createKey(admin())
		blob := encrypt(admin(), *key.KeyId, "x", nil)
		code, message := refused[awskms.DecryptOutput](admin(), "Decrypt", &awskms.DecryptInput{KeyId: other.KeyId, CiphertextBlob: blob})
		Expect(code).To(Equal("IncorrectKeyException"))
		Expect(message).To(Equal("The key ID in the request does not identify a CMK that can perform this operation."))
		for _, b := range [][]byte{nil, []byte("x"), blob[:len(blob)-1], append(bytes.Clone(blob), 0)} {
			code, _ := refused[awskms.DecryptOutput](admin(), "Decrypt", &awskms.DecryptInput{KeyId: key.KeyId, CiphertextBlob: b})
			Expect(code).To(Equal("InvalidCiphertextException"))
		}
	})

	It("decide who may by the context, the alias and the caller's account", func() {
		key := createKey(admin())
		alias(admin(), "alias/shop", *key.KeyId)
		by := func(condition string) *caller {
			return user(world.Namespace, `{"Effect":"Allow","Action":"kms:Encrypt","Resource":"*","Condition":`+condition+`}`)
		}
		shop := map[string]string{"App": "shop"}
		for _, tt := range []struct {
			condition, name string
			ec              map[string]string
			allowed         bool
		}{
			{`{"StringEquals":{"kms:EncryptionContext:app":"shop"}}`, *key.KeyId, shop, true},
			{`{"StringEquals":{"kms:EncryptionContext:app":"Shop"}}`, *key.KeyId, shop, false},
			{`{"StringEquals":{"kms:EncryptionContext:app":"shop"}}`, *key.KeyId, nil, false},
			{`{"ForAllValues:StringEquals":{"kms:EncryptionContextKeys":["App"]}}`, *key.KeyId, shop, true},
			{`{"ForAllValues:StringEquals":{"kms:EncryptionContextKeys":["app"]}}`, *key.KeyId, shop, false},
			{`{"StringEquals":{"kms:RequestAlias":"alias/shop"}}`, "alias/shop", nil, true},
			{`{"StringEquals":{"kms:RequestAlias":"alias/shop"}}`, *key.KeyId, nil, false},
			{`{"ForAnyValue:StringEquals":{"kms:ResourceAliases":"alias/shop"}}`, *key.KeyId, nil, true},
			{`{"StringEquals":{"kms:CallerAccount":"` + arn.DeriveAccount(world.Namespace) + `"}}`, *key.KeyId, nil, true},
			{`{"StringEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com"}}`, *key.KeyId, nil, false},
			{`{"StringEquals":{"kms:KeySpec":"SYMMETRIC_DEFAULT","kms:KeyUsage":"ENCRYPT_DECRYPT","kms:KeyOrigin":"AWS_KMS","kms:EncryptionAlgorithm":"SYMMETRIC_DEFAULT"}}`, *key.KeyId, nil, true},
			{`{"StringEquals":{"aws:ResourceTag/team":"a"}}`, *key.KeyId, nil, false},
		} {
			_, err := try[awskms.EncryptOutput](by(tt.condition), "Encrypt", &awskms.EncryptInput{KeyId: &tt.name, Plaintext: []byte("x"), EncryptionContext: tt.ec})
			if tt.allowed {
				Expect(err).NotTo(HaveOccurred(), tt.condition)
			} else {
				Expect(err).To(MatchError(ContainSubstring("AccessDenied")), tt.condition)
			}
		}
	})

	It("work across accounts when the key's policy and the caller's allow", func() {
		other := world.NewNamespace()
		policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"kms:*","Resource":"*"},
			{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":["kms:Encrypt","kms:Decrypt"],"Resource":"*"}]}`,
			arn.DeriveAccount(other), arn.DeriveAccount(world.Namespace))
		key := createKey(user(other, everything), func(in *awskms.CreateKeyInput) { in.Policy = &policy })
		blob := encrypt(admin(), *key.Arn, "hello", nil)
		Expect(decrypt(admin(), blob, nil)).To(Equal("hello"))
		code, _ := refused[awskms.DescribeKeyOutput](admin(), "DescribeKey", &awskms.DescribeKeyInput{KeyId: key.Arn})
		Expect(code).To(Equal("AccessDeniedException"))
	})

	It("read what was encrypted before a rotation", func() {
		key := createKey(admin())
		blob := encrypt(admin(), *key.KeyId, "old", nil)
		must[awskms.RotateKeyOnDemandOutput](admin(), "RotateKeyOnDemand", &awskms.RotateKeyOnDemandInput{KeyId: key.KeyId})
		world.ReconcileKey(object(*key.KeyId))
		Expect(decrypt(admin(), blob, nil)).To(Equal("old"))
		now := must[awskms.DescribeKeyOutput](admin(), "DescribeKey", &awskms.DescribeKeyInput{KeyId: key.KeyId}).KeyMetadata
		Expect(*now.CurrentKeyMaterialId).NotTo(Equal(*key.CurrentKeyMaterialId))
		rotations := must[awskms.ListKeyRotationsOutput](admin(), "ListKeyRotations", &awskms.ListKeyRotationsInput{KeyId: key.KeyId}).Rotations
		Expect(rotations).To(HaveLen(1))
		Expect(rotations[0].RotationType).To(Equal(types.RotationTypeOnDemand))
		all := must[awskms.ListKeyRotationsOutput](admin(), "ListKeyRotations", &awskms.ListKeyRotationsInput{
			KeyId: key.KeyId, IncludeKeyMaterial: types.IncludeKeyMaterialAllKeyMaterial,
		}).Rotations
		Expect(all).To(HaveLen(2))
	})

	It("do all but the work in a dry run, refuse grant tokens and algorithms of other keys", func() {
		key := createKey(admin())
		blob := encrypt(admin(), *key.KeyId, "x", nil)
		for name, in := range map[string]any{
			"Encrypt":         &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x"), DryRun: aws.Bool(true)},
			"Decrypt":         &awskms.DecryptInput{CiphertextBlob: blob, DryRun: aws.Bool(true)},
			"ReEncrypt":       &awskms.ReEncryptInput{CiphertextBlob: blob, DestinationKeyId: key.KeyId, DryRun: aws.Bool(true)},
			"GenerateDataKey": &awskms.GenerateDataKeyInput{KeyId: key.KeyId, NumberOfBytes: aws.Int32(1), DryRun: aws.Bool(true)},
		} {
			code, message := refused[any](admin(), name, in)
			Expect(code + message).To(Equal("DryRunOperationExceptionThe request would have succeeded, but the DryRun option is set."))
		}
		code, _ := refused[any](admin(), "Encrypt", &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x"), GrantTokens: []string{"t"}})
		Expect(code).To(Equal("InvalidGrantTokenException"))
		code, _ = refused[any](admin(), "Encrypt", &awskms.EncryptInput{
			KeyId: key.KeyId, Plaintext: []byte("x"), EncryptionAlgorithm: types.EncryptionAlgorithmSpecRsaesOaepSha256,
		})
		Expect(code).To(Equal("InvalidKeyUsageException"))
		code, _ = refused[any](admin(), "Encrypt", &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: make([]byte, 4097)})
		Expect(code).To(Equal("ValidationException"))
		must[awskms.EncryptOutput](admin(), "Encrypt", &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: make([]byte, 4096)})
	})

	It("say that a key is unavailable while the root of trust is sealed", func() {
		key := createKey(admin())
		world.Seal(nil)
		code, _ := refused[any](admin(), "Encrypt", &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x")})
		Expect(code).To(Equal("KeyUnavailableException"))
	})
})

var _ = Describe("ReEncrypt", func() {
	It("moves a ciphertext to another key and context, and needs the permission of both", func() {
		key, other := createKey(admin()), createKey(admin())
		blob := encrypt(admin(), *key.KeyId, "x", map[string]string{"a": "1"})
		in := &awskms.ReEncryptInput{
			CiphertextBlob: blob, SourceEncryptionContext: map[string]string{"a": "1"},
			DestinationKeyId: other.KeyId, DestinationEncryptionContext: map[string]string{"b": "2"},
		}
		out := must[awskms.ReEncryptOutput](admin(), "ReEncrypt", in)
		Expect(*out.SourceKeyId).To(Equal(*key.Arn))
		Expect(*out.KeyId).To(Equal(*other.Arn))
		Expect(decrypt(admin(), out.CiphertextBlob, map[string]string{"b": "2"})).To(Equal("x"))
		half := user(world.Namespace, `{"Effect":"Allow","Action":"kms:ReEncryptFrom","Resource":"*"}`)
		code, message := refused[any](half, "ReEncrypt", in)
		Expect(code).To(Equal("AccessDeniedException"))
		Expect(message).To(ContainSubstring("kms:ReEncryptTo"))
	})
})

var _ = Describe("GenerateDataKey", func() {
	DescribeTable("makes keys of a length", func(spec types.DataKeySpec, number *int32, length int) {
		key := createKey(admin())
		out := must[awskms.GenerateDataKeyOutput](admin(), "GenerateDataKey", &awskms.GenerateDataKeyInput{
			KeyId: key.KeyId, KeySpec: spec, NumberOfBytes: number, EncryptionContext: map[string]string{"a": "b"},
		})
		Expect(out.Plaintext).To(HaveLen(length))
		Expect(decrypt(admin(), out.CiphertextBlob, map[string]string{"a": "b"})).To(Equal(string(out.Plaintext)))
		blind := must[awskms.GenerateDataKeyWithoutPlaintextOutput](admin(), "GenerateDataKeyWithoutPlaintext",
			&awskms.GenerateDataKeyWithoutPlaintextInput{KeyId: key.KeyId, KeySpec: spec, NumberOfBytes: number})
		text, err := decrypt(admin(), blind.CiphertextBlob, nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(text).To(HaveLen(length))
	},
		Entry("AES-256", types.DataKeySpecAes256, nil, 32),
		Entry("AES-128", types.DataKeySpecAes128, nil, 16),
		Entry("one byte", types.DataKeySpec(""), aws.Int32(1), 1),
		Entry("1,024 bytes", types.DataKeySpec(""), aws.Int32(1024), 1024),
	)

	DescribeTable("refuses", func(spec types.DataKeySpec, number *int32, text string) {
		key := createKey(admin())
		code, message := refused[any](admin(), "GenerateDataKey", &awskms.GenerateDataKeyInput{KeyId: key.KeyId, KeySpec: spec, NumberOfBytes: number})
		Expect(code).To(Equal("ValidationException"))
		Expect(message).To(ContainSubstring(text))
	},
		Entry("both", types.DataKeySpecAes256, aws.Int32(1), "Please specify either number of bytes or key spec."),
		Entry("neither", types.DataKeySpec(""), nil, "Please specify either number of bytes or key spec."),
		Entry("none", types.DataKeySpec(""), aws.Int32(0), "greater than or equal to 1"),
		Entry("too many", types.DataKeySpec(""), aws.Int32(1025), "less than or equal to 1024"),
		Entry("another spec", types.DataKeySpec("AES_512"), nil, "[AES_256, AES_128]"),
	)

	It("and GenerateRandom never give the same twice", func() {
		one := must[awskms.GenerateRandomOutput](admin(), "GenerateRandom", &awskms.GenerateRandomInput{NumberOfBytes: aws.Int32(32)})
		two := must[awskms.GenerateRandomOutput](admin(), "GenerateRandom", &awskms.GenerateRandomInput{NumberOfBytes: aws.Int32(32)})
		Expect(one.Plaintext).To(HaveLen(32))
		Expect(one.Plaintext).NotTo(Equal(two.Plaintext))
	})
})
