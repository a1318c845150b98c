package workqueue_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	clientworkqueue "k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"strongroom.dev/strongroom/controllers/workqueue"
)

type queue = priorityqueue.PriorityQueue[reconcile.Request]

// newQueue is a queue for so many workers, with metrics of its own and the limiter that controllers have.
func newQueue(t testing.TB, workers int) queue {
	t.Helper()
	m, err := workqueue.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	limiter := clientworkqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](5*time.Millisecond, 1000*time.Second)
	return workqueue.ByNamespace(workers, m)("test", limiter).(queue)
}

func request(namespace, name string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}

// take hands out what there is, one after another.
func take(q queue) (out []string) {
	for q.Len() > 0 {
		item, _ := q.Get()
		out = append(out, item.String())
		q.Done(item)
	}
	return out
}

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestNamespacesTakeTurns(t *testing.T) {
	q := newQueue(t, 1)
	defer q.ShutDown()
	for i := range 1000 {
		q.Add(request("busy", fmt.Sprint(i)))
	}
	q.Add(request("quiet", "a"))
	q.Add(request("quiet", "b"))
	expect(t, take(q)[:5], "busy/0", "quiet/a", "busy/1", "quiet/b", "busy/2")
}

func TestAPriorityIsHandedOutWithItsItem(t *testing.T) {
	q := newQueue(t, 8)
	defer q.ShutDown()
	low := handler.LowPriority
	q.AddWithOpts(priorityqueue.AddOpts{Priority: &low}, request("a", "unchanged"), request("a", "raised"))
	q.Add(request("a", "changed"))
	q.Add(request("a", "raised"))
	for _, want := range []struct {
		name     string
		priority int
	}{{"changed", 0}, {"raised", 0}, {"unchanged", low}} {
		item, priority, shutdown := q.GetWithPriority()
		if item.Name != want.name || priority != want.priority || shutdown {
			t.Errorf("%s of %d, and not %+v", item.Name, priority, want)
		}
	}
}

func TestAnItemThatIsAddedWhileItRunsIsHandedOutAfterDone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 8)
		defer q.ShutDown()
		item := request("a", "a")
		q.Add(item)
		q.Get()
		q.Add(item)
		q.Add(item)
		var got atomic.Int32
		go func() {
			for {
				if _, shutdown := q.Get(); shutdown {
					return
				}
				got.Add(1)
			}
		}()
		synctest.Wait()
		if got.Load() != 0 || q.Len() != 1 {
			t.Errorf("it was handed out %d times while it ran; %d are ready", got.Load(), q.Len())
		}
		q.Done(item)
		synctest.Wait()
		if got.Load() != 1 || q.Len() != 0 {
			t.Errorf("it was handed out %d times; %d are ready", got.Load(), q.Len())
		}
	})
}

func TestWhoWaitsForAnItemIsGivenItWhenItsTimeComes(t *testing.T) {
	for name, tt := range map[string]struct {
		add  func(q queue, item reconcile.Request)
		wait time.Duration
	}{
		"after a time":             {func(q queue, i reconcile.Request) { q.AddAfter(i, time.Hour) }, time.Hour},
		"the earlier of two":       {func(q queue, i reconcile.Request) { q.AddAfter(i, time.Hour); q.AddAfter(i, time.Minute) }, time.Minute},
		"the earlier, that is old": {func(q queue, i reconcile.Request) { q.AddAfter(i, time.Minute); q.AddAfter(i, time.Hour) }, time.Minute},
		"at once":                  {func(q queue, i reconcile.Request) { q.AddAfter(i, time.Hour); q.Add(i) }, 0},
		"in no time":               {func(q queue, i reconcile.Request) { q.AddAfter(i, 0) }, 0},
		"in less":                  {func(q queue, i reconcile.Request) { q.AddAfter(i, -time.Second) }, 0},
		"by the limiter":           {func(q queue, i reconcile.Request) { q.AddRateLimited(i) }, 5 * time.Millisecond},
		"by the limiter, again": {func(q queue, i reconcile.Request) {
			for range 3 {
				q.AddRateLimited(request("b", "other"))
			}
			q.AddRateLimited(i)
			q.AddRateLimited(i)
		}, 5 * time.Millisecond},
		"by the limiter or at a time": {func(q queue, i reconcile.Request) {
			q.AddWithOpts(priorityqueue.AddOpts{After: time.Hour, RateLimited: true}, i)
		}, 5 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueue(t, 8)
				defer q.ShutDown()
				item, began := request("a", "a"), time.Now()
				tt.add(q, item)
				for {
					got, _ := q.Get()
					q.Done(got)
					if got == item {
						break
					}
				}
				if took := time.Since(began); took != tt.wait {
					t.Errorf("after %s", took)
				}
				time.Sleep(10 * time.Hour)
				if q.Len() != 0 {
					t.Errorf("%v came again", take(q))
				}
			})
		})
	}
}

