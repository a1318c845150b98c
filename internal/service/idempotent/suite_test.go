package idempotent_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/arn"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/idempotent"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

func TestIdempotentRequests(t *testing.T) {
	environment.Specs(t, "Idempotent requests")
}

var (
	ctx   = context.Background()
	world *environment.World
)

var _ = BeforeSuite(func() { world = environment.NewWorld(ctx) })

var _ = BeforeEach(func() { world.Fresh() })

const window = time.Hour

func maker(changes ...func(*idempotent.Maker)) *idempotent.Maker {
	m := &idempotent.Maker{Client: world.GetClient(), Store: world.Services.Store, Now: world.Clock.Now, Window: window}
	for _, c := range changes {
		c(m)
	}
	return m
}

// request asks for a Parameter of a description, which is all that tells one from another here.
func request(token, description string, changes ...func(*idempotent.Request)) *idempotent.Request {
	r := &idempotent.Request{
		Kind: "Parameter", Text: "shop.example.com", Region: "us-east-1", Token: token, Existing: &v1alpha1.Parameter{},
		Object: &v1alpha1.Parameter{
			ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace},
			Spec:       v1alpha1.ParameterSpec{Type: v1alpha1.ParameterString, Description: description},
		},
		Same: func(existing client.Object) bool {
			return existing.(*v1alpha1.Parameter).Spec.Description == description
		},
	}
	for _, c := range changes {
		c(r)
	}
	return r
}

func makes(token, description string, changes ...func(*idempotent.Request)) client.Object {
	GinkgoHelper()
	made, err := maker().Make(ctx, request(token, description, changes...))
	Expect(err).NotTo(HaveOccurred())
	world.Seen(made)
	return made
}

func there() int {
	GinkgoHelper()
	var list v1alpha1.ParameterList
	Expect(world.ControlPlane.Client.List(ctx, &list, client.InNamespace(world.Namespace))).To(Succeed())
	return len(list.Items)
}

var _ = Describe("A request with a token", func() {
	It("makes one object, under a name that can be read and that bears the token", func() {
		first := makes("token", "d")
		Expect(first.GetName()).To(HavePrefix("shop-example-com-"))
		Expect(first.GetAnnotations()).To(HaveKeyWithValue(v1alpha1.RequestTokenAnnotation, "token"))
		Expect(makes("token", "d").GetUID()).To(Equal(first.GetUID()))
		Expect(there()).To(Equal(1))
	})

	It("makes one object though thirty-two of them run at once, over two replicas", func() {
		var wg sync.WaitGroup
		made := make([]string, 32)
		for i := range made {
			wg.Go(func() {
				defer GinkgoRecover()
				out, err := maker(func(m *idempotent.Maker) {
					m.Store = &store.Store{Client: world.GetClient(), Live: world.Services.Live}
				}).
					Make(ctx, request("token", "d"))
				Expect(err).NotTo(HaveOccurred())
				made[i] = string(out.GetUID())
			})
		}
		wg.Wait()
		Expect(made).To(HaveEach(made[0]))
		Expect(there()).To(Equal(1))
	})

	It("for something else is refused, and changes nothing", func() {
		first := makes("token", "d")
		_, err := maker().Make(ctx, request("token", "another"))
		Expect(err).To(MatchError(idempotent.ErrTokenReused))
		Expect(err).To(MatchError(ContainSubstring(first.GetName())))
		Expect(there()).To(Equal(1))
		Expect(makes("token", "d").GetUID()).To(Equal(first.GetUID()))
	})

	DescribeTable("makes another object when it differs in what the token is of",
		func(change func(*idempotent.Request)) {
			first := makes("token", "d")
			Expect(makes("token", "d", change).GetName()).NotTo(Equal(first.GetName()))
			Expect(there()).To(Equal(2))
		},
		Entry("another token", func(r *idempotent.Request) { r.Token = "Token" }),
		Entry("another region", func(r *idempotent.Request) { r.Region = "eu-west-1" }),
		Entry("another text", func(r *idempotent.Request) { r.Text = "bank.example.com" }),
		Entry("another kind", func(r *idempotent.Request) { r.Kind = "Certificate" }),
	)

	It("of another namespace is another account's", func() {
		first := makes("token", "d")
		other := world.NewNamespace()
		second := makes("token", "d", func(r *idempotent.Request) { r.Object.SetNamespace(other) })
		Expect(second.GetName()).To(Equal(first.GetName()))
		Expect(second.GetNamespace()).To(Equal(other))
	})

	DescribeTable("counts until its window ends",
		func(after time.Duration, same bool) {
			first := makes("token", "d")
			world.Clock.Set(first.GetCreationTimestamp().Add(after))
			second := makes("token", "d")
			Expect(second.GetUID() == first.GetUID()).To(Equal(same))
		},
		Entry("at once", time.Duration(0), true),
		Entry("in its last second", window-time.Second, true),
		Entry("at its end", window, false),
		Entry("long after it", 100*window, false),
		Entry("by a clock that is behind the API server's", -5*time.Second, true),
	)

	It("makes whatever is asked for once its window is over, and that counts from then on", func() {
		real := func(token, description string) (client.Object, error) { // the API server says by its own clock when an object was made
			return maker(func(m *idempotent.Maker) { m.Now, m.Window = time.Now, 3*time.Second }).Make(ctx, request(token, description))
		}
		first, err := real("token", "d")
		Expect(err).NotTo(HaveOccurred())
		time.Sleep(time.Until(first.GetCreationTimestamp().Add(3 * time.Second)))
		second, err := real("token", "another")
		Expect(err).NotTo(HaveOccurred())
		Expect(second.GetUID()).NotTo(Equal(first.GetUID()))
		again, err := real("token", "another")
		Expect(err).NotTo(HaveOccurred())
		Expect(again.GetUID()).To(Equal(second.GetUID()))
		_, err = real("token", "d")
		Expect(err).To(MatchError(idempotent.ErrTokenReused))
		Expect(there()).To(Equal(2))
	})

	It("whose object was deleted makes another", func() {
		first := makes("token", "d")
		world.Remove(first)
		Expect(makes("token", "d").GetUID()).NotTo(Equal(first.GetUID()))
	})

	It("does not take over what a deleted object left under its name", func() {
		first := makes("token", "d")
		world.Remove(first)
		ring, err := world.Services.Keyring.Get()
		Expect(err).NotTo(HaveOccurred())
		subject := arn.Parameter("us-east-1", "111122223333", first.GetName())
		left, err := store.NewTombstone(ring, world.Namespace, v1alpha1.EnvelopeOwner{Kind: "Parameter", Name: first.GetName()}, subject,
			store.Tombstone{Index: versions.Index{{ID: "1", Sequence: 1}}}, world.Clock.Now(), world.Clock.Now().Add(window))
		Expect(err).NotTo(HaveOccurred())
		world.Create(left)
		second := makes("token", "d")
		Expect(second.GetName()).NotTo(Equal(first.GetName()))
		Expect(makes("token", "d").GetUID()).To(Equal(second.GetUID()))
	})

	It("finds no object that somebody else has made under the name", func() {
		name := makes("token", "d").GetName()
		theirs := &v1alpha1.Parameter{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: name}}
		world.Update(theirs, func() { theirs.Annotations = nil })
		Expect(makes("token", "d").GetName()).NotTo(Equal(name))
		world.Update(theirs, func() { theirs.Annotations = map[string]string{v1alpha1.RequestTokenAnnotation: "another"} })
		Expect(makes("token", "d").GetName()).NotTo(Equal(name))
	})

	It("ends when all its names were used up", func() {
		taken := &takenClient{Client: world.GetClient(), names: map[string]bool{}}
		_, err := maker(func(m *idempotent.Maker) { m.Client = taken }).Make(ctx, request("token", "d"))
		Expect(err).To(MatchError(ContainSubstring("too often")))
		Expect(taken.names).To(HaveLen(64), "another name each time")
	})

	DescribeTable("that dies is made again and makes one object",
		func(after bool) {
			_, writes := world.Faulty()
			m := maker(func(m *idempotent.Maker) { m.Client = writes })
			writes.FailAt(1, after)
			_, err := m.Make(ctx, request("token", "d"))
			Expect(errors.Is(err, environment.ErrInjected)).To(BeTrue(), "%v", err)
			writes.FailAt(0, false)
			_, err = m.Make(ctx, request("token", "d"))
			Expect(err).NotTo(HaveOccurred())
			Expect(there()).To(Equal(1))
		},
		Entry("before its write is done", false), Entry("when only the answer is lost", true),
	)

	It("leaves the caller's objects as they were, but for the token", func() {
		r := request("token", "d")
		_, err := maker().Make(ctx, r)
		Expect(err).NotTo(HaveOccurred())
		Expect(r.Object.GetName()).To(BeEmpty())
		Expect(r.Object.GetUID()).To(BeEmpty())
		Expect(r.Existing.GetName()).To(BeEmpty())
	})
})

