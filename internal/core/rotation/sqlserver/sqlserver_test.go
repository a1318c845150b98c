package sqlserver_test

import (
	"context"
	"crypto/x509"
	"errors"
	"reflect"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/rotation/sqlserver"
	"strongroom.dev/strongroom/test/databases"
)

func TestALoginIsProvenByThePasswordAlone(t *testing.T) {
	name := user(t)
	if err := engine().Login(ctx, credential(t, name, "old")); err != nil {
		t.Error(err)
	}
	for what, c := range map[string]*rotation.Credential{"another password": credential(t, name, "new"), "another user": credential(t, name+"x", "old")} {
		if err := engine().Login(ctx, c); !errors.Is(err, rotation.ErrRefused) || errors.Is(err, rotation.ErrBarred) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestALoginOpensTheDatabaseThatTheValueNamesAndOtherwiseMaster(t *testing.T) {
	name := user(t)
	server.Change(func(c *databases.SQLCatalog) { c.Database("vault") })
	for database, want := range map[string]error{"": nil, "master": nil, "shop": nil, "vault": rotation.ErrBarred, "nowhere": rotation.ErrBarred} {
		c := credential(t, name, "old", in(database))
		if err := engine().Login(ctx, c); !errors.Is(err, want) {
			t.Errorf("%q: %v", database, err)
		}
		if scope := engine().Scope(c); scope != database && (database != "" || scope != "master") {
			t.Errorf("%q: %s", database, scope)
		}
	}
}

// odd are passwords that T-SQL gives a meaning, if they are not quoted.
var odd = []string{"It's a canary 7f3a", "Grüße, 日本 1", strings.Repeat("Long1", 25), "'; DROP LOGIN keeper; --A1", `A1\' OR '''`, "]Aa1']][", "$(Aa1) /* -- GO", "N'Aa1'' x"}

func TestALoginChangesItsOwnPassword(t *testing.T) {
	name, last := user(t), "old"
	for _, password := range odd {
		if err := engine().SetPassword(ctx, credential(t, name, last), credential(t, name, password), nil); err != nil {
			t.Fatalf("%q: %v", password, err)
		}
		if err := opens(t, credential(t, name, password)); err != nil {
			t.Errorf("%q: %v", password, err)
		}
		if err := opens(t, credential(t, name, last)); !errors.Is(err, rotation.ErrRefused) {
			t.Errorf("the one before %q: %v", password, err)
		}
		last = password
	}
}

func TestAUserOfAContainedDatabaseChangesItsOwnPassword(t *testing.T) {
	contained(t)
	name := name()
	server.Change(func(c *databases.SQLCatalog) {
		c.Databases["island"].ContainedUser(name, "old")
		c.Login(name, "another")
		c.User("shop", name)
	})
	last := "old"
	for _, password := range odd {
		if err := engine().SetPassword(ctx, credential(t, name, last, in("island")), credential(t, name, password, in("island")), nil); err != nil {
			t.Fatalf("%q: %v", password, err)
		}
		if err := opens(t, credential(t, name, password, in("island"))); err != nil {
			t.Errorf("%q: %v", password, err)
		}
		last = password
	}
	if err := opens(t, credential(t, name, "another")); err != nil {
		t.Error("the login of the same name has another password:", err)
	}
}

func TestAPasswordThatNoLiteralHoldsAsItIsIsRefusedBeforeTheServerHearsOfIt(t *testing.T) {
	name := user(t)
	statements()
	for what, password := range map[string]string{"a line's end": "Aa1 \\\nxyz", "a tab": "Aa1\tcanary", "a character beyond U+FFFF": "🔑 Key-Aa1", "over 128 characters": strings.Repeat("Aa1!", 33)} {
		for by, err := range map[string]error{
			"the user":  engine().SetPassword(ctx, credential(t, name, "old"), credential(t, name, password), nil),
			"the admin": engine().EnsureUser(ctx, admin(t), credential(t, name, password), ""),
			"a login":   engine().Login(ctx, credential(t, name, password)),
		} {
			if !errors.Is(err, rotation.ErrInvalid) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s, %s: %v", what, by, err)
			}
		}
	}
	if told := statements(); told != "" {
		t.Error(told)
	}
}

func TestTheAdminMakesALoginWithItsUserAndChangesIt(t *testing.T) {
	for _, name := range []string{"made [by] ]] 'admin'", "user-of-日本", "select; drop"} {
		for _, password := range []string{"Canary first 1", "Canary second 2"} {
			if err := engine().EnsureUser(ctx, admin(t), credential(t, name, password), ""); err != nil {
				t.Fatal(name, err)
			}
			if err := opens(t, credential(t, name, password)); err != nil {
				t.Error(name, err)
			}
		}
		if err := opens(t, credential(t, name, "Canary first 1")); !errors.Is(err, rotation.ErrRefused) {
			t.Error("the former password:", err)
		}
		server.Change(func(c *databases.SQLCatalog) {
			if c.Logins[name] == nil || !c.Logins[name].Policy || c.Databases["shop"].Principals[name] == nil || c.Databases["master"].Principals[name] != nil {
				t.Errorf("%s: %+v", name, c.Logins[name])
			}
		})
	}
}

func TestALoginOfMasterNeedsNoUserThere(t *testing.T) {
	name := name()
	c := credential(t, name, "Canary first 1", in(""))
	if err := engine().EnsureUser(ctx, admin(t), c, ""); err != nil {
		t.Fatal(err)
	}
	if err := opens(t, c); err != nil {
		t.Error(err)
	}
	server.Change(func(c *databases.SQLCatalog) {
		if c.Databases["master"].Principals[name] != nil {
			t.Error("a user was made in master")
		}
	})
}

func TestTheAdminMakesAUserOfAContainedDatabaseAndChangesIt(t *testing.T) {
	contained(t)
	name := name()
	for _, password := range []string{"Canary first 1", "Canary second 2"} {
		c := credential(t, name, password, in("island"))
		if err := engine().EnsureUser(ctx, admin(t), c, ""); err != nil {
			t.Fatal(err)
		}
		if err := opens(t, c); err != nil {
			t.Error(err)
		}
	}
	server.Change(func(c *databases.SQLCatalog) {
		if c.Logins[name] != nil {
			t.Error("a login was made")
		}
	})
}

func TestALoginInAContainedDatabaseStaysALogin(t *testing.T) {
	contained(t)
	name := user(t)
	server.Change(func(c *databases.SQLCatalog) { c.User("island", name) })
	c := credential(t, name, "Canary first 1", in("island"))
	if err := engine().EnsureUser(ctx, admin(t), c, ""); err != nil {
		t.Fatal(err)
	}
	if err := opens(t, credential(t, name, "Canary first 1")); err != nil {
		t.Error(err)
	}
}

func TestLoginsOfAzureSQLDatabaseAreToldApart(t *testing.T) {
	name := user(t)
	server.Change(func(c *databases.SQLCatalog) { c.Edition = 5 })
	defer server.Change(func(c *databases.SQLCatalog) { c.Edition = 3 })
	if err := engine().EnsureUser(ctx, admin(t), credential(t, name, "Canary first 1"), ""); !errors.Is(err, rotation.ErrInvalid) || !strings.Contains(err.Error(), "Azure") {
		t.Error(err)
	}
}

func TestTheCauseIsToldAndNoPassword(t *testing.T) {
	name := user(t)
	other := engine()
	other.TLS.Roots = x509.NewCertPool()
	nowhere := credential(t, name, "canary")
	nowhere.Port = 1
	over, cancel := context.WithCancel(ctx)
	cancel()
	set := func(change func(*databases.SQLLogin)) error {
		n := user(t, func(l *databases.SQLLogin, _ *databases.SQLPrincipal, _ *databases.SQLCatalog) { change(l) })
		return engine().Login(ctx, credential(t, n, "old"))
	}
	strict := user(t, func(l *databases.SQLLogin, _ *databases.SQLPrincipal, _ *databases.SQLCatalog) { l.Policy = true })
	for what, tt := range map[string]struct {
		err  error
		want error
	}{
		"nobody listens":               {engine().Login(ctx, nowhere), rotation.ErrUnreachable},
		"another authority":            {other.Login(ctx, credential(t, name, "canary")), rotation.ErrTLS},
		"a time that is over":          {engine().Login(over, credential(t, name, "canary")), rotation.ErrUnreachable},
		"a disabled login":             {set(func(l *databases.SQLLogin) { l.Disabled = true }), rotation.ErrBarred},
		"a locked login":               {set(func(l *databases.SQLLogin) { l.Locked = true }), rotation.ErrBarred},
		"an expired password":          {set(func(l *databases.SQLLogin) { l.Expired = true }), rotation.ErrExpired},
		"a login of Windows":           {engine().Login(ctx, credential(t, `CORP\shop`, "canary")), rotation.ErrInvalid},
		"a name that is too long":      {engine().EnsureUser(ctx, admin(t), credential(t, strings.Repeat("n", 129), "canary"), ""), rotation.ErrInvalid},
		"a name with a line's end":     {engine().EnsureUser(ctx, admin(t), credential(t, "a\\\nb", "canary"), ""), rotation.ErrInvalid},
		"too short a password":         {engine().SetPassword(ctx, credential(t, strict, "old"), credential(t, strict, "canary"), nil), rotation.ErrPassword},
		"too simple a password":        {engine().EnsureUser(ctx, admin(t), credential(t, strict, "canarycanary"), ""), rotation.ErrPassword},
		"a user who may not":           {engine().EnsureUser(ctx, credential(t, name, "old"), credential(t, name+"z", "canary"), ""), rotation.ErrPermission},
		"another login's password":     {engine().SetPassword(ctx, credential(t, name, "old"), credential(t, name, "Canary 1!"), nil), nil},
		"the admin's password is none": {engine().EnsureUser(ctx, credential(t, server.Admin, "canary"), credential(t, name, "Canary 1!"), ""), rotation.ErrRefused},
	} {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: %v", what, tt.err)
		}
		if tt.err != nil && (strings.Contains(tt.err.Error(), "canary") || strings.Contains(tt.err.Error(), "Canary")) {
			t.Errorf("%s: the password is in %v", what, tt.err)
		}
	}
}

