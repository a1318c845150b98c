package sealed_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// three puts three versions.
func three() (ix versions.Index) {
	GinkgoHelper()
	for n := range int64(3) {
		ix = append(ix, put(content(n+1, fmt.Sprint("value ", n+1))))
	}
	return ix
}

var _ = Describe("Resuming", func() {
	It("takes in all that was stored behind the index, and nothing else", func() {
		all := three()
		other := of()
		other.Name, other.ARN = "other", subject+"x"
		_, _, err := kept.Put(ctx, other, content(1, "theirs"))
		Expect(err).NotTo(HaveOccurred())
		for n := range 4 {
			ix, err := kept.Resume(ctx, of(), all[:n:n])
			Expect(err).NotTo(HaveOccurred())
			Expect(ix).To(Equal(all), "of %d", n)
		}
		Expect(kept.Resume(ctx, of(), all[1:])).To(Equal(all[1:]), "what the index let go stays gone")
	})

	It("does not jump over a number that is missing", func() {
		all := three()
		world.Remove(numbered(2))
		ix, err := kept.Resume(ctx, of(), all[:1:1])
		Expect(err).NotTo(HaveOccurred())
		Expect(sequences(ix)).To(Equal([]int64{1}))
	})

	It("does not take in what does not open, and keeps the index as it was", func() {
		all := three()
		world.Exchange(numbered(2), func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[40] ^= 1 })
		ix, err := kept.Resume(ctx, of(), all[:1:1])
		tampered(err)
		Expect(err).To(MatchError(And(ContainSubstring(numbered(2).Name), ContainSubstring("keep a copy of it"), ContainSubstring("delete it"),
			Not(ContainSubstring("does not open; restore it")))), "it is in nobody's index, so it is mostly no version that was in force")
		Expect(sequences(ix)).To(Equal([]int64{1}))
	})

	It("says the same of one that the next version finds in its place, and makes none there", func() {
		first := put(content(1, "value 1"))
		second := put(content(2, "forged"))
		world.Exchange(numbered(2), func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[40] ^= 1 })
		_, made, err := kept.Put(ctx, of(), content(2, "wanted"))
		tampered(err)
		Expect(made).To(BeFalse())
		Expect(err).To(MatchError(ContainSubstring("delete it")))
		Expect(read(first)).To(Equal("value 1"))
		world.Remove(numbered(2))
		again, made, err := kept.Put(ctx, of(), content(2, "wanted"))
		Expect(err).NotTo(HaveOccurred())
		Expect(made).To(BeTrue())
		Expect(again.Sequence).To(Equal(second.Sequence))
		Expect(read(again)).To(Equal("wanted"))
	})

	It("says of a version in force that does not open that a backup helps", func() {
		first := put(content(1, "value 1"))
		world.Exchange(numbered(1), func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[40] ^= 1 })
		_, err := kept.Value(ctx, of(), first)
		tampered(err)
		Expect(err).To(MatchError(And(ContainSubstring("restore it from a backup"), Not(ContainSubstring("delete it")))))
	})

	It("tells an index that has a version under another number", func() {
		all := three()
		wrong := versions.Index{{ID: "2", Sequence: 1, Created: all[0].Created}}
		_, err := kept.Resume(ctx, of(), wrong)
		tampered(err)
		Expect(err).To(MatchError(ContainSubstring("status.versions")))
	})
})

var _ = Describe("Pruning", func() {
	It("deletes what the index let go, once and again, and nothing else", func() {
		all := three()
		for range 2 {
			Expect(kept.LetGo(ctx, of(), all[:2])(ctx)).To(Succeed())
			Expect(stored()).To(HaveLen(1))
			Expect(read(all[2])).To(Equal("value 3"))
		}
	})

	It("does not delete another's Envelope that stands under the number", func() {
		all := three()
		world.Exchange(numbered(1), func(e *v1alpha1.Envelope) { e.Spec.Owner.Name = "other" })
		tampered(kept.LetGo(ctx, of(), all[:1])(ctx))
		Expect(stored()).To(HaveLen(3))
	})

	It("that dies in the middle goes on where it was", func() {
		all := three()
		_, writes := world.Faulty()
		faulty := *kept
		faulty.Store = &store.Store{Client: writes, Live: world.Services.Live}
		for _, after := range []bool{false, true} {
			writes.FailAt(1, after)
			Expect(faulty.LetGo(ctx, of(), all[:2])(ctx)).To(MatchError(environment.ErrInjected))
		}
		Expect(kept.LetGo(ctx, of(), all[:2])(ctx)).To(Succeed())
		Expect(stored()).To(HaveLen(1))
	})
})

// lost is the object after its index was lost.
func lost() sealed.Lost {
	return sealed.Lost{
		Namespace: world.Namespace, Name: "db", Reading: "db/1", Created: world.Clock.Now(), Mine: func(arn string) bool { return arn == subject },
	}
}

// entomb stores a tombstone of versions that end in so long.
func entomb(ix versions.Index, window time.Duration, changes ...func(*v1alpha1.Envelope)) *v1alpha1.Envelope {
	GinkgoHelper()
	ring, err := world.Services.Keyring.Get()
	Expect(err).NotTo(HaveOccurred())
	now := world.Clock.Now()
	e, err := store.NewTombstone(ring, world.Namespace, kept.Owner("db"), subject, store.Tombstone{Spec: []byte(`{"type":"String"}`), Index: ix},
		now.Add(-time.Hour), now.Add(window))
	Expect(err).NotTo(HaveOccurred())
	for _, c := range changes {
		c(e)
	}
	world.Create(e)
	return e
}

