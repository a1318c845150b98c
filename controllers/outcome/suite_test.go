package outcome_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/outcome"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/test/environment"
)

func TestOutcome(t *testing.T) {
	environment.Specs(t, "Outcome of a pass")
}

var (
	ctx   = context.Background()
	world *environment.World
	// writes is what passes write by; p the object that they are over.
	writes *environment.FaultyClient
	p      *v1alpha1.Parameter
)

var _ = BeforeSuite(func() { world = environment.NewWorld(ctx) })

var _ = BeforeEach(func() {
	world.Fresh()
	_, writes = world.Faulty()
	p = environment.Parameter(world.Namespace, "a")
	world.Create(p)
})

func reporter() outcome.Reporter {
	return outcome.Reporter{Client: writes, Events: world.Events, Now: world.Clock.Now}
}

// end ends a pass over the object as it is, with an error or none.
func end(err error, changes ...func(*outcome.Pass)) (ctrl.Result, error) {
	pass := &outcome.Pass{Before: p.DeepCopy(), Object: p, Err: err, Message: "all is well"}
	for _, c := range changes {
		c(pass)
	}
	p.Status.ObservedGeneration = p.Generation
	return reporter().End(ctx, pass)
}

func ready() *metav1.Condition {
	return meta.FindStatusCondition(p.Status.Conditions, v1alpha1.ConditionReady)
}

var (
	errMissing = errors.New("the source is missing")
	waiting    = fault.Waiting(v1alpha1.ReasonSourceNotFound, errMissing)
	stalled    = fault.Stalled(v1alpha1.ReasonInvalidValue, errors.New("the value is too long"))
)

func patient(pass *outcome.Pass) { pass.Patient = []string{v1alpha1.ReasonSourceNotFound} }

