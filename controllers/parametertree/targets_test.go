package parametertree_test

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// foreign makes a ConfigMap as somebody else does.
func foreign(name string, data map[string]string) *corev1.ConfigMap {
	GinkgoHelper()
	c := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name}, Data: data}
	Expect(world.ControlPlane.Client.Create(ctx, c, client.FieldOwner("somebody"))).To(Succeed())
	return c
}

func deployment(name string) *appsv1.Deployment {
	GinkgoHelper()
	labels := map[string]string{"app": name}
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
			},
		},
	}
	Expect(world.ControlPlane.Client.Create(ctx, d)).To(Succeed())
	return d
}

// outrun has somebody else come first, before the next apply.
type outrun struct {
	client.Client

	first func()
}

func (o *outrun) Apply(ctx context.Context, obj runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
	if o.first != nil {
		o.first()
		o.first = nil
	}
	return o.Client.Apply(ctx, obj, opts...)
}

var _ = Describe("A tree's target", func() {
	BeforeEach(func() {
		put("a", "/p/a", "1")
		put("b", "/p/b", "2")
	})
	whole := map[string]string{"a": "1", "b": "2"}

	It("that moves leaves nothing behind: another name, another kind", func() {
		t := ready()
		move := func(change edit) {
			GinkgoHelper()
			world.Update(t, func() { change(t) })
			reconcile(t)
			inForce(t)
		}
		move(config(v1alpha1.ParameterTreeConfigMap{Name: "other"}))
		gone(&corev1.ConfigMap{}, "tree")
		Expect(configMap("other").Data).To(Equal(whole))
		move(secret(v1alpha1.ParameterTreeSecret{Name: "other"}))
		gone(&corev1.ConfigMap{}, "other")
		Expect(coreSecret("other").Data).To(HaveLen(2))
		move(config(v1alpha1.ParameterTreeConfigMap{}))
		gone(&corev1.Secret{}, "other")
		Expect(configMap("tree").Data).To(Equal(whole))
		Expect(t.Status.Projection).To(And(HaveField("Kind", "ConfigMap"), HaveField("Name", "tree")))
		move(secret(v1alpha1.ParameterTreeSecret{Immutable: true}))
		gone(&corev1.ConfigMap{}, "tree")
	})

	It("that somebody else made is a Conflict and is not touched, until the policy says so", func() {
		foreign("tree", map[string]string{"theirs": "x"})
		t := tree()
		reconcile(t)
		refused(t, v1alpha1.ReasonConflict, "somebody")
		Expect(configMap("tree").Data).To(Equal(map[string]string{"theirs": "x"}))
		world.Update(t, func() { t.Spec.Target.ConfigMap.CreationPolicy = v1alpha1.CreationPolicyMerge })
		reconcile(t)
		inForce(t)
		Expect(configMap("tree").Data).To(Equal(map[string]string{"theirs": "x", "a": "1", "b": "2"}))
		Expect(metav1.GetControllerOf(configMap("tree"))).To(BeNil())
	})

	It("that it merged into keeps what is others' when the tree moves, by one write", func() {
		foreign("shared", map[string]string{"theirs": "x"})
		t := ready(config(v1alpha1.ParameterTreeConfigMap{Name: "shared", CreationPolicy: v1alpha1.CreationPolicyMerge}))
		world.Update(t, func() { config(v1alpha1.ParameterTreeConfigMap{})(t) })
		faulty, writes := world.Faulty()
		writes.FailAt(0, false)
		_, err := faulty.ParameterTree.Reconcile(ctx, environment.Request(t))
		Expect(err).NotTo(HaveOccurred())
		Expect(writes.Log()).To(Equal([]string{"patch", "create", "status"}), "both keys go at once")
		Expect(configMap("shared").Data).To(Equal(map[string]string{"theirs": "x"}))
		Expect(configMap("tree").Data).To(Equal(whole))
	})

	It("with a key of somebody else's is a Conflict that names both", func() {
		foreign("shared", map[string]string{"a": "theirs"})
		t := tree(config(v1alpha1.ParameterTreeConfigMap{Name: "shared", CreationPolicy: v1alpha1.CreationPolicyMerge}))
		reconcile(t)
		refused(t, v1alpha1.ReasonConflict, "somebody", " a")
		Expect(configMap("shared").Data).To(Equal(map[string]string{"a": "theirs"}))
	})

	It("with a key of somebody else's and the same value leaves the key theirs, whatever either wants later", func() {
		foreign("shared", map[string]string{"a": "1"})
		policy := config(v1alpha1.ParameterTreeConfigMap{Name: "shared", CreationPolicy: v1alpha1.CreationPolicyMerge})
		t := ready(policy)
		Expect(t.Status.Projection.Keys).To(Equal([]string{"b"}), "what was theirs is not what it has written")
		Expect(t.Status.Projection.Shows).To(HaveLen(1))
		a := &v1alpha1.Parameter{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "a"}}
		world.Refresh(a)
		change(a, "evil")
		world.Seen(configMap("shared"))
		reconcile(t)
		refused(t, v1alpha1.ReasonConflict, "somebody", " a")
		Expect(configMap("shared").Data).To(Equal(map[string]string{"a": "1", "b": "2"}))
		theirs := configMap("shared")
		theirs.Data["a"] = "other"
		Expect(world.ControlPlane.Client.Update(ctx, theirs, client.FieldOwner("somebody"))).To(Succeed())
		world.Seen(theirs)
		reconcile(t)
		refused(t, v1alpha1.ReasonConflict, "somebody", " a")
		Expect(configMap("shared").Data).To(Equal(map[string]string{"a": "other", "b": "2"}))
		world.Update(t, func() { t.Spec.Target.ConfigMap = &v1alpha1.ParameterTreeConfigMap{Name: "away"} })
		reconcile(t)
		inForce(t)
		Expect(configMap("shared").Data).To(Equal(map[string]string{"a": "other"}), "its own key goes, and theirs stays")
	})

	It("with a key of somebody else's becomes its own when they let go of it", func() {
		foreign("shared", map[string]string{"a": "1", "theirs": "x"})
		t := ready(config(v1alpha1.ParameterTreeConfigMap{Name: "shared", CreationPolicy: v1alpha1.CreationPolicyMerge}))
		theirs := configMap("shared")
		delete(theirs.Data, "a")
		Expect(world.ControlPlane.Client.Update(ctx, theirs, client.FieldOwner("somebody"))).To(Succeed())
		world.Seen(theirs)
		reconcile(t)
		inForce(t)
		Expect(t.Status.Projection.Keys).To(Equal([]string{"a", "b"}))
		a := &v1alpha1.Parameter{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "a"}}
		world.Refresh(a)
		change(a, "3")
		reconcile(t)
		inForce(t)
		Expect(configMap("shared").Data).To(Equal(map[string]string{"a": "3", "b": "2", "theirs": "x"}))
	})

	It("that another tree adopts at the same moment is a Conflict that names it, at once", func() {
		foreign("shared", map[string]string{"theirs": "x"})
		adopt := config(v1alpha1.ParameterTreeConfigMap{Name: "shared", CreationPolicy: v1alpha1.CreationPolicyAdopt})
		first, second := environment.ParameterTree(world.Namespace, "first", "/p", adopt), environment.ParameterTree(world.Namespace, "second", "/p", adopt)
		world.Create(first)
		world.Create(second)
		c := configMap("shared")
		c.Labels = map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedProjection}
		Expect(world.ControlPlane.Client.Update(ctx, c)).To(Succeed())
		world.Seen(c) // as after a merge: so the cache has it, and is behind in what follows
		c.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(first, v1alpha1.SchemeGroupVersion.WithKind("ParameterTree"))}
		before := world.ParameterTree.Projector.Client
		DeferCleanup(func() { world.ParameterTree.Projector.Client = before })
		world.ParameterTree.Projector.Client = &outrun{Client: before, first: func() { Expect(world.ControlPlane.Client.Update(ctx, c)).To(Succeed()) }}
		reconcile(second)
		refused(second, v1alpha1.ReasonConflict, "ParameterTree first")
		Expect(metav1.GetControllerOf(configMap("shared")).UID).To(Equal(first.UID))
	})

	It("of two trees is the first one's", func() {
		ready()
		second := environment.ParameterTree(world.Namespace, "second", "/p", config(v1alpha1.ParameterTreeConfigMap{Name: "tree"}))
		world.Create(second)
		reconcile(second)
		refused(second, v1alpha1.ReasonConflict, "ParameterTree tree")
	})

	It("may be shared with a Parameter, which merges another key into it", func() {
		ready()
		p := declare("c", "/q/c", func(p *v1alpha1.Parameter) {
			p.Spec.Value = "3"
			p.Spec.Target = &v1alpha1.ParameterTarget{ConfigMap: &v1alpha1.ParameterTargetKey{Name: "tree", Key: "c", CreationPolicy: v1alpha1.CreationPolicyMerge}}
		})
		pass(p)
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "1", "b": "2", "c": "3"}))
	})

	It("is taken over whole with Adopt", func() {
		foreign("tree", map[string]string{"a": "theirs"})
		t := ready(config(v1alpha1.ParameterTreeConfigMap{CreationPolicy: v1alpha1.CreationPolicyAdopt}))
		Expect(configMap("tree").Data).To(Equal(whole))
		Expect(metav1.GetControllerOf(configMap("tree")).UID).To(Equal(t.UID))
	})

	It("that is edited or deleted is written again, and an event says so", func() {
		t := ready()
		world.DrainEvents()
		c := configMap("tree")
		world.Seen(c)
		world.Update(c, func() { c.Data["a"] = "hacked" })
		reconcile(t)
		Expect(configMap("tree").Data).To(Equal(whole))
		Expect(strings.Join(world.DrainEvents(), "\n")).To(ContainSubstring("Healed"))
		c = configMap("tree")
		world.Seen(c)
		world.Remove(c)
		reconcile(t)
		Expect(configMap("tree").Data).To(Equal(whole))
	})

	It("is taken back by a tree that is deleted and made again", func() {
		t := ready()
		world.Remove(t) // nobody collects garbage here
		again := tree()
		reconcile(again)
		inForce(again)
		Expect(metav1.GetControllerOf(configMap("tree")).UID).To(Equal(again.UID))
	})

	It("that is a core Secret has the labels and annotations of its metadata", func() {
		t := ready(secret(v1alpha1.ParameterTreeSecret{Metadata: &v1alpha1.TargetMetadata{
			Labels: map[string]v1alpha1.LabelValue{"team": "shop"}, Annotations: map[string]v1alpha1.AnnotationValue{"note": "x"},
		}}))
		Expect(coreSecret("tree").Labels).To(HaveKeyWithValue("team", "shop"))
		Expect(coreSecret("tree").Annotations).To(HaveKeyWithValue("note", "x"))
		world.Update(t, func() { t.Spec.Target.Secret.Metadata = nil })
		reconcile(t)
		inForce(t)
		Expect(coreSecret("tree").Labels).NotTo(HaveKey("team"))
	})
})

