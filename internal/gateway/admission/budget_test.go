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
	other := spend("b", 25, true) // as much as it leaves
	spend("b", 1, false)
	third := spend("c", 12, true)
	first.Return()
	first.Return() // once, whoever says it twice
	spend("c", 16, false)
	fourth := spend("c", 15, true)
	spend("a", 10, false) // who has something already
	for _, s := range []*admission.Spent{&second, &other, &third, &fourth} {
		s.Return()
	}
	last := spend("d", 50, true) // nothing was lost, and nothing came of nothing
	spend("d", 1, false)
	last.Return()
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
	if _, ok := b.Spend("b", 240); !ok { // 60 percent of the rest
		t.Error("something of all is lost")
	}
}

// TestNoAccountsTogetherTakeWhatAnotherNeeds: each takes all it can get, in small parts and in turn, or one after the other. Whoever comes
// then gets as much as each of them has, or all it asks for.
func TestNoAccountsTogetherTakeWhatAnotherNeeds(t *testing.T) {
	const total, step = 192 << 20, 1 << 14
	for _, n := range []int{1, 2, 3, 4, 10, 50} {
		for _, turns := range []bool{true, false} {
			b := admission.NewBudget(total, admission.AccountShare)
			has := make([]int64, n)
			take := func(i int) bool {
				_, ok := b.Spend(string(rune('a'+i)), step)
				if ok {
					has[i] += step
				}
				return ok
			}
			if turns {
				for more := true; more; {
					more = false
					for i := range n {
						more = take(i) || more
					}
				}
			} else {
				for i := range n {
					for take(i) { // until it gets no more
					}
				}
			}
			least, all := int64(total), int64(0)
			for _, h := range has {
				least, all = min(least, h), all+h
			}
			newcomer := int64(0)
			for {
				if _, ok := b.Spend("newcomer", step); !ok {
					break
				}
				newcomer += step
			}
			if rest := total - all; newcomer < rest*admission.AccountShare/100-step {
				t.Errorf("%d accounts, in turn %t: they have %d, and another gets %d of %d", n, turns, all, newcomer, rest)
			}
			if n == 3 && newcomer < total*97/1000 {
				t.Errorf("three accounts leave %d to another", newcomer)
			}
			if turns && least < all/int64(n)-2*step {
				t.Errorf("%d accounts that take in turn: one has %d of %d", n, least, all)
			}
		}
	}
}
