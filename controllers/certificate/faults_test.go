package certificate_test

import (
	"encoding/json"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/test/environment"
)

const day = 24 * time.Hour

// key is a KMSKey as it is.
func key(name string) *v1alpha1.KMSKey {
	GinkgoHelper()
	k := environment.KMSKey(namespace, name)
	refresh(k)
	return k
}

// enable lets a KMSKey be used, or not.
func enable(name string, enabled bool) {
	GinkgoHelper()
	k := key(name)
	update(k, func() { k.Spec.Enabled = &enabled })
	reconcileKey(name)
}

// targetOf is the core Secret of a name, nil if there is none.
func targetOf(name string) *corev1.Secret {
	GinkgoHelper()
	s := &corev1.Secret{}
	err := cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, s)
	if apierrors.IsNotFound(err) {
		return nil
	}
	Expect(err).NotTo(HaveOccurred())
	return s
}

var _ = Describe("A Certificate whose authority is in trouble", func() {
	It("waits for a key that is disabled, and what there is stays shown", func() {
		ca := readyRoot()
		c := readyShop()
		first := verified("shop-tls", "shop.example.com")
		enable("shop-ca", false)
		reconcile(ca)
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonKeyUnusable, "shop-ca")
		annotate(c, v1alpha1.RotateAnnotation, "now")
		reconcile(c)
		is(c, metav1.ConditionFalse, v1alpha1.ReasonKeyUnusable, "shop-ca")
		Expect(c.Status.LastHandledRotateAt).To(BeEmpty(), "a renewal that was not done counts as done")
		Expect(verified("shop-tls", "shop.example.com").Equal(first)).To(BeTrue())
		Expect(cp.Client.Delete(ctx, targetOf("shop-tls"))).To(Succeed())
		Eventually(func() bool {
			return env.GetClient().Get(ctx, client.ObjectKey{Namespace: namespace, Name: "shop-tls"}, &corev1.Secret{}) != nil
		}).Should(BeTrue())
		reconcile(c)
		Expect(verified("shop-tls", "shop.example.com").Equal(first)).To(BeTrue(), "what cannot be renewed is not healed either")
		enable("shop-ca", true)
		reconcile(c)
		isReady(c)
		Expect(verified("shop-tls", "shop.example.com").Equal(first)).To(BeFalse())
	})

	It("is not issued by one that has expired, and is when that is renewed", func() {
		ca := readyRoot(func(ca *v1alpha1.CertificateAuthority) { ca.Spec.Validity = "30d" })
		for _, late := range []time.Duration{0, 30 * time.Minute, 100 * day} {
			env.Clock.Set(ca.Status.NotAfter.Add(late))
			c := shop(func(c *v1alpha1.Certificate) { c.Name = "late"; c.Spec.Target = nil })
			create(c)
			reconcile(c)
			is(c, metav1.ConditionFalse, v1alpha1.ReasonAuthorityNotReady, "expired")
			Expect(c.Status.Versions).To(BeEmpty())
			remove(c)
		}
		Expect(envelopes(v1alpha1.EnvelopePrivateKey)).To(BeEmpty())
		reconcile(ca)
		isReady(ca)
		readyShop()
		verified("shop-tls", "shop.example.com")
	})

	It("that ends before the leaf would, is the leaf's end; then it is said, and the leaf is not issued again and again", func() {
		ca := readyRoot(func(ca *v1alpha1.CertificateAuthority) { ca.Spec.Validity = "60d" })
		c := readyShop(func(c *v1alpha1.Certificate) { c.Spec.RenewBefore = "" })
		Expect(c.Status.NotAfter.Time).To(BeTemporally("==", ca.Status.NotAfter.Time))
		env.Clock.Set(c.Status.RenewalTime.Time)
		for range 3 {
			result := reconcile(c)
			is(c, metav1.ConditionFalse, v1alpha1.ReasonAuthorityNotReady, "a new one would end no later")
			Expect(result.RequeueAfter).To(BeNumerically(">", 0))
			Expect(c.Status.Versions).To(HaveLen(1))
		}
		verified("shop-tls", "shop.example.com")
		env.Clock.Advance(2 * day)
		reconcile(ca)
		reconcile(c)
		isReady(c)
		Expect(c.Status.NotAfter.Time).To(BeTemporally(">", env.Clock.Now().Add(50*day)))
	})

	It("that is deleted, is told, and what there is stays shown and is issued anew by the next of its name", func() {
		ca := readyRoot()
		c := readyShop()
		first := verified("shop-tls", "shop.example.com")
		remove(ca)
		reconcile(c)
		is(c, metav1.ConditionFalse, v1alpha1.ReasonAuthorityNotFound, "internal")
		Expect(verified("shop-tls", "shop.example.com").Equal(first)).To(BeTrue())
		for _, e := range envelopes(v1alpha1.EnvelopeIssuedCertificate) {
			remove(&e) // as if its recovery window were over
		}
		for _, e := range envelopes(v1alpha1.EnvelopeTombstone) {
			remove(&e)
		}
		key := environment.KMSKey(namespace, "shop-ca")
		update(key, func() { key.Spec.CertificateAuthorityRef = &v1alpha1.LocalReference{Name: "internal"} })
		next := readyRoot()
		Expect(next.Status.ARN).NotTo(Equal(ca.Status.ARN))
		reconcile(c)
		isReady(c)
		Expect(c.Status.AuthorityARN).To(Equal(next.Status.ARN))
		Expect(verified("shop-tls", "shop.example.com").Equal(first)).To(BeFalse())
	})

	It("whose own KMSKey is disabled is neither issued nor recorded, and what there is cannot be read", func() {
		readyRoot()
		enable("aws-acm", false)
		before := len(envelopes(v1alpha1.EnvelopeIssuedCertificate))
		c := shop()
		create(c)
		reconcile(c)
		is(c, metav1.ConditionFalse, v1alpha1.ReasonKeyUnusable, "aws-acm")
		Expect(envelopes(v1alpha1.EnvelopeIssuedCertificate)).To(HaveLen(before))
		Expect(targetOf("shop-tls")).To(BeNil())
		enable("aws-acm", true)
		reconcile(c)
		isReady(c)
	})
})