// takenClient says of each name that there is such an object, which is gone when it is read.
type takenClient struct {
	client.Client
	names map[string]bool
}

func (c *takenClient) Create(_ context.Context, obj client.Object, _ ...client.CreateOption) error {
	c.names[obj.GetName()] = true
	return apierrors.NewAlreadyExists(schema.GroupResource{Resource: "parameters"}, obj.GetName())
}

var _ = Describe("A request without a token", func() {
	It("makes another object each time, and none that a token could find", func() {
		names := map[string]bool{}
		for range 5 {
			made := makes("", "d")
			names[made.GetName()] = true
			Expect(made.GetAnnotations()).NotTo(HaveKey(v1alpha1.RequestTokenAnnotation))
		}
		Expect(names).To(HaveLen(5))
	})

	It("that meets another's object under its random name goes on to the next", func() {
		fixed := func() *idempotent.Maker {
			return maker(func(m *idempotent.Maker) { m.Random = strings.NewReader(strings.Repeat("r", 16)) })
		}
		first, err := fixed().Make(ctx, request("", "d"))
		Expect(err).NotTo(HaveOccurred())
		second, err := fixed().Make(ctx, request("", "d"))
		Expect(err).NotTo(HaveOccurred())
		Expect(second.GetUID()).NotTo(Equal(first.GetUID()))
		Expect(there()).To(Equal(2))
	})

	It("is not made of a random source that fails", func() {
		m := maker(func(m *idempotent.Maker) { m.Random = strings.NewReader("short") })
		_, err := m.Make(ctx, request("", "d"))
		Expect(err).To(HaveOccurred())
		Expect(there()).To(Equal(0))
	})
})

var _ = Describe("An object that the API server refuses", func() {
	It("is an error that names it, and uses up no name", func() {
		bad := request("token", "d", func(r *idempotent.Request) {
			r.Object.(*v1alpha1.Parameter).Spec.Type = "Nonsense"
		})
		_, err := maker().Make(ctx, bad)
		Expect(err).To(MatchError(ContainSubstring(fmt.Sprintf("creating Parameter %s", "shop-example-com-"))))
		Expect(there()).To(Equal(0))
		makes("token", "d")
	})
})
