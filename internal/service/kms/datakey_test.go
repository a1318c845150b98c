package kms_test

import (
	"bytes"
	"fmt"
	"strings"
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
)

// dataKey is what GenerateDataKey answers.
type dataKey struct {
	plaintext secretbytes.Bytes
	encrypted []byte
}

func generate(key *v1alpha1.KMSKey, ec keys.Context) dataKey {
	GinkgoHelper()
	plaintext, encrypted, err := service().GenerateDataKey(ctx, key, ec)
	Expect(err).NotTo(HaveOccurred())
	return dataKey{plaintext, encrypted}
}

func decrypt(key *v1alpha1.KMSKey, ec keys.Context, ciphertext []byte) error {
	opened, err := service().Decrypt(ctx, key, ec, ciphertext)
	if err != nil && opened.Len() > 0 {
		return fmt.Errorf("%d bytes were handed out with %w", opened.Len(), err)
	}
	return err
}

var _ = Describe("A data key", func() {
	It("is 256 bits, another each time, and comes back through every rotation after it", func() {
		key := world.ReadyKey("key")
		ec := keys.Context{"purpose": "test"}
		var made []dataKey
		for rotation := range 4 {
			if rotation > 0 {
				world.Rotate(key, fmt.Sprint(rotation))
			}
			for range 2 {
				made = append(made, generate(key, ec))
			}
		}
		Expect(key.Status.KeyMaterials).To(HaveLen(4))
		seen := map[string]bool{}
		for i, d := range made {
			seen[string(d.plaintext.Reveal())] = true
			Expect(d.plaintext.Len()).To(Equal(32), "AES_256")
			claimed, err := keys.ParseHeader(d.encrypted)
			Expect(err).NotTo(HaveOccurred())
			prefix, err := keys.MaterialIDPrefix(material(key, i/2+1).ID)
			Expect(err).NotTo(HaveOccurred())
			Expect(claimed.MaterialID).To(Equal(prefix), "the material that was current then encrypted")
			Expect(keys.FormatKeyID(claimed.KeyID)).To(Equal(key.Status.KeyID))
			opened, err := service().Decrypt(ctx, key, ec, d.encrypted)
			Expect(err).NotTo(HaveOccurred())
			Expect(opened.Equal(d.plaintext)).To(BeTrue())
		}
		Expect(seen).To(HaveLen(len(made)))
	})

	DescribeTable("does not come back under another encryption context",
		func(other keys.Context) {
			key := world.ReadyKey("key")
			made := generate(key, keys.Context{"SecretARN": "arn", "SecretVersionId": "one"})
			Expect(decrypt(key, other, made.encrypted)).To(BeIdenticalTo(keys.ErrInvalidCiphertext))
		},
		Entry("none", nil),
		Entry("without a pair", keys.Context{"SecretARN": "arn"}),
		Entry("with one pair more", keys.Context{"SecretARN": "arn", "SecretVersionId": "one", "": ""}),
		Entry("with another value", keys.Context{"SecretARN": "arn", "SecretVersionId": "two"}),
		Entry("in another case, as AWS compares", keys.Context{"SecretARN": "arn", "SecretVersionID": "one"}),
		Entry("with values exchanged", keys.Context{"SecretARN": "one", "SecretVersionId": "arn"}),
		Entry("with a value that runs into the next", keys.Context{"SecretARN": "arnS", "ecretVersionId": "one"}),
	)

	It("without a context and with an empty one is the same", func() {
		key := world.ReadyKey("key")
		Expect(decrypt(key, keys.Context{}, generate(key, nil).encrypted)).To(Succeed())
		Expect(decrypt(key, nil, generate(key, keys.Context{}).encrypted)).To(Succeed())
	})

	// https://docs.aws.amazon.com/kms/latest/developerguide/encrypt_context.html: 8,192 characters
	It("takes a context of up to 8,192 bytes", func() {
		key := world.ReadyKey("key")
		longest := keys.Context{"k": strings.Repeat("v", 8191)}
		Expect(decrypt(key, longest, generate(key, longest).encrypted)).To(Succeed())
		longest["k"] += "v"
		_, encrypted, err := service().GenerateDataKey(ctx, key, longest)
		Expect(err).To(MatchError(keys.ErrTooLarge))
		Expect(encrypted).To(BeNil())
	})

	It("is not made of a random source that fails", func() {
		key := world.ReadyKey("key")
		for _, n := range []int{0, 31} {
			plaintext, encrypted, err := service(random(&limited{left: n})).GenerateDataKey(ctx, key, nil)
			Expect(err).To(HaveOccurred())
			Expect(plaintext.Len()).To(BeZero(), "a short key is no key")
			Expect(encrypted).To(BeNil())
		}
		_, _, err := service(random(&limited{left: 32})).GenerateDataKey(ctx, key, nil)
		Expect(err).NotTo(HaveOccurred())
	})

	It("needs an open keyring only until its material is in the cache", func() {
		key := world.ReadyKey("key")
		s := service(func(s *kms.Service) { s.Materials = keyring.NewMaterialCache(0, time.Hour, nil) })
		_, encrypted, err := s.GenerateDataKey(ctx, key, nil)
		Expect(err).NotTo(HaveOccurred())
		world.Seal(fmt.Errorf("the root is gone"))
		_, err = s.Decrypt(ctx, key, nil, encrypted)
		Expect(err).NotTo(HaveOccurred(), "a minute's grace, as the cache gives")
		s.Materials.Clear()
		_, err = s.Decrypt(ctx, key, nil, encrypted)
		Expect(err).To(MatchError(keyring.ErrSealed))
		faultOf(err, v1alpha1.ReasonSealed, false)
	})
})

