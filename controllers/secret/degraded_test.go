package secret_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// What there is must be shown and healed even if nothing new can be made, and what cannot be made must be said at once, not
// when it is due.
var _ = Describe("While no new version can be made", func() {
	breakers := map[string]struct {
		change func(*v1alpha1.Secret)
		reason string
	}{
		"since the schedule never fires": {
			func(s *v1alpha1.Secret) { s.Spec.Rotation = &v1alpha1.SecretRotation{Schedule: "cron(0 4 31 2 ? *)"} },
			v1alpha1.ReasonInvalidSchedule,
		},
		"since the key that is named does not exist": {
			func(s *v1alpha1.Secret) { s.Spec.KMSKeyRef.Name = "nowhere" }, v1alpha1.ReasonKeyNotFound,
		},
		"since the generator cannot make anything": {
			func(s *v1alpha1.Secret) {
				s.Spec.Generate = &v1alpha1.SecretGenerator{Password: &v1alpha1.PasswordGenerator{
					ExcludeCharacters: "0123456789", ExcludePunctuation: true, ExcludeLowercase: true, ExcludeUppercase: true,
				}}
			},
			v1alpha1.ReasonInvalidGenerator,
		},
		"since the source is gone": {
			func(s *v1alpha1.Secret) {
				s.Spec.Generate = nil
				s.Spec.ValueFrom = &v1alpha1.SecretValueSource{SecretKeyRef: v1alpha1.SecretKeyReference{Name: "nowhere", Key: "k"}}
			},
			v1alpha1.ReasonSourceNotFound,
		},
	}
	for name, c := range breakers {
		It(name+", Ready says so at once, and the projection heals all the same", func() {
			s := ready()
			value := projected("db")
			update(s, func() { c.change(s) })
			reconcile(s)
			Expect(reasonOf(s)).To(Equal(c.reason))
			remove(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "db"}})
			reconcile(s)
			Expect(projected("db")).To(Equal(value))
			Expect(reasonOf(s)).To(Equal(c.reason), "and is still not Ready")
			update(s, func() { s.Spec.Target.Name = "renamed" })
			reconcile(s)
			Expect(projected("renamed")).To(Equal(value))
		})
	}

	It("a rotation that is due stays due in status, so that an alert can see it", func() {
		s := ready(func(s *v1alpha1.Secret) { s.Spec.Rotation = &v1alpha1.SecretRotation{Schedule: "rate(30 days)"} })
		due := s.Status.NextRotationTime.Time
		disabled := false
		update(key, func() { key.Spec.Enabled = &disabled })
		reconcileKey(key)
		env.Clock.Set(due.Add(time.Minute))
		reconcile(s)
		Expect(reasonOf(s)).To(Equal(v1alpha1.ReasonKeyUnusable))
		Expect(s.Status.NextRotationTime.Time.Equal(due)).To(BeTrue(), "it says %v, not %v", s.Status.NextRotationTime, due)
		enabled := true
		update(key, func() { key.Spec.Enabled = &enabled })
		reconcileKey(key)
		reconcile(s)
		Expect(s.Status.NextRotationTime.Time.After(due)).To(BeTrue())
		Expect(s.Status.Versions).To(HaveLen(2))
	})

	It("one that was deleted and that a finalizer of somebody else's holds has no next rotation, and is shown no more", func() {
		s := ready(func(s *v1alpha1.Secret) {
			s.Spec.Rotation = &v1alpha1.SecretRotation{Schedule: "rate(30 days)"}
			s.Finalizers = []string{"example.com/hold"}
		})
		DeferCleanup(func() {
			Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
			s.Finalizers = nil
			Expect(cp.Client.Update(ctx, s)).To(Succeed())
		})
		Expect(s.Status.NextRotationTime).NotTo(BeNil())
		Expect(cp.Client.Delete(ctx, s.DeepCopy())).To(Succeed())
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
		seen(s)
		reconcile(s)
		Expect(s.Status.NextRotationTime).To(BeNil())
		Expect(s.Status.Projection).To(BeNil())
		Expect(reasonOf(s)).To(Equal(v1alpha1.ReasonTerminating))
	})

	It("what is waited for in vain is looked for less and less often", func() {
		s := environmentSecret("db", func(s *v1alpha1.Secret) {
			s.Spec.Generate = nil
			s.Spec.ValueFrom = &v1alpha1.SecretValueSource{SecretKeyRef: v1alpha1.SecretKeyReference{Name: "nowhere", Key: "k"}}
		})
		create(s)
		first := reconcile(s).RequeueAfter
		env.Clock.Set(time.Now().Add(10 * time.Minute))
		second := reconcile(s).RequeueAfter
		env.Clock.Set(time.Now().Add(24 * time.Hour))
		last := reconcile(s).RequeueAfter
		Expect(first).To(BeNumerically("<", 20*time.Second))
		Expect(second).To(And(BeNumerically(">", 2*time.Minute), BeNumerically("<", 3*time.Minute)))
		Expect(last).To(And(BeNumerically(">=", 5*time.Minute), BeNumerically("<=", 6*time.Minute)))
	})
})

