package kms_test

import (
	"crypto/sha256"
	"fmt"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/internal/core/keys"
)

func signing(spec types.KeySpec) func(*awskms.CreateKeyInput) {
	return func(in *awskms.CreateKeyInput) { in.KeySpec, in.KeyUsage = spec, types.KeyUsageTypeSignVerify }
}

const (
	p256   = types.SigningAlgorithmSpecEcdsaSha256
	raw    = types.MessageTypeRaw
	digest = types.MessageTypeDigest
)

func sign(c *caller, key *string, algorithm types.SigningAlgorithmSpec, as types.MessageType, message []byte) []byte {
	GinkgoHelper()
	out := must[awskms.SignOutput](c, "Sign", &awskms.SignInput{KeyId: key, Message: message, MessageType: as, SigningAlgorithm: algorithm})
	Expect(out.SigningAlgorithm).To(Equal(algorithm))
	return out.Signature
}

var _ = Describe("An asymmetric key", func() {
	for spec, signs := range map[types.KeySpec]int{
		types.KeySpecRsa2048: 6, types.KeySpecRsa3072: 6, types.KeySpecEccNistP256: 1, types.KeySpecEccNistP384: 1, types.KeySpecEccNistP521: 1,
		types.KeySpecEccSecgP256k1: 1,
	} {
		It(fmt.Sprintf("of %s is described, and signs by each of its %d algorithms what its public key verifies", spec, signs), func() {
			key := createKey(admin(), signing(spec))
			Expect(key.KeySpec).To(Equal(spec))
			Expect(key.CustomerMasterKeySpec).To(BeEquivalentTo(spec)) //nolint:staticcheck // AWS answers it too
			Expect(key.KeyUsage).To(Equal(types.KeyUsageTypeSignVerify))
			Expect(key.SigningAlgorithms).To(HaveLen(signs))
			Expect(key.EncryptionAlgorithms).To(BeEmpty())
			Expect(key.CurrentKeyMaterialId).To(BeNil(), "AWS tells that of symmetric keys alone")
			Expect(must[awskms.DescribeKeyOutput](admin(), "DescribeKey", &awskms.DescribeKeyInput{KeyId: key.KeyId}).KeyMetadata).To(Equal(key))

			shown := must[awskms.GetPublicKeyOutput](admin(), "GetPublicKey", &awskms.GetPublicKeyInput{KeyId: key.KeyId})
			Expect(shown.KeyId).To(HaveValue(Equal(*key.Arn)))
			Expect(shown.KeySpec).To(Equal(spec))
			Expect(shown.KeyUsage).To(Equal(types.KeyUsageTypeSignVerify))
			Expect(shown.SigningAlgorithms).To(Equal(key.SigningAlgorithms))
			Expect(shown.EncryptionAlgorithms).To(BeEmpty())
			public, err := keys.ParsePublicKey(keys.Spec(spec), shown.PublicKey)
			Expect(err).NotTo(HaveOccurred())
			for _, algorithm := range key.SigningAlgorithms {
				message := []byte("attack at dawn")
				hashed, err := keys.Message{Bytes: message}.Digest(keys.SigningAlgorithm(algorithm))
				Expect(err).NotTo(HaveOccurred())
				for as, signed := range map[types.MessageType][]byte{"": message, raw: message, digest: hashed} {
					signature := sign(admin(), key.KeyId, algorithm, as, signed)
					Expect(public.Verify(keys.SigningAlgorithm(algorithm), keys.Message{Bytes: message}, signature)).To(Succeed())
					out := must[awskms.VerifyOutput](admin(), "Verify", &awskms.VerifyInput{
						KeyId: key.KeyId, Message: message, Signature: signature, SigningAlgorithm: algorithm,
					})
					Expect(out.SignatureValid).To(BeTrue())
					Expect(out.KeyId).To(HaveValue(Equal(*key.Arn)))
					Expect(out.SigningAlgorithm).To(Equal(algorithm))
				}
			}
		})
	}

	It("is called by any of its names", func() {
		key := createKey(admin(), signing(types.KeySpecEccNistP256))
		alias(admin(), "alias/signer", *key.KeyId)
		for _, name := range []string{*key.KeyId, *key.Arn, "alias/signer"} {
			signature := sign(admin(), &name, p256, raw, []byte("x"))
			must[awskms.VerifyOutput](admin(), "Verify", &awskms.VerifyInput{KeyId: &name, Message: []byte("x"), Signature: signature, SigningAlgorithm: p256})
			must[awskms.GetPublicKeyOutput](admin(), "GetPublicKey", &awskms.GetPublicKeyInput{KeyId: &name})
		}
	})

	It("answers a signature that is not valid with an error, and never with false", func() {
		key, other := createKey(admin(), signing(types.KeySpecEccNistP256)), createKey(admin(), signing(types.KeySpecEccNistP256))
		good := sign(admin(), key.KeyId, p256, raw, []byte("x"))
		broken := slices.Clone(good)
		broken[len(broken)-1] ^= 1
		for name, in := range map[string]*awskms.VerifyInput{
			"a bit":           {KeyId: key.KeyId, Message: []byte("x"), Signature: broken},
			"another message": {KeyId: key.KeyId, Message: []byte("y"), Signature: good},
			"another key":     {KeyId: other.KeyId, Message: []byte("x"), Signature: good},
			"no signature":    {KeyId: key.KeyId, Message: []byte("x"), Signature: []byte("signature")},
		} {
			in.SigningAlgorithm = p256
			code, message := refused[awskms.VerifyOutput](admin(), "Verify", in)
			Expect(code).To(Equal("KMSInvalidSignatureException"), name)
			Expect(message).To(BeEmpty(), "AWS says no more")
			in.DryRun = aws.Bool(true)
			code, _ = refused[awskms.VerifyOutput](admin(), "Verify", in)
			Expect(code).To(Equal("KMSInvalidSignatureException"), "a dry run of "+name)
		}
	})

	DescribeTable("refuses what it cannot sign, in AWS's words", func(algorithm types.SigningAlgorithmSpec, as types.MessageType, length int, code, message string) {
		key := createKey(admin(), signing(types.KeySpecEccNistP256))
		signed := make([]byte, length)
		for name, in := range map[string]any{
			"Sign":   &awskms.SignInput{KeyId: key.KeyId, Message: signed, MessageType: as, SigningAlgorithm: algorithm},
			"Verify": &awskms.VerifyInput{KeyId: key.KeyId, Message: signed, MessageType: as, SigningAlgorithm: algorithm, Signature: []byte("x")},
		} {
			gotCode, got := refused[any](admin(), name, in)
			Expect(gotCode).To(Equal(code), name)
			Expect(got).To(Equal(message), name)
		}
	},
		Entry("an algorithm of another strength", types.SigningAlgorithmSpecEcdsaSha384, raw, 1, "InvalidKeyUsageException",
			"Algorithm ECDSA_SHA_384 is incompatible with key spec ECC_NIST_P256."),
		Entry("an algorithm of another type", types.SigningAlgorithmSpecRsassaPssSha256, raw, 1, "InvalidKeyUsageException",
			"Algorithm RSASSA_PSS_SHA_256 is incompatible with key spec ECC_NIST_P256."),
		Entry("a digest that is too short", p256, digest, sha256.Size-1, "ValidationException", "Digest is invalid length for algorithm ECDSA_SHA_256."),
		Entry("a digest that is too long", p256, digest, sha256.Size+1, "ValidationException", "Digest is invalid length for algorithm ECDSA_SHA_256."),
		Entry("an external mu", p256, types.MessageTypeExternalMu, 64, "ValidationException",
			"Message type EXTERNAL_MU is incompatible with key spec ECC_NIST_P256."),
		Entry("a message over 4,096 bytes", p256, raw, 4097, "ValidationException",
			"1 validation error detected: Value at 'message' failed to satisfy constraint: Member must have length less than or equal to 4096"),
	)

	It("signs a message of 4,096 bytes", func() {
		sign(admin(), createKey(admin(), signing(types.KeySpecEccNistP256)).KeyId, p256, raw, make([]byte, 4096))
	})

	It("only tries on a dry run, and takes no grant tokens", func() {
		key := createKey(admin(), signing(types.KeySpecEccNistP256))
		signature := sign(admin(), key.KeyId, p256, raw, []byte("x"))
		for name, in := range map[string]any{
			"Sign":   &awskms.SignInput{KeyId: key.KeyId, Message: []byte("x"), SigningAlgorithm: p256, DryRun: aws.Bool(true)},
			"Verify": &awskms.VerifyInput{KeyId: key.KeyId, Message: []byte("x"), SigningAlgorithm: p256, Signature: signature, DryRun: aws.Bool(true)},
		} {
			code, message := refused[any](admin(), name, in)
			Expect(code+message).To(Equal("DryRunOperationExceptionThe request would have succeeded, but the DryRun option is set."), name)
		}
		tokens := []string{"t"}
		for name, in := range map[string]any{
			"Sign":         &awskms.SignInput{KeyId: key.KeyId, Message: []byte("x"), SigningAlgorithm: p256, GrantTokens: tokens},
			"Verify":       &awskms.VerifyInput{KeyId: key.KeyId, Message: []byte("x"), SigningAlgorithm: p256, Signature: signature, GrantTokens: tokens},
			"GetPublicKey": &awskms.GetPublicKeyInput{KeyId: key.KeyId, GrantTokens: tokens},
		} {
			code, _ := refused[any](admin(), name, in)
			Expect(code).To(Equal("InvalidGrantTokenException"), name)
		}
	})

	It("does not encrypt, and a symmetric key does not sign", func() {
		key, symmetric := createKey(admin(), signing(types.KeySpecRsa2048)), createKey(admin())
		blob := encrypt(admin(), *symmetric.KeyId, "x", nil)
		for _, tt := range []struct {
			name string
			in   any
			says string
		}{
			{"Encrypt", &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x")}, *key.Arn + " key usage is SIGN_VERIFY which is not valid for Encrypt."},
			{"Decrypt", &awskms.DecryptInput{KeyId: key.KeyId, CiphertextBlob: blob}, *key.Arn + " key usage is SIGN_VERIFY which is not valid for Decrypt."},
			{"GenerateDataKey", &awskms.GenerateDataKeyInput{KeyId: key.KeyId, KeySpec: types.DataKeySpecAes256},
				*key.Arn + " key usage is SIGN_VERIFY which is not valid for GenerateDataKey."},
			{"ReEncrypt", &awskms.ReEncryptInput{CiphertextBlob: blob, DestinationKeyId: key.KeyId},
				*key.Arn + " key usage is SIGN_VERIFY which is not valid for ReEncrypt."},
			{"Sign", &awskms.SignInput{KeyId: symmetric.KeyId, Message: []byte("x"), SigningAlgorithm: p256},
				*symmetric.Arn + " key usage is ENCRYPT_DECRYPT which is not valid for signing."},
			{"Verify", &awskms.VerifyInput{KeyId: symmetric.KeyId, Message: []byte("x"), SigningAlgorithm: p256, Signature: []byte("x")},
				*symmetric.Arn + " key usage is ENCRYPT_DECRYPT which is not valid for Verify."},
		} {
			code, message := refused[any](admin(), tt.name, tt.in)
			Expect(code).To(Equal("InvalidKeyUsageException"), tt.name)
			Expect(message).To(Equal(tt.says))
		}
		code, _ := refused[any](admin(), "GetPublicKey", &awskms.GetPublicKeyInput{KeyId: symmetric.KeyId})
		Expect(code).To(Equal("UnsupportedOperationException"))
	})

	It("is not rotated, and its rotation status is off", func() {
		key := createKey(admin(), signing(types.KeySpecEccNistP384))
		for name, in := range map[string]any{
			"EnableKeyRotation":  &awskms.EnableKeyRotationInput{KeyId: key.KeyId},
			"DisableKeyRotation": &awskms.DisableKeyRotationInput{KeyId: key.KeyId},
			"RotateKeyOnDemand":  &awskms.RotateKeyOnDemandInput{KeyId: key.KeyId},
		} {
			code, message := refused[any](admin(), name, in)
			Expect(code).To(Equal("UnsupportedOperationException"), name)
			Expect(message).To(ContainSubstring("ECC_NIST_P384"), name)
		}
		status := must[awskms.GetKeyRotationStatusOutput](admin(), "GetKeyRotationStatus", &awskms.GetKeyRotationStatusInput{KeyId: key.KeyId})
		Expect(status.KeyRotationEnabled).To(BeFalse())
		Expect(status.NextRotationDate).To(BeNil())
		Expect(object(*key.KeyId).Status.KeyMaterials).To(HaveLen(1))
	})

	It("that is disabled does not sign, verify or show its public key", func() {
		key := createKey(admin(), signing(types.KeySpecEccNistP256))
		signature := sign(admin(), key.KeyId, p256, raw, []byte("x"))
		must[awskms.DisableKeyOutput](admin(), "DisableKey", &awskms.DisableKeyInput{KeyId: key.KeyId})
		use := map[string]any{
			"Sign":         &awskms.SignInput{KeyId: key.KeyId, Message: []byte("x"), SigningAlgorithm: p256},
			"Verify":       &awskms.VerifyInput{KeyId: key.KeyId, Message: []byte("x"), SigningAlgorithm: p256, Signature: signature},
			"GetPublicKey": &awskms.GetPublicKeyInput{KeyId: key.KeyId},
		}
		for name, in := range use {
			code, message := refused[any](admin(), name, in)
			Expect(code+" "+message).To(Equal("DisabledException "+*key.Arn+" is disabled."), name)
		}
		must[awskms.EnableKeyOutput](admin(), "EnableKey", &awskms.EnableKeyInput{KeyId: key.KeyId})
		for name, in := range use {
			Expect(invoke(admin(), name, in)).To(Succeed(), name)
		}
	})

	It("is unavailable while the root of trust is sealed", func() {
		key := createKey(admin(), signing(types.KeySpecEccNistP256))
		world.Seal(nil)
		for name, in := range map[string]any{
			"Sign":         &awskms.SignInput{KeyId: key.KeyId, Message: []byte("x"), SigningAlgorithm: p256},
			"GetPublicKey": &awskms.GetPublicKeyInput{KeyId: key.KeyId},
		} {
			code, _ := refused[any](admin(), name, in)
			Expect(code).To(Equal("KeyUnavailableException"), name)
		}
	})

	It("is used by whom conditions on the algorithm and the type of the message let", func() {
		key := createKey(admin(), signing(types.KeySpecRsa2048))
		const pkcs1, pss = types.SigningAlgorithmSpecRsassaPkcs1V15Sha256, types.SigningAlgorithmSpecRsassaPssSha256
		hashed := sha256.Sum256([]byte("x"))
		for _, tt := range []struct {
			condition string
			algorithm types.SigningAlgorithmSpec
			as        types.MessageType
			allowed   bool
		}{
			{`{"StringEquals":{"kms:SigningAlgorithm":"RSASSA_PSS_SHA_256"}}`, pss, raw, true},
			{`{"StringEquals":{"kms:SigningAlgorithm":"RSASSA_PSS_SHA_256"}}`, pkcs1, raw, false},
			{`{"StringEquals":{"kms:MessageType":"DIGEST"}}`, pss, digest, true},
			{`{"StringEquals":{"kms:MessageType":"DIGEST"}}`, pss, raw, false},
			{`{"StringEquals":{"kms:MessageType":"RAW"}}`, pss, "", true},
			{`{"StringEquals":{"kms:KeySpec":"RSA_2048","kms:KeyUsage":"SIGN_VERIFY"}}`, pss, raw, true},
			{`{"StringEquals":{"kms:KeyUsage":"ENCRYPT_DECRYPT"}}`, pss, raw, false},
			{`{"StringEquals":{"kms:EncryptionAlgorithm":"SYMMETRIC_DEFAULT"}}`, pss, raw, false},
		} {
			by := user(world.Namespace, `{"Effect":"Allow","Action":["kms:Sign","kms:Verify"],"Resource":"*","Condition":`+tt.condition+`}`)
			message := []byte("x")
			if tt.as == digest {
				message = hashed[:]
			}
			signature := sign(admin(), key.KeyId, tt.algorithm, tt.as, message)
			for name, in := range map[string]any{
				"Sign":   &awskms.SignInput{KeyId: key.KeyId, Message: message, MessageType: tt.as, SigningAlgorithm: tt.algorithm},
				"Verify": &awskms.VerifyInput{KeyId: key.KeyId, Message: message, MessageType: tt.as, SigningAlgorithm: tt.algorithm, Signature: signature},
			} {
				err := invoke(by, name, in)
				if tt.allowed {
					Expect(err).NotTo(HaveOccurred(), "%s: %s", name, tt.condition)
				} else {
					Expect(err).To(MatchError(ContainSubstring("AccessDenied")), "%s: %s", name, tt.condition)
				}
			}
		}
	})
})
