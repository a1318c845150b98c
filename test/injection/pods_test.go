package injection_test

import (
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
)

var _ = Describe("A pod that asks for it", func() {
	It("gets token, authority, role, endpoint and region, and nothing more", func() {
		p := create(pod("shop", "shop", corev1.Container{Name: "app"}))
		Expect(p.Spec.Volumes).To(Equal([]corev1.Volume{volume}))
		Expect(p.Spec.Containers).To(HaveLen(1))
		Expect(p.Spec.Containers[0].Env).To(Equal(injected(ownRole + "shop")))
		Expect(p.Spec.Containers[0].VolumeMounts).To(Equal([]corev1.VolumeMount{mount}))

		bare := pod("bare", "shop", corev1.Container{Name: "app"})
		bare.Labels = nil
		create(bare)
		p.Spec.Volumes, p.Spec.Containers[0].Env, p.Spec.Containers[0].VolumeMounts = nil, nil, nil
		Expect(p.Spec).To(Equal(bare.Spec))
		Expect(p.Annotations).To(BeEmpty())
	})

	It("gets it in every container and init container, sidecars too", func() {
		p := pod("shop", "shop", corev1.Container{Name: "app"}, corev1.Container{Name: "log"}, corev1.Container{Name: "web"})
		p.Spec.InitContainers = []corev1.Container{
			{Name: "migrate", Image: "shop"}, {Name: "sidecar", Image: "shop", RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways)},
		}
		create(p)
		all := slices.Concat(p.Spec.Containers, p.Spec.InitContainers)
		Expect(all).To(HaveLen(5))
		for i := range all {
			Expect(all[i].Env).To(Equal(injected(ownRole+"shop")), all[i].Name)
			Expect(all[i].VolumeMounts).To(Equal([]corev1.VolumeMount{mount}), all[i].Name)
		}
		Expect(p.Spec.Volumes).To(Equal([]corev1.Volume{volume}))
	})

	It("keeps its own variables, mounts and volumes, and their order", func() {
		own := []corev1.EnvVar{plain("A", "b"), plain("AWS_REGION", "eu-west-1"), plain("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/mine")}
		data := corev1.VolumeMount{Name: "data", MountPath: "/data"}
		p := pod("shop", "shop", corev1.Container{Name: "app", Env: own, VolumeMounts: []corev1.VolumeMount{data}}, corev1.Container{Name: "log"})
		p.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
		create(p)
		want := slices.DeleteFunc(injected(""), func(e corev1.EnvVar) bool { return slices.Contains(names(own), e.Name) })
		Expect(p.Spec.Containers[0].Env).To(Equal(slices.Concat(own, want)))
		Expect(p.Spec.Containers[0].VolumeMounts).To(Equal([]corev1.VolumeMount{data, mount}))
		Expect(p.Spec.Containers[1].Env).To(Equal(injected(ownRole+"shop")), "one container's own are no other's")
		Expect(p.Spec.Volumes).To(HaveLen(2))
		Expect(p.Spec.Volumes[0].Name).To(Equal("data"))
		Expect(p.Spec.Volumes[1]).To(Equal(volume))
	})

	It("that has all of it is left as it is", func() {
		first := create(pod("shop", "shop", corev1.Container{Name: "app"}))
		again := pod("again", "shop")
		again.Spec = *first.Spec.DeepCopy()
		create(again)
		Expect(again.Spec).To(Equal(first.Spec))
	})

	DescribeTable("is of the role that", func(account string, annotations map[string]string, want string) {
		p := pod("shop", account, corev1.Container{Name: "app"})
		p.Annotations = annotations
		create(p)
		Expect(p.Spec.Containers[0].Env).To(Equal(injected(want)))
	},
		Entry("has the name of its service account", "checkout", nil, ownRole+"checkout"),
		Entry("has the name of the service account default, which the API server gives to a pod that names none", "default", nil, ownRole+"default"),
		Entry("an annotation names", "shop", map[string]string{v1alpha1.RoleAnnotation: "Reader"}, ownRole+"Reader"),
		Entry("an annotation names with its path", "shop", map[string]string{v1alpha1.RoleAnnotation: "team/Reader"}, ownRole+"team/Reader"),
		Entry("an annotation has the ARN of", "shop",
			map[string]string{v1alpha1.RoleARNAnnotation: "arn:aws:iam::123456789012:role/x", v1alpha1.RoleAnnotation: "y"}, "arn:aws:iam::123456789012:role/x"),
	)

	DescribeTable("has its name as that of the session", func(name, generate string, want bool) {
		p := pod(name, "shop", corev1.Container{Name: "app"})
		p.GenerateName = generate
		create(p)
		Expect(slices.Contains(names(p.Spec.Containers[0].Env), "AWS_ROLE_SESSION_NAME")).To(Equal(want), p.Name)
		Expect(p.Spec.Containers[0].Env).To(HaveLen(len(injected("")) - map[bool]int{true: 0, false: 1}[want]))
	},
		Entry("if AWS takes it", "ab", "", true),
		Entry("if AWS takes it, to the last character", strings.Repeat("a", 64), "", true),
		Entry("if it is generated", "", strings.Repeat("g", 200), true),
		Entry("unless it is too short", "a", "", false),
		Entry("unless it is too long", strings.Repeat("a", 65), "", false),
	)
})

var _ = Describe("A pod that does not ask for it", func() {
	DescribeTable("gets nothing", func(labels map[string]string) {
		p := pod("shop", "shop", corev1.Container{Name: "app"})
		p.Labels = labels
		create(p)
		Expect(p.Spec.Volumes).To(BeEmpty())
		Expect(p.Spec.Containers[0].Env).To(BeEmpty())
		Expect(p.Spec.Containers[0].VolumeMounts).To(BeEmpty())
	},
		Entry("without labels", nil),
		Entry("with a label that says no", map[string]string{v1alpha1.InjectLabel: "false"}),
		Entry("with another label", map[string]string{"app": "shop"}),
	)

	It("gets nothing when it is labelled later", func() {
		p := pod("shop", "shop", corev1.Container{Name: "app"})
		p.Labels = nil
		create(p)
		before := p.Spec.DeepCopy()
		p.Labels = map[string]string{v1alpha1.InjectLabel: "true"}
		Expect(cp.Client.Update(ctx, p)).To(Succeed())
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(p), p)).To(Succeed())
		Expect(p.Spec).To(Equal(*before))
	})
})
