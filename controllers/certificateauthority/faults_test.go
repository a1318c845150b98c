package certificateauthority_test

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/pki"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("An authority's time", func() {
	It("is planned at two thirds of its life, and it is renewed then, with its key, and once", func() {
		ca := ready("one")
		chain, err := world.Services.Authorities.Chain(ctx, ca)
		Expect(err).NotTo(HaveOccurred())
		leaf := issued(ca)
		life := ca.Status.NotAfter.Sub(ca.Status.NotBefore.Time)
		Expect(ca.Status.RenewalTime.Time).To(BeTemporally("~", ca.Status.NotAfter.Add(-life/3), 12*time.Hour+time.Second))
		Expect(ca.Status.RenewalTime.Time).To(BeTemporally("<=", ca.Status.NotAfter.Add(-life/3)))
		serial := ca.Status.Serial
		world.Clock.Set(ca.Status.RenewalTime.Add(-time.Second))
		reconcile(ca)
		Expect(ca.Status.Serial).To(Equal(serial))
		world.Clock.Set(ca.Status.RenewalTime.Time)
		reconcile(ca)
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(ca.Status.Serial).NotTo(Equal(serial))
		next, err := world.Services.Authorities.Chain(ctx, ca)
		Expect(err).NotTo(HaveOccurred())
		Expect(next[0].PublicKey).To(Equal(chain[0].PublicKey), "what it issued is not good any more")
		Expect(next[0].SubjectKeyId).To(Equal(chain[0].SubjectKeyId))
		environment.Verified(string(pki.CertificatesPEM(chain[:1])), string(pki.CertificatesPEM(chain[:1])), world.Clock.Now())
		Expect(leaf.CheckSignatureFrom(next[0])).To(Succeed())
		serial = ca.Status.Serial
		for range 3 {
			reconcile(ca)
		}
		Expect(ca.Status.Serial).To(Equal(serial))
	})

	It("is over when nobody looked: it is renewed at the next look", func() {
		ca := ready("one")
		world.Clock.Set(ca.Status.NotAfter.Add(100 * day))
		reconcile(ca)
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(ca.Status.NotAfter.Time).To(BeTemporally(">", world.Clock.Now()))
	})

	It("of a subordinate is its issuer's at most, and it is renewed after its issuer and not before", func() {
		above := ready("above")
		sub := ready("sub", under("above"), func(ca *v1alpha1.CertificateAuthority) { ca.Spec.Validity = "3000d" })
		Expect(sub.Status.NotAfter.Time).To(BeTemporally("==", above.Status.NotAfter.Time))
		serial := sub.Status.Serial
		world.Clock.Set(above.Status.RenewalTime.Time)
		result := reconcile(sub)
		Expect(sub.Status.Serial).To(Equal(serial), "a renewal that brings nothing")
		Expect(result.RequeueAfter).To(BeNumerically(">=", time.Hour))
		reconcile(above)
		world.Clock.Set(sub.Status.RenewalTime.Add(day))
		reconcile(sub)
		Expect(sub.Status.Serial).NotTo(Equal(serial))
		Expect(sub.Status.NotAfter.Time).To(BeTemporally("==", above.Status.NotAfter.Time))
		Expect(sub.Status.CertificateChain).To(Equal(above.Status.Certificate))
	})

	It("of a subordinate that has none yet is not begun by an issuer that has expired", func() {
		above := ready("above")
		sub := root("sub", under("above"))
		world.Clock.Set(above.Status.NotAfter.Add(time.Minute))
		reconcile(sub)
		is(sub, metav1.ConditionFalse, v1alpha1.ReasonAuthorityNotReady, "expired", "CN=CA above")
		Expect(sub.Status.Versions).To(BeEmpty())
		reconcile(above)
		reconcile(sub)
		is(sub, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	})
})

