package kms_test

import (
	"crypto/rand"
	"encoding/pem"
	"os"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

const (
	oaep1   = types.EncryptionAlgorithmSpecRsaesOaepSha1
	oaep256 = types.EncryptionAlgorithmSpecRsaesOaepSha256
)

func of(spec types.KeySpec, usage types.KeyUsageType) func(*awskms.CreateKeyInput) {
	return func(in *awskms.CreateKeyInput) { in.KeySpec, in.KeyUsage = spec, usage }
}

var (
	encryptsByRSA = of(types.KeySpecRsa2048, types.KeyUsageTypeEncryptDecrypt)
	makesCodes    = of(types.KeySpecHmac256, types.KeyUsageTypeGenerateVerifyMac)
	agrees        = of(types.KeySpecEccNistP256, types.KeyUsageTypeKeyAgreement)
	encapsulates  = of(types.KeySpecMlKem768, types.KeyUsageTypeEncapsulateDecapsulate)
)

var _ = Describe("A key of each usage", func() {
	It("is described by the algorithms of its usage alone", func() {
		rsa := createKey(admin(), encryptsByRSA)
		Expect(rsa.EncryptionAlgorithms).To(Equal([]types.EncryptionAlgorithmSpec{oaep1, oaep256}))
		Expect(rsa.SigningAlgorithms).To(BeNil())
		shown := must[awskms.GetPublicKeyOutput](admin(), "GetPublicKey", &awskms.GetPublicKeyInput{KeyId: rsa.KeyId})
		Expect(shown.EncryptionAlgorithms).To(Equal(rsa.EncryptionAlgorithms))
		Expect(shown.SigningAlgorithms).To(BeNil())
		Expect(shown.KeyUsage).To(Equal(types.KeyUsageTypeEncryptDecrypt))

		codes := createKey(admin(), makesCodes)
		Expect(codes.MacAlgorithms).To(Equal([]types.MacAlgorithmSpec{types.MacAlgorithmSpecHmacSha256}))
		Expect(codes.EncryptionAlgorithms).To(BeNil())
		Expect(codes.CurrentKeyMaterialId).To(BeNil(), "AWS tells that of symmetric encryption keys alone")
		code, _ := refused[any](admin(), "GetPublicKey", &awskms.GetPublicKeyInput{KeyId: codes.KeyId})
		Expect(code).To(Equal("UnsupportedOperationException"))

		agreeing := createKey(admin(), agrees)
		Expect(agreeing.KeyAgreementAlgorithms).To(Equal([]types.KeyAgreementAlgorithmSpec{types.KeyAgreementAlgorithmSpecEcdh}))
		Expect(agreeing.SigningAlgorithms).To(BeNil())
		shown = must[awskms.GetPublicKeyOutput](admin(), "GetPublicKey", &awskms.GetPublicKeyInput{KeyId: agreeing.KeyId})
		Expect(shown.KeyAgreementAlgorithms).To(Equal(agreeing.KeyAgreementAlgorithms))
	})

	It("refuses the operations of other usages, in AWS's words", func() {
		rsa, codes, agreeing := createKey(admin(), encryptsByRSA), createKey(admin(), makesCodes), createKey(admin(), agrees)
		for _, tt := range []struct {
			name, arn, message string
			in                 any
		}{
			{"Sign", *rsa.Arn, " key usage is ENCRYPT_DECRYPT which is not valid for signing.", &awskms.SignInput{
				KeyId: rsa.KeyId, Message: []byte("x"), SigningAlgorithm: types.SigningAlgorithmSpecRsassaPssSha256,
			}},
			{"GenerateMac", *rsa.Arn, " key usage is ENCRYPT_DECRYPT which is not valid for GenerateMac.", &awskms.GenerateMacInput{
				KeyId: rsa.KeyId, Message: []byte("x"), MacAlgorithm: types.MacAlgorithmSpecHmacSha256,
			}},
			{"Encrypt", *codes.Arn, " key usage is GENERATE_VERIFY_MAC which is not valid for Encrypt.", &awskms.EncryptInput{
				KeyId: codes.KeyId, Plaintext: []byte("x"),
			}},
			{"Sign", *agreeing.Arn, " key usage is KEY_AGREEMENT which is not valid for signing.", &awskms.SignInput{
				KeyId: agreeing.KeyId, Message: []byte("x"), SigningAlgorithm: p256,
			}},
			{"GenerateDataKey", "", "Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.", &awskms.GenerateDataKeyInput{
				KeyId: rsa.KeyId, KeySpec: types.DataKeySpecAes256,
			}},
			{"GenerateDataKeyPair", "", "Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.", &awskms.GenerateDataKeyPairInput{
				KeyId: rsa.KeyId, KeyPairSpec: types.DataKeyPairSpecEccNistP256,
			}},
			{"GenerateMac", "", "Algorithm HMAC_SHA_512 is incompatible with key spec HMAC_256.", &awskms.GenerateMacInput{
				KeyId: codes.KeyId, Message: []byte("x"), MacAlgorithm: types.MacAlgorithmSpecHmacSha512,
			}},
		} {
			code, message := refused[any](admin(), tt.name, tt.in)
			Expect(code+" "+message).To(Equal("InvalidKeyUsageException "+tt.arn+tt.message), tt.name)
		}
	})
})

var _ = Describe("An RSA key that encrypts", func() {
	It("opens what its public key encrypted if the request names it and the algorithm", func() {
		key := createKey(admin(), encryptsByRSA)
		for _, algorithm := range key.EncryptionAlgorithms {
			sealed := must[awskms.EncryptOutput](admin(), "Encrypt", &awskms.EncryptInput{KeyId: key.KeyId, Plaintext: []byte("hello"), EncryptionAlgorithm: algorithm})
			Expect(sealed.EncryptionAlgorithm).To(Equal(algorithm))
			Expect(sealed.KeyId).To(HaveValue(Equal(*key.Arn)))
			opened := must[awskms.DecryptOutput](admin(), "Decrypt", &awskms.DecryptInput{KeyId: key.KeyId, CiphertextBlob: sealed.CiphertextBlob, EncryptionAlgorithm: algorithm})
			Expect(string(opened.Plaintext)).To(Equal("hello"))
			Expect(opened.EncryptionAlgorithm).To(Equal(algorithm))
			Expect(opened.KeyMaterialId).To(BeNil())

			code, _ := refused[any](admin(), "Decrypt", &awskms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionAlgorithm: algorithm})
			Expect(code).To(Equal("InvalidCiphertextException"), "without the key's name nothing tells which key it is")
			other := createKey(admin(), encryptsByRSA)
			code, _ = refused[any](admin(), "Decrypt", &awskms.DecryptInput{KeyId: other.KeyId, CiphertextBlob: sealed.CiphertextBlob, EncryptionAlgorithm: algorithm})
			Expect(code).To(Equal("InvalidCiphertextException"))
		}
	})

	DescribeTable("refuses what it cannot encrypt", func(algorithm types.EncryptionAlgorithmSpec, length int, ec map[string]string, code, message string) {
		key := createKey(admin(), encryptsByRSA)
		gotCode, got := refused[any](admin(), "Encrypt", &awskms.EncryptInput{
			KeyId: key.KeyId, Plaintext: make([]byte, length), EncryptionAlgorithm: algorithm, EncryptionContext: ec,
		})
		Expect(gotCode + ": " + got).To(Equal(code + ": " + message))
	},
		Entry("one byte more than SHA-256 leaves room for", oaep256, 191, nil, "ValidationException",
			"Algorithm RSAES_OAEP_SHA_256 and key spec RSA_2048 cannot encrypt data larger than 190 bytes."),
		Entry("one byte more than SHA-1 leaves room for", oaep1, 215, nil, "ValidationException",
			"Algorithm RSAES_OAEP_SHA_1 and key spec RSA_2048 cannot encrypt data larger than 214 bytes."),
		Entry("no algorithm, which is that of symmetric keys", types.EncryptionAlgorithmSpec(""), 1, nil, "InvalidKeyUsageException",
			"Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048."),
		Entry("a context, which RSA has not", oaep256, 1, map[string]string{"a": "b"}, "ValidationException",
			"EncryptionContext is not supported for asymmetric keys."),
	)

	It("re-encrypts from and to symmetric keys", func() {
		rsa, symmetric := createKey(admin(), encryptsByRSA), createKey(admin())
		blob := encrypt(admin(), *symmetric.KeyId, "hello", map[string]string{"a": "b"})
		out := must[awskms.ReEncryptOutput](admin(), "ReEncrypt", &awskms.ReEncryptInput{
			CiphertextBlob: blob, SourceEncryptionContext: map[string]string{"a": "b"}, DestinationKeyId: rsa.KeyId, DestinationEncryptionAlgorithm: oaep256,
		})
		Expect(out.DestinationEncryptionAlgorithm).To(Equal(oaep256))
		Expect(out.SourceKeyMaterialId).To(HaveValue(Equal(*symmetric.CurrentKeyMaterialId)))
		Expect(out.DestinationKeyMaterialId).To(BeNil())
		back := must[awskms.ReEncryptOutput](admin(), "ReEncrypt", &awskms.ReEncryptInput{
			CiphertextBlob: out.CiphertextBlob, SourceKeyId: rsa.KeyId, SourceEncryptionAlgorithm: oaep256, DestinationKeyId: symmetric.KeyId,
		})
		Expect(decrypt(admin(), back.CiphertextBlob, nil)).To(Equal("hello"))
		code, _ := refused[any](admin(), "ReEncrypt", &awskms.ReEncryptInput{CiphertextBlob: blob, DestinationKeyId: rsa.KeyId, DestinationEncryptionAlgorithm: oaep256})
		Expect(code).To(Equal("InvalidCiphertextException"), "without the source's context")
	})
})

