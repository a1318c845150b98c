package mongodb_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/rotation/mongodb"
	"strongroom.dev/strongroom/internal/core/secretbytes"
	"strongroom.dev/strongroom/test/databases"
)

var (
	ctx    = context.Background()
	server *databases.MongoDB
)

func TestMain(m *testing.M) {
	var err error
	if server, err = databases.StartMongoDB(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	_ = server.Stop()
	os.Exit(code)
}

func engine() mongodb.Engine {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(server.CA)
	return mongodb.Engine{TLS: rotation.TLS{Mode: rotation.TLSVerifyFull, Roots: roots}}
}

// of is a credential of a user of a database, at a port.
func of(t *testing.T, port uint16, database, username, password string) *rotation.Credential {
	t.Helper()
	value, err := json.Marshal(map[string]any{
		"engine": "mongo", "host": databases.Host, "port": port, "dbname": database, "username": username, "password": password,
	})
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
	return of(t, server.Port, "shop", username, password)
}

func admin(t *testing.T) *rotation.Credential {
	t.Helper()
	return of(t, server.Port, "", server.Admin, server.Password)
}

var users int

// user is a fresh user of database shop with the password "old".
func user(t *testing.T) string {
	t.Helper()
	users++
	name := fmt.Sprintf("user%d", users)
	if err := server.Identify(ctx, name, "old"); err != nil {
		t.Fatal(err)
	}
	return name
}

func do(t *testing.T, database string, command bson.D) {
	t.Helper()
	if err := server.Do(ctx, database, command); err != nil {
		t.Fatalf("%v: %v", command, err)
	}
}

// opens are the passwords, of some, that a user logs in with.
func opens(name string, passwords ...string) (good []string) {
	for _, p := range passwords {
		if server.Opens(ctx, name, p) == nil {
			good = append(good, p)
		}
	}
	return good
}