func TestTheLimiterCountsFailuresUntilTheyAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 8)
		defer q.ShutDown()
		item := request("a", "a")
		for _, want := range []time.Duration{5, 10, 20, 40} {
			began := time.Now()
			q.AddRateLimited(item)
			q.Get()
			q.Done(item)
			if took := time.Since(began); took != want*time.Millisecond {
				t.Errorf("after %s, and not %d ms", took, want)
			}
		}
		if q.NumRequeues(item) != 4 {
			t.Errorf("it failed %d times", q.NumRequeues(item))
		}
		q.Forget(item)
		if q.NumRequeues(item) != 0 {
			t.Error("it is not forgotten")
		}
	})
}

func TestThousandsWhoseTimeIsTheSameAllCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue(t, 8)
		defer q.ShutDown()
		for i := range 5000 {
			q.AddAfter(request(fmt.Sprint("n", i%10), fmt.Sprint(i)), time.Hour)
		}
		time.Sleep(time.Hour - time.Nanosecond)
		if q.Len() != 0 {
			t.Errorf("%d came early", q.Len())
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if got := take(q); len(got) != 5000 {
			t.Errorf("%d came", len(got))
		}
	})
}

func TestAQueueThatIsShutDownHandsNothingOutAndTakesNothing(t *testing.T) {
	for name, end := range map[string]func(queue){"shut down": queue.ShutDown, "with drain": queue.ShutDownWithDrain, "twice": func(q queue) { q.ShutDown(); q.ShutDown() }} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // which fails if a goroutine or a timer is left
				q := newQueue(t, 2)
				q.Add(request("a", "runs"))
				running, _ := q.Get()
				q.Add(request("a", "ready"))
				q.AddAfter(request("a", "later"), time.Minute)
				q.AddAfter(request("b", "later"), time.Minute)
				var waiters sync.WaitGroup
				for range 2 {
					waiters.Go(func() {
						if item, shutdown := q.Get(); !shutdown || item != (reconcile.Request{}) {
							t.Errorf("%s is handed out", item)
						}
					})
				}
				synctest.Wait()
				if q.ShuttingDown() {
					t.Error("it is shut down already")
				}
				end(q)
				waiters.Wait()
				q.Add(request("c", "new"))
				q.AddAfter(request("c", "new"), time.Second)
				time.Sleep(time.Hour)
				q.Done(running)
				if item, _, shutdown := q.GetWithPriority(); !shutdown || item != (reconcile.Request{}) || !q.ShuttingDown() || q.Len() != 1 {
					t.Errorf("%s is handed out, %d are ready", item, q.Len())
				}
			})
		})
	}
}

// Adds, passes and delays of many goroutines: no item runs twice at once, and a pass begins after the last time that one was asked for.
func TestNothingIsLostAndNothingRunsTwiceAtOnce(t *testing.T) {
	const workers, items, adders, adds = 8, 60, 6, 3000
	q := newQueue(t, workers)
	var running, asked, seen [items]atomic.Int64
	var perNamespace [3]atomic.Int64
	var work, adding sync.WaitGroup
	for range workers {
		work.Go(func() {
			for {
				item, shutdown := q.Get()
				if shutdown {
					return
				}
				var n int
				_, _ = fmt.Sscan(item.Name, &n)
				if running[n].Add(1) != 1 {
					t.Errorf("%s runs twice at once", item)
				}
				if perNamespace[n%3].Add(1) == workers {
					t.Errorf("the namespace of %s has all workers", item)
				}
				at := asked[n].Load()
				if n%5 == 0 {
					time.Sleep(50 * time.Microsecond)
				}
				seen[n].Store(max(seen[n].Load(), at))
				perNamespace[n%3].Add(-1)
				running[n].Add(-1)
				q.Done(item)
			}
		})
	}
	for a := range adders {
		adding.Go(func() {
			random := rand.New(rand.NewPCG(uint64(a), 1))
			for range adds {
				n := random.IntN(items)
				asked[n].Add(1)
				o := priorityqueue.AddOpts{After: time.Duration(random.IntN(3)) * 100 * time.Microsecond}
				if random.IntN(2) == 0 {
					low := handler.LowPriority
					o.Priority = &low
				}
				q.AddWithOpts(o, request(fmt.Sprint("n", n%3), fmt.Sprint(n)))
			}
		})
	}
	adding.Wait()
	deadline := time.Now().Add(20 * time.Second)
	for n := range items {
		for seen[n].Load() < asked[n].Load() && time.Now().Before(deadline) {
			time.Sleep(time.Millisecond)
		}
		if seen[n].Load() != asked[n].Load() {
			t.Errorf("item %d was asked for %d times, and its last pass knew of %d", n, asked[n].Load(), seen[n].Load())
		}
	}
	q.ShutDown()
	work.Wait()
}

