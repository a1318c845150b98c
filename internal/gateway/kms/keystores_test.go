package kms_test

import (
	"fmt"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/aws/aws-sdk-go-v2/aws"
	awskms "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/authority"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/test/environment"
)

// keeper may do all with keys and with clusters.
func keeper() *caller {
	return user(world.Namespace, `{"Effect":"Allow","Action":["kms:*","cloudhsm:*"],"Resource":"*"}`)
}

// anchor makes the certificate of a cluster's authority.
func anchor() string {
	GinkgoHelper()
	a, err := authority.New("strongroom-hsm", world.Clock.Now())
	Expect(err).NotTo(HaveOccurred())
	return string(a.CertificatePEM())
}

// hsmCluster makes a cluster of one node, as its controller leaves it when that serves. Nothing runs: real nodes are in controllers/hsmcluster.
func hsmCluster(namespace, name string, changes ...func(*v1alpha1.HSMCluster)) *v1alpha1.HSMCluster {
	GinkgoHelper()
	hc := &v1alpha1.HSMCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: v1alpha1.HSMClusterSpec{Size: 1, SoftHSM: &v1alpha1.SoftHSM{}},
		Status: v1alpha1.HSMClusterStatus{
			State: v1alpha1.HSMClusterActive, Nodes: []v1alpha1.HSMNode{{Name: "node-0", State: v1alpha1.HSMActive}},
			DomainKeys:             []v1alpha1.HSMDomainKey{{Epoch: 1, KeyCheckValue: "0011223344", WrappingKeyCheckValue: "0011223344"}},
			TrustAnchorCertificate: anchor(),
			Conditions:             []metav1.Condition{{Type: v1alpha1.ConditionAvailable, Status: metav1.ConditionTrue, Reason: "Succeeded", LastTransitionTime: metav1.Now()}},
		},
	}
	for _, change := range changes {
		change(hc)
	}
	status := hc.Status
	world.Create(hc)
	DeferCleanup(func() { _ = world.ControlPlane.Client.Delete(ctx, hc) })
	hc.Status = status
	Expect(world.ControlPlane.Client.Status().Update(ctx, hc)).To(Succeed())
	world.Seen(hc)
	return hc
}

// asStore is a change that gives a cluster a custom key store.
func asStore(name string, connected bool) func(*v1alpha1.HSMCluster) {
	return func(hc *v1alpha1.HSMCluster) {
		hc.Spec.CustomKeyStore = &v1alpha1.CustomKeyStore{Name: name, Connected: &connected}
	}
}

// keyIn makes a KMSKey that a manifest puts into a cluster.
func keyIn(namespace string, hc *v1alpha1.HSMCluster) *v1alpha1.KMSKey {
	GinkgoHelper()
	key := environment.KMSKey(namespace, "in-"+hc.Name, func(k *v1alpha1.KMSKey) {
		k.Spec.Origin, k.Spec.CustomKeyStoreRef = v1alpha1.KeyOriginCloudHSM, &v1alpha1.CustomKeyStoreReference{Namespace: hc.Namespace, Name: hc.Name}
	})
	world.Create(key)
	return key
}

func storeID(hc *v1alpha1.HSMCluster) *string { return s(cloudhsm.KeyStoreID(hc.Namespace, hc.Name)) }

func clusterID(hc *v1alpha1.HSMCluster) *string { return s(cloudhsm.ClusterID(hc.Namespace, hc.Name)) }

func stores(c *caller, in awskms.DescribeCustomKeyStoresInput) []types.CustomKeyStoresListEntry {
	GinkgoHelper()
	return must[awskms.DescribeCustomKeyStoresOutput](c, "DescribeCustomKeyStores", &in).CustomKeyStores
}

