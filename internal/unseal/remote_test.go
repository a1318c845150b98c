package unseal_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/unseal"
)

var errAway = errors.New("the device is away")

// device is a root that a test takes away and brings back. Its key is another with each letter.
type device struct {
	keyring.Root
	name     string
	identity string
	away     atomic.Bool // nothing is wrapped or unwrapped
	lost     atomic.Bool // it is not even found
	opened   atomic.Int32
	claims   atomic.Int32
	claimed  error

	finding sync.Mutex
	firsts  []bool
}

func newDevice(letter string) *device {
	name := "hsm:strongroom-system/device"
	return &device{Root: keyring.NewSoftwareRoot(name, secretbytes.Copy([]byte(strings.Repeat(letter, 32)))), name: name, identity: "1:" + letter}
}

func (d *device) Name() string { return d.name }
func (d *device) Remote()      {}

func (d *device) Find(_ context.Context, first bool) (keyring.Root, error) {
	d.finding.Lock()
	d.firsts = append(d.firsts, first)
	d.finding.Unlock()
	if d.lost.Load() {
		return nil, errAway
	}
	return d, nil
}

func (d *device) Claim(context.Context) error { d.claims.Add(1); return d.claimed }

func (d *device) Unwrap(ctx context.Context, wrapped []byte, aad keyring.Context) (secretbytes.Bytes, error) {
	d.opened.Add(1)
	if d.away.Load() {
		return secretbytes.Bytes{}, errAway
	}
	return d.Root.Unwrap(ctx, wrapped, aad)
}

func (d *device) Identify([]byte) string { return d.identity }

func (d *device) Check(identity string) error {
	if identity != d.identity {
		return keyring.ErrOtherRoot
	}
	return nil
}

func remote(c client.Client, d *device) *unseal.Unsealer {
	u := unsealer(c)
	u.Provider, u.Verify = d, 5*time.Millisecond
	return u
}

func run(t *testing.T, u *unseal.Unsealer) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- u.Start(ctx) }()
	return func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(10 * time.Second):
			t.Error("it does not end")
		}
	}
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatal(what + ": not within 10 seconds")
}

func TestARemoteRootIsClaimedBeforeItWrapsAndItsKeyIsNamedInTheEnvelope(t *testing.T) {
	c, d := newClient(), newDevice("a")
	wrote := false
	u := remote(interceptor.NewClient(c, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			if wrote = true; d.claims.Load() == 0 {
				t.Errorf("%T was made before the claim", obj)
			}
			return c.Create(ctx, obj, opts...)
		},
	}), d)
	if err := u.Unseal(t.Context()); err != nil || !wrote {
		t.Fatal(err)
	}
	var list v1alpha1.EnvelopeList
	if err := c.List(t.Context(), &list); err != nil || len(list.Items) != 1 || list.Items[0].Spec.KeyARN != "root:hsm:strongroom-system/device:1:a" {
		t.Errorf("%v: %+v", err, list.Items)
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(root()), root()); !apierrors.IsNotFound(err) {
		t.Errorf("a core Secret was made besides: %v", err)
	}
	if len(d.firsts) != 1 || !d.firsts[0] {
		t.Errorf("the root was told of a first run %v", d.firsts)
	}
	if again := remote(c, d); again.Unseal(t.Context()) != nil || digest(t, again) != digest(t, u) || d.firsts[1] {
		t.Error("the next start has another keyring, or is a first run too")
	}
	if name, reached := u.Reached(); name != d.name || !reached {
		t.Errorf("%s, %t", name, reached)
	}
}

func TestARootThatCannotBeClaimedWrapsNoFirstKeyButOpensWhatItWrapped(t *testing.T) {
	c, d := newClient(), newDevice("a")
	d.claimed = errors.New("it is being deleted")
	if err := remote(c, d).Unseal(t.Context()); !errors.Is(err, d.claimed) {
		t.Errorf("%v", err)
	}
	var list v1alpha1.EnvelopeList
	if err := c.List(t.Context(), &list); err != nil || len(list.Items) != 0 {
		t.Errorf("%v, %d Envelopes", err, len(list.Items))
	}
	willing := newDevice("a")
	if err := remote(c, willing).Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := remote(c, d).Unseal(t.Context()); err != nil {
		t.Errorf("an installation is held up: %v", err)
	}
}

func TestAnotherKeyOfTheRootIsToldWithoutAskingIt(t *testing.T) {
	c := newClient()
	if err := remote(c, newDevice("a")).Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := newDevice("b")
	err := remote(c, other).Unseal(t.Context())
	if !errors.Is(err, keyring.ErrOtherRoot) || !errors.Is(err, keyring.ErrSealed) || !strings.Contains(err.Error(), "epoch 1") || other.opened.Load() != 0 {
		t.Errorf("%v, asked %d times", err, other.opened.Load())
	}
}

