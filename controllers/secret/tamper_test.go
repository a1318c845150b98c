package secret_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// An attacker who can write Envelopes can delete one and put another in its place, since they are immutable.
var _ = Describe("An Envelope that was exchanged", func() {
	// exchange replaces an Envelope by a changed copy.
	exchange := func(e v1alpha1.Envelope, change func(*v1alpha1.Envelope)) {
		GinkgoHelper()
		remove(&e)
		e.ObjectMeta = metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Name}
		change(&e)
		create(&e)
	}
	refused := func(s *v1alpha1.Secret, reason string, before map[string]string) {
		GinkgoHelper()
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(And(
			HaveField("Status", metav1.ConditionFalse), HaveField("Reason", reason)))
		Expect(condition(s, v1alpha1.ConditionStalled)).NotTo(BeNil())
		Expect(projected(s.Name)).To(Equal(before), "the last good projection must stay")
	}

	DescribeTable("is refused, and the last good projection stays",
		func(change func(*v1alpha1.Envelope)) {
			s := ready()
			before := projected("db")
			exchange(envelopes(v1alpha1.EnvelopeSecretVersion)[0], change)
			refused(s, v1alpha1.ReasonEnvelopeTampered, before)
		},
		Entry("with a flipped bit of ciphertext", func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[100] ^= 1 }),
		Entry("with a flipped bit of the encrypted data key", func(e *v1alpha1.Envelope) { e.Spec.EncryptedDataKey[90] ^= 1 }),
		Entry("truncated", func(e *v1alpha1.Envelope) { e.Spec.Ciphertext = e.Spec.Ciphertext[:50] }),
		Entry("with other stages", func(e *v1alpha1.Envelope) { e.Spec.Stages = []string{"AWSPREVIOUS"} }),
		Entry("with another time of creation", func(e *v1alpha1.Envelope) { e.Spec.CreatedTime = metav1.Unix(1, 0) }),
		Entry("with another version id", func(e *v1alpha1.Envelope) { e.Spec.Version = "00000000-0000-4000-8000-000000000000" }),
		Entry("with another sequence", func(e *v1alpha1.Envelope) { e.Spec.Sequence = 7 }),
		Entry("with another owner", func(e *v1alpha1.Envelope) { e.Spec.Owner.Name = "other" }),
		Entry("with another subject", func(e *v1alpha1.Envelope) { e.Spec.Subject += "x" }),
	)

	It("for an older version of the same secret is refused", func() {
		s := ready()
		old := envelopes(v1alpha1.EnvelopeSecretVersion)[0]
		update(s, func() { annotate(v1alpha1.RotateAnnotation, "now")(s) })
		reconcile(s)
		before := projected("db")
		for _, e := range envelopes(v1alpha1.EnvelopeSecretVersion) {
			if e.Spec.Sequence == 2 {
				exchange(e, func(e *v1alpha1.Envelope) { e.Spec = old.Spec })
			}
		}
		refused(s, v1alpha1.ReasonEnvelopeTampered, before)
	})

	It("for an older one that claims to be the newer is refused", func() {
		s := ready()
		old := envelopes(v1alpha1.EnvelopeSecretVersion)[0]
		update(s, func() { annotate(v1alpha1.RotateAnnotation, "now")(s) })
		reconcile(s)
		before := projected("db")
		for _, e := range envelopes(v1alpha1.EnvelopeSecretVersion) {
			if e.Spec.Sequence == 2 {
				exchange(e, func(e *v1alpha1.Envelope) {
					e.Spec.Ciphertext, e.Spec.EncryptedDataKey = old.Spec.Ciphertext, old.Spec.EncryptedDataKey
				})
			}
		}
		refused(s, v1alpha1.ReasonEnvelopeTampered, before)
	})

	It("for that of another secret is refused", func() {
		s := ready()
		other := environmentSecret("other")
		create(other)
		reconcile(other)
		before := projected("db")
		all := envelopes(v1alpha1.EnvelopeSecretVersion)
		mine, theirs := all[0], all[1]
		if mine.Spec.Owner.Name != "db" {
			mine, theirs = theirs, mine
		}
		exchange(mine, func(e *v1alpha1.Envelope) {
			e.Spec.Ciphertext, e.Spec.EncryptedDataKey = theirs.Spec.Ciphertext, theirs.Spec.EncryptedDataKey
		})
		refused(s, v1alpha1.ReasonEnvelopeTampered, before)
	})

	It("and that nobody asked for never gets into the index", func() {
		s := ready()
		before := projected("db")
		forged := envelopes(v1alpha1.EnvelopeSecretVersion)[0]
		forged.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: store.Name(forged.Spec.Class, forged.Spec.Subject, 2)}
		forged.Spec.Sequence = 2
		forged.Spec.Version = "00000000-0000-4000-8000-000000000000"
		create(&forged)
		refused(s, v1alpha1.ReasonEnvelopeTampered, before)
		Expect(s.Status.Versions).To(HaveLen(1))

		// Nor when it is in the way of a rotation, nor when the index is rebuilt.
		update(s, func() { annotate(v1alpha1.RotateAnnotation, "now")(s) })
		refused(s, v1alpha1.ReasonEnvelopeTampered, before)
		Expect(s.Status.LastHandledRotateAt).To(BeEmpty())
		refresh(s)
		kept := s.Status.DeepCopy()
		s.Status = v1alpha1.SecretStatus{}
		Expect(cp.Client.Status().Update(ctx, s)).To(Succeed())
		seen(s)
		refused(s, v1alpha1.ReasonEnvelopeTampered, before)
		Expect(s.Status.Versions).To(BeEmpty())

		remove(&forged)
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(s.Status.ARN).To(Equal(kept.ARN))
		Expect(s.Status.Versions[0]).To(Equal(kept.Versions[0]))
	})

	It("that is deleted is missed, and heals when a backup brings it back", func() {
		s := ready()
		before := projected("db")
		e := envelopes(v1alpha1.EnvelopeSecretVersion)[0]
		remove(&e)
		refused(s, v1alpha1.ReasonEnvelopeMissing, before)
		e.ObjectMeta = metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Name}
		create(&e)
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	})

	It("cannot be changed in place", func() {
		ready()
		e := envelopes(v1alpha1.EnvelopeSecretVersion)[0]
		e.Spec.Ciphertext[0] ^= 1
		Expect(cp.Client.Update(ctx, &e)).To(MatchError(ContainSubstring("immutable")))
	})
})

