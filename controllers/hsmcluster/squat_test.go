//go:build cgo

package hsmcluster_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

var _ = Describe("A KMSKey of a namespace that an HSMCluster does not let in", Ordered, func() {
	var hc *v1alpha1.HSMCluster
	var squat *v1alpha1.KMSKey

	BeforeAll(func() {
		Expect(cp.Namespace(ctx, "victim", nil)).To(Succeed())
		Expect(cp.Namespace(ctx, "attacker", nil)).To(Succeed())
		hc = cluster("victim", "vic", 1)
		ready(hc)
		squat = inModule("attacker", "squat", v1alpha1.KeySpecSymmetricDefault, hc)
		Eventually(is(squat, v1alpha1.ConditionStalled, metav1.ConditionTrue)).Should(Succeed())
	})

	It("is not in it", func() {
		Expect(op.Services.CloudHSM.Keys(ctx, hc, "")).To(BeZero())
	})

	It("does not hold it beside a key that does, is not told of, and does not hold it alone", func() {
		own := inModule("victim", "own", v1alpha1.KeySpecSymmetricDefault, hc)
		ready(own)
		Expect(cp.Client.Delete(ctx, hc)).To(Succeed())
		Eventually(is(hc, v1alpha1.ConditionDeletionBlocked, metav1.ConditionTrue)).Should(Succeed())
		blocked := meta.FindStatusCondition(hc.Status.Conditions, v1alpha1.ConditionDeletionBlocked)
		Expect(blocked.Message).To(HavePrefix("KMSKeys in this cluster: 1, among them own: delete them first. To keep the cluster instead"))
		Expect(cp.Client.Delete(ctx, refresh(own))).To(Succeed())
		Eventually(func() bool {
			return apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(hc), hc.DeepCopy()))
		}).Should(BeTrue())
		Expect(refresh(squat).Status.KeyMaterials).To(BeEmpty())
	})
})

var _ = Describe("A KMSKey that somebody else's finalizer holds after its deletion", func() {
	It("is in its HSMCluster no more, which goes without waiting for that", func() {
		const hold = "example.com/hold"
		Expect(cp.Namespace(ctx, "holding", nil)).To(Succeed())
		hc := cluster("holding", "vault", 1)
		ready(hc)
		key := inModule("holding", "held", v1alpha1.KeySpecSymmetricDefault, hc)
		ready(key)
		patched := refresh(key).DeepCopy()
		patched.Finalizers = append(patched.Finalizers, hold)
		Expect(cp.Client.Patch(ctx, patched, client.MergeFrom(key))).To(Succeed())
		DeferCleanup(func() {
			left := refresh(key).DeepCopy()
			left.Finalizers = nil
			Expect(cp.Client.Patch(ctx, left, client.MergeFrom(key))).To(Succeed())
		})
		Expect(cp.Client.Delete(ctx, hc)).To(Succeed())
		Eventually(is(hc, v1alpha1.ConditionDeletionBlocked, metav1.ConditionTrue)).Should(Succeed())
		Expect(cp.Client.Delete(ctx, key)).To(Succeed())
		Eventually(func() []string { return refresh(key).Finalizers }).Should(Equal([]string{hold}))
		Eventually(func() bool {
			return apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(hc), hc.DeepCopy()))
		}).Should(BeTrue())
		Expect(op.Services.CloudHSM.Keys(ctx, hc, "")).To(BeZero())
	})
})
