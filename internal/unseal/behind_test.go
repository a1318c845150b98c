package unseal_test

import (
	"context"
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/store"
)

func versionOf(sequence int64) versions.Version {
	return versions.Version{ID: "v", Sequence: sequence, Created: time.Unix(1_800_000_000, 0)}
}

func TestAManagerThatLacksADomainKeyThatIsInUseIsNotReadyUntilItHasIt(t *testing.T) {
	c := newClient()
	first, second := running(t, remote(c, newDevice("a"))), remote(c, newDevice("a"))
	away := second.Provider.(*device)
	second.Verify, second.Retry, second.Patience = time.Hour, 20*time.Millisecond, 500*time.Millisecond
	ready := func() error { return second.Ready(t.Context(), storeOf(c)) }
	if err := ready(); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("before it is unsealed: %v", err)
	}
	running(t, second)
	if err := ready(); err != nil {
		t.Error(err)
	}
	away.away.Store(true)
	if err := ready(); err != nil {
		t.Errorf("it has all domain keys, and its root is away: %v", err)
	}
	if err := first.Rotate(t.Context(), storeOf(c), 1, "now"); err != nil {
		t.Fatal(err)
	}
	claim := store.New("shop", v1alpha1.EnvelopeTombstone, v1alpha1.EnvelopeOwner{Kind: "Secret", Name: "db"}, "arn", versionOf(1), "strongroom:domain-key/2")
	if err := c.Create(t.Context(), claim); err != nil {
		t.Fatal(err)
	}
	second.Changed()
	for until := time.Now().Add(2 * second.Patience); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if err := ready(); err != nil {
			t.Fatalf("anybody who may write Envelopes somewhere can say that: %v", err)
		}
	}
	under := store.New(namespace, v1alpha1.EnvelopeTombstone, v1alpha1.EnvelopeOwner{Kind: "Secret", Name: "db"}, "arn", versionOf(1), "strongroom:domain-key/2")
	if err := c.Create(t.Context(), under); err != nil {
		t.Fatal(err)
	}
	second.Changed()
	eventually(t, "it is not ready", func() bool {
		err := ready()
		return errors.Is(err, keyring.ErrSealed) && errors.Is(err, errAway)
	})

	if err := c.Delete(t.Context(), under); err != nil {
		t.Fatal(err)
	}
	if err := ready(); err != nil {
		t.Errorf("nothing of Strongroom's own is under it, as if nobody had opened it: %v", err)
	}
	k := &v1alpha1.Keyring{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: v1alpha1.KeyringName}, Status: v1alpha1.KeyringStatus{CurrentEpoch: 1}}
	if err := c.Create(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	if err := ready(); err != nil {
		t.Error(err)
	}
	k.Status.CurrentEpoch = 2
	if err := c.Update(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	if err := ready(); !errors.Is(err, errAway) {
		t.Errorf("a manager has opened it, and hands out what is under it: %v", err)
	}
	away.away.Store(false)
	eventually(t, "it is ready again", func() bool { return ready() == nil })
}

func TestADomainKeyThatNobodyHasIsNoReasonNotToBeReady(t *testing.T) {
	c := newClient()
	u := remote(c, newDevice("a"))
	u.Patience = time.Nanosecond
	running(t, u)
	lost := store.New("shop", v1alpha1.EnvelopeTombstone, v1alpha1.EnvelopeOwner{Kind: "Secret", Name: "db"}, "arn", versionOf(1), "strongroom:domain-key/3")
	if err := c.Create(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	u.Changed()
	if err := u.Renew(3); !errors.Is(err, keyring.ErrUnknownEpoch) {
		t.Error(err)
	}
	if err := u.Ready(t.Context(), storeOf(c)); err != nil {
		t.Error(err)
	}
}

func TestTheRootIsReachedWhenItOpensTheNewestDomainKeyAndIsFound(t *testing.T) {
	c, d := newClient(), newDevice("a")
	u := remote(c, d)
	u.Verify = time.Hour
	if err := u.Reach(t.Context()); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("before it is unsealed: %v", err)
	}
	running(t, u)
	asked := d.opened.Load()
	if err := u.Reach(t.Context()); err != nil || d.opened.Load() != asked+1 {
		t.Errorf("%v, asked %d times", err, d.opened.Load()-asked)
	}
	d.away.Store(true)
	if err := u.Reach(t.Context()); !errors.Is(err, errAway) {
		t.Error(err)
	}
	d.away.Store(false)
	d.lost.Store(true)
	if err := u.Reach(t.Context()); !errors.Is(err, errAway) {
		t.Errorf("where it is is not known: %v", err)
	}

	software := running(t, unsealer(newClient()))
	if err := software.Reach(t.Context()); err != nil {
		t.Error(err)
	}
	if err := software.Client.Delete(t.Context(), root()); err != nil {
		t.Fatal(err)
	}
	if err := software.Reach(t.Context()); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("the core Secret is gone: %v", err)
	}
}

