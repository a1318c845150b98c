package projection_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
)

var _ = Describe("A target of a namespace that has had its bytes written", func() {
	var (
		p      *projection.Projector
		former *projection.Former
		now    = time.Date(2026, 11, 30, 3, 0, 0, 0, time.UTC)
	)
	show := func(value string) (projection.Shown, error) {
		GinkgoHelper()
		return p.Show(ctx, &projection.Showing{
			Owner: owner, Namespace: namespace, Generation: 1, Version: value, Now: now, Former: former,
			Target: goal(withData("password", value)), Restart: []v1alpha1.RestartTarget{byName(v1alpha1.RestartDeployment, "web")},
		})
	}
	waits := func(value string) {
		GinkgoHelper()
		shown, err := show(value)
		Expect(err).To(HaveOccurred())
		Expect(fault.Of(err).Reason).To(Equal(v1alpha1.ReasonProgressing))
		Expect(shown.Writes).To(BeZero())
		Expect(p.Budget.Waiting()).To(Equal(1))
	}
	BeforeEach(func() {
		former = nil
		p = interposed(&between{})
		p.Budget = projection.NewBudget(func() time.Time { return now })
		newWorkload(v1alpha1.RestartDeployment, "web")
		shown, err := show("one")
		Expect(err).NotTo(HaveOccurred())
		seen(stored("shown"))
		former = projection.FormerOf(projection.StatusOf(&shown, false))
		p.Budget.Settle(namespace, "somebody", 100<<20)
	})

	It("has its workloads restarted at once if it is written already, and waits with another content whether they are or not", func() {
		former.Digest = projection.Unrestarted
		waits("two")
		shown, err := show("one")
		Expect(err).NotTo(HaveOccurred())
		Expect(shown).To(And(HaveField("Done", true), HaveField("Writes", 0), HaveField("Restarted", []string{"Deployment/web"})))
		Expect(p.Budget.Waiting()).To(BeZero())
		waits("two")
		former.Digest = shown.Digest
		waits("two")
	})

	It("pays for what somebody undid, which the cache tells", func() {
		former.Digest = projection.Unrestarted
		edit(func(s *corev1.Secret) { s.Data["password"] = []byte("theirs") })
		waits("one")
	})

	It("gives back what it has booked when its object is gone, is being deleted, or shows nothing any more", func() {
		next := func() time.Duration {
			wait := p.Budget.Book(namespace, "next", 1)
			p.Budget.Forget("next")
			return wait
		}
		before := next()
		for _, gone := range []func(){
			func() { p.Forget(namespace, owner) },
			func() {
				deleted := &v1alpha1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: owner.Name}}
				Expect(p.Collect(ctx, deleted, owner)).To(Succeed())
			},
			func() {
				_, err := p.Show(ctx, &projection.Showing{Owner: owner, Namespace: namespace, Now: now})
				Expect(err).NotTo(HaveOccurred())
			},
		} {
			waits("two")
			Expect(next()).To(BeNumerically(">", before))
			gone()
			Expect(p.Budget.Waiting()).To(BeZero())
			Expect(next()).To(Equal(before))
		}
	})

	It("needs no budget to be forgotten", func() {
		p.Budget = nil
		p.Forget(namespace, owner)
	})
})
