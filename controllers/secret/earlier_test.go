package secret_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

var _ = Describe("An immutable target of a Secret that was deleted and applied again with another value", func() {
	var (
		web    *appsv1.Deployment
		former string
	)
	// again applies it, after what is there of the one before has become something else.
	again := func(meanwhile func()) *v1alpha1.Secret {
		GinkgoHelper()
		create(coreSecret("another", map[string]string{"password": "two"}))
		web = mounting("web", "db")
		s := ready(immutable, restarting("web"))
		former = s.Status.Projection.Name
		buried(s, true)
		meanwhile()
		s = ready(immutable, restarting("web"), importFrom("another", v1alpha1.ImportOnce))
		Expect(s.Status.Projection.Name).NotTo(Equal(former))
		Expect(s.Status.Projection.Retained).To(BeEmpty(), "status knows of no former one")
		return s
	}
	// changes makes another content of another type.
	changes := func(s *v1alpha1.Secret) {
		GinkgoHelper()
		update(s, func() { s.Spec.Target.Type = "example.com/credential" })
		reconcile(s)
	}
	collected := func() { remove(target(former)) }
	orphaned := func() {
		orphan := target(former)
		orphan.OwnerReferences = nil
		Expect(cp.Client.Update(ctx, orphan)).To(Succeed())
		seen(orphan)
	}

	It("has workloads switched to it from the one that is gone, once, and then from each former one", func() {
		s := again(collected)
		Expect(named(web)).To(HaveEach(s.Status.Projection.Name))
		Expect(web.Generation).To(Equal(int64(3)), "it is restarted once for each value")
		Expect(env.DrainEvents()).To(ContainElement(And(ContainSubstring(v1alpha1.ReasonRestarted), ContainSubstring("Deployment/web"))))
		changes(s)
		Expect(named(web)).To(HaveEach(s.Status.Projection.Name))
		Expect(web.Generation).To(Equal(int64(4)))
	})

	It("has workloads switched to it from one that the garbage collector has not come to yet", func() {
		s := again(func() {})
		Expect(coreSecrets()).To(ContainElement(former))
		Expect(named(web)).To(HaveEach(s.Status.Projection.Name))
	})

	It("leaves workloads with one that was orphaned on purpose, until that is deleted and there is another content", func() {
		s := again(orphaned)
		Expect(named(web)).To(HaveEach(former))
		remove2(former)
		changes(s)
		Expect(named(web)).To(HaveEach(s.Status.Projection.Name))
	})

	It("has workloads switched though nothing changes, when they are looked at again", func() {
		s := again(orphaned)
		remove2(former)
		reconcile(s)
		Expect(named(web)).To(HaveEach(former), "what costs requests is not done with each pass")
		env.Clock.Advance(6 * time.Hour)
		reconcile(s)
		Expect(named(web)).To(HaveEach(s.Status.Projection.Name))
		Expect(web.Generation).To(Equal(int64(3)))
		Expect(env.DrainEvents()).To(ContainElement(And(ContainSubstring(v1alpha1.ReasonRestarted), ContainSubstring("Deployment/web"))))
	})

	It("leaves workloads with what somebody else has made under the name since", func() {
		again(func() {
			collected()
			create2(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: former}})
		})
		Expect(named(web)).To(HaveEach(former))
	})

	It("leaves names of another form, and workloads that restart does not name", func() {
		var bystander, stranger *appsv1.Deployment
		again(func() {
			collected()
			bystander, stranger = mounting("bystander", "db-0123456789a"), mounting("stranger", former)
		})
		Expect(named(stranger)).To(HaveEach(former))
		s := ready2("other", "key")
		update(s, func() { immutable(s); restarting("bystander")(s); s.Spec.Target.Name = "db" })
		reconcile(s)
		Expect(s.Status.Projection.Name).To(MatchRegexp(`^db-[0-9a-f]{10}$`))
		Expect(named(bystander)).To(HaveEach("db-0123456789a"))
	})
})
