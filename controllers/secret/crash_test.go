package secret_test

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// Every write of a pass is made to fail in turn, before it is done and after it, as if the manager had died there. A fresh
// pass must then bring everything to agree, lose no version, and restart nothing twice.
var _ = Describe("A crash at any write", func() {
	var (
		faulty *environment.Reconcilers
		writes *environment.FaultyClient
	)
	BeforeEach(func() { faulty, writes = env.Faulty() })

	pass := func(s *v1alpha1.Secret) error {
		_, err := faulty.Secret.Reconcile(ctx, environment.Request(s))
		return err
	}
	// settle makes passes until one writes nothing, and says how many writes they took.
	settle := func(s *v1alpha1.Secret) {
		GinkgoHelper()
		for range 5 {
			writes.FailAt(0, false)
			Expect(pass(s)).To(Succeed())
			refresh(s)
			seen(s)
			if writes.Writes() == 0 {
				return
			}
		}
		Fail("it does not settle: " + strings.Join(writes.Log(), ", "))
	}
	agree := func(s *v1alpha1.Secret, versions int) {
		GinkgoHelper()
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(s.Status.Versions).To(HaveLen(versions))
		Expect(envelopes(v1alpha1.EnvelopeSecretVersion)).To(HaveLen(versions), "an Envelope was lost or left over")
		current := value(s, v1alpha1.StageCurrent)
		Expect(projected(s.Name)["keys"]).To(HavePrefix(current + ","))
	}

	for _, after := range []bool{false, true} {
		where := map[bool]string{false: "before it is done", true: "when only its answer is lost"}[after]

		It("of a first version, "+where+", ends in one version", func() {
			for n := 1; ; n++ {
				s := environmentSecret(fmt.Sprintf("crash-%d", n), template("keys", "{{.current}},{{.previous}}"))
				create(s)
				writes.FailAt(n, after)
				err := pass(s)
				made := writes.Writes()
				if made < n {
					Expect(err).NotTo(HaveOccurred())
					Expect(n).To(BeNumerically(">", 3), "fewer writes than there are")
					return
				}
				Expect(err).To(HaveOccurred())
				settle(s)
				agree(s, 1)
				remove(s)
				deleteEnvelopes()
			}
		})

		It("of a rotation, "+where+", rotates once, loses nothing and restarts once", func() {
			for n := 1; ; n++ {
				name := fmt.Sprintf("crash-%d", n)
				workload := deployment(name)
				create2(workload)
				s := environmentSecret(name, template("keys", "{{.current}},{{.previous}}"), func(s *v1alpha1.Secret) {
					s.Spec.Target.Restart = []v1alpha1.RestartTarget{{Kind: v1alpha1.RestartDeployment, Name: name}}
				})
				create(s)
				writes.FailAt(0, false)
				Expect(pass(s)).To(Succeed())
				refresh(s)
				seen(s)
				first := value(s, v1alpha1.StageCurrent)

				update(s, func() { annotate(v1alpha1.RotateAnnotation, "now")(s) })
				writes.FailAt(n, after)
				err := pass(s)
				if writes.Writes() < n {
					Expect(err).NotTo(HaveOccurred())
					Expect(n).To(BeNumerically(">", 4), "a rotation with a restart has four writes")
					return
				}
				settle(s)
				agree(s, 2)
				Expect(value(s, v1alpha1.StagePrevious)).To(Equal(first), "the former value is lost")
				Expect(projected(name)["keys"]).To(HaveSuffix("," + first))
				refresh(workload)
				Expect(workload.Generation).To(Equal(int64(2)), "the Deployment was not restarted exactly once")
				remove(s)
				deleteEnvelopes()
			}
		})
	}

	It("and a change of the spec in between still shows the version that was in flight", func() {
		s := ready(template("keys", "{{.current}},{{.previous}}"))
		update(s, func() { annotate(v1alpha1.RotateAnnotation, "now")(s) })
		writes.FailAt(2, true) // the Envelope and the projection are written, the status is not
		Expect(pass(s)).To(MatchError(environment.ErrInjected))
		shown := projected("db")["keys"]
		update(s, func() { delete(s.Annotations, v1alpha1.RotateAnnotation) })
		settle(s)
		Expect(projected("db")["keys"]).To(Equal(shown))
		Expect(s.Status.Versions).To(HaveLen(2))
	})

	It("with a conflict on every status write commits when the conflict ends", func() {
		s := ready(template("keys", "{{.current}},{{.previous}}"))
		update(s, func() { annotate(v1alpha1.RotateAnnotation, "now")(s) })
		for range 3 {
			writes.FailAt(3, false)
			_ = pass(s)
		}
		settle(s)
		agree(s, 2)
	})
})

var _ = Describe("What a pass costs", func() {
	It("is three writes for a new Secret, three for a new value, and none for a resync", func() {
		faulty, writes := env.Faulty()
		s := environmentSecret("cost")
		create(s)
		_, err := faulty.Secret.Reconcile(ctx, environment.Request(s))
		Expect(err).NotTo(HaveOccurred())
		Expect(writes.Log()).To(Equal([]string{"create", "create", "status"}))
		refresh(s)
		seen(s)

		writes.FailAt(0, false)
		_, err = faulty.Secret.Reconcile(ctx, environment.Request(s))
		Expect(err).NotTo(HaveOccurred())
		Expect(writes.Log()).To(BeEmpty())

		update(s, func() { annotate(v1alpha1.RotateAnnotation, "now")(s) })
		writes.FailAt(0, false)
		_, err = faulty.Secret.Reconcile(ctx, environment.Request(s))
		Expect(err).NotTo(HaveOccurred())
		Expect(writes.Log()).To(Equal([]string{"create", "apply", "status"}))
	})
})

// value opens the version of a stage.
func value(s *v1alpha1.Secret, stage string) string {
	GinkgoHelper()
	for _, v := range secretIndex(s) {
		if v.Has(stage) {
			b, err := env.Services.Secrets.Versions().Value(ctx, env.Services.Secrets.SubjectOf(s), v)
			Expect(err).NotTo(HaveOccurred())
			return string(b.Reveal())
		}
	}
	Fail("no version has stage " + stage)
	return ""
}

func deleteEnvelopes() {
	GinkgoHelper()
	for _, e := range envelopes(v1alpha1.EnvelopeSecretVersion) {
		remove(&e)
	}
}

func deployment(name string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: "app"}}},
			},
		},
	}
}

// create2 makes an object that the operator's cache does not keep.
func create2(obj client.Object) {
	GinkgoHelper()
	Expect(cp.Client.Create(ctx, obj)).To(Succeed())
}
