package kmskey_test

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
	"strongroom.dev/strongroom/internal/service/kms"
	"strongroom.dev/strongroom/test/environment"
)

// signs makes a KMSKey of a spec that signs.
func signs(spec v1alpha1.KeySpec) func(*v1alpha1.KMSKey) {
	return func(k *v1alpha1.KMSKey) { k.Spec.KeySpec, k.Spec.KeyUsage = spec, v1alpha1.KeyUsageSignVerify }
}

// publicKey is the SubjectPublicKeyInfo of a key.
func publicKey(k *v1alpha1.KMSKey) []byte {
	GinkgoHelper()
	public, err := env.Services.KMS.PublicKey(ctx, k)
	Expect(err).NotTo(HaveOccurred())
	return public.DER()
}

var _ = Describe("An asymmetric KMSKey", func() {
	for _, spec := range []v1alpha1.KeySpec{
		v1alpha1.KeySpecRSA2048, v1alpha1.KeySpecRSA3072, v1alpha1.KeySpecRSA4096,
		v1alpha1.KeySpecECCNISTP256, v1alpha1.KeySpecECCNISTP384, v1alpha1.KeySpecECCNISTP521,
		v1alpha1.KeySpecECCSECGP256K1, v1alpha1.KeySpecMLDSA44, v1alpha1.KeySpecMLDSA65, v1alpha1.KeySpecMLDSA87,
	} {
		It(fmt.Sprintf("of %s is Enabled with one key material, and signs", spec), func() {
			k := ready(signs(spec))
			Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
			Expect(k.Status.KeyMaterials).To(HaveLen(1))
			Expect(k.Status.NextRotationTime).To(BeNil())
			message, algorithm := keys.Message{Bytes: []byte("x")}, kms.SpecOf(k).SigningAlgorithms()[0]
			signature, err := env.Services.KMS.Sign(ctx, k, algorithm, message)
			Expect(err).NotTo(HaveOccurred())
			Expect(env.Services.KMS.Verify(ctx, k, algorithm, message, signature)).To(Succeed())
			before := k.ResourceVersion
			reconcile(k)
			Expect(k.ResourceVersion).To(Equal(before))
		})
	}

	for _, spec := range []v1alpha1.KeySpec{v1alpha1.KeySpecMLKEM768, v1alpha1.KeySpecMLKEM1024} {
		It(fmt.Sprintf("of %s is Enabled with one key material, and has the secrets that were made for its public half", spec), func() {
			k := ready(func(k *v1alpha1.KMSKey) {
				k.Spec.KeySpec, k.Spec.KeyUsage = spec, v1alpha1.KeyUsageEncapsulateDecapsulate
			})
			Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
			Expect(k.Status.KeyMaterials).To(HaveLen(1))
			Expect(k.Status.NextRotationTime).To(BeNil())
			secret, ciphertext, err := env.Services.KMS.Encapsulate(ctx, k, keys.MLKEM)
			Expect(err).NotTo(HaveOccurred())
			buryNamed(k)
			again := environment.KMSKey(namespace, "key", func(k *v1alpha1.KMSKey) {
				k.Spec.KeySpec, k.Spec.KeyUsage = spec, v1alpha1.KeyUsageEncapsulateDecapsulate
			})
			create(again)
			reconcile(again)
			opened, err := env.Services.KMS.Decapsulate(ctx, again, keys.MLKEM, ciphertext)
			Expect(err).NotTo(HaveOccurred())
			Expect(opened.Equal(secret)).To(BeTrue(), "also when it is back in its waiting period")
		})
	}

	It("is not rotated: a request makes it Stalled until the annotation is gone, and it goes on signing", func() {
		k := ready(signs(v1alpha1.KeySpecECCNISTP256))
		before := publicKey(k)
		update(k, annotate(k, "now"))
		reconcile(k)
		Expect(condition(k, v1alpha1.ConditionStalled)).To(And(HaveField("Reason", v1alpha1.ReasonUnsupportedOperation),
			HaveField("Message", And(ContainSubstring(v1alpha1.RotateAnnotation), ContainSubstring("create another KMSKey")))))
		Expect(k.Status.KeyMaterials).To(HaveLen(1))
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateEnabled))
		Expect(publicKey(k)).To(Equal(before))
		update(k, func() { delete(k.Annotations, v1alpha1.RotateAnnotation) })
		reconcile(k)
		Expect(condition(k, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(condition(k, v1alpha1.ConditionStalled)).To(BeNil())
	})

	It("is the same key when it was disabled and enabled again, and when its status was lost", func() {
		k := ready(signs(v1alpha1.KeySpecRSA2048))
		before, id := publicKey(k), k.Status.KeyID
		update(k, func() { k.Spec.Enabled = ptr.To(false) })
		reconcile(k)
		Expect(k.Status.KeyState).To(Equal(v1alpha1.KeyStateDisabled))
		update(k, func() { k.Spec.Enabled = nil })
		reconcile(k)
		Expect(publicKey(k)).To(Equal(before))
		k.Status = v1alpha1.KMSKeyStatus{}
		Expect(cp.Client.Status().Update(ctx, k)).To(Succeed())
		seen(k)
		reconcile(k)
		Expect(k.Status.KeyID).To(Equal(id))
		Expect(publicKey(k)).To(Equal(before))
	})

	It("is back with its public key when it is applied again in its waiting period", func() {
		k := ready(signs(v1alpha1.KeySpecECCNISTP384))
		before, id := publicKey(k), k.Status.KeyID
		buryNamed(k)
		again := environment.KMSKey(namespace, "key", signs(v1alpha1.KeySpecECCNISTP384))
		create(again)
		reconcile(again)
		Expect(again.Status.KeyID).To(Equal(id))
		Expect(publicKey(again)).To(Equal(before))
	})

	It("that is applied again with another keySpec is Stalled, and its material waits for the right one", func() {
		k := ready(signs(v1alpha1.KeySpecECCNISTP256))
		before := publicKey(k)
		buryNamed(k)
		for _, other := range []func(*v1alpha1.KMSKey){func(*v1alpha1.KMSKey) {}, signs(v1alpha1.KeySpecRSA2048)} {
			wrong := environment.KMSKey(namespace, "key", other)
			create(wrong)
			reconcile(wrong)
			Expect(condition(wrong, v1alpha1.ConditionStalled)).To(And(HaveField("Reason", v1alpha1.ReasonKeyUnusable),
				HaveField("Message", ContainSubstring("give it those back"))))
			Expect(wrong.Status.KeyMaterials).To(BeEmpty())
			Expect(envelopes(v1alpha1.EnvelopeKeyMaterial)).To(HaveLen(1))
			Expect(cp.Client.Delete(ctx, wrong)).To(Succeed())
			deleting := wrong.DeepCopy()
			Eventually(func() error {
				_, err := env.KMSKey.Reconcile(ctx, environment.Request(deleting))
				if err != nil {
					return err
				}
				return cp.Client.Get(ctx, environment.Request(deleting).NamespacedName, &v1alpha1.KMSKey{})
			}).Should(MatchError(ContainSubstring("not found")))
		}
		right := environment.KMSKey(namespace, "key", signs(v1alpha1.KeySpecECCNISTP256))
		create(right)
		reconcile(right)
		Expect(publicKey(right)).To(Equal(before))
	})

	It("that waits for its turn to be made and is deleted keeps no other namespace waiting", func() {
		var held []func()
		for _, group := range []string{"one", "two"} {
			release, err := keys.AwaitTurn(group, group)(ctx)
			Expect(err).NotTo(HaveOccurred())
			held = append(held, release)
		}
		defer held[1]()
		k := environment.KMSKey(namespace, "key", signs(v1alpha1.KeySpecRSA2048))
		create(k)
		reconcile(k)
		Expect(readyReason(k)).To(Equal(v1alpha1.ReasonProgressing))
		_, err := keys.TryTurn("another", "another")(ctx)
		Expect(err).To(HaveOccurred(), "it has come later")
		buryNamed(k)
		held[0]()
		release, err := keys.TryTurn("another", "another")(ctx)
		Expect(err).NotTo(HaveOccurred())
		release()
	})
})
