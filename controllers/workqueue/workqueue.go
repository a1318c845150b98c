// Package workqueue is the queue of passes that controllers make: controller-runtime's priority queue in all that it is asked for, but that it
// takes turns between namespaces. Whose turn it is internal/core/fairqueue decides; here are the lock, the clock, the rate limiter and the metrics.
//
// It is not put around controller-runtime's queue, nor client-go's. The first says who comes next by priority alone, and what was taken out of
// it to be handed out in another order would count as running: it would not be put together with what is added meanwhile, and no metric would
// be true. The second lets its order be replaced (workqueue.TypedQueueConfig.Queue), but knows no priorities, and makes a pass that was asked
// for in an hour also if one was made for another reason meanwhile.
package workqueue

import (
	"sync"
	"time"

	clientworkqueue "k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"strongroom.dev/strongroom/internal/core/fairqueue"
)

// batch is how many items whose time has come become ready at a time: others may have the lock between.
const batch = 256

// Queue is a queue of a controller. It is safe for use by several goroutines.
type Queue[T comparable] struct {
	limiter clientworkqueue.TypedRateLimiter[T]
	metrics *observed[T]

	mu    sync.Mutex
	queue *fairqueue.Queue[T]
	// changed is signalled once for each item more that can be handed out.
	changed *sync.Cond
	// timer runs at alarm, when the next item's time comes; alarm is zero if none waits.
	timer *time.Timer
	alarm time.Time
	// report runs while the queue does.
	report *time.Timer
	down   bool
}

var _ priorityqueue.PriorityQueue[reconcile.Request] = &Queue[reconcile.Request]{}

// New is a controller's Options.NewQueue: it makes queues for so many workers, which take turns between what group names. Workers get all but
// one of one group, at most (fairqueue.Share).
func New[T comparable](workers int, group func(T) string, m *Metrics) func(string, clientworkqueue.TypedRateLimiter[T]) clientworkqueue.TypedRateLimitingInterface[T] {
	return func(controller string, limiter clientworkqueue.TypedRateLimiter[T]) clientworkqueue.TypedRateLimitingInterface[T] {
		q := &Queue[T]{limiter: limiter, metrics: observe[T](m, controller), queue: fairqueue.New(workers, group)}
		q.changed = sync.NewCond(&q.mu)
		q.mu.Lock() // a timer that is quick finds both
		defer q.mu.Unlock()
		q.timer = time.AfterFunc(time.Hour, q.advance)
		q.timer.Stop()
		q.report = time.AfterFunc(reportInterval, q.tell)
		return q
	}
}

// ByNamespace is New for objects, by their namespaces.
func ByNamespace(workers int, m *Metrics) func(string, clientworkqueue.TypedRateLimiter[reconcile.Request]) clientworkqueue.TypedRateLimitingInterface[reconcile.Request] {
	return New(workers, func(r reconcile.Request) string { return r.Namespace }, m)
}

// AddWithOpts queues items. Those that are queued already keep the earlier time and the higher priority; those that run are handed out again
// after Done. Once the queue is shut down it does nothing.
func (q *Queue[T]) AddWithOpts(o priorityqueue.AddOpts, items ...T) {
	priority := 0
	if o.Priority != nil {
		priority = *o.Priority
	}
	for _, item := range items {
		after := o.After
		if o.RateLimited { // the limiter has a lock of its own
			if limit := q.limiter.When(item); after == 0 || limit < after {
				after = limit
			}
		}
		q.add(item, priority, after)
	}
}

func (q *Queue[T]) add(item T, priority int, after time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.down {
		return
	}
	if after > 0 {
		q.metrics.retries.Inc()
	}
	now := time.Now()
	change := q.queue.Add(item, priority, now.Add(after), now)
	q.metrics.changed(change)
	if change.Ready {
		q.changed.Signal()
	}
	q.arm(now)
}

// arm sets the timer to when the next item's time comes, if it is not.
func (q *Queue[T]) arm(now time.Time) {
	at, waits := q.queue.NextAt()
	switch {
	case !waits && !q.alarm.IsZero():
		q.timer.Stop()
		q.alarm = time.Time{}
	case waits && !at.Equal(q.alarm):
		q.timer.Reset(max(at.Sub(now), 0))
		q.alarm = at
	}
}

// advance makes ready what it is time for.
func (q *Queue[T]) advance() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.down {
		return
	}
	now := time.Now()
	for _, item := range q.queue.Advance(now, batch) {
		q.metrics.changed(fairqueue.Change{Ready: true, From: item.Priority, To: item.Priority})
		q.changed.Signal()
	}
	q.alarm = time.Time{} // it has gone off
	q.arm(now)
}

// GetWithPriority waits for an item and hands it out with its priority, to be given back by Done. It waits no longer than until the queue is
// shut down, and hands nothing out then: a manager that ends has no lease for what is still queued, which the next one finds by itself.
func (q *Queue[T]) GetWithPriority() (item T, priority int, shutdown bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.down {
		if next, ok := q.queue.Next(); ok {
			q.metrics.got(next, time.Now())
			return next.Key, next.Priority, false
		}
		q.changed.Wait()
	}
	return item, 0, true
}

// Done says that the pass over an item has ended.
func (q *Queue[T]) Done(item T) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	q.metrics.done(item, now)
	q.queue.Done(item, now)
	q.changed.Signal() // the item itself may be ready, or its group have less than its share: one more, whichever it is
}

// tell reports what goes on, now and then.
func (q *Queue[T]) tell() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.down {
		return
	}
	q.metrics.report(q.queue, time.Now())
	q.report.Reset(reportInterval)
}

// ShutDown ends the queue: who waits for an item gets none, and what is added is not. It may be called again.
func (q *Queue[T]) ShutDown() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.down = true
	q.timer.Stop()
	q.report.Stop()
	q.changed.Broadcast()
}

// ShutDownWithDrain is ShutDown, as it is in controller-runtime's queue: the controller itself waits for its passes to end.
func (q *Queue[T]) ShutDownWithDrain() { q.ShutDown() }

// ShuttingDown tells whether the queue is shut down.
func (q *Queue[T]) ShuttingDown() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.down
}

// Len is the number of items that are ready.
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.queue.Len()
}

// Get is GetWithPriority without the priority.
func (q *Queue[T]) Get() (item T, shutdown bool) {
	item, _, shutdown = q.GetWithPriority()
	return item, shutdown
}

// Add queues an item at once.
func (q *Queue[T]) Add(item T) { q.AddWithOpts(priorityqueue.AddOpts{}, item) }

// AddAfter queues an item after a time.
func (q *Queue[T]) AddAfter(item T, after time.Duration) {
	q.AddWithOpts(priorityqueue.AddOpts{After: after}, item)
}

// AddRateLimited queues an item when the rate limiter says.
func (q *Queue[T]) AddRateLimited(item T) {
	q.AddWithOpts(priorityqueue.AddOpts{RateLimited: true}, item)
}

// Forget says that an item did not fail: the rate limiter begins anew with it.
func (q *Queue[T]) Forget(item T) { q.limiter.Forget(item) }

// NumRequeues is how often an item was rate-limited since it was forgotten.
func (q *Queue[T]) NumRequeues(item T) int { return q.limiter.NumRequeues(item) }
