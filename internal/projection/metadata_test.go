package projection_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/projection"
)

func withMetadata(labels, annotations map[string]string) func(*projection.Target) {
	return func(t *projection.Target) { t.Labels, t.Annotations = labels, annotations }
}

var _ = Describe("Labels and annotations of a target", func() {
	team := withMetadata(map[string]string{"team": "shop"}, map[string]string{"example.com/owner": "a@b"})

	It("are there with the first write, and cost nothing after it", func() {
		Expect(project(goal(team))).To(Equal(projection.Created))
		s := stored("shown")
		Expect(s.Labels).To(HaveKeyWithValue("team", "shop"))
		Expect(s.Annotations).To(HaveKeyWithValue("example.com/owner", "a@b"))
		traffic.take()
		Expect(project(goal(team))).To(Equal(projection.Unchanged))
		Expect(traffic.take()).To(BeEmpty())
	})

	DescribeTable("that are no more wanted are taken off, whoever wrote them first, and those of others stay", func(policy v1alpha1.CreationPolicy) {
		if policy == adoptPolicy {
			foreign("kubectl-create")
		}
		project(goal(withPolicy(policy), team))
		edit(func(s *corev1.Secret) { s.Labels["theirs"], s.Annotations["theirs"] = "1", "1" })
		project(goal(withPolicy(policy), withMetadata(map[string]string{"tier": "back"}, nil)))
		s := stored("shown")
		Expect(s.Labels).To(And(HaveKeyWithValue("tier", "back"), HaveKeyWithValue("theirs", "1"), Not(HaveKey("team"))))
		Expect(s.Annotations).To(And(HaveKeyWithValue("theirs", "1"), Not(HaveKey("example.com/owner"))))
		project(goal(withPolicy(policy)))
		s = stored("shown")
		Expect(s.Labels).To(And(HaveKeyWithValue("theirs", "1"), HaveKey(v1alpha1.ManagedLabel), HaveLen(2)))
		Expect(s.Annotations).To(And(HaveKeyWithValue("theirs", "1"), HaveKey(v1alpha1.SubjectAnnotation), HaveLen(2)))
		traffic.take()
		Expect(project(goal(withPolicy(policy)))).To(Equal(projection.Unchanged))
		Expect(traffic.take()).To(BeEmpty())
	},
		Entry("of a target that was made", ownerPolicy),
		Entry("of one that was adopted", adoptPolicy),
	)

	DescribeTable("that somebody changed are as they should be again", func(change func(*corev1.Secret)) {
		project(goal(team))
		edit(change)
		Expect(project(goal(team))).To(Equal(projection.Written))
		s := stored("shown")
		Expect(s.Labels).To(HaveKeyWithValue("team", "shop"))
		Expect(s.Annotations).To(HaveKeyWithValue("example.com/owner", "a@b"))
		Expect(project(goal(team))).To(Equal(projection.Unchanged))
	},
		Entry("another value of a label", func(s *corev1.Secret) { s.Labels["team"] = "other" }),
		Entry("a label that is gone", func(s *corev1.Secret) { delete(s.Labels, "team") }),
		Entry("an annotation that is gone", func(s *corev1.Secret) { delete(s.Annotations, "example.com/owner") }),
		Entry("an annotation that became longer than the cache keeps", func(s *corev1.Secret) { s.Annotations["example.com/owner"] = strings.Repeat("x", 5000) }),
		Entry("the record that is gone", func(s *corev1.Secret) { delete(s.Annotations, v1alpha1.TargetMetadataAnnotation) }),
		Entry("a record of what was never written", func(s *corev1.Secret) {
			s.Annotations[v1alpha1.TargetMetadataAnnotation] = "labels/strongroom.dev/managed,annotations/strongroom.dev/arn,labels/x,nonsense"
		}),
	)

	// Anybody who may write the core Secret can write the record; what is Strongroom's own, or Kubernetes', is not taken off for it.
	It("are taken off by no record that names another's", func() {
		project(goal(team))
		edit(func(s *corev1.Secret) {
			s.Annotations["kubernetes.io/x"] = "1"
			s.Annotations[v1alpha1.TargetMetadataAnnotation] = "labels/strongroom.dev/managed,annotations/strongroom.dev/arn,annotations/kubernetes.io/x"
		})
		project(goal())
		s := stored("shown")
		Expect(s.Labels).To(HaveKey(v1alpha1.ManagedLabel))
		Expect(s.Annotations).To(And(HaveKey(v1alpha1.SubjectAnnotation), HaveKey("kubernetes.io/x"), Not(HaveKey(v1alpha1.TargetMetadataAnnotation))))
	})

	It("are kept by the cache as far as they are the owner's, and no others", func() {
		project(goal(team))
		edit(func(s *corev1.Secret) { s.Labels["theirs"], s.Annotations["theirs"] = "1", "1" })
		cached := &corev1.Secret{}
		Expect(projector.Client.Get(ctx, client.ObjectKeyFromObject(stored("shown")), cached)).To(Succeed())
		Expect(cached.Labels).To(And(HaveKey("team"), HaveLen(2)))
		Expect(cached.Annotations).To(And(HaveKey("example.com/owner"), HaveLen(3)))
	})
})

var _ = DescribeTable("A label or annotation that means something to the control plane is not for targets", func(key string, allowed bool) {
	labels := projection.CheckMetadata(map[string]string{"a": "b", key: "x"}, nil)
	annotations := projection.CheckMetadata(nil, map[string]string{key: "x", "z": "b"})
	if allowed {
		Expect(labels + annotations).To(BeEmpty())
	} else {
		Expect([]string{labels, annotations}).To(HaveEach(key))
	}
},
	Entry("a name", "team", true),
	Entry("a name with a domain", "example.com/team", true),
	Entry("what tells applications", "app.kubernetes.io/name", true),
	Entry("a service account's name, which has a token made", "kubernetes.io/service-account.name", false),
	Entry("a service account's UID", "kubernetes.io/service-account.uid", false),
	Entry("kubectl's own", "kubectl.kubernetes.io/last-applied-configuration", false),
	Entry("a group's of Kubernetes", "apps.k8s.io/x", false),
	Entry("k8s.io itself", "k8s.io/x", false),
	Entry("Strongroom's own", "strongroom.dev/managed", false),
	Entry("a part of Strongroom's", "restart.strongroom.dev/x", false),
	Entry("a domain that only ends like it", "notstrongroom.dev/x", true),
	Entry("a domain below the one for applications", "x.app.kubernetes.io/name", false),
)
