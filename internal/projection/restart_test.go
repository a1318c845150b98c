package projection_test

import (
	"fmt"
	"maps"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/fault"
	"strongroom.dev/strongroom/internal/projection"
)

// podTemplate is one as a user writes it, with an annotation of their own.
func podTemplate(name string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels: map[string]string{"name": name}, Annotations: map[string]string{"kubectl.kubernetes.io/restartedAt": "2026-11-24"},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "app", Image: "app:1", Env: []corev1.EnvVar{{Name: "A", Value: "1"}}, Args: []string{"serve"},
		}}},
	}
}

// newWorkload makes a workload of a kind as a user does, with the label tier: back.
func newWorkload(kind v1alpha1.RestartKind, name string) client.Object {
	GinkgoHelper()
	meta := metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: map[string]string{"tier": "back", "name": name}}
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"name": name}}
	var obj client.Object
	switch kind {
	case v1alpha1.RestartStatefulSet:
		obj = &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{
			Replicas: ptr.To[int32](3), ServiceName: "s", Selector: selector, Template: podTemplate(name),
		}}
	case v1alpha1.RestartDaemonSet:
		obj = &appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{Selector: selector, Template: podTemplate(name)}}
	default:
		obj = &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{
			Replicas: ptr.To[int32](3), Selector: selector, Template: podTemplate(name),
		}}
	}
	Expect(cp.Client.Create(ctx, obj, client.FieldOwner("kubectl-create"))).To(Succeed())
	return obj
}

func templateOf(obj client.Object) *corev1.PodTemplateSpec {
	switch w := obj.(type) {
	case *appsv1.Deployment:
		return &w.Spec.Template
	case *appsv1.StatefulSet:
		return &w.Spec.Template
	case *appsv1.DaemonSet:
		return &w.Spec.Template
	}
	return nil
}

func reread(obj client.Object) client.Object {
	GinkgoHelper()
	again := obj.DeepCopyObject().(client.Object)
	Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(obj), again)).To(Succeed())
	return again
}

func byName(kind v1alpha1.RestartKind, name string) v1alpha1.RestartTarget {
	return v1alpha1.RestartTarget{Kind: kind, Name: name}
}

func byLabel(kind v1alpha1.RestartKind, key, value string) v1alpha1.RestartTarget {
	return v1alpha1.RestartTarget{Kind: kind, Selector: &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}}
}

func restart(token string, targets ...v1alpha1.RestartTarget) []string {
	GinkgoHelper()
	names, err := projector.Restart(ctx, projection.Restart{Namespace: namespace, SecretName: "db", Token: token, Targets: targets})
	Expect(err).NotTo(HaveOccurred())
	return names
}

var kinds = []v1alpha1.RestartKind{v1alpha1.RestartDeployment, v1alpha1.RestartStatefulSet, v1alpha1.RestartDaemonSet}

var resources = map[v1alpha1.RestartKind]string{
	v1alpha1.RestartDeployment: "deployments", v1alpha1.RestartStatefulSet: "statefulsets", v1alpha1.RestartDaemonSet: "daemonsets",
}

