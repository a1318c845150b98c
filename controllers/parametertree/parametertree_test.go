package parametertree_test

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("A tree", func() {
	It("is shown as one ConfigMap, and status says where, how much, and whose", func() {
		put("a", "/p/log-level", "info")
		put("b", "/p/db/host", "db.example.com")
		put("c", "/p/db/regions", "a,b", func(p *v1alpha1.Parameter) { p.Spec.Type = v1alpha1.ParameterStringList })
		put("d", "/q/other", "not this")
		t := ready()
		Expect(configMap("tree").Data).To(Equal(map[string]string{"log-level": "info", "db.host": "db.example.com", "db.regions": "a,b"}))
		Expect(t.Status.ARN).To(Equal(arnBelow("/p")))
		Expect(t.Status.Parameters).To(Equal(int32(3)))
		Expect(t.Status.Projection).To(And(HaveField("Kind", "ConfigMap"), HaveField("Name", "tree"),
			HaveField("Keys", []string{"db.host", "db.regions", "log-level"})))
		Expect(configMap("tree").Annotations).To(HaveKeyWithValue(v1alpha1.SubjectAnnotation, arnBelow("/p")))
		Expect(metav1.GetControllerOf(configMap("tree"))).To(And(HaveField("Kind", "ParameterTree"), HaveField("UID", t.UID)))
	})

	It("has the next level alone if it is not recursive, and the keys that it asks for", func() {
		put("a", "/p/log-level", "info")
		put("b", "/p/db/host", "x")
		ready(snake, func(t *v1alpha1.ParameterTree) { t.Spec.Recursive = false })
		Expect(configMap("tree").Data).To(Equal(map[string]string{"LOG_LEVEL": "info"}))
	})

	It("of / has all parameters, those without a slash too", func() {
		put("a", "plain", "1")
		put("b", "/x/y", "2")
		t := ready(func(t *v1alpha1.ParameterTree) { t.Spec.Path = "/" })
		Expect(configMap("tree").Data).To(Equal(map[string]string{"plain": "1", "x.y": "2"}))
		Expect(t.Status.ARN).To(Equal(arnBelow("")))
	})

	It("of another region has the parameters of that one", func() {
		put("a", "/p/a", "home")
		put("b", "/p/b", "away", func(p *v1alpha1.Parameter) { p.Spec.Region = "eu-west-1" })
		t := ready(func(t *v1alpha1.ParameterTree) { t.Spec.Region = "eu-west-1" })
		Expect(configMap("tree").Data).To(Equal(map[string]string{"b": "away"}))
		Expect(t.Status.ARN).To(ContainSubstring(":eu-west-1:"))
	})

	It("never has another namespace's parameters", func() {
		other := world.NewNamespace()
		p := environment.Parameter(other, "a", func(p *v1alpha1.Parameter) { p.Spec.Name, p.Spec.Target = "/p/theirs", nil })
		world.Create(p)
		pass(p)
		put("a", "/p/ours", "1")
		ready()
		Expect(configMap("tree").Data).To(Equal(map[string]string{"ours": "1"}))
	})

	It("shows the version that has a label, until the label moves", func() {
		p := put("a", "/p/a", "one")
		put("b", "/p/b", "unlabelled")
		label := func(version int64) {
			GinkgoHelper()
			_, _, err := world.Services.Parameters.Label(ctx, p, version, []string{"stable"})
			Expect(err).NotTo(HaveOccurred())
			world.Refresh(p)
			world.Seen(p)
		}
		label(1)
		change(p, "two")
		t := ready(filtered(filter{Label: "stable"}))
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "one"}))
		label(2)
		reconcile(t)
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "two"}))
	})

	It("that is suspended shows and heals nothing, says so, and goes on afterwards", func() {
		p := put("a", "/p/a", "one")
		t := ready()
		world.Update(t, func() { t.Spec.Suspend = true })
		change(p, "two")
		reconcile(t)
		refused(t, v1alpha1.ReasonSuspended)
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "one"}))
		world.Update(t, func() { t.Spec.Suspend = false })
		reconcile(t)
		inForce(t)
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "two"}))
	})

	It("that is deleted is not looked at any more", func() {
		put("a", "/p/a", "one")
		t := ready()
		world.Remove(t)
		_, err := world.ParameterTree.Reconcile(ctx, environment.Request(t))
		Expect(err).NotTo(HaveOccurred())
	})

	It("echoes the annotation that asks for a pass", func() {
		put("a", "/p/a", "one")
		t := ready()
		world.Update(t, func() { metav1.SetMetaDataAnnotation(&t.ObjectMeta, v1alpha1.ReconcileAnnotation, "now") })
		reconcile(t)
		Expect(t.Status.LastHandledReconcileAt).To(Equal("now"))
	})
})

