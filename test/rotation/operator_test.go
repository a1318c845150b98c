package rotation_test

import (
	"github.com/google/uuid"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("RotateSecret of an operator that runs", func() {
	It("is carried out at once, though nothing but status has changed", func() {
		op, err := environment.RunOperator(ctx, world.ControlPlane.Config, operator.Options{SkipControllerNames: true})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { Expect(op.Stop()).To(Succeed()) })
		s := environment.Secret(world.Namespace, "db")
		Expect(world.ControlPlane.Client.Create(ctx, s)).To(Succeed())
		Eventually(func() bool {
			world.Refresh(s)
			return meta.IsStatusConditionTrue(s.Status.Conditions, v1alpha1.ConditionReady)
		}).Should(BeTrue())
		token, generation := uuid.NewString(), s.Generation
		Expect(op.Services.Secrets.Rotate(ctx, secretsmanager.RotateInput{Secret: s, Token: token})).To(Succeed())
		Eventually(func() string {
			world.Refresh(s)
			return s.Status.CurrentVersionID
		}).Should(Equal(token))
		Expect(s.Generation).To(Equal(generation))
	})
})