var _ = Describe("GenerateMac and VerifyMac", func() {
	It("agree on a code, and answer every other with an error and never with false", func() {
		key, other := createKey(admin(), makesCodes), createKey(admin(), makesCodes)
		const by = types.MacAlgorithmSpecHmacSha256
		made := must[awskms.GenerateMacOutput](admin(), "GenerateMac", &awskms.GenerateMacInput{KeyId: key.KeyId, Message: []byte("x"), MacAlgorithm: by})
		Expect(made.Mac).To(HaveLen(32))
		Expect(made.KeyId).To(HaveValue(Equal(*key.Arn)))
		good := &awskms.VerifyMacInput{KeyId: key.KeyId, Message: []byte("x"), MacAlgorithm: by, Mac: made.Mac}
		checked := must[awskms.VerifyMacOutput](admin(), "VerifyMac", good)
		Expect(checked.MacValid).To(BeTrue())
		Expect(checked.MacAlgorithm).To(Equal(by))
		broken := slices.Clone(made.Mac)
		broken[0] ^= 1
		for name, in := range map[string]*awskms.VerifyMacInput{
			"a bit":           {KeyId: key.KeyId, Message: []byte("x"), Mac: broken},
			"a shorter one":   {KeyId: key.KeyId, Message: []byte("x"), Mac: made.Mac[:31]},
			"another message": {KeyId: key.KeyId, Message: []byte("y"), Mac: made.Mac},
			"another key":     {KeyId: other.KeyId, Message: []byte("x"), Mac: made.Mac},
		} {
			in.MacAlgorithm = by
			code, message := refused[any](admin(), "VerifyMac", in)
			Expect(code+message).To(Equal("KMSInvalidMacException"), name)
			in.DryRun = aws.Bool(true)
			code, _ = refused[any](admin(), "VerifyMac", in)
			Expect(code).To(Equal("KMSInvalidMacException"), "a dry run of "+name)
		}
		good.DryRun = aws.Bool(true)
		code, _ := refused[any](admin(), "VerifyMac", good)
		Expect(code).To(Equal("DryRunOperationException"))
		code, _ = refused[any](admin(), "GenerateMac", &awskms.GenerateMacInput{KeyId: key.KeyId, Message: []byte("x"), MacAlgorithm: by, DryRun: aws.Bool(true)})
		Expect(code).To(Equal("DryRunOperationException"))
		code, _ = refused[any](admin(), "GenerateMac", &awskms.GenerateMacInput{KeyId: key.KeyId, Message: make([]byte, 4097), MacAlgorithm: by})
		Expect(code).To(Equal("ValidationException"))
	})
})