var _ = Describe("A Certificate at two thirds of its life", func() {
	It("is renewed then, not a second earlier, each time with another key", func() {
		readyRoot()
		c := readyShop(func(c *v1alpha1.Certificate) { c.Spec.RenewBefore = "" })
		seenKeys := map[string]bool{}
		for range 4 {
			leaf := verified("shop-tls", "shop.example.com")
			der, err := json.Marshal(leaf.PublicKey)
			Expect(err).NotTo(HaveOccurred())
			Expect(seenKeys).NotTo(HaveKey(string(der)), "a key is used twice")
			seenKeys[string(der)] = true
			life := leaf.NotAfter.Sub(leaf.NotBefore)
			due := c.Status.RenewalTime.Time
			Expect(due).To(BeTemporally("~", leaf.NotAfter.Add(-life/3-life/100), life/100+time.Second), "within a fiftieth before two thirds")
			env.Clock.Set(due.Add(-time.Second))
			result := reconcile(c)
			Expect(result.RequeueAfter).To(Equal(time.Second))
			Expect(pki.FormatSerial(leaf.SerialNumber)).To(Equal(c.Status.Serial), "a second too early")
			env.Clock.Set(due)
			reconcile(c)
			isReady(c)
			Expect(pki.FormatSerial(leaf.SerialNumber)).NotTo(Equal(c.Status.Serial))
		}
		Expect(envelopes(v1alpha1.EnvelopePrivateKey)).To(HaveLen(2))
	})
})

