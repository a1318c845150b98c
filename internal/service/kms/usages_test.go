package kms_test

import (
	"crypto/x509"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/store"
)

// keyFor makes a KMSKey of a spec and a usage.
func keyFor(spec v1alpha1.KeySpec, usage v1alpha1.KeyUsage) func(*v1alpha1.KMSKey) {
	return func(k *v1alpha1.KMSKey) { k.Spec.KeySpec, k.Spec.KeyUsage = spec, usage }
}

var (
	anRSAKey     = keyFor(v1alpha1.KeySpecRSA2048, v1alpha1.KeyUsageEncryptDecrypt)
	anHMACKey    = keyFor(v1alpha1.KeySpecHMAC256, v1alpha1.KeyUsageGenerateVerifyMac)
	anAgreeing   = keyFor(v1alpha1.KeySpecECCNISTP256, v1alpha1.KeyUsageKeyAgreement)
	aKEM         = keyFor(v1alpha1.KeySpecMLKEM768, v1alpha1.KeyUsageEncapsulateDecapsulate)
	theMessage   = []byte("attack at dawn")
	theAlgorithm = keys.OAEPSHA256
)

var _ = Describe("An RSA key that encrypts", func() {
	It("opens what its public key encrypted, as the one error what is damaged, and makes no data keys", func() {
		key := world.ReadyKey("key", anRSAKey)
		for _, algorithm := range kms.SpecOf(key).EncryptionAlgorithms() {
			blob, err := service().EncryptOAEP(ctx, key, keys.Encrypt, algorithm, secretbytes.Copy(theMessage))
			Expect(err).NotTo(HaveOccurred())
			Expect(blob).To(HaveLen(256))
			opened, err := service().DecryptOAEP(ctx, key, algorithm, blob)
			Expect(err).NotTo(HaveOccurred())
			Expect(opened.Reveal()).To(Equal(theMessage))
			blob[9] ^= 1
			_, err = service().DecryptOAEP(ctx, key, algorithm, blob)
			Expect(err).To(MatchError(keys.ErrInvalidCiphertext))
		}
		_, err := service().EncryptOAEP(ctx, key, keys.Encrypt, keys.SymmetricEncryption, secretbytes.Copy(theMessage))
		Expect(err).To(MatchError(keys.ErrAlgorithm))
		_, _, err = service().GenerateDataKey(ctx, key, nil)
		faultOf(err, v1alpha1.ReasonKeyUnusable, true)
		Expect(err).To(And(MatchError(keys.ErrKeyUsage), MatchError(ContainSubstring("name a KMSKey with keySpec SYMMETRIC_DEFAULT"))))
	})

	It("is no key for what symmetric keys do, and says which one is", func() {
		key := world.ReadyKey("key", anRSAKey)
		for name, do := range map[string]func() error{
			"Encrypt": func() error {
				_, _, err := service().Encrypt(ctx, key, keys.Encrypt, nil, secretbytes.Copy(theMessage))
				return err
			},
			"Decrypt":    func() error { _, err := service().Decrypt(ctx, key, nil, []byte("x")); return err },
			"a key pair": func() error { _, err := service().GenerateDataKeyPair(ctx, key, nil, keys.NISTP256); return err },
		} {
			err := do()
			faultOf(err, v1alpha1.ReasonKeyUnusable, true)
			Expect(err).To(And(MatchError(keys.ErrKeyUsage), MatchError(ContainSubstring("SYMMETRIC_DEFAULT"))), name)
		}
		Expect(kms.Seals(key)).To(BeFalse())
	})

	It("neither encrypts nor decrypts while it is disabled, and decrypts while it is being deleted", func() {
		key := world.ReadyKey("key", anRSAKey)
		blob, err := service().EncryptOAEP(ctx, key, keys.Encrypt, theAlgorithm, secretbytes.Copy(theMessage))
		Expect(err).NotTo(HaveOccurred())
		disabled := key.DeepCopy()
		disabled.Spec.Enabled = ptr.To(false)
		_, err = service().EncryptOAEP(ctx, disabled, keys.Encrypt, theAlgorithm, secretbytes.Copy(theMessage))
		faultOf(err, v1alpha1.ReasonKeyUnusable, false)
		_, err = service().DecryptOAEP(ctx, disabled, theAlgorithm, blob)
		faultOf(err, v1alpha1.ReasonKeyUnusable, false)
		now := metav1.NewTime(world.Clock.Now())
		key.DeletionTimestamp = &now
		_, err = service().EncryptOAEP(ctx, key, keys.Encrypt, theAlgorithm, secretbytes.Copy(theMessage))
		faultOf(err, v1alpha1.ReasonKeyUnusable, false)
		opened, err := service().DecryptOAEP(ctx, key, theAlgorithm, blob)
		Expect(err).NotTo(HaveOccurred())
		Expect(opened.Reveal()).To(Equal(theMessage))
	})
})

