package kms_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// signs makes a KMSKey of a spec that signs.
func signs(spec v1alpha1.KeySpec) func(*v1alpha1.KMSKey) {
	return func(k *v1alpha1.KMSKey) { k.Spec.KeySpec, k.Spec.KeyUsage = spec, v1alpha1.KeyUsageSignVerify }
}

var message = keys.Message{Bytes: []byte("attack at dawn")}

var _ = Describe("An asymmetric key", func() {
	for _, spec := range []v1alpha1.KeySpec{
		v1alpha1.KeySpecRSA2048, v1alpha1.KeySpecRSA3072, v1alpha1.KeySpecECCNISTP256, v1alpha1.KeySpecECCNISTP384, v1alpha1.KeySpecECCNISTP521,
	} {
		It(fmt.Sprintf("of %s signs by each of its algorithms what it verifies, and nothing else is valid", spec), func() {
			key := world.ReadyKey("key", signs(spec))
			for _, algorithm := range kms.SpecOf(key).SigningAlgorithms() {
				signature, err := service().Sign(ctx, key, algorithm, message)
				Expect(err).NotTo(HaveOccurred())
				Expect(service().Verify(ctx, key, algorithm, message, signature)).To(Succeed())
				digest, err := message.Digest(algorithm)
				Expect(err).NotTo(HaveOccurred())
				Expect(service().Verify(ctx, key, algorithm, keys.Message{Bytes: digest, Type: keys.Digested}, signature)).To(Succeed())
				signature[len(signature)-1] ^= 1
				Expect(service().Verify(ctx, key, algorithm, message, signature)).To(MatchError(keys.ErrInvalidSignature))
			}
		})
	}

	for spec, takes := range map[v1alpha1.KeySpec]map[keys.SigningAlgorithm]keys.MessageType{
		v1alpha1.KeySpecECCSECGP256K1:       {keys.ECDSASHA256: keys.Digested},
		v1alpha1.KeySpecECCNISTEdwards25519: {keys.ED25519SHA512: keys.Raw, keys.ED25519PHSHA512: keys.Digested},
		v1alpha1.KeySpecMLDSA44:             {keys.MLDSASHAKE256: keys.ExternalMu},
		v1alpha1.KeySpecMLDSA87:             {keys.MLDSASHAKE256: keys.ExternalMu},
	} {
		It(fmt.Sprintf("of %s signs what its algorithms take, and refuses other types of messages", spec), func() {
			key := world.ReadyKey("key", signs(spec))
			for algorithm, as := range takes {
				m := keys.Message{Bytes: make([]byte, 64), Type: as}
				if algorithm == keys.ECDSASHA256 {
					m.Bytes = m.Bytes[:32]
				}
				signature, err := service().Sign(ctx, key, algorithm, m)
				Expect(err).NotTo(HaveOccurred())
				Expect(service().Verify(ctx, key, algorithm, m, signature)).To(Succeed())
				signature[len(signature)-1] ^= 1
				Expect(service().Verify(ctx, key, algorithm, m, signature)).To(MatchError(keys.ErrInvalidSignature))
				m.Type = "OTHER"
				_, err = service().Sign(ctx, key, algorithm, m)
				Expect(err).To(MatchError(keys.ErrMessageType))
				Expect(service().Verify(ctx, key, algorithm, m, signature)).To(MatchError(keys.ErrMessageType))
			}
		})
	}

	It("keeps its private key as PKCS#8 in an Envelope, under the domain key", func() {
		key := world.ReadyKey("key", signs(v1alpha1.KeySpecRSA2048))
		e := stored()[0]
		ring, err := world.Services.Keyring.Get()
		Expect(err).NotTo(HaveOccurred())
		opened, err := ring.UnwrapToken(header(key.Status.KeyID, e.Spec.Version), store.Binding(&e), e.Spec.Ciphertext)
		Expect(err).NotTo(HaveOccurred())
		private, err := x509.ParsePKCS8PrivateKey(opened.Reveal())
		Expect(err).NotTo(HaveOccurred())
		public, err := service().PublicKey(ctx, key)
		Expect(err).NotTo(HaveOccurred())
		Expect(private.(*rsa.PrivateKey).PublicKey.Equal(public.Key())).To(BeTrue())
	})

	It("is opened and parsed once for as long as the cache holds it, and anew afterwards", func() {
		key := world.ReadyKey("key", signs(v1alpha1.KeySpecRSA2048))
		s := service(func(s *kms.Service) { s.Materials = keyring.NewMaterialCache(0, time.Hour, nil) })
		first, err := s.PublicKey(ctx, key)
		Expect(err).NotTo(HaveOccurred())
		Expect(s.PublicKey(ctx, key)).To(BeIdenticalTo(first))
		Expect(s.Materials.Len()).To(Equal(1))
		s.Materials.Clear()
		again, err := s.PublicKey(ctx, key)
		Expect(err).NotTo(HaveOccurred())
		Expect(again).NotTo(BeIdenticalTo(first))
		Expect(again.DER()).To(Equal(first.DER()))
		Expect(first.Verify(keys.PKCS1SHA256, message, []byte("x"))).To(MatchError(keys.ErrInvalidSignature), "the public half stays")
	})

	It("signs from the cache while the root of trust is sealed, and not after", func() {
		key := world.ReadyKey("key", signs(v1alpha1.KeySpecECCNISTP256))
		s := service(func(s *kms.Service) { s.Materials = keyring.NewMaterialCache(0, time.Hour, nil) })
		_, err := s.Sign(ctx, key, keys.ECDSASHA256, message)
		Expect(err).NotTo(HaveOccurred())
		world.Seal(nil)
		_, err = s.Sign(ctx, key, keys.ECDSASHA256, message)
		Expect(err).NotTo(HaveOccurred(), "a minute's grace, as the cache gives")
		s.Materials.Clear()
		_, err = s.Sign(ctx, key, keys.ECDSASHA256, message)
		Expect(err).To(MatchError(keyring.ErrSealed))
	})

	It("refuses algorithms of other specs, wrong digests and messages that are too long", func() {
		key := world.ReadyKey("key", signs(v1alpha1.KeySpecECCNISTP256))
		for _, tt := range []struct {
			algorithm keys.SigningAlgorithm
			message   keys.Message
			err       error
		}{
			{keys.PSSSHA256, message, keys.ErrAlgorithm},
			{keys.ECDSASHA384, message, keys.ErrAlgorithm},
			{keys.ECDSASHA256, keys.Message{Bytes: make([]byte, 31), Type: keys.Digested}, keys.ErrDigestLength},
			{keys.ECDSASHA256, keys.Message{Bytes: make([]byte, keys.MaxMessage+1)}, keys.ErrTooLarge},
		} {
			_, err := service().Sign(ctx, key, tt.algorithm, tt.message)
			Expect(err).To(MatchError(tt.err))
			Expect(service().Verify(ctx, key, tt.algorithm, tt.message, []byte("x"))).To(MatchError(tt.err))
		}
	})

	It("does not encrypt, and says that another key is needed", func() {
		key := world.ReadyKey("key", signs(v1alpha1.KeySpecECCNISTP256))
		_, _, err := service().Encrypt(ctx, key, keys.Encrypt, nil, secretbytes.Copy([]byte("x")))
		faultOf(err, v1alpha1.ReasonKeyUnusable, true)
		Expect(err).To(MatchError(keys.ErrKeyUsage))
		_, _, err = service().GenerateDataKey(ctx, key, nil)
		Expect(err).To(MatchError(And(ContainSubstring(world.Namespace+"/key"), ContainSubstring("SIGN_VERIFY"), ContainSubstring("name a KMSKey with another keyUsage"))))
		_, err = service().Decrypt(ctx, key, nil, []byte("x"))
		Expect(err).To(MatchError(keys.ErrKeyUsage))
	})

	It("is what only one that is enabled signs with", func() {
		key := world.ReadyKey("key", signs(v1alpha1.KeySpecECCNISTP256))
		signature, err := service().Sign(ctx, key, keys.ECDSASHA256, message)
		Expect(err).NotTo(HaveOccurred())
		signer, err := service().Signer(ctx, key)
		Expect(err).NotTo(HaveOccurred())
		key.Spec.Enabled = ptr.To(false)
		_, err = service().Sign(ctx, key, keys.ECDSASHA256, message)
		faultOf(err, v1alpha1.ReasonKeyUnusable, false)
		faultOf(service().Verify(ctx, key, keys.ECDSASHA256, message, signature), v1alpha1.ReasonKeyUnusable, false)
		_, err = service().PublicKey(ctx, key)
		faultOf(err, v1alpha1.ReasonKeyUnusable, false)
		_, err = service().Signer(ctx, key)
		faultOf(err, v1alpha1.ReasonKeyUnusable, false)
		_, err = signer.Sign(rand.Reader, make([]byte, 32), crypto.SHA256)
		faultOf(err, v1alpha1.ReasonKeyUnusable, false)
	})

	It("that is being deleted verifies, and signs nothing new", func() {
		key := world.ReadyKey("key", signs(v1alpha1.KeySpecECCNISTP256))
		signature, err := service().Sign(ctx, key, keys.ECDSASHA256, message)
		Expect(err).NotTo(HaveOccurred())
		now := metav1.NewTime(world.Clock.Now())
		key.DeletionTimestamp = &now
		_, err = service().Sign(ctx, key, keys.ECDSASHA256, message)
		faultOf(err, v1alpha1.ReasonKeyUnusable, false)
		Expect(service().Verify(ctx, key, keys.ECDSASHA256, message, signature)).To(Succeed())
	})

	It("has no material before it is made", func() {
		key := world.ReadyKey("key", signs(v1alpha1.KeySpecECCNISTP256))
		key.Status.KeyMaterials = nil
		_, err := service().Sign(ctx, key, keys.ECDSASHA256, message)
		faultOf(err, v1alpha1.ReasonKeyUnusable, false)
		_, err = service().PublicKey(ctx, key)
		Expect(err).To(MatchError(ContainSubstring("no key material yet")))
	})

	It("whose Envelope was exchanged does not sign", func() {
		key := world.ReadyKey("key", signs(v1alpha1.KeySpecECCNISTP256))
		e := stored()[0]
		world.Exchange(&e, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[len(e.Spec.Ciphertext)-1] ^= 1 })
		_, err := service().Sign(ctx, key, keys.ECDSASHA256, message)
		Expect(err).To(MatchError(store.ErrTampered))
	})
})

