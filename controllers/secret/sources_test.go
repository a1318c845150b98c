package secret_test

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

func ofSecret(alias, name string) v1alpha1.TargetSource {
	return v1alpha1.TargetSource{Alias: alias, SecretRef: &v1alpha1.LocalReference{Name: name}}
}

func ofParameter(alias, name string) v1alpha1.TargetSource {
	return v1alpha1.TargetSource{Alias: alias, ParameterRef: &v1alpha1.LocalReference{Name: name}}
}

// madeOf has a target made of other objects, by one template.
func madeOf(text string, sources ...v1alpha1.TargetSource) func(*v1alpha1.Secret) {
	return func(s *v1alpha1.Secret) {
		template("joined", text)(s)
		s.Spec.Target.Sources = sources
	}
}

// parameterReady makes a Parameter and brings it to Ready.
func parameterReady(name, value string) *v1alpha1.Parameter {
	GinkgoHelper()
	p := environment.Parameter(namespace, name, func(p *v1alpha1.Parameter) { p.Spec.Value, p.Spec.Target = value, nil })
	create(p)
	reconcileParameter(p)
	Expect(meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue())
	return p
}

func reconcileParameter(p *v1alpha1.Parameter) {
	GinkgoHelper()
	_, err := env.Parameter.Reconcile(ctx, environment.Request(p))
	Expect(err).NotTo(HaveOccurred())
	refresh(p)
	seen(p)
}

const threefold = "{{ .current }}|{{ .sources.other.current }}|{{ .sources.level.current }}"

