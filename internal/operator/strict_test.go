package operator_test

import (
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/internal/operator"
)

func beNotCached() OmegaMatcher {
	return WithTransform(func(err error) bool {
		var notCached *cache.ErrResourceNotCached
		return errors.As(err, &notCached)
	}, BeTrue())
}

var _ = Describe("The client", func() {
	It("refuses to read a kind that is not watched, rather than to begin to watch all of it", func(ctx SpecContext) {
		op := run(ctx, operator.Options{WithoutControllers: true})
		for _, o := range []client.Object{&corev1.ServiceAccount{}, &corev1.Pod{}, &coordinationv1.Lease{}} {
			err := op.Services.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "x"}, o)
			Expect(err).To(beNotCached(), "%T", o)
		}
		Expect(op.Services.Client.List(ctx, &corev1.ServiceAccountList{})).To(beNotCached())
	})

	It("does not begin to watch a kind because it writes one of it", func(ctx SpecContext) {
		op := run(ctx, operator.Options{WithoutControllers: true})
		made := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "made"}}
		Expect(op.Services.Client.Create(ctx, made)).To(beNotCached())
		Expect(op.Services.Client.Create(ctx, made, client.DisableReadYourWritesConsistency)).To(Succeed())
		Expect(op.GetCache().Get(ctx, client.ObjectKeyFromObject(made), made)).To(beNotCached())
	})
})
