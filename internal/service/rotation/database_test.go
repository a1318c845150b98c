package rotation_test

import (
	"encoding/json"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	corerotation "strongroom.dev/strongroom/internal/core/rotation"
)

var users int

// user makes a user of the server, whose password is chosen.
func user() string {
	GinkgoHelper()
	users++
	name := fmt.Sprint("user", users)
	Expect(server.Exec(ctx, "CREATE ROLE "+name+" LOGIN PASSWORD 'chosen'")).To(Succeed())
	return name
}

// admin makes the Secret of an admin.
func admin(name string, members ...func(map[string]any)) {
	GinkgoHelper()
	put(secret(name), "AWSCURRENT", value(server.Admin, server.Password, members...))
}

func byAdmin(name string) func(*v1alpha1.Secret) {
	return func(s *v1alpha1.Secret) {
		s.Spec.Rotation.Postgres.AdminSecretRef = &v1alpha1.LocalReference{Name: name}
	}
}

func alternating(s *v1alpha1.Secret) { s.Spec.Rotation.Strategy = v1alpha1.RotationAlternatingUsers }

// only is the error of a test, whoever's user it found.
func only(_ string, err error) error { return err }

// passed has the current version of a Secret log in, as a test of its configuration does, and is what status says then.
func passed(s *v1alpha1.Secret) *v1alpha1.RotationTestStatus {
	GinkgoHelper()
	found, err := service().Of(s).Verify(ctx, of(s))
	Expect(err).NotTo(HaveOccurred())
	Expect(found).To(MatchRegexp("^[0-9a-f]{16,64}$"))
	return &v1alpha1.RotationTestStatus{PassedUser: found}
}

// naming has spec.generate name a user.
func naming(name string, members ...func(map[string]any)) func(*v1alpha1.Secret) {
	return func(s *v1alpha1.Secret) {
		s.Spec.Generate = &v1alpha1.SecretGenerator{JSON: &v1alpha1.JSONGenerator{
			Template: value(name, "", append(members, func(m map[string]any) { delete(m, "password") })...), Key: "password", Password: &v1alpha1.PasswordGenerator{},
		}}
	}
}

var _ = Describe("The rotator of a Secret", func() {
	It("is there for a database, and for nothing else", func() {
		Expect(service().Of(secret("db"))).NotTo(BeNil())
		for name, change := range map[string]func(*v1alpha1.Secret){
			"none": func(s *v1alpha1.Secret) { s.Spec.Rotation = nil },
			"schedule": func(s *v1alpha1.Secret) {
				s.Spec.Generate = &v1alpha1.SecretGenerator{UUID: &v1alpha1.UUIDGenerator{}}
				s.Spec.Rotation = &v1alpha1.SecretRotation{Schedule: "rate(1 day)"}
			},
			"function": func(s *v1alpha1.Secret) {
				s.Spec.Rotation = &v1alpha1.SecretRotation{Function: &v1alpha1.FunctionRotator{ServiceRef: v1alpha1.ServiceReference{Name: "f"}}}
			},
		} {
			Expect(service().Of(secret(name, change))).To(BeNil(), name)
		}
	})
})

