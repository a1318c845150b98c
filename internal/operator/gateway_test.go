package operator_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

// asking is a client that trusts the authority which the gateway publishes.
func asking(ctx context.Context) *http.Client {
	GinkgoHelper()
	published := &corev1.ConfigMap{}
	Eventually(func() error {
		return cp.Client.Get(ctx, client.ObjectKey{Namespace: environment.OperatorNamespace, Name: "strongroom-gateway-ca"}, published)
	}).Should(Succeed())
	pool := x509.NewCertPool()
	Expect(pool.AppendCertsFromPEM([]byte(published.Data["ca.crt"]))).To(BeTrue())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}
	DeferCleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}

// unsigned asks for an operation without a signature.
func unsigned(ctx context.Context, c *http.Client, at, target string) (int, string) {
	GinkgoHelper()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+at, strings.NewReader("{}"))
	Expect(err).NotTo(HaveOccurred())
	request.Header.Set("Content-Type", "application/x-amz-json-1.1")
	request.Header.Set("X-Amz-Target", target)
	response, err := c.Do(request)
	Expect(err).NotTo(HaveOccurred())
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	Expect(err).NotTo(HaveOccurred())
	return response.StatusCode, string(body)
}

var _ = Describe("The gateway", func() {
	It("is served with a certificate of the published authority, under each of its names, once it is ready", func(ctx SpecContext) {
		at, probes := address(), address()
		audit := filepath.Join(GinkgoT().TempDir(), "audit.log")
		op := run(ctx, operator.Options{
			GatewayBindAddress: at, HealthProbeBindAddress: probes, AuditLog: audit, GatewayNames: []string{"aws.example.com", "192.0.2.7"},
			GatewaySourceShare: 100, WithoutControllers: true,
		})
		Eventually(func() int { status, _ := get("http://" + probes + "/readyz"); return status }).Should(Equal(http.StatusOK))
		Expect(op.Gateway.Bound().String()).To(Equal(at))
		c := asking(ctx)
		status, body := unsigned(ctx, c, at, "TrentService.ListKeys")
		Expect(status).To(Equal(http.StatusBadRequest))
		Expect(body).To(ContainSubstring("MissingAuthenticationToken"))

		connection, err := (&tls.Dialer{Config: c.Transport.(*http.Transport).TLSClientConfig}).DialContext(ctx, "tcp", at)
		Expect(err).NotTo(HaveOccurred())
		defer connection.Close()
		leaf := connection.(*tls.Conn).ConnectionState().PeerCertificates[0]
		for _, name := range []string{
			"localhost", "127.0.0.1", "::1", "aws.example.com", "192.0.2.7", operator.GatewayService + "." + environment.OperatorNamespace + ".svc",
			operator.GatewayService + "." + environment.OperatorNamespace + ".svc.cluster.local",
		} {
			Expect(leaf.VerifyHostname(name)).To(Succeed(), name)
		}
		Expect(leaf.VerifyHostname("example.com")).NotTo(Succeed())

		text, err := os.ReadFile(audit)
		Expect(err).NotTo(HaveOccurred())
		Expect(strings.Count(string(text), "\n")).To(Equal(1), "what was refused is recorded")
		Expect(json.Valid([]byte(strings.TrimSpace(string(text))))).To(BeTrue())
		info, err := os.Stat(audit)
		Expect(err).NotTo(HaveOccurred())
		Expect(info.Mode().Perm()&0o077).To(BeZero(), "audit records are not for everybody")
	})

	It("is served nowhere unless an address is given, and the readiness does not wait for it", func(ctx SpecContext) {
		for _, none := range []string{"", "0"} {
			probes := address()
			op := run(ctx, operator.Options{GatewayBindAddress: none, HealthProbeBindAddress: probes, WithoutControllers: true})
			Expect(op.Gateway).To(BeNil())
			Eventually(func() int { status, _ := get("http://" + probes + "/readyz"); return status }).Should(Equal(http.StatusOK))
			Expect(op.Stop()).To(Succeed())
		}
	})

	It("whose audit records cannot be kept is not made: nothing is served without them", func(ctx SpecContext) {
		_, err := environment.RunOperator(ctx, cp.Config, operator.Options{
			GatewayBindAddress: address(), AuditLog: filepath.Join(GinkgoT().TempDir(), "missing", "audit.log"), WithoutControllers: true,
		})
		Expect(err).To(MatchError(os.ErrNotExist))
	})

	It("of two replicas has one authority, whichever made it, and goes on when the one that leads stops", func(ctx SpecContext) {
		first, second := address(), address()
		file := func(name string) string { return filepath.Join(GinkgoT().TempDir(), name) }
		one := run(ctx, operator.Options{GatewayBindAddress: first, AuditLog: file("one"), LeaderElection: true, GatewaySourceShare: 100})
		two := run(ctx, operator.Options{GatewayBindAddress: second, AuditLog: file("two"), LeaderElection: true, GatewaySourceShare: 100})
		c := asking(ctx)
		for _, at := range []string{first, second} {
			Eventually(func() error {
				request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+at, nil)
				Expect(err).NotTo(HaveOccurred())
				response, err := c.Do(request)
				if err == nil {
					err = response.Body.Close()
				}
				return err
			}).Should(Succeed())
			status, _ := unsigned(ctx, c, at, "secretsmanager.ListSecrets")
			Expect(status).To(Equal(http.StatusBadRequest))
		}
		Eventually(one.Elected()).Should(BeClosed())
		Expect(two.Elected()).NotTo(BeClosed(), "one alone runs the controllers")
		lease := &coordinationv1.Lease{}
		at := client.ObjectKey{Namespace: environment.OperatorNamespace, Name: operator.LeaseName}
		Expect(cp.Client.Get(ctx, at, lease)).To(Succeed())
		begin := time.Now()
		Expect(one.Stop()).To(Succeed())
		Eventually(two.Elected(), "10s").Should(BeClosed())
		Expect(time.Since(begin)).To(BeNumerically("<", time.Duration(*lease.Spec.LeaseDurationSeconds)*time.Second), "the lease was given back, and did not run out")
		status, _ := unsigned(ctx, c, second, "TrentService.ListKeys")
		Expect(status).To(Equal(http.StatusBadRequest))
	})
})
