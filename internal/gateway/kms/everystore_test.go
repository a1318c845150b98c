package kms_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// down, empty and failed are what becomes of a cluster: no node of it serves, it has none, or it has none and was to be connected.
func down(hc *v1alpha1.HSMCluster)  { hc.Status.Conditions[0].Status = metav1.ConditionFalse }
func empty(hc *v1alpha1.HSMCluster) { hc.Spec.Size, hc.Status.Nodes = 0, nil }

var _ = Describe("By way of AWS's SDK, every operation on custom key stores", func() {
	var r remote
	BeforeEach(func() { r = byWayOf(open(), region) })

	inOrder := []string{
		"CreateCustomKeyStore", "DescribeCustomKeyStores", "ConnectCustomKeyStore", "DisconnectCustomKeyStore", "UpdateCustomKeyStore", "DeleteCustomKeyStore",
	}

	It("succeeds in the life of a store", func() {
		cluster := hsmCluster(world.Namespace, "vault")
		for _, name := range inOrder {
			_, err := r.do(name, onStores(cluster, cluster)[name])
			Expect(err).NotTo(HaveOccurred(), name)
		}
	})

	It("does not find a store that is not there: CustomKeyStoreNotFoundException", func() {
		const nowhere = "cks-1234567890abcdef0"
		hc := &v1alpha1.HSMCluster{}
		for _, name := range inOrder[1:] {
			r.refuses("CustomKeyStoreNotFoundException", name, with(onStores(hc, hc)[name], "CustomKeyStoreId", s(nowhere)))
		}
		r.refuses("CustomKeyStoreNotFoundException", "CreateKey", &awskms.CreateKeyInput{Origin: types.OriginTypeAwsCloudhsm, CustomKeyStoreId: s(nowhere)})
		r.refuses("InvalidMarkerException", "DescribeCustomKeyStores", &awskms.DescribeCustomKeyStoresInput{Marker: s("x")})
	})

	It("is refused in a state of the store that does not allow it: CustomKeyStoreInvalidStateException", func() {
		connected, apart := hsmCluster(world.Namespace, "connected", asStore("connected", true)), hsmCluster(world.Namespace, "apart", asStore("apart", false))
		failed := hsmCluster(world.Namespace, "failed", asStore("failed", true), empty)
		const code = "CustomKeyStoreInvalidStateException"
		r.refuses(code, "ConnectCustomKeyStore", onStores(failed, failed)["ConnectCustomKeyStore"])
		r.refuses(code, "DisconnectCustomKeyStore", onStores(apart, apart)["DisconnectCustomKeyStore"])
		r.refuses(code, "UpdateCustomKeyStore", onStores(connected, connected)["UpdateCustomKeyStore"])
		r.refuses(code, "DeleteCustomKeyStore", onStores(connected, connected)["DeleteCustomKeyStore"])
		r.refuses(code, "CreateKey", &awskms.CreateKeyInput{Origin: types.OriginTypeAwsCloudhsm, CustomKeyStoreId: storeID(apart)})
	})

	It("needs a cluster that can be asked, and that is the store's: CloudHsmCluster…Exception", func() {
		lying, bare, usual := hsmCluster(world.Namespace, "lying", down), hsmCluster(world.Namespace, "bare", empty), hsmCluster(world.Namespace, "usual")
		for code, hc := range map[string]*v1alpha1.HSMCluster{"CloudHsmClusterNotActiveException": lying, "CloudHsmClusterInvalidConfigurationException": bare} {
			r.refuses(code, "CreateCustomKeyStore", storing(hc))
			store := hsmCluster(world.Namespace, strings.ToLower(code), asStore(strings.ToLower(code), false), func(s *v1alpha1.HSMCluster) {
				s.Status, s.Spec.Size = *hc.Status.DeepCopy(), hc.Spec.Size
			})
			r.refuses(code, "ConnectCustomKeyStore", &awskms.ConnectCustomKeyStoreInput{CustomKeyStoreId: storeID(store)})
		}
		spent := hsmCluster(world.Namespace, "spent", asStore("spent", true), empty)
		r.refuses("CloudHsmClusterInvalidConfigurationException", "CreateKey", &awskms.CreateKeyInput{Origin: types.OriginTypeAwsCloudhsm, CustomKeyStoreId: storeID(spent)})

		r.refuses("CloudHsmClusterNotFoundException", "CreateCustomKeyStore", with(storing(usual), "CloudHsmClusterId", s("cluster-aaaaaaaaaaa")))
		r.refuses("IncorrectTrustAnchorException", "CreateCustomKeyStore", with(storing(usual), "TrustAnchorCertificate", aws.String(anchor())))
		apart := hsmCluster(world.Namespace, "apart", asStore("apart", false))
		r.refuses("CloudHsmClusterInUseException", "CreateCustomKeyStore", storing(apart))
		r.refuses("CustomKeyStoreNameInUseException", "CreateCustomKeyStore", with(storing(usual), "CustomKeyStoreName", s("apart")))

		update := func(member, value string) any {
			return with(onStores(apart, apart)["UpdateCustomKeyStore"], member, &value)
		}
		r.refuses("CustomKeyStoreNameInUseException", "UpdateCustomKeyStore", update("NewCustomKeyStoreName", "spent"))
		r.refuses("CloudHsmClusterNotFoundException", "UpdateCustomKeyStore", update("CloudHsmClusterId", "cluster-aaaaaaaaaaa"))
		r.refuses("CloudHsmClusterNotRelatedException", "UpdateCustomKeyStore", update("CloudHsmClusterId", *clusterID(usual)))
		keyIn(world.Namespace, apart)
		r.refuses("CustomKeyStoreHasCMKsException", "DeleteCustomKeyStore", onStores(apart, apart)["DeleteCustomKeyStore"])
	})
})
