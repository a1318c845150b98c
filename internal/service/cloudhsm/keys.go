package cloudhsm

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/store"
)

// KeysIn lists the KMSKeys of a namespace that are in a cluster; of all namespaces if it is empty. Anybody can write a KMSKey that names any cluster:
// one that has no material and whose namespace the cluster does not let in is not in it, and so holds nothing of it. Strongroom's own namespace is operators.
// Nor is one that is store.Gone, which somebody else's finalizer holds: its material has its recovery window, as that of a KMSKey without an object.
// The cache has KeyIndex of KMSKeys, and Namespaces. The keys are the cache's own: read them only.
func KeysIn(ctx context.Context, cache client.Reader, hc *v1alpha1.HSMCluster, operators, namespace string) ([]*v1alpha1.KMSKey, error) {
	var named v1alpha1.KMSKeyList
	err := cache.List(ctx, &named, client.InNamespace(namespace), client.MatchingFields{KeyIndex: client.ObjectKeyFromObject(hc).String()}, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, fmt.Errorf("looking for KMSKeys in HSMCluster %s: %w", hc.Name, err)
	}
	labels := map[string]map[string]string{} // of namespaces
	var in []*v1alpha1.KMSKey
	for i := range named.Items {
		key := &named.Items[i]
		if store.Gone(key) {
			continue
		}
		if _, known := labels[key.Namespace]; !known {
			var ns corev1.Namespace
			if err := cache.Get(ctx, client.ObjectKey{Name: key.Namespace}, &ns, client.UnsafeDisableDeepCopy); client.IgnoreNotFound(err) != nil {
				return nil, fmt.Errorf("reading namespace %s: %w", key.Namespace, err)
			}
			labels[key.Namespace] = ns.Labels
		}
		if isIn(hc, operators, key, labels[key.Namespace]) {
			in = append(in, key)
		}
	}
	return in, nil
}

// isIn tells whether a key that names a cluster has material in it, or may get some. A selector that is malformed lets in the cluster's own namespace alone.
func isIn(hc *v1alpha1.HSMCluster, operators string, key *v1alpha1.KMSKey, namespaceLabels map[string]string) bool {
	if len(key.Status.KeyMaterials) > 0 {
		return true
	}
	allowed, err := Allows(hc, operators, key.Namespace, namespaceLabels)
	return err == nil && allowed
}

// Keys is how many KMSKeys of a namespace are in a cluster; of all namespaces if it is empty.
func (s *Service) Keys(ctx context.Context, hc *v1alpha1.HSMCluster, namespace string) (int, error) {
	keys, err := KeysIn(ctx, s.Client, hc, s.Namespace, namespace)
	return len(keys), err
}
