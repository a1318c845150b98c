package parameter_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

// shown has a String be shown somewhere, and nowhere if both are nil.
func shown(config, secret *v1alpha1.ParameterTargetKey) func(*v1alpha1.Parameter) {
	return func(p *v1alpha1.Parameter) {
		p.Spec.Target = nil
		if config != nil || secret != nil {
			p.Spec.Target = &v1alpha1.ParameterTarget{ConfigMap: config, Secret: secret}
		}
	}
}

func gone(obj client.Object, name string) {
	GinkgoHelper()
	Expect(apierrors.IsNotFound(world.ControlPlane.Client.Get(ctx, keyOf(name), obj))).To(BeTrue(), "%s is still there", name)
}

// foreign makes a ConfigMap as somebody else does.
func foreign(name string, data map[string]string) *corev1.ConfigMap {
	GinkgoHelper()
	c := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name}, Data: data}
	Expect(world.ControlPlane.Client.Create(ctx, c, client.FieldOwner("somebody"))).To(Succeed())
	return c
}

type at = v1alpha1.ParameterTargetKey

var _ = Describe("A target's place", func() {
	It("is the Parameter's own name and the key value if nothing is said", func() {
		ready("a", shown(&at{}, nil))
		Expect(configMap("a").Data).To(Equal(map[string]string{"value": "info"}))
		ready("b", shown(nil, &at{}))
		Expect(coreSecret("b").Data).To(Equal(map[string][]byte{"value": []byte("info")}))
	})

	It("that moves leaves nothing behind: another name, key, kind, or none", func() {
		p := ready("a", shown(&at{Key: "one"}, nil))
		move := func(config, secret *at) {
			GinkgoHelper()
			world.Update(p, func() { shown(config, secret)(p) })
			reconcile(p)
			Expect(condition(p)).To(HaveField("Status", metav1.ConditionTrue), "%+v", condition(p))
		}
		move(&at{Key: "two"}, nil)
		Expect(configMap("a").Data).To(Equal(map[string]string{"two": "info"}))
		move(&at{Name: "b", Key: "two"}, nil)
		gone(&corev1.ConfigMap{}, "a")
		Expect(configMap("b").Data).To(Equal(map[string]string{"two": "info"}))
		move(nil, &at{Name: "b"})
		gone(&corev1.ConfigMap{}, "b")
		Expect(coreSecret("b").Data).To(HaveKeyWithValue("value", []byte("info")))
		move(nil, &at{Name: "c"})
		gone(&corev1.Secret{}, "b")
		move(nil, nil)
		gone(&corev1.Secret{}, "c")
		Expect(p.Status.Projection).To(BeNil())
		Expect(p.Status.Versions).To(HaveLen(1))
	})

	It("goes with the Parameter, by its owner reference, unless others made it", func() {
		p := ready("a")
		owner := metav1.GetControllerOf(configMap("a"))
		Expect(owner).NotTo(BeNil())
		Expect(owner.UID).To(Equal(p.UID))
		foreign("shared", map[string]string{"theirs": "x"})
		ready("b", shown(&at{Name: "shared", Key: "mine", CreationPolicy: v1alpha1.CreationPolicyMerge}, nil))
		Expect(metav1.GetControllerOf(configMap("shared"))).To(BeNil())
	})
})

