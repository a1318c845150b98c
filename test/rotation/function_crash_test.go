package rotation_test

import (
	"fmt"
	"slices"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/uuid"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/controllers/secret"
	"strongroom.dev/strongroom/test/environment"
)

// Every effect of a rotation by a function is made to fail in turn, before it is done and when only its answer is lost: each write to the API
// server, be it RotateSecret's, the controller's or one that the function asks the gateway for; each call of the function; and each message
// to the database.
var _ = Describe("A rotation by a function that is broken off at any effect", func() {
	var (
		l          *lambda
		reconciler *secret.Reconciler
		writes     *environment.FaultyClient
		events     *environment.Reconcilers
		// shown are the credentials that were AWSCURRENT at some time.
		shown []login
	)
	BeforeEach(func() {
		world.ReadyKey("shop", func(k *v1alpha1.KMSKey) { k.Spec.Aliases = []string{"alias/shop"} })
		events, writes = world.Faulty()
		reconciler = events.Secret
		l = startFunction(reconciler.Secrets, reconciler.Rotations)
		shown = nil
	})

	// holds says what is true at each instant.
	holds := func(s *v1alpha1.Secret, where string) {
		GinkgoHelper()
		all, byStage := stored(s)
		Expect(slices.ContainsFunc(all, func(l login) bool { return opens(l) == nil })).To(BeTrue(), "%s: no stored version logs in", where)
		Expect(byStage).To(HaveKey(v1alpha1.StageCurrent), where)
		shown = append(shown, byStage[v1alpha1.StageCurrent])
		Expect(shown).To(ContainElement(projected(s)), "%s: what is shown never was AWSCURRENT", where)
		for _, c := range s.Status.Conditions {
			for _, one := range all {
				Expect(c.Message).NotTo(ContainSubstring(one.Password), where)
			}
		}
	}
	// heal ends all faults.
	heal := func() {
		writes.FailAt(0, false)
		db.proxy.CutAt(0, false)
		l.cutAt(0, false)
	}
	settles := func(s *v1alpha1.Secret, token, where string) {
		GinkgoHelper()
		heal()
		for range 5 {
			world.Clock.Advance(time.Minute)
			_ = try(reconciler, s)
			if s.Status.Rotation == nil && ready(s).Status == metav1.ConditionTrue && failing(s) == nil {
				break
			}
		}
		_, byStage := stored(s)
		Expect(s.Status.Rotation).To(BeNil(), "%s: it does not end: %v %s", where, failing(s), l.log.text())
		Expect(s.Status.CurrentVersionID).To(Equal(token), "%s: the token's version is not the one that is in force", where)
		Expect(projected(s)).To(Equal(byStage[v1alpha1.StageCurrent]), where)
		Expect(opens(projected(s))).To(Succeed(), where)
		Expect(byStage).NotTo(HaveKey(v1alpha1.StagePending), where)
	}
	// asked makes the request until it is answered, as SDKs do.
	asked := func(s *v1alpha1.Secret, token string) {
		GinkgoHelper()
		in := &sdk.RotateSecretInput{SecretId: &s.Status.ARN, ClientRequestToken: &token, RotationLambdaARN: functionARN()}
		if _, err := l.user.RotateSecret(ctx, in); err != nil {
			made := writes.Writes()
			heal()
			_, err := l.user.RotateSecret(ctx, in)
			Expect(err).NotTo(HaveOccurred(), "write %d: the request made again fails", made)
		}
		world.Refresh(s)
		world.Seen(s)
	}

	for _, lost := range []bool{false, true} {
		when := map[bool]string{false: "before it is done", true: "when only its answer is lost"}[lost]
		It(when+" loses no credential and no request, and ends", func() {
			l.service()
			s := l.made()
			holds(s, "at first")
			for _, effects := range []struct {
				of    string
				fail  func(n int)
				count func() int
				least int
			}{
				{"the API server", func(n int) { writes.FailAt(n, lost) }, func() int { return writes.Writes() }, 8},
				{"the function", func(n int) { l.cutAt(n, lost) }, l.count, 4},
				{"the database", func(n int) { db.proxy.CutAt(n, lost) }, db.proxy.Count, 8},
			} {
				for n := 1; ; n++ {
					where := fmt.Sprintf("effect %d of %s", n, effects.of)
					before, token := projected(s), uuid.NewString()
					effects.fail(n)
					asked(s, token)
					_ = try(reconciler, s)
					made := effects.count()
					holds(s, where)
					settles(s, token, where)
					holds(s, where+", settled")
					Expect(projected(s)).NotTo(Equal(before), where)
					if made < n {
						Expect(n).To(BeNumerically(">", effects.least), "fewer effects on %s than there are", effects.of)
						break
					}
				}
			}
			all, _ := stored(s)
			for _, event := range events.DrainEvents() {
				for _, one := range all {
					Expect(event).NotTo(ContainSubstring(one.Password))
				}
			}
		})
	}
})
