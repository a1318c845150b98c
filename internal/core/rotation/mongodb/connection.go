package mongodb

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"strongroom.dev/strongroom/internal/core/rotation"
)

// mechanism of logins.
// https://www.mongodb.com/docs/manual/core/security-scram/
const mechanism = "SCRAM-SHA-256"

// server is one that takes changes: the one that a value names, or the primary of its replica set.
type server struct {
	engine     Engine
	host, port string
}

// session is a connection to a server, of a user or of nobody.
type session struct{ client *mongo.Client }

// with finds the server that changes are made at and calls f.
func (e Engine) with(ctx context.Context, c *rotation.Credential, f func(context.Context, *server) error) error {
	if e.Scope(c) == "$external" {
		return rotation.Because(rotation.ErrInvalid, "users of the database $external have no password in the server")
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	port := c.Port
	if port == 0 {
		port = defaultPort
	}
	s := &server{engine: e, host: c.Host, port: strconv.Itoa(int(port))}
	primary, err := s.primary(ctx)
	if err != nil {
		return err
	}
	if primary != nil {
		if again, err := primary.primary(ctx); err != nil || again != nil {
			return errors.Join(err, electing(again))
		}
		s = primary
	}
	return f(ctx, s)
}

func electing(of *server) error {
	if of == nil {
		return nil
	}
	return rotation.Because(rotation.ErrUnreachable, "the members of the replica set name different primaries")
}

// place is what a server says of its own in a replica set.
// https://www.mongodb.com/docs/manual/reference/command/hello/
type place struct {
	Writable bool   `bson:"isWritablePrimary"`
	Primary  string `bson:"primary"`
}

// primary is the server that changes are made at, nil if it is this one. It is found before anybody logs in, for a member that lags behind
// knows former passwords.
func (s *server) primary(ctx context.Context) (out *server, err error) {
	err = s.open(ctx, nil, func(ctx context.Context, session *session) error {
		answer, err := session.run(ctx, defaultDatabase, bson.D{{Key: "hello", Value: 1}})
		if err != nil {
			return err
		}
		var where place
		if bson.Unmarshal(answer, &where) != nil {
			return notUnderstood()
		}
		out, err = s.next(where)
		return err
	})
	return out, err
}

// next is where changes are made, nil if here. A server whose name no certificate proves cannot send anybody elsewhere.
func (s *server) next(where place) (*server, error) {
	if where.Writable {
		return nil, nil
	}
	host, port, err := net.SplitHostPort(where.Primary)
	switch {
	case where.Primary == "":
		return nil, rotation.Because(rotation.ErrUnreachable, "the replica set has no primary, or the server is none that takes changes")
	case err != nil || host == "":
		return nil, notUnderstood()
	case s.engine.TLS.Mode == rotation.TLSDisable || s.engine.TLS.Mode == rotation.TLSRequire:
		return nil, rotation.Because(rotation.ErrInvalid, "host names a member of a replica set that is not its primary: "+
			"name the primary, or set tls.mode verify-full or verify-ca, in which the primary that the member names proves itself too")
	}
	return &server{engine: s.engine, host: host, port: port}, nil
}

// closed refuses a server without access control: one that answers usersInfo to who has not logged in.
// https://www.mongodb.com/docs/manual/tutorial/enable-authentication/
func (s *server) closed(ctx context.Context, database, username string) error {
	return s.open(ctx, nil, func(ctx context.Context, session *session) error {
		var refused mongo.CommandError
		err := session.client.Database(database).RunCommand(ctx, bson.D{{Key: "usersInfo", Value: username}}).Err()
		switch {
		case errors.As(err, &refused):
			return nil
		case err != nil:
			return causeOf(err)
		}
		return rotation.Because(rotation.ErrInvalid, "the server runs without access control: it lets anybody change its users, so that a password protects nothing "+
			"(security.authorization: enabled)")
	})
}

// as logs in and calls f.
func (s *server) as(ctx context.Context, c *rotation.Credential, f func(context.Context, *session) error) error {
	return s.open(ctx, &options.Credential{
		AuthMechanism: mechanism, AuthSource: s.engine.Scope(c), Username: c.Username, Password: string(c.Password.Reveal()), PasswordSet: true,
	}, f)
}

// open connects, calls f and disconnects. The driver's own way is to try again for as long as it may: here the first failure of a
// connection ends the call, and says why.
func (s *server) open(ctx context.Context, who *options.Credential, f func(context.Context, *session) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	client, err := mongo.Connect(s.options(who, &dialer{server: s, broke: func(err error) { cancel(&broken{err}) }}))
	if err != nil {
		return rotation.Because(rotation.ErrInvalid, "the username or the password has characters that SCRAM does not allow (SASLprep, RFC 4013)")
	}
	err = f(ctx, &session{client})
	var why *broken
	if errors.Is(err, rotation.ErrUnreachable) && errors.As(context.Cause(ctx), &why) {
		err = connectCause(why.error)
	}
	// What was done is done.
	end, stop := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer stop()
	_ = client.Disconnect(end)
	return err
}

// options take nothing from the process's environment, and go to one server.
func (s *server) options(who *options.Credential, dial *dialer) *options.ClientOptions {
	out := options.Client().SetHosts([]string{net.JoinHostPort(s.host, s.port)}).SetDirect(true).SetDialer(dial).
		SetAppName("strongroom").SetMaxPoolSize(1).SetRetryReads(false).SetRetryWrites(false).
		SetServerMonitoringMode("poll").SetHeartbeatInterval(time.Hour).SetServerSelectionTimeout(timeout).SetConnectTimeout(timeout)
	if who != nil {
		out.SetAuth(*who)
	}
	return out
}

// run carries out a command.
func (s *session) run(ctx context.Context, database string, command bson.D) (bson.Raw, error) {
	answer, err := s.client.Database(database).RunCommand(ctx, command).Raw()
	return answer, causeOf(err)
}

// broken is why a connection was not made, or broke.
type broken struct{ error }

// dialer connects to one server, whatever address the driver asks for, protects the connection, and tells when it breaks.
type dialer struct {
	server *server
	broke  func(error)
}

// DialContext makes the driver a connection that is protected already.
func (d *dialer) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	conn, err := d.dial(ctx)
	if err != nil {
		d.broke(err)
		return nil, err
	}
	return &watched{Conn: conn, broke: d.broke}, nil
}

func (d *dialer) dial(ctx context.Context) (net.Conn, error) {
	conn, err := rotation.Dialer(maximumRead)(ctx, "tcp", net.JoinHostPort(d.server.host, d.server.port))
	config := d.server.engine.TLS.Config(d.server.host)
	if err != nil || config == nil {
		return conn, err
	}
	protected := tls.Client(conn, config)
	if err := protected.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return protected, nil
}

// watched is a connection that tells when it breaks, but not when it is closed from here.
type watched struct {
	net.Conn
	broke  func(error)
	closed atomic.Bool
	rounds rounds
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if w.rounds.excessive(p[:n]) {
		n, err = 0, errors.Join(errRounds, w.Conn.Close())
	}
	if err != nil && !w.closed.Load() {
		w.broke(err)
	}
	return n, err
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if err != nil && !w.closed.Load() {
		w.broke(err)
	}
	return n, err
}

func (w *watched) Close() error {
	w.closed.Store(true)
	return w.Conn.Close()
}
