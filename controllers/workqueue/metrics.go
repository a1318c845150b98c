package workqueue

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"strongroom.dev/strongroom/internal/core/fairqueue"
)

const (
	// reportInterval is how often that is reported which changes with time alone. client-go's queues do so as often.
	reportInterval = 500 * time.Millisecond
	// mostPriorities are those that have a series of workqueue_depth each, and otherPriorities is the label of all others: as in
	// controller-runtime's queue.
	mostPriorities  = 25
	otherPriorities = "exceeded_cardinality_limit"
)

// Metrics are those of all queues of a registry, by controller: client-go's, by the names, labels and meaning that they have in
// controller-runtime, so that whoever looks at them need not know of this queue, and two that only a queue which takes turns has.
type Metrics struct {
	depth, unfinished, longestRunning *prometheus.GaugeVec
	adds, retries                     *prometheus.CounterVec
	latency, duration                 *prometheus.HistogramVec

	wait, namespaces *prometheus.GaugeVec
}

// NewMetrics finds the metrics in a registry, or registers them. controller-runtime registers those of its own queues at its start and shows
// them nowhere else. The error is one of a metric that is there and is another one, as after an update of controller-runtime that describes it anew.
func NewMetrics(registry prometheus.Registerer) (*Metrics, error) {
	r := registration{registry: registry}
	m := &Metrics{
		depth: r.gauge(ctrlmetrics.DepthKey, "Current depth of workqueue by workqueue and priority", "priority"),
		unfinished: r.gauge(ctrlmetrics.UnfinishedWorkKey, "How many seconds of work has been done that is in progress and hasn't been observed by work_duration. "+
			"Large values indicate stuck threads. One can deduce the number of stuck threads by observing the rate at which this increases."),
		longestRunning: r.gauge(ctrlmetrics.LongestRunningProcessorKey, "How many seconds has the longest running processor for workqueue been running."),
		adds:           r.counter(ctrlmetrics.AddsKey, "Total number of adds handled by workqueue"),
		retries: r.counter(ctrlmetrics.RetriesKey,
			"Total number of items added to the workqueue with a non-zero delay (rate-limited requeues, explicit RequeueAfter or AddAfter calls)"),
		latency:  r.histogram(ctrlmetrics.QueueLatencyKey, "How long in seconds an item stays in workqueue before being requested"),
		duration: r.histogram(ctrlmetrics.WorkDurationKey, "How long in seconds processing an item from workqueue takes."),
		wait: registered(&r, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "strongroom_workqueue_longest_wait_seconds",
			Help: "For how long the object has waited that has waited for its pass the longest; 0 if none does.",
		}, []string{"controller"})),
		namespaces: registered(&r, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "strongroom_workqueue_namespaces",
			Help: "Namespaces of which an object waits for its pass, and which take turns.",
		}, []string{"controller"})),
	}
	return m, r.err
}

// registration is of several metrics, until the first error.
type registration struct {
	registry prometheus.Registerer
	err      error
}

// registered registers a metric, or finds the one that is registered with the same name, help and labels.
func registered[C prometheus.Collector](r *registration, c C) C {
	err := r.registry.Register(c)
	if err == nil || r.err != nil {
		return c
	}
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if existing, ok := already.ExistingCollector.(C); ok {
			return existing
		}
	}
	r.err = fmt.Errorf("registering the metrics of work queues, which must be those of controller-runtime: %w", err)
	return c
}

// labels are those of controller-runtime's metrics of queues, and more. The first two are the same, in each of them.
func labels(more ...string) []string { return append([]string{"name", "controller"}, more...) }

func (r *registration) gauge(name, help string, more ...string) *prometheus.GaugeVec {
	return registered(r, prometheus.NewGaugeVec(prometheus.GaugeOpts{Subsystem: ctrlmetrics.WorkQueueSubsystem, Name: name, Help: help}, labels(more...)))
}

func (r *registration) counter(name, help string) *prometheus.CounterVec {
	return registered(r, prometheus.NewCounterVec(prometheus.CounterOpts{Subsystem: ctrlmetrics.WorkQueueSubsystem, Name: name, Help: help}, labels()))
}

func (r *registration) histogram(name, help string) *prometheus.HistogramVec {
	return registered(r, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Subsystem: ctrlmetrics.WorkQueueSubsystem, Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(10e-9, 10, 12),
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 100, NativeHistogramMinResetDuration: time.Hour,
	}, labels()))
}

// observed are the metrics of one queue, which is locked when they are told something.
type observed[T comparable] struct {
	depth      *prometheus.GaugeVec
	controller string
	// depths are the series of depth, by priority.
	depths map[int]prometheus.Gauge

	adds, retries              prometheus.Counter
	latency, duration          prometheus.Observer
	unfinished, longestRunning prometheus.Gauge
	wait, namespaces           prometheus.Gauge

	// began is when each pass began that is made. There are never more than workers.
	began map[T]time.Time
}

func observe[T comparable](m *Metrics, controller string) *observed[T] {
	return &observed[T]{
		depth: m.depth, controller: controller, depths: map[int]prometheus.Gauge{},
		adds: m.adds.WithLabelValues(controller, controller), retries: m.retries.WithLabelValues(controller, controller),
		latency: m.latency.WithLabelValues(controller, controller), duration: m.duration.WithLabelValues(controller, controller),
		unfinished: m.unfinished.WithLabelValues(controller, controller), longestRunning: m.longestRunning.WithLabelValues(controller, controller),
		wait: m.wait.WithLabelValues(controller), namespaces: m.namespaces.WithLabelValues(controller),
		began: map[T]time.Time{},
	}
}

// of is the series of depth of a priority.
func (o *observed[T]) of(priority int) prometheus.Gauge {
	gauge, known := o.depths[priority]
	if known {
		return gauge
	}
	if len(o.depths) >= mostPriorities {
		return o.depth.WithLabelValues(o.controller, o.controller, otherPriorities)
	}
	gauge = o.depth.WithLabelValues(o.controller, o.controller, strconv.Itoa(priority))
	o.depths[priority] = gauge
	return gauge
}

// changed counts an item that has become ready, or has another priority.
func (o *observed[T]) changed(c fairqueue.Change) {
	switch {
	case c.Ready:
		o.adds.Inc()
		o.of(c.To).Inc()
	case c.From != c.To:
		o.of(c.From).Dec()
		o.of(c.To).Inc()
	}
}

// got counts an item that is handed out.
func (o *observed[T]) got(item fairqueue.Item[T], now time.Time) {
	o.of(item.Priority).Dec()
	o.latency.Observe(now.Sub(item.Ready).Seconds())
	o.began[item.Key] = now
}

// done counts a pass that has ended.
func (o *observed[T]) done(item T, now time.Time) {
	if began, runs := o.began[item]; runs {
		o.duration.Observe(now.Sub(began).Seconds())
		delete(o.began, item)
	}
}

// report sets what changes with time alone.
func (o *observed[T]) report(q *fairqueue.Queue[T], now time.Time) {
	var total, longest, wait time.Duration
	for _, began := range o.began {
		age := now.Sub(began)
		total += age
		longest = max(longest, age)
	}
	if since, waits := q.Oldest(); waits {
		wait = now.Sub(since)
	}
	o.unfinished.Set(total.Seconds())
	o.longestRunning.Set(longest.Seconds())
	o.wait.Set(wait.Seconds())
	o.namespaces.Set(float64(q.Groups()))
}
