//go:build cgo

package cloudhsm_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("The quota of clusters", func() {
	service := func() *cloudhsm.Service {
		return &cloudhsm.Service{Client: cp.Client, Live: cp.Client, Namespace: environment.OperatorNamespace, Region: "us-east-1", Quotas: cloudhsm.Quotas{Clusters: 2, HSMs: 3}}
	}
	made := func(namespace string) (*v1alpha1.HSMCluster, error) {
		return service().Create(ctx, cloudhsm.CreateInput{Namespace: namespace, Region: "us-east-1"})
	}
	// deleted lets a cluster go as its controller does; used is whether it had a domain key.
	deleted := func(hc *v1alpha1.HSMCluster, used bool) {
		GinkgoHelper()
		credentials, err := clusters().Credentials(ctx, hc)
		Expect(err).NotTo(HaveOccurred())
		credentials.Wipe()
		if used {
			Expect(clusters().RecordDomainKeys(ctx, cloudhsm.ClusterID(hc.Namespace, hc.Name), []v1alpha1.HSMDomainKey{{Epoch: 1, KeyCheckValue: "00", WrappingKeyCheckValue: "00"}})).To(Succeed())
		}
		erase, err := clusters().Retire(ctx, hc)
		Expect(err).NotTo(HaveOccurred())
		Expect(erase == nil).To(Equal(used))
		Expect(cp.Client.Delete(ctx, hc)).To(Succeed())
	}

	It("counts those that were deleted and can be had back, so that making and deleting them has an end", func() {
		account, other := namespace(nil), namespace(nil)
		for range 2 {
			hc, err := made(account)
			Expect(err).NotTo(HaveOccurred())
			deleted(hc, true)
		}
		_, err := made(account)
		Expect(err).To(MatchError(cloudhsm.ErrClusterQuota))
		Expect(err).To(MatchError(ContainSubstring("2, of which 2 are deleted and can be had back until 30 days after that")))
		_, err = made(other)
		Expect(err).NotTo(HaveOccurred(), "they are another account's")
	})

	It("counts one that is marked and still there, or there again, once", func() {
		account := namespace(nil)
		hc, err := made(account)
		Expect(err).NotTo(HaveOccurred())
		deleted(hc, true)
		create(account, hc.Name, nil, nil)
		_, err = made(account)
		Expect(err).NotTo(HaveOccurred())
		_, err = made(account)
		Expect(err).To(MatchError(cloudhsm.ErrClusterQuota))
	})

	It("does not count those that never had a domain key, nor the HSMs of deleted ones", func() {
		account := namespace(nil)
		for range 3 {
			hc, err := made(account)
			Expect(err).NotTo(HaveOccurred())
			deleted(hc, false)
		}
		used := create(account, "used", nil, nil)
		deleted(used, true)
		hc, err := made(account)
		Expect(err).NotTo(HaveOccurred())
		for range 3 {
			_, err := service().CreateHSM(ctx, hc, "")
			Expect(err).NotTo(HaveOccurred())
			Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(hc), hc)).To(Succeed())
		}
		_, err = service().CreateHSM(ctx, hc, "")
		Expect(err).To(MatchError(cloudhsm.ErrHSMQuota))
	})
})