var _ = Describe("A symmetric key", func() {
	It("neither signs nor verifies, and has no public key", func() {
		key := world.ReadyKey("key")
		_, err := service().Sign(ctx, key, keys.ECDSASHA256, message)
		faultOf(err, v1alpha1.ReasonKeyUnusable, true)
		Expect(err).To(MatchError(keys.ErrKeyUsage))
		Expect(service().Verify(ctx, key, keys.ECDSASHA256, message, []byte("x"))).To(MatchError(keys.ErrKeyUsage))
		_, err = service().PublicKey(ctx, key)
		faultOf(err, v1alpha1.ReasonKeyUnusable, true)
		Expect(err).To(MatchError(keys.ErrKeyUsage))
		_, err = service().Signer(ctx, key)
		Expect(err).To(MatchError(keys.ErrKeyUsage))
	})
})

// Somebody deleted a key and applied one of the same name and another keySpec: its material is whole, and of the wrong type.
var _ = DescribeTable("Material of another keySpec than the key's is refused, and not taken for damaged",
	func(made, claimed v1alpha1.KeySpec) {
		key := world.ReadyKey("key", func(k *v1alpha1.KMSKey) {
			if made != v1alpha1.KeySpecSymmetricDefault {
				signs(made)(k)
			}
		})
		other := key.DeepCopy()
		other.Spec.KeySpec = claimed
		err := service().VerifyMaterial(ctx, other, material(other, 1))
		faultOf(err, v1alpha1.ReasonKeyUnusable, true)
		Expect(err).NotTo(MatchError(store.ErrTampered))
		Expect(err).To(MatchError(And(ContainSubstring(string(claimed)), ContainSubstring("give the new key another name"))))
		Expect(service().VerifyMaterial(ctx, key, material(key, 1))).To(Succeed(), "the cache does not mix them up")
	},
	Entry("RSA for symmetric", v1alpha1.KeySpecSymmetricDefault, v1alpha1.KeySpecRSA2048),
	Entry("symmetric for RSA", v1alpha1.KeySpecRSA2048, v1alpha1.KeySpecSymmetricDefault),
	Entry("a longer RSA key", v1alpha1.KeySpecRSA2048, v1alpha1.KeySpecRSA3072),
	Entry("another curve", v1alpha1.KeySpecECCNISTP256, v1alpha1.KeySpecECCNISTP384),
)

