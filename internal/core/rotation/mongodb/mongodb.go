// Package mongodb changes passwords of users of MongoDB, of version 4.2 and later, and of servers that speak its protocol.
//
// A user belongs to a database, which dbname names: shop.keeper and admin.keeper are two users. Logins are by SCRAM-SHA-256, in which
// either side proves to the other that it has the password, or what is stored of it, and no server is told it.
//
// https://www.mongodb.com/docs/manual/core/security-scram/
package mongodb

import (
	"context"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"strongroom.dev/strongroom/internal/core/rotation"
)

const (
	// maximumUsername is nobody's limit but this one's.
	maximumUsername = 128
	defaultPort     = 27017
	// defaultDatabase is what AWS's rotation functions take where a value has no dbname.
	defaultDatabase = "admin"
	// timeout of one call, connections included.
	timeout = 10 * time.Second
	// confirmation is how long a majority of a replica set may take for a change.
	confirmation = 5 * time.Second
	// maximumRead of a connection in bytes.
	maximumRead = 4 << 20
)

// Engine is a rotation.Engine and a rotation.Scoped for MongoDB.
type Engine struct {
	TLS rotation.TLS
}

// MaximumUsername is the length of a user's name in bytes.
func (Engine) MaximumUsername() int { return maximumUsername }

// Scope is the database that a user belongs to.
func (Engine) Scope(c *rotation.Credential) string {
	if c.Database == "" {
		return defaultDatabase
	}
	return c.Database
}

// Login logs in. A server that lets anybody do without a login what users are for is refused: a password protects nothing there.
func (e Engine) Login(ctx context.Context, c *rotation.Credential) error {
	return e.with(ctx, c, func(ctx context.Context, s *server) error {
		if err := s.closed(ctx, e.Scope(c), c.Username); err != nil {
			return err
		}
		return s.as(ctx, c, func(ctx context.Context, s *session) error {
			_, err := s.run(ctx, e.Scope(c), bson.D{{Key: "ping", Value: 1}})
			return err
		})
	})
}

// SetPassword changes the password of a user that there is. MongoDB lets a user change its own only by the action changeOwnPassword, which
// no role that it brings along has for applications: so admin acts if there is one, and else the user itself.
//
// It is one command on one document: crash-safe, for it is carried out or it is not.
func (e Engine) SetPassword(ctx context.Context, as, to, admin *rotation.Credential) (err error) {
	actor := as
	if admin != nil {
		actor = admin
		defer func() { err = rotation.AsAdmin(admin, err) }()
	}
	return e.change(ctx, actor, to, func(ctx context.Context, s *session) (bson.D, error) {
		u, err := s.user(ctx, e.Scope(to), to.Username)
		if err == nil && u == nil {
			err = missing(to.Username, e.Scope(to))
		}
		if err == nil && admin != nil {
			err = u.ordinary()
		}
		if err != nil {
			return nil, err
		}
		return u.update(to.Password, u), nil
	})
}

// EnsureUser makes a user of the database that dbname names, or changes its password. A user like another has that one's roles and
// authentication restrictions, exactly. A new user like nobody has no role.
//
// It is one command on one document: crash-safe, for it is carried out or it is not.
//
// A user that may do more than work with data of databases of applications is not changed: who may write the secret that names it must
// not become it.
func (e Engine) EnsureUser(ctx context.Context, admin, to *rotation.Credential, like string) error {
	return e.change(ctx, admin, to, func(ctx context.Context, s *session) (bson.D, error) {
		u, err := s.user(ctx, e.Scope(to), to.Username)
		if err == nil {
			err = u.ordinary()
		}
		if err != nil {
			return nil, err
		}
		pattern := u
		if like != "" {
			if pattern, err = s.user(ctx, e.Scope(to), like); err == nil && pattern == nil {
				err = missing(like, e.Scope(to))
			}
			if err == nil {
				err = pattern.ordinary()
			}
			if err != nil {
				return nil, err
			}
		}
		if u == nil {
			return create(to.Username, to.Password, pattern), nil
		}
		return u.update(to.Password, pattern), nil
	})
}

// change runs the command that decide makes, as a user that may, in the database of the user that it is about.
func (e Engine) change(ctx context.Context, actor, to *rotation.Credential, decide func(context.Context, *session) (bson.D, error)) error {
	return e.with(ctx, actor, func(ctx context.Context, s *server) error {
		return s.as(ctx, actor, func(ctx context.Context, s *session) error {
			command, err := decide(ctx, s)
			if err != nil {
				return err
			}
			_, err = s.run(ctx, e.Scope(to), command)
			return err
		})
	})
}

func missing(username, database string) error {
	return rotation.Because(rotation.ErrInvalid, "the server has no user %s in database %s: dbname is the database that the user belongs to, admin if the value has none",
		username, database)
}