var _ = Describe("GenerateDataKeyPair", func() {
	It("answers both halves, and without plaintext all but the private one", func() {
		key := createKey(admin())
		in := &awskms.GenerateDataKeyPairInput{KeyId: key.KeyId, KeyPairSpec: types.DataKeyPairSpecEccNistP384, EncryptionContext: map[string]string{"a": "b"}}
		pair := must[awskms.GenerateDataKeyPairOutput](admin(), "GenerateDataKeyPair", in)
		Expect(pair.KeyId).To(HaveValue(Equal(*key.Arn)))
		Expect(pair.KeyMaterialId).To(HaveValue(Equal(*key.CurrentKeyMaterialId)))
		Expect(pair.KeyPairSpec).To(Equal(in.KeyPairSpec))
		Expect(decrypt(admin(), pair.PrivateKeyCiphertextBlob, in.EncryptionContext)).To(Equal(string(pair.PrivateKeyPlaintext)))
		blind := must[awskms.GenerateDataKeyPairWithoutPlaintextOutput](admin(), "GenerateDataKeyPairWithoutPlaintext",
			&awskms.GenerateDataKeyPairWithoutPlaintextInput{KeyId: key.KeyId, KeyPairSpec: in.KeyPairSpec})
		Expect(blind.PublicKey).NotTo(Equal(pair.PublicKey))
		private, err := decrypt(admin(), blind.PrivateKeyCiphertextBlob, nil)
		Expect(err).NotTo(HaveOccurred())
		j := judge{GinkgoT().TempDir()}
		for _, half := range []struct{ private, public []byte }{{pair.PrivateKeyPlaintext, pair.PublicKey}, {[]byte(private), blind.PublicKey}} {
			out, err := j.run("pkey", "-inform", "DER", "-in", j.write("private", half.private), "-check", "-noout")
			Expect(err).NotTo(HaveOccurred(), out)
			out, err = j.run("pkey", "-inform", "DER", "-in", j.dir+"/private", "-pubout", "-outform", "DER", "-out", j.dir+"/public")
			Expect(err).NotTo(HaveOccurred(), out)
			Expect(os.ReadFile(j.dir+"/public")).To(Equal(half.public), "by openssl's word")
		}
	})

	DescribeTable("makes pairs that openssl reads, and whose halves belong together", func(spec types.DataKeyPairSpec) {
		key := createKey(admin())
		pair := must[awskms.GenerateDataKeyPairOutput](admin(), "GenerateDataKeyPair", &awskms.GenerateDataKeyPairInput{KeyId: key.KeyId, KeyPairSpec: spec})
		Expect(decrypt(admin(), pair.PrivateKeyCiphertextBlob, nil)).To(Equal(string(pair.PrivateKeyPlaintext)))
		blind := must[awskms.GenerateDataKeyPairWithoutPlaintextOutput](admin(), "GenerateDataKeyPairWithoutPlaintext",
			&awskms.GenerateDataKeyPairWithoutPlaintextInput{KeyId: key.KeyId, KeyPairSpec: spec})
		private, err := decrypt(admin(), blind.PrivateKeyCiphertextBlob, nil)
		Expect(err).NotTo(HaveOccurred())
		j := judge{GinkgoT().TempDir()}
		for _, half := range []struct{ private, public []byte }{{pair.PrivateKeyPlaintext, pair.PublicKey}, {[]byte(private), blind.PublicKey}} {
			out, err := j.run("pkey", "-inform", "DER", "-in", j.write("private", half.private), "-pubout", "-outform", "DER", "-out", j.dir+"/public")
			Expect(err).NotTo(HaveOccurred(), out)
			Expect(os.ReadFile(j.dir + "/public")).To(Equal(half.public))
		}
	},
		Entry("of secp256k1", types.DataKeyPairSpecEccSecgP256k1), Entry("of Ed25519", types.DataKeyPairSpecEccNistEdwards25519),
	)

	It("does nothing in a dry run, and has not every spec", func() {
		key := createKey(admin())
		code, _ := refused[any](admin(), "GenerateDataKeyPair", &awskms.GenerateDataKeyPairInput{KeyId: key.KeyId, KeyPairSpec: types.DataKeyPairSpecRsa4096, DryRun: aws.Bool(true)})
		Expect(code).To(Equal("DryRunOperationException"))
		for _, spec := range []types.DataKeyPairSpec{types.DataKeyPairSpecSm2, "SYMMETRIC_DEFAULT", "HMAC_256"} {
			code, message := refused[any](admin(), "GenerateDataKeyPair", &awskms.GenerateDataKeyPairInput{KeyId: key.KeyId, KeyPairSpec: spec})
			Expect(code + " " + message).To(Equal("UnsupportedOperationException KeyPairSpec " + string(spec) + " is not supported."))
		}
		code, message := refused[any](admin(), "GenerateDataKeyPair", &awskms.GenerateDataKeyPairInput{KeyId: key.KeyId, KeyPairSpec: types.DataKeyPairSpecMlKem512})
		Expect(code + " " + message).To(Equal("UnsupportedOperationException KeyPairSpec ML_KEM_512 is not supported: ML_KEM_768 and ML_KEM_1024 are."))
		code, _ = refused[any](admin(), "GenerateDataKeyPair", &awskms.GenerateDataKeyPairInput{
			KeyId: key.KeyId, KeyPairSpec: types.DataKeyPairSpecEccNistP256, Recipient: &types.RecipientInfo{},
		})
		Expect(code).To(Equal("UnsupportedOperationException"))
	})
})

