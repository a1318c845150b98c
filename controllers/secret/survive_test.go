package secret_test

import (
	"fmt"
	"maps"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/envelope"
	"strongroom.dev/strongroom/test/environment"
)

// scenario is a pass that is made to die at each of its writes.
type scenario struct {
	// prepare brings a Secret of a name to the state before the pass. Every attempt has a name of its own.
	prepare func(name string) *v1alpha1.Secret
	// wire are the writes of the pass when nothing dies.
	wire []string
	// versions there are afterwards.
	versions int
	// check looks at the rest.
	check func(s *v1alpha1.Secret)
}

const both = "{{.current}},{{.previous}}"

// settled makes passes until one writes nothing.
func settled(r *environment.Reconcilers, writes *environment.FaultyClient, s *v1alpha1.Secret) {
	GinkgoHelper()
	for range 5 {
		writes.FailAt(0, false)
		_, err := r.Secret.Reconcile(ctx, environment.Request(s))
		Expect(err).NotTo(HaveOccurred())
		refresh(s)
		seen(s)
		if writes.Writes() == 0 {
			return
		}
	}
	Fail("it does not settle: " + strings.Join(writes.Log(), ", "))
}

// versionsStored counts the versions in Envelopes of one Secret.
func versionsStored(name string) (n int) {
	GinkgoHelper()
	for _, e := range envelopes(v1alpha1.EnvelopeSecretVersion) {
		if e.Spec.Owner.Name == name {
			n++
		}
	}
	return n
}

func (sc scenario) survive(after bool) {
	GinkgoHelper()
	faulty, writes := env.Faulty()
	for n := 1; ; n++ {
		s := sc.prepare(fmt.Sprintf("s%d", n))
		writes.FailAt(n, after)
		_, err := faulty.Secret.Reconcile(ctx, environment.Request(s))
		whole := writes.Writes() < n
		if whole {
			Expect(err).NotTo(HaveOccurred())
			Expect(writes.Log()).To(Equal(sc.wire))
		} else {
			Expect(err).To(MatchError(environment.ErrInjected))
		}
		settled(faulty, writes, s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(s.Status.Versions).To(HaveLen(sc.versions))
		Expect(versionsStored(s.Name)).To(Equal(sc.versions), "an Envelope was lost or is left over")
		sc.check(s)
		if whole {
			return
		}
	}
}

// importFrom imports a key of a core Secret.
func importFrom(source string, policy v1alpha1.ImportPolicy) func(*v1alpha1.Secret) {
	return func(s *v1alpha1.Secret) {
		s.Spec.Generate = nil
		s.Spec.ValueFrom = &v1alpha1.SecretValueSource{
			SecretKeyRef: v1alpha1.SecretKeyReference{Name: source, Key: "password"}, Policy: policy,
		}
	}
}

// rewrite changes the value of a source, some time later: values that follow each other at once are imported one in a while.
func rewrite(source *corev1.Secret, password string) {
	GinkgoHelper()
	source.StringData = map[string]string{"password": password}
	Expect(cp.Client.Update(ctx, source)).To(Succeed())
	seen(source)
	env.Clock.Advance(time.Minute)
}

func targetNamed(name string) func(*v1alpha1.Secret) {
	return func(s *v1alpha1.Secret) { s.Spec.Target.Name = name }
}

// made creates a Secret and makes a pass.
func made(name string, changes ...func(*v1alpha1.Secret)) *v1alpha1.Secret {
	GinkgoHelper()
	s := environmentSecret(name, changes...)
	create(s)
	reconcile(s)
	Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	return s
}

func rotate(s *v1alpha1.Secret) *v1alpha1.Secret {
	GinkgoHelper()
	update(s, func() { annotate(v1alpha1.RotateAnnotation, "now")(s) })
	return s
}

// shows checks that a core Secret has the current and the previous value.
func shows(name string, s *v1alpha1.Secret) {
	GinkgoHelper()
	want := value(s, v1alpha1.StageCurrent) + ","
	if len(s.Status.Versions) > 1 {
		want += value(s, v1alpha1.StagePrevious)
	}
	Expect(projected(name)).To(HaveKeyWithValue("keys", want))
}

func gone(name string) bool {
	return apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &corev1.Secret{}))
}

// generations checks how often a Deployment's and a StatefulSet's pods were made: once, and once more for each restart.
func generations(name string, want int64) {
	GinkgoHelper()
	for _, w := range []client.Object{&appsv1.Deployment{}, &appsv1.StatefulSet{}} {
		Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, w)).To(Succeed())
		Expect(w.GetGeneration()).To(Equal(want), "%T", w)
	}
}