var _ = Describe("What others have in a target", func() {
	It("stays theirs: foreign keys survive every write, and the removal of ours", func() {
		foreign("shared", map[string]string{"theirs": "x"})
		p := ready("a", shown(&at{Name: "shared", Key: "mine", CreationPolicy: v1alpha1.CreationPolicyMerge}, nil))
		Expect(configMap("shared").Data).To(Equal(map[string]string{"theirs": "x", "mine": "info"}))
		world.Update(p, func() { p.Spec.Value = "debug" })
		reconcile(p)
		Expect(configMap("shared").Data).To(Equal(map[string]string{"theirs": "x", "mine": "debug"}))
		world.Update(p, func() { p.Spec.Target.ConfigMap.Key = "moved" })
		reconcile(p)
		Expect(configMap("shared").Data).To(Equal(map[string]string{"theirs": "x", "moved": "debug"}))
		world.Update(p, func() { p.Spec.Target = nil })
		reconcile(p)
		Expect(configMap("shared").Data).To(Equal(map[string]string{"theirs": "x"}))
	})

	It("under the very key is a Conflict that names who wrote it, until they let go of it", func() {
		foreign("shared", map[string]string{"level": "theirs"})
		p := create("a", shown(&at{Name: "shared", Key: "level", CreationPolicy: v1alpha1.CreationPolicyMerge}, nil))
		reconcile(p)
		Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonConflict))
		Expect(condition(p).Message).To(And(ContainSubstring("somebody"), ContainSubstring("level")))
		Expect(configMap("shared").Data).To(Equal(map[string]string{"level": "theirs"}))
		Expect(p.Status.Versions).To(HaveLen(1), "the version is committed though it cannot be shown")
		c := configMap("shared")
		delete(c.Data, "level")
		Expect(world.ControlPlane.Client.Update(ctx, c, client.FieldOwner("somebody"))).To(Succeed())
		reconcile(p)
		Expect(condition(p)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(configMap("shared").Data).To(Equal(map[string]string{"level": "info"}))
	})

	It("under the very key with the same value stays theirs, whatever either wants later", func() {
		foreign("shared", map[string]string{"level": "info"})
		p := ready("a", shown(&at{Name: "shared", Key: "level", CreationPolicy: v1alpha1.CreationPolicyMerge}, nil))
		Expect(p.Status.Projection.Key).To(BeEmpty(), "it has written nothing")
		theirs := configMap("shared")
		theirs.Data["level"] = "error"
		Expect(world.ControlPlane.Client.Update(ctx, theirs, client.FieldOwner("somebody"))).To(Succeed())
		world.Seen(theirs)
		for _, value := range []string{"info", "debug"} {
			world.Update(p, func() { p.Spec.Value = value })
			reconcile(p)
			Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonConflict))
			Expect(condition(p).Message).To(And(ContainSubstring("somebody"), ContainSubstring("level")))
			Expect(configMap("shared").Data).To(Equal(map[string]string{"level": "error"}))
		}
		world.Update(p, func() { p.Spec.Target = nil })
		reconcile(p)
		Expect(configMap("shared").Data).To(Equal(map[string]string{"level": "error"}))
	})

	It("under the very key is named with the target that it is in", func() {
		foreign("shared", map[string]string{})
		ready("a", shown(&at{Name: "shared", Key: "level", CreationPolicy: v1alpha1.CreationPolicyMerge}, nil))
		p := create("b", shown(&at{Name: "shared", Key: "level", CreationPolicy: v1alpha1.CreationPolicyMerge}, nil), valued("warn"))
		reconcile(p)
		Expect(condition(p).Message).To(And(ContainSubstring("another object of Strongroom"), ContainSubstring("out of ConfigMap shared"), Not(ContainSubstring("core Secret"))))
	})

	It("is taken over whole with Adopt, and then healed as our own", func() {
		foreign("theirs", map[string]string{"level": "theirs"})
		p := ready("a", shown(&at{Name: "theirs", Key: "level", CreationPolicy: v1alpha1.CreationPolicyAdopt}, nil))
		c := configMap("theirs")
		Expect(c.Data).To(HaveKeyWithValue("level", "info"))
		Expect(metav1.GetControllerOf(c).UID).To(Equal(p.UID))
		world.Seen(c)
		world.Update(c, func() { c.Data["level"] = "hacked" })
		reconcile(p)
		Expect(configMap("theirs").Data).To(HaveKeyWithValue("level", "info"))
	})

	It("is no target's when it is binary data under the key", func() {
		c := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "binary"}, BinaryData: map[string][]byte{"level": {0xff}},
		}
		Expect(world.ControlPlane.Client.Create(ctx, c)).To(Succeed())
		p := create("a", shown(&at{Name: "binary", Key: "level", CreationPolicy: v1alpha1.CreationPolicyMerge}, nil))
		_, _ = world.Parameter.Reconcile(ctx, requestFor(p))
		Expect(configMap("binary").BinaryData).To(Equal(map[string][]byte{"level": {0xff}}))
		world.Refresh(p)
		Expect(condition(p)).NotTo(HaveField("Status", metav1.ConditionTrue))
	})
})

