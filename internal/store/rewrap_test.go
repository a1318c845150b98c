package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

func TestTheEpochOfAnEnvelopesKey(t *testing.T) {
	for arn, want := range map[string]int64{
		"strongroom:domain-key/1": 1, "strongroom:domain-key/4096": 4096, "strongroom:domain-key/0": 0, "strongroom:domain-key/": 0, "strongroom:domain-key/-1": 0,
		"strongroom:domain-key/01": 0, "strongroom:domain-key/1x": 0, "strongroom:domain-key/99999999999999999999": 0, "": 0, "root:CoreSecret": 0,
		"arn:aws:kms:us-east-1:111122223333:key/strongroom:domain-key/1": 0,
	} {
		if got := store.Epoch(arn); got != want {
			t.Errorf("%s: %d", arn, got)
		}
	}
}

// ringsOfOneRoot are keyrings with the first domain key, and with two.
func ringsOfOneRoot() (first, both *keyring.Keyring) {
	GinkgoHelper()
	root := keyring.NewSoftwareRoot("test", secretbytes.Copy(make([]byte, 32)))
	var records []keyring.DomainKeyRecord
	for epoch := int64(1); epoch <= 2; epoch++ {
		record, err := keyring.NewDomainKey(ctx, root, epoch, nil, created)
		Expect(err).NotTo(HaveOccurred())
		records = append(records, record)
	}
	first, err := keyring.Unseal(ctx, root, records[:1])
	Expect(err).NotTo(HaveOccurred())
	both, err = keyring.Unseal(ctx, root, records)
	Expect(err).NotTo(HaveOccurred())
	return first, both
}

