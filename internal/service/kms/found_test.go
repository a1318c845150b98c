package kms_test

import (
	"bytes"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/store"
)

var _ = Describe("What a review found", func() {
	// CreateMaterial once took whatever it found.
	It("an earlier material under the name of the next is refused, and not taken for the next", func() {
		_, err := create(service(), 1, "")
		Expect(err).NotTo(HaveOccurred())
		first := stored()[0]
		replay := &v1alpha1.Envelope{ObjectMeta: metav1.ObjectMeta{
			Namespace: world.Namespace, Name: store.Name(v1alpha1.EnvelopeKeyMaterial, keyARN(keyID), 2)}, Spec: first.Spec}
		world.Create(replay)
		m, err := create(service(), 2, v1alpha1.RotationOnDemand)
		Expect(err).To(MatchError(store.ErrTampered), "it returned the material of sequence %d", m.Sequence)
	})

	// GenerateDataKey once returned the data key in the clear together with an error.
	It("a data key that could not be encrypted is wiped and not handed out", func() {
		key := world.ReadyKey("key")
		e := stored()[0]
		world.Remove(&e)
		w := &witness{}
		plaintext, _, err := service(random(w)).GenerateDataKey(ctx, key, nil)
		Expect(err).To(MatchError(store.ErrMissing))
		Expect(bytes.Equal(w.given[0], make([]byte, 32))).To(BeTrue(), "the data key is still in memory")
		Expect(plaintext.Len()).To(BeZero(), "a data key is handed out with an error")
	})
})