var _ = Describe("An immutable target of a tree", func() {
	It("has a name for each content, to which workloads are switched, and the former one goes when nobody uses it", func() {
		p := put("a", "/p/a", "1")
		web := deployment("web")
		web.Spec.Template.Spec.Containers[0].EnvFrom = []corev1.EnvFromSource{{SecretRef: &corev1.SecretEnvSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: "tree"},
		}}}
		Expect(world.ControlPlane.Client.Update(ctx, web)).To(Succeed())
		t := ready(secret(v1alpha1.ParameterTreeSecret{Immutable: true}), func(t *v1alpha1.ParameterTree) {
			t.Spec.Target.Restart = []v1alpha1.RestartTarget{{Kind: v1alpha1.RestartDeployment, Name: "web"}}
		})
		uses := func() string {
			world.Refresh(web)
			return web.Spec.Template.Spec.Containers[0].EnvFrom[0].SecretRef.Name
		}
		first := t.Status.Projection.Name
		Expect(first).To(HavePrefix("tree-"))
		Expect(uses()).To(Equal(first))
		Expect(*coreSecret(first).Immutable).To(BeTrue())
		change(p, "2")
		reconcile(t)
		second := t.Status.Projection.Name
		Expect(second).NotTo(Equal(first))
		Expect(uses()).To(Equal(second))
		Expect(coreSecret(second).Data).To(Equal(map[string][]byte{"a": []byte("2")}))
		Expect(t.Status.Projection.Retained).To(HaveLen(1))
		Expect(coreSecret(first).Data).To(Equal(map[string][]byte{"a": []byte("1")}))
		world.Clock.Advance(11 * 60 * 1e9)
		reconcile(t)
		gone(&corev1.Secret{}, first)
		Expect(t.Status.Projection.Retained).To(BeEmpty())
	})
})

