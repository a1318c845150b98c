// Package manager_test runs whole managers: leadership, metrics, and an API server that is away.
package manager_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/loopback"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

func TestManager(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(20 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "Manager")
}

var (
	ctx       = context.Background()
	cp        *environment.ControlPlane
	namespace string
)

var _ = BeforeSuite(func() {
	var err error
	cp, err = environment.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(cp.Stop()).To(Succeed()) })
})

var _ = BeforeEach(func() {
	var err error
	namespace, err = cp.NewNamespace(ctx)
	Expect(err).NotTo(HaveOccurred())
	Expect(cp.Client.Create(ctx, environment.KMSKey(namespace, "key"))).To(Succeed())
})

func run(o operator.Options) *environment.Operator {
	GinkgoHelper()
	op, err := environment.RunOperator(ctx, rest.CopyConfig(cp.Config), o)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(op.Stop)
	return op
}

func create(name string) *v1alpha1.Secret {
	GinkgoHelper()
	s := environment.Secret(namespace, name)
	Expect(cp.Client.Create(ctx, s)).To(Succeed())
	return s
}

func isReady(s *v1alpha1.Secret) func() bool {
	return func() bool {
		return cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s) == nil &&
			meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReady)
	}
}

var _ = Describe("Of two managers", func() {
	It("one works, and the other takes over at once when it stops", func() {
		first := run(operator.Options{LeaderElection: true})
		Eventually(first.Elected()).Should(BeClosed())
		second := run(operator.Options{LeaderElection: true})
		Eventually(isReady(create("by-the-first"))).Should(BeTrue())
		Expect(second.Elected()).NotTo(BeClosed())
		Expect(first.Stop()).To(Succeed())
		begin := time.Now()
		Eventually(isReady(create("by-the-second"))).Should(BeTrue())
		Expect(time.Since(begin)).To(BeNumerically("<", 10*time.Second), "the lease was not given back")
	})
})

var _ = Describe("Metrics", func() {
	get := func(port int, token string) (int, string) {
		GinkgoHelper()
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://127.0.0.1:%d/metrics", port), nil)
		Expect(err).NotTo(HaveOccurred())
		if token != "" {
			request.Header.Set("Authorization", "Bearer "+token)
		}
		insecure := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
		defer insecure.CloseIdleConnections()
		response, err := insecure.Do(request)
		Expect(err).NotTo(HaveOccurred())
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		Expect(err).NotTo(HaveOccurred())
		return response.StatusCode, string(body)
	}
	token := func(name string) string {
		GinkgoHelper()
		account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		Expect(cp.Client.Create(ctx, account)).To(Succeed())
		request := &authenticationv1.TokenRequest{}
		Expect(cp.Client.SubResource("token").Create(ctx, account, request)).To(Succeed())
		return request.Status.Token
	}

	It("are shown to whoever may see them, and to nobody else", func() {
		port := freePort()
		run(operator.Options{MetricsBindAddress: fmt.Sprintf("127.0.0.1:%d", port)})
		s := create("measured")
		Eventually(isReady(s)).Should(BeTrue())
		Eventually(func() error { // it listens when it has made its certificate, for which no controller waits
			conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			if err == nil {
				err = conn.Close()
			}
			return err
		}).Should(Succeed())

		status, _ := get(port, "")
		Expect(status).To(Equal(http.StatusUnauthorized))
		stranger := token("stranger")
		status, _ = get(port, stranger)
		Expect(status).To(Equal(http.StatusForbidden))

		scraper := token("scraper")
		Expect(cp.Client.Create(ctx, &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: "scraper"},
			Rules:      []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}},
		})).To(Succeed())
		Expect(cp.Client.Create(ctx, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "scraper"},
			RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "scraper"},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: "scraper"}},
		})).To(Succeed())
		Eventually(func() int { status, _ = get(port, scraper); return status }).Should(Equal(http.StatusOK))
		_, body := get(port, scraper)
		Expect(body).To(ContainSubstring(fmt.Sprintf(
			`strongroom_object_ready{kind="Secret",name="measured",namespace=%q,reason="Succeeded"} 1`, namespace)))
		Expect(body).To(ContainSubstring("strongroom_sealed 0"))
	})
})

var _ = Describe("An API server that is away", func() {
	It("for a while is waited for, and what was asked for meanwhile happens once", func() {
		run(operator.Options{})
		s := create("patient")
		Eventually(isReady(s)).Should(BeTrue())
		server := apiServer()
		Expect(server).NotTo(BeZero())
		Expect(syscall.Kill(server, syscall.SIGSTOP)).To(Succeed())
		time.Sleep(10 * time.Second)
		Expect(syscall.Kill(server, syscall.SIGCONT)).To(Succeed())

		Eventually(func() error {
			return cp.Client.Patch(ctx, s, client.RawPatch("application/merge-patch+json",
				[]byte(`{"metadata":{"annotations":{"strongroom.dev/rotate":"after"}}}`)))
		}).Should(Succeed())
		Eventually(func() string {
			_ = cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)
			return s.Status.LastHandledRotateAt
		}, "60s").Should(Equal("after"))
		Expect(s.Status.Versions).To(HaveLen(2))
	})
})

// apiServer finds the process of the kube-apiserver by its port.
func apiServer() int {
	GinkgoHelper()
	host, err := url.Parse(cp.Config.Host)
	if err != nil || host.Port() == "" {
		host, err = url.Parse("https://" + cp.Config.Host)
	}
	Expect(err).NotTo(HaveOccurred())
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	Expect(err).NotTo(HaveOccurred())
	for _, path := range paths {
		line, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(line), "--secure-port="+host.Port()+"\x00") {
			pid, err := strconv.Atoi(strings.Split(path, "/")[2])
			Expect(err).NotTo(HaveOccurred())
			return pid
		}
	}
	return 0
}

func freePort() int {
	GinkgoHelper()
	port, err := loopback.FreePort()
	Expect(err).NotTo(HaveOccurred())
	return port
}
