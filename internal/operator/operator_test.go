package operator_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

// get asks over real HTTP; 0 is no answer.
func get(url string) (status int, body string) {
	c := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := c.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	b, _ := io.ReadAll(response.Body)
	return response.StatusCode, string(b)
}

// made is an operator that does not run yet.
func made(o operator.Options) *operator.Operator {
	GinkgoHelper()
	o.Namespace, o.Region, o.SkipControllerNames = environment.OperatorNamespace, "us-east-1", true
	op, err := operator.New(rest.CopyConfig(cp.Config), o)
	Expect(err).NotTo(HaveOccurred())
	return op
}

// begin runs it without waiting for anything, and ends it after the spec.
func begin(op *operator.Operator) (stop context.CancelFunc, ended chan error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended = make(chan error, 1)
	done := make(chan struct{})
	go func() { ended <- op.Start(ctx); close(done) }()
	DeferCleanup(func() { cancel(); Eventually(done).Should(BeClosed()) })
	return cancel, ended
}

var _ = Describe("The probes", func() {
	It("say alive always, and ready only while the keyring is unsealed", func(ctx SpecContext) {
		Expect(run(ctx, operator.Options{}).Stop()).To(Succeed()) // there are domain keys from now on
		root := environment.RootSecret()
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(root), root)).To(Succeed())
		Expect(cp.Client.Delete(ctx, environment.RootSecret())).To(Succeed())

		at := address()
		op := made(operator.Options{HealthProbeBindAddress: at})
		_, ended := begin(op)
		Expect(op.Services.Keyring.AwaitAttempt(ctx)).To(Succeed())
		Eventually(func() int { status, _ := get("http://" + at + "/healthz"); return status }).Should(Equal(http.StatusOK))
		status, body := get("http://" + at + "/readyz")
		Expect(status).To(Equal(http.StatusInternalServerError))
		Expect(body).To(ContainSubstring("unsealed failed"))
		Expect(ended).NotTo(Receive(), "a sealed manager is not a crash")

		root.ResourceVersion, root.UID = "", ""
		Expect(cp.Client.Create(ctx, root)).To(Succeed())
		Eventually(func() int { status, _ := get("http://" + at + "/readyz"); return status }).Should(Equal(http.StatusOK))
		op.Services.Keyring.SetSealed(fmt.Errorf("sealed by somebody"))
		status, _ = get("http://" + at + "/readyz")
		Expect(status).To(Equal(http.StatusInternalServerError))
		status, _ = get("http://" + at + "/healthz")
		Expect(status).To(Equal(http.StatusOK), "a sealed manager must not be restarted for it")
	})

	It("and metrics are served nowhere unless an address is given", func(ctx SpecContext) {
		run(ctx, operator.Options{})
		for _, port := range []int{8080, 8081, 8443} {
			status, _ := get(fmt.Sprintf("http://127.0.0.1:%d/healthz", port))
			Expect(status).To(BeZero(), "port %d", port)
		}
	})
})

var _ = Describe("Metrics on loopback", func() {
	It("are served over HTTP when that is asked for", func(ctx SpecContext) {
		at := address()
		run(ctx, operator.Options{MetricsBindAddress: at, MetricsInsecure: true})
		Eventually(func() string { _, body := get("http://" + at + "/metrics"); return body }).Should(ContainSubstring("strongroom_sealed 0"))
	})
})

func coreSecret(name string, labels map[string]string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Data:       map[string][]byte{"password": []byte("CANARY-hunter2")},
	}
}

