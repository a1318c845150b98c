package secret_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/sealing"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("A sealed value that is to be sealed anew", func() {
	ask := func(s *v1alpha1.Secret, to string) {
		GinkgoHelper()
		update(s, func() { annotate(v1alpha1.ResealAnnotation, to)(s) })
		reconcile(s)
	}
	rotateKey := func() {
		GinkgoHelper()
		refresh(key)
		metav1.SetMetaDataAnnotation(&key.ObjectMeta, v1alpha1.RotateAnnotation, "now")
		Expect(cp.Client.Update(ctx, key)).To(Succeed())
		seen(key)
		reconcileKey(key)
	}
	newest := func(text string) bool {
		GinkgoHelper()
		public, err := sealing.ParsePublicKey(key.Status.SealingPublicKey)
		Expect(err).NotTo(HaveOccurred())
		h, err := sealing.Identify(text)
		Expect(err).NotTo(HaveOccurred())
		return public.Seals(h)
	}

	It("is there for the key's newest material, once, and gone with the annotation", func() {
		s := ready(sealed(seal("db", "one")))
		rotateKey()
		Expect(newest(s.Spec.Sealed)).To(BeFalse())
		ask(s, "")
		Expect(s.Status.Resealed).NotTo(BeNil())
		Expect(s.Status.Resealed.Message).To(BeEmpty())
		Expect(s.Status.Resealed.Source).To(Equal(s.Status.ImportedFrom))
		text := s.Status.Resealed.Sealed
		Expect(newest(text)).To(BeTrue())
		reconcile(s)
		Expect(s.Status.Resealed.Sealed).To(Equal(text), "each pass seals anew and writes")
		Expect(s.Status.Versions).To(HaveLen(1))

		update(s, func() { s.Spec.Sealed = text; delete(s.Annotations, v1alpha1.ResealAnnotation) })
		reconcile(s)
		reconcile(s)
		Expect(s.Status.Resealed).To(BeNil())
		Expect(condition(s, v1alpha1.ConditionReady).Status).To(Equal(metav1.ConditionTrue))
		Expect(s.Status.Versions).To(HaveLen(1), "the same value is no new version")
		Expect(projected("db")).To(Equal(map[string]string{"value": "one"}))
	})

	It("does not take the place of what was put through the API since, when it is applied", func() {
		s := ready(sealed(seal("db", "one")))
		put := func(token, value string) {
			GinkgoHelper()
			_, err := env.Services.Secrets.PutValue(ctx, secretsmanager.PutValueInput{
				Secret: s, Key: key, Token: token, Value: secretsmanager.Value{Bytes: secretbytes.Own([]byte(value))},
			})
			Expect(err).NotTo(HaveOccurred())
			refresh(s)
			seen(s)
			reconcile(s)
		}
		put("0f0e0d0c-0b0a-4908-8706-050403020100", "two")
		rotateKey()
		ask(s, "")
		text := s.Status.Resealed.Sealed
		update(s, func() { delete(s.Annotations, v1alpha1.ResealAnnotation) })
		reconcile(s)
		Expect(s.Status.Resealed).To(And(Not(BeNil()), HaveField("Sealed", ""), HaveField("Digest", Not(BeEmpty()))))
		update(s, func() { s.Spec.Sealed = text })
		reconcile(s)
		reconcile(s)
		Expect(projected("db")).To(Equal(map[string]string{"value": "two"}), "the value that was sealed took the place of what was put since")
		Expect(s.Status.Versions).To(HaveLen(2))
		Expect(s.Status.Resealed).To(BeNil())
		Expect(s.Status.ImportedFrom).To(HaveSuffix(sealing.Digest(text)))
		update(s, func() { s.Spec.Sealed = seal("db", "three") })
		reconcile(s)
		Expect(projected("db")).To(Equal(map[string]string{"value": "three"}), "a text with another value is a new version as ever")
	})

	It("is sealed anew again after that, also where a rotator makes the values", func() {
		rotated := func(s *v1alpha1.Secret) {
			s.Spec.Target = nil
			s.Spec.Rotation = &v1alpha1.SecretRotation{Schedule: "rate(1 day)", Postgres: &v1alpha1.DatabaseRotator{}}
		}
		s := environmentSecret("db", sealed(seal("db", `{"host":"127.0.0.1","port":1,"username":"u","password":"p"}`)), rotated)
		create(s)
		reconcile(s)
		for range 2 {
			rotateKey()
			ask(s, "")
			Expect(s.Status.Resealed).To(HaveField("Sealed", Not(BeEmpty())))
			text := s.Status.Resealed.Sealed
			Expect(newest(text)).To(BeTrue())
			update(s, func() { s.Spec.Sealed = text; delete(s.Annotations, v1alpha1.ResealAnnotation) })
			reconcile(s)
			reconcile(s)
			Expect(s.Status.ImportedFrom).To(HaveSuffix(sealing.Digest(text)))
			Expect(s.Status.Versions).To(HaveLen(1))
		}
	})

	It("is still known when a pass fails after it came, and while the annotation is there", func() {
		s := ready(sealed(seal("db", "one")))
		ref := s.Spec.KMSKeyRef
		_, err := env.Services.Secrets.PutValue(ctx, secretsmanager.PutValueInput{
			Secret: s, Key: key, Token: "0f0e0d0c-0b0a-4908-8706-050403020101", Value: secretsmanager.Value{Bytes: secretbytes.Own([]byte("two"))},
		})
		Expect(err).NotTo(HaveOccurred())
		refresh(s)
		seen(s)
		reconcile(s)
		ask(s, "")
		text := s.Status.Resealed.Sealed
		// The key for new versions is not there, so that the pass ends before it commits where the value comes from.
		update(s, func() { s.Spec.Sealed, s.Spec.KMSKeyRef = text, &v1alpha1.LocalReference{Name: "nobody"} })
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonKeyNotFound))
		update(s, func() { s.Spec.KMSKeyRef = ref })
		reconcile(s)
		Expect(projected("db")).To(Equal(map[string]string{"value": "two"}))
		reconcile(s)
		Expect(s.Status.Resealed).To(HaveField("Sealed", Not(BeEmpty())), "what is asked for is answered afterwards")
	})

	It("follows the key's material while it is asked for", func() {
		s := ready(sealed(seal("db", "one")))
		ask(s, key.Name)
		before := s.Status.Resealed.Sealed
		rotateKey()
		reconcile(s)
		Expect(s.Status.Resealed.Sealed).NotTo(Equal(before))
		Expect(newest(s.Status.Resealed.Sealed)).To(BeTrue())
	})

	It("is sealed for another key of the namespace, and opens when the former is gone", func() {
		s := ready(sealed(seal("db", "one")))
		other := environment.KMSKey(namespace, "other")
		create(other)
		reconcileKey(other)
		ask(s, "other")
		Expect(s.Status.Resealed.Message).To(BeEmpty())
		Expect(s.Status.Resealed.Key).To(Equal("other"))
		public, err := sealing.ParsePublicKey(other.Status.SealingPublicKey)
		Expect(err).NotTo(HaveOccurred())
		h, err := sealing.Identify(s.Status.Resealed.Sealed)
		Expect(err).NotTo(HaveOccurred())
		Expect(public.Seals(h)).To(BeTrue())
	})

	It("says what is in the way, and the secret stays Ready", func() {
		s := ready(sealed(seal("db", "one")))
		ask(s, "nobody")
		Expect(s.Status.Resealed.Sealed).To(BeEmpty())
		Expect(s.Status.Resealed.Message).To(And(ContainSubstring("KMSKey nobody"), ContainSubstring("no such key")))
		Expect(condition(s, v1alpha1.ConditionReady).Status).To(Equal(metav1.ConditionTrue))
	})

	It("is not made of a text that does not open for this secret", func() {
		s := ready(sealed(seal("db", "one")))
		update(s, func() { s.Spec.Sealed = seal("stolen", "two") })
		ask(s, "")
		Expect(s.Status.Resealed.Sealed).To(BeEmpty())
		Expect(s.Status.Resealed.Message).To(ContainSubstring("sealed for another object"))
	})

	It("keeps an annotation that is no key's name out of what cannot be written", func() {
		s := ready(sealed(seal("db", "one")))
		long := make([]byte, 5000)
		for i := range long {
			long[i] = 'x'
		}
		ask(s, string(long))
		Expect(s.Status.Resealed.Key).To(HavePrefix("sha256:"))
		Expect(s.Status.Resealed.Message).NotTo(BeEmpty())
	})

	It("is nothing to a secret whose value is not sealed", func() {
		s := ready(annotate(v1alpha1.ResealAnnotation, ""))
		Expect(s.Status.Resealed).To(BeNil())
	})
})
