package rotation_test

import (
	"fmt"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/secret"
	"strongroom.dev/strongroom/internal/service/rotation"
	"strongroom.dev/strongroom/test/environment"
)

// Every effect of a rotation is made to fail in turn, before it is done and when only its answer is lost: each write to the API server,
// and each message to the database.
var _ = Describe("A rotation that is broken off at any effect", func() {
	var (
		reconciler *secret.Reconciler
		writes     *environment.FaultyClient
		// shown are the credentials that were AWSCURRENT at some time.
		shown []login
	)
	BeforeEach(func() {
		var faulty *environment.Reconcilers
		faulty, writes = world.Faulty()
		reconciler = faulty.Secret
		reconciler.Rotations = &rotation.Service{Secrets: reconciler.Secrets, Client: reconciler.Client, Live: reconciler.Live, SQLServer: true}
		shown = nil
	})

	// holds says what is true at each instant.
	holds := func(s *v1alpha1.Secret, strategy v1alpha1.RotationStrategy, where string) {
		GinkgoHelper()
		all, byStage := stored(s)
		Expect(slices.ContainsFunc(all, func(l login) bool { return opens(l) == nil })).To(BeTrue(), "%s: no stored version logs in", where)
		current, held := 0, projected(s)
		for _, v := range s.Status.Versions {
			if slices.Contains(v.Stages, v1alpha1.StageCurrent) {
				current++
			}
		}
		Expect(current).To(Equal(1), where)
		shown = append(shown, byStage[v1alpha1.StageCurrent])
		Expect(shown).To(ContainElement(held), "%s: what is shown never was AWSCURRENT", where)
		if strategy == v1alpha1.RotationAlternatingUsers || db.keeps {
			Expect(opens(held)).To(Succeed(), "%s: workloads are locked out", where)
		}
	}
	// settles makes passes until the rotation is over.
	settles := func(s *v1alpha1.Secret, where string) {
		GinkgoHelper()
		writes.FailAt(0, false)
		db.proxy.CutAt(0, false)
		for range 4 {
			world.Clock.Advance(time.Minute)
			_ = try(reconciler, s)
			if s.Status.Rotation == nil && ready(s).Status == metav1.ConditionTrue && failing(s) == nil {
				break
			}
		}
		_, byStage := stored(s)
		Expect(s.Status.Rotation).To(BeNil(), "%s: it does not end: %v", where, failing(s))
		Expect(projected(s)).To(Equal(byStage[v1alpha1.StageCurrent]), where)
		Expect(opens(projected(s))).To(Succeed(), where)
		Expect(byStage).NotTo(HaveKey(v1alpha1.StagePending), where)
	}

	for _, of := range everyStrategy() {
		for _, lost := range []bool{false, true} {
			when := map[bool]string{false: "before it is done", true: "when only its answer is lost"}[lost]
			It(fmt.Sprintf("of the %s strategy of %s, %s, locks nobody out and ends", of.strategy, of.database.engine, when), func() {
				use(of.database)
				strategy := of.strategy
				s := credential(strategy)
				Expect(try(reconciler, s)).To(Succeed())
				holds(s, strategy, "at first")
				for _, effects := range []struct {
					of    string
					fail  func(n int)
					count func() int
					least int
				}{
					{"the API server", func(n int) { writes.FailAt(n, lost) }, func() int { return writes.Writes() }, 5},
					{"the database", func(n int) { db.proxy.CutAt(n, lost) }, db.proxy.Count, 10},
				} {
					for n := 1; ; n++ {
						where := fmt.Sprintf("effect %d of %s", n, effects.of)
						before := projected(s)
						ask(s, where)
						effects.fail(n)
						_ = try(reconciler, s)
						made := effects.count()
						holds(s, strategy, where)
						settles(s, where)
						holds(s, strategy, where+", settled")
						Expect(projected(s)).NotTo(Equal(before), "%s: the request is forgotten", where)
						if made < n {
							Expect(n).To(BeNumerically(">", effects.least), "fewer effects on %s than there are", effects.of)
							break
						}
					}
				}
			})
		}
	}
})

// pair is a database and a strategy.
type pair struct {
	database *database
	strategy v1alpha1.RotationStrategy
}

func everyStrategy() (out []pair) {
	for _, d := range engines {
		out = append(out, pair{d, v1alpha1.RotationSingleUser}, pair{d, v1alpha1.RotationAlternatingUsers})
	}
	return out
}