var _ = Describe("A tree that changes", func() {
	It("has a parameter's key from when it is there until it goes", func() {
		put("a", "/p/a", "1")
		t := ready()
		b := put("b", "/p/b", "2")
		reconcile(t)
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "1", "b": "2"}))
		change(b, "3")
		reconcile(t)
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "1", "b": "3"}))
		world.Remove(b)
		reconcile(t)
		inForce(t)
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "1"}))
		Expect(t.Status.Parameters).To(Equal(int32(1)))
		Expect(t.Status.Projection.Keys).To(Equal([]string{"a"}))
	})

	It("lets go of what a filter, a path or a format no longer has, without a trace", func() {
		put("a", "/p/a", "1", func(p *v1alpha1.Parameter) { p.Spec.Tags = []v1alpha1.Tag{{Key: "team", Value: "x"}} })
		put("b", "/p/q/b", "2")
		t := ready()
		world.Update(t, func() { filtered(filter{Tags: []v1alpha1.ParameterTagFilter{{Key: "team"}}})(t) })
		reconcile(t)
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "1"}))
		world.Update(t, func() { t.Spec.Filter, t.Spec.Path = nil, "/p/q" })
		reconcile(t)
		Expect(configMap("tree").Data).To(Equal(map[string]string{"b": "2"}))
		Expect(configMap("tree").Annotations).To(HaveKeyWithValue(v1alpha1.SubjectAnnotation, arnBelow("/p/q")))
		world.Update(t, func() { snake(t) })
		reconcile(t)
		inForce(t)
		Expect(configMap("tree").Data).To(Equal(map[string]string{"B": "2"}))
	})
})

var _ = Describe("A tree that cannot be shown whole", func() {
	// A half of it would be worse than an old whole.
	keeps := func(t *v1alpha1.ParameterTree, reason string, names ...string) {
		GinkgoHelper()
		before := configMap("tree")
		for range 2 {
			reconcile(t)
			refused(t, reason, names...)
		}
		Expect(configMap("tree").ResourceVersion).To(Equal(before.ResourceVersion))
	}

	It("waits for the value of each parameter, and names those without one", func() {
		put("a", "/p/a", "1")
		p := declare("b", "/p/b")
		t := tree()
		reconcile(t)
		refused(t, v1alpha1.ReasonSourceNotFound, "/p/b")
		Expect(strings.Join(world.DrainEvents(), "\n")).To(And(ContainSubstring("Normal SourceNotFound"), Not(ContainSubstring("Warning SourceNotFound"))),
			"a tree is applied beside its parameters")
		Expect(stalled(t)).To(BeFalse())
		gone(&corev1.ConfigMap{}, "tree")
		change(p, "2")
		reconcile(t)
		inForce(t)
		late := declare("c", "/p/c")
		keeps(t, v1alpha1.ReasonSourceNotFound, "/p/c")
		world.Update(t, func() { filtered(filter{Exclude: []v1alpha1.ParameterNamePattern{"c"}})(t) })
		reconcile(t)
		inForce(t)
		world.Remove(late)
	})

	It("keeps what it showed when its path is another, below which there is nothing", func() {
		put("a", "/p/a", "1")
		t := ready()
		world.Update(t, func() { t.Spec.Path = "/q" })
		keeps(t, v1alpha1.ReasonSourceNotFound, "/q")
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "1"}))
	})

	It("keeps what it showed when two names come to one key, and names both", func() {
		put("a", "/p/a-b", "1")
		t := ready(snake)
		other := put("b", "/p/a_b", "2")
		keeps(t, v1alpha1.ReasonDuplicateKey, "A_B", "/p/a-b", "/p/a_b")
		Expect(stalled(t)).To(BeTrue())
		Expect(strings.Join(world.DrainEvents(), "\n")).To(ContainSubstring("DuplicateKey"))
		world.Remove(other)
		reconcile(t)
		inForce(t)
	})

	It("keeps what it showed when a name makes no key, and names it", func() {
		put("a", "/p/a", "1")
		t := ready()
		put("b", "/p/..b", "2")
		keeps(t, v1alpha1.ReasonInvalidKey, "/p/..b")
	})

	It("keeps what it showed when it grows over a target's size", func() {
		put("a", "/p/a", "1")
		t := ready()
		big := strings.Repeat("x", 8192)
		for i := range 128 {
			put(fmt.Sprint("big", i), fmt.Sprint("/p/big/", i), big, func(p *v1alpha1.Parameter) { p.Spec.Tier = v1alpha1.TierAdvanced })
		}
		keeps(t, v1alpha1.ReasonTargetTooLarge, "1048576")
		world.Update(t, func() { filtered(filter{Exclude: []v1alpha1.ParameterNamePattern{"big/1*"}})(t) })
		reconcile(t)
		inForce(t)
	})

	It("keeps what it showed when a value does not open, and tells nothing of it", func() {
		p := put("a", "/p/a", "one value")
		t := ready()
		change(p, "another value")
		e := world.Envelopes(v1alpha1.EnvelopeParameterVersion)
		for i := range e {
			if e[i].Spec.Sequence == 2 {
				world.Exchange(&e[i], func(e *v1alpha1.Envelope) { e.Spec.Ciphertext[len(e.Spec.Ciphertext)-1] ^= 1 })
			}
		}
		keeps(t, v1alpha1.ReasonEnvelopeTampered, "/p/a")
		Expect(condition(t).Message).NotTo(ContainSubstring("value"))
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "one value"}))
	})

	It("waits without being stalled for an Envelope that the cache may not have yet", func() {
		p := put("a", "/p/a", "1")
		t := ready()
		e := world.Envelopes(v1alpha1.EnvelopeParameterVersion)[0]
		world.Remove(&e)
		_, err := world.ParameterTree.Reconcile(ctx, environment.Request(t))
		Expect(err).To(HaveOccurred(), "the queue backs off")
		world.Refresh(t)
		refused(t, v1alpha1.ReasonEnvelopeMissing, p.AWSName())
		Expect(stalled(t)).To(BeFalse())
	})

	It("waits while the keyring is sealed", func() {
		put("a", "/p/a", "1")
		t := ready()
		world.Update(t, func() { snake(t) })
		unseal := world.Seal(fmt.Errorf("the root is away"))
		keeps(t, v1alpha1.ReasonSealed)
		unseal()
		reconcile(t)
		inForce(t)
	})
})