var _ = Describe("A revocation list", func() {
	It("is believed by openssl, of its own authority, and tells what is revoked", func() {
		ca := ready("one", shownIn("one"))
		good, bad := issued(ca), issued(ca)
		world.Update(ca, func() { ca.Spec.Revoked = []v1alpha1.RevokedCertificate{{Serial: serialOf(bad)}} })
		reconcile(ca)
		m := shown("one")
		Expect(checked(m, good)).To(ContainSubstring("OK"))
		out, err := checked(m, bad)
		Expect(err).To(HaveOccurred())
		Expect(out).To(ContainSubstring("revoked"))
		text, err := openssl(map[string]string{"list": m.Data["ca.crl"], "ca": m.Data["ca.crt"]}, "crl", "-in", "list", "-noout", "-text", "-CAfile", "ca")
		Expect(err).NotTo(HaveOccurred())
		Expect(text).To(And(ContainSubstring("verify OK"), ContainSubstring(asOpenSSL(serialOf(bad)))))
		Expect(metav1.GetControllerOf(m)).To(HaveField("UID", ca.UID))
	})

	It("grows in number though its status was lost and the clock went back", func() {
		ca := ready("one", shownIn("one"))
		first := ca.Status.CRL.Number
		world.Clock.Advance(-time.Hour)
		issuedOne := issued(ca)
		world.Update(ca, func() { ca.Spec.Revoked = []v1alpha1.RevokedCertificate{{Serial: serialOf(issuedOne)}} })
		reconcile(ca)
		Expect(ca.Status.CRL.Number).To(Equal(first + 1))
		world.Clock.Advance(2 * time.Hour)
		ca.Status = v1alpha1.CertificateAuthorityStatus{}
		Expect(world.ControlPlane.Client.Status().Update(ctx, ca)).To(Succeed())
		world.Seen(ca)
		reconcile(ca)
		Expect(ca.Status.CRL.Number).To(BeNumerically(">", first+1))
		Expect(ca.Status.CRL.Revoked).To(Equal(int64(1)), "a revocation is lost with the status")
	})

	It("is made anew when half of its time is over, and never expires while somebody looks", func() {
		ca := ready("one", shownIn("one"), func(ca *v1alpha1.CertificateAuthority) {
			ca.Spec.CRL = &v1alpha1.CertificateRevocationList{ExpirationInDays: 2}
		})
		leaf := issued(ca)
		for range 6 {
			number, next := ca.Status.CRL.Number, ca.Status.CRL.NextUpdate
			Expect(next.Sub(ca.Status.CRL.ThisUpdate.Time)).To(Equal(2 * day))
			world.Clock.Set(ca.Status.CRL.ThisUpdate.Add(day - time.Second))
			result := reconcile(ca)
			Expect(ca.Status.CRL.Number).To(Equal(number))
			Expect(result.RequeueAfter).To(BeNumerically("~", time.Second, time.Second))
			world.Clock.Set(ca.Status.CRL.ThisUpdate.Add(day))
			reconcile(ca)
			Expect(ca.Status.CRL.Number).To(BeNumerically(">", number))
			Expect(checked(shown("one"), leaf)).To(ContainSubstring("OK"))
		}
	})

	It("has what can be revoked though one entry of the spec cannot be, and that is told until it is corrected", func() {
		ca := ready("one", shownIn("one"))
		leaf := issued(ca)
		wrong := strings.Repeat("ab", 16)
		world.Update(ca, func() {
			ca.Spec.Revoked = []v1alpha1.RevokedCertificate{{Serial: wrong}, {Serial: serialOf(leaf)}}
		})
		for range 3 {
			reconcile(ca)
			is(ca, metav1.ConditionFalse, v1alpha1.ReasonNotIssued, wrong, "correct it")
			Expect(ca.Status.CRL.Revoked).To(Equal(int64(1)), "a typing error keeps the list from being made")
		}
		out, err := checked(shown("one"), leaf)
		Expect(err).To(HaveOccurred())
		Expect(out).To(ContainSubstring("revoked"))
		world.Update(ca, func() { ca.Spec.Revoked = ca.Spec.Revoked[1:] })
		reconcile(ca)
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(world.DrainEvents()).To(HaveLen(1), "it is one event, however often it is looked at")
	})

	It("of an authority that is new, whose key is yet to be made, tells of a serial number that it never issued, in whatever pass it gets to it", func() {
		wrong := strings.Repeat("ab", 16)
		ca := described("new", func(ca *v1alpha1.CertificateAuthority) {
			ca.Spec.Revoked = []v1alpha1.RevokedCertificate{{Serial: wrong}}
		})
		world.Create(ca)
		reconcile(ca)
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonKeyUnusable)
		key := environment.KMSKey(world.Namespace, "ca-new")
		world.Refresh(key)
		world.Seen(key)
		world.ReconcileKey(key)
		for range 3 {
			reconcile(ca)
			is(ca, metav1.ConditionFalse, v1alpha1.ReasonNotIssued, wrong)
		}
		issued(ca)
	})

	It("is not the reason for a fault when what it lists has expired in the meantime", func() {
		ca := ready("one", func(ca *v1alpha1.CertificateAuthority) { ca.Spec.Validity = "3000d" })
		leaf := issued(ca)
		world.Update(ca, func() { ca.Spec.Revoked = []v1alpha1.RevokedCertificate{{Serial: serialOf(leaf)}} })
		reconcile(ca)
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		world.Clock.Set(leaf.NotAfter.Add(20 * day))
		reconcile(ca)
		reconcile(ca)
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	})

	It("is not written over what is somebody else's, and is once they let go", func() {
		theirs := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "theirs"}, Data: map[string]string{"ca.crt": "theirs"}}
		Expect(world.ControlPlane.Client.Create(ctx, theirs)).To(Succeed())
		ca := root("one", shownIn("theirs"))
		reconcile(ca)
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonConflict, "theirs", "name another target")
		Expect(ca.Status.Conditions).NotTo(ContainElement(HaveField("Message", ContainSubstring("creationPolicy"))), "it has none to set")
		Expect(shown("theirs").Data).To(Equal(map[string]string{"ca.crt": "theirs"}))
		Expect(ca.Status.Versions).To(HaveLen(1), "the certificate is in force all the same")
		Expect(world.ControlPlane.Client.Delete(ctx, theirs)).To(Succeed())
		reconcile(ca)
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(shown("theirs").Data["ca.crt"]).To(Equal(ca.Status.Certificate))
	})
})

