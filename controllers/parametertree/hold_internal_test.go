package parametertree

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/fairshare"
	"strongroom.dev/strongroom/internal/projection"
)

func TestNoNamespaceWaitsWhileTheParametersOfAnotherAreRead(t *testing.T) {
	now := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	p := NewPace(projection.NewBudget(clock), clock)
	reads, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_, _, _ = p.lately("large", func() (*living, error) {
			<-reads
			return &living{}, nil
		})
	}()
	asked := make(chan bool)
	go func() {
		_, fresh, _ := p.lately("small", func() (*living, error) { return &living{}, nil })
		_, again, _ := p.lately("small", func() (*living, error) { return &living{}, nil })
		asked <- fresh && !again
	}()
	select {
	case right := <-asked:
		if !right {
			t.Error("the first look is not fresh, or the second is")
		}
	case <-time.After(10 * time.Second):
		t.Error("it waits for the other namespace's")
	}
	close(reads)
	<-done
}

func TestATreeThatIsHeldLosesWhatHasItsEndAsSoonAsEitherBudgetLetsIt(t *testing.T) {
	clock := func() time.Time { return time.Time{} }
	p := NewPace(projection.NewBudget(clock), clock)
	for name, tt := range map[string]struct {
		got, want turn
		held      bool
	}{
		"nothing has gone":                              {decideTurn(p.writes, 5*time.Second, true), turn{wait: 5 * time.Second, of: p.writes}, true},
		"nothing has gone, and it waits for long":       {decideTurn(p.urgent, time.Hour, true), turn{wait: longestHold, of: p.urgent}, true},
		"nothing had gone a moment ago":                 {decideTurn(p.writes, time.Hour, false), turn{wait: gathering, of: p.writes}, true},
		"nothing had gone, and its turn comes at once":  {decideTurn(p.writes, time.Millisecond, false), turn{wait: time.Millisecond, of: p.writes}, true},
		"it may lose what has gone":                     {decideLosing(p.writes, 5*time.Second, p.ends, 0), turn{wait: 5 * time.Second, losing: true, of: p.ends}, false},
		"it may lose it, and the rest waits for long":   {decideLosing(p.urgent, time.Hour, p.ends, 0), turn{wait: longestHold, losing: true, of: p.ends}, false},
		"it waits to lose it":                           {decideLosing(p.writes, time.Hour, p.ends, time.Second), turn{wait: time.Second, of: p.writes}, true},
		"it waits to lose it, and its turn comes first": {decideLosing(p.writes, time.Second, p.ends, time.Hour), turn{wait: time.Second, of: p.writes}, true},
		"it waits for both for long":                    {decideLosing(p.writes, time.Hour, p.ends, time.Hour), turn{wait: longestHold, of: p.writes}, true},
		"it does not wait":                              {turn{of: p.writes}, turn{wait: 0, of: p.writes}, false},
	} {
		if tt.got != tt.want || tt.got.held() != tt.held {
			t.Errorf("%s: %+v, want %+v; held: %t", name, tt.got, tt.want, tt.got.held())
		}
	}
}

// passOf is one of a tree that was let in by a budget and has written so much.
func passOf(of *fairshare.Budget, name string, spent int64, rests bool) *pass {
	return &pass{tree: &v1alpha1.ParameterTree{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}, turn: turn{of: of}, size: 1 << 20, spent: spent, rests: rests}
}

func TestWhatTreesLoseIsPaidForByTheSizeOfTheirTargetsAndByABudgetOfItsOwn(t *testing.T) {
	now := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	p := NewPace(projection.NewBudget(func() time.Time { return now }), func() time.Time { return now })
	all := passOf(p.ends, "tree", 1<<20, false)
	lost := 0
	for ; lost < 200 && p.book(p.ends, all.tree) == 0; lost++ {
		p.settle(all)
	}
	if lost != urgentAtOnce>>20+1 { // the last goes beyond what there is
		t.Errorf("%d of 1 MiB at once", lost)
	}
	for name, budget := range map[string]*fairshare.Budget{"changes": p.writes, "urgent": p.urgent} {
		if wait := p.book(budget, passOf(budget, "other", 0, false).tree); wait != 0 {
			t.Errorf("%s wait for it %s", name, wait)
		}
	}
	now = now.Add(2 * time.Second)
	if wait := p.book(p.ends, all.tree); wait != 0 {
		t.Errorf("1 MiB is held for longer than it takes at 512 KiB a second: %s", wait)
	}
}

func TestATreeThatHasLostValuesKeepsItsTurnWhileTheRestWaits(t *testing.T) {
	now := time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	for rests, want := range map[bool]bool{true: true, false: false} {
		p := NewPace(projection.NewBudget(func() time.Time { return now }), func() time.Time { return now })
		p.writes.Settle("shop", "somebody", 16<<20)
		one := passOf(p.ends, "tree", 1<<20, rests)
		wait := p.book(p.writes, one.tree)
		if wait < 20*time.Second || p.book(p.ends, one.tree) != 0 {
			t.Fatalf("it waits for %s", wait)
		}
		p.settle(one)
		who := own.Name + "/shop/tree"
		if p.writes.Booked(who) != want || p.ends.Booked(who) {
			t.Errorf("the rest waits: %t; it has booked changes: %t, ends: %t", rests, p.writes.Booked(who), p.ends.Booked(who))
		}
	}
}