// slow is a root that takes its time with the domain key of epoch 2, and then does not open it.
type slow struct {
	*device
	takes time.Duration
}

func (s *slow) Find(ctx context.Context, first bool) (keyring.Root, error) {
	if _, err := s.device.Find(ctx, first); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *slow) Unwrap(ctx context.Context, wrapped []byte, aad keyring.Context) (secretbytes.Bytes, error) {
	if aad["strongroom/epoch"] != "2" {
		return s.device.Unwrap(ctx, wrapped, aad)
	}
	select {
	case <-time.After(s.takes):
	case <-ctx.Done():
	}
	return secretbytes.Bytes{}, errAway
}

func TestWhoClaimsAnEpochThatIsNotOpenedIsToldAtOnceAndHasTheRootAskedNoMore(t *testing.T) {
	c := newClient()
	first, second := running(t, remote(c, newDevice("a"))), remote(c, newDevice("a"))
	second.Provider, second.Verify = &slow{newDevice("a"), 300 * time.Millisecond}, time.Hour
	second.Retry = 5 * time.Second
	running(t, second)
	if err := first.Rotate(t.Context(), storeOf(c), 1, "now"); err != nil {
		t.Fatal(err)
	}
	token := tokenOf(t, first)
	if err := opens(second, token); !errors.Is(err, errAway) {
		t.Error(err)
	}
	for until := time.Now().Add(2500 * time.Millisecond); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		began := time.Now()
		if err := opens(second, token); !errors.Is(err, errAway) || !errors.Is(err, keyring.ErrSealed) {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Fatalf("it waited %s for another attempt", took)
		}
	}
}

func TestTheLossOfTheRootIsSeenWhileADomainKeyIsBeingOpened(t *testing.T) {
	c := newClient()
	first, d := running(t, remote(c, newDevice("a"))), newDevice("a")
	second := remote(c, d)
	second.Provider, second.GracePeriod = &slow{d, time.Hour}, 200*time.Millisecond
	running(t, second)
	if err := first.Rotate(t.Context(), storeOf(c), 1, "now"); err != nil {
		t.Fatal(err)
	}
	second.Changed()
	asked := d.opened.Load()
	eventually(t, "the root is asked meanwhile", func() bool { return d.opened.Load() > asked+10 })
	d.away.Store(true)
	eventually(t, "it is sealed", func() bool { _, err := second.Holder.Get(); return errors.Is(err, errAway) })
}

func TestAnEpochBeforeTheCurrentOneThatIsNotThereIsNotLookedForEachTime(t *testing.T) {
	c := newClient()
	u := running(t, unsealer(c))
	for _, after := range []int64{1, 2} {
		if err := u.Rotate(t.Context(), storeOf(c), after, "now"); err != nil {
			t.Fatal(err)
		}
	}
	second := u.DomainKeys()[1]
	if err := c.Delete(t.Context(), second.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	later := running(t, unsealer(c))
	if err := later.Renew(2); !errors.Is(err, keyring.ErrUnknownEpoch) {
		t.Error(err)
	}
	second.ResourceVersion = ""
	if err := c.Create(t.Context(), &second); err != nil { // as from a backup
		t.Fatal(err)
	}
	later.Changed()
	eventually(t, "it is opened", func() bool { return later.Renew(2) == nil })
}