var _ = Describe("An authority that something is wrong with", func() {
	It("says that its key is disabled or gone, keeps its certificate, and gets no other key", func() {
		ca := ready("one")
		key := environment.KMSKey(world.Namespace, "ca-one")
		world.Update(key, func() { key.Spec.Enabled = new(bool) })
		world.ReconcileKey(key)
		annotate(ca, "now")
		reconcile(ca)
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonKeyUnusable, "ca-one")
		Expect(ca.Status.Versions).To(HaveLen(1))
		Expect(ca.Status.LastHandledRotateAt).To(BeEmpty(), "a renewal that was not done counts as done")
		Expect(world.DrainEvents()).To(BeEmpty(), "the key tells it")
		Expect(world.ControlPlane.Client.Delete(ctx, key)).To(Succeed())
		world.Refresh(key)
		world.Seen(key)
		world.ReconcileKey(key)
		Expect(key.Status.Conditions).To(ContainElement(And(HaveField("Type", v1alpha1.ConditionDeletionBlocked), HaveField("Reason", v1alpha1.ReasonInUse))))
		key.Finalizers = nil // as somebody does who will not wait
		Expect(world.ControlPlane.Client.Update(ctx, key)).To(Succeed())
		Eventually(func() error {
			return world.GetClient().Get(ctx, environment.Request(key).NamespacedName, key.DeepCopy())
		}).ShouldNot(Succeed())
		reconcile(ca)
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonKeyNotFound, "ca-one")
		Expect(world.ControlPlane.Client.Get(ctx, environment.Request(key).NamespacedName, key)).NotTo(Succeed(), "another key is made, under which nothing is good")
	})

	It("says that its Envelope was tampered with or is missing, and issues nothing meanwhile", func() {
		ca := ready("one")
		e := own(ca)[0]
		good := e.DeepCopy()
		bad := world.Exchange(&e, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[50] ^= 1 })
		reconcile(ca)
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonEnvelopeTampered, e.Name)
		Expect(ca.Status.Versions).To(HaveLen(1), "another certificate was made in its place")
		back := world.Exchange(bad, func(e *v1alpha1.Envelope) { e.Spec = good.Spec })
		reconcile(ca)
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		world.Remove(back)
		reconcile(ca)
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonEnvelopeMissing, "backup")
	})

	It("says that its ARN is another's, and that its account is", func() {
		ca, other := ready("one"), ready("other")
		arnOf := ca.Status.ARN
		for _, foreign := range []string{strings.Replace(arnOf, "us-east-1", "eu-west-1", 1), "arn:aws:acm:us-east-1:" + arn.Account(arnOf) + ":certificate/x", "x"} {
			ca.Status.ARN = foreign
			Expect(world.ControlPlane.Client.Status().Update(ctx, ca)).To(Succeed())
			world.Seen(ca)
			reconcile(ca)
			is(ca, metav1.ConditionFalse, v1alpha1.ReasonEnvelopeTampered, "status.arn", "--subresource=status")
		}
		ca.Status.ARN = ""
		Expect(world.ControlPlane.Client.Status().Update(ctx, ca)).To(Succeed())
		world.Seen(ca)
		reconcile(ca)
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(ca.Status.ARN).To(Equal(arnOf), "it is rebuilt from the Envelopes")

		ns := environment.NamespaceObject()
		ns.Name = world.Namespace
		world.Update(ns, func() { metav1.SetMetaDataLabel(&ns.ObjectMeta, v1alpha1.AccountIDLabel, "12") })
		reconcile(other)
		is(other, metav1.ConditionFalse, v1alpha1.ReasonInvalidAccount, v1alpha1.AccountIDLabel)
		Expect(other.Status.ARN).NotTo(BeEmpty())
	})

	It("waits while the keyring is sealed, and loses nothing", func() {
		ca := ready("one")
		annotate(ca, "now")
		unseal := world.Seal(nil)
		_, err := world.CertificateAuthority.Reconcile(ctx, environment.Request(ca))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(ca)
		world.Seen(ca)
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonSealed)
		Expect(ca.Status.Versions).To(HaveLen(1))
		unseal()
		reconcile(ca)
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		Expect(ca.Status.Versions).To(HaveLen(2))
	})

	It("is left alone while it is being deleted, and when it is gone", func() {
		ca := ready("one")
		world.Update(ca, func() { ca.Finalizers = []string{"example.com/held"} })
		annotate(ca, "now")
		Expect(world.ControlPlane.Client.Delete(ctx, ca)).To(Succeed())
		world.Refresh(ca)
		world.Seen(ca)
		reconcile(ca)
		Expect(ca.Status.Versions).To(HaveLen(1))
		ca.Finalizers = nil
		Expect(world.ControlPlane.Client.Update(ctx, ca)).To(Succeed())
		Eventually(func() error { return world.GetClient().Get(ctx, environment.Request(ca).NamespacedName, ca.DeepCopy()) }).ShouldNot(Succeed())
		_, err := world.CertificateAuthority.Reconcile(ctx, environment.Request(ca))
		Expect(err).NotTo(HaveOccurred())
	})
})

