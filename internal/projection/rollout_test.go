package projection_test

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/projection"
)

// installRollouts installs Argo Rollouts' kind, whose fields are not looked at here.
func installRollouts() {
	GinkgoHelper()
	scheme := runtime.NewScheme()
	Expect(apiextensionsv1.AddToScheme(scheme)).To(Succeed())
	c, err := client.New(cp.Config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	crd := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "rollouts.argoproj.io"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "argoproj.io", Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "rollouts", Singular: "rollout", Kind: "Rollout", ListKind: "RolloutList"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1alpha1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", XPreserveUnknownFields: ptr.To(true),
				}},
			}},
		},
	}
	Expect(c.Create(ctx, crd)).To(Succeed())
	Eventually(func() error {
		return cp.Client.Create(ctx, rollout("probe"), client.DryRunAll)
	}, "20s").Should(Succeed())
}

func rollout(name string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"replicas": int64(3), "template": map[string]any{"metadata": map[string]any{}}}}}
	u.SetGroupVersionKind(schema.GroupVersionKind{Group: "argoproj.io", Version: "v1alpha1", Kind: "Rollout"})
	u.SetNamespace(namespace)
	u.SetName(name)
	u.SetLabels(map[string]string{"name": name})
	return u
}

var _ = Describe("A Rollout of Argo Rollouts", Ordered, func() {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	again := func(secret, token string, at time.Time, targets ...v1alpha1.RestartTarget) []string {
		GinkgoHelper()
		names, err := projector.Restart(ctx, projection.Restart{Namespace: namespace, SecretName: secret, Token: token, Now: at, Targets: targets})
		Expect(err).NotTo(HaveOccurred())
		return names
	}
	restartAt := func(name string) string {
		GinkgoHelper()
		u := rollout(name)
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(u), u)).To(Succeed())
		at, _, err := unstructured.NestedString(u.Object, "spec", "restartAt")
		Expect(err).NotTo(HaveOccurred())
		return at
	}

	It("is no workload where they are not installed, and the others are restarted", func() {
		web := newWorkload(v1alpha1.RestartDeployment, "web")
		Expect(again("db", "token", now, byName(v1alpha1.RestartRollout, "web"), byLabel(v1alpha1.RestartRollout, "name", "web"), byName(v1alpha1.RestartDeployment, "web"))).
			To(ConsistOf("Deployment/web"))
		Expect(reread(web).GetGeneration()).To(Equal(int64(2)))
	})

	It("is restarted by the field that it has for that, without another revision", func() {
		installRollouts()
		u := rollout("web")
		Expect(cp.Client.Create(ctx, u)).To(Succeed())
		template, _, err := unstructured.NestedMap(u.Object, "spec", "template")
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() []string { return again("db", "one", now, byName(v1alpha1.RestartRollout, "web")) }, "20s").Should(ConsistOf("Rollout/web"))
		Expect(restartAt("web")).To(Equal("2026-11-28T12:00:00Z"))
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(u), u)).To(Succeed())
		after, _, err := unstructured.NestedMap(u.Object, "spec", "template")
		Expect(err).NotTo(HaveOccurred())
		Expect(after).To(Equal(template))
	})

	It("is restarted once for a token, however late it is repeated, and again for another", func() {
		Expect(cp.Client.Create(ctx, rollout("web"))).To(Succeed())
		target := byLabel(v1alpha1.RestartRollout, "name", "web")
		again("db", "one", now, target)
		again("db", "one", now.Add(time.Hour), target)
		Expect(restartAt("web")).To(Equal("2026-11-28T12:00:00Z"))
		again("db", "two", now.Add(2*time.Hour), target)
		Expect(restartAt("web")).To(Equal("2026-11-28T14:00:00Z"))
	})

	It("is restarted by each of two Secrets", func() {
		Expect(cp.Client.Create(ctx, rollout("web"))).To(Succeed())
		target := byName(v1alpha1.RestartRollout, "web")
		again("one", "a", now, target)
		again("two", "b", now.Add(time.Hour), target)
		again("one", "a", now.Add(2*time.Hour), target)
		Expect(restartAt("web")).To(Equal("2026-11-28T13:00:00Z"))
		again("one", "c", now.Add(3*time.Hour), target)
		Expect(restartAt("web")).To(Equal("2026-11-28T15:00:00Z"))
	})

	It("that is not there is not made", func() {
		Expect(again("db", "token", now, byName(v1alpha1.RestartRollout, "missing"))).To(BeEmpty())
		u := rollout("missing")
		Expect(client.IgnoreNotFound(cp.Client.Get(ctx, client.ObjectKeyFromObject(u), u))).To(Succeed())
		Expect(u.GetUID()).To(BeEmpty())
	})
})
