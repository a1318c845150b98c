package secret_test

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/secret"
	"strongroom.dev/strongroom/test/environment"
)

// is checks Ready and its reason, and what its message says.
func is(s *v1alpha1.Secret, status metav1.ConditionStatus, reason string, says ...string) {
	GinkgoHelper()
	c := condition(s, v1alpha1.ConditionReady)
	Expect(c).To(And(HaveField("Status", status), HaveField("Reason", reason)), "%s", c.Message)
	for _, text := range says {
		Expect(c.Message).To(ContainSubstring(text))
	}
}

func isReady(s *v1alpha1.Secret) {
	GinkgoHelper()
	is(s, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

var _ = Describe("What somebody has to mend heals when it is mended:", func() {
	It("a name that an elder has, when the elder goes; until then nothing is made", func() {
		elder := made("elder", func(s *v1alpha1.Secret) { s.Spec.Name = "prod/db" })
		s := environmentSecret("younger", func(s *v1alpha1.Secret) { s.Spec.Name = "prod/db" })
		create(s)
		Expect(reconcile(s).RequeueAfter).To(And(BeNumerically(">", 0), BeNumerically("<=", 6*time.Minute)), "nothing else says that the elder goes")
		is(s, metav1.ConditionFalse, v1alpha1.ReasonNameConflict, "Secret elder", "prod/db", "spec.name")
		Expect(s.Status.ARN).To(BeEmpty())
		Expect(versionsStored("younger")).To(BeZero())
		Expect(gone("younger")).To(BeTrue())
		remove(elder)
		reconcile(s)
		isReady(s)
		Expect(s.Status.ARN).NotTo(Equal(elder.Status.ARN), "the versions of the elder are not its own")
		Expect(projected("younger")).NotTo(Equal(projected("elder")))
	})

	It("an account that an older namespace has, when that gets another", func() {
		const account = "345678901234"
		Expect(cp.Namespace(ctx, "elder-account", map[string]string{v1alpha1.AccountIDLabel: account})).To(Succeed())
		own := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
		update(own, func() { own.Labels[v1alpha1.AccountIDLabel] = account })
		elder := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "elder-account"}}
		refresh(elder)
		seen(elder)
		refresh(own)
		loser := own
		if own.CreationTimestamp.Before(&elder.CreationTimestamp) || own.CreationTimestamp.Equal(&elder.CreationTimestamp) && own.Name < elder.Name {
			loser = elder // created in another second: this spec's own namespace is the elder
		}
		here := namespace
		namespace = loser.Name
		defer func() { namespace = here }()
		s := environmentSecret("db")
		create(s)
		reconcile(s)
		is(s, metav1.ConditionFalse, v1alpha1.ReasonAccountConflict, account, v1alpha1.AccountIDLabel)
		Expect(s.Status.ARN).To(BeEmpty())
		winner := map[bool]*corev1.Namespace{true: elder, false: own}[loser == own]
		update(winner, func() { winner.Labels[v1alpha1.AccountIDLabel] = "345678901235" })
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady).Reason).NotTo(Equal(v1alpha1.ReasonAccountConflict))
	})

	It("a key that is not there, when it comes; the message says which and what to do", func() {
		s := environmentSecret("db", func(s *v1alpha1.Secret) { s.Spec.KMSKeyRef.Name = "late" })
		create(s)
		reconcile(s)
		is(s, metav1.ConditionFalse, v1alpha1.ReasonKeyNotFound, "late", "create it")
		late := environment.KMSKey(namespace, "late")
		create(late)
		reconcileKey(late)
		reconcile(s)
		isReady(s)
	})

	It("a key that signs, when another one is named", func() {
		signing := environment.KMSKey(namespace, "signing", func(k *v1alpha1.KMSKey) {
			k.Spec.KeySpec, k.Spec.KeyUsage = v1alpha1.KeySpecECCNISTP256, v1alpha1.KeyUsageSignVerify
		})
		create(signing)
		reconcileKey(signing)
		s := environment.Secret(namespace, "db", func(s *v1alpha1.Secret) { s.Spec.KMSKeyRef.Name = "signing" })
		create(s)
		reconcile(s)
		is(s, metav1.ConditionFalse, v1alpha1.ReasonKeyUnusable, "SIGN_VERIFY", "name a KMSKey with another keyUsage")
		Expect(condition(s, v1alpha1.ConditionStalled)).To(HaveField("Reason", v1alpha1.ReasonKeyUnusable), "only another key helps")
		Expect(s.Status.Versions).To(BeEmpty())
		update(s, func() { s.Spec.KMSKeyRef.Name = "key" })
		reconcile(s)
		isReady(s)
	})

	It("a key that is disabled, when it is enabled; what was projected stays and no version is lost", func() {
		s := made("db", template("keys", both))
		before := projected("db")
		no, yes := false, true
		update(key, func() { key.Spec.Enabled = &no })
		reconcileKey(key)
		reconcile(rotate(s))
		is(s, metav1.ConditionFalse, v1alpha1.ReasonKeyUnusable)
		Expect(projected("db")).To(Equal(before))
		Expect(s.Status.Versions).To(HaveLen(1))
		Expect(s.Status.LastHandledRotateAt).To(BeEmpty(), "the rotation is still owed")
		update(key, func() { key.Spec.Enabled = &yes })
		reconcileKey(key)
		reconcile(s)
		isReady(s)
		Expect(s.Status.Versions).To(HaveLen(2))
		shows("db", s)
	})
})

