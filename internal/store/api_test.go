package store_test

import (
	"context"
	"fmt"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// payload makes an Envelope of the spec's namespace that the API server takes.
func payload(sequence int64, id string) *v1alpha1.Envelope {
	e := envelope(sequence, id)
	e.Namespace = world.Namespace
	e.Spec.Ciphertext = []byte("payload of " + id)
	return e
}

func names(found []v1alpha1.Envelope) []string {
	out := make([]string, 0, len(found))
	for i := range found {
		out = append(out, found[i].Spec.Version)
	}
	return out
}

var _ = Describe("Creating an Envelope", func() {
	It("stores all of its spec, to the second", func() {
		e := payload(1, "one")
		e.Spec.EncryptedDataKey = []byte("data key")
		expires := metav1.NewTime(created.AddDate(0, 0, 7)).Rfc3339Copy()
		e.Spec.ExpireTime = &expires
		spec := *e.Spec.DeepCopy()
		made, err := world.Services.Store.Create(ctx, e)
		Expect(err).NotTo(HaveOccurred())
		Expect(made).To(BeIdenticalTo(e), "the caller tells its own from an earlier attempt's by the pointer")
		stored := world.Envelopes(v1alpha1.EnvelopeSecretVersion)
		Expect(stored).To(HaveLen(1))
		Expect(store.Binding(&stored[0])).To(Equal(store.Binding(e)), "what is stored would not open")
		Expect(stored[0].Spec.Ciphertext).To(Equal(spec.Ciphertext))
		Expect(stored[0].Spec.EncryptedDataKey).To(Equal(spec.EncryptedDataKey))
	})

	It("returns the one that an earlier attempt stored, as the API server has it, and changes nothing", func() {
		first, err := world.Services.Store.Create(ctx, payload(1, "first"))
		Expect(err).NotTo(HaveOccurred())
		second, err := world.Services.Store.Create(ctx, payload(1, "second"))
		Expect(err).NotTo(HaveOccurred())
		Expect(second.UID).To(Equal(first.UID))
		Expect(second.Spec.Version).To(Equal("first"))
		Expect(second.Spec.Ciphertext).To(Equal([]byte("payload of first")))
	})

	It("of one sequence number by 16 writers makes one, which all of them are given", func() {
		results := make([]string, 16)
		var wg sync.WaitGroup
		for i := range results {
			wg.Go(func() {
				defer GinkgoRecover()
				e, err := world.Services.Store.Create(ctx, payload(1, fmt.Sprintf("writer-%d", i)))
				Expect(err).NotTo(HaveOccurred())
				results[i] = e.Spec.Version
			})
		}
		wg.Wait()
		stored := world.Envelopes(v1alpha1.EnvelopeSecretVersion)
		Expect(stored).To(HaveLen(1))
		Expect(results).To(HaveEach(stored[0].Spec.Version))
	})

	It("that the API server refuses says which, and keeps the cause", func() {
		e := payload(1, "one")
		e.Spec.Ciphertext = nil
		made, err := world.Services.Store.Create(ctx, e)
		Expect(made).To(BeNil())
		Expect(err).To(MatchError(ContainSubstring("creating Envelope " + e.Name)))
		Expect(apierrors.IsInvalid(err)).To(BeTrue())
	})

	It("in a namespace that ends says so by a cause that callers can ask for", func() {
		Expect(world.ControlPlane.Client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: world.Namespace}})).To(Succeed())
		_, err := world.Services.Store.Create(ctx, payload(1, "one"))
		Expect(apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)).To(BeTrue(), "it is %v", err)
	})
})

var _ = Describe("Reading an Envelope", func() {
	get := func(id string, sequence int64) (*v1alpha1.Envelope, error) {
		return world.Services.Store.Get(ctx, world.Namespace, v1alpha1.EnvelopeSecretVersion, owner, subject,
			versions.Version{ID: id, Sequence: sequence})
	}

	It("sees the store's own write at once", func() {
		for n := int64(1); n <= 5; n++ {
			made, err := world.Services.Store.Create(ctx, payload(n, fmt.Sprint(n)))
			Expect(err).NotTo(HaveOccurred())
			read, err := get(fmt.Sprint(n), n)
			Expect(err).NotTo(HaveOccurred())
			Expect(read.UID).To(Equal(made.UID))
		}
	})

	It("that is gone says which version, and what to do", func() {
		world.Create(payload(1, "one"))
		_, err := get("two", 2)
		Expect(err).To(MatchError(store.ErrMissing))
		Expect(err).To(MatchError(And(ContainSubstring("version two"), ContainSubstring("restore it from a backup"))))
	})

	It("does not find that of another namespace or class", func() {
		world.Create(payload(1, "one"))
		other := versions.Version{ID: "one", Sequence: 1}
		_, err := world.Services.Store.Get(ctx, world.NewNamespace(), v1alpha1.EnvelopeSecretVersion, owner, subject, other)
		Expect(err).To(MatchError(store.ErrMissing))
		_, err = world.Services.Store.Get(ctx, world.Namespace, v1alpha1.EnvelopeTombstone, owner, subject, other)
		Expect(err).To(MatchError(store.ErrMissing))
	})

	It("that belongs to another object of the same subject is refused, and says whose it is", func() {
		world.Create(payload(1, "one"))
		for _, other := range []v1alpha1.EnvelopeOwner{{Kind: "Secret", Name: "thief"}, {Kind: "KMSKey", Name: "db"}, {}} {
			e, err := world.Services.Store.Get(ctx, world.Namespace, v1alpha1.EnvelopeSecretVersion, other, subject,
				versions.Version{ID: "one", Sequence: 1})
			Expect(err).To(MatchError(store.ErrTampered))
			Expect(err).To(MatchError(ContainSubstring("belongs to Secret db, not to " + other.Kind + " " + other.Name)))
			Expect(e).To(BeNil())
		}
	})

	It("that was put in another's place is refused", func() {
		moved := payload(1, "one")
		moved.Name = payload(2, "two").Name
		world.Create(moved)
		_, err := get("one", 2)
		Expect(err).To(MatchError(store.ErrTampered))
	})
})

