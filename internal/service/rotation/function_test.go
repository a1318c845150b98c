package rotation_test

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	corerotation "strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/service/rotation"
)

var _ = Describe("A call of a rotation function", func() {
	var (
		s       *v1alpha1.Secret
		calls   []map[string]string
		dialled []string
		answer  func(http.ResponseWriter)
		rotator *rotation.Service
	)
	// serves is a function, and how its Service is reached.
	serves := func(start func(*httptest.Server)) *httptest.Server {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer GinkgoRecover()
			var event map[string]string
			Expect(json.NewDecoder(r.Body).Decode(&event)).To(Succeed())
			calls = append(calls, event)
			answer(w)
		}))
		start(server)
		DeferCleanup(server.Close)
		rotator = service()
		rotator.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			dialled = append(dialled, address)
			return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
		}
		return server
	}
	// fronted makes the function's Service.
	fronted := func(change func(*corev1.ServiceSpec)) {
		GinkgoHelper()
		front := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "rotate-shop"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 8080}}}}
		change(&front.Spec)
		Expect(world.ControlPlane.Client.Create(ctx, front)).To(Succeed())
	}
	plain := func(*corev1.ServiceSpec) {}
	invoke := func() error { return rotator.Invoke(ctx, of(s), corerotation.StepTest, "the version") }

	BeforeEach(func() {
		calls, dialled = nil, nil
		answer = func(w http.ResponseWriter) { _, _ = w.Write([]byte("null")) }
		s = secret("shop", func(s *v1alpha1.Secret) {
			s.Spec.Rotation = &v1alpha1.SecretRotation{Enabled: new(bool), Function: &v1alpha1.FunctionRotator{ServiceRef: v1alpha1.ServiceReference{Name: "rotate-shop"}}}
		})
	})

	It("is AWS's event, to a Service of the namespace, at the emulator's port or spec's", func() {
		serves((*httptest.Server).Start)
		fronted(plain)
		Expect(invoke()).To(Succeed())
		s.Spec.Rotation.Function.Port = 9000
		Expect(invoke()).To(Succeed())
		Expect(calls).To(HaveLen(2))
		Expect(calls[0]).To(And(HaveLen(4), HaveKeyWithValue("Step", "testSecret"), HaveKeyWithValue("SecretId", s.Status.ARN),
			HaveKeyWithValue("ClientRequestToken", "the version"), HaveKeyWithValue("RotationToken", HaveLen(36))))
		Expect(calls[1]["RotationToken"]).NotTo(Equal(calls[0]["RotationToken"]))
		host := "rotate-shop." + world.Namespace + ".svc"
		Expect(dialled).To(Equal([]string{host + ":8080", host + ":9000"}))
	})

	It("is not made where there is no such Service, or it is of type ExternalName", func() {
		serves((*httptest.Server).Start)
		fails(invoke(), v1alpha1.ReasonFunctionNotFound, "rotate-shop", "does not exist")
		fronted(func(spec *corev1.ServiceSpec) {
			*spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "metadata.internal"}
		})
		fails(invoke(), v1alpha1.ReasonFunctionNotFound, "ExternalName")
		Expect(dialled).To(BeEmpty())
	})

	It("that raises an error, or does not answer, says so without the function's words", func() {
		server := serves((*httptest.Server).Start)
		fronted(plain)
		answer = func(w http.ResponseWriter) {
			_, _ = w.Write([]byte(`{"errorType":"ValueError","errorMessage":"hunter2"}`))
		}
		fails(invoke(), v1alpha1.ReasonFunctionFailed, "ValueError")
		answer = func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) }
		fails(invoke(), v1alpha1.ReasonFunctionFailed, "502")
		server.Close()
		fails(invoke(), v1alpha1.ReasonFunctionUnreachable)
	})

	It("by TLS trusts the certificates that spec names, and those alone", func() {
		server := serves((*httptest.Server).StartTLS)
		fronted(plain)
		s.Spec.Rotation.Function.TLS = &v1alpha1.FunctionTLS{CASecretRef: v1alpha1.SecretKeyReference{Name: "function-ca", Key: "ca.crt"}}
		fails(invoke(), v1alpha1.ReasonTLSFailed, "function-ca", "does not exist")
		core("function-ca", "ca.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
		fails(invoke(), v1alpha1.ReasonTLSFailed) // it is trusted, and is another name's
		Expect(calls).To(BeEmpty())
	})
})
