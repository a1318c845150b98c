package postgres

import (
	"errors"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"strongroom.dev/strongroom/internal/core/rotation"
)

// causes by SQLSTATE, or by its class of two characters. https://www.postgresql.org/docs/current/errcodes-appendix.html
var causes = map[string]struct {
	cause error
	text  string
}{
	"28P01": {rotation.ErrRefused, "the password is not the user's"},
	"28000": {rotation.ErrBarred, "the user may not log in, or not from here: see pg_hba.conf"},
	"3D000": {rotation.ErrInvalid, "the server has no database of the name in dbname"},
	"42501": {rotation.ErrPermission, "the user that acts may not do it: an admin needs CREATEROLE, and in PostgreSQL 16 ADMIN OPTION on the user"},
	"42704": {rotation.ErrInvalid, "the server has no such user"},
	"22023": {rotation.ErrPassword, "a rule of the server, such as passwordcheck"},
	"25006": {rotation.ErrInvalid, "the server is a replica that is read only: host names the primary"},
	"53":    {rotation.ErrUnreachable, "the server has no resources left, such as connections"},
	"57":    {rotation.ErrUnreachable, "the server is starting or shutting down, or ended the connection"},
	"08":    {rotation.ErrUnreachable, "the connection broke"},
}

// isCode tells whether a text is an SQLSTATE: five digits and upper-case letters.
var isCode = regexp.MustCompile(`^[0-9A-Z]{5}$`)

// causeOf says why a statement failed, without the server's words, which may quote the statement.
func causeOf(err error) error {
	if err == nil {
		return nil
	}
	var refused *pgconn.PgError
	if !errors.As(err, &refused) {
		return rotation.Because(rotation.ErrUnreachable, "the connection broke, or the server did not answer in time")
	}
	if !isCode.MatchString(refused.Code) { // which a server can have made of a password
		return rotation.Because(rotation.ErrServer, "it answers no SQLSTATE")
	}
	known, ok := causes[refused.Code]
	if !ok {
		known, ok = causes[refused.Code[:2]]
	}
	if !ok {
		return rotation.Because(rotation.ErrServer, "SQLSTATE %q", refused.Code)
	}
	return rotation.Because(known.cause, "%s (SQLSTATE %s)", known.text, refused.Code)
}

// connectCause says why no connection was made.
func connectCause(err error) error {
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused):
		return causeOf(err)
	case rotation.IsTLS(err):
		return rotation.Because(rotation.ErrTLS, "the server's certificate is not trusted for this host, or it refuses this version of TLS")
	case strings.Contains(err.Error(), "server refused TLS connection"):
		return rotation.Because(rotation.ErrTLS, "the server has TLS turned off; mode disable connects without")
	case strings.Contains(err.Error(), "authentication method requirement"), strings.Contains(err.Error(), "require_auth"):
		return rotation.Because(rotation.ErrInvalid, "the server asks for no password, or for one in the clear over a connection that proves nothing of the server: "+
			"use scram-sha-256 in pg_hba.conf")
	}
	return rotation.Because(rotation.ErrUnreachable, "%s", rotation.Unconnected(err))
}
