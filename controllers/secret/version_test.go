package secret_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

var _ = Describe("A new Secret", func() {
	It("gets a first version that is AWSCURRENT, an ARN, and a projection", func() {
		s := ready()
		Expect(s.Status.ARN).To(MatchRegexp(`^arn:aws:secretsmanager:us-east-1:\d{12}:secret:db-[A-Za-z0-9]{6}$`))
		Expect(s.Status.Versions).To(HaveLen(1))
		Expect(s.Status.Versions[0].Stages).To(ConsistOf(v1alpha1.StageCurrent))
		Expect(s.Status.CurrentVersionID).To(Equal(s.Status.Versions[0].VersionID))
		Expect(s.Status.ObservedGeneration).To(Equal(s.Generation))
		Expect(projected("db")).To(HaveKeyWithValue("value", HaveLen(32)))
		Expect(envelopes(v1alpha1.EnvelopeSecretVersion)).To(HaveLen(1))
	})

	It("is neither Reconciling nor Stalled once it is Ready", func() {
		s := ready()
		Expect(condition(s, v1alpha1.ConditionReconciling)).To(BeNil())
		Expect(condition(s, v1alpha1.ConditionStalled)).To(BeNil())
	})

	It("waits for its key and becomes Ready when the key is there", func() {
		s := ready()
		remove(s)
		s = ready2("other", "late-key")
		Expect(condition(s, v1alpha1.ConditionReady)).To(And(
			HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonKeyNotFound),
			HaveField("Message", ContainSubstring("late-key"))))
		late := key.DeepCopy()
		late.ObjectMeta = metav1.ObjectMeta{Namespace: namespace, Name: "late-key"}
		late.Status = v1alpha1.KMSKeyStatus{}
		create(late)
		reconcileKey(late)
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	})

	It("makes the account's own key when it names none", func() {
		s := environmentSecret("own-key", func(s *v1alpha1.Secret) { s.Spec.KMSKeyRef = nil })
		create(s)
		result := reconcile(s)
		Expect(result.RequeueAfter).To(BeNumerically(">", 0))
		own := key.DeepCopy()
		own.Name = "aws-secretsmanager"
		refresh(own)
		Expect(own.Spec.Aliases).To(ConsistOf("alias/aws/secretsmanager"))
		seen(own)
		reconcileKey(own)
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	})
})

var _ = Describe("Rotation", func() {
	It("on request makes AWSCURRENT AWSPREVIOUS and shows both to a template", func() {
		s := ready(template("keys", "{{ .current }},{{ .previous }}"))
		first := projected("db")["keys"]
		update(s, func() { annotate(v1alpha1.RotateAnnotation, "now")(s) })
		reconcile(s)
		second := projected("db")["keys"]
		Expect(second).To(HaveSuffix("," + first[:len(first)-1]))
		Expect(s.Status.Versions).To(HaveLen(2))
		Expect(s.Status.Versions[0].Stages).To(ConsistOf(v1alpha1.StagePrevious))
		Expect(s.Status.Versions[1].Stages).To(ConsistOf(v1alpha1.StageCurrent))
		Expect(s.Status.LastHandledRotateAt).To(Equal("now"))
	})

	It("happens once for each value of the annotation", func() {
		s := ready()
		update(s, func() { annotate(v1alpha1.RotateAnnotation, "a")(s) })
		reconcile(s)
		reconcile(s)
		Expect(s.Status.Versions).To(HaveLen(2))
		update(s, func() { annotate(v1alpha1.RotateAnnotation, "b")(s) })
		reconcile(s)
		Expect(s.Status.Versions).To(HaveLen(3))
	})

	It("happens by schedule, and says when it is next", func() {
		s := ready(func(s *v1alpha1.Secret) { s.Spec.Rotation = &v1alpha1.SecretRotation{Schedule: "rate(1 days)"} })
		Expect(s.Status.NextRotationTime).NotTo(BeNil())
		next := s.Status.NextRotationTime.Time
		Expect(next).To(BeTemporally(">", env.Clock.Now()))
		Expect(reconcile(s).RequeueAfter).To(BeNumerically("~", next.Sub(env.Clock.Now()), time.Second))
		env.Clock.Set(next.Add(time.Second))
		reconcile(s)
		Expect(s.Status.Versions).To(HaveLen(2))
		Expect(s.Status.NextRotationTime.Time).To(BeTemporally(">", next))
	})

	It("that can never happen is Stalled, and mends with the schedule", func() {
		s := environmentSecret("never", func(s *v1alpha1.Secret) {
			s.Spec.Rotation = &v1alpha1.SecretRotation{Schedule: "cron(0 4 31 2 ? *)"}
		})
		create(s)
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionStalled)).To(HaveField("Reason", v1alpha1.ReasonInvalidSchedule))
		update(s, func() { s.Spec.Rotation.Schedule = "rate(2 days)" })
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(condition(s, v1alpha1.ConditionStalled)).To(BeNil())
	})
})

