package sealed_test

import (
	"fmt"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("A version", func() {
	DescribeTable("comes back as it was put, and its Envelope says what it is bound to",
		func(keyed bool) {
			c := content(1, "hush", "b", "a,c")
			c.Binary = true
			if !keyed {
				c.Key = nil
			}
			v := put(c)
			Expect(v).To(Equal(versions.Version{ID: "1", Sequence: 1, Stages: []string{"b", "a,c"}, Created: v.Created}))
			Expect(v.Created).To(BeTemporally("==", world.Clock.Now().Truncate(time.Second)))
			Expect(read(v)).To(Equal("hush"))
			e := numbered(1)
			Expect(e.Spec.Binary).To(BeTrue())
			Expect(e.Spec.Owner).To(Equal(v1alpha1.EnvelopeOwner{Kind: "Parameter", Name: "db"}))
			Expect(e.Spec.KeyARN == key.Status.ARN).To(Equal(keyed))
			Expect(len(e.Spec.EncryptedDataKey) > 0).To(Equal(keyed))
			Expect(store.Version(e)).To(Equal(v))
			found, err := kept.Fetch(ctx, of(), v)
			Expect(err).NotTo(HaveOccurred())
			Expect(found.Key != nil).To(Equal(keyed))
		},
		Entry("under a KMSKey", true), Entry("under the keyring alone", false),
	)

	DescribeTable("does not open when anything of its Envelope is other than it was",
		func(keyed bool, change func(*v1alpha1.Envelope)) {
			c := content(1, "hush", "label")
			if !keyed {
				c.Key = nil
			}
			v := put(c)
			good := numbered(1).Spec
			e := world.Exchange(numbered(1), change)
			_, err := read(v)
			tampered(err)
			tampered(kept.Verify(ctx, of(), v))
			world.Exchange(e, func(e *v1alpha1.Envelope) { e.Spec = good })
			Expect(read(v)).To(Equal("hush"), "it is the same Envelope again")
		},
		Entry("its stages", true, func(e *v1alpha1.Envelope) { e.Spec.Stages = nil }),
		Entry("its time", true, func(e *v1alpha1.Envelope) { e.Spec.CreatedTime.Time = e.Spec.CreatedTime.Add(time.Second) }),
		Entry("its id", true, func(e *v1alpha1.Envelope) { e.Spec.Version = "2" }),
		Entry("its owner", true, func(e *v1alpha1.Envelope) { e.Spec.Owner.Name = "other" }),
		Entry("its owner's kind", true, func(e *v1alpha1.Envelope) { e.Spec.Owner.Kind = "Secret" }),
		Entry("its class", true, func(e *v1alpha1.Envelope) { e.Spec.Class = v1alpha1.EnvelopeSecretVersion }),
		Entry("that it is binary", true, func(e *v1alpha1.Envelope) { e.Spec.Binary = true }),
		Entry("its ciphertext", true, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[len(e.Spec.Ciphertext)-1] ^= 1 }),
		Entry("the header of its ciphertext", true, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[2] ^= 1 }),
		Entry("its data key", true, func(e *v1alpha1.Envelope) { e.Spec.EncryptedDataKey[len(e.Spec.EncryptedDataKey)-1] ^= 1 }),
		Entry("that it has a data key", true, func(e *v1alpha1.Envelope) { e.Spec.EncryptedDataKey = nil }),
		Entry("its ciphertext, without a key", false, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[len(e.Spec.Ciphertext)-1] ^= 1 }),
		Entry("its stages, without a key", false, func(e *v1alpha1.Envelope) { e.Spec.Stages = []string{"other"} }),
		Entry("the name of its key, without a key", false, func(e *v1alpha1.Envelope) { e.Spec.KeyARN = "strongroom:domain-key/9" }),
	)

	It("under the keyring alone is none of an object whose versions are all under a KMSKey: somebody has put it there", func() {
		under, plain := put(content(1, "hush")), put(keyless(2, "plain"))
		keyed := of()
		keyed.Keyed = true
		value, err := kept.Value(ctx, keyed, under)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(value.Reveal())).To(Equal("hush"))
		_, err = kept.Fetch(ctx, keyed, plain)
		tampered(err)
		_, err = kept.Value(ctx, keyed, plain)
		tampered(err)
		tampered(kept.Verify(ctx, keyed, plain))
		Expect(err).To(MatchError(And(ContainSubstring("encrypted under no KMSKey"), Not(ContainSubstring("plain")))))
		Expect(read(plain)).To(Equal("plain"), "it is whole, and of an object of another type")
	})

	It("is its own object's alone: another's of the same ARN does not open it", func() {
		v := put(content(1, "hush"))
		other := of()
		other.Name = "other"
		_, err := kept.Value(ctx, other, v)
		tampered(err)
		other = of()
		other.ARN += "x"
		_, err = kept.Value(ctx, other, v)
		Expect(err).To(MatchError(store.ErrMissing))
		v.ID = "one"
		_, err = read(v)
		tampered(err)
	})

	It("whose key is gone or disabled is a fault that says which, and not damage", func() {
		v := put(content(1, "hush"))
		world.Update(key, func() { off := false; key.Spec.Enabled = &off })
		world.ReconcileKey(key)
		_, err := read(v)
		Expect(fault.Of(err).Reason).To(Equal(v1alpha1.ReasonKeyUnusable))
		_, _, err = kept.Put(ctx, of(), content(2, "next"))
		Expect(fault.Of(err).Reason).To(Equal(v1alpha1.ReasonKeyUnusable))
		Expect(stored()).To(HaveLen(1))
	})

	It("cannot be put nor read while the keyring is sealed, and loses nothing by that", func() {
		text, secret := put(keyless(1, "plain")), put(content(2, "hush"))
		unseal := world.Seal(keyring.ErrSealed)
		for _, v := range []versions.Version{text, secret} {
			_, err := read(v)
			Expect(err).To(MatchError(keyring.ErrSealed))
		}
		for _, c := range []sealed.Content{keyless(3, "x"), content(3, "x")} {
			_, _, err := kept.Put(ctx, of(), c)
			Expect(err).To(MatchError(keyring.ErrSealed))
		}
		unseal()
		Expect(read(text)).To(Equal("plain"))
		Expect(read(secret)).To(Equal("hush"))
		Expect(stored()).To(HaveLen(2))
	})

	It("of one value is another ciphertext each time, and no plaintext is in any", func() {
		seen := map[string]bool{}
		for n := range int64(8) {
			c := content(n+1, "hush hush hush")
			if n%2 == 0 {
				c.Key = nil
			}
			put(c)
			e := numbered(n + 1)
			Expect(string(e.Spec.Ciphertext)).NotTo(ContainSubstring("hush"))
			seen[string(e.Spec.Ciphertext[36:])] = true
		}
		Expect(seen).To(HaveLen(8))
	})
})

