package secret_test

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
		It("is no source of a value for whoever may write Secrets beside it, by policy "+string(policy), func() {
			s := environment.Secret(environment.OperatorNamespace, "thief", func(s *v1alpha1.Secret) {
				s.Spec.Generate, s.Spec.KMSKeyRef, s.Spec.Target = nil, nil, nil
				s.Spec.ValueFrom = &v1alpha1.SecretValueSource{SecretKeyRef: v1alpha1.SecretKeyReference{Name: "strongroom-root", Key: "root"}, Policy: policy}
			})
			create(s)
			DeferCleanup(func() { Expect(cp.Client.Delete(ctx, s)).To(Succeed()) })
			reconcile(s)
			ready := condition(s, v1alpha1.ConditionReady)
			Expect(ready).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonConflict)))
			Expect(ready.Message).To(And(ContainSubstring("core Secret strongroom-root is Strongroom's root of trust"), ContainSubstring("name another in spec.valueFrom")))
			Expect(meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionStalled)).To(BeTrue())
			Expect(s.Status.Versions).To(BeEmpty())
		})
	}
})