func storing(hc *v1alpha1.HSMCluster, changes ...func(*awskms.CreateCustomKeyStoreInput)) *awskms.CreateCustomKeyStoreInput {
	in := &awskms.CreateCustomKeyStoreInput{
		CustomKeyStoreName: s("vault"), CloudHsmClusterId: clusterID(hc), TrustAnchorCertificate: s(hc.Status.TrustAnchorCertificate), KeyStorePassword: s("kmsPswd123"),
	}
	for _, change := range changes {
		change(in)
	}
	return in
}

// wrong expects that an operation is refused with a code and a text.
func wrong(c *caller, name string, in any, code, says string) {
	GinkgoHelper()
	got, message := refused[any](c, name, in)
	Expect(got).To(Equal(code), message)
	Expect(message).To(ContainSubstring(says))
}

var _ = Describe("CreateCustomKeyStore", func() {
	It("makes an active cluster a store, which is not connected, and keeps no password", func() {
		hc := hsmCluster(world.Namespace, "vault-floor")
		out := must[awskms.CreateCustomKeyStoreOutput](keeper(), "CreateCustomKeyStore", storing(hc))
		Expect(*out.CustomKeyStoreId).To(MatchRegexp(`^cks-[0-9a-f]{17}$`))
		world.Refresh(hc)
		Expect(hc.Spec.CustomKeyStore).To(Equal(&v1alpha1.CustomKeyStore{Name: "vault", Connected: ptr.To(false)}))
		Expect(fmt.Sprint(hc)).NotTo(ContainSubstring("kmsPswd123"))
		Expect(stores(keeper(), awskms.DescribeCustomKeyStoresInput{})).To(Equal([]types.CustomKeyStoresListEntry{{
			CustomKeyStoreId: out.CustomKeyStoreId, CustomKeyStoreName: s("vault"), CloudHsmClusterId: clusterID(hc), CustomKeyStoreType: types.CustomKeyStoreTypeAwsCloudhsm,
			ConnectionState: types.ConnectionStateTypeDisconnected, TrustAnchorCertificate: &hc.Status.TrustAnchorCertificate,
		}}))
	})

	It("is refused for each reason that AWS has, with its exception, and changes nothing", func() {
		hc := hsmCluster(world.Namespace, "vault-floor")
		refuse := func(code, says string, changes ...func(*awskms.CreateCustomKeyStoreInput)) {
			GinkgoHelper()
			wrong(keeper(), "CreateCustomKeyStore", storing(hc, changes...), code, says)
		}
		anchors := func(text string) func(*awskms.CreateCustomKeyStoreInput) {
			return func(in *awskms.CreateCustomKeyStoreInput) { in.TrustAnchorCertificate = &text }
		}
		refuse("IncorrectTrustAnchorException", "not the cluster's", anchors(anchor()))
		refuse("IncorrectTrustAnchorException", "not the cluster's", anchors("no certificate"))
		refuse("IncorrectTrustAnchorException", "not the cluster's", anchors(hc.Status.TrustAnchorCertificate+hc.Status.TrustAnchorCertificate))
		refuse("CloudHsmClusterNotFoundException", "does not exist", func(in *awskms.CreateCustomKeyStoreInput) { in.CloudHsmClusterId = s("cluster-aaaaaaaaaaa") })
		foreign := hsmCluster(environment.OperatorNamespace, "shared-"+world.Namespace)
		refuse("CloudHsmClusterNotFoundException", "does not exist", func(in *awskms.CreateCustomKeyStoreInput) { in.CloudHsmClusterId = clusterID(foreign) })
		refuse("ValidationException", "required", func(in *awskms.CreateCustomKeyStoreInput) { in.CloudHsmClusterId = nil })
		refuse("ValidationException", "required", func(in *awskms.CreateCustomKeyStoreInput) { in.TrustAnchorCertificate = nil })
		for _, change := range []func(*awskms.CreateCustomKeyStoreInput){
			func(in *awskms.CreateCustomKeyStoreInput) {
				in.CustomKeyStoreType = types.CustomKeyStoreTypeExternalKeyStore
			},
			func(in *awskms.CreateCustomKeyStoreInput) { in.XksProxyUriEndpoint = s("https://example.com") },
			func(in *awskms.CreateCustomKeyStoreInput) {
				in.XksProxyConnectivity = types.XksProxyConnectivityTypePublicEndpoint
			},
			func(in *awskms.CreateCustomKeyStoreInput) {
				in.XksProxyAuthenticationCredential = &types.XksProxyAuthenticationCredentialType{}
			},
		} {
			refuse("UnsupportedOperationException", "External key stores", change)
		}
		hsmCluster(world.Namespace, "other", asStore("vault", true))
		refuse("CustomKeyStoreNameInUseException", `"vault"`)
		keyIn(world.Namespace, hc)
		refuse("CloudHsmClusterInUseException", *storeID(hc), func(in *awskms.CreateCustomKeyStoreInput) { in.CustomKeyStoreName = s("free") })
		world.Refresh(hc)
		Expect(hc.Spec.CustomKeyStore).To(BeNil())
	})

	It("is refused for a cluster that cannot be asked", func() {
		for code, change := range map[string]func(*v1alpha1.HSMCluster){
			"CloudHsmClusterNotActiveException": func(hc *v1alpha1.HSMCluster) { hc.Status.Conditions[0].Status = metav1.ConditionFalse },
			"CloudHsmClusterInvalidConfigurationException": func(hc *v1alpha1.HSMCluster) {
				hc.Spec.Size, hc.Status.Nodes, hc.Status.State = 0, nil, v1alpha1.HSMClusterInitialized
			},
		} {
			hc := hsmCluster(world.Namespace, "vault-"+fmt.Sprint(len(code)), change)
			wrong(keeper(), "CreateCustomKeyStore", storing(hc), code, "cluster")
		}
		fresh := hsmCluster(world.Namespace, "fresh", func(hc *v1alpha1.HSMCluster) {
			hc.Spec.Size, hc.Status = 0, v1alpha1.HSMClusterStatus{State: v1alpha1.HSMClusterUninitialized}
		})
		wrong(keeper(), "CreateCustomKeyStore", storing(fresh, func(in *awskms.CreateCustomKeyStoreInput) { in.TrustAnchorCertificate = s("x") }), "CloudHsmClusterNotActiveException", "UNINITIALIZED")
	})

	It("also needs the permission to describe clusters, as in AWS", func() {
		hc := hsmCluster(world.Namespace, "vault-floor")
		wrong(admin(), "CreateCustomKeyStore", storing(hc), "AccessDeniedException", "cloudhsm:DescribeClusters")
		wrong(user(world.Namespace, `{"Effect":"Allow","Action":"cloudhsm:*","Resource":"*"}`), "CreateCustomKeyStore", storing(hc), "AccessDeniedException", "kms:CreateCustomKeyStore")
		world.Refresh(hc)
		Expect(hc.Spec.CustomKeyStore).To(BeNil())
	})

	It("makes one store of a cluster, however many ask at once", func() {
		hc := hsmCluster(world.Namespace, "vault-floor")
		var mu sync.Mutex
		made := 0
		var all sync.WaitGroup
		for i := range 6 {
			c, in := keeper(), storing(hc, func(in *awskms.CreateCustomKeyStoreInput) { in.CustomKeyStoreName = s(fmt.Sprint("store-", i)) })
			op := operations["CreateCustomKeyStore"]
			call := c.call
			call.Operation = op.Name
			all.Go(func() {
				defer GinkgoRecover()
				_, err := op.Invoke(ctx, &call, in)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					made++
				} else {
					Expect(err).To(MatchError(ContainSubstring("CloudHsmClusterInUseException")))
				}
			})
		}
		all.Wait()
		Expect(made).To(Equal(1))
	})
})

