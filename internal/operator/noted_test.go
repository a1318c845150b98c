package operator_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// gate is a connection to the API server that holds one kind of request until it is opened.
type gate struct {
	next    http.RoundTripper
	reached chan struct{}
	open    chan struct{}
	once    sync.Once
}

// RoundTrip implements http.RoundTripper.
func (g *gate) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/parameters") {
		g.once.Do(func() { close(g.reached) })
		<-g.open
	}
	return g.next.RoundTrip(r)
}

var _ = Describe("A request of the gateway", func() {
	parameter := func(name string) *v1alpha1.Parameter {
		return environment.Parameter(namespace, name, func(p *v1alpha1.Parameter) { p.Spec.Target = nil })
	}
	names := func(ctx context.Context, c client.Client) (out []string) {
		GinkgoHelper()
		var list v1alpha1.ParameterList
		Expect(c.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
		for i := range list.Items {
			out = append(out, list.Items[i].Name)
		}
		return out
	}

	It("that only reads waits for no write that hangs", func(ctx SpecContext) {
		g := &gate{reached: make(chan struct{}), open: make(chan struct{})}
		cfg := rest.CopyConfig(cp.Config)
		cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { g.next = next; return g })
		op, err := environment.RunOperator(ctx, cfg, operator.Options{WithoutControllers: true})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(op.Stop)
		c := op.GetClient()
		written := make(chan error, 1)
		go func() { written <- c.Create(context.WithoutCancel(ctx), parameter("slow")) }()
		DeferCleanup(func() {
			close(g.open)
			Expect(<-written).To(Succeed())
		})
		Eventually(g.reached).Should(BeClosed())

		brief, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		request, _ := store.NoteWrites(brief, true)
		Expect(names(request, c)).To(BeEmpty())
		Expect(apierrors.IsNotFound(c.Get(request, client.ObjectKey{Namespace: namespace, Name: "slow"}, &v1alpha1.Parameter{}))).To(BeTrue())

		By("for which a pass of a controller waits, and a request that writes")
		short, end := context.WithTimeout(ctx, 200*time.Millisecond)
		defer end()
		Expect(c.List(short, &v1alpha1.ParameterList{}, client.InNamespace(namespace))).To(MatchError(context.DeadlineExceeded))
		writing, _ := store.NoteWrites(ctx, false)
		brief, cancel = context.WithTimeout(writing, 200*time.Millisecond)
		defer cancel()
		Expect(c.List(brief, &v1alpha1.ParameterList{}, client.InNamespace(namespace))).To(MatchError(context.DeadlineExceeded))
	})

	It("has shown to all that follow what it has written, once that was awaited", func(ctx SpecContext) {
		c := run(ctx, operator.Options{WithoutControllers: true}).GetClient()
		for range 20 {
			request, writes := store.NoteWrites(ctx, false)
			p := parameter("shown")
			Expect(c.Create(request, p)).To(Succeed())
			p.Status.Version = 7
			Expect(c.Status().Update(request, p)).To(Succeed())
			Expect(writes.Await(ctx)).To(Succeed())

			next, writes := store.NoteWrites(ctx, false)
			reading, _ := store.NoteWrites(ctx, true)
			Expect(names(reading, c)).To(ConsistOf("shown"))
			read := &v1alpha1.Parameter{}
			Expect(c.Get(reading, client.ObjectKeyFromObject(p), read)).To(Succeed())
			Expect(read.Status.Version).To(BeEquivalentTo(7))
			Expect(c.Patch(next, read, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"a":"b"}}}`)))).To(Succeed())
			Expect(writes.Await(ctx)).To(Succeed())

			last, writes := store.NoteWrites(ctx, false)
			reading, _ = store.NoteWrites(ctx, true)
			Expect(c.Get(reading, client.ObjectKeyFromObject(p), read)).To(Succeed())
			Expect(read.Annotations).To(HaveKeyWithValue("a", "b"))
			Expect(c.Delete(last, read)).To(Succeed())
			Expect(writes.Await(ctx)).To(Succeed())

			after, _ := store.NoteWrites(ctx, true)
			Expect(names(after, c)).To(BeEmpty())
		}
	})

	It("reads what it has written itself", func(ctx SpecContext) {
		c := run(ctx, operator.Options{WithoutControllers: true}).GetClient()
		for _, name := range []string{"a", "b", "c", "d", "e"} {
			request, _ := store.NoteWrites(ctx, false)
			p := parameter(name)
			Expect(c.Create(request, p)).To(Succeed())
			Expect(names(request, c)).To(ContainElement(name))
			Expect(c.Get(request, client.ObjectKeyFromObject(p), &v1alpha1.Parameter{})).To(Succeed())
		}
	})

	It("waits for no write that the cache does not show", func(ctx SpecContext) {
		c := run(ctx, operator.Options{WithoutControllers: true}).GetClient()
		request, writes := store.NoteWrites(ctx, false)
		plain := coreSecret("plain", nil)
		Expect(c.Create(request, plain)).To(Succeed())
		Expect(writes.None()).To(BeTrue())
	})
})
