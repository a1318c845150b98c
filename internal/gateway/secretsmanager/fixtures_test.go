package secretsmanager_test

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// object0 is the metadata of an object of the spec's namespace.
func object0(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: world.Namespace, Name: name}
}