var _ = Describe("Restoring", func() {
	It("finds nothing where there is nothing, or only another's", func() {
		Expect(kept.Restore(ctx, lost())).To(Equal(sealed.Restored{}))
		three()
		other := lost()
		other.Mine = func(string) bool { return false }
		Expect(kept.Restore(ctx, other)).To(Equal(sealed.Restored{}))
		other = lost()
		other.Name = "other"
		Expect(kept.Restore(ctx, other)).To(Equal(sealed.Restored{}))
	})

	It("rebuilds the index from the Envelopes alone, without labels that were put on later", func() {
		all := three()
		back, err := kept.Restore(ctx, lost())
		Expect(err).NotTo(HaveOccurred())
		Expect(back.ARN).To(Equal(subject))
		Expect(sequences(back.Index)).To(Equal(sequences(all)))
		Expect(back.Deleted).To(BeTrue(), "more than an interrupted first pass leaves")
		Expect(back.Spec).To(BeNil())
	})

	It("tells the first version of an interrupted pass from those of a deleted object", func() {
		put(content(1, "first"))
		back, err := kept.Restore(ctx, lost())
		Expect(err).NotTo(HaveOccurred())
		Expect(sequences(back.Index)).To(Equal([]int64{1}))
		Expect(back.Deleted).To(BeFalse())
	})

	It("takes labels and the last spec from a tombstone, as long as the window lasts", func() {
		all := three()
		labelled, _, err := all.Label("1", []string{"stable"})
		Expect(err).NotTo(HaveOccurred())
		entomb(labelled, time.Hour)
		back, err := kept.Restore(ctx, lost())
		Expect(err).NotTo(HaveOccurred())
		Expect(back.Index[0].Stages).To(Equal([]string{"stable"}))
		Expect(string(back.Spec)).To(Equal(`{"type":"String"}`))
		Expect(back.Deleted).To(BeTrue())
		for created, restored := range map[time.Duration]bool{time.Hour - time.Second: true, time.Hour: false, 2 * time.Hour: false} {
			at := lost()
			at.Created = world.Clock.Now().Add(created)
			back, err := kept.Restore(ctx, at)
			Expect(err).NotTo(HaveOccurred())
			Expect(back.ARN != "").To(Equal(restored), "created %s later", created)
		}
	})

	It("believes no tombstone that does not open, and none of an earlier deletion", func() {
		all := three()
		labelled, _, err := all.Label("1", []string{"stable"})
		Expect(err).NotTo(HaveOccurred())
		bad := entomb(labelled, time.Hour, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[50] ^= 1 })
		_, err = kept.Restore(ctx, lost())
		tampered(err)
		world.Remove(bad)
		entomb(labelled[:2], time.Hour) // of when there were two versions
		back, err := kept.Restore(ctx, lost())
		Expect(err).NotTo(HaveOccurred())
		Expect(sequences(back.Index)).To(Equal([]int64{1, 2, 3}))
		Expect(back.Index[0].Stages).To(BeEmpty(), "a label of before the last version")
	})

	It("leaves out what does not open, and refuses to bring back an older value in the place of the last", func() {
		three()
		world.Exchange(numbered(2), func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[50] ^= 1 })
		back, err := kept.Restore(ctx, lost())
		Expect(err).NotTo(HaveOccurred())
		Expect(sequences(back.Index)).To(Equal([]int64{1, 3}))
		Expect(back.Damaged).To(HaveLen(1))
		world.Exchange(numbered(3), func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[50] ^= 1 })
		_, err = kept.Restore(ctx, lost())
		tampered(err)
	})

	It("tells that versions may come back, to an object of their type and within the window, also while the keyring is sealed", func() {
		returns := func(of string, created time.Duration) bool {
			GinkgoHelper()
			at := lost()
			at.Type, at.Created = of, at.Created.Add(created)
			back, err := kept.Returns(ctx, at)
			Expect(err).NotTo(HaveOccurred())
			return back
		}
		Expect(returns("SecureString", 0)).To(BeFalse(), "there is nothing")
		entomb(three(), time.Hour)
		for _, sealed := range []bool{false, true} {
			if sealed {
				world.Seal(keyring.ErrSealed)
			}
			Expect(returns("SecureString", 0)).To(BeTrue())
			Expect(returns("String", 0)).To(BeFalse())
			Expect(returns("SecureString", time.Hour)).To(BeFalse(), "the window is over")
			other := lost()
			other.Mine = func(string) bool { return false }
			Expect(kept.Returns(ctx, other)).To(BeFalse())
		}
	})

	It("waits while a key is not whole or the keyring is sealed: that is no verdict on a version", func() {
		three()
		world.Refresh(key)
		key.Status.Conditions = []metav1.Condition{{
			Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: "Test", LastTransitionTime: metav1.Now(),
		}}
		Expect(world.ControlPlane.Client.Status().Update(ctx, key)).To(Succeed())
		world.Seen(key)
		e := world.Exchange(numbered(1), func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[50] ^= 1 })
		_, err := kept.Restore(ctx, lost())
		tampered(err)
		world.ReconcileKey(key)
		back, err := kept.Restore(ctx, lost())
		Expect(err).NotTo(HaveOccurred())
		Expect(back.Damaged).To(HaveLen(1))
		Expect(back.Damaged[0].Name).To(Equal(e.Name))
		world.Seal(keyring.ErrSealed)
		_, err = kept.Restore(ctx, lost())
		Expect(err).To(MatchError(keyring.ErrSealed))
	})
})
