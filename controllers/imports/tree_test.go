package imports_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("Following a core Secret that a tree of parameters makes", func() {
	// planted is a tree of /p in the core Secret "made".
	planted := func(changes ...func(*v1alpha1.ParameterTree)) *v1alpha1.ParameterTree {
		GinkgoHelper()
		t := environment.ParameterTree(world.Namespace, "tree", "/p", append([]func(*v1alpha1.ParameterTree){func(t *v1alpha1.ParameterTree) {
			t.Spec.Target = v1alpha1.ParameterTreeTarget{Secret: &v1alpha1.ParameterTreeSecret{Name: "made"}}
		}}, changes...)...)
		world.Create(t)
		return t
	}
	// following is a Parameter of a name in AWS that follows a core Secret.
	following := func(object, name, source string, changes ...func(*v1alpha1.Parameter)) *v1alpha1.Parameter {
		GinkgoHelper()
		p := environment.Parameter(world.Namespace, object, append([]func(*v1alpha1.Parameter){func(p *v1alpha1.Parameter) {
			p.Spec.Name, p.Spec.Type, p.Spec.Value, p.Spec.Target = name, v1alpha1.ParameterSecureString, "", nil
			p.Spec.ValueFrom = &v1alpha1.SecretValueSource{
				SecretKeyRef: v1alpha1.SecretKeyReference{Name: source, Key: "k"}, Policy: v1alpha1.ImportFollow,
			}
		}}, changes...)...)
		world.Create(p)
		return p
	}

	It("is a Cycle for a parameter that the tree has, and for no other", func() {
		t := planted()
		inside, outside := following("inside", "/p/a", "made"), following("outside", "/q/a", "made")
		err := check(inside)
		Expect(reasonOf(err)).To(Equal(v1alpha1.ReasonCycle))
		Expect(err).To(MatchError(ContainSubstring("ParameterTree tree")))
		Expect(check(outside)).To(Succeed())
		world.Update(t, func() {
			t.Spec.Filter = &v1alpha1.ParameterTreeFilter{Exclude: []v1alpha1.ParameterNamePattern{"a"}}
		})
		Expect(check(inside)).To(Succeed())
	})

	It("is none by way of a ConfigMap, or once", func() {
		planted(func(t *v1alpha1.ParameterTree) {
			t.Spec.Target = v1alpha1.ParameterTreeTarget{ConfigMap: &v1alpha1.ParameterTreeConfigMap{Name: "made"}}
		})
		Expect(check(following("a", "/p/a", "made"))).To(Succeed())
		once := following("b", "/p/b", "made", func(p *v1alpha1.Parameter) { p.Spec.ValueFrom.Policy = v1alpha1.ImportOnce })
		Expect(check(once)).To(Succeed())
	})

	It("is a Cycle by way of another parameter of the tree, for each", func() {
		planted()
		a := following("a", "/p/a", "between")
		b := environment.Secret(world.Namespace, "b", func(s *v1alpha1.Secret) {
			s.Spec.Generate, s.Spec.Target.Name = nil, "between"
			s.Spec.ValueFrom = &v1alpha1.SecretValueSource{
				SecretKeyRef: v1alpha1.SecretKeyReference{Name: "made", Key: "k"}, Policy: v1alpha1.ImportFollow,
			}
		})
		world.Create(b)
		Expect(reasonOf(check(a))).To(Equal(v1alpha1.ReasonCycle))
		Expect(reasonOf(check(b))).To(Equal(v1alpha1.ReasonCycle))
	})

	It("is none for a parameter of another region, which the tree has not", func() {
		planted(func(t *v1alpha1.ParameterTree) { t.Spec.Region = "eu-west-1" })
		Expect(check(following("a", "/p/a", "made", func(p *v1alpha1.Parameter) { p.Spec.Region = "us-east-1" }))).To(Succeed())
		Expect(reasonOf(check(following("b", "/p/b", "made", func(p *v1alpha1.Parameter) { p.Spec.Region = "eu-west-1" })))).To(Equal(v1alpha1.ReasonCycle))
	})

	It("of a tree without a target of its own name is found by that name", func() {
		world.Create(environment.ParameterTree(world.Namespace, "made", "/p", func(t *v1alpha1.ParameterTree) {
			t.Spec.Target = v1alpha1.ParameterTreeTarget{Secret: &v1alpha1.ParameterTreeSecret{}}
		}))
		Expect(reasonOf(check(following("a", "/p/a", "made")))).To(Equal(v1alpha1.ReasonCycle))
	})
})