var _ = Describe("A ciphertext", func() {
	It("with any bit changed, cut off anywhere, or longer, is refused by one and the same error", func() {
		key := world.ReadyKey("key")
		ec := keys.Context{"purpose": "test"}
		good := generate(key, ec).encrypted
		Expect(good).To(HaveLen(keys.Overhead + 32))
		for i := range good {
			flipped := bytes.Clone(good)
			flipped[i] ^= 1 << (i % 8)
			Expect(decrypt(key, ec, flipped)).To(BeIdenticalTo(keys.ErrInvalidCiphertext), "byte %d", i)
			Expect(decrypt(key, ec, good[:i])).To(BeIdenticalTo(keys.ErrInvalidCiphertext), "cut at %d", i)
		}
		Expect(decrypt(key, ec, append(bytes.Clone(good), 0))).To(BeIdenticalTo(keys.ErrInvalidCiphertext))
		Expect(decrypt(key, ec, nil)).To(BeIdenticalTo(keys.ErrInvalidCiphertext))
		Expect(decrypt(key, ec, good)).To(Succeed())
	})

	It("put together from two is refused", func() {
		key := world.ReadyKey("key")
		a, b := generate(key, nil).encrypted, generate(key, nil).encrypted
		for _, at := range []int{68, 80, 112} { // after salt, nonce, ciphertext; the header is the same
			Expect(decrypt(key, nil, append(bytes.Clone(a[:at]), b[at:]...))).To(BeIdenticalTo(keys.ErrInvalidCiphertext), "at %d", at)
		}
	})

	It("of another material of the same key is refused, whatever its header claims", func() {
		key := world.ReadyKey("key")
		old := generate(key, nil).encrypted
		world.Rotate(key, "now")
		current := generate(key, nil).encrypted
		renamed := append(bytes.Clone(current[:36]), old[36:]...)
		Expect(decrypt(key, nil, renamed)).To(BeIdenticalTo(keys.ErrInvalidCiphertext))
		Expect(decrypt(key, nil, old)).To(Succeed())
	})

	It("of another key is refused, also when its header is this key's", func() {
		key, other := world.ReadyKey("key"), world.ReadyKey("other")
		theirs, mine := generate(other, nil).encrypted, generate(key, nil).encrypted
		Expect(decrypt(key, nil, theirs)).To(BeIdenticalTo(keys.ErrInvalidCiphertext))
		Expect(decrypt(key, nil, append(bytes.Clone(mine[:36]), theirs[36:]...))).To(BeIdenticalTo(keys.ErrInvalidCiphertext))
		Expect(decrypt(other, nil, theirs)).To(Succeed())
	})

	It("whose material is gone is told from one that is wrong", func() {
		key := world.ReadyKey("key")
		old := generate(key, nil).encrypted
		world.Rotate(key, "now")
		first := stored()[0]
		world.Remove(&first)
		Expect(decrypt(key, nil, old)).To(MatchError(store.ErrMissing))
		Expect(decrypt(key, nil, generate(key, nil).encrypted)).To(Succeed(), "the others do without it")
	})
})