var _ = Describe("createSecret of a database", func() {
	next := func(s *v1alpha1.Secret) (out map[string]any) {
		GinkgoHelper()
		made, err := service().Of(s).Create(ctx, of(s))
		Expect(err).NotTo(HaveOccurred())
		defer made.Wipe()
		Expect(json.Unmarshal(made.Reveal(), &out)).To(Succeed())
		return out
	}

	It("keeps all of the value but the password, which has 32 characters and none that connection strings give a meaning", func() {
		s := secret("db")
		put(s, "AWSCURRENT", value("shop", "chosen", func(m map[string]any) { m["team"] = "payments" }))
		made := next(s)
		Expect(made).To(And(HaveKeyWithValue("username", "shop"), HaveKeyWithValue("team", "payments"), HaveKeyWithValue("host", "127.0.0.1")))
		Expect(made["password"]).To(And(HaveLen(32), MatchRegexp(`^[^/@"'\\]*$`)))
		Expect(next(s)["password"]).NotTo(Equal(made["password"]))
	})

	It("makes the password as the Secret's own generator does, under its key", func() {
		s := secret("db", func(s *v1alpha1.Secret) {
			s.Spec.Generate = &v1alpha1.SecretGenerator{JSON: &v1alpha1.JSONGenerator{
				Template: value("shop", "", func(m map[string]any) { delete(m, "password") }), Key: "secret", Password: &v1alpha1.PasswordGenerator{Length: 12},
			}}
			s.Spec.Rotation = &v1alpha1.SecretRotation{Schedule: "rate(1 day)"}
		})
		s.Spec.Rotation = &v1alpha1.SecretRotation{Postgres: &v1alpha1.DatabaseRotator{}}
		Expect(next(s)["secret"]).To(HaveLen(12))
	})

	It("takes the other of two users in turn", func() {
		s := secret("db", byAdmin("nobody"), alternating)
		put(s, "AWSCURRENT", value("shop", "chosen"))
		Expect(next(s)).To(HaveKeyWithValue("username", "shop_clone"))
		put(s, "AWSCURRENT", value("shop_clone", "chosen"))
		Expect(next(s)).To(HaveKeyWithValue("username", "shop"))
	})

	It("of a value that is no credential says which member is wrong, and in which version", func() {
		for n, tt := range []struct{ text, says string }{
			{"hunter2", "no JSON object"},
			{`{"username":"u","password":"hunter2"}`, "host"},
			{value("shop", "hunter2", func(m map[string]any) { m["port"] = "many" }), "port"},
			{value("", "hunter2"), "username"},
			{value("shop", ""), "password"},
		} {
			s := secret(fmt.Sprint("db", n))
			put(s, "AWSCURRENT", tt.text)
			_, err := service().Of(s).Create(ctx, of(s))
			fails(err, v1alpha1.ReasonInvalidCredential, tt.says, s.Status.CurrentVersionID)
		}
	})

	It("of a Secret without a value fails", func() {
		s := secret("db")
		_, err := service().Of(s).Create(ctx, of(s))
		Expect(err).To(MatchError(ContainSubstring("no version holds AWSCURRENT")))
	})
})

var _ = Describe("setSecret and testSecret of a database", func() {
	It("make the pending version good, once and again, and prove it", func() {
		name := user()
		s := secret("db")
		put(s, "AWSCURRENT", value(name, "chosen"))
		put(s, "AWSPENDING", value(name, "hunter2"))
		rotator := service().Of(s)
		fails(only(rotator.Test(ctx, of(s))), v1alpha1.ReasonLoginRefused, "with the pending version of the secret: ")
		for range 2 {
			out, err := rotator.Set(ctx, of(s))
			Expect(err).NotTo(HaveOccurred())
			Expect(out).To(And(HaveField("Healed", false), HaveField("Volatile", false)))
			Expect(only(rotator.Test(ctx, of(s)))).To(Succeed())
		}
		Expect(server.Opens(ctx, name, "hunter2")).To(Succeed())
	})

	It("go on by the previous version, and say that the admin healed what no version opens", func() {
		name := user()
		admin("admin")
		s := secret("db", byAdmin("admin"))
		put(s, "AWSCURRENT", value(name, "chosen"))
		known := passed(s)
		put(s, "AWSCURRENT", value(name, "never set"))
		put(s, "AWSPENDING", value(name, "hunter2"))
		s.Status.RotationTest = known
		out, err := service().Of(s).Set(ctx, of(s))
		Expect(err).NotTo(HaveOccurred())
		Expect(out.Healed).To(BeFalse(), "AWSPREVIOUS logs in")
		Expect(server.Exec(ctx, "ALTER ROLE "+name+" PASSWORD 'somebody else set it'")).To(Succeed())
		out, err = service().Of(s).Set(ctx, of(s))
		Expect(err).NotTo(HaveOccurred())
		Expect(out.Healed).To(BeTrue())
		Expect(server.Opens(ctx, name, "hunter2")).To(Succeed())
	})

	It("without an admin say CredentialDrift, and what helps", func() {
		name := user()
		s := secret("db")
		put(s, "AWSCURRENT", value(name, "never set"))
		put(s, "AWSPENDING", value(name, "hunter2"))
		_, err := service().Of(s).Set(ctx, of(s))
		fails(err, v1alpha1.ReasonCredentialDrift, name, "adminSecretRef", "PutSecretValue")
	})

	It("of two users make the second one, which logs in beside the first", func() {
		name := user()
		admin("admin")
		s := secret("db", byAdmin("admin"), alternating)
		put(s, "AWSCURRENT", value(name, "chosen"))
		put(s, "AWSPENDING", value(name+"_clone", "hunter2"))
		_, err := service().Of(s).Set(ctx, of(s))
		Expect(err).NotTo(HaveOccurred())
		Expect(server.Opens(ctx, name, "chosen")).To(Succeed())
		Expect(server.Opens(ctx, name+"_clone", "hunter2")).To(Succeed())
	})
})

