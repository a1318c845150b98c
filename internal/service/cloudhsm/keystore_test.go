package cloudhsm_test

import (
	"errors"
	"testing"

	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

func storeOf(hc *v1alpha1.HSMCluster, connected *bool, domainKeys int) *v1alpha1.HSMCluster {
	hc.Spec.CustomKeyStore = &v1alpha1.CustomKeyStore{Name: "payments", Connected: connected}
	for i := range domainKeys {
		hc.Status.DomainKeys = append(hc.Status.DomainKeys, v1alpha1.HSMDomainKey{Epoch: int64(i + 1)})
	}
	return hc
}

func TestTheConnectionStateIsAWSsWordForWhatTheClusterIs(t *testing.T) {
	implicit := clusterOf(1, v1alpha1.HSMActive)
	implicit.Status.DomainKeys = []v1alpha1.HSMDomainKey{{Epoch: 1}}
	for name, tt := range map[string]struct {
		hc   *v1alpha1.HSMCluster
		want cloudhsm.ConnectionState
		name string
	}{
		"connected, since nothing else is said":         {storeOf(clusterOf(1, v1alpha1.HSMActive), nil, 1), cloudhsm.Connected, "payments"},
		"connected":                                     {storeOf(clusterOf(1, v1alpha1.HSMActive), ptr.To(true), 1), cloudhsm.Connected, "payments"},
		"connected, as in AWS, though no node serves":   {storeOf(clusterOf(1, v1alpha1.HSMDegraded), nil, 1), cloudhsm.Connected, "payments"},
		"that keys alone make one":                      {implicit, cloudhsm.Connected, "vault"},
		"to be connected, when it has its domain key":   {storeOf(clusterOf(1, v1alpha1.HSMCreateInProgress), nil, 0), cloudhsm.Connecting, "payments"},
		"without HSMs":                                  {storeOf(clusterOf(0), nil, 1), cloudhsm.ConnectionFailed, "payments"},
		"disconnected":                                  {storeOf(clusterOf(1, v1alpha1.HSMActive), ptr.To(false), 1), cloudhsm.NotConnected, "payments"},
		"disconnected, and without HSMs":                {storeOf(clusterOf(0), ptr.To(false), 1), cloudhsm.NotConnected, "payments"},
		"disconnected, in a cluster that is not set up": {storeOf(clusterOf(1), ptr.To(false), 0), cloudhsm.NotConnected, "payments"},
	} {
		if got := cloudhsm.ConnectionOf(tt.hc); got != tt.want {
			t.Errorf("a store %s: %s, want %s", name, got, tt.want)
		}
		if got := cloudhsm.Disconnected(tt.hc); got != (tt.want == cloudhsm.NotConnected) {
			t.Errorf("a store %s: disconnected is %t", name, got)
		}
		if got := cloudhsm.KeyStoreName(tt.hc); got != tt.name {
			t.Errorf("a store %s is called %q", name, got)
		}
	}
}

// The controller of keys knows ErrUnavailable, and makes them Unavailable for it.
func TestAKeyInADisconnectedStoreIsUnavailableButNotForWantOfNodes(t *testing.T) {
	if !errors.Is(cloudhsm.ErrDisconnected, cloudhsm.ErrUnavailable) {
		t.Error("a disconnected store does not make its keys Unavailable")
	}
	if errors.Is(cloudhsm.ErrUnavailable, cloudhsm.ErrDisconnected) {
		t.Error("a store whose nodes are gone passes for one that somebody disconnected")
	}
}