// In one namespace, and without priorities, it is controller-runtime's own queue: both are told the same, and hand out the same. Those that are to come after a time are
// others here than those that are to come at once: if one is both, controller-runtime's queue puts it among those that came when it was first asked for.
func TestOfOneNamespaceItIsTheQueueOfControllerRuntime(t *testing.T) {
	for seed := range uint64(30) {
		synctest.Test(t, func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 3))
			ours, theirs := newQueue(t, 1), priorityqueue.New[reconcile.Request]("")
			defer ours.ShutDown()
			defer theirs.ShutDown()
			add := func() {
				item, o := request("a", fmt.Sprint("now", random.IntN(6))), priorityqueue.AddOpts{}
				if random.IntN(2) == 0 {
					item, o.After = request("a", fmt.Sprint("later", random.IntN(6))), time.Duration(1+random.IntN(3))*time.Second
					o.RateLimited = random.IntN(4) == 0
				}
				if random.IntN(10) == 0 {
					ours.Forget(item)
					theirs.Forget(item)
				}
				ours.AddWithOpts(o, item)
				theirs.AddWithOpts(o, item)
				synctest.Wait()
				time.Sleep(time.Microsecond) // two whose time is the same come in either order
			}
			for step := range 600 {
				add()
				if random.IntN(3) == 0 {
					time.Sleep(time.Duration(random.IntN(2500)) * time.Millisecond)
					synctest.Wait()
				}
				if ours.Len() != theirs.Len() {
					t.Fatalf("seed %d, step %d: %d are ready, and not %d", seed, step, ours.Len(), theirs.Len())
				}
				if ours.Len() == 0 || random.IntN(2) == 0 {
					continue
				}
				got, _ := ours.Get()
				want, _ := theirs.Get()
				if got != want {
					t.Fatalf("seed %d, step %d: %s is handed out, and not %s", seed, step, got, want)
				}
				for range random.IntN(4) {
					add()
				}
				ours.Done(got)
				theirs.Done(want)
				synctest.Wait()
			}
		})
	}
}

func TestAQueueTakesTurnsBetweenWhateverItsGroupsAre(t *testing.T) {
	m, err := workqueue.NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	q := workqueue.New(1, func(n int) string { return fmt.Sprint(n % 2) }, m)("numbers", clientworkqueue.DefaultTypedControllerRateLimiter[int]())
	defer q.ShutDown()
	for _, n := range []int{1, 3, 5, 7, 2, 4} {
		q.Add(n)
	}
	var got []int
	for q.Len() > 0 {
		n, _ := q.Get()
		got = append(got, n)
		q.Done(n)
	}
	if want := []int{1, 2, 3, 4, 5, 7}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

func BenchmarkAPassAmongManyThatWait(b *testing.B) {
	for name, q := range map[string]queue{"ours": newQueue(b, 8), "controller-runtime's": priorityqueue.New[reconcile.Request]("")} {
		b.Run(name, func(b *testing.B) {
			for i := range 50_000 {
				q.AddAfter(request(fmt.Sprint("n", i%100), fmt.Sprint(i)), time.Hour)
			}
			for i := range 5_000 {
				q.Add(request(fmt.Sprint("n", i%100), fmt.Sprint(i)))
			}
			b.ReportAllocs()
			for b.Loop() {
				item, _ := q.Get()
				q.Done(item)
				q.Add(item)
			}
			q.ShutDown()
		})
	}
}
