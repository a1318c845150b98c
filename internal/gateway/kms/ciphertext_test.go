package kms_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"

	"strongroom.dev/strongroom/internal/core/keys"
)

// opened tells what opening a ciphertext under a named key comes to: AWS's code and message, or the plaintext.
func opened(key string, blob []byte, ec map[string]string) string {
	GinkgoHelper()
	out, err := try[awskms.DecryptOutput](admin(), "Decrypt", &awskms.DecryptInput{KeyId: &key, CiphertextBlob: blob, EncryptionContext: ec})
	if err == nil {
		return "plaintext " + string(out.Plaintext)
	}
	code, message := refused[any](admin(), "Decrypt", &awskms.DecryptInput{KeyId: &key, CiphertextBlob: blob, EncryptionContext: ec})
	return strings.TrimSpace(code + " " + message)
}

const (
	invalid   = "InvalidCiphertextException"
	incorrect = "IncorrectKeyException The key ID in the request does not identify a CMK that can perform this operation."
)

var _ = Describe("A ciphertext", func() {
	// The layout is docs/architecture.md's, format 1.
	region := func(at int) string {
		switch {
		case at < 4:
			return "header"
		case at < 20:
			return "key id"
		case at < 36:
			return "material"
		}
		return "sealed"
	}

	It("with one byte changed, wherever, is invalid, and not a word says where; a changed key id is another key's", func() {
		key := *createKey(admin()).KeyId
		blob := encrypt(admin(), key, "attack at dawn", map[string]string{"a": "1"})
		for at := range blob {
			for _, with := range []byte{0x01, 0x80, 0xff} {
				changed := bytes.Clone(blob)
				changed[at] ^= with
				want := invalid
				if region(at) == "key id" {
					want = incorrect
				}
				Expect(opened(key, changed, map[string]string{"a": "1"})).To(Equal(want), "byte %d of %s", at, region(at))
			}
		}
		Expect(opened(key, blob, map[string]string{"a": "1"})).To(Equal("plaintext attack at dawn"))
	})

	It("with one byte changed and no key named is invalid, or no key of anybody's", func() {
		blob := encrypt(admin(), *createKey(admin()).KeyId, "x", nil)
		for at := range blob {
			changed := bytes.Clone(blob)
			changed[at] ^= 0x10
			code, message := refused[any](admin(), "Decrypt", &awskms.DecryptInput{CiphertextBlob: changed})
			if region(at) == "key id" || region(at) == "material" {
				Expect(code).To(Equal("AccessDeniedException"), "byte %d", at)
				Expect(message).To(HavePrefix("The ciphertext refers to a customer master key that does not exist"))
				continue
			}
			Expect(code+message).To(Equal(invalid), "byte %d", at)
		}
	})

	It("cut anywhere, or longer by anything, is invalid", func() {
		key := *createKey(admin()).KeyId
		blob := encrypt(admin(), key, "x", nil)
		for n := range len(blob) {
			Expect(opened(key, blob[:n], nil)).To(Equal(invalid), "%d of %d bytes", n, len(blob))
		}
		for _, more := range [][]byte{{0}, blob[len(blob)-16:], blob, make([]byte, 4096)} {
			Expect(opened(key, append(bytes.Clone(blob), more...), nil)).To(Equal(invalid), "%d bytes more", len(more))
		}
	})

	It("put together from two of one key, at every seam, is invalid", func() {
		key := *createKey(admin()).KeyId
		one, two := encrypt(admin(), key, "one", nil), encrypt(admin(), key, "two", nil)
		for at := 37; at < len(one); at++ { // up to the salt both are the same
			Expect(opened(key, append(bytes.Clone(one[:at]), two[at:]...), nil)).To(Equal(invalid), "seam at %d", at)
		}
	})

	It("of another key under this key's header is invalid", func() {
		key, other := *createKey(admin()).KeyId, *createKey(admin()).KeyId
		mine, theirs := encrypt(admin(), key, "mine", nil), encrypt(admin(), other, "theirs", nil)
		Expect(opened(key, append(bytes.Clone(mine[:36]), theirs[36:]...), nil)).To(Equal(invalid))
		Expect(opened(key, append(bytes.Clone(mine[:20]), theirs[20:]...), nil)).To(Equal(invalid), "a material of another key")
		Expect(opened(key, theirs, nil)).To(Equal(incorrect))
	})

	It("is no envelope of any other kind, be it of the same key", func() {
		key := world.ReadyKey("mine")
		blob := encrypt(admin(), key.Status.KeyID, "x", nil)
		for kind := range byte(40) {
			if kind == blob[2] {
				continue
			}
			other := bytes.Clone(blob)
			other[2] = kind
			Expect(opened(key.Status.KeyID, other, nil)).To(Equal(invalid), "kind %d", kind)
		}
		token := materialEnvelope(key).Spec.Ciphertext
		for _, b := range [][]byte{token, token[8:]} {
			Expect(opened(key.Status.KeyID, b, nil)).To(Equal(invalid), "the wrapped key material is not to be had by Decrypt")
			code, _ := refused[any](admin(), "Decrypt", &awskms.DecryptInput{CiphertextBlob: b})
			Expect(code).To(Equal(invalid))
		}
	})

	It("never panics on what is no ciphertext, and tells nothing of it", func() {
		key := *createKey(admin()).KeyId
		seed := uint64(GinkgoRandomSeed())
		random := rand.New(rand.NewPCG(seed, 1)) //nolint:gosec // printed, to be run again
		By(fmt.Sprint("seed ", seed))
		for range 400 {
			b := make([]byte, random.IntN(300))
			for i := range b {
				b[i] = byte(random.Uint32())
			}
			if len(b) > 4 && random.IntN(2) == 0 {
				copy(b, []byte{1, 1, 1, 0})
			}
			Expect(opened(key, b, nil)).To(Or(Equal(invalid), Equal(incorrect)))
		}
	})

	It("of a plaintext of any length is longer by the same, and of one plaintext twice is another", func() {
		key := *createKey(admin()).KeyId
		for _, n := range []int{1, 15, 16, 17, 4095, 4096} {
			blob := encrypt(admin(), key, strings.Repeat("x", n), nil)
			Expect(blob).To(HaveLen(n + keys.Overhead))
			Expect(len(blob)).To(BeNumerically("<=", 6144), "AWS's limit, so that it can be decrypted again")
			Expect(encrypt(admin(), key, strings.Repeat("x", n), nil)).NotTo(Equal(blob))
		}
	})
})

