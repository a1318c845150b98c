package sqlserver

import (
	"context"
	"io"
	"slices"
	"strconv"
	"strings"

	"strongroom.dev/strongroom/internal/core/rotation"
)

// sa is the login of every server's administrator, whatever its name.
const sa = "0x01"

// login of a server.
type login struct {
	id        int
	name, sid string
	// database that its sessions open by themselves.
	database string
	// policy and expiration say that the policy of the server's system holds for its password.
	policy, expiration bool
	// own are its permissions on the server.
	own permissions
	// user and rights are what it is and may do in the session's database, nil if it is nobody there.
	user   *principal
	rights *rights
}

// ensureLogin makes or changes a login.
func (s *session) ensureLogin(ctx context.Context, of *survey, to *rotation.Credential, like string, random io.Reader) error {
	if !of.seesServer {
		return hidden("on the server")
	}
	var pattern *login
	var err error
	if like != "" {
		if pattern, err = s.ordinary(ctx, of, like); err != nil {
			return err
		}
		if pattern == nil {
			return missing(like)
		}
	}
	user, err := s.ordinary(ctx, of, to.Username)
	if err != nil {
		return err
	}
	if err := of.foreign(user, to.Username); err != nil {
		return err
	}
	if user == nil {
		user = &login{name: to.Username}
		if err := s.createLogin(ctx, to.Username, pattern, random); err != nil {
			return err
		}
	}
	if err := s.admit(ctx, of, user, pattern); err != nil {
		return err
	}
	return s.exec(ctx, "ALTER LOGIN "+identifier(user.name)+" WITH PASSWORD = "+literal(string(to.Password.Reveal())))
}

// foreign says that the database has another principal of the name, as after it was restored on another server.
func (s *survey) foreign(user *login, username string) error {
	if s.user == nil || user != nil && (user.user != nil || user.sid == s.user.sid) {
		return nil
	}
	return rotation.Because(rotation.ErrInvalid, "database %s has a user %s that is not the login's, for example since it was restored from another server: "+
		"ALTER USER %s WITH LOGIN = %s, or drop it", s.database, username, identifier(username), identifier(username))
}

// createLogin makes a login whose password nobody knows.
func (s *session) createLogin(ctx context.Context, name string, pattern *login, random io.Reader) error {
	password, err := unknown(random)
	if err != nil {
		return err
	}
	defer password.Wipe()
	statement := "CREATE LOGIN " + identifier(name) + " WITH PASSWORD = " + literal(string(password.Reveal()))
	if pattern != nil {
		if pattern.database != "" {
			statement += ", DEFAULT_DATABASE = " + identifier(pattern.database)
		}
		statement += ", CHECK_EXPIRATION = " + keyword(pattern.expiration) + ", CHECK_POLICY = " + keyword(pattern.policy)
	}
	return s.exec(ctx, statement)
}

// admit gives a login its user in the database, and what the pattern may do there and on the server.
func (s *session) admit(ctx context.Context, of *survey, user, pattern *login) error {
	if pattern == nil {
		if user.user == nil && of.database != defaultDatabase { // which everybody may open
			return s.exec(ctx, "CREATE USER "+identifier(user.name)+" FOR LOGIN "+identifier(user.name))
		}
		return nil
	}
	if err := s.handOnServer(ctx, user, pattern); err != nil || pattern.user == nil {
		return err
	}
	if user.user == nil {
		statement := "CREATE USER " + identifier(user.name) + " FOR LOGIN " + identifier(user.name)
		if pattern.user.schema != "" {
			statement += " WITH DEFAULT_SCHEMA = " + identifier(pattern.user.schema)
		}
		if err := s.exec(ctx, statement); err != nil {
			return err
		}
		user.user, user.rights = &principal{name: user.name}, &rights{}
	}
	return s.handOn(ctx, user.user, pattern.user.schema, user.rights, pattern.rights)
}

// handOnServer gives a login the permissions on the server of another.
func (s *session) handOnServer(ctx context.Context, user, pattern *login) error {
	held := user.own
	if user.id == 0 { // CREATE LOGIN grants it
		held = permissions{{class: classServer, name: "CONNECT SQL"}: granted}
	}
	for _, statement := range changes(pattern.own, held, user.name) {
		// They are changed in master alone (error 4621).
		if err := s.exec(ctx, "EXECUTE master.sys.sp_executesql "+literal(statement)); err != nil {
			return err
		}
	}
	return nil
}

