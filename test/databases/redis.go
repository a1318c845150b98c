package databases

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Redis is a private Redis server with TLS on its one port.
type Redis struct {
	*program
	// Admin is a user that may change users. Password is its and the user default's.
	Admin, Password string
}

// RedisUsers says where a Redis server keeps its users.
type RedisUsers string

// The places.
const (
	RedisConfigFile RedisUsers = "configuration file"
	RedisACLFile    RedisUsers = "aclfile"
	RedisMemory     RedisUsers = "memory"
)

// StartRedis starts one. The caller stops it.
func StartRedis(ctx context.Context, users RedisUsers) (*Redis, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, fmt.Errorf("there is no redis-server: run hack/databases.sh, or apt-get install -y redis-server")
	}
	p, err := newProgram("redis")
	if err != nil {
		return nil, err
	}
	s := &Redis{program: p, Admin: "keeper", Password: "correct-horse-battery-staple"}
	settings := fmt.Sprintf("port 0\ntls-port %d\nbind %s\ndir %s\nsave \"\"\ntls-cert-file %[3]s/tls.crt\ntls-key-file %[3]s/tls.key\ntls-ca-cert-file %[3]s/ca.crt\n"+
		"tls-auth-clients no\n", s.Port, Host, s.Dir)
	accounts := fmt.Sprintf("user default on >%[1]s ~* &* +@all\nuser keeper on >%[1]s -@all +acl|getuser +acl|setuser +acl|save +config|rewrite\n", s.Password)
	files := map[string]string{s.config(): settings + accounts}
	if users == RedisACLFile {
		acl := filepath.Join(s.Dir, "users.acl")
		files = map[string]string{s.config(): settings + "aclfile " + acl + "\n", acl: accounts}
	}
	for file, content := range files {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			return nil, err
		}
	}
	if err := s.own(); err != nil {
		return nil, err
	}
	if users == RedisMemory {
		return s, s.startInMemory(ctx)
	}
	return s, s.Start(ctx)
}

func (s *Redis) config() string { return filepath.Join(s.Dir, "redis.conf") }

// Start starts the server, after Kill.
func (s *Redis) Start(ctx context.Context) error {
	return s.start(ctx, func(ctx context.Context) error { return s.Do(ctx, "PING") }, "redis-server", s.config())
}

// startInMemory has the server take its configuration from its input, so that it has no file to write it to.
func (s *Redis) startInMemory(ctx context.Context) error {
	return s.start(ctx, func(ctx context.Context) error { return s.Do(ctx, "PING") }, "sh", "-c", "exec redis-server - <redis.conf")
}

// Kill ends it as a crash does. Its files stay.
func (s *Redis) Kill() error { return s.kill() }

// Stop ends it and forgets its files.
func (s *Redis) Stop() error { return s.stop(syscall.SIGTERM) }

// Do runs a command as the user default.
func (s *Redis) Do(ctx context.Context, args ...any) error {
	c := s.Connect("default", s.Password)
	return errors.Join(c.Do(ctx, args...).Err(), c.Close())
}

// Opens says whether a user logs in.
func (s *Redis) Opens(ctx context.Context, user, password string) error {
	c := s.Connect("default", s.Password)
	return errors.Join(c.Conn().AuthACL(ctx, user, password).Err(), c.Close())
}

// Connect logs in, over TLS, when the first command is run.
func (s *Redis) Connect(user, password string) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: s.Address(), Username: user, Password: password, TLSConfig: s.clientTLS(), MaxRetries: -1, DisableIdentity: true, PoolSize: 1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}

// Files are the contents of the files that the server keeps its users in.
func (s *Redis) Files() string {
	configuration, _ := os.ReadFile(s.config())
	users, _ := os.ReadFile(filepath.Join(s.Dir, "users.acl"))
	return string(configuration) + string(users)
}
