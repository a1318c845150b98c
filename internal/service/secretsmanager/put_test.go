package secretsmanager_test

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// binding is what ties a payload to its Envelope, written out from the documentation.
func binding(e *v1alpha1.Envelope) keys.Context {
	return keys.Context{
		"namespace": e.Namespace, "class": "SecretVersion", "owner": "Secret/db", "subject": subject,
		"version": e.Spec.Version, "sequence": strconv.FormatInt(e.Spec.Sequence, 10), "stages": versions.Current,
		"created": strconv.FormatInt(e.Spec.CreatedTime.Unix(), 10), "expires": "", "key": key.Status.ARN,
	}
}

var _ = Describe("A version that is put", func() {
	It("is an Envelope of its own, and its index entry says when and as what it was made", func() {
		v := put(1, "hunter2")
		Expect(v).To(And(HaveField("Sequence", int64(1)), HaveField("Stages", []string{versions.Current})))
		Expect(v.Created).To(BeTemporally("==", world.Clock.Now().Truncate(time.Second)))
		e := envelopeOf(v)
		Expect(e.Name).To(Equal(store.Name(v1alpha1.EnvelopeSecretVersion, subject, 1)))
		Expect(e.Spec).To(And(HaveField("Owner", v1alpha1.EnvelopeOwner{Kind: "Secret", Name: "db"}),
			HaveField("Subject", subject), HaveField("Version", v.ID), HaveField("KeyARN", key.Status.ARN)))
		Expect(e.Spec.Ciphertext).To(HaveLen(keys.Overhead + len("hunter2")))
		Expect(read(v)).To(Equal("hunter2"))
		Expect(service().Versions().Verify(ctx, of(), v)).To(Succeed())
	})

	// https://docs.aws.amazon.com/secretsmanager/latest/userguide/security-encryption.html: each value under a data key of
	// its own, and that under the KMS key with the encryption context of SecretARN and SecretVersionId.
	It("opens by AWS's description alone: the KMS key, the encryption context, the data key", func() {
		v := put(1, "hunter2")
		e := envelopeOf(v)
		aws := keys.Context{"SecretARN": subject, "SecretVersionId": v.ID}
		dataKey, err := world.Services.KMS.Decrypt(ctx, key, aws, e.Spec.EncryptedDataKey)
		Expect(err).NotTo(HaveOccurred())
		Expect(dataKey.Len()).To(Equal(32))
		id, err := keys.ParseKeyID(key.Status.KeyID)
		Expect(err).NotTo(HaveOccurred())
		value, err := keys.Open(dataKey, keys.Header{Kind: keys.KindSecretVersion, KeyID: id}, binding(e), e.Spec.Ciphertext)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(value.Reveal())).To(Equal("hunter2"))

		for _, wrong := range []keys.Context{
			nil, {"SecretARN": subject}, {"SecretVersionId": v.ID}, {"SecretARN": v.ID, "SecretVersionId": subject},
			{"SecretARN": subject + "x", "SecretVersionId": v.ID}, {"secretARN": subject, "secretVersionId": v.ID},
		} {
			_, err := world.Services.KMS.Decrypt(ctx, key, wrong, e.Spec.EncryptedDataKey)
			Expect(err).To(MatchError(keys.ErrInvalidCiphertext), "%v", wrong)
		}
	})

	It("has a data key that no other version has, though the values are the same", func() {
		seen := map[string]bool{}
		for n := range int64(6) {
			v := put(n+1, "the same value")
			e := envelopeOf(v)
			dataKey, err := world.Services.KMS.Decrypt(ctx, key,
				keys.Context{"SecretARN": subject, "SecretVersionId": v.ID}, e.Spec.EncryptedDataKey)
			Expect(err).NotTo(HaveOccurred())
			for _, b := range [][]byte{dataKey.Reveal(), e.Spec.Ciphertext[36:], e.Spec.EncryptedDataKey[36:]} {
				seen[string(b)] = true
			}
		}
		Expect(seen).To(HaveLen(18))
	})

	It("is under the material that is current, and stays readable through later rotations", func() {
		var made []versions.Version
		for n := range int64(3) {
			if n > 0 {
				world.Rotate(key, fmt.Sprint(n))
			}
			v := put(n+1, fmt.Sprint("value ", n))
			made = append(made, v)
			h, err := keys.ParseHeader(envelopeOf(v).Spec.EncryptedDataKey)
			Expect(err).NotTo(HaveOccurred())
			prefix, err := keys.MaterialIDPrefix(key.Status.KeyMaterials[n].ID)
			Expect(err).NotTo(HaveOccurred())
			Expect(h.MaterialID).To(Equal(prefix))
		}
		for n, v := range made {
			Expect(read(v)).To(Equal(fmt.Sprint("value ", n)))
		}
	})

	It("leaves the caller's value to the caller, and gives each reader bytes of its own", func() {
		in := input(1, "hunter2", versions.Current)
		v, _, err := service().Put(ctx, of(), in)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(in.Value.Reveal())).To(Equal("hunter2"), "the caller wipes it when it is done with it")
		first, err := service().Versions().Value(ctx, of(), v)
		Expect(err).NotTo(HaveOccurred())
		first.Wipe()
		Expect(read(v)).To(Equal("hunter2"))
	})
})

