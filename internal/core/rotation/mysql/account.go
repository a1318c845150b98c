package mysql

import (
	"context"
	"crypto/sha1" //nolint:gosec // what mysql_native_password stores
	"crypto/sha512"
	"database/sql/driver"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"filippo.io/edwards25519"
	"github.com/go-sql-driver/mysql"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

const (
	native      = "mysql_native_password"
	ed25519     = "ed25519"
	maximumRows = 1000
)

// settable are the plugins whose passwords a statement sets.
var settable = []string{native, ed25519, "caching_sha2_password", "sha256_password"}

// session is a connection to a server.
type session struct {
	conn    driver.Conn
	mariadb bool
}

// account of a server: a user as far as it comes from a host.
type account struct {
	username, host string
	plugin         string
	// tls says that it has to come over TLS.
	tls    bool
	grants []grant
}

// of is an account of another name that is like this one and has no grants yet.
func (a *account) of(username string) *account {
	return &account{username: username, host: a.host, plugin: a.plugin, tls: a.tls}
}

// name is the account's in a statement.
func (a *account) name() string { return literal(a.username) + "@" + literal(a.host) }

// introduce asks the server which it is, and whom it takes the user for.
func (s *session) introduce(ctx context.Context, username string) error {
	rows, err := s.query(ctx, "SELECT CURRENT_USER(), VERSION()")
	if err != nil {
		return err
	}
	if len(rows) != 1 || len(rows[0]) != 2 {
		return rotation.Because(rotation.ErrServer, "it does not say which version it is")
	}
	as := rows[0][0]
	if at := strings.LastIndexByte(as, '@'); at < 0 || as[:at] != username {
		return rotation.Because(rotation.ErrInvalid, "the server takes user %s for another: an anonymous account, a proxy or a server that skips its grant tables proves no password",
			username)
	}
	s.mariadb = strings.Contains(rows[0][1], "MariaDB")
	return nil
}

// ordinary is the account of a user, nil if there is none. One that has more rights than an application needs is ErrPermission.
func (s *session) ordinary(ctx context.Context, username string) (*account, error) {
	rows, err := s.query(ctx, "SELECT Host, plugin, ssl_type FROM mysql.user WHERE Host <> '' AND User = "+literal(username)) // MariaDB's roles have no host
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	if len(rows) > 1 {
		return nil, rotation.Because(rotation.ErrInvalid, "the server has %d accounts of user %s, for several hosts: keep one, for example '%s'@'%%'", len(rows), username, username)
	}
	a := &account{username: username, host: rows[0][0], plugin: rows[0][1]}
	switch rows[0][2] {
	case "":
	case "ANY":
		a.tls = true
	default:
		return nil, rotation.Because(rotation.ErrInvalid, "user %s needs a client's certificate to log in, and not a password alone", username)
	}
	if s.mariadb {
		if a.plugin, err = s.plugin(ctx, a.name()); err != nil {
			return nil, err
		}
	}
	if !slices.Contains(settable, a.plugin) {
		return nil, foreign(a.plugin)
	}
	rows, err = s.query(ctx, "SHOW GRANTS FOR "+a.name())
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		g, err := parseGrant(row[0], a)
		if err == nil {
			err = g.check()
		}
		if err != nil {
			return nil, rotation.Because(rotation.ErrPermission, "user %s %w; an admin's rights are not used to change it: take that from it, or rotate it with its own secret and without adminSecretRef",
				username, err)
		}
		a.grants = append(a.grants, g)
	}
	return a, nil
}

func foreign(plugin string) error {
	return rotation.Because(rotation.ErrInvalid, "the user logs in by plugin %q, of which no password can be set", plugin)
}

// plugin is what MariaDB checks an account's password with. An account that has several ways to log in is ErrInvalid: setting a password
// would take the others away.
func (s *session) plugin(ctx context.Context, name string) (string, error) {
	rows, err := s.query(ctx, "SHOW CREATE USER "+name)
	if err != nil {
		return "", err
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return "", rotation.Because(rotation.ErrServer, "it does not say how the user logs in")
	}
	plugin, err := pluginOf(rows[0][0])
	if err == nil && plugin != native && plugin != ed25519 {
		err = foreign(plugin)
	}
	return plugin, err
}

