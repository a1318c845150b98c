package fairqueue_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/fairqueue"
)

// low is controller-runtime's priority of what has not changed.
const low = -100

// start is when the time of these tests begins.
var start = time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)

// group of an item is what its key has in front of the slash.
func group(key string) string {
	name, _, _ := strings.Cut(key, "/")
	return name
}

// play is a queue and its clock.
type play struct {
	*fairqueue.Queue[string]
	t   *testing.T
	now time.Time
}

func newPlay(t *testing.T, workers int) *play {
	return &play{fairqueue.New(workers, group), t, start}
}

// add queues items of a priority at once.
func (p *play) add(priority int, keys ...string) {
	for _, key := range keys {
		p.Add(key, priority, p.now, p.now)
	}
}

// many are items of a group.
func many(group string, n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("%s/%d", group, i))
	}
	return out
}

// next hands out so many items at most, as workers that are free ask for them.
func (p *play) next(n int) (out []string) {
	for range n {
		it, ok := p.Next()
		if !ok {
			break
		}
		out = append(out, it.Key)
	}
	return out
}

// one hands out items one after another: each has run before the next one comes.
func (p *play) one(n int) (out []string) {
	for range n {
		it, ok := p.Next()
		if !ok {
			break
		}
		out = append(out, it.Key)
		p.Done(it.Key, p.now)
	}
	return out
}

// pass lets time go by.
func (p *play) pass(d time.Duration) {
	p.now = p.now.Add(d)
	p.Advance(p.now, 1000)
}

func (p *play) want(got []string, want ...string) {
	p.t.Helper()
	if !slices.Equal(got, want) {
		p.t.Errorf("got %v, want %v", got, want)
	}
}

func TestGroupsTakeTurnsHoweverManyItemsEachHas(t *testing.T) {
	p := newPlay(t, 1)
	p.add(0, many("busy", 5000)...)
	p.add(0, "b/0", "b/1", "c/0")
	p.want(p.one(7), "busy/0", "b/0", "c/0", "busy/1", "b/1", "busy/2", "busy/3")
}

func TestANewGroupComesBehindThoseThatAreThereAndBeforeTheirSecondTurn(t *testing.T) {
	p := newPlay(t, 1)
	p.add(0, many("a", 3)...)
	p.add(0, many("b", 3)...)
	p.want(p.one(1), "a/0")
	p.add(0, "new/0")
	p.want(p.one(4), "b/0", "a/1", "new/0", "b/1") // a had its turn before the new one came
}

func TestAGroupGainsNoTurnByGoingAndComing(t *testing.T) {
	p := newPlay(t, 1)
	p.add(0, many("patient", 100)...)
	p.add(0, "other/0")
	turns := map[string]int{}
	for range 90 { // it has one item, which is asked for again as soon as it was handed out
		p.add(0, "hasty/0")
		for _, key := range p.one(1) {
			turns[group(key)]++
		}
	}
	if turns["patient"] < 44 || turns["other"] != 1 {
		t.Errorf("of 90 turns: %v", turns)
	}
}

func TestTheGroupOfWhichTheFewestRunComesNext(t *testing.T) {
	p := newPlay(t, 8)
	p.add(0, many("slow", 20)...)
	p.want(p.next(20), many("slow", 7)...) // one worker is for others
	p.add(0, many("quick", 20)...)
	p.want(p.next(1), "quick/0")
	p.Done("quick/0", p.now)
	p.want(p.next(1), "quick/1") // and not slow's eighth
	for i, want := range []string{"quick/2", "quick/3", "quick/4"} {
		p.Done(fmt.Sprint("slow/", i), p.now)
		p.want(p.next(1), want)
	}
	p.Done("slow/3", p.now) // four and three: the fifth of the one or the fourth of the other
	p.want(p.next(1), "slow/7")
}

