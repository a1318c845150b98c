//go:build cgo

package hsmcluster_test

import (
	"crypto/sha256"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keys"
)

// What a KMSKey says is what its owner does next: nothing that it says may cost them good key material.
var _ = Describe("A KMSKey that is applied again with another HSMCluster", Ordered, func() {
	var one, other *v1alpha1.HSMCluster
	var was *v1alpha1.KMSKey
	var signature []byte
	const message = "signed in the first"

	deleted := func(key *v1alpha1.KMSKey) {
		GinkgoHelper()
		Expect(cp.Client.Delete(ctx, key)).To(Succeed())
		Eventually(func() bool {
			return apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(key), key.DeepCopy()))
		}).Should(BeTrue())
	}
	// told waits until a key is Stalled, KeyUnusable, and answers what it says.
	told := func(key *v1alpha1.KMSKey) (message string) {
		GinkgoHelper()
		Eventually(func(g Gomega) {
			g.Expect(refresh(key).Status.Conditions).To(ContainElement(HaveField("Type", v1alpha1.ConditionStalled)))
			c := condition(key, v1alpha1.ConditionStalled)
			g.Expect(c.Reason).To(Equal(v1alpha1.ReasonKeyUnusable), c.Message)
			message = c.Message
		}, "20s").Should(Succeed())
		Expect(message).NotTo(Or(ContainSubstring("delete that"), ContainSubstring("backup")))
		return message
	}

	BeforeAll(func() {
		Expect(cp.Namespace(ctx, "moving", nil)).To(Succeed())
		one, other = cluster("moving", "one", 1), cluster("moving", "other", 1)
		ready(one)
		ready(other)
		was = inModule("moving", "key", v1alpha1.KeySpecECCNISTP256, one)
		ready(was)
		var err error
		signature, err = sign(was, message)
		Expect(err).NotTo(HaveOccurred())
		deleted(was)
	})

	It("says in which one its material waits", func() {
		key := inModule("moving", "key", v1alpha1.KeySpecECCNISTP256, other)
		Expect(told(key)).To(And(ContainSubstring("is in HSMCluster moving/one, and not in HSMCluster moving/other"), ContainSubstring("Apply the KMSKey with the customKeyStoreRef that it had")))
		_, err := sign(key, message)
		Expect(err).To(HaveOccurred())
		deleted(key)
	})

	It("says so too when the other one does not exist, or is software", func() {
		key := inModule("moving", "key", v1alpha1.KeySpecECCNISTP256, &v1alpha1.HSMCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "moving", Name: "none"}})
		Expect(told(key)).To(ContainSubstring("is in HSMCluster moving/one, and not in HSMCluster moving/none"))
		deleted(key)
		software := &v1alpha1.KMSKey{
			ObjectMeta: metav1.ObjectMeta{Namespace: "moving", Name: "key"},
			Spec:       v1alpha1.KMSKeySpec{KeySpec: v1alpha1.KeySpecECCNISTP256, KeyUsage: v1alpha1.KeyUsageSignVerify},
		}
		Expect(cp.Client.Create(ctx, software)).To(Succeed())
		Expect(told(software)).To(ContainSubstring("give it those back"))
		deleted(software)
	})

	It("has it back, with all that it signed, when it is applied as it was", func() {
		key := inModule("moving", "key", v1alpha1.KeySpecECCNISTP256, one)
		ready(key)
		Expect(key.Status.ARN).To(Equal(was.Status.ARN))
		Expect(key.Status.KeyMaterials).To(HaveLen(1))
		digest := sha256.Sum256([]byte(message))
		Expect(op.Services.KMS.Verify(ctx, key, keys.ECDSASHA256, keys.Message{Bytes: digest[:], Type: keys.Digested}, signature)).To(Succeed())
		_, err := sign(key, "and more")
		Expect(err).NotTo(HaveOccurred())
	})

	It("does not learn the name of a cluster that does not let its namespace in", func() {
		Expect(cp.Namespace(ctx, "guests", map[string]string{"team": "guests"})).To(Succeed())
		refresh(one)
		one.Spec.AllowedNamespaces = &metav1.LabelSelector{MatchLabels: map[string]string{"team": "guests"}}
		Expect(cp.Client.Update(ctx, one)).To(Succeed())
		key := inModule("guests", "key", v1alpha1.KeySpecECCNISTP256, one)
		ready(key)
		deleted(key)
		refresh(one)
		one.Spec.AllowedNamespaces = nil
		Expect(cp.Client.Update(ctx, one)).To(Succeed())
		own := cluster("guests", "own", 0)
		key = inModule("guests", "key", v1alpha1.KeySpecECCNISTP256, own)
		Eventually(func() string { return told(key) }).Should(And(ContainSubstring("the HSMCluster with the id "+one.Status.ClusterID), Not(ContainSubstring("moving/"))))
	})
})
