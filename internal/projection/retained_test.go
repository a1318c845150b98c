package projection_test

import (
	"fmt"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
)

// succession is an immutable target with what its owner's status knows of it.
type succession struct {
	now    time.Time
	former *projection.Former
}

// show shows another content, and keeps in status what that came to.
func (s *succession) show(value string) (projection.Shown, error) {
	GinkgoHelper()
	target := goal(withData("password", value))
	target.Immutable = true
	shown, err := projector.Show(ctx, &projection.Showing{Owner: owner, Namespace: namespace, Generation: 1, Target: target, Version: value, Former: s.former, Now: s.now})
	if shown.Done {
		s.former = projection.FormerOf(projection.StatusOf(&shown, true))
		seen(stored(shown.Name))
	}
	return shown, err
}

// using makes a Deployment whose pods name core Secrets what it names.
func using(d *appsv1.Deployment, names ...string) {
	GinkgoHelper()
	Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(d), d)).To(Succeed())
	from := &d.Spec.Template.Spec.Containers[0].EnvFrom
	*from = nil
	for _, name := range names {
		*from = append(*from, corev1.EnvFromSource{SecretRef: &corev1.SecretEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: name}}})
	}
	Expect(cp.Client.Update(ctx, d)).To(Succeed())
}

// shownNames are the core Secrets of the spec's namespace.
func shownNames() (names []string) {
	GinkgoHelper()
	var list corev1.SecretList
	Expect(cp.Client.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
	for i := range list.Items {
		names = append(names, list.Items[i].Name)
	}
	return names
}

var _ = Describe("An immutable target", func() {
	// A day between two contents, so that none waits for the time, and each former one goes that nothing uses.
	It("of which 64 former contents are in use shows no other, says so, and goes on when one of them is let go", func() {
		d, ok := newWorkload(v1alpha1.RestartDeployment, "app").(*appsv1.Deployment)
		Expect(ok).To(BeTrue())
		s := &succession{now: time.Now()}
		var names []string
		for n := range 65 { // 64 former ones, and the one that is shown
			using(d, names...)
			shown, err := s.show(fmt.Sprint("CANARY-", n))
			Expect(err).NotTo(HaveOccurred(), "content %d", n)
			Expect(shown.Retained).To(HaveLen(n))
			names = append(names, shown.Name)
			s.now = s.now.Add(24 * time.Hour)
		}
		using(d, names...)

		for range 2 {
			shown, err := s.show("CANARY-another")
			Expect(shown.Done).To(BeFalse())
			Expect(shown.Writes).To(BeZero())
			Expect(fault.Of(err)).To(And(HaveField("Reason", v1alpha1.ReasonTooManyRetained), HaveField("Stalled", true), HaveField("RetryAfter", 5*time.Minute)))
			Expect(fault.Message(err)).To(And(HavePrefix("64 former core Secrets of the immutable target are still used"), ContainSubstring("status.projection.retained")))
			Expect(err.Error()).NotTo(ContainSubstring("CANARY"))
			Expect(shownNames()).To(ConsistOf(names), "what there is stays, that which is shown included")
			s.now = s.now.Add(time.Hour)
		}
		again, err := s.show("CANARY-64")
		Expect(err).NotTo(HaveOccurred(), "the content that is shown is no other")
		Expect(again.Name).To(Equal(names[64]))
		again, err = s.show("CANARY-3")
		Expect(err).NotTo(HaveOccurred(), "one that is there already takes no room")
		Expect(again.Name).To(Equal(names[3]))
		again, err = s.show("CANARY-64")
		Expect(err).NotTo(HaveOccurred())
		Expect(again.Retained).To(HaveLen(64))
		s.now = s.now.Add(time.Hour)

		using(d, slices.Delete(slices.Clone(names), 7, 8)...)
		shown, err := s.show("CANARY-another")
		Expect(err).NotTo(HaveOccurred())
		Expect(shown.Done).To(BeTrue())
		Expect(dataOf(shown.Name)).To(HaveKeyWithValue("password", "CANARY-another"))
		Expect(shown.Retained).To(HaveLen(64))
		Expect(shownNames()).To(ConsistOf(append(slices.Delete(slices.Clone(names), 7, 8), shown.Name)), "the one that was let go makes room")
	})

	It("whose status is lost keeps former contents for as long as if it were not: their age is that of the next one's object", func() {
		s := &succession{now: time.Now()}
		first, err := s.show("CANARY-1")
		Expect(err).NotTo(HaveOccurred())
		second, err := s.show("CANARY-2")
		Expect(err).NotTo(HaveOccurred())
		s.former, s.now = nil, time.Now().Add(5*time.Minute)
		third, err := s.show("CANARY-3")
		Expect(err).NotTo(HaveOccurred())
		Expect(third.Retained).To(ConsistOf(HaveField("Name", first.Name), HaveField("Name", second.Name)))
		Expect(shownNames()).To(ConsistOf(first.Name, second.Name, third.Name))
		s.now = s.now.Add(11 * time.Minute)
		_, err = s.show("CANARY-3")
		Expect(err).NotTo(HaveOccurred())
		Expect(shownNames()).To(ConsistOf(third.Name))
	})
})
