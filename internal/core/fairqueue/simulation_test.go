package fairqueue_test

import (
	"fmt"
	"testing"
	"time"
)

// simulate runs workers for a time: each pass of a group takes as long as its group's do, and every group that is hungry has always more to do. It returns how many
// passes of each group were made.
func simulate(p *play, workers int, took map[string]time.Duration, hungry []string, d time.Duration) map[string]int {
	made, ends := map[string]int{}, map[string]time.Time{}
	number := 0
	more := func(of string) {
		number++
		p.add(0, fmt.Sprintf("%s/%d", of, number))
	}
	for _, of := range hungry {
		for range 2 * workers {
			more(of)
		}
	}
	for end := p.now.Add(d); p.now.Before(end); p.now = p.now.Add(time.Millisecond) {
		for key, at := range ends {
			if !at.After(p.now) {
				p.Done(key, p.now)
				delete(ends, key)
				made[group(key)]++
				more(group(key))
			}
		}
		for len(ends) < workers {
			it, ok := p.Next()
			if !ok {
				break
			}
			ends[it.Key] = p.now.Add(took[group(it.Key)])
		}
	}
	return made
}

func TestQuickWorkIsNotDelayedBySlowWorkOfAnotherGroup(t *testing.T) {
	took := map[string]time.Duration{"slow": time.Second, "quick": time.Millisecond}
	made := simulate(newPlay(t, 8), 8, took, []string{"slow", "quick"}, 20*time.Second)
	if made["quick"] < 3*20_000 || made["slow"] < 4*19 { // four workers each
		t.Errorf("%v", made)
	}
}

func TestWorkThatHangsLeavesAWorkerToOthers(t *testing.T) {
	took := map[string]time.Duration{"hangs": time.Hour, "late": time.Millisecond}
	p := newPlay(t, 8)
	p.add(0, many("hangs", 100)...)
	if got := len(p.next(100)); got != 7 {
		t.Fatalf("%d hang", got)
	}
	made := simulate(p, 1, took, []string{"late"}, time.Second)
	if made["late"] < 990 {
		t.Errorf("%v", made)
	}
}

func TestGroupsOfOneKindHaveAsManyTurns(t *testing.T) {
	took, hungry := map[string]time.Duration{}, []string{}
	for i := range 40 {
		of := fmt.Sprint("g", i)
		took[of], hungry = 3*time.Millisecond, append(hungry, of)
	}
	made := simulate(newPlay(t, 8), 8, took, hungry, 10*time.Second)
	for of, n := range made {
		if want := 10_000 * 8 / 3 / 40; n < want-2 || n > want+2 {
			t.Errorf("%s: %d, where %d are its share", of, n, want)
		}
	}
	if len(made) != 40 {
		t.Errorf("%d groups had turns", len(made))
	}
}

// Whoever is ready comes after as many turns as there are groups before it and items in its own line, whatever comes meanwhile.
func TestTheWaitOfAnItemIsBoundedByGroupsAndItsOwnLine(t *testing.T) {
	p := newPlay(t, 1)
	for i := range 50 {
		p.add(0, many(fmt.Sprint("g", i), 200)...)
	}
	p.add(0, many("own", 3)...)
	for turn := 1; turn <= 3*51; turn++ {
		key := p.one(1)[0]
		p.add(0, key, fmt.Sprintf("new%d/0", turn)) // groups come all the time, too
		if key == "own/2" {
			return
		}
	}
	// New groups come behind those that are there, so that a round is longer by those that came in the last one.
	for turn := range 51 * 7 {
		if key := p.one(1)[0]; key == "own/2" {
			t.Logf("after %d turns", turn+3*51)
			return
		}
	}
	t.Error("it is not handed out")
}

func BenchmarkAddAndNextAmongManyItems(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := newPlay(nil, 8)
			for i := range n {
				p.add(0, fmt.Sprintf("g%d/%d", i%500, i))
			}
			b.ReportAllocs()
			for b.Loop() {
				it, _ := p.Next()
				p.Done(it.Key, p.now)
				p.Add(it.Key, 0, p.now, p.now)
			}
		})
	}
}