var _ = Describe("An encryption context", func() {
	It("has no order, and absent and empty are one", func() {
		key := *createKey(admin()).KeyId
		forward, backward := map[string]string{}, map[string]string{}
		for i := range 40 {
			forward[fmt.Sprint("k", i)] = fmt.Sprint("v", i)
			backward[fmt.Sprint("k", 39-i)] = fmt.Sprint("v", 39-i)
		}
		Expect(opened(key, encrypt(admin(), key, "x", forward), backward)).To(Equal("plaintext x"))
		for _, none := range []map[string]string{nil, {}} {
			for _, other := range []map[string]string{nil, {}} {
				Expect(opened(key, encrypt(admin(), key, "x", none), other)).To(Equal("plaintext x"))
			}
		}
	})

	DescribeTable("that differs in anything is another one, and is not told from a broken ciphertext",
		func(sealed, given map[string]string) {
			key := *createKey(admin()).KeyId
			Expect(opened(key, encrypt(admin(), key, "x", sealed), given)).To(Equal(invalid))
			Expect(opened(key, encrypt(admin(), key, "x", given), sealed)).To(Equal(invalid), "nor the other way round")
		},
		Entry("none and a pair", nil, map[string]string{"a": "1"}),
		Entry("none and an empty key with an empty value", nil, map[string]string{"": ""}),
		Entry("a pair more", map[string]string{"a": "1"}, map[string]string{"a": "1", "b": "2"}),
		Entry("the case of a key", map[string]string{"a": "1"}, map[string]string{"A": "1"}),
		Entry("the case of a value", map[string]string{"a": "x"}, map[string]string{"a": "X"}),
		Entry("key and value exchanged", map[string]string{"a": "b"}, map[string]string{"b": "a"}),
		Entry("values exchanged", map[string]string{"a": "1", "b": "2"}, map[string]string{"a": "2", "b": "1"}),
		Entry("a border between key and value", map[string]string{"ab": "c"}, map[string]string{"a": "bc"}),
		Entry("a border between two pairs", map[string]string{"a": "1", "b": "2"}, map[string]string{"a": "1b2"}),
		Entry("a blank at the end", map[string]string{"a": "1"}, map[string]string{"a": "1 "}),
		Entry("a null character at the end", map[string]string{"a": "1"}, map[string]string{"a": "1\x00"}),
		Entry("é as one character and as two", map[string]string{"a": "\u00e9"}, map[string]string{"a": "e\u0301"}),
	)

	It("has up to 8,192 bytes of keys and values together, for every operation that takes one", func() {
		key := *createKey(admin()).KeyId
		most := map[string]string{"kk": strings.Repeat("v", keys.MaxContext-2)}
		over := map[string]string{"kk": strings.Repeat("v", keys.MaxContext-3), "a": "b"}
		for name, in := range map[string]func(ec map[string]string) any{
			"Encrypt": func(ec map[string]string) any {
				return &awskms.EncryptInput{KeyId: &key, Plaintext: []byte("x"), EncryptionContext: ec}
			},
			"GenerateDataKey": func(ec map[string]string) any {
				return &awskms.GenerateDataKeyInput{KeyId: &key, KeySpec: "AES_256", EncryptionContext: ec}
			},
			"GenerateDataKeyWithoutPlaintext": func(ec map[string]string) any {
				return &awskms.GenerateDataKeyWithoutPlaintextInput{KeyId: &key, KeySpec: "AES_256", EncryptionContext: ec}
			},
			"ReEncrypt": func(ec map[string]string) any {
				return &awskms.ReEncryptInput{CiphertextBlob: encrypt(admin(), key, "x", nil), DestinationKeyId: &key, DestinationEncryptionContext: ec}
			},
		} {
			Expect(invoke(admin(), name, in(most))).To(Succeed(), name)
			code, message := refused[any](admin(), name, in(over))
			Expect(code+" "+message).To(Equal("ValidationException The encryption context is longer than 8192 bytes"), name)
		}
		Expect(opened(key, encrypt(admin(), key, "x", most), most)).To(Equal("plaintext x"))
	})

	It("with two keys that differ in case alone is refused by every operation, before anybody is asked", func() {
		key := *createKey(admin()).KeyId
		blob := encrypt(admin(), key, "x", nil)
		two := map[string]string{"App": "a", "aPP": "b"}
		for name, in := range map[string]any{
			"Encrypt":         &awskms.EncryptInput{KeyId: &key, Plaintext: []byte("x"), EncryptionContext: two},
			"Decrypt":         &awskms.DecryptInput{KeyId: &key, CiphertextBlob: blob, EncryptionContext: two},
			"GenerateDataKey": &awskms.GenerateDataKeyInput{KeyId: &key, KeySpec: "AES_256", EncryptionContext: two},
			"GenerateDataKeyWithoutPlaintext": &awskms.GenerateDataKeyWithoutPlaintextInput{
				KeyId: &key, KeySpec: "AES_256", EncryptionContext: two,
			},
			"ReEncrypt": &awskms.ReEncryptInput{CiphertextBlob: blob, SourceEncryptionContext: two, DestinationKeyId: &key},
		} {
			for _, who := range []*caller{admin(), nobody()} {
				code, message := refused[any](who, name, in)
				Expect(code+" "+message).To(Equal("ValidationException The encryption context has keys that differ in case alone"), name)
			}
		}
		code, _ := refused[any](admin(), "ReEncrypt", &awskms.ReEncryptInput{CiphertextBlob: blob, DestinationKeyId: &key, DestinationEncryptionContext: two})
		Expect(code).To(Equal("ValidationException"), "at the destination too")
		code, _ = refused[any](admin(), "Decrypt", &awskms.DecryptInput{CiphertextBlob: blob, EncryptionContext: two})
		Expect(code).To(Equal("ValidationException"), "whichever way the key is found")
	})
})