var _ = Describe("The connection of a custom key store", func() {
	connect := func(hc *v1alpha1.HSMCluster) *awskms.ConnectCustomKeyStoreInput {
		return &awskms.ConnectCustomKeyStoreInput{CustomKeyStoreId: storeID(hc)}
	}
	disconnect := func(hc *v1alpha1.HSMCluster) *awskms.DisconnectCustomKeyStoreInput {
		return &awskms.DisconnectCustomKeyStoreInput{CustomKeyStoreId: storeID(hc)}
	}
	state := func(hc *v1alpha1.HSMCluster) types.ConnectionStateType {
		GinkgoHelper()
		return stores(keeper(), awskms.DescribeCustomKeyStoresInput{CustomKeyStoreId: storeID(hc)})[0].ConnectionState
	}

	It("is made and ended, and AWS's states refuse what AWS refuses", func() {
		hc := hsmCluster(world.Namespace, "vault-floor", asStore("vault", false))
		wrong(keeper(), "DisconnectCustomKeyStore", disconnect(hc), "CustomKeyStoreInvalidStateException", "DISCONNECTED")
		must[awskms.ConnectCustomKeyStoreOutput](keeper(), "ConnectCustomKeyStore", connect(hc))
		Expect(state(hc)).To(Equal(types.ConnectionStateTypeConnected))
		must[awskms.ConnectCustomKeyStoreOutput](keeper(), "ConnectCustomKeyStore", connect(hc)) // of one that is connected: AWS permits it
		must[awskms.DisconnectCustomKeyStoreOutput](keeper(), "DisconnectCustomKeyStore", disconnect(hc))
		Expect(state(hc)).To(Equal(types.ConnectionStateTypeDisconnected))
		world.Refresh(hc)
		Expect(hc.Spec.CustomKeyStore.Name).To(Equal("vault"))
	})

	It("of a store that keys alone make one is ended by a name for it, and made again", func() {
		hc := hsmCluster(world.Namespace, "vault-floor")
		keyIn(world.Namespace, hc)
		Expect(stores(keeper(), awskms.DescribeCustomKeyStoresInput{CustomKeyStoreName: s("vault-floor")})).To(ConsistOf(HaveField("ConnectionState", types.ConnectionStateTypeConnected)))
		must[awskms.DisconnectCustomKeyStoreOutput](keeper(), "DisconnectCustomKeyStore", disconnect(hc))
		world.Refresh(hc)
		Expect(hc.Spec.CustomKeyStore).To(Equal(&v1alpha1.CustomKeyStore{Name: "vault-floor", Connected: ptr.To(false)}))
		must[awskms.ConnectCustomKeyStoreOutput](keeper(), "ConnectCustomKeyStore", connect(hc))
		Expect(state(hc)).To(Equal(types.ConnectionStateTypeConnected))
	})

	It("needs a cluster that can be asked", func() {
		down := hsmCluster(world.Namespace, "down", asStore("down", false), func(hc *v1alpha1.HSMCluster) { hc.Status.Conditions[0].Status = metav1.ConditionFalse })
		wrong(keeper(), "ConnectCustomKeyStore", connect(down), "CloudHsmClusterNotActiveException", "not active")
		empty := hsmCluster(world.Namespace, "empty", asStore("empty", false), func(hc *v1alpha1.HSMCluster) { hc.Spec.Size, hc.Status.Nodes = 0, nil })
		wrong(keeper(), "ConnectCustomKeyStore", connect(empty), "CloudHsmClusterInvalidConfigurationException", "no HSMs")
		lost := hsmCluster(world.Namespace, "lost", asStore("lost", true), func(hc *v1alpha1.HSMCluster) { hc.Spec.Size, hc.Status.Nodes = 0, nil })
		entry := stores(keeper(), awskms.DescribeCustomKeyStoresInput{CustomKeyStoreId: storeID(lost)})[0]
		Expect(entry.ConnectionState).To(Equal(types.ConnectionStateTypeFailed))
		Expect(entry.ConnectionErrorCode).To(Equal(types.ConnectionErrorCodeTypeInsufficientCloudhsmHsms))
		wrong(keeper(), "ConnectCustomKeyStore", connect(lost), "CustomKeyStoreInvalidStateException", "disconnect it first")
		must[awskms.DisconnectCustomKeyStoreOutput](keeper(), "DisconnectCustomKeyStore", disconnect(lost)) // which AWS permits of one that failed
		coming := hsmCluster(world.Namespace, "coming", asStore("coming", true), func(hc *v1alpha1.HSMCluster) { hc.Status = v1alpha1.HSMClusterStatus{} })
		Expect(state(coming)).To(Equal(types.ConnectionStateTypeConnecting))
		must[awskms.ConnectCustomKeyStoreOutput](keeper(), "ConnectCustomKeyStore", connect(coming))
	})

	It("is the business of the cluster's own account", func() {
		shared := hsmCluster(environment.OperatorNamespace, "shared-"+world.Namespace, asStore("shared", true))
		Expect(state(shared)).To(Equal(types.ConnectionStateTypeConnected), "others that may use it see it")
		for name, in := range map[string]any{
			"ConnectCustomKeyStore": connect(shared), "DisconnectCustomKeyStore": disconnect(shared),
			"DeleteCustomKeyStore": &awskms.DeleteCustomKeyStoreInput{CustomKeyStoreId: storeID(shared)},
			"UpdateCustomKeyStore": &awskms.UpdateCustomKeyStoreInput{CustomKeyStoreId: storeID(shared), NewCustomKeyStoreName: s("mine")},
		} {
			wrong(keeper(), name, in, "CustomKeyStoreNotFoundException", "another account's")
		}
		world.Refresh(shared)
		Expect(shared.Spec.CustomKeyStore).To(Equal(&v1alpha1.CustomKeyStore{Name: "shared", Connected: ptr.To(true)}))
	})
})

