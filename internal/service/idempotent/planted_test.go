package idempotent_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("An object that somebody has made under the name and with the token of a request to come", func() {
	// name is the one that the token makes, in whatever namespace.
	name := func() string {
		GinkgoHelper()
		r := request("token", "d")
		r.Object.SetNamespace(world.NewNamespace())
		made, err := maker().Make(ctx, r)
		Expect(err).NotTo(HaveOccurred())
		return made.GetName()
	}
	plant := func(change func(*v1alpha1.Parameter)) *v1alpha1.Parameter {
		GinkgoHelper()
		theirs := request("token", "d").Object.(*v1alpha1.Parameter)
		theirs.Name, theirs.Annotations = name(), map[string]string{v1alpha1.RequestTokenAnnotation: "token"}
		change(theirs)
		world.Create(theirs)
		return theirs
	}

	DescribeTable("is not the request's, which makes its own and finds it again",
		func(change func(*v1alpha1.Parameter)) {
			theirs := plant(change)
			version := theirs.ResourceVersion
			first := makes("token", "d")
			Expect(first.GetUID()).NotTo(Equal(theirs.UID))
			Expect(makes("token", "d").GetUID()).To(Equal(first.GetUID()))
			world.Refresh(theirs)
			Expect(theirs.ResourceVersion).To(Equal(version), "it was changed")
		},
		Entry("with an owner, whose end is its own", func(p *v1alpha1.Parameter) {
			owner := environment.KMSKey(world.Namespace, "owner")
			world.Create(owner)
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: v1alpha1.SchemeGroupVersion.String(), Kind: "KMSKey", Name: owner.Name, UID: owner.UID}}
		}),
		Entry("with a finalizer, so that it stays", func(p *v1alpha1.Parameter) { p.Finalizers = []string{"example.com/kept"} }),
		Entry("with an annotation that Strongroom heeds", func(p *v1alpha1.Parameter) { p.Annotations[v1alpha1.ForceDeleteAnnotation] = "true" }),
		Entry("with a label that Strongroom heeds", func(p *v1alpha1.Parameter) { p.Labels = map[string]string{v1alpha1.ManagedLabel: "true"} }),
	)

	It("is as good as the request's if it says nothing else", func() {
		theirs := plant(func(p *v1alpha1.Parameter) { p.Labels = map[string]string{"example.com/added-by": "admission"} })
		Expect(makes("token", "d").GetUID()).To(Equal(theirs.UID))
		Expect(there()).To(Equal(1))
	})
})