var _ = Describe("An HMAC key", func() {
	DescribeTable("checks the codes that it makes, and no others", func(spec v1alpha1.KeySpec, length int) {
		key := world.ReadyKey("key", keyFor(spec, v1alpha1.KeyUsageGenerateVerifyMac))
		algorithm := kms.SpecOf(key).MacAlgorithm()
		code, err := service().GenerateMac(ctx, key, algorithm, theMessage)
		Expect(err).NotTo(HaveOccurred())
		Expect(code).To(HaveLen(length))
		Expect(service().GenerateMac(ctx, key, algorithm, theMessage)).To(Equal(code), "there is one code for a message")
		Expect(service().VerifyMac(ctx, key, algorithm, theMessage, code)).To(Succeed())
		Expect(service().VerifyMac(ctx, key, algorithm, []byte("attack at noon"), code)).To(MatchError(keys.ErrInvalidMac))
		Expect(service().VerifyMac(ctx, key, algorithm, theMessage, code[:length-1])).To(MatchError(keys.ErrInvalidMac))
		Expect(service().VerifyMac(ctx, key, algorithm, theMessage, nil)).To(MatchError(keys.ErrInvalidMac))
		other := world.ReadyKey("other", keyFor(spec, v1alpha1.KeyUsageGenerateVerifyMac))
		Expect(service().VerifyMac(ctx, other, algorithm, theMessage, code)).To(MatchError(keys.ErrInvalidMac))
		_, err = service().GenerateMac(ctx, key, "HMAC_SHA_1", theMessage)
		Expect(err).To(MatchError(keys.ErrAlgorithm))
		_, err = service().GenerateMac(ctx, key, algorithm, make([]byte, keys.MaxMessage+1))
		Expect(err).To(MatchError(keys.ErrTooLarge))
	},
		Entry("of 28 bytes", v1alpha1.KeySpecHMAC224, 28), Entry("of 32 bytes", v1alpha1.KeySpecHMAC256, 32),
		Entry("of 48 bytes", v1alpha1.KeySpecHMAC384, 48), Entry("of 64 bytes", v1alpha1.KeySpecHMAC512, 64),
	)

	It("does nothing else, and a disabled one nothing at all", func() {
		key := world.ReadyKey("key", anHMACKey)
		code, err := service().GenerateMac(ctx, key, keys.HMACSHA256, theMessage)
		Expect(err).NotTo(HaveOccurred())
		_, _, err = service().Encrypt(ctx, key, keys.Encrypt, nil, secretbytes.Copy(theMessage))
		Expect(err).To(MatchError(keys.ErrKeyUsage))
		_, err = service().PublicKey(ctx, key)
		Expect(err).To(MatchError(keys.ErrKeyUsage))
		Expect(kms.Seals(key)).To(BeFalse())
		_, err = service().GenerateMac(ctx, world.ReadyKey("symmetric"), keys.HMACSHA256, theMessage)
		Expect(err).To(MatchError(keys.ErrKeyUsage))
		key.Spec.Enabled = ptr.To(false)
		_, err = service().GenerateMac(ctx, key, keys.HMACSHA256, theMessage)
		faultOf(err, v1alpha1.ReasonKeyUnusable, false)
		faultOf(service().VerifyMac(ctx, key, keys.HMACSHA256, theMessage, code), v1alpha1.ReasonKeyUnusable, false)
	})
})

var _ = Describe("A key that agrees", func() {
	It("has one secret with the owner of another key on its curve, and none with anybody else", func() {
		mine, theirs := world.ReadyKey("mine", anAgreeing), world.ReadyKey("theirs", anAgreeing)
		public := func(key *v1alpha1.KMSKey) []byte {
			p, err := service().PublicKey(ctx, key)
			Expect(err).NotTo(HaveOccurred())
			return p.DER()
		}
		one, err := service().DeriveSharedSecret(ctx, mine, public(theirs))
		Expect(err).NotTo(HaveOccurred())
		two, err := service().DeriveSharedSecret(ctx, theirs, public(mine))
		Expect(err).NotTo(HaveOccurred())
		Expect(one.Reveal()).To(HaveLen(32))
		Expect(one.Equal(two)).To(BeTrue())
		other := world.ReadyKey("other", keyFor(v1alpha1.KeySpecECCNISTP384, v1alpha1.KeyUsageKeyAgreement))
		for name, peer := range map[string][]byte{"nothing": nil, "no key": []byte("x"), "another curve": public(other)} {
			_, err := service().DeriveSharedSecret(ctx, mine, peer)
			Expect(err).To(MatchError(keys.ErrInvalidPublicKey), name)
		}
		_, err = service().DeriveSharedSecret(ctx, world.ReadyKey("signs", signs(v1alpha1.KeySpecECCNISTP256)), public(mine))
		Expect(err).To(MatchError(keys.ErrKeyUsage))
		mine.Spec.Enabled = ptr.To(false)
		_, err = service().DeriveSharedSecret(ctx, mine, public(theirs))
		faultOf(err, v1alpha1.ReasonKeyUnusable, false)
	})
})