var _ = Describe("A key that is being deleted, held back by what it encrypts,", func() {
	deleted := func(k *v1alpha1.KMSKey) {
		GinkgoHelper()
		Expect(cp.Client.Delete(ctx, k)).To(Succeed())
		refresh(k)
		seen(k)
		reconcileKey(k)
	}
	unnamed := func(s *v1alpha1.Secret) { s.Spec.KMSKeyRef = nil }
	// own makes the account's own key for secrets, which no spec names.
	own := func() *v1alpha1.KMSKey {
		GinkgoHelper()
		k := environment.KMSKey(namespace, "aws-secretsmanager")
		create(k)
		reconcileKey(k)
		return k
	}

	It("is said at the next look, not when a rotation fails, also if it is the one that no spec names", func() {
		k := own()
		named, plain := made("named"), made("plain", unnamed)
		before := projected("plain")
		deleted(key)
		deleted(k)
		for _, s := range []*v1alpha1.Secret{named, plain} {
			Expect(reconcile(s).RequeueAfter).To(BeNumerically(">", 0))
			is(s, metav1.ConditionFalse, v1alpha1.ReasonKeyUnusable, "being deleted", "name another key", "DeletionBlocked")
		}
		tampered("plain", hacked)
		reconcile(plain)
		Expect(projected("plain")).To(Equal(before), "what there is is healed all the same")
	})

	It("is no longer said when the Secret names another", func() {
		k := own()
		made("holder", unnamed)
		deleted(k)
		s := environmentSecret("db", unnamed)
		create(s)
		reconcile(s)
		Expect(s.Status.Versions).To(BeEmpty(), "nothing new is encrypted under it")
		update(s, func() { s.Spec.KMSKeyRef = &v1alpha1.LocalReference{Name: "key"} })
		reconcile(s)
		isReady(s)
	})

	It("and is not there at all, and that no spec names, is made when it is wanted: a Secret that has its version misses nothing", func() {
		s := made("db")
		update(s, func() { unnamed(s) })
		reconcile(s)
		isReady(s)
		missing := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "aws-secretsmanager"}}
		Expect(apierrors.IsNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(missing), missing))).To(BeTrue())
	})
})