var _ = Describe("A pass that went well", func() {
	It("says so in one write, and the same again costs none", func() {
		result, err := end(nil, func(pass *outcome.Pass) { pass.Requeue = time.Hour })
		Expect(err).NotTo(HaveOccurred())
		Expect(result).To(Equal(ctrl.Result{RequeueAfter: time.Hour}))
		Expect(writes.Log()).To(Equal([]string{"status"}))
		Expect(ready()).To(And(HaveField("Status", metav1.ConditionTrue), HaveField("Message", "all is well"), HaveField("ObservedGeneration", p.Generation)))
		writes.FailAt(0, false)
		_, err = end(nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(writes.Writes()).To(BeZero())
		Expect(world.DrainEvents()).To(BeEmpty(), "what is as it should be is no event")
	})

	It("does what follows the commit after it, and also when there was nothing to write", func() {
		var version string
		committed := func(pass *outcome.Pass) {
			pass.Committed = func(context.Context) error {
				live := p.DeepCopy()
				world.Refresh(live)
				version = live.ResourceVersion
				return nil
			}
		}
		_, err := end(nil, committed)
		Expect(err).NotTo(HaveOccurred())
		Expect(version).To(Equal(p.ResourceVersion), "it came before the status was written")
		version = ""
		_, err = end(nil, committed)
		Expect(err).NotTo(HaveOccurred())
		Expect(version).NotTo(BeEmpty(), "a crash may have left it undone")
	})

	It("whose status cannot be written is made again, and what follows the commit is not done", func() {
		for _, after := range []bool{false, true} {
			writes.FailAt(1, after)
			_, err := end(nil, func(pass *outcome.Pass) {
				pass.Committed = func(context.Context) error { return errors.New("this must not be done") }
			})
			Expect(err).To(MatchError(environment.ErrInjected))
			world.Refresh(p)
			p.Status.LastHandledReconcileAt = "another fact, so that there is something to write"
		}
	})

	It("that lost a race says nothing and is made again soon", func() {
		stale := p.DeepCopy()
		world.Update(p, func() { p.Spec.Description = "somebody was first" })
		p = stale
		result, err := end(nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(And(BeNumerically(">", 0), BeNumerically("<", time.Second)))
		Expect(world.DrainEvents()).To(BeEmpty())
		world.Refresh(p)
		Expect(ready()).To(HaveField("Status", metav1.ConditionUnknown))
	})

	It("whose follow-up fails is made again", func() {
		_, err := end(nil, func(pass *outcome.Pass) { pass.Committed = func(context.Context) error { return errMissing } })
		Expect(err).To(MatchError(errMissing))
		world.Refresh(p)
		Expect(ready()).To(HaveField("Status", metav1.ConditionTrue), "the commit stands")
	})

	It("over an object that is gone leaves that to the queue", func() {
		world.Remove(p)
		_, err := end(nil)
		Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
	})
})

var _ = Describe("A pass that met a fault", func() {
	It("that somebody must mend says Stalled, is told once as an event, and is no error to the queue", func() {
		result, err := end(stalled)
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(BeNumerically("~", 5*time.Minute, 31*time.Second))
		Expect(ready()).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonInvalidValue),
			HaveField("Message", ContainSubstring("too long"))))
		Expect(meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionStalled)).To(BeTrue())
		Expect(world.DrainEvents()).To(ConsistOf(And(HavePrefix(corev1.EventTypeWarning), ContainSubstring(v1alpha1.ReasonInvalidValue))))
		_, err = end(stalled)
		Expect(err).NotTo(HaveOccurred())
		Expect(world.DrainEvents()).To(BeEmpty(), "it is no news")
		_, err = end(waiting)
		Expect(err).NotTo(HaveOccurred())
		Expect(world.DrainEvents()).To(HaveLen(1), "another reason is news")
		Expect(meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionStalled)).To(BeFalse())
		Expect(meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionReconciling)).To(BeTrue())
	})

	It("is an event again after it was mended meanwhile", func() {
		for range 2 {
			_, err := end(stalled)
			Expect(err).NotTo(HaveOccurred())
			Expect(world.DrainEvents()).To(HaveLen(1))
			_, err = end(nil)
			Expect(err).NotTo(HaveOccurred())
		}
	})

	It("of a reason that is told elsewhere is no event", func() {
		_, err := end(waiting, func(pass *outcome.Pass) { pass.Quiet = []string{v1alpha1.ReasonSourceNotFound} })
		Expect(err).NotTo(HaveOccurred())
		Expect(world.DrainEvents()).To(BeEmpty())
		Expect(ready()).To(HaveField("Reason", v1alpha1.ReasonSourceNotFound))
	})

	It("that is expected of a young object is an event without a warning, and a warning of an older one", func() {
		expected := func(pass *outcome.Pass) { pass.Expected = []string{v1alpha1.ReasonSourceNotFound} }
		now := p.CreationTimestamp.Time
		ends := func(after time.Duration, err error, changes ...func(*outcome.Pass)) {
			GinkgoHelper()
			pass := &outcome.Pass{Before: p.DeepCopy(), Object: p, Err: err, Message: "all is well"}
			for _, c := range changes {
				c(pass)
			}
			r := reporter()
			r.Now = func() time.Time { return now.Add(after) }
			_, failed := r.End(ctx, pass)
			Expect(failed).NotTo(HaveOccurred())
		}
		for _, tt := range []struct {
			after time.Duration
			kind  string
		}{{-time.Minute, corev1.EventTypeNormal}, {0, corev1.EventTypeNormal}, {9 * time.Second, corev1.EventTypeNormal}, {10 * time.Second, corev1.EventTypeWarning}, {time.Hour, corev1.EventTypeWarning}} {
			ends(tt.after, waiting, expected)
			Expect(world.DrainEvents()).To(ConsistOf(And(HavePrefix(tt.kind+" "), ContainSubstring(v1alpha1.ReasonSourceNotFound))), "after %s", tt.after)
			ends(tt.after, waiting, expected)
			Expect(world.DrainEvents()).To(BeEmpty(), "it is no news")
			ends(tt.after, nil)
		}
		ends(0, stalled, expected)
		Expect(world.DrainEvents()).To(ConsistOf(HavePrefix(corev1.EventTypeWarning)), "another reason is not expected")
	})

	It("without a meaning goes to the queue's back-off, without an event", func() {
		_, err := end(errMissing)
		Expect(err).To(MatchError(errMissing))
		Expect(ready()).To(HaveField("Reason", v1alpha1.ReasonProgressing))
		Expect(world.DrainEvents()).To(BeEmpty())
	})

	It("still commits the facts of the pass, and does what follows", func() {
		followed := false
		p.Status.ImportedFrom = "a fact"
		_, err := end(stalled, func(pass *outcome.Pass) {
			pass.Before.(*v1alpha1.Parameter).Status.ImportedFrom = ""
			pass.Committed = func(context.Context) error { followed = true; return nil }
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(followed).To(BeTrue())
		world.Refresh(p)
		Expect(p.Status.ImportedFrom).To(Equal("a fact"))
	})

	It("and a lost race is made again soon without an error, and the next one tells the fault, which is not lost with it", func() {
		stale := p.DeepCopy()
		world.Update(p, func() { p.Spec.Description = "somebody was first" })
		newer := p
		for _, of := range []error{waiting, stalled} {
			p = stale.DeepCopy()
			result, err := end(of)
			Expect(err).NotTo(HaveOccurred(), "the queue logs it as an error")
			Expect(result.RequeueAfter).To(And(BeNumerically(">", 0), BeNumerically("<", time.Second)))
			Expect(world.DrainEvents()).To(BeEmpty())
		}
		p = newer
		_, err := end(stalled)
		Expect(err).NotTo(HaveOccurred())
		Expect(ready()).To(HaveField("Reason", v1alpha1.ReasonInvalidValue))
		Expect(world.DrainEvents()).To(HaveLen(1))
	})

	It("cuts a long message, and takes control characters out of it", func() {
		_, err := end(fault.Stalled(v1alpha1.ReasonInvalidValue, errors.New("bad\x1b[31m\x00"+strings.Repeat("x", 50_000))))
		Expect(err).NotTo(HaveOccurred())
		Expect(len(ready().Message)).To(BeNumerically("<=", 32768))
		Expect(ready().Message).NotTo(ContainSubstring("\x1b"))
		Expect(ready().Message).NotTo(ContainSubstring("\x00"))
	})
})

