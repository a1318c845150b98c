package fairshare_test

import (
	"container/heap"
	"fmt"
	"testing"
	"time"

	"strongroom.dev/strongroom/internal/core/fairshare"
)

// job is one rotation: when it asks next or, while it runs, when it ends.
type job struct {
	at      time.Time
	group   string
	who     string
	lasts   time.Duration
	release func()
}

type queue []*job

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q queue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)        { *q = append(*q, x.(*job)) }
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}

// outcome is what a simulation came to.
type outcome struct {
	// most ran at once, and asked is how often a slot was asked for.
	most, asked int
	// done is when the last of a group ended, counted from the beginning.
	done map[string]time.Duration
}

// simulate has jobs ask for slots, and again when they are told to, until all are done.
func simulate(t *testing.T, capacity int, jobs []*job) outcome {
	t.Helper()
	c := newClock()
	began := c.at
	slots := fairshare.New(capacity, c.now)
	q := make(queue, 0, len(jobs))
	for _, j := range jobs {
		j.at = began
		q = append(q, j)
	}
	heap.Init(&q)
	out, running := outcome{done: map[string]time.Duration{}}, 0
	for q.Len() > 0 {
		j := heap.Pop(&q).(*job)
		c.at = j.at
		if j.release != nil {
			j.release()
			running--
			out.done[j.group] = max(out.done[j.group], c.at.Sub(began))
			continue
		}
		if out.asked++; out.asked > 10_000*len(jobs) {
			t.Fatal("slots are asked for without an end")
		}
		release, wait := slots.Acquire(j.group, j.who)
		if release != nil {
			running++
			out.most = max(out.most, running)
			j.release, wait = release, j.lasts
		} else if wait <= 0 {
			t.Fatalf("%s is refused and not told when to come again", j.who)
		}
		j.at = c.at.Add(wait)
		heap.Push(&q, j)
	}
	if n := slots.Waiting(); n != 0 {
		t.Errorf("%d wait when all are done", n)
	}
	return out
}

func jobsOf(group string, n int, lasts time.Duration) (out []*job) {
	for i := range n {
		out = append(out, &job{group: group, who: fmt.Sprint(group, "/", i), lasts: lasts})
	}
	return out
}

func TestTenThousandAtOneInstantRunAFewAtOnceAndAllOfThem(t *testing.T) {
	out := simulate(t, 4, jobsOf("shop", 10_000, 100*time.Millisecond))
	if out.most > 4 {
		t.Errorf("%d ran at once", out.most)
	}
	// 20 a second are told to come. That is 8 minutes and 20 seconds, and the waits before there were so many are shorter.
	if done := out.done["shop"]; done > 20*time.Minute {
		t.Errorf("they take %s", done)
	}
	if out.asked > 10*10_000 {
		t.Errorf("slots were asked for %d times", out.asked)
	}
}

func TestServersThatHangInOneNamespaceDoNotStopTheRotationsOfAnother(t *testing.T) {
	for _, capacity := range []int{2, 4, 8} {
		jobs := append(jobsOf("stuck", 500, time.Minute), jobsOf("fine", 50, 100*time.Millisecond)...)
		out := simulate(t, capacity, jobs)
		if out.most > capacity {
			t.Errorf("of %d: %d ran at once", capacity, out.most)
		}
		if done := out.done["fine"]; done > time.Minute {
			t.Errorf("of %d: those whose servers answer take %s", capacity, done)
		}
	}
}

func TestNamespacesThatHangShareAndLeaveOthersTheirTurn(t *testing.T) {
	var jobs []*job
	for n := range 6 { // more than there are slots
		jobs = append(jobs, jobsOf(fmt.Sprint("stuck-", n), 20, 30*time.Second)...)
	}
	jobs = append(jobs, jobsOf("fine", 5, 100*time.Millisecond)...)
	out := simulate(t, 4, jobs)
	if out.most != 4 {
		t.Errorf("%d ran at once", out.most)
	}
	all := 6 * 20 * 30 * time.Second / 4
	if done := out.done["fine"]; done > all/3 {
		t.Errorf("those whose servers answer take %s of %s", done, all)
	}
	for group, done := range out.done {
		if done > 2*all {
			t.Errorf("%s takes %s where %s would do: slots stay unused", group, done, all)
		}
	}
}