var _ = Describe("With openssl on the other side", func() {
	It("what openssl encrypted for an RSA key is opened, by both algorithms", func() {
		j := judge{GinkgoT().TempDir()}
		key := createKey(admin(), encryptsByRSA)
		public := j.write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicKey(key.KeyId)}))
		for algorithm, hash := range map[types.EncryptionAlgorithmSpec]string{oaep1: "sha1", oaep256: "sha256"} {
			plaintext := make([]byte, 100)
			_, _ = rand.Read(plaintext)
			out, err := j.run("pkeyutl", "-encrypt", "-pubin", "-inkey", public, "-in", j.write("plain", plaintext), "-out", j.dir+"/sealed",
				"-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:"+hash, "-pkeyopt", "rsa_mgf1_md:"+hash)
			Expect(err).NotTo(HaveOccurred(), out)
			sealed, err := os.ReadFile(j.dir + "/sealed")
			Expect(err).NotTo(HaveOccurred())
			opened := must[awskms.DecryptOutput](admin(), "Decrypt", &awskms.DecryptInput{KeyId: key.KeyId, CiphertextBlob: sealed, EncryptionAlgorithm: algorithm})
			Expect(opened.Plaintext).To(Equal(plaintext))
		}
	})

	It("both derive the same secret, and a point of another curve is refused", func() {
		j := judge{GinkgoT().TempDir()}
		key := createKey(admin(), agrees)
		for name, curve := range map[string]string{"theirs": "P-256", "other": "P-384"} {
			out, err := j.run("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:"+curve, "-out", j.dir+"/"+name)
			Expect(err).NotTo(HaveOccurred(), out)
			out, err = j.run("pkey", "-in", j.dir+"/"+name, "-pubout", "-outform", "DER", "-out", j.dir+"/"+name+".pub")
			Expect(err).NotTo(HaveOccurred(), out)
		}
		derive := func(name string) *awskms.DeriveSharedSecretInput {
			der, err := os.ReadFile(j.dir + "/" + name + ".pub")
			Expect(err).NotTo(HaveOccurred())
			return &awskms.DeriveSharedSecretInput{KeyId: key.KeyId, KeyAgreementAlgorithm: types.KeyAgreementAlgorithmSpecEcdh, PublicKey: der}
		}
		out := must[awskms.DeriveSharedSecretOutput](admin(), "DeriveSharedSecret", derive("theirs"))
		Expect(out.KeyId).To(HaveValue(Equal(*key.Arn)))
		Expect(out.KeyOrigin).To(Equal(types.OriginTypeAwsKms))
		text, err := j.run("pkeyutl", "-derive", "-inkey", j.dir+"/theirs", "-peerkey",
			j.write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicKey(key.KeyId)})), "-out", j.dir+"/secret")
		Expect(err).NotTo(HaveOccurred(), text)
		Expect(os.ReadFile(j.dir + "/secret")).To(Equal(out.SharedSecret))
		code, message := refused[any](admin(), "DeriveSharedSecret", derive("other"))
		Expect(code + " " + message).To(Equal("ValidationException The public key is not one of the key spec ECC_NIST_P256 in DER (SubjectPublicKeyInfo)."))
		dry := derive("theirs")
		dry.DryRun = aws.Bool(true)
		code, _ = refused[any](admin(), "DeriveSharedSecret", dry)
		Expect(code).To(Equal("DryRunOperationException"))
	})
})

