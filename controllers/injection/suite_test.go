package injection_test

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/injection"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/authority"
	"strongroom.dev/strongroom/test/environment"
)

func TestInjectionController(t *testing.T) {
	environment.Specs(t, "Injection controller")
}

const endpoint = "https://strongroom-gateway.strongroom-system.svc"

var (
	ctx        = context.Background()
	world      *environment.World
	reconciler *injection.Reconciler
	published  string
)

var _ = BeforeSuite(func() { world = environment.NewWorld(ctx) })

var _ = BeforeEach(func() {
	world.Fresh()
	reconciler = &injection.Reconciler{
		Client: world.GetClient(), Namespace: environment.OperatorNamespace, Region: "us-east-1", EndpointURL: endpoint,
	}
	published = certificate()
	publish(published)
})

func certificate() string {
	GinkgoHelper()
	a, err := authority.New("Strongroom gateway", time.Now())
	Expect(err).NotTo(HaveOccurred())
	return string(a.CertificatePEM())
}

// publish writes what the gateway writes, and waits until the cache has it.
func publish(text string) {
	GinkgoHelper()
	bundle := corev1ac.ConfigMap(v1alpha1.GatewayConfigMap, environment.OperatorNamespace).
		WithLabels(map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedGateway}).
		WithData(map[string]string{v1alpha1.GatewayAuthorityKey: text})
	Expect(world.ControlPlane.Client.Apply(ctx, bundle, client.FieldOwner("strongroom-gateway"), client.ForceOwnership)).To(Succeed())
	Eventually(func() string {
		var cached corev1.ConfigMap
		_ = world.GetClient().Get(ctx, client.ObjectKey{Namespace: environment.OperatorNamespace, Name: v1alpha1.GatewayConfigMap}, &cached)
		return cached.Data[v1alpha1.GatewayAuthorityKey]
	}).Should(Equal(text))
}

// role makes an IAMRole of the spec's namespace for service accounts.
func role(name string, accounts ...v1alpha1.ServiceAccountReference) *v1alpha1.IAMRole {
	GinkgoHelper()
	r := &v1alpha1.IAMRole{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name}}
	r.Spec.ServiceAccounts = accounts
	world.Create(r)
	return r
}

func pass(namespace string) ctrl.Result {
	GinkgoHelper()
	result, err := reconciler.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKey{Name: namespace}})
	Expect(err).NotTo(HaveOccurred())
	return result
}

// found reads a namespace's ConfigMap; nil if there is none.
func found(namespace string) *corev1.ConfigMap {
	GinkgoHelper()
	c := &corev1.ConfigMap{}
	err := world.ControlPlane.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: v1alpha1.GatewayConfigMap}, c)
	if apierrors.IsNotFound(err) {
		return nil
	}
	Expect(err).NotTo(HaveOccurred())
	return c
}

// whole is what a namespace's ConfigMap says, with its own account id.
func whole(namespace string) map[string]string {
	return map[string]string{"ca.crt": published, "account-id": arn.DeriveAccount(namespace), "endpoint-url": endpoint, "region": "us-east-1"}
}
