package unseal_test

import (
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/unseal"
	"strongroom.dev/strongroom/test/environment"
)

// The fake client of the other tests decides by itself what is atomic. Here the API server does.
func TestUnsealOnARealAPIServer(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(20 * time.Second)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	RunSpecs(t, "Unseal")
}

var (
	cp *environment.ControlPlane
	// own is a namespace as Strongroom's own, another one for each spec.
	own string
)

var _ = BeforeSuite(func(ctx SpecContext) {
	var err error
	cp, err = environment.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(cp.Stop()).To(Succeed()) })
})

var _ = BeforeEach(func(ctx SpecContext) {
	var err error
	own, err = cp.NewNamespace(ctx)
	Expect(err).NotTo(HaveOccurred())
	// A first run is one of the whole cluster, so nothing may be left for the next spec.
	DeferCleanup(func(ctx SpecContext) {
		Expect(cp.Client.DeleteAllOf(ctx, &v1alpha1.Envelope{}, client.InNamespace(own))).To(Succeed())
	})
})

func newUnsealer() *unseal.Unsealer {
	return &unseal.Unsealer{
		Client: cp.Client, Live: cp.Client, Namespace: own, Holder: &keyring.Holder{}, Log: logr.Discard(), Retry: 20 * time.Millisecond,
	}
}

// digestOf tells one keyring from another.
func digestOf(u *unseal.Unsealer) string {
	GinkgoHelper()
	ring, err := u.Holder.Get()
	Expect(err).NotTo(HaveOccurred())
	return ring.Digest("which")
}

func rootSecret() *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: own, Name: unseal.RootSecretName}}
}

// stored lists what is in the namespace: roots (at most one by name), other core Secrets, and domain keys.
func stored(ctx SpecContext) (secrets []corev1.Secret, domainKeys []v1alpha1.Envelope) {
	GinkgoHelper()
	var list corev1.SecretList
	Expect(cp.Client.List(ctx, &list, client.InNamespace(own))).To(Succeed())
	var envelopes v1alpha1.EnvelopeList
	Expect(cp.Client.List(ctx, &envelopes, client.InNamespace(own))).To(Succeed())
	return list.Items, envelopes.Items
}
