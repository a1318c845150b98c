package envelope_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/envelope"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// recorder is the real client that remembers what it deleted, in order.
type recorder struct {
	client.Client
	deleted []string
}

func (r *recorder) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	r.deleted = append(r.deleted, obj.GetName())
	return r.Client.Delete(ctx, obj, opts...)
}

// unaware is the real client whose cache has not learned of any Secret.
type unaware struct{ client.Client }

func (u *unaware) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if _, ok := obj.(*v1alpha1.Secret); ok {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, key.Name)
	}
	return u.Client.Get(ctx, key, obj, opts...)
}

// These specs call Reconcile themselves, with a clock that they move, so that they say what one pass does.
var _ = Describe("A pass over the Envelopes of an object", Ordered, ContinueOnFailure, func() {
	var env *environment.Reconcilers

	BeforeAll(func() {
		var err error
		env, err = environment.RunReconcilers(ctx, cp)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { Expect(env.Stop()).To(Succeed()) })
	})

	// seen waits until the cache has an object as it is, or has it no more.
	seen := func(obj client.Object) {
		GinkgoHelper()
		cached := obj.DeepCopyObject().(client.Object)
		Eventually(func(g Gomega) {
			live := cp.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)
			err := env.GetClient().Get(ctx, client.ObjectKeyFromObject(obj), cached)
			if apierrors.IsNotFound(live) {
				g.Expect(apierrors.IsNotFound(err)).To(BeTrue())
				return
			}
			g.Expect(live).NotTo(HaveOccurred())
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(cached.GetResourceVersion()).To(Equal(obj.GetResourceVersion()))
		}).Should(Succeed())
	}
	key := func() *v1alpha1.KMSKey {
		return &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "key"}}
	}
	BeforeEach(func() {
		env.Clock.Set(time.Now())
		seen(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
		seen(key())
		_, err := env.KMSKey.Reconcile(ctx, environment.Request(key()))
		Expect(err).NotTo(HaveOccurred())
		seen(key())
	})

	create := func(obj client.Object) {
		GinkgoHelper()
		Expect(cp.Client.Create(ctx, obj)).To(Succeed())
		seen(obj)
	}
	// secret brings the Secret "db" to as many versions.
	secret := func(count int, changes ...func(*v1alpha1.Secret)) *v1alpha1.Secret {
		GinkgoHelper()
		s := environment.Secret(namespace, "db", append(changes, func(s *v1alpha1.Secret) { s.Spec.Target = nil })...)
		create(s)
		for n := range count {
			if n > 0 {
				metav1.SetMetaDataAnnotation(&s.ObjectMeta, v1alpha1.RotateAnnotation, fmt.Sprint(n))
				Expect(cp.Client.Update(ctx, s)).To(Succeed())
				seen(s)
			}
			_, err := env.Secret.Reconcile(ctx, environment.Request(s))
			Expect(err).NotTo(HaveOccurred())
			seen(s)
		}
		Expect(meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
		Expect(s.Status.Versions).To(HaveLen(count))
		return s
	}
	remove := func(obj client.Object) {
		GinkgoHelper()
		Expect(cp.Client.Delete(ctx, obj)).To(Succeed())
		seen(obj)
	}
	db := func() envelope.Owner { return envelope.Owner{Kind: "Secret", Namespace: namespace, Name: "db"} }
	// list is what there is of a class, once the cache agrees.
	list := func(class v1alpha1.EnvelopeClass) (out []v1alpha1.Envelope) {
		GinkgoHelper()
		Eventually(func(g Gomega) {
			var live, cached v1alpha1.EnvelopeList
			g.Expect(cp.Client.List(ctx, &live, client.InNamespace(namespace))).To(Succeed())
			g.Expect(env.GetClient().List(ctx, &cached, client.InNamespace(namespace))).To(Succeed())
			g.Expect(cached.Items).To(HaveLen(len(live.Items)))
			out = slices.DeleteFunc(live.Items, func(e v1alpha1.Envelope) bool { return e.Spec.Class != class })
		}).Should(Succeed())
		return out
	}
	versionsOf := func() []v1alpha1.Envelope { return list(v1alpha1.EnvelopeSecretVersion) }
	stones := func() []v1alpha1.Envelope { return list(v1alpha1.EnvelopeTombstone) }
	pass := func(owner envelope.Owner) time.Duration {
		GinkgoHelper()
		result, err := env.Envelope.Reconcile(ctx, owner)
		Expect(err).NotTo(HaveOccurred())
		versionsOf() // the cache is as the API server is
		return result.RequeueAfter
	}
	// recording is a reconciler whose deletions are remembered.
	recording := func() (*envelope.Reconciler, *recorder) {
		r := &recorder{Client: env.GetClient()}
		s := env.Services
		return &envelope.Reconciler{
			Client: r, Store: &store.Store{Client: r, Live: s.Live}, Keyring: s.Keyring, Now: env.Clock.Now,
		}, r
	}

	Describe("that lives", func() {
		// unnamed is a Secret whose index lost its first version.
		unnamed := func() *v1alpha1.Secret {
			GinkgoHelper()
			s := secret(3)
			s.Status.Versions = s.Status.Versions[1:]
			Expect(cp.Client.Status().Update(ctx, s)).To(Succeed())
			seen(s)
			return s
		}

		It("changes nothing that the index names", func() {
			secret(3)
			env.Clock.Advance(1000 * time.Hour)
			Expect(pass(db())).To(BeZero())
			Expect(versionsOf()).To(HaveLen(3))
			Expect(stones()).To(BeEmpty())
		})

		// plant has status say another's ARN, as somebody does who may write that, and the recovery window pass twice.
		plant := func(s *v1alpha1.Secret, change func(*v1alpha1.SecretStatus)) {
			GinkgoHelper()
			change(&s.Status)
			Expect(cp.Client.Status().Update(ctx, s)).To(Succeed())
			seen(s)
			for range 2 {
				pass(db())
				env.Clock.Advance(31 * 24 * time.Hour)
			}
			pass(db())
		}

		It("keeps its versions while its status says another's ARN, however long, and is as it was without it", func() {
			for _, change := range []func(*v1alpha1.SecretStatus){
				func(s *v1alpha1.SecretStatus) { s.ARN = arn.Secret(environment.Region, "1", "theirs", "Xabcde") },
				func(s *v1alpha1.SecretStatus) {
					s.ARN, s.Versions = arn.Secret(environment.Region, "1", "db", "Xabcde"), nil
				},
			} {
				s := secret(1)
				before := s.DeepCopy()
				for range 2 { // the second time it is one that was made again and has taken its versions back, so that its UID says nothing
					plant(s, change)
					Expect(versionsOf()).To(HaveLen(1))
					Expect(stones()).To(BeEmpty())
					s.Status.ARN = before.Status.ARN
					s.Status.Versions = before.Status.Versions
					Expect(cp.Client.Status().Update(ctx, s)).To(Succeed())
					seen(s)
					remove(s.DeepCopy())
					pass(db())
					s = secret(1)
					Expect(s.Status.ARN).To(Equal(before.Status.ARN))
					pass(db())
				}
				remove(s)
				pass(db())
				env.Clock.Set(stones()[0].Spec.ExpireTime.Time)
				pass(db())
				Expect(versionsOf()).To(BeEmpty())
			}
		})

		It("gets no tombstone while the cache knows its Envelopes and not yet itself", func() {
			secret(2)
			r := &envelope.Reconciler{
				Client: &unaware{env.GetClient()}, Store: env.Envelope.Store, Keyring: env.Services.Keyring, Now: env.Clock.Now,
			}
			_, err := r.Reconcile(ctx, db())
			Expect(err).NotTo(HaveOccurred())
			Expect(stones()).To(BeEmpty())
			Expect(versionsOf()).To(HaveLen(2))
		})

		It("sweeps what the index does not name after an hour and not before", func() {
			unnamed()
			made := versionsOf()[0].CreationTimestamp.Time
			env.Clock.Set(made.Add(time.Hour - time.Second))
			Expect(pass(db())).To(Equal(time.Second))
			Expect(versionsOf()).To(HaveLen(3))
			env.Clock.Set(made.Add(time.Hour))
			Expect(pass(db())).To(BeZero())
			Expect(versionsOf()).To(HaveExactElements(HaveField("Spec.Sequence", int64(2)), HaveField("Spec.Sequence", int64(3))))
		})

		It("dies at its one deletion and does it the next time", func() {
			unnamed()
			env.Clock.Advance(2 * time.Hour)
			faulty, writes := env.Faulty()
			for _, after := range []bool{false, true} {
				writes.FailAt(1, after)
				_, err := faulty.Envelope.Reconcile(ctx, db())
				Expect(err).To(MatchError(environment.ErrInjected))
			}
			pass(db())
			Expect(versionsOf()).To(HaveLen(2))
		})

		It("leaves the version in flight, however old", func() {
			s := secret(1)
			next := store.New(namespace, v1alpha1.EnvelopeSecretVersion, v1alpha1.EnvelopeOwner{Kind: "Secret", Name: "db"}, s.Status.ARN,
				versions.Version{ID: "next", Sequence: 2, Created: time.Now()}, "arn:key")
			next.Spec.Ciphertext = []byte("in flight")
			create(next)
			env.Clock.Advance(1000 * time.Hour)
			pass(db())
			Expect(versionsOf()).To(HaveLen(2))
		})

		It("never sweeps key material, whatever the index lacks", func() {
			k := key()
			seen(k)
			metav1.SetMetaDataAnnotation(&k.ObjectMeta, v1alpha1.RotateAnnotation, "now")
			Expect(cp.Client.Update(ctx, k)).To(Succeed())
			seen(k)
			_, err := env.KMSKey.Reconcile(ctx, environment.Request(k))
			Expect(err).NotTo(HaveOccurred())
			seen(k)
			k.Status.KeyMaterials = k.Status.KeyMaterials[1:]
			Expect(cp.Client.Status().Update(ctx, k)).To(Succeed())
			seen(k)
			env.Clock.Advance(1000 * time.Hour)
			pass(envelope.Owner{Kind: "KMSKey", Namespace: namespace, Name: "key"})
			Expect(list(v1alpha1.EnvelopeKeyMaterial)).To(HaveLen(2))
		})
	})

	Describe("that is gone", func() {
		It("makes one tombstone, wherever it dies", func() {
			s := secret(2)
			remove(s)
			faulty, writes := env.Faulty()
			for _, after := range []bool{false, true} {
				writes.FailAt(1, after)
				_, err := faulty.Envelope.Reconcile(ctx, db())
				Expect(err).To(MatchError(environment.ErrInjected))
				Expect(stones()).To(HaveLen(map[bool]int{false: 0, true: 1}[after]))
			}
			stone := stones()[0]
			env.Clock.Advance(time.Hour)
			Expect(pass(db())).To(BeNumerically("~", 30*24*time.Hour-time.Hour, time.Minute))
			Expect(stones()).To(ConsistOf(HaveField("UID", stone.UID)), "its window does not begin again")
			Expect(versionsOf()).To(HaveLen(2))
			ring, err := env.Services.Keyring.Get()
			Expect(err).NotTo(HaveOccurred())
			content, err := store.OpenTombstone(ring, &stone)
			Expect(err).NotTo(HaveOccurred())
			Expect(content.Index).To(HaveLen(2))
			Expect(content.Index[1]).To(And(HaveField("ID", s.Status.Versions[1].VersionID), HaveField("Stages", []string{versions.Current})))
		})

		It("deletes nothing before the window ends, and then the versions first and the tombstone last", func() {
			remove(secret(3))
			pass(db())
			stone := stones()[0]
			r, recorded := recording()
			env.Clock.Set(stone.Spec.ExpireTime.Add(-time.Second))
			result, err := r.Reconcile(ctx, db())
			Expect(err).NotTo(HaveOccurred())
			Expect(result.RequeueAfter).To(Equal(time.Second))
			Expect(recorded.deleted).To(BeEmpty())
			env.Clock.Set(stone.Spec.ExpireTime.Time)
			_, err = r.Reconcile(ctx, db())
			Expect(err).NotTo(HaveOccurred())
			Expect(recorded.deleted).To(HaveLen(4))
			Expect(recorded.deleted[3]).To(Equal(stone.Name))
			Expect(versionsOf()).To(BeEmpty())
			Expect(stones()).To(BeEmpty())
		})

		It("that dies at any of these deletions leaves no version without a tombstone, and ends with none", func() {
			for _, after := range []bool{false, true} {
				for n := 1; n <= 6; n++ { // three marks, three deletions
					env.Clock.Set(time.Now())
					remove(secret(2))
					pass(db())
					env.Clock.Advance(31 * 24 * time.Hour)
					faulty, writes := env.Faulty()
					writes.FailAt(n, after)
					_, err := faulty.Envelope.Reconcile(ctx, db())
					Expect(err).To(MatchError(environment.ErrInjected), "at %d, after=%t", n, after)
					if len(versionsOf()) > 0 {
						Expect(stones()).To(HaveLen(1), "at %d, after=%t", n, after)
					}
					Expect(pass(db())).To(BeZero(), "nothing gets a new window")
					Expect(versionsOf()).To(BeEmpty())
					Expect(stones()).To(BeEmpty())
				}
			}
		})

		It("waits for the keyring to be unsealed, and loses nothing meanwhile", func() {
			remove(secret(1))
			holder := env.Services.Keyring
			ring, err := holder.Get()
			Expect(err).NotTo(HaveOccurred())
			holder.SetSealed(errors.New("the root is gone"))
			DeferCleanup(func() { holder.Set(ring) })
			Expect(pass(db())).To(BeNumerically(">", 0))
			Expect(stones()).To(BeEmpty())
			Expect(versionsOf()).To(HaveLen(1))
			holder.Set(ring)
			pass(db())
			Expect(stones()).To(HaveLen(1))
		})

		It("does nothing in a namespace that ends, and is no failure", func() {
			remove(secret(1))
			Expect(cp.Client.Delete(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed())
			pass(db())
			Expect(stones()).To(BeEmpty())
			Expect(versionsOf()).To(HaveLen(1), "the namespace takes them with it")
		})
	})

	Describe("that is back", func() {
		It("within the window takes its versions and lets the tombstone go", func() {
			before := secret(2)
			remove(before.DeepCopy())
			pass(db())
			env.Clock.Set(stones()[0].Spec.ExpireTime.Add(-time.Minute))
			again := environment.Secret(namespace, "db", func(s *v1alpha1.Secret) { s.Spec.Target = nil })
			create(again)
			Expect(pass(db())).To(BeZero(), "who has no ARN yet is not judged")
			Expect(stones()).To(HaveLen(1))
			_, err := env.Secret.Reconcile(ctx, environment.Request(again))
			Expect(err).NotTo(HaveOccurred())
			seen(again)
			Expect(again.Status.ARN).To(Equal(before.Status.ARN))
			Expect(again.Status.Versions).To(Equal(before.Status.Versions))
			Expect(pass(db())).To(BeZero())
			Expect(stones()).To(BeEmpty())
		})

		It("under the same name with another ARN leaves the old one its tombstone and window", func() {
			old := secret(1)
			remove(old.DeepCopy())
			fresh := secret(1, func(s *v1alpha1.Secret) { s.Spec.Name = "prod/other" })
			Expect(fresh.Status.ARN).NotTo(Equal(old.Status.ARN))
			pass(db())
			Expect(stones()).To(ConsistOf(HaveField("Spec.Subject", old.Status.ARN)))
			Expect(versionsOf()).To(HaveLen(2))
			env.Clock.Set(stones()[0].Spec.ExpireTime.Time)
			pass(db())
			Expect(versionsOf()).To(ConsistOf(HaveField("Spec.Subject", fresh.Status.ARN)))
			Expect(stones()).To(BeEmpty())
		})
	})

	Describe("that is a key", func() {
		owner := func() envelope.Owner { return envelope.Owner{Kind: "KMSKey", Namespace: namespace, Name: "key"} }

		It("keeps the material while something is encrypted under it, though its window is long over", func() {
			s := secret(1)
			k := key()
			seen(k)
			k.Finalizers = nil // as somebody does who will not wait
			Expect(cp.Client.Update(ctx, k)).To(Succeed())
			seen(k)
			remove(k)
			pass(owner())
			Expect(stones()).To(ConsistOf(HaveField("Spec.Owner.Name", "key")))
			env.Clock.Set(stones()[0].Spec.ExpireTime.AddDate(1, 0, 0))
			Expect(pass(owner())).To(Equal(time.Hour))
			Expect(list(v1alpha1.EnvelopeKeyMaterial)).To(HaveLen(1))

			remove(s)
			pass(db()) // a tombstone of its own, and its versions still need the key
			Expect(pass(owner())).To(Equal(time.Hour))
			env.Clock.Advance(31 * 24 * time.Hour)
			pass(db())
			Expect(versionsOf()).To(BeEmpty())
			Expect(pass(owner())).To(BeZero())
			Expect(list(v1alpha1.EnvelopeKeyMaterial)).To(BeEmpty())
			Expect(stones()).To(BeEmpty())
		})
	})

	It("of a kind that is not known decides nothing", func() {
		e := store.New(namespace, v1alpha1.EnvelopeSecretVersion, v1alpha1.EnvelopeOwner{Kind: "HSMCluster", Name: "p"}, "arn:p",
			versions.Version{ID: "one", Sequence: 1, Created: time.Now()}, "arn:key")
		e.Spec.Ciphertext = []byte("of a later release")
		create(e)
		env.Clock.Advance(1000 * time.Hour)
		Expect(pass(envelope.Owner{Kind: "HSMCluster", Namespace: namespace, Name: "p"})).To(BeZero())
		Expect(versionsOf()).To(HaveLen(1))
		Expect(stones()).To(BeEmpty())
	})
})
