package envelope_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("A Secret that is applied again, held by suspend until its first window is over, and deleted again", func() {
	It("has a window of its own: its versions do not go with the first one's end", func() {
		op := run()
		op.Clock.Set(time.Now().Add(-time.Hour))
		s := environment.Secret(namespace, "db")
		Expect(cp.Client.Create(ctx, s)).To(Succeed())
		ready(s)
		Expect(cp.Client.Delete(ctx, s)).To(Succeed())
		Eventually(tombstones).Should(HaveLen(1))
		first := tombstones()[0]

		again := environment.Secret(namespace, "db", func(s *v1alpha1.Secret) { s.Spec.Suspend = true })
		Expect(cp.Client.Create(ctx, again)).To(Succeed())
		Eventually(func() string {
			Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(again), again)).To(Succeed())
			return meta.FindStatusCondition(again.Status.Conditions, v1alpha1.ConditionReady).Reason
		}).Should(Equal(v1alpha1.ReasonSuspended))
		op.Clock.Set(first.Spec.ExpireTime.Add(time.Hour))
		Expect(cp.Client.Delete(ctx, again)).To(Succeed())

		Eventually(func() []v1alpha1.Envelope {
			found := tombstones()
			if len(found) != 1 || found[0].UID == first.UID {
				return nil
			}
			return found
		}).Should(HaveLen(1))
		Expect(tombstones()[0].Spec.ExpireTime.Time).To(BeTemporally(">", op.Clock.Now().Add(29*24*time.Hour)))
		Consistently(classes, time.Second).Should(HaveKeyWithValue(v1alpha1.EnvelopeSecretVersion, 1))
	})
})
