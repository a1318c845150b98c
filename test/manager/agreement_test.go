package manager_test

import (
	"fmt"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/operator"
	"strongroom.dev/strongroom/test/environment"
)

// rotate asks for a rotation, past any proxy.
func rotate(s *v1alpha1.Secret, value string) {
	GinkgoHelper()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.RotateAnnotation, value)
	Expect(cp.Client.Patch(ctx, s.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(patch)))).To(Succeed())
}

// settled tells whether all that was asked of a Secret is done.
func settled(s *v1alpha1.Secret) func() bool {
	return func() bool {
		return isReady(s)() && s.Status.LastHandledRotateAt == s.Annotations[v1alpha1.RotateAnnotation] && s.Status.ObservedGeneration == s.Generation
	}
}

// agree checks, by a keyring of its own, that a settled Secret, its Envelopes and its native Secret say the same.
// asked is how often a rotation was asked for.
func agree(op *environment.Operator, s *v1alpha1.Secret, asked int) {
	GinkgoHelper()
	Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), s)).To(Succeed())
	var stages []string
	indexed := map[string]int64{}
	for i, v := range s.Status.Versions {
		stages = append(stages, v.Stages...)
		indexed[v.VersionID] = v.Sequence
		Expect(v.Sequence).To(Equal(int64(i+1)), "a number is missing or there twice")
	}
	slices.Sort(stages)
	want := []string{versions.Current, versions.Previous}[:min(2, len(s.Status.Versions))]
	Expect(stages).To(Equal(want), "%s", s.Name)
	Expect(len(s.Status.Versions)).To(BeNumerically("<=", asked+1), "%s was rotated more often than was asked for", s.Name)

	var envelopes v1alpha1.EnvelopeList
	Expect(cp.Client.List(ctx, &envelopes, client.InNamespace(s.Namespace))).To(Succeed())
	stored := map[string]int64{}
	for _, e := range envelopes.Items {
		if e.Spec.Owner == (v1alpha1.EnvelopeOwner{Kind: "Secret", Name: s.Name}) {
			Expect(e.Spec.Class).To(Equal(v1alpha1.EnvelopeSecretVersion))
			stored[e.Spec.Version] = e.Spec.Sequence
		}
	}
	Expect(stored).To(Equal(indexed), "the Envelopes of %s are not those of its index", s.Name)

	current := s.Status.Versions[len(s.Status.Versions)-1]
	Expect(current.VersionID).To(Equal(s.Status.CurrentVersionID))
	Expect(current.Stages).To(ContainElement(versions.Current))
	value, err := op.Services.Secrets.Versions().Value(ctx, op.Services.Secrets.SubjectOf(s), versions.Version{ID: current.VersionID, Sequence: current.Sequence})
	Expect(err).NotTo(HaveOccurred())
	native := &corev1.Secret{}
	Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(s), native)).To(Succeed())
	Expect(native.Data).To(HaveLen(1))
	Expect(string(native.Data["value"]) == string(value.Reveal())).To(BeTrue(), "the native Secret %s does not show the current value", s.Name)
}

// reader is an operator that only reads.
func reader() *environment.Operator {
	GinkgoHelper()
	return run(operator.Options{WithoutControllers: true})
}
