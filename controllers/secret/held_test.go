package secret_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/fairshare"
	"strongroom.dev/strongroom/internal/projection"
	"strongroom.dev/strongroom/test/environment"
)

// What is written for the namespace is played here: it has a debt of minutes.
var _ = Describe("A target that is written later, since many bytes were written for its namespace", func() {
	var (
		budget *fairshare.Budget
		other  *v1alpha1.Secret
	)
	BeforeEach(func() {
		budget = projection.NewBudget(env.Clock.Now)
		env.Secret.Projector.Budget = budget
		DeferCleanup(func() { env.Secret.Projector.Budget = nil })
		other = ready2("other", "key")
	})
	// waits spends what the namespace has, changes the other Secret, and has a pass told that the target waits.
	waits := func(s *v1alpha1.Secret) time.Duration {
		GinkgoHelper()
		budget.Settle(namespace, "another", 100<<20)
		update(other, func() { annotate(v1alpha1.RotateAnnotation, "now")(other) })
		reconcile(other)
		result := reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(And(HaveField("Status", metav1.ConditionFalse),
			HaveField("Reason", v1alpha1.ReasonProgressing), HaveField("Message", ContainSubstring("of targets were written for the namespace"))))
		return result.RequeueAfter
	}

	It("has nothing opened for it until then, says the same however often it is looked at, and is looked at as ever when it has come", func() {
		s := ready(madeOf("{{ .sources.other.current }}", ofSecret("other", "other")))
		before := projected("db")
		left := waits(s)
		Expect(left).To(BeNumerically(">", time.Minute))
		for _, e := range envelopes(v1alpha1.EnvelopeSecretVersion) {
			if e.Spec.Owner.Name == other.Name {
				remove(&e)
			}
		}
		for range 3 {
			version := s.ResourceVersion
			Expect(reconcile(s).RequeueAfter).To(BeNumerically("~", left, left/5))
			Expect(s.ResourceVersion).To(Equal(version), "status is written again, or a source was opened")
			Expect(projected("db")).To(Equal(before))
		}
		env.Clock.Advance(left + time.Second)
		_, err := env.Secret.Reconcile(ctx, environment.Request(s))
		Expect(err).To(HaveOccurred(), "nothing is opened when its time has come")
		refresh(s)
		seen(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonEnvelopeMissing))
	})

	It("is not held when spec names another one", func() {
		s := ready(madeOf("{{ .sources.other.current }}", ofSecret("other", "other")))
		waits(s)
		update(s, func() { s.Spec.Target.Name = "elsewhere" })
		reconcile(s)
		Expect(projected("elsewhere")).To(Equal(map[string]string{"joined": value(other, v1alpha1.StageCurrent)}))
	})

	It("is looked at when a Parameter that it shows expires, though nobody tells, and shows it no more", func() {
		parameter := expiring("level", "info", 30*time.Second)
		s := ready(keyed)
		Expect(projected("db")).To(HaveKeyWithValue("LEVEL", "info"))
		update(parameter, func() { parameter.Spec.Suspend = true })
		for _, left := range []time.Duration{waits(s), reconcile(s).RequeueAfter} {
			Expect(left).To(BeNumerically("~", 30*time.Second, 6*time.Second))
		}
		env.Clock.Advance(31 * time.Second)
		reconcile(s)
		Expect(projected("db")).To(And(HaveLen(2), HaveKey("OWN"), HaveKey("OTHER")))
	})
})
