package secret_test

import (
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/versions"
	"strongroom.dev/strongroom/test/environment"
)

// The process dies before each write of replication and after it; then passes are made again, until nothing is written.
var _ = Describe("A crash of replication", func() {
	var (
		faulty *environment.Reconcilers
		writes *environment.FaultyClient
	)
	BeforeEach(func() { faulty, writes = env.Faulty() })

	pass := func(s *v1alpha1.Secret) error {
		_, err := faulty.Secret.Reconcile(ctx, environment.Request(s))
		return err
	}
	// settle makes passes over a primary and its replica until neither writes anything.
	settle := func(s *v1alpha1.Secret) *v1alpha1.Secret {
		GinkgoHelper()
		writes.FailAt(0, false)
		for range 8 {
			before := writes.Writes()
			Expect(pass(s)).To(Succeed())
			refresh(s)
			seen(s)
			r := replica(s, abroad)
			Expect(pass(r)).To(Succeed())
			refresh(r)
			seen(r)
			if writes.Writes() == before {
				return r
			}
		}
		Fail(fmt.Sprint("it does not settle: ", writes.Log()))
		return nil
	}
	agree := func(s, r *v1alpha1.Secret) {
		GinkgoHelper()
		Expect(state(s, abroad)).To(Equal(v1alpha1.ReplicationInSync))
		Expect(secretIndex(r).Mirrors(secretIndex(s))).To(BeTrue())
		Expect(versionsStored(r.Name)).To(Equal(len(r.Status.Versions)), "an Envelope was lost or left over")
		for _, stage := range []string{v1alpha1.StageCurrent, v1alpha1.StagePrevious} {
			if _, has := secretIndex(s).ByStage(stage); has {
				Expect(value(r, stage)).To(Equal(value(s, stage)))
			}
		}
	}
	// neverAhead is what holds at every instant: AWSCURRENT of the replica was the primary's once.
	neverAhead := func(r *v1alpha1.Secret, was map[string]bool) {
		GinkgoHelper()
		refresh(r)
		seen(r)
		if current, has := secretIndex(r).ByStage(versions.Current); has {
			Expect(was).To(HaveKey(current.ID))
		}
	}

	for _, after := range []bool{false, true} {
		It(fmt.Sprintf("at its beginning leaves one replica with one version (answer lost: %t)", after), func() {
			for n := 1; ; n++ {
				s := environmentSecret(fmt.Sprintf("crash-%d", n), in(abroad))
				create(s)
				writes.FailAt(n, after)
				_ = pass(s)
				reached := writes.Writes() >= n
				refresh(s)
				seen(s)
				r := settle(s)
				agree(s, r)
				Expect(r.Status.Versions).To(HaveLen(1))
				if !reached {
					Expect(n).To(Equal(5), "an Envelope, a target, a replica and a status")
					return
				}
			}
		})

		It(fmt.Sprintf("with several new versions takes each of them once (answer lost: %t)", after), func() {
			s, r := replicated()
			was := map[string]bool{s.Status.CurrentVersionID: true}
			for n := 1; ; n++ {
				for i := range 2 {
					rotateNow(s, fmt.Sprint(n, "-", i))
					was[s.Status.CurrentVersionID] = true
				}
				writes.FailAt(n, after)
				_ = pass(r)
				reached := writes.Writes() >= n
				neverAhead(r, was)
				rotateNow(s, fmt.Sprint(n, "-more")) // the primary goes on before the replica comes back
				was[s.Status.CurrentVersionID] = true
				r = settle(s)
				agree(s, r)
				if !reached {
					Expect(n).To(Equal(4), "two Envelopes and a status")
					return
				}
			}
		})

		It(fmt.Sprintf("while a replica is withdrawn leaves nothing of it (answer lost: %t)", after), func() {
			for n := 1; ; n++ {
				s := environmentSecret(fmt.Sprintf("gone-%d", n), in(abroad))
				create(s)
				r := settle(s)
				update(s, func() { in()(s) })
				writes.FailAt(n, after)
				_ = pass(s)
				reached := writes.Writes() >= n
				writes.FailAt(0, false)
				for range 3 {
					if !goneFor(r) {
						refresh(r)
						seen(r)
					} else {
						released(r)
						Expect(env.SweepOnce(ctx, "Secret", namespace, r.Name)).To(Succeed())
					}
					refresh(s)
					seen(s)
					Expect(pass(s)).To(Succeed())
				}
				Expect(goneFor(r)).To(BeTrue())
				if versionsStored(r.Name) > 0 { // no manager has seen that it goes without a window, so it has one
					Expect(env.SweepOnce(ctx, "Secret", namespace, r.Name)).To(Succeed())
					Expect(envelopes(v1alpha1.EnvelopeTombstone)).To(ContainElement(HaveField("Spec.Owner.Name", r.Name)))
				}
				Expect(versionsStored(s.Name)).To(Equal(1))
				if !reached {
					Expect(n).To(BeNumerically(">", 4), "a mark, a deletion, and the Envelopes")
					return
				}
			}
		})

		It(fmt.Sprintf("while a secret is overwritten loses neither of the two (answer lost: %t)", after), func() {
			for n := 1; ; n++ {
				name := fmt.Sprintf("over-%d", n)
				other := environmentSecret(name+"-other", func(s *v1alpha1.Secret) { s.Spec.Name, s.Spec.Region, s.Spec.Target = name, abroad, nil })
				create(other)
				reconcile(other)
				was := value(other, v1alpha1.StageCurrent)
				s := environmentSecret(name, in(abroad), func(s *v1alpha1.Secret) {
					s.Spec.Target, s.Spec.ReplicaRegions[0].ForceOverwriteReplicaSecret = nil, true
				})
				create(s)
				writes.FailAt(n, after)
				_ = pass(s)
				reached := writes.Writes() >= n
				if goneFor(other) {
					released(other)
				}
				refresh(s)
				seen(s)
				writes.FailAt(0, false)
				Expect(pass(s)).To(Succeed())
				released(other)
				Expect(env.SweepOnce(ctx, "Secret", namespace, other.Name)).To(Succeed())
				agree(s, settle(s))
				update(s, func() { in()(s) })
				reconcile(s)
				back := environmentSecret(other.Name, func(s *v1alpha1.Secret) { s.Spec.Name, s.Spec.Region, s.Spec.Target = name, abroad, nil })
				create(back)
				reconcile(back)
				Expect(value(back, v1alpha1.StageCurrent)).To(Equal(was))
				if !reached {
					return
				}
			}
		})
	}
})
