package certificate_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/acmpca"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("A Certificate of a private authority", func() {
	It("is issued, projected as the sample promises, and its status says all of it", func() {
		ca := readyRoot()
		c := readyShop()
		leaf := verified("shop-tls", "www.shop.example.com")
		Expect(leaf.DNSNames).To(Equal([]string{"shop.example.com", "www.shop.example.com"}))
		Expect(leaf.Subject.CommonName).To(Equal("shop.example.com"))
		_, target := projected("shop-tls")
		Expect(string(target.Data["ca.crt"])).To(Equal(ca.Status.Certificate))
		Expect(c.Status.ARN).To(HavePrefix("arn:aws:acm:us-east-1:"))
		Expect(c.Status.Serial).To(HaveLen(32))
		Expect(c.Status.Fingerprint).To(HaveLen(64))
		Expect(c.Status.NotAfter.Time).To(BeTemporally("==", leaf.NotAfter))
		Expect(c.Status.RenewalTime.Time).To(BeTemporally("~", leaf.NotAfter.Add(-30*24*time.Hour), 13*time.Hour))
		Expect(c.Status.Issuer).To(Equal("CN=Shop internal CA"))
		Expect(c.Status.Chain).To(Equal([]string{"CN=Shop internal CA"}))
		Expect(c.Status.AuthorityARN).To(Equal(ca.Status.ARN))
		Expect(c.Status.Type).To(Equal(v1alpha1.CertificatePrivate))
		Expect(c.Status.Names).To(Equal([]string{"shop.example.com", "www.shop.example.com"}))
		issued, err := env.Services.Authorities.Issued(ctx, ca, c.Status.Serial)
		Expect(err).NotTo(HaveOccurred())
		Expect(issued.Chain[0].Equal(leaf)).To(BeTrue(), "the authority has not recorded what it issued")
	})

	It("is renewed with a fresh key when it is time, and not before; the former version stays", func() {
		readyRoot()
		c := readyShop()
		first := verified("shop-tls", "shop.example.com")
		env.Clock.Advance(50 * 24 * time.Hour)
		Expect(reconcile(c).RequeueAfter).To(BeNumerically(">", 24*time.Hour))
		Expect(c.Status.Versions).To(HaveLen(1))
		env.Clock.Advance(11 * 24 * time.Hour)
		reconcile(c)
		isReady(c)
		second := verified("shop-tls", "shop.example.com")
		Expect(second.Equal(first)).To(BeFalse())
		Expect(second.PublicKey).NotTo(Equal(first.PublicKey), "the key is the old one")
		Expect(c.Status.Versions).To(HaveLen(2))
		annotate(c, v1alpha1.RotateAnnotation, "now")
		reconcile(c)
		Expect(c.Status.Versions).To(HaveLen(2), "only the current and the previous one are kept")
		Expect(envelopes(v1alpha1.EnvelopePrivateKey)).To(HaveLen(2))
		Expect(c.Status.LastHandledRotateAt).To(Equal("now"))
		Expect(verified("shop-tls", "shop.example.com").Equal(second)).To(BeFalse())
	})

	It("is issued anew when the spec asks for other names, and waits for an authority that is not there", func() {
		c := shop()
		create(c)
		reconcile(c)
		is(c, metav1.ConditionFalse, v1alpha1.ReasonAuthorityNotFound, "internal", "create it")
		readyRoot()
		reconcile(c)
		isReady(c)
		update(c, func() { c.Spec.SubjectAlternativeNames = []string{"other.example.com", "10.0.0.1"} })
		reconcile(c)
		isReady(c)
		Expect(c.Status.Names).To(Equal([]string{"shop.example.com", "other.example.com", "10.0.0.1"}))
		verified("shop-tls", "other.example.com")
		update(c, func() { c.Spec.SubjectAlternativeNames = []string{"under_score.example.com"} })
		reconcile(c)
		is(c, metav1.ConditionFalse, v1alpha1.ReasonInvalidName, "under_score", "Punycode")
		verified("shop-tls", "other.example.com")
	})

	It("has no name outside its authority's constraints, and the condition says which", func() {
		readyRoot(func(ca *v1alpha1.CertificateAuthority) {
			ca.Spec.NameConstraints = &v1alpha1.NameConstraints{Permitted: &v1alpha1.NameSubtrees{DNSDomains: []string{"example.org"}}}
		})
		c := shop()
		create(c)
		reconcile(c)
		is(c, metav1.ConditionFalse, v1alpha1.ReasonNotPermitted, "shop.example.com", "example.org")
		Expect(envelopes(v1alpha1.EnvelopePrivateKey)).To(BeEmpty())
	})

	It("that is revoked is issued anew at the next look, and is on its authority's list", func() {
		ca := readyRoot(func(ca *v1alpha1.CertificateAuthority) {
			ca.Spec.Target = &v1alpha1.AuthorityTarget{Name: "internal-ca"}
		})
		c := readyShop()
		serial := c.Status.Serial
		env.Clock.Set(env.Clock.Now().Add(time.Second)) // what comes in the second of the last list waits for the next
		update(ca, func() { ca.Spec.Revoked = []v1alpha1.RevokedCertificate{{Serial: serial, Reason: "KEY_COMPROMISE"}} })
		number := ca.Status.CRL.Number
		reconcile(ca)
		isReady(ca)
		Expect(ca.Status.CRL.Number).To(BeNumerically(">", number))
		Expect(ca.Status.CRL.Revoked).To(Equal(int64(1)))
		reconcile(c)
		Expect(c.Status.Serial).NotTo(Equal(serial))
		Expect(env.Services.Authorities.Revoke(ctx, ca, serial, "UNSPECIFIED")).To(MatchError(acmpca.ErrRevoked))
		update(ca, func() {
			ca.Spec.Revoked = append(ca.Spec.Revoked, v1alpha1.RevokedCertificate{Serial: "00112233445566778899aabbccddeeff"})
		})
		reconcile(ca)
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonNotIssued, "00112233")
	})

	It("is healed when somebody changes or deletes the target, and comes back when it was deleted and is applied again", func() {
		ca := readyRoot()
		c := readyShop()
		_, target := projected("shop-tls")
		Expect(cp.Client.Delete(ctx, target)).To(Succeed())
		Eventually(func() bool { return env.GetClient().Get(ctx, keyOf(target), target.DeepCopy()) != nil }).Should(BeTrue())
		reconcile(c)
		verified("shop-tls", "shop.example.com")
		arn, serial := c.Status.ARN, c.Status.Serial
		remove(c)
		again := shop()
		create(again)
		reconcile(again)
		Expect(again.Status.ARN).To(Equal(arn))
		Expect(again.Status.Serial).To(Equal(serial))
		Expect(again.Status.AuthorityARN).To(Equal(ca.Status.ARN))
		isReady(again)
	})
})

