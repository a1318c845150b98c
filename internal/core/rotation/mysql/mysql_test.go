package mysql_test

import (
	"context"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/rotation/mysql"
)

func TestALoginIsProvenByThePasswordAlone(t *testing.T) {
	name := user(t)
	if err := engine().Login(ctx, credential(t, name, "old")); err != nil {
		t.Error(err)
	}
	for what, c := range map[string]*rotation.Credential{
		"another password": credential(t, name, "new"), "another user": credential(t, name+"x", "old"),
		"a user without a password": credential(t, user(t, "BY ''"), "old"),
	} {
		if err := engine().Login(ctx, c); !errors.Is(err, rotation.ErrRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAnAnonymousAccountProvesNoUsersPassword(t *testing.T) {
	sql(t, "CREATE USER ''@'%' IDENTIFIED BY 'anonymous'")
	defer sql(t, "DROP USER ''@'%'")
	if err := engine().Login(ctx, credential(t, "anybody", "anonymous")); !errors.Is(err, rotation.ErrInvalid) {
		t.Error(err)
	}
}

func TestAServerThatSkipsItsGrantTablesProvesNothing(t *testing.T) {
	name := user(t)
	if err := server.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := server.Start(ctx, "--skip-grant-tables"); err != nil {
		t.Fatal(err)
	}
	err := engine().Login(ctx, credential(t, name, "whatever"))
	if !errors.Is(err, rotation.ErrInvalid) {
		t.Error(err)
	}
	if err := errors.Join(server.Kill(), server.Start(ctx)); err != nil {
		t.Fatal(err)
	}
}

// Each plugin stores something else of a password, and MariaDB is told what it stores.
func TestAUserChangesItsOwnPasswordAndNoLogOfTheServerHoldsIt(t *testing.T) {
	sql(t, "INSTALL SONAME 'auth_ed25519'")
	for plugin, how := range map[string]string{"mysql_native_password": "BY 'old'", "ed25519": "VIA ed25519 USING PASSWORD('old')"} {
		t.Run(plugin, func(t *testing.T) {
			name := user(t, how)
			last := "old"
			for _, password := range []string{"it's \\ a canary 7f3a", "Grüße, 日本", strings.Repeat("long", 250), "'; DROP USER keeper; --", "\t", `\`, `\' OR '`} {
				if err := engine().SetPassword(ctx, credential(t, name, last), credential(t, name, password), nil); err != nil {
					t.Fatalf("%q: %v", password, err)
				}
				if err := engine().Login(ctx, credential(t, name, password)); err != nil {
					t.Errorf("%q: %v", password, err)
				}
				if err := engine().Login(ctx, credential(t, name, last)); !errors.Is(err, rotation.ErrRefused) {
					t.Errorf("the one before %q: %v", password, err)
				}
				last = password
			}
			if !strings.Contains(created(t, name), map[string]string{"ed25519": "VIA ed25519", "mysql_native_password": "BY PASSWORD"}[plugin]) {
				t.Error("the user logs in by another plugin now:", created(t, name))
			}
		})
	}
	log, err := server.Log()
	if err != nil || strings.Contains(log, "canary 7f3a") || !strings.Contains(log, "SET PASSWORD") {
		t.Error("the server's logs have the password, or have no statement:", err)
	}
}

func created(t *testing.T, name string) (line string) {
	t.Helper()
	db, err := server.Connect("root", server.Password)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if err := db.QueryRowContext(ctx, "SHOW CREATE USER "+name).Scan(&line); err != nil {
		t.Fatal(err)
	}
	return line
}

func TestTheAdminMakesAUserAndChangesItAndNoLogOfTheServerHoldsItsPassword(t *testing.T) {
	name := "made 'by' \\ `admin`"
	for _, password := range []string{"canary first", "canary second"} {
		if err := engine().EnsureUser(ctx, admin(t), credential(t, name, password), ""); err != nil {
			t.Fatal(err)
		}
		if err := engine().Login(ctx, credential(t, name, password)); err != nil {
			t.Error(err)
		}
	}
	if err := engine().Login(ctx, credential(t, name, "canary first")); !errors.Is(err, rotation.ErrRefused) {
		t.Error("the former password:", err)
	}
	if log, err := server.Log(); err != nil || strings.Contains(log, "canary") || !strings.Contains(log, "ALTER USER") {
		t.Error("the server's logs have the password, or have no statement:", err)
	}
}

func TestASecondUserHasTheFirstOnesRightsHostsAndTLS(t *testing.T) {
	sql(t, "CREATE USER seller@'127.0.0._' IDENTIFIED BY 'old' REQUIRE SSL",
		"CREATE TABLE shop.goods (id int, `odd ``) ON *.* TO x` int)", "CREATE PROCEDURE shop.sell() SELECT 1",
		"GRANT SELECT (`odd ``) ON *.* TO x`), INSERT ON shop.goods TO seller@'127.0.0._' WITH GRANT OPTION",
		"GRANT CREATE TEMPORARY TABLES, UPDATE ON `shop\\_%`.* TO seller@'127.0.0._'", "GRANT CREATE TEMPORARY TABLES, UPDATE ON `shop\\_%`.* TO keeper WITH GRANT OPTION",
		"GRANT ALL ON shop.* TO seller@'127.0.0._'", "GRANT EXECUTE ON PROCEDURE shop.sell TO seller@'127.0.0._'", "GRANT SHOW DATABASES ON *.* TO seller@'127.0.0._'",
		"GRANT SHOW DATABASES ON *.* TO keeper WITH GRANT OPTION")
	defer sql(t, "REVOKE GRANT OPTION ON *.* FROM keeper", "DROP USER seller@'127.0.0._', seller_clone@'127.0.0._'")
	want := grants(t, "seller@'127.0.0._'")
	for _, password := range []string{"new", "newer"} { // the second time over what is there, as after a crash
		if err := engine().EnsureUser(ctx, admin(t), credential(t, "seller_clone", password), "seller"); err != nil {
			t.Fatal(err)
		}
		if err := engine().Login(ctx, credential(t, "seller_clone", password)); err != nil {
			t.Error(err)
		}
		got := strings.ReplaceAll(strings.ReplaceAll(grants(t, "seller_clone@'127.0.0._'"), "seller_clone", "?"), "seller", "?")
		if want := strings.ReplaceAll(want, "seller", "?"); got != want {
			t.Errorf("the second user has\n%s\nand the first\n%s", got, want)
		}
		if line := created(t, "seller_clone@'127.0.0._'"); !strings.Contains(line, "REQUIRE SSL") {
			t.Error("the second user may come without TLS:", line)
		}
	}
	plain := mysql.Engine{TLS: rotation.TLS{Mode: rotation.TLSDisable}}
	if err := plain.Login(ctx, credential(t, "seller_clone", "newer")); !errors.Is(err, rotation.ErrRefused) && !errors.Is(err, rotation.ErrTLS) {
		t.Error("without TLS:", err)
	}
}

func TestASecondUserDoesNotLogInBeforeItHasItsRights(t *testing.T) {
	name := user(t)
	sql(t, "CREATE DATABASE IF NOT EXISTS vault", "GRANT SELECT ON vault.* TO "+name) // which the admin may not hand on
	pending := credential(t, name+"_clone", "new")
	if err := engine().EnsureUser(ctx, admin(t), pending, name); !errors.Is(err, rotation.ErrPermission) {
		t.Error(err)
	}
	if err := engine().Login(ctx, pending); !errors.Is(err, rotation.ErrRefused) {
		t.Error("a user that lacks rights would be shown to workloads:", err)
	}
	sql(t, "GRANT SELECT ON vault.* TO keeper WITH GRANT OPTION")
	if err := engine().EnsureUser(ctx, admin(t), pending, name); err != nil {
		t.Error(err)
	}
	if err := engine().Login(ctx, pending); err != nil {
		t.Error(err)
	}
}

func TestASecondUserOfNobodyIsNotMade(t *testing.T) {
	if err := engine().EnsureUser(ctx, admin(t), credential(t, "ghost_clone", "new"), "ghost"); !errors.Is(err, rotation.ErrInvalid) {
		t.Error(err)
	}
	if err := engine().Login(ctx, credential(t, "ghost_clone", "new")); !errors.Is(err, rotation.ErrRefused) {
		t.Error(err)
	}
}

// Whoever may write the secret could name any user in it, and learn the password that is set.
func TestTheAdminsRightsAreNotUsedToTakeOverUsersOfMoreRights(t *testing.T) {
	root := credential(t, "root", server.Password)
	sql(t, "CREATE ROLE IF NOT EXISTS clerks")
	for _, grant := range []string{
		"SUPER ON *.*", "CREATE USER ON *.*", "FILE ON *.*", "SHUTDOWN ON *.*", "PROCESS ON *.*", "RELOAD ON *.*", "SELECT ON *.*", "UPDATE ON *.*", "ALL ON *.*",
		"REPLICATION SLAVE ON *.*", "SET USER ON *.*", "SELECT ON mysql.*", "UPDATE ON mysql.global_priv", "UPDATE ON `m%`.*", "INSERT ON `_ysql`.*", "ALL ON `%`.*",
		"USAGE ON *.* WITH GRANT OPTION", "clerks", "PROXY ON root",
	} {
		name := user(t)
		right, options, _ := strings.Cut(grant, " WITH")
		if options != "" {
			options = " WITH" + options
		}
		sql(t, "GRANT "+right+" TO "+name+options)
		if err := engine().EnsureUser(ctx, root, credential(t, name, "new"), ""); !errors.Is(err, rotation.ErrPermission) {
			t.Errorf("%s: %v", grant, err)
		}
		if err := engine().Login(ctx, credential(t, name, "old")); err != nil {
			t.Errorf("%s: the user has another password: %v", grant, err)
		}
		if err := engine().EnsureUser(ctx, root, credential(t, name+"_clone", "new"), name); !errors.Is(err, rotation.ErrPermission) {
			t.Errorf("a second user with %s: %v", grant, err)
		}
	}
	if err := engine().EnsureUser(ctx, root, admin(t), ""); !errors.Is(err, rotation.ErrPermission) {
		t.Error("the admin itself:", err)
	}
}

func TestUsersWhosePasswordIsNotAllThereIsToLoggingInAreRefused(t *testing.T) {
	name := user(t)
	sql(t, "CREATE USER "+name+"@'10.%' IDENTIFIED BY 'old'")
	for what, name := range map[string]string{
		"accounts for several hosts": name, "another plugin": user(t, "VIA unix_socket"),
		"a second plugin": user(t, "VIA mysql_native_password USING PASSWORD('old') OR unix_socket"), "a client's certificate": user(t, "BY 'old' REQUIRE X509"),
	} {
		if err := engine().EnsureUser(ctx, admin(t), credential(t, name, "new"), ""); !errors.Is(err, rotation.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestEachFailureHasItsCauseAndNoPasswordInIt(t *testing.T) {
	name := user(t)
	other := engine()
	other.TLS.Roots = x509.NewCertPool()
	nowhere := credential(t, name, "canary")
	nowhere.Port = 1
	plain := mysql.Engine{TLS: rotation.TLS{Mode: rotation.TLSDisable}}
	locked, expired, full := user(t), user(t), user(t)
	sql(t, "ALTER USER "+locked+" ACCOUNT LOCK", "ALTER USER "+expired+" PASSWORD EXPIRE", "ALTER USER "+full+" WITH MAX_CONNECTIONS_PER_HOUR 1")
	_ = engine().Login(ctx, credential(t, full, "old"))
	over, cancel := context.WithCancel(ctx)
	cancel()
	for what, tt := range map[string]struct {
		err  error
		want error
	}{
		"nobody listens":                {engine().Login(ctx, nowhere), rotation.ErrUnreachable},
		"another authority":             {other.Login(ctx, credential(t, name, "canary")), rotation.ErrTLS},
		"no TLS, and the password good": {plain.Login(ctx, credential(t, name, "old")), nil},
		"no TLS, and the password bad":  {plain.Login(ctx, credential(t, name, "canary")), rotation.ErrRefused},
		"a locked account":              {engine().Login(ctx, credential(t, locked, "old")), rotation.ErrRefused},
		"an expired password":           {engine().Login(ctx, credential(t, expired, "old")), rotation.ErrRefused},
		"no connections left":           {engine().Login(ctx, credential(t, full, "old")), rotation.ErrUnreachable},
		"a user who may not":            {engine().EnsureUser(ctx, credential(t, name, "old"), credential(t, "another", "canary"), ""), rotation.ErrPermission},
		"a name that is too long":       {engine().EnsureUser(ctx, admin(t), credential(t, strings.Repeat("n", 129), "canary"), ""), rotation.ErrInvalid},
		"a time that is over":           {engine().Login(over, credential(t, name, "canary")), rotation.ErrUnreachable},
	} {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: %v", what, tt.err)
		}
		if tt.err != nil && strings.Contains(tt.err.Error(), "canary") {
			t.Errorf("%s: the password is in %v", what, tt.err)
		}
	}
}

func TestAServerThatIsReadOnlySaysSo(t *testing.T) {
	sql(t, "SET GLOBAL read_only = 1")
	defer sql(t, "SET GLOBAL read_only = 0")
	if err := engine().EnsureUser(ctx, admin(t), credential(t, "reader", "new"), ""); !errors.Is(err, rotation.ErrInvalid) {
		t.Error(err)
	}
}

func TestAServerThatChecksPasswordsItselfSaysWhatToDo(t *testing.T) {
	name := user(t)
	sql(t, "INSTALL SONAME 'simple_password_check'")
	defer sql(t, "UNINSTALL SONAME 'simple_password_check'", "SET GLOBAL strict_password_validation = ON")
	old, next := credential(t, name, "old"), credential(t, name, "Canary, which 1 rule takes")
	for what, set := range map[string]func() error{
		"the user": func() error { return engine().SetPassword(ctx, old, next, nil) }, "the admin": func() error { return engine().EnsureUser(ctx, admin(t), next, "") },
	} {
		if err := set(); !errors.Is(err, rotation.ErrPassword) || !strings.Contains(err.Error(), "strict_password_validation") {
			t.Errorf("%s: %v", what, err)
		}
	}
	sql(t, "SET GLOBAL strict_password_validation = OFF")
	if err := engine().SetPassword(ctx, old, next, nil); err != nil {
		t.Error(err)
	}
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
