package secret_test

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/environment"
)

// Slots are held here as rotations hold them whose servers hang.
var _ = Describe("A rotation that finds no slot", func() {
	// byFunction is a Secret whose function is not there: whoever calls it is told so at once.
	byFunction := func(name string) *v1alpha1.Secret {
		GinkgoHelper()
		s := environmentSecret(name, func(s *v1alpha1.Secret) { s.Spec.Generate = nil })
		create(s)
		reconcile(s)
		putVersion(s, "00000000-0000-4000-8000-000000000001", "first", v1alpha1.StageCurrent)
		update(s, func() {
			s.Spec.Rotation = &v1alpha1.SecretRotation{Schedule: "rate(1 day)", Function: &v1alpha1.FunctionRotator{ServiceRef: v1alpha1.ServiceReference{Name: "nobody"}}}
		})
		return s
	}
	// hang takes slots of namespaces until there is none for them.
	hang := func(namespaces ...string) {
		GinkgoHelper()
		for _, of := range namespaces {
			for n := 0; ; n++ {
				release, _ := env.Secret.Slots.Acquire(of, fmt.Sprint(of, n))
				if release == nil {
					break
				}
				DeferCleanup(release)
			}
		}
		DeferCleanup(func() {
			env.Clock.Advance(time.Hour)
			Expect(env.Secret.Slots.Waiting()).To(BeZero())
		})
	}
	attempted := func(s *v1alpha1.Secret) bool { return condition(s, v1alpha1.ConditionRotationFailing) != nil }

	It("waits, and so does a test; the request is owed until there is one", func() {
		s := byFunction("db")
		hang("a", "b", "c", "d")
		result := reconcile(s)
		Expect(result.RequeueAfter).To(And(BeNumerically(">", 0), BeNumerically("<", 2*time.Second)))
		Expect(attempted(s)).To(BeFalse())
		Expect(s.Status.RotationTest).To(BeNil())
		update(s, func() { annotate(v1alpha1.RotateAnnotation, "now")(s) })
		result = reconcile(s)
		Expect(result.RequeueAfter).To(And(BeNumerically(">", 0), BeNumerically("<", 2*time.Second)))
		Expect(s.Status).To(And(HaveField("LastHandledRotateAt", BeEmpty()), HaveField("Rotation", BeNil())), "a request that was not heeded is forgotten")
		Expect(condition(s, v1alpha1.ConditionReady)).To(HaveField("Status", metav1.ConditionTrue))
	})

	It("does so in the namespace whose servers hang, and not in another", func() {
		hang(namespace)
		stuck := byFunction("stuck")
		update(stuck, func() { annotate(v1alpha1.RotateAnnotation, "now")(stuck) })
		Expect(reconcile(stuck).RequeueAfter).To(BeNumerically(">", 0))
		Expect(attempted(stuck)).To(BeFalse())

		var err error
		namespace, err = cp.NewNamespace(ctx)
		Expect(err).NotTo(HaveOccurred())
		key = environment.KMSKey(namespace, "key")
		create(key)
		reconcileKey(key)
		fine := byFunction("fine")
		update(fine, func() { annotate(v1alpha1.RotateAnnotation, "now")(fine) })
		reconcile(fine)
		Expect(attempted(fine)).To(BeTrue())
		Expect(fine.Status.Rotation).NotTo(BeNil())
	})
})
