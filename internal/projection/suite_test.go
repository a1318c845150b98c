package projection_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/test/environment"
)

func TestProjection(t *testing.T) {
	environment.Specs(t, "Projection")
}

var (
	ctx context.Context
	cp  *environment.ControlPlane
	// projector is the operator's own, over its cache; traffic counts what it sends.
	projector *projection.Projector
	traffic   = &requests{}
	// namespace is each spec's own.
	namespace string
)

var _ = BeforeSuite(func() {
	ctx = context.Background()
	var err error
	cp, err = environment.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(cp.Stop()).To(Succeed()) })
	cfg := rest.CopyConfig(cp.Config)
	cfg.Wrap(traffic.count)
	op, err := environment.RunOperator(ctx, cfg, operator.Options{WithoutControllers: true})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(op.Stop()).To(Succeed()) })
	projector = op.Services.Projector
})

var _ = BeforeEach(func() {
	var err error
	namespace, err = cp.NewNamespace(ctx)
	Expect(err).NotTo(HaveOccurred())
	traffic.take()
})

// requests are those that reached the wire for objects of a spec's namespace. The cache's own are for all namespaces.
type requests struct {
	mu  sync.Mutex
	log []string
}

var patchKinds = map[string]string{
	"application/apply-patch+yaml": "apply", "application/apply-patch+cbor": "apply",
	"application/merge-patch+json": "merge", "application/strategic-merge-patch+json": "strategic",
}

func (r *requests) count(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) {
		if _, rest, found := strings.Cut(req.URL.Path, "/namespaces/"+namespace+"/"); found && namespace != "" {
			resource, _, _ := strings.Cut(rest, "/")
			verb := req.Method
			if verb == http.MethodPatch {
				verb = patchKinds[req.Header.Get("Content-Type")]
			}
			r.mu.Lock()
			r.log = append(r.log, verb+" "+resource)
			r.mu.Unlock()
		}
		return next.RoundTrip(req)
	})
}

// take returns the requests since the last call.
func (r *requests) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.log
	r.log = nil
	return out
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// between lets somebody else act between two steps of the projector: before or after its next write of a kind.
type between struct {
	client.Client

	beforeApply, beforeDelete, afterCreate func()
}

func interposed(b *between) *projection.Projector {
	b.Client = projector.Client
	return &projection.Projector{Client: b, Live: projector.Live, Digester: projector.Digester, Keyring: projector.Keyring}
}

func once(act *func()) {
	if f := *act; f != nil {
		*act = nil
		f()
	}
}

func (b *between) Apply(ctx context.Context, obj runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
	once(&b.beforeApply)
	return b.Client.Apply(ctx, obj, opts...)
}

func (b *between) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	once(&b.beforeDelete)
	return b.Client.Delete(ctx, obj, opts...)
}

func (b *between) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	defer once(&b.afterCreate)
	return b.Client.Create(ctx, obj, opts...)
}

// goal is a target that belongs to the Secret db: one key, password.
func goal(changes ...func(*projection.Target)) *projection.Target {
	t := &projection.Target{
		Namespace: namespace, Name: "shown", Owner: owner,
		Data: map[string]secretbytes.Bytes{"password": secretbytes.Copy([]byte("CANARY-hunter2"))},
	}
	for _, change := range changes {
		change(t)
	}
	return t
}

func withPolicy(p v1alpha1.CreationPolicy) func(*projection.Target) {
	return func(t *projection.Target) { t.Policy = p }
}

// withData makes a target's data of key and value in turn.
func withData(pairs ...string) func(*projection.Target) {
	return func(t *projection.Target) {
		t.Data = map[string]secretbytes.Bytes{}
		for pair := range slices.Chunk(pairs, 2) {
			t.Data[pair[0]] = secretbytes.Copy([]byte(pair[1]))
		}
	}
}

// project makes a target so, and waits until the cache has it.
func project(t *projection.Target) projection.Outcome {
	GinkgoHelper()
	outcome, err := projector.Project(ctx, t)
	Expect(err).NotTo(HaveOccurred())
	seen(stored(t.Name))
	return outcome
}

// stored reads a core Secret.
func stored(name string) *corev1.Secret {
	GinkgoHelper()
	s := &corev1.Secret{}
	Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, s)).To(Succeed())
	return s
}

func dataOf(name string) map[string]string {
	GinkgoHelper()
	out := map[string]string{}
	for k, v := range stored(name).Data {
		out[k] = string(v)
	}
	return out
}

// foreign creates a core Secret as somebody else does.
func foreign(manager string, changes ...func(*corev1.Secret)) *corev1.Secret {
	GinkgoHelper()
	s := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shown"}, Data: map[string][]byte{"theirs": []byte("1")},
	}
	for _, change := range changes {
		change(s)
	}
	Expect(cp.Client.Create(ctx, s, client.FieldOwner(manager))).To(Succeed())
	seen(s)
	return s
}

// edit changes a core Secret as somebody else does.
func edit(change func(*corev1.Secret)) {
	GinkgoHelper()
	s := stored("shown")
	change(s)
	Expect(cp.Client.Update(ctx, s, client.FieldOwner("kubectl-edit"))).To(Succeed())
	seen(s)
}

// seen waits until the cache shows a core Secret as it is, or shows none if it has no label.
func seen(s *corev1.Secret) {
	GinkgoHelper()
	want := ""
	if s.Labels[v1alpha1.ManagedLabel] != "" {
		want = s.ResourceVersion
	}
	Eventually(func() string {
		cached := &corev1.Secret{}
		if err := projector.Client.Get(ctx, client.ObjectKeyFromObject(s), cached); client.IgnoreNotFound(err) != nil {
			return err.Error()
		}
		return cached.ResourceVersion
	}).Should(Equal(want))
}

func removed(name string) {
	GinkgoHelper()
	s := stored(name)
	Expect(cp.Client.Delete(ctx, s)).To(Succeed())
	s.Labels = nil
	seen(s)
}

func absent(name string) bool {
	return apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &corev1.Secret{}))
}
