package parameter_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/keyring"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// deleted is a Parameter of three versions, of which the first is labelled, that kubectl has deleted and that has its tombstone.
func deleted(name string, changes ...func(*v1alpha1.Parameter)) {
	GinkgoHelper()
	p := ready(name, changes...)
	for n := range 2 {
		world.Update(p, func() { p.Spec.Value = fmt.Sprint("value ", n+2) })
		reconcile(p)
	}
	_, _, err := world.Services.Parameters.Label(ctx, p, 1, []string{"stable"})
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(p)
	world.Seen(p)
	world.Remove(p)
	sweepUntilEntombed(name)
}

func eventually(check func(g Gomega)) {
	GinkgoHelper()
	Eventually(check).Should(Succeed())
}

var _ = Describe("A Parameter that is applied again", func() {
	It("within its window has its versions, under the same ARN, and the spec as it is applied", func() {
		deleted("a")
		back := create("a", valued("value 3"))
		reconcile(back)
		Expect(back.Status.Versions).To(HaveLen(3), "the value is that of the latest version")
		Expect(stored(back, 1)).To(Equal("info"))
		Expect(configMap("a").Data).To(HaveKeyWithValue("LOG_LEVEL", "value 3"))
		eventually(func(g Gomega) {
			sweep("a")
			g.Expect(world.Envelopes(v1alpha1.EnvelopeTombstone)).To(BeEmpty(), "the deletion is undone")
		})
		Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(HaveLen(3))
	})

	It("when the window is over begins at version 1, and what was deleted goes", func() {
		deleted("a")
		stone := world.Envelopes(v1alpha1.EnvelopeTombstone)[0]
		world.Clock.Set(stone.Spec.ExpireTime.Add(time.Second))
		eventually(func(g Gomega) {
			sweep("a")
			g.Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(BeEmpty())
			g.Expect(world.Envelopes(v1alpha1.EnvelopeTombstone)).To(BeEmpty())
		})
		back := ready("a")
		Expect(back.Status.Version).To(Equal(int64(1)))
	})

	It("twice is deleted twice, and comes back with all versions of both lives", func() {
		deleted("a")
		back := ready("a", valued("second life"))
		sweep("a")
		Expect(back.Status.Version).To(Equal(int64(4)))
		world.Remove(back)
		eventually(func(g Gomega) {
			sweep("a")
			stones := world.Envelopes(v1alpha1.EnvelopeTombstone)
			g.Expect(stones).To(ContainElement(HaveField("Spec.Sequence", int64(4))))
		})
		again := create("a", valued("third"))
		eventually(func(g Gomega) {
			reconcile(again)
			g.Expect(again.Status.Version).To(Equal(int64(5)))
		})
		Expect(stored(again, 1)).To(Equal("info"))
		Expect(stored(again, 4)).To(Equal("second life"))
	})

	It("without a value in its spec is what it was, and the API goes on from there", func() {
		deleted("a")
		back := create("a", valued(""))
		reconcile(back)
		Expect(condition(back)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(configMap("a").Data).To(HaveKeyWithValue("LOG_LEVEL", "value 3"))
		Expect(putByAPI(back, "value 4")).To(Succeed())
		Expect(back.Status.Version).To(Equal(int64(4)))
	})

	It("while a version of it does not open is told which, and keeps those that do", func() {
		deleted("a")
		for _, e := range world.Envelopes(v1alpha1.EnvelopeParameterVersion) {
			if e.Spec.Sequence == 2 {
				world.Exchange(&e, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[len(e.Spec.Ciphertext)-1] ^= 1 })
			}
		}
		back := create("a", valued("value 3"))
		reconcile(back)
		Expect(back.Status.Versions).To(HaveLen(2))
		Expect(world.DrainEvents()).To(ContainElement(And(ContainSubstring(v1alpha1.ReasonEnvelopeTampered),
			ContainSubstring("1 versions do not open"), ContainSubstring("parameter-version-"))))
	})

	It("while the latest version does not open is Stalled, and no older value takes its place", func() {
		deleted("a")
		for _, e := range world.Envelopes(v1alpha1.EnvelopeParameterVersion) {
			if e.Spec.Sequence == 3 {
				world.Exchange(&e, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[len(e.Spec.Ciphertext)-1] ^= 1 })
			}
		}
		back := create("a", valued(""))
		reconcile(back)
		Expect(condition(back).Reason).To(Equal(v1alpha1.ReasonEnvelopeTampered))
		Expect(back.Status.Versions).To(BeEmpty())
	})
})

