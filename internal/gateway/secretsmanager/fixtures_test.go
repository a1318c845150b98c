package secretsmanager_test

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// object0 is the metadata of an object of the spec's namespace.
func object0(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: world.Namespace, Name: name}
}

func keyName(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: world.Namespace, Name: name}
}
