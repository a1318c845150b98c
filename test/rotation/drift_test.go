package rotation_test

import (
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// whole is longer than any time between two logins.
const whole = 8 * time.Hour

var _ = Describe("The credential of a database, between rotations,", func() {
	// kept is one that nothing rotates but drift.
	kept := func(strategy v1alpha1.RotationStrategy, changes ...func(*v1alpha1.Secret)) *v1alpha1.Secret {
		GinkgoHelper()
		s := credential(strategy, append(changes, func(s *v1alpha1.Secret) { s.Spec.Rotation.Schedule, s.Spec.Rotation.Duration = "", "" })...)
		reconcile(s)
		Expect(opens(projected(s))).To(Succeed())
		world.DrainEvents()
		return s
	}
	policy := func(p v1alpha1.DriftPolicy) func(*v1alpha1.Secret) {
		return func(s *v1alpha1.Secret) { s.Spec.Rotation.Postgres.DriftPolicy = p }
	}
	drifts := func(s *v1alpha1.Secret) {
		GinkgoHelper()
		Expect(server.Exec(ctx, "ALTER ROLE "+projected(s).Username+" PASSWORD 'hunter2'")).To(Succeed())
	}
	later := func(s *v1alpha1.Secret) time.Duration {
		GinkgoHelper()
		world.Clock.Advance(whole)
		return reconcile(s).RequeueAfter
	}
	// reported expects CredentialDrift to be said, and nothing to be changed.
	reported := func(s *v1alpha1.Secret, before login) {
		GinkgoHelper()
		Expect(failing(s)).To(And(Not(BeNil()), HaveField("Reason", v1alpha1.ReasonCredentialDrift), HaveField("Message", Not(ContainSubstring(before.Password)))))
		Expect(ready(s)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(projected(s)).To(Equal(before))
		Expect(opens(login{before.Username, "hunter2"})).To(Succeed(), "the password was changed")
		Expect(s.Status.Rotation).To(BeNil())
	}

	It("is logged in with every few hours, each at a time of its own, and nothing is changed", func() {
		s := kept(v1alpha1.RotationSingleUser)
		before, count := projected(s), tests("postgres", "Succeeded")
		wait := reconcile(s).RequeueAfter
		Expect(wait).To(And(BeNumerically(">=", 4*time.Hour-time.Second), BeNumerically("<", whole)))
		world.Clock.Advance(wait - time.Minute)
		reconcile(s)
		Expect(tests("postgres", "Succeeded")).To(Equal(count), "before its time")
		world.Clock.Advance(2 * time.Minute)
		next := reconcile(s).RequeueAfter
		Expect(tests("postgres", "Succeeded")).To(Equal(count + 1))
		Expect(next).To(And(BeNumerically(">=", 4*time.Hour-time.Second), BeNumerically("<", whole), Not(BeNumerically("~", wait, time.Second))))
		Expect(s.Status.RotationTest.Time.Time).To(BeTemporally("~", world.Clock.Now(), time.Second))
		Expect(projected(s)).To(Equal(before))
		Expect(s.Status.Versions).To(HaveLen(1))
	})

	for _, strategy := range []v1alpha1.RotationStrategy{v1alpha1.RotationSingleUser, v1alpha1.RotationAlternatingUsers} {
		It(fmt.Sprintf("whose password the server takes no more gets a fresh one from the admin at once (%s)", strategy), func() {
			s := kept(strategy)
			before := projected(s)
			drifts(s)
			later(s)
			Expect(failing(s)).To(BeNil())
			Expect(projected(s)).NotTo(Equal(before))
			Expect(opens(projected(s))).To(Succeed())
			Expect(s.Status).To(And(HaveField("Versions", HaveLen(2)), HaveField("Rotation", BeNil())))
			events := strings.Join(world.DrainEvents(), "\n")
			Expect(events).To(And(ContainSubstring(v1alpha1.ReasonCredentialDrift), ContainSubstring(v1alpha1.ReasonCredentialHealed)))
			healed := projected(s)
			Expect(later(s)).To(BeNumerically(">", time.Hour))
			Expect(projected(s)).To(Equal(healed), "it is healed again and again")
		})
	}

	It("is told of and left alone by policy Report, until the password that is in force is put", func() {
		s := kept(v1alpha1.RotationSingleUser, policy(v1alpha1.DriftReport))
		before := projected(s)
		drifts(s)
		Expect(later(s)).To(BeNumerically("~", 15*time.Minute, time.Second), "servers lock users out whose logins fail")
		reported(s, before)
		current := strings.Replace(valueOf(s), before.Password, "hunter2", 1)
		_, err := world.Services.Secrets.PutValue(ctx, secretsmanager.PutValueInput{
			Secret: s, Key: world.ReadyKey("other"), Token: strings.Repeat("p", 32), Value: secretsmanager.Value{Bytes: secretbytes.Copy([]byte(current))},
		})
		Expect(err).NotTo(HaveOccurred())
		world.Refresh(s)
		world.Seen(s)
		reconcile(s)
		Expect(failing(s)).To(BeNil())
		Expect(projected(s)).To(Equal(login{before.Username, "hunter2"}))
	})

	It("is not logged in with by policy Ignore", func() {
		s := kept(v1alpha1.RotationSingleUser, policy(v1alpha1.DriftIgnore))
		count := tests("postgres", "Succeeded")
		drifts(s)
		Expect(later(s)).To(BeZero())
		Expect(failing(s)).To(BeNil())
		Expect(tests("postgres", "Succeeded")).To(Equal(count))
	})

	It("is left alone if it never logged in from here, for the reason may be where the login comes from", func() {
		s := kept(v1alpha1.RotationSingleUser)
		before := projected(s)
		s.Status.RotationTest.PassedVersionID = "another"
		Expect(world.ControlPlane.Client.Status().Update(ctx, s)).To(Succeed())
		world.Seen(s)
		drifts(s)
		later(s)
		reported(s, before)
	})

	It("is left alone without an admin", func() {
		s := kept(v1alpha1.RotationSingleUser)
		before := projected(s)
		world.Update(s, func() { s.Spec.Rotation.Postgres.AdminSecretRef = nil })
		reconcile(s)
		drifts(s)
		later(s)
		reported(s, before)
	})

	It("of a user who may not log in whatever the password is left alone", func() {
		s := kept(v1alpha1.RotationSingleUser)
		before := projected(s)
		Expect(server.Exec(ctx, "ALTER ROLE "+before.Username+" NOLOGIN")).To(Succeed())
		later(s)
		Expect(failing(s)).To(And(Not(BeNil()), HaveField("Reason", v1alpha1.ReasonLoginRefused)))
		Expect(projected(s)).To(Equal(before))
		Expect(server.Exec(ctx, "ALTER ROLE "+before.Username+" LOGIN")).To(Succeed())
		world.Clock.Advance(15 * time.Minute)
		reconcile(s)
		Expect(failing(s)).To(BeNil())
		Expect(opens(before)).To(Succeed())
	})

	It("that is set again by somebody else within a day after it was healed is left alone, and healed when the day is over", func() {
		s := kept(v1alpha1.RotationSingleUser)
		drifts(s)
		later(s)
		healed := projected(s)
		Expect(opens(healed)).To(Succeed())
		Expect(failing(s)).To(BeNil())
		drifts(s)
		later(s)
		reported(s, healed)
		Expect(failing(s).Message).To(ContainSubstring("somebody else sets it too"))
		world.Clock.Advance(24 * time.Hour)
		reconcile(s)
		Expect(failing(s)).To(BeNil())
		Expect(projected(s)).NotTo(Equal(healed))
		Expect(opens(projected(s))).To(Succeed())
	})

	It("is healed after the server was down and came back with another password", func() {
		s := kept(v1alpha1.RotationSingleUser)
		before := projected(s)
		Expect(server.Kill()).To(Succeed())
		Expect(later(s)).To(BeNumerically("~", time.Minute, time.Second))
		Expect(failing(s)).To(And(Not(BeNil()), HaveField("Reason", v1alpha1.ReasonDatabaseUnreachable)))
		Expect(server.Start(ctx)).To(Succeed())
		drifts(s)
		world.Clock.Advance(time.Minute)
		reconcile(s)
		Expect(failing(s)).To(BeNil())
		Expect(projected(s)).NotTo(Equal(before))
		Expect(opens(projected(s))).To(Succeed())
	})

	It("is healed whatever write fails", func() {
		faulty, writes := world.Faulty()
		s := kept(v1alpha1.RotationSingleUser)
		for n := 1; ; n++ {
			before := projected(s)
			drifts(s)
			world.Clock.Advance(25 * time.Hour) // the last healing is more than a day ago
			writes.FailAt(n, n%2 == 0)
			_ = try(faulty.Secret, s)
			made := writes.Writes()
			writes.FailAt(0, false)
			for range 3 {
				world.Clock.Advance(time.Minute)
				Expect(try(faulty.Secret, s)).To(Succeed())
			}
			Expect(projected(s)).NotTo(Equal(before), "write %d", n)
			Expect(opens(projected(s))).To(Succeed(), "write %d", n)
			Expect(s.Status.Rotation).To(BeNil())
			if made < n {
				Expect(n).To(BeNumerically(">", 3))
				return
			}
		}
	})
})

// valueOf is the value in force.
func valueOf(s *v1alpha1.Secret) string {
	GinkgoHelper()
	v, has := secretsmanager.IndexOf(s).ByStage(v1alpha1.StageCurrent)
	Expect(has).To(BeTrue())
	value, err := world.Services.Secrets.Versions().Value(ctx, world.Services.Secrets.SubjectOf(s), v)
	Expect(err).NotTo(HaveOccurred())
	return string(value.Reveal())
}