var _ = Describe("The rights of an admin", func() {
	// theirs is a user that has nothing to do with the Secret, whose value somebody changes to name it.
	var theirs string
	BeforeEach(func() {
		theirs = user()
		admin("admin")
	})
	untouched := func() {
		GinkgoHelper()
		Expect(server.Opens(ctx, theirs, "chosen")).To(Succeed(), "the password was changed")
		Expect(server.Opens(ctx, theirs+"_clone", "hunter2")).NotTo(Succeed(), "there is a second user with its rights")
	}

	for strategy, change := range map[string]func(*v1alpha1.Secret){"SingleUser": func(*v1alpha1.Secret) {}, "AlternatingUsers": alternating} {
		next := map[string]string{"SingleUser": "", "AlternatingUsers": "_clone"}[strategy]
		It("are used for no user whom nothing shows to be the Secret's: "+strategy, func() {
			mine := user()
			s := secret("db", byAdmin("admin"), change)
			put(s, "AWSCURRENT", value(mine, "chosen"))
			known := passed(s)
			put(s, "AWSCURRENT", value(theirs, "not known"))
			put(s, "AWSPENDING", value(theirs+next, "hunter2"))
			s.Status.RotationTest = known
			_, err := service().Of(s).Set(ctx, of(s))
			fails(err, v1alpha1.ReasonCredentialDrift, theirs, "PutSecretValue", "spec.generate.json.template")
			untouched()
		})

		It("are used for the user that spec.generate names, whatever the server was restored to: "+strategy, func() {
			s := secret("db", byAdmin("admin"), change, naming(theirs))
			put(s, "AWSCURRENT", value(theirs, "not known"))
			put(s, "AWSPENDING", value(theirs+next, "hunter2"))
			_, err := service().Of(s).Set(ctx, of(s))
			Expect(err).NotTo(HaveOccurred())
			Expect(server.Opens(ctx, theirs+next, "hunter2")).To(Succeed())
		})

		It("are not used for a user of that name of another server: "+strategy, func() {
			s := secret("db", byAdmin("admin"), change, naming(theirs, func(m map[string]any) { m["host"] = "db.elsewhere" }))
			put(s, "AWSCURRENT", value(theirs, "not known"))
			put(s, "AWSPENDING", value(theirs+next, "hunter2"))
			_, err := service().Of(s).Set(ctx, of(s))
			fails(err, v1alpha1.ReasonCredentialDrift)
			untouched()
		})
	}

	It("are used for the second of two users when the first logs in", func() {
		s := secret("db", byAdmin("admin"), alternating)
		put(s, "AWSCURRENT", value(theirs, "chosen"))
		put(s, "AWSPENDING", value(theirs+"_clone", "hunter2"))
		_, err := service().Of(s).Set(ctx, of(s))
		Expect(err).NotTo(HaveOccurred())
		Expect(server.Opens(ctx, theirs+"_clone", "hunter2")).To(Succeed())
	})

	It("are not used for a first version that names another user than spec.generate", func() {
		s := secret("db", byAdmin("admin"))
		put(s, "AWSPENDING", value(theirs, "hunter2"))
		naming("shop")(s)
		first := of(s)
		first.Index[0].Stages = []string{"AWSPENDING"} // as the first version of a rotator has it, which logs in nowhere yet
		_, err := service().Of(s).Set(ctx, first)
		fails(err, v1alpha1.ReasonInvalidCredential, "earlier spec.generate.json.template")
		Expect(err).To(MatchError(corerotation.ErrForeign))
		untouched()
	})

	It("are not used for the other of two users where one is rotated alone", func() {
		s := secret("db", byAdmin("admin"), naming(theirs+"_clone"))
		put(s, "AWSCURRENT", value(theirs, "not known"))
		put(s, "AWSPENDING", value(theirs, "hunter2"))
		_, err := service().Of(s).Set(ctx, of(s))
		fails(err, v1alpha1.ReasonCredentialDrift)
		untouched()
	})

	It("are used for the second of two users when the former version logs in, as after a value that was put by mistake", func() {
		s := secret("db", byAdmin("admin"), alternating)
		put(s, "AWSCURRENT", value(theirs, "chosen"))
		put(s, "AWSCURRENT", value(theirs, "not known"))
		put(s, "AWSPENDING", value(theirs+"_clone", "hunter2"))
		_, err := service().Of(s).Set(ctx, of(s))
		Expect(err).NotTo(HaveOccurred())
		Expect(server.Opens(ctx, theirs+"_clone", "hunter2")).To(Succeed())
	})

	It("are used for no role that is more than it seems: by membership, near or far, inherited or not", func() {
		Expect(server.Exec(ctx, "CREATE ROLE "+theirs+"_group NOINHERIT")).To(Succeed())
		Expect(server.Exec(ctx, "GRANT "+theirs+"_group TO "+theirs)).To(Succeed())
		for _, right := range []string{"pg_execute_server_program", "pg_read_all_data", server.Admin} {
			Expect(server.Exec(ctx, "GRANT "+right+" TO "+theirs+"_group")).To(Succeed())
			s := secret("db-"+strings.ReplaceAll(right, "_", "-"), byAdmin("admin"), alternating, naming(theirs))
			put(s, "AWSCURRENT", value(theirs, "chosen"))
			put(s, "AWSPENDING", value(theirs+"_clone", "hunter2"))
			_, err := service().Of(s).Set(ctx, of(s))
			fails(err, v1alpha1.ReasonPermissionDenied, "as the admin "+server.Admin, theirs, "a member of such a role")
			untouched()
			Expect(server.Exec(ctx, "REVOKE "+right+" FROM "+theirs+"_group")).To(Succeed())
		}
	})
})

