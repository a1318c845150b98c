package kms_test

import (
	"crypto/mlkem"
	"encoding/base64"
	"errors"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"strongroom.dev/strongroom/internal/gateway/kms"
	"strongroom.dev/strongroom/test/environment"
)

const mlkemAlgorithm = types.EncapsulationAlgorithmSpecMlKem

// spki is how long a SubjectPublicKeyInfo of ML-KEM is in front of the key, and pkcs8 a PrivateKeyInfo in front of the seed (RFC 9935).
const spki, pkcs8 = 22, 22

func encapsulate(c *caller, key *string) *awskms.EncapsulateOutput {
	GinkgoHelper()
	return must[awskms.EncapsulateOutput](c, "Encapsulate", &awskms.EncapsulateInput{KeyId: key, EncapsulationAlgorithm: mlkemAlgorithm})
}

func decapsulate(c *caller, key *string, ciphertext []byte) []byte {
	GinkgoHelper()
	out := must[awskms.DecapsulateOutput](c, "Decapsulate", decapsulating(key, ciphertext))
	Expect(out.EncapsulationAlgorithm).To(Equal(mlkemAlgorithm))
	Expect(out.SharedSecret).To(HaveLen(32))
	return out.SharedSecret
}

func decapsulating(key *string, ciphertext []byte) *awskms.DecapsulateInput {
	return &awskms.DecapsulateInput{KeyId: key, EncapsulationAlgorithm: mlkemAlgorithm, SharedSecretCiphertextBlob: ciphertext}
}

// elsewhere encapsulates by Go's own library, as a device would that has the public key.
func elsewhere(spec types.KeySpec, public []byte) (secret, ciphertext []byte) {
	GinkgoHelper()
	if spec == types.KeySpecMlKem768 {
		key, err := mlkem.NewEncapsulationKey768(public)
		Expect(err).NotTo(HaveOccurred())
		return key.Encapsulate()
	}
	key, err := mlkem.NewEncapsulationKey1024(public)
	Expect(err).NotTo(HaveOccurred())
	return key.Encapsulate()
}

