package databases

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// Postgres is a private PostgreSQL server with TLS, scram-sha-256 for all connections and the database shop.
type Postgres struct {
	*program
	// Admin is a user that may make users, and no superuser. Password is its and the superuser's (postgres).
	Admin, Password string

	bin string
}

// PostgresPrograms is the directory of PostgreSQL's programs in Debian, empty if they are not installed.
func PostgresPrograms() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(found) == 0 {
		return ""
	}
	slices.Sort(found)
	return filepath.Dir(found[len(found)-1])
}

// StartPostgres starts one. The caller stops it.
func StartPostgres(ctx context.Context) (*Postgres, error) {
	bin := PostgresPrograms()
	if bin == "" {
		return nil, fmt.Errorf("there is no PostgreSQL in /usr/lib/postgresql: run hack/databases.sh, or apt-get install -y postgresql")
	}
	p, err := newProgram("postgres")
	if err != nil {
		return nil, err
	}
	s := &Postgres{program: p, Admin: "keeper", Password: "correct horse battery staple", bin: bin}
	if err := s.initialise(ctx); err != nil {
		return nil, err
	}
	if err := s.Start(ctx); err != nil {
		return nil, err
	}
	for _, statement := range []string{"CREATE ROLE keeper LOGIN CREATEROLE PASSWORD '" + s.Password + "'", "CREATE DATABASE shop"} {
		if err := s.Exec(ctx, statement); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *Postgres) initialise(ctx context.Context) error {
	password := filepath.Join(s.Dir, "password")
	if err := os.WriteFile(password, []byte(s.Password), 0o600); err != nil {
		return err
	}
	if err := s.own(); err != nil {
		return err
	}
	data := s.data()
	if err := s.run(ctx, filepath.Join(s.bin, "initdb"), "--pgdata", data, "--username", "postgres", "--pwfile", password,
		"--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync"); err != nil {
		return err
	}
	settings := fmt.Sprintf("\nlisten_addresses = '%s'\nport = %d\nunix_socket_directories = ''\nfsync = off\nssl = on\n"+
		"ssl_cert_file = '%s/tls.crt'\nssl_key_file = '%s/tls.key'\nlog_statement = all\n", Host, s.Port, s.Dir, s.Dir)
	file, err := os.OpenFile(filepath.Join(data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(settings)
	if closed := file.Close(); err == nil {
		err = closed
	}
	return err
}

func (s *Postgres) data() string { return filepath.Join(s.Dir, "data") }

// Start starts the server, after Kill.
func (s *Postgres) Start(ctx context.Context) error {
	return s.start(ctx, func(ctx context.Context) error { return s.Exec(ctx, "SELECT 1") }, filepath.Join(s.bin, "postgres"), "-D", s.data())
}

// Kill ends it as a crash does. Its data stay.
func (s *Postgres) Kill() error {
	err := s.kill()
	_ = os.Remove(filepath.Join(s.data(), "postmaster.pid"))
	return err
}

// Stop ends it and forgets its data.
func (s *Postgres) Stop() error { return s.stop(syscall.SIGINT) }

// Log is what the server logged, statements included.
func (s *Postgres) Log() string { return s.output.String() }

// Allow replaces pg_hba.conf and has the server read it.
func (s *Postgres) Allow(ctx context.Context, lines ...string) error {
	path := filepath.Join(s.data(), "pg_hba.conf")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return err
	}
	return s.Exec(ctx, "SELECT pg_reload_conf()")
}

// Exec runs a statement as the superuser.
func (s *Postgres) Exec(ctx context.Context, statement string) error {
	conn, err := s.Connect(ctx, "postgres", s.Password, "postgres")
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement)
	_ = conn.Close(ctx)
	return err
}

// Connect logs in, over TLS.
func (s *Postgres) Connect(ctx context.Context, user, password, database string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(fmt.Sprintf("host=%s port=%d dbname=%s sslmode=verify-full sslrootcert=%s/ca.crt user=none password=none passfile=/dev/null",
		Host, s.Port, database, s.Dir))
	if err != nil {
		return nil, err
	}
	config.User, config.Password = user, password
	return pgx.ConnectConfig(ctx, config)
}

// Opens says whether a user logs in.
func (s *Postgres) Opens(ctx context.Context, user, password string) error {
	conn, err := s.Connect(ctx, user, password, "shop")
	if err != nil {
		return err
	}
	return conn.Close(ctx)
}
