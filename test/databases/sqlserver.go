package databases

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	mssql "github.com/microsoft/go-mssqldb"
	"github.com/microsoft/go-mssqldb/msdsn"
)

// SQLServer stands in for Microsoft SQL Server, which is not to be had where the tests run. It speaks TDS 7.4 with a driver of Microsoft's,
// has TLS, logins, databases, users, roles and permissions, and carries out the statements that Strongroom's rotator sends and no others:
// anything else is a syntax error. It is no server of anybody's: what it does is what Microsoft's documentation says.
type SQLServer struct {
	*program
	// Admin and its Password: a login that may change logins and owns database shop.
	Admin, Password string

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]bool
	catalog  *SQLCatalog
	tls      *tls.Config
}

// StartSQLServer starts one. The caller stops it.
func StartSQLServer(ctx context.Context) (*SQLServer, error) {
	p, err := newProgram("sqlserver")
	if err != nil {
		return nil, err
	}
	certificate, err := tls.LoadX509KeyPair(filepath.Join(p.Dir, "tls.crt"), filepath.Join(p.Dir, "tls.key"))
	if err != nil {
		return nil, err
	}
	s := &SQLServer{
		program: p, Admin: "keeper", Password: "Correct-horse-battery-staple1", conns: map[net.Conn]bool{}, catalog: newSQLCatalog(),
		// TLS 1.3 is for TDS 8 alone. https://learn.microsoft.com/en-us/sql/relational-databases/security/networking/tls-1-3
		tls: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12},
	}
	s.Change(func(c *SQLCatalog) {
		c.Login(s.Admin, s.Password).Rights = map[string]bool{"ALTER ANY LOGIN": true, "VIEW ANY DEFINITION": true, "CONNECT ANY DATABASE": true}
		c.Databases["shop"].Principals["db_owner"].Members = []int{c.User("shop", s.Admin).ID}
	})
	return s, s.Start(ctx)
}

// Start has it listen.
func (s *SQLServer) Start(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Address())
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.listener = listener
	s.mu.Unlock()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return nil
}

// Kill ends it as a crash does. What was carried out is kept.
func (s *SQLServer) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.listener.Close()
	for conn := range s.conns {
		_ = conn.Close()
	}
	return err
}

// Stop ends it.
func (s *SQLServer) Stop() error { return errors.Join(s.Kill(), s.stop(nil)) }

// Change changes, or reads, what it knows.
func (s *SQLServer) Change(f func(*SQLCatalog)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.catalog)
}

// Opens logs in and opens database shop.
func (s *SQLServer) Opens(ctx context.Context, user, password string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := mssql.NewConnectorConfig(msdsn.Config{
		Host: Host, Port: uint64(s.Port), Database: "shop", User: user, Password: password, Protocols: []string{"tcp"}, Encryption: msdsn.EncryptionDisabled,
	}).Connect(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}

// sqlSession is a connection that has logged in, to a database.
type sqlSession struct {
	login    *SQLLogin
	user     *SQLPrincipal
	database *SQLDatabase
}

// serve speaks with a client until one of them ends it.
func (s *SQLServer) serve(conn net.Conn) {
	s.mu.Lock()
	s.conns[conn] = true
	wants, route := s.catalog.Encryption, s.catalog.Route
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.conns, conn)
		s.mu.Unlock()
		_ = conn.Close()
	}()
	message, err := asked(conn, packetPrelogin)
	if err != nil {
		return
	}
	secured, err := prelogin(conn, message, wants, s.tls)
	if err != nil {
		return
	}
	if message, err = asked(secured, packetLogin7); err != nil {
		return
	}
	said, err := parseLogin7(message)
	if err != nil {
		return
	}
	out := &reply{}
	session := s.admit(said, out, route)
	if writeTDS(secured, packetReply, out.tokens) == nil && session != nil {
		s.converse(secured, session)
	}
}

// asked is a message of a kind, which alone is taken at that point.
func asked(conn net.Conn, kind byte) ([]byte, error) {
	is, message, err := readTDS(conn)
	if err == nil && is != kind {
		err = errTDS
	}
	return message, err
}

// converse carries out batches.
func (s *SQLServer) converse(conn net.Conn, session *sqlSession) {
	for {
		message, err := asked(conn, packetBatch)
		if err != nil {
			return
		}
		batch, err := parseBatch(message)
		if err != nil || writeTDS(conn, packetReply, s.run(session, batch)) != nil {
			return
		}
	}
}

// admit judges a login. The reply tells as little as SQL Server's.
func (s *SQLServer) admit(said login7, out *reply, route string) *sqlSession {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catalog.LoggedIn = append(s.catalog.LoggedIn, said.username)
	session, numbers := s.catalog.admit(said)
	for _, number := range numbers {
		out.fail(number, fmt.Sprintf("Login failed for user '%s' with password '%s'.", said.username, said.password))
	}
	if session == nil {
		out.done(doneError)
		return nil
	}
	if host, port, routed := strings.Cut(route, ":"); routed {
		n, _ := strconv.ParseUint(port, 10, 16)
		out.route(host, uint16(n))
	}
	out.acknowledge()
	out.done(0)
	return session
}

// run carries out a batch, up to the first statement that fails.
func (s *SQLServer) run(session *sqlSession, batch string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catalog.Statements = append(s.catalog.Statements, batch)
	out := &reply{}
	statements, ok := sqlStatements(batch)
	if !ok {
		out.fail(102, "Incorrect syntax near "+batch)
		out.done(doneError)
		return out.tokens
	}
	for n, statement := range statements {
		columns, rows, number := s.catalog.run(session, statement)
		if number != 0 {
			out.fail(number, "It refuses "+batch)
			out.done(doneError)
			return out.tokens
		}
		if columns > 0 {
			out.rows(columns, rows)
		}
		status := uint16(0)
		if n+1 < len(statements) {
			status = doneMore
		}
		out.done(status)
	}
	return out.tokens
}
