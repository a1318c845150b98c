package serving_test

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/gateway/serving"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

// eventually waits for something, for 20 s at most.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// issuing makes a root CertificateAuthority and waits until it is Ready.
func issuing(t *testing.T, c client.Client, namespace, name string) *v1alpha1.CertificateAuthority {
	t.Helper()
	ca := &v1alpha1.CertificateAuthority{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.CertificateAuthoritySpec{
			Type: v1alpha1.CertificateAuthorityRoot, Subject: v1alpha1.CertificateSubject{CommonName: "Gateways of " + name},
			KeyAlgorithm: v1alpha1.KeyAlgorithmECPrime256v1,
		},
	}
	if err := c.Create(t.Context(), ca); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the authority is Ready", func() bool {
		return c.Get(t.Context(), client.ObjectKeyFromObject(ca), ca) == nil && meta.IsStatusConditionTrue(ca.Status.Conditions, v1alpha1.ConditionReady)
	})
	return ca
}

// issuerOf is who issued the certificate that a gateway serves now, as a client sees it who trusts the bundle.
func (g *gateway) issuerOf(t *testing.T, trusted *x509.CertPool) *x509.Certificate {
	t.Helper()
	c := g.dial(t, trusted)
	if got := ask(t, c); got != "served" {
		t.Errorf("answered %q", got)
	}
	return c.ConnectionState().PeerCertificates[0]
}

const ownAuthority = "Strongroom gateway"

