package store_test

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
)

func TestAMarkThatSkipsTheWindowCountsWhereNobodyElseOwnsTheObject(t *testing.T) {
	mine := metav1.OwnerReference{APIVersion: "strongroom.dev/v1alpha1", Kind: "Secret", Name: "primary", UID: "1"}
	theirs := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "nobody", UID: "2"}
	ours := func(o metav1.OwnerReference) bool { return o.UID == mine.UID }
	for name, tt := range map[string]struct {
		mark   string
		owners []metav1.OwnerReference
		ours   func(metav1.OwnerReference) bool
		want   bool
		left   int
	}{
		"nobody owns it":                       {"true", nil, ours, true, 0},
		"nobody, and no owner is Strongroom's": {"true", nil, nil, true, 0},
		"by another of the values":             {"Request", nil, nil, true, 0},
		"by no value":                          {"", nil, nil, false, 0},
		"by another word":                      {"yes", nil, nil, false, 0},
		"Strongroom owns it":                   {"true", []metav1.OwnerReference{mine}, ours, true, 1},
		"somebody owns it":                     {"true", []metav1.OwnerReference{theirs}, ours, false, 0},
		"both own it":                          {"true", []metav1.OwnerReference{mine, theirs}, ours, false, 1},
		"one that would be Strongroom's of another kind": {"true", []metav1.OwnerReference{mine}, nil, false, 0},
	} {
		p := &v1alpha1.Parameter{ObjectMeta: metav1.ObjectMeta{OwnerReferences: tt.owners, Annotations: map[string]string{v1alpha1.ForceDeleteAnnotation: tt.mark}}}
		if got := store.SkipsWindow(p, tt.ours, "true", "Request"); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
		store.Disown(p, tt.ours)
		if len(p.OwnerReferences) != tt.left {
			t.Errorf("%s: %d owners are left", name, len(p.OwnerReferences))
		}
		if marked := tt.mark == "true" || tt.mark == "Request"; store.SkipsWindow(p, tt.ours, "true", "Request") != marked {
			t.Errorf("%s: the mark does not count by itself", name)
		}
	}
}

func TestATombstoneThatDoesNotOpenIsForged(t *testing.T) {
	k := ring(t)
	e, err := store.NewTombstone(k, "shop", owner, subject, store.Tombstone{Index: versions.Index{}}, created, created.AddDate(0, 0, 30))
	if err != nil {
		t.Fatal(err)
	}
	if store.Forged(k, e) {
		t.Error("it is Strongroom's own")
	}
	longer, until := e.DeepCopy(), metav1.NewTime(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC))
	longer.Spec.ExpireTime = &until
	other := e.DeepCopy()
	other.Spec.Owner.Name = "other"
	empty := e.DeepCopy()
	empty.Spec.Ciphertext = []byte("x")
	for name, forged := range map[string]*v1alpha1.Envelope{"of another end": longer, "of another owner": other, "of nothing": empty} {
		if !store.Forged(k, forged) {
			t.Errorf("one %s is taken for Strongroom's", name)
		}
	}
}

// A finalizer on an Envelope is somebody's who has rights that nobody is given; and still it must bring nothing back.
var _ = Describe("An Envelope that is being deleted and that a finalizer holds", func() {
	const hold = "example.com/hold"
	made := func(sequence int64, finalizers ...string) *v1alpha1.Envelope {
		GinkgoHelper()
		e := payload(sequence, string(rune('a'+sequence)))
		e.Finalizers = finalizers
		_, err := world.Services.Store.Create(ctx, e)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() {
			if world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(e), e) == nil {
				e.Finalizers = nil
				Expect(world.ControlPlane.Client.Update(ctx, e)).To(Succeed())
			}
		})
		return e
	}
	read := func(e *v1alpha1.Envelope) v1alpha1.Envelope {
		GinkgoHelper()
		live := v1alpha1.Envelope{}
		Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(e), &live)).To(Succeed())
		return live
	}

	It("is nobody's to take over, be it marked or not, and its name is not free", func() {
		e := made(1, hold)
		Expect(world.ControlPlane.Client.Delete(ctx, e.DeepCopy())).To(Succeed())
		live := read(e)
		Expect(live.DeletionTimestamp).NotTo(BeNil())
		Expect(world.Services.Store.CheckTaken(ctx, &live)).To(MatchError(store.ErrCondemned))
		Expect(world.Services.Store.Take(ctx, "new", &live)).To(MatchError(store.ErrCondemned))
		_, err := world.Services.Store.Create(ctx, payload(1, "b"))
		Expect(err).To(MatchError(store.ErrCondemned))
	})

	It("as the first of an erasure has begun that: the mark is taken from none of the others, and they go", func() {
		first, second := made(2, hold), made(1, hold)
		_, err := world.Services.Store.EraseUnless(ctx, []v1alpha1.Envelope{*first, *second}, created, func(context.Context) (bool, error) { return false, nil })
		Expect(err).NotTo(HaveOccurred())
		for _, e := range []*v1alpha1.Envelope{first, second} {
			live := read(e)
			Expect(live.DeletionTimestamp).NotTo(BeNil())
			Expect(store.Condemned(&live)).To(BeTrue())
			Expect(world.Services.Store.Absolve(ctx, &live)).To(Succeed())
			live = read(e)
			Expect(store.Condemned(&live)).To(BeTrue(), "it can be had back")
		}
	})

	It("begins no erasure of the others, whose object is there", func() {
		held, other := made(2, hold), made(1)
		Expect(world.ControlPlane.Client.Delete(ctx, held.DeepCopy())).To(Succeed())
		live := read(held)
		back, err := world.Services.Store.EraseUnless(ctx, []v1alpha1.Envelope{live, *other}, created, func(context.Context) (bool, error) { return true, nil })
		Expect(err).NotTo(HaveOccurred())
		Expect(back).To(BeTrue())
		stays := read(other)
		Expect(store.Condemned(&stays)).To(BeFalse())
	})
})

var _ = Describe("An object that is being deleted", func() {
	It("is none that could be back: what it had is erased", func() {
		p := &v1alpha1.Parameter{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "a", Finalizers: []string{"example.com/hold"}}, Spec: v1alpha1.ParameterSpec{Type: v1alpha1.ParameterString}}
		Expect(world.ControlPlane.Client.Create(ctx, p)).To(Succeed())
		e, err := world.Services.Store.Create(ctx, payload(1, "a"))
		Expect(err).NotTo(HaveOccurred())
		erase := func() bool {
			GinkgoHelper()
			owner := &v1alpha1.Parameter{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: p.Name}}
			live := v1alpha1.Envelope{}
			Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(e), &live)).To(Succeed())
			back, err := world.Services.Store.Erase(ctx, owner, []v1alpha1.Envelope{live}, created)
			Expect(err).NotTo(HaveOccurred())
			return back
		}
		Expect(erase()).To(BeTrue())
		Expect(world.ControlPlane.Client.Delete(ctx, p)).To(Succeed())
		Expect(erase()).To(BeFalse())
		Expect(world.Envelopes(v1alpha1.EnvelopeSecretVersion)).To(BeEmpty())
		Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
		p.Finalizers = nil
		Expect(world.ControlPlane.Client.Update(ctx, p)).To(Succeed())
	})
})
