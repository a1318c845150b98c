package cloudhsm_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
	"strongroom.dev/strongroom/internal/store"
)

// What a cluster of real nodes does as the root is in test/hsmroot: here are the decisions.

const own = "strongroom-system"

func TestARootIsNamedByAnHSMClustersNamespaceAndName(t *testing.T) {
	long := strings.Repeat("a", 63)
	for text, want := range map[string]string{
		"hsm:strongroom-system/root": "strongroom-system/root",
		"hsm:a/b":                    "a/b",
		"hsm:a/b.c-d":                "a/b.c-d",
		"hsm:" + long + "/" + strings.Repeat("n", 253): long + "/" + strings.Repeat("n", 253),
		"":                                    "",
		"hsm":                                 "",
		"hsm:":                                "",
		"hsm:root":                            "",
		"hsm:/root":                           "",
		"hsm:a/":                              "",
		"hsm:a/b/c":                           "",
		"hsm:a/b:1":                           "",
		"hsm:A/b":                             "",
		"hsm:-a/b":                            "",
		"hsm:a./b":                            "",
		"hsm:a/../b":                          "",
		"hsm:a/b\n":                           "",
		" hsm:a/b":                            "",
		"kms:a/b":                             "",
		"core-secret":                         "",
		"hsm:" + long + "a/b":                 "",
		"hsm:a/" + strings.Repeat("n", 254):   "",
		"hsm:a/" + strings.Repeat("n", 1<<20): "",
	} {
		got, err := cloudhsm.ParseRoot(text)
		if want == "" {
			if err == nil || len(err.Error()) > 1000 || !strings.Contains(err.Error(), "hsm:NAMESPACE/NAME") {
				t.Errorf("%.100q: %s, %v", text, got, err)
			}
		} else if err != nil || got.String() != want {
			t.Errorf("%.100q: %s, %v", text, got, err)
		}
	}
}

// Whatever is taken is found again in the Envelope of a domain key.
func FuzzARootThatIsTakenIsTheOneThatItsEnvelopesName(f *testing.F) {
	for _, seed := range []string{"hsm:strongroom-system/root", "hsm:a/b.c", "hsm:a/b:1:00", "core-secret", "hsm:a/b/c", "hsm:\x00/b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name, err := cloudhsm.ParseRoot(text)
		if err != nil {
			return
		}
		provider := &cloudhsm.RootProvider{HSMCluster: name}
		if provider.Name() != text {
			t.Errorf("%q has the name %q", text, provider.Name())
		}
		if root, identity := store.RootOf(store.RootKeyARN(provider.Name(), "1:0a")); root != text || identity != "1:0a" {
			t.Errorf("%q comes back as %q, %q", text, root, identity)
		}
	})
}

func scheme() *runtime.Scheme {
	s := runtime.NewScheme()
	utilruntime.Must(clientgoscheme.AddToScheme(s))
	utilruntime.Must(v1alpha1.AddToScheme(s))
	return s
}

func with(objects ...client.Object) client.WithWatch {
	return fake.NewClientBuilder().WithScheme(scheme()).WithObjects(objects...).WithIndex(&v1alpha1.Envelope{}, store.OwnerIndex, store.IndexOwner).Build()
}

func provider(c client.Client) *cloudhsm.RootProvider {
	return &cloudhsm.RootProvider{
		Clusters:   &cloudhsm.Clusters{Reader: c, Live: c, Direct: c, Namespace: own, Now: time.Now},
		HSMCluster: client.ObjectKey{Namespace: own, Name: "root"},
	}
}

func rootCluster(change func(*v1alpha1.HSMCluster)) *v1alpha1.HSMCluster {
	hc := &v1alpha1.HSMCluster{ObjectMeta: metav1.ObjectMeta{Namespace: own, Name: "root"}}
	if change != nil {
		change(hc)
	}
	return hc
}

