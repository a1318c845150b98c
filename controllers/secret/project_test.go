package secret_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/projection"
)

func coreSecret(name string, data map[string]string, changes ...func(*corev1.Secret)) *corev1.Secret {
	s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, StringData: data}
	for _, change := range changes {
		change(s)
	}
	return s
}

func target(name string) *corev1.Secret {
	GinkgoHelper()
	s := &corev1.Secret{}
	Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, s)).To(Succeed())
	return s
}

func policy(p v1alpha1.CreationPolicy) func(*v1alpha1.Secret) {
	return func(s *v1alpha1.Secret) { s.Spec.Target.CreationPolicy = p }
}

var _ = Describe("A projection", func() {
	It("is labelled, names its secret, and goes with its owner", func() {
		s := ready()
		t := target("db")
		Expect(t.Labels).To(HaveKeyWithValue(v1alpha1.ManagedLabel, v1alpha1.ManagedProjection))
		Expect(t.Annotations).To(HaveKeyWithValue(v1alpha1.SubjectAnnotation, s.Status.ARN))
		Expect(metav1.GetControllerOf(t)).To(And(HaveField("UID", s.UID), HaveField("Kind", "Secret")))
		Expect(t.Labels).To(HaveLen(1), "labels of the Secret must not be copied: GitOps tools would prune the projection")
	})

	It("is written again when somebody edits it, and an event says so", func() {
		s := ready()
		before := projected("db")
		t := target("db")
		t.Data["value"] = []byte("hacked")
		Expect(cp.Client.Update(ctx, t)).To(Succeed())
		seen(t)
		reconcile(s)
		Expect(projected("db")).To(Equal(before))
		Expect(env.DrainEvents()).To(ContainElement(ContainSubstring(v1alpha1.ReasonHealed)))
	})

	It("is made again when somebody deletes it", func() {
		s := ready()
		before := projected("db")
		t := target("db")
		remove(t)
		reconcile(s)
		Expect(projected("db")).To(Equal(before))
	})

	It("gets its label back when somebody takes it off", func() {
		s := ready()
		t := target("db")
		t.Labels = nil
		Expect(cp.Client.Update(ctx, t)).To(Succeed())
		Eventually(func() error {
			return env.GetClient().Get(ctx, client.ObjectKeyFromObject(t), &corev1.Secret{})
		}).Should(MatchError(apierrors.IsNotFound, "not found"))
		reconcile(s)
		Expect(target("db").Labels).To(HaveKey(v1alpha1.ManagedLabel))
	})

	It("loses a key that the template no longer has, and keeps a key that somebody else added", func() {
		s := ready(func(s *v1alpha1.Secret) {
			s.Spec.Target.Template = &v1alpha1.TargetTemplate{Data: map[string]string{"a": "{{.current}}", "b": "{{.current}}"}}
		})
		t := target("db")
		t.Data["foreign"] = []byte("x")
		Expect(cp.Client.Update(ctx, t)).To(Succeed())
		seen(t)
		update(s, func() { delete(s.Spec.Target.Template.Data, "b") })
		reconcile(s)
		Expect(projected("db")).To(And(HaveKey("a"), Not(HaveKey("b")), HaveKeyWithValue("foreign", "x")))
		Expect(s.Status.Projection.Keys).To(ConsistOf("a"))
	})

	It("under another name takes the former one away", func() {
		s := ready()
		update(s, func() { s.Spec.Target.Name = "renamed" })
		reconcile(s)
		Expect(projected("renamed")).To(HaveKey("value"))
		err := cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "db"}, &corev1.Secret{})
		Expect(apierrors.IsNotFound(err)).To(BeTrue())
	})

	It("that is no longer wanted is deleted, and the versions stay", func() {
		s := ready()
		update(s, func() { s.Spec.Target = nil })
		reconcile(s)
		err := cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "db"}, &corev1.Secret{})
		Expect(apierrors.IsNotFound(err)).To(BeTrue())
		Expect(s.Status.Projection).To(BeNil())
		Expect(s.Status.Versions).To(HaveLen(1))
	})

	It("has the type that the spec wants, which cannot change", func() {
		s := ready(func(s *v1alpha1.Secret) { s.Spec.Target.Type = "example.com/credential" })
		Expect(target("db").Type).To(Equal(corev1.SecretType("example.com/credential")))
		update(s, func() { s.Spec.Target.Type = "Opaque" })
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionStalled)).To(And(
			HaveField("Reason", v1alpha1.ReasonConflict), HaveField("Message", ContainSubstring("delete it"))))
	})

	It("with a broken template is Stalled, shows no value in the message, and keeps the last good one", func() {
		s := ready()
		before := projected("db")
		update(s, func() { template("value", "{{ .nothing }}")(s) })
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionStalled)).To(And(
			HaveField("Reason", v1alpha1.ReasonInvalidTemplate),
			HaveField("Message", And(ContainSubstring("nothing"), Not(ContainSubstring(before["value"]))))))
		Expect(projected("db")).To(Equal(before))
		update(s, func() { template("value", "{{ .current }}")(s) })
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	})

	It("has the labels and annotations that the spec gives it, and a change of them restarts nothing and makes no version", func() {
		s := ready(func(s *v1alpha1.Secret) {
			s.Spec.Target.Metadata = &v1alpha1.TargetMetadata{Labels: map[string]v1alpha1.LabelValue{"team": "shop"}}
		})
		Expect(target("db").Labels).To(And(HaveKeyWithValue("team", "shop"), HaveLen(2)))
		digest := s.Status.Projection.Digest
		update(s, func() {
			s.Spec.Target.Metadata = &v1alpha1.TargetMetadata{Annotations: map[string]v1alpha1.AnnotationValue{"example.com/a": "b"}}
		})
		reconcile(s)
		Expect(target("db").Labels).To(HaveLen(1))
		Expect(target("db").Annotations).To(HaveKeyWithValue("example.com/a", "b"))
		Expect(s.Status.Projection.Digest).To(Equal(digest))
		Expect(s.Status.Versions).To(HaveLen(1))
	})

	It("of a type whose keys Kubernetes names has those, and says what it needs if the value lacks it", func() {
		s := environmentSecret("db", func(s *v1alpha1.Secret) {
			s.Spec.Generate = &v1alpha1.SecretGenerator{JSON: &v1alpha1.JSONGenerator{Template: `{"registry":"ghcr.io","username":"robot"}`, Key: "password"}}
			s.Spec.Target.Type = string(corev1.SecretTypeDockerConfigJson)
		})
		create(s)
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(projected("db")).To(And(HaveLen(1), HaveKeyWithValue(corev1.DockerConfigJsonKey, ContainSubstring(`"ghcr.io":{"auth":`))))

		lacking := environmentSecret("lacking", func(s *v1alpha1.Secret) {
			s.Spec.Target.Name, s.Spec.Target.Type = "lacking", string(corev1.SecretTypeTLS)
		})
		create(lacking)
		reconcile(lacking)
		Expect(condition(lacking, v1alpha1.ConditionStalled)).To(And(
			HaveField("Reason", v1alpha1.ReasonInvalidTemplate), HaveField("Message", ContainSubstring("a certificate and its private key"))))
	})

	It("that fails does not hold up rotation", func() {
		s := ready()
		update(s, func() {
			template("value", "{{ .nothing }}")(s)
			annotate(v1alpha1.RotateAnnotation, "now")(s)
		})
		reconcile(s)
		Expect(s.Status.Versions).To(HaveLen(2))
		Expect(s.Status.LastHandledRotateAt).To(Equal("now"))
	})
})

