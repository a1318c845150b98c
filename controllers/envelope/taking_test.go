package envelope_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/envelope"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/internal/service/parameterstore"
	"strongroom.dev/strongroom/test/environment"
)

// takeover is a Parameter of two versions, old-1 and old-2, whose Envelopes one actor erases, and another takes over.
type takeover struct {
	env  *environment.Reconcilers
	p    *v1alpha1.Parameter
	left []v1alpha1.Envelope
	// actors and the reconcilers over them: the first erases.
	actors [2]*actor
	over   [2]*environment.Reconcilers
}

func newTakeover(env *environment.Reconcilers, name string) *takeover {
	GinkgoHelper()
	env.Clock.Set(time.Now())
	t := &takeover{env: env, p: environment.Parameter(namespace, name, func(p *v1alpha1.Parameter) { p.Spec.Target, p.Spec.Value = nil, "old-1" })}
	Expect(cp.Client.Create(ctx, t.p)).To(Succeed())
	for _, value := range []string{"old-1", "old-2"} {
		if t.p.Spec.Value != value {
			t.p.Spec.Value = value
			Expect(cp.Client.Update(ctx, t.p)).To(Succeed())
		}
		t.seen()
		_, err := env.Parameter.Reconcile(ctx, environment.Request(t.p))
		Expect(err).NotTo(HaveOccurred())
		t.seen()
	}
	t.left = t.stored()
	Expect(t.left).To(HaveLen(2))
	for i := range t.actors {
		t.actors[i] = &actor{Client: env.GetClient(), arrive: make(chan bool), pass: make(chan struct{}), fresh: true}
		reconcilers, faulty := env.Faulty()
		faulty.Client = t.actors[i]
		reconcilers.Envelope.Store.Live = &liveReader{env.Services.Live, t.actors[i]}
		t.over[i] = reconcilers
	}
	return t
}

func (t *takeover) owner() envelope.Owner {
	return envelope.Owner{Kind: "Parameter", Namespace: namespace, Name: t.p.Name}
}