func pins() *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: own, Name: cloudhsm.CredentialsName(cloudhsm.ClusterID(own, "root"))},
		Data:       map[string][]byte{"pin": []byte("CANARY")},
	}
}

func TestARootThatIsNotThereYetIsWaitedForAndSaysWhatItWaitsFor(t *testing.T) {
	served := func(hc *v1alpha1.HSMCluster) {
		hc.Status.DomainKeys = []v1alpha1.HSMDomainKey{{Epoch: 1, KeyCheckValue: "00"}}
		hc.Status.Nodes = []v1alpha1.HSMNode{{Name: "n", Endpoint: "127.0.0.1:1"}}
		hc.Status.State = v1alpha1.HSMClusterActive
	}
	but := func(change func(*v1alpha1.HSMCluster)) *v1alpha1.HSMCluster {
		return rootCluster(func(hc *v1alpha1.HSMCluster) { served(hc); change(hc) })
	}
	for _, tt := range []struct {
		what  string
		there *v1alpha1.HSMCluster
		first bool
		says  string
	}{
		{"none, in a new installation", nil, true, "does not exist: apply it, and this manager lets its nodes run"},
		{"none, where there was one", nil, false, "from a backup, and then apply it"},
		{"one that nobody has looked at", rootCluster(nil), true, "is not looked at yet: its controller has not said anything yet"},
		{"one without a domain key", but(func(hc *v1alpha1.HSMCluster) { hc.Status.DomainKeys = nil }), true, "is ACTIVE"},
		{"one without nodes", but(func(hc *v1alpha1.HSMCluster) { hc.Status.Nodes = nil }), false, "not set up yet"},
		{"a new one of which a node does not serve yet", but(func(hc *v1alpha1.HSMCluster) {
			hc.Status.State = v1alpha1.HSMClusterUpdateInProgress
			hc.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Message: "1 of 2 nodes do not serve: n"}}
		}), true, "is UPDATE_IN_PROGRESS: 1 of 2 nodes do not serve: n"},
		{"one whose core Secret is gone", but(func(*v1alpha1.HSMCluster) {}), false, "reading the credentials of cluster-"},
	} {
		c := with()
		if tt.there != nil {
			c = with(tt.there)
		}
		_, err := provider(c).Find(t.Context(), tt.first)
		if !errors.Is(err, keyring.ErrSealed) || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: %v", tt.what, err)
		}
	}
}

func TestAnAPIServerThatIsAwayIsNoWordOfTheRoot(t *testing.T) {
	away := interceptor.NewClient(with(), interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return errors.New("connection refused")
		},
	})
	if _, err := provider(away).Find(t.Context(), false); errors.Is(err, keyring.ErrSealed) || err == nil {
		t.Errorf("%v", err)
	}
}

func finalizers(t *testing.T, c client.Client) (cluster, secret []string) {
	t.Helper()
	hc, s := rootCluster(nil), pins()
	for _, obj := range []client.Object{hc, s} {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
			t.Fatal(err)
		}
	}
	if string(s.Data["pin"]) != "CANARY" {
		t.Errorf("the core Secret holds %q", s.Data)
	}
	return hc.Finalizers, s.Finalizers
}

