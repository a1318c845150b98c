package unseal_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/internal/unseal"
)

func storeOf(c client.Client) *store.Store { return &store.Store{Client: c, Live: c} }

// epochs are those of a keyring.
func epochs(t testing.TB, u *unseal.Unsealer) []int64 {
	t.Helper()
	ring, err := u.Holder.Get()
	if err != nil {
		t.Fatal(err)
	}
	return ring.Epochs()
}

// storedEpochs are those of the stored domain keys.
func storedEpochs(t testing.TB, c client.Client) (out []int64) {
	t.Helper()
	var list v1alpha1.EnvelopeList
	if err := c.List(context.Background(), &list); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		out = append(out, list.Items[i].Spec.Sequence)
	}
	slices.Sort(out)
	return out
}

// running is an unsealer that runs and is unsealed.
func running(t *testing.T, u *unseal.Unsealer) *unseal.Unsealer {
	t.Helper()
	u.Holder.RenewWith(u.Renew)
	t.Cleanup(run(t, u))
	select {
	case <-u.Holder.Unsealed():
	case <-time.After(10 * time.Second):
		t.Fatal("it is not unsealed")
	}
	return u
}

// tokenOf is something that a manager wraps under its current domain key.
func tokenOf(t *testing.T, u *unseal.Unsealer) []byte {
	t.Helper()
	ring, err := u.Holder.Get()
	if err != nil {
		t.Fatal(err)
	}
	token, err := ring.WrapToken(keys.Header{}, nil, secretbytes.Copy([]byte("material")))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func opens(u *unseal.Unsealer, token []byte) error {
	got, err := u.Holder.UnwrapToken(keys.Header{}, nil, token)
	if err == nil && string(got.Reveal()) != "material" {
		return errors.New("it is something else")
	}
	return err
}

func TestRotatingMakesTheNextDomainKeyAndFormerOnesStay(t *testing.T) {
	c := newClient()
	u := running(t, unsealer(c))
	before, digestBefore := tokenOf(t, u), digest(t, u)
	for _, after := range []int64{1, 2, 2, 1} { // the last two are repeated, as after a crash
		if err := u.Rotate(t.Context(), storeOf(c), after, "now"); err != nil {
			t.Fatal(err)
		}
	}
	if got := epochs(t, u); !slices.Equal(got, []int64{1, 2, 3}) || !slices.Equal(storedEpochs(t, c), got) {
		t.Errorf("%v in memory, %v stored", got, storedEpochs(t, c))
	}
	if err := opens(u, before); err != nil {
		t.Error(err)
	}
	if digest(t, u) != digestBefore {
		t.Error("digests have changed")
	}
	known := u.DomainKeys()
	if len(known) != 3 || known[0].Spec.Sequence != 1 || known[2].Spec.Sequence != 3 {
		t.Errorf("%d domain keys are told", len(known))
	}
	if restored, err := u.Confirm(t.Context(), storeOf(c)); err != nil || len(restored) > 0 {
		t.Error(restored, err)
	}
	later := unsealer(c)
	if err := later.Unseal(t.Context()); err != nil || opens(later, tokenOf(t, u)) != nil || opens(later, before) != nil {
		t.Errorf("a manager that starts later: %v", err)
	}
}

func TestARotationThatDiesAtItsWriteIsTheNextOne(t *testing.T) {
	errCrash := errors.New("crash")
	for _, after := range []bool{false, true} {
		c := newClient()
		u := running(t, unsealer(c))
		crashing := interceptor.NewClient(c, interceptor.Funcs{
			Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
				if after {
					_ = c.Create(ctx, obj, opts...)
				}
				return errCrash
			},
		})
		if err := u.Rotate(t.Context(), storeOf(crashing), 1, "now"); !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		next := running(t, unsealer(c)) // the process after the crash
		if err := next.Rotate(t.Context(), storeOf(c), 1, "now"); err != nil {
			t.Fatal(err)
		}
		if got := epochs(t, next); !slices.Equal(got, []int64{1, 2}) || !slices.Equal(storedEpochs(t, c), got) {
			t.Errorf("%v in memory, %v stored", got, storedEpochs(t, c))
		}
		if err := opens(u, tokenOf(t, next)); err != nil {
			t.Errorf("the one that failed does not open what the next one wraps: %v", err)
		}
	}
}

func TestARootThatDoesNotOpenWhatItWrapsIsNotRotatedTo(t *testing.T) {
	c, d := newClient(), newDevice("a")
	u := running(t, remote(c, d))
	d.away.Store(true)
	if err := u.Rotate(t.Context(), storeOf(c), 1, "now"); !errors.Is(err, errAway) {
		t.Error(err)
	}
	if got := storedEpochs(t, c); !slices.Equal(got, []int64{1}) {
		t.Errorf("%v are stored", got)
	}
	d.away.Store(false)
	if err := u.Rotate(t.Context(), storeOf(c), 1, "now"); err != nil {
		t.Error(err)
	}
	if known := u.DomainKeys(); known[1].Spec.KeyARN != "root:hsm:strongroom-system/device:1:a" {
		t.Error(known[1].Spec.KeyARN)
	}
}

