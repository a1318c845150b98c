package sqlserver

import (
	"context"
	"io"

	"strongroom.dev/strongroom/internal/core/rotation"
)

// ensureContained makes or changes a user of a contained database.
// https://learn.microsoft.com/en-us/sql/relational-databases/security/contained-database-users-making-your-database-portable
func (s *session) ensureContained(ctx context.Context, of *survey, to *rotation.Credential, like string, random io.Reader) error {
	if !of.seesDatabase {
		return hidden("in database " + of.database)
	}
	if like != "" && of.pattern == nil {
		return missing(like)
	}
	has, wants := &rights{}, &rights{}
	var err error
	if of.pattern != nil {
		if wants, err = s.rights(ctx, of.database, like, of.pattern.id); err != nil {
			return err
		}
	}
	user := of.user
	if user != nil {
		if has, err = s.rights(ctx, of.database, user.name, user.id); err != nil {
			return err
		}
	} else {
		user = &principal{name: to.Username}
		if err := s.createUser(ctx, to.Username, of.pattern, random); err != nil {
			return err
		}
	}
	if of.pattern != nil {
		if err := s.handOn(ctx, user, of.pattern.schema, has, wants); err != nil {
			return err
		}
	}
	return s.exec(ctx, "ALTER USER "+identifier(user.name)+" WITH PASSWORD = "+literal(string(to.Password.Reveal())))
}

func (s *session) createUser(ctx context.Context, name string, pattern *principal, random io.Reader) error {
	password, err := unknown(random)
	if err != nil {
		return err
	}
	defer password.Wipe()
	statement := "CREATE USER " + identifier(name) + " WITH PASSWORD = " + literal(string(password.Reveal()))
	if pattern != nil && pattern.schema != "" {
		statement += ", DEFAULT_SCHEMA = " + identifier(pattern.schema)
	}
	return s.exec(ctx, statement)
}

// handOn gives a user of the session's database the default schema and the rights of another.
func (s *session) handOn(ctx context.Context, user *principal, schema string, has, wants *rights) error {
	if schema != "" && user.id != 0 && schema != user.schema {
		if err := s.exec(ctx, "ALTER USER "+identifier(user.name)+" WITH DEFAULT_SCHEMA = "+identifier(schema)); err != nil {
			return err
		}
	}
	held := has.own
	if user.id == 0 { // CREATE USER grants it
		held = permissions{{name: "CONNECT"}: granted}
	}
	if err := s.execAll(ctx, changes(wants.own, held, user.name)); err != nil {
		return err
	}
	return s.execAll(ctx, members(wants.roles, has.roles, user.name))
}
