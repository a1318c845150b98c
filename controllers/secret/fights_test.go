package secret_test

import (
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/projection"
)

// Each of these once went round for ever at full speed, or reached into another namespace. They are told by the number of
// writes that passes over unchanged objects need: none.

// mergedInto makes a Secret merge one key into a core Secret.
func mergedInto(name, target, key string) *v1alpha1.Secret {
	GinkgoHelper()
	s := environmentSecret(name, template(key, "{{ .current }}"), func(s *v1alpha1.Secret) {
		s.Spec.Target.Name, s.Spec.Target.CreationPolicy = target, v1alpha1.CreationPolicyMerge
	})
	create(s)
	reconcile(s)
	return s
}

func reasonOf(s *v1alpha1.Secret) string { return condition(s, v1alpha1.ConditionReady).Reason }

// versionOf is the resource version of a core Secret: it changes with every write.
func versionOf(name string) string {
	GinkgoHelper()
	target := &corev1.Secret{}
	Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, target)).To(Succeed())
	return target.ResourceVersion
}

var _ = Describe("Two Secrets that want one key of one core Secret", func() {
	BeforeEach(func() {
		shared := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shared"}, Data: map[string][]byte{"theirs": []byte("1")},
		}
		Expect(cp.Client.Create(ctx, shared, client.FieldOwner("kubectl-create"))).To(Succeed())
	})

	It("do not fight: the first has it, the second says whose it is", func() {
		first, second := mergedInto("first", "shared", "k"), mergedInto("second", "shared", "k")
		Expect(reasonOf(first)).To(Equal(v1alpha1.ReasonSucceeded))
		Expect(reasonOf(second)).To(Equal(v1alpha1.ReasonConflict))
		Expect(condition(second, v1alpha1.ConditionReady).Message).To(And(ContainSubstring("another object of Strongroom"), ContainSubstring("writes its key k")))
		held := versionOf("shared")
		for range 3 {
			reconcile(first)
			reconcile(second)
		}
		Expect(versionOf("shared")).To(Equal(held), "neither writes again")
	})

	It("heal by themselves when the first lets go", func() {
		first, second := mergedInto("first", "shared", "k"), mergedInto("second", "shared", "k")
		update(first, func() { first.Spec.Target = nil })
		reconcile(first)
		Expect(reconcile(second).RequeueAfter).To(BeZero())
		Expect(reasonOf(second)).To(Equal(v1alpha1.ReasonSucceeded))
		Expect(projected("shared")).To(And(HaveKey("k"), HaveKeyWithValue("theirs", "1")))
	})

	It("says so too when the key is a user's", func() {
		s := mergedInto("first", "shared", "theirs")
		Expect(reasonOf(s)).To(Equal(v1alpha1.ReasonConflict))
		Expect(condition(s, v1alpha1.ConditionReady).Message).To(ContainSubstring("kubectl-create has written its key theirs"))
		Expect(projected("shared")).To(HaveKeyWithValue("theirs", "1"))
	})

	It("takes its keys along when the target is another, and leaves the others", func() {
		s := mergedInto("first", "shared", "k")
		Expect(projected("shared")).To(HaveKey("k"))
		update(s, func() { s.Spec.Target.Name, s.Spec.Target.CreationPolicy = "own", "" })
		reconcile(s)
		Expect(projected("shared")).To(Equal(map[string]string{"theirs": "1"}))
		Expect(projected("own")).To(HaveKey("k"))
	})

	It("outlives its Secret once the policy has become Merge", func() {
		s := ready()
		update(s, func() { s.Spec.Target.CreationPolicy = v1alpha1.CreationPolicyMerge })
		reconcile(s)
		target := &corev1.Secret{}
		Expect(cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "db"}, target)).To(Succeed())
		Expect(target.OwnerReferences).To(BeEmpty())
		held := versionOf("db")
		seen(target)
		reconcile(s)
		Expect(versionOf("db")).To(Equal(held))
	})
})