var _ = Describe("A source", func() {
	var source *corev1.Secret
	BeforeEach(func() {
		source = coreSecret("source", map[string]string{"password": "one"})
		create(source)
	})

	DescribeTable("that becomes unusable is told, the last good projection stays, and it heals", func(spoil func(), reason string, says ...string) {
		s := made("db", importFrom("source", v1alpha1.ImportFollow), template("keys", both))
		refresh(source)
		spoil()
		env.Clock.Advance(time.Minute)
		Expect(reconcile(s).RequeueAfter).To(BeNumerically(">", 0))
		is(s, metav1.ConditionFalse, reason, says...)
		Expect(projected("db")).To(Equal(map[string]string{"keys": "one,"}))
		Expect(s.Status.Versions).To(HaveLen(1))
		if gone("source") {
			source = coreSecret("source", nil)
			create(source)
		}
		refresh(source)
		source.Data = nil
		rewrite(source, "two")
		reconcile(s)
		isReady(s)
		Expect(projected("db")).To(Equal(map[string]string{"keys": "two,one"}))
	},
		Entry("by being deleted", func() { Expect(cp.Client.Delete(ctx, source)).To(Succeed()) }, v1alpha1.ReasonSourceNotFound, "core Secret source", "create it"),
		Entry("by losing its key", func() { dropKey(source) }, v1alpha1.ReasonSourceNotFound, "core Secret source", "no key password"),
		Entry("by an empty value", func() { rewrite(source, "") }, v1alpha1.ReasonInvalidValue, "at least 1 byte"),
		Entry("by a value of 65,537 bytes", func() { rewrite(source, strings.Repeat("x", 65537)) }, v1alpha1.ReasonInvalidValue, "65537 bytes", "at most 65536"),
	)

	It("has a value of 65,536 bytes at most, which is AWS's limit", func() {
		rewrite(source, strings.Repeat("x", 65536))
		made("db", importFrom("source", v1alpha1.ImportOnce))
		Expect(projected("db")["value"]).To(HaveLen(65536))
	})

	It("that was imported once is imported again when a rotation is asked for, and not before", func() {
		s := made("db", importFrom("source", v1alpha1.ImportOnce), template("keys", both))
		rewrite(source, "two")
		reconcile(s)
		Expect(projected("db")).To(Equal(map[string]string{"keys": "one,"}))
		reconcile(rotate(s))
		Expect(projected("db")).To(Equal(map[string]string{"keys": "two,one"}))
		Expect(s.Status.LastHandledRotateAt).To(Equal("now"))
		update(s, func() { annotate(v1alpha1.RotateAnnotation, "again")(s) })
		reconcile(s)
		Expect(s.Status.Versions).To(HaveLen(2), "the same value is no new version")
		Expect(s.Status.LastHandledRotateAt).To(Equal("again"))
	})

	It("without the label is looked at within five minutes, and with it when it changes", func() {
		s := made("db", importFrom("source", v1alpha1.ImportFollow))
		Expect(reconcile(s).RequeueAfter).To(Equal(5 * time.Minute))
		refresh(source)
		source.Labels = map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedSource}
		rewrite(source, "one")
		Expect(reconcile(s).RequeueAfter).To(BeZero())
	})
})

// dropKey takes the key off a source.
func dropKey(source *corev1.Secret) {
	GinkgoHelper()
	refresh(source)
	source.Data = map[string][]byte{"other": []byte("x")}
	Expect(cp.Client.Update(ctx, source)).To(Succeed())
}

var _ = Describe("While it is suspended", func() {
	It("a Secret neither rotates, imports, projects, heals nor restarts, and takes it all up again", func() {
		source := coreSecret("source", map[string]string{"password": "one"})
		create(source)
		s := made("db", importFrom("source", v1alpha1.ImportFollow), template("keys", both), workloads("db"))
		update(s, func() {
			s.Spec.Suspend = true
			targetNamed("renamed")(s)
			annotate(v1alpha1.RotateAnnotation, "now")(s)
			annotate(v1alpha1.ReconcileAnnotation, "now")(s)
		})
		rewrite(source, "two")
		t := target("db")
		t.Data["keys"] = []byte("hacked")
		Expect(cp.Client.Update(ctx, t)).To(Succeed())
		seen(t)

		faulty, writes := env.Faulty()
		for range 3 {
			_, err := faulty.Secret.Reconcile(ctx, environment.Request(s))
			Expect(err).NotTo(HaveOccurred())
		}
		Expect(writes.Log()).To(Equal([]string{"status"}), "it says so, once")
		refresh(s)
		seen(s)
		is(s, metav1.ConditionFalse, v1alpha1.ReasonSuspended, "spec.suspend")
		Expect(projected("db")).To(Equal(map[string]string{"keys": "hacked"}))
		Expect(gone("renamed")).To(BeTrue())
		Expect(s.Status.LastHandledRotateAt).To(BeEmpty())
		generations("db", 1)

		update(s, func() { s.Spec.Suspend = false })
		reconcile(s)
		isReady(s)
		Expect(projected("renamed")).To(Equal(map[string]string{"keys": "two,one"}))
		Expect(gone("db")).To(BeTrue())
		Expect(s.Status.LastHandledRotateAt).To(Equal("now"))
		Expect(s.Status.LastHandledReconcileAt).To(Equal("now"))
		generations("db", 2)
	})

	It("a Secret that never had a version gets none, and a window that passes is not made up for", func() {
		s := environmentSecret("db", func(s *v1alpha1.Secret) { s.Spec.Suspend = true })
		create(s)
		reconcile(s)
		Expect(s.Status.Versions).To(BeEmpty())
		Expect(versionsStored("db")).To(BeZero())
		update(s, func() { s.Spec.Suspend = false; s.Spec.Rotation = &v1alpha1.SecretRotation{Schedule: "rate(1 days)"} })
		reconcile(s)
		Expect(s.Status.Versions).To(HaveLen(1))
	})
})