var _ = Describe("A Signer", func() {
	for _, spec := range []v1alpha1.KeySpec{v1alpha1.KeySpecRSA2048, v1alpha1.KeySpecECCNISTP256, v1alpha1.KeySpecECCNISTP384, v1alpha1.KeySpecECCNISTP521} {
		It(fmt.Sprintf("of %s makes a certificate that its own public key checks", spec), func() {
			signer, err := service().Signer(ctx, world.ReadyKey("key", signs(spec)))
			Expect(err).NotTo(HaveOccurred())
			template := &x509.Certificate{
				SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotBefore: world.Clock.Now(), NotAfter: world.Clock.Now().Add(time.Hour),
				IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
			}
			der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
			Expect(err).NotTo(HaveOccurred())
			certificate, err := x509.ParseCertificate(der)
			Expect(err).NotTo(HaveOccurred())
			Expect(certificate.CheckSignatureFrom(certificate)).To(Succeed())
		})
	}

	It("refuses hashes and salts that its key does not sign by", func() {
		signer, err := service().Signer(ctx, world.ReadyKey("key", signs(v1alpha1.KeySpecRSA2048)))
		Expect(err).NotTo(HaveOccurred())
		digest := sha256.Sum256([]byte("x"))
		signature, err := signer.Sign(rand.Reader, digest[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256})
		Expect(err).NotTo(HaveOccurred())
		Expect(rsa.VerifyPSS(signer.Public().(*rsa.PublicKey), crypto.SHA256, digest[:], signature, nil)).To(Succeed())
		for _, options := range []crypto.SignerOpts{crypto.SHA1, crypto.MD5, &rsa.PSSOptions{SaltLength: 8, Hash: crypto.SHA256}} {
			_, err := signer.Sign(rand.Reader, digest[:], options)
			Expect(err).To(MatchError(keys.ErrAlgorithm))
		}
		_, err = signer.Sign(rand.Reader, digest[:20], crypto.SHA256)
		Expect(err).To(MatchError(keys.ErrDigestLength))
	})
})

var _ = Describe("An asymmetric key that Create makes", func() {
	It("signs at once", func() {
		key := kms.New(world.Namespace, environment.KMSKey(world.Namespace, "x", signs(v1alpha1.KeySpecECCNISTP256)).Spec)
		made, err := world.Services.KMS.Create(ctx, key)
		Expect(err).NotTo(HaveOccurred())
		signature, err := world.Services.KMS.Sign(ctx, made, keys.ECDSASHA256, message)
		Expect(err).NotTo(HaveOccurred())
		Expect(world.Services.KMS.Verify(ctx, made, keys.ECDSASHA256, message, signature)).To(Succeed())
	})
})