var _ = Describe("A pending version with which no attempt can succeed", func() {
	foreign := func(s *v1alpha1.Secret, says string, is error) {
		GinkgoHelper()
		_, err := service().Of(s).Set(ctx, of(s))
		fails(err, v1alpha1.ReasonInvalidCredential, says)
		Expect(err).To(MatchError(is))
	}

	It("is told from others, so that another is derived: of another user, of another server, of the user in force, or no credential", func() {
		name := user()
		for n, tt := range []struct {
			pending, says string
			is            error
			change        func(*v1alpha1.Secret)
		}{
			{value("another", "hunter2"), "user another", corerotation.ErrForeign, func(*v1alpha1.Secret) {}},
			{value(name, "hunter2", func(m map[string]any) { m["host"] = "db.elsewhere" }), "db.elsewhere", corerotation.ErrForeign, func(*v1alpha1.Secret) {}},
			{value(name, "hunter2"), "which is in force", corerotation.ErrInForce, alternating},
			{"hunter2", "no JSON object", corerotation.ErrForeign, func(*v1alpha1.Secret) {}},
		} {
			admin(fmt.Sprint("admin", n))
			s := secret(fmt.Sprint("db", n), byAdmin(fmt.Sprint("admin", n)), tt.change)
			put(s, "AWSCURRENT", value(name, "chosen"))
			put(s, "AWSPENDING", tt.pending)
			foreign(s, tt.says, tt.is)
		}
	})
})

var _ = Describe("What spec names and a database's rotation needs", func() {
	var s *v1alpha1.Secret
	var name string
	BeforeEach(func() {
		name = user()
		s = secret("db")
		put(s, "AWSCURRENT", value(name, "chosen"))
		put(s, "AWSPENDING", value(name, "hunter2"))
	})
	sets := func(change func(*v1alpha1.SecretRotation)) error {
		change(s.Spec.Rotation)
		_, err := service().Of(s).Set(ctx, of(s))
		return err
	}
	adminRef := func(name string) func(*v1alpha1.SecretRotation) {
		return func(r *v1alpha1.SecretRotation) { r.Postgres.AdminSecretRef = &v1alpha1.LocalReference{Name: name} }
	}
	trusting := func(mode v1alpha1.DatabaseTLSMode, secret, key string) func(*v1alpha1.SecretRotation) {
		return func(r *v1alpha1.SecretRotation) {
			r.Postgres.TLS = &v1alpha1.DatabaseTLS{Mode: mode, CASecretRef: &v1alpha1.SecretKeyReference{Name: secret, Key: key}}
		}
	}

	It("is an admin's Secret with a credential of the same server", func() {
		fails(sets(adminRef("nobody")), v1alpha1.ReasonAdminSecretNotFound, "nobody", "does not exist")
		secret("empty")
		fails(sets(adminRef("empty")), v1alpha1.ReasonAdminSecretNotFound, "empty", "no current version")
		put(secret("broken"), "AWSCURRENT", "hunter2")
		fails(sets(adminRef("broken")), v1alpha1.ReasonInvalidCredential, "the admin's Secret broken", "no JSON object")
		admin("elsewhere", func(m map[string]any) { m["host"] = "db.elsewhere" })
		fails(sets(adminRef("elsewhere")), v1alpha1.ReasonInvalidCredential, "db.elsewhere")
		put(secret("same"), "AWSCURRENT", value(name, "chosen"))
		fails(sets(adminRef("same")), v1alpha1.ReasonInvalidCredential, name)
		Expect(server.Opens(ctx, name, "chosen")).To(Succeed(), "the password was changed all the same")
	})

	It("is a core Secret with certificates, which the server's is checked by", func() {
		fails(sets(trusting(v1alpha1.DatabaseTLSVerifyFull, "nobody", "ca.crt")), v1alpha1.ReasonTLSFailed, "nobody", "does not exist")
		core("none", "ca.crt", "this is no certificate")
		fails(sets(trusting(v1alpha1.DatabaseTLSVerifyFull, "none", "ca.crt")), v1alpha1.ReasonTLSFailed, "ca.crt", "no certificate")
		fails(sets(trusting(v1alpha1.DatabaseTLSVerifyFull, "none", "other.crt")), v1alpha1.ReasonTLSFailed, "other.crt")
		fails(sets(func(r *v1alpha1.SecretRotation) { r.Postgres.TLS = nil }), v1alpha1.ReasonTLSFailed)
		core("ca", "ca.crt", string(server.CA))
		Expect(sets(trusting(v1alpha1.DatabaseTLSVerifyFull, "ca", "ca.crt"))).To(Succeed())
		Expect(server.Opens(ctx, name, "hunter2")).To(Succeed())
	})

	It("is a server that answers", func() {
		put(s, "AWSCURRENT", value(name, "chosen", func(m map[string]any) { m["port"] = 1 }))
		put(s, "AWSPENDING", value(name, "hunter2", func(m map[string]any) { m["port"] = 1 }))
		fails(sets(func(*v1alpha1.SecretRotation) {}), v1alpha1.ReasonDatabaseUnreachable)
	})
})

