package rotation_test

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/databases"
)

// What PostgreSQL's specs say in detail, the others say in short, and where they differ.
var _ = Describe("A credential of MariaDB, Redis, MongoDB or SQL Server", func() {
	others := []TableEntry{Entry("MariaDB", mariaDB), Entry("Redis", redis), Entry("MongoDB", mongoDB), Entry("SQL Server", sqlServer)}

	DescribeTable("is made by the admin, shown once it logs in, and rotated when it is asked for", func(d *database) {
		use(d)
		s := credential(v1alpha1.RotationSingleUser)
		reconcile(s)
		first := projected(s)
		Expect(first).To(HaveField("Username", username()))
		Expect(opens(first)).To(Succeed())
		var former []login
		for n := range 3 {
			former = append(former, projected(s))
			ask(s, strings.Repeat("x", n+1))
			reconcile(s)
			Expect(failing(s)).To(BeNil())
			Expect(projected(s)).NotTo(Equal(former[n]))
			Expect(opens(projected(s))).To(Succeed())
			Expect(opens(former[n]) == nil).To(Equal(d.keeps), "the former password")
			if n > 0 {
				Expect(opens(former[n-1])).NotTo(Succeed(), "the one before the former password is still good")
			}
		}
		Expect(strings.Join(world.DrainEvents(), "")).NotTo(ContainSubstring(v1alpha1.ReasonPasswordVolatile))
	}, others)

	DescribeTable("of alternating users leaves the one that workloads hold good until the next rotation", func(d *database) {
		use(d)
		s := credential(v1alpha1.RotationAlternatingUsers)
		reconcile(s)
		former := projected(s)
		for n, want := range []string{username() + "_clone", username(), username() + "_clone"} {
			ask(s, strings.Repeat("x", n+1))
			reconcile(s)
			Expect(projected(s)).To(HaveField("Username", want))
			Expect(opens(projected(s))).To(Succeed())
			Expect(opens(former)).To(Succeed(), "workloads that have not seen the new one are locked out")
			former = projected(s)
		}
	}, others)

	DescribeTable("whose passwords no stored version has is healed by the admin, and otherwise says CredentialDrift", func(d *database) {
		use(d)
		s := credential(v1alpha1.RotationSingleUser)
		reconcile(s)
		Expect(d.identify(username(), "somebody-else-set-it")).To(Succeed())
		rotator := *d.rotator(s.Spec.Rotation)
		admin := rotator.AdminSecretRef
		world.Update(s, func() { (*d.rotator(s.Spec.Rotation)).AdminSecretRef = nil })
		ask(s, "now")
		reconcile(s)
		Expect(failing(s)).To(HaveField("Reason", v1alpha1.ReasonCredentialDrift))
		world.DrainEvents()
		world.Update(s, func() { (*d.rotator(s.Spec.Rotation)).AdminSecretRef = admin })
		reconcile(s)
		Expect(failing(s)).To(BeNil())
		Expect(opens(projected(s))).To(Succeed())
		Expect(opens(login{username(), "somebody-else-set-it"})).NotTo(Succeed())
		Expect(world.DrainEvents()).To(ContainElement(ContainSubstring(v1alpha1.ReasonCredentialHealed)))
	}, others)

	// own is a credential that was put, and has no admin.
	own := func(d *database) *v1alpha1.Secret {
		GinkgoHelper()
		use(d)
		Expect(d.identify(username(), "chosen")).To(Succeed())
		s := put("db", through(), username(), "chosen")
		world.Update(s, func() {
			s.Spec.ValueFrom, s.Spec.Target = nil, &v1alpha1.SecretTarget{}
			s.Spec.Rotation = &v1alpha1.SecretRotation{}
			*d.rotator(s.Spec.Rotation) = &v1alpha1.DatabaseRotator{TLS: &v1alpha1.DatabaseTLS{Mode: v1alpha1.DatabaseTLSRequire}}
		})
		reconcile(s)
		ask(s, "now")
		reconcile(s)
		return s
	}

	DescribeTable("changes its own password without an admin", func(d *database) {
		s := own(d)
		Expect(failing(s)).To(BeNil())
		Expect(projected(s).Password).To(And(HaveLen(32), MatchRegexp(`^[^/@"'\\]*$`)))
		Expect(opens(projected(s))).To(Succeed())
		Expect(opens(login{username(), "chosen"})).NotTo(Succeed())
	}, Entry("in MariaDB", mariaDB), Entry("in SQL Server", sqlServer))

	It("is told in Redis that no user changes its own password, and what to set", func() {
		s := own(redis)
		Expect(failing(s)).To(And(HaveField("Reason", v1alpha1.ReasonPermissionDenied), HaveField("Message", ContainSubstring("adminSecretRef"))))
		Expect(opens(projected(s))).To(Succeed())
	})

	It("tells that a Redis without a file forgets the password", func() {
		memory, err := databases.StartRedis(ctx, databases.RedisMemory)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(memory.Stop)
		volatile := *redis
		volatile.serve(memory)
		volatile.proxy, err = databases.NewProxy(memory.Address())
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(volatile.proxy.Close)
		use(&volatile)
		s := credential(v1alpha1.RotationSingleUser)
		reconcile(s)
		Expect(ready(s)).To(HaveField("Status", metav1.ConditionTrue))
		Expect(world.DrainEvents()).To(ContainElement(ContainSubstring(v1alpha1.ReasonPasswordVolatile)))
	})

	It("is not lost in Redis by a restart after an answer to the write of its users' file was lost", func() {
		use(redis)
		s := credential(v1alpha1.RotationSingleUser)
		reconcile(s)
		Expect(redis.server.(*databases.Redis).Do(ctx, "ACL", "SETUSER", redis.admin, "-config|rewrite")).To(Succeed())
		ask(s, "now")
		reconcile(s)
		Expect(failing(s)).To(HaveField("Reason", v1alpha1.ReasonPermissionDenied), "the password is in memory alone, and is shown")
		Expect(redis.server.(*databases.Redis).Do(ctx, "ACL", "SETUSER", redis.admin, "+config|rewrite")).To(Succeed())
		world.Clock.Advance(6 * time.Second)
		reconcile(s)
		Expect(failing(s)).To(BeNil())
		Expect(redis.server.Kill()).To(Succeed())
		Expect(redis.start()).To(Succeed())
		Expect(opens(projected(s))).To(Succeed())
	})
})