var _ = Describe("An annotation", func() {
	It("that asks for a look is echoed at once, for one write, and handled once", func() {
		s := made("db")
		faulty, writes := env.Faulty()
		update(s, func() { annotate(v1alpha1.ReconcileAnnotation, "one")(s) })
		for range 2 {
			_, err := faulty.Secret.Reconcile(ctx, environment.Request(s))
			Expect(err).NotTo(HaveOccurred())
		}
		Expect(writes.Log()).To(Equal([]string{"status"}))
		refresh(s)
		Expect(s.Status.LastHandledReconcileAt).To(Equal("one"))
		Expect(s.Status.Versions).To(HaveLen(1))
		seen(s)
		update(s, func() { delete(s.Annotations, v1alpha1.ReconcileAnnotation) })
		reconcile(s)
		Expect(s.Status.LastHandledReconcileAt).To(BeEmpty())
	})

	It("that asks for a look is echoed though the pass fails", func() {
		s := made("db")
		update(s, func() { template("a", "{{ .nothing }}")(s); annotate(v1alpha1.ReconcileAnnotation, "one")(s) })
		reconcile(s)
		Expect(s.Status.LastHandledReconcileAt).To(Equal("one"))
	})

	It("that is longer than status holds rotates once all the same", func() {
		s := made("db")
		update(s, func() { annotate(v1alpha1.RotateAnnotation, strings.Repeat("x", 2000))(s) })
		for range 3 {
			reconcile(s)
		}
		isReady(s)
		Expect(s.Status.Versions).To(HaveLen(2))
		update(s, func() { annotate(v1alpha1.RotateAnnotation, strings.Repeat("x", 2001))(s) })
		reconcile(s)
		Expect(s.Status.Versions).To(HaveLen(3), "another long one is another")
	})

	It("that comes with a broken schedule waits for it to be mended", func() {
		s := made("db")
		update(s, func() {
			s.Spec.Rotation = &v1alpha1.SecretRotation{Schedule: "cron(0 4 31 2 ? *)"}
			annotate(v1alpha1.RotateAnnotation, "now")(s)
		})
		reconcile(s)
		is(s, metav1.ConditionFalse, v1alpha1.ReasonInvalidSchedule)
		Expect(s.Status.LastHandledRotateAt).To(BeEmpty())
		update(s, func() { s.Spec.Rotation = nil })
		reconcile(s)
		Expect(s.Status.Versions).To(HaveLen(2))
	})
})

var _ = Describe("A watch", func() {
	It("looks at a new Envelope only if its Secret is Stalled, and never at those of a start", func() {
		healthy, stalled := made("healthy"), made("stalled")
		update(stalled, func() { template("a", "{{ .nothing }}")(stalled) })
		reconcile(stalled)
		wanted := func(kind, owner string, initial bool) bool {
			return secret.EnvelopeWanted(env.Secret, event.CreateEvent{IsInInitialList: initial, Object: &v1alpha1.Envelope{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace}, Spec: v1alpha1.EnvelopeSpec{Owner: v1alpha1.EnvelopeOwner{Kind: kind, Name: owner}},
			}})
		}
		Expect(wanted("Secret", healthy.Name, false)).To(BeFalse())
		Expect(wanted("Secret", stalled.Name, false)).To(BeTrue())
		Expect(wanted("Secret", stalled.Name, true)).To(BeFalse())
		Expect(wanted("Secret", "missing", false)).To(BeFalse())
		Expect(secret.EnvelopeWanted(env.Secret, event.CreateEvent{Object: &corev1.Secret{}})).To(BeFalse())
	})

	It("of a namespace looks at all its Secrets and no others", func() {
		made("one")
		made("two")
		Expect(secret.OfNamespace(env.Secret, ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(ConsistOf(
			HaveField("NamespacedName", client.ObjectKey{Namespace: namespace, Name: "one"}),
			HaveField("NamespacedName", client.ObjectKey{Namespace: namespace, Name: "two"})))
		Expect(secret.OfNamespace(env.Secret, ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "nowhere"}})).To(BeEmpty())
	})
})