var _ = Describe("A tombstone", func() {
	It("holds the last spec and index, says nothing in the clear, and ends when the Parameter says", func() {
		deleted("a", func(p *v1alpha1.Parameter) {
			p.Spec.Description = "what it is for"
			p.Spec.Deletion = &v1alpha1.SecretDeletion{RecoveryWindowInDays: 7}
		})
		e := world.Envelopes(v1alpha1.EnvelopeTombstone)[0]
		text, err := json.Marshal(e)
		Expect(err).NotTo(HaveOccurred())
		Expect(string(text)).NotTo(Or(ContainSubstring("value 3"), ContainSubstring("what it is for"), ContainSubstring("stable")))
		ring, err := world.Services.Keyring.Get()
		Expect(err).NotTo(HaveOccurred())
		t, err := store.OpenTombstone(ring, &e)
		Expect(err).NotTo(HaveOccurred())
		Expect(t.Index).To(HaveLen(3))
	})

	It("of one life does not hold up the sweep of what a crash left in the next", func() {
		p := ready("a")
		world.Update(p, func() { p.Spec.Value = "debug" })
		reconcile(p)
		p.Status.Versions = p.Status.Versions[1:] // as if version 1 had been let go and the crash had left its Envelope
		Expect(world.ControlPlane.Client.Status().Update(ctx, p)).To(Succeed())
		world.Seen(p)
		sweep("a")
		Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(HaveLen(2), "it may be in flight for an hour")
		world.Clock.Advance(2 * time.Hour)
		sweep("a")
		left := world.Envelopes(v1alpha1.EnvelopeParameterVersion)
		Expect(left).To(HaveLen(1))
		Expect(left[0].Spec.Sequence).To(Equal(int64(2)))
	})
})

