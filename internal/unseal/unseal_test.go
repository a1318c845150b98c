package unseal_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/internal/unseal"
)

const namespace = "strongroom-system"

func unsealer(c client.Client) *unseal.Unsealer {
	return &unseal.Unsealer{
		Client: c, Live: c, Namespace: namespace, Holder: &keyring.Holder{}, Log: logr.Discard(), Retry: 10 * time.Millisecond,
	}
}

func newClient() client.WithWatch {
	return fake.NewClientBuilder().WithScheme(operator.Scheme()).
		WithIndex(&v1alpha1.Envelope{}, store.OwnerIndex, store.IndexOwner).WithIndex(&v1alpha1.Envelope{}, store.KeyIndex, store.IndexKey).Build()
}

func digest(t *testing.T, u *unseal.Unsealer) string {
	t.Helper()
	ring, err := u.Holder.Get()
	if err != nil {
		t.Fatal(err)
	}
	return ring.Digest("test", []byte("x"))
}

func root() *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: unseal.RootSecretName}}
}

func TestTheFirstRunMakesARootAndADomainKeyAndTheNextFindsThem(t *testing.T) {
	c := newClient()
	first, second := unsealer(c), unsealer(c)
	for _, u := range []*unseal.Unsealer{first, second} {
		if err := u.Unseal(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if digest(t, first) != digest(t, second) {
		t.Error("the second run has other keys")
	}
	var envelopes v1alpha1.EnvelopeList
	if err := c.List(t.Context(), &envelopes); err != nil || len(envelopes.Items) != 1 || envelopes.Items[0].Spec.Class != v1alpha1.EnvelopeDomainKey {
		t.Errorf("%d Envelopes: %v", len(envelopes.Items), err)
	}
	secret := root()
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil || secret.Immutable == nil || !*secret.Immutable {
		t.Errorf("the root is not immutable: %v", err)
	}
	if protected, message := first.Protection(); protected || message == "" {
		t.Errorf("%t, %q", protected, message)
	}
}

func TestACrashAtAnyWriteOfTheFirstRunLosesNothing(t *testing.T) {
	errCrash := errors.New("crash")
	for _, after := range []bool{false, true} {
		for n := 1; n <= 2; n++ {
			writes := 0
			base := newClient()
			crashing := interceptor.NewClient(base, interceptor.Funcs{
				Create: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.CreateOption) error {
					if writes++; writes != n {
						return c.Create(ctx, obj, opts...)
					}
					if after {
						_ = c.Create(ctx, obj, opts...)
					}
					return errCrash
				},
			})
			if err := unsealer(crashing).Unseal(t.Context()); !errors.Is(err, errCrash) {
				t.Fatalf("write %d: %v", n, err)
			}
			first, second := unsealer(base), unsealer(base)
			for _, u := range []*unseal.Unsealer{first, second} {
				if err := u.Unseal(t.Context()); err != nil {
					t.Fatalf("after a crash at write %d: %v", n, err)
				}
			}
			if digest(t, first) != digest(t, second) {
				t.Errorf("after a crash at write %d there are two domain keys", n)
			}
		}
	}
}

func TestALostRootIsNeverReplaced(t *testing.T) {
	c := newClient()
	if err := unsealer(c).Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), root()); err != nil {
		t.Fatal(err)
	}
	u := unsealer(c)
	if err := u.Unseal(t.Context()); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("%v", err)
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(root()), root()); err == nil {
		t.Error("another root was made")
	}
	if _, message := u.Protection(); message != "" {
		t.Errorf("it says %q of a root that it does not have", message)
	}
}

func TestAnotherRootIsSealedAndNotAccepted(t *testing.T) {
	c := newClient()
	if err := unsealer(c).Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), root()); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"another": make([]byte, 32), "a short one": make([]byte, 31), "none": nil} {
		other := root()
		other.Data = map[string][]byte{"root": data}
		if err := c.Create(t.Context(), other); err != nil {
			t.Fatal(err)
		}
		if err := unsealer(c).Unseal(t.Context()); !errors.Is(err, keyring.ErrSealed) {
			t.Errorf("%s: %v", name, err)
		}
		if err := c.Delete(t.Context(), root()); err != nil {
			t.Fatal(err)
		}
	}
}

func TestASealedManagerWaitsAndUnsealsByItself(t *testing.T) {
	c := newClient()
	if err := unsealer(c).Unseal(t.Context()); err != nil {
		t.Fatal(err)
	}
	secret := root()
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), root()); err != nil {
		t.Fatal(err)
	}
	u := unsealer(c)
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { done <- u.Start(ctx) }()
	time.Sleep(50 * time.Millisecond)
	if _, err := u.Holder.Get(); !errors.Is(err, keyring.ErrSealed) {
		t.Errorf("%v", err)
	}
	secret.ResourceVersion = ""
	if err := c.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	select {
	case <-u.Holder.Unsealed():
	case <-time.After(10 * time.Second):
		t.Fatal("it stays sealed")
	}
	digest(t, u)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestASealedManagerStopsWhenItIsToldTo(t *testing.T) {
	failing := interceptor.NewClient(newClient(), interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
			return errors.New("away")
		},
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- unsealer(failing).Start(ctx) }()
	time.Sleep(30 * time.Millisecond)
	cancel()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it does not stop")
	}
}
