package sqlserver

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"

	"strongroom.dev/strongroom/internal/core/rotation"
)

// maximumRows of an answer.
const maximumRows = 5000

var (
	errElsewhere = errors.New("the server sends the login to another one")
	errNoTLS     = errors.New("TLS is turned off")
)

// noTLS lets no handshake succeed.
func noTLS() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, InsecureSkipVerify: true, //nolint:gosec // no connection comes of it
		VerifyConnection: func(tls.ConnectionState) error { return errNoTLS },
	}
}

// dialer connects once: a server may answer a login by naming another one, to which the driver would tell the password.
// https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-tds/2b3eb7e5-d43d-4d1b-bf4d-76b9e3afc791
//
// The end of its context ends the connection, and the driver gets contexts without an end: one that ends would have it leave behind what
// reads an answer.
type dialer struct {
	ctx                     context.Context
	used, broken, elsewhere atomic.Bool
	// release ends the watch over the context.
	release func() bool
}

// HostName has the driver leave the look-up of names to DialContext, which honours its context.
func (*dialer) HostName() string { return "" }

// DialContext connects until the dialer's own context ends.
func (d *dialer) DialContext(_ context.Context, network, address string) (net.Conn, error) {
	if d.used.Swap(true) {
		d.elsewhere.Store(true)
		return nil, errElsewhere
	}
	conn, err := rotation.Dialer(maximumRead)(d.ctx, network, address)
	if err != nil {
		return nil, err
	}
	d.release = context.AfterFunc(d.ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return &watched{Conn: conn, broken: &d.broken}, nil
}

// watched remembers that a connection broke, which the driver's errors do not tell from a certificate that is not trusted.
type watched struct {
	net.Conn
	broken *atomic.Bool
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		w.broken.Store(true)
	}
	return n, err
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if err != nil {
		w.broken.Store(true)
	}
	return n, err
}

// session is a connection to a server.
type session struct {
	conn    driver.Conn
	release func() bool
}

// close ends it. What was done is done.
func (s *session) close() {
	s.release()
	_ = s.conn.Close()
}

func connect(ctx context.Context, config msdsn.Config) (*session, error) {
	d := &dialer{ctx: ctx, release: func() bool { return true }}
	connector := mssql.NewConnectorConfig(config)
	connector.Dialer = d
	conn, err := connector.Connect(context.WithoutCancel(ctx))
	if err != nil {
		d.release()
		return nil, connectCause(err, d)
	}
	return &session{conn: conn, release: d.release}, nil
}

func (s *session) exec(ctx context.Context, statement string) error {
	prepared, err := s.prepare(ctx, statement)
	if err != nil {
		return err
	}
	_, err = prepared.ExecContext(context.WithoutCancel(ctx), nil)
	return causeOf(err)
}

// prepare sends nothing: without parameters the driver sends a statement as it is.
func (s *session) prepare(ctx context.Context, statement string) (*mssql.Stmt, error) {
	c, ok := s.conn.(driver.ConnPrepareContext)
	if !ok {
		return nil, rotation.Because(rotation.ErrServer, "the driver takes no statements")
	}
	prepared, err := c.PrepareContext(ctx, statement)
	if err != nil {
		return nil, causeOf(err)
	}
	statements, ok := prepared.(*mssql.Stmt)
	if !ok {
		return nil, rotation.Because(rotation.ErrServer, "the driver takes no statements")
	}
	return statements, nil
}

// row of an answer, as text. A NULL is empty.
type row []string

// query reads the rows of so many statements of a batch.
func (s *session) query(ctx context.Context, batch string, statements int) (out [][]row, err error) {
	prepared, err := s.prepare(ctx, batch)
	if err != nil {
		return nil, err
	}
	rows, err := prepared.QueryContext(context.WithoutCancel(ctx), nil)
	if err != nil {
		return nil, causeOf(err)
	}
	defer func() { _ = rows.Close() }()
	more, ok := rows.(driver.RowsNextResultSet)
	if !ok {
		return nil, rotation.Because(rotation.ErrServer, "the driver reads one answer alone")
	}
	for {
		set, err := read(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, set)
		if err := more.NextResultSet(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, causeOf(err)
		}
	}
	if len(out) != statements { // whatever is missing would be taken for a user who has no rights
		return nil, rotation.Because(rotation.ErrServer, "%d of %d answers came", len(out), statements)
	}
	return out, nil
}

// read reads one answer.
func read(rows driver.Rows) (out []row, err error) {
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
			return nil, rotation.Because(rotation.ErrInvalid, "the user has over %d permissions, or the server as many databases", maximumRows)
		}
		next := make(row, len(values))
		for n, v := range values {
			next[n] = text(v)
		}
		out = append(out, next)
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
