package databases

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

// MongoDB is a private FerretDB server with TLS on its one port. It speaks MongoDB's protocol and has users with passwords, by SCRAM, but no
// roles: whoever logs in may do everything.
type MongoDB struct {
	*program
	// Admin is a user of database admin. Password is its and the user root's.
	Admin, Password string

	binary string
}

// StartMongoDB starts one. The caller stops it.
func StartMongoDB(ctx context.Context) (*MongoDB, error) {
	binary := os.Getenv("FERRETDB")
	if binary == "" {
		return nil, errors.New("FERRETDB is not set: run the tests by `make test`, or export FERRETDB=$(hack/ferretdb/build.sh)")
	}
	p, err := newProgram("mongodb")
	if err != nil {
		return nil, err
	}
	s := &MongoDB{program: p, Admin: "keeper", Password: "correct-horse-battery-staple", binary: binary}
	if err := os.Mkdir(filepath.Join(s.Dir, "data"), 0o700); err != nil {
		return nil, err
	}
	// The cache that the binary is in may be root's own, and the server is not root.
	if s.binary, err = s.copy(binary); err != nil {
		return nil, err
	}
	if err := s.own(); err != nil {
		return nil, err
	}
	if err := s.Start(ctx); err != nil {
		return nil, err
	}
	return s, s.Identify(ctx, s.Admin, s.Password)
}

// copy puts a program where the server's user finds it.
func (s *MongoDB) copy(binary string) (string, error) {
	to := filepath.Join(s.Dir, "ferretdb")
	if os.Link(binary, to) == nil {
		return to, nil
	}
	content, err := os.ReadFile(binary)
	if err != nil {
		return "", err
	}
	return to, os.WriteFile(to, content, 0o700)
}

// Start starts the server, after Kill.
func (s *MongoDB) Start(ctx context.Context) error {
	return s.start(ctx, func(ctx context.Context) error { return s.OpensIn(ctx, "admin", "root", s.Password) }, s.binary,
		"--handler=sqlite", "--sqlite-url=file:"+s.Dir+"/data/", "--state-dir="+s.Dir, "--listen-addr=", "--listen-tls="+s.Address(),
		"--listen-tls-cert-file="+s.Dir+"/tls.crt", "--listen-tls-key-file="+s.Dir+"/tls.key", "--debug-addr=-", "--telemetry=disable", "--log-level=ERROR",
		"--test-enable-new-auth", "--setup-database=admin", "--setup-username=root", "--setup-password="+s.Password)
}

// Kill ends it as a crash does. Its files stay.
func (s *MongoDB) Kill() error { return s.kill() }

// Stop ends it and forgets its files.
func (s *MongoDB) Stop() error { return s.stop(syscall.SIGTERM) }

// Do runs a command in a database as the user root.
func (s *MongoDB) Do(ctx context.Context, database string, command bson.D) error {
	return s.as(ctx, "admin", "root", s.Password, func(c *mongo.Client) error { return c.Database(database).RunCommand(ctx, command).Err() })
}

// Opens says whether a user logs in, of database shop, or of admin if it is the admin.
func (s *MongoDB) Opens(ctx context.Context, user, password string) error {
	database := "shop"
	if user == s.Admin {
		database = "admin"
	}
	return s.OpensIn(ctx, database, user, password)
}

// OpensIn says whether a user of a database logs in.
func (s *MongoDB) OpensIn(ctx context.Context, database, user, password string) error {
	return s.as(ctx, database, user, password, func(c *mongo.Client) error { return c.Ping(ctx, nil) })
}

// as logs in and calls f.
func (s *MongoDB) as(ctx context.Context, database, user, password string, f func(*mongo.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, err := mongo.Connect(options.Client().SetHosts([]string{s.Address()}).SetDirect(true).SetTLSConfig(s.clientTLS()).SetMaxPoolSize(1).
		SetServerMonitoringMode("poll").SetServerSelectionTimeout(time.Second).
		SetAuth(options.Credential{AuthMechanism: "SCRAM-SHA-256", AuthSource: database, Username: user, Password: password, PasswordSet: true}))
	if err != nil {
		return err
	}
	return errors.Join(f(c), c.Disconnect(ctx))
}

// Identify gives a user of database shop, or the admin, a password, and makes it if there is none.
func (s *MongoDB) Identify(ctx context.Context, user, password string) error {
	database := "shop"
	if user == s.Admin {
		database = "admin"
	}
	err := s.Do(ctx, database, bson.D{{Key: "createUser", Value: user}, {Key: "pwd", Value: password}, {Key: "roles", Value: bson.A{}}})
	var refused mongo.CommandError
	if errors.As(err, &refused) && refused.Code == 51003 {
		return s.Do(ctx, database, bson.D{{Key: "updateUser", Value: user}, {Key: "pwd", Value: password}})
	}
	return err
}
