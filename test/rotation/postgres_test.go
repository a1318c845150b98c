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
	"strongroom.dev/strongroom/test/databases"
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
		tomorrow := time.Now().UTC().Truncate(24 * time.Hour).Add(24*time.Hour + 4*time.Hour + 5*time.Minute)
		world.Clock.Set(tomorrow)
		reconcile(s)
		second := projected(s)
		Expect(second).NotTo(Equal(first))
		reconcile(s)
		Expect(projected(s)).To(Equal(second))
		Expect(s.Status.NextRotationTime.UTC()).To(BeTemporally("~", tomorrow.Add(24*time.Hour), time.Hour))
	})

	It("is not set afresh by a rotation of a user who may not log in from here, or at all: workloads may log in with what there is", func() {
		s := credential(v1alpha1.RotationSingleUser)
		reconcile(s)
		before := projected(s)
		Expect(server.Exec(ctx, "ALTER ROLE "+username()+" NOLOGIN")).To(Succeed())
		ask(s, "now")
		reconcile(s)
		Expect(failing(s)).To(And(Not(BeNil()), HaveField("Reason", v1alpha1.ReasonLoginRefused)))
		Expect(server.Exec(ctx, "ALTER ROLE "+username()+" LOGIN")).To(Succeed())
		Expect(opens(before)).To(Succeed(), "the password of who was barred was changed, and the bar taken away")
		Expect(projected(s)).To(Equal(before))
		world.Clock.Advance(time.Minute)
		reconcile(s)
		Expect(failing(s)).To(BeNil())
		Expect(opens(projected(s))).To(Succeed())
		Expect(projected(s)).NotTo(Equal(before))
	})

	It("of alternating users that failed for days is not rotated again in the window in which it came to its end", func() {
		s := credential(v1alpha1.RotationAlternatingUsers, func(s *v1alpha1.Secret) { s.Spec.Rotation.Schedule, s.Spec.Rotation.Duration = "rate(1 day)", "" })
		reconcile(s)
		first := projected(s)
		tomorrow := time.Now().UTC().Truncate(24 * time.Hour).Add(24*time.Hour + 40*time.Minute)
		world.Clock.Set(tomorrow)
		Expect(server.Exec(ctx, "ALTER ROLE keeper PASSWORD 'another'")).To(Succeed())
		DeferCleanup(func() { Expect(server.Exec(ctx, "ALTER ROLE keeper PASSWORD '"+server.Password+"'")).To(Succeed()) })
		reconcile(s)
		Expect(failing(s)).To(And(Not(BeNil()), HaveField("Reason", v1alpha1.ReasonLoginRefused)))

		Expect(server.Exec(ctx, "ALTER ROLE keeper PASSWORD '"+server.Password+"'")).To(Succeed())
		world.Clock.Set(tomorrow.Add(48 * time.Hour)) // in a window after those that it failed in
		reconcile(s)
		Expect(failing(s)).To(BeNil())
		second := projected(s)
		Expect(second.Username).To(Equal(username() + "_clone"))
		Expect(s.Status.LastRotatedTime.UTC()).To(BeTemporally("~", tomorrow.Add(48*time.Hour), time.Minute))
		for range 3 {
			world.Clock.Advance(time.Minute)
			reconcile(s)
		}
		Expect(projected(s)).To(Equal(second), "it was rotated again at once")
		Expect(opens(first)).To(Succeed(), "workloads that have not restarted are locked out")
	})

	DescribeTable("that is none any more is no base for the next one: what was asked for is owed until it is one again", func(admin bool) {
		s := credential(v1alpha1.RotationSingleUser)
		reconcile(s)
		if !admin {
			world.Update(s, func() { s.Spec.Rotation.Postgres.AdminSecretRef = nil })
			reconcile(s)
		}
		before, value := projected(s), valueOf(s)
		put := func(token, value string) {
			GinkgoHelper()
			_, err := world.Services.Secrets.PutValue(ctx, secretsmanager.PutValueInput{
				Secret: s, Key: world.ReadyKey("other-" + token), Token: strings.Repeat(token, 32), Value: secretsmanager.Value{Bytes: secretbytes.Copy([]byte(value))},
			})
			Expect(err).NotTo(HaveOccurred())
			world.Refresh(s)
			world.Seen(s)
		}
		put("a", "{}")
		ask(s, "now")
		for range 3 {
			reconcile(s)
			Expect(failing(s)).To(And(Not(BeNil()), HaveField("Reason", v1alpha1.ReasonInvalidCredential), HaveField("Message", HavePrefix("createSecret"))))
			Expect(s.Status.LastHandledRotateAt).To(BeEmpty(), "the request is forgotten")
			world.Clock.Advance(10 * time.Minute)
		}
		put("b", value)
		reconcile(s)
		Expect(failing(s)).To(BeNil())
		Expect(s.Status.LastHandledRotateAt).To(Equal("now"))
		Expect(projected(s)).NotTo(Equal(before))
		Expect(opens(projected(s))).To(Succeed())
	}, Entry("with an admin", true), Entry("without one", false))

	It("of alternating users never has the user in force set by a version that is pending: the rotation ends", func() {
		s := credential(v1alpha1.RotationSingleUser)
		reconcile(s)
		before := projected(s)
		Expect(server.Exec(ctx, "ALTER ROLE "+username()+" NOLOGIN")).To(Succeed()) // so that the rotation stays pending
		ask(s, "now")
		reconcile(s)
		Expect(failing(s)).NotTo(BeNil())
		Expect(server.Exec(ctx, "ALTER ROLE "+username()+" LOGIN")).To(Succeed())
		world.Update(s, func() { s.Spec.Rotation.Strategy = v1alpha1.RotationAlternatingUsers })
		reconcile(s)
		Expect(failing(s)).To(BeNil())
		Expect(projected(s)).To(Equal(before))
		Expect(opens(before)).To(Succeed())
		Expect(s.Status.Rotation).To(BeNil())
		ask(s, "again")
		reconcile(s)
		Expect(projected(s).Username).To(Equal(username() + "_clone"))
		Expect(opens(projected(s))).To(Succeed())
		Expect(opens(before)).To(Succeed())
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

	DescribeTable("comes back from a lost status by what logs in", func(strategy v1alpha1.RotationStrategy, rotations int, edited bool) {
		s := credential(strategy)
		reconcile(s)
		for n := range rotations {
			ask(s, strings.Repeat("x", n+1))
			reconcile(s)
		}
		before := projected(s)
		if edited {
			world.Update(s, func() {
				s.Spec.Generate.JSON.Template = strings.Replace(s.Spec.Generate.JSON.Template, "{", `{"team":"shop",`, 1)
			})
			reconcile(s)
		}
		s.Status = v1alpha1.SecretStatus{}
		Expect(world.ControlPlane.Client.Status().Update(ctx, s)).To(Succeed())
		world.Seen(s)
		for range 3 {
			reconcile(s)
		}
		Expect(ready(s)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(projected(s)).To(Equal(before))
		Expect(opens(before)).To(Succeed())
	},
		Entry("of one user", v1alpha1.RotationSingleUser, 2, false), Entry("of the first of two", v1alpha1.RotationAlternatingUsers, 2, false),
		Entry("of the second of two", v1alpha1.RotationAlternatingUsers, 1, false), Entry("of a template that is another since", v1alpha1.RotationAlternatingUsers, 1, true),
	)

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

// putCurrent puts a credential of the server through the API.
func putCurrent(s *v1alpha1.Secret, user, password string) {
	GinkgoHelper()
	value := fmt.Sprintf(`{"engine":"postgres","host":%q,"port":%d,"dbname":"shop","username":%q,"password":%q}`, databases.Host, through(), user, password)
	key := &v1alpha1.KMSKey{ObjectMeta: metav1.ObjectMeta{Namespace: world.Namespace, Name: "key"}}
	world.Refresh(key)
	_, err := world.Services.Secrets.PutValue(ctx, secretsmanager.PutValueInput{
		Secret: s, Key: key, Token: fmt.Sprintf("%032d", time.Now().UnixNano()), Value: secretsmanager.Value{Bytes: secretbytes.Copy([]byte(value))},
	})
	Expect(err).NotTo(HaveOccurred())
	world.Refresh(s)
	world.Seen(s)
}

var _ = Describe("Whoever may put a value of a Secret that an admin rotates", func() {
	It("cannot have the admin make them a user whom they name, be it asked for or due", func() {
		for _, strategy := range []v1alpha1.RotationStrategy{v1alpha1.RotationAlternatingUsers, v1alpha1.RotationSingleUser} {
			world.Fresh()
			world.ReadyKey("key")
			users++
			theirs := username() + "_theirs"
			Expect(server.Exec(ctx, "CREATE ROLE "+theirs+" LOGIN PASSWORD 'theirs'")).To(Succeed())
			s := credential(strategy)
			reconcile(s)
			putCurrent(s, theirs, "not known")
			ask(s, "now")
			reconcile(s)
			Expect(failing(s)).To(And(Not(BeNil()), HaveField("Reason", v1alpha1.ReasonCredentialDrift)))
			world.Clock.Set(time.Now().UTC().Truncate(24 * time.Hour).Add(24*time.Hour + 4*time.Hour + 5*time.Minute)) // in a window
			reconcile(s)
			Expect(server.Opens(ctx, theirs, "theirs")).To(Succeed(), "its password was changed")
			all, _ := stored(s)
			for _, l := range all {
				if strings.HasPrefix(l.Username, theirs) {
					Expect(opens(l)).NotTo(Succeed(), "%s logs in", l.Username)
				}
			}
		}
	})
})

var _ = Describe("A rotation that cannot succeed with what is pending", func() {
	It("of a first version with a typo goes on with the manifest that mends it", func() {
		s := credential(v1alpha1.RotationAlternatingUsers)
		right := s.Spec.Generate.JSON.Template
		world.Update(s, func() { s.Spec.Generate.JSON.Template = strings.Replace(right, databases.Host, "127.0.0.9", 1) })
		reconcile(s)
		Expect(ready(s)).To(HaveField("Status", metav1.ConditionFalse))
		Expect(failing(s)).To(HaveField("Reason", v1alpha1.ReasonInvalidCredential))
		world.Update(s, func() { s.Spec.Generate.JSON.Template = right })
		reconcile(s)
		Expect(ready(s)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(failing(s)).To(BeNil())
		Expect(opens(projected(s))).To(Succeed())
	})

	It("follows a value that was put meanwhile", func() {
		for _, strategy := range []v1alpha1.RotationStrategy{v1alpha1.RotationAlternatingUsers, v1alpha1.RotationSingleUser} {
			world.Fresh()
			world.ReadyKey("key")
			users++
			s := credential(strategy, func(s *v1alpha1.Secret) { s.Spec.Rotation.Postgres.AdminSecretRef.Name = "late-admin" })
			reconcile(s)
			Expect(failing(s)).To(HaveField("Reason", v1alpha1.ReasonAdminSecretNotFound))
			Expect(server.Exec(ctx, "CREATE ROLE "+username()+" LOGIN PASSWORD 'put'")).To(Succeed())
			putCurrent(s, username(), "put")
			put("late-admin", through(), server.Admin, server.Password)
			world.Clock.Advance(6 * time.Second)
			reconcile(s)
			Expect(failing(s)).To(BeNil(), "%+v", failing(s))
			Expect(opens(projected(s))).To(Succeed())
			_, byStage := stored(s)
			Expect(byStage).NotTo(HaveKey(v1alpha1.StagePending))
			Expect(byStage[v1alpha1.StageCurrent]).To(Equal(projected(s)))
		}
	})
})
