package redis_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/rotation/redis"
	"strongroom.dev/strongroom/internal/core/rotation/rotationtest"
	"strongroom.dev/strongroom/test/databases"
)

var (
	ctx    = context.Background()
	server *databases.Redis
)

func TestMain(m *testing.M) {
	rotationtest.Main(m, &server, func(ctx context.Context) (*databases.Redis, error) {
		return databases.StartRedis(ctx, databases.RedisConfigFile)
	})
}

func engineOf(s *databases.Redis) redis.Engine { return redis.Engine{TLS: rotationtest.Verified(s.CA)} }

func engine() redis.Engine { return engineOf(server) }

func credentialOf(t *testing.T, s *databases.Redis, username, password string) *rotation.Credential {
	t.Helper()
	return rotationtest.Credential(t, map[string]any{"engine": "redis", "host": databases.Host, "port": s.Port, "username": username, "password": password})
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
