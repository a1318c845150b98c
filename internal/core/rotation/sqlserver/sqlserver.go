// Package sqlserver changes passwords of logins of Microsoft SQL Server, of version 2014 and later, and of users of contained databases.
package sqlserver

import (
	"context"
	"io"
	"time"

	"github.com/microsoft/go-mssqldb/msdsn"

	"strongroom.dev/strongroom/internal/core/rotation"
)

const (
	// maximumUsername is sysname's limit in UTF-16 units, and so never less than a name has in bytes.
	// https://learn.microsoft.com/en-us/sql/relational-databases/databases/database-identifiers
	maximumUsername = 128
	// maximumPassword is in UTF-16 units. https://learn.microsoft.com/en-us/sql/relational-databases/security/strong-passwords
	maximumPassword = 128
	defaultPort     = 1433
	// defaultDatabase is AWS's, and not the login's own.
	defaultDatabase = "master"
	// timeout of one call, connection included.
	timeout = 10 * time.Second
	// maximumRead of a connection in bytes.
	maximumRead = 4 << 20
)

// Engine is a rotation.Engine for Microsoft SQL Server.
type Engine struct {
	TLS rotation.TLS
	// Random is crypto/rand if nil.
	Random io.Reader
}

// MaximumUsername is the length of a name in bytes.
func (Engine) MaximumUsername() int { return maximumUsername }

// Scope is the database that a value names, or else master: users of contained databases are another's in each, and an admin acts in it.
func (Engine) Scope(c *rotation.Credential) string {
	if c.Database == "" {
		return defaultDatabase
	}
	return c.Database
}

// Login logs in and has the server open the database.
func (e Engine) Login(ctx context.Context, c *rotation.Credential) error {
	return e.with(ctx, c, e.Scope(c), func(context.Context, *session) error { return nil })
}

// SetPassword has a login, or a user of a contained database, change its own password, as each may who tells the one it has.
//
// The passwords are told as they are: hashed ones are taken of whoever has CONTROL SERVER alone. SQL Server masks statements that set
// passwords where it traces them. https://learn.microsoft.com/en-us/sql/t-sql/statements/alter-login-transact-sql
func (e Engine) SetPassword(ctx context.Context, as, to, _ *rotation.Credential) error {
	if err := check(as, to); err != nil {
		return err
	}
	return e.with(ctx, as, e.Scope(as), func(ctx context.Context, s *session) error {
		name, contained, err := s.myself(ctx, as.Username)
		if err != nil {
			return err
		}
		kind := "LOGIN "
		if contained {
			kind = "USER "
		}
		return s.exec(ctx, "ALTER "+kind+identifier(name)+" WITH PASSWORD = "+literal(string(to.Password.Reveal()))+
			" OLD_PASSWORD = "+literal(string(as.Password.Reveal())))
	})
}

// EnsureUser makes a login and its user of the database, or a user of a contained database, or changes its password. One like another
// gets, each time, that one's roles and permissions in the database, and what it has beyond them is taken from it.
//
// Crash-safe by its order: a new login has a password that nobody knows until its rights are there, and setting the password is last.
//
// One that has more rights than an application needs, in whatever database, is not changed: who may write the secret that names it must
// not become it.
func (e Engine) EnsureUser(ctx context.Context, admin, to *rotation.Credential, like string) error {
	if err := check(admin, to); err != nil {
		return err
	}
	if err := checkName(like); err != nil {
		return err
	}
	return e.with(ctx, admin, e.Scope(to), func(ctx context.Context, s *session) error {
		of, err := s.survey(ctx, to.Username, like)
		if err != nil {
			return err
		}
		contained, err := of.contained(to.Username, like)
		if err != nil {
			return err
		}
		if contained {
			return s.ensureContained(ctx, of, to, like, e.Random)
		}
		return s.ensureLogin(ctx, of, to, like, e.Random)
	})
}

// with connects, calls f and disconnects.
func (e Engine) with(ctx context.Context, c *rotation.Credential, database string, f func(context.Context, *session) error) (err error) {
	if err := check(c); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer func() {
		if recover() != nil { // the driver trusts lengths that a server tells
			err = rotation.Because(rotation.ErrServer, "what answers does not speak SQL Server's protocol as it should")
		}
	}()
	s, err := connect(ctx, e.config(c, database))
	if err != nil {
		return err
	}
	defer s.close()
	return f(ctx, s)
}

// config takes nothing from the process's environment, looks for no instances and names nobody to Active Directory.
func (e Engine) config(c *rotation.Credential, database string) msdsn.Config {
	port := c.Port
	if port == 0 {
		port = defaultPort
	}
	config := msdsn.Config{
		Host: c.Host, Port: uint64(port), Database: database, User: c.Username, Password: string(c.Password.Reveal()),
		Protocols: []string{"tcp"}, Encryption: msdsn.EncryptionRequired, TLSConfig: e.TLS.Config(c.Host), HostInCertificateProvided: true,
		Workstation: "strongroom", AppName: "strongroom", ServerSPN: "none", DisableRetry: true, NoTraceID: true,
		Encoding: msdsn.EncodeParameters{Timezone: time.UTC},
	}
	if config.TLSConfig == nil {
		// A server that insists on TLS would get it, with no certificate asked for.
		config.Encryption, config.TLSConfig = msdsn.EncryptionDisabled, noTLS()
	}
	return config
}
