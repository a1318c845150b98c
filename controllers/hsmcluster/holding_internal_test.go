package hsmcluster

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

func TestWhatHoldsAClusterIsNamedInItsOwnNamespaceAndCountedElsewhere(t *testing.T) {
	key := func(namespace, name string) *v1alpha1.KMSKey {
		return &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	}
	own := func(names ...string) (keys []*v1alpha1.KMSKey) {
		for _, name := range names {
			keys = append(keys, key("bank", name))
		}
		return keys
	}
	for want, keys := range map[string][]*v1alpha1.KMSKey{
		"": nil,
		"KMSKeys in this cluster: 2, among them a, b: delete them first":                      own("b", "a"),
		"KMSKeys in this cluster: 6, among them a, b, c, d, e: delete them first":             own("f", "e", "d", "c", "b", "a"),
		"KMSKeys in this cluster: 1, of other namespaces: 1: delete them first":               {key("shop", "hidden")},
		"KMSKeys in this cluster: 3, among them a, of other namespaces: 2: delete them first": {key("shop", "hidden"), key("bank", "a"), key("mine", "hidden")},
	} {
		if got := holding("bank", keys); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
