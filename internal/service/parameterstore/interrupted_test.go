package parameterstore_test

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/test/environment"
)

var _ = Describe("A deletion that dies before the object is gone", func() {
	It("leaves a parameter that goes on, and has its recovery window again with the next put", func() {
		p := mustPut("a", "1")
		_, writes := world.Faulty()
		dying := world.ParametersOver(writes)
		writes.FailAt(2, false)
		Expect(dying.Delete(ctx, p)).To(MatchError(environment.ErrInjected))
		world.Refresh(p)
		world.Seen(p)
		Expect(parameterstore.IsForced(p)).To(BeTrue(), "the deletion is not where this spec means it to be")
		p = mustPut("a", "2", overwrite)
		Expect(parameterstore.IsForced(p)).To(BeFalse())
		Expect(numbers(p)).To(Equal([]int64{1, 2}))
	})

	It("is carried out by the same request made again", func() {
		p := mustPut("a", "1")
		_, writes := world.Faulty()
		writes.FailAt(2, false)
		Expect(world.ParametersOver(writes).Delete(ctx, p)).To(MatchError(environment.ErrInjected))
		Expect(service.Delete(ctx, p)).To(Succeed())
		Expect(objects()).To(BeEmpty())
		Expect(envelopes()).To(BeEmpty())
	})

	It("takes nothing of what the user wrote: a parameter that is to go without a window stays so", func() {
		p := mustPut("a", "1")
		world.Update(p, func() { metav1.SetMetaDataAnnotation(&p.ObjectMeta, v1alpha1.ForceDeleteAnnotation, "true") })
		world.Seen(p)
		p = mustPut("a", "2", overwrite, described("changed"))
		Expect(parameterstore.IsForced(p)).To(BeTrue())
	})
})

var _ = Describe("A put that ends while the account's own key is being made", func() {
	It("leaves no parameter, so that its name is free for whatever comes next", func() {
		within, end := context.WithTimeout(ctx, 500*time.Millisecond)
		defer end()
		_, _, err := service.Put(within, input("a", "hush", secure)) // no controller makes the key
		Expect(err).To(HaveOccurred())
		Expect(within.Err()).To(HaveOccurred(), "it has not waited")
		Expect(objects()).To(BeEmpty())
		Expect(numbers(mustPut("a", "info"))).To(Equal([]int64{1}))
	})
})
