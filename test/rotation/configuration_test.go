package rotation_test

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/internal/service/secretsmanager"
)

// tests of rotators that came to a result.
func tests(rotator, result string) int {
	GinkgoHelper()
	return int(series("strongroom_rotation_tests_total", result, rotator).GetCounter().GetValue())
}

var _ = Describe("A database's rotator that is new", func() {
	var s *v1alpha1.Secret
	BeforeEach(func() {
		Expect(server.Exec(ctx, "CREATE ROLE "+username()+" LOGIN PASSWORD 'chosen'")).To(Succeed())
		put("db-admin", through(), db.admin, db.password)
		s = put("db", through(), username(), "chosen")
	})

	// configured gives the secret its rotator, and makes a pass.
	configured := func(changes ...func(*v1alpha1.SecretRotation)) {
		GinkgoHelper()
		world.Update(s, func() {
			s.Spec.ValueFrom, s.Spec.Target = nil, &v1alpha1.SecretTarget{}
			s.Spec.Rotation = &v1alpha1.SecretRotation{Schedule: "rate(30 days)", Postgres: &v1alpha1.DatabaseRotator{
				AdminSecretRef: &v1alpha1.LocalReference{Name: "db-admin"}, TLS: &v1alpha1.DatabaseTLS{Mode: v1alpha1.DatabaseTLSRequire},
			}}
			for _, change := range changes {
				change(s.Spec.Rotation)
			}
		})
		reconcile(s)
		Expect(ready(s)).To(HaveField("Status", metav1.ConditionTrue), "the version in force is in force")
		Expect(projected(s)).To(HaveField("Username", username()))
		Expect(s.Status).To(And(HaveField("Versions", HaveLen(1)), HaveField("Rotation", BeNil())), "a test makes no version")
	}

	It("is tested with the version in force at once, which changes nothing, and not again until it is another", func() {
		before := tests("postgres", "Succeeded")
		configured()
		Expect(failing(s)).To(BeNil())
		Expect(s.Status.RotationTest).To(And(Not(BeNil()), HaveField("PassedVersionID", s.Status.CurrentVersionID), HaveField("Attempts", int32(0))))
		Expect(tests("postgres", "Succeeded")).To(Equal(before + 1))
		world.Update(s, func() { s.Spec.Rotation.Schedule = "rate(7 days)" })
		Expect(reconcile(s).RequeueAfter).To(BeNumerically(">", 0))
		Expect(tests("postgres", "Succeeded")).To(Equal(before+1), "another schedule is no other rotator")
		world.Update(s, func() { s.Spec.Rotation.Postgres.AdminSecretRef = nil })
		reconcile(s)
		Expect(tests("postgres", "Succeeded")).To(Equal(before + 2))
		Expect(opens(login{username(), "chosen"})).To(Succeed())
	})

	It("is tested again when RotateSecret asks for no rotation yet", func() {
		configured()
		before := tests("postgres", "Succeeded")
		for n := range 2 {
			Expect(world.Services.Secrets.Rotate(ctx, secretsmanager.RotateInput{Secret: s, Token: strings.Repeat("x", 32), Later: true})).To(Succeed())
			world.Refresh(s)
			world.Seen(s)
			reconcile(s)
			Expect(tests("postgres", "Succeeded")).To(Equal(before + n + 1))
		}
		Expect(s.Status.Versions).To(HaveLen(1))
	})

	It("rests while rotation is turned off, and is tested when it is on", func() {
		no := false
		configured(func(r *v1alpha1.SecretRotation) { r.Enabled = &no })
		Expect(s.Status.RotationTest).To(BeNil())
		world.Update(s, func() { s.Spec.Rotation.Enabled = nil })
		reconcile(s)
		Expect(s.Status.RotationTest).To(HaveField("PassedVersionID", s.Status.CurrentVersionID))
	})

	for what, tt := range map[string]struct {
		reason    string
		refused   bool
		breaks    func(*v1alpha1.SecretRotation)
		statement func() string
		mend      func() string
	}{
		"another password than the value's": {refused: true, reason: v1alpha1.ReasonCredentialDrift,
			statement: func() string { return "ALTER ROLE " + username() + " PASSWORD 'hunter2'" },
			mend:      func() string { return "ALTER ROLE " + username() + " PASSWORD 'chosen'" }},
		"a user who may not log in": {refused: true, reason: v1alpha1.ReasonLoginRefused,
			statement: func() string { return "ALTER ROLE " + username() + " NOLOGIN" },
			mend:      func() string { return "ALTER ROLE " + username() + " LOGIN" }},
		"an admin with another password": {refused: true, reason: v1alpha1.ReasonLoginRefused,
			statement: func() string { return "ALTER ROLE " + server.Admin + " PASSWORD 'hunter2'" },
			mend:      func() string { return "ALTER ROLE " + server.Admin + " PASSWORD '" + server.Password + "'" }},
		"an admin that is not there": {reason: v1alpha1.ReasonAdminSecretNotFound,
			breaks: func(r *v1alpha1.SecretRotation) { r.Postgres.AdminSecretRef.Name = "nobody" }},
		"a certificate that is not trusted": {reason: v1alpha1.ReasonTLSFailed,
			breaks: func(r *v1alpha1.SecretRotation) { r.Postgres.TLS.Mode = v1alpha1.DatabaseTLSVerifyFull }},
	} {
		It("and wrong because of "+what+" says so at once, and not when the first rotation is due", func() {
			if tt.statement != nil {
				Expect(server.Exec(ctx, tt.statement())).To(Succeed())
				DeferCleanup(func() { Expect(server.Exec(ctx, tt.mend())).To(Succeed()) })
			}
			before := tests("postgres", tt.reason)
			world.DrainEvents()
			configured(func(r *v1alpha1.SecretRotation) {
				if tt.breaks != nil {
					tt.breaks(r)
				}
			})
			Expect(failing(s)).To(And(Not(BeNil()), HaveField("Reason", tt.reason), HaveField("Message", HavePrefix("testSecret: "))))
			Expect(tests("postgres", tt.reason)).To(Equal(before + 1))
			events := strings.Join(world.DrainEvents(), "\n")
			Expect(events).To(ContainSubstring(tt.reason))
			for _, hidden := range []string{"chosen", "hunter2", server.Password} {
				Expect(events + failing(s).Message).NotTo(ContainSubstring(hidden))
			}
			Expect(s.Status.RotationTest).To(And(HaveField("Attempts", int32(1)), HaveField("PassedVersionID", BeEmpty())))
			wait := map[bool]time.Duration{false: time.Minute, true: 15 * time.Minute}[tt.refused]
			Expect(reconcile(s).RequeueAfter).To(BeNumerically("~", wait, 2*time.Second))
			Expect(s.Status.RotationTest.Attempts).To(Equal(int32(1)), "it is tried again before its time")
			if tt.mend == nil {
				world.Update(s, func() {
					s.Spec.Rotation.Postgres.AdminSecretRef.Name, s.Spec.Rotation.Postgres.TLS.Mode = "db-admin", v1alpha1.DatabaseTLSRequire
				})
			} else {
				Expect(server.Exec(ctx, tt.mend())).To(Succeed())
				world.Clock.Advance(wait)
			}
			reconcile(s)
			Expect(failing(s)).To(BeNil())
			Expect(s.Status.RotationTest).To(And(HaveField("Attempts", int32(0)), HaveField("PassedVersionID", s.Status.CurrentVersionID)))
		})
	}

	It("and a server that is down say so, and the rotation that somebody asks for is made all the same", func() {
		Expect(server.Kill()).To(Succeed())
		configured()
		Expect(failing(s)).To(And(Not(BeNil()), HaveField("Reason", v1alpha1.ReasonDatabaseUnreachable)))
		Expect(server.Start(ctx)).To(Succeed())
		ask(s, "now")
		reconcile(s)
		Expect(failing(s)).To(BeNil())
		Expect(opens(projected(s))).To(Succeed())
		Expect(projected(s).Password).NotTo(Equal("chosen"))
	})
})

var _ = Describe("A database's rotator that has brought the first version in", func() {
	It("is proven by that, and not tested", func() {
		before := tests("postgres", "Succeeded")
		s := credential(v1alpha1.RotationSingleUser)
		for range 2 {
			reconcile(s)
			Expect(s.Status.RotationTest).To(And(Not(BeNil()), HaveField("PassedVersionID", s.Status.CurrentVersionID)))
		}
		Expect(tests("postgres", "Succeeded")).To(Equal(before))
	})
})