var _ = Describe("Following a core Secret", func() {
	follow := func(source string) func(*v1alpha1.Secret) {
		return func(s *v1alpha1.Secret) {
			s.Spec.Generate = nil
			s.Spec.ValueFrom = &v1alpha1.SecretValueSource{
				SecretKeyRef: v1alpha1.SecretKeyReference{Name: source, Key: "k"}, Policy: v1alpha1.ImportFollow,
			}
		}
	}

	It("is refused by the API server where the source is the target", func() {
		for _, s := range []*v1alpha1.Secret{
			environmentSecret("self", follow("self")),
			environmentSecret("named", follow("other"), func(s *v1alpha1.Secret) { s.Spec.Target.Name = "other" }),
		} {
			Expect(cp.Client.Create(ctx, s)).To(MatchError(ContainSubstring("each would change the other for ever")))
		}
		once := environmentSecret("self", follow("self"), func(s *v1alpha1.Secret) { s.Spec.ValueFrom.Policy = v1alpha1.ImportOnce })
		Expect(cp.Client.Create(ctx, once)).To(Succeed())
	})

	It("in a circle of Secrets makes no versions without an end", func() {
		hash := template("k", "{{ sha256sum .current }}")
		Expect(cp.Client.Create(ctx, coreSecret("b", map[string]string{"k": "seed"}))).To(Succeed())
		adopt := func(s *v1alpha1.Secret) { s.Spec.Target.CreationPolicy = v1alpha1.CreationPolicyAdopt }
		a := environmentSecret("a", follow("b"), hash, adopt)
		b := environmentSecret("b", follow("a"), hash, adopt)
		create(a)
		reconcile(a)
		create(b)
		for range 4 {
			reconcile(a)
			reconcile(b)
		}
		Expect(reasonOf(a)).To(Equal(v1alpha1.ReasonCycle))
		Expect(reasonOf(b)).To(Equal(v1alpha1.ReasonCycle))
		Expect(condition(b, v1alpha1.ConditionStalled).Message).To(ContainSubstring("follow another source"))
		Expect(len(a.Status.Versions) + len(b.Status.Versions)).To(BeNumerically("<=", 2))
	})

	It("that changes all the time makes five versions a minute and no more", func() {
		source := coreSecret("source", map[string]string{"k": "0"})
		Expect(cp.Client.Create(ctx, source)).To(Succeed())
		s := environmentSecret("db", follow("source"))
		create(s)
		change := func() time.Duration {
			source.Data["k"] = fmt.Append(nil, env.Clock.Now().UnixNano())
			Expect(cp.Client.Update(ctx, source)).To(Succeed())
			env.Clock.Advance(time.Second)
			return reconcile(s).RequeueAfter
		}
		for range 20 {
			change()
		}
		Expect(s.Status.Versions).To(HaveLen(5))
		wait := change()
		Expect(wait).To(And(BeNumerically(">", 30*time.Second), BeNumerically("<=", time.Minute)))
		env.Clock.Advance(wait)
		reconcile(s)
		Expect(s.Status.Versions).To(HaveLen(6), "the newest value is not lost, only late")
		Expect(projected("db")["value"]).To(Equal(string(source.Data["k"])))
	})
})

var _ = Describe("A restart", func() {
	It("reaches no other namespace by a name that is a path", func() {
		victim, err := cp.NewNamespace(ctx)
		Expect(err).NotTo(HaveOccurred())
		web := &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Namespace: victim, Name: "web"},
			Spec: appsv1.DeploymentSpec{
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
					Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
				},
			},
		}
		Expect(cp.Client.Create(ctx, web)).To(Succeed())
		path := "../../" + victim + "/deployments/web"
		target := v1alpha1.RestartTarget{Kind: v1alpha1.RestartDeployment, Name: path}
		s := environmentSecret("db", func(s *v1alpha1.Secret) { s.Spec.Target.Restart = []v1alpha1.RestartTarget{target} })
		Expect(cp.Client.Create(ctx, s)).To(MatchError(ContainSubstring("a DNS name")), "the API server refuses it")

		names, err := env.Services.Projector.Restart(ctx, projection.Restart{
			Namespace: namespace, SecretName: "db", Token: "t", Targets: []v1alpha1.RestartTarget{target},
		})
		Expect(err).To(MatchError(ContainSubstring("restart[0].name")), "and so does the code, whatever the schema lets through")
		Expect(names).To(BeEmpty())
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(web), web)).To(Succeed())
		Expect(web.Generation).To(Equal(int64(1)))
	})

	It("does not begin to watch workloads", func() {
		s := ready(func(s *v1alpha1.Secret) {
			s.Spec.Target.Restart = []v1alpha1.RestartTarget{{Kind: v1alpha1.RestartDeployment, Name: "web"}}
		})
		web := &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web"},
			Spec: appsv1.DeploymentSpec{
				Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
				Template: corev1.PodTemplateSpec{
					ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
					Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
				},
			},
		}
		Expect(cp.Client.Create(ctx, web)).To(Succeed())
		update(s, func() { annotate(v1alpha1.RotateAnnotation, "1")(s) })
		reconcile(s)
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(web), web)).To(Succeed())
		Expect(web.Generation).To(Equal(int64(2)))
		// A read that waits for its own writes would itself begin to watch.
		err := env.GetClient().Get(ctx, client.ObjectKeyFromObject(web), &appsv1.Deployment{}, client.DisableReadYourWritesConsistency)
		Expect(err).To(MatchError(ContainSubstring("not cached")), "a cluster-wide watch of Deployments, for which there are no rights")
	})
})

var _ = Describe("An annotation that is longer than status can repeat", func() {
	It("is handled once and commits what it asked for", func() {
		s := ready()
		before := projected("db")["value"]
		update(s, func() { annotate(v1alpha1.RotateAnnotation, strings.Repeat("x", 1500))(s) })
		update(s, func() { annotate(v1alpha1.ReconcileAnnotation, strings.Repeat("y", 1500))(s) })
		reconcile(s)
		Expect(s.Status.Versions).To(HaveLen(2))
		Expect(projected("db")["value"]).NotTo(Equal(before))
		Expect(s.Status.LastHandledRotateAt).To(HavePrefix("sha256:"))
		Expect(s.Status.LastHandledReconcileAt).To(HavePrefix("sha256:"))
		reconcile(s)
		Expect(s.Status.Versions).To(HaveLen(2), "once")
	})
})
