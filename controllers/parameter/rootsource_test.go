package parameter_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("The root of trust", func() {
	for _, policy := range []v1alpha1.ImportPolicy{v1alpha1.ImportOnce, v1alpha1.ImportFollow} {
		It("is no source of a value for whoever may write Parameters beside it, by policy "+string(policy), func() {
			p := create("thief", from("strongroom-root", policy), func(p *v1alpha1.Parameter) {
				p.Namespace, p.Spec.KMSKeyRef, p.Spec.ValueFrom.SecretKeyRef.Key = environment.OperatorNamespace, nil, "root"
			})
			DeferCleanup(func() { Expect(world.ControlPlane.Client.Delete(ctx, p)).To(Succeed()) })
			reconcile(p)
			Expect(condition(p)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonConflict)))
			Expect(condition(p).Message).To(And(ContainSubstring("core Secret strongroom-root is Strongroom's root of trust"), ContainSubstring("name another in spec.valueFrom")))
			Expect(meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionStalled)).To(BeTrue())
			Expect(p.Status.Versions).To(BeEmpty())
		})
	}
})
