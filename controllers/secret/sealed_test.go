package secret_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

var _ = Describe("A sealed value", func() {
	It("is opened, shown and not opened again", func() {
		s := ready(sealed(seal("db", "hunter2")))
		Expect(projected("db")).To(Equal(map[string]string{"value": "hunter2"}))
		Expect(s.Status.ImportedFrom).To(HavePrefix("sealed/"))
		reconcile(s)
		Expect(s.Status.Versions).To(HaveLen(1))
	})

	It("that is another is a new version, and the same one sealed again is none", func() {
		s := ready(sealed(seal("db", "one")))
		update(s, func() { s.Spec.Sealed = seal("db", "one") })
		reconcile(s)
		Expect(s.Status.Versions).To(HaveLen(1))
		update(s, func() { s.Spec.Sealed = seal("db", "two") })
		reconcile(s)
		Expect(s.Status.Versions).To(HaveLen(2))
		Expect(projected("db")).To(Equal(map[string]string{"value": "two"}))
		Expect(value(s, v1alpha1.StagePrevious)).To(Equal("one"))
	})

	It("for another name is Stalled, and what is in force stays shown", func() {
		s := ready(sealed(seal("db", "one")))
		update(s, func() { s.Spec.Sealed = seal("other", "two") })
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonSealedInvalid)))
		Expect(projected("db")).To(Equal(map[string]string{"value": "one"}))
	})

	It("of another namespace's key is Stalled", func() {
		text := seal("db", "one")
		other, err := cp.NewNamespace(ctx)
		Expect(err).NotTo(HaveOccurred())
		s := environmentSecret("db", sealed(text))
		s.Namespace, s.Spec.KMSKeyRef = other, nil
		create(s)
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonSealedInvalid))
	})

	It("opens after its key has rotated, and new ones are sealed for the new material", func() {
		former, text := key.Status.SealingPublicKey, seal("db", "one")
		refresh(key)
		metav1.SetMetaDataAnnotation(&key.ObjectMeta, v1alpha1.RotateAnnotation, "now")
		Expect(cp.Client.Update(ctx, key)).To(Succeed())
		seen(key)
		reconcileKey(key)
		Expect(key.Status.SealingPublicKey).NotTo(Equal(former))
		s := ready(sealed(text))
		update(s, func() { s.Spec.Sealed = seal("db", "two") })
		reconcile(s)
		Expect(projected("db")).To(Equal(map[string]string{"value": "two"}))
	})

	It("waits for a key that is disabled", func() {
		text := seal("db", "one")
		disabled := false
		refresh(key)
		key.Spec.Enabled = &disabled
		Expect(cp.Client.Update(ctx, key)).To(Succeed())
		seen(key)
		reconcileKey(key)
		Expect(key.Status.SealingPublicKey).To(BeEmpty())
		s := environmentSecret("db", sealed(text))
		create(s)
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonKeyUnusable))
	})

	It("is the first value of a rotator's and no more", func() {
		rotated := func(s *v1alpha1.Secret) {
			s.Spec.Rotation = &v1alpha1.SecretRotation{Postgres: &v1alpha1.DatabaseRotator{}}
		}
		s := ready(sealed(seal("db", "one")), rotated)
		update(s, func() { s.Spec.Sealed = seal("db", "two") })
		reconcile(s)
		Expect(projected("db")).To(Equal(map[string]string{"value": "one"}), "a credential that the server never accepted is shown")
	})

	It("does not overwrite what was put through the API until it is another, whoever asks for a rotation", func() {
		s := ready(sealed(seal("db", "one")))
		_, err := env.Services.Secrets.PutValue(ctx, secretsmanager.PutValueInput{
			Secret: s, Key: key, Token: "0f0e0d0c-0b0a-4908-8706-050403020100", Value: secretsmanager.Value{Bytes: secretbytes.Own([]byte("by the API"))},
		})
		Expect(err).NotTo(HaveOccurred())
		refresh(s)
		seen(s)
		reconcile(s)
		Expect(projected("db")).To(Equal(map[string]string{"value": "by the API"}))
		update(s, func() { annotate(v1alpha1.RotateAnnotation, "now")(s) })
		reconcile(s)
		Expect(projected("db")).To(Equal(map[string]string{"value": "by the API"}))
		update(s, func() { s.Spec.Sealed = seal("db", "two") })
		reconcile(s)
		Expect(projected("db")).To(Equal(map[string]string{"value": "two"}))
	})
})

var _ = Describe("A key's public half for sealing", func() {
	It("that somebody exchanged in status is put right", func() {
		mine := key.Status.SealingPublicKey
		key.Status.SealingPublicKey = "strongroom-sealing-key-v1 AAAA arn:aws:kms:us-east-1:123456789012:key/x"
		Expect(cp.Client.Status().Update(ctx, key)).To(Succeed())
		seen(key)
		reconcileKey(key)
		Expect(key.Status.SealingPublicKey).To(Equal(mine))
	})
})