var _ = Describe("Restarts by a tree", func() {
	It("come with other data, once for all that changed since, and with nothing else", func() {
		web := deployment("web")
		restarts := func() int64 {
			GinkgoHelper()
			world.Refresh(web)
			return web.Generation - 1
		}
		a, b := put("a", "/p/a", "1"), put("b", "/p/b", "1")
		t := ready(func(t *v1alpha1.ParameterTree) {
			t.Spec.Target.Restart = []v1alpha1.RestartTarget{{Kind: v1alpha1.RestartDeployment, Name: "web"}}
		})
		Expect(restarts()).To(BeZero(), "nobody runs on a target that is new")
		change(a, "2")
		change(b, "2")
		reconcile(t)
		Expect(restarts()).To(Equal(int64(1)))
		Expect(strings.Join(world.DrainEvents(), "\n")).To(ContainSubstring("Restarted"))
		reconcile(t)
		_, _, err := world.Services.Parameters.Label(ctx, a, 2, []string{"x"})
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(a)
		world.Seen(a)
		reconcile(t)
		Expect(restarts()).To(Equal(int64(1)), "a resync and a label are no other data")
		change(a, "1")
		change(b, "1")
		reconcile(t)
		Expect(restarts()).To(Equal(int64(2)), "back to earlier data is other data")
	})

	It("by targets that are none are told once each, whether there is other data or not, and the others are restarted", func() {
		web := deployment("web")
		near := v1alpha1.RestartTarget{Kind: v1alpha1.RestartDeployment, Selector: &metav1.LabelSelector{
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}},
		}}
		a := put("a", "/p/a", "1")
		t := tree(func(t *v1alpha1.ParameterTree) {
			t.Spec.Target.Restart = []v1alpha1.RestartTarget{near, {Kind: v1alpha1.RestartDeployment, Name: "web"}, near}
		})
		for range 2 {
			reconcile(t)
			refused(t, v1alpha1.ReasonInvalidSelector)
			Expect(stalled(t)).To(BeTrue())
			Expect(strings.Count(condition(t).Message, "Near")).To(Equal(2), condition(t).Message)
			Expect(condition(t).Message).To(And(ContainSubstring("spec.target.restart[0]"), ContainSubstring("spec.target.restart[2]")))
			change(a, "2")
		}
		world.Refresh(web)
		Expect(web.Generation).To(Equal(int64(2)))
	})
})