func TestANewInstallationDoesNotBeginBesideTheRootOfAnother(t *testing.T) {
	claimed := &v1alpha1.HSMCluster{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "former", Finalizers: []string{v1alpha1.RootFinalizer}}}
	store := &v1alpha1.HSMCluster{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "store", Finalizers: []string{"strongroom.dev/hsmcluster"}}}
	own := claimed.DeepCopy()
	own.Name = "device"
	for _, tt := range []struct {
		what  string
		there client.Object
		root  unseal.Provider
		says  []string
	}{
		{"a core Secret beside a former root in an HSMCluster", claimed, nil, []string{"HSMCluster strongroom-system/former", "--root=hsm:strongroom-system/former"}},
		{"an HSMCluster beside another", claimed, newDevice("a"), []string{"--root=hsm:strongroom-system/former", "take that finalizer away"}},
		{"an HSMCluster beside a core Secret", root(), newDevice("a"), []string{"core Secret strongroom-system/strongroom-root", "--root=core-secret", "delete that core Secret"}},
		{"a core Secret beside an HSMCluster that is a key store alone", store, nil, nil},
		{"the HSMCluster itself, claimed before a crash", own, newDevice("a"), nil},
	} {
		c := newClient()
		if err := c.Create(t.Context(), tt.there.DeepCopyObject().(client.Object)); err != nil {
			t.Fatal(err)
		}
		u := unsealer(c)
		u.Provider = tt.root
		err := u.Unseal(t.Context())
		if tt.says == nil {
			if err != nil {
				t.Errorf("%s: %v", tt.what, err)
			}
			continue
		}
		if !errors.Is(err, keyring.ErrSealed) {
			t.Errorf("%s: %v", tt.what, err)
			continue
		}
		for _, s := range tt.says {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: %v says nothing of %q", tt.what, err, s)
			}
		}
		var list v1alpha1.EnvelopeList
		if err := c.List(t.Context(), &list); err != nil || len(list.Items) != 0 {
			t.Errorf("%s: %v, %d domain keys were made", tt.what, err, len(list.Items))
		}
	}
}

func TestOfTwoManagersThatBeginWithDifferentRootsOneWinsAndTheOtherSaysSo(t *testing.T) {
	c, d := newClient(), newDevice("a")
	// The one with a core Secret is faster by its last write.
	overtaken := interceptor.NewClient(c, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
			if err := unsealer(c).Unseal(ctx); err != nil {
				t.Fatal(err)
			}
			return c.Create(ctx, obj, opts...)
		},
	})
	if err := remote(overtaken, d).Unseal(t.Context()); !errors.Is(err, keyring.ErrOtherRoot) || d.opened.Load() != 0 {
		t.Errorf("%v", err)
	}
	if err := unsealer(c).Unseal(t.Context()); err != nil {
		t.Errorf("who won: %v", err)
	}
}

func TestTheKeyringGoesOnWhenItsRootIsGoneAndTheRootIsSeenToComeBack(t *testing.T) {
	d := newDevice("a")
	u := remote(newClient(), d)
	defer run(t, u)()
	reached := func() bool { _, r := u.Reached(); return r }
	eventually(t, "it is unsealed", reached)
	was := digest(t, u)
	d.away.Store(true)
	eventually(t, "the loss is seen", func() bool { return !reached() })
	asked := d.opened.Load()
	eventually(t, "it is asked again and again", func() bool { return d.opened.Load() > asked+3 })
	if digest(t, u) != was {
		t.Error("the keyring is another")
	}
	d.away.Store(false)
	eventually(t, "it is back", reached)
}

func TestARootThatIsNotFoundIsAskedWhereItWas(t *testing.T) {
	d := newDevice("a")
	u := remote(newClient(), d)
	u.GracePeriod = 20 * time.Millisecond
	defer run(t, u)()
	eventually(t, "it is unsealed", func() bool { _, r := u.Reached(); return r })
	d.lost.Store(true) // the API server is away
	asked := d.opened.Load()
	eventually(t, "it is asked", func() bool { return d.opened.Load() > asked+10 })
	if _, err := u.Holder.Get(); err != nil {
		t.Errorf("sealed, because the API server is away: %v", err)
	}
}

func TestTheKeyringIsSealedAtTheEndOfItsGracePeriodAndWhatItOpenedIsForgotten(t *testing.T) {
	d := newDevice("a")
	u := remote(newClient(), d)
	u.GracePeriod = 30 * time.Millisecond
	var forgot atomic.Int32
	u.Sealed = func() { forgot.Add(1) }
	defer run(t, u)()
	eventually(t, "it is unsealed", func() bool { _, err := u.Holder.Get(); return err == nil })
	was := digest(t, u)
	d.away.Store(true)
	eventually(t, "it is sealed", func() bool {
		_, err := u.Holder.Get()
		return errors.Is(err, errAway) && errors.Is(err, keyring.ErrSealed)
	})
	if forgot.Load() != 1 {
		t.Errorf("told %d times", forgot.Load())
	}
	d.away.Store(false)
	eventually(t, "it is unsealed again", func() bool { _, err := u.Holder.Get(); return err == nil })
	if digest(t, u) != was {
		t.Error("with another keyring")
	}
}