var _ = Describe("A SecureString", func() {
	It("is shown in a core Secret, and nowhere else but there", func() {
		p := secure("a", "/p/password")
		put("b", "/p/user", "ada")
		t := ready(secret(v1alpha1.ParameterTreeSecret{Name: "both"}))
		Expect(coreSecret("both").Data).To(Equal(map[string][]byte{"password": []byte(plain(p)), "user": []byte("ada")}))
		Expect(t.Status.Projection.Kind).To(Equal("Secret"))
		gone(&corev1.ConfigMap{}, "both")
	})

	It("below a ConfigMap's path is an error that names it and shows nothing of it, in the ConfigMap, the events and the status", func() {
		put("a", "/p/user", "ada")
		t := ready()
		p := secure("b", "/p/password")
		reconcile(t)
		refused(t, v1alpha1.ReasonSecureStringInConfigMap, "/p/password")
		Expect(stalled(t)).To(BeTrue())
		Expect(configMap("tree").Data).To(Equal(map[string]string{"user": "ada"}))
		world.Refresh(t)
		told := fmt.Sprint(t.Status, world.DrainEvents(), configMap("tree"))
		Expect(told).NotTo(ContainSubstring(plain(p)))
		world.Update(t, func() { filtered(filter{Types: []v1alpha1.ParameterType{v1alpha1.ParameterString}})(t) })
		reconcile(t)
		inForce(t)
		Expect(configMap("tree").Data).To(Equal(map[string]string{"user": "ada"}))
	})

	It("that says it is a String is refused by how it was encrypted", func() {
		p := secure("a", "/p/password")
		forged := p.DeepCopy()
		forged.Spec.Type = v1alpha1.ParameterString
		t := tree()
		reconciler := *world.ParameterTree
		service := *world.Services.Parameters
		service.Client = &lying{Client: service.Client, as: forged}
		reconciler.Parameters = &service
		_, err := reconciler.Reconcile(ctx, environment.Request(t))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(t)
		refused(t, v1alpha1.ReasonSecureStringInConfigMap, "/p/password")
		gone(&corev1.ConfigMap{}, "tree")
	})

	It("under a key that is disabled is not shown, and the target stays", func() {
		p := secure("a", "/p/password")
		before := plain(p)
		t := ready(secret(v1alpha1.ParameterTreeSecret{}))
		key := &v1alpha1.KMSKey{}
		Expect(world.ControlPlane.Client.Get(ctx, keyOf("aws-ssm"), key)).To(Succeed())
		world.Update(key, func() { off := false; key.Spec.Enabled = &off })
		world.ReconcileKey(key)
		world.Update(t, func() { snake(t) })
		reconcile(t)
		refused(t, v1alpha1.ReasonKeyUnusable, "/p/password")
		Expect(coreSecret("tree").Data).To(Equal(map[string][]byte{"password": []byte(before)}))
	})
})