func TestAManagerThatIsBehindOpensTheNewDomainKeyWhenItNeedsItOrHearsOfIt(t *testing.T) {
	c := newClient()
	first, second, third := running(t, unsealer(c)), running(t, unsealer(c)), running(t, unsealer(c))
	if err := first.Rotate(t.Context(), storeOf(c), 1, "now"); err != nil {
		t.Fatal(err)
	}
	if err := opens(second, tokenOf(t, first)); err != nil { // at once
		t.Error(err)
	}
	third.Changed()
	eventually(t, "the third has the domain key", func() bool { return slices.Equal(epochs(t, third), []int64{1, 2}) })
}

func TestAClaimedEpochThatIsNotThereCostsLittleAndIsNoSecret(t *testing.T) {
	var reads atomic.Int32
	counted := interceptor.NewClient(newClient(), interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			if _, ok := obj.(*v1alpha1.Envelope); ok {
				reads.Add(1)
			}
			return c.Get(ctx, key, obj, opts...)
		},
	})
	u := running(t, unsealer(counted))
	forged := func(epoch byte) []byte {
		token := tokenOf(t, u)
		token[7] = epoch
		return token
	}
	began := time.Now()
	for range 50 {
		for _, epoch := range []byte{2, 17, 18, 200} {
			if err := opens(u, forged(epoch)); !errors.Is(err, keyring.ErrUnknownEpoch) || errors.Is(err, keyring.ErrSealed) {
				t.Fatal(err)
			}
		}
	}
	if most := 2 * (int32(time.Since(began)/time.Second) + 1); reads.Load() > most {
		t.Errorf("%d reads for 200 claims", reads.Load())
	}
	// What was looked for in vain is found as soon as there is word of it.
	other := running(t, unsealer(counted))
	if err := other.Rotate(t.Context(), storeOf(counted), 1, "now"); err != nil {
		t.Fatal(err)
	}
	u.Changed()
	eventually(t, "the domain key is there", func() bool { return opens(u, tokenOf(t, other)) == nil })
}

func TestADomainKeyThatIsThereAndCannotBeOpenedIsNoTamperedToken(t *testing.T) {
	c, d := newClient(), newDevice("a")
	first, second := running(t, remote(c, d)), remote(c, newDevice("a"))
	second.Verify = time.Hour
	away := second.Provider.(*device)
	running(t, second)
	if err := first.Rotate(t.Context(), storeOf(c), 1, "now"); err != nil {
		t.Fatal(err)
	}
	away.away.Store(true)
	token := tokenOf(t, first)
	if err := opens(second, token); !errors.Is(err, keyring.ErrSealed) || !errors.Is(err, errAway) {
		t.Error(err)
	}
	second.Changed() // and is tried again until the root is back
	if got := epochs(t, second); !slices.Equal(got, []int64{1}) {
		t.Errorf("it is sealed, or has %v", got)
	}
	away.away.Store(false)
	eventually(t, "it opens", func() bool { return slices.Equal(epochs(t, second), []int64{1, 2}) })
	if err := opens(second, token); err != nil {
		t.Error(err)
	}
}