var _ = Describe("A target that exists", func() {
	It("and that somebody else made is a Conflict that names them, and is not touched", func() {
		create(coreSecret("db", map[string]string{"mine": "1"}))
		s := environmentSecret("db")
		create(s)
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionStalled)).To(And(
			HaveField("Reason", v1alpha1.ReasonConflict), HaveField("Message", ContainSubstring("secret.test"))))
		Expect(projected("db")).To(Equal(map[string]string{"mine": "1"}))
		Expect(target("db").Labels).To(BeEmpty())

		Expect(cp.Client.Delete(ctx, target("db"))).To(Succeed())
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	})

	It("is adopted when the policy says so", func() {
		create(coreSecret("db", map[string]string{"mine": "1"}))
		s := ready(policy(v1alpha1.CreationPolicyAdopt))
		Expect(projected("db")).To(And(HaveKey("value"), HaveKeyWithValue("mine", "1")))
		Expect(metav1.GetControllerOf(target("db"))).To(HaveField("UID", s.UID))
	})

	It("is never adopted from another controller", func() {
		yes := true
		create(coreSecret("db", nil, func(c *corev1.Secret) {
			c.OwnerReferences = []metav1.OwnerReference{{
				APIVersion: "example.com/v1", Kind: "Widget", Name: "w", UID: "u", Controller: &yes,
			}}
		}))
		s := environmentSecret("db", policy(v1alpha1.CreationPolicyAdopt))
		create(s)
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionStalled)).To(And(
			HaveField("Reason", v1alpha1.ReasonConflict), HaveField("Message", ContainSubstring("Widget w"))))
	})

	It("is merged into without being owned, by several Secrets at once", func() {
		create(coreSecret("shared", map[string]string{"mine": "1"}))
		for _, name := range []string{"one", "two"} {
			s := environmentSecret(name, policy(v1alpha1.CreationPolicyMerge), template(name, "{{.current}}"),
				func(s *v1alpha1.Secret) { s.Spec.Target.Name = "shared" })
			create(s)
			reconcile(s)
			Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
			reconcile(s)
		}
		Expect(projected("shared")).To(And(HaveKey("one"), HaveKey("two"), HaveKeyWithValue("mine", "1")))
		Expect(target("shared").OwnerReferences).To(BeEmpty())
	})

	It("is waited for when it is to be merged into", func() {
		s := environmentSecret("db", policy(v1alpha1.CreationPolicyMerge))
		create(s)
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Message", ContainSubstring("does not exist")))
		create(coreSecret("db", nil))
		reconcile(s)
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	})
})

