package workqueue_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	clientworkqueue "k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"strongroom.dev/strongroom/controllers/workqueue"
)

// series are what a registry shows of queues for a controller, by metric and labels but for the controller's name.
func series(t *testing.T, from prometheus.Gatherer, controller string) map[string]string {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, family := range families {
		if !strings.Contains(family.GetName(), "workqueue_") {
			continue
		}
		for _, metric := range family.GetMetric() {
			key, its := family.GetName()+" "+family.GetHelp(), false
			for _, label := range metric.GetLabel() {
				if label.GetName() == "controller" {
					its = label.GetValue() == controller
				}
				key += " " + label.GetName() + "=" + strings.ReplaceAll(label.GetValue(), controller, "")
			}
			if its {
				out[key] = value(metric)
			}
		}
	}
	return out
}

func value(m *dto.Metric) string {
	switch {
	case m.GetGauge() != nil:
		return fmt.Sprint(m.GetGauge().GetValue())
	case m.GetCounter() != nil:
		return fmt.Sprint(m.GetCounter().GetValue())
	}
	h := m.GetHistogram()
	out := fmt.Sprintf("%d of %.3f:", h.GetSampleCount(), h.GetSampleSum())
	for _, b := range h.GetBucket() {
		out += fmt.Sprintf(" %v=%d", b.GetUpperBound(), b.GetCumulativeCount())
	}
	return out
}

// ours are those metrics that client-go's queues do not have.
func ours(key string) bool { return strings.HasPrefix(key, "strongroom_") }

// Whoever has a dashboard of work queues sees what it showed of controller-runtime's: both queues are told the same here.
func TestMetricsAreThoseOfControllerRuntimesQueue(t *testing.T) {
	m, err := workqueue.NewMetrics(ctrlmetrics.Registry)
	if err != nil {
		t.Fatalf("controller-runtime describes its metrics in another way now: %v", err)
	}
	synctest.Test(t, func(t *testing.T) {
		limiter := func() clientworkqueue.TypedRateLimiter[reconcile.Request] {
			return clientworkqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](time.Second, time.Minute)
		}
		queues := map[string]queue{
			"mine":   workqueue.ByNamespace(2, m)("mine", limiter()).(queue),
			"theirs": priorityqueue.New("theirs", func(o *priorityqueue.Opts[reconcile.Request]) { o.RateLimiter = limiter() }),
		}
		low, steps := handler.LowPriority, 0
		same := func() {
			t.Helper()
			synctest.Wait()
			time.Sleep(600 * time.Millisecond) // what changes with time alone is set now and then
			synctest.Wait()
			got, want := series(t, ctrlmetrics.Registry, "mine"), series(t, ctrlmetrics.Registry, "theirs")
			maps.DeleteFunc(got, func(key, _ string) bool { return ours(key) })
			if len(want) < 7 {
				t.Fatalf("step %d: controller-runtime shows only %v", steps, want)
			}
			for key := range want {
				if got[key] != want[key] {
					t.Errorf("step %d, %s: %s, and not %s", steps, key, got[key], want[key])
				}
			}
			if len(got) != len(want) {
				t.Errorf("step %d: %v, and not %v", steps, got, want)
			}
			steps++
		}
		a, b := request("a", "a"), request("a", "b")
		each := func(do func(q queue)) {
			t.Helper()
			do(queues["mine"])
			do(queues["theirs"])
			same()
		}
		each(func(q queue) { q.Add(a) })
		each(func(q queue) { q.AddWithOpts(priorityqueue.AddOpts{Priority: &low}, b) })
		each(func(q queue) { q.Add(a) })
		each(func(q queue) { q.Get() })
		each(func(q queue) { q.Add(b) })
		each(func(q queue) { q.Add(a) })
		each(func(q queue) { q.AddAfter(request("a", "later"), time.Second) })
		each(func(q queue) { q.AddRateLimited(request("a", "failed")) })
		each(func(q queue) { q.Done(a) })
		each(func(q queue) {
			for q.Len() > 0 {
				item, _ := q.Get()
				q.Done(item)
			}
		})
		each(queue.ShutDown)
	})
}

func TestPrioritiesBeyondThoseThatAreExpectedShareASeries(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := workqueue.NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	q := workqueue.ByNamespace(2, m)("many", clientworkqueue.DefaultTypedControllerRateLimiter[reconcile.Request]()).(queue)
	defer q.ShutDown()
	depths := func() (n int, other string) {
		for key, value := range series(t, registry, "many") {
			if strings.HasPrefix(key, "workqueue_depth") {
				n++
				if strings.Contains(key, "exceeded_cardinality_limit") {
					other = value
				}
			}
		}
		return n, other
	}
	for priority := range 100 {
		q.AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, request("a", fmt.Sprint(priority)))
	}
	if n, other := depths(); n != 26 || other != "75" {
		t.Errorf("%d series, and %q items of other priorities", n, other)
	}
	take(q)
	if n, other := depths(); n != 26 || other != "0" {
		t.Errorf("%d series, and %q items of other priorities", n, other)
	}
}

func TestTheLongestWaitAndTheNamespacesThatWaitAreShown(t *testing.T) {
	registry := prometheus.NewRegistry()
	m, err := workqueue.NewMetrics(registry)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		q := workqueue.ByNamespace(1, m)("waits", clientworkqueue.DefaultTypedControllerRateLimiter[reconcile.Request]()).(queue)
		defer q.ShutDown()
		shown := func(wait, namespaces string) {
			t.Helper()
			synctest.Wait()
			for key, value := range series(t, registry, "waits") {
				if strings.HasPrefix(key, "strongroom_workqueue_longest_wait_seconds") && value != wait ||
					strings.HasPrefix(key, "strongroom_workqueue_namespaces") && value != namespaces {
					t.Errorf("%s: %s", key, value)
				}
			}
		}
		q.Add(request("a", "runs"))
		running, _ := q.Get()
		q.Add(running) // it waits for itself, and not for others
		time.Sleep(5 * time.Second)
		shown("0", "0")
		for i := range 6 {
			q.Add(request(fmt.Sprint("n", i%3), fmt.Sprint(i)))
			time.Sleep(time.Second)
		}
		shown("6", "3")
		q.Done(running)
		take(q)
		time.Sleep(time.Second)
		shown("0", "0")
	})
}

func TestAMetricThatIsAnotherOneIsRefused(t *testing.T) {
	for name, other := range map[string]prometheus.Collector{
		"help":   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "workqueue_depth", Help: "another"}, []string{"name", "controller", "priority"}),
		"labels": prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "workqueue_depth", Help: "Current depth of workqueue by workqueue and priority"}, []string{"name"}),
		"type": prometheus.NewCounterVec(prometheus.CounterOpts{Name: "workqueue_depth", Help: "Current depth of workqueue by workqueue and priority"},
			[]string{"name", "controller", "priority"}),
	} {
		registry := prometheus.NewRegistry()
		registry.MustRegister(other)
		if _, err := workqueue.NewMetrics(registry); err == nil || !strings.Contains(err.Error(), "controller-runtime") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
