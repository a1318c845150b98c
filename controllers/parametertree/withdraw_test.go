package parametertree_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/fairshare"
	"strongroom.dev/strongroom/test/environment"
)

// expires has a parameter expire some time from now.
func expires(in time.Duration) func(*v1alpha1.Parameter) {
	return func(p *v1alpha1.Parameter) {
		p.Spec.Tier = v1alpha1.TierAdvanced
		p.Spec.Policies = []v1alpha1.ParameterPolicy{{Type: "Expiration", Timestamp: world.Clock.Now().Add(in).UTC().Format(time.RFC3339)}}
	}
}

// A value has its end, whatever becomes of its neighbours.
var _ = Describe("A tree that cannot be shown whole", func() {
	It("lets go of what has expired and of what is deleted, by one write of the target, and keeps the rest", func() {
		put("a", "/p/a", "1")
		put("b", "/p/b", "2", expires(time.Hour))
		c := put("c", "/p/c", "3")
		t := ready()
		declare("d", "/p/d") // has no value
		world.Clock.Advance(2 * time.Hour)
		world.Remove(c)
		faulty, writes := world.Faulty()
		for _, want := range [][]string{{"patch", "status"}, nil} {
			writes.FailAt(0, false)
			_, err := faulty.ParameterTree.Reconcile(ctx, environment.Request(t))
			Expect(err).NotTo(HaveOccurred())
			world.Refresh(t)
			world.Seen(t)
			Expect(writes.Log()).To(Equal(want))
			refused(t, v1alpha1.ReasonSourceNotFound, "/p/d", "Until then the target stays as it is, but for parameters that are gone, which leave it")
			Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "1"}))
			Expect(t.Status.Projection.Keys).To(Equal([]string{"a"}))
			Expect(t.Status.Parameters).To(Equal(int32(1)))
		}
	})

	It("lets go of the last one, too, and restarts workloads when it is whole again and not before", func() {
		web := deployment("web")
		restarts := func() int64 {
			GinkgoHelper()
			world.Refresh(web)
			return web.Generation - 1
		}
		put("a", "/p/a", "1", expires(time.Hour))
		t := ready(func(t *v1alpha1.ParameterTree) {
			t.Spec.Target.Restart = []v1alpha1.RestartTarget{{Kind: v1alpha1.RestartDeployment, Name: "web"}}
		})
		world.Clock.Advance(2 * time.Hour)
		reconcile(t)
		refused(t, v1alpha1.ReasonSourceNotFound, "/p")
		Expect(configMap("tree").Data).To(BeEmpty())
		Expect(metav1.GetControllerOf(configMap("tree"))).To(HaveField("UID", t.UID))
		Expect(restarts()).To(BeZero())
		put("b", "/p/b", "2")
		reconcile(t)
		inForce(t)
		Expect(configMap("tree").Data).To(Equal(map[string]string{"b": "2"}))
		Expect(restarts()).To(Equal(int64(1)))
	})

	It("lets go of it while the keyring is sealed", func() {
		put("a", "/p/a", "1")
		put("b", "/p/b", "2", expires(time.Hour))
		t := ready(secret(v1alpha1.ParameterTreeSecret{}))
		world.Clock.Advance(2 * time.Hour)
		world.Seal(errSealed)
		reconcile(t)
		refused(t, v1alpha1.ReasonSealed)
		Expect(coreSecret("tree").Data).To(Equal(map[string][]byte{"a": []byte("1")}))
	})

	It("lets go of it though its spec has changed, and keeps what the former spec showed of others", func() {
		put("a", "/p/x/a", "1")
		b := put("b", "/p/x/b", "2")
		t := ready()
		put("c", "/p/x/a_b", "3")
		put("d", "/p/x/a-b", "4")
		world.Update(t, func() { snake(t); t.Spec.Path = "/p/x" })
		world.Remove(b)
		reconcile(t)
		refused(t, v1alpha1.ReasonDuplicateKey)
		Expect(configMap("tree").Data).To(Equal(map[string]string{"x.a": "1"}))
	})

	It("lets go of what is gone though another has its name by now, which has no value yet", func() {
		a := put("a", "/p/a", "1")
		put("b", "/p/b", "2")
		t := ready()
		world.Remove(a)
		for _, e := range world.Envelopes(v1alpha1.EnvelopeParameterVersion) {
			if e.Spec.Owner.Name == "a" {
				world.Remove(&e)
			}
		}
		declare("a", "/p/a")
		reconcile(t)
		refused(t, v1alpha1.ReasonSourceNotFound, "/p/a")
		Expect(configMap("tree").Data).To(Equal(map[string]string{"b": "2"}))
	})

	DescribeTable("lets go of what is deleted though another of its name is there, of a type that takes no version over",
		func(change edit, sealed bool) {
			password := secure("password", "/p/password")
			put("other", "/p/other", "1")
			t := ready(secret(v1alpha1.ParameterTreeSecret{}), change)
			Expect(coreSecret("tree").Data).To(HaveKey("password"))
			world.Remove(password)
			if sealed {
				Eventually(func() []v1alpha1.Envelope {
					world.Sweep("Parameter", "password")
					return world.Envelopes(v1alpha1.EnvelopeTombstone)
				}).Should(HaveLen(1), "it does not open later")
				world.Seen(&world.Envelopes(v1alpha1.EnvelopeTombstone)[0])
			}
			again := declare("password", "/p/password") // a String without a value
			pass(again)
			Expect(meta.FindStatusCondition(again.Status.Conditions, v1alpha1.ConditionReady)).To(HaveField("Reason", v1alpha1.ReasonTypeMismatch))
			if sealed {
				world.Seal(errSealed)
			}
			reconcile(t)
			refused(t, v1alpha1.ReasonSourceNotFound)
			Expect(coreSecret("tree").Data).NotTo(HaveKey("password"))
		},
		Entry("in a tree that it is in", func(*v1alpha1.ParameterTree) {}, false),
		Entry("in a tree of SecureStrings alone", filtered(filter{Types: []v1alpha1.ParameterType{v1alpha1.ParameterSecureString}}), false),
		Entry("while the keyring is sealed", func(*v1alpha1.ParameterTree) {}, true),
	)

	It("keeps what it shows of a parameter whose status is lost, which comes back", func() {
		a := put("a", "/p/a", "1")
		put("b", "/p/b", "2")
		t := ready()
		a.Status = v1alpha1.ParameterStatus{}
		Expect(world.ControlPlane.Client.Status().Update(ctx, a)).To(Succeed())
		world.Seen(a)
		reconcile(t)
		refused(t, v1alpha1.ReasonSourceNotFound, "/p/a")
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "1", "b": "2"}))
	})

	It("lets go of what is gone though another makes the same key", func() {
		a := put("a", "/p/max-size", "1")
		put("b", "/p/b", "2")
		t := ready(snake)
		declare("d", "/p/d")
		put("c", "/p/max_size", "3")
		world.Remove(a)
		reconcile(t)
		refused(t, v1alpha1.ReasonSourceNotFound, "/p/d")
		Expect(configMap("tree").Data).To(Equal(map[string]string{"B": "2"}))
		Expect(t.Status.Projection.Keys).To(Equal([]string{"B"}))
		Expect(t.Status.Projection.Shows).To(HaveLen(1))
	})

	It("lets go of what is gone though its spec has changed and another may have made the key by the former one", func() {
		b := put("b", "/p/x/b", "2")
		put("c", "/p/x/y/b", "3")
		t := ready(func(t *v1alpha1.ParameterTree) { t.Spec.Path, t.Spec.Recursive = "/p/x", false })
		Expect(configMap("tree").Data).To(Equal(map[string]string{"b": "2"}))
		declare("d", "/p/x/d")
		world.Update(t, func() { t.Spec.Recursive = true })
		world.Remove(b)
		reconcile(t)
		refused(t, v1alpha1.ReasonSourceNotFound, "/p/x/d")
		Expect(configMap("tree").Data).To(BeEmpty())
	})

	It("goes by the keys alone where a status tells no more", func() {
		b := put("b", "/p/b", "2")
		put("a", "/p/a", "1")
		t := ready()
		t.Status.Projection.Shows = nil
		Expect(world.ControlPlane.Client.Status().Update(ctx, t)).To(Succeed())
		world.Seen(t)
		declare("d", "/p/d")
		world.Remove(b)
		reconcile(t)
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "1"}))
		Expect(t.Status.Projection.Shows).To(BeEmpty())
	})

	It("lets go in what it merged into of what is its own, and of nothing else", func() {
		foreign("shared", map[string]string{"theirs": "x"})
		b := put("b", "/p/b", "2")
		put("a", "/p/a", "1")
		c := put("c", "/p/c", "3")
		t := ready(config(v1alpha1.ParameterTreeConfigMap{Name: "shared", CreationPolicy: v1alpha1.CreationPolicyMerge}))
		edited := configMap("shared")
		edited.Data["c"] = "somebody's by now"
		Expect(world.ControlPlane.Client.Update(ctx, edited, client.FieldOwner("somebody"))).To(Succeed())
		world.Seen(edited)
		declare("d", "/p/d")
		world.Remove(b)
		world.Remove(c)
		reconcile(t)
		Expect(configMap("shared").Data).To(Equal(map[string]string{"theirs": "x", "a": "1", "c": "somebody's by now"}))
	})

	It("leaves a target alone that was deleted, and one that is somebody else's by now", func() {
		b := put("b", "/p/b", "2")
		put("a", "/p/a", "1")
		t := ready()
		declare("d", "/p/d")
		target := configMap("tree")
		world.Seen(target)
		world.Remove(target)
		foreign("tree", map[string]string{"b": "theirs"})
		world.Remove(b)
		reconcile(t)
		refused(t, v1alpha1.ReasonSourceNotFound, "/p/d")
		Expect(configMap("tree").Data).To(Equal(map[string]string{"b": "theirs"}))
	})

	It("leaves an immutable target alone, which goes with its last user", func() {
		b := put("b", "/p/b", "2")
		put("a", "/p/a", "1")
		t := ready(secret(v1alpha1.ParameterTreeSecret{Immutable: true}))
		declare("d", "/p/d")
		world.Remove(b)
		reconcile(t)
		Expect(coreSecret(t.Status.Projection.Name).Data).To(HaveKey("b"))
	})
})

var _ = Describe("The passes over trees", func() {
	It("of one namespace leave a worker to those of another", func() {
		put("a", "/p/a", "1")
		t := tree()
		reconciler := *world.ParameterTree
		reconciler.Slots = fairshare.New(2, world.Clock.Now)
		release, _ := reconciler.Slots.Acquire(world.Namespace, "another tree of the namespace")
		Expect(release).NotTo(BeNil())
		result, err := reconciler.Reconcile(ctx, environment.Request(t))
		Expect(err).NotTo(HaveOccurred())
		Expect(result.RequeueAfter).To(BeNumerically(">", 0))
		world.Refresh(t)
		Expect(t.Status.Projection).To(BeNil())

		other := environment.ParameterTree(world.NewNamespace(), "tree", "/p")
		world.Create(other)
		_, err = reconciler.Reconcile(ctx, environment.Request(other))
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(other)
		refused(other, v1alpha1.ReasonSourceNotFound)

		release()
		for range 2 { // a slot is given back with each pass
			_, err = reconciler.Reconcile(ctx, environment.Request(t))
			Expect(err).NotTo(HaveOccurred())
		}
		world.Refresh(t)
		inForce(t)
	})
})
