package chart_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// arguments of the manager in what was rendered.
func arguments(objects []*unstructured.Unstructured) []string {
	GinkgoHelper()
	for _, o := range objects {
		if o.GetKind() == "Deployment" {
			containers, _, err := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
			Expect(err).NotTo(HaveOccurred())
			args, _, err := unstructured.NestedStringSlice(containers[0].(map[string]any), "args")
			Expect(err).NotTo(HaveOccurred())
			return args
		}
	}
	Fail("there is no Deployment")
	return nil
}

var _ = Describe("The memory of Go in the chart", func() {
	It("is limited as the container's is, so that the collector works before the container is killed", func() {
		env := func(set ...string) string {
			for _, o := range render(set...) {
				if o.GetKind() == "Deployment" {
					containers, _, err := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
					Expect(err).NotTo(HaveOccurred())
					for _, e := range containers[0].(map[string]any)["env"].([]any) {
						if one := e.(map[string]any); one["name"] == "GOMEMLIMIT" {
							resource, _, err := unstructured.NestedString(one, "valueFrom", "resourceFieldRef", "resource")
							Expect(err).NotTo(HaveOccurred())
							return resource
						}
					}
				}
			}
			return ""
		}
		Expect(env()).To(Equal("limits.memory"))
		Expect(env("--set", "resources.limits.memory=null")).To(BeEmpty(), "without a limit it would be the node's")
	})
})

var _ = Describe("The chart's root of trust", func() {
	It("is a core Secret unless it is said otherwise", func() {
		Expect(arguments(render())).To(ContainElement("--root=core-secret"))
	})

	It("is the HSMCluster that root names, whose nodes run from hsm.image", func() {
		args := arguments(render("--set", "root=hsm:strongroom-system/root", "--set", "hsm.image=registry/hsm:1"))
		Expect(args).To(ContainElements("--root=hsm:strongroom-system/root", "--hsm-image=registry/hsm:1"))
	})

	It("has nodes that load the libraries that hsm.libraries names, and SoftHSM alone without it", func() {
		with := arguments(render("--set", "hsm.image=registry/hsm:1", "--set", "hsm.libraries={/opt/a.so,/opt/b.so=payments@bank}"))
		Expect(with).To(ContainElement("--hsm-libraries=/opt/a.so,/opt/b.so=payments@bank"))
		Expect(arguments(render("--set", "hsm.image=registry/hsm:1"))).NotTo(ContainElement(HavePrefix("--hsm-libraries")))
	})

	DescribeTable("is said when the chart is installed", func(values []string, says, not string) {
		args := []string{"install", "strongroom", "charts/strongroom", "--namespace", "strongroom-system", "--dry-run=client"}
		for _, v := range values {
			args = append(args, "--set", v)
		}
		out, err := run(helm, args...)
		Expect(err).NotTo(HaveOccurred())
		Expect(out).To(ContainSubstring(says))
		if not != "" {
			Expect(out).NotTo(ContainSubstring(not))
		}
	},
		Entry("a core Secret", nil, "The root of trust is core Secret strongroom-system/strongroom-root", "docs/backup.md"),
		Entry("an HSMCluster", []string{"root=hsm:strongroom-system/root", "hsm.image=registry/hsm:1"}, "The root of trust is hsm:strongroom-system/root. Apply that HSMCluster", "stays sealed"),
		Entry("an HSMCluster whose nodes nobody runs", []string{"root=hsm:strongroom-system/root"}, "hsm.image is empty: nothing lets its nodes run", ""),
	)
})
