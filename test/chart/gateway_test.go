package chart_test

import (
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

// kustomized is what config/default renders to.
func kustomized() []*unstructured.Unstructured {
	GinkgoHelper()
	out, err := run(filepath.Join(os.Getenv("KUBEBUILDER_ASSETS"), "kubectl"), "kustomize", "config/default")
	Expect(err).NotTo(HaveOccurred())
	return parse(out)
}

// gatewayService is the gateway's Service; nil if there is none.
func gatewayService(objects []*unstructured.Unstructured) *corev1.Service {
	GinkgoHelper()
	for _, o := range ofKind(objects, "Service") {
		if o.GetName() == operator.GatewayService {
			s := &corev1.Service{}
			Expect(runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, s, true)).To(Succeed())
			return s
		}
	}
	return nil
}

// flags of the gateway that the manager is started with.
func flags(d *appsv1.Deployment) []string {
	var out []string
	for _, arg := range d.Spec.Template.Spec.Containers[0].Args {
		if strings.HasPrefix(arg, "--gateway-") || strings.HasPrefix(arg, "--regions") || strings.HasPrefix(arg, "--audit-log") {
			out = append(out, arg)
		}
	}
	return out
}

func policies(objects []*unstructured.Unstructured) []*unstructured.Unstructured {
	return append(ofKind(objects, "MutatingAdmissionPolicy"), ofKind(objects, "MutatingAdmissionPolicyBinding")...)
}

// served is a cluster that has admission policies. Helm knows of none by itself.
var served = []string{"--api-versions", "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"}

var _ = Describe("The gateway", func() {
	DescribeTable("is behind a Service whose port is the pods'", func(rendered func() []*unstructured.Unstructured) {
		objects := rendered()
		service, d := gatewayService(objects), deployment(objects)
		Expect(service).NotTo(BeNil())
		Expect(labels.SelectorFromSet(service.Spec.Selector).Matches(labels.Set(d.Spec.Template.Labels))).To(BeTrue())
		Expect(service.Namespace).To(Equal("strongroom-system"))
		Expect(service.Spec.Ports).To(Equal([]corev1.ServicePort{{Name: "https", Port: 443, TargetPort: intstr.FromString("gateway")}}))
		Expect(d.Spec.Template.Spec.Containers[0].Ports).To(ContainElement(corev1.ContainerPort{Name: "gateway", ContainerPort: 8444}))
		Expect(flags(d)).To(ContainElement("--gateway-bind-address=:8444"))
		Expect(flags(d)).To(ContainElement("--audit-log=-"))
	},
		Entry("in the chart", func() []*unstructured.Unstructured { return render() }),
		Entry("in the chart by another name of the release", func() []*unstructured.Unstructured { return render("--set", "fullnameOverride=vault-room") }),
		Entry("in the kustomization", kustomized),
	)

	It("is what the values say", func() {
		objects := render(full...)
		Expect(flags(deployment(objects))).To(Equal([]string{
			"--gateway-bind-address=:8444", "--regions=eu-west-1,ap-southeast-2", "--gateway-names=aws.example.com,192.0.2.1",
			"--gateway-authority=platform/gateways", "--audit-log=/dev/stderr",
		}))
		service := gatewayService(objects)
		Expect(service.Spec.Type).To(Equal(corev1.ServiceTypeLoadBalancer))
		Expect(service.Annotations).To(Equal(map[string]string{"c": "d"}))
	})

	It("is let in by the network policy when it is there, and only then", func() {
		ports := func(args ...string) []int32 {
			GinkgoHelper()
			found := ofKind(render(append(args, "--set", "networkPolicy.enabled=true")...), "NetworkPolicy")
			Expect(found).To(HaveLen(1))
			p := &networkingv1.NetworkPolicy{}
			Expect(runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(found[0].Object, p, true)).To(Succeed())
			var out []int32
			for _, port := range p.Spec.Ingress[0].Ports {
				out = append(out, port.Port.IntVal)
			}
			return out
		}
		Expect(ports()).To(Equal([]int32{8443, 8081, 8444}))
		Expect(ports("--set", "gateway.enabled=false")).To(Equal([]int32{8443, 8081}))
	})

	It("is not there when it is off, nor is what leads pods to it", func() {
		objects := render(append(served, "--set", "gateway.enabled=false")...)
		Expect(gatewayService(objects)).To(BeNil())
		Expect(policies(objects)).To(BeEmpty())
		d := deployment(objects)
		Expect(flags(d)).To(Equal([]string{"--gateway-bind-address=0"}))
		Expect(d.Spec.Template.Spec.Containers[0].Ports).To(HaveLen(2))
	})

	DescribeTable("is started with arguments that the manager takes", func(rendered func() []*unstructured.Unstructured) {
		args := deployment(rendered()).Spec.Template.Spec.Containers[0].Args
		// A manager that takes them looks for the cluster next.
		_, err := run(manager, append(args, "--kubeconfig", filepath.Join(GinkgoT().TempDir(), "none"))...)
		Expect(err).To(MatchError(ContainSubstring("finding the cluster")))
		_, err = run(manager, append(args, "--regions=nowhere", "--kubeconfig", filepath.Join(GinkgoT().TempDir(), "none"))...)
		Expect(err).To(MatchError(ContainSubstring("--regions")), "the check cannot fail")
	},
		Entry("in the chart", func() []*unstructured.Unstructured { return render() }),
		Entry("in the chart with everything on", func() []*unstructured.Unstructured { return render(full...) }),
		Entry("in the chart without the gateway", func() []*unstructured.Unstructured { return render("--set", "gateway.enabled=false") }),
		Entry("in the kustomization", kustomized),
	)
})

var _ = Describe("Injection into pods", func() {
	It("is in the chart where the cluster has admission policies, and as the kustomization has it", func() {
		text, err := os.ReadFile(filepath.Join(environment.Root(), "config", "injection", "policy.yaml"))
		Expect(err).NotTo(HaveOccurred())
		want := parse(string(text))
		Expect(want).To(HaveLen(2))
		Expect(policies(kustomized())).To(Equal(want))
		objects := render(served...)
		got := policies(objects)
		Expect(got).To(HaveLen(2))
		for i := range got {
			Expect(got[i].GetLabels()).To(HaveKeyWithValue("app.kubernetes.io/name", "strongroom"))
			got[i].SetLabels(nil)
		}
		Expect(got).To(Equal(want))
		apply(objects)
		Expect(policies(render())).To(BeEmpty(), "a cluster without them would refuse the chart")
		Expect(policies(render(append(served, "--set", "injection.enabled=false")...))).To(BeEmpty())
	})

	DescribeTable("is in the chart's notes", func(says string, args ...string) {
		text, err := run(helm, append([]string{
			"install", "strongroom", "charts/strongroom", "--namespace", "strongroom-system", "--dry-run=client",
		}, args...)...)
		Expect(err).NotTo(HaveOccurred())
		_, notes, ok := strings.Cut(text, "NOTES:")
		Expect(ok).To(BeTrue())
		Expect(notes).To(ContainSubstring(says))
	},
		Entry("as not to be had in an older cluster", "This cluster has no MutatingAdmissionPolicy"),
		Entry("as off", "Pods name token, role and endpoint themselves", "--set", "injection.enabled=false"),
		Entry("with the gateway's address", "https://strongroom-gateway.strongroom-system.svc"),
	)
})
