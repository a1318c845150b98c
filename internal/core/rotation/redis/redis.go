// Package redis changes passwords of ACL users of Redis, of version 6 and later, and Valkey.
//
// A user may have several passwords there. A rotation adds the new one and leaves the one that is in force, so that the credential that
// workloads hold is never dead, with one user as well as with two; passwords of before that go. The server is told hashes alone.
//
// https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/
package redis

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"slices"
	"strconv"
	"time"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

const (
	// maximumUsername is nobody's limit but this one's: a line of an aclfile has to hold it.
	maximumUsername = 128
	defaultPort     = 6379
	// timeout of one call, connection included.
	timeout = 10 * time.Second
	// maximumRead of a connection in bytes.
	maximumRead = 4 << 20
)

// Engine is a rotation.Engine and a rotation.Persister for Redis and Valkey.
type Engine struct {
	TLS rotation.TLS
	// Random is crypto/rand if nil.
	Random io.Reader
}

// MaximumUsername is the length of a user's name in bytes.
func (Engine) MaximumUsername() int { return maximumUsername }

// Login logs in, and then asks whether another password would have done as well: a user with nopass takes any, and proves nothing.
func (e Engine) Login(ctx context.Context, c *rotation.Credential) error {
	return e.with(ctx, c, func(ctx context.Context, s *client) error {
		// A user that may not PING has logged in all the same.
		if _, err := s.do(ctx, "PING"); err != nil && !refusedBy(err, "NOPERM") {
			return causeOf(err)
		}
		other, err := secretbytes.Random(e.Random, 32)
		if err != nil {
			return rotation.Because(rotation.ErrServer, "no random bytes")
		}
		_, err = s.do(ctx, "AUTH", c.Username, hex.EncodeToString(other.Reveal()))
		switch {
		case err == nil:
			return rotation.Because(rotation.ErrInvalid, "user %s takes any password (nopass), which proves none: ACL SETUSER %s resetpass", c.Username, c.Username)
		case !refusedBy(err, "WRONGPASS"):
			return causeOf(err)
		}
		return nil
	})
}

// SetPassword adds to's password to its user, and takes away all others but as's, in one command. Redis lets no user change its own
// password unless it may change everybody's, so admin acts if there is one; without, the user itself, which then is one that may.
func (e Engine) SetPassword(ctx context.Context, as, to, admin *rotation.Credential) (err error) {
	actor := as
	if admin != nil {
		actor = admin
		defer func() { err = rotation.AsAdmin(admin, err) }()
	}
	return e.with(ctx, actor, func(ctx context.Context, s *client) error {
		u, err := s.user(ctx, to.Username)
		if err == nil && u == nil {
			err = missing(to.Username)
		}
		if err == nil && admin != nil {
			err = u.ordinary()
		}
		if err != nil {
			return err
		}
		return s.setUser(ctx, to.Username, u.exchange(hash(to.Password), hash(as.Password)))
	})
}

// EnsureUser makes a user, or gives it this password and no other, in one command. A user like another has that one's rules, exactly. A new
// user like nobody may do nothing but log in.
//
// A user that may change the server or its users is not changed: who may write the secret that names it must not become it.
func (e Engine) EnsureUser(ctx context.Context, admin, to *rotation.Credential, like string) error {
	return e.with(ctx, admin, func(ctx context.Context, s *client) error {
		u, err := s.user(ctx, to.Username)
		if err == nil {
			err = u.ordinary()
		}
		if err != nil {
			return err
		}
		rules := []string{"resetpass"}
		if u == nil {
			rules = []string{"on"}
		}
		if like != "" {
			pattern, err := s.user(ctx, like)
			if err == nil && pattern == nil {
				err = missing(like)
			}
			if err == nil {
				err = pattern.ordinary()
			}
			if err != nil {
				return err
			}
			rules = append([]string{"reset", "on"}, pattern.rules...)
		}
		return s.setUser(ctx, to.Username, append(rules, "#"+hash(to.Password)))
	})
}

// Persist has the server write its users to its aclfile, or if it has none to its configuration.
func (e Engine) Persist(ctx context.Context, as *rotation.Credential) (kept bool, err error) {
	err = e.with(ctx, as, func(ctx context.Context, s *client) error {
		_, err := s.do(ctx, "ACL", "SAVE")
		if says(err, "not configured to use an ACL file") {
			_, err = s.do(ctx, "CONFIG", "REWRITE")
		}
		// A service that keeps its users itself may know neither command.
		if says(err, "without a config file") || says(err, "unknown command") {
			return nil
		}
		kept = err == nil
		if refusedBy(err, "ERR") {
			return rotation.Because(rotation.ErrServer, "it cannot write its users to its aclfile or configuration: see its log, and the file's permissions")
		}
		return causeOf(err)
	})
	return kept, err
}

func missing(username string) error {
	return rotation.Because(rotation.ErrInvalid, "the server has no user %s", username)
}

// hash is what the server stores of a password.
func hash(password secretbytes.Bytes) string {
	sum := sha256.Sum256(password.Reveal())
	return hex.EncodeToString(sum[:])
}

// setUser carries out ACL SETUSER, which is all or nothing.
func (c *client) setUser(ctx context.Context, username string, rules []string) error {
	_, err := c.do(ctx, slices.Concat([]string{"ACL", "SETUSER", username}, rules)...)
	return causeOf(err)
}

// with connects, logs in, calls f and disconnects.
func (e Engine) with(ctx context.Context, c *rotation.Credential, f func(context.Context, *client) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := e.connect(ctx, c)
	if err != nil {
		return connectCause(err)
	}
	defer func() { _ = conn.Close() }()
	s := newClient(conn)
	// The password itself goes to the server, as Redis has no other way: TLS alone says to whom.
	if _, err := s.do(ctx, "AUTH", c.Username, string(c.Password.Reveal())); err != nil {
		return causeOf(err)
	}
	return f(ctx, s)
}

func (e Engine) connect(ctx context.Context, c *rotation.Credential) (net.Conn, error) {
	port := c.Port
	if port == 0 {
		port = defaultPort
	}
	conn, err := rotation.Dialer(maximumRead)(ctx, "tcp", net.JoinHostPort(c.Host, strconv.Itoa(int(port))))
	config := e.TLS.Config(c.Host)
	if err != nil || config == nil {
		return conn, err
	}
	protected := tls.Client(conn, config)
	if err := protected.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return protected, nil
}