var _ = Describe("A restart", func() {
	for _, kind := range kinds {
		It(fmt.Sprintf("of a %s by name changes one annotation of its pods and nothing else, for two requests", kind), func() {
			before := newWorkload(kind, "web")
			Expect(restart("token", byName(kind, "web"))).To(ConsistOf(string(kind) + "/web"))
			Expect(traffic.take()).To(HaveExactElements("GET "+resources[kind], "apply "+resources[kind]))

			after := reread(before)
			Expect(after.GetGeneration()).To(Equal(int64(2)))
			want := maps.Clone(templateOf(before).Annotations)
			want[projection.AnnotationKey("db")] = "token"
			Expect(templateOf(after).Annotations).To(Equal(want))
			templateOf(after).Annotations = templateOf(before).Annotations
			Expect(templateOf(after)).To(Equal(templateOf(before)))
			Expect(after.GetLabels()).To(Equal(before.GetLabels()))
			Expect(after.GetAnnotations()).NotTo(HaveKey(projection.AnnotationKey("db")), "it is on the pods, not on the workload")
			Expect(after.GetManagedFields()).To(ContainElement(before.GetManagedFields()[0]), "another manager's fields changed")
		})

		It(fmt.Sprintf("of %ss by labels restarts those that have them, of this kind and namespace", kind), func() {
			one, two, other := newWorkload(kind, "one"), newWorkload(kind, "two"), newWorkload(kind, "other")
			other.SetLabels(map[string]string{"tier": "front"})
			Expect(cp.Client.Update(ctx, other)).To(Succeed())
			var otherKinds []client.Object
			for _, k := range kinds {
				if k != kind {
					otherKinds = append(otherKinds, newWorkload(k, "same"))
				}
			}
			here := namespace
			elsewhere, err := cp.NewNamespace(ctx)
			Expect(err).NotTo(HaveOccurred())
			namespace = elsewhere
			far := newWorkload(kind, "one")
			namespace = here
			traffic.take()

			Expect(restart("token", byLabel(kind, "tier", "back"))).To(ConsistOf(string(kind)+"/one", string(kind)+"/two"))
			Expect(traffic.take()).To(HaveExactElements("GET "+resources[kind], "apply "+resources[kind], "apply "+resources[kind]))
			for _, w := range []client.Object{one, two} {
				Expect(reread(w).GetGeneration()).To(Equal(int64(2)), w.GetName())
			}
			for _, w := range append(otherKinds, other, far) {
				Expect(reread(w)).To(Equal(w))
			}
		})
	}

	It("with the same token happens once, whatever is between", func() {
		web := newWorkload(v1alpha1.RestartDeployment, "web")
		restart("token", byName(v1alpha1.RestartDeployment, "web"))
		once := reread(web)
		restart("token", byName(v1alpha1.RestartDeployment, "web"))
		restart("token", byLabel(v1alpha1.RestartDeployment, "name", "web"), byName(v1alpha1.RestartDeployment, "web"))
		Expect(reread(web)).To(Equal(once), "the second time wrote something")
		restart("another", byName(v1alpha1.RestartDeployment, "web"))
		Expect(reread(web).GetGeneration()).To(Equal(int64(3)))
	})

	It("that somebody undid happens again", func() {
		web := newWorkload(v1alpha1.RestartDeployment, "web")
		restart("token", byName(v1alpha1.RestartDeployment, "web"))
		undone := reread(web)
		delete(templateOf(undone).Annotations, projection.AnnotationKey("db"))
		Expect(cp.Client.Update(ctx, undone, client.FieldOwner("argocd"))).To(Succeed())
		restart("token", byName(v1alpha1.RestartDeployment, "web"))
		Expect(templateOf(reread(web)).Annotations).To(HaveKeyWithValue(projection.AnnotationKey("db"), "token"))
	})

	It("by a user's change of the image in between loses neither", func() {
		web := newWorkload(v1alpha1.RestartDeployment, "web")
		restart("one", byName(v1alpha1.RestartDeployment, "web"))
		changed := reread(web).(*appsv1.Deployment)
		changed.Spec.Template.Spec.Containers[0].Image = "app:2"
		Expect(cp.Client.Update(ctx, changed, client.FieldOwner("kubectl-edit"))).To(Succeed())
		restart("two", byName(v1alpha1.RestartDeployment, "web"))
		after := reread(web).(*appsv1.Deployment)
		Expect(after.Spec.Template.Spec.Containers[0].Image).To(Equal("app:2"))
		Expect(after.Spec.Template.Annotations).To(HaveKeyWithValue(projection.AnnotationKey("db"), "two"))
	})

	It("by two Secrets leaves an annotation of each, and repeating one does not touch the other's", func() {
		web := newWorkload(v1alpha1.RestartStatefulSet, "web")
		by := func(secret, token string) {
			GinkgoHelper()
			_, err := projector.Restart(ctx, projection.Restart{
				Namespace: namespace, SecretName: secret, Token: token, Targets: []v1alpha1.RestartTarget{byName(v1alpha1.RestartStatefulSet, "web")},
			})
			Expect(err).NotTo(HaveOccurred())
		}
		by("one", "a")
		by("two", "b")
		by("one", "a")
		Expect(reread(web).GetGeneration()).To(Equal(int64(3)))
		by("one", "c")
		Expect(templateOf(reread(web)).Annotations).To(And(
			HaveKeyWithValue(projection.AnnotationKey("one"), "c"), HaveKeyWithValue(projection.AnnotationKey("two"), "b"), HaveLen(3)))
	})

	It("of a workload that is not there is none, and none is made", func() {
		newWorkload(v1alpha1.RestartDeployment, "web")
		traffic.take()
		Expect(restart("token", byName(v1alpha1.RestartDeployment, "missing"), byName(v1alpha1.RestartDaemonSet, "web"),
			byLabel(v1alpha1.RestartStatefulSet, "tier", "none"))).To(BeEmpty())
		Expect(traffic.take()).To(HaveExactElements("GET deployments", "GET daemonsets", "GET statefulsets"))
	})

	It("of nothing costs nothing", func() {
		Expect(restart("token")).To(BeEmpty())
		Expect(traffic.take()).To(BeEmpty())
	})

	It("of a workload that goes in between is none, and the others are restarted", func() {
		web, worker := newWorkload(v1alpha1.RestartDeployment, "web"), newWorkload(v1alpha1.RestartDeployment, "worker")
		p := interposed(&between{beforeApply: func() { Expect(cp.Client.Delete(ctx, web)).To(Succeed()) }})
		names, err := p.Restart(ctx, projection.Restart{Namespace: namespace, SecretName: "db", Token: "token", Targets: []v1alpha1.RestartTarget{
			byName(v1alpha1.RestartDeployment, "web"), byName(v1alpha1.RestartDeployment, "worker"),
		}})
		Expect(err).NotTo(HaveOccurred())
		Expect(names).To(ConsistOf("Deployment/worker"))
		Expect(reread(worker).GetGeneration()).To(Equal(int64(2)))
		err = cp.Client.Get(ctx, client.ObjectKeyFromObject(web), &appsv1.Deployment{})
		Expect(err).To(MatchError(apierrors.IsNotFound, "not found"), "an apply made a workload")
	})

	It("by a selector that is none is Stalled, and the others are restarted all the same", func() {
		web := newWorkload(v1alpha1.RestartDeployment, "web")
		near := v1alpha1.RestartTarget{Kind: v1alpha1.RestartDeployment, Selector: &metav1.LabelSelector{
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}},
		}}
		targets := []v1alpha1.RestartTarget{byName(v1alpha1.RestartDeployment, "web"), near}
		names, err := projector.Restart(ctx, projection.Restart{Namespace: namespace, SecretName: "db", Token: "token", Targets: targets})
		Expect(names).To(ConsistOf("Deployment/web"))
		Expect(reread(web).GetGeneration()).To(Equal(int64(2)))
		for _, err := range []error{err, projection.ValidateRestart(targets)} {
			Expect(fault.Of(err)).To(And(HaveField("Reason", v1alpha1.ReasonInvalidSelector), HaveField("Stalled", true)))
			Expect(fault.Message(err)).To(And(ContainSubstring("spec.target.restart[1]"), ContainSubstring("Near")))
		}
		Expect(projection.ValidateRestart(targets[:1])).To(Succeed())
	})

	It("by an expression and by an empty selector finds what kubectl finds", func() {
		for _, name := range []string{"a", "b", "c"} {
			newWorkload(v1alpha1.RestartDeployment, name)
		}
		Expect(restart("one", v1alpha1.RestartTarget{Kind: v1alpha1.RestartDeployment, Selector: &metav1.LabelSelector{
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "name", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"b"}}},
		}})).To(ConsistOf("Deployment/a", "Deployment/c"))
		Expect(restart("two", v1alpha1.RestartTarget{Kind: v1alpha1.RestartDeployment, Selector: &metav1.LabelSelector{}})).To(HaveLen(3))
	})
})