var _ = Describe("Restarts", func() {
	restarting := func(s *v1alpha1.Secret) {
		s.Spec.Target.Restart = []v1alpha1.RestartTarget{
			{Kind: v1alpha1.RestartDeployment, Name: "web"},
			{Kind: v1alpha1.RestartDeployment, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "worker"}}},
			{Kind: v1alpha1.RestartDaemonSet, Name: "missing"},
		}
	}
	It("happen when the data changes, not at the first projection, a resync, or a healing", func() {
		web, worker := deployment("web"), deployment("worker")
		create2(web)
		create2(worker)
		s := ready(restarting)
		reconcile(s)
		t := target("db")
		remove(t)
		reconcile(s)
		refresh(web)
		Expect(web.Generation).To(Equal(int64(1)))

		update(s, func() { annotate(v1alpha1.RotateAnnotation, "now")(s) })
		reconcile(s)
		reconcile(s)
		for _, w := range []client.Object{web, worker} {
			refresh(w)
			Expect(w.GetGeneration()).To(Equal(int64(2)), w.GetName())
		}
		Expect(web.Spec.Template.Annotations).To(HaveKeyWithValue(projection.AnnotationKey("db"),
			HavePrefix(s.Status.CurrentVersionID)))
		Expect(env.DrainEvents()).To(ContainElement(And(
			ContainSubstring(v1alpha1.ReasonRestarted), ContainSubstring("Deployment/web"), ContainSubstring("Deployment/worker"))))
	})

	It("happen when a template changes the data of the same version", func() {
		web := deployment("web")
		create2(web)
		s := ready(restarting)
		update(s, func() { template("other", "x{{.current}}")(s) })
		reconcile(s)
		refresh(web)
		Expect(web.Generation).To(Equal(int64(2)))
	})

	It("of two Secrets do not undo each other", func() {
		web := deployment("web")
		create2(web)
		for _, name := range []string{"one", "two"} {
			s := environmentSecret(name, restarting)
			create(s)
			reconcile(s)
			update(s, func() { annotate(v1alpha1.RotateAnnotation, "now")(s) })
			reconcile(s)
		}
		refresh(web)
		Expect(web.Spec.Template.Annotations).To(And(
			HaveKey(projection.AnnotationKey("one")), HaveKey(projection.AnnotationKey("two"))))
		Expect(web.Generation).To(Equal(int64(3)))
	})
})
