package operator_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/operator"
)

// filteredKinds are those of which the cache keeps what has the label.
var filteredKinds = []struct {
	name string
	make func(name string, labels map[string]string) client.Object
	list client.ObjectList
}{
	{"core Secrets", func(name string, labels map[string]string) client.Object { return coreSecret(name, labels) }, &corev1.SecretList{}},
	{"ConfigMaps", func(name string, labels map[string]string) client.Object {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}}
	}, &corev1.ConfigMapList{}},
	{"Jobs", func(name string, labels map[string]string) client.Object {
		return &batchv1.Job{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
			Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "c", Image: "image"}},
			}}},
		}
	}, &batchv1.JobList{}},
}

var _ = Describe("A read after a write of an object that the cache does not keep", func() {
	managed := map[string]string{v1alpha1.ManagedLabel: v1alpha1.ManagedRotation}
	note := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"a":"b"}}}`))
	strip := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":null}}`))
	for _, kind := range filteredKinds {
		It("waits for nothing: "+kind.name, func(ctx SpecContext) {
			c := run(ctx, operator.Options{WithoutControllers: true}).GetClient()
			read := func(obj client.Object) {
				GinkgoHelper()
				began := time.Now()
				Expect(apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(obj), kind.make("", nil)))).To(BeTrue())
				Expect(c.List(ctx, kind.list, client.InNamespace(namespace))).To(Succeed())
				Expect(time.Since(began)).To(BeNumerically("<", 2*time.Second))
			}
			By("creating, updating, patching and deleting one without the label")
			plain := kind.make("plain", nil)
			Expect(c.Create(ctx, plain)).To(Succeed())
			read(plain)
			plain.SetAnnotations(map[string]string{"x": "y"})
			Expect(c.Update(ctx, plain)).To(Succeed())
			read(plain)
			Expect(c.Patch(ctx, plain, note)).To(Succeed())
			read(plain)
			Expect(c.Delete(ctx, plain, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
			read(plain)
			By("patching one whose label somebody has taken off")
			stripped := kind.make("stripped", managed)
			Expect(c.Create(ctx, stripped)).To(Succeed())
			Expect(cp.Client.Patch(ctx, stripped.DeepCopyObject().(client.Object), strip)).To(Succeed())
			Eventually(func() bool {
				return apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(stripped), kind.make("", nil)))
			}).Should(BeTrue())
			Expect(c.Patch(ctx, stripped, note)).To(Succeed())
			read(stripped)
		})

		It("sees at once what has the label: "+kind.name, func(ctx SpecContext) {
			c := run(ctx, operator.Options{WithoutControllers: true}).GetClient()
			for range 10 {
				kept := kind.make("kept", managed)
				Expect(c.Create(ctx, kept)).To(Succeed())
				Expect(c.Get(ctx, client.ObjectKeyFromObject(kept), kind.make("", nil))).To(Succeed())
				Expect(c.Delete(ctx, kept, client.PropagationPolicy(metav1.DeletePropagationBackground))).To(Succeed())
				Expect(apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(kept), kind.make("", nil)))).To(BeTrue())
			}
		})
	}

	It("waits for nothing after an apply that names no label", func(ctx SpecContext) {
		c := run(ctx, operator.Options{WithoutControllers: true}).GetClient()
		for range 2 {
			Expect(c.Apply(ctx, corev1ac.Secret("applied", namespace), client.FieldOwner("test"), client.ForceOwnership)).To(Succeed())
			Expect(c.Apply(ctx, corev1ac.ConfigMap("applied", namespace).WithData(map[string]string{"a": "b"}), client.FieldOwner("test"), client.ForceOwnership)).To(Succeed())
			began := time.Now()
			for _, kind := range filteredKinds[:2] {
				Expect(apierrors.IsNotFound(c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "applied"}, kind.make("", nil)))).To(BeTrue())
			}
			Expect(time.Since(began)).To(BeNumerically("<", 2*time.Second))
		}
		labelled := corev1ac.Secret("labelled", namespace).WithLabels(managed)
		Expect(c.Apply(ctx, labelled, client.FieldOwner("test"), client.ForceOwnership)).To(Succeed())
		Expect(c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "labelled"}, &corev1.Secret{})).To(Succeed())
	})

	It("ends soon even if the write was taken for one that the cache shows", func(ctx SpecContext) {
		c := run(ctx, operator.Options{WithoutControllers: true}).GetClient()
		kept := coreSecret("kept", managed)
		Expect(c.Create(ctx, kept)).To(Succeed())
		Expect(cp.Client.Patch(ctx, kept.DeepCopy(), strip)).To(Succeed())
		Eventually(func() bool {
			return apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(kept), &corev1.Secret{}))
		}).Should(BeTrue())
		Expect(c.Delete(ctx, kept)).To(Succeed()) // its label is known from before
		began := time.Now()
		Expect(apierrors.IsNotFound(c.Get(ctx, client.ObjectKeyFromObject(kept), &corev1.Secret{}))).To(BeTrue())
		Expect(time.Since(began)).To(BeNumerically("<", 10*time.Second))
	})
})