// https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_limits.html: 65,536 bytes
var _ = DescribeTable("The length of a value",
	func(length int, taken bool) {
		value := strings.Repeat("é\x00", length)[:length] // bytes count, be they characters or not
		v, _, err := service().Put(ctx, of(), input(1, value, versions.Current))
		if taken {
			Expect(err).NotTo(HaveOccurred())
			Expect(read(v)).To(Equal(value))
			return
		}
		faultOf(err, v1alpha1.ReasonInvalidValue, true)
		Expect(world.Envelopes(v1alpha1.EnvelopeSecretVersion)).To(BeEmpty())
		if length > 0 {
			Expect(err).To(MatchError(And(ContainSubstring(strconv.Itoa(length)), ContainSubstring("65536"))))
		}
	},
	Entry("of nothing", 0, false), Entry("of one byte", 1, true), Entry("of one below the limit", 65535, true),
	Entry("of the limit", 65536, true), Entry("of one above it", 65537, false), Entry("of a megabyte", 1<<20, false),
)

// fixed is a source of random bytes that a test chooses.
func fixed(b []byte) func(*secretsmanager.Service, *kms.Service) {
	return func(s *secretsmanager.Service, _ *kms.Service) { s.Random = bytes.NewReader(b) }
}

var _ = Describe("A version's id", func() {
	It("is a UUID of version 4 and variant 10, another each time", func() {
		seen := map[string]bool{}
		for n := range int64(20) {
			id, err := uuid.Parse(put(n+1, "x").ID)
			Expect(err).NotTo(HaveOccurred())
			Expect(id.Version()).To(Equal(uuid.Version(4)))
			Expect(id.Variant()).To(Equal(uuid.RFC4122))
			seen[id.String()] = true
		}
		Expect(seen).To(HaveLen(20))
	})

	// RFC 9562, appendix A.3, has the random bits 919108F752D133205BACF847DB4148A8.
	DescribeTable("is made of random bits as RFC 9562, section 5.4, says",
		func(random []byte, id string) {
			v, _, err := service(fixed(random)).Put(ctx, of(), input(1, "x", versions.Current))
			Expect(err).NotTo(HaveOccurred())
			Expect(v.ID).To(Equal(id))
		},
		Entry("with the RFC's own example", []byte("\x91\x91\x08\xf7\x52\xd1\x33\x20\x5b\xac\xf8\x47\xdb\x41\x48\xa8"),
			"919108f7-52d1-4320-9bac-f847db4148a8"),
		Entry("with all bits", bytes.Repeat([]byte{0xff}, 16), "ffffffff-ffff-4fff-bfff-ffffffffffff"),
		Entry("with none", make([]byte, 16), "00000000-0000-4000-8000-000000000000"),
	)

	It("is not made of a random source that fails", func() {
		_, _, err := service(fixed(make([]byte, 15))).Put(ctx, of(), input(1, "x", versions.Current))
		Expect(err).To(MatchError(ContainSubstring("random")))
		Expect(world.Envelopes(v1alpha1.EnvelopeSecretVersion)).To(BeEmpty())
	})
})