var _ = Describe("Rewrapping an Envelope", func() {
	var first, both *keyring.Keyring
	var s *store.Store

	BeforeEach(func() {
		first, both = ringsOfOneRoot()
		s = world.Services.Store
	})

	// under makes an Envelope under a keyring's current domain key, and answers it as the API server has it.
	under := func(ring *keyring.Keyring, sequence int64) *v1alpha1.Envelope {
		GinkgoHelper()
		e := store.New(world.Namespace, v1alpha1.EnvelopeParameterVersion, owner, subject, versions.Version{ID: fmt.Sprint("v", sequence), Sequence: sequence, Created: created}, store.DomainKey(ring))
		var err error
		e.Spec.Ciphertext, err = ring.Seal(keys.KindParameterVersion, store.Binding(e), secretbytes.Copy([]byte("hunter2")))
		Expect(err).NotTo(HaveOccurred())
		world.Create(e)
		return e
	}
	live := func(e *v1alpha1.Envelope) *v1alpha1.Envelope {
		GinkgoHelper()
		out := e.DeepCopy()
		world.Refresh(out)
		return out
	}
	opens := func(ring *keyring.Keyring, e *v1alpha1.Envelope) {
		GinkgoHelper()
		value, err := ring.Open(keys.KindParameterVersion, store.Binding(e), e.Spec.Ciphertext)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(value.Reveal())).To(Equal("hunter2"))
	}

	It("changes its wrapping in its place, once, and what a cache still has opens too", func() {
		was := under(first, 1)
		metav1.SetMetaDataAnnotation(&was.ObjectMeta, v1alpha1.TakenAnnotation, "somebody")
		Expect(world.ControlPlane.Client.Update(ctx, was)).To(Succeed())
		done, err := s.Rewrap(ctx, both, was)
		Expect(err).NotTo(HaveOccurred())
		Expect(done).To(BeTrue())
		is := live(was)
		Expect(is.UID).To(Equal(was.UID))
		Expect(is.Annotations).To(HaveKeyWithValue(v1alpha1.TakenAnnotation, "somebody"))
		Expect(is.Spec.KeyARN).To(Equal("strongroom:domain-key/2"))
		opens(both, is)
		opens(both, was)
		done, err = s.Rewrap(ctx, both, is)
		Expect(err).NotTo(HaveOccurred())
		Expect(done).To(BeFalse(), "it is under the current one")
		done, err = s.Rewrap(ctx, first, is)
		Expect(err).NotTo(HaveOccurred())
		Expect(done).To(BeFalse(), "a manager that is behind does not take it back")
		Expect(live(was).ResourceVersion).To(Equal(is.ResourceVersion))
	})

	It("that is under a KMSKey does nothing", func() {
		e := payload(1, "one")
		world.Create(e)
		done, err := s.Rewrap(ctx, both, e)
		Expect(err).NotTo(HaveOccurred())
		Expect(done).To(BeFalse())
	})

	It("that does not open is refused, and changes nothing", func() {
		e := under(first, 1)
		bad := world.Exchange(e, func(e *v1alpha1.Envelope) { e.Spec.Subject += "x" })
		done, err := s.Rewrap(ctx, both, bad)
		Expect(err).To(And(MatchError(store.ErrTampered), MatchError(ContainSubstring(world.Namespace+"/"+e.Name))))
		Expect(done).To(BeFalse())
		Expect(live(bad).Spec).To(Equal(bad.Spec))
	})

	It("by two at once is done by one, and both end well", func() {
		was := under(first, 1)
		results := make(chan error, 8)
		for range 8 {
			go func() { _, err := s.Rewrap(ctx, both, was.DeepCopy()); results <- err }()
		}
		for range 8 {
			Expect(<-results).To(Succeed())
		}
		opens(both, live(was))
	})

	It("dies before or after its write, and is there to be opened", func() {
		for _, after := range []bool{false, true} {
			was := under(first, map[bool]int64{false: 1, true: 2}[after])
			_, writes := world.Faulty()
			writes.FailAt(1, after)
			_, err := (&store.Store{Client: writes, Live: world.Services.Live}).Rewrap(ctx, both, was)
			Expect(err).To(MatchError(environment.ErrInjected))
			opens(both, live(was))
			_, err = s.Rewrap(ctx, both, live(was))
			Expect(err).NotTo(HaveOccurred())
			Expect(live(was).Spec.KeyARN).To(Equal("strongroom:domain-key/2"))
		}
	})

	It("loses to whoever marked, took over or deleted it first", func() {
		for n, change := range []func(*v1alpha1.Envelope) error{
			func(e *v1alpha1.Envelope) error {
				metav1.SetMetaDataAnnotation(&e.ObjectMeta, v1alpha1.CondemnedAnnotation, "now")
				return world.ControlPlane.Client.Update(ctx, e)
			},
			func(e *v1alpha1.Envelope) error { return s.Take(ctx, "somebody", e) },
		} {
			was := under(first, int64(n+1))
			Expect(change(was.DeepCopy())).To(Succeed())
			done, err := s.Rewrap(ctx, both, was)
			Expect(err).NotTo(HaveOccurred())
			Expect(done).To(BeFalse())
			Expect(live(was).Spec).To(Equal(was.Spec))
		}
		was := under(first, 3)
		world.Remove(was.DeepCopy())
		done, err := s.Rewrap(ctx, both, was)
		Expect(err).NotTo(HaveOccurred())
		Expect(done).To(BeFalse())
		Expect(client.IgnoreNotFound(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(was), was))).To(Succeed())
		Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(HaveLen(2))
	})

	// interloper does something between a look at an Envelope and what follows from it.
	type interloper struct {
		name    string
		do      func(*v1alpha1.Envelope)
		harmful bool
	}
	rewrap := func(e *v1alpha1.Envelope) {
		GinkgoHelper()
		_, err := s.Rewrap(ctx, both, live(e))
		Expect(err).NotTo(HaveOccurred())
	}
	take := func(e *v1alpha1.Envelope) {
		GinkgoHelper()
		Expect(s.Take(ctx, "somebody", live(e))).To(Succeed())
	}
	interlopers := []interloper{
		{"a rewrap", rewrap, false},
		{"somebody who takes it over", take, true},
		{"a rewrap, and somebody who takes it over", func(e *v1alpha1.Envelope) { rewrap(e); take(e) }, true},
		{"somebody who takes it over, and a rewrap", func(e *v1alpha1.Envelope) { take(e); rewrap(e) }, true},
	}
	for _, i := range interlopers {
		It("keeps from its deletion no more and no less than before: "+i.name, func() {
			seen := under(first, 1)
			i.do(seen)
			err := s.Delete(ctx, seen)
			Expect(err == nil).To(Equal(!i.harmful), "%v", err)
			Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(HaveLen(map[bool]int{true: 1, false: 0}[i.harmful]))
		})

		It("keeps from its erasure no more and no less than before: "+i.name, func() {
			seen := under(first, 1)
			i.do(seen)
			_, err := s.EraseUnless(ctx, []v1alpha1.Envelope{*seen}, created, func(context.Context) (bool, error) { return false, nil })
			Expect(err == nil).To(Equal(!i.harmful), "%v", err)
			Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(HaveLen(map[bool]int{true: 1, false: 0}[i.harmful]))
		})
	}

	It("between the marks of an erasure and its end keeps nothing, and one whose object is back keeps all", func() {
		for _, back := range []bool{false, true} {
			all := []v1alpha1.Envelope{*under(first, 1), *under(first, 2)}
			got, err := s.EraseUnless(ctx, all, created, func(context.Context) (bool, error) {
				for n := range all {
					rewrap(&all[n]) // which leaves what is condemned alone
				}
				return back, nil
			})
			Expect(err).NotTo(HaveOccurred())
			Expect(got).To(Equal(back))
			left := world.Envelopes(v1alpha1.EnvelopeParameterVersion)
			Expect(left).To(HaveLen(map[bool]int{true: 2, false: 0}[back]))
			for n := range left {
				Expect(store.Condemned(&left[n])).To(BeFalse())
				opens(both, &left[n])
			}
		}
	})

	It("while the API server is away is an error, and no tampered Envelope", func() {
		e := under(first, 1)
		within, cancel := context.WithTimeout(ctx, time.Nanosecond)
		defer cancel()
		done, err := s.Rewrap(within, both, e)
		Expect(err).To(HaveOccurred())
		Expect(errors.Is(err, store.ErrTampered)).To(BeFalse())
		Expect(done).To(BeFalse())
	})

	It("is found by the epoch that it is under, in all namespaces", func() {
		one := under(first, 1)
		under(both, 2)
		elsewhere := one.DeepCopy()
		elsewhere.ResourceVersion, elsewhere.UID, elsewhere.Namespace = "", "", world.NewNamespace()
		world.Create(elsewhere)
		found, err := s.OfEpoch(ctx, 1)
		Expect(err).NotTo(HaveOccurred())
		in := map[string]bool{}
		for _, e := range found {
			in[e.Namespace] = true
		}
		Expect(in).To(And(HaveKey(world.Namespace), HaveKey(elsewhere.Namespace)))
		found, err = s.OfEpoch(ctx, 2)
		Expect(err).NotTo(HaveOccurred())
		Expect(found).To(ContainElement(HaveField("Spec.Version", "v2")))
	})
})
