package sqlserver

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"strongroom.dev/strongroom/internal/core/rotation"
)

// fixedRoles of a database that an application may have. The others change users and rights, copy the database away, or make triggers on its DDL, which run
// as whoever does that: an admin.
// https://learn.microsoft.com/en-us/sql/relational-databases/security/authentication-access/database-level-roles
var fixedRoles = []string{"db_datareader", "db_datawriter", "db_denydatareader", "db_denydatawriter"}

// onDatabase are the permissions on a database that an application may have: they reach its data, and no users and rights.
// https://learn.microsoft.com/en-us/sql/relational-databases/security/permissions-database-engine
var onDatabase = []string{
	"CONNECT", "SELECT", "INSERT", "UPDATE", "DELETE", "EXECUTE", "REFERENCES", "VIEW DEFINITION", "VIEW DATABASE STATE", "VIEW DATABASE PERFORMANCE STATE",
	"SHOWPLAN", "UNMASK", "SUBSCRIBE QUERY NOTIFICATIONS", "CREATE TABLE", "CREATE VIEW", "CREATE PROCEDURE", "CREATE FUNCTION", "CREATE SYNONYM", "CREATE TYPE",
	"CREATE XML SCHEMA COLLECTION", "CREATE DEFAULT", "CREATE RULE", "CREATE QUEUE", "VIEW ANY COLUMN MASTER KEY DEFINITION", "VIEW ANY COLUMN ENCRYPTION KEY DEFINITION",
}

// onServer are those on a server.
var onServer = []string{"CONNECT SQL", "VIEW ANY DATABASE"}

// system are the server's own databases. A right in one of them is one over the server.
var system = []string{"master", "model", "msdb", "tempdb"}

// rights of a user in a database.
type rights struct {
	// own are the permissions of the user itself, and roles those that it is a member of by itself.
	own   permissions
	roles []string
}

// rights reads what a user may do in a database. More than an application needs is ErrPermission.
func (s *session) rights(ctx context.Context, database, user string, id int) (*rights, error) {
	answer, err := s.query(ctx, queryRoles(database, id), 1)
	if err != nil {
		return nil, err
	}
	out, ids := &rights{}, []int{id}
	for _, r := range answer[0] {
		role, err := parseRole(r)
		if err == nil {
			err = role.check()
		}
		if err != nil {
			return nil, tooMuch(user, database, err)
		}
		ids = append(ids, role.id)
		if role.direct {
			out.roles = append(out.roles, role.name)
		}
	}
	answer, err = s.query(ctx, queryRights(database, ids), 2)
	if err != nil {
		return nil, err
	}
	if len(answer[0]) > 0 {
		return nil, tooMuch(user, database, fmt.Errorf("owns the role %s", answer[0][0][0]))
	}
	if out.own, err = parseDatabasePermissions(answer[1], id); err != nil {
		return nil, tooMuch(user, database, err)
	}
	if slices.Contains(system, strings.ToLower(database)) && !out.none() {
		return nil, tooMuch(user, database, fmt.Errorf("has rights in a database of the server's own"))
	}
	slices.Sort(out.roles)
	return out, nil
}

// none says that a user may open the database and nothing more.
func (r *rights) none() bool {
	for s := range r.own {
		if s != (securable{name: "CONNECT"}) {
			return false
		}
	}
	return len(r.roles) == 0
}

// tooMuch says why a user is not changed.
func tooMuch(user, database string, why error) error {
	where := ""
	if database != "" {
		where = " in database " + database
	}
	return rotation.Because(rotation.ErrPermission, "user %s %w%s; an admin's rights are not used to change it: take that from it, or rotate it with its own secret "+
		"and without adminSecretRef", user, why, where)
}

// role that a user is a member of, by itself or by another role.
type role struct {
	id            int
	name          string
	fixed, direct bool
}

func parseRole(r row) (role, error) {
	if len(r) != 4 {
		return role{}, errUnderstood
	}
	id, err := strconv.Atoi(r[0])
	if err != nil {
		return role{}, errUnderstood
	}
	return role{id: id, name: r[1], fixed: r[2] != "0", direct: r[3] == "1"}, nil
}

func (r role) check() error {
	if r.fixed && !slices.Contains(fixedRoles, r.name) {
		return fmt.Errorf("is a member of %s, more than an application needs", r.name)
	}
	return nil
}

// errUnderstood says that an answer is of another form than asked for.
var errUnderstood = fmt.Errorf("has rights that are not understood here")

// parseDatabasePermissions checks permissions of a user and its roles, and returns those of the user itself.
func parseDatabasePermissions(rows []row, user int) (permissions, error) {
	out := permissions{}
	for _, r := range rows {
		if len(r) != 8 {
			return nil, errUnderstood
		}
		class, err := strconv.Atoi(r[1])
		if err != nil || !isPermission(r[2]) {
			return nil, errUnderstood
		}
		s := securable{class: class, name: r[2], schema: r[5], object: r[6], column: r[7]}
		if err := s.check(r[3], r[4]); err != nil {
			return nil, err
		}
		if r[0] == strconv.Itoa(user) {
			out[s] = strongest(out[s], r[3])
		}
	}
	return out, nil
}

// strongest is what counts of a permission that several have given: a denial before all, then the right to hand it on.
func strongest(a, b string) string {
	for _, state := range []string{denied, grantable, granted} {
		if a == state || b == state {
			return state
		}
	}
	return b
}

// check says whether an application may have a permission in a database. minor is the column's number, 0 for none.
func (s securable) check(state, minor string) error {
	if !slices.Contains([]string{granted, grantable, denied, revoked}, state) {
		return errUnderstood
	}
	switch {
	case s.class == classDatabase && (state == denied || slices.Contains(onDatabase, s.name)):
		return nil
	case s.class == classDatabase:
		return fmt.Errorf("has %s on the whole database, more than an application needs", s.name)
	case !slices.Contains([]int{classObject, classSchema, classType, classXMLSchemaCollection}, s.class):
		return fmt.Errorf("has %s on a user, a key, a certificate or the like (class %d), which is not looked into", s.name, s.class)
	case !s.named(minor != "0"):
		return errUnderstood
	}
	if state != denied && (strings.EqualFold(s.schema, "sys") || strings.EqualFold(s.schema, "INFORMATION_SCHEMA")) {
		return fmt.Errorf("has %s on an object of the server's own", s.name)
	}
	return nil
}

// named says whether all names are there that a statement about it needs. of tells that it is on a column.
func (s securable) named(of bool) bool {
	return s.schema != "" && (s.object != "") == (s.class != classSchema) && (s.column != "") == (of && s.class == classObject)
}

// parseServerPermissions checks permissions of a login.
func parseServerPermissions(rows []row) (permissions, error) {
	out := permissions{}
	for _, r := range rows {
		if len(r) != 3 || !isPermission(r[1]) {
			return nil, errUnderstood
		}
		fine := r[0] == strconv.Itoa(classServer) && (r[2] == denied || r[2] == granted && slices.Contains(onServer, r[1]))
		if !fine {
			return nil, fmt.Errorf("has %s on the server (class %s), more than an application needs", r[1], r[0])
		}
		s := securable{class: classServer, name: r[1]}
		out[s] = strongest(out[s], r[2])
	}
	return out, nil
}
