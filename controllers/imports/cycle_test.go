package imports_test

import (
	"context"
	"fmt"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/imports"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/test/environment"
)

func TestImports(t *testing.T) {
	environment.Specs(t, "Imports")
}

var (
	ctx   = context.Background()
	world *environment.World
)

var _ = BeforeSuite(func() { world = environment.NewWorld(ctx) })

var _ = BeforeEach(func() { world.Fresh() })

// Each makes an object of one kind that follows one core Secret and writes another.
var followers = map[string]func(name, source, target string) imports.Follower{
	"Secret": func(name, source, target string) imports.Follower {
		return environment.Secret(world.Namespace, name, func(s *v1alpha1.Secret) {
			s.Spec.Generate, s.Spec.Target.Name = nil, target
			s.Spec.ValueFrom = &v1alpha1.SecretValueSource{
				SecretKeyRef: v1alpha1.SecretKeyReference{Name: source, Key: "k"}, Policy: v1alpha1.ImportFollow,
			}
		})
	},
	"Parameter": func(name, source, target string) imports.Follower {
		return environment.Parameter(world.Namespace, name, func(p *v1alpha1.Parameter) {
			p.Spec.Type, p.Spec.Value = v1alpha1.ParameterSecureString, ""
			p.Spec.Target = &v1alpha1.ParameterTarget{Secret: &v1alpha1.ParameterTargetKey{Name: target, Key: "k"}}
			p.Spec.ValueFrom = &v1alpha1.SecretValueSource{
				SecretKeyRef: v1alpha1.SecretKeyReference{Name: source, Key: "k"}, Policy: v1alpha1.ImportFollow,
			}
		})
	},
	"Certificate": func(name, source, target string) imports.Follower {
		return &v1alpha1.Certificate{
			ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name},
			Spec: v1alpha1.CertificateSpec{
				Target:     &v1alpha1.CertificateTarget{Name: target},
				ImportFrom: &v1alpha1.CertificateSource{SecretRef: v1alpha1.LocalReference{Name: source}, Policy: v1alpha1.ImportFollow},
			},
		}
	},
}

func check(f imports.Follower) error { return imports.Check(ctx, world.Services.Client, f) }

func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	return fault.Of(err).Reason
}

var _ = Describe("Following a core Secret", func() {
	for first, makeFirst := range followers {
		for second, makeSecond := range followers {
			It(fmt.Sprintf("in a circle of a %s and a %s is a Cycle for both, and no more once one lets go", first, second), func() {
				a, b := makeFirst("a", "y", "x"), makeSecond("b", "x", "y")
				world.Create(a)
				Expect(check(a)).To(Succeed(), "alone it is no circle")
				world.Create(b)
				Expect(reasonOf(check(a))).To(Equal(v1alpha1.ReasonCycle))
				Expect(reasonOf(check(b))).To(Equal(v1alpha1.ReasonCycle))
				Expect(check(a)).To(MatchError(And(ContainSubstring("core Secret y is made of"), ContainSubstring("target x"))))
				world.Remove(b)
				Expect(check(a)).To(Succeed())
			})
		}

		It("is found where a "+first+" writes the core Secret of its own name", func() {
			world.Create(makeFirst("x", "y", ""))
			Expect(reasonOf(check(followers["Secret"]("b", "x", "y")))).To(Equal(v1alpha1.ReasonCycle))
		})

		It("of another namespace makes no circle with a "+first, func() {
			world.Create(makeFirst("a", "y", "x"))
			other := followers["Parameter"]("b", "x", "y")
			other.SetNamespace(world.NewNamespace())
			Expect(check(other)).To(Succeed())
		})
	}

	It("by way of all three kinds is found", func() {
		world.Create(followers["Secret"]("a", "z", "x"))
		world.Create(followers["Parameter"]("b", "x", "y"))
		Expect(reasonOf(check(followers["Certificate"]("c", "y", "z")))).To(Equal(v1alpha1.ReasonCycle))
	})

	It("that others go round without it is not its own, and the look at it ends", func() {
		world.Create(followers["Secret"]("a", "y", "x"))
		world.Create(followers["Parameter"]("b", "x", "y"))
		Expect(check(followers["Certificate"]("c", "y", "z"))).To(Succeed())
	})
})

// composite is a Secret whose target is made of others' values.
func composite(name, target string, sources ...v1alpha1.TargetSource) *v1alpha1.Secret {
	return environment.Secret(world.Namespace, name, func(s *v1alpha1.Secret) {
		s.Spec.Target = &v1alpha1.SecretTarget{
			Name: target, Sources: sources, Template: &v1alpha1.TargetTemplate{Data: map[string]string{"k": "{{ .current }}"}},
		}
	})
}

