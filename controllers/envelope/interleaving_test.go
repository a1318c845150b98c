package envelope_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/envelope"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/internal/service/sealed"
	"strongroom.dev/strongroom/internal/store"
	"strongroom.dev/strongroom/test/environment"
)

// actor is one of two that run by turns: each of its requests that the other's can come before or behind waits to be let through. Its caches are as
// old as they can be: Envelopes as they were at the deletion and, if it is blind, no Parameter.
type actor struct {
	client.Client
	arrive chan bool // true is a request, false the end
	pass   chan struct{}
	stale  []v1alpha1.Envelope
	blind  bool
	fresh  bool
}

func (a *actor) turn() {
	a.arrive <- true
	<-a.pass
}

func (a *actor) Create(ctx context.Context, obj client.Object, opts ...client.CreateOption) error {
	a.turn()
	return a.Client.Create(ctx, obj, opts...)
}

func (a *actor) Patch(ctx context.Context, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
	a.turn()
	return a.Client.Patch(ctx, obj, patch, opts...)
}

func (a *actor) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	a.turn()
	return a.Client.Delete(ctx, obj, opts...)
}

func (a *actor) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	if _, ok := obj.(*v1alpha1.Parameter); ok && a.blind {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "parameters"}, key.Name)
	}
	return a.Client.Get(ctx, key, obj, opts...)
}

func (a *actor) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	if l, ok := list.(*v1alpha1.EnvelopeList); ok && !a.fresh {
		l.Items = slices.Clone(a.stale)
		return nil
	}
	err := a.Client.List(ctx, list, opts...)
	if l, ok := list.(*v1alpha1.EnvelopeList); ok { // a cache lists in any order, and an order that is played again is to be the same
		slices.SortFunc(l.Items, func(a, b v1alpha1.Envelope) int { return strings.Compare(a.Name, b.Name) })
	}
	return err
}

func (a *actor) Status() client.SubResourceWriter { return &actorStatus{a.Client.Status(), a} }

type actorStatus struct {
	client.SubResourceWriter
	a *actor
}

func (s *actorStatus) Update(ctx context.Context, obj client.Object, opts ...client.SubResourceUpdateOption) error {
	s.a.turn()
	return s.SubResourceWriter.Update(ctx, obj, opts...)
}

// liveReader is the actor's look at the API server.
type liveReader struct {
	client.Reader
	a *actor
}

func (r *liveReader) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	r.a.turn()
	return r.Reader.Get(ctx, key, obj, opts...)
}

// inTurns runs two actors: whose turn it is where both have one, the order says; the first where it ends. It returns the whole order.
func inTurns(order []int, actors [2]*actor, run [2]func()) (taken []int) {
	var waiting, over [2]bool
	for i := range actors {
		go func() {
			defer GinkgoRecover()
			defer func() { actors[i].arrive <- false }()
			run[i]()
		}()
	}
	for {
		for i, a := range actors {
			if !over[i] && !waiting[i] {
				waiting[i] = <-a.arrive
				over[i] = !waiting[i]
			}
		}
		next := 0
		switch {
		case over[0] && over[1]:
			return taken
		case over[0]:
			next = 1
		case !over[1]:
			if len(taken) < len(order) {
				next = order[len(taken)]
			}
			taken = append(taken, next)
		}
		waiting[next] = false
		actors[next].pass <- struct{}{}
	}
}

// following is the order after one, nil after the last.
func following(order []int) []int {
	for i := len(order) - 1; i >= 0; i-- {
		if order[i] == 0 {
			return append(slices.Clone(order[:i]), 1)
		}
	}
	return nil
}

