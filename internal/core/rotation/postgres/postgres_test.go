package postgres_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/rotation/postgres"
	"strongroom.dev/strongroom/internal/core/rotation/rotationtest"
	"strongroom.dev/strongroom/test/databases"
)

var (
	ctx    = context.Background()
	server *databases.Postgres
)

func TestMain(m *testing.M) { rotationtest.Main(m, &server, databases.StartPostgres) }

func engine() postgres.Engine { return postgres.Engine{TLS: rotationtest.Verified(server.CA)} }

func credential(t *testing.T, username, password string) *rotation.Credential {
	t.Helper()
	return rotationtest.Credential(t, map[string]any{
		"engine": "postgres", "host": databases.Host, "port": server.Port, "dbname": "shop", "username": username, "password": password,
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

// user is a fresh user that the admin may change, with the password "old".
func user(t *testing.T) string {
	t.Helper()
	name := "u_" + strings.ToLower(strings.NewReplacer("/", "_", " ", "_").Replace(t.Name()))
	name = name[:min(len(name), 50)]
	sql(t, fmt.Sprintf(`CREATE ROLE %q LOGIN PASSWORD 'old'`, name))
	return name
}

func TestALoginIsProvenByThePasswordAlone(t *testing.T) {
	name := user(t)
	if err := engine().Login(ctx, credential(t, name, "old")); err != nil {
		t.Error(err)
	}
	for what, c := range map[string]*rotation.Credential{
		"another password": credential(t, name, "new"), "another user": credential(t, name+"x", "old"),
	} {
		if err := engine().Login(ctx, c); !errors.Is(err, rotation.ErrRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAServerThatAsksForNoPasswordProvesNothing(t *testing.T) {
	if err := server.Allow(ctx, "hostssl all postgres all scram-sha-256", "hostssl all all all trust"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = server.Allow(ctx, "host all all all scram-sha-256") }()
	if err := engine().Login(ctx, credential(t, user(t), "whatever")); !errors.Is(err, rotation.ErrInvalid) {
		t.Error(err)
	}
}

func TestAUserChangesItsOwnPasswordAndNoLogOfStatementsHoldsIt(t *testing.T) {
	name := user(t)
	const password = "it's \\ a $canary$ 7f3a"
	if err := engine().SetPassword(ctx, credential(t, name, "old"), credential(t, name, password), nil); err != nil {
		t.Fatal(err)
	}
	if err := engine().Login(ctx, credential(t, name, password)); err != nil {
		t.Error("the new password:", err)
	}
	if err := engine().Login(ctx, credential(t, name, "old")); !errors.Is(err, rotation.ErrRefused) {
		t.Error("the old one:", err)
	}
	if log := server.Log(); strings.Contains(log, "canary") || !strings.Contains(log, "SCRAM-SHA-256$") {
		t.Error("the server's log of statements has the password, or has no statement")
	}
}

func TestPasswordsOfAnyTextArrive(t *testing.T) {
	name := user(t)
	last := "old"
	for _, password := range []string{"a", "Grüße, 日本", "\u00a0x\u00ad", strings.Repeat("long", 250), "'; DROP ROLE postgres; --", "\t"} {
		if err := engine().SetPassword(ctx, credential(t, name, last), credential(t, name, password), nil); err != nil {
			t.Fatalf("%q: %v", password, err)
		}
		if err := engine().Login(ctx, credential(t, name, password)); err != nil {
			t.Errorf("%q: %v", password, err)
		}
		last = password
	}
}

func TestTheAdminMakesAUserAndChangesIt(t *testing.T) {
	name := `made "by" 'admin'`
	for _, password := range []string{"first", "second"} {
		if err := engine().EnsureUser(ctx, admin(t), credential(t, name, password), ""); err != nil {
			t.Fatal(err)
		}
		if err := engine().Login(ctx, credential(t, name, password)); err != nil {
			t.Error(err)
		}
	}
}

func TestASecondUserHasTheFirstOnesRightsAndItsTablesOneOwner(t *testing.T) {
	sql(t, `CREATE ROLE seller LOGIN PASSWORD 'old'`, `GRANT CREATE, CONNECT ON DATABASE shop TO seller`)
	if err := engine().EnsureUser(ctx, admin(t), credential(t, "seller_clone", "new"), "seller"); err != nil {
		t.Fatal(err)
	}
	conn, err := server.Connect(ctx, "seller_clone", "new", "shop")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	for _, statement := range []string{"CREATE SCHEMA goods", "CREATE TABLE goods.shoes (size int)"} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	var owner string
	if err := conn.QueryRow(ctx, "SELECT tableowner FROM pg_tables WHERE tablename = 'shoes'").Scan(&owner); err != nil || owner != "seller" {
		t.Errorf("%q owns the table: %v", owner, err)
	}
	// It changes its own password although its sessions act as the first user.
	if err := engine().SetPassword(ctx, credential(t, "seller_clone", "new"), credential(t, "seller_clone", "newer"), nil); err != nil {
		t.Error(err)
	}
	// Once more over what is there, as after a crash.
	if err := engine().EnsureUser(ctx, admin(t), credential(t, "seller_clone", "newest"), "seller"); err != nil {
		t.Error(err)
	}
	if err := engine().Login(ctx, credential(t, "seller_clone", "newest")); err != nil {
		t.Error(err)
	}
}

func TestASecondUserOfNobodyIsNotMade(t *testing.T) {
	err := engine().EnsureUser(ctx, admin(t), credential(t, "ghost_clone", "new"), "ghost")
	if !errors.Is(err, rotation.ErrInvalid) {
		t.Error(err)
	}
	if err := engine().Login(ctx, credential(t, "ghost_clone", "new")); !errors.Is(err, rotation.ErrRefused) {
		t.Error("half of the transaction stayed:", err)
	}
}

// Whoever may write the secret could name any user in it, and learn the password that is set.
func TestTheAdminsRightsAreNotUsedToTakeOverUsersOfMoreRights(t *testing.T) {
	superuser := credential(t, "postgres", server.Password)
	for _, right := range []string{"SUPERUSER", "CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS"} {
		name := "mighty_" + strings.ToLower(right)
		sql(t, "CREATE ROLE "+name+" LOGIN PASSWORD 'old' "+right)
		if err := engine().EnsureUser(ctx, superuser, credential(t, name, "new"), ""); !errors.Is(err, rotation.ErrPermission) {
			t.Errorf("%s: %v", right, err)
		}
		if err := engine().Login(ctx, credential(t, name, "old")); err != nil {
			t.Errorf("%s has another password: %v", right, err)
		}
		if err := engine().EnsureUser(ctx, superuser, credential(t, name+"_clone", "new"), name); !errors.Is(err, rotation.ErrPermission) {
			t.Errorf("a second user of %s: %v", right, err)
		}
	}
}

func TestEachFailureHasItsCauseAndNoPasswordInIt(t *testing.T) {
	name := user(t)
	other := engine()
	other.TLS.Roots = x509.NewCertPool()
	nowhere := credential(t, name, "canary")
	nowhere.Port = 1
	noDatabase := credential(t, name, "old")
	noDatabase.Database = "nowhere"
	plain := postgres.Engine{TLS: rotation.TLS{Mode: rotation.TLSDisable}}
	named := credential(t, name, "old")
	named.Host = "localhost."
	for what, tt := range map[string]struct {
		err  error
		want error
	}{
		"nobody listens":                {engine().Login(ctx, nowhere), rotation.ErrUnreachable},
		"another authority":             {other.Login(ctx, credential(t, name, "canary")), rotation.ErrTLS},
		"another database":              {engine().Login(ctx, noDatabase), rotation.ErrInvalid},
		"no TLS, and the password good": {plain.Login(ctx, credential(t, name, "old")), nil},
		"no TLS, and the password bad":  {plain.Login(ctx, credential(t, name, "canary")), rotation.ErrRefused},
		"a user who may not":            {engine().EnsureUser(ctx, credential(t, name, "old"), credential(t, "another", "canary"), ""), rotation.ErrPermission},
		"a time that is over":           {engine().Login(expired(), credential(t, name, "canary")), rotation.ErrUnreachable},
	} {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: %v", what, tt.err)
		}
		if tt.err != nil && strings.Contains(tt.err.Error(), "canary") {
			t.Errorf("%s: the password is in %v", what, tt.err)
		}
	}
}

func expired() context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}

func TestAServersDeathIsNoRefusal(t *testing.T) {
	name := user(t)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	err := engine().Login(ctx, credential(t, name, "old"))
	if !errors.Is(err, rotation.ErrUnreachable) || errors.Is(err, rotation.ErrRefused) {
		t.Error(err)
	}
	if err := server.Start(ctx); err != nil {
		t.Fatal(err)
	}
}
