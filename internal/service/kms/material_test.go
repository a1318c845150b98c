package kms_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// create makes the material of a sequence number of the key "key" with the id of AWS's example.
func create(s *kms.Service, sequence int64, rotation v1alpha1.RotationType) (v1alpha1.KeyMaterial, error) {
	return s.CreateMaterial(ctx, environment.KMSKey(world.Namespace, "key"), keyID, keyARN(keyID), sequence, rotation, nil)
}

func stored() []v1alpha1.Envelope {
	GinkgoHelper()
	return world.Envelopes(v1alpha1.EnvelopeKeyMaterial)
}

// header is the header of a token, as the documentation of the format has it.
func header(keyID, materialID string) keys.Header {
	GinkgoHelper()
	h := keys.Header{Kind: keys.KindKeyToken}
	var err error
	h.KeyID, err = keys.ParseKeyID(keyID)
	Expect(err).NotTo(HaveOccurred())
	h.MaterialID, err = keys.MaterialIDPrefix(materialID)
	Expect(err).NotTo(HaveOccurred())
	return h
}

var _ = Describe("Key material that is made", func() {
	It("is 256 bits in an Envelope of its own, under the domain key, for this key id and this Envelope only", func() {
		m, err := create(service(), 1, "")
		Expect(err).NotTo(HaveOccurred())
		Expect(m.ID).To(MatchRegexp(`^[0-9a-f]{64}$`))
		Expect(m.CreatedTime.Time).To(BeTemporally("==", world.Clock.Now().Truncate(time.Second)))
		Expect(m).To(And(HaveField("Sequence", int64(1)), HaveField("State", v1alpha1.KeyMaterialCurrent),
			HaveField("RotationType", BeEmpty())))

		e := stored()[0]
		Expect(e.Name).To(Equal(store.Name(v1alpha1.EnvelopeKeyMaterial, keyARN(keyID), 1)))
		Expect(e.Spec).To(And(HaveField("Owner", v1alpha1.EnvelopeOwner{Kind: "KMSKey", Name: "key"}),
			HaveField("Subject", keyARN(keyID)), HaveField("Version", m.ID), HaveField("KeyARN", "strongroom:domain-key/1"),
			HaveField("EncryptedDataKey", BeEmpty()), HaveField("Stages", BeEmpty())))
		token := e.Spec.Ciphertext
		Expect(token).To(HaveLen(8 + keys.Overhead + 32))
		Expect(binary.BigEndian.Uint64(token)).To(Equal(uint64(1)), "the epoch")
		claimed, err := keys.ParseHeader(token[8:])
		Expect(err).NotTo(HaveOccurred())
		Expect(claimed).To(Equal(header(keyID, m.ID)))

		ring, err := world.Services.Keyring.Get()
		Expect(err).NotTo(HaveOccurred())
		opened, err := ring.UnwrapToken(header(keyID, m.ID), store.Binding(&e), token)
		Expect(err).NotTo(HaveOccurred())
		Expect(opened.Len()).To(Equal(32))
		_, err = ring.UnwrapToken(header(otherKeyID, m.ID), store.Binding(&e), token)
		Expect(err).To(MatchError(keys.ErrInvalidCiphertext))
		e.Spec.Sequence = 2
		_, err = ring.UnwrapToken(header(keyID, m.ID), store.Binding(&e), token)
		Expect(err).To(MatchError(keys.ErrInvalidCiphertext))
	})

	DescribeTable("says what kind of rotation made it, in the index and in the Envelope from which an index is rebuilt",
		func(rotation v1alpha1.RotationType, stages string) {
			m, err := create(service(), 2, rotation)
			Expect(err).NotTo(HaveOccurred())
			Expect(m.RotationType).To(Equal(rotation))
			e := stored()[0]
			Expect(strings.Join(e.Spec.Stages, ",")).To(Equal(stages))
			Expect(kms.MaterialOf(&e)).To(Equal(m))
		},
		Entry("none", v1alpha1.RotationType(""), ""),
		Entry("by its period", v1alpha1.RotationAutomatic, "AUTOMATIC"),
		Entry("on demand", v1alpha1.RotationOnDemand, "ON_DEMAND"),
	)

	It("is another each time, and its bytes do not stay in memory", func() {
		w := &witness{}
		_, err := create(service(random(w)), 1, "")
		Expect(err).NotTo(HaveOccurred())
		Expect(w.given).To(HaveLen(2), "an id and the material")
		Expect(w.given[1]).To(HaveLen(32))
		Expect(w.given[1]).To(HaveEach(byte(0)), "the material is still there")

		for n := range int64(3) {
			_, err := create(service(), n+2, "")
			Expect(err).NotTo(HaveOccurred())
		}
		ring, err := world.Services.Keyring.Get()
		Expect(err).NotTo(HaveOccurred())
		seen := map[string]bool{}
		for _, e := range stored() {
			opened, err := ring.UnwrapToken(header(keyID, e.Spec.Version), store.Binding(&e), e.Spec.Ciphertext)
			Expect(err).NotTo(HaveOccurred())
			seen[string(opened.Reveal())], seen[e.Spec.Version] = true, true
		}
		Expect(seen).To(HaveLen(8), "four materials and four ids")
	})
})

