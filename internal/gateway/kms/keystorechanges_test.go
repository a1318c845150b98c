package kms_test

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/test/environment"
)

func inNamespace(name string) client.ListOption { return client.InNamespace(name) }

var _ = Describe("DescribeCustomKeyStores", func() {
	It("shows one store by its id or its name, and says if there is none", func() {
		a, b := hsmCluster(world.Namespace, "a", asStore("first", false)), hsmCluster(world.Namespace, "b", asStore("second", true))
		hsmCluster(world.Namespace, "no-store")
		Expect(stores(keeper(), awskms.DescribeCustomKeyStoresInput{})).To(HaveLen(2))
		Expect(stores(keeper(), awskms.DescribeCustomKeyStoresInput{CustomKeyStoreId: storeID(a)})).To(ConsistOf(HaveField("CustomKeyStoreName", HaveValue(Equal("first")))))
		Expect(stores(keeper(), awskms.DescribeCustomKeyStoresInput{CustomKeyStoreName: s("second")})).To(ConsistOf(HaveField("CustomKeyStoreId", HaveValue(Equal(*storeID(b))))))
		for _, in := range []*awskms.DescribeCustomKeyStoresInput{{CustomKeyStoreId: s("cks-0")}, {CustomKeyStoreName: s("Second")}} {
			wrong(keeper(), "DescribeCustomKeyStores", in, "CustomKeyStoreNotFoundException", "does not exist")
		}
		wrong(keeper(), "DescribeCustomKeyStores", &awskms.DescribeCustomKeyStoresInput{CustomKeyStoreId: storeID(a), CustomKeyStoreName: s("first")}, "ValidationException", "not both")
		Expect(stores(keeper().in(environment.OtherRegion), awskms.DescribeCustomKeyStoresInput{})).To(BeEmpty(), "clusters are in the home region")
		wrong(nobody(), "DescribeCustomKeyStores", &awskms.DescribeCustomKeyStoresInput{CustomKeyStoreId: s("cks-0")}, "AccessDeniedException", "kms:DescribeCustomKeyStores")
	})

	It("shows all stores in pages, each once", func() {
		want := map[string]bool{}
		for i := range 5 {
			hc := hsmCluster(world.Namespace, fmt.Sprint("store-", i), asStore(fmt.Sprint("store ", i), true))
			want[*storeID(hc)] = true
		}
		got := map[string]bool{}
		in := &awskms.DescribeCustomKeyStoresInput{Limit: new(int32(2))}
		for {
			out := must[awskms.DescribeCustomKeyStoresOutput](keeper(), "DescribeCustomKeyStores", in)
			Expect(len(out.CustomKeyStores)).To(BeNumerically("<=", 2))
			for _, e := range out.CustomKeyStores {
				Expect(got).NotTo(HaveKey(*e.CustomKeyStoreId))
				got[*e.CustomKeyStoreId] = true
			}
			if !out.Truncated {
				Expect(out.NextMarker).To(BeNil())
				break
			}
			in.Marker = out.NextMarker
		}
		Expect(got).To(Equal(want))
		wrong(keeper(), "DescribeCustomKeyStores", &awskms.DescribeCustomKeyStoresInput{Marker: s("x")}, "InvalidMarkerException", "marker")
	})

	It("shows the store of another account's cluster to those whom the cluster lets in, by their labels", func() {
		other := world.NewNamespace()
		labelled := &corev1.Namespace{}
		labelled.Name = world.Namespace
		world.Update(labelled, func() { metav1.SetMetaDataLabel(&labelled.ObjectMeta, "team", "friends") })
		for name, selector := range map[string]*metav1.LabelSelector{
			"friends": {MatchLabels: map[string]string{"team": "friends"}}, "strangers": {MatchLabels: map[string]string{"team": "strangers"}}, "nobody": nil,
		} {
			hsmCluster(other, name, asStore(name, true), func(hc *v1alpha1.HSMCluster) { hc.Spec.AllowedNamespaces = selector })
		}
		Expect(stores(keeper(), awskms.DescribeCustomKeyStoresInput{})).To(ConsistOf(HaveField("CustomKeyStoreName", HaveValue(Equal("friends")))))
	})

	It("is kept from nobody by a cluster of others' whose selector nobody understands", func() {
		hsmCluster(world.NewNamespace(), "broken", asStore("broken", true), func(hc *v1alpha1.HSMCluster) {
			hc.Spec.AllowedNamespaces = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}}
		})
		hsmCluster(world.Namespace, "own", asStore("own", true))
		Expect(stores(keeper(), awskms.DescribeCustomKeyStoresInput{})).To(ConsistOf(HaveField("CustomKeyStoreName", HaveValue(Equal("own")))))
	})

	It("tells nobody of the keys of others in a cluster that both may use", func() {
		shared := hsmCluster(environment.OperatorNamespace, "shared-"+world.Namespace)
		key := keyIn(world.NewNamespace(), shared)
		Expect(stores(keeper(), awskms.DescribeCustomKeyStoresInput{})).To(BeEmpty())
		own := keyIn(world.Namespace, shared)
		Expect(stores(keeper(), awskms.DescribeCustomKeyStoresInput{})).To(ConsistOf(HaveField("CustomKeyStoreId", HaveValue(Equal(*storeID(shared))))))
		world.Remove(own)
		Expect(stores(keeper(), awskms.DescribeCustomKeyStoresInput{})).To(BeEmpty())
		operators := user(environment.OperatorNamespace, everything)
		Expect(stores(operators, awskms.DescribeCustomKeyStoresInput{CustomKeyStoreId: storeID(shared)})).To(HaveLen(1), "the cluster's own account knows of all keys in it")
		world.Remove(key)
	})
})