// https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html
var _ = DescribeTable("A policy decides by the condition key", func(condition, operation string, make func(*awskms.CreateKeyInput), allowed, denied func(key *string) any) {
	key := createKey(admin(), make)
	who := user(world.Namespace, `{"Effect":"Allow","Action":"kms:`+operation+`","Resource":"*","Condition":{"StringEquals":`+condition+`}}`)
	Expect(invoke(who, operation, allowed(key.KeyId))).To(Succeed())
	code, _ := refused[any](who, operation, denied(key.KeyId))
	Expect(code).To(Equal("AccessDeniedException"))
},
	Entry("kms:EncryptionAlgorithm of Encrypt", `{"kms:EncryptionAlgorithm":"RSAES_OAEP_SHA_256"}`, "Encrypt", encryptsByRSA,
		func(key *string) any {
			return &awskms.EncryptInput{KeyId: key, Plaintext: []byte("x"), EncryptionAlgorithm: oaep256}
		},
		func(key *string) any {
			return &awskms.EncryptInput{KeyId: key, Plaintext: []byte("x"), EncryptionAlgorithm: oaep1}
		}),
	Entry("kms:EncryptionAlgorithm of a request that names none", `{"kms:EncryptionAlgorithm":"SYMMETRIC_DEFAULT"}`, "Encrypt", func(*awskms.CreateKeyInput) {},
		func(key *string) any { return &awskms.EncryptInput{KeyId: key, Plaintext: []byte("x")} },
		func(key *string) any {
			return &awskms.EncryptInput{KeyId: key, Plaintext: []byte("x"), EncryptionAlgorithm: oaep1}
		}),
	Entry("kms:MacAlgorithm", `{"kms:MacAlgorithm":"HMAC_SHA_256"}`, "GenerateMac", makesCodes,
		func(key *string) any {
			return &awskms.GenerateMacInput{KeyId: key, Message: []byte("x"), MacAlgorithm: "HMAC_SHA_256"}
		},
		func(key *string) any {
			return &awskms.GenerateMacInput{KeyId: key, Message: []byte("x"), MacAlgorithm: "HMAC_SHA_512"}
		}),
	Entry("kms:EncapsulationAlgorithm", `{"kms:EncapsulationAlgorithm":"ML_KEM"}`, "Encapsulate", encapsulates,
		func(key *string) any {
			return &awskms.EncapsulateInput{KeyId: key, EncapsulationAlgorithm: mlkemAlgorithm}
		},
		func(key *string) any { return &awskms.EncapsulateInput{KeyId: key, EncapsulationAlgorithm: "ML_KEM_2"} }),
	Entry("kms:EncapsulationAlgorithm of Decapsulate", `{"kms:EncapsulationAlgorithm":"ML_KEM"}`, "Decapsulate", encapsulates,
		func(key *string) any {
			return &awskms.DecapsulateInput{KeyId: key, EncapsulationAlgorithm: mlkemAlgorithm, SharedSecretCiphertextBlob: make([]byte, 1088)}
		},
		func(key *string) any {
			return &awskms.DecapsulateInput{KeyId: key, EncapsulationAlgorithm: "ML_KEM_2", SharedSecretCiphertextBlob: make([]byte, 1088)}
		}),
	Entry("kms:DataKeyPairSpec", `{"kms:DataKeyPairSpec":"ECC_NIST_P256"}`, "GenerateDataKeyPair", func(*awskms.CreateKeyInput) {},
		func(key *string) any {
			return &awskms.GenerateDataKeyPairInput{KeyId: key, KeyPairSpec: "ECC_NIST_P256"}
		},
		func(key *string) any { return &awskms.GenerateDataKeyPairInput{KeyId: key, KeyPairSpec: "RSA_2048"} }),
)