var _ = Describe("A status that is not what it was", func() {
	lose := func(p *v1alpha1.Parameter, change func(*v1alpha1.ParameterStatus)) {
		GinkgoHelper()
		world.Refresh(p)
		change(&p.Status)
		Expect(world.ControlPlane.Client.Status().Update(ctx, p)).To(Succeed())
		world.Seen(p)
	}

	It("set back to an earlier version is brought up to the latest Envelope, and nothing is lost", func() {
		p := ready("a")
		earlier := p.Status.DeepCopy()
		world.Update(p, func() { p.Spec.Value = "debug" })
		reconcile(p)
		lose(p, func(s *v1alpha1.ParameterStatus) { *s = *earlier })
		reconcile(p)
		Expect(p.Status.Version).To(Equal(int64(2)))
		Expect(stored(p, 2)).To(Equal("debug"))
		Expect(world.Envelopes(v1alpha1.EnvelopeParameterVersion)).To(HaveLen(2))
	})

	It("that names another parameter's ARN is refused, and says how to mend it", func() {
		p := ready("a")
		ready("b", func(p *v1alpha1.Parameter) { p.Spec.Value = "of b" })
		lose(p, func(s *v1alpha1.ParameterStatus) { s.ARN = strings.Replace(s.ARN, "parameter/a", "parameter/b", 1) })
		reconcile(p)
		Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonEnvelopeTampered))
		Expect(condition(p).Message).To(ContainSubstring("status.arn"))
		Expect(configMap("a").Data).To(HaveKeyWithValue("LOG_LEVEL", "info"))
		lose(p, func(s *v1alpha1.ParameterStatus) { s.ARN, s.Versions = "", nil })
		reconcile(p)
		Expect(condition(p)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(p.Status.Version).To(Equal(int64(1)))
	})

	It("that names a version which there is not is EnvelopeMissing, and the target stays", func() {
		p := ready("a")
		lose(p, func(s *v1alpha1.ParameterStatus) {
			v := s.Versions[0]
			v.Version = 7
			s.Versions, s.Version = append(s.Versions, v), 7
		})
		reconcile(p)
		Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonEnvelopeMissing))
		Expect(condition(p).Message).NotTo(ContainSubstring("PutParameter"), "its manifest has the value")
		Expect(configMap("a").Data).To(HaveKeyWithValue("LOG_LEVEL", "info"))
	})

	It("whose version is lost says that another value helps too, if the API may put one", func() {
		p := ready("a")
		world.Update(p, func() { p.Spec.Value = "" })
		lost := envelopeOf(p)
		world.Exchange(lost, func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[40] ^= 1 })
		reconcile(p)
		Expect(condition(p)).To(And(HaveField("Reason", v1alpha1.ReasonEnvelopeTampered),
			HaveField("Message", And(ContainSubstring("restore it from a backup, or put another value (PutParameter with Overwrite)"), ContainSubstring(lost.Name)))))
	})

	It("without its projection writes the target again, and restarts nothing", func() {
		p := ready("a")
		version := configMap("a").ResourceVersion
		lose(p, func(s *v1alpha1.ParameterStatus) { s.Projection = nil })
		reconcile(p)
		Expect(p.Status.Projection).NotTo(BeNil())
		Expect(configMap("a").ResourceVersion).To(Equal(version))
	})
})

