package kms_test

import (
	"crypto/rand"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
)

// judge is a folder in which openssl, which shares no code with this program, says what is what.
type judge struct{ dir string }

func (j judge) write(name string, content []byte) string {
	GinkgoHelper()
	path := filepath.Join(j.dir, name)
	Expect(os.WriteFile(path, content, 0o600)).To(Succeed())
	return path
}

func (j judge) run(args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "openssl", args...).CombinedOutput()
	return string(out), err
}

// verifies has openssl verify a signature of a message by AWS's algorithm.
func (j judge) verifies(public string, algorithm types.SigningAlgorithmSpec, message, signature []byte) bool {
	GinkgoHelper()
	name := string(algorithm)
	args := []string{"dgst", "-sha" + name[len(name)-3:]}
	if strings.HasPrefix(name, "RSASSA_PSS") { // a salt as long as the digest, and MGF1 with the same hash
		args = append(args, "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:digest")
	}
	args = append(args, "-verify", public, "-signature", j.write("signature", signature), j.write("message", message))
	out, err := j.run(args...)
	Expect(strings.Contains(out, "Verified OK")).To(Equal(err == nil), out)
	return err == nil
}

// algorithmsOf are the algorithms of each key spec, in AWS's order.
var algorithmsOf = map[types.KeySpec][]types.SigningAlgorithmSpec{
	types.KeySpecRsa2048: {
		types.SigningAlgorithmSpecRsassaPkcs1V15Sha256, types.SigningAlgorithmSpecRsassaPkcs1V15Sha384, types.SigningAlgorithmSpecRsassaPkcs1V15Sha512,
		types.SigningAlgorithmSpecRsassaPssSha256, types.SigningAlgorithmSpecRsassaPssSha384, types.SigningAlgorithmSpecRsassaPssSha512,
	},
	types.KeySpecEccNistP256:   {types.SigningAlgorithmSpecEcdsaSha256},
	types.KeySpecEccNistP384:   {types.SigningAlgorithmSpecEcdsaSha384},
	types.KeySpecEccNistP521:   {types.SigningAlgorithmSpecEcdsaSha512},
	types.KeySpecEccSecgP256k1: {types.SigningAlgorithmSpecEcdsaSha256},
}

var digestLengths = map[string]int{"256": 32, "384": 48, "512": 64}

func publicKey(id *string) []byte {
	GinkgoHelper()
	return must[awskms.GetPublicKeyOutput](admin(), "GetPublicKey", &awskms.GetPublicKeyInput{KeyId: id}).PublicKey
}

func verify(key *string, algorithm types.SigningAlgorithmSpec, as types.MessageType, message, signature []byte) error {
	GinkgoHelper()
	return invoke(admin(), "Verify", &awskms.VerifyInput{KeyId: key, Message: message, MessageType: as, SigningAlgorithm: algorithm, Signature: signature})
}

