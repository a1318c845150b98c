package rotation_test

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
)

var _ = Describe("A PostgreSQL credential", func() {
	It("is made at the server by the admin, shown once it logs in, and rotated when it is asked for", func() {
		s := credential(v1alpha1.RotationSingleUser)
		reconcile(s)
		Expect(ready(s)).To(HaveField("Status", metav1.ConditionTrue))
		first := projected(s)
		Expect(first).To(HaveField("Username", username()))
		Expect(opens(first)).To(Succeed())
		Expect(world.DrainEvents()).To(ContainElement(ContainSubstring("Rotated")))

		ask(s, "now")
		reconcile(s)
		second := projected(s)
		Expect(second.Username).To(Equal(first.Username))
		Expect(second.Password).NotTo(Equal(first.Password))
		Expect(opens(second)).To(Succeed())
		Expect(opens(first)).NotTo(Succeed(), "the former password is still good")
		_, byStage := stored(s)
		Expect(byStage).To(Equal(map[string]login{v1alpha1.StageCurrent: second, v1alpha1.StagePrevious: first}))
		Expect(s.Status).To(And(HaveField("LastHandledRotateAt", "now"), HaveField("Rotation", BeNil())))
		Expect(reconcile(s).RequeueAfter).To(BeNumerically(">", 0), "the schedule is forgotten")
		Expect(projected(s)).To(Equal(second), "one request rotated twice")
	})

	It("of alternating users leaves the one that workloads hold good until the next rotation", func() {
		s := credential(v1alpha1.RotationAlternatingUsers)
		reconcile(s)
		former := projected(s)
		for n, want := range []string{username() + "_clone", username(), username() + "_clone"} {
			ask(s, strings.Repeat("x", n+1))
			reconcile(s)
			now := projected(s)
			Expect(now.Username).To(Equal(want))
			Expect(opens(now)).To(Succeed())
			Expect(opens(former)).To(Succeed(), "workloads that have not seen the new one are locked out")
			former = now
		}
	})

	It("rotates within its window, once", func() {
		s := credential(v1alpha1.RotationSingleUser)
		reconcile(s)
		first := projected(s)
		tomorrow := time.Now().UTC().Truncate(24 * time.Hour).Add(24*time.Hour + 3*time.Hour + 45*time.Minute)
		world.Clock.Set(tomorrow)
		reconcile(s)
		second := projected(s)
		Expect(second).NotTo(Equal(first))
		reconcile(s)
		Expect(projected(s)).To(Equal(second))
		Expect(s.Status.NextRotationTime.UTC()).To(BeTemporally("~", tomorrow.Add(24*time.Hour), time.Hour))
	})

	It("that was put, and without an admin, changes its own password", func() {
		Expect(server.Exec(ctx, "CREATE ROLE "+username()+" LOGIN PASSWORD 'chosen'")).To(Succeed())
		s := put("db", through(), username(), "chosen")
		world.Update(s, func() {
			s.Spec.ValueFrom = nil
			s.Spec.Target = &v1alpha1.SecretTarget{}
			s.Spec.Rotation = &v1alpha1.SecretRotation{Postgres: &v1alpha1.DatabaseRotator{TLS: &v1alpha1.DatabaseTLS{Mode: v1alpha1.DatabaseTLSRequire}}}
		})
		reconcile(s)
		Expect(projected(s)).To(Equal(login{username(), "chosen"}), "nothing asked for a rotation")
		ask(s, "now")
		reconcile(s)
		Expect(projected(s).Password).To(And(HaveLen(32), MatchRegexp(`^[^/@"'\\]*$`)))
		Expect(opens(projected(s))).To(Succeed())
	})

	It("comes back from a lost status by what logs in", func() {
		s := credential(v1alpha1.RotationSingleUser)
		reconcile(s)
		for n := range 2 {
			ask(s, strings.Repeat("x", n+1))
			reconcile(s)
		}
		before := projected(s)
		s.Status = v1alpha1.SecretStatus{}
		Expect(world.ControlPlane.Client.Status().Update(ctx, s)).To(Succeed())
		world.Seen(s)
		for range 3 {
			reconcile(s)
		}
		Expect(ready(s)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(projected(s)).To(Equal(before))
		Expect(opens(before)).To(Succeed())
	})

	It("whose passwords no stored version has is healed by the admin, and otherwise says CredentialDrift", func() {
		s := credential(v1alpha1.RotationSingleUser)
		reconcile(s)
		Expect(server.Exec(ctx, "ALTER ROLE "+username()+" PASSWORD 'somebody else set it'")).To(Succeed())
		admin := s.Spec.Rotation.Postgres.AdminSecretRef
		world.Update(s, func() { s.Spec.Rotation.Postgres.AdminSecretRef = nil })
		ask(s, "now")
		before := projected(s)
		reconcile(s)
		Expect(failing(s)).To(And(HaveField("Reason", v1alpha1.ReasonCredentialDrift), HaveField("Status", metav1.ConditionTrue)))
		Expect(projected(s)).To(Equal(before))
		world.DrainEvents()

		world.Update(s, func() { s.Spec.Rotation.Postgres.AdminSecretRef = admin })
		reconcile(s)
		Expect(failing(s)).To(BeNil())
		Expect(opens(projected(s))).To(Succeed())
		Expect(world.DrainEvents()).To(ContainElement(ContainSubstring(v1alpha1.ReasonCredentialHealed)))
	})
})

var _ = Describe("A rotation that fails", func() {
	var s *v1alpha1.Secret
	var before login
	BeforeEach(func() {
		s = credential(v1alpha1.RotationAlternatingUsers)
		reconcile(s)
		before = projected(s)
		world.DrainEvents()
	})

	// fails asks for a rotation and expects it to fail for a reason, with what is in force unchanged and no password told.
	fails := func(reason string) {
		GinkgoHelper()
		ask(s, "now")
		result := reconcile(s)
		Expect(failing(s)).To(And(Not(BeNil()), HaveField("Reason", reason)))
		Expect(ready(s)).To(HaveField("Status", metav1.ConditionTrue), "the version in force is as good as before")
		Expect(projected(s)).To(Equal(before))
		Expect(opens(before)).To(Succeed())
		Expect(result.RequeueAfter).To(BeNumerically("~", 5*time.Second, time.Second))
		Expect(s.Status.Rotation).To(And(Not(BeNil()), HaveField("Attempts", int32(1)), HaveField("Step", "setSecret")))
		events := strings.Join(world.DrainEvents(), "\n")
		Expect(events).To(ContainSubstring(reason))
		all, _ := stored(s)
		Expect(all).To(HaveLen(2), "the pending version is not stored")
		for _, l := range append(all, login{Password: server.Password}) {
			Expect(events).NotTo(ContainSubstring(l.Password))
			Expect(failing(s).Message).NotTo(ContainSubstring(l.Password))
		}
	}
	// recovers expects the next attempt to finish what the first began.
	recovers := func() {
		GinkgoHelper()
		_, byStage := stored(s)
		world.Clock.Advance(6 * time.Second)
		reconcile(s)
		Expect(failing(s)).To(BeNil())
		Expect(projected(s)).To(Equal(byStage[v1alpha1.StagePending]), "another password than the one that was stored")
		Expect(opens(projected(s))).To(Succeed())
		Expect(opens(before)).To(Succeed())
	}

	It("because the database is down says so, in metrics too, and goes on when it is back", func() {
		failed, succeeded := attempts("postgres", v1alpha1.ReasonDatabaseUnreachable), attempts("postgres", "Succeeded")
		count, sum := durations("postgres")
		Expect(server.Kill()).To(Succeed())
		back := func() { Expect(server.Start(ctx)).To(Succeed()) }
		ask(s, "now")
		reconcile(s)
		Expect(failing(s)).To(HaveField("Reason", v1alpha1.ReasonDatabaseUnreachable))
		reconcile(s)
		Expect(s.Status.Rotation.Attempts).To(Equal(int32(1)), "it is tried again before its time")
		for n, wait := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second} {
			world.Clock.Set(s.Status.Rotation.NextAttemptTime.Time)
			Expect(reconcile(s).RequeueAfter).To(BeNumerically("~", wait, 2*time.Second))
			Expect(s.Status.Rotation.Attempts).To(Equal(int32(n + 2)))
		}
		back()
		world.Clock.Set(s.Status.Rotation.NextAttemptTime.Time)
		recovers()
		Expect(attempts("postgres", v1alpha1.ReasonDatabaseUnreachable)).To(Equal(failed + 4))
		Expect(attempts("postgres", "Succeeded")).To(Equal(succeeded + 1))
		nextCount, nextSum := durations("postgres")
		Expect(nextCount).To(Equal(count + 1))
		Expect(nextSum-sum).To(BeNumerically("~", 81, 3), "the waits of 5, 10, 20 and 40 s, and 6 s more")
	})

	It("because the admin's password is wrong says so, and goes on when it is mended", func() {
		Expect(server.Exec(ctx, "ALTER ROLE "+server.Admin+" PASSWORD 'another'")).To(Succeed())
		fails(v1alpha1.ReasonLoginRefused)
		Expect(server.Exec(ctx, "ALTER ROLE "+server.Admin+" PASSWORD '"+server.Password+"'")).To(Succeed())
		recovers()
	})

	It("because the admin may not make users says so", func() {
		Expect(server.Exec(ctx, "ALTER ROLE "+server.Admin+" NOCREATEROLE")).To(Succeed())
		fails(v1alpha1.ReasonPermissionDenied)
		Expect(server.Exec(ctx, "ALTER ROLE "+server.Admin+" CREATEROLE")).To(Succeed())
		recovers()
	})

	It("because the user was dropped says so", func() {
		Expect(server.Exec(ctx, "DROP ROLE "+username())).To(Succeed())
		ask(s, "now")
		reconcile(s)
		Expect(failing(s)).To(HaveField("Reason", v1alpha1.ReasonInvalidCredential))
		Expect(failing(s).Message).To(ContainSubstring(username()))
	})

	It("because the server's certificate is another's says so", func() {
		world.Update(s, func() { s.Spec.Rotation.Postgres.TLS.CASecretRef = nil })
		fails(v1alpha1.ReasonTLSFailed)
	})

	It("for an admin of another server never shows that server the password", func() {
		put("other-admin", server.Port, server.Admin, server.Password) // past the proxy: another port
		world.Update(s, func() { s.Spec.Rotation.Postgres.AdminSecretRef.Name = "other-admin" })
		fails(v1alpha1.ReasonInvalidCredential)
	})

	It("for an admin that does not exist names it", func() {
		world.Update(s, func() { s.Spec.Rotation.Postgres.AdminSecretRef.Name = "nobody" })
		fails(v1alpha1.ReasonAdminSecretNotFound)
		Expect(failing(s).Message).To(ContainSubstring("nobody"))
	})
})

var _ = Describe("The first version of a database's credential", func() {
	It("is not shown before it logs in", func() {
		s := credential(v1alpha1.RotationSingleUser, func(s *v1alpha1.Secret) { s.Spec.Rotation.Postgres.AdminSecretRef.Name = "late-admin" })
		result := reconcile(s)
		Expect(ready(s)).To(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.ReasonAdminSecretNotFound)))
		Expect(result.RequeueAfter).To(BeNumerically("~", 5*time.Second, time.Second))
		Expect(s.Status.Projection).To(BeNil())
		put("late-admin", through(), server.Admin, server.Password)
		world.Clock.Advance(6 * time.Second)
		reconcile(s)
		Expect(ready(s)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(opens(projected(s))).To(Succeed())
		Expect(s.Status.Versions).To(HaveLen(1))
	})
})
