package manager_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"runtime"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

// faulty stands between a manager and the real API server and spoils answers to writes.
type faulty struct {
	next http.RoundTripper
	// commit lets the request through before its answer is lost.
	commit bool
	status int
	reason metav1.StatusReason
	// spoil decides which writes. It is called under the lock.
	spoil func(*http.Request) bool

	mu      sync.Mutex
	spoiled map[string]int
	healed  bool
}

func (f *faulty) RoundTrip(request *http.Request) (*http.Response, error) {
	write := request.Method == http.MethodPost || request.Method == http.MethodPut || request.Method == http.MethodPatch
	f.mu.Lock()
	hit := write && !f.healed && !strings.Contains(request.URL.Path, "/leases/") && f.spoil(request)
	if hit {
		f.spoiled[request.Method]++
	}
	f.mu.Unlock()
	if !hit {
		return f.next.RoundTrip(request)
	}
	if f.commit {
		response, err := f.next.RoundTrip(request)
		if err != nil {
			return nil, err
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	body, err := json.Marshal(metav1.Status{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Message: "injected", Reason: f.reason, Code: int32(f.status),
	})
	return &http.Response{
		StatusCode: f.status, Status: http.StatusText(f.status), Proto: request.Proto, ProtoMajor: 1, ProtoMinor: 1, Request: request,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}, err
}

func (f *faulty) heal() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.healed = true
	return f.spoiled
}

// through runs an operator whose requests go through it.
func through(f *faulty) *environment.Operator {
	GinkgoHelper()
	f.spoiled = map[string]int{}
	cfg := rest.CopyConfig(cp.Config)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { f.next = next; return f })
	op, err := environment.RunOperator(ctx, cfg, operator.Options{})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(op.Stop)
	return op
}

var _ = Describe("An API server whose answers to writes are spoiled", func() {
	DescribeTable("is worked with all the same, and nothing is made twice",
		func(f *faulty) {
			seed := uint64(GinkgoRandomSeed())
			By(fmt.Sprintf("seed %d", seed))
			r := rand.New(rand.NewPCG(seed, 1))
			attempts := map[string]int{}
			f.spoil = func(request *http.Request) bool {
				if !strings.Contains(request.URL.Path, namespace) {
					return false // the keyring's start has specs of its own
				}
				most := 4
				if request.Method == http.MethodPost {
					most = 12 // all that are made in a collection have one path
				}
				attempts[request.Method+request.URL.Path]++
				return attempts[request.Method+request.URL.Path] <= most && r.IntN(3) > 0
			}
			op := through(f)
			var all []*v1alpha1.Secret
			for i := range 12 {
				all = append(all, create(fmt.Sprintf("s-%d", i)))
			}
			for _, s := range all {
				Eventually(settled(s), "90s").Should(BeTrue(), "%s: %+v", s.Name, s.Status)
				rotate(s, "1")
			}
			for _, s := range all {
				Eventually(settled(s), "90s").Should(BeTrue(), "%s: %+v", s.Name, s.Status)
			}
			spoiled := f.heal()
			Expect(spoiled[http.MethodPost]).To(BeNumerically(">", 3), "%v", spoiled)
			Expect(spoiled[http.MethodPut]).To(BeNumerically(">", 3), "%v", spoiled)
			for _, s := range all {
				agree(op, s, 1)
				Expect(s.Status.Versions).To(HaveLen(2))
			}
		},
		Entry("by a storm of conflicts", &faulty{status: http.StatusConflict, reason: metav1.StatusReasonConflict}),
		Entry("by errors instead of the writes", &faulty{status: http.StatusInternalServerError, reason: metav1.StatusReasonInternalError}),
		Entry("by errors after the writes were done", &faulty{status: http.StatusInternalServerError, reason: metav1.StatusReasonInternalError, commit: true}),
		Entry("by timeouts after the writes were done", &faulty{status: http.StatusGatewayTimeout, reason: metav1.StatusReasonTimeout, commit: true}),
	)
})

// use is what the process has, after what can be freed is freed.
func use() (goroutines int, heap uint64) {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return runtime.NumGoroutine(), m.HeapAlloc
}

var _ = Describe("A manager that works on", func() {
	It("does not grow from pass to pass", func() {
		run(operator.Options{})
		var all []*v1alpha1.Secret
		for i := range 10 {
			all = append(all, create(fmt.Sprintf("s-%d", i)))
		}
		looked := 0
		look := func(times int) {
			for range times {
				looked++
				patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:"%d"}}}`, v1alpha1.ReconcileAnnotation, looked)
				for _, s := range all {
					Expect(cp.Client.Patch(ctx, s.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(patch)))).To(Succeed())
				}
				for _, s := range all {
					Eventually(func() string { return lastLook(s) }).Should(Equal(fmt.Sprint(looked)))
				}
			}
		}
		look(5) // pools and caches have their size afterwards
		goroutines, heap := use()
		look(20)
		Eventually(func() int { now, _ := use(); return now }).Should(BeNumerically("<=", goroutines+5))
		_, after := use()
		Expect(after).To(BeNumerically("<", heap+4<<20), "%d bytes became %d in 200 passes", heap, after)
	})
})

func lastLook(s *v1alpha1.Secret) string {
	GinkgoHelper()
	Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
	return s.Status.LastHandledReconcileAt
}
