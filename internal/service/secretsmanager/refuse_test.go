package secretsmanager_test

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/internal/store"
)

// Two versions are stored, and the second's Envelope is exchanged for what somebody makes of both.
var _ = Describe("An Envelope that was exchanged", func() {
	type forge func(e, older *v1alpha1.Envelope)

	DescribeTable("is refused, and its version is not handed out",
		func(change forge) {
			older, newer := put(1, "older"), put(2, "newer")
			former := envelopeOf(older)
			world.Exchange(envelopeOf(newer), func(e *v1alpha1.Envelope) { change(e, former) })
			value, err := service().Versions().Value(ctx, of(), newer)
			Expect(err).To(MatchError(store.ErrTampered))
			Expect(err).To(MatchError(ContainSubstring(store.Name(v1alpha1.EnvelopeSecretVersion, subject, 2))))
			Expect(value.Len()).To(BeZero())
			faultOf(service().Versions().Verify(ctx, of(), newer), v1alpha1.ReasonEnvelopeTampered, true)
			Expect(read(older)).To(Equal("older"), "the others are not touched")
		},
		Entry("for the older one", forge(func(e, older *v1alpha1.Envelope) { e.Spec = older.Spec })),
		Entry("for the older one that claims to be the newer", forge(func(e, older *v1alpha1.Envelope) {
			e.Spec.Ciphertext, e.Spec.EncryptedDataKey = older.Spec.Ciphertext, older.Spec.EncryptedDataKey
		})),
		Entry("for the older value under the newer's data key", forge(func(e, older *v1alpha1.Envelope) {
			e.Spec.Ciphertext = older.Spec.Ciphertext
		})),
		Entry("for the newer value under the older's data key", forge(func(e, older *v1alpha1.Envelope) {
			e.Spec.EncryptedDataKey = older.Spec.EncryptedDataKey
		})),
		Entry("with its two ciphertexts turned", forge(func(e, _ *v1alpha1.Envelope) {
			e.Spec.Ciphertext, e.Spec.EncryptedDataKey = e.Spec.EncryptedDataKey, e.Spec.Ciphertext
		})),
		Entry("without a data key", forge(func(e, _ *v1alpha1.Envelope) { e.Spec.EncryptedDataKey = nil })),
		Entry("with a value cut off", forge(func(e, _ *v1alpha1.Envelope) { e.Spec.Ciphertext = e.Spec.Ciphertext[:96] })),
		Entry("with a value made longer", forge(func(e, _ *v1alpha1.Envelope) { e.Spec.Ciphertext = append(e.Spec.Ciphertext, 0) })),
		Entry("with a bit of the data key's tag", forge(func(e, _ *v1alpha1.Envelope) {
			e.Spec.EncryptedDataKey[len(e.Spec.EncryptedDataKey)-1] ^= 0x80
		})),
		Entry("with a bit of the value's salt", forge(func(e, _ *v1alpha1.Envelope) { e.Spec.Ciphertext[40] ^= 1 })),
		Entry("with another stage", forge(func(e, _ *v1alpha1.Envelope) { e.Spec.Stages = []string{versions.Previous} })),
		Entry("with a time of creation a second earlier", forge(func(e, _ *v1alpha1.Envelope) {
			e.Spec.CreatedTime = metav1.NewTime(e.Spec.CreatedTime.Add(-1e9))
		})),
		Entry("with an owner of another kind", forge(func(e, _ *v1alpha1.Envelope) { e.Spec.Owner.Kind = "KMSKey" })),
		Entry("with an end", forge(func(e, _ *v1alpha1.Envelope) { e.Spec.ExpireTime = ptr.To(metav1.Unix(1, 0)) })),
		Entry("with another version id", forge(func(e, _ *v1alpha1.Envelope) { e.Spec.Version = "00000000-0000-4000-8000-000000000000" })),
		Entry("as a tombstone", forge(func(e, _ *v1alpha1.Envelope) { e.Spec.Class = v1alpha1.EnvelopeTombstone })),
	)

	It("that belongs to another Secret of the same AWS name is not handed out to this one", func() {
		v := put(1, "mine")
		thief := sealed.Subject{Namespace: world.Namespace, Name: "thief", ARN: subject}
		value, err := service().Versions().Value(ctx, thief, v)
		Expect(err).To(MatchError(store.ErrTampered))
		Expect(err).To(MatchError(ContainSubstring("belongs to Secret db, not to Secret thief")))
		Expect(value.Len()).To(BeZero())
		faultOf(service().Versions().Verify(ctx, thief, v), v1alpha1.ReasonEnvelopeTampered, true)
		_, _, err = service().Put(ctx, thief, input(1, "theirs", versions.Current))
		Expect(err).To(MatchError(store.ErrTampered), "nor taken for what it made earlier")
		Expect(read(v)).To(Equal("mine"))
	})

	It("for one that another key is said to encrypt is refused", func() {
		v := put(1, "mine")
		other := world.ReadyKey("other")
		world.Exchange(envelopeOf(v), func(e *v1alpha1.Envelope) { e.Spec.KeyARN = other.Status.ARN })
		_, err := read(v)
		Expect(err).To(MatchError(store.ErrTampered))
	})

	It("for one under a key that is not there says which key is missing, not that it was tampered with", func() {
		v := put(1, "mine")
		world.Exchange(envelopeOf(v), func(e *v1alpha1.Envelope) { e.Spec.KeyARN += "x" })
		_, err := read(v)
		faultOf(err, v1alpha1.ReasonKeyNotFound, true)
		Expect(err).To(MatchError(ContainSubstring(key.Status.ARN + "x")))
	})

	It("that is gone is missing, and good again when a backup is applied", func() {
		v := put(1, "mine")
		e := envelopeOf(v)
		world.Remove(e)
		_, err := read(v)
		Expect(err).To(MatchError(store.ErrMissing))
		faultOf(err, v1alpha1.ReasonEnvelopeMissing, true)
		backup := e.DeepCopy()
		backup.ObjectMeta = metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Name}
		world.Create(backup)
		Expect(read(v)).To(Equal("mine"))
	})

	// Whoever may write Envelopes can be first with the next sequence number, so that Put finds theirs.
	DescribeTable("for the one that Put is about to make is refused",
		func(change forge) {
			older := envelopeOf(put(1, "older"))
			forged := older.DeepCopy()
			forged.ObjectMeta = metav1.ObjectMeta{
				Namespace: world.Namespace, Name: store.Name(v1alpha1.EnvelopeSecretVersion, subject, 2),
			}
			change(forged, older)
			world.Create(forged)
			_, _, err := service().Put(ctx, of(), input(2, "newer", versions.Current))
			Expect(err).To(MatchError(store.ErrTampered))
			faultOf(err, v1alpha1.ReasonEnvelopeTampered, true)
		},
		Entry("as the older one is", forge(func(*v1alpha1.Envelope, *v1alpha1.Envelope) {})),
		Entry("with the right sequence number", forge(func(e, _ *v1alpha1.Envelope) { e.Spec.Sequence = 2 })),
		Entry("of another secret", forge(func(e, _ *v1alpha1.Envelope) { e.Spec.Sequence, e.Spec.Subject = 2, subject+"x" })),
		Entry("of another class", forge(func(e, _ *v1alpha1.Envelope) {
			e.Spec.Sequence, e.Spec.Class = 2, v1alpha1.EnvelopeTombstone
		})),
		Entry("of bytes made up", forge(func(e, _ *v1alpha1.Envelope) {
			e.Spec.Sequence, e.Spec.Ciphertext, e.Spec.EncryptedDataKey = 2, []byte("made up"), []byte("made up")
		})),
	)
})