// ordinary is a login, nil if there is none. One that has more rights than an application needs is ErrPermission.
func (s *session) ordinary(ctx context.Context, of *survey, username string) (*login, error) {
	answer, err := s.query(ctx, queryLogin(username), 1)
	if err != nil {
		return nil, err
	}
	l, err := parseLogin(answer[0])
	if err != nil || l == nil {
		return nil, err
	}
	answer, err = s.query(ctx, queryServerRights(l.id, l.sid), 4)
	if err != nil {
		return nil, err
	}
	for n, says := range []string{0: "is a member of the server's role ", 2: "owns the server's role "} {
		if says != "" && len(answer[n]) > 0 {
			return nil, tooMuch(l.name, "", because(says+answer[n][0][0]))
		}
	}
	if l.own, err = parseServerPermissions(answer[1]); err != nil {
		return nil, tooMuch(l.name, "", err)
	}
	databases, err := parseDatabases(answer[3], l.name)
	if err != nil {
		return nil, err
	}
	return l, s.everywhere(ctx, of, l, databases)
}

// everywhere looks for the login's users in all databases, and keeps what it may do in the session's.
func (s *session) everywhere(ctx context.Context, of *survey, l *login, databases []string) error {
	if !slices.Contains(databases, of.database) {
		return rotation.Because(rotation.ErrServer, "it does not tell its databases")
	}
	answer, err := s.query(ctx, queryUsers(databases, l.sid), len(databases))
	if err != nil {
		return err
	}
	for n, d := range databases {
		if len(answer[n]) == 0 {
			continue
		}
		user, err := parseUser(answer[n], l)
		if err != nil {
			return err
		}
		held, err := s.rights(ctx, d, l.name, user.id)
		if err != nil {
			return err
		}
		if d == of.database {
			l.user, l.rights = user, held
		}
	}
	return nil
}

func parseUser(rows []row, l *login) (*principal, error) {
	if len(rows) != 1 || len(rows[0]) != 3 {
		return nil, rotation.Because(rotation.ErrServer, "its answer about a user is not understood")
	}
	id, err := strconv.Atoi(rows[0][0])
	if err != nil {
		return nil, rotation.Because(rotation.ErrServer, "its answer about a user is not understood")
	}
	return &principal{id: id, name: rows[0][1], schema: rows[0][2], kind: typeSQL, sid: l.sid}, nil
}

// parseLogin reads a login, nil if there is none. One whose password is not all there is to it is ErrInvalid.
func parseLogin(rows []row) (*login, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	r := rows[0]
	if len(rows) > 1 || len(r) != 8 {
		return nil, rotation.Because(rotation.ErrServer, "its answer about a login is not understood")
	}
	l := &login{name: r[1], sid: r[3], database: r[5], policy: r[6] == "1", expiration: r[7] == "1"}
	var err error
	if l.id, err = strconv.Atoi(r[0]); err != nil || !isSID(l.sid) {
		return nil, rotation.Because(rotation.ErrServer, "its answer about a login is not understood")
	}
	switch {
	case l.id == 1 || l.sid == sa:
		return nil, tooMuch(l.name, "", because("is the server's administrator sa"))
	case strings.HasPrefix(l.name, "##"):
		return nil, tooMuch(l.name, "", because("is one of the server's own"))
	case strings.TrimSpace(r[2]) != typeSQL:
		return nil, rotation.Because(rotation.ErrInvalid, "%s is no login of SQL Server's own (type %s): it has no password there, but comes from Windows, Entra ID or a certificate, "+
			"or is a role", l.name, strings.TrimSpace(r[2]))
	case r[4] != "0":
		return nil, rotation.Because(rotation.ErrInvalid, "the login %s is disabled, and stays so with another password: ALTER LOGIN %s ENABLE", l.name, identifier(l.name))
	}
	return l, nil
}

// parseDatabases reads the databases that are online. One that the login owns, or in which an admin does not see its rights, is ErrPermission.
func parseDatabases(rows []row, user string) (out []string, err error) {
	for _, r := range rows {
		switch {
		case len(r) != 4:
			return nil, rotation.Because(rotation.ErrServer, "its answer about databases is not understood")
		case r[1] != "0":
			return nil, tooMuch(user, r[0], because("is the owner"))
		case r[2] != "1" || r[3] != "1":
			return nil, hidden("in database " + r[0])
		}
		out = append(out, r[0])
	}
	return out, nil
}

// because is what a user is that it may not be.
type because string

func (b because) Error() string { return string(b) }