var _ = Describe("A key in a custom key store", func() {
	creating := func(hc *v1alpha1.HSMCluster) *awskms.CreateKeyInput {
		return &awskms.CreateKeyInput{Origin: types.OriginTypeAwsCloudhsm, CustomKeyStoreId: storeID(hc)}
	}

	It("is not made, and nothing of it, in a store that cannot have it", func() {
		for name, tt := range map[string]struct {
			code   string
			change func(*v1alpha1.HSMCluster)
		}{
			"disconnected": {"CustomKeyStoreInvalidStateException", asStore("a", false)},
			"coming": {"CustomKeyStoreInvalidStateException", func(hc *v1alpha1.HSMCluster) {
				asStore("b", true)(hc)
				hc.Status = v1alpha1.HSMClusterStatus{}
			}},
			"empty": {"CloudHsmClusterInvalidConfigurationException", func(hc *v1alpha1.HSMCluster) {
				asStore("c", true)(hc)
				hc.Spec.Size, hc.Status.Nodes = 0, nil
			}},
			"down": {"CloudHsmClusterNotActiveException", func(hc *v1alpha1.HSMCluster) {
				asStore("d", true)(hc)
				hc.Status.Conditions[0].Status = metav1.ConditionFalse
			}},
			"no-store": {"CustomKeyStoreNotFoundException", func(*v1alpha1.HSMCluster) {}},
		} {
			wrong(keeper(), "CreateKey", creating(hsmCluster(world.Namespace, name, tt.change)), tt.code, "")
		}
		wrong(keeper(), "CreateKey", &awskms.CreateKeyInput{Origin: types.OriginTypeAwsCloudhsm, CustomKeyStoreId: s("cks-0")}, "CustomKeyStoreNotFoundException", "cks-0")
		var keys v1alpha1.KMSKeyList
		Expect(world.ControlPlane.Client.List(ctx, &keys, inNamespace(world.Namespace))).To(Succeed())
		Expect(keys.Items).To(BeEmpty())
	})

	It("is not made in the store of a cluster that is not for its namespace, as if there were none", func() {
		other := world.NewNamespace()
		private := hsmCluster(other, "private", asStore("private", true))
		wrong(keeper(), "CreateKey", creating(private), "CustomKeyStoreNotFoundException", *storeID(private))
		Expect(stores(keeper(), awskms.DescribeCustomKeyStoresInput{})).To(BeEmpty())
		wrong(keeper().in(environment.OtherRegion), "CreateKey", creating(private), "CustomKeyStoreNotFoundException", "")
	})

	It("needs the permission to make keys before it is told of stores", func() {
		hc := hsmCluster(world.Namespace, "vault-floor")
		wrong(nobody(), "CreateKey", creating(hc), "AccessDeniedException", "kms:CreateKey")
		noHSM := user(world.Namespace, everything+`,{"Effect":"Deny","Action":"kms:CreateKey","Resource":"*","Condition":{"StringEquals":{"kms:KeyOrigin":"AWS_CLOUDHSM"}}}`)
		wrong(noHSM, "CreateKey", creating(hc), "AccessDeniedException", "explicit deny")
	})

	It("is not rotated, by the calendar or on demand, and nothing of it is changed by who asks", func() {
		hc := hsmCluster(world.Namespace, "vault-cellar", asStore("cellar", false))
		key := keyIn(world.Namespace, hc)
		world.ReconcileKey(key) // there are no nodes
		key.Status.KeyState = v1alpha1.KeyStateEnabled
		Expect(world.ControlPlane.Client.Status().Update(ctx, key)).To(Succeed())
		world.Seen(key)
		world.Refresh(key)
		id, before := &key.Status.KeyID, key.DeepCopy()
		for name, in := range map[string]any{
			"EnableKeyRotation": &awskms.EnableKeyRotationInput{KeyId: id}, "DisableKeyRotation": &awskms.DisableKeyRotationInput{KeyId: id},
			"RotateKeyOnDemand": &awskms.RotateKeyOnDemandInput{KeyId: id}, "ListKeyRotations": &awskms.ListKeyRotationsInput{KeyId: id},
		} {
			code, message := refused[any](keeper(), name, in)
			Expect(code+": "+message).To(Equal("UnsupportedOperationException: "+key.Status.ARN+" is in a custom key store, where key material is not rotated."), name)
		}
		world.Refresh(key)
		Expect(key).To(Equal(before))
		Expect(must[awskms.GetKeyRotationStatusOutput](keeper(), "GetKeyRotationStatus", &awskms.GetKeyRotationStatusInput{KeyId: id}).KeyRotationEnabled).To(BeFalse())
	})

	It("is described with its store, whatever that is", func() {
		hc := hsmCluster(world.Namespace, "vault-floor", asStore("vault", false))
		key := keyIn(world.Namespace, hc)
		world.ReconcileKey(key) // there are no nodes: it waits for them
		Expect(key.Status.Conditions).To(ContainElement(And(HaveField("Reason", v1alpha1.ReasonCustomKeyStoreUnavailable), HaveField("Message", ContainSubstring("custom key store is disconnected")))))
		m := must[awskms.DescribeKeyOutput](keeper(), "DescribeKey", &awskms.DescribeKeyInput{KeyId: &key.Status.KeyID}).KeyMetadata
		Expect(*m.CustomKeyStoreId).To(Equal(*storeID(hc)))
		Expect(*m.CloudHsmClusterId).To(Equal(*clusterID(hc)))
		Expect(m.Origin).To(Equal(types.OriginTypeAwsCloudhsm))
		wrong(keeper(), "Encrypt", &awskms.EncryptInput{KeyId: m.KeyId, Plaintext: []byte("x")}, "KMSInvalidStateException", *m.Arn)
		Expect(aws.ToString(m.CurrentKeyMaterialId)).To(BeEmpty())
	})
})
