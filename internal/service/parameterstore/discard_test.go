package parameterstore_test

import (
	"context"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// storing is the real client, and does something more before an Envelope is stored, and as soon as it is; nil is nothing.
type storing struct {
	client.Client
	first, then func()
}

func (s *storing) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	_, stores := obj.(*v1alpha1.Envelope)
	if stores && s.first != nil {
		s.first()
	}
	err := s.Client.Create(ctx, obj, opts...)
	if stores && err == nil && s.then != nil {
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

var _ = Describe("A put whose number another commit goes past, as when a late Envelope of a deleted parameter comes before it", func() {
	// passed puts the first version of a parameter while others commit the versions 2 and 3 of it.
	passed := func(changes ...change) (*v1alpha1.Parameter, versions.Version, error) {
		GinkgoHelper()
		slow, once := *service, sync.Once{}
		slow.Store = &store.Store{Live: service.Store.Live, Client: &storing{Client: service.Store.Client, first: func() {
			once.Do(func() {
				p := &v1alpha1.Parameter{}
				Expect(world.ControlPlane.Client.Get(ctx, client.ObjectKey{Namespace: world.Namespace, Name: "a"}, p)).To(Succeed())
				_, made, err := service.Versions().Put(ctx, service.SubjectOf(p), sealed.Content{ID: "2", Sequence: 2, Value: secretbytes.Copy([]byte("late"))})
				Expect(err).NotTo(HaveOccurred())
				Expect(made).To(BeTrue())
				world.Seen(p)
				mustPut("a", "other", overwrite)
			})
		}}}
		return slow.Put(ctx, input("a", "mine", changes...))
	}

	It("is stored again behind it, under a number that the index names", func() {
		p, version, err := passed(overwrite)
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(p)
		Expect(numbers(p)).To(Equal([]int64{2, 3, 4}))
		Expect(version.Sequence).To(Equal(int64(4)))
		Expect([]string{read(p, "2"), read(p, "3"), read(p, "4")}).To(Equal([]string{"late", "other", "mine"}))
	})

	It("is told that the parameter exists, if it may not overwrite", func() {
		_, _, err := passed()
		be(err, "ParameterAlreadyExists")
	})
})