var _ = Describe("UpdateCustomKeyStore", func() {
	It("gives a disconnected store another name, which no other of the account has", func() {
		hc := hsmCluster(world.Namespace, "a", asStore("first", false))
		hsmCluster(world.Namespace, "b", asStore("second", true))
		update := func(change func(*awskms.UpdateCustomKeyStoreInput)) *awskms.UpdateCustomKeyStoreInput {
			in := &awskms.UpdateCustomKeyStoreInput{CustomKeyStoreId: storeID(hc)}
			change(in)
			return in
		}
		must[awskms.UpdateCustomKeyStoreOutput](keeper(), "UpdateCustomKeyStore", update(func(in *awskms.UpdateCustomKeyStoreInput) {
			in.NewCustomKeyStoreName, in.CloudHsmClusterId, in.KeyStorePassword = s("third"), clusterID(hc), s("kmsPswd456")
		}))
		world.Refresh(hc)
		Expect(hc.Spec.CustomKeyStore.Name).To(Equal("third"))
		Expect(cloudhsm.Disconnected(hc)).To(BeTrue())
		must[awskms.UpdateCustomKeyStoreOutput](keeper(), "UpdateCustomKeyStore", update(func(in *awskms.UpdateCustomKeyStoreInput) { in.KeyStorePassword = s("kmsPswd789") }))
		wrong(keeper(), "UpdateCustomKeyStore", update(func(in *awskms.UpdateCustomKeyStoreInput) { in.NewCustomKeyStoreName = s("second") }), "CustomKeyStoreNameInUseException", "second")
		wrong(keeper(), "UpdateCustomKeyStore", update(func(in *awskms.UpdateCustomKeyStoreInput) { in.CloudHsmClusterId = s("cluster-aaaaaaaaaaa") }), "CloudHsmClusterNotFoundException", "cluster-aaaaaaaaaaa")
		other := *clusterID(hsmCluster(world.Namespace, "c"))
		wrong(keeper(), "UpdateCustomKeyStore", update(func(in *awskms.UpdateCustomKeyStoreInput) { in.CloudHsmClusterId = &other }), "CloudHsmClusterNotRelatedException", other)
		for _, change := range []func(*awskms.UpdateCustomKeyStoreInput){
			func(in *awskms.UpdateCustomKeyStoreInput) { in.XksProxyUriPath = s("/kms/xks/v1") },
			func(in *awskms.UpdateCustomKeyStoreInput) {
				in.XksProxyConnectivity = types.XksProxyConnectivityTypePublicEndpoint
			},
		} {
			wrong(keeper(), "UpdateCustomKeyStore", update(change), "UnsupportedOperationException", "External")
		}
		must[awskms.ConnectCustomKeyStoreOutput](keeper(), "ConnectCustomKeyStore", &awskms.ConnectCustomKeyStoreInput{CustomKeyStoreId: storeID(hc)})
		wrong(keeper(), "UpdateCustomKeyStore", update(func(in *awskms.UpdateCustomKeyStoreInput) { in.NewCustomKeyStoreName = s("fourth") }), "CustomKeyStoreInvalidStateException", "CONNECTED")
	})
})