func (t *takeover) stored() []v1alpha1.Envelope {
	GinkgoHelper()
	var list v1alpha1.EnvelopeList
	Expect(cp.Client.List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
	return slices.DeleteFunc(list.Items, func(e v1alpha1.Envelope) bool { return e.Spec.Owner.Name != t.p.Name })
}

// seen reads the Parameter, and waits until the cache has it and its Envelopes as they are.
func (t *takeover) seen() {
	GinkgoHelper()
	versionsOf := func(items []v1alpha1.Envelope) (out []string) {
		for _, e := range items {
			if e.Spec.Owner.Name == t.p.Name {
				out = append(out, e.Name+" "+e.ResourceVersion)
			}
		}
		return out
	}
	Eventually(func(g Gomega) {
		cached := &v1alpha1.Parameter{}
		live := cp.Client.Get(ctx, client.ObjectKeyFromObject(t.p), t.p)
		err := t.env.GetClient().Get(ctx, client.ObjectKeyFromObject(t.p), cached)
		g.Expect(apierrors.IsNotFound(err)).To(Equal(apierrors.IsNotFound(live)))
		g.Expect(live != nil || cached.ResourceVersion == t.p.ResourceVersion).To(BeTrue())
		var list v1alpha1.EnvelopeList
		g.Expect(t.env.GetClient().List(ctx, &list, client.InNamespace(namespace))).To(Succeed())
		g.Expect(versionsOf(list.Items)).To(ConsistOf(versionsOf(t.stored())))
	}).Should(Succeed())
}

// whole says that all versions that status names are there, and that the latest is old-2 if there is one.
func (t *takeover) whole(when string) (versions int) {
	GinkgoHelper()
	t.seen()
	ix := parameterstore.IndexOf(t.p)
	for _, v := range ix {
		value, err := t.env.Services.Parameters.Versions().Value(ctx, t.env.Services.Parameters.SubjectOf(t.p), v)
		Expect(err).NotTo(HaveOccurred(), "%s: the status names version %d", when, v.Sequence)
		Expect(string(value.Reveal())).To(Equal(fmt.Sprint("old-", v.Sequence)), when)
	}
	if len(ix) > 0 {
		Expect(ix.Last()).To(Equal(int64(2)), "%s: an older value is in force", when)
	}
	return len(ix)
}

// lose empties status, as a backup does that restores none, and takes over what there is.
func (t *takeover) lose() {
	GinkgoHelper()
	for {
		lost := &v1alpha1.Parameter{}
		Expect(cp.Client.Get(ctx, client.ObjectKeyFromObject(t.p), lost)).To(Succeed())
		lost.Status = v1alpha1.ParameterStatus{}
		if err := t.actors[1].Status().Update(ctx, lost); !apierrors.IsConflict(err) {
			Expect(err).NotTo(HaveOccurred())
			break
		}
	}
	t.seen()
	_, _ = t.over[1].Parameter.Reconcile(ctx, environment.Request(t.p))
}

// without is an index that does not name the first version, and the one that is let go.
func (t *takeover) without() (kept, gone versions.Index) {
	ix := parameterstore.IndexOf(t.p)
	return ix[1:], ix[:1]
}

var _ = Describe("A Parameter that takes Envelopes over", Ordered, func() {
	var env *environment.Reconcilers
	BeforeAll(func() {
		var err error
		env, err = environment.RunReconcilers(ctx, cp)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { Expect(env.Stop()).To(Succeed()) })
	})
	// all plays all orders, and returns how many there are.
	all := func(name string, play func(name string, order []int) []int) (orders int) {
		for order := []int{}; order != nil; orders++ {
			order = following(play(fmt.Sprint(name, "-", orders), order))
		}
		GinkgoWriter.Println("orders:", orders)
		return orders
	}

	It("when it is applied again has all versions or none, in any order with an erasure by force, and none is left", func() {
		seed := uint64(GinkgoRandomSeed())
		random := rand.New(rand.NewPCG(seed, 2))
		outcomes := map[int]int{}
		for round := range 60 {
			t := newTakeover(env, fmt.Sprint("forced-", round))
			Expect(cp.Client.Delete(ctx, t.p)).To(Succeed())
			t.seen()
			again := environment.Parameter(namespace, t.p.Name, func(p *v1alpha1.Parameter) { p.Spec.Target, p.Spec.Value = nil, "" })
			order, late := make([]int, 40), random.IntN(8)
			for i := range order {
				if order[i] = random.IntN(2); i < late { // the eraser is ahead, by so much
					order[i] = 0
				}
			}
			taken := inTurns(order, t.actors, [2]func(){
				func() {
					gone := &v1alpha1.Parameter{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: t.p.Name}}
					_, _ = t.over[0].Envelope.Store.Erase(ctx, gone, t.left, env.Clock.Now())
				},
				func() {
					Expect(t.actors[1].Create(ctx, again)).To(Succeed())
					for range 2 {
						t.seen()
						_, _ = t.over[1].Envelope.Reconcile(ctx, t.owner())
						t.seen()
						_, _ = t.over[1].Parameter.Reconcile(ctx, environment.Request(t.p))
					}
				},
			})
			when := fmt.Sprintf("seed %d, round %d, order %v", seed, round, taken)
			t.whole(when)
			Eventually(func(g Gomega) {
				t.seen()
				_, err := env.Envelope.Reconcile(ctx, t.owner())
				g.Expect(err).NotTo(HaveOccurred())
				t.seen()
				_, err = env.Parameter.Reconcile(ctx, environment.Request(t.p))
				g.Expect(err).NotTo(HaveOccurred())
				t.seen()
				g.Expect(t.stored()).To(HaveLen(len(t.p.Status.Versions)), when)
			}).Should(Succeed())
			count := t.whole(when)
			Expect(count).To(BeElementOf(0, 2), when)
			outcomes[count]++
		}
		GinkgoWriter.Println("seed:", seed, "versions that were there in the end:", outcomes)
		Expect(outcomes).To(HaveLen(2), "both ends were played")
	})

	It("after its status was lost loses none to a sweep of what the former status did not name, in any order", func() {
		Expect(all("swept", func(name string, order []int) []int {
			t := newTakeover(env, name)
			kept, _ := t.without()
			parameterstore.Record(t.p, t.p.Status.ARN, kept, 0)
			Expect(cp.Client.Status().Update(ctx, t.p)).To(Succeed())
			t.seen()
			env.Clock.Advance(2 * time.Hour)
			taken := inTurns(order, t.actors, [2]func(){func() { _, _ = t.over[0].Envelope.Reconcile(ctx, t.owner()) }, t.lose})
			t.whole(fmt.Sprint("order ", taken))
			return taken
		})).To(BeNumerically(">", 8))
	})

	It("is left alone when all is done: no controller writes anything", func() {
		t := newTakeover(env, "steady")
		t.p.Status = v1alpha1.ParameterStatus{}
		Expect(cp.Client.Status().Update(ctx, t.p)).To(Succeed())
		t.seen()
		reconcilers, writes := env.Faulty()
		for _, want := range [][]string{{"patch", "patch", "status"}, nil, nil} { // both Envelopes are taken over, once
			writes.FailAt(0, false)
			_, err := reconcilers.Parameter.Reconcile(ctx, environment.Request(t.p))
			Expect(err).NotTo(HaveOccurred())
			t.seen()
			env.Clock.Advance(2 * time.Hour)
			_, err = reconcilers.Envelope.Reconcile(ctx, t.owner())
			Expect(err).NotTo(HaveOccurred())
			Expect(writes.Log()).To(Equal(want))
		}
		Expect(t.whole("steady")).To(Equal(2))
	})

	It("nor to a pass that lets them go, in any order", func() {
		Expect(all("let-go", func(name string, order []int) []int {
			t := newTakeover(env, name)
			t.p.Status = v1alpha1.ParameterStatus{} // which it takes over what there is after, before the one that is played
			Expect(cp.Client.Status().Update(ctx, t.p)).To(Succeed())
			t.seen()
			_, err := env.Parameter.Reconcile(ctx, environment.Request(t.p))
			Expect(err).NotTo(HaveOccurred())
			t.seen()
			kept, gone := t.without()
			taken := inTurns(order, t.actors, [2]func(){
				func() {
					p := t.p.DeepCopy()
					prune := t.over[0].Services.Parameters.Versions().LetGo(ctx, env.Services.Parameters.SubjectOf(p), gone)
					parameterstore.Record(p, p.Status.ARN, kept, 0)
					if t.actors[0].Status().Update(ctx, p) == nil {
						_ = prune(ctx)
					}
				},
				t.lose,
			})
			t.whole(fmt.Sprint("order ", taken))
			return taken
		})).To(BeNumerically(">", 5))
	})
})
