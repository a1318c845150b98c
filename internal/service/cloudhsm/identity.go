// Package cloudhsm is the use cases of HSMClusters: their credentials, who may use them, and this process's connections to their nodes.
package cloudhsm

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// ClusterID is a cluster's id in AWS's form, of 11 characters. It is made of the namespace and the name, so that the tokens of a cluster are found again after the
// HSMCluster was deleted and applied anew, or the Kubernetes cluster rebuilt.
// https://docs.aws.amazon.com/cloudhsm/latest/APIReference/API_Cluster.html#CloudHSMV2-Type-Cluster-ClusterId
func ClusterID(namespace, name string) string {
	sum := sha256.Sum256([]byte("strongroom hsm cluster\x00" + namespace + "/" + name)) // neither has a slash
	return "cluster-" + strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:11]
}

// KeyStoreID is the id of the custom key store of AWS KMS that a cluster is.
// https://docs.aws.amazon.com/kms/latest/APIReference/API_CustomKeyStoresListEntry.html
func KeyStoreID(namespace, name string) string {
	sum := sha256.Sum256([]byte("strongroom custom key store\x00" + namespace + "/" + name))
	return "cks-" + hex.EncodeToString(sum[:])[:17]
}

// Allows tells whether KMSKeys of a namespace may be in a cluster. Strongroom's own namespace is operators.
func Allows(hc *v1alpha1.HSMCluster, operators, namespace string, namespaceLabels map[string]string) (bool, error) {
	switch {
	case namespace == hc.Namespace:
		return true, nil
	case hc.Spec.AllowedNamespaces == nil:
		return hc.Namespace == operators, nil
	}
	selector, err := metav1.LabelSelectorAsSelector(hc.Spec.AllowedNamespaces)
	if err != nil {
		return false, fmt.Errorf("spec.allowedNamespaces of HSMCluster %s/%s: %w", hc.Namespace, hc.Name, err)
	}
	return selector.Matches(labels.Set(namespaceLabels)), nil
}
