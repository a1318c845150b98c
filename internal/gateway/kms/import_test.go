package kms_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"

	"strongroom.dev/strongroom/internal/gateway/kms"
	"strongroom.dev/strongroom/test/environment"
)

const day = 24 * time.Hour

// read is what openssl left in a file.
func (j judge) read(name string) []byte {
	GinkgoHelper()
	b, err := os.ReadFile(filepath.Join(j.dir, name))
	Expect(err).NotTo(HaveOccurred())
	return b
}

// must runs openssl, which is to succeed.
func (j judge) must(args ...string) string {
	GinkgoHelper()
	out, err := j.run(args...)
	Expect(err).NotTo(HaveOccurred(), out)
	return out
}

func (j judge) path(name string) string { return filepath.Join(j.dir, name) }

// wrap wraps material as AWS's page on it does with openssl.
// https://docs.aws.amazon.com/kms/latest/developerguide/importing-keys-encrypt-key-material.html
func (j judge) wrap(algorithm types.AlgorithmSpec, public, material []byte) []byte {
	GinkgoHelper()
	digest := "sha256"
	if strings.HasSuffix(string(algorithm), "SHA_1") {
		digest = "sha1"
	}
	oaep := func(plaintext []byte) []byte {
		j.must("pkeyutl", "-encrypt", "-in", j.write("plaintext", plaintext), "-out", j.path("encrypted"), "-inkey", j.write("wrapping.der", public), "-keyform", "DER", "-pubin",
			"-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:"+digest, "-pkeyopt", "rsa_mgf1_md:"+digest)
		return j.read("encrypted")
	}
	if strings.HasPrefix(string(algorithm), "RSAES_OAEP") {
		return oaep(material)
	}
	kek := make([]byte, 32)
	_, _ = rand.Read(kek)
	j.must("enc", "-id-aes256-wrap-pad", "-iv", "A65959A6", "-K", fmt.Sprintf("%x", kek), "-in", j.write("material", material), "-out", j.path("wrapped"))
	return append(oaep(kek), j.read("wrapped")...)
}

// external makes a key without material.
func external(changes ...func(*awskms.CreateKeyInput)) string {
	GinkgoHelper()
	return *createKey(admin(), append(changes, func(in *awskms.CreateKeyInput) { in.Origin = types.OriginTypeExternal })...).KeyId
}

func parameters(id string, algorithm types.AlgorithmSpec, spec types.WrappingKeySpec) *awskms.GetParametersForImportOutput {
	GinkgoHelper()
	return must[awskms.GetParametersForImportOutput](admin(), "GetParametersForImport", &awskms.GetParametersForImportInput{
		KeyId: &id, WrappingAlgorithm: algorithm, WrappingKeySpec: spec,
	})
}

// importing is the request that imports material into a key, without an end.
func importing(id string, material []byte, changes ...func(*awskms.ImportKeyMaterialInput)) *awskms.ImportKeyMaterialInput {
	GinkgoHelper()
	const algorithm = types.AlgorithmSpecRsaesOaepSha256
	p := parameters(id, algorithm, types.WrappingKeySpecRsa2048)
	in := &awskms.ImportKeyMaterialInput{
		KeyId: &id, ImportToken: p.ImportToken, EncryptedKeyMaterial: judge{GinkgoT().TempDir()}.wrap(algorithm, p.PublicKey, material),
		ExpirationModel: types.ExpirationModelTypeKeyMaterialDoesNotExpire,
	}
	for _, change := range changes {
		change(in)
	}
	return in
}

func until(t time.Time) func(*awskms.ImportKeyMaterialInput) {
	return func(in *awskms.ImportKeyMaterialInput) {
		in.ExpirationModel, in.ValidTo = types.ExpirationModelTypeKeyMaterialExpires, &t
	}
}

func as(t types.ImportType) func(*awskms.ImportKeyMaterialInput) {
	return func(in *awskms.ImportKeyMaterialInput) { in.ImportType = t }
}

func imported(id string, material []byte, changes ...func(*awskms.ImportKeyMaterialInput)) *string {
	GinkgoHelper()
	return must[awskms.ImportKeyMaterialOutput](admin(), "ImportKeyMaterial", importing(id, material, changes...)).KeyMaterialId
}

func secret32() []byte {
	b := make([]byte, 32)
	_, _ = rand.Read(b)
	return b
}

func unimport(id string, material *string) *awskms.DeleteImportedKeyMaterialOutput {
	GinkgoHelper()
	return must[awskms.DeleteImportedKeyMaterialOutput](admin(), "DeleteImportedKeyMaterial", &awskms.DeleteImportedKeyMaterialInput{KeyId: &id, KeyMaterialId: material})
}

