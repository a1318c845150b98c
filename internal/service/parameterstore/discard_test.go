package parameterstore_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// storing is the real client, and does something more as soon as an Envelope is stored.
type storing struct {
	client.Client
	then func()
}

func (s *storing) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	err := s.Client.Create(ctx, obj, opts...)
	if _, ok := obj.(*v1alpha1.Envelope); ok && err == nil {
		s.then()
	}
	return err
}

// overtaken puts another version of a parameter, and does something between the write of its Envelope and that of its status.
func overtaken(name, value string, then func()) error {
	GinkgoHelper()
	slow := *service
	slow.Store = &store.Store{Client: &storing{Client: service.Store.Client, then: then}, Live: service.Store.Live}
	_, _, err := slow.Put(ctx, input(name, value, overwrite))
	return err
}

var _ = Describe("A put whose parameter is deleted before it commits", func() {
	sequences := func() (out []int64) {
		for _, e := range envelopes() {
			out = append(out, e.Spec.Sequence)
		}
		return out
	}

	It("is refused, and takes its value away again", func() {
		p := mustPut("a", "1")
		be(overtaken("a", "refused", func() { world.Remove(p) }), "TooManyUpdates")
		Expect(sequences()).To(ConsistOf(int64(1)))
	})

	It("leaves its value where another one is behind it, whose index can name it", func() {
		p := mustPut("a", "1")
		be(overtaken("a", "2", func() {
			p = mustPut("a", "3", overwrite)
			world.Remove(p)
		}), "TooManyUpdates")
		Expect(numbers(p)).To(Equal([]int64{1, 2, 3}))
		Expect(sequences()).To(ConsistOf(int64(1), int64(2), int64(3)))
	})

	It("leaves its value to a parameter that was made again, which can have taken it over", func() {
		p := mustPut("a", "1")
		be(overtaken("a", "2", func() {
			world.Remove(p)
			world.Create(environment.Parameter(world.Namespace, "a", func(p *v1alpha1.Parameter) { p.Spec.Value = "" }))
		}), "TooManyUpdates")
		Expect(sequences()).To(ConsistOf(int64(1), int64(2)))
	})
})