// workloads makes a Deployment and a StatefulSet, and has a Secret restart them, by label and by name.
func workloads(name string) func(*v1alpha1.Secret) {
	GinkgoHelper()
	d := deployment(name)
	create2(d)
	create2(&appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec:       appsv1.StatefulSetSpec{ServiceName: name, Selector: d.Spec.Selector.DeepCopy(), Template: *d.Spec.Template.DeepCopy()},
	})
	return func(s *v1alpha1.Secret) {
		s.Spec.Target.Restart = []v1alpha1.RestartTarget{
			{Kind: v1alpha1.RestartDeployment, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}}},
			{Kind: v1alpha1.RestartStatefulSet, Name: name},
		}
	}
}

var _ = Describe("A death at any write", func() {
	cases := map[string]scenario{
		"of a first merge leaves one version, and the core Secret its maker's": {
			prepare: func(name string) *v1alpha1.Secret {
				create(coreSecret(name+"-shared", map[string]string{"mine": "1"}))
				s := environmentSecret(name, policy(v1alpha1.CreationPolicyMerge), template("keys", both), targetNamed(name+"-shared"))
				create(s)
				return s
			},
			wire: []string{"create", "apply", "status"}, versions: 1,
			check: func(s *v1alpha1.Secret) {
				shows(s.Name+"-shared", s)
				Expect(projected(s.Name + "-shared")).To(HaveKeyWithValue("mine", "1"))
				Expect(target(s.Name + "-shared").OwnerReferences).To(BeEmpty())
			},
		},
		"of a rotation that is merged loses no version": {
			prepare: func(name string) *v1alpha1.Secret {
				create(coreSecret(name+"-shared", map[string]string{"mine": "1"}))
				return rotate(made(name, policy(v1alpha1.CreationPolicyMerge), template("keys", both), targetNamed(name+"-shared")))
			},
			wire: []string{"create", "apply", "status"}, versions: 2,
			check: func(s *v1alpha1.Secret) { shows(s.Name+"-shared", s) },
		},
		"of an adoption adopts": {
			prepare: func(name string) *v1alpha1.Secret {
				create(coreSecret(name, map[string]string{"mine": "1"}))
				s := environmentSecret(name, policy(v1alpha1.CreationPolicyAdopt), template("keys", both))
				create(s)
				return s
			},
			wire: []string{"create", "apply", "status"}, versions: 1,
			check: func(s *v1alpha1.Secret) {
				shows(s.Name, s)
				Expect(projected(s.Name)).To(HaveKeyWithValue("mine", "1"))
				Expect(metav1.GetControllerOf(target(s.Name))).To(HaveField("UID", s.UID))
			},
		},
		"of an adoption of nothing makes one": {
			prepare: func(name string) *v1alpha1.Secret {
				s := environmentSecret(name, policy(v1alpha1.CreationPolicyAdopt), template("keys", both))
				create(s)
				return s
			},
			wire: []string{"create", "create", "status"}, versions: 1,
			check: func(s *v1alpha1.Secret) { shows(s.Name, s) },
		},
		"of a renaming moves the projection and restarts once": {
			prepare: func(name string) *v1alpha1.Secret {
				s := made(name, template("keys", both), workloads(name))
				update(s, func() { targetNamed(name + "-new")(s) })
				return s
			},
			wire: []string{"delete", "create", "apply", "apply", "status"}, versions: 1,
			check: func(s *v1alpha1.Secret) {
				shows(s.Name+"-new", s)
				Expect(gone(s.Name)).To(BeTrue(), "the former target is left over")
				generations(s.Name, 2)
			},
		},
		"of a renaming and a rotation at once does both once": {
			prepare: func(name string) *v1alpha1.Secret {
				s := made(name, template("keys", both), workloads(name))
				update(s, func() { targetNamed(name + "-new")(s); annotate(v1alpha1.RotateAnnotation, "now")(s) })
				return s
			},
			wire: []string{"create", "delete", "create", "apply", "apply", "status"}, versions: 2,
			check: func(s *v1alpha1.Secret) {
				shows(s.Name+"-new", s)
				Expect(gone(s.Name)).To(BeTrue(), "the former target is left over")
				generations(s.Name, 2)
			},
		},
		"of an import imports once": {
			prepare: func(name string) *v1alpha1.Secret {
				create(coreSecret(name+"-source", map[string]string{"password": "one"}))
				s := environmentSecret(name, importFrom(name+"-source", v1alpha1.ImportOnce), template("keys", both))
				create(s)
				return s
			},
			wire: []string{"create", "create", "status"}, versions: 1,
			check: func(s *v1alpha1.Secret) {
				Expect(projected(s.Name)).To(Equal(map[string]string{"keys": "one,"}))
			},
		},
		"of a followed import makes one version of the new value and restarts once": {
			prepare: func(name string) *v1alpha1.Secret {
				source := coreSecret(name+"-source", map[string]string{"password": "one"})
				create(source)
				s := made(name, importFrom(name+"-source", v1alpha1.ImportFollow), template("keys", both), workloads(name))
				rewrite(source, "two")
				return s
			},
			wire: []string{"create", "apply", "apply", "apply", "status"}, versions: 2,
			check: func(s *v1alpha1.Secret) {
				Expect(projected(s.Name)).To(Equal(map[string]string{"keys": "two,one"}))
				generations(s.Name, 2)
			},
		},
		"of a change of the template takes the former key out and restarts once": {
			prepare: func(name string) *v1alpha1.Secret {
				s := made(name, template("former", both), workloads(name))
				update(s, func() { template("keys", both)(s) })
				return s
			},
			wire: []string{"apply", "patch", "apply", "apply", "status"}, versions: 1,
			check: func(s *v1alpha1.Secret) {
				shows(s.Name, s)
				Expect(projected(s.Name)).NotTo(HaveKey("former"))
				generations(s.Name, 2)
			},
		},
		"of the end of a projection takes it away and keeps the version": {
			prepare: func(name string) *v1alpha1.Secret {
				s := made(name)
				update(s, func() { s.Spec.Target = nil })
				return s
			},
			wire: []string{"delete", "status"}, versions: 1,
			check: func(s *v1alpha1.Secret) {
				Expect(gone(s.Name)).To(BeTrue())
				Expect(s.Status.Projection).To(BeNil())
			},
		},
	}
	for name, sc := range cases {
		It(name+", be it before a write", func() { sc.survive(false) })
		It(name+", be it after one", func() { sc.survive(true) })
	}

	for _, after := range []bool{false, true} {
		It(fmt.Sprintf("of a restoration brings the same versions back and restarts nothing (after a write: %t)", after), func() {
			before := map[string]v1alpha1.SecretStatus{}
			shown := map[string]map[string]string{}
			scenario{
				prepare: func(name string) *v1alpha1.Secret {
					restarting := workloads(name)
					s := rotate(made(name, template("keys", both), restarting))
					reconcile(s)
					before[name], shown[name] = *s.Status.DeepCopy(), maps.Clone(projected(name))
					remove(s)
					entomb(env, name)
					again := environmentSecret(name, template("keys", both), restarting)
					create(again)
					return again
				},
				wire: []string{"patch", "apply", "status"}, versions: 2,
				check: func(s *v1alpha1.Secret) {
					Expect(s.Status.ARN).To(Equal(before[s.Name].ARN))
					Expect(s.Status.Versions).To(Equal(before[s.Name].Versions))
					Expect(projected(s.Name)).To(Equal(shown[s.Name]))
					Expect(metav1.GetControllerOf(target(s.Name))).To(HaveField("UID", s.UID))
					generations(s.Name, 2) // the rotation's, before
				},
			}.survive(after)
		})

		It(fmt.Sprintf("of a burial and of its undoing ends in one tombstone and in none (after a write: %t)", after), func() {
			faulty, writes := env.Faulty()
			s := made("db")
			stored := s.Status.DeepCopy()
			remove(s)
			writes.FailAt(1, after)
			_, err := faulty.Envelope.Reconcile(ctx, envelope.Owner{Kind: "Secret", Namespace: namespace, Name: "db"})
			Expect(err).To(MatchError(environment.ErrInjected))
			entomb(env, "db")
			Expect(envelopes(v1alpha1.EnvelopeTombstone)).To(HaveLen(1))

			again := made("db")
			Expect(again.Status.Versions).To(Equal(stored.Versions))
			writes.FailAt(1, after)
			_, err = faulty.Envelope.Reconcile(ctx, envelope.Owner{Kind: "Secret", Namespace: namespace, Name: "db"})
			Expect(err).To(MatchError(environment.ErrInjected))
			entomb(env, "db")
			Expect(envelopes(v1alpha1.EnvelopeTombstone)).To(BeEmpty())
			Expect(versionsStored("db")).To(Equal(1))
		})
	}

	It("of an import, and another value before the next pass, makes a version of each", func() {
		source := coreSecret("source", map[string]string{"password": "one"})
		create(source)
		s := made("db", importFrom("source", v1alpha1.ImportFollow), template("keys", both))
		faulty, writes := env.Faulty()
		for i, v := range []string{"two", "three"} {
			rewrite(source, v)
			if i == 0 {
				writes.FailAt(1, true)
				_, err := faulty.Secret.Reconcile(ctx, environment.Request(s))
				Expect(err).To(MatchError(environment.ErrInjected))
			}
		}
		settled(faulty, writes, s)
		Expect(s.Status.Versions).To(HaveLen(3))
		Expect(projected("db")).To(Equal(map[string]string{"keys": "three,two"}))
	})
})

// entomb has the Envelopes of a Secret looked after, as the manager does when it goes or settles.
func entomb(r *environment.Reconcilers, name string) {
	GinkgoHelper()
	Eventually(func(g Gomega) { // the cache of Envelopes may be behind
		_, err := r.Envelope.Reconcile(ctx, envelope.Owner{Kind: "Secret", Namespace: namespace, Name: name})
		g.Expect(err).NotTo(HaveOccurred())
	}).Should(Succeed())
}