func TestALostOrExchangedDomainKeyIsNoticedBeforeAnythingIsRewrappedByIt(t *testing.T) {
	c := newClient()
	u := running(t, unsealer(c))
	if err := u.Rotate(t.Context(), storeOf(c), 1, "now"); err != nil {
		t.Fatal(err)
	}
	newest := u.DomainKeys()[1]
	if err := c.Delete(t.Context(), newest.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	if err := u.Rotate(t.Context(), storeOf(c), 2, "now"); !errors.Is(err, store.ErrMissing) {
		t.Errorf("it is gone, and another is made after it: %v", err)
	}
	restored, err := u.Confirm(t.Context(), storeOf(c))
	if err != nil || len(restored) != 1 || restored[0] != newest.Namespace+"/"+newest.Name {
		t.Errorf("it is not stored again: %v, %v", restored, err)
	}
	if again := unsealer(c); again.Unseal(t.Context()) != nil || opens(again, tokenOf(t, u)) != nil {
		t.Error("what was stored again does not open what it wrapped")
	}
	if err := c.Delete(t.Context(), newest.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	other := newest.DeepCopy()
	other.ResourceVersion = ""
	other.Spec.Ciphertext[40] ^= 1
	if err := c.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Confirm(t.Context(), storeOf(c)); !errors.Is(err, store.ErrTampered) {
		t.Errorf("it is another: %v", err)
	}
	if _, err := unsealer(c).Confirm(t.Context(), storeOf(c)); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("nothing is unsealed: %v", err)
	}
}

func TestConfirmingListsNothingFromTheAPIServerAndIsNotMisledByACacheThatIsBehind(t *testing.T) {
	c := newClient()
	u := running(t, unsealer(c))
	for _, after := range []int64{1, 2} {
		if err := u.Rotate(t.Context(), storeOf(c), after, "now"); err != nil {
			t.Fatal(err)
		}
	}
	var lists, reads, creates atomic.Int32
	counted := interceptor.NewClient(c, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
			reads.Add(1)
			return c.Get(ctx, key, obj, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
			lists.Add(1)
			return c.List(ctx, list, opts...)
		},
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			creates.Add(1)
			return c.Create(ctx, obj, opts...)
		},
	})
	u.Live = counted
	if restored, err := u.Confirm(t.Context(), &store.Store{Client: c, Live: counted}); err != nil || len(restored) > 0 {
		t.Error(restored, err)
	}
	if lists.Load() != 0 || reads.Load() != 1 || creates.Load() != 0 {
		t.Errorf("%d lists, %d reads, %d writes", lists.Load(), reads.Load(), creates.Load())
	}
	behind := interceptor.NewClient(counted, interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return nil },
	})
	if restored, err := u.Confirm(t.Context(), &store.Store{Client: behind, Live: counted}); err != nil || len(restored) > 0 {
		t.Errorf("what the cache has not seen yet is called restored: %v, %v", restored, err)
	}
	first := u.DomainKeys()[0]
	if err := c.Delete(t.Context(), first.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	other := first.DeepCopy()
	other.ResourceVersion = ""
	other.Spec.Ciphertext[40] ^= 1
	if err := c.Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	if _, err := u.Confirm(t.Context(), &store.Store{Client: behind, Live: counted}); !errors.Is(err, store.ErrTampered) {
		t.Errorf("it is another, and the cache has it not: %v", err)
	}
}

func TestNoMoreDomainKeysAreMadeThanAreOpened(t *testing.T) {
	c := newClient()
	u := running(t, unsealer(c))
	first := u.DomainKeys()[0]
	for epoch := int64(2); epoch <= keyring.MaxDomainKeys; epoch++ {
		more := first.DeepCopy()
		more.ResourceVersion, more.Name, more.Spec.Sequence = "", fmt.Sprint("domain-key-", epoch), epoch
		if err := c.Create(t.Context(), more); err != nil {
			t.Fatal(err)
		}
	}
	if err := u.Rotate(t.Context(), storeOf(c), keyring.MaxDomainKeys, "now"); err == nil || len(storedEpochs(t, c)) != keyring.MaxDomainKeys {
		t.Errorf("another was made: %v", err)
	}
}

func TestWhoWaitsForADomainKeyOfAManagerThatDoesNotRunIsToldInTime(t *testing.T) {
	c := newClient()
	u := unsealer(c)
	if err := u.Renew(1); !errors.Is(err, keyring.ErrSealed) {
		t.Error(err)
	}
	if err := u.Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := u.Renew(2); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > time.Minute {
		t.Error(err)
	}
}

var _ = Describe("Many managers that rotate at once", func() {
	It("make one domain key, and all have it", func(ctx SpecContext) {
		const managers = 8
		until, stop := context.WithCancel(ctx)
		defer stop()
		var all []*unseal.Unsealer
		var ended sync.WaitGroup
		for range managers {
			u := newUnsealer()
			all = append(all, u)
			ended.Go(func() { _ = u.Start(until) })
		}
		for _, u := range all {
			Eventually(u.Holder.Unsealed()).Should(BeClosed())
		}
		failures := make(chan error, managers)
		for _, u := range all {
			go func() { failures <- u.Rotate(ctx, &store.Store{Client: cp.Client, Live: cp.Client}, 1, "now") }()
		}
		for range managers {
			Expect(<-failures).To(Succeed())
		}
		_, domainKeys := stored(ctx)
		Expect(domainKeys).To(HaveLen(2))
		for _, u := range all {
			ring, err := u.Holder.Get()
			Expect(err).NotTo(HaveOccurred())
			Expect(ring.Epochs()).To(Equal([]int64{1, 2}))
			Expect(digestOf(u)).To(Equal(digestOf(all[0])))
		}
		token, err := func() ([]byte, error) {
			ring, err := all[0].Holder.Get()
			Expect(err).NotTo(HaveOccurred())
			return ring.WrapToken(keys.Header{}, nil, secretbytes.Copy([]byte("material")))
		}()
		Expect(err).NotTo(HaveOccurred())
		for _, u := range all {
			Expect(opens(u, token)).To(Succeed())
		}
		stop()
		ended.Wait()
	})
})
