// Package chart_test renders the Helm chart and the kustomizations and applies what comes out to a real kube-apiserver.
package chart_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	sigsyaml "sigs.k8s.io/yaml"

	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

func TestChart(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Helm chart and kustomizations")
}

var (
	ctx  = context.Background()
	api  client.Client
	helm string
	// manager is the built binary, whose --help says which flags there are.
	manager string
)

var _ = BeforeSuite(func() {
	helm = os.Getenv("HELM")
	Expect(helm).NotTo(BeEmpty(), "HELM is not set: run the tests by `make test`, or export "+
		"HELM=$(hack/tool.sh helm hack/helm helm.sh/helm/v4/cmd/helm)")
	env := &envtest.Environment{}
	DeferCleanup(func() { _ = env.Stop() })
	cfg, err := env.Start()
	Expect(err).NotTo(HaveOccurred())
	api, err = client.New(cfg, client.Options{Scheme: operator.Scheme()})
	Expect(err).NotTo(HaveOccurred())
	api = client.WithFieldValidation(api, metav1.FieldValidationStrict)
	own := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "strongroom-system"}}}
	apply([]*unstructured.Unstructured{own}) // as helm's --create-namespace does

	manager = filepath.Join(GinkgoT().TempDir(), "strongroom")
	build := exec.Command("go", "build", "-o", manager, ".")
	build.Dir = environment.Root()
	out, err := build.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(out))
})

func run(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = environment.Root()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", errors.New(errs.String() + out.String())
	}
	return out.String(), nil
}

func render(args ...string) []*unstructured.Unstructured {
	GinkgoHelper()
	out, err := run(helm, append([]string{"template", "strongroom", "charts/strongroom", "--namespace", "strongroom-system"}, args...)...)
	Expect(err).NotTo(HaveOccurred())
	return parse(out)
}

func parse(text string) []*unstructured.Unstructured {
	GinkgoHelper()
	var out []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		object := map[string]any{}
		err := decoder.Decode(&object)
		if errors.Is(err, io.EOF) {
			return out
		}
		Expect(err).NotTo(HaveOccurred())
		if len(object) > 0 {
			out = append(out, &unstructured.Unstructured{Object: object})
		}
	}
}

func ofKind(objects []*unstructured.Unstructured, kind string) []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for _, o := range objects {
		if o.GetKind() == kind {
			out = append(out, o)
		}
	}
	return out
}

// kinds is how many CRDs there are.
func kinds() int {
	GinkgoHelper()
	files, err := filepath.Glob(filepath.Join(environment.Root(), "config", "crd", "strongroom.dev_*.yaml"))
	Expect(err).NotTo(HaveOccurred())
	Expect(len(files)).To(BeNumerically(">", 2))
	return len(files)
}

// apply sends objects to the API server by server-side apply, namespaces and CRDs first. Kinds of other projects'
// CRDs are left out.
func apply(objects []*unstructured.Unstructured) {
	GinkgoHelper()
	for _, first := range []bool{true, false} {
		for _, o := range objects {
			kind := o.GetKind()
			if strings.HasPrefix(o.GetAPIVersion(), "monitoring.coreos.com/") ||
				(kind == "Namespace" || kind == "CustomResourceDefinition") != first {
				continue
			}
			Expect(api.Apply(ctx, client.ApplyConfigurationFromUnstructured(o), client.FieldOwner("test"), client.ForceOwnership)).
				To(Succeed(), kind+" "+o.GetName())
		}
	}
}

func deployment(objects []*unstructured.Unstructured) *appsv1.Deployment {
	GinkgoHelper()
	found := ofKind(objects, "Deployment")
	Expect(found).To(HaveLen(1))
	d := &appsv1.Deployment{}
	Expect(runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(found[0].Object, d, true)).To(Succeed())
	return d
}

