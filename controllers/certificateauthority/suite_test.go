package certificateauthority_test

import (
	"context"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/internal/service/acmpca"
	"strongroom.dev/strongroom/test/environment"
)

func TestCertificateAuthorityController(t *testing.T) {
	environment.Specs(t, "CertificateAuthority controller")
}

const day = 24 * time.Hour

var (
	ctx   = context.Background()
	world *environment.World
)

var _ = BeforeSuite(func() { world = environment.NewWorld(ctx) })

var _ = BeforeEach(func() { world.Fresh() })

// root makes a root and its key, and makes no pass.
func root(name string, changes ...func(*v1alpha1.CertificateAuthority)) *v1alpha1.CertificateAuthority {
	GinkgoHelper()
	world.AuthorityKey(name)
	ca := described(name, changes...)
	world.Create(ca)
	return ca
}

// described is a root that is not made yet.
func described(name string, changes ...func(*v1alpha1.CertificateAuthority)) *v1alpha1.CertificateAuthority {
	ca := &v1alpha1.CertificateAuthority{
		ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name},
		Spec: v1alpha1.CertificateAuthoritySpec{
			Type: v1alpha1.CertificateAuthorityRoot, Subject: v1alpha1.CertificateSubject{CommonName: "CA " + name}, KeyAlgorithm: v1alpha1.KeyAlgorithmECPrime256v1,
			Validity: "300d",
		},
	}
	for _, change := range changes {
		change(ca)
	}
	return ca
}

func ready(name string, changes ...func(*v1alpha1.CertificateAuthority)) *v1alpha1.CertificateAuthority {
	GinkgoHelper()
	ca := root(name, changes...)
	reconcile(ca)
	is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	return ca
}

// under asks an authority for the certificate.
func under(issuer string) func(*v1alpha1.CertificateAuthority) {
	return func(ca *v1alpha1.CertificateAuthority) {
		ca.Spec.Type, ca.Spec.AuthorityRef = v1alpha1.CertificateAuthoritySubordinate, &v1alpha1.LocalReference{Name: issuer}
	}
}

// shownIn names a ConfigMap.
func shownIn(name string) func(*v1alpha1.CertificateAuthority) {
	return func(ca *v1alpha1.CertificateAuthority) { ca.Spec.Target = &v1alpha1.AuthorityTarget{Name: name} }
}

// reconcile makes one pass and reads the object again, and lets a second pass, so that what is revoked next does not wait for its list.
func reconcile(ca *v1alpha1.CertificateAuthority) ctrl.Result {
	GinkgoHelper()
	result := soon(ca)
	world.Clock.Set(world.Clock.Now().Add(time.Second))
	return result
}

// soon is reconcile with a clock that stands still.
func soon(ca *v1alpha1.CertificateAuthority) ctrl.Result {
	GinkgoHelper()
	result, err := world.CertificateAuthority.Reconcile(ctx, environment.Request(ca))
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(ca)
	world.Seen(ca)
	return result
}

// is checks Ready and its reason, and what its message says.
func is(ca *v1alpha1.CertificateAuthority, status metav1.ConditionStatus, reason string, says ...string) {
	GinkgoHelper()
	c := meta.FindStatusCondition(ca.Status.Conditions, v1alpha1.ConditionReady)
	Expect(c).To(And(HaveField("Status", status), HaveField("Reason", reason)), "%s", c.Message)
	for _, text := range says {
		Expect(c.Message).To(ContainSubstring(text))
	}
}

func annotate(ca *v1alpha1.CertificateAuthority, value string) {
	GinkgoHelper()
	world.Update(ca, func() { metav1.SetMetaDataAnnotation(&ca.ObjectMeta, v1alpha1.RotateAnnotation, value) })
}

// issued has a leaf issued.
func issued(ca *v1alpha1.CertificateAuthority) *x509.Certificate {
	GinkgoHelper()
	return issuedBy(world.Services.Authorities, world.Clock, ca)
}

func issuedBy(service *acmpca.Service, clock *environment.Clock, ca *v1alpha1.CertificateAuthority) *x509.Certificate {
	GinkgoHelper()
	key, err := pki.GenerateKey(pki.ECPrime256v1)
	Expect(err).NotTo(HaveOccurred())
	names, err := pki.ParseNames([]string{"a.example.com"})
	Expect(err).NotTo(HaveOccurred())
	now := clock.Now()
	out, err := service.Issue(ctx, ca, key.Public(), pki.LeafRequest{Names: names, NotBefore: pki.Backdate(now, 90*day), NotAfter: now.Add(90 * day)})
	Expect(err).NotTo(HaveOccurred())
	return out.Chain[0]
}

func serialOf(c *x509.Certificate) string { return pki.FormatSerial(c.SerialNumber) }

// shown reads the ConfigMap of a name.
func shown(name string) *corev1.ConfigMap {
	GinkgoHelper()
	m := &corev1.ConfigMap{}
	Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKey{Namespace: world.Namespace, Name: name}, m)).To(Succeed())
	return m
}

// openssl runs it at the clock's time over files of contents, and gives what it says.
func openssl(files map[string]string, args ...string) (string, error) {
	GinkgoHelper()
	dir := GinkgoT().TempDir()
	for name, content := range files {
		Expect(os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600)).To(Succeed())
	}
	cmd := exec.CommandContext(ctx, "openssl", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// checked has openssl verify a leaf with the revocation list of a ConfigMap.
func checked(m *corev1.ConfigMap, leaf *x509.Certificate) (string, error) {
	GinkgoHelper()
	files := map[string]string{"ca.crt": m.Data["ca.crt"], "ca.crl": m.Data["ca.crl"], "leaf.crt": string(pki.CertificatesPEM([]*x509.Certificate{leaf}))}
	return openssl(files, "verify", "-x509_strict", "-crl_check", "-attime", strconv.FormatInt(world.Clock.Now().Unix(), 10),
		"-CAfile", "ca.crt", "-CRLfile", "ca.crl", "leaf.crt")
}

// own lists the Envelopes of an authority's own certificates.
func own(ca *v1alpha1.CertificateAuthority) []v1alpha1.Envelope {
	GinkgoHelper()
	var out []v1alpha1.Envelope
	for _, e := range world.Envelopes(v1alpha1.EnvelopeIssuedCertificate) {
		if e.Spec.ExpireTime == nil && e.Spec.Owner.Name == ca.Name {
			out = append(out, e)
		}
	}
	return out
}