var _ = Describe("A target of several sources", func() {
	var other *v1alpha1.Secret
	BeforeEach(func() { other = ready2("other", "key") })

	It("is rendered from the own value, another Secret's and a Parameter's", func() {
		parameterReady("level", "info")
		s := ready(madeOf(threefold, ofSecret("other", "other"), ofParameter("level", "level")))
		Expect(projected("db")).To(Equal(map[string]string{
			"joined": value(s, v1alpha1.StageCurrent) + "|" + value(other, v1alpha1.StageCurrent) + "|info",
		}))
	})

	It("shows what a source was before as well, and is written once when a source changes, by one write beside status", func() {
		parameter := parameterReady("level", "info")
		s := ready(madeOf("{{ .sources.other.current }},{{ .sources.other.previous }},{{ .sources.level.current }},{{ .sources.level.previous }}",
			ofSecret("other", "other"), ofParameter("level", "level")))
		first := value(other, v1alpha1.StageCurrent)
		Expect(projected("db")["joined"]).To(Equal(first + ",,info,"))

		update(other, func() { annotate(v1alpha1.RotateAnnotation, "now")(other) })
		reconcile(other)
		update(parameter, func() { parameter.Spec.Value = "debug" })
		reconcileParameter(parameter)
		faulty, writes := env.Faulty()
		for _, want := range [][]string{{"apply", "status"}, nil} {
			writes.FailAt(0, false)
			_, err := faulty.Secret.Reconcile(ctx, environment.Request(s))
			Expect(err).NotTo(HaveOccurred())
			refresh(s)
			seen(s)
			Expect(writes.Log()).To(Equal(want))
		}
		Expect(projected("db")["joined"]).To(Equal(value(other, v1alpha1.StageCurrent) + "," + first + ",debug,info"))
		Expect(s.Status.Versions).To(HaveLen(1), "another's value makes no version")
	})

	It("restarts workloads once when a source changes", func() {
		web := deployment("web")
		create2(web)
		s := ready(madeOf("{{ .sources.other.current }}", ofSecret("other", "other")), func(s *v1alpha1.Secret) {
			s.Spec.Target.Restart = []v1alpha1.RestartTarget{{Kind: v1alpha1.RestartDeployment, Name: "web"}}
		})
		update(other, func() { annotate(v1alpha1.RotateAnnotation, "now")(other) })
		reconcile(other)
		reconcile(s)
		reconcile(s)
		refresh(web)
		Expect(web.Generation).To(Equal(int64(2)))
	})

	// A half of it would be worse than an old whole.
	It("that lacks one says which, keeps the last good whole, and goes on by itself", func() {
		parameter := parameterReady("level", "info")
		s := ready(madeOf(threefold, ofSecret("other", "other"), ofParameter("level", "level")))
		whole := projected("db")
		remove(parameter)
		update(s, func() { annotate(v1alpha1.RotateAnnotation, "now")(s) })
		for range 2 {
			reconcile(s)
			Expect(condition(s, v1alpha1.ConditionReady)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonSourceNotFound),
				HaveField("Message", And(ContainSubstring("sources[level]"), ContainSubstring("Parameter level"), Not(ContainSubstring(whole["joined"]))))))
			Expect(projected("db")).To(Equal(whole))
		}
		Expect(s.Status.Versions).To(HaveLen(2), "another's absence holds up no rotation")
		parameterReady("level", "warn")
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(projected("db")["joined"]).To(And(HavePrefix(value(s, v1alpha1.StageCurrent)+"|"), HaveSuffix("|warn")))
	})

	It("that was never whole is not there at all", func() {
		s := environmentSecret("db", madeOf(threefold, ofSecret("other", "other"), ofParameter("level", "missing")))
		create(s)
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonSourceNotFound))
		Expect(client.IgnoreNotFound(cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "db"}, &corev1.Secret{}))).To(Succeed())
		Expect(s.Status.Projection).To(BeNil())
	})

	It("waits for a source that has no value yet", func() {
		empty := environmentSecret("empty", func(s *v1alpha1.Secret) { s.Spec.Generate, s.Spec.Target = nil, nil })
		create(empty)
		reconcile(empty)
		s := environmentSecret("db", madeOf("{{ .sources.s.current }}", ofSecret("s", "empty")))
		create(s)
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(And(HaveField("Reason", v1alpha1.ReasonSourceNotFound), HaveField("Message", ContainSubstring("no value yet"))))
		update(empty, func() { empty.Spec.Generate = &v1alpha1.SecretGenerator{UUID: &v1alpha1.UUIDGenerator{}} })
		reconcile(empty)
		reconcile(s)
		Expect(projected("db")["joined"]).To(Equal(value(empty, v1alpha1.StageCurrent)))
	})

	It("of which one does not open says so, shows nothing of it, and keeps the last good whole", func() {
		s := ready(madeOf("{{ .sources.other.current }}", ofSecret("other", "other")))
		whole := projected("db")
		for _, e := range envelopes(v1alpha1.EnvelopeSecretVersion) {
			if e.Spec.Owner.Name != "other" {
				continue
			}
			by := e.DeepCopy()
			remove(&e)
			by.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: e.Name}
			by.Spec.Ciphertext[len(by.Spec.Ciphertext)-1] ^= 1
			create(by)
		}
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(And(HaveField("Reason", v1alpha1.ReasonEnvelopeTampered), HaveField("Message", ContainSubstring("sources[other]"))))
		Expect(projected("db")).To(Equal(whole))
	})

	// Another replica may have stored the version a moment ago.
	It("of which a version's Envelope is not to be seen yet is tried again soon, and not Stalled", func() {
		s := ready(madeOf("{{ .sources.other.current }}", ofSecret("other", "other")))
		for _, e := range envelopes(v1alpha1.EnvelopeSecretVersion) {
			if e.Spec.Owner.Name == "other" {
				remove(&e)
			}
		}
		_, err := env.Secret.Reconcile(ctx, environment.Request(s))
		Expect(err).To(HaveOccurred(), "the queue tries again")
		refresh(s)
		Expect(condition(s, v1alpha1.ConditionStalled)).To(BeNil())
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonEnvelopeMissing))
	})

	It("of which one's key is disabled keeps what it shows, and says which key", func() {
		foreign := environment.KMSKey(namespace, "foreign")
		create(foreign)
		reconcileKey(foreign)
		ready2("locked", "foreign")
		s := ready(madeOf("{{ .sources.locked.current }}", ofSecret("locked", "locked")))
		whole := projected("db")
		no := false
		update(foreign, func() { foreign.Spec.Enabled = &no })
		reconcileKey(foreign)
		env.Services.KMS.Materials.Clear()
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonKeyUnusable),
			HaveField("Message", And(ContainSubstring("sources[locked]"), ContainSubstring("foreign")))))
		Expect(projected("db")).To(Equal(whole))
	})

	It("finds none in another namespace", func() {
		elsewhere, err := cp.NewNamespace(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(cp.Client.Create(ctx, environment.Secret(elsewhere, "hidden"))).To(Succeed())
		s := environmentSecret("db", madeOf("{{ .sources.h.current }}", ofSecret("h", "hidden")))
		create(s)
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonSourceNotFound))
	})

	It("and another of the same are no circle, since each is made of values and not of targets", func() {
		one := environmentSecret("one", madeOf("{{ .current }}+{{ .sources.two.current }}", ofSecret("two", "two")))
		two := environmentSecret("two", madeOf("{{ .current }}+{{ .sources.one.current }}", ofSecret("one", "one")))
		create(one)
		create(two)
		faulty, writes := env.Faulty()
		for range 3 {
			writes.FailAt(0, false)
			for _, s := range []*v1alpha1.Secret{one, two} {
				_, err := faulty.Secret.Reconcile(ctx, environment.Request(s))
				Expect(err).NotTo(HaveOccurred())
				refresh(s)
				seen(s)
			}
		}
		Expect(writes.Log()).To(BeEmpty())
		Expect(projected("one")["joined"]).To(Equal(value(one, v1alpha1.StageCurrent) + "+" + value(two, v1alpha1.StageCurrent)))
	})
})