var _ = Describe("A lost status", func() {
	lose := func(s *v1alpha1.Secret) {
		GinkgoHelper()
		refresh(s)
		s.Status = v1alpha1.SecretStatus{}
		Expect(cp.Client.Status().Update(ctx, s)).To(Succeed())
		seen(s)
	}

	It("is rebuilt from the Envelopes, with the same ARN, versions and stages, and without a rotation", func() {
		s := ready(template("keys", "{{.current}},{{.previous}}"))
		for _, token := range []string{"a", "b"} {
			update(s, func() { annotate(v1alpha1.RotateAnnotation, token)(s) })
			reconcile(s)
		}
		before, shown := s.Status.DeepCopy(), projected("db")
		lose(s)
		reconcile(s)
		Expect(s.Status.ARN).To(Equal(before.ARN))
		Expect(s.Status.Versions).To(Equal(before.Versions))
		Expect(s.Status.CurrentVersionID).To(Equal(before.CurrentVersionID))
		Expect(projected("db")).To(Equal(shown))
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	})

	It("of a Secret that a backup made again under another UID is rebuilt too", func() {
		s := ready()
		before, shown := s.Status.DeepCopy(), projected("db")
		remove(s)
		again := environmentSecret("db")
		create(again)
		reconcile(again)
		Expect(again.UID).NotTo(Equal(s.UID))
		Expect(again.Status.ARN).To(Equal(before.ARN))
		Expect(again.Status.Versions).To(Equal(before.Versions))
		Expect(projected("db")).To(Equal(shown))
	})
})

var _ = Describe("Identity", func() {
	It("of two Secrets with one AWS name is the older one's", func() {
		ready(func(s *v1alpha1.Secret) { s.Spec.Name = "prod/db" })
		second := environmentSecret("second", func(s *v1alpha1.Secret) { s.Spec.Name = "prod/db" })
		create(second)
		reconcile(second)
		Expect(condition(second, v1alpha1.ConditionStalled)).To(And(
			HaveField("Reason", v1alpha1.ReasonNameConflict), HaveField("Message", ContainSubstring("db"))))
	})

	It("uses the account id of the namespace's label", func() {
		Expect(cp.Namespace(ctx, "labelled", map[string]string{v1alpha1.AccountIDLabel: "123456789012"})).To(Succeed())
		namespace = "labelled"
		k := environment.KMSKey(namespace, "key")
		create(k)
		Eventually(func() string { reconcileKey(k); return k.Status.ARN }).Should(ContainSubstring(":123456789012:key/"))
		s := ready()
		Expect(s.Status.ARN).To(ContainSubstring(":123456789012:secret:"))
	})

	It("in a second namespace of the same account is Stalled", func() {
		Expect(cp.Namespace(ctx, "acct-a", map[string]string{v1alpha1.AccountIDLabel: "210987654321"})).To(Succeed())
		Expect(cp.Namespace(ctx, "acct-b", map[string]string{v1alpha1.AccountIDLabel: "210987654321"})).To(Succeed())
		namespace = "acct-b"
		s := environmentSecret("db")
		create(s)
		Eventually(func() string {
			reconcile(s)
			return condition(s, v1alpha1.ConditionReady).Reason
		}).Should(Equal(v1alpha1.ReasonAccountConflict))
		Expect(condition(s, v1alpha1.ConditionReady).Message).To(ContainSubstring("acct-a"))
	})

	It("in a namespace whose label is no account id is Stalled", func() {
		Expect(cp.Namespace(ctx, "acct-bad", map[string]string{v1alpha1.AccountIDLabel: "12"})).To(Succeed())
		namespace = "acct-bad"
		s := environmentSecret("db")
		create(s)
		Eventually(func() string {
			reconcile(s)
			return condition(s, v1alpha1.ConditionReady).Reason
		}).Should(Equal(v1alpha1.ReasonInvalidAccount))
	})
})