var _ = Describe("By openssl's word", func() {
	for spec, algorithms := range algorithmsOf {
		It(fmt.Sprintf("the public key of a %s key is a SubjectPublicKeyInfo in DER, of that type and size", spec), func() {
			j := judge{GinkgoT().TempDir()}
			key := createKey(admin(), signing(spec))
			der := publicKey(key.KeyId)
			text, err := j.run("pkey", "-pubin", "-inform", "DER", "-in", j.write("key", der), "-noout", "-text")
			Expect(err).NotTo(HaveOccurred(), text)
			switch spec {
			case types.KeySpecRsa2048:
				Expect(text).To(And(ContainSubstring("(2048 bit)"), ContainSubstring("Exponent: 65537")))
			case types.KeySpecEccSecgP256k1:
				Expect(text).To(ContainSubstring("ASN1 OID: secp256k1"))
			default:
				Expect(text).To(ContainSubstring("NIST CURVE: P-" + string(spec)[len(spec)-3:]))
			}
			again, err := exec.CommandContext(ctx, "openssl", "pkey", "-pubin", "-inform", "DER", "-in", j.write("key", der), "-pubout", "-outform", "DER").Output()
			Expect(err).NotTo(HaveOccurred())
			Expect(again).To(Equal(der), "openssl writes the same bytes")
			Expect(publicKey(key.KeyId)).To(Equal(der), "and they stay the same")
		})

		It(fmt.Sprintf("each signature of a %s key is good for its message, by each algorithm and each type of message", spec), func() {
			j := judge{GinkgoT().TempDir()}
			key := createKey(admin(), signing(spec))
			public := j.write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicKey(key.KeyId)}))
			for _, algorithm := range algorithms {
				for _, length := range []int{1, 100, 4096} {
					message := make([]byte, length)
					_, _ = rand.Read(message)
					name := string(algorithm)
					hashed, err := exec.CommandContext(ctx, "openssl", "dgst", "-binary", "-sha"+name[len(name)-3:], j.write("raw", message)).Output()
					Expect(err).NotTo(HaveOccurred())
					ofMessage := sign(admin(), key.KeyId, algorithm, raw, message)
					ofDigest := sign(admin(), key.KeyId, algorithm, digest, hashed)
					for _, signature := range [][]byte{ofMessage, ofDigest} {
						Expect(j.verifies(public, algorithm, message, signature)).To(BeTrue(), "%s of %d bytes", algorithm, length)
						Expect(verify(key.KeyId, algorithm, raw, message, signature)).To(Succeed())
						Expect(verify(key.KeyId, algorithm, digest, hashed, signature)).To(Succeed(), "message and digest are one to Verify")
					}
					other := append(slices.Clone(message), 0)
					Expect(j.verifies(public, algorithm, other, ofMessage)).To(BeFalse(), "the judge can say no")
					Expect(verify(key.KeyId, algorithm, digest, hashed[:len(hashed)-1], ofMessage)).To(MatchError(ContainSubstring("Digest is invalid length")))
				}
			}
		})
	}

	It("a signature is what Verify says of it, for those that openssl made too", func() {
		j := judge{GinkgoT().TempDir()}
		key := createKey(admin(), signing(types.KeySpecEccNistP256))
		public := j.write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicKey(key.KeyId)}))
		own := filepath.Join(j.dir, "own.pem")
		out, err := j.run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", own)
		Expect(err).NotTo(HaveOccurred(), out)
		message := []byte("attack at dawn")
		forged := filepath.Join(j.dir, "forged")
		out, err = j.run("dgst", "-sha256", "-sign", own, "-out", forged, j.write("raw", message))
		Expect(err).NotTo(HaveOccurred(), out)
		signature, err := os.ReadFile(forged)
		Expect(err).NotTo(HaveOccurred())
		Expect(j.verifies(public, p256, message, signature)).To(BeFalse())
		Expect(verify(key.KeyId, p256, raw, message, signature)).To(MatchError(ContainSubstring("KMSInvalidSignatureException")))
	})
})