func TestAClaimIsOnTheClusterAndItsCoreSecretAndOnceEach(t *testing.T) {
	c := with(rootCluster(func(hc *v1alpha1.HSMCluster) { hc.Finalizers = []string{"strongroom.dev/hsmcluster"} }), pins())
	patches := 0
	counting := interceptor.NewClient(c, interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
			if data, err := patch.Data(obj); err != nil || strings.Contains(string(data), "CANARY") || strings.Contains(string(data), `"data"`) {
				t.Errorf("it writes more than metadata: %s, %v", data, err)
			}
			patches++
			return c.Patch(ctx, obj, patch, opts...)
		},
	})
	for range 3 {
		if err := provider(counting).Claim(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	cluster, secret := finalizers(t, c)
	if len(cluster) != 2 || cluster[1] != v1alpha1.RootFinalizer || len(secret) != 1 || secret[0] != v1alpha1.RootFinalizer || patches != 2 {
		t.Errorf("%v, %v, %d patches", cluster, secret, patches)
	}
}

func TestAClaimThatIsCutOffIsCompletedByTheNext(t *testing.T) {
	crash := errors.New("crash")
	for n := 1; n <= 2; n++ {
		c, patches := with(rootCluster(nil), pins()), 0
		crashing := interceptor.NewClient(c, interceptor.Funcs{
			Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
				if patches++; patches == n {
					return crash
				}
				return c.Patch(ctx, obj, patch, opts...)
			},
		})
		if err := provider(crashing).Claim(t.Context()); !errors.Is(err, crash) {
			t.Fatalf("%d: %v", n, err)
		}
		if err := provider(c).Claim(t.Context()); err != nil {
			t.Fatalf("%d: %v", n, err)
		}
		if cluster, secret := finalizers(t, c); len(cluster) != 1 || len(secret) != 1 {
			t.Errorf("%d: %v, %v", n, cluster, secret)
		}
	}
}

func TestWhatIsBeingDeletedOrIsNotThereCannotBeClaimed(t *testing.T) {
	deleted := func(hc *v1alpha1.HSMCluster) {
		hc.DeletionTimestamp, hc.Finalizers = &metav1.Time{Time: time.Unix(1, 0)}, []string{"strongroom.dev/hsmcluster"}
	}
	if err := provider(with(rootCluster(deleted), pins())).Claim(t.Context()); err == nil || !strings.Contains(err.Error(), "is being deleted: HSMCluster strongroom-system/root") {
		t.Errorf("%v", err)
	}
	if err := provider(with(rootCluster(nil))).Claim(t.Context()); !apierrors.IsNotFound(err) {
		t.Errorf("without a core Secret: %v", err)
	}
	claimed := func(hc *v1alpha1.HSMCluster) {
		deleted(hc)
		hc.Finalizers = append(hc.Finalizers, v1alpha1.RootFinalizer)
	}
	if err := provider(with(rootCluster(claimed), pins())).Claim(t.Context()); err != nil {
		t.Errorf("one that was claimed before: %v", err)
	}
}

func TestAClusterIsTheRootIfItWasClaimedOrIfADomainKeyIsWrappedByIt(t *testing.T) {
	wrapped := func(namespace, keyARN string) *v1alpha1.Envelope {
		return &v1alpha1.Envelope{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "e"},
			Spec:       v1alpha1.EnvelopeSpec{Class: v1alpha1.EnvelopeDomainKey, Owner: store.KeyringOwner, KeyARN: keyARN},
		}
	}
	for _, tt := range []struct {
		what    string
		claimed bool
		there   *v1alpha1.Envelope
		root    bool
	}{
		{"neither", false, wrapped(own, "root:CoreSecret"), false},
		{"claimed, before the first domain key", true, wrapped("other", "root:CoreSecret"), true},
		{"a domain key is wrapped by it", false, wrapped(own, "root:hsm:strongroom-system/root:1:00"), true},
		{"by another of a name that begins alike", false, wrapped(own, "root:hsm:strongroom-system/root2:1:00"), false},
		{"an Envelope in a tenant's namespace says so", false, wrapped("tenant", "root:hsm:strongroom-system/root:1:00"), false},
	} {
		hc := rootCluster(func(hc *v1alpha1.HSMCluster) {
			if tt.claimed {
				hc.Finalizers = []string{v1alpha1.RootFinalizer}
			}
		})
		got, err := provider(with(tt.there)).Clusters.IsRoot(t.Context(), hc)
		if err != nil || got != tt.root {
			t.Errorf("%s: %t, %v", tt.what, got, err)
		}
	}
}
