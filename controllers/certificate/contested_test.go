package certificate_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

var _ = Describe("Another controller that undoes each write of a Certificate's target", func() {
	// undone has it write over the target, with a pass after each, and counts the passes that wrote.
	undone := func(c *v1alpha1.Certificate, rounds int) (written int) {
		GinkgoHelper()
		for range rounds {
			_, target := projected("shop-tls")
			target.Data["ca.crt"] = []byte("hacked")
			Expect(cp.Client.Update(ctx, target, client.FieldOwner("other-operator"))).To(Succeed())
			seen(target)
			before := target.ResourceVersion
			reconcile(c)
			if _, target = projected("shop-tls"); target.ResourceVersion != before {
				seen(target)
				written++
			}
			env.Clock.Advance(100 * time.Millisecond)
		}
		return written
	}

	It("is written against five times, is then said by name, and no more once it stops", func() {
		readyRoot()
		c := readyShop()
		Expect(undone(c, 20)).To(Equal(5))
		is(c, metav1.ConditionFalse, v1alpha1.ReasonConflict, "core Secret shop-tls: other-operator", "stop it there")
		held := c.ResourceVersion
		Expect(undone(c, 5)).To(BeZero())
		Expect(c.ResourceVersion).To(Equal(held), "no write of status for each round")

		env.Clock.Advance(time.Minute)
		reconcile(c)
		_, target := projected("shop-tls")
		seen(target)
		env.Clock.Advance(time.Minute)
		reconcile(c)
		isReady(c)
		verified("shop-tls", "shop.example.com")
	})

	It("keeps no renewal from being shown", func() {
		readyRoot()
		c := readyShop()
		undone(c, 8)
		is(c, metav1.ConditionFalse, v1alpha1.ReasonConflict)
		annotate(c, v1alpha1.RotateAnnotation, "now")
		reconcile(c)
		isReady(c)
		Expect(verified("shop-tls", "shop.example.com").SerialNumber).NotTo(BeNil())
	})
})

var _ = Describe("A Certificate that follows a core Secret", func() {
	follower := func(source, target string) *v1alpha1.Certificate {
		return &v1alpha1.Certificate{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "imported"},
			Spec: v1alpha1.CertificateSpec{
				ImportFrom: &v1alpha1.CertificateSource{SecretRef: v1alpha1.LocalReference{Name: source}, Policy: v1alpha1.ImportFollow},
				Target:     &v1alpha1.CertificateTarget{Name: target},
			},
		}
	}

	It("which changes all the time makes two versions in 24 seconds and no more, and the newest is not lost", func() {
		readyRoot()
		c := readyShop()
		i := follower("shop-tls", "copy")
		create(i)
		reconcile(i)
		isReady(i)
		last := func() int64 { return i.Status.Versions[len(i.Status.Versions)-1].Sequence }
		var wait time.Duration
		for n := range 12 {
			annotate(c, v1alpha1.RotateAnnotation, string(rune('a'+n)))
			reconcile(c)
			env.Clock.Advance(time.Second)
			wait = reconcile(i).RequeueAfter
		}
		Expect(last()).To(Equal(int64(5)), "the first five are free")
		Expect(wait).To(And(BeNumerically(">", 10*time.Second), BeNumerically("<=", 24*time.Second)))
		isReady(i)
		env.Clock.Advance(wait)
		reconcile(i)
		Expect(last()).To(Equal(int64(6)))
		Expect(i.Status.Fingerprint).To(Equal(c.Status.Fingerprint))
	})

	It("which another makes of its own target is a Cycle, for both, and nothing is imported", func() {
		one, other := follower("x", "y"), follower("y", "x")
		other.Name = "other"
		create(one)
		create(other)
		for _, c := range []*v1alpha1.Certificate{one, other} {
			reconcile(c)
			is(c, metav1.ConditionFalse, v1alpha1.ReasonCycle, "is made of this object's own target", "policy Once")
			Expect(c.Status.Versions).To(BeEmpty())
		}
		remove(other)
		reconcile(one)
		is(one, metav1.ConditionFalse, v1alpha1.ReasonSourceNotFound, "core Secret x")
	})
})