var _ = Describe("A SecureString's Envelope", func() {
	It("of another parameter does not open here: not its Envelope, not its payload", func() {
		world.ReadyKey("key")
		a, b := ready("a", secure("key")), ready("b", secure("key"))
		mine, theirs := envelopeOf(a), envelopeOf(b)
		Expect(coreSecret("a").Data["password"]).NotTo(Equal(coreSecret("b").Data["password"]))
		good := mine.Spec
		for what, change := range map[string]func(*v1alpha1.Envelope){
			"its payload": func(e *v1alpha1.Envelope) {
				e.Spec.Ciphertext, e.Spec.EncryptedDataKey = theirs.Spec.Ciphertext, theirs.Spec.EncryptedDataKey
			},
			"its data key": func(e *v1alpha1.Envelope) { e.Spec.EncryptedDataKey = theirs.Spec.EncryptedDataKey },
			"its owner":    func(e *v1alpha1.Envelope) { e.Spec.Owner = theirs.Spec.Owner },
		} {
			shownBefore := coreSecret("a").Data["password"]
			mine = world.Exchange(mine, change)
			reconcile(a)
			Expect(condition(a).Reason).To(Equal(v1alpha1.ReasonEnvelopeTampered), what)
			Expect(coreSecret("a").Data["password"]).To(Equal(shownBefore), what)
			mine = world.Exchange(mine, func(e *v1alpha1.Envelope) { e.Spec = good })
		}
		reconcile(a)
		Expect(condition(a)).To(HaveField("Status", metav1.ConditionTrue))
	})

	It("that is planted where the next version goes is refused, and the value that is wanted is not lost", func() {
		p := ready("a")
		planted := envelopeOf(p)
		planted.ObjectMeta = metav1.ObjectMeta{Namespace: p.Namespace, Name: store.Name(v1alpha1.EnvelopeParameterVersion, p.Status.ARN, 2)}
		planted.Spec.Sequence, planted.Spec.Version = 2, "2"
		world.Create(planted)
		world.Update(p, func() { p.Spec.Value = "debug" })
		reconcile(p)
		Expect(condition(p)).To(And(HaveField("Reason", v1alpha1.ReasonEnvelopeTampered), HaveField("Message", And(ContainSubstring(planted.Name), ContainSubstring("delete it")))))
		Expect(configMap("a").Data).To(HaveKeyWithValue("LOG_LEVEL", "info"))
		world.Remove(planted)
		reconcile(p)
		Expect(condition(p)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(configMap("a").Data).To(HaveKeyWithValue("LOG_LEVEL", "debug"))
	})

	It("that is planted there under a key, of a String, is named, and nobody is told to delete the Parameter", func() {
		key := world.ReadyKey("key")
		p := ready("a")
		planted := envelopeOf(p)
		planted.ObjectMeta = metav1.ObjectMeta{Namespace: p.Namespace, Name: store.Name(v1alpha1.EnvelopeParameterVersion, p.Status.ARN, 2)}
		planted.Spec.Sequence, planted.Spec.Version = 2, "2"
		planted.Spec.KeyARN, planted.Spec.EncryptedDataKey = key.Status.ARN, planted.Spec.Ciphertext
		world.Create(planted)
		world.Update(p, func() { unset(p) })
		reconcile(p)
		Expect(condition(p)).To(And(HaveField("Reason", v1alpha1.ReasonEnvelopeTampered), HaveField("Message", And(
			ContainSubstring("Envelope "+planted.Name+" of version 2 is of another type"), ContainSubstring("delete it"), Not(ContainSubstring("elete this Parameter"))))))
		Expect(putByAPI(p, "debug")).To(MatchError(And(ContainSubstring(planted.Name), Not(ContainSubstring("deleted parameter")))))
		Expect(p.Status.Versions).To(HaveLen(1))
		world.Remove(planted)
		world.Update(p, func() { p.Spec.Value = "debug" })
		reconcile(p)
		Expect(condition(p)).To(HaveField("Status", metav1.ConditionTrue), "%+v", condition(p))
		Expect(configMap("a").Data).To(HaveKeyWithValue("LOG_LEVEL", "debug"))
	})

	It("waits for a sealed keyring and a disabled key, and the target stays as it is", func() {
		key := world.ReadyKey("key")
		p := ready("a", secure("key"))
		before := coreSecret("a").Data["password"]
		unseal := world.Seal(keyring.ErrSealed)
		reconcile(p)
		Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonSealed))
		unseal()
		world.Update(key, func() { off := false; key.Spec.Enabled = &off })
		world.ReconcileKey(key)
		reconcile(p)
		Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonKeyUnusable))
		Expect(coreSecret("a").Data["password"]).To(Equal(before))
		world.Update(key, func() { on := true; key.Spec.Enabled = &on })
		world.ReconcileKey(key)
		reconcile(p)
		Expect(condition(p)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(p.Status.Versions).To(HaveLen(1))
	})
})

// envelopeOf is that of a Parameter's latest version.
func envelopeOf(p *v1alpha1.Parameter) *v1alpha1.Envelope {
	GinkgoHelper()
	for _, e := range world.Envelopes(v1alpha1.EnvelopeParameterVersion) {
		if e.Spec.Subject == p.Status.ARN && e.Spec.Sequence == p.Status.Version {
			return &e
		}
	}
	Fail("there is no such Envelope")
	return nil
}

var _ = Describe("A Parameter whose target waits for its namespace's bytes", func() {
	It("gives back what it has booked when it is deleted", func() {
		p := ready("a", valued("value 1"))
		budget := world.Parameter.Projector.Budget
		budget.Settle(world.Namespace, "somebody", 100<<20)
		world.Update(p, func() { p.Spec.Value = "value 2" })
		reconcile(p)
		payer := "Parameter/" + world.Namespace + "/a"
		Expect(budget.Booked(payer)).To(BeTrue())
		world.Remove(p)
		_, err := world.Parameter.Reconcile(ctx, environment.Request(p))
		Expect(err).NotTo(HaveOccurred())
		Expect(budget.Booked(payer)).To(BeFalse())
	})
})