var _ = Describe("Key material that an earlier attempt stored", func() {
	It("is the one that is returned, with its own time and rotation", func() {
		first, err := create(service(), 2, v1alpha1.RotationAutomatic)
		Expect(err).NotTo(HaveOccurred())
		world.Clock.Advance(time.Hour)
		again, err := create(service(), 2, v1alpha1.RotationOnDemand)
		Expect(err).NotTo(HaveOccurred())
		Expect(again).To(Equal(first))
		Expect(stored()).To(HaveLen(1))
	})

	It("and whose answer was lost is found by the next attempt", func() {
		_, writes := world.Faulty()
		faulty := service(func(s *kms.Service) { s.Store = &store.Store{Client: writes, Live: world.Services.Live} })
		for _, after := range []bool{false, true} {
			writes.FailAt(1, after)
			_, err := create(faulty, 1, "")
			Expect(err).To(MatchError(environment.ErrInjected))
			Expect(stored()).To(HaveLen(map[bool]int{false: 0, true: 1}[after]))
		}
		lost := stored()[0].Spec.Version
		m, err := create(service(), 1, "")
		Expect(err).NotTo(HaveOccurred())
		Expect(m.ID).To(Equal(lost))
	})

	It("is one, whoever of eight writers comes first", func() {
		made := make([]v1alpha1.KeyMaterial, 8)
		var wg sync.WaitGroup
		for i := range made {
			wg.Go(func() {
				defer GinkgoRecover()
				var err error
				made[i], err = create(service(), 1, "")
				Expect(err).NotTo(HaveOccurred())
			})
		}
		wg.Wait()
		Expect(stored()).To(HaveLen(1))
		Expect(made).To(HaveEach(HaveField("ID", stored()[0].Spec.Version)))
	})

	// Whoever may write Envelopes can put one under the name of the next material, to be taken for the manager's own.
	DescribeTable("is refused if it is not this key's and whole",
		func(forge func(*v1alpha1.Envelope)) {
			_, err := create(service(), 1, "")
			Expect(err).NotTo(HaveOccurred())
			genuine := stored()[0]
			forged := store.New(world.Namespace, v1alpha1.EnvelopeKeyMaterial, kms.Owner("key"), keyARN(keyID),
				store.Version(&genuine), genuine.Spec.KeyARN)
			forged.Spec.Ciphertext = genuine.Spec.Ciphertext
			forged.Spec.Sequence = 2
			forged.Name = store.Name(v1alpha1.EnvelopeKeyMaterial, keyARN(keyID), 2)
			forge(forged)
			world.Create(forged)
			_, err = create(service(), 2, v1alpha1.RotationOnDemand)
			Expect(err).To(MatchError(store.ErrTampered))
			Expect(err).To(MatchError(ContainSubstring(forged.Name)))
			faultOf(err, v1alpha1.ReasonEnvelopeTampered, true)
		},
		Entry("the token of an earlier material", func(*v1alpha1.Envelope) {}),
		Entry("the token of an earlier material, under another id",
			func(e *v1alpha1.Envelope) { e.Spec.Version = strings.Repeat("ab", 32) }),
		Entry("bytes that anybody can make up", func(e *v1alpha1.Envelope) { e.Spec.Ciphertext = []byte("made up") }),
		Entry("a token without its tag", func(e *v1alpha1.Envelope) { e.Spec.Ciphertext = e.Spec.Ciphertext[:100] }),
		Entry("a token of an epoch that never was", func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[7] = 9 }),
		Entry("another kind of rotation", func(e *v1alpha1.Envelope) { e.Spec.Sequence, e.Spec.Stages = 1, []string{"ON_DEMAND"} }),
	)

	It("for another key is refused, be it the same domain key's and whole", func() {
		_, err := service().CreateMaterial(ctx, environment.KMSKey(world.Namespace, "key"), otherKeyID, keyARN(keyID), 1, "", nil)
		Expect(err).NotTo(HaveOccurred())
		_, err = create(service(), 1, "")
		Expect(err).To(MatchError(store.ErrTampered), "the header binds the key id")
	})
})

var _ = Describe("Key material that cannot be made", func() {
	It("while the keyring is sealed is not written, and asked for again by itself", func() {
		unseal := world.Seal(fmt.Errorf("core Secret strongroom-root is missing"))
		_, err := create(service(), 1, "")
		Expect(err).To(MatchError(keyring.ErrSealed))
		Expect(err).To(MatchError(ContainSubstring("strongroom-root is missing")))
		faultOf(err, v1alpha1.ReasonSealed, false)
		Expect(stored()).To(BeEmpty())
		unseal()
		_, err = create(service(), 1, "")
		Expect(err).NotTo(HaveOccurred())
	})

	It("because the random source fails is not written, whatever it had given before", func() {
		for _, n := range []int{0, 1, 31, 32, 33, 63} {
			_, err := create(service(random(&limited{left: n})), 1, "")
			Expect(err).To(HaveOccurred(), "%d bytes are too few", n)
			Expect(err.Error()).NotTo(ContainSubstring("a5a5"), "no random byte gets out")
		}
		Expect(stored()).To(BeEmpty())
		_, err := create(service(random(&limited{left: 64})), 1, "")
		Expect(err).NotTo(HaveOccurred())
	})

	It("for a key id that is none is not written", func() {
		for _, id := range []string{"", "key", strings.ToUpper(keyID), keyARN(keyID)} {
			_, err := service().CreateMaterial(ctx, environment.KMSKey(world.Namespace, "key"), id, keyARN(keyID), 1, "", nil)
			Expect(err).To(MatchError(keys.ErrInvalidID), "%q", id)
		}
		Expect(stored()).To(BeEmpty())
	})
})

var _ = Describe("Opened key material", func() {
	It("is kept by what the API server calls the object, so that an exchanged Envelope is opened anew", func() {
		key := world.ReadyKey("key")
		s := service(func(s *kms.Service) { s.Materials = keyring.NewMaterialCache(0, time.Hour, nil) })
		verify := func() error { return s.VerifyMaterial(ctx, key, material(key, 1)) }
		Expect(verify()).To(Succeed())
		Expect(verify()).To(Succeed())
		Expect(s.Materials.Len()).To(Equal(1), "what is cached is not opened again")

		good := stored()[0]
		bad := world.Exchange(&good, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[90] ^= 1 })
		Expect(verify()).To(MatchError(store.ErrTampered))
		Expect(s.Materials.Len()).To(Equal(1), "what does not open is not cached")
		_, _, err := s.GenerateDataKey(ctx, key, nil)
		Expect(err).To(MatchError(store.ErrTampered), "the cached material must not encrypt for a tampered Envelope")

		world.Exchange(bad, func(e *v1alpha1.Envelope) { e.Spec = good.Spec })
		Expect(verify()).To(Succeed())
		Expect(s.Materials.Len()).To(Equal(2), "a restored Envelope is another object")
	})

	It("does not outlive its Envelope", func() {
		key := world.ReadyKey("key")
		Expect(service().VerifyMaterial(ctx, key, material(key, 1))).To(Succeed())
		e := stored()[0]
		world.Remove(&e)
		err := service().VerifyMaterial(ctx, key, material(key, 1))
		Expect(err).To(MatchError(store.ErrMissing))
		Expect(err).To(MatchError(ContainSubstring("restore it from a backup")))
		faultOf(err, v1alpha1.ReasonEnvelopeMissing, true)
	})

	It("of an index entry that names another id is refused", func() {
		key := world.ReadyKey("key")
		m := material(key, 1)
		m.ID = strings.Repeat("0f", 32)
		Expect(service().VerifyMaterial(ctx, key, m)).To(MatchError(store.ErrTampered))
	})

	It("is refused when another key's status claims it", func() {
		key := world.ReadyKey("key")
		thief := key.DeepCopy()
		thief.Status.KeyID = otherKeyID
		s := service(func(s *kms.Service) { s.Materials = keyring.NewMaterialCache(0, time.Hour, nil) })
		Expect(s.VerifyMaterial(ctx, thief, material(key, 1))).To(MatchError(store.ErrTampered))
	})
})

var _ = Describe("An Envelope of key material", func() {
	DescribeTable("is read into the index",
		func(stages []string, rotation v1alpha1.RotationType) {
			v := versions.Version{ID: "id", Sequence: 7, Stages: stages, Created: time.Unix(1000, 0)}
			e := store.New("shop", v1alpha1.EnvelopeKeyMaterial, kms.Owner("key"), keyARN(keyID), v, "domain")
			m := kms.MaterialOf(e)
			Expect(m).To(And(HaveField("ID", "id"), HaveField("Sequence", int64(7)), HaveField("RotationType", rotation),
				HaveField("State", v1alpha1.KeyMaterialCurrent)))
			Expect(m.CreatedTime.Unix()).To(Equal(int64(1000)))
		},
		Entry("of a first material", nil, v1alpha1.RotationType("")),
		Entry("of a rotation", []string{"ON_DEMAND"}, v1alpha1.RotationOnDemand),
	)
})