var _ = Describe("A key that cannot be used", func() {
	It("stores nothing and reads nothing until it can", func() {
		v := put(1, "mine")
		world.Update(key, func() { key.Spec.Enabled = ptr.To(false) })
		world.ReconcileKey(key)
		_, _, err := service().Put(ctx, of(), input(2, "newer", versions.Current))
		faultOf(err, v1alpha1.ReasonKeyUnusable, false)
		_, err = read(v)
		faultOf(err, v1alpha1.ReasonKeyUnusable, false)
		Expect(world.Envelopes(v1alpha1.EnvelopeSecretVersion)).To(HaveLen(1))
		world.Update(key, func() { key.Spec.Enabled = nil })
		world.ReconcileKey(key)
		Expect(read(v)).To(Equal("mine"))
	})

	It("because the keyring is sealed is no fault of the Envelope", func() {
		v := put(1, "mine")
		unseal := world.Seal(errors.New("the root is gone"))
		_, err := read(v)
		Expect(err).To(MatchError(keyring.ErrSealed))
		faultOf(err, v1alpha1.ReasonSealed, false)
		_, _, err = service().Put(ctx, of(), input(2, "newer", versions.Current))
		faultOf(err, v1alpha1.ReasonSealed, false)
		unseal()
		Expect(read(v)).To(Equal("mine"))
	})
})

// Errors end in conditions, events and logs, which many may read who may not read the secret.
var _ = Describe("An error", func() {
	It("never quotes a value, whatever goes wrong", func() {
		const canary = "CANARY-hunter2-CANARY"
		var errs []error
		failed := func(_ versions.Version, _ bool, err error) {
			GinkgoHelper()
			Expect(err).To(HaveOccurred())
			errs = append(errs, err)
		}
		in := func(n int64) sealed.Content { return input(n, canary, versions.Current) }
		tooLong := in(9)
		tooLong.Value = input(9, strings.Repeat(canary, 4000)).Value
		failed(service().Put(ctx, of(), tooLong))
		noStage := in(9)
		noStage.Stages = []string{""} // what the API server refuses, quoting what it refuses
		failed(service().Put(ctx, of(), noStage))
		_, writes := world.Faulty()
		writes.FailAt(1, false)
		failed(service(func(s *secretsmanager.Service, _ *kms.Service) { s.Store = &store.Store{Client: writes} }).Put(ctx, of(), in(9)))

		v := put(1, canary)
		world.Exchange(envelopeOf(v), func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[100] ^= 1 })
		failed(service().Put(ctx, of(), in(1)))
		_, err := read(v)
		failed(v, false, err)
		world.Seal(errors.New("the root is gone"))
		failed(service().Put(ctx, of(), in(2)))
		disabled := in(2)
		disabled.Key = key.DeepCopy()
		disabled.Key.Status.KeyState = v1alpha1.KeyStateDisabled
		failed(service().Put(ctx, of(), disabled))

		for _, err := range errs {
			for _, form := range []string{"%v", "%+v", "%#v", "%q"} {
				text := fmt.Sprintf(form, err)
				for _, shown := range []string{
					"CANARY", hex.EncodeToString([]byte("hunter2")), base64.StdEncoding.EncodeToString([]byte(canary))[:24],
				} {
					Expect(text).NotTo(ContainSubstring(shown))
				}
			}
		}
	})
})