var _ = Describe("A Parameter that is made again while what its deletion without a window left is erased", Ordered, func() {
	var env *environment.Reconcilers
	BeforeAll(func() {
		var err error
		env, err = environment.RunReconcilers(ctx, cp)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { Expect(env.Stop()).To(Succeed()) })
	})

	seen := func(p *v1alpha1.Parameter) {
		GinkgoHelper()
		Eventually(func(g Gomega) {
			cached := &v1alpha1.Parameter{}
			live := cp.Client.Get(ctx, client.ObjectKeyFromObject(p), p)
			err := env.GetClient().Get(ctx, client.ObjectKeyFromObject(p), cached)
			g.Expect(apierrors.IsNotFound(err)).To(Equal(apierrors.IsNotFound(live)))
			g.Expect(live != nil || cached.ResourceVersion == p.ResourceVersion).To(BeTrue())
		}).Should(Succeed())
	}
	parameter := func(name, value string) *v1alpha1.Parameter {
		return environment.Parameter(namespace, name, func(p *v1alpha1.Parameter) {
			p.Spec.Target, p.Spec.Value = nil, value
			metav1.SetMetaDataAnnotation(&p.ObjectMeta, v1alpha1.ForceDeleteAnnotation, "true")
		})
	}
	stored := func(name string) (out []v1alpha1.Envelope) {
		GinkgoHelper()
		var list v1alpha1.EnvelopeList
		Expect(cp.Client.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
		return slices.DeleteFunc(list.Items, func(e v1alpha1.Envelope) bool { return e.Spec.Owner.Name != name })
	}
	// caughtUp waits until the cache has the Envelopes as they are, so that an order that is played again is the same.
	caughtUp := func(name string) {
		GinkgoHelper()
		versions := func(items []v1alpha1.Envelope) (out []string) {
			for _, e := range items {
				if e.Spec.Owner.Name == name {
					out = append(out, e.Name+" "+e.ResourceVersion)
				}
			}
			return out
		}
		Eventually(func(g Gomega) {
			var cached v1alpha1.EnvelopeList
			g.Expect(env.GetClient().List(ctx, &cached, client.InNamespace(namespace))).To(Succeed())
			g.Expect(versions(cached.Items)).To(ConsistOf(versions(stored(name))))
		}).Should(Succeed())
	}
	// whole says that all versions that the status of a parameter names are there.
	whole := func(name, when string) {
		GinkgoHelper()
		p := &v1alpha1.Parameter{}
		if err := cp.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, p); apierrors.IsNotFound(err) {
			return
		}
		there := map[int64]bool{}
		for _, e := range stored(name) {
			there[e.Spec.Sequence] = true
		}
		for _, v := range p.Status.Versions {
			Expect(there).To(HaveKey(v.Version), when+": the status names a version that is gone")
		}
	}
	// made makes a Parameter with so many versions, deletes it, and returns what it left.
	made := func(name string, count int) []v1alpha1.Envelope {
		GinkgoHelper()
		env.Clock.Set(time.Now()) // what is older than its Envelope is taken for a backup's
		p := parameter(name, "old-1")
		Expect(cp.Client.Create(ctx, p)).To(Succeed())
		for n := range count {
			if n > 0 {
				p.Spec.Value = fmt.Sprint("old-", n+1)
				Expect(cp.Client.Update(ctx, p)).To(Succeed())
			}
			seen(p)
			_, err := env.Parameter.Reconcile(ctx, environment.Request(p))
			Expect(err).NotTo(HaveOccurred())
			seen(p)
		}
		left := stored(name)
		Expect(left).To(HaveLen(count))
		Expect(cp.Client.Delete(ctx, p)).To(Succeed())
		env.Envelope.SawDeletion(envelope.Owner{Kind: "Parameter", Namespace: namespace, Name: name}, p)
		seen(p)
		return left
	}
	// settled runs both controllers until nothing is to do, and says what there is then.
	settled := func(name, when string) {
		GinkgoHelper()
		owner := envelope.Owner{Kind: "Parameter", Namespace: namespace, Name: name}
		p := &v1alpha1.Parameter{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		Eventually(func(g Gomega) {
			seen(p)
			_, err := env.Envelope.Reconcile(ctx, owner)
			g.Expect(err).NotTo(HaveOccurred())
			_, err = env.Parameter.Reconcile(ctx, environment.Request(p))
			g.Expect(err).NotTo(HaveOccurred())
			seen(p)
			g.Expect(meta.IsStatusConditionTrue(p.Status.Conditions, v1alpha1.ConditionReady)).To(BeTrue(), when)
			left := stored(name)
			g.Expect(left).To(HaveLen(len(p.Status.Versions)), when+": something is left for good")
			g.Expect(slices.ContainsFunc(left, func(e v1alpha1.Envelope) bool { return store.Condemned(&e) })).To(BeFalse(), when)
			latest, _ := parameterstore.Latest(parameterstore.IndexOf(p))
			value, err := env.Services.Parameters.Versions().Value(ctx, sealed.Subject{Namespace: namespace, Name: name, ARN: p.Status.ARN}, latest)
			g.Expect(err).NotTo(HaveOccurred(), when)
			g.Expect(string(value.Reveal())).To(Equal("new"), when+": the value is not what was applied")
		}).Should(Succeed())
	}
	// play runs one order, in which the sweep dies at its nth write if that is not 0.
	play := func(name string, versions int, order []int, dies int, after bool) []int {
		GinkgoHelper()
		left := made(name, versions)
		var actors [2]*actor
		var over [2]*environment.Reconcilers
		for i := range actors {
			a := &actor{Client: env.GetClient(), arrive: make(chan bool), pass: make(chan struct{}), stale: left, blind: i == 0}
			reconcilers, faulty := env.Faulty()
			faulty.Client = a
			if i == 0 {
				faulty.FailAt(dies, after)
			}
			reconcilers.Envelope.Store.Live = &liveReader{env.Services.Live, a}
			actors[i], over[i] = a, reconcilers
		}
		owner := envelope.Owner{Kind: "Parameter", Namespace: namespace, Name: name}
		gone := parameter(name, "old-1")
		gone.Status.ARN = left[0].Spec.Subject
		over[0].Envelope.SawDeletion(owner, gone)
		again := parameter(name, "new")
		taken := inTurns(order, actors, [2]func(){
			func() { _, _ = over[0].Envelope.Reconcile(ctx, owner) },
			func() {
				Expect(actors[1].Create(ctx, again)).To(Succeed())
				seen(again)
				_, _ = over[1].Parameter.Reconcile(ctx, environment.Request(again))
				actors[1].fresh = true // and once more, now that its cache knows
				seen(again)
				caughtUp(name)
				_, _ = over[1].Parameter.Reconcile(ctx, environment.Request(again))
			},
		})
		when := fmt.Sprintf("%d versions, order %v, the sweep dies at its write %d, after it: %t", versions, taken, dies, after)
		whole(name, when)
		settled(name, when)
		whole(name, when)
		return taken
	}
	all := func(versions, dies int, after bool) (orders int) {
		for order := []int{}; order != nil; orders++ {
			order = following(play(fmt.Sprintf("p-%d-%d-%t-%d", versions, dies, after, orders), versions, order, dies, after))
		}
		return orders
	}

	It("loses no version that its status names, and leaves none for good, in whatever order the two do their steps", func() {
		orders := all(1, 0, false)
		Expect(orders).To(BeNumerically(">", 8))
		GinkgoWriter.Println("orders:", orders)
	})

	It("nor where the sweep dies, before or after any of its writes", func() {
		orders := 0
		for dies := 1; dies <= 2; dies++ { // the mark, the deletion
			for _, after := range []bool{false, true} {
				orders += all(1, dies, after)
			}
		}
		Expect(orders).To(BeNumerically(">", 12))
	})

	It("nor with two versions, in orders of which there are too many to play all", func() {
		seed := uint64(GinkgoRandomSeed())
		GinkgoWriter.Println("seed:", seed)
		random := rand.New(rand.NewPCG(seed, 1))
		for n := range 40 {
			order := make([]int, 40)
			for i := range order {
				order[i] = random.IntN(2)
			}
			play(fmt.Sprint("two-", n), 2, order, 0, false)
		}
	})
})
