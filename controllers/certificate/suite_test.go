package certificate_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
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
	"strongroom.dev/strongroom/test/environment"
)

func TestCertificateController(t *testing.T) {
	environment.Specs(t, "Certificate and CertificateAuthority controllers")
}

var (
	ctx       context.Context
	cp        *environment.ControlPlane
	env       *environment.Reconcilers
	namespace string
)

var _ = BeforeSuite(func() {
	ctx = context.Background()
	var err error
	cp, err = environment.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(cp.Stop()).To(Succeed()) })
	env, err = environment.RunReconcilers(ctx, cp)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(env.Stop()).To(Succeed()) })
})

var _ = BeforeEach(func() {
	var err error
	namespace, err = cp.NewNamespace(ctx)
	Expect(err).NotTo(HaveOccurred())
	env.DrainEvents()
	env.Clock.Set(time.Now())
	for _, name := range []string{"shop-ca", "aws-acm"} {
		key := environment.KMSKey(namespace, name)
		if name == "aws-acm" {
			key.Spec.Aliases = []string{"alias/aws/acm"}
		} else {
			key.Spec.KeySpec, key.Spec.KeyUsage = v1alpha1.KeySpecECCNISTP256, v1alpha1.KeyUsageSignVerify
			key.Spec.CertificateAuthorityRef = &v1alpha1.LocalReference{Name: "internal"}
		}
		create(key)
		reconcileKey(name)
	}
})

// reconcileKey brings a KMSKey that there is to Ready.
func reconcileKey(name string) {
	GinkgoHelper()
	key := environment.KMSKey(namespace, name)
	refresh(key)
	seen(key)
	_, err := env.KMSKey.Reconcile(ctx, environment.Request(key))
	Expect(err).NotTo(HaveOccurred())
	refresh(key)
	seen(key)
}

func create(obj client.Object) {
	GinkgoHelper()
	Expect(cp.Client.Create(ctx, obj)).To(Succeed())
	seen(obj)
}

func update(obj client.Object, change func()) {
	GinkgoHelper()
	refresh(obj)
	change()
	Expect(cp.Client.Update(ctx, obj)).To(Succeed())
	seen(obj)
}

// seen waits until the cache has an object as it is, if it is one that the cache keeps.
func seen(obj client.Object) {
	GinkgoHelper()
	if s, ok := obj.(*corev1.Secret); ok && s.Labels[v1alpha1.ManagedLabel] == "" {
		return
	}
	cached := obj.DeepCopyObject().(client.Object)
	Eventually(func() string {
		if err := env.GetClient().Get(ctx, client.ObjectKeyFromObject(obj), cached); err != nil {
			return err.Error()
		}
		return cached.GetResourceVersion()
	}).Should(Equal(obj.GetResourceVersion()))
}

func remove(obj client.Object) {
	GinkgoHelper()
	Expect(cp.Client.Delete(ctx, obj)).To(Succeed())
	Eventually(func() error {
		return client.IgnoreNotFound(env.GetClient().Get(ctx, client.ObjectKeyFromObject(obj), obj.DeepCopyObject().(client.Object)))
	}).Should(Succeed())
	Eventually(func() bool {
		return env.GetClient().Get(ctx, client.ObjectKeyFromObject(obj), obj.DeepCopyObject().(client.Object)) != nil
	}).Should(BeTrue())
}

func refresh(obj client.Object) {
	GinkgoHelper()
	Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj)).To(Succeed())
}

// reconcile makes one pass over a Certificate or CertificateAuthority and reads it again.
func reconcile(obj client.Object) ctrl.Result {
	GinkgoHelper()
	var result ctrl.Result
	var err error
	if _, ok := obj.(*v1alpha1.Certificate); ok {
		result, err = env.Certificate.Reconcile(ctx, environment.Request(obj))
	} else {
		result, err = env.CertificateAuthority.Reconcile(ctx, environment.Request(obj))
	}
	Expect(err).NotTo(HaveOccurred())
	refresh(obj)
	seen(obj)
	return result
}

// is checks Ready and its reason, and what its message says.
func is(obj interface{ GetConditions() []metav1.Condition }, status metav1.ConditionStatus, reason string, says ...string) {
	GinkgoHelper()
	c := meta.FindStatusCondition(obj.GetConditions(), v1alpha1.ConditionReady)
	Expect(c).To(And(HaveField("Status", status), HaveField("Reason", reason)), "%s", c.Message)
	for _, text := range says {
		Expect(c.Message).To(ContainSubstring(text))
	}
}

