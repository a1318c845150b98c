package sqlserver

import (
	"context"
	"encoding/base64"
	"io"
	"strconv"
	"strings"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

const (
	// azure is SQL Database's edition. https://learn.microsoft.com/en-us/sql/t-sql/functions/serverproperty-transact-sql
	azure = "5"
	// byDatabase is the authentication of a user that has a password of its own.
	byDatabase = "2"
	// typeSQL is a login or user of SQL Server's own.
	typeSQL = "S"
)

// myself is the user that a session is of, and whether it is of a contained database.
func (s *session) myself(ctx context.Context, username string) (name string, contained bool, err error) {
	answer, err := s.query(ctx, queryMyself, 1)
	if err != nil {
		return "", false, err
	}
	if rows := answer[0]; len(rows) == 1 && len(rows[0]) == 1 {
		return rows[0][0], true, nil
	}
	return username, false, nil
}

// survey is where an admin's session is, and the users of its database.
type survey struct {
	database string
	// cloud says that it is Azure SQL Database, isolated that the database is contained.
	cloud, isolated bool
	// seesServer and seesDatabase say that nothing of the rights is hidden from the session.
	seesServer, seesDatabase bool
	// user and pattern are the principals of the database by the names that are asked for, nil if there are none.
	user, pattern *principal
}

// principal of a database.
type principal struct {
	id     int
	name   string
	kind   string
	schema string
	sid    string
	// contained says that it has a password of its own.
	contained bool
}

func (s *session) survey(ctx context.Context, username, like string) (*survey, error) {
	answer, err := s.query(ctx, queryPlace+"; "+queryPrincipal(username)+"; "+queryPrincipal(like), 3)
	if err != nil {
		return nil, err
	}
	if len(answer[0]) != 1 || len(answer[0][0]) != 5 {
		return nil, rotation.Because(rotation.ErrServer, "it does not say which database is open")
	}
	place := answer[0][0]
	out := &survey{
		database: place[0], cloud: place[1] == azure, isolated: place[2] != "0", seesServer: place[3] == "1", seesDatabase: place[4] == "1",
	}
	if out.user, err = parsePrincipal(answer[1]); err != nil {
		return nil, err
	}
	if out.pattern, err = parsePrincipal(answer[2]); like == "" {
		out.pattern = nil
	}
	return out, err
}

func parsePrincipal(rows []row) (*principal, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	if len(rows) > 1 || len(rows[0]) != 6 {
		return nil, rotation.Because(rotation.ErrServer, "its answer about a user is not understood")
	}
	r := rows[0]
	id, err := strconv.Atoi(r[0])
	if err != nil || !isSID(r[5]) && r[5] != "" {
		return nil, rotation.Because(rotation.ErrServer, "its answer about a user is not understood")
	}
	return &principal{id: id, name: r[1], kind: strings.TrimSpace(r[2]), contained: r[3] == byDatabase, schema: r[4], sid: r[5]}, nil
}

// isSID says whether a text is a security identifier as a literal, as which it goes into statements.
func isSID(text string) bool {
	digits, ok := strings.CutPrefix(text, "0x")
	return ok && digits != "" && len(digits) <= 170 && strings.Trim(digits, "0123456789ABCDEF") == ""
}

// contained says whether it is a user of a contained database that is to be changed or made, and no login.
func (s *survey) contained(username, like string) (bool, error) {
	var withPassword, ofLogin bool
	for _, p := range []*principal{s.user, s.pattern} {
		withPassword = withPassword || p != nil && p.contained
		ofLogin = ofLogin || p != nil && !p.contained
	}
	if withPassword && ofLogin {
		return false, rotation.Because(rotation.ErrInvalid, "of the users %s and %s one is of the contained database and the other one of a login", username, like)
	}
	is := withPassword || !ofLogin && (s.isolated || s.cloud)
	if !is && s.cloud {
		return false, rotation.Because(rotation.ErrInvalid, "logins of Azure SQL Database are not changed here: make user %s one of the database (CREATE USER ... WITH PASSWORD)", username)
	}
	return is, nil
}

// unknown is a password that nobody knows, for the time until rights are there.
func unknown(random io.Reader) (secretbytes.Bytes, error) {
	bytes, err := secretbytes.Random(random, 24)
	if err != nil {
		return secretbytes.Bytes{}, rotation.Because(rotation.ErrServer, "no random bytes")
	}
	defer bytes.Wipe()
	return secretbytes.Own([]byte("Aa1!" + base64.RawURLEncoding.EncodeToString(bytes.Reveal()))), nil // has what policies ask for
}

func (s *session) execAll(ctx context.Context, statements []string) error {
	for _, statement := range statements {
		if err := s.exec(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

func missing(username string) error {
	return rotation.Because(rotation.ErrInvalid, "the server has no user %s whose rights the second user is to have", username)
}

func hidden(what string) error {
	return rotation.Because(rotation.ErrPermission, "the admin does not see all rights %s, and so not whether the user has more than an application needs: "+
		"it needs VIEW ANY DEFINITION and CONNECT ANY DATABASE on the server, or VIEW DEFINITION on a database of users of its own", what)
}
