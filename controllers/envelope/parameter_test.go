package envelope_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

// versionOf is the one version of a Parameter, to be created again.
func versionOf(p *v1alpha1.Parameter) *v1alpha1.Envelope {
	GinkgoHelper()
	var list v1alpha1.EnvelopeList
	Expect(cp.Client.List(ctx, &list, client.InNamespace(p.Namespace))).To(Succeed())
	for i := range list.Items {
		if e := &list.Items[i]; e.Spec.Class == v1alpha1.EnvelopeParameterVersion && e.Spec.Owner.Name == p.Name {
			return &v1alpha1.Envelope{ObjectMeta: metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Name, Labels: e.Labels}, Spec: e.Spec}
		}
	}
	Fail("Parameter " + p.Name + " has no version")
	return nil
}

var _ = Describe("A deleted Parameter", func() {
	inForce := func(p *v1alpha1.Parameter) {
		GinkgoHelper()
		Eventually(func(g Gomega) {
			g.Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
			g.Expect(meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue(), "%+v", p.Status)
			g.Expect(p.Status.ObservedGeneration).To(Equal(p.Generation))
		}).Should(Succeed())
	}
	made := func(changes ...func(*v1alpha1.Parameter)) *v1alpha1.Parameter {
		GinkgoHelper()
		p := environment.Parameter(namespace, "a", changes...)
		Expect(cp.Client.Create(ctx, p)).To(Succeed())
		inForce(p)
		return p
	}
	forced := func(p *v1alpha1.Parameter) {
		metav1.SetMetaDataAnnotation(&p.ObjectMeta, v1alpha1.ForceDeleteAnnotation, "true")
	}

	It("gets a tombstone with its own window, and all of it goes when that ends", func() {
		op := run()
		p := made(func(p *v1alpha1.Parameter) { p.Spec.Deletion = &v1alpha1.SecretDeletion{RecoveryWindowInDays: 7} })
		p.Spec.Value = "debug"
		Expect(cp.Client.Update(ctx, p)).To(Succeed())
		inForce(p)
		Expect(cp.Client.Delete(ctx, p)).To(Succeed())
		Eventually(tombstones).Should(HaveLen(1))
		stone := tombstones()[0]
		Expect(stone.Spec.Subject).To(Equal(p.Status.ARN))
		Expect(stone.Spec.Sequence).To(Equal(int64(2)))
		Expect(stone.Spec.ExpireTime.Time).To(BeTemporally("~", op.Clock.Now().AddDate(0, 0, 7), time.Minute))
		Expect(classes()).To(HaveKeyWithValue(v1alpha1.EnvelopeParameterVersion, 2))
		Expect(op.Stop()).To(Succeed())

		later := environment.NewClock(stone.Spec.ExpireTime.Add(time.Minute))
		op, err := environment.RunOperator(ctx, cp.Config, operator.Options{Now: later.Now})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(op.Stop)
		Eventually(classes).ShouldNot(Or(HaveKey(v1alpha1.EnvelopeParameterVersion), HaveKey(v1alpha1.EnvelopeTombstone)))
	})

	It("without a recovery window goes at once, and the next of its name begins at version 1", func() {
		run()
		for range 3 { // under one ARN each time
			p := made(forced)
			Expect(p.Status.Version).To(Equal(int64(1)))
			Expect(cp.Client.Delete(ctx, p)).To(Succeed())
			Eventually(classes).ShouldNot(HaveKey(v1alpha1.EnvelopeParameterVersion))
			Expect(tombstones()).To(BeEmpty())
		}
	})

	It("without a recovery window takes along a version that a request stores behind it, for a minute", func() {
		op := run()
		p := made(forced)
		late := versionOf(p)
		Expect(cp.Client.Delete(ctx, p)).To(Succeed())
		Eventually(classes).ShouldNot(HaveKey(v1alpha1.EnvelopeParameterVersion))
		for range 3 {
			Expect(cp.Client.Create(ctx, late.DeepCopy())).To(Succeed())
			Eventually(classes).ShouldNot(HaveKey(v1alpha1.EnvelopeParameterVersion))
			Expect(tombstones()).To(BeEmpty())
		}
		op.Clock.Advance(time.Minute)
		Expect(cp.Client.Create(ctx, late.DeepCopy())).To(Succeed())
		Eventually(tombstones).Should(HaveLen(1), "a backup that is restored is no late version")
		Expect(classes()).To(HaveKeyWithValue(v1alpha1.EnvelopeParameterVersion, 1))
	})

	It("without a recovery window leaves the next of its name, deleted within that minute, its own window", func() {
		run()
		Expect(cp.Client.Delete(ctx, made(forced))).To(Succeed())
		Eventually(classes).ShouldNot(HaveKey(v1alpha1.EnvelopeParameterVersion))
		Expect(cp.Client.Delete(ctx, made())).To(Succeed())
		Eventually(tombstones).Should(HaveLen(1))
		Consistently(classes, time.Second).Should(HaveKeyWithValue(v1alpha1.EnvelopeParameterVersion, 1))
	})

	It("that is made again at once has its value, however its deletion and its creation fall together", func() {
		run()
		p := made(forced)
		for range 10 {
			Expect(cp.Client.Delete(ctx, p)).To(Succeed())
			p = environment.Parameter(namespace, "a", forced)
			Expect(cp.Client.Create(ctx, p)).To(Succeed())
			inForce(p)
		}
		Consistently(func() bool {
			Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
			return meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionReady)
		}, time.Second).Should(BeTrue())
		named := map[string]bool{}
		var list v1alpha1.EnvelopeList
		Expect(cp.Client.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
		for _, e := range list.Items {
			if e.Spec.Class == v1alpha1.EnvelopeParameterVersion {
				named[e.Spec.Version] = true
			}
		}
		for _, v := range p.Status.Versions {
			Expect(named).To(HaveKey(versions.Number(v.Version)), "the index names a version that is gone")
		}
	})

	It("while no manager runs is entombed by the next, and can be had back", func() {
		op := run()
		p := made()
		Expect(op.Stop()).To(Succeed())
		Expect(cp.Client.Delete(ctx, p)).To(Succeed())
		op = run()
		Eventually(tombstones).Should(HaveLen(1))
		Expect(tombstones()[0].Spec.ExpireTime.Time).To(BeTemporally("~", op.Clock.Now().AddDate(0, 0, 30), time.Minute))
		back := environment.Parameter(namespace, "a", func(p *v1alpha1.Parameter) { p.Spec.Value = "debug" })
		Expect(cp.Client.Create(ctx, back)).To(Succeed())
		inForce(back)
		Expect(back.Status.Version).To(Equal(int64(2)))
		Eventually(tombstones).Should(BeEmpty())
	})
})