func isReady(obj interface{ GetConditions() []metav1.Condition }) {
	GinkgoHelper()
	is(obj, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

// root is the sample's authority.
func root(changes ...func(*v1alpha1.CertificateAuthority)) *v1alpha1.CertificateAuthority {
	ca := &v1alpha1.CertificateAuthority{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "internal"},
		Spec: v1alpha1.CertificateAuthoritySpec{
			Type: v1alpha1.CertificateAuthorityRoot, Subject: v1alpha1.CertificateSubject{CommonName: "Shop internal CA"},
			KeyAlgorithm: v1alpha1.KeyAlgorithmECPrime256v1, KMSKeyRef: &v1alpha1.LocalReference{Name: "shop-ca"}, Validity: "3650d",
		},
	}
	for _, change := range changes {
		change(ca)
	}
	return ca
}

// readyRoot makes it and brings it to Ready.
func readyRoot(changes ...func(*v1alpha1.CertificateAuthority)) *v1alpha1.CertificateAuthority {
	GinkgoHelper()
	ca := root(changes...)
	create(ca)
	reconcile(ca)
	isReady(ca)
	return ca
}

// shop is the sample's certificate.
func shop(changes ...func(*v1alpha1.Certificate)) *v1alpha1.Certificate {
	c := &v1alpha1.Certificate{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop"},
		Spec: v1alpha1.CertificateSpec{
			DomainName: "shop.example.com", SubjectAlternativeNames: []string{"www.shop.example.com"}, KeyAlgorithm: v1alpha1.KeyAlgorithmECPrime256v1,
			AuthorityRef: &v1alpha1.LocalReference{Name: "internal"}, Validity: "90d", RenewBefore: "30d", Target: &v1alpha1.CertificateTarget{Name: "shop-tls"},
		},
	}
	for _, change := range changes {
		change(c)
	}
	return c
}

func readyShop(changes ...func(*v1alpha1.Certificate)) *v1alpha1.Certificate {
	GinkgoHelper()
	c := shop(changes...)
	create(c)
	reconcile(c)
	isReady(c)
	return c
}

// projected is the core Secret's certificate and key as a TLS server reads them: it fails if they do not match.
func projected(name string) (tls.Certificate, *corev1.Secret) {
	GinkgoHelper()
	target := &corev1.Secret{}
	Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, target)).To(Succeed())
	pair, err := tls.X509KeyPair(target.Data["tls.crt"], target.Data["tls.key"])
	Expect(err).NotTo(HaveOccurred(), "a key and a certificate that do not match are projected")
	Expect(target.Type).To(Equal(corev1.SecretTypeTLS))
	return pair, target
}

// verified has openssl verify what is projected.
func verified(name, host string) *x509.Certificate {
	GinkgoHelper()
	pair, target := projected(name)
	dir := GinkgoT().TempDir()
	write := func(file string, content []byte) string {
		path := filepath.Join(dir, file)
		Expect(os.WriteFile(path, content, 0o600)).To(Succeed())
		return path
	}
	args := []string{"verify", "-x509_strict", "-attime", strconv.FormatInt(env.Clock.Now().Unix(), 10), "-purpose", "sslserver", "-verify_hostname", host,
		"-CAfile", write("ca.crt", target.Data["ca.crt"])}
	for i, der := range pair.Certificate[1:] {
		args = append(args, "-untrusted", write("between"+strconv.Itoa(i), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	}
	out, err := exec.CommandContext(ctx, "openssl", append(args, write("tls.crt", target.Data["tls.crt"]))...).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(out))
	return pair.Leaf
}

// envelopes lists the Envelopes of a class.
func envelopes(class v1alpha1.EnvelopeClass) []v1alpha1.Envelope {
	GinkgoHelper()
	var list v1alpha1.EnvelopeList
	Expect(cp.Client.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
	var out []v1alpha1.Envelope
	for i := range list.Items {
		if list.Items[i].Spec.Class == class {
			out = append(out, list.Items[i])
		}
	}
	return out
}

func annotate(obj client.Object, key, value string) {
	GinkgoHelper()
	update(obj, func() {
		annotations := obj.GetAnnotations()
		if annotations == nil {
			annotations = map[string]string{}
		}
		annotations[key] = value
		obj.SetAnnotations(annotations)
	})
}
