package rotation_test

import (
	"context"
	"errors"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"strongroom.dev/strongroom/api/v1alpha1"
	"strongroom.dev/strongroom/test/databases"
)

// program is a database's server.
type program interface {
	Address() string
	Kill() error
	Stop() error
	Opens(ctx context.Context, user, password string) error
}

// database is an engine, and a server of it that all specs share.
type database struct {
	// engine as a value names it.
	engine string
	server program
	start  func() error
	// proxy stands before the server.
	proxy *databases.Proxy
	// admin and its password, and the server's authority.
	admin, password string
	ca              []byte
	// keeps says that a user's former password stays good until the next rotation.
	keeps bool
	// rotator is the field of spec that names the engine.
	rotator func(*v1alpha1.SecretRotation) **v1alpha1.DatabaseRotator
	// identify gives a user another password, past Strongroom; drop drops it; disarm takes its rights from the admin, and arm gives them back.
	identify    func(user, password string) error
	drop        func(user string) error
	disarm, arm func() error
}

var (
	postgreSQL = &database{engine: "postgres", rotator: func(r *v1alpha1.SecretRotation) **v1alpha1.DatabaseRotator { return &r.Postgres }}
	mariaDB    = &database{engine: "mariadb", rotator: func(r *v1alpha1.SecretRotation) **v1alpha1.DatabaseRotator { return &r.MySQL }}
	redis      = &database{engine: "redis", keeps: true, rotator: func(r *v1alpha1.SecretRotation) **v1alpha1.DatabaseRotator { return &r.Redis }}
	// engines are all of them, and db is the one in use.
	engines = []*database{postgreSQL, mariaDB, redis}
	db      *database
)

// use has a spec run on a database.
func use(which *database) {
	db = which
	db.proxy.CutAt(0, false)
}

func startDatabases() {
	GinkgoHelper()
	p, err := databases.StartPostgres(ctx)
	Expect(err).NotTo(HaveOccurred())
	postgreSQL.server, postgreSQL.admin, postgreSQL.password, postgreSQL.ca = p, p.Admin, p.Password, p.CA
	m, err := databases.StartMariaDB(ctx)
	Expect(err).NotTo(HaveOccurred())
	mariaDB.serve(m)
	r, err := databases.StartRedis(ctx, databases.RedisConfigFile)
	Expect(err).NotTo(HaveOccurred())
	redis.serve(r)
	for _, d := range engines {
		DeferCleanup(d.server.Stop)
		d.proxy, err = databases.NewProxy(d.server.Address())
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(d.proxy.Close)
	}
}

// serve takes a server of MariaDB or Redis, and says how its users are changed.
func (d *database) serve(p program) {
	d.server = p
	switch s := p.(type) {
	case *databases.MariaDB:
		d.admin, d.password, d.ca = s.Admin, s.Password, s.CA
		d.start = func() error { return s.Start(ctx) }
		d.identify = func(user, password string) error {
			return errors.Join(s.Exec(ctx, fmt.Sprintf("CREATE USER IF NOT EXISTS %s", user)), s.Exec(ctx, fmt.Sprintf("ALTER USER %s IDENTIFIED BY '%s'", user, password)))
		}
		d.drop = func(user string) error { return s.Exec(ctx, "DROP USER "+user) }
		d.disarm = func() error { return s.Exec(ctx, "REVOKE CREATE USER ON *.* FROM "+s.Admin) }
		d.arm = func() error { return s.Exec(ctx, "GRANT CREATE USER ON *.* TO "+s.Admin) }
	case *databases.Redis:
		d.admin, d.password, d.ca = s.Admin, s.Password, s.CA
		d.start = func() error { return s.Start(ctx) }
		d.identify = func(user, password string) error {
			return s.Do(ctx, "ACL", "SETUSER", user, "on", "resetpass", ">"+password)
		}
		d.drop = func(user string) error { return s.Do(ctx, "ACL", "DELUSER", user) }
		d.disarm = func() error { return s.Do(ctx, "ACL", "SETUSER", s.Admin, "-acl|setuser") }
		d.arm = func() error { return s.Do(ctx, "ACL", "SETUSER", s.Admin, "+acl|setuser") }
	}
}