func TestErrorsOfStatementsHaveTheirCause(t *testing.T) {
	defer server.Change(func(c *databases.SQLCatalog) { clear(c.Refuse) })
	for number, want := range map[int]error{
		15114: rotation.ErrPassword, 15115: rotation.ErrPassword, 15119: rotation.ErrPassword, 15247: rotation.ErrPermission, 15151: rotation.ErrPermission,
		3906: rotation.ErrInvalid, 1205: rotation.ErrUnreachable, 50000: rotation.ErrServer,
	} {
		name := user(t)
		server.Change(func(c *databases.SQLCatalog) { c.Refuse = map[string]int{"ALTER LOGIN": number} })
		for by, err := range map[string]error{
			"the user":  engine().SetPassword(ctx, credential(t, name, "old"), credential(t, name, "Canary 1!"), nil),
			"the admin": engine().EnsureUser(ctx, admin(t), credential(t, name, "Canary 1!"), ""),
		} {
			if !errors.Is(err, want) || strings.Contains(err.Error(), "Canary") {
				t.Errorf("%d, %s: %v", number, by, err)
			}
		}
	}
}

func TestModesOfTLSAreNeverLessThanTheySay(t *testing.T) {
	name := user(t)
	good, elsewhere := credential(t, name, "old"), credential(t, name, "old")
	elsewhere.Host = "localhost.localdomain"
	ca := engine()
	ca.TLS.Mode = rotation.TLSVerifyCA
	unknown := mode(rotation.TLSVerifyCA)
	unknown.TLS.Roots = x509.NewCertPool()
	for what, tt := range map[string]struct {
		offer  func(*databases.SQLCatalog)
		engine sqlserver.Engine
		want   error
	}{
		"verify-full":                       {(*databases.SQLCatalog).Offer, engine(), nil},
		"verify-full, TLS asked for":        {(*databases.SQLCatalog).Force, engine(), nil},
		"verify-full, no TLS":               {(*databases.SQLCatalog).TurnOff, engine(), rotation.ErrTLS},
		"verify-full, of the system":        {(*databases.SQLCatalog).Offer, mode(rotation.TLSVerifyFull), rotation.ErrTLS},
		"verify-ca":                         {(*databases.SQLCatalog).Offer, ca, nil},
		"verify-ca of another authority":    {(*databases.SQLCatalog).Offer, unknown, rotation.ErrTLS},
		"require, any certificate":          {(*databases.SQLCatalog).Offer, mode(rotation.TLSRequire), nil},
		"require, no TLS":                   {(*databases.SQLCatalog).TurnOff, mode(rotation.TLSRequire), rotation.ErrTLS},
		"disable":                           {(*databases.SQLCatalog).Offer, mode(rotation.TLSDisable), nil},
		"disable, and the server has none":  {(*databases.SQLCatalog).TurnOff, mode(rotation.TLSDisable), nil},
		"disable, and the server wants TLS": {(*databases.SQLCatalog).Force, mode(rotation.TLSDisable), rotation.ErrTLS},
	} {
		server.Change(tt.offer)
		err := tt.engine.Login(ctx, good)
		if !errors.Is(err, tt.want) || (err == nil) != (tt.want == nil) {
			t.Errorf("%s: %v", what, err)
		}
	}
	server.Change((*databases.SQLCatalog).Offer)
}

