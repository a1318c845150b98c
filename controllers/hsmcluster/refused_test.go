//go:build cgo

package hsmcluster_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/hsm/hsmtest"
	"strongroom.dev/strongroom/internal/hsmnodes"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

var _ = Describe("An HSMCluster whose library the operator takes away", Ordered, func() {
	var own, other *network
	var bound []hsmnodes.Library
	var was v1alpha1.HSMClusterStatus
	var former []string

	BeforeAll(func() {
		own = newNetwork()
		own.begins()
		own.settled(own.hc)
		other = own.neighbour("guest", hsmtest.PIN)
		own.settled(other.hc)
		was = *other.hc.Status.DeepCopy()
		former, bound = cloudhsm.Endpoints(other.hc), own.host.Libraries
	})

	It("stops, says why, and loses nothing, while those of other namespaces go on", func() {
		own.host.Libraries = bound[:1] // of Strongroom's own namespace
		Expect(own.cp.Client.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "guest"}})).To(Succeed())
		_, err := own.pass(own.sound, other.hc)
		Expect(err).NotTo(HaveOccurred())
		Expect(condition(other.hc, v1alpha1.ConditionStalled)).To(And(HaveField("Reason", v1alpha1.ReasonLibraryNotAllowed), HaveField("Message", ContainSubstring("--hsm-libraries"))))
		Expect(condition(other.hc, v1alpha1.ConditionReady).Status).To(Equal(metav1.ConditionFalse))
		Expect(condition(other.hc, v1alpha1.ConditionAvailable).Status).To(Equal(metav1.ConditionFalse))
		Expect(other.hc.Status.Nodes).To(BeEmpty())
		Expect(other.hc.Status.State).To(Equal(v1alpha1.HSMClusterInitialized), "AWS's word for a cluster with a domain key and without HSMs")
		Expect(other.hc.Status.DomainKeys).To(Equal(was.DomainKeys))
		Expect(other.hc.Status.ClusterID).To(Equal(was.ClusterID))
		Expect(own.credentials(other.hc).Data).NotTo(BeEmpty())
		Expect(own.tokens(other.hc)).To(BeADirectory())

		c, err := own.sound.Clusters.Connect(ctx, client.ObjectKeyFromObject(other.hc), former)
		Expect(err).NotTo(HaveOccurred())
		Expect(c.Check(ctx).Healthy()).To(BeZero(), "its nodes run")

		_, err = own.pass(own.sound, own.hc)
		Expect(err).NotTo(HaveOccurred())
		Expect(own.ready()).To(Equal("All 3 nodes serve"))
	})

	It("writes nothing while it waits", func() {
		before := other.hc.ResourceVersion
		own.writes.FailAt(0, false)
		for range 3 {
			_, _ = own.pass(own.faulty, other.hc)
		}
		Expect(own.writes.Log()).To(BeEmpty())
		Expect(other.hc.ResourceVersion).To(Equal(before))
	})

	It("runs as before when it may load it again", func() {
		own.host.Libraries = bound
		Expect(own.cp.Client.Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "bank", Name: "guest"}, Data: map[string][]byte{"pin": []byte(hsmtest.PIN)}})).To(Succeed())
		own.settled(other.hc)
		Expect(other.hc.Status.DomainKeys).To(Equal(was.DomainKeys))
		Expect(other.hc.Status.Nodes).To(HaveLen(len(was.Nodes)))
		Expect(own.faults.Calls(GinkgoTB(), "C_GenerateKey")).To(Equal(2), "no other domain key was made")
	})

	It("goes on if it is the root of trust, and says so", func() {
		controllerutil.AddFinalizer(other.hc, v1alpha1.RootFinalizer)
		Expect(own.cp.Client.Update(ctx, other.hc)).To(Succeed())
		own.host.Libraries = bound[:1]
		_, err := own.pass(own.sound, other.hc)
		Expect(err).NotTo(HaveOccurred())
		Expect(condition(other.hc, v1alpha1.ConditionStalled)).To(And(HaveField("Reason", v1alpha1.ReasonLibraryNotAllowed), HaveField("Message", ContainSubstring("root of trust"))))
		Expect(condition(other.hc, v1alpha1.ConditionAvailable).Status).To(Equal(metav1.ConditionTrue))
		Expect(other.hc.Status.Nodes).To(HaveLen(len(was.Nodes)))
		c, err := own.sound.Clusters.Connect(ctx, client.ObjectKeyFromObject(other.hc), cloudhsm.Endpoints(other.hc))
		Expect(err).NotTo(HaveOccurred())
		Expect(c.Check(ctx).Healthy()).To(Equal(len(was.Nodes)))
	})
})
