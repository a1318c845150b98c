package bench

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// keyAlgorithm of what is measured: RSA keys take as long to make as everything else ten times over.
const keyAlgorithm = "EC_prime256v1"

var parameters = kind{
	plural: "Parameters", resource: "parameters", limit: 3,
	make: func(namespace, name string) client.Object {
		return environment.Parameter(namespace, name, func(p *v1alpha1.Parameter) {
			p.Spec = v1alpha1.ParameterSpec{
				Type: v1alpha1.ParameterString, Value: "info",
				Target: &v1alpha1.ParameterTarget{ConfigMap: &v1alpha1.ParameterTargetKey{Name: name, Key: "LOG_LEVEL"}},
			}
		})
	},
	list: func() client.ObjectList { return &v1alpha1.ParameterList{} },
}

var certificates = kind{
	plural: "Certificates", resource: "certificates", limit: 4,
	make: func(namespace, name string) client.Object {
		return &v1alpha1.Certificate{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			Spec: v1alpha1.CertificateSpec{
				DomainName: name + ".example.com", KeyAlgorithm: keyAlgorithm, AuthorityRef: &v1alpha1.LocalReference{Name: "issuer"},
				KMSKeyRef: &v1alpha1.LocalReference{Name: "key"}, Target: &v1alpha1.CertificateTarget{Name: name},
			},
		}
	},
	list: func() client.ObjectList { return &v1alpha1.CertificateList{} },
}

// TestKinds measures what new Parameters with a ConfigMap and new Certificates with a Secret cost.
func TestKinds(t *testing.T) {
	n := *objects
	if n == 0 { // does the harness work?
		n = 20
	}
	b := start(t)
	_, floor := b.floor(n)
	b.add("floor controller: CPU an object", "%.2f ms", floor)
	b.startManager()
	for namespace, k := range map[string]kind{"parameters": parameters, "certificates": certificates} {
		b.key(namespace)
		authority := benchAuthority(namespace)
		b.must(b.client.Create(b.ctx, authority))
		b.eventually(time.Minute, func() bool {
			b.must(b.client.Get(b.ctx, client.ObjectKeyFromObject(authority), authority))
			return meta.IsStatusConditionTrue(authority.GetConditions(), v1alpha1.ConditionReady)
		})
		speed, perObject := b.round(k, namespace, n)
		b.add(fmt.Sprintf("%d %s: speed, and CPU beside the floor controller's", n, k.plural), "%.0f objects/s, %.2f", speed, perObject/floor)
	}
	b.print()
}

// benchAuthority is a root with a software key of P-256.
func benchAuthority(namespace string) *v1alpha1.CertificateAuthority {
	return &v1alpha1.CertificateAuthority{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "issuer"},
		Spec: v1alpha1.CertificateAuthoritySpec{
			Type: v1alpha1.CertificateAuthorityRoot, KeyAlgorithm: keyAlgorithm, Subject: v1alpha1.CertificateSubject{CommonName: "Bench"},
		},
	}
}
