package secret_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// expiring makes a Parameter that expires some time from now, and brings it to Ready.
func expiring(name, value string, in time.Duration) *v1alpha1.Parameter {
	GinkgoHelper()
	p := environment.Parameter(namespace, name, func(p *v1alpha1.Parameter) {
		p.Spec.Value, p.Spec.Target = value, nil
		ends(in)(p)
	})
	create(p)
	reconcileParameter(p)
	Expect(p.Status.Versions).To(HaveLen(1))
	return p
}

func ends(in time.Duration) func(*v1alpha1.Parameter) {
	return func(p *v1alpha1.Parameter) {
		p.Spec.Tier = v1alpha1.TierAdvanced
		p.Spec.Policies = []v1alpha1.ParameterPolicy{{Type: "Expiration", Timestamp: env.Clock.Now().Add(in).UTC().Format(time.RFC3339)}}
	}
}

// keyed has a target of several keys, made of one Parameter and another Secret.
func keyed(s *v1alpha1.Secret) {
	s.Spec.Target.Template = &v1alpha1.TargetTemplate{Data: map[string]string{
		"OWN": "{{ .current }}", "OTHER": "{{ .sources.other.current }}", "LEVEL": "{{ .sources.level.current }}", "BOTH": "{{ .sources.level.current }} {{ .current }}",
	}}
	s.Spec.Target.Sources = []v1alpha1.TargetSource{ofSecret("other", "other"), ofParameter("level", "level")}
}

// A parameter that has expired is not there for anybody, so nobody is shown it.
var _ = Describe("A target that is made of a Parameter which expires", func() {
	BeforeEach(func() { ready2("other", "key") })
	refused := func(s *v1alpha1.Secret, text string) {
		GinkgoHelper()
		Expect(condition(s, v1alpha1.ConditionReady)).To(And(HaveField("Status", metav1.ConditionFalse),
			HaveField("Reason", v1alpha1.ReasonSourceNotFound), HaveField("Message", ContainSubstring(text))))
	}
	without := func(data map[string]string, keys ...string) map[string]string {
		for _, key := range keys {
			delete(data, key)
		}
		return data
	}

	It("is looked at then, loses by one write what shows it, keeps the rest, and restarts workloads when it is whole again", func() {
		web := deployment("web")
		create2(web)
		parameter := expiring("level", "info", time.Hour)
		s := ready(keyed, restarting("web"))
		Expect(s.Status.TargetParameters).To(ConsistOf(And(HaveField("Alias", "level"), HaveField("Name", "level"), HaveField("Keys", []string{"BOTH", "LEVEL"}))))
		Expect(reconcile(s).RequeueAfter).To(BeNumerically("~", time.Hour, 2*time.Second))
		whole := projected("db")
		update(parameter, func() { parameter.Spec.Suspend = true }) // it is not deleted, and nobody tells
		env.Clock.Advance(time.Hour)
		faulty, writes := env.Faulty()
		for _, want := range [][]string{{"patch", "status"}, nil} {
			writes.FailAt(0, false)
			_, err := faulty.Secret.Reconcile(ctx, environment.Request(s))
			Expect(err).NotTo(HaveOccurred())
			refresh(s)
			seen(s)
			Expect(writes.Log()).To(Equal(want))
			refused(s, "Parameter level has expired")
			Expect(projected("db")).To(Equal(without(whole, "LEVEL", "BOTH")))
			Expect(s.Status.Projection.Keys).To(ConsistOf("OWN", "OTHER"))
		}
		refresh(web)
		Expect(web.Generation).To(Equal(int64(1)), "workloads are restarted for a part")
		update(parameter, func() { ends(time.Hour)(parameter) })
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(projected("db")).To(HaveKeyWithValue("LEVEL", "info"))
		refresh(web)
		Expect(web.Generation).To(Equal(int64(2)))
	})

	It("loses what shows it also when it is deleted by then", func() {
		parameter := expiring("level", "info", time.Hour)
		s := ready(keyed)
		whole := projected("db")
		env.Clock.Advance(time.Hour)
		_, err := env.Parameter.Reconcile(ctx, environment.Request(parameter))
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() bool {
			return apierrors.IsNotFound(env.GetClient().Get(ctx, client.ObjectKeyFromObject(parameter), &v1alpha1.Parameter{}))
		}).Should(BeTrue())
		reconcile(s)
		refused(s, "Parameter level does not exist")
		Expect(projected("db")).To(Equal(without(whole, "LEVEL", "BOTH")))
	})

	It("loses what shows it when a spec gives it a time that has passed", func() {
		parameter := parameterReady("level", "info")
		s := ready(keyed)
		whole := projected("db")
		update(parameter, func() { ends(-time.Hour)(parameter) })
		reconcileParameter(parameter)
		reconcile(s)
		refused(s, "Parameter level has expired")
		Expect(projected("db")).To(Equal(without(whole, "LEVEL", "BOTH")))
	})

	It("keeps the last good whole of one that was deleted before its time, until then", func() {
		parameter := expiring("level", "info", time.Hour)
		s := ready(keyed)
		whole := projected("db")
		remove(parameter)
		reconcile(s)
		refused(s, "Parameter level does not exist")
		Expect(projected("db")).To(Equal(whole))
		env.Clock.Advance(time.Hour)
		reconcile(s)
		Expect(projected("db")).To(Equal(without(whole, "LEVEL", "BOTH")))
	})

	It("keeps all while the API server's clock knows nothing of it", func() {
		expiring("level", "info", time.Hour)
		s := ready(keyed)
		whole, server := projected("db"), env.Clock.Now()
		reconciler, parameters := *env.Secret, *env.Services.Parameters
		parameters.ServerTime = func(context.Context) (time.Time, error) { return server, nil }
		reconciler.Parameters = &parameters
		env.Clock.Advance(2 * time.Hour)
		pass := func() map[string]string {
			GinkgoHelper()
			_, err := reconciler.Reconcile(ctx, environment.Request(s))
			Expect(err).NotTo(HaveOccurred())
			refresh(s)
			seen(s)
			return projected("db")
		}
		Expect(pass()).To(Equal(whole))
		server = server.Add(time.Hour)
		Expect(pass()).To(Equal(without(whole, "LEVEL", "BOTH")))
	})

	It("loses in what it merges into its own, and nothing else", func() {
		create2(coreSecret("shared", map[string]string{"theirs": "x"}))
		expiring("level", "info", time.Hour)
		s := ready(keyed, policy(v1alpha1.CreationPolicyMerge), func(s *v1alpha1.Secret) { s.Spec.Target.Name = "shared" })
		whole := projected("shared")
		Expect(whole).To(HaveLen(5))
		env.Clock.Advance(time.Hour)
		reconcile(s)
		Expect(projected("shared")).To(Equal(without(whole, "LEVEL", "BOTH")))
	})

	It("is not there at all if its type needs what is gone, and comes back", func() {
		parameter := expiring("level", "info", time.Hour)
		s := ready(func(s *v1alpha1.Secret) {
			keyed(s)
			s.Spec.Target.Type = string(corev1.SecretTypeSSHAuth)
			s.Spec.Target.Template.Data = map[string]string{"ssh-privatekey": "{{ .sources.level.current }}", "OWN": "{{ .current }}"}
		})
		update(parameter, func() { parameter.Spec.Suspend = true })
		env.Clock.Advance(time.Hour)
		reconcile(s)
		refused(s, "Parameter level has expired")
		Expect(apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "db"}, &corev1.Secret{}))).To(BeTrue())
		update(parameter, func() { ends(time.Hour)(parameter) })
		reconcile(s)
		Expect(projected("db")).To(HaveKeyWithValue("ssh-privatekey", "info"))
	})

	It("is left alone if it is immutable, and goes with its last user", func() {
		expiring("level", "info", time.Hour)
		s := ready(keyed, immutable)
		name := s.Status.Projection.Name
		whole := projected(name)
		env.Clock.Advance(time.Hour)
		reconcile(s)
		refused(s, "Parameter level has expired")
		Expect(projected(name)).To(Equal(whole))
	})

	It("which nothing shows stays as it is, and says what is missing", func() {
		parameter := expiring("level", "info", time.Hour)
		s := ready(keyed, func(s *v1alpha1.Secret) { s.Spec.Target.Template.Data = map[string]string{"OWN": "{{ .current }}"} })
		whole := projected("db")
		update(parameter, func() { parameter.Spec.Suspend = true })
		env.Clock.Advance(time.Hour)
		digest := s.Status.Projection.Digest
		reconcile(s)
		refused(s, "Parameter level has expired")
		Expect(projected("db")).To(Equal(whole))
		Expect(s.Status.Projection.Digest).To(Equal(digest))
	})
})