var _ = Describe("A sequence number", func() {
	It("that an earlier attempt used keeps that attempt's value, and the new one is dropped", func() {
		first := put(1, "first")
		world.Clock.Advance(time.Hour)
		again, _, err := service().Put(ctx, of(), input(1, "second", versions.Pending))
		Expect(err).NotTo(HaveOccurred())
		Expect(again).To(Equal(first))
		Expect(read(again)).To(Equal("first"))
	})

	It("whose Envelope was stored and only the answer lost is found by the next attempt", func() {
		_, writes := world.Faulty()
		faulty := service(func(s *secretsmanager.Service, _ *kms.Service) {
			s.Store = &store.Store{Client: writes, Live: world.Services.Live}
		})
		writes.FailAt(1, true)
		_, _, err := faulty.Put(ctx, of(), input(1, "first", versions.Current))
		Expect(err).To(MatchError(environment.ErrInjected))
		Expect(read(put(1, "second"))).To(Equal("first"))
	})

	It("that 32 writers race for has one winner, whose version all of them are given", func() {
		const writers = 32
		given := make([]versions.Version, writers)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				defer GinkgoRecover()
				<-start
				var err error
				given[i], _, err = service().Put(ctx, of(), input(1, fmt.Sprint("value of writer ", i), versions.Current))
				Expect(err).NotTo(HaveOccurred())
			})
		}
		close(start)
		wg.Wait()
		Expect(world.Envelopes(v1alpha1.EnvelopeSecretVersion)).To(HaveLen(1))
		Expect(given).To(HaveEach(given[0]))
		Expect(given[0].ID).To(Equal(world.Envelopes(v1alpha1.EnvelopeSecretVersion)[0].Spec.Version))
		Expect(read(given[0])).To(MatchRegexp(`^value of writer \d+$`))
	})

	It("is each secret's own", func() {
		mine := put(1, "mine")
		other := sealed.Subject{Namespace: world.Namespace, Name: "other", ARN: subject[:len(subject)-1] + "x"}
		theirs, _, err := service().Put(ctx, other, input(1, "theirs", versions.Current))
		Expect(err).NotTo(HaveOccurred())
		Expect(theirs.ID).NotTo(Equal(mine.ID))
		Expect(read(mine)).To(Equal("mine"))
		_, err = read(theirs)
		Expect(err).To(MatchError(store.ErrTampered), "the entry of another secret's version is no entry of this one")
	})
})

// witness is a source of random bytes that remembers where it wrote them.
type witness struct{ given [][]byte }

func (w *witness) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i + 1)
	}
	w.given = append(w.given, p)
	return len(p), nil
}

var _ = Describe("A data key in the clear", func() {
	DescribeTable("does not stay in memory",
		func(fail bool) {
			w := &witness{}
			_, writes := world.Faulty()
			s := service(func(s *secretsmanager.Service, k *kms.Service) {
				k.Random = w
				s.Store = &store.Store{Client: writes, Live: world.Services.Live}
			})
			if fail {
				writes.FailAt(1, false)
			}
			_, _, err := s.Put(ctx, of(), input(1, "hunter2", versions.Current))
			Expect(err != nil).To(Equal(fail))
			Expect(w.given).To(HaveLen(1))
			Expect(w.given[0]).To(And(HaveLen(32), HaveEach(byte(0))))
		},
		Entry("when its version is stored", false), Entry("when that fails", true),
	)
})

var _ = Describe("A value", func() {
	DescribeTable("is checked for its length and nothing else",
		func(value secretbytes.Bytes, ok bool) {
			Expect(secretsmanager.CheckValue(value) == nil).To(Equal(ok))
		},
		Entry("of a zero byte", secretbytes.Own([]byte{0}), true),
		Entry("of bytes that are no text", secretbytes.Own([]byte{0xff, 0xfe}), true),
		Entry("of blanks", secretbytes.Own([]byte("  \n")), true),
		Entry("that is the zero Bytes", secretbytes.Bytes{}, false),
	)
})