var _ = Describe("Listing Envelopes", func() {
	It("finds those of one object and those under one key, and of this namespace only", func() {
		ofOwner := func(kind, name string) func(*v1alpha1.Envelope) {
			return func(e *v1alpha1.Envelope) { e.Spec.Owner = v1alpha1.EnvelopeOwner{Kind: kind, Name: name} }
		}
		elsewhere := payload(1, "elsewhere")
		elsewhere.Namespace = world.NewNamespace()
		world.Create(elsewhere)
		for n, change := range []func(*v1alpha1.Envelope){
			ofOwner("Secret", "db"), ofOwner("Secret", "db2"), ofOwner("KMSKey", "db"), ofOwner("Secret", "db"),
			func(e *v1alpha1.Envelope) { e.Spec.KeyARN = "arn:other" },
			func(e *v1alpha1.Envelope) { e.Spec.KeyARN = "arn:keys" },
		} {
			e := payload(int64(n), fmt.Sprint(n))
			change(e)
			world.Create(e)
		}
		s := world.Services.Store
		for _, tt := range []struct {
			kind, name string
			want       []string
		}{
			{"Secret", "db", []string{"0", "3", "4", "5"}}, {"Secret", "db2", []string{"1"}}, {"KMSKey", "db", []string{"2"}},
			{"Secret", "d", []string{}}, {"", "", []string{}},
		} {
			found, err := s.OfOwner(ctx, world.Namespace, v1alpha1.EnvelopeOwner{Kind: tt.kind, Name: tt.name})
			Expect(err).NotTo(HaveOccurred())
			Expect(names(found)).To(ConsistOf(tt.want), "of %s %s", tt.kind, tt.name)
		}
		for key, want := range map[string][]string{
			"arn:key": {"0", "1", "2", "3"}, "arn:other": {"4"}, "arn:keys": {"5"}, "arn": {}, "": {},
		} {
			found, err := s.OfKey(ctx, world.Namespace, key)
			Expect(err).NotTo(HaveOccurred())
			Expect(names(found)).To(ConsistOf(want), "under %s", key)
		}
	})
})

var _ = Describe("Deleting an Envelope", func() {
	It("that was made again under the same name leaves the new one", func() {
		first, err := world.Services.Store.Create(ctx, payload(1, "first"))
		Expect(err).NotTo(HaveOccurred())
		former := first.DeepCopy()
		world.Remove(first)
		again := payload(1, "again")
		world.Create(again)

		err = world.Services.Store.Delete(ctx, former)
		Expect(apierrors.IsConflict(err)).To(BeTrue(), "it is %v", err)
		Expect(err).To(MatchError(ContainSubstring("deleting Envelope " + former.Name)))
		Expect(world.Envelopes(v1alpha1.EnvelopeSecretVersion)).To(HaveLen(1))

		Expect(world.Services.Store.Delete(ctx, again)).To(Succeed())
		Expect(world.Envelopes(v1alpha1.EnvelopeSecretVersion)).To(BeEmpty())
		Expect(world.Services.Store.Delete(ctx, again)).To(Succeed(), "what is gone need not go")
	})
})

// broken fails in what a test gives it to fail in, and is the real client otherwise.
type broken struct {
	client.Client
	get, list error
}

func (b broken) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if b.get != nil {
		return b.get
	}
	return b.Client.Get(ctx, key, obj, opts...)
}

func (b broken) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if b.list != nil {
		return b.list
	}
	return b.Client.List(ctx, list, opts...)
}