var _ = Describe("The cache", func() {
	It("holds core Secrets with the label only, and the others are read by name", func(ctx SpecContext) {
		op := run(ctx, operator.Options{WithoutControllers: true})
		plain, managed := coreSecret("plain", nil), coreSecret("managed", map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedSource})
		Expect(cp.Client.Create(ctx, plain)).To(Succeed())
		Expect(cp.Client.Create(ctx, managed)).To(Succeed())
		cached := &corev1.Secret{}
		Eventually(func() error { return op.GetClient().Get(ctx, client.ObjectKeyFromObject(managed), cached) }).Should(Succeed())
		Expect(apierrors.IsNotFound(op.GetClient().Get(ctx, client.ObjectKeyFromObject(plain), cached))).To(BeTrue())
		Expect(op.GetAPIReader().Get(ctx, client.ObjectKeyFromObject(plain), cached)).To(Succeed())
		Expect(cached.Data["password"]).To(Equal([]byte("CANARY-hunter2")))

		By("following the label as it comes and goes")
		Expect(cp.Client.Patch(ctx, plain, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"strongroom.dev/managed":"source"}}}`)))).To(Succeed())
		Eventually(func() error { return op.GetClient().Get(ctx, client.ObjectKeyFromObject(plain), cached) }).Should(Succeed())
		Expect(cp.Client.Patch(ctx, plain, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":null}}`)))).To(Succeed())
		Eventually(func() bool {
			return apierrors.IsNotFound(op.GetClient().Get(ctx, client.ObjectKeyFromObject(plain), cached))
		}).Should(BeTrue())
	})

	It("keeps no value of a core Secret and nothing of who wrote which field", func(ctx SpecContext) {
		op := run(ctx, operator.Options{WithoutControllers: true})
		managed := coreSecret("managed", map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedSource})
		Expect(cp.Client.Create(ctx, managed)).To(Succeed())
		Expect(cp.Client.Create(ctx, environment.KMSKey(namespace, "key"))).To(Succeed())
		var secrets corev1.SecretList
		Eventually(func() int {
			Expect(op.GetClient().List(ctx, &secrets, client.InNamespace(namespace))).To(Succeed())
			return len(secrets.Items)
		}).Should(Equal(1))
		Expect(fmt.Sprintf("%s", secrets.Items[0].Data)).NotTo(ContainSubstring("CANARY"))
		key := &v1alpha1.KMSKey{}
		Eventually(func() error {
			return op.GetClient().Get(ctx, client.ObjectKey{Namespace: namespace, Name: "key"}, key)
		}).Should(Succeed())
		for _, o := range []client.Object{&secrets.Items[0], key} {
			Expect(o.GetManagedFields()).To(BeEmpty())
		}
	})

	It("has no kind but those, until somebody reads another", func(ctx SpecContext) {
		op := run(ctx, operator.Options{WithoutControllers: true})
		for _, o := range []client.Object{&corev1.ConfigMap{}, &corev1.Pod{}, &coordinationv1.Lease{}} {
			err := op.GetCache().Get(ctx, client.ObjectKey{Namespace: namespace, Name: "x"}, o)
			Expect(err).To(BeAssignableToTypeOf(&cache.ErrResourceNotCached{}), "%T", o)
		}
		Expect(op.GetCache().List(ctx, &corev1.ConfigMapList{})).To(BeAssignableToTypeOf(&cache.ErrResourceNotCached{}))
	})
})

// work is a runnable that ends when a test lets it, as a pass that is in the middle of its writes.
func work(op *operator.Operator) (told, release chan struct{}) {
	GinkgoHelper()
	started := make(chan struct{})
	told, release = make(chan struct{}), make(chan struct{})
	Expect(op.Add(manager.RunnableFunc(func(ctx context.Context) error {
		close(started)
		<-ctx.Done()
		close(told)
		<-release
		return nil
	}))).To(Succeed())
	DeferCleanup(func() { Expect(started).To(BeClosed()) })
	return told, release
}

var _ = Describe("An operator that is told to stop", func() {
	It("waits for work that is going on, and then ends well", func(ctx SpecContext) {
		op := made(operator.Options{WithoutControllers: true})
		told, release := work(op)
		stop, ended := begin(op)
		Eventually(op.Elected()).Should(BeClosed())
		Eventually(op.Services.Keyring.Unsealed()).Should(BeClosed())
		stop()
		Eventually(told).Should(BeClosed())
		Consistently(ended, "300ms").ShouldNot(Receive(), "it did not wait")
		close(release)
		Eventually(ended).Should(Receive(BeNil()))
	})

	It("does not wait longer than it may", func(ctx SpecContext) {
		op := made(operator.Options{WithoutControllers: true, GracefulShutdownTimeout: 200 * time.Millisecond})
		told, release := work(op)
		defer close(release)
		stop, ended := begin(op)
		Eventually(op.Services.Keyring.Unsealed()).Should(BeClosed())
		stop()
		Eventually(told).Should(BeClosed())
		Eventually(ended, 5*time.Second).Should(Receive(MatchError(ContainSubstring("grace period"))))
	})

	It("gives its lease back", func(ctx SpecContext) {
		op := made(operator.Options{LeaderElection: true, WithoutControllers: true})
		stop, ended := begin(op)
		Eventually(op.Elected()).Should(BeClosed())
		lease := &coordinationv1.Lease{}
		holder := func() string {
			Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: environment.OperatorNamespace, Name: operator.LeaseName}, lease)).To(Succeed())
			if lease.Spec.HolderIdentity == nil {
				return ""
			}
			return *lease.Spec.HolderIdentity
		}
		Expect(holder()).NotTo(BeEmpty())
		stop()
		Eventually(ended).Should(Receive(BeNil()))
		Expect(holder()).To(BeEmpty())
	})
})

var _ = Describe("An operator that cannot be made", func() {
	It("says so at once when two of a process have controllers of one name", func(SpecContext) {
		o := operator.Options{Namespace: environment.OperatorNamespace, Region: "r"}
		_, err := operator.New(rest.CopyConfig(cp.Config), o)
		Expect(err).NotTo(HaveOccurred())
		_, err = operator.New(rest.CopyConfig(cp.Config), o)
		Expect(err).To(MatchError(ContainSubstring("already exists")))
	})

	It("says that an address is taken, with the address", func(ctx SpecContext) {
		at := address()
		run(ctx, operator.Options{HealthProbeBindAddress: at, WithoutControllers: true})
		o := operator.Options{Namespace: environment.OperatorNamespace, Region: "r", SkipControllerNames: true, HealthProbeBindAddress: at}
		_, err := operator.New(rest.CopyConfig(cp.Config), o)
		Expect(err).To(MatchError(And(ContainSubstring(strings.TrimPrefix(at, "127.0.0.1")), ContainSubstring("address already in use"))))
	})
})