// materialsOf is the whole of what ListKeyRotations tells of a key's materials.
func materialsOf(id string) []types.RotationsListEntry {
	GinkgoHelper()
	return rotationsOf(id, func(in *awskms.ListKeyRotationsInput) { in.IncludeKeyMaterial = types.IncludeKeyMaterialAllKeyMaterial }).Rotations
}

func spec(keySpec types.KeySpec, usage types.KeyUsageType) func(*awskms.CreateKeyInput) {
	return func(in *awskms.CreateKeyInput) { in.KeySpec, in.KeyUsage = keySpec, usage }
}

var _ = Describe("Imported key material, by way of AWS's SDK and of openssl,", func() {
	var remote *awskms.Client
	var door *environment.Door
	var j judge
	BeforeEach(func() {
		door = world.Open(kms.New(kms.Dependencies{KMS: world.Services.KMS, KeyStores: world.Services.CloudHSM, Authorities: world.Services.Authorities}))
		remote = awskms.NewFromConfig(door.Config(environment.Region, allKMS))
		j = judge{GinkgoT().TempDir()}
	})

	// bring makes a key and imports material by an algorithm.
	bring := func(in *awskms.CreateKeyInput, algorithm types.AlgorithmSpec, wrapping types.WrappingKeySpec, material []byte) *string {
		GinkgoHelper()
		in.Origin = types.OriginTypeExternal
		made, err := remote.CreateKey(ctx, in)
		Expect(err).NotTo(HaveOccurred())
		Expect(made.KeyMetadata.KeyState).To(Equal(types.KeyStatePendingImport))
		Expect(made.KeyMetadata.Origin).To(Equal(types.OriginTypeExternal))
		Expect(made.KeyMetadata.Enabled).To(BeFalse())
		id := made.KeyMetadata.KeyId
		p, err := remote.GetParametersForImport(ctx, &awskms.GetParametersForImportInput{KeyId: id, WrappingAlgorithm: algorithm, WrappingKeySpec: wrapping})
		Expect(err).NotTo(HaveOccurred())
		Expect(*p.KeyId).To(Equal(*made.KeyMetadata.Arn))
		Expect(p.ParametersValidTo.Sub(world.Clock.Now())).To(BeNumerically("~", day, time.Minute))
		Expect(j.must("pkey", "-pubin", "-inform", "DER", "-in", j.write("public", p.PublicKey), "-noout", "-text")).To(ContainSubstring("(" + string(wrapping)[4:] + " bit)"))
		_, err = remote.ImportKeyMaterial(ctx, &awskms.ImportKeyMaterialInput{
			KeyId: id, ImportToken: p.ImportToken, EncryptedKeyMaterial: j.wrap(algorithm, p.PublicKey, material),
			ExpirationModel: types.ExpirationModelTypeKeyMaterialDoesNotExpire,
		})
		Expect(err).NotTo(HaveOccurred())
		after, err := remote.DescribeKey(ctx, &awskms.DescribeKeyInput{KeyId: id})
		Expect(err).NotTo(HaveOccurred())
		Expect(after.KeyMetadata.KeyState).To(Equal(types.KeyStateEnabled))
		Expect(after.KeyMetadata.ExpirationModel).To(Equal(types.ExpirationModelTypeKeyMaterialDoesNotExpire))
		return id
	}

	for _, algorithm := range []types.AlgorithmSpec{types.AlgorithmSpecRsaesOaepSha1, types.AlgorithmSpecRsaesOaepSha256} {
		It("makes the codes that its owner makes with the raw key, wrapped by "+string(algorithm), func() {
			key := secret32()
			id := bring(&awskms.CreateKeyInput{KeySpec: types.KeySpecHmac256, KeyUsage: types.KeyUsageTypeGenerateVerifyMac}, algorithm, types.WrappingKeySpecRsa3072, key)
			message := []byte("attack at dawn")
			out, err := remote.GenerateMac(ctx, &awskms.GenerateMacInput{KeyId: id, Message: message, MacAlgorithm: types.MacAlgorithmSpecHmacSha256})
			Expect(err).NotTo(HaveOccurred())
			mac := hmac.New(sha256.New, key)
			mac.Write(message)
			Expect(out.Mac).To(Equal(mac.Sum(nil)))
			said := j.must("dgst", "-sha256", "-mac", "HMAC", "-macopt", fmt.Sprintf("hexkey:%x", key), j.write("message", message))
			Expect(said).To(ContainSubstring(fmt.Sprintf("%x", out.Mac)))
		})
	}

	It("encrypts and decrypts, and nothing of it is in the records", func() {
		key := secret32()
		id := bring(&awskms.CreateKeyInput{}, types.AlgorithmSpecRsaesOaepSha256, types.WrappingKeySpecRsa4096, key)
		sealed, err := remote.Encrypt(ctx, &awskms.EncryptInput{KeyId: id, Plaintext: []byte("x")})
		Expect(err).NotTo(HaveOccurred())
		opened, err := remote.Decrypt(ctx, &awskms.DecryptInput{CiphertextBlob: sealed.CiphertextBlob})
		Expect(err).NotTo(HaveOccurred())
		Expect(string(opened.Plaintext)).To(Equal("x"))
		Eventually(door.Text).Should(ContainSubstring(`"eventName":"ImportKeyMaterial"`))
		Expect(door.Text()).NotTo(ContainSubstring(string(key)))
		Expect(door.Text()).To(ContainSubstring(`"importToken":"HIDDEN_DUE_TO_SECURITY_REASONS"`))
		Expect(door.Text()).To(ContainSubstring(`"encryptedKeyMaterial":"HIDDEN_DUE_TO_SECURITY_REASONS"`))
	})

	for _, algorithm := range []types.AlgorithmSpec{types.AlgorithmSpecRsaAesKeyWrapSha1, types.AlgorithmSpecRsaAesKeyWrapSha256} {
		It("signs what the public key that its owner always had verifies, wrapped by "+string(algorithm), func() {
			for _, of := range []struct {
				spec      types.KeySpec
				algorithm types.SigningAlgorithmSpec
				make      []string
			}{
				{types.KeySpecRsa2048, types.SigningAlgorithmSpecRsassaPssSha256, []string{"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"}},
				{types.KeySpecEccNistP256, types.SigningAlgorithmSpecEcdsaSha256, []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}},
				{types.KeySpecEccNistP521, types.SigningAlgorithmSpecEcdsaSha512, []string{"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"}},
			} {
				By(string(of.spec))
				j.must(append(append([]string{"genpkey"}, of.make...), "-outform", "DER", "-out", j.path("private.der"))...)
				j.must("pkcs8", "-topk8", "-nocrypt", "-inform", "DER", "-in", j.path("private.der"), "-outform", "DER", "-out", j.path("private.p8"))
				j.must("pkey", "-inform", "DER", "-in", j.path("private.p8"), "-pubout", "-out", j.path("own.pem"))
				id := bring(&awskms.CreateKeyInput{KeySpec: of.spec, KeyUsage: types.KeyUsageTypeSignVerify}, algorithm, types.WrappingKeySpecRsa2048, j.read("private.p8"))
				out, err := remote.Sign(ctx, &awskms.SignInput{KeyId: id, Message: []byte("attack at dawn"), SigningAlgorithm: of.algorithm})
				Expect(err).NotTo(HaveOccurred())
				Expect(j.verifies(j.path("own.pem"), of.algorithm, []byte("attack at dawn"), out.Signature)).To(BeTrue())
				Expect(j.verifies(j.path("own.pem"), of.algorithm, []byte("attack at dusk"), out.Signature)).To(BeFalse(), "the judge can say no")
			}
		})
	}

	It("is refused in the SDK's own types of error", func() {
		made, err := remote.CreateKey(ctx, &awskms.CreateKeyInput{Origin: types.OriginTypeExternal})
		Expect(err).NotTo(HaveOccurred())
		id := made.KeyMetadata.KeyId
		in := importing(*id, secret32())
		in.ImportToken = []byte("x")
		_, err = remote.ImportKeyMaterial(ctx, in)
		var invalid *types.InvalidImportTokenException
		Expect(errors.As(err, &invalid)).To(BeTrue(), "%v", err)

		in = importing(*id, secret32())
		world.Clock.Advance(day)
		_, err = remote.ImportKeyMaterial(ctx, in)
		var expired *types.ExpiredImportTokenException
		Expect(errors.As(err, &expired)).To(BeTrue(), "%v", err)

		_, err = remote.ImportKeyMaterial(ctx, importing(*id, secret32()[:31]))
		var incorrect *types.IncorrectKeyMaterialException
		Expect(errors.As(err, &incorrect)).To(BeTrue(), "%v", err)

		in = importing(*id, secret32())
		in.EncryptedKeyMaterial[0] ^= 1
		_, err = remote.ImportKeyMaterial(ctx, in)
		var garbled *types.InvalidCiphertextException
		Expect(errors.As(err, &garbled)).To(BeTrue(), "%v", err)

		_, err = remote.Encrypt(ctx, &awskms.EncryptInput{KeyId: id, Plaintext: []byte("x")})
		var state *types.KMSInvalidStateException
		Expect(errors.As(err, &state)).To(BeTrue(), "%v", err)
		Expect(state.ErrorMessage()).To(Equal(*made.KeyMetadata.Arn + " is pending import."))

		_, err = remote.GetParametersForImport(ctx, &awskms.GetParametersForImportInput{KeyId: id, WrappingAlgorithm: types.AlgorithmSpecRsaesPkcs1V15, WrappingKeySpec: types.WrappingKeySpecRsa2048})
		var unsupported *types.UnsupportedOperationException
		Expect(errors.As(err, &unsupported)).To(BeTrue(), "%v", err)
	})
})
