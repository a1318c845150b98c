//go:build cgo

package cloudhsm_test

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/hsm/hsmtest"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/test/environment"
)

func TestMain(m *testing.M) { hsmtest.Main(m) }

func TestClusters(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(20 * time.Second)
	SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	RunSpecs(t, "HSM clusters")
}

var (
	ctx = context.Background()
	cp  *environment.ControlPlane
	now = time.Now().UTC().Truncate(time.Second)
)

var _ = BeforeSuite(func() {
	var err error
	cp, err = environment.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(cp.Stop()).To(Succeed()) })
})

// clusters are a process's, with a clock that the spec may move.
func clusters() *cloudhsm.Clusters {
	return &cloudhsm.Clusters{
		Reader: cp.Client, Live: cp.Client, Direct: cp.Client, Namespace: environment.OperatorNamespace, Now: func() time.Time { return now }, Interval: 50 * time.Millisecond,
	}
}

func namespace(labels map[string]string) string {
	GinkgoHelper()
	name, err := cp.NewNamespace(ctx)
	Expect(err).NotTo(HaveOccurred())
	if labels != nil {
		name += "-labelled"
		Expect(cp.Namespace(ctx, name, labels)).To(Succeed())
	}
	return name
}

// create makes an HSMCluster, with a status if there is one to set.
func create(namespace, name string, selector *metav1.LabelSelector, set func(*v1alpha1.HSMClusterStatus)) *v1alpha1.HSMCluster {
	GinkgoHelper()
	hc := &v1alpha1.HSMCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       v1alpha1.HSMClusterSpec{Size: 1, SoftHSM: &v1alpha1.SoftHSM{}, AllowedNamespaces: selector},
	}
	Expect(cp.Client.Create(ctx, hc)).To(Succeed())
	if set != nil {
		hc.Status.ClusterID = cloudhsm.ClusterID(namespace, name)
		set(&hc.Status)
		Expect(cp.Client.Status().Update(ctx, hc)).To(Succeed())
	}
	return hc
}