// The rows of AWS's table for the two operations, for the states that a KMSKey can be in.
// https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html#key-state-table
var _ = Describe("A key's state", func() {
	for state, allowed := range map[v1alpha1.KeyState]bool{
		"": false, v1alpha1.KeyStateCreating: false, v1alpha1.KeyStateEnabled: true, v1alpha1.KeyStateDisabled: false,
		v1alpha1.KeyStatePendingDeletion: false, v1alpha1.KeyStateUnavailable: false, "Unheard": false,
	} {
		It(fmt.Sprintf("%q lets both operations through: %t", state, allowed), func() {
			key := world.ReadyKey("key")
			encrypted := generate(key, nil).encrypted
			key.Status.KeyState = state
			if state == v1alpha1.KeyStatePendingDeletion {
				key.Spec.Deletion = &v1alpha1.KeyDeletion{Scheduled: true}
			}
			if state == v1alpha1.KeyStateDisabled { // which the spec says, be it before the controller has looked
				key.Status.KeyState, key.Spec.Enabled = v1alpha1.KeyStateEnabled, ptr.To(false)
			}
			_, made, generateErr := service().GenerateDataKey(ctx, key, nil)
			decryptErr := decrypt(key, nil, encrypted)
			if allowed {
				Expect(generateErr).NotTo(HaveOccurred())
				Expect(decryptErr).NotTo(HaveOccurred())
				return
			}
			Expect(made).To(BeNil())
			named := state
			if state == "" {
				named = v1alpha1.KeyStateCreating // what nobody has looked at yet
			}
			for _, err := range []error{generateErr, decryptErr} {
				faultOf(err, v1alpha1.ReasonKeyUnusable, false)
				Expect(err).To(MatchError(ContainSubstring("KMSKey %s/key: it is %s", world.Namespace, named)))
			}
		})
	}

	It("of being deleted lets a key decrypt and not encrypt", func() {
		key := world.ReadyKey("key")
		encrypted := generate(key, nil).encrypted
		now := metav1.NewTime(world.Clock.Now())
		key.DeletionTimestamp = &now
		_, made, err := service().GenerateDataKey(ctx, key, nil)
		faultOf(err, v1alpha1.ReasonKeyUnusable, false)
		Expect(err).To(MatchError(ContainSubstring("nothing new is encrypted under it")))
		Expect(made).To(BeNil())
		Expect(decrypt(key, nil, encrypted)).To(Succeed())
	})

	DescribeTable("of being deleted refuses what makes something new that needs the key later, and nothing else",
		func(operation keys.Operation, refused bool) {
			key := world.ReadyKey("key")
			Expect(kms.CheckUsable(key, operation)).To(Succeed())
			now := metav1.NewTime(world.Clock.Now())
			key.DeletionTimestamp = &now
			err := kms.CheckUsable(key, operation)
			if !refused {
				Expect(err).NotTo(HaveOccurred())
				return
			}
			faultOf(err, v1alpha1.ReasonKeyUnusable, false)
			Expect(err).To(MatchError(And(ContainSubstring("KMSKey "+world.Namespace+"/key"), ContainSubstring("DeletionBlocked"))))
		},
		Entry("encrypting", keys.Encrypt, true),
		Entry("making a data key", keys.GenerateDataKey, true),
		Entry("making a data key that is not shown", keys.GenerateDataKeyWithoutPlaintext, true),
		Entry("encrypting anew", keys.ReEncrypt, true),
		Entry("decrypting", keys.Decrypt, false),
		Entry("describing", keys.DescribeKey, false),
	)

	It("of having no current material lets it not encrypt", func() {
		key := world.ReadyKey("key")
		encrypted := generate(key, nil).encrypted
		key.Status.KeyMaterials[0].State = v1alpha1.KeyMaterialNonCurrent
		_, _, err := service().GenerateDataKey(ctx, key, nil)
		faultOf(err, v1alpha1.ReasonKeyUnusable, false)
		Expect(err).To(MatchError(ContainSubstring("no key material yet")))
		Expect(decrypt(key, nil, encrypted)).To(Succeed())
		key.Status.KeyMaterials = nil
		Expect(decrypt(key, nil, encrypted)).To(BeIdenticalTo(keys.ErrInvalidCiphertext))
	})

	It("with an id that is none encrypts and decrypts nothing", func() {
		key := world.ReadyKey("key")
		encrypted := generate(key, nil).encrypted
		key.Status.KeyID = "key"
		_, _, err := service().GenerateDataKey(ctx, key, nil)
		Expect(err).To(MatchError(keys.ErrInvalidID))
		Expect(err).To(MatchError(ContainSubstring("KMSKey key")))
		Expect(decrypt(key, nil, encrypted)).To(MatchError(keys.ErrInvalidID))
	})
})