var _ = Describe("A Certificate that is suspended", func() {
	It("is neither renewed nor healed nor imported, and goes on where it was", func() {
		readyRoot()
		c := readyShop()
		first := verified("shop-tls", "shop.example.com")
		update(c, func() { c.Spec.Suspend = true; c.Spec.SubjectAlternativeNames = []string{"other.example.com"} })
		annotate(c, v1alpha1.RotateAnnotation, "now")
		env.Clock.Set(c.Status.RenewalTime.Add(day))
		Expect(cp.Client.Delete(ctx, targetOf("shop-tls"))).To(Succeed())
		result := reconcile(c)
		is(c, metav1.ConditionFalse, v1alpha1.ReasonSuspended, "spec.suspend")
		Expect(result.RequeueAfter).To(BeZero())
		Expect(targetOf("shop-tls")).To(BeNil())
		Expect(c.Status.Versions).To(HaveLen(1))
		Expect(c.Status.ObservedGeneration).To(Equal(c.Generation))
		update(c, func() { c.Spec.Suspend = false })
		reconcile(c)
		isReady(c)
		Expect(verified("shop-tls", "other.example.com").Equal(first)).To(BeFalse())
	})
})

var _ = Describe("A Certificate that something is wrong with", func() {
	It("shows nothing of an Envelope that was tampered with, and leaves alone what it showed before", func() {
		readyRoot()
		c := readyShop()
		first := verified("shop-tls", "shop.example.com")
		e := envelopes(v1alpha1.EnvelopePrivateKey)[0]
		good := e.DeepCopy()
		remove(&e)
		bad := good.DeepCopy()
		bad.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: good.Name}
		bad.Spec.Ciphertext[len(bad.Spec.Ciphertext)/2] ^= 1
		create(bad)
		annotate(c, v1alpha1.RotateAnnotation, "now")
		reconcile(c)
		is(c, metav1.ConditionFalse, v1alpha1.ReasonEnvelopeTampered, e.Name)
		Expect(verified("shop-tls", "shop.example.com").Equal(first)).To(BeTrue())
		Expect(envelopes(v1alpha1.EnvelopePrivateKey)).To(HaveLen(1), "another version was made over a damaged one")
		remove(bad)
		reconcile(c)
		is(c, metav1.ConditionFalse, v1alpha1.ReasonEnvelopeMissing, "backup")
	})

	It("says that its status is another's, or that its account is none", func() {
		readyRoot()
		c := readyShop()
		given := c.Status.ARN
		c.Status.ARN = strings.Replace(given, "us-east-1", "eu-west-1", 1)
		Expect(cp.Client.Status().Update(ctx, c)).To(Succeed())
		seen(c)
		reconcile(c)
		is(c, metav1.ConditionFalse, v1alpha1.ReasonEnvelopeTampered, "status.arn")
		c.Status.ARN = ""
		Expect(cp.Client.Status().Update(ctx, c)).To(Succeed())
		seen(c)
		reconcile(c)
		isReady(c)
		Expect(c.Status.ARN).To(Equal(given))
		ns := environment.NamespaceObject()
		ns.Name = namespace
		refresh(ns)
		metav1.SetMetaDataLabel(&ns.ObjectMeta, v1alpha1.AccountIDLabel, "x")
		Expect(cp.Client.Update(ctx, ns)).To(Succeed())
		Eventually(func() string {
			cached := environment.NamespaceObject()
			_ = env.GetClient().Get(ctx, client.ObjectKeyFromObject(ns), cached)
			return cached.ResourceVersion
		}).Should(Equal(ns.ResourceVersion))
		reconcile(c)
		is(c, metav1.ConditionFalse, v1alpha1.ReasonInvalidAccount, v1alpha1.AccountIDLabel)
	})

	It("that lost its status has all of it back, and its certificate is the same", func() {
		readyRoot()
		c := readyShop()
		annotate(c, v1alpha1.RotateAnnotation, "now")
		reconcile(c)
		before := c.Status.DeepCopy()
		c.Status = v1alpha1.CertificateStatus{}
		Expect(cp.Client.Status().Update(ctx, c)).To(Succeed())
		seen(c)
		reconcile(c)
		isReady(c)
		for _, s := range []*v1alpha1.CertificateStatus{before, &c.Status} {
			s.Conditions = nil
		}
		Expect(c.Status).To(Equal(*before))
	})

	It("does not write over a core Secret of somebody else's, and does once they let go", func() {
		readyRoot()
		theirs := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shop-tls"}, Data: map[string][]byte{"a": []byte("b")}}
		Expect(cp.Client.Create(ctx, theirs)).To(Succeed())
		c := shop()
		create(c)
		Expect(reconcile(c).RequeueAfter).To(BeNumerically(">", 0))
		is(c, metav1.ConditionFalse, v1alpha1.ReasonConflict, "shop-tls")
		Expect(targetOf("shop-tls").Data).To(Equal(theirs.Data))
		Expect(c.Status.Versions).To(HaveLen(1))
		Expect(cp.Client.Delete(ctx, theirs)).To(Succeed())
		reconcile(c)
		isReady(c)
		verified("shop-tls", "shop.example.com")
	})

	It("removes a target that it is not to show any more, and shows the other", func() {
		readyRoot()
		c := readyShop()
		update(c, func() { c.Spec.Target.Name = "other-tls" })
		reconcile(c)
		isReady(c)
		Expect(targetOf("shop-tls")).To(BeNil(), "a private key is left where nobody looks after it")
		verified("other-tls", "shop.example.com")
		update(c, func() { c.Spec.Target = nil })
		reconcile(c)
		isReady(c)
		Expect(targetOf("other-tls")).To(BeNil())
		Expect(c.Status.Projection).To(BeNil())
	})

	It("has no time of renewal any more when nothing renews it", func() {
		readyRoot()
		c := readyShop()
		update(c, func() { c.Spec = v1alpha1.CertificateSpec{Target: c.Spec.Target} })
		reconcile(c)
		isReady(c)
		Expect(c.Status.RenewalTime).To(BeNil())
		verified("shop-tls", "shop.example.com")
		env.Clock.Advance(80 * day)
		reconcile(c)
		Expect(c.Status.Versions).To(HaveLen(1))
	})

	It("of which nobody says where it comes from waits to be imported", func() {
		c := &v1alpha1.Certificate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "api"}}
		create(c)
		reconcile(c)
		is(c, metav1.ConditionFalse, v1alpha1.ReasonNoCertificate, "ImportCertificate")
		Expect(c.Status.ARN).NotTo(BeEmpty(), "it can be imported into")
	})

	It("tells nothing of its private key in conditions, events, Envelopes, logs or its own object", func() {
		var log strings.Builder
		logged := withLog(&log)
		ca := readyRoot()
		c := readyShop()
		bundle, err := env.Services.Certificates.Current(ctx, c)
		Expect(err).NotTo(HaveOccurred())
		secret := canaries(bundle.Key.Reveal())
		enable("shop-ca", false)
		annotate(c, v1alpha1.RotateAnnotation, "now")
		_, err = env.Certificate.Reconcile(logged, environment.Request(c))
		Expect(err).NotTo(HaveOccurred())
		_, err = env.CertificateAuthority.Reconcile(logged, environment.Request(ca))
		Expect(err).NotTo(HaveOccurred())
		refresh(c)
		var texts []string
		for _, obj := range []any{c, ca, envelopes(v1alpha1.EnvelopePrivateKey), envelopes(v1alpha1.EnvelopeIssuedCertificate), env.DrainEvents(), log.String()} {
			text, err := json.Marshal(obj)
			Expect(err).NotTo(HaveOccurred())
			texts = append(texts, string(text))
		}
		for _, text := range texts {
			for _, part := range secret {
				Expect(strings.Contains(text, part)).To(BeFalse(), "a part of the private key is shown")
			}
		}
		Expect(keys.KindPrivateKey).NotTo(Equal(keys.KindIssuedCertificate), "one could be put in the other's place")
	})
})
