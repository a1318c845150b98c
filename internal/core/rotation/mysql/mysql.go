// Package mysql changes passwords of users of MySQL, of version 5.7 and later, and MariaDB, of version 10.4 and later.
package mysql

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"net"
	"strconv"
	"time"

	"github.com/go-sql-driver/mysql"

	"strongroom.dev/strongroom/internal/core/rotation"
)

const (
	// maximumUsername is MySQL's limit. MariaDB has 80. https://dev.mysql.com/doc/refman/8.4/en/user-names.html
	maximumUsername = 32
	defaultPort     = 3306
	// timeout of one call, connection included.
	timeout = 10 * time.Second
	// maximumRead of a connection, and maximumPacket of a statement, in bytes.
	maximumRead   = 4 << 20
	maximumPacket = 1 << 20
)

// Engine is a rotation.Engine for MySQL and MariaDB.
type Engine struct {
	TLS rotation.TLS
	// Random is crypto/rand if nil.
	Random io.Reader
}

// MaximumUsername is the length of a user's name.
func (Engine) MaximumUsername() int { return maximumUsername }

// Login logs in, as the account of this name and no other: an anonymous account, or a server that skips its grant tables, proves nothing.
func (e Engine) Login(ctx context.Context, c *rotation.Credential) error {
	return e.with(ctx, c, func(context.Context, *session) error { return nil })
}

// SetPassword has a user change its own password, as each may. The account is the one that the server takes it for (CURRENT_USER()).
//
// MariaDB is told what it stores of the password, for its logs of statements hold what it is told. MySQL takes passwords out of its logs.
// https://dev.mysql.com/doc/refman/8.4/en/password-logging.html
func (e Engine) SetPassword(ctx context.Context, as, to, _ *rotation.Credential) error {
	return e.with(ctx, as, func(ctx context.Context, s *session) error {
		if !s.mariadb {
			return s.exec(ctx, "ALTER USER USER() IDENTIFIED BY "+literal(string(to.Password.Reveal())))
		}
		plugin, err := s.plugin(ctx, "CURRENT_USER()")
		if err != nil {
			return err
		}
		stored, err := verifier(plugin, to.Password)
		if err != nil {
			return err
		}
		return s.exec(ctx, "SET PASSWORD = "+literal(stored)) // ALTER USER takes CREATE USER, even of one's own
	})
}

// EnsureUser makes an account, or changes its password. An account like another is made for the same hosts, asks for TLS if that one does,
// and gets its grants, each time; none are taken from it.
//
// Crash-safe by its order: a new account has a password that nobody knows until its grants are there, and setting the password is last.
//
// An account that has more rights than an application needs is not changed: who may write the secret that names it must not become it.
func (e Engine) EnsureUser(ctx context.Context, admin, to *rotation.Credential, like string) error {
	return e.with(ctx, admin, func(ctx context.Context, s *session) error {
		user, err := s.ordinary(ctx, to.Username)
		if err != nil {
			return err
		}
		pattern := &account{host: "%"}
		if like != "" {
			if pattern, err = s.ordinary(ctx, like); err != nil {
				return err
			}
			if pattern == nil {
				return rotation.Because(rotation.ErrInvalid, "the server has no user %s whose rights the second user is to have", like)
			}
		}
		if user == nil {
			user = pattern.of(to.Username)
			if err := s.create(ctx, user, e.Random); err != nil {
				return err
			}
		}
		for _, g := range pattern.grants {
			if statement := g.to(user.name()); statement != "" {
				if err := s.exec(ctx, statement); err != nil {
					return err
				}
			}
		}
		return s.identify(ctx, "ALTER USER ", user, to.Password)
	})
}

// connections is how often one is made, if a challenge is not read.
const connections = 4

// connect connects. The driver takes a zero byte at the end of MariaDB's challenge for ed25519, which is random, for the end of a text, and the rest for a malformed packet: that is one login in 256, and
// another challenge has no such end.
func connect(ctx context.Context, connector driver.Connector) (conn driver.Conn, err error) {
	for range connections {
		if conn, err = connector.Connect(ctx); !errors.Is(err, mysql.ErrMalformPkt) {
			break
		}
	}
	return conn, err
}

// with connects, calls f and disconnects.
func (e Engine) with(ctx context.Context, c *rotation.Credential, f func(context.Context, *session) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	defer func() {
		if recover() != nil { // the driver trusts lengths that a server tells
			err = rotation.Because(rotation.ErrServer, "what answers does not speak MySQL's protocol as it should")
		}
	}()
	connector, err := mysql.NewConnector(e.config(c))
	if err != nil {
		return rotation.Because(rotation.ErrServer, "the client's configuration is refused")
	}
	conn, err := connect(ctx, connector)
	if err != nil {
		return connectCause(err)
	}
	defer func() { _ = conn.Close() }() // what was done is done
	s := &session{conn: conn}
	if err := s.introduce(ctx, c.Username); err != nil {
		return err
	}
	return f(ctx, s)
}

// config takes nothing from the process's environment. The database that the value names is not opened: a password is good without.
func (e Engine) config(c *rotation.Credential) *mysql.Config {
	port := c.Port
	if port == 0 {
		port = defaultPort
	}
	config := mysql.NewConfig()
	config.User, config.Passwd = c.Username, string(c.Password.Reveal())
	config.Net, config.Addr = "tcp", net.JoinHostPort(c.Host, strconv.Itoa(int(port)))
	config.TLS = e.TLS.Config(c.Host)
	config.Timeout, config.ReadTimeout, config.WriteTimeout = timeout, timeout, timeout
	config.MaxAllowedPacket = maximumPacket
	config.DialFunc = rotation.Dialer(maximumRead)
	config.Logger = &mysql.NopLogger{}
	config.ConnectionAttributes = "program_name:strongroom"
	config.CheckConnLiveness = false
	// How statements and the server's answers quote does not depend on its configuration.
	config.Params = map[string]string{"sql_mode": "''", "sql_quote_show_create": "1"}
	// Each is off unless it is set, and is named here for whoever reads: no password in the clear for a server that asks for it so, no
	// hashes of before MySQL 4.1, no files of this process, no connection without TLS where TLS is asked for, one statement at a time.
	config.AllowCleartextPasswords, config.AllowOldPasswords, config.AllowAllFiles = false, false, false
	config.AllowFallbackToPlaintext, config.MultiStatements = false, false
	return config
}