func TestOneGroupHasAllWorkersButOne(t *testing.T) {
	for _, tt := range []struct{ workers, share int }{{0, 1}, {1, 1}, {2, 1}, {3, 2}, {8, 7}, {1024, 1023}} {
		if got := fairqueue.Share(tt.workers); got != tt.share {
			t.Errorf("of %d workers: %d", tt.workers, got)
		}
		p := newPlay(t, tt.workers)
		p.add(0, many("a", 2000)...)
		if got := len(p.next(2000)); got != tt.share {
			t.Errorf("of %d workers a group alone has %d", tt.workers, got)
		}
	}
}

func TestAnItemOfLowPriorityComesBehindItsGroupsOthersForAMinute(t *testing.T) {
	p := newPlay(t, 1)
	p.add(low, "a/low", "a/low too")
	p.pass(30 * time.Second)
	p.add(0, "a/0", "a/1")
	p.want(p.one(2), "a/0", "a/1")
	p.pass(30*time.Second + 1)
	p.add(0, "a/2")
	p.want(p.one(3), "a/low", "a/low too", "a/2")
}

func TestPriorityCountsInAGroupAndNotBetweenGroups(t *testing.T) {
	p := newPlay(t, 1)
	p.add(low, many("quiet", 3)...)
	p.add(0, many("busy", 1000)...)
	p.want(p.one(6), "quiet/0", "busy/0", "quiet/1", "busy/1", "quiet/2", "busy/2")
}

func TestPrioritiesBeyondAThousandAreOne(t *testing.T) {
	p := newPlay(t, 1)
	p.add(1000, "a/0")
	p.add(1<<62, "a/1")
	p.add(-1<<62, "a/3")
	p.add(-1000, "a/4")
	p.add(0, "a/2")
	p.want(p.one(9), "a/0", "a/1", "a/2", "a/3", "a/4")
}

func TestAnItemIsQueuedOnceWithTheHigherPriority(t *testing.T) {
	p := newPlay(t, 1)
	p.add(low, "a/0", "a/1")
	p.add(0, "a/2")
	for i, tt := range []struct {
		priority int
		want     fairqueue.Change
	}{
		{low, fairqueue.Change{From: low, To: low}},
		{0, fairqueue.Change{From: low, To: 0}},
		{low, fairqueue.Change{}},
	} {
		if got := p.Add("a/1", tt.priority, p.now, p.now); got != tt.want {
			t.Errorf("%d: %+v", i, got)
		}
	}
	if p.Len() != 3 {
		t.Errorf("%d are ready", p.Len())
	}
	p.want(p.one(9), "a/2", "a/1", "a/0")
}

func TestOneThatHasWaitedLongerThanAHigherPriorityIsWorthKeepsItsPlace(t *testing.T) {
	p := newPlay(t, 1)
	p.add(low, "a/low")
	p.pass(61 * time.Second)
	p.add(0, "a/0")
	p.add(0, "a/low")
	p.want(p.one(2), "a/low", "a/0")
}

func TestAnItemThatRunsAndIsAddedIsDoneAgainAndOnce(t *testing.T) {
	p := newPlay(t, 8)
	p.add(0, "a/0")
	p.want(p.next(9), "a/0")
	if got := p.Add("a/0", low, p.now, p.now); !got.Ready {
		t.Errorf("%+v", got)
	}
	p.add(0, "a/0")
	if _, waits := p.Oldest(); waits || p.Len() != 1 || p.Groups() != 0 {
		t.Errorf("%d are ready, of %d groups; one could be handed out: %t", p.Len(), p.Groups(), waits)
	}
	p.want(p.next(9))
	p.pass(time.Minute)
	p.Done("a/0", p.now)
	if since, waits := p.Oldest(); !waits || !since.Equal(p.now) {
		t.Errorf("it waits for others since %s", since)
	}
	it, ok := p.Next()
	if !ok || it != (fairqueue.Item[string]{Key: "a/0", Priority: 0, Ready: start}) {
		t.Errorf("%+v", it)
	}
	p.want(p.next(9))
	p.Done("a/0", p.now)
	p.want(p.next(9))
}

