package certificate_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("The authority of Strongroom's gateway", func() {
	It("is imported by nobody who may write Certificates beside it", func() {
		c := &v1alpha1.Certificate{
			ObjectMeta: metav1.ObjectMeta{Namespace: environment.OperatorNamespace, Name: "thief"},
			Spec: v1alpha1.CertificateSpec{
				ImportFrom: &v1alpha1.CertificateSource{SecretRef: v1alpha1.LocalReference{Name: "strongroom-gateway-ca"}, Policy: v1alpha1.ImportFollow},
			},
		}
		create(c)
		DeferCleanup(func() { Expect(cp.Client.Delete(ctx, c)).To(Succeed()) })
		reconcile(c)
		is(c, metav1.ConditionFalse, v1alpha1.ReasonConflict, "core Secret strongroom-gateway-ca is the authority of Strongroom's gateway", "name another in spec.importFrom")
		Expect(c.Status.Conditions).To(ContainElement(And(HaveField("Type", v1alpha1.ConditionStalled), HaveField("Status", metav1.ConditionTrue))))
		Expect(c.Status.Versions).To(BeEmpty())
	})
})
