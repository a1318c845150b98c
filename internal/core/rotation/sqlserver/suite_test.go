package sqlserver_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/rotation/rotationtest"
	"strongroom.dev/strongroom/internal/core/rotation/sqlserver"
	"strongroom.dev/strongroom/test/databases"
)

var (
	ctx    = context.Background()
	server *databases.SQLServer
)

func TestMain(m *testing.M) { rotationtest.Main(m, &server, databases.StartSQLServer) }

func engine() sqlserver.Engine { return sqlserver.Engine{TLS: rotationtest.Verified(server.CA)} }

func credential(t *testing.T, username, password string, members ...func(map[string]any)) *rotation.Credential {
	t.Helper()
	all := map[string]any{
		"engine": "sqlserver", "host": databases.Host, "port": server.Port, "dbname": "shop", "username": username, "password": password,
	}
	for _, change := range members {
		change(all)
	}
	return rotationtest.Credential(t, all)
}

// in names another database.
func in(database string) func(map[string]any) {
	return func(m map[string]any) { m["dbname"] = database }
}

func admin(t *testing.T) *rotation.Credential { return credential(t, server.Admin, server.Password) }

var users int

// name is a fresh one.
func name() string {
	users++
	return fmt.Sprintf("user%d", users)
}

// user is a fresh login with the password "old", and a user of database shop.
func user(t *testing.T, changes ...func(*databases.SQLLogin, *databases.SQLPrincipal, *databases.SQLCatalog)) string {
	t.Helper()
	fresh := name()
	server.Change(func(c *databases.SQLCatalog) {
		l := c.Login(fresh, "old")
		p := c.User("shop", fresh)
		for _, change := range changes {
			change(l, p, c)
		}
	})
	return fresh
}

// contained is the database of users with passwords.
func contained(t *testing.T) {
	t.Helper()
	server.Change(func(c *databases.SQLCatalog) {
		if c.Databases["island"] == nil {
			d := c.Database("island")
			d.Contained = true
			d.Principals["db_owner"].Members = []int{c.User("island", server.Admin).ID}
		}
	})
}

// opens says whether a password is the one that a login, or a user of a contained database, has.
func opens(t *testing.T, c *rotation.Credential) error {
	t.Helper()
	return engine().Login(ctx, c)
}

// statements are those that the server got since it was asked last.
func statements() (out string) {
	server.Change(func(c *databases.SQLCatalog) {
		out = strings.Join(c.Statements, "\n")
		c.Statements = nil
	})
	return out
}

// mode connects as a mode of TLS says.
func mode(m rotation.TLSMode) sqlserver.Engine { return sqlserver.Engine{TLS: rotation.TLS{Mode: m}} }
