package redis_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/rotation/redis"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/test/databases"
)

var (
	ctx    = context.Background()
	server *databases.Redis
)

func TestMain(m *testing.M) {
	var err error
	if server, err = databases.StartRedis(ctx, databases.RedisConfigFile); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = server.Stop()
	os.Exit(code)
}

func engineOf(s *databases.Redis) redis.Engine {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CA)
	return redis.Engine{TLS: rotation.TLS{Mode: rotation.TLSVerifyFull, Roots: roots}}
}

func engine() redis.Engine { return engineOf(server) }

func credentialOf(t *testing.T, s *databases.Redis, username, password string) *rotation.Credential {
	t.Helper()
	value, err := json.Marshal(map[string]any{"engine": "redis", "host": databases.Host, "port": s.Port, "username": username, "password": password})
	if err != nil {
		t.Fatal(err)
	}
	c, err := rotation.Parse(secretbytes.Own(value), "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func credential(t *testing.T, username, password string) *rotation.Credential {
	t.Helper()
	return credentialOf(t, server, username, password)
}

func admin(t *testing.T) *rotation.Credential { return credential(t, server.Admin, server.Password) }

func do(t *testing.T, args ...any) {
	t.Helper()
	if err := server.Do(ctx, args...); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
}

var users int

// user is a fresh user with the password "old" and rules.
func user(t *testing.T, rules ...any) string {
	t.Helper()
	users++
	name := fmt.Sprintf("user%d", users)
	do(t, append([]any{"ACL", "SETUSER", name, "on", ">old"}, rules...)...)
	return name
}

// rules are a user's line of ACL LIST, without its name and passwords, and without what a rule "reset" leaves that is as when it is not said.
func rules(t *testing.T, name string) string {
	t.Helper()
	c := server.Connect("default", server.Password)
	defer func() { _ = c.Close() }()
	lines, err := c.Do(ctx, "ACL", "LIST").StringSlice()
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		words := strings.Fields(line)
		if words[1] != name {
			continue
		}
		var out []string
		for _, w := range words[2:] {
			if w[0] != '#' && w != "sanitize-payload" {
				out = append(out, w)
			}
		}
		return strings.Join(out, " ")
	}
	t.Fatalf("there is no user %s", name)
	return ""
}

// opens are the passwords, of some, that a user logs in with.
func opens(t *testing.T, name string, passwords ...string) (good []string) {
	t.Helper()
	for _, p := range passwords {
		if server.Opens(ctx, name, p) == nil {
			good = append(good, p)
		}
	}
	return good
}