// full turns everything on.
var full = []string{
	"--set", "podDisruptionBudget.enabled=true,networkPolicy.enabled=true,metrics.serviceMonitor.enabled=true," +
		"metrics.prometheusRule.enabled=true,replicas=2,priorityClassName=system-cluster-critical,fullnameOverride=vault-room",
	"--set", "image.digest=sha256:" + strings.Repeat("a", 64),
	"--set-json", `nodeSelector={"a":"b"}`, "--set-json", `tolerations=[{"operator":"Exists"}]`,
	"--set-json", `topologySpreadConstraints=[{"maxSkew":1,"topologyKey":"zone","whenUnsatisfiable":"ScheduleAnyway"}]`,
	"--set-json", `extraObjects=[{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"{{ .Release.Name }}-extra","namespace":"strongroom-system"}}]`,
	"--set-json", `gateway={"regions":["eu-west-1","ap-southeast-2"],"names":["aws.example.com","192.0.2.1"],"authority":"platform/gateways","auditLog":"/dev/stderr",` +
		`"service":{"type":"LoadBalancer","annotations":{"c":"d"}}}`,
	"--set-json", `podAnnotations={"x":"y"}`, "--set-json", `controller.extraEnv=[{"name":"A","value":"b"}]`,
}

var _ = Describe("The chart", func() {
	BeforeEach(func() {
		_ = api.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "strongroom-system"}})
	})

	DescribeTable("is accepted by the API server as it is rendered", func(args ...string) { apply(render(args...)) },
		Entry("with its defaults"),
		Entry("with everything on", full[0], full[1], full[2], full[3], full[4], full[5], full[6], full[7], full[8], full[9],
			full[10], full[11], full[12], full[13], full[14], full[15], full[16], full[17]),
		Entry("without the gateway", "--set", "gateway.enabled=false"),
	)

	It("passes helm lint", func() {
		_, err := run(helm, "lint", "--strict", "charts/strongroom")
		Expect(err).NotTo(HaveOccurred())
	})

	DescribeTable("refuses what its schema does not know", func(value string) {
		_, err := run(helm, "template", "x", "charts/strongroom", "--set", value)
		Expect(err).To(HaveOccurred())
	},
		Entry("a misspelt key", "replica=2"),
		Entry("a misspelt nested key", "image.tagg=1"),
		Entry("a number of replicas that is none", "replicas=two"),
		Entry("a log level that does not exist", "controller.logLevel=loud"),
		Entry("a bad digest", "image.digest=sha256:zz"),
		Entry("a misspelt key of the gateway", "gateway.region=us-east-1"),
		Entry("a region that is none", "gateway.regions={us}"),
		Entry("a name that is two", "gateway.names[0]=a b"),
		Entry("an authority without its namespace", "gateway.authority=gateways"),
		Entry("an authority of three parts", "gateway.authority=a/b/c"),
		Entry("a type of Service that would not select pods", "gateway.service.type=ExternalName"),
		Entry("an audit log in no folder", "gateway.auditLog=audit.log"),
		Entry("a root that is none", "root=CoreSecret"),
		Entry("a root without a namespace", "root=hsm:root"),
		Entry("a root in two", "root=hsm:a/b/c"),
		Entry("a misspelt key of injection", "injection.enable=true"),
		Entry("the gateway's port for metrics", "metrics.port=8444"),
	)

	It("keeps its CRDs at an uninstall unless told otherwise, and leaves them out when told so", func() {
		for _, crd := range ofKind(render(), "CustomResourceDefinition") {
			Expect(crd.GetAnnotations()).To(HaveKeyWithValue("helm.sh/resource-policy", "keep"))
		}
		for _, crd := range ofKind(render("--set", "crds.keep=false"), "CustomResourceDefinition") {
			Expect(crd.GetAnnotations()).NotTo(HaveKey("helm.sh/resource-policy"))
		}
		Expect(ofKind(render("--set", "crds.install=false"), "CustomResourceDefinition")).To(BeEmpty())
		Expect(ofKind(render(), "CustomResourceDefinition")).To(HaveLen(kinds()))
	})

	It("gives the manager the rights that the markers generate, and no others", func() {
		text, err := os.ReadFile(filepath.Join(environment.Root(), "config", "rbac", "role.yaml"))
		Expect(err).NotTo(HaveOccurred())
		for _, want := range parse(string(text)) {
			found := false
			for _, got := range ofKind(render(), want.GetKind()) {
				if got.GetName() == "strongroom" {
					found = true
					Expect(got.Object["rules"]).To(Equal(want.Object["rules"]))
				}
			}
			Expect(found).To(BeTrue(), want.GetKind())
		}
	})

	It("makes no Secret: a rendering twice is the same", func() {
		Expect(ofKind(render(full...), "Secret")).To(BeEmpty())
		Expect(render(full...)).To(Equal(render(full...)))
	})

	It("starts the manager with flags that it has", func() {
		help, err := run(manager, "manager", "--help")
		Expect(err).NotTo(HaveOccurred())
		for _, arg := range deployment(render(full...)).Spec.Template.Spec.Containers[0].Args[1:] {
			flag, _, _ := strings.Cut(arg, "=")
			Expect(help).To(ContainSubstring(flag + " "))
		}
	})
})

