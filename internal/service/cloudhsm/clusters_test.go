//go:build cgo

package cloudhsm_test

import (
	"context"
	"crypto/tls"
	"errors"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	hsmclient "strongroom.dev/strongroom/internal/core/hsm/client"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/hsm/hsmtest"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
	"strongroom.dev/strongroom/internal/core/hsm/node"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/test/environment"
)

// serving gives a cluster's status one node and one domain key.
func serving(endpoint string) func(*v1alpha1.HSMClusterStatus) {
	return func(s *v1alpha1.HSMClusterStatus) {
		s.Nodes = []v1alpha1.HSMNode{{Name: "n-0", State: v1alpha1.HSMActive, Endpoint: endpoint}}
		s.DomainKeys = []v1alpha1.HSMDomainKey{{Epoch: 1, KeyCheckValue: "0011223344", WrappingKeyCheckValue: "5566778899"}}
	}
}

func keyIn(from string, hc *v1alpha1.HSMCluster) *v1alpha1.KMSKey {
	return environment.KMSKey(from, "key", func(k *v1alpha1.KMSKey) {
		k.Spec.Origin, k.Spec.CustomKeyStoreRef = v1alpha1.KeyOriginCloudHSM, &v1alpha1.CustomKeyStoreReference{Namespace: hc.Namespace, Name: hc.Name}
	})
}

// run starts a real node with a cluster's own certificates, as its host does.
func run(c *cloudhsm.Clusters, hc *v1alpha1.HSMCluster) *hsmtest.Node {
	GinkgoHelper()
	credentials, err := c.Credentials(ctx, hc)
	Expect(err).NotTo(HaveOccurred())
	chain, key, err := credentials.NodeCertificate([]string{"127.0.0.1"}, now)
	Expect(err).NotTo(HaveOccurred())
	pair, err := tls.X509KeyPair(chain, key)
	Expect(err).NotTo(HaveOccurred())
	return hsmtest.Start(GinkgoTB(), hsmtest.NewAuthority(GinkgoTB()), "", "", func(o *node.Options) {
		o.Cluster = credentials.ClusterID
		o.TLS = func() (*mtls.Material, error) {
			return &mtls.Material{Certificate: pair, Authorities: credentials.Authority.Pool()}, nil
		}
	})
}

