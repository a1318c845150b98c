package certificate_test

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("A CertificateAuthority", func() {
	It("has its KMSKey made when there is none, as the sample needs, for each key algorithm", func() {
		for algorithm, spec := range map[v1alpha1.CertificateKeyAlgorithm]v1alpha1.KeySpec{
			v1alpha1.KeyAlgorithmECPrime256v1: v1alpha1.KeySpecECCNISTP256, v1alpha1.KeyAlgorithmECSecp384r1: v1alpha1.KeySpecECCNISTP384,
			v1alpha1.KeyAlgorithmECSecp521r1: v1alpha1.KeySpecECCNISTP521, v1alpha1.KeyAlgorithmRSA2048: v1alpha1.KeySpecRSA2048,
		} {
			name := strings.ToLower(strings.ReplaceAll(string(algorithm), "_", "-"))
			ca := root(func(ca *v1alpha1.CertificateAuthority) {
				ca.Name, ca.Spec.KeyAlgorithm, ca.Spec.KMSKeyRef = name, algorithm, nil
			})
			create(ca)
			reconcile(ca)
			is(ca, metav1.ConditionFalse, v1alpha1.ReasonKeyUnusable, "ca-"+name, "being made")
			key := environment.KMSKey(namespace, "ca-"+name)
			refresh(key)
			Expect(key.Spec.KeySpec).To(Equal(spec))
			Expect(key.Spec.KeyUsage).To(Equal(v1alpha1.KeyUsageSignVerify))
			reconcileKey("ca-" + name)
			reconcile(ca)
			isReady(ca)
			Expect(ca.Status.KMSKeyARN).To(HavePrefix("arn:aws:kms:"))
		}
	})

	It("does not take a key of another algorithm", func() {
		ca := root(func(ca *v1alpha1.CertificateAuthority) { ca.Spec.KeyAlgorithm = v1alpha1.KeyAlgorithmECSecp384r1 })
		create(ca)
		reconcile(ca)
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonKeyMismatch, "shop-ca", "EC_secp384r1")
	})

	It("below another issues certificates whose chain openssl verifies, and its own is recorded above", func() {
		above := readyRoot(func(ca *v1alpha1.CertificateAuthority) { ca.Spec.PathLength = new(int32(1)) })
		sub := root(func(ca *v1alpha1.CertificateAuthority) {
			ca.Name = "issuing"
			ca.Spec.Type, ca.Spec.AuthorityRef = v1alpha1.CertificateAuthoritySubordinate, &v1alpha1.LocalReference{Name: "internal"}
			ca.Spec.Subject.CommonName, ca.Spec.PathLength, ca.Spec.KMSKeyRef, ca.Spec.Validity = "Shop issuing CA", new(int32(0)), nil, "1000d"
		})
		create(sub)
		reconcile(sub)
		reconcileKey("ca-issuing")
		reconcile(sub)
		isReady(sub)
		Expect(sub.Status.CertificateChain).To(Equal(above.Status.Certificate))
		_, err := env.Services.Authorities.Issued(ctx, above, sub.Status.Serial)
		Expect(err).NotTo(HaveOccurred())
		c := readyShop(func(c *v1alpha1.Certificate) { c.Spec.AuthorityRef.Name = "issuing" })
		pair, target := projected("shop-tls")
		Expect(pair.Certificate).To(HaveLen(2), "the certificate and its issuer, without the root")
		Expect(string(target.Data["ca.crt"])).To(Equal(above.Status.Certificate))
		verified("shop-tls", "shop.example.com")
		Expect(c.Status.Chain).To(Equal([]string{"CN=Shop issuing CA", "CN=Shop internal CA"}))
	})

	It("is renewed with the same key, and what it issued stays good", func() {
		ca := readyRoot()
		readyShop()
		serial := ca.Status.Serial
		annotate(ca, v1alpha1.RotateAnnotation, "now")
		reconcile(ca)
		isReady(ca)
		Expect(ca.Status.Serial).NotTo(Equal(serial))
		Expect(ca.Status.Versions).To(HaveLen(2))
		_, target := projected("shop-tls")
		target.Data["ca.crt"] = []byte(ca.Status.Certificate) // whoever trusts the new certificate alone
		Expect(cp.Client.Update(ctx, target)).To(Succeed())
		verified("shop-tls", "shop.example.com")
		reconcile(ca)
		Expect(ca.Status.Versions).To(HaveLen(2), "it is renewed once")
	})

	It("shows chain and list in a ConfigMap, makes the next list when half of its time is over, and leaves a foreign one alone", func() {
		ca := readyRoot(func(ca *v1alpha1.CertificateAuthority) {
			ca.Spec.Target = &v1alpha1.AuthorityTarget{Name: "internal-ca"}
		})
		shown := &corev1.ConfigMap{}
		Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "internal-ca"}, shown)).To(Succeed())
		Expect(shown.Data["ca.crt"]).To(Equal(ca.Status.Certificate))
		Expect(shown.Data["ca.crl"]).To(HavePrefix("-----BEGIN X509 CRL-----"))
		number := ca.Status.CRL.Number
		env.Clock.Advance(3 * 24 * time.Hour)
		reconcile(ca)
		Expect(ca.Status.CRL.Number).To(Equal(number))
		env.Clock.Advance(24 * time.Hour)
		reconcile(ca)
		Expect(ca.Status.CRL.Number).To(BeNumerically(">", number))
		Expect(cp.Client.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "theirs"}})).To(Succeed())
		update(ca, func() { ca.Spec.Target.Name = "theirs" })
		reconcile(ca)
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonConflict, "ConfigMap theirs", "belongs to somebody else")
	})

	It("that lost its status, or was deleted and is applied again, has its certificate back", func() {
		ca := readyRoot()
		arn, serial := ca.Status.ARN, ca.Status.Serial
		ca.Status = v1alpha1.CertificateAuthorityStatus{}
		Expect(cp.Client.Status().Update(ctx, ca)).To(Succeed())
		seen(ca)
		reconcile(ca)
		isReady(ca)
		Expect(ca.Status.Serial).To(Equal(serial))
		remove(ca)
		again := root()
		create(again)
		reconcile(again)
		isReady(again)
		Expect(again.Status.ARN).To(Equal(arn))
		Expect(again.Status.Serial).To(Equal(serial))
	})
})