// create makes an account whose password nobody knows.
func (s *session) create(ctx context.Context, a *account, random io.Reader) error {
	bytes, err := secretbytes.Random(random, 24)
	if err != nil {
		return rotation.Because(rotation.ErrServer, "no random bytes")
	}
	defer bytes.Wipe()
	unknown := secretbytes.Own([]byte("Aa1!" + base64.RawURLEncoding.EncodeToString(bytes.Reveal()))) // has what rules ask for
	defer unknown.Wipe()
	if a.plugin == "" && s.mariadb {
		a.plugin = native
	}
	return s.identify(ctx, "CREATE USER ", a, unknown)
}

// identify gives an account a password, and makes it if that is the statement.
func (s *session) identify(ctx context.Context, statement string, a *account, password secretbytes.Bytes) error {
	create := strings.HasPrefix(statement, "CREATE")
	statement += a.name() + " IDENTIFIED "
	switch {
	case s.mariadb:
		stored, err := verifier(a.plugin, password)
		if err != nil {
			return err
		}
		statement += "VIA " + a.plugin + " USING " + literal(stored)
	case a.plugin != "" && create:
		statement += "WITH " + literal(a.plugin) + " BY " + literal(string(password.Reveal()))
	default:
		statement += "BY " + literal(string(password.Reveal()))
	}
	if create && a.tls {
		statement += " REQUIRE SSL"
	}
	return s.exec(ctx, statement)
}

// verifier is what MariaDB stores of a password.
// https://mariadb.com/kb/en/authentication-plugin-mysql_native_password/ https://mariadb.com/kb/en/authentication-plugin-ed25519/
func verifier(plugin string, password secretbytes.Bytes) (string, error) {
	switch plugin {
	case native:
		once := sha1.Sum(password.Reveal()) //nolint:gosec // the plugin's own
		twice := sha1.Sum(once[:])          //nolint:gosec // the plugin's own
		clear(once[:])
		return "*" + strings.ToUpper(hex.EncodeToString(twice[:])), nil
	case ed25519:
		hash := sha512.Sum512(password.Reveal())
		defer clear(hash[:])
		scalar, err := edwards25519.NewScalar().SetBytesWithClamping(hash[:32])
		if err != nil {
			return "", rotation.Because(rotation.ErrServer, "the password cannot be hashed")
		}
		return base64.RawStdEncoding.EncodeToString(new(edwards25519.Point).ScalarBaseMult(scalar).Bytes()), nil
	}
	return "", foreign(plugin)
}

func (s *session) exec(ctx context.Context, statement string) error {
	c, ok := s.conn.(driver.ExecerContext)
	if !ok {
		return rotation.Because(rotation.ErrServer, "the driver takes no statements")
	}
	_, err := c.ExecContext(ctx, statement, nil)
	return s.reason(ctx, err)
}

// reason looks behind the error that a statement about users ends with in MariaDB: what was wrong with one of them is among the warnings.
func (s *session) reason(ctx context.Context, err error) error {
	var refused *mysql.MySQLError
	if !errors.As(err, &refused) || refused.Number != cannotUser {
		return causeOf(err)
	}
	warnings, _ := s.query(ctx, "SHOW WARNINGS")
	for _, w := range warnings {
		if number, unread := strconv.ParseUint(w[1], 10, 16); unread == nil && number != cannotUser {
			return causeOf(&mysql.MySQLError{Number: uint16(number), Message: w[2]})
		}
	}
	return causeOf(err)
}

// query reads all rows as text.
func (s *session) query(ctx context.Context, statement string) (out [][]string, err error) {
	c, ok := s.conn.(driver.QueryerContext)
	if !ok {
		return nil, rotation.Because(rotation.ErrServer, "the driver takes no statements")
	}
	rows, err := c.QueryContext(ctx, statement, nil)
	if err != nil {
		return nil, causeOf(err)
	}
	defer func() { _ = rows.Close() }()
	values := make([]driver.Value, len(rows.Columns()))
	for {
		err := rows.Next(values)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, causeOf(err)
		}
		if len(out) == maximumRows {
			return nil, rotation.Because(rotation.ErrInvalid, "the user has over %d grants", maximumRows)
		}
		row := make([]string, len(values))
		for n, v := range values {
			row[n] = text(v)
		}
		out = append(out, row)
	}
}

func text(v driver.Value) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []byte:
		return string(v)
	}
	return fmt.Sprint(v)
}

// literal quotes a string. Sessions have no sql_mode that gives a backslash another meaning.
func literal(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", "''", "\x00", `\0`).Replace(text) + "'"
}

func identifier(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }
