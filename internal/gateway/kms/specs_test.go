package kms_test

import (
	"crypto"
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/internal/core/mldsamu"
)

const (
	ed25519Pure    = types.SigningAlgorithmSpecEd25519Sha512
	ed25519Prehash = types.SigningAlgorithmSpecEd25519PhSha512
	mldsaShake     = types.SigningAlgorithmSpecMlDsaShake256
	externalMu     = types.MessageTypeExternalMu
)

// mldsaSpecs are the key specs of ML-DSA with the lengths of their signatures in bytes (FIPS 204, table 2).
var mldsaSpecs = map[types.KeySpec]int{types.KeySpecMlDsa44: 2420, types.KeySpecMlDsa65: 3309, types.KeySpecMlDsa87: 4627}

// describes tells that DescribeKey and GetPublicKey list these algorithms in this order, and nothing else.
func describes(key *types.KeyMetadata, algorithms ...types.SigningAlgorithmSpec) {
	GinkgoHelper()
	Expect(key.SigningAlgorithms).To(Equal(algorithms))
	Expect(must[awskms.DescribeKeyOutput](admin(), "DescribeKey", &awskms.DescribeKeyInput{KeyId: key.KeyId}).KeyMetadata).To(Equal(key))
	shown := must[awskms.GetPublicKeyOutput](admin(), "GetPublicKey", &awskms.GetPublicKeyInput{KeyId: key.KeyId})
	Expect(shown.SigningAlgorithms).To(Equal(algorithms))
	Expect(shown.KeySpec).To(Equal(key.KeySpec))
	Expect(shown.EncryptionAlgorithms).To(BeEmpty())
	Expect(shown.KeyAgreementAlgorithms).To(BeEmpty())
}

// refuses tells that Sign and Verify answer a message alike.
func refuses(key *string, algorithm types.SigningAlgorithmSpec, as types.MessageType, message []byte, code, says string) {
	GinkgoHelper()
	for name, in := range map[string]any{
		"Sign":   &awskms.SignInput{KeyId: key, Message: message, MessageType: as, SigningAlgorithm: algorithm},
		"Verify": &awskms.VerifyInput{KeyId: key, Message: message, MessageType: as, SigningAlgorithm: algorithm, Signature: []byte("x")},
	} {
		gotCode, got := refused[any](admin(), name, in)
		Expect(gotCode+": "+got).To(Equal(code+": "+says), name)
	}
}

var _ = Describe("A key of Ed25519", func() {
	It("signs messages as they are, which openssl verifies, by ED25519_SHA_512", func() {
		key := createKey(admin(), signing(types.KeySpecEccNistEdwards25519))
		describes(key, ed25519Prehash, ed25519Pure)
		parsed, err := x509.ParsePKIXPublicKey(publicKey(key.KeyId))
		Expect(err).NotTo(HaveOccurred())
		j := judge{GinkgoT().TempDir()}
		public := j.write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicKey(key.KeyId)}))
		for _, length := range []int{1, 64, 4096} {
			message := slices.Repeat([]byte{7}, length)
			signature := sign(admin(), key.KeyId, ed25519Pure, raw, message)
			Expect(signature).To(HaveLen(64))
			Expect(ed25519.Verify(parsed.(ed25519.PublicKey), message, signature)).To(BeTrue())
			out, err := j.run("pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin", "-in", j.write("message", message), "-sigfile", j.write("signature", signature))
			Expect(err).NotTo(HaveOccurred(), out)
			Expect(verify(key.KeyId, ed25519Pure, "", message, signature)).To(Succeed(), "a type that is left out is RAW")
			message[0]++
			Expect(verify(key.KeyId, ed25519Pure, raw, message, signature)).To(MatchError(ContainSubstring("KMSInvalidSignatureException")))
		}
	})

	// https://docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html#KMS-Sign-request-MessageType
	It("hashes the digest that it is given once more by ED25519_PH_SHA_512, as AWS does", func() {
		key := createKey(admin(), signing(types.KeySpecEccNistEdwards25519))
		parsed, err := x509.ParsePKIXPublicKey(publicKey(key.KeyId))
		Expect(err).NotTo(HaveOccurred())
		hashed := sha512.Sum512([]byte("attack at dawn"))
		signature := sign(admin(), key.KeyId, ed25519Prehash, digest, hashed[:])
		Expect(verify(key.KeyId, ed25519Prehash, digest, hashed[:], signature)).To(Succeed())
		again := sha512.Sum512(hashed[:])
		prehash := &ed25519.Options{Hash: crypto.SHA512}
		Expect(ed25519.VerifyWithOptions(parsed.(ed25519.PublicKey), again[:], signature, prehash)).To(Succeed(), "Ed25519ph of the digest as a message")
		Expect(ed25519.VerifyWithOptions(parsed.(ed25519.PublicKey), hashed[:], signature, prehash)).NotTo(Succeed())
		Expect(verify(key.KeyId, ed25519Pure, raw, hashed[:], signature)).To(MatchError(ContainSubstring("KMSInvalidSignatureException")), "the algorithms are two")
	})

	DescribeTable("refuses what its algorithms do not take", func(algorithm types.SigningAlgorithmSpec, as types.MessageType, length int, code, says string) {
		refuses(createKey(admin(), signing(types.KeySpecEccNistEdwards25519)).KeyId, algorithm, as, make([]byte, length), code, says)
	},
		Entry("a digest of ED25519_SHA_512", ed25519Pure, digest, 64, "ValidationException", "Message type DIGEST is incompatible with signing algorithm ED25519_SHA_512."),
		Entry("a message of ED25519_PH_SHA_512", ed25519Prehash, raw, 64, "ValidationException", "Message type RAW is incompatible with signing algorithm ED25519_PH_SHA_512."),
		Entry("a type that is left out of ED25519_PH_SHA_512", ed25519Prehash, types.MessageType(""), 64, "ValidationException",
			"Message type RAW is incompatible with signing algorithm ED25519_PH_SHA_512."),
		Entry("a μ", ed25519Pure, externalMu, 64, "ValidationException", "Message type EXTERNAL_MU is incompatible with signing algorithm ED25519_SHA_512."),
		Entry("a digest of SHA-256", ed25519Prehash, digest, 32, "ValidationException", "Digest is invalid length for algorithm ED25519_PH_SHA_512."),
		Entry("a message over 4,096 bytes", ed25519Pure, raw, 4097, "ValidationException",
			"1 validation error detected: Value at 'message' failed to satisfy constraint: Member must have length less than or equal to 4096"),
		Entry("an algorithm of another curve", p256, raw, 1, "InvalidKeyUsageException", "Algorithm ECDSA_SHA_256 is incompatible with key spec ECC_NIST_EDWARDS25519."),
	)
})

var _ = Describe("A key of secp256k1", func() {
	It("has one algorithm, and does not agree on secrets", func() {
		describes(createKey(admin(), signing(types.KeySpecEccSecgP256k1)), p256)
		code, message := refused[any](admin(), "CreateKey", &awskms.CreateKeyInput{KeySpec: types.KeySpecEccSecgP256k1, KeyUsage: types.KeyUsageTypeKeyAgreement})
		Expect(code + ": " + message).To(Equal("ValidationException: KeyUsage KEY_AGREEMENT is not compatible with KeySpec ECC_SECG_P256K1"))
	})

	DescribeTable("refuses what it cannot sign", func(algorithm types.SigningAlgorithmSpec, as types.MessageType, length int, code, says string) {
		refuses(createKey(admin(), signing(types.KeySpecEccSecgP256k1)).KeyId, algorithm, as, make([]byte, length), code, says)
	},
		Entry("a digest of SHA-512", p256, digest, 64, "ValidationException", "Digest is invalid length for algorithm ECDSA_SHA_256."),
		Entry("a μ", p256, externalMu, 64, "ValidationException", "Message type EXTERNAL_MU is incompatible with key spec ECC_SECG_P256K1."),
		Entry("an algorithm of another strength", types.SigningAlgorithmSpecEcdsaSha512, raw, 1, "InvalidKeyUsageException",
			"Algorithm ECDSA_SHA_512 is incompatible with key spec ECC_SECG_P256K1."),
	)
})

var _ = Describe("A key of ML-DSA", func() {
	for spec, length := range mldsaSpecs {
		It("of "+string(spec)+" signs a message or its μ, and verifies by either, as Go's own library does", func() {
			key := createKey(admin(), signing(spec))
			describes(key, mldsaShake)
			parsed, err := x509.ParsePKIXPublicKey(publicKey(key.KeyId))
			Expect(err).NotTo(HaveOccurred())
			public := parsed.(*mldsa.PublicKey)
			message := slices.Repeat([]byte{3}, 4096)
			mu := mldsamu.Of(public, message)
			for _, signature := range [][]byte{sign(admin(), key.KeyId, mldsaShake, raw, message), sign(admin(), key.KeyId, mldsaShake, externalMu, mu)} {
				Expect(signature).To(HaveLen(length))
				Expect(mldsa.Verify(public, message, signature, nil)).To(Succeed())
				Expect(verify(key.KeyId, mldsaShake, "", message, signature)).To(Succeed())
				Expect(verify(key.KeyId, mldsaShake, externalMu, mu, signature)).To(Succeed())
				signature[9] ^= 1
				Expect(verify(key.KeyId, mldsaShake, raw, message, signature)).To(MatchError(ContainSubstring("KMSInvalidSignatureException")))
				Expect(verify(key.KeyId, mldsaShake, externalMu, mu, signature)).To(MatchError(ContainSubstring("KMSInvalidSignatureException")))
			}
		})
	}

	DescribeTable("refuses what it does not take", func(algorithm types.SigningAlgorithmSpec, as types.MessageType, length int, code, says string) {
		refuses(createKey(admin(), signing(types.KeySpecMlDsa44)).KeyId, algorithm, as, make([]byte, length), code, says)
	},
		Entry("a digest", mldsaShake, digest, 64, "ValidationException", "Message type DIGEST is incompatible with key spec ML_DSA_44."),
		Entry("a short μ", mldsaShake, externalMu, 63, "ValidationException", "External mu is invalid length for algorithm ML_DSA_SHAKE_256."),
		Entry("a long μ", mldsaShake, externalMu, 65, "ValidationException", "External mu is invalid length for algorithm ML_DSA_SHAKE_256."),
		Entry("an algorithm of a curve", ed25519Pure, raw, 1, "InvalidKeyUsageException", "Algorithm ED25519_SHA_512 is incompatible with key spec ML_DSA_44."),
	)

	It("is used by whom a condition on the type of the message lets", func() {
		key := createKey(admin(), signing(types.KeySpecMlDsa65))
		who := user(world.Namespace, `{"Effect":"Allow","Action":"kms:Sign","Resource":"*","Condition":{"StringEquals":{"kms:MessageType":"EXTERNAL_MU","kms:SigningAlgorithm":"ML_DSA_SHAKE_256"}}}`)
		sign(who, key.KeyId, mldsaShake, externalMu, make([]byte, 64))
		code, _ := refused[any](who, "Sign", &awskms.SignInput{KeyId: key.KeyId, Message: make([]byte, 64), SigningAlgorithm: mldsaShake})
		Expect(code).To(Equal("AccessDeniedException"))
	})
})

var _ = Describe("CreateKey of what there is not", func() {
	It("refuses SM2, which AWS has in China alone, for each usage", func() {
		for _, usage := range []types.KeyUsageType{types.KeyUsageTypeSignVerify, types.KeyUsageTypeEncryptDecrypt, types.KeyUsageTypeKeyAgreement} {
			code, message := refused[any](admin(), "CreateKey", &awskms.CreateKeyInput{KeySpec: types.KeySpecSm2, KeyUsage: usage})
			Expect(code + ": " + message).To(Equal("UnsupportedOperationException: KeySpec SM2 is not supported."))
		}
	})

	It("refuses ML_KEM_512, and says what there is", func() {
		code, message := refused[any](admin(), "CreateKey", &awskms.CreateKeyInput{KeySpec: types.KeySpecMlKem512, KeyUsage: types.KeyUsageTypeEncapsulateDecapsulate})
		Expect(code + ": " + message).To(Equal("UnsupportedOperationException: KeySpec ML_KEM_512 is not supported: ML_KEM_768 and ML_KEM_1024 are."))
	})

	It("refuses keys for another usage than their spec's, and without one", func() {
		for _, spec := range []types.KeySpec{types.KeySpecEccNistEdwards25519, types.KeySpecEccSecgP256k1, types.KeySpecMlDsa44, types.KeySpecMlKem768} {
			for _, usage := range []types.KeyUsageType{types.KeyUsageTypeEncryptDecrypt, types.KeyUsageTypeKeyAgreement, types.KeyUsageTypeGenerateVerifyMac, ""} {
				code, _ := refused[any](admin(), "CreateKey", &awskms.CreateKeyInput{KeySpec: spec, KeyUsage: usage})
				Expect(code).To(Equal("ValidationException"), "%s for %s", spec, usage)
			}
		}
	})

	It("refuses specs in a custom key store that its modules have not", func() {
		for spec, usage := range map[types.KeySpec]types.KeyUsageType{
			types.KeySpecEccNistEdwards25519: types.KeyUsageTypeSignVerify, types.KeySpecEccSecgP256k1: types.KeyUsageTypeSignVerify,
			types.KeySpecMlDsa87: types.KeyUsageTypeSignVerify, types.KeySpecMlKem1024: types.KeyUsageTypeEncapsulateDecapsulate,
		} {
			code, _ := refused[any](admin(), "CreateKey", &awskms.CreateKeyInput{
				KeySpec: spec, KeyUsage: usage, Origin: types.OriginTypeAwsCloudhsm, CustomKeyStoreId: aws.String("cks-1234567890abcdef0"),
			})
			Expect(code).To(Equal("UnsupportedOperationException"), string(spec))
		}
	})
})