var _ = Describe("What does not come", func() {
	wait := func(changes ...func(*outcome.Pass)) time.Duration {
		GinkgoHelper()
		result, err := end(waiting, changes...)
		Expect(err).NotTo(HaveOccurred())
		return result.RequeueAfter
	}
	around := func(d time.Duration) gomegatypes.GomegaMatcher {
		return And(BeNumerically(">=", d), BeNumerically("<=", d+d/10+time.Second))
	}

	It("is looked for less and less often, and every five minutes in the end", func() {
		Expect(wait(patient)).To(around(15 * time.Second))
		since := ready().LastTransitionTime.Time
		for age, want := range map[time.Duration]time.Duration{
			0: 15 * time.Second, time.Minute: 15 * time.Second, 2 * time.Minute: 30 * time.Second, 10 * time.Minute: 150 * time.Second,
			20 * time.Minute: 5 * time.Minute, 240 * time.Hour: 5 * time.Minute,
		} {
			world.Clock.Set(since.Add(age))
			Expect(wait(patient)).To(around(want), "after %s", age)
		}
	})

	It("of a reason that costs nothing to look into is looked for as often as at first", func() {
		Expect(wait()).To(around(15 * time.Second))
		world.Clock.Advance(time.Hour)
		Expect(wait()).To(around(15 * time.Second))
	})

	It("is looked for often again when it went missing again", func() {
		wait(patient)
		world.Clock.Advance(time.Hour)
		_, err := end(nil)
		Expect(err).NotTo(HaveOccurred())
		Expect(wait(patient)).To(around(15 * time.Second))
	})
})