func TestAServerThatSendsLoginsElsewhereIsNotFollowed(t *testing.T) {
	name := user(t)
	var before int
	server.Change(func(c *databases.SQLCatalog) { c.Route, before = server.Address(), len(c.LoggedIn) })
	defer server.Change(func(c *databases.SQLCatalog) { c.Route = "" })
	if err := engine().Login(ctx, credential(t, name, "old")); !errors.Is(err, rotation.ErrInvalid) {
		t.Error(err)
	}
	server.Change(func(c *databases.SQLCatalog) {
		if n := len(c.LoggedIn) - before; n != 1 {
			t.Errorf("%d logins", n)
		}
	})
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

// permissionsOf are those of a user of a database.
func permissionsOf(database, user string) (out databases.SQLPermissions, roles []string, schema string) {
	server.Change(func(c *databases.SQLCatalog) {
		d := c.Databases[database]
		p := d.Principals[user]
		if p == nil {
			return
		}
		out, schema = databases.SQLPermissions{}, p.Schema
		for k, v := range p.Permissions {
			out[k] = v
		}
		for _, r := range d.Principals {
			for _, m := range r.Members {
				if m == p.ID {
					roles = append(roles, r.Name)
				}
			}
		}
	})
	return out, roles, schema
}

// same says whether two users of a database have the same rights.
func same(t *testing.T, database, first, second string) {
	t.Helper()
	want, roles, schema := permissionsOf(database, first)
	got, gotRoles, gotSchema := permissionsOf(database, second)
	if !reflect.DeepEqual(got, want) || !sameSet(roles, gotRoles) || schema != gotSchema {
		t.Errorf("the second user has\n%v %v %s\nand the first\n%v %v %s", got, gotRoles, gotSchema, want, roles, schema)
	}
}

func sameSet(a, b []string) bool {
	count := map[string]int{}
	for _, x := range a {
		count[x]++
	}
	for _, x := range b {
		count[x]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}
