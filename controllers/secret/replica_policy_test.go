package secret_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
)

var _ = Describe("A replica's resource policy", func() {
	It("means whom the primary's means, so that whoever is made again under a name is not let in by a younger replica", func() {
		first := newUser("ada")
		s := ready(withPolicy(naming("ada", "one")))
		removeUser("ada")
		second := newUser("ada")
		update(s, func() { in(abroad)(s) })
		reconcile(s)
		r := replica(s, abroad)
		reconcile(r)
		Expect(bound(r)).To(Equal([]string{userARN("ada") + "=" + first}))
		Expect(letIn(r, "ada", first)).To(BeTrue())
		Expect(letIn(r, "ada", second)).To(BeFalse())
		Expect(condition(r, v1alpha1.ConditionPrincipalReplaced)).To(BeNil(), "the primary says it")

		update(s, func() { s.Spec.ResourcePolicy = naming("ada", "two") })
		reconcile(s)
		refresh(r)
		seen(r)
		reconcile(r)
		Expect(letIn(r, "ada", second)).To(BeTrue())
		Expect(letIn(r, "ada", first)).To(BeFalse())

		update(s, func() { s.Spec.ResourcePolicy = nil })
		reconcile(s)
		refresh(r)
		seen(r)
		reconcile(r)
		Expect(r.Status.PolicyBinding).To(BeNil())
	})

	It("is bound as before while the primary's has changed and has not come over yet", func() {
		first := newUser("ada")
		s := ready(withPolicy(naming("ada", "one")), in(abroad))
		r := replica(s, abroad)
		reconcile(r)
		update(s, func() { s.Spec.ResourcePolicy = naming("bob", "two") })
		reconcile(r)
		Expect(bound(r)).To(Equal([]string{userARN("ada") + "=" + first}))
	})
})
