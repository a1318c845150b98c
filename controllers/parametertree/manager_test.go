package parametertree_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

// These specs run the whole manager: nobody calls Reconcile, so what is watched is all that makes a pass.
var _ = Describe("A manager that runs", Ordered, ContinueOnFailure, func() {
	var namespace string
	BeforeAll(func() {
		op, err := environment.RunOperator(ctx, world.ControlPlane.Config, operator.Options{})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(op.Stop)
	})
	BeforeEach(func() { namespace = world.Namespace })
	c := func() client.Client { return world.ControlPlane.Client }
	come := func(obj client.Object) {
		GinkgoHelper()
		Expect(c().Create(ctx, obj)).To(Succeed())
	}
	parameter := func(object, name, value string, changes ...func(*v1alpha1.Parameter)) *v1alpha1.Parameter {
		GinkgoHelper()
		p := environment.Parameter(namespace, object, append([]func(*v1alpha1.Parameter){func(p *v1alpha1.Parameter) {
			p.Spec.Name, p.Spec.Value, p.Spec.Target = name, value, nil
		}}, changes...)...)
		come(p)
		return p
	}
	alter := func(obj client.Object, how func()) {
		GinkgoHelper()
		Eventually(func() error {
			if err := c().Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
				return err
			}
			how()
			return c().Update(ctx, obj)
		}).Should(Succeed())
	}
	data := func(name string) func() map[string]string {
		return func() map[string]string {
			config := &corev1.ConfigMap{}
			_ = c().Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, config)
			return config.Data
		}
	}
	secretData := func(name string) func() map[string][]byte {
		return func() map[string][]byte {
			s := &corev1.Secret{}
			_ = c().Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, s)
			return s.Data
		}
	}
	reason := func(obj interface {
		client.Object
		GetConditions() []metav1.Condition
	}) func() string {
		return func() string {
			if err := c().Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
				return err.Error()
			}
			return meta.FindStatusCondition(obj.GetConditions(), v1alpha1.ConditionReady).Reason
		}
	}

	It("shows what comes, changes and goes below a path, and nothing beside it", func() {
		come(environment.ParameterTree(namespace, "tree", "/p"))
		a := parameter("a", "/p/a", "1")
		Eventually(data("tree")).Should(Equal(map[string]string{"a": "1"}))
		alter(a, func() { a.Spec.Value = "2" })
		Eventually(data("tree")).Should(Equal(map[string]string{"a": "2"}))
		b := parameter("b", "/p/q/b", "3")
		parameter("x", "/other/x", "4")
		Eventually(data("tree")).Should(Equal(map[string]string{"a": "2", "q.b": "3"}))
		Expect(c().Delete(ctx, b)).To(Succeed())
		Eventually(data("tree")).Should(Equal(map[string]string{"a": "2"}))
	})

	It("shows a value that the API puts, and a parameter whose tags come to be those of the filter", func() {
		come(environment.ParameterTree(namespace, "tree", "/p", filtered(filter{Tags: []v1alpha1.ParameterTagFilter{{Key: "team"}}})))
		p := parameter("a", "/p/a", "1")
		Consistently(data("tree"), 1500*time.Millisecond, 100*time.Millisecond).Should(BeEmpty())
		alter(p, func() { p.Spec.Tags = []v1alpha1.Tag{{Key: "team"}} })
		Eventually(data("tree")).Should(Equal(map[string]string{"a": "1"}))
	})

	It("heals a ConfigMap and a core Secret, an immutable one too", func() {
		parameter("a", "/p/a", "1")
		come(environment.ParameterTree(namespace, "config", "/p"))
		come(environment.ParameterTree(namespace, "secret", "/p", secret(v1alpha1.ParameterTreeSecret{})))
		frozen := environment.ParameterTree(namespace, "frozen", "/p", secret(v1alpha1.ParameterTreeSecret{Immutable: true}))
		come(frozen)
		Eventually(data("config")).Should(HaveKeyWithValue("a", "1"))
		Eventually(secretData("secret")).Should(HaveKeyWithValue("a", []byte("1")))
		Eventually(reason(frozen)).Should(Equal(v1alpha1.ReasonSucceeded))
		config := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "config"}}
		alter(config, func() { config.Data["a"] = "hacked" })
		Eventually(data("config")).Should(HaveKeyWithValue("a", "1"))
		for _, name := range []string{"secret", frozen.Status.Projection.Name} {
			Expect(c().Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}})).To(Succeed())
			Eventually(secretData(name)).Should(HaveKeyWithValue("a", []byte("1")))
		}
	})

	It("shows many parameters that change together by few writes", func() {
		var all []*v1alpha1.Parameter
		for i := range 40 {
			all = append(all, parameter(fmt.Sprint("x", i), fmt.Sprint("/p/", i), "1"))
		}
		come(environment.ParameterTree(namespace, "tree", "/p"))
		Eventually(data("tree")).Should(HaveLen(40))
		before := &corev1.ConfigMap{}
		Expect(c().Get(ctx, client.ObjectKey{Namespace: namespace, Name: "tree"}, before)).To(Succeed())
		watched, err := client.NewWithWatch(world.ControlPlane.Config, client.Options{Scheme: c().Scheme()})
		Expect(err).NotTo(HaveOccurred())
		events, err := watched.Watch(ctx, &corev1.ConfigMapList{}, client.InNamespace(namespace), &client.ListOptions{
			Raw: &metav1.ListOptions{ResourceVersion: before.ResourceVersion},
		})
		Expect(err).NotTo(HaveOccurred())
		defer events.Stop()
		for _, p := range all {
			alter(p, func() { p.Spec.Value = "2" })
		}
		Eventually(func() (changed int) {
			for _, value := range data("tree")() {
				if value == "2" {
					changed++
				}
			}
			return changed
		}).Should(Equal(40))
		writes := 0
		for len(events.ResultChan()) > 0 {
			<-events.ResultChan()
			writes++
		}
		Expect(writes).To(BeNumerically("<=", 8), "40 parameters were shown by %d writes", writes)
	})

	It("mends a status that is lost", func() {
		parameter("a", "/p/a", "1")
		t := environment.ParameterTree(namespace, "tree", "/p")
		come(t)
		Eventually(reason(t)).Should(Equal(v1alpha1.ReasonSucceeded))
		for _, lose := range []func(*v1alpha1.ParameterTreeStatus){
			func(s *v1alpha1.ParameterTreeStatus) { *s = v1alpha1.ParameterTreeStatus{} },
			func(s *v1alpha1.ParameterTreeStatus) { s.Projection = nil },
		} {
			Eventually(func() error {
				if err := c().Get(ctx, client.ObjectKeyFromObject(t), t); err != nil {
					return err
				}
				lose(&t.Status)
				return c().Status().Update(ctx, t)
			}).Should(Succeed())
			Eventually(func(g Gomega) {
				g.Expect(reason(t)()).To(Equal(v1alpha1.ReasonSucceeded))
				g.Expect(t.Status.Projection).NotTo(BeNil())
			}).Should(Succeed())
		}
	})

	It("tells of a Parameter that follows what the tree makes of it, and of no other", func() {
		parameter("a", "/p/a", "1")
		t := environment.ParameterTree(namespace, "tree", "/p", secret(v1alpha1.ParameterTreeSecret{}))
		come(t)
		Eventually(secretData("tree")).Should(HaveKey("a"))
		following := func(p *v1alpha1.Parameter) {
			p.Spec.Type, p.Spec.ValueFrom = v1alpha1.ParameterSecureString, &v1alpha1.SecretValueSource{
				SecretKeyRef: v1alpha1.SecretKeyReference{Name: "tree", Key: "a"}, Policy: v1alpha1.ImportFollow,
			}
		}
		inside := parameter("inside", "/p/inside", "", following)
		outside := parameter("outside", "/q/outside", "", following)
		Eventually(reason(inside)).Should(Equal(v1alpha1.ReasonCycle))
		Expect(meta.FindStatusCondition(inside.Status.Conditions, v1alpha1.ConditionReady).Message).To(ContainSubstring("ParameterTree tree"))
		Eventually(reason(outside)).Should(Equal(v1alpha1.ReasonSucceeded))
		alter(t, func() { filtered(filter{Exclude: []v1alpha1.ParameterNamePattern{"inside"}})(t) })
		alter(inside, func() { metav1.SetMetaDataAnnotation(&inside.ObjectMeta, v1alpha1.ReconcileAnnotation, "now") })
		Eventually(reason(inside)).Should(Equal(v1alpha1.ReasonSucceeded))
	})
})
