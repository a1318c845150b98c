package mongodb_test

import (
	"context"
	"fmt"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/rotation/mongodb"
	"strongroom.dev/strongroom/internal/core/rotation/rotationtest"
	"strongroom.dev/strongroom/test/databases"
)

var (
	ctx    = context.Background()
	server *databases.MongoDB
)

func TestMain(m *testing.M) { rotationtest.Main(m, &server, databases.StartMongoDB) }

func engine() mongodb.Engine { return mongodb.Engine{TLS: rotationtest.Verified(server.CA)} }

// of is a credential of a user of a database, at a port.
func of(t *testing.T, port uint16, database, username, password string) *rotation.Credential {
	t.Helper()
	return rotationtest.Credential(t, map[string]any{
		"engine": "mongo", "host": databases.Host, "port": port, "dbname": database, "username": username, "password": password,
	})
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
