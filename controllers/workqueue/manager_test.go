package workqueue_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	clientworkqueue "k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/workqueue"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

type (
	limiter = clientworkqueue.TypedRateLimiter[reconcile.Request]
	maker   = func(string, limiter) clientworkqueue.TypedRateLimitingInterface[reconcile.Request]
)

// A controller's passes are played here: what they cost is what a spec is about, and in what order they are made is the queue's.
var _ = Describe("A controller in a manager that runs", func() {
	const workers, busy = 8, 300

	// secrets makes so many in a namespace.
	secrets := func(namespace string, n int) {
		GinkgoHelper()
		var made sync.WaitGroup
		errs := make(chan error, n)
		for at := range 8 {
			made.Go(func() {
				for i := at; i < n; i += 8 {
					errs <- cp.Client.Create(ctx, environment.Secret(namespace, fmt.Sprint("s", i)))
				}
			})
		}
		made.Wait()
		for range n {
			Expect(<-errs).NotTo(HaveOccurred())
		}
	}
	namespace := func() string {
		GinkgoHelper()
		name, err := cp.NewNamespace(ctx)
		Expect(err).NotTo(HaveOccurred())
		return name
	}
	// start runs a controller of the Secrets of namespaces and waits until it has seen those that there are.
	start := func(made maker, pass reconcile.Func, namespaces ...string) (q queue, stop func()) {
		GinkgoHelper()
		probe := environment.Secret(namespace(), "probe")
		watched := map[string]cache.Config{probe.Namespace: {}}
		for _, name := range namespaces {
			watched[name] = cache.Config{}
		}
		mgr, err := ctrl.NewManager(cp.Config, ctrl.Options{
			Scheme: operator.Scheme(), Metrics: metricsserver.Options{BindAddress: "0"}, Cache: cache.Options{DefaultNamespaces: watched},
			Controller: config.Controller{SkipNameValidation: new(true)},
		})
		Expect(err).NotTo(HaveOccurred())
		queues := make(chan queue, 1)
		options := controller.Options{MaxConcurrentReconciles: workers, NewQueue: func(name string, limiter limiter) clientworkqueue.TypedRateLimitingInterface[reconcile.Request] {
			q := made(name, limiter)
			queues <- q.(queue)
			return q
		}}
		// Its workers begin when it has been told of all that is there: what comes then is new.
		seen := make(chan struct{}, 10)
		Expect(cp.Client.Create(ctx, probe)).To(Succeed())
		Expect(ctrl.NewControllerManagedBy(mgr).Named("played").For(&v1alpha1.Secret{}).WithOptions(options).Complete(
			reconcile.Func(func(ctx context.Context, r ctrl.Request) (ctrl.Result, error) {
				if r.Namespace == probe.Namespace {
					seen <- struct{}{}
					return ctrl.Result{}, nil
				}
				return pass(ctx, r)
			}))).To(Succeed())
		running, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- mgr.Start(running) }()
		stop = sync.OnceFunc(func() {
			cancel()
			Eventually(ended).Should(Receive(BeNil()))
		})
		DeferCleanup(stop)
		Eventually(queues).Should(Receive(&q))
		Eventually(seen).Should(Receive())
		return q, stop
	}
	turns := func() maker {
		GinkgoHelper()
		m, err := workqueue.NewMetrics(prometheus.NewRegistry())
		Expect(err).NotTo(HaveOccurred())
		return workqueue.ByNamespace(workers, m)
	}
	first := func(name string, limiter limiter) clientworkqueue.TypedRateLimitingInterface[reconcile.Request] {
		return priorityqueue.New(name, func(o *priorityqueue.Opts[reconcile.Request]) { o.RateLimiter = limiter })
	}

	// behind makes a Secret in one namespace when two others have hundreds that are queued, each pass over which takes 20 ms, and tells how many of those are made before
	// its own pass is, and how long that takes. With again, each asks for another pass at once, as if it were changed all the time.
	behind := func(made maker, again bool) (passes int, took time.Duration) {
		GinkgoHelper()
		crowded, quiet := []string{namespace(), namespace()}, namespace()
		var passed atomic.Int64
		open, done := make(chan struct{}), make(chan int64, 100)
		q, stop := start(made, func(ctx context.Context, r ctrl.Request) (ctrl.Result, error) {
			switch r.Namespace {
			case quiet:
				done <- passed.Load()
			default:
				select {
				case <-open:
				case <-ctx.Done():
				}
				passed.Add(1)
				time.Sleep(20 * time.Millisecond)
				if again {
					return ctrl.Result{RequeueAfter: time.Microsecond}, nil
				}
			}
			return ctrl.Result{}, nil
		}, append(crowded, quiet)...)
		defer stop()
		for _, of := range crowded {
			secrets(of, busy/2)
		}
		Eventually(q.Len).Should(Equal(busy - workers)) // as many run
		secrets(quiet, 1)
		Eventually(q.Len).Should(Equal(busy - workers + 1))
		began := time.Now()
		close(open)
		var n int64
		Eventually(done, "60s").Should(Receive(&n))
		return int(n), time.Since(began)
	}
	for name, again := range map[string]bool{"that are made at once": false, "that are changed all the time": true} {
		It("comes to a Secret within a few passes, whatever other namespaces have, of hundreds "+name, func() {
			before, beforeTook := behind(first, again)
			after, afterTook := behind(turns(), again)
			AddReportEntry("passes over other namespaces' Secrets before", fmt.Sprintf(
				"%d in %s by controller-runtime's queue, %d in %s in turns", before, beforeTook.Round(time.Millisecond), after, afterTook.Round(time.Millisecond)),
				ReportEntryVisibilityAlways)
			Expect(after).To(BeNumerically("<=", 2*workers)) // those that ran, and a turn of each of the others
			Expect(before).To(BeNumerically(">=", busy-workers), "there is nothing to make better, or it is not seen")
		})
	}

	It("comes to a Secret though all passes of another namespace hang", func() {
		crowded, quiet := namespace(), namespace()
		var hang atomic.Int64
		done := make(chan struct{}, 100)
		start(turns(), func(ctx context.Context, r ctrl.Request) (ctrl.Result, error) {
			switch r.Namespace {
			case crowded:
				hang.Add(1)
				<-ctx.Done()
			case quiet:
				done <- struct{}{}
			}
			return ctrl.Result{}, nil
		}, crowded, quiet)
		secrets(crowded, 50)
		Eventually(hang.Load).Should(BeNumerically("==", workers-1))
		for i := range 3 {
			Expect(cp.Client.Create(ctx, environment.Secret(quiet, fmt.Sprint("q", i)))).To(Succeed())
			Eventually(done).Should(Receive())
		}
		Consistently(hang.Load, "300ms").Should(BeNumerically("==", workers-1))
	})

	It("comes to those first that changed, of a namespace whose others are there since before it began", func() {
		crowded := namespace()
		secrets(crowded, 100)
		open, order := make(chan struct{}), make(chan string, 1000)
		q, _ := start(turns(), func(ctx context.Context, r ctrl.Request) (ctrl.Result, error) {
			select {
			case <-open:
			case <-ctx.Done():
			}
			order <- r.Name
			return ctrl.Result{}, nil
		}, crowded)
		Eventually(q.Len).Should(Equal(100 - (workers - 1)))
		Expect(cp.Client.Create(ctx, environment.Secret(crowded, "new"))).To(Succeed())
		Eventually(q.Len).Should(Equal(101 - (workers - 1)))
		close(open)
		var names []string
		for range 101 {
			var name string
			Eventually(order).Should(Receive(&name))
			names = append(names, name)
		}
		Expect(names[:2*workers]).To(ContainElement("new"))
	})
})
