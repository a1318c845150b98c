package admission_test

import (
	"sync"
	"testing"

	"strongroom.dev/strongroom/internal/gateway/admission"
)

func TestABudgetIsSpentInAllAndByEachAccount(t *testing.T) {
	b := admission.NewBudget(100, 50)
	spend := func(account string, bytes int64, want bool) admission.Spent {
		t.Helper()
		s, ok := b.Spend(account, bytes)
		if ok != want {
			t.Fatalf("%d bytes for %s: %v", bytes, account, ok)
		}
		return s
	}
	first := spend("a", 30, true)
	spend("a", 21, false) // over its share
	second := spend("a", 20, true)
	spend("a", 1, false)
	other := spend("b", 50, true) // whom a's share does not concern
	spend("c", 1, false)          // all is spent, whoever asks
	first.Return()
	first.Return() // once, whoever says it twice
	spend("c", 31, false)
	third := spend("c", 30, true)
	for _, s := range []*admission.Spent{&second, &other, &third} {
		s.Return()
	}
	for _, account := range []string{"d", "e"} { // nothing was lost, and nothing came of nothing
		spend(account, 50, true)
	}
	spend("f", 1, false)
	new(admission.Spent).Return()
}

func TestARequestLargerThanTheShareIsCarriedOutAlone(t *testing.T) {
	b := admission.NewBudget(100, 50)
	s, ok := b.Spend("a", 1<<40)
	if !ok {
		t.Fatal("it would never be carried out")
	}
	if _, ok := b.Spend("a", 1); ok {
		t.Error("another is carried out beside it")
	}
	s.Return()
	if _, ok := b.Spend("a", 50); !ok {
		t.Error("it gave back less than it took")
	}
}

func TestABudgetIsWholeAgainAfterManyAtOnce(t *testing.T) {
	b := admission.NewBudget(1000, 60)
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			for n := range 200 {
				if s, ok := b.Spend(string(rune('a'+i%5)), int64(1+n%97)); ok {
					s.Return()
				}
			}
		})
	}
	all.Wait()
	if _, ok := b.Spend("a", 600); !ok {
		t.Error("something of the share is lost")
	}
	if _, ok := b.Spend("b", 400); !ok {
		t.Error("something of all is lost")
	}
}
