// Package postgres changes passwords of PostgreSQL's users, of version 10 and later.
package postgres

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"strongroom.dev/strongroom/internal/core/rotation"
)

const (
	// maximumUsername is NAMEDATALEN - 1. https://www.postgresql.org/docs/current/runtime-config-preset.html
	maximumUsername = 63
	defaultPort     = 5432
	// timeout of one call, connection included.
	timeout = 10 * time.Second
	// maximumMessage bounds what a server can make this process read.
	maximumMessage = 1 << 20
	// maximumRead bounds what it reads of one connection in all: a server may send messages without end, of which the driver keeps each parameter.
	maximumRead = 4 << 20
)

// Engine is a rotation.Engine for PostgreSQL.
type Engine struct {
	TLS rotation.TLS
	// Random is crypto/rand if nil.
	Random io.Reader
}

// MaximumUsername is the length of a role's name in bytes.
func (Engine) MaximumUsername() int { return maximumUsername }

// Login logs in and asks the server for a constant.
func (e Engine) Login(ctx context.Context, c *rotation.Credential) error {
	return e.with(ctx, c, func(ctx context.Context, conn *pgx.Conn) error {
		return causeOf(conn.Ping(ctx))
	})
}

// SetPassword has a role change its own password, as each may.
func (e Engine) SetPassword(ctx context.Context, as, to, _ *rotation.Credential) error {
	verifier, err := e.verifier(to.Password)
	if err != nil {
		return err
	}
	return e.with(ctx, as, func(ctx context.Context, conn *pgx.Conn) error {
		// A second user's sessions act as the first one (EnsureUser), who may not change the second one's password.
		if _, err := conn.Exec(ctx, "SET ROLE NONE"); err != nil {
			return causeOf(err)
		}
		return alterPassword(ctx, conn, to.Username, verifier)
	})
}

// EnsureUser makes a role that may log in, or changes its password. A role like another is a member of it, and its sessions act as
// that one, so that what either makes belongs to one owner. All of it is one transaction.
//
// A role that is a superuser, or may make roles or databases, replicate, go past row security, or reach the server's files and programs or all of its data is not changed, and neither is a
// member of such a role: who may write the secret that names it must not become it.
func (e Engine) EnsureUser(ctx context.Context, admin, to *rotation.Credential, like string) error {
	verifier, err := e.verifier(to.Password)
	if err != nil {
		return err
	}
	return e.with(ctx, admin, func(ctx context.Context, conn *pgx.Conn) error {
		tx, err := conn.Begin(ctx)
		if err != nil {
			return causeOf(err)
		}
		defer func() { _ = tx.Rollback(ctx) }() // after Commit it does nothing
		if err := ensure(ctx, tx, to.Username, verifier, like); err != nil {
			return err
		}
		return causeOf(tx.Commit(ctx))
	})
}

func ensure(ctx context.Context, tx pgx.Tx, username, verifier, like string) error {
	exists, err := ordinary(ctx, tx, username)
	if err != nil {
		return err
	}
	statement := "ALTER ROLE "
	if !exists {
		statement = "CREATE ROLE "
	}
	if _, err := tx.Exec(ctx, statement+identifier(username)+" LOGIN PASSWORD "+literal(verifier)); err != nil {
		return causeOf(err)
	}
	if like == "" {
		return nil
	}
	if liked, err := ordinary(ctx, tx, like); err != nil || !liked {
		return errors.Join(err, missing(liked, like))
	}
	for _, statement := range []string{
		"GRANT " + identifier(like) + " TO " + identifier(username),
		"ALTER ROLE " + identifier(username) + " SET role TO " + literal(like),
	} {
		if _, err := tx.Exec(ctx, statement); err != nil {
			return causeOf(err)
		}
	}
	return nil
}

func missing(there bool, username string) error {
	if there {
		return nil
	}
	return rotation.Because(rotation.ErrInvalid, "the server has no user %s whose rights the second user is to have", username)
}

// rightsQuery tells of a role whether it has more rights than an application needs, by itself or as a member of another, at any distance and inherited or not. It has no row if there is no such role.
// https://www.postgresql.org/docs/current/predefined-roles.html
const rightsQuery = `SELECT pg_catalog.bool_or(r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication OR r.rolbypassrls OR r.rolname IN
	('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files', 'pg_read_all_data', 'pg_write_all_data', 'pg_maintain', 'pg_create_subscription'))
FROM pg_catalog.pg_roles u JOIN pg_catalog.pg_roles r ON pg_catalog.pg_has_role(u.oid, r.oid, 'MEMBER') WHERE u.rolname = $1 GROUP BY u.oid`

// ordinary says whether a role exists. One that has more rights than an application needs is ErrPermission.
func ordinary(ctx context.Context, tx pgx.Tx, username string) (exists bool, err error) {
	var special bool
	err = tx.QueryRow(ctx, rightsQuery, username).Scan(&special)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return false, causeOf(err)
	case special:
		return true, rotation.Because(rotation.ErrPermission, "user %s is a superuser, or may make roles or databases, replicate, bypass row security, or reach the server's files, programs or "+
			"all data, or is a member of such a role; an admin's rights are not used to change it: rotate it with its own secret and without adminSecretRef", username)
	}
	return true, nil
}

func alterPassword(ctx context.Context, conn *pgx.Conn, username, verifier string) error {
	_, err := conn.Exec(ctx, "ALTER ROLE "+identifier(username)+" PASSWORD "+literal(verifier))
	return causeOf(err)
}

func identifier(name string) string { return pgx.Identifier{name}.Sanitize() }

// literal quotes a string that has no backslash and no NUL: a verifier, or a role's name in which both are refused.
func literal(text string) string {
	out := []byte{'\''}
	for _, b := range []byte(text) {
		if b == '\'' {
			out = append(out, '\'')
		}
		out = append(out, b)
	}
	return string(append(out, '\''))
}

// with connects, calls f and disconnects.
func (e Engine) with(ctx context.Context, c *rotation.Credential, f func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	config, err := e.config(c)
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return connectCause(err)
	}
	err = f(ctx, conn)
	_ = conn.Close(ctx) // what was done is done
	return err
}

// config takes nothing from the process's environment or its home's files.
func (e Engine) config(c *rotation.Credential) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig("host=localhost port=5432 user=none password=none dbname=none sslmode=disable passfile=/dev/null " +
		"require_auth=scram-sha-256,md5,password target_session_attrs=any connect_timeout=5")
	if err != nil {
		return nil, rotation.Because(rotation.ErrServer, "the client's configuration is refused")
	}
	config.Host, config.Port, config.Database = c.Host, c.Port, c.Database
	if config.Port == 0 {
		config.Port = defaultPort
	}
	if config.Database == "" {
		config.Database = "postgres"
	}
	config.User, config.Password = c.Username, string(c.Password.Reveal())
	config.TLSConfig, config.Fallbacks = e.TLS.Config(c.Host), nil
	if config.TLSConfig == nil || e.TLS.Mode == rotation.TLSRequire {
		config.RequireAuth = "scram-sha-256,md5" // an unproven server is not told a password
	}
	config.RuntimeParams = map[string]string{
		"application_name": "strongroom", "client_encoding": "UTF8", "standard_conforming_strings": "on", "search_path": "pg_catalog",
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec // works through PgBouncer too
	config.MaxProtocolMessageBodyLen, config.DialFunc = maximumMessage, rotation.Dialer(maximumRead)
	config.OnNotice = func(*pgconn.PgConn, *pgconn.Notice) {}
	return config, nil
}