var _ = Describe("A sequence number", func() {
	It("that many writers race for is one writer's, and all of them are given that one's version", func() {
		const writers = 32
		var wg sync.WaitGroup
		made := make([]bool, writers)
		given := make([]versions.Version, writers)
		for i := range writers {
			wg.Go(func() {
				defer GinkgoRecover()
				c := content(1, fmt.Sprint("value of ", i))
				if i%2 == 0 {
					c.Key = nil // by whatever way
				}
				var err error
				given[i], made[i], err = kept.Put(ctx, of(), c)
				Expect(err).NotTo(HaveOccurred())
			})
		}
		wg.Wait()
		winners := 0
		for i := range writers {
			if made[i] {
				winners++
				Expect(read(given[i])).To(Equal(fmt.Sprint("value of ", i)))
			}
		}
		Expect(winners).To(Equal(1))
		Expect(given).To(HaveEach(given[0]))
		Expect(stored()).To(HaveLen(1))
	})

	It("whose answer was lost is found, and keeps the value of the first attempt", func() {
		_, writes := world.Faulty()
		faulty := *kept
		faulty.Store = &store.Store{Client: writes, Live: world.Services.Live}
		writes.FailAt(1, true)
		_, _, err := faulty.Put(ctx, of(), content(1, "first"))
		Expect(err).To(MatchError(environment.ErrInjected))
		writes.FailAt(1, false)
		_, _, err = faulty.Put(ctx, of(), content(2, "never stored"))
		Expect(err).To(MatchError(environment.ErrInjected))
		v, made, err := kept.Put(ctx, of(), content(1, "second"))
		Expect(err).NotTo(HaveOccurred())
		Expect(made).To(BeFalse())
		Expect(read(v)).To(Equal("first"))
		Expect(stored()).To(HaveLen(1))
	})

	DescribeTable("under which somebody has planted an Envelope is refused: what does not open is nobody's version",
		func(plant func(*v1alpha1.Envelope)) {
			put(content(1, "hush"))
			planted := numbered(1)
			planted.Name = store.Name(v1alpha1.EnvelopeParameterVersion, subject, 2)
			planted.ResourceVersion, planted.UID = "", ""
			planted.Spec.Sequence, planted.Spec.Version = 2, "2"
			plant(planted)
			world.Create(planted)
			_, made, err := kept.Put(ctx, of(), content(2, "next"))
			Expect(made).To(BeFalse())
			tampered(err)
			world.Remove(planted)
			Expect(read(put(content(2, "next")))).To(Equal("next"))
		},
		Entry("a copy of an older version", func(*v1alpha1.Envelope) {}),
		Entry("bytes of nobody's", func(e *v1alpha1.Envelope) {
			e.Spec.Ciphertext = []byte("planted, and long enough to be a ciphertext of format 1 by its looks alone")
		}),
		Entry("one without a data key", func(e *v1alpha1.Envelope) { e.Spec.EncryptedDataKey = nil }),
		Entry("one of another id", func(e *v1alpha1.Envelope) { e.Spec.Version = "evil" }),
		Entry("one of another owner", func(e *v1alpha1.Envelope) { e.Spec.Owner.Name = "other" }),
		Entry("one of another subject", func(e *v1alpha1.Envelope) { e.Spec.Subject += "x" }),
		Entry("one of another number", func(e *v1alpha1.Envelope) { e.Spec.Sequence = 3 }),
	)
})