// These specs run the whole manager: what is watched is all that makes a pass.
var _ = Describe("A manager that runs", func() {
	It("writes the targets that are made of what changes, appears or goes", func() {
		op, err := environment.RunOperator(ctx, cp.Config, operator.Options{})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(op.Stop)
		shown := func(want ...string) {
			GinkgoHelper()
			Eventually(func() string {
				core := &corev1.Secret{}
				_ = cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "db"}, core)
				return string(core.Data["joined"])
			}).Should(Equal(strings.Join(want, "|")))
		}
		create2(environmentSecret("db", madeOf("{{ .sources.other.k }}|{{ .sources.level.current }}", ofSecret("other", "other"), ofParameter("level", "level"))))
		create2(coreSecret("source", map[string]string{"v": `{"k":"1"}`}, func(s *corev1.Secret) { s.Labels = map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedSource} }))
		create2(environmentSecret("other", func(s *v1alpha1.Secret) {
			s.Spec.Generate, s.Spec.Target = nil, nil
			s.Spec.ValueFrom = &v1alpha1.SecretValueSource{SecretKeyRef: v1alpha1.SecretKeyReference{Name: "source", Key: "v"}, Policy: v1alpha1.ImportFollow}
		}))
		level := environment.Parameter(namespace, "level", func(p *v1alpha1.Parameter) { p.Spec.Value, p.Spec.Target = "info", nil })
		create2(level)
		shown("1", "info")
		source := target("source")
		source.Data["v"] = []byte(`{"k":"2"}`)
		Expect(cp.Client.Update(ctx, source)).To(Succeed())
		shown("2", "info")
		Eventually(func() error {
			refresh(level)
			level.Spec.Value = "debug"
			return cp.Client.Update(ctx, level)
		}).Should(Succeed())
		shown("2", "debug")
		Expect(cp.Client.Delete(ctx, level)).To(Succeed())
		db := environmentSecret("db")
		Eventually(func() string {
			refresh(db)
			return fmt.Sprint(condition(db, v1alpha1.ConditionReady).Reason)
		}).Should(Equal(v1alpha1.ReasonSourceNotFound))
		shown("2", "debug")
	})
})
