package hsmcluster

import (
	"testing"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func TestAClusterWithoutNodesSaysWhetherItHasADomainKeyInItsTokens(t *testing.T) {
	if got := stateWithoutNodes(&v1alpha1.HSMClusterStatus{}); got != v1alpha1.HSMClusterUninitialized {
		t.Errorf("one that never had a node is %s", got)
	}
	if got := stateWithoutNodes(&v1alpha1.HSMClusterStatus{DomainKeys: []v1alpha1.HSMDomainKey{{Epoch: 1}}}); got != v1alpha1.HSMClusterInitialized {
		t.Errorf("one whose nodes are gone is %s", got)
	}
	if served(0, "") == served(1, "") || served(3, "") != "All 3 nodes serve" || served(3, "and more") != "All 3 nodes serve; and more" {
		t.Errorf("%q, %q", served(0, ""), served(3, ""))
	}
}