func ofSecret(name string) v1alpha1.TargetSource {
	return v1alpha1.TargetSource{Alias: "s", SecretRef: &v1alpha1.LocalReference{Name: name}}
}

func ofParameter(name string) v1alpha1.TargetSource {
	return v1alpha1.TargetSource{Alias: "p", ParameterRef: &v1alpha1.LocalReference{Name: name}}
}

var _ = Describe("Following a core Secret that is made of several sources", func() {
	for kind, ref := range map[string]func(string) v1alpha1.TargetSource{"Secret": ofSecret, "Parameter": ofParameter} {
		It("one of which is the following "+kind+" itself is a Cycle, also where that writes nothing", func() {
			f := followers[kind]("f", "made", "")
			if s, ok := f.(*v1alpha1.Secret); ok {
				s.Spec.Target = nil
			} else {
				f.(*v1alpha1.Parameter).Spec.Target = nil
			}
			world.Create(f)
			Expect(check(f)).To(Succeed(), "nobody makes it yet")
			maker := composite("maker", "made", ref("f"))
			world.Create(maker)
			Expect(reasonOf(check(f))).To(Equal(v1alpha1.ReasonCycle))
			Expect(check(f)).To(MatchError(And(ContainSubstring("core Secret made"), ContainSubstring("Secret maker"))))
			world.Update(maker, func() { maker.Spec.Target.Sources = nil })
			Expect(check(f)).To(Succeed())
		})

		It("one of which is a "+kind+" that follows the follower's own target is a Cycle", func() {
			world.Create(composite("maker", "made", ref("between")))
			world.Create(followers[kind]("between", "own", "other"))
			f := followers["Certificate"]("f", "made", "own")
			Expect(reasonOf(check(f))).To(Equal(v1alpha1.ReasonCycle))
			Expect(check(followers["Certificate"]("g", "made", "another"))).To(Succeed())
		})
	}

	It("is told by the kind: a Parameter of the name of a Secret is not that Secret", func() {
		world.Create(composite("maker", "made", ofParameter("f")))
		Expect(check(followers["Secret"]("f", "made", "x"))).To(Succeed())
	})

	It("of which one is not there yet is none", func() {
		world.Create(composite("maker", "made", ofSecret("missing"), ofParameter("missing")))
		Expect(check(followers["Secret"]("f", "made", "x"))).To(Succeed())
	})
})

var _ = Describe("A source", func() {
	put := func(data map[string][]byte, labels map[string]string) {
		GinkgoHelper()
		Expect(world.ControlPlane.Client.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "source", Labels: labels}, Data: data,
		})).To(Succeed())
	}
	read := func(keys ...string) (imports.Source, error) {
		return imports.Reader{Live: world.Services.Live, Reserved: world.Services.Projector.Reserved}.Read(ctx, world.Namespace, "source", "spec.valueFrom", keys...)
	}

	It("that is not there is named, with the field that names it", func() {
		_, err := read("k")
		Expect(reasonOf(err)).To(Equal(v1alpha1.ReasonSourceNotFound))
		Expect(err).To(MatchError(And(ContainSubstring("core Secret source"), ContainSubstring("spec.valueFrom"))))
	})

	It("that lacks one of the keys says which, and nothing of the others' values", func() {
		put(map[string][]byte{"k": []byte("hunter2")}, nil)
		_, err := read("k", "absent")
		Expect(reasonOf(err)).To(Equal(v1alpha1.ReasonSourceNotFound))
		Expect(err).To(MatchError(And(ContainSubstring("no key absent"), Not(ContainSubstring("hunter2")))))
	})

	It("is read live, whether it is labelled to be watched or not, and can be wiped", func() {
		put(map[string][]byte{"k": []byte("hunter2")}, map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedSource})
		source, err := read("k")
		Expect(err).NotTo(HaveOccurred())
		Expect(source.Labelled).To(BeTrue())
		Expect(source.Data).To(HaveKeyWithValue("k", []byte("hunter2")))
		source.Wipe()
		Expect(source.Data).To(HaveKeyWithValue("k", make([]byte, len("hunter2"))))
	})

	It("without the label is not watched", func() {
		put(map[string][]byte{"k": nil}, map[string]string{v1alpha1.ManagedLabel: "nonsense"})
		source, err := read("k")
		Expect(err).NotTo(HaveOccurred())
		Expect(source.Labelled).To(BeFalse())
	})
})