var _ = Describe("A rotation in MariaDB, Redis, MongoDB or SQL Server that fails", func() {
	// fails breaks something, expects the reason with what is in force unchanged and no password told, mends it, and expects the next
	// attempt to finish with the password that was stored.
	fails := func(d *database, reason string, before, after func(*v1alpha1.Secret)) {
		GinkgoHelper()
		use(d)
		s := credential(v1alpha1.RotationAlternatingUsers)
		reconcile(s)
		held := projected(s)
		world.DrainEvents()
		before(s)
		ask(s, "now")
		result := reconcile(s)
		Expect(failing(s)).To(And(Not(BeNil()), HaveField("Reason", reason)))
		Expect(ready(s)).To(HaveField("Status", metav1.ConditionTrue), "the version in force is as good as before")
		Expect(result.RequeueAfter).To(BeNumerically("~", 5*time.Second, time.Second))
		all, byStage := stored(s)
		Expect(all).To(HaveLen(2), "the pending version is not stored")
		told := strings.Join(world.DrainEvents(), "\n") + failing(s).Message
		for _, l := range append(all, login{Password: d.password}) {
			Expect(told).NotTo(ContainSubstring(l.Password))
		}
		Expect(projected(s)).To(Equal(held))
		after(s)
		Expect(opens(held)).To(Succeed())
		world.Clock.Advance(6 * time.Second)
		reconcile(s)
		Expect(failing(s)).To(BeNil())
		Expect(projected(s)).To(Equal(byStage[v1alpha1.StagePending]), "another password than the one that was stored")
		Expect(opens(projected(s))).To(Succeed())
	}
	succeed := func(f func() error) func(*v1alpha1.Secret) {
		return func(*v1alpha1.Secret) { Expect(f()).To(Succeed()) }
	}

	for name, d := range map[string]*database{"MariaDB": mariaDB, "Redis": redis, "MongoDB": mongoDB, "SQL Server": sqlServer} {
		It("because "+name+" is down says so, and goes on when it is back", func() {
			fails(d, v1alpha1.ReasonDatabaseUnreachable, succeed(func() error { return d.server.Kill() }), succeed(func() error { return d.start() }))
		})
		It("because the admin's password in "+name+" is wrong says so, and goes on when it is mended", func() {
			fails(d, v1alpha1.ReasonLoginRefused, succeed(func() error { return d.identify(d.admin, "another") }), succeed(func() error { return d.identify(d.admin, d.password) }))
		})
		It("because the admin in "+name+" may not change users says so", func() {
			fails(d, v1alpha1.ReasonPermissionDenied, succeed(func() error { return d.disarm() }), succeed(func() error { return d.arm() }))
		})
		It("because the certificate of "+name+" is another's says so", func() {
			ca := func(change func(*v1alpha1.DatabaseTLS)) func(*v1alpha1.Secret) {
				return func(s *v1alpha1.Secret) { world.Update(s, func() { change((*d.rotator(s.Spec.Rotation)).TLS) }) }
			}
			var right *v1alpha1.SecretKeyReference
			fails(d, v1alpha1.ReasonTLSFailed, ca(func(t *v1alpha1.DatabaseTLS) { right, t.CASecretRef = t.CASecretRef, nil }),
				ca(func(t *v1alpha1.DatabaseTLS) { t.CASecretRef = right }))
		})
		It("because the user in "+name+" was dropped says so", func() {
			use(d)
			s := credential(v1alpha1.RotationAlternatingUsers)
			reconcile(s)
			Expect(d.drop(username())).To(Succeed())
			ask(s, "now")
			reconcile(s)
			Expect(failing(s)).To(And(HaveField("Reason", v1alpha1.ReasonInvalidCredential), HaveField("Message", ContainSubstring(username()))))
		})
	}

	It("because MariaDB checks passwords itself says so", func() {
		m := func(statement string) func(*v1alpha1.Secret) {
			return succeed(func() error { return mariaDB.server.(*databases.MariaDB).Exec(ctx, statement) })
		}
		fails(mariaDB, v1alpha1.ReasonPasswordRefused, m("INSTALL SONAME 'simple_password_check'"), m("UNINSTALL SONAME 'simple_password_check'"))
	})
})