var _ = Describe("DeleteCustomKeyStore", func() {
	It("wants a store without keys that is disconnected, and leaves the cluster", func() {
		hc := hsmCluster(world.Namespace, "a", asStore("first", true))
		in := &awskms.DeleteCustomKeyStoreInput{CustomKeyStoreId: storeID(hc)}
		key := keyIn(world.Namespace, hc)
		wrong(keeper(), "DeleteCustomKeyStore", in, "CustomKeyStoreHasCMKsException", "1")
		world.Remove(key)
		keyIn(world.NewNamespace(), hc) // one that the cluster does not let in holds nothing
		wrong(keeper(), "DeleteCustomKeyStore", in, "CustomKeyStoreInvalidStateException", "CONNECTED")
		must[awskms.DisconnectCustomKeyStoreOutput](keeper(), "DisconnectCustomKeyStore", &awskms.DisconnectCustomKeyStoreInput{CustomKeyStoreId: storeID(hc)})
		must[awskms.DeleteCustomKeyStoreOutput](keeper(), "DeleteCustomKeyStore", in)
		wrong(keeper(), "DeleteCustomKeyStore", in, "CustomKeyStoreNotFoundException", *storeID(hc))
		world.Refresh(hc)
		Expect(hc.Spec.CustomKeyStore).To(BeNil())
		must[awskms.CreateCustomKeyStoreOutput](keeper(), "CreateCustomKeyStore", storing(hc))
	})
})