var _ = Describe("The test of a database's configuration", func() {
	It("logs in with the version in force and as the admin, and needs no pending version", func() {
		name := user()
		admin("admin")
		s := secret("db", byAdmin("admin"))
		put(s, "AWSCURRENT", value(name, "chosen"))
		Expect(only(service().Of(s).Verify(ctx, of(s)))).To(Succeed())
		Expect(server.Exec(ctx, "ALTER ROLE "+name+" NOLOGIN")).To(Succeed())
		fails(only(service().Of(s).Verify(ctx, of(s))), v1alpha1.ReasonLoginRefused, "may not log in", "with the current version of the secret: ")
		Expect(server.Exec(ctx, "ALTER ROLE "+name+" LOGIN PASSWORD 'hunter2'")).To(Succeed())
		fails(only(service().Of(s).Verify(ctx, of(s))), v1alpha1.ReasonCredentialDrift, name, "PutSecretValue")
		Expect(server.Opens(ctx, name, "hunter2")).To(Succeed(), "a test changes nothing")
	})

	It("tells the admin's refusal from the user's", func() {
		name := user()
		put(secret("admin"), "AWSCURRENT", value(server.Admin, "hunter2"))
		s := secret("db", byAdmin("admin"))
		put(s, "AWSCURRENT", value(name, "chosen"))
		fails(only(service().Of(s).Verify(ctx, of(s))), v1alpha1.ReasonLoginRefused, "as the admin "+server.Admin)
	})

	It("finds a name that is too long for a second user", func() {
		admin("admin")
		s := secret("db", byAdmin("admin"), alternating)
		put(s, "AWSCURRENT", value("a_user_whose_name_is_as_long_as_postgresql_lets_it_be_and_no_less", "chosen"))
		fails(only(service().Of(s).Verify(ctx, of(s))), v1alpha1.ReasonInvalidCredential, "_clone", "shorter username")
	})
})

var _ = Describe("A rotation of SQL Server", func() {
	It("is refused, and no server is asked, until whoever runs the manager turns it on", func() {
		s := secret("db", func(s *v1alpha1.Secret) {
			s.Spec.Rotation = &v1alpha1.SecretRotation{Enabled: new(bool), SQLServer: &v1alpha1.DatabaseRotator{}}
		})
		for _, stage := range []string{"AWSCURRENT", "AWSPENDING"} {
			put(s, stage, value("app", stage, func(m map[string]any) { m["port"] = 1 }))
		}
		off, on := service(), service()
		off.SQLServer = false
		_, err := off.Of(s).Set(ctx, of(s))
		fails(err, v1alpha1.ReasonUnsupportedOperation, "--sqlserver-rotation")
		_, err = on.Of(s).Set(ctx, of(s))
		fails(err, v1alpha1.ReasonDatabaseUnreachable)
	})
})
