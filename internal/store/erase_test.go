package store_test

import (
	"context"
	"fmt"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// before lets somebody else act once before a write: an Envelope's deletion, or a patch of it, of the given number.
type before struct {
	client.Client
	deletion, patch int
	act             func()
}

func (b *before) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	if b.deletion--; b.deletion == 0 {
		b.act()
	}
	return b.Client.Delete(ctx, obj, opts...)
}

func (b *before) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	if b.patch--; b.patch == 0 {
		b.act()
	}
	return b.Client.Patch(ctx, obj, patch, opts...)
}

var _ = Describe("An erasure of several Envelopes", func() {
	var made []v1alpha1.Envelope
	BeforeEach(func() {
		made = nil
		for n := range int64(3) {
			e, err := world.Services.Store.Create(ctx, payload(n+1, fmt.Sprint(n+1)))
			Expect(err).NotTo(HaveOccurred())
			made = append(made, *e)
		}
	})
	over := func(c client.Client) *store.Store { return &store.Store{Client: c, Live: world.Services.Live} }
	there := func() (out []int64) {
		for _, e := range world.Envelopes(v1alpha1.EnvelopeSecretVersion) {
			out = append(out, e.Spec.Sequence)
		}
		slices.Sort(out)
		return out
	}
	marked := func() []v1alpha1.Envelope {
		return slices.DeleteFunc(world.Envelopes(v1alpha1.EnvelopeSecretVersion), func(e v1alpha1.Envelope) bool { return !store.Condemned(&e) })
	}
	absolveAll := func() {
		GinkgoHelper()
		for _, e := range marked() {
			Expect(world.Services.Store.Absolve(ctx, &e)).To(Succeed())
		}
	}
	erase := func(s *store.Store, envelopes []v1alpha1.Envelope, back bool) error {
		_, err := s.EraseUnless(ctx, envelopes, created, func(context.Context) (bool, error) { return back, nil })
		return err
	}
	dies := func(at int, after bool) {
		GinkgoHelper()
		_, writes := world.Faulty()
		writes.FailAt(at, after)
		Expect(erase(over(writes), made, false)).To(MatchError(environment.ErrInjected))
	}
	const marks = 3 // writes, before the first deletion

	It("that died before it erased anything is undone, whole", func() {
		for _, after := range []bool{false, true} {
			dies(marks, after)
			absolveAll()
			Expect(there()).To(Equal([]int64{1, 2, 3}))
			Expect(marked()).To(BeEmpty())
			made = world.Envelopes(v1alpha1.EnvelopeSecretVersion)
		}
	})

	It("that has erased the newest goes on, whoever absolves what is left and in whatever order", func() {
		dies(marks+1, true)
		Expect(there()).To(Equal([]int64{1, 2}))
		left := marked()
		for _, e := range left {
			Expect(world.Services.Store.CheckTaken(ctx, &e)).To(MatchError(store.ErrCondemned))
			Expect(world.Services.Store.Take(ctx, "new", &e)).To(MatchError(store.ErrCondemned))
		}
		absolveAll()
		Expect(there()).To(BeEmpty(), "an older value in the place of the newest")
	})

	It("that has erased the newest goes on by way of another that finds the object back", func() {
		dies(marks+1, true)
		Expect(erase(world.Services.Store, marked(), true)).To(Succeed())
		Expect(there()).To(BeEmpty())
	})

	It("stops, whole, where somebody absolved the oldest alone before it could erase anything", func() {
		b := &before{Client: world.GetClient(), deletion: 1, act: func() {
			e := world.Envelopes(v1alpha1.EnvelopeSecretVersion)
			oldest := slices.IndexFunc(e, func(e v1alpha1.Envelope) bool { return e.Spec.Sequence == 1 })
			Expect(world.Services.Store.Absolve(ctx, &e[oldest])).To(Succeed())
		}}
		Expect(apierrors.IsConflict(erase(over(b), made, false))).To(BeTrue())
		Expect(there()).To(Equal([]int64{1, 2, 3}))
		absolveAll()
		Expect(there()).To(Equal([]int64{1, 2, 3}))
	})

	It("ends what it began where somebody absolves the rest in the middle of it", func() {
		b := &before{Client: world.GetClient(), deletion: 2, act: absolveAll}
		Expect(erase(over(b), made, false)).To(Succeed())
		Expect(there()).To(BeEmpty())
	})

	It("leaves all of them to another that marked them since, and that one erases them", func() {
		b := &before{Client: world.GetClient(), deletion: 1, act: func() {
			Expect(erase(world.Services.Store, marked(), false)).To(Succeed())
		}}
		Expect(erase(over(b), made, false)).To(Succeed(), "they are gone, as was wanted")
		Expect(there()).To(BeEmpty())
	})

	It("is not undone by one that absolves for an earlier erasure", func() {
		dies(marks, true)
		stale := marked()
		oldest := stale[slices.IndexFunc(stale, func(e v1alpha1.Envelope) bool { return e.Spec.Sequence == 1 })]
		b := &before{Client: world.GetClient(), patch: 2, act: func() { // the newest is absolved, and the oldest not yet
			now := world.Envelopes(v1alpha1.EnvelopeSecretVersion)
			Expect(erase(world.Services.Store, now, false)).To(Succeed())
		}}
		Expect(over(b).Absolve(ctx, &oldest)).To(Succeed())
		Expect(there()).To(BeEmpty())
	})

	It("takes nothing that a backup brought back with its mark", func() {
		dies(marks+1, true)
		for _, e := range marked() {
			Expect(world.ControlPlane.Client.Delete(ctx, e.DeepCopy())).To(Succeed())
			e.UID, e.ResourceVersion = "", ""
			Expect(world.ControlPlane.Client.Create(ctx, &e)).To(Succeed())
		}
		absolveAll()
		Expect(there()).To(Equal([]int64{1, 2}))
		Expect(marked()).To(BeEmpty())
	})

	It("that an earlier version of Strongroom marked is undone, one by one", func() {
		for i := range made {
			metav1.SetMetaDataAnnotation(&made[i].ObjectMeta, v1alpha1.CondemnedAnnotation, created.Format(time.RFC3339))
			Expect(world.ControlPlane.Client.Update(ctx, &made[i])).To(Succeed())
		}
		absolveAll()
		Expect(there()).To(Equal([]int64{1, 2, 3}))
	})
})