var _ = Describe("A Certificate that is imported", func() {
	source := func(name string, from string) *corev1.Secret {
		GinkgoHelper()
		_, target := projected(from)
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Type: corev1.SecretTypeTLS, Data: target.Data}
	}
	imported := func() *v1alpha1.Certificate {
		return &v1alpha1.Certificate{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "imported"},
			Spec: v1alpha1.CertificateSpec{
				ImportFrom: &v1alpha1.CertificateSource{SecretRef: v1alpha1.LocalReference{Name: "theirs"}, Policy: v1alpha1.ImportFollow},
				Target:     &v1alpha1.CertificateTarget{},
			},
		}
	}

	It("is shown as it is, follows its source, and what is wrong with that is told while the last good one stays", func() {
		readyRoot()
		c := readyShop()
		theirs := source("theirs", "shop-tls")
		Expect(cp.Client.Create(ctx, theirs)).To(Succeed())
		i := imported()
		create(i)
		Expect(reconcile(i).RequeueAfter).To(Equal(5 * time.Minute))
		isReady(i)
		Expect(i.Status.Type).To(Equal(v1alpha1.CertificateImported))
		Expect(i.Status.Fingerprint).To(Equal(c.Status.Fingerprint))
		Expect(i.Status.RenewalTime).To(BeNil())
		verified("imported", "shop.example.com")
		reconcile(i)
		Expect(i.Status.Versions).To(HaveLen(1), "the same is no new version")

		annotate(c, v1alpha1.RotateAnnotation, "now")
		reconcile(c)
		_, next := projected("shop-tls")
		theirs.Data["tls.crt"] = next.Data["tls.crt"] // a certificate without its key
		Expect(cp.Client.Update(ctx, theirs)).To(Succeed())
		reconcile(i)
		is(i, metav1.ConditionFalse, v1alpha1.ReasonInvalidCertificate, "theirs", "the private key is not the certificate's")
		verified("imported", "shop.example.com")
		theirs.Data["tls.key"] = next.Data["tls.key"]
		Expect(cp.Client.Update(ctx, theirs)).To(Succeed())
		reconcile(i)
		isReady(i)
		Expect(i.Status.Fingerprint).To(Equal(c.Status.Fingerprint))
		verified("imported", "shop.example.com")
	})

	It("is looked at again when it ends, and says Expired from then on until its successor is imported", func() {
		readyRoot()
		c := readyShop()
		theirs := source("theirs", "shop-tls")
		Expect(cp.Client.Create(ctx, theirs)).To(Succeed())
		once := imported()
		once.Spec.ImportFrom.Policy = v1alpha1.ImportOnce
		create(once)
		Expect(reconcile(once).RequeueAfter).To(BeNumerically("~", c.Status.NotAfter.Sub(env.Clock.Now()), time.Second))
		isReady(once)
		api := imported() // as one that ImportCertificate made: nothing in spec says where it comes from
		api.Name, api.Spec.ImportFrom.Policy = "api", v1alpha1.ImportOnce
		create(api)
		reconcile(api)
		update(api, func() { api.Spec.ImportFrom = nil })

		env.Clock.Set(c.Status.NotAfter.Add(-time.Second))
		for _, i := range []*v1alpha1.Certificate{once, api} {
			Expect(reconcile(i).RequeueAfter).To(Equal(time.Second), i.Name)
			isReady(i)
		}
		env.Clock.Set(c.Status.NotAfter.Time)
		for _, i := range []*v1alpha1.Certificate{once, api} {
			reconcile(i)
			is(i, metav1.ConditionFalse, v1alpha1.ReasonExpired, "has expired", "import its successor", c.Status.NotAfter.UTC().Format(time.RFC3339))
			projected(i.Name)
		}

		reconcile(c)
		_, next := projected("shop-tls")
		theirs.Data = next.Data
		Expect(cp.Client.Update(ctx, theirs)).To(Succeed())
		annotate(once, v1alpha1.RotateAnnotation, "now")
		reconcile(once)
		isReady(once)
		Expect(once.Status.Fingerprint).To(Equal(c.Status.Fingerprint))
	})

	It("waits for its source", func() {
		i := imported()
		create(i)
		Expect(reconcile(i).RequeueAfter).To(BeNumerically(">", 0))
		is(i, metav1.ConditionFalse, v1alpha1.ReasonSourceNotFound, "theirs", "create it")
	})
})

var _ = Describe("What a Certificate costs", func() {
	It("is four writes for a new one, four for a renewal, and none for a resync", func() {
		readyRoot()
		faulty, writes := env.Faulty()
		c := shop()
		create(c)
		pass := func() {
			GinkgoHelper()
			writes.FailAt(0, false)
			_, err := faulty.Certificate.Reconcile(ctx, environment.Request(c))
			Expect(err).NotTo(HaveOccurred())
			refresh(c)
			seen(c)
		}
		pass()
		Expect(writes.Log()).To(Equal([]string{"create", "create", "create", "status"}))
		pass()
		Expect(writes.Log()).To(BeEmpty())
		annotate(c, v1alpha1.RotateAnnotation, "now")
		pass()
		Expect(writes.Log()).To(Equal([]string{"create", "create", "apply", "status"}))
	})
})
