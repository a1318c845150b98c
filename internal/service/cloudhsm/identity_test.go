package cloudhsm_test

import (
	"regexp"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/cloudhsm"
)

// The patterns are those of AWS's models.
func TestIdsHaveAWSsFormAndAreThoseOfOneNameAlone(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range [][2]string{{"a", "b"}, {"a", "c"}, {"b", "a"}, {"strongroom-system", "vault-floor"}, {"strongroom", "system-vault-floor"}} {
		id, store := cloudhsm.ClusterID(n[0], n[1]), cloudhsm.KeyStoreID(n[0], n[1])
		if !regexp.MustCompile(`^cluster-[2-7a-zA-Z]{11,16}$`).MatchString(id) || len(store) > 64 || seen[id] || seen[store] {
			t.Errorf("%s, %s", id, store)
		}
		seen[id], seen[store] = true, true
	}
	// It is in the names of volumes and of tokens' certificates: another one would find none of them.
	if got := cloudhsm.ClusterID("strongroom-system", "vault-floor"); got != "cluster-exz4ldth7kk" {
		t.Error(got)
	}
}

func TestAClusterIsForItsOwnNamespaceUnlessItSaysMoreOrIsTheOperators(t *testing.T) {
	friends := &metav1.LabelSelector{MatchLabels: map[string]string{"team": "friends"}}
	broken := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}}
	for name, tt := range map[string]struct {
		cluster, from string
		labels        map[string]string
		selector      *metav1.LabelSelector
		want, fails   bool
	}{
		"its own namespace":                            {"bank", "bank", nil, nil, true, false},
		"another one":                                  {"bank", "shop", nil, nil, false, false},
		"Strongroom's own one":                         {"bank", "strongroom-system", nil, nil, false, false},
		"another one, of the operators'":               {"strongroom-system", "shop", nil, nil, true, false},
		"the operators', which says who":               {"strongroom-system", "shop", nil, friends, false, false},
		"one that is let in":                           {"bank", "shop", map[string]string{"team": "friends"}, friends, true, false},
		"one with another label":                       {"bank", "shop", map[string]string{"team": "x"}, friends, false, false},
		"its own, whatever it says":                    {"bank", "bank", nil, friends, true, false},
		"all":                                          {"bank", "shop", nil, &metav1.LabelSelector{}, true, false},
		"nobody, since what it says is not understood": {"bank", "shop", nil, broken, false, true},
	} {
		hc := &v1alpha1.HSMCluster{ObjectMeta: metav1.ObjectMeta{Namespace: tt.cluster, Name: "c"}, Spec: v1alpha1.HSMClusterSpec{AllowedNamespaces: tt.selector}}
		got, err := cloudhsm.Allows(hc, "strongroom-system", tt.from, tt.labels)
		if got != tt.want || (err != nil) != tt.fails {
			t.Errorf("%s: %t, %v", name, got, err)
		}
	}
}