var _ = Describe("The kustomization config/default", func() {
	It("is accepted by the API server as it is rendered", func() {
		out, err := run(filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"), "kustomize", "config/default")
		Expect(err).NotTo(HaveOccurred())
		objects := parse(out)
		apply(objects)
		Expect(ofKind(objects, "CustomResourceDefinition")).To(HaveLen(kinds()))
		help, err := run(manager, "manager", "--help")
		Expect(err).NotTo(HaveOccurred())
		for _, arg := range deployment(objects).Spec.Template.Spec.Containers[0].Args[1:] {
			flag, _, _ := strings.Cut(arg, "=")
			Expect(help).To(ContainSubstring(flag + " "))
		}
	})
})

var _ = Describe("The manager's pod", func() {
	It("obeys the restricted Pod Security Standard", func() {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			Name: "restricted", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
		}}
		Expect(api.Create(ctx, ns)).To(Succeed())
		for name, d := range map[string]*appsv1.Deployment{"chart": deployment(render())} {
			account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "restricted", Name: d.Spec.Template.Spec.ServiceAccountName}}
			Expect(api.Create(ctx, account)).To(Succeed())
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "restricted", Name: name}, Spec: d.Spec.Template.Spec}
			Expect(api.Create(ctx, pod, client.DryRunAll)).To(Succeed())
			pod.Spec.SecurityContext, pod.ResourceVersion = nil, ""
			Expect(api.Create(ctx, pod, client.DryRunAll)).To(MatchError(ContainSubstring("PodSecurity")), "the check cannot fail")
		}
	})
})

// The rights of users, aggregated into the cluster's roles.
var _ = Describe("Users' roles", func() {
	It("never reach Envelopes", func() {
		for _, role := range ofKind(render(), "ClusterRole") {
			if role.GetName() == "strongroom" {
				continue
			}
			text, err := sigsyaml.Marshal(role.Object)
			Expect(err).NotTo(HaveOccurred())
			r := &rbacv1.ClusterRole{}
			Expect(sigsyaml.UnmarshalStrict(text, r)).To(Succeed())
			Expect(r.Rules).NotTo(BeEmpty())
			for _, rule := range r.Rules {
				Expect(rule.Resources).NotTo(ContainElement(Or(Equal("envelopes"), Equal("*"))))
			}
		}
	})

	It("let an admin alone give rights of AWS's, as Kubernetes' own roles do", func() {
		for _, role := range ofKind(render(), "ClusterRole") {
			if role.GetName() == "strongroom" {
				continue
			}
			text, err := sigsyaml.Marshal(role.Object)
			Expect(err).NotTo(HaveOccurred())
			r := &rbacv1.ClusterRole{}
			Expect(sigsyaml.UnmarshalStrict(text, r)).To(Succeed())
			for _, rule := range r.Rules {
				if slices.Contains(rule.Verbs, "create") && (slices.Contains(rule.Resources, "iamusers") || slices.Contains(rule.Resources, "iamgroups")) {
					Expect(r.Name).To(Equal("strongroom-admin"))
					Expect(r.Labels).NotTo(HaveKey("rbac.authorization.k8s.io/aggregate-to-edit"))
					Expect(r.Labels).To(HaveKey("rbac.authorization.k8s.io/aggregate-to-admin"))
				}
			}
		}
	})
})