var _ = Describe("Suspension", func() {
	It("holds rotation and healing, and ends where it left off", func() {
		s := ready()
		before := projected("db")
		update(s, func() {
			s.Spec.Suspend = true
			annotate(v1alpha1.RotateAnnotation, "now")(s)
		})
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonSuspended))
		Expect(projected("db")).To(Equal(before))
		update(s, func() { s.Spec.Suspend = false })
		reconcile(s)
		Expect(s.Status.Versions).To(HaveLen(2))
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	})
})

var _ = Describe("Importing", func() {
	var source *corev1.Secret
	BeforeEach(func() {
		source = &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "source"},
			Data:       map[string][]byte{"password": []byte("hunter2")},
		}
	})
	imported := func(policy v1alpha1.ImportPolicy) func(*v1alpha1.Secret) {
		return func(s *v1alpha1.Secret) {
			s.Spec.Generate = nil
			s.Spec.ValueFrom = &v1alpha1.SecretValueSource{
				SecretKeyRef: v1alpha1.SecretKeyReference{Name: "source", Key: "password"}, Policy: policy,
			}
		}
	}

	It("once takes the value and no longer needs the source", func() {
		create(source)
		s := ready(imported(v1alpha1.ImportOnce))
		Expect(projected("db")).To(HaveKeyWithValue("value", "hunter2"))
		Expect(cp.Client.Delete(ctx, source)).To(Succeed())
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(s.Status.Versions).To(HaveLen(1))
	})

	It("by following makes a version of each new value, and none of the same", func() {
		create(source)
		s := ready(imported(v1alpha1.ImportFollow))
		Expect(reconcile(s).RequeueAfter).To(BeNumerically(">", 0))
		Expect(s.Status.Versions).To(HaveLen(1))
		source.Data["password"] = []byte("hunter3")
		Expect(cp.Client.Update(ctx, source)).To(Succeed())
		reconcile(s)
		Expect(projected("db")).To(HaveKeyWithValue("value", "hunter3"))
		Expect(s.Status.Versions).To(HaveLen(2))
	})

	It("without a source says which is missing, keeps the last good projection, and heals", func() {
		create(source)
		s := ready(imported(v1alpha1.ImportFollow))
		Expect(cp.Client.Delete(ctx, source)).To(Succeed())
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(And(
			HaveField("Reason", v1alpha1.ReasonSourceNotFound), HaveField("Message", ContainSubstring("source"))))
		Expect(projected("db")).To(HaveKeyWithValue("value", "hunter2"))
		source.ResourceVersion = ""
		create(source)
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	})

	DescribeTable("refuses a value that cannot be stored", func(value []byte) {
		source.Data["password"] = value
		create(source)
		s := environmentSecret("bad", imported(v1alpha1.ImportOnce))
		create(s)
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionStalled)).To(HaveField("Reason", v1alpha1.ReasonInvalidValue))
	},
		Entry("empty", []byte{}),
		Entry("one byte over 65,536", make([]byte, 65537)),
	)
})
