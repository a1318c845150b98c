package cloudhsm

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func TestAKeyIsInAClusterThatLetsItsNamespaceInOrThatHasItsMaterial(t *testing.T) {
	friends := &metav1.LabelSelector{MatchLabels: map[string]string{"team": "friends"}}
	malformed := &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Like"}}}
	for name, tt := range map[string]struct {
		cluster, from string
		selector      *metav1.LabelSelector
		labels        map[string]string
		material      bool
		want          bool
	}{
		"of its own namespace, before it has material":           {cluster: "bank", from: "bank", want: true},
		"of a stranger, which anybody can write":                 {cluster: "bank", from: "stranger"},
		"of a stranger that was let in before, and has material": {cluster: "bank", from: "stranger", material: true, want: true},
		"of a friend":  {cluster: "bank", from: "friend", selector: friends, labels: map[string]string{"team": "friends"}, want: true},
		"of no friend": {cluster: "bank", from: "stranger", selector: friends},
		"of anybody in the operators' own cluster":              {cluster: "strongroom-system", from: "stranger", want: true},
		"of a stranger, and nobody understands who is let in":   {cluster: "bank", from: "stranger", selector: malformed},
		"of the own namespace, though the selector is nonsense": {cluster: "bank", from: "bank", selector: malformed, want: true},
		"with material, though the selector is nonsense":        {cluster: "bank", from: "stranger", selector: malformed, material: true, want: true},
	} {
		hc := &v1alpha1.HSMCluster{ObjectMeta: metav1.ObjectMeta{Namespace: tt.cluster, Name: "vault"}, Spec: v1alpha1.HSMClusterSpec{AllowedNamespaces: tt.selector}}
		key := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: tt.from, Name: "key"}}
		if tt.material {
			key.Status.KeyMaterials = []v1alpha1.KeyMaterial{{Sequence: 1}}
		}
		if got := isIn(hc, "strongroom-system", key, tt.labels); got != tt.want {
			t.Errorf("a key %s: %t", name, got)
		}
	}
}