var _ = Describe("A key of ML-KEM", func() {
	DescribeTable("has one secret with whoever encapsulates by its public half", func(spec v1alpha1.KeySpec, length int) {
		key := world.ReadyKey("key", keyFor(spec, v1alpha1.KeyUsageEncapsulateDecapsulate))
		secret, ciphertext, err := service().Encapsulate(ctx, key, keys.MLKEM)
		Expect(err).NotTo(HaveOccurred())
		Expect(ciphertext).To(HaveLen(length))
		Expect(secret.Reveal()).To(HaveLen(32))
		opened, err := service().Decapsulate(ctx, key, keys.MLKEM, ciphertext)
		Expect(err).NotTo(HaveOccurred())
		Expect(opened.Equal(secret)).To(BeTrue())
		public, err := service().PublicKey(ctx, key)
		Expect(err).NotTo(HaveOccurred())
		secret, ciphertext, err = public.Encapsulate(keys.MLKEM)
		Expect(err).NotTo(HaveOccurred())
		opened, err = service().Decapsulate(ctx, key, keys.MLKEM, ciphertext)
		Expect(err).NotTo(HaveOccurred())
		Expect(opened.Equal(secret)).To(BeTrue(), "what was encapsulated elsewhere")

		other := world.ReadyKey("other", keyFor(spec, v1alpha1.KeyUsageEncapsulateDecapsulate))
		strange, err := service().Decapsulate(ctx, other, keys.MLKEM, ciphertext)
		Expect(err).NotTo(HaveOccurred(), "implicit rejection")
		Expect(strange.Equal(secret)).To(BeFalse())
		again, err := service().Decapsulate(ctx, other, keys.MLKEM, ciphertext)
		Expect(err).NotTo(HaveOccurred())
		Expect(again.Equal(strange)).To(BeTrue(), "the same each time")
		for _, wrong := range [][]byte{nil, ciphertext[1:], append(ciphertext, 0)} {
			_, err = service().Decapsulate(ctx, key, keys.MLKEM, wrong)
			Expect(err).To(MatchError(keys.ErrInvalidCiphertext))
		}
	},
		Entry("ML_KEM_768", v1alpha1.KeySpecMLKEM768, 1088), Entry("ML_KEM_1024", v1alpha1.KeySpecMLKEM1024, 1568),
	)

	It("does nothing else, by no other algorithm, and a disabled one nothing at all", func() {
		key := world.ReadyKey("key", aKEM)
		_, ciphertext, err := service().Encapsulate(ctx, key, keys.MLKEM)
		Expect(err).NotTo(HaveOccurred())
		_, _, err = service().Encapsulate(ctx, key, "ML_KEM_768")
		Expect(err).To(MatchError(keys.ErrAlgorithm))
		_, err = service().Decapsulate(ctx, key, "ML_KEM_768", ciphertext)
		Expect(err).To(MatchError(keys.ErrAlgorithm))
		_, err = service().Sign(ctx, key, keys.ECDSASHA256, keys.Message{Bytes: theMessage})
		Expect(err).To(MatchError(keys.ErrKeyUsage))
		_, _, err = service().Encrypt(ctx, key, keys.Encrypt, nil, secretbytes.Copy(theMessage))
		Expect(err).To(MatchError(keys.ErrKeyUsage))
		_, _, err = service().Encapsulate(ctx, world.ReadyKey("agrees", anAgreeing), keys.MLKEM)
		Expect(err).To(MatchError(And(ContainSubstring("Encapsulate needs ENCAPSULATE_DECAPSULATE"), ContainSubstring("name a KMSKey with another keyUsage"))))
		Expect(kms.Seals(key)).To(BeFalse())
		Expect(kms.Rotates(key)).To(BeFalse())
		key.Spec.Enabled = ptr.To(false)
		_, _, err = service().Encapsulate(ctx, key, keys.MLKEM)
		faultOf(err, v1alpha1.ReasonKeyUnusable, false)
		_, err = service().Decapsulate(ctx, key, keys.MLKEM, ciphertext)
		faultOf(err, v1alpha1.ReasonKeyUnusable, false)
	})
})

