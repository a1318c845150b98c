package parameter_test

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// story is a change of a Parameter that is in force, and how it must end wherever a pass over it dies.
type story struct {
	before []edit
	change func(p *v1alpha1.Parameter)
	writes int
	// ends checks the end; versions is how many there must be.
	versions int
	ends     func(p *v1alpha1.Parameter)
}

var stories = map[string]story{
	"a value that is made anew": {
		before: []edit{secure("key")}, writes: 3, versions: 2,
		change: func(p *v1alpha1.Parameter) {
			metav1.SetMetaDataAnnotation(&p.ObjectMeta, v1alpha1.RotateAnnotation, "now")
		},
		ends: func(p *v1alpha1.Parameter) {
			Expect(p.Status.LastHandledRotateAt).To(Equal("now"))
			Expect(coreSecret(p.Name).Data["password"]).To(BeEquivalentTo(stored(p, 2)))
			Expect(stored(p, 1)).NotTo(Equal(stored(p, 2)))
		},
	},
	"a source that another takes the place of": {
		before: []edit{from("s", v1alpha1.ImportOnce)}, writes: 3, versions: 2,
		change: func(p *v1alpha1.Parameter) { p.Spec.ValueFrom.SecretKeyRef.Name = "t" },
		ends: func(p *v1alpha1.Parameter) {
			Expect(p.Status.ImportedFrom).To(Equal("t/k"))
			Expect(coreSecret(p.Name).Data["password"]).To(BeEquivalentTo("of t"))
			Expect(stored(p, 1)).To(Equal("of s"))
		},
	},
	"a target of another name": {
		writes: 3, versions: 1,
		change: func(p *v1alpha1.Parameter) { p.Spec.Target.ConfigMap.Name = p.Name + "-moved" },
		ends: func(p *v1alpha1.Parameter) {
			Expect(configMap(p.Name + "-moved").Data).To(Equal(map[string]string{"LOG_LEVEL": "info"}))
			gone(&corev1.ConfigMap{}, p.Name)
		},
	},
	"a target of another kind, with another value": {
		writes: 4, versions: 2,
		change: func(p *v1alpha1.Parameter) {
			p.Spec.Value, p.Spec.Target = "debug", &v1alpha1.ParameterTarget{Secret: &v1alpha1.ParameterTargetKey{}}
		},
		ends: func(p *v1alpha1.Parameter) {
			Expect(coreSecret(p.Name).Data).To(HaveKeyWithValue("value", []byte("debug")))
			gone(&corev1.ConfigMap{}, p.Name)
		},
	},
	"a target that is given up": {
		writes: 2, versions: 1,
		change: func(p *v1alpha1.Parameter) { p.Spec.Target = nil },
		ends: func(p *v1alpha1.Parameter) {
			gone(&corev1.ConfigMap{}, p.Name)
			Expect(p.Status.Projection).To(BeNil())
		},
	},
}

var _ = Describe("A crash at any write of a change", func() {
	for what, s := range stories {
		for _, after := range []bool{false, true} {
			where := map[bool]string{false: "before it is done", true: "when only its answer is lost"}[after]
			It("to "+what+", "+where+", ends as without it", func() {
				world.ReadyKey("key")
				source("s", "of s")
				source("t", "of t")
				faulty, writes := world.Faulty()
				pass := func(p *v1alpha1.Parameter) error {
					_, err := faulty.Parameter.Reconcile(ctx, environment.Request(p))
					world.Refresh(p)
					world.Seen(p)
					return err
				}
				for n := 1; ; n++ {
					p := ready(fmt.Sprintf("crash-%d", n), s.before...)
					world.Update(p, func() { s.change(p) })
					writes.FailAt(n, after)
					err := pass(p)
					if writes.Writes() < n {
						Expect(err).NotTo(HaveOccurred())
						Expect(n-1).To(Equal(s.writes), "it has writes: %s", strings.Join(writes.Log(), ", "))
						return
					}
					Expect(err).To(HaveOccurred())
					writes.FailAt(0, false)
					Expect(pass(p)).To(Succeed())
					Expect(condition(p)).To(HaveField("Status", metav1.ConditionTrue))
					Expect(p.Status.Versions).To(HaveLen(s.versions))
					s.ends(p)
					writes.FailAt(0, false)
					Expect(pass(p)).To(Succeed())
					Expect(writes.Writes()).To(BeZero(), "it does not come to rest: %s", strings.Join(writes.Log(), ", "))
					Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(HaveLen(s.versions), "an Envelope was lost or left over")
					for _, e := range world.Envelopes(v1alpha1.EnvelopeParameterVersion) {
						world.Remove(&e)
					}
					world.Remove(p)
				}
			})
		}
	}
})