// Each write of a withdrawal is made to fail in turn, before it is done and after it.
var _ = Describe("A crash while a target lets go of what has expired", func() {
	for _, after := range []bool{false, true} {
		where := map[bool]string{false: "before a write is done", true: "when only its answer is lost"}[after]
		It(where+", ends with what shows it gone", func() {
			ready2("other", "key")
			faulty, writes := env.Faulty()
			for n := 1; ; n++ {
				parameter := expiring("level", "info", time.Hour)
				update(parameter, func() { parameter.Spec.Suspend = true })
				s := ready(keyed)
				env.Clock.Advance(time.Hour)
				writes.FailAt(n, after)
				_, err := faulty.Secret.Reconcile(ctx, environment.Request(s))
				if writes.Writes() < n {
					Expect(err).NotTo(HaveOccurred())
					Expect(n).To(Equal(3), "it is withdrawn, and status written")
					return
				}
				Eventually(func(g Gomega) {
					_, err := env.Secret.Reconcile(ctx, environment.Request(s))
					g.Expect(err).NotTo(HaveOccurred())
					refresh(s)
					g.Expect(s.Status.Projection.Keys).To(ConsistOf("OWN", "OTHER"))
				}).Should(Succeed())
				Expect(projected("db")).To(And(HaveLen(2), HaveKey("OWN"), HaveKey("OTHER")))
				remove(s)
				remove(target("db"))
				sweepAll("db")
				remove(parameter)
				sweepAll("level")
			}
		})
	}
})

// sweepAll removes all Envelopes of an owner, so that its name is free.
func sweepAll(owner string) {
	GinkgoHelper()
	for _, class := range []v1alpha1.EnvelopeClass{v1alpha1.EnvelopeSecretVersion, v1alpha1.EnvelopeParameterVersion} {
		for _, e := range envelopes(class) {
			if e.Spec.Owner.Name == owner {
				remove(&e)
			}
		}
	}
}