var _ = Describe("An Envelope that an object takes over", func() {
	var read v1alpha1.Envelope
	BeforeEach(func() {
		e, err := world.Services.Store.Create(ctx, payload(1, "one"))
		Expect(err).NotTo(HaveOccurred())
		read = *e.DeepCopy()
	})

	It("is not deleted by who has read it before", func() {
		Expect(world.Services.Store.Take(ctx, "object", &read)).To(Succeed())
		Expect(apierrors.IsConflict(world.Services.Store.Delete(ctx, &read))).To(BeTrue())
		Expect(world.Envelopes(v1alpha1.EnvelopeSecretVersion)).To(HaveLen(1))
	})

	It("is written to once, and again for the object as it is when others have changed it, and for another object", func() {
		_, writes := world.Faulty()
		writes.FailAt(0, false)
		s := &store.Store{Client: writes, Live: world.Services.Live}
		object := &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{UID: "object", ResourceVersion: "1"}}
		for _, change := range []struct {
			by     func()
			writes int
		}{{func() {}, 1}, {func() {}, 1}, {func() { object.ResourceVersion = "2" }, 2}, {func() { object.UID = "other" }, 3}} {
			change.by()
			Expect(s.Take(ctx, store.Reading(object), &read)).To(Succeed())
			Expect(writes.Log()).To(HaveLen(change.writes))
		}
	})

	It("is not taken while one of several is condemned, and then none is written to", func() {
		other, err := world.Services.Store.Create(ctx, payload(2, "two"))
		Expect(err).NotTo(HaveOccurred())
		_, writes := world.Faulty()
		writes.FailAt(4, false) // two marks and the deletion of the newest come before
		_, _ = (&store.Store{Client: writes, Live: world.Services.Live}).Erase(ctx, &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "db"}}, []v1alpha1.Envelope{read, *other}, created)
		third, err := world.Services.Store.Create(ctx, payload(3, "three"))
		Expect(err).NotTo(HaveOccurred())
		Expect(world.Services.Store.Take(ctx, "object", third, &read)).To(MatchError(store.ErrCondemned))
		Expect(world.Services.Store.Take(ctx, "object", third, other)).To(MatchError(store.ErrCondemned), "it is gone")
		live := &v1alpha1.Envelope{}
		Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(third), live)).To(Succeed())
		Expect(live.Annotations).NotTo(HaveKey(v1alpha1.TakenAnnotation))
	})

	It("is taken by all who are about it for one object", func() {
		done := make(chan error)
		for range 8 {
			go func() { done <- world.Services.Store.Take(ctx, "object", read.DeepCopy()) }()
		}
		for range 8 {
			Expect(<-done).To(Succeed())
		}
	})
})
