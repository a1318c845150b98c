package secret_test

import (
	"encoding/json"
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/internal/store"
)

// buried deletes a Secret and puts the tombstone there that a manager makes which sees it, or one without the spec.
func buried(s *v1alpha1.Secret, withSpec bool) {
	GinkgoHelper()
	content := store.Tombstone{Index: secretsmanager.IndexOf(s)}
	if withSpec {
		var err error
		content.Spec, err = json.Marshal(s.Spec)
		Expect(err).NotTo(HaveOccurred())
	}
	remove(s)
	ring, err := env.Services.Keyring.Get()
	Expect(err).NotTo(HaveOccurred())
	now := env.Clock.Now()
	e, err := store.NewTombstone(ring, namespace, secretsmanager.Owner(s.Name), s.Status.ARN, content, now, now.AddDate(0, 0, 30))
	Expect(err).NotTo(HaveOccurred())
	create(e)
}

// damage puts a copy of a version's Envelope in its place, with a flipped bit, and returns the good one.
func damage(sequence int64) *v1alpha1.Envelope {
	GinkgoHelper()
	for _, e := range envelopes(v1alpha1.EnvelopeSecretVersion) {
		if e.Spec.Sequence != sequence {
			continue
		}
		good := e.DeepCopy()
		good.ObjectMeta = metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Name}
		remove(&e)
		bad := good.DeepCopy()
		bad.Spec.Ciphertext[100] ^= 1
		create(bad)
		return good
	}
	Fail("there is no such version")
	return nil
}

var _ = Describe("A Secret that is applied again with another source", func() {
	BeforeEach(func() {
		create(coreSecret("first", map[string]string{"password": "one"}))
		create(coreSecret("second", map[string]string{"password": "two"}))
	})

	DescribeTable("imports from it what it imports once", func(before func(*v1alpha1.Secret)) {
		s := made("db", before)
		buried(s, true)
		again := made("db", importFrom("second", v1alpha1.ImportOnce))
		Expect(again.Status.ARN).To(Equal(s.Status.ARN))
		Expect(projected("db")).To(HaveKeyWithValue("value", "two"))
		Expect(again.Status.ImportedFrom).To(Equal("second/password"))
		Expect(again.Status.Versions).To(HaveLen(2))
	},
		Entry("and was imported from another", importFrom("first", v1alpha1.ImportOnce)),
		Entry("and followed another", importFrom("first", v1alpha1.ImportFollow)),
		Entry("and was generated", func(*v1alpha1.Secret) {}),
	)

	It("says so while that is missing, shows what there is, and imports it when it is there", func() {
		s := made("db", importFrom("first", v1alpha1.ImportOnce))
		buried(s, true)
		again := environmentSecret("db", importFrom("third", v1alpha1.ImportOnce))
		create(again)
		reconcile(again)
		is(again, metav1.ConditionFalse, v1alpha1.ReasonSourceNotFound, "third")
		Expect(again.Status.ImportedFrom).To(Equal("first/password"), "which is the truth")
		Expect(projected("db")).To(HaveKeyWithValue("value", "one"))
		create(coreSecret("third", map[string]string{"password": "three"}))
		reconcile(again)
		isReady(again)
		Expect(projected("db")).To(HaveKeyWithValue("value", "three"))
	})

	It("that is the same imports nothing, though it is gone or changed by now", func() {
		s := made("db", importFrom("first", v1alpha1.ImportOnce))
		buried(s, true)
		remove2("first")
		again := made("db", importFrom("first", v1alpha1.ImportOnce))
		Expect(again.Status.Versions).To(HaveLen(1))
		Expect(again.Status.ImportedFrom).To(Equal("first/password"))
	})

	It("imports nothing if it was deleted while no manager ran, so that nobody knows what it was", func() {
		s := made("db", importFrom("first", v1alpha1.ImportOnce))
		buried(s, false)
		again := made("db", importFrom("second", v1alpha1.ImportOnce))
		Expect(again.Status.Versions).To(HaveLen(1))
		Expect(projected("db")).To(HaveKeyWithValue("value", "one"))
	})

	It("keeps its imported value, and says from where, if it is generated from now on", func() {
		s := made("db", importFrom("first", v1alpha1.ImportOnce))
		buried(s, true)
		again := made("db")
		Expect(projected("db")).To(HaveKeyWithValue("value", "one"))
		Expect(again.Status.ImportedFrom).To(Equal("first/password"))
	})
})

