package mysql_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/rotation/mysql"
	"strongroom.dev/strongroom/internal/core/rotation/rotationtest"
	"strongroom.dev/strongroom/test/databases"
)

var (
	ctx    = context.Background()
	server *databases.MariaDB
)

func TestMain(m *testing.M) { rotationtest.Main(m, &server, databases.StartMariaDB) }

func engine() mysql.Engine { return mysql.Engine{TLS: rotationtest.Verified(server.CA)} }

func credential(t *testing.T, username, password string) *rotation.Credential {
	t.Helper()
	return rotationtest.Credential(t, map[string]any{
		"engine": "mariadb", "host": databases.Host, "port": server.Port, "dbname": "shop", "username": username, "password": password,
	})
}

func admin(t *testing.T) *rotation.Credential { return credential(t, server.Admin, server.Password) }

func sql(t *testing.T, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if err := server.Exec(ctx, s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

var users int

// user is a fresh user with the password "old", or what else identifies it.
func user(t *testing.T, identified ...string) string {
	t.Helper()
	users++
	name := fmt.Sprintf("user%d", users)
	how := "BY 'old'"
	if len(identified) > 0 {
		how = strings.Join(identified, " ")
	}
	sql(t, "CREATE USER "+name+" IDENTIFIED "+how)
	return name
}

// grants are SHOW GRANTS of a user, without its password.
func grants(t *testing.T, name string) string {
	t.Helper()
	db, err := server.Connect("root", server.Password)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(ctx, "SHOW GRANTS FOR "+name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		if before, _, found := strings.Cut(line, " IDENTIFIED"); found {
			_, after, _ := strings.Cut(line, " REQUIRE")
			line = before + after
		}
		out = append(out, strings.ReplaceAll(line, name, "?"))
	}
	return strings.Join(out, "\n")
}