var _ = Describe("The writes of custom key stores", func() {
	disconnected, connected := asStore("vault", false), asStore("vault", true)
	steps := map[string]struct {
		before func(*v1alpha1.HSMCluster)
		do     func(*cloudhsm.Service, *v1alpha1.HSMCluster) error
		done   func(*v1alpha1.HSMCluster) bool
	}{
		"CreateCustomKeyStore": {func(*v1alpha1.HSMCluster) {}, func(c *cloudhsm.Service, hc *v1alpha1.HSMCluster) error {
			return c.CreateKeyStore(ctx, hc, "vault", hc.Status.TrustAnchorCertificate)
		}, func(hc *v1alpha1.HSMCluster) bool { return cloudhsm.Disconnected(hc) }},
		"ConnectCustomKeyStore": {disconnected, func(c *cloudhsm.Service, hc *v1alpha1.HSMCluster) error {
			return c.ConnectKeyStore(ctx, hc)
		}, func(hc *v1alpha1.HSMCluster) bool { return cloudhsm.ConnectionOf(hc) == cloudhsm.Connected }},
		"DisconnectCustomKeyStore": {connected, func(c *cloudhsm.Service, hc *v1alpha1.HSMCluster) error {
			return c.DisconnectKeyStore(ctx, hc)
		}, func(hc *v1alpha1.HSMCluster) bool { return cloudhsm.Disconnected(hc) }},
		"UpdateCustomKeyStore": {disconnected, func(c *cloudhsm.Service, hc *v1alpha1.HSMCluster) error {
			return c.RenameKeyStore(ctx, hc, "other")
		}, func(hc *v1alpha1.HSMCluster) bool { return cloudhsm.KeyStoreName(hc) == "other" }},
		"DeleteCustomKeyStore": {disconnected, func(c *cloudhsm.Service, hc *v1alpha1.HSMCluster) error {
			return c.DeleteKeyStore(ctx, hc)
		}, func(hc *v1alpha1.HSMCluster) bool { return hc.Spec.CustomKeyStore == nil }},
	}

	It("leave what was before or what was asked for, wherever they end", func() {
		faulty := &environment.FaultyClient{Client: world.GetClient()}
		whole := world.Services.CloudHSM
		crashing := &cloudhsm.Service{Client: faulty, Live: whole.Live, Namespace: whole.Namespace, Region: whole.Region}
		for name, step := range steps {
			hc := hsmCluster(world.Namespace, fmt.Sprint("crash-", len(name)), step.before)
			faulty.FailAt(1, false)
			Expect(step.do(crashing, hc.DeepCopy())).To(MatchError(environment.ErrInjected), name)
			world.Refresh(hc)
			Expect(step.done(hc)).To(BeFalse(), name)
			faulty.FailAt(1, true)
			Expect(step.do(crashing, hc.DeepCopy())).To(MatchError(environment.ErrInjected), name)
			Expect(faulty.Writes()).To(Equal(1), name)
			world.Refresh(hc)
			Expect(step.done(hc)).To(BeTrue(), name)
			Expect(hc.Spec.Size).To(BeEquivalentTo(1), "%s changed something else", name)
			world.Remove(hc) // two of one name would be in each other's way
		}
	})

	It("decide over what is there and not over what they saw, and say that a cluster is gone or going", func() {
		for name, step := range steps {
			hc := hsmCluster(world.Namespace, fmt.Sprint("late-", len(name)), step.before)
			stale := hc.DeepCopy()
			world.Update(hc, func() { hc.Spec.Tags = []v1alpha1.Tag{{Key: "meanwhile"}} })
			Expect(step.do(world.Services.CloudHSM, stale)).To(Succeed(), name)
			world.Refresh(hc)
			Expect(step.done(hc)).To(BeTrue(), name)
			Expect(hc.Spec.Tags).To(HaveLen(1), "%s undid what somebody else wrote", name)

			going := hsmCluster(world.Namespace, fmt.Sprint("going-", len(name)), step.before, func(hc *v1alpha1.HSMCluster) { hc.Finalizers = []string{"strongroom.dev/test"} })
			stale = going.DeepCopy()
			Expect(world.ControlPlane.Client.Delete(ctx, going)).To(Succeed())
			err := step.do(world.Services.CloudHSM, stale)
			Expect(err).To(Or(MatchError(cloudhsm.ErrDeleting), MatchError(cloudhsm.ErrNameInUse)), name)
			world.Refresh(going)
			going.Finalizers = nil
			Expect(world.ControlPlane.Client.Update(ctx, going)).To(Succeed())
			if name != "CreateCustomKeyStore" && name != "UpdateCustomKeyStore" { // those look at names first
				Expect(step.do(world.Services.CloudHSM, stale)).To(MatchError(cloudhsm.ErrGone), name)
			}
			world.Remove(hc)
		}
	})

	It("see what made them impossible meanwhile", func() {
		hc := hsmCluster(world.Namespace, "vault-floor", disconnected)
		stale := hc.DeepCopy()
		world.Update(hc, func() { hc.Spec.CustomKeyStore.Connected = new(true) })
		Expect(world.Services.CloudHSM.DeleteKeyStore(ctx, stale)).To(MatchError(cloudhsm.ErrNotDisconnected))
		Expect(world.Services.CloudHSM.RenameKeyStore(ctx, stale, "x")).To(MatchError(cloudhsm.ErrNotDisconnected))
		world.Refresh(hc)
		Expect(hc.Spec.CustomKeyStore.Name).To(Equal("vault"))
	})
})
