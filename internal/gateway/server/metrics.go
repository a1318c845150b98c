package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

var (
	requests = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "strongroom_gateway_requests_total",
		Help: "Requests of the AWS APIs that were answered, by service, operation and code: OK, or the error's.",
	}, []string{"service", "operation", "code"})
	durations = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "strongroom_gateway_request_duration_seconds",
		Help:    "Time from a request's headers to its answer, its audit record written.",
		Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
	}, []string{"service", "operation"})
	settlings = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "strongroom_gateway_settle_duration_seconds",
		Help:    "Time that the answer to a request which wrote waited for the cache to show that, by whether it did (shown): true or false.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5},
	}, []string{"shown"})
	// Both are there from the start, so that the first answer that the cache did not show is an increase.
	shownSettlings, unshownSettlings = settlings.WithLabelValues("true"), settlings.WithLabelValues("false")
)

func init() { metrics.Registry.MustRegister(requests, durations, settlings) }

// settled counts a wait for the cache, by the error that it ended with.
func settled(took time.Duration, err error) {
	to := shownSettlings
	if err != nil {
		to = unshownSettlings
	}
	to.Observe(took.Seconds())
}

// counts are an operation's, looked up once.
type counts struct {
	ok       prometheus.Counter
	failed   *prometheus.CounterVec
	duration prometheus.Observer
}

func newCounts(service, operation string) *counts {
	labels := prometheus.Labels{"service": service, "operation": operation}
	return &counts{
		ok:       requests.WithLabelValues(service, operation, "OK"),
		failed:   requests.MustCurryWith(labels),
		duration: durations.WithLabelValues(service, operation),
	}
}

// count counts the request. Names that are nobody's are not labels: a client could make any number of them.
func (e *exchange) count(now time.Time) {
	if e.operation == nil {
		service := ""
		if e.service != nil {
			service = e.service.SigningName
		}
		requests.WithLabelValues(service, "", e.failure.code).Inc()
		return
	}
	if e.failure != nil {
		e.operation.counts.failed.WithLabelValues(e.failure.code).Inc()
	} else {
		e.operation.counts.ok.Inc()
	}
	e.operation.counts.duration.Observe(now.Sub(e.start).Seconds())
}
