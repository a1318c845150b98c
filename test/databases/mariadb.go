package databases

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/go-sql-driver/mysql"
)

// MariaDB is a private MariaDB server with TLS, a log of all statements, a binary log, and the database shop.
type MariaDB struct {
	*program
	// Admin is a user that may make users and hand on rights on shop. Password is its and root's.
	Admin, Password string

	server string
	began  bool
}

// StartMariaDB starts one. The caller stops it.
func StartMariaDB(ctx context.Context) (*MariaDB, error) {
	server, err := exec.LookPath("mariadbd")
	if err != nil {
		server = "/usr/sbin/mariadbd"
	}
	if _, err := os.Stat(server); err != nil {
		return nil, fmt.Errorf("there is no mariadbd: run hack/databases.sh, or apt-get install -y mariadb-server")
	}
	p, err := newProgram("mariadb")
	if err != nil {
		return nil, err
	}
	s := &MariaDB{program: p, Admin: "keeper", Password: "correct horse battery staple", server: server}
	first := fmt.Sprintf("DROP USER IF EXISTS root@'127.0.0.1';\nCREATE USER root@'%%' IDENTIFIED BY '%[1]s';\nGRANT ALL ON *.* TO root@'%%' WITH GRANT OPTION;\nCREATE DATABASE shop;\n"+
		"CREATE USER keeper@'%%' IDENTIFIED BY '%[1]s';\nGRANT CREATE USER ON *.* TO keeper@'%%';\nGRANT SELECT ON mysql.* TO keeper@'%%';\n"+
		"GRANT ALL ON shop.* TO keeper@'%%' WITH GRANT OPTION;\n", s.Password)
	if err := os.WriteFile(filepath.Join(s.Dir, "first.sql"), []byte(first), 0o600); err != nil {
		return nil, err
	}
	if err := s.own(); err != nil {
		return nil, err
	}
	if err := s.run(ctx, "mariadb-install-db", "--no-defaults", "--datadir="+s.data(), "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"); err != nil {
		return nil, err
	}
	return s, s.Start(ctx)
}

func (s *MariaDB) data() string { return filepath.Join(s.Dir, "data") }

// Start starts the server, after Kill, with more options.
func (s *MariaDB) Start(ctx context.Context, options ...string) error {
	args := append([]string{
		"--no-defaults", "--datadir=" + s.data(), "--socket=" + filepath.Join(s.Dir, "s"), "--pid-file=" + filepath.Join(s.Dir, "pid"),
		"--bind-address=" + Host, fmt.Sprintf("--port=%d", s.Port), "--skip-name-resolve", "--plugin-dir=/usr/lib/mysql/plugin",
		"--ssl-cert=" + filepath.Join(s.Dir, "tls.crt"), "--ssl-key=" + filepath.Join(s.Dir, "tls.key"),
		"--general-log=1", "--general-log-file=" + filepath.Join(s.Dir, "general.log"), "--log-bin=" + filepath.Join(s.Dir, "binary"),
		"--innodb-flush-log-at-trx-commit=0", "--innodb-use-native-aio=0", "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M",
	}, options...)
	question := "DO 1"
	if !s.began {
		args = append(args, "--init-file="+filepath.Join(s.Dir, "first.sql"))
		question = "GRANT USAGE ON *.* TO keeper@'%'"
	}
	err := s.start(ctx, func(ctx context.Context) error { return s.Exec(ctx, question) }, s.server, args...)
	s.began = err == nil || s.began
	return err
}

// Kill ends it as a crash does. Its data stay.
func (s *MariaDB) Kill() error { return s.kill() }

// Stop ends it and forgets its data.
func (s *MariaDB) Stop() error { return s.stop(syscall.SIGKILL) }

// Log is what the server logged of statements: its general log and its binary log.
func (s *MariaDB) Log() (string, error) {
	files, err := filepath.Glob(filepath.Join(s.Dir, "binary.*"))
	out := ""
	for _, file := range append(files, filepath.Join(s.Dir, "general.log")) {
		content, read := os.ReadFile(file)
		out, err = out+string(content), errors.Join(err, read)
	}
	return out, err
}

// Exec runs a statement as root.
func (s *MariaDB) Exec(ctx context.Context, statement string) error {
	db, err := s.Connect("root", s.Password)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, statement)
	return errors.Join(err, db.Close())
}

// Opens says whether a user logs in.
func (s *MariaDB) Opens(ctx context.Context, user, password string) error {
	db, err := s.Connect(user, password)
	if err != nil {
		return err
	}
	return errors.Join(db.PingContext(ctx), db.Close())
}

// Connect logs in, over TLS, when the first statement is run.
func (s *MariaDB) Connect(user, password string) (*sql.DB, error) {
	config := mysql.NewConfig()
	config.User, config.Passwd, config.Net, config.Addr = user, password, "tcp", s.Address()
	config.Logger = &mysql.NopLogger{}
	config.TLS = s.clientTLS()
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// clientTLS trusts the server's authority.
func (p *program) clientTLS() *tls.Config {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(p.CA)
	return &tls.Config{RootCAs: roots, ServerName: Host}
}
