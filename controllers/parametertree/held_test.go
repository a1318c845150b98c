package parametertree_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// Nobody would take the values of parameters that are gone out of its target.
var _ = Describe("A tree that was deleted and that a finalizer of somebody else's holds", func() {
	for kind, target := range map[string]client.Object{"ConfigMap": &corev1.ConfigMap{}, "core Secret": &corev1.Secret{}} {
		It("shows nothing any more, also if status has lost where: a "+kind, func() {
			put("a", "/p/a", "one")
			for _, lost := range []bool{false, true} {
				t := ready(func(t *v1alpha1.ParameterTree) {
					t.Finalizers = []string{"example.com/hold"}
					if kind != "ConfigMap" {
						t.Spec.Target = v1alpha1.ParameterTreeTarget{Secret: &v1alpha1.ParameterTreeSecret{}}
					}
				})
				Expect(world.ControlPlane.Client.Delete(ctx, t.DeepCopy())).To(Succeed())
				world.Refresh(t)
				if lost {
					t.Status.Projection = nil
					Expect(world.ControlPlane.Client.Status().Update(ctx, t)).To(Succeed())
				}
				world.Seen(t)
				reconcile(t)
				refused(t, v1alpha1.ReasonTerminating, "example.com/hold")
				Expect(apierrors.IsNotFound(world.ControlPlane.Client.Get(ctx, client.ObjectKeyFromObject(t), target))).To(BeTrue())
				t.Finalizers = nil
				Expect(world.ControlPlane.Client.Update(ctx, t)).To(Succeed())
				Eventually(func() bool { return apierrors.IsNotFound(world.GetClient().Get(ctx, client.ObjectKeyFromObject(t), t)) }).Should(BeTrue())
			}
		})
	}
})