var _ = Describe("An authority whose KMSKey is deleted by mistake", func() {
	It("says what happens and how to keep the key, on both, and goes on when it is kept", func() {
		ca := ready("internal")
		key := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "ca-internal"}}
		Expect(world.ControlPlane.Client.Delete(ctx, key)).To(Succeed())
		world.Refresh(key)
		world.Seen(key)
		world.DrainEvents()
		for range 2 {
			world.ReconcileKey(key)
			reconcile(ca)
		}
		is(ca, metav1.ConditionFalse, v1alpha1.ReasonKeyUnusable, "ca-internal", "being deleted", "keep this one", "DeletionBlocked")
		world.Refresh(key)
		blocked := meta.FindStatusCondition(key.Status.Conditions, v1alpha1.ConditionDeletionBlocked)
		Expect(blocked).NotTo(BeNil())
		Expect(blocked.Message).To(And(ContainSubstring("internal"), ContainSubstring("To keep the key instead, remove its finalizer")))
		Expect(world.DrainEvents()).To(ConsistOf(ContainSubstring("DeletionBlocked"), ContainSubstring("KeyUnusable")), "once each")

		kept := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}, Spec: key.Spec}
		key.Finalizers = nil
		Expect(world.ControlPlane.Client.Update(ctx, key)).To(Succeed())
		Eventually(func() error { _, err := world.Services.KMS.ByName(ctx, key.Namespace, key.Name); return err }).ShouldNot(Succeed())
		world.Create(kept)
		world.ReconcileKey(kept)
		reconcile(ca)
		is(ca, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
		issued(ca)
	})
})
