package projection

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/fault"
)

// showingOf is of a target of so many bytes, of which status knows another content.
func showingOf(namespace, name string, bytes int, now time.Time) *Showing {
	return &Showing{
		Namespace: namespace, Owner: Owner{Name: name, UID: "1"}, Now: now, Former: &Former{Name: "target", Digest: "before"},
		Target: &Target{Name: "target", Data: map[string]secretbytes.Bytes{"k": secretbytes.Copy(make([]byte, bytes))}},
	}
}

// empty is a cache that has no target.
type empty struct{ client.Client }

func (empty) Get(_ context.Context, key client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, key.Name)
}

func TestAnotherContentWaitsWhereManyBytesWereWritten(t *testing.T) {
	now := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	p := &Projector{Client: empty{}, Budget: NewBudget(func() time.Time { return now })}
	written := 0
	for ; written < 100; written++ {
		s := showingOf("shop", "big", 1<<20, now)
		if p.afford(t.Context(), s, "now") != nil {
			break
		}
		p.pay(s, 1)
	}
	if written != 4 { // with its keys each is a little more than a quarter of what there is
		t.Errorf("%d were written at once", written)
	}
	err := p.afford(t.Context(), showingOf("shop", "big", 1<<20, now), "now")
	f := fault.Of(err)
	if err == nil || f.Reason != v1alpha1.ReasonProgressing || f.Stalled || f.RetryAfter <= 0 || f.RetryAfter > time.Second || !strings.Contains(f.Error(), "is shown at 2026-11-30T03:00:0") {
		t.Errorf("%v, again after %s", err, f.RetryAfter)
	}
	for name, s := range map[string]*Showing{
		"another namespace's":               showingOf("other", "big", 1<<20, now),
		"one that status does not know":     {Namespace: "shop", Owner: Owner{Name: "new", UID: "1"}, Now: now, Target: showingOf("", "", 1, now).Target},
		"one whose controller asks himself": func() *Showing { s := showingOf("shop", "tree", 1, now); s.Paid = true; return s }(),
	} {
		if err := p.afford(t.Context(), s, "now"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := p.afford(t.Context(), showingOf("shop", "same", 1, now), "before"); err != nil {
		t.Errorf("what is shown already: %v", err)
	}
	now = now.Add(3 * time.Second)
	s := showingOf("shop", "big", 1<<20, now)
	if err := p.afford(t.Context(), s, "now"); err != nil {
		t.Errorf("when its time has come: %v", err)
	}
	p.pay(s, 0)
	if err := p.afford(t.Context(), showingOf("shop", "next", 1, now), "now"); err != nil {
		t.Errorf("after one that was as it is to be: %v", err)
	}
}

func TestEachWriteOfATargetIsPaidFor(t *testing.T) {
	now := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	for writes, want := range []time.Duration{0, 0, 0, 2 * time.Second} { // 4 MiB at once, and 512 KiB a second
		p := &Projector{Client: empty{}, Budget: NewBudget(func() time.Time { return now })}
		p.pay(showingOf("shop", "first", 1<<20, now), 2)
		p.pay(showingOf("shop", "big", 1<<20, now), writes)
		wait := fault.Of(p.afford(t.Context(), showingOf("shop", "next", 1, now), "now"))
		if wait == nil && want > 0 || wait != nil && (wait.RetryAfter-want).Abs() > 100*time.Millisecond {
			t.Errorf("after %d writes the next waits: %v, want %s", writes, wait, want)
		}
	}
}

func TestWhatIsStoredCostsWhatItDidWhenItWasWritten(t *testing.T) {
	for name, data := range map[string]map[string][]byte{"nothing": nil, "one": {"k": make([]byte, 1<<20)}, "some": {"k": []byte("v"), "key": nil, "other": []byte("value")}} {
		shown := map[string]secretbytes.Bytes{}
		for key, value := range data {
			shown[key] = secretbytes.Copy(value)
		}
		if got, want := costOf(&corev1.Secret{Data: data}), Cost(shown); got != want || got < bytesPerWrite {
			t.Errorf("%s: %d, want %d", name, got, want)
		}
	}
}

func TestATargetIsHeldFromWhenItWasToldThatItWaitsAndUntilThen(t *testing.T) {
	now := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	p := &Projector{Client: empty{}, Budget: NewBudget(func() time.Time { return now })}
	held := func(s *Showing) error { return p.Held(s.Namespace, s.Owner, s.Former, s.Target, now) }
	s := func() *Showing { return showingOf("shop", "big", 1<<20, now) }
	for p.afford(t.Context(), s(), "now") == nil {
		if err := held(s()); err != nil {
			t.Fatalf("before it was told: %v", err)
		}
		p.pay(s(), 1)
	}
	told := p.afford(t.Context(), s(), "now")
	if err := held(s()); err == nil || err.Error() != told.Error() || fault.Of(err).RetryAfter != fault.Of(told).RetryAfter {
		t.Errorf("%v, and not %v", err, told)
	}
	for name, change := range map[string]func(*Showing){
		"another's":                     func(s *Showing) { s.Owner.Name = "other" },
		"one that status does not know": func(s *Showing) { s.Former = nil },
		"one of another name":           func(s *Showing) { s.Target.Name = "elsewhere" },
		"an immutable one":              func(s *Showing) { s.Target.Immutable = true },
	} {
		other := s()
		change(other)
		if err := held(other); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	now = now.Add(fault.Of(told).RetryAfter)
	if err := held(s()); err != nil {
		t.Errorf("when its time has come: %v", err)
	}
	if err := (&Projector{}).Held("shop", s().Owner, s().Former, s().Target, now); err != nil {
		t.Errorf("without a budget: %v", err)
	}
}

func TestWithoutABudgetNothingWaits(t *testing.T) {
	p := &Projector{}
	for range 100 {
		s := showingOf("shop", "big", 1<<20, time.Time{})
		if err := p.afford(t.Context(), s, "now"); err != nil {
			t.Fatal(err)
		}
		p.pay(s, 1)
	}
}