func TestTheGatewaysCertificateComesFromACertificateAuthority(t *testing.T) {
	cp, err := environment.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cp.Stop() }()
	op, err := environment.RunOperator(t.Context(), cp.Config, operator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = op.Stop() }()
	fresh := func(t *testing.T) string {
		t.Helper()
		namespace, err := cp.NewNamespace(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return namespace
	}
	by := func(namespace, name string) func(*gateway) {
		return func(g *gateway) {
			g.Certificate.Authority = client.ObjectKey{Namespace: namespace, Name: name}
			g.Certificate.Authorities = op.Services.Authorities
		}
	}

	t.Run("which records it; its key is nowhere, and clients trust the authority by the bundle", func(t *testing.T) {
		ns := fresh(t)
		ca := issuing(t, cp.Client, ns, "gateways")
		g := replica(t, cp.Client, ns, time.Now, by(ns, "gateways"))
		leaf := g.issuerOf(t, bundle(t, cp.Client, ns))
		if leaf.Issuer.CommonName != "Gateways of gateways" {
			t.Errorf("issued by %s", leaf.Issuer)
		}
		issued, err := op.Services.Authorities.Issued(t.Context(), ca, pki.FormatSerial(leaf.SerialNumber))
		if err != nil || !issued.Chain[0].Equal(leaf) {
			t.Errorf("the authority has no record of it: %v", err)
		}
		var secrets corev1.SecretList
		if err := cp.Client.List(t.Context(), &secrets, client.InNamespace(ns)); err != nil {
			t.Fatal(err)
		}
		for i := range secrets.Items {
			if block, _ := pem.Decode(secrets.Items[i].Data[corev1.TLSPrivateKeyKey]); block != nil && secrets.Items[i].Name != serving.AuthoritySecretName {
				t.Errorf("core Secret %s has a private key", secrets.Items[i].Name)
			}
		}
		if n := testutil.ToFloat64(serving.AuthorityInForce.WithLabelValues(ns + "/gateways")); n != 1 {
			t.Errorf("the metric says %v", n)
		}

		t.Run("is issued anew once it is revoked", func(t *testing.T) {
			if err := op.Services.Authorities.Revoke(t.Context(), ca, pki.FormatSerial(leaf.SerialNumber), pki.Superseded); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the cache has the revocation", func() bool { return g.Certificate.Due(t.Context()) })
			if err := g.Certificate.Renew(t.Context()); err != nil {
				t.Fatal(err)
			}
			if again := g.issuerOf(t, bundle(t, cp.Client, ns)); again.Equal(leaf) || again.Issuer.String() != leaf.Issuer.String() {
				t.Errorf("the revoked one is served still, or one of %s", again.Issuer)
			}
			if g.Certificate.Due(t.Context()) {
				t.Error("it would be issued for ever")
			}
		})
	})

	t.Run("which is not there yet: its own authority issues meanwhile, says so once, and clients who trust the bundle see no break", func(t *testing.T) {
		ns := fresh(t)
		var said atomic.Pointer[[]string]
		said.Store(&[]string{})
		log := funcr.New(func(_, args string) {
			lines := append(append([]string{}, *said.Load()...), args)
			said.Store(&lines)
		}, funcr.Options{})
		g := replica(t, cp.Client, ns, time.Now, by(ns, "late"), func(g *gateway) { g.Certificate.Log = log })
		trusted := bundle(t, cp.Client, ns)
		if leaf := g.issuerOf(t, trusted); leaf.Issuer.CommonName != ownAuthority {
			t.Errorf("issued by %s", leaf.Issuer)
		}
		if n := testutil.ToFloat64(serving.AuthorityInForce.WithLabelValues(ns + "/late")); n != 0 {
			t.Errorf("the metric says %v", n)
		}
		for range 3 {
			if err := g.Certificate.Renew(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if lines := strings.Join(*said.Load(), "\n"); strings.Count(lines, v1alpha1.ReasonAuthorityNotFound) != 1 {
			t.Errorf("said, of one reason: %s", lines)
		}
		issuing(t, cp.Client, ns, "late")
		both := bundle(t, cp.Client, ns)
		eventually(t, "the authority's certificate is served", func() bool {
			both = bundle(t, cp.Client, ns)
			return g.issuerOf(t, both).Issuer.CommonName == "Gateways of late"
		})
		own := replica(t, cp.Client, ns, time.Now)
		if leaf := own.issuerOf(t, both); leaf.Issuer.CommonName != ownAuthority {
			t.Errorf("a replica without the flag: issued by %s", leaf.Issuer)
		}
	})

	t.Run("which goes: the last certificate is served to its end, and then one of its own authority", func(t *testing.T) {
		ns := fresh(t)
		ca := issuing(t, cp.Client, ns, "gone")
		var ahead atomic.Int64
		now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		g := replica(t, cp.Client, ns, now, by(ns, "gone"))
		trusted := bundle(t, cp.Client, ns)
		leaf := g.issuerOf(t, trusted)
		if err := cp.Client.Delete(t.Context(), ca); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the cache knows", func() bool {
			_, err := op.Services.Authorities.ByName(t.Context(), ns, "gone")
			return err != nil
		})
		for _, days := range []int{0, 21, 29} {
			ahead.Store(int64(days) * int64(24*time.Hour))
			if err := g.Certificate.Renew(t.Context()); err != nil {
				t.Errorf("after %d days: %v", days, err)
			}
			if now := g.issuerOf(t, trusted); !now.Equal(leaf) {
				t.Errorf("after %d days one of %s is served", days, now.Issuer)
			}
		}
		ahead.Store(int64(30*24*time.Hour) + int64(time.Hour))
		if err := g.Certificate.Renew(t.Context()); err != nil {
			t.Error(err)
		}
		both := bundle(t, cp.Client, ns)
		c := g.dialAt(t, both, now())
		if issuer := c.ConnectionState().PeerCertificates[0].Issuer.CommonName; issuer != ownAuthority {
			t.Errorf("issued by %s", issuer)
		}
		published := &corev1.ConfigMap{}
		if err := cp.Client.Get(t.Context(), client.ObjectKey{Namespace: ns, Name: serving.BundleConfigMapName}, published); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(published.Data[serving.BundleKey], "BEGIN CERTIFICATE"); n != 2 {
			t.Errorf("%d certificates are trusted: other replicas may serve one of the authority's", n)
		}
	})

	t.Run("which is another by now: it is issued anew, and clients trust the other", func(t *testing.T) {
		ns := fresh(t)
		first, second := issuing(t, cp.Client, ns, "one"), issuing(t, cp.Client, ns, "two")
		g := replica(t, cp.Client, ns, time.Now, by(ns, "one"))
		if g.Certificate.Due(t.Context()) {
			t.Error("nothing has changed, and it is issued anew")
		}
		g.Certificate.Authority.Name = "two" // what a name that means another object comes to
		if !g.Certificate.Due(t.Context()) {
			t.Error("it stays under the first")
		}
		if err := g.Certificate.Renew(t.Context()); err != nil {
			t.Fatal(err)
		}
		if leaf := g.issuerOf(t, bundle(t, cp.Client, ns)); leaf.Issuer.CommonName != second.Spec.Subject.CommonName {
			t.Errorf("issued by %s, as of %s", leaf.Issuer, first.Name)
		}
	})
}
