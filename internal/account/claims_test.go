package account_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/account"
	"strongroom.dev/strongroom/internal/core/arn"
)

func reader(objects ...client.Object) client.WithWatch {
	return fake.NewClientBuilder().WithIndex(&corev1.Namespace{}, account.IDIndex, account.Index).WithObjects(objects...).Build()
}

// However many namespaces want one account: exactly one has it, the oldest, and the others are told that another has.
func TestEachAccountBelongsToExactlyOneNamespace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := []string{"", "111111111111", "222222222222", arn.DeriveAccount("ns-0")}
		n := rapid.IntRange(1, 7).Draw(t, "namespaces")
		var objects []client.Object
		eldest := map[string]client.Object{}
		for i := range n {
			ns := namespace(fmt.Sprintf("ns-%d", i), rapid.SampledFrom(ids).Draw(t, "id"), time.Duration(rapid.IntRange(0, 2).Draw(t, "age"))*time.Hour)
			objects = append(objects, ns)
			id := account.ID(ns.(*corev1.Namespace))
			first, taken := eldest[id]
			// Of one age, the name that comes first: ns-0 before ns-1, which is the order they are made in here.
			if created := ns.GetCreationTimestamp().Time; !taken || created.Before(first.GetCreationTimestamp().Time) {
				eldest[id] = ns
			}
		}
		c := reader(rapid.Permutation(objects).Draw(t, "order")...)
		for _, ns := range objects {
			id := account.ID(ns.(*corev1.Namespace))
			got, err := account.Resolve(t.Context(), c, ns.GetName())
			if owner := eldest[id].GetName(); owner == ns.GetName() {
				if err != nil || got != id {
					t.Fatalf("%s is the eldest of %s: %q, %v", ns.GetName(), id, got, err)
				}
			} else if !errors.Is(err, account.ErrConflict) || got != "" || strings.Contains(err.Error(), "belongs to namespace "+ns.GetName()+",") {
				t.Fatalf("%s, whose account is %s's: %q, %v", ns.GetName(), owner, got, err)
			}
		}
	})
}

func TestALabelThatIsNoAccountIsSaidWithItsNamespaceAndARemedy(t *testing.T) {
	for _, label := range []string{"", "12345678901", "1234567890123", "12345678901a", "-"} {
		ns := namespace("shop", "123456789012", 0)
		ns.SetLabels(map[string]string{v1alpha1.AccountIDLabel: label})
		id, err := account.Resolve(t.Context(), reader(ns), "shop")
		if id != "" || !errors.Is(err, account.ErrInvalid) || !errors.Is(err, arn.ErrInvalidAccount) {
			t.Errorf("%q: %q, %v", label, id, err)
			continue
		}
		for _, says := range []string{"namespace shop", v1alpha1.AccountIDLabel, "for example 123456789012"} {
			if !strings.Contains(err.Error(), says) {
				t.Errorf("%q: %v does not say %s", label, err, says)
			}
		}
	}
}

// When the eldest goes or gives the id up, the next one has it, without anything being written for it.
func TestAnAccountPassesToTheNextWhenItsNamespaceGoes(t *testing.T) {
	old, young := namespace("old", "123456789012", time.Hour), namespace("young", "123456789012", 0)
	c := reader(old, young)
	if _, err := account.Resolve(t.Context(), c, "young"); !errors.Is(err, account.ErrConflict) {
		t.Fatalf("%v", err)
	}
	if err := c.Delete(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	if id, err := account.Resolve(t.Context(), c, "young"); err != nil || id != "123456789012" {
		t.Errorf("%q, %v", id, err)
	}
	young.SetLabels(nil)
	if err := c.Update(t.Context(), young); err != nil {
		t.Fatal(err)
	}
	if id, err := account.Resolve(t.Context(), c, "young"); err != nil || id != arn.DeriveAccount("young") {
		t.Errorf("without a label: %q, %v", id, err)
	}
}