var _ = Describe("Two Parameters of one target", func() {
	merged := func(key string) func(*v1alpha1.Parameter) {
		return shown(&at{Name: "shared", Key: key, CreationPolicy: v1alpha1.CreationPolicyMerge}, nil)
	}
	It("with a key each have both shown, whoever changes", func() {
		foreign("shared", nil)
		a, b := ready("a", merged("a")), ready("b", merged("b"), valued("warn"))
		Expect(configMap("shared").Data).To(Equal(map[string]string{"a": "info", "b": "warn"}))
		for _, value := range []string{"1", "2"} {
			world.Update(a, func() { a.Spec.Value = "a" + value })
			world.Update(b, func() { b.Spec.Value = "b" + value })
			reconcile(a)
			reconcile(b)
			Expect(configMap("shared").Data).To(Equal(map[string]string{"a": "a" + value, "b": "b" + value}))
		}
	})

	It("with one key end in a Conflict of the second, and never in a fight", func() {
		foreign("shared", nil)
		a, b := ready("a", merged("level")), create("b", merged("level"), valued("warn"))
		for range 3 {
			reconcile(b)
			Expect(condition(b).Reason).To(Equal(v1alpha1.ReasonConflict))
			Expect(condition(b).Message).To(ContainSubstring("level"))
			version := configMap("shared").ResourceVersion
			reconcile(a)
			Expect(condition(a)).To(HaveField("Status", metav1.ConditionTrue))
			Expect(configMap("shared").ResourceVersion).To(Equal(version))
		}
		Expect(configMap("shared").Data).To(Equal(map[string]string{"level": "info"}))
		world.Update(a, func() { a.Spec.Target = nil })
		reconcile(a)
		reconcile(b)
		Expect(configMap("shared").Data).To(Equal(map[string]string{"level": "warn"}), "the second has it when the first lets go")
	})

	It("with one key and one value agree, and the second keeps it when the first goes", func() {
		foreign("shared", nil)
		a, b := ready("a", merged("level")), ready("b", merged("level"))
		world.Update(a, func() { a.Spec.Target = nil })
		reconcile(a)
		reconcile(b)
		Expect(configMap("shared").Data).To(Equal(map[string]string{"level": "info"}))
	})

	It("that both want to own it is a Conflict of the second", func() {
		ready("a", shown(&at{Name: "shared", Key: "a"}, nil))
		b := create("b", shown(&at{Name: "shared", Key: "b"}, nil))
		reconcile(b)
		Expect(condition(b).Reason).To(Equal(v1alpha1.ReasonConflict))
		Expect(condition(b).Message).To(And(ContainSubstring("Parameter a"), ContainSubstring("Merge")))
		Expect(configMap("shared").Data).To(Equal(map[string]string{"a": "info"}))
	})

	It("may be a Parameter and a Secret, which do not take from each other", func() {
		world.ReadyKey("key")
		ready("a", shown(nil, &at{Name: "both", Key: "level"}))
		p := create("b", shown(nil, &at{Name: "both", Key: "level", CreationPolicy: v1alpha1.CreationPolicyMerge}), valued("warn"))
		reconcile(p)
		Expect(condition(p).Reason).To(Equal(v1alpha1.ReasonConflict))
		Expect(coreSecret("both").Data).To(Equal(map[string][]byte{"level": []byte("info")}))
	})
})

var _ = Describe("Restarts", func() {
	deployed := func(name string) *appsv1.Deployment {
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
	restarts := func(d *appsv1.Deployment) int64 {
		GinkgoHelper()
		world.Refresh(d)
		return d.Generation - 1
	}
	restarting := func(p *v1alpha1.Parameter) {
		p.Spec.Target.Restart = []v1alpha1.RestartTarget{{Kind: v1alpha1.RestartDeployment, Name: "web"}}
	}

	It("come with another value, and with nothing else", func() {
		web, other := deployed("web"), deployed("other")
		p := ready("a", restarting)
		Expect(restarts(web)).To(BeZero(), "nobody runs on a target that is new")
		world.Update(p, func() { p.Spec.Value = "debug" })
		reconcile(p)
		Expect(restarts(web)).To(Equal(int64(1)))
		Expect(world.DrainEvents()).To(ContainElement(ContainSubstring("Restarted")))
		reconcile(p)
		_, _, err := world.Services.Parameters.Label(ctx, p, 2, []string{"x"})
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(p)
		world.Seen(p)
		c := configMap("a")
		world.Update(c, func() { c.Data["LOG_LEVEL"] = "hacked" })
		reconcile(p)
		world.Clock.Advance(48 * time.Hour)
		reconcile(p)
		Expect(restarts(web)).To(Equal(int64(1)), "a resync, a label and a healed target are no other value")
		Expect(restarts(other)).To(BeZero())
		world.Update(p, func() { p.Spec.Value = "info" })
		reconcile(p)
		Expect(restarts(web)).To(Equal(int64(2)), "back to an earlier value is another value")
	})

	It("come with a value that the API puts", func() {
		web := deployed("web")
		p := create("a", restarting, valued(""))
		reconcile(p)
		Expect(putByAPI(p, "one")).To(Succeed())
		reconcile(p)
		Expect(putByAPI(p, "two")).To(Succeed())
		reconcile(p)
		Expect(configMap("a").Data).To(HaveKeyWithValue("LOG_LEVEL", "two"))
		Expect(restarts(web)).To(Equal(int64(1)))
	})

	It("of what is not there hold nothing up", func() {
		p := ready("a", restarting)
		world.Update(p, func() { p.Spec.Value = "debug" })
		reconcile(p)
		Expect(p.Status.Version).To(Equal(int64(2)))
		Expect(configMap("a").Data).To(HaveKeyWithValue("LOG_LEVEL", "debug"))
	})
})
