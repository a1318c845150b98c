package parametertree_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// shownBy are the core Secrets that a tree controls.
func shownBy(t *v1alpha1.ParameterTree) (names []string) {
	GinkgoHelper()
	var list corev1.SecretList
	Expect(world.ControlPlane.Client.List(ctx, &list, client.InNamespace(world.Namespace))).To(Succeed())
	for i := range list.Items {
		if metav1.IsControlledBy(&list.Items[i], t) {
			names = append(names, list.Items[i].Name)
		}
	}
	return names
}

func restarting(name string) edit {
	return func(t *v1alpha1.ParameterTree) {
		t.Spec.Target.Restart = []v1alpha1.RestartTarget{{Kind: v1alpha1.RestartDeployment, Name: name}}
	}
}

var _ = Describe("A tree of which somebody changes a parameter again and again", func() {
	It("has few core Secrets by an immutable target, says so while a content waits, and shows the last one", func() {
		p := put("a", "/p/a", "0")
		t := ready(secret(v1alpha1.ParameterTreeSecret{Immutable: true}))
		var result time.Duration
		for n := range 40 {
			world.Clock.Advance(time.Second)
			change(p, fmt.Sprint(n+1))
			got, err := world.ParameterTree.Reconcile(ctx, environment.Request(t))
			Expect(err).NotTo(HaveOccurred())
			result = got.RequeueAfter
			world.Refresh(t)
			world.Seen(t)
		}
		Expect(len(shownBy(t))).To(BeNumerically("<=", 14), "40 contents within 40 s")
		refused(t, v1alpha1.ReasonProgressing, "immutable", "is shown at")
		Expect(stalled(t)).To(BeFalse())
		Expect(result).To(BeNumerically(">", 0))
		Expect(coreSecret(t.Status.Projection.Name).Data).To(HaveKey("a"), "the one before is there meanwhile")
		world.Clock.Advance(result)
		reconcile(t)
		inForce(t)
		Expect(coreSecret(t.Status.Projection.Name).Data).To(Equal(map[string][]byte{"a": []byte("40")}))
	})

	It("is written by each pass where it waits for nothing: in place, and where the one before is gone", func() {
		p := put("a", "/p/a", "0")
		t := ready(secret(v1alpha1.ParameterTreeSecret{Immutable: true}))
		for n := range 20 {
			world.Remove(coreSecret(t.Status.Projection.Name))
			Eventually(func() []string { return shownBy(t) }).Should(BeEmpty())
			Eventually(func() error {
				return world.ParameterTree.Client.Get(ctx, keyOf(t.Status.Projection.Name), &corev1.Secret{})
			}).ShouldNot(Succeed())
			change(p, fmt.Sprint(n+1))
			reconcile(t)
			inForce(t)
		}
	})

	It("restarts workloads five times a minute at most, and once more for the last data", func() {
		web := deployment("web")
		restarts := func() int64 {
			GinkgoHelper()
			world.Refresh(web)
			return web.Generation - 1
		}
		p := put("a", "/p/a", "0")
		t := ready(restarting("web"))
		var result time.Duration
		for n := range 20 {
			world.Clock.Advance(500 * time.Millisecond)
			change(p, fmt.Sprint(n+1))
			got, err := world.ParameterTree.Reconcile(ctx, environment.Request(t))
			Expect(err).NotTo(HaveOccurred())
			result = got.RequeueAfter
			world.Refresh(t)
			world.Seen(t)
		}
		Expect(restarts()).To(Equal(int64(5)))
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "20"}), "the data does not wait")
		refused(t, v1alpha1.ReasonProgressing, "restarted 5 times")
		Expect(result).To(BeNumerically("~", 50*time.Second, 10*time.Second))
		world.Clock.Advance(result)
		reconcile(t)
		inForce(t)
		Expect(restarts()).To(Equal(int64(6)))
		reconcile(t)
		Expect(restarts()).To(Equal(int64(6)))
	})

	It("loses a key whose parameter goes while a restart waits", func() {
		deployment("web")
		p := put("a", "/p/a", "0")
		t := ready(restarting("web"))
		for n := range 6 {
			change(p, fmt.Sprint(n+1))
			reconcile(t)
		}
		refused(t, v1alpha1.ReasonProgressing)
		b := put("b", "/p/b", "2")
		reconcile(t)
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "6", "b": "2"}))
		world.Seen(configMap("tree"))
		world.Remove(b)
		reconcile(t)
		Expect(configMap("tree").Data).To(Equal(map[string]string{"a": "6"}), "status knows what was written")
	})
})