var _ = Describe("An API server that fails", func() {
	timeout := apierrors.NewTimeoutError("try again", 1)

	It("is told from an Envelope that is missing", func() {
		b := broken{Client: world.GetClient(), get: timeout, list: timeout}
		s := &store.Store{Client: b, Live: b}
		_, err := s.Get(ctx, world.Namespace, v1alpha1.EnvelopeSecretVersion, owner, subject, versions.Version{ID: "one", Sequence: 1})
		Expect(err).To(MatchError(ContainSubstring("reading Envelope " + envelope(1, "").Name)))
		Expect(err).NotTo(MatchError(store.ErrMissing))
		Expect(apierrors.IsTimeout(err)).To(BeTrue())
		_, err = s.OfOwner(ctx, world.Namespace, owner)
		Expect(err).To(MatchError(ContainSubstring("listing Envelopes by owner")))
		Expect(apierrors.IsTimeout(err)).To(BeTrue())
		_, err = s.OfKey(ctx, world.Namespace, keyARN)
		Expect(err).To(MatchError(ContainSubstring("listing Envelopes by key")))
	})

	It("while an earlier attempt's Envelope is read gives no Envelope", func() {
		world.Create(payload(1, "first"))
		s := &store.Store{Client: world.GetClient(), Live: broken{Client: world.GetClient(), get: timeout}}
		e, err := s.Create(ctx, payload(1, "second"))
		Expect(e).To(BeNil())
		Expect(err).To(MatchError(ContainSubstring("reading Envelope")))
		Expect(apierrors.IsTimeout(err)).To(BeTrue())
	})

	It("and only loses the answer has stored the Envelope, which the next attempt is given", func() {
		_, writes := world.Faulty()
		faulty := &store.Store{Client: writes, Live: world.Services.Live}
		writes.FailAt(1, true)
		_, err := faulty.Create(ctx, payload(1, "first"))
		Expect(err).To(MatchError(environment.ErrInjected))
		again, err := world.Services.Store.Create(ctx, payload(1, "second"))
		Expect(err).NotTo(HaveOccurred())
		Expect(again.Spec.Version).To(Equal("first"))

		writes.FailAt(1, false)
		Expect(faulty.Delete(ctx, again)).To(MatchError(environment.ErrInjected))
		Expect(world.Envelopes(v1alpha1.EnvelopeSecretVersion)).To(HaveLen(1))
	})
})

var _ = Describe("Erasing what a deleted object left", func() {
	left := func(count int64) (out []v1alpha1.Envelope) {
		GinkgoHelper()
		for n := range count {
			e := payload(n+1, fmt.Sprint(n+1))
			e.Spec.Ciphertext = []byte("\xfb\xff\xfe of letters that only one of the two alphabets of base64 has") // CEL reads the other
			made, err := world.Services.Store.Create(ctx, e)
			Expect(err).NotTo(HaveOccurred())
			out = append(out, *made)
		}
		return out
	}
	owner := func() *v1alpha1.Secret {
		return &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "db"}}
	}

	It("erases it if the object is not there", func() {
		back, err := world.Services.Store.Erase(ctx, owner(), left(3), created)
		Expect(err).NotTo(HaveOccurred())
		Expect(back).To(BeFalse())
		Expect(world.Envelopes(v1alpha1.EnvelopeSecretVersion)).To(BeEmpty())
	})

	It("leaves all of it, without a mark, if the object is back", func() {
		made := left(3)
		Expect(world.ControlPlane.Client.Create(ctx, environment.Secret(world.Namespace, "db"))).To(Succeed())
		back, err := world.Services.Store.Erase(ctx, owner(), made, created)
		Expect(err).NotTo(HaveOccurred())
		Expect(back).To(BeTrue())
		for _, e := range world.Envelopes(v1alpha1.EnvelopeSecretVersion) {
			Expect(store.Condemned(&e)).To(BeFalse())
			Expect(world.Services.Store.CheckTaken(ctx, &e)).To(Succeed())
		}
	})

	It("does not erase what somebody has absolved since, and lets nobody take what is condemned", func() {
		e := left(1)[0]
		condemned := e.DeepCopy()
		metav1.SetMetaDataAnnotation(&condemned.ObjectMeta, v1alpha1.CondemnedAnnotation, "now")
		Expect(world.ControlPlane.Client.Update(ctx, condemned)).To(Succeed())
		Expect(world.Services.Store.CheckTaken(ctx, &e)).To(MatchError(store.ErrCondemned), "a cache that does not know it yet is believed")
		_, err := world.Services.Store.Create(ctx, payload(1, "again"))
		Expect(err).To(MatchError(store.ErrCondemned))
		Expect(world.Services.Store.Absolve(ctx, condemned.DeepCopy())).To(Succeed())
		_, err = world.Services.Store.Erase(ctx, owner(), []v1alpha1.Envelope{*condemned}, created)
		Expect(apierrors.IsConflict(err)).To(BeTrue(), "%v", err)
		Expect(world.Envelopes(v1alpha1.EnvelopeSecretVersion)).To(HaveLen(1))
		Expect(world.Services.Store.CheckTaken(ctx, &e)).To(Succeed())
	})

	It("still lets nobody change what is in it", func() {
		e := left(1)[0]
		e.Spec.Ciphertext = []byte("another")
		Expect(world.ControlPlane.Client.Update(ctx, &e)).To(MatchError(ContainSubstring("immutable")))
	})
})