var _ = Describe("A data key pair", func() {
	DescribeTable("has a private half that the key opens, and that fits the public one", func(spec keys.Spec) {
		key := world.ReadyKey("key")
		pair, err := service().GenerateDataKeyPair(ctx, key, keys.Context{"app": "shop"}, spec)
		Expect(err).NotTo(HaveOccurred())
		Expect(pair.Material).To(Equal(material(key, 1)))
		opened, err := service().Decrypt(ctx, key, keys.Context{"app": "shop"}, pair.Encrypted)
		Expect(err).NotTo(HaveOccurred())
		Expect(opened.Equal(pair.PrivateKey)).To(BeTrue())
		if spec != keys.SECGP256K1 && spec.EncapsulationAlgorithms() == nil { // which x509 does not know; the gateway's tests have others read it
			_, err = x509.ParsePKCS8PrivateKey(opened.Reveal())
			Expect(err).NotTo(HaveOccurred())
		}
		private, err := keys.ParsePrivateKey(spec, opened)
		Expect(err).NotTo(HaveOccurred())
		Expect(private.Public().DER()).To(Equal(pair.PublicKey))
		_, err = service().Decrypt(ctx, key, nil, pair.Encrypted)
		Expect(err).To(MatchError(keys.ErrInvalidCiphertext), "the context is the ciphertext's")
	},
		Entry("RSA_2048", keys.RSA2048), Entry("RSA_4096, the longest", keys.RSA4096),
		Entry("ECC_NIST_P256", keys.NISTP256), Entry("ECC_NIST_P521", keys.NISTP521),
		Entry("ECC_SECG_P256K1", keys.SECGP256K1), Entry("ECC_NIST_EDWARDS25519", keys.EDWARDS25519),
		Entry("ML_KEM_768", keys.MLKEM768), Entry("ML_KEM_1024", keys.MLKEM1024),
	)

	It("is made of no spec that is none of a pair, and by no key that may not encrypt", func() {
		key := world.ReadyKey("key")
		for _, spec := range []keys.Spec{keys.SymmetricDefault, keys.HMAC256, "SM2", "ML_KEM_512", ""} {
			_, err := service().GenerateDataKeyPair(ctx, key, nil, spec)
			Expect(err).To(MatchError(keys.ErrAlgorithm), string(spec))
		}
		key.Spec.Enabled = ptr.To(false)
		_, err := service().GenerateDataKeyPair(ctx, key, nil, keys.NISTP256)
		faultOf(err, v1alpha1.ReasonKeyUnusable, false)
	})
})

// Somebody deleted a key and applied one of the same name and another usage: were its material taken, one key would work in two ways.
var _ = DescribeTable("Material of another usage than the key's is refused, and not taken for damaged",
	func(made, claimed func(*v1alpha1.KMSKey)) {
		key := world.ReadyKey("key", made)
		other := key.DeepCopy()
		claimed(other)
		err := service().VerifyMaterial(ctx, other, material(other, 1))
		faultOf(err, v1alpha1.ReasonKeyUnusable, true)
		Expect(err).NotTo(MatchError(store.ErrTampered))
		Expect(err).To(MatchError(And(ContainSubstring(string(other.Spec.KeyUsage)), ContainSubstring("give the new key another name"))))
		Expect(service().VerifyMaterial(ctx, key, material(key, 1))).To(Succeed(), "the cache does not mix them up")
		Expect(service().VerifyMaterial(ctx, other, material(other, 1))).NotTo(Succeed())
	},
	Entry("an RSA key that signed encrypts", signs(v1alpha1.KeySpecRSA2048), anRSAKey),
	Entry("an RSA key that encrypted signs", anRSAKey, signs(v1alpha1.KeySpecRSA2048)),
	Entry("a key on a curve that signed agrees", signs(v1alpha1.KeySpecECCNISTP256), anAgreeing),
	Entry("a key on a curve that agreed signs", anAgreeing, signs(v1alpha1.KeySpecECCNISTP256)),
	Entry("a symmetric key makes codes", keyFor("", ""), anHMACKey),
	Entry("an HMAC key encrypts", anHMACKey, keyFor(v1alpha1.KeySpecSymmetricDefault, v1alpha1.KeyUsageEncryptDecrypt)),
	Entry("a key that agreed encapsulates", anAgreeing, aKEM),
	Entry("a key of ML-KEM of another strength", aKEM, keyFor(v1alpha1.KeySpecMLKEM1024, v1alpha1.KeyUsageEncapsulateDecapsulate)),
	Entry("an HMAC key of another length", anHMACKey, keyFor(v1alpha1.KeySpecHMAC512, v1alpha1.KeyUsageGenerateVerifyMac)),
)
