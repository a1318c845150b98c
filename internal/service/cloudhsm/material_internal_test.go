package cloudhsm

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/authority"
	"strongroom.dev/strongroom/internal/core/hsm"
	hsmclient "strongroom.dev/strongroom/internal/core/hsm/client"
	"strongroom.dev/strongroom/internal/core/hsm/hsmpb"
	"strongroom.dev/strongroom/internal/core/hsm/mtls"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/fault"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

func TestThisProcesssCertificateIsAnOperatorsOfTheClusterAndIsRenewedInTime(t *testing.T) {
	a, err := authority.New("hsm", noon.Add(-48*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	var m operatorMaterial
	at := func(now time.Time) string {
		t.Helper()
		got, err := m.get("cluster-a", a, now)
		if err != nil {
			t.Fatal(err)
		}
		leaf := got.Certificate.Leaf
		role, name, err := mtls.RoleOf("cluster-a", leaf)
		if err != nil || role != mtls.Operator || name != "manager" {
			t.Fatalf("%q, %q, %v", role, name, err)
		}
		if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) || len(leaf.ExtKeyUsage) != 1 || leaf.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth {
			t.Fatalf("valid from %s to %s for %v, and it is %s", leaf.NotBefore, leaf.NotAfter, leaf.ExtKeyUsage, now)
		}
		return leaf.SerialNumber.String()
	}
	first := at(noon)
	renewal := m.renewal
	if at(noon.Add(time.Hour)) != first || at(renewal.Add(-time.Second)) != first {
		t.Error("it is renewed too early")
	}
	second := at(renewal)
	if second == first {
		t.Error("it is not renewed")
	}
	if at(noon.Add(-24*time.Hour)) == second {
		t.Error("with a clock that was turned back it is one that is not valid yet")
	}
}

func TestAPINIs160RandomBitsInLettersThatEveryModuleTakes(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		pin := string(newPIN())
		if len(pin) != 32 || strings.Trim(pin, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" || seen[pin] {
			t.Fatalf("%q", pin)
		}
		seen[pin] = true
	}
}

// What is the nodes' fault is Unavailable to a user, and passes; what is the request's is not, and does not.
func TestAFailureIsTheNodesOrTheRequests(t *testing.T) {
	for err, nodes := range map[error]bool{
		hsm.ErrNoNodes: true, hsm.ErrModule: true, hsm.ErrModuleLost: true, hsm.ErrNoDomainKey: true, hsm.ErrUnknownEpoch: true, hsm.ErrUninitialized: true,
		hsm.ErrMismatch: true, context.DeadlineExceeded: true,
		hsm.ErrInvalidCiphertext: false, hsm.ErrInvalidArgument: false, hsm.ErrUnsupported: false, context.Canceled: false, keys.ErrInvalidCiphertext: false, nil: false,
	} {
		if got := Failed(err); got != nodes {
			t.Errorf("%v: %t", err, got)
		}
		if err != nil && Failed(fmt.Errorf("node 1: %w", err)) != nodes {
			t.Errorf("%v in another one", err)
		}
	}
}

func TestUnavailableNamesTheClusterAndPassesByItself(t *testing.T) {
	err := Unavailable(types.NamespacedName{Namespace: "bank", Name: "vault"}, hsm.ErrNoNodes)
	f := fault.Of(err)
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, hsm.ErrNoNodes) || f.Reason != v1alpha1.ReasonCustomKeyStoreUnavailable || f.Stalled || !strings.Contains(err.Error(), "bank/vault") {
		t.Errorf("%v, %+v", err, f)
	}
}

func TestAKeyIsInTheClusterThatItNamesInItsOwnNamespaceUnlessItNamesOne(t *testing.T) {
	for want, ref := range map[string]*v1alpha1.CustomKeyStoreReference{
		"shop/vault": {Name: "vault"}, "bank/vault": {Namespace: "bank", Name: "vault"}, "/": nil,
	} {
		key := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "key"}, Spec: v1alpha1.KMSKeySpec{CustomKeyStoreRef: ref}}
		if got := KeyStoreOf(key).String(); got != want {
			t.Errorf("%+v: %s", ref, got)
		}
	}
}

func TestOnlyNodesWithAnEndpointAreAsked(t *testing.T) {
	hc := &v1alpha1.HSMCluster{Status: v1alpha1.HSMClusterStatus{Nodes: []v1alpha1.HSMNode{{Name: "a", Endpoint: "a:1"}, {Name: "b"}, {Name: "c", Endpoint: "c:1"}}}}
	if got := Endpoints(hc); len(got) != 2 || got[0] != "a:1" || got[1] != "c:1" {
		t.Errorf("%v", got)
	}
}

// A pass over a cluster costs requests: it is asked for when what status says is otherwise, and not because a counter moved.
func TestWhatIsWorthAPassIsWhatStatusSays(t *testing.T) {
	health := func(change func(*hsmclient.NodeHealth)) string {
		n := hsmclient.NodeHealth{Address: "a:1", Status: &hsmpb.StatusResponse{
			State: hsmpb.State_STATE_ACTIVE, DomainKeys: []*hsmpb.DomainKey{{Epoch: 1}}, Capacity: &hsmpb.Capacity{CachedKeys: 1},
		}}
		change(&n)
		return digest(hsmclient.Health{Nodes: []hsmclient.NodeHealth{n}})
	}
	was := health(func(*hsmclient.NodeHealth) {})
	for name, tt := range map[string]struct {
		change func(*hsmclient.NodeHealth)
		news   bool
	}{
		"nothing":          {func(*hsmclient.NodeHealth) {}, false},
		"more cached keys": {func(n *hsmclient.NodeHealth) { n.Status.Capacity.CachedKeys = 7 }, false},
		"another process":  {func(n *hsmclient.NodeHealth) { n.Status.ModuleStarts = 2 }, false},
		"another state":    {func(n *hsmclient.NodeHealth) { n.Status.State = hsmpb.State_STATE_DEGRADED }, true},
		"one more epoch": {func(n *hsmclient.NodeHealth) {
			n.Status.DomainKeys = append(n.Status.DomainKeys, &hsmpb.DomainKey{Epoch: 2})
		}, true},
		"it is out":          {func(n *hsmclient.NodeHealth) { n.Err = hsm.ErrMismatch }, true},
		"it does not answer": {func(n *hsmclient.NodeHealth) { n.Status, n.Err = nil, hsm.ErrNoNodes }, true},
		"another address":    {func(n *hsmclient.NodeHealth) { n.Address = "b:1" }, true},
	} {
		if is := health(tt.change); (is != was) != tt.news {
			t.Errorf("%s: %q", name, is)
		}
	}
}

// The patterns are those of AWS's models, whatever the names are.
func FuzzClusterID(f *testing.F) {
	f.Add("bank", "vault")
	f.Add("", "")
	f.Add("\xff", strings.Repeat("x", 300))
	f.Fuzz(func(t *testing.T, namespace, name string) {
		id, store := ClusterID(namespace, name), KeyStoreID(namespace, name)
		if len(id) != len("cluster-")+11 || strings.Trim(id[8:], "abcdefghijklmnopqrstuvwxyz234567") != "" || len(store) != 21 || !strings.HasPrefix(store, "cks-") {
			t.Fatalf("%q, %q", id, store)
		}
		if CredentialsName(id) != id+"-authority" {
			t.Fatal(CredentialsName(id))
		}
	})
}