var _ = Describe("A key of ML-KEM", func() {
	for spec, length := range map[types.KeySpec]int{types.KeySpecMlKem768: 1088, types.KeySpecMlKem1024: 1568} {
		It("of "+string(spec)+" has one secret with whoever has its public half", func() {
			key := createKey(admin(), of(spec, types.KeyUsageTypeEncapsulateDecapsulate))
			Expect(key.EncapsulationAlgorithms).To(Equal([]types.EncapsulationAlgorithmSpec{mlkemAlgorithm}))
			Expect(key.SigningAlgorithms).To(BeNil())
			Expect(key.KeyAgreementAlgorithms).To(BeNil())
			Expect(must[awskms.DescribeKeyOutput](admin(), "DescribeKey", &awskms.DescribeKeyInput{KeyId: key.KeyId}).KeyMetadata).To(Equal(key))
			shown := must[awskms.GetPublicKeyOutput](admin(), "GetPublicKey", &awskms.GetPublicKeyInput{KeyId: key.KeyId})
			Expect(shown.EncapsulationAlgorithms).To(Equal(key.EncapsulationAlgorithms))
			Expect(shown.KeyUsage).To(Equal(types.KeyUsageTypeEncapsulateDecapsulate))
			Expect(shown.KeySpec).To(Equal(spec))

			made := encapsulate(admin(), key.KeyId)
			Expect(made.KeyId).To(HaveValue(Equal(*key.Arn)))
			Expect(made.EncapsulationAlgorithm).To(Equal(mlkemAlgorithm))
			Expect(made.SharedSecret).To(HaveLen(32))
			Expect(made.SharedSecretCiphertextBlob).To(HaveLen(length))
			Expect(decapsulate(admin(), key.KeyId, made.SharedSecretCiphertextBlob)).To(Equal(made.SharedSecret))
			Expect(encapsulate(admin(), key.KeyId).SharedSecret).NotTo(Equal(made.SharedSecret), "each has a secret of its own")
			secret, ciphertext := elsewhere(spec, shown.PublicKey[spki:])
			Expect(decapsulate(admin(), key.KeyId, ciphertext)).To(Equal(secret), "by Go's own library")
		})
	}

	It("answers an altered ciphertext and one of another key with a secret that nobody has, the same one each time", func() {
		key, other := createKey(admin(), encapsulates), createKey(admin(), encapsulates)
		made := encapsulate(admin(), key.KeyId)
		altered := slices.Clone(made.SharedSecretCiphertextBlob)
		altered[700] ^= 1
		rejected := decapsulate(admin(), key.KeyId, altered)
		Expect(rejected).NotTo(Equal(made.SharedSecret))
		Expect(decapsulate(admin(), key.KeyId, altered)).To(Equal(rejected))
		Expect(decapsulate(admin(), other.KeyId, made.SharedSecretCiphertextBlob)).NotTo(Equal(made.SharedSecret))
	})

	It("answers a ciphertext of another length with an error, in a dry run too", func() {
		key := createKey(admin(), encapsulates)
		for _, length := range []int{1, 768, 1087, 1089, 1568, 6144} {
			for _, dry := range []bool{false, true} {
				in := decapsulating(key.KeyId, make([]byte, length))
				in.DryRun = aws.Bool(dry)
				code, message := refused[any](admin(), "Decapsulate", in)
				Expect(code+message).To(Equal("InvalidCiphertextException"), "%d bytes", length)
			}
		}
	})

	It("answers nothing of a secret in a dry run", func() {
		key := createKey(admin(), encapsulates)
		code, message := refused[any](admin(), "Encapsulate", &awskms.EncapsulateInput{KeyId: key.KeyId, EncapsulationAlgorithm: mlkemAlgorithm, DryRun: aws.Bool(true)})
		Expect(code + ": " + message).To(Equal("DryRunOperationException: The request would have succeeded, but the DryRun option is set."))
		in := decapsulating(key.KeyId, encapsulate(admin(), key.KeyId).SharedSecretCiphertextBlob)
		in.DryRun = aws.Bool(true)
		code, _ = refused[any](admin(), "Decapsulate", in)
		Expect(code).To(Equal("DryRunOperationException"))
	})

	It("is used for nothing else, and no other key for this, in AWS's words", func() {
		key, agreeing := createKey(admin(), encapsulates), createKey(admin(), agrees)
		for _, tt := range []struct {
			name, says string
			in         any
		}{
			{"Sign", *key.Arn + " key usage is ENCAPSULATE_DECAPSULATE which is not valid for signing.", &awskms.SignInput{
				KeyId: key.KeyId, Message: []byte("x"), SigningAlgorithm: mldsaShake,
			}},
			{"DeriveSharedSecret", *key.Arn + " key usage is ENCAPSULATE_DECAPSULATE which is not valid for DeriveSharedSecret.", &awskms.DeriveSharedSecretInput{
				KeyId: key.KeyId, KeyAgreementAlgorithm: types.KeyAgreementAlgorithmSpecEcdh, PublicKey: publicKey(key.KeyId),
			}},
			{"Encrypt", *key.Arn + " key usage is ENCAPSULATE_DECAPSULATE which is not valid for Encrypt.", &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("x")}},
			{"Encapsulate", *agreeing.Arn + " key usage is KEY_AGREEMENT which is not valid for Encapsulate.", &awskms.EncapsulateInput{
				KeyId: agreeing.KeyId, EncapsulationAlgorithm: mlkemAlgorithm,
			}},
			{"Decapsulate", *agreeing.Arn + " key usage is KEY_AGREEMENT which is not valid for Decapsulate.", decapsulating(agreeing.KeyId, []byte("x"))},
			{"Encapsulate", "Algorithm ML_KEM_2 is incompatible with key spec ML_KEM_768.", &awskms.EncapsulateInput{KeyId: key.KeyId, EncapsulationAlgorithm: "ML_KEM_2"}},
		} {
			code, message := refused[any](admin(), tt.name, tt.in)
			Expect(code+": "+message).To(Equal("InvalidKeyUsageException: "+tt.says), tt.name)
		}
		for _, name := range []string{"EnableKeyRotation", "RotateKeyOnDemand"} {
			code, _ := refused[any](admin(), name, onKeys[name](*key.KeyId))
			Expect(code).To(Equal("UnsupportedOperationException"), name)
		}
	})

	It("is used by whom a grant lets, for what the grant says", func() {
		key := createKey(admin(), encapsulates)
		bob := person(world.Namespace, "bob", "")
		denied(bob, "Encapsulate", &awskms.EncapsulateInput{KeyId: key.KeyId, EncapsulationAlgorithm: mlkemAlgorithm})
		grant(admin(), *key.KeyId, bob.arn(), types.GrantOperationEncapsulate)
		made := encapsulate(bob, key.KeyId)
		denied(bob, "Decapsulate", decapsulating(key.KeyId, made.SharedSecretCiphertextBlob))
		grant(admin(), *key.KeyId, bob.arn(), types.GrantOperationDecapsulate)
		Expect(decapsulate(bob, key.KeyId, made.SharedSecretCiphertextBlob)).To(Equal(made.SharedSecret))
		code, _ := refused[any](admin(), "CreateGrant", &awskms.CreateGrantInput{
			KeyId: createKey(admin()).KeyId, GranteePrincipal: s(bob.arn()), Operations: []types.GrantOperation{types.GrantOperationEncapsulate},
		})
		Expect(code).To(Equal("ValidationException"), "a key that does not encapsulate")
	})

	It("is the same key in another region", func() {
		id := multiRegion(encapsulates).KeyId
		replicate(*id, there)
		made := encapsulate(admin(), id)
		Expect(decapsulate(admin().in(there), id, made.SharedSecretCiphertextBlob)).To(Equal(made.SharedSecret))
	})

	It("takes its owner's private key by RSA_AES_KEY_WRAP, as a seed", func() {
		id := external(encapsulates)
		code, message := refused[any](admin(), "GetParametersForImport", &awskms.GetParametersForImportInput{
			KeyId: &id, WrappingAlgorithm: types.AlgorithmSpecRsaesOaepSha256, WrappingKeySpec: types.WrappingKeySpecRsa4096,
		})
		Expect(code).To(Equal("UnsupportedOperationException"), message)
		const algorithm = types.AlgorithmSpecRsaAesKeyWrapSha256
		owner, err := mlkem.GenerateKey768()
		Expect(err).NotTo(HaveOccurred())
		p := parameters(id, algorithm, types.WrappingKeySpecRsa2048)
		head := []byte{0x30, 0x54, 2, 1, 0, 0x30, 0x0b, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 4, 2, 4, 0x42, 0x80, 0x40} // RFC 9935
		in := &awskms.ImportKeyMaterialInput{
			KeyId: &id, ImportToken: p.ImportToken, ExpirationModel: types.ExpirationModelTypeKeyMaterialDoesNotExpire,
			EncryptedKeyMaterial: judge{GinkgoT().TempDir()}.wrap(algorithm, p.PublicKey, append(slices.Clone(head), owner.Bytes()[1:]...)),
		}
		code, _ = refused[any](admin(), "ImportKeyMaterial", in)
		Expect(code).To(Equal("IncorrectKeyMaterialException"), "a byte is missing")
		in.EncryptedKeyMaterial = judge{GinkgoT().TempDir()}.wrap(algorithm, p.PublicKey, append(head, owner.Bytes()...))
		must[awskms.ImportKeyMaterialOutput](admin(), "ImportKeyMaterial", in)
		Expect(publicKey(&id)[spki:]).To(Equal(owner.EncapsulationKey().Bytes()))
		secret, ciphertext := owner.EncapsulationKey().Encapsulate()
		Expect(decapsulate(admin(), &id, ciphertext)).To(Equal(secret))
	})

	It("is had by AWS's SDK, and nothing of a secret is in the records", func() {
		door := world.Open(kms.New(kms.Dependencies{KMS: world.Services.KMS, KeyStores: world.Services.CloudHSM, Authorities: world.Services.Authorities}))
		remote := awskms.NewFromConfig(door.Config(environment.Region, allKMS))
		key, err := remote.CreateKey(ctx, &awskms.CreateKeyInput{KeySpec: types.KeySpecMlKem1024, KeyUsage: types.KeyUsageTypeEncapsulateDecapsulate})
		Expect(err).NotTo(HaveOccurred())
		Expect(key.KeyMetadata.EncapsulationAlgorithms).To(Equal([]types.EncapsulationAlgorithmSpec{mlkemAlgorithm}))
		made, err := remote.Encapsulate(ctx, &awskms.EncapsulateInput{KeyId: key.KeyMetadata.KeyId, EncapsulationAlgorithm: mlkemAlgorithm})
		Expect(err).NotTo(HaveOccurred())
		opened, err := remote.Decapsulate(ctx, decapsulating(key.KeyMetadata.KeyId, made.SharedSecretCiphertextBlob))
		Expect(err).NotTo(HaveOccurred())
		Expect(opened.SharedSecret).To(Equal(made.SharedSecret))
		_, err = remote.Decapsulate(ctx, decapsulating(key.KeyMetadata.KeyId, made.SharedSecretCiphertextBlob[1:]))
		var garbled *types.InvalidCiphertextException
		Expect(errors.As(err, &garbled)).To(BeTrue(), "%v", err)
		for _, length := range []int{0, 6145} { // the limits of any ciphertext
			_, err = remote.Decapsulate(ctx, decapsulating(key.KeyMetadata.KeyId, make([]byte, length)))
			var invalid smithy.APIError
			Expect(errors.As(err, &invalid)).To(BeTrue(), "%v", err)
			Expect(invalid.ErrorCode()).To(Equal("ValidationException"))
		}
		Eventually(door.Text).Should(ContainSubstring(`"eventName":"Decapsulate"`))
		Eventually(door.Text).Should(ContainSubstring(`"encapsulationAlgorithm":"ML_KEM"`))
		for _, hidden := range []string{string(made.SharedSecret), base64.StdEncoding.EncodeToString(made.SharedSecret)} {
			Expect(door.Text()).NotTo(ContainSubstring(hidden))
		}
	})
})