var _ = Describe("A signature", func() {
	for _, spec := range []types.KeySpec{types.KeySpecEccNistP256, types.KeySpecRsa2048} {
		It(fmt.Sprintf("of a %s key with any byte changed, cut off or longer is not valid, and no more is said", spec), func() {
			key := createKey(admin(), signing(spec))
			for _, algorithm := range algorithmsOf[spec] {
				good := sign(admin(), key.KeyId, algorithm, raw, []byte("x"))
				bad := [][]byte{append(slices.Clone(good), 0), append([]byte{0}, good...), {0}}
				for at := range good {
					for _, with := range []byte{1, 0x80} {
						changed := slices.Clone(good)
						changed[at] ^= with
						bad = append(bad, changed)
					}
				}
				for n := 1; n < len(good); n += 7 {
					bad = append(bad, good[:n])
				}
				for i, signature := range bad {
					code, message := refused[any](admin(), "Verify", &awskms.VerifyInput{
						KeyId: key.KeyId, Message: []byte("x"), SigningAlgorithm: algorithm, Signature: signature,
					})
					Expect(code+message).To(Equal("KMSInvalidSignatureException"), "%s, change %d", algorithm, i)
				}
			}
		})
	}

	It("by one algorithm is not valid by another of the same key", func() {
		key := createKey(admin(), signing(types.KeySpecRsa2048))
		for _, by := range algorithmsOf[types.KeySpecRsa2048] {
			signature := sign(admin(), key.KeyId, by, raw, []byte("x"))
			for _, as := range algorithmsOf[types.KeySpecRsa2048] {
				Expect(verify(key.KeyId, as, raw, []byte("x"), signature) == nil).To(Equal(by == as), "%s as %s", by, as)
			}
		}
	})

	// FIPS 186-5 and RFC 3279 let s be any of 1..n-1; AWS verifies both, and neither zero nor n is a signature.
	It("of a curve is valid with s and with n-s, and not with what is out of range or not in DER", func() {
		key := createKey(admin(), signing(types.KeySpecEccNistP256))
		order, _ := new(big.Int).SetString("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551", 16)
		type pair struct{ R, S *big.Int }
		var good pair
		_, err := asn1.Unmarshal(sign(admin(), key.KeyId, p256, raw, []byte("x")), &good)
		Expect(err).NotTo(HaveOccurred())
		encode := func(r, s *big.Int) []byte {
			der, err := asn1.Marshal(pair{r, s})
			Expect(err).NotTo(HaveOccurred())
			return der
		}
		Expect(verify(key.KeyId, p256, raw, []byte("x"), encode(good.R, new(big.Int).Sub(order, good.S)))).To(Succeed())
		plain := append(good.R.FillBytes(make([]byte, 32)), good.S.FillBytes(make([]byte, 32))...)
		for name, signature := range map[string][]byte{
			"r of zero": encode(big.NewInt(0), good.S), "s of zero": encode(good.R, big.NewInt(0)), "s of n": encode(good.R, order),
			"s and n": encode(good.R, new(big.Int).Add(order, good.S)), "a negative s": encode(good.R, new(big.Int).Neg(good.S)),
			"r and s exchanged": encode(good.S, good.R), "r and s as they are, without DER": plain,
		} {
			Expect(verify(key.KeyId, p256, raw, []byte("x"), signature)).To(MatchError(ContainSubstring("KMSInvalidSignatureException")), name)
		}
	})

	DescribeTable("is made and verified of a digest of the algorithm's length and of no other", func(spec types.KeySpec) {
		key := createKey(admin(), signing(spec))
		for _, algorithm := range algorithmsOf[spec] {
			want := digestLengths[string(algorithm)[len(algorithm)-3:]]
			for _, length := range []int{1, 20, 28, want - 1, want, want + 1, 32, 48, 64, 4096} {
				in := &awskms.SignInput{KeyId: key.KeyId, Message: make([]byte, length), MessageType: digest, SigningAlgorithm: algorithm}
				if length == want {
					Expect(invoke(admin(), "Sign", in)).To(Succeed())
					continue
				}
				code, message := refused[any](admin(), "Sign", in)
				Expect(code+" "+message).To(Equal("ValidationException Digest is invalid length for algorithm "+string(algorithm)+"."), "%d bytes", length)
			}
		}
	}, Entry("RSA", types.KeySpecRsa2048), Entry("P-256", types.KeySpecEccNistP256), Entry("P-384", types.KeySpecEccNistP384), Entry("P-521", types.KeySpecEccNistP521))

	It("is another each time where the algorithm has randomness, and the same where it has none", func() {
		key := createKey(admin(), signing(types.KeySpecRsa2048))
		for _, algorithm := range algorithmsOf[types.KeySpecRsa2048] {
			one, two := sign(admin(), key.KeyId, algorithm, raw, []byte("x")), sign(admin(), key.KeyId, algorithm, raw, []byte("x"))
			Expect(slices.Equal(one, two)).To(Equal(strings.Contains(string(algorithm), "PKCS1")), string(algorithm))
		}
	})
})
