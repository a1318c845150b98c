package parameter_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

var _ = Describe("The core Secret of an access key", func() {
	for _, policy := range []v1alpha1.ImportPolicy{v1alpha1.ImportOnce, v1alpha1.ImportFollow} {
		It("is no source of a value, by policy "+string(policy), func() {
			world.ReadyKey("key")
			s := source("admin-key", "the administrator's")
			world.Update(s, func() { s.Labels[v1alpha1.AccessKeyIDLabel] = "AKIAEXAMPLE" })
			p := create("a", from("admin-key", policy))
			reconcile(p)
			Expect(condition(p)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonConflict)))
			Expect(condition(p).Message).To(And(ContainSubstring("core Secret admin-key is Strongroom's own"), ContainSubstring("name another in spec.valueFrom")))
			Expect(condition(p).Message).NotTo(ContainSubstring("the administrator's"))
			Expect(p.Status.Versions).To(BeEmpty())
			Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(BeEmpty())
		})
	}
})