var _ = DescribeTable("A data key pair of ML-KEM has its private half as a seed, by which Go's own library opens", func(spec types.DataKeyPairSpec) {
	key := createKey(admin())
	pair := must[awskms.GenerateDataKeyPairOutput](admin(), "GenerateDataKeyPair", &awskms.GenerateDataKeyPairInput{KeyId: key.KeyId, KeyPairSpec: spec})
	Expect(decrypt(admin(), pair.PrivateKeyCiphertextBlob, nil)).To(Equal(string(pair.PrivateKeyPlaintext)))
	Expect(pair.PrivateKeyPlaintext).To(HaveLen(pkcs8+mlkem.SeedSize), "the same for all specs, as AWS says")
	secret, ciphertext := elsewhere(types.KeySpec(spec), pair.PublicKey[spki:])
	open := func(seed, ciphertext []byte) ([]byte, error) {
		if spec == types.DataKeyPairSpecMlKem768 {
			private, err := mlkem.NewDecapsulationKey768(seed)
			Expect(err).NotTo(HaveOccurred())
			return private.Decapsulate(ciphertext)
		}
		private, err := mlkem.NewDecapsulationKey1024(seed)
		Expect(err).NotTo(HaveOccurred())
		return private.Decapsulate(ciphertext)
	}
	Expect(open(pair.PrivateKeyPlaintext[pkcs8:], ciphertext)).To(Equal(secret))
	blind := must[awskms.GenerateDataKeyPairWithoutPlaintextOutput](admin(), "GenerateDataKeyPairWithoutPlaintext",
		&awskms.GenerateDataKeyPairWithoutPlaintextInput{KeyId: key.KeyId, KeyPairSpec: spec})
	private, err := decrypt(admin(), blind.PrivateKeyCiphertextBlob, nil)
	Expect(err).NotTo(HaveOccurred())
	secret, ciphertext = elsewhere(types.KeySpec(spec), blind.PublicKey[spki:])
	Expect(open([]byte(private)[pkcs8:], ciphertext)).To(Equal(secret))
},
	Entry("of ML-KEM-768", types.DataKeyPairSpecMlKem768), Entry("of ML-KEM-1024", types.DataKeyPairSpecMlKem1024),
)