func TestAnItemThatRunsAndIsAddedForLaterIsDoneThenOrWhenItRunsNoMore(t *testing.T) {
	p := newPlay(t, 8)
	p.add(0, "a/early", "a/late")
	p.next(2)
	p.Add("a/early", 0, p.now.Add(time.Minute), p.now)
	p.Add("a/late", 0, p.now.Add(time.Minute), p.now)
	p.Done("a/early", p.now)
	p.want(p.next(9))
	p.pass(time.Minute)
	p.want(p.next(9), "a/early")
	p.Done("a/late", p.now)
	p.want(p.next(9), "a/late")
}

func TestOfTwoTimesTheEarlierWins(t *testing.T) {
	for name, tt := range map[string]struct {
		after []time.Duration
		at    time.Duration
	}{
		"the second":           {[]time.Duration{time.Hour, time.Minute}, time.Minute},
		"the first":            {[]time.Duration{time.Minute, time.Hour}, time.Minute},
		"at once":              {[]time.Duration{time.Minute, 0}, 0},
		"at once, and later":   {[]time.Duration{0, time.Minute}, 0},
		"one that was already": {[]time.Duration{time.Minute, -time.Minute}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlay(t, 1)
			for _, after := range tt.after {
				p.Add("a/0", 0, p.now.Add(after), p.now)
			}
			if tt.at > 0 {
				if at, ok := p.NextAt(); !ok || !at.Equal(start.Add(tt.at)) {
					t.Errorf("the next is at %s", at)
				}
				p.pass(tt.at - 1)
				p.want(p.one(2))
				p.pass(1)
			}
			p.want(p.one(2), "a/0")
			p.pass(2 * time.Hour)
			p.want(p.one(2))
			if _, ok := p.NextAt(); ok {
				t.Error("it waits still")
			}
		})
	}
}

func TestWhatWaitsKeepsTheHigherPriorityToo(t *testing.T) {
	p := newPlay(t, 1)
	p.Add("a/0", low, p.now.Add(time.Second), p.now)
	p.Add("a/0", 0, p.now.Add(time.Minute), p.now)
	p.Add("a/1", low, p.now.Add(time.Second), p.now)
	p.Add("a/1", low, p.now, p.now)
	p.pass(time.Second)
	p.want(p.one(3), "a/0", "a/1")
}

func TestItemsWhoseTimeHasComeBecomeReadyByTheirTimesAndNotAllAtOnce(t *testing.T) {
	p := newPlay(t, 1)
	for i := range 10 {
		p.Add(fmt.Sprint("a/", 9-i), 0, p.now.Add(time.Duration(10-i)*time.Second), p.now)
	}
	p.now = p.now.Add(time.Minute)
	for _, want := range []int{4, 4, 2, 0} {
		if got := p.Advance(p.now, 4); len(got) != want {
			t.Errorf("%v", got)
		}
	}
	p.want(p.one(20), many("a", 10)...)
}

func TestWhatDoesNotRunIsNotDone(t *testing.T) {
	p := newPlay(t, 2)
	p.Done("a/0", p.now)
	p.add(0, "a/0", "a/1")
	p.Done("a/0", p.now)
	p.want(p.next(9), "a/0")
	p.Done("a/1", p.now)
	p.want(p.next(9))
	p.Done("a/0", p.now)
	p.Done("a/0", p.now)
	p.want(p.next(9), "a/1")
}

func TestTheOldestIsTheOneThatHasWaitedTheLongestForOthers(t *testing.T) {
	p := newPlay(t, 1)
	if _, waits := p.Oldest(); waits {
		t.Error("nobody is there")
	}
	for i := range 3 {
		p.add(0, fmt.Sprint("a/", i))
		p.pass(time.Second)
	}
	for i := range 3 {
		if since, waits := p.Oldest(); !waits || !since.Equal(start.Add(time.Duration(i)*time.Second)) || p.Groups() != 1 {
			t.Errorf("%d: since %s, of %d groups", i, since, p.Groups())
		}
		p.one(1)
	}
}
