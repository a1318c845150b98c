package iam_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/iam"
)

// No controller runs here, so no key is made.
var _ = Describe("An access key that is not made in time", func() {
	It("is asked for no longer, so that whoever tries again does not come to a second one", func() {
		user := &v1alpha1.IAMUser{
			ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "alice"},
			Spec:       v1alpha1.IAMUserSpec{AccessKeys: []v1alpha1.AccessKey{{Name: "own"}}},
		}
		world.Create(user)
		for range 3 {
			short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
			_, _, err := world.Services.IAM.RequestAccessKey(short, user)
			cancel()
			Expect(err).To(MatchError(iam.ErrAccessKeyPending))
			world.Refresh(user)
			Expect(user.Spec.AccessKeys).To(Equal([]v1alpha1.AccessKey{{Name: "own"}}))
			Expect(user.Generation).To(BeNumerically(">", 1), "none was asked for")
		}
	})
})
