package rotation_test

import (
	"context"
	"errors"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"go.mongodb.org/mongo-driver/v2/bson"

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
	mongoDB    = &database{engine: "mongo", rotator: func(r *v1alpha1.SecretRotation) **v1alpha1.DatabaseRotator { return &r.MongoDB }}
	sqlServer  = &database{engine: "sqlserver", rotator: func(r *v1alpha1.SecretRotation) **v1alpha1.DatabaseRotator { return &r.SQLServer }}
	// engines are all of them, and db is the one in use.
	engines = []*database{postgreSQL, mariaDB, redis, mongoDB, sqlServer}
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
	f, err := databases.StartMongoDB(ctx)
	Expect(err).NotTo(HaveOccurred())
	roles, err := databases.NewRoles(f)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(roles.Close)
	mongoDB.serve(&mongo{f, roles})
	q, err := databases.StartSQLServer(ctx)
	Expect(err).NotTo(HaveOccurred())
	sqlServer.serve(q)
	for _, d := range engines {
		DeferCleanup(d.server.Stop)
		d.proxy, err = databases.NewProxy(d.server.Address())
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(d.proxy.Close)
	}
}

// mongo is a FerretDB behind what it lacks of MongoDB.
type mongo struct {
	*databases.MongoDB
	roles *databases.Roles
}

// Address is where the proxy finds it.
func (m *mongo) Address() string { return m.roles.Address() }

// serve takes a server of MariaDB, Redis, MongoDB or SQL Server, and says how its users are changed.
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
	case *mongo:
		d.admin, d.password, d.ca = s.Admin, s.Password, s.CA
		d.start = func() error { return s.Start(ctx) }
		d.identify = func(user, password string) error { return s.Identify(ctx, user, password) }
		d.drop = func(user string) error { return s.Do(ctx, "shop", bson.D{{Key: "dropUser", Value: user}}) }
		d.disarm = func() error { s.roles.Disarm(); return nil }
		d.arm = func() error { s.roles.Arm(); return nil }
	case *databases.SQLServer:
		d.serveSQLServer(s)
	}
}

func (d *database) serveSQLServer(s *databases.SQLServer) {
	d.admin, d.password, d.ca = s.Admin, s.Password, s.CA
	d.start = func() error { return s.Start(ctx) }
	change := func(f func(*databases.SQLCatalog)) error { s.Change(f); return nil }
	d.identify = func(user, password string) error {
		return change(func(c *databases.SQLCatalog) {
			c.Login(user, password)
			c.User("shop", user)
		})
	}
	d.drop = func(user string) error {
		return change(func(c *databases.SQLCatalog) {
			delete(c.Logins, user)
			delete(c.Databases["shop"].Principals, user)
		})
	}
	d.disarm = func() error {
		return change(func(c *databases.SQLCatalog) { delete(c.Logins[s.Admin].Rights, "ALTER ANY LOGIN") })
	}
	d.arm = func() error {
		return change(func(c *databases.SQLCatalog) { c.Logins[s.Admin].Rights["ALTER ANY LOGIN"] = true })
	}
}