var _ = Describe("Connections to clusters", func() {
	It("are opened for the keys of those namespaces that a cluster is for, and others are not told that it is there", func() {
		own, other, friends := namespace(nil), namespace(nil), namespace(map[string]string{"team": "friends"})
		c := clusters()
		private := create(own, "private", nil, serving("127.0.0.1:1"))
		shared := create(own, "shared", &metav1.LabelSelector{MatchLabels: map[string]string{"team": "friends"}}, serving("127.0.0.1:1"))
		public := create(environment.OperatorNamespace, "public-"+own, nil, serving("127.0.0.1:1"))
		absent := &v1alpha1.HSMCluster{ObjectMeta: metav1.ObjectMeta{Namespace: own, Name: "absent"}}
		for _, hc := range []*v1alpha1.HSMCluster{private, shared, public} {
			_, err := c.Credentials(ctx, cleared(hc))
			Expect(err).NotTo(HaveOccurred())
		}
		for _, tt := range []struct {
			from string
			to   *v1alpha1.HSMCluster
			good bool
		}{
			{own, private, true}, {other, private, false}, {friends, private, false}, {environment.OperatorNamespace, private, false},
			{own, shared, true}, {other, shared, false}, {friends, shared, true},
			{own, public, true}, {other, public, true}, {own, absent, false}, {other, absent, false},
		} {
			cluster, id, err := c.Open(ctx, keyIn(tt.from, tt.to))
			if tt.good {
				Expect(err).NotTo(HaveOccurred())
				Expect(id).To(Equal(tt.to.Status.ClusterID))
				Expect(cluster.Addresses()).To(Equal([]string{"127.0.0.1:1"}))
				continue
			}
			Expect(cluster).To(BeNil())
			f := fault.Of(err)
			Expect(f.Reason).To(Equal(v1alpha1.ReasonCustomKeyStoreNotFound))
			Expect(f.Stalled).To(BeTrue())
			// The same words, whether it is there or not.
			Expect(err).To(MatchError(And(ContainSubstring(tt.to.Name+" does not exist, or"), ContainSubstring("let namespace "+tt.from))))
		}
	})

	It("wait for a cluster that is not set up, and fail for a selector that nobody understands", func() {
		own := namespace(nil)
		for name, set := range map[string]func(*v1alpha1.HSMClusterStatus){
			"new": nil, "keyless": func(s *v1alpha1.HSMClusterStatus) { serving("127.0.0.1:1")(s); s.DomainKeys = nil },
			"nodeless": func(s *v1alpha1.HSMClusterStatus) { serving("127.0.0.1:1")(s); s.Nodes = nil },
		} {
			_, _, err := clusters().Open(ctx, keyIn(own, create(own, name, nil, set)))
			Expect(err).To(MatchError(cloudhsm.ErrUnavailable))
			Expect(fault.Of(err).Reason).To(Equal(v1alpha1.ReasonCustomKeyStoreUnavailable))
		}
		_, _, err := clusters().Open(ctx, keyIn("no-such-namespace", create(own, "other", nil, serving("127.0.0.1:1"))))
		Expect(err).To(HaveOccurred())
		Expect(apierrors.IsForbidden(err)).To(BeFalse())
	})

	It("are one for a cluster, whoever asks at once, and another when its addresses change", func() {
		hc := create(namespace(nil), "vault", nil, nil)
		c, name := clusters(), client.ObjectKeyFromObject(hc)
		_, err := c.Connect(ctx, name, []string{"127.0.0.1:1"})
		Expect(apierrors.IsNotFound(err)).To(BeTrue(), "there are no credentials yet: %v", err)
		_, err = c.Credentials(ctx, hc)
		Expect(err).NotTo(HaveOccurred())
		var everyone sync.WaitGroup
		got := make(chan *hsmclient.Cluster, 16)
		for range cap(got) {
			everyone.Go(func() {
				defer GinkgoRecover()
				made, err := c.Connect(ctx, name, []string{"127.0.0.1:1"})
				Expect(err).NotTo(HaveOccurred())
				got <- made
			})
		}
		everyone.Wait()
		first := <-got
		for range cap(got) - 1 {
			Expect(<-got).To(BeIdenticalTo(first))
		}
		second, err := c.Connect(ctx, name, []string{"127.0.0.1:1", "127.0.0.1:2"})
		Expect(err).NotTo(HaveOccurred())
		Expect(second).NotTo(BeIdenticalTo(first))
		_, err = c.Connect(ctx, name, nil)
		Expect(err).To(MatchError(ContainSubstring("0 addresses")))
		again, err := c.Connect(ctx, name, []string{"127.0.0.1:1", "127.0.0.1:2"})
		Expect(err).NotTo(HaveOccurred())
		Expect(again).To(BeIdenticalTo(second), "a connection that cannot be made takes nobody's place")
		c.Close(name)
		c.Close(name)
		after, err := c.Connect(ctx, name, []string{"127.0.0.1:1", "127.0.0.1:2"})
		Expect(err).NotTo(HaveOccurred())
		Expect(after).NotTo(BeIdenticalTo(second))
	})

	It("get in to real nodes with certificates of the cluster's own authority, and hear of each change once", func() {
		hc := create(namespace(nil), "vault", nil, nil)
		c := clusters()
		n := run(c, hc)
		cluster, err := c.Connect(ctx, client.ObjectKeyFromObject(hc), []string{n.Address})
		Expect(err).NotTo(HaveOccurred())
		api, err := cluster.Node(n.Address)
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() (hsmpb.State, error) { s, err := api.Status(ctx); return s.GetState(), err }).Should(Equal(hsmpb.State_STATE_UNINITIALIZED))
		Expect(api.Initialize(ctx)).To(Succeed())
		_, err = api.CreateDomainKey(ctx, 1)
		Expect(err).NotTo(HaveOccurred())
		Expect(cluster.Check(ctx).Err).NotTo(HaveOccurred())

		serving(n.Address)(&hc.Status)
		Expect(cp.Client.Status().Update(ctx, hc)).To(Succeed())
		changes := c.Changes()
		Expect(c.Changes()).To(BeIdenticalTo(changes))
		until, end := context.WithCancel(ctx)
		done := make(chan error, 1)
		go func() { done <- c.Start(until) }()
		heard := func() bool {
			select {
			case e := <-changes:
				return e.Object.GetName() == hc.Name && e.Object.GetNamespace() == hc.Namespace
			default:
				return false
			}
		}
		Eventually(heard).Should(BeTrue(), "the first look is news")
		drain := func() {
			for {
				select {
				case <-changes: // of clusters of other specs, whose nodes are not there
				case <-time.After(300 * time.Millisecond):
					return
				}
			}
		}
		drain()
		Consistently(heard, "500ms").Should(BeFalse())
		n.Stop()
		Eventually(heard).Should(BeTrue())
		drain()
		Consistently(heard, "500ms").Should(BeFalse(), "it is told once")
		end()
		Expect(<-done).NotTo(HaveOccurred())
		Expect(c.NeedLeaderElection()).To(BeFalse(), "every replica asks nodes")
	})

	It("of another cluster's authority do not get in", func() {
		one, other := create(namespace(nil), "vault", nil, nil), create(namespace(nil), "vault", nil, nil)
		c := clusters()
		n := run(c, one)
		_, err := c.Credentials(ctx, other)
		Expect(err).NotTo(HaveOccurred())
		cluster, err := c.Connect(ctx, client.ObjectKeyFromObject(other), []string{n.Address})
		Expect(err).NotTo(HaveOccurred())
		h := cluster.Check(ctx)
		Expect(h.Healthy()).To(BeZero())
		Expect(cloudhsm.Failed(h.Err)).To(BeTrue())
		Expect(errors.Is(h.Err, context.DeadlineExceeded)).To(BeFalse())
	})
})

// cleared is the cluster without its status: one whose credentials may still be made.
func cleared(hc *v1alpha1.HSMCluster) *v1alpha1.HSMCluster {
	out := hc.DeepCopy()
	out.Status = v1alpha1.HSMClusterStatus{}
	return out
}