// remove2 deletes a core Secret that the cache does not keep.
func remove2(name string) {
	GinkgoHelper()
	Expect(cp.Client.Delete(ctx, target(name))).To(Succeed())
}

var _ = Describe("A Secret of which a stored version was tampered with", func() {
	rotated := func() *v1alpha1.Secret {
		GinkgoHelper()
		s := made("db", template("keys", both))
		for n := range 3 {
			update(s, func() { annotate(v1alpha1.RotateAnnotation, fmt.Sprint(n))(s) })
			reconcile(s)
		}
		return s
	}
	lost := func(s *v1alpha1.Secret) {
		GinkgoHelper()
		refresh(s)
		s.Status = v1alpha1.SecretStatus{}
		Expect(cp.Client.Status().Update(ctx, s)).To(Succeed())
		seen(s)
	}
	ways := map[string]func(s *v1alpha1.Secret) *v1alpha1.Secret{
		"is restored": func(s *v1alpha1.Secret) *v1alpha1.Secret {
			buried(s, true)
			again := environmentSecret("db", template("keys", both))
			create(again)
			return again
		},
		"gets its lost status back": func(s *v1alpha1.Secret) *v1alpha1.Secret { lost(s); return s },
	}
	for name, way := range ways {
		It(name+" without that one, and says which", func() {
			s := rotated()
			before, shown := s.Status.DeepCopy(), projected("db")
			good := damage(2)
			s = way(s)
			env.DrainEvents()
			reconcile(s)
			isReady(s)
			Expect(s.Status.ARN).To(Equal(before.ARN))
			Expect(s.Status.Versions).To(Equal(append(before.Versions[:1:1], before.Versions[2:]...)))
			Expect(projected("db")).To(Equal(shown))
			Expect(env.DrainEvents()).To(ContainElement(And(
				ContainSubstring("EnvelopeTampered 1 versions do not open"), ContainSubstring(good.Name), ContainSubstring("status.versions"))))

			By("the good Envelope coming back, as the event says")
			bad := good.DeepCopy()
			remove(bad)
			create(good)
			refresh(s)
			s.Status.Versions = nil
			Expect(cp.Client.Status().Update(ctx, s)).To(Succeed())
			seen(s)
			reconcile(s)
			Expect(s.Status.Versions).To(Equal(before.Versions))
		})

		It(name+" not at all if it is the current one: an older value is no restoration", func() {
			s := rotated()
			damage(4)
			s = way(s)
			reconcile(s)
			is(s, metav1.ConditionFalse, v1alpha1.ReasonEnvelopeTampered, "does not open")
			Expect(s.Status.Versions).To(BeEmpty())
		})
	}

	It("waits with leaving it out while its key is not whole, since that may be what is wrong", func() {
		s := rotated()
		damage(2)
		for _, e := range envelopes(v1alpha1.EnvelopeKeyMaterial) {
			planted := e.DeepCopy()
			planted.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: store.Name(e.Spec.Class, e.Spec.Subject, 9)}
			planted.Spec.Sequence = 9
			create(planted)
			reconcileKey(key)
			lost(s)
			reconcile(s)
			is(s, metav1.ConditionFalse, v1alpha1.ReasonEnvelopeTampered)
			Expect(s.Status.Versions).To(BeEmpty())
			remove(planted)
			reconcileKey(key)
		}
		env.Clock.Advance(time.Minute)
		reconcile(s)
		isReady(s)
		Expect(s.Status.Versions).To(HaveLen(3))
	})
})