var _ = Describe("A source that changes", func() {
	source := func(name, value string) {
		GinkgoHelper()
		Expect(cp.Client.Create(ctx, coreSecret(name, map[string]string{"k": value}))).To(Succeed())
	}
	from := func(name string) *v1alpha1.SecretValueSource {
		return &v1alpha1.SecretValueSource{SecretKeyRef: v1alpha1.SecretKeyReference{Name: name, Key: "k"}}
	}

	It("from a generator to an import is imported once", func() {
		s := ready()
		source("first", "one")
		update(s, func() { s.Spec.Generate, s.Spec.ValueFrom = nil, from("first") })
		reconcile(s)
		Expect(projected("db")).To(HaveKeyWithValue("value", "one"))
		Expect(s.Status.ImportedFrom).To(Equal("first/k"))
		reconcile(s)
		Expect(s.Status.Versions).To(HaveLen(2))

		By("another source")
		source("second", "two")
		update(s, func() { s.Spec.ValueFrom = from("second") })
		reconcile(s)
		Expect(projected("db")).To(HaveKeyWithValue("value", "two"))

		By("a source that is gone once it was imported from is not missed")
		Expect(cp.Client.Delete(ctx, coreSecret("second", nil))).To(Succeed())
		reconcile(s)
		Expect(reasonOf(s)).To(Equal(v1alpha1.ReasonSucceeded))
	})

	It("is not asked for again when status was lost", func() {
		source("first", "one")
		s := ready(func(s *v1alpha1.Secret) { s.Spec.Generate, s.Spec.ValueFrom = nil, from("first") })
		Expect(cp.Client.Delete(ctx, coreSecret("first", nil))).To(Succeed())
		s.Status = v1alpha1.SecretStatus{}
		Expect(cp.Client.Status().Update(ctx, s)).To(Succeed())
		seen(s)
		reconcile(s)
		Expect(reasonOf(s)).To(Equal(v1alpha1.ReasonSucceeded))
		Expect(s.Status.Versions).To(HaveLen(1))
		Expect(s.Status.ImportedFrom).To(Equal("first/k"))
	})
})

var _ = Describe("A status that was set back", func() {
	It("by several versions is mended in one pass, without an older value being shown", func() {
		s := ready()
		early := s.Status.DeepCopy()
		for _, n := range []string{"1", "2", "3"} {
			update(s, func() { annotate(v1alpha1.RotateAnnotation, n)(s) })
			reconcile(s)
		}
		value, current := projected("db"), s.Status.CurrentVersionID
		Expect(s.Status.Versions).To(HaveLen(4))
		held := versionOf("db")

		early.DeepCopyInto(&s.Status)
		Expect(cp.Client.Status().Update(ctx, s)).To(Succeed())
		seen(s)
		reconcile(s)
		Expect(s.Status.CurrentVersionID).To(Equal(current))
		Expect(s.Status.Versions).To(HaveLen(4))
		Expect(projected("db")).To(Equal(value))
		Expect(versionOf("db")).To(Equal(held))
	})

	It("in another order ends, and says what to do", func() {
		s := ready()
		update(s, func() { annotate(v1alpha1.RotateAnnotation, "1")(s) })
		reconcile(s)
		s.Status.Versions[0], s.Status.Versions[1] = s.Status.Versions[1], s.Status.Versions[0]
		Expect(cp.Client.Status().Update(ctx, s)).To(Succeed())
		seen(s)
		reconcile(s)
		Expect(reasonOf(s)).To(Equal(v1alpha1.ReasonEnvelopeTampered))
		s.Status.Versions = nil
		Expect(cp.Client.Status().Update(ctx, s)).To(Succeed())
		seen(s)
		reconcile(s)
		Expect(reasonOf(s)).To(Equal(v1alpha1.ReasonSucceeded))
		Expect(s.Status.Versions).To(HaveLen(2))
	})

	It("to the ARN and versions of another Secret that had the same AWS name shows nothing of it", func() {
		named := func(s *v1alpha1.Secret) { s.Spec.Name = "prod/db" }
		victim := ready(named)
		remove(victim)
		thief := environmentSecret("thief", named)
		create(thief)
		reconcile(thief)
		own := projected("thief")
		thief.Status.ARN, thief.Status.Versions = victim.Status.ARN, victim.Status.Versions
		Expect(cp.Client.Status().Update(ctx, thief)).To(Succeed())
		seen(thief)
		reconcile(thief)
		Expect(reasonOf(thief)).To(Equal(v1alpha1.ReasonEnvelopeTampered))
		Expect(condition(thief, v1alpha1.ConditionReady).Message).To(ContainSubstring("belongs to Secret db, not to Secret thief"))
		Expect(projected("thief")).To(Equal(own))
	})

	It("to another secret's ARN and versions shows nothing of it", func() {
		victim := ready()
		thief := environmentSecret("thief")
		create(thief)
		reconcile(thief)
		own := projected("thief")
		thief.Status.ARN, thief.Status.Versions = victim.Status.ARN, victim.Status.Versions
		Expect(cp.Client.Status().Update(ctx, thief)).To(Succeed())
		seen(thief)
		reconcile(thief)
		Expect(reasonOf(thief)).To(Equal(v1alpha1.ReasonEnvelopeTampered))
		Expect(condition(thief, v1alpha1.ConditionReady).Message).To(ContainSubstring("status.arn is another secret's"))
		Expect(projected("thief")).To(Equal(own))
	})
})
