package sqlserver_test

import (
	"errors"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/test/databases"
)

// rich gives a user of a database rights of each kind that an application may have.
func rich(d *databases.SQLDatabase, p *databases.SQLPrincipal) {
	for s, state := range map[databases.SQLSecurable]string{
		{Name: "EXECUTE"}:                       "G",
		{Name: "CREATE TABLE"}:                  "G",
		{Name: "DELETE"}:                        "D",
		{Class: 3, Name: "SELECT", Schema: "s"}: "W",
		{Class: 1, Name: "INSERT", Schema: "dbo", Object: "goods]; DROP USER keeper; --"}:      "G",
		{Class: 1, Name: "SELECT", Schema: "dbo", Object: "goods"}:                             "G",
		{Class: 1, Name: "SELECT", Schema: "dbo", Object: "goods", Column: "price"}:            "D",
		{Class: 1, Name: "SELECT", Schema: "dbo", Object: "goods", Column: "cost"}:             "R",
		{Class: 1, Name: "UPDATE", Schema: "dbo", Object: "goods", Column: "odd ]) TO [x] --"}: "G",
		{Class: 6, Name: "REFERENCES", Schema: "dbo", Object: "money"}:                         "G",
		{Class: 10, Name: "EXECUTE", Schema: "dbo", Object: "orders"}:                          "G",
	} {
		p.Permissions[s] = state
	}
	p.Schema = "s"
	for _, role := range []string{"db_datareader", "db_datawriter"} {
		d.Principals[role].Members = append(d.Principals[role].Members, p.ID)
	}
	name := "clerks ]of " + p.Name
	clerks := d.Role(name, p.ID)
	clerks.Permissions[databases.SQLSecurable{Name: "SHOWPLAN"}] = "G"
	d.Principals["db_datawriter"].Members = append(d.Principals["db_datawriter"].Members, clerks.ID)
}

func TestASecondUserHasTheFirstOnesRightsAtEachRotation(t *testing.T) {
	name := user(t, func(l *databases.SQLLogin, p *databases.SQLPrincipal, c *databases.SQLCatalog) {
		rich(c.Databases["shop"], p)
		l.Database, l.Policy = "shop", false
	})
	second := name + "_clone"
	for _, password := range []string{"Canary first 1", "Canary second 2"} { // the second time over what is there, as after a crash
		if err := engine().EnsureUser(ctx, admin(t), credential(t, second, password), name); err != nil {
			t.Fatal(err)
		}
		if err := opens(t, credential(t, second, password)); err != nil {
			t.Error(err)
		}
		same(t, "shop", name, second)
	}
	server.Change(func(c *databases.SQLCatalog) {
		if l := c.Logins[second]; l.Database != "shop" || l.Policy || l.Expire {
			t.Errorf("%+v", l)
		}
		first := c.Databases["shop"].Principals[name]
		delete(first.Permissions, databases.SQLSecurable{Name: "EXECUTE"})
		delete(first.Permissions, databases.SQLSecurable{Name: "DELETE"})
		first.Permissions[databases.SQLSecurable{Class: 3, Name: "SELECT", Schema: "s"}] = "G"
		first.Permissions[databases.SQLSecurable{Class: 1, Name: "SELECT", Schema: "dbo", Object: "goods", Column: "price"}] = "R"
		first.Permissions[databases.SQLSecurable{Name: "SELECT"}] = "D"
		first.Schema = "other"
		c.Databases["shop"].Principals["db_datareader"].Members = nil
	})
	if err := engine().EnsureUser(ctx, admin(t), credential(t, second, "Canary third 3"), name); err != nil {
		t.Fatal(err)
	}
	same(t, "shop", name, second)
	statements()
	if err := engine().EnsureUser(ctx, admin(t), credential(t, second, "Canary fourth 4"), name); err != nil {
		t.Fatal(err)
	}
	if told := statements(); strings.Contains(told, "GRANT") || strings.Contains(told, "REVOKE") || strings.Contains(told, "ROLE") {
		t.Error("rights that are the same were given again:", told)
	}
}

func TestASecondUserOfAContainedDatabaseHasTheFirstOnesRights(t *testing.T) {
	contained(t)
	name := name()
	server.Change(func(c *databases.SQLCatalog) {
		d := c.Databases["island"]
		rich(d, d.ContainedUser(name, "old"))
	})
	for _, password := range []string{"Canary first 1", "Canary second 2"} {
		if err := engine().EnsureUser(ctx, admin(t), credential(t, name+"_clone", password, in("island")), name); err != nil {
			t.Fatal(err)
		}
		if err := opens(t, credential(t, name+"_clone", password, in("island"))); err != nil {
			t.Error(err)
		}
		same(t, "island", name, name+"_clone")
	}
}

func TestASecondUserDoesNotLogInBeforeItHasItsRights(t *testing.T) {
	contained(t)
	name := user(t, func(_ *databases.SQLLogin, p *databases.SQLPrincipal, c *databases.SQLCatalog) {
		rich(c.Databases["shop"], p)
		rich(c.Databases["island"], c.Databases["island"].ContainedUser(p.Name, "old"))
	})
	for _, database := range []string{"shop", "island"} {
		pending := credential(t, name+"_clone", "Canary first 1", in(database))
		for _, statement := range []string{"CREATE USER", "GRANT", "DENY", "REVOKE", "ALTER ROLE"} {
			server.Change(func(c *databases.SQLCatalog) { c.Refuse = map[string]int{statement: 1205} })
			err := engine().EnsureUser(ctx, admin(t), pending, name)
			server.Change(func(c *databases.SQLCatalog) { c.Refuse = nil })
			if !errors.Is(err, rotation.ErrUnreachable) {
				t.Errorf("%s, %s: %v", database, statement, err)
			}
			if err := opens(t, pending); !errors.Is(err, rotation.ErrRefused) {
				t.Errorf("%s, %s: a user that lacks rights would be shown to workloads: %v", database, statement, err)
			}
		}
		if err := engine().EnsureUser(ctx, admin(t), pending, name); err != nil {
			t.Error(err)
		}
		if err := opens(t, pending); err != nil {
			t.Error(err)
		}
		same(t, database, name, name+"_clone")
	}
}

func TestPermissionsOnTheServerAreHandedOnInMaster(t *testing.T) {
	hide := databases.SQLSecurable{Class: 100, Name: "VIEW ANY DATABASE"}
	name := user(t, func(l *databases.SQLLogin, _ *databases.SQLPrincipal, _ *databases.SQLCatalog) {
		l.Permissions[hide] = "D"
	})
	pending := credential(t, name+"_clone", "Canary first 1")
	if err := engine().EnsureUser(ctx, admin(t), pending, name); !errors.Is(err, rotation.ErrPermission) {
		t.Error("which takes more than the admin has:", err)
	}
	server.Change(func(c *databases.SQLCatalog) { c.Logins[server.Admin].Rights["CONTROL SERVER"] = true })
	defer server.Change(func(c *databases.SQLCatalog) { delete(c.Logins[server.Admin].Rights, "CONTROL SERVER") })
	if err := engine().EnsureUser(ctx, admin(t), pending, name); err != nil {
		t.Error(err)
	}
	server.Change(func(c *databases.SQLCatalog) {
		if c.Logins[name+"_clone"].Permissions[hide] != "D" {
			t.Error(c.Logins[name+"_clone"].Permissions)
		}
	})
}

func TestASecondLoginOfOneThatIsNobodyInTheDatabaseIsNobodyThere(t *testing.T) {
	first := name()
	server.Change(func(c *databases.SQLCatalog) { c.Login(first, "old") })
	if err := engine().EnsureUser(ctx, admin(t), credential(t, first+"_clone", "Canary first 1"), first); err != nil {
		t.Fatal(err)
	}
	if p, _, _ := permissionsOf("shop", first+"_clone"); p != nil {
		t.Error("it may open a database that the first one may not")
	}
	if err := opens(t, credential(t, first+"_clone", "Canary first 1", in("master"))); err != nil {
		t.Error(err)
	}
}

func TestASecondUserOfNobodyIsNotMade(t *testing.T) {
	contained(t)
	for _, database := range []string{"shop", "island"} {
		c := credential(t, "ghost_clone", "Canary first 1", in(database))
		if err := engine().EnsureUser(ctx, admin(t), c, "ghost"); !errors.Is(err, rotation.ErrInvalid) {
			t.Errorf("%s: %v", database, err)
		}
		if err := opens(t, c); !errors.Is(err, rotation.ErrRefused) {
			t.Errorf("%s: %v", database, err)
		}
	}
}

func TestAUserThatARestoreLeftWithoutItsLoginIsNotTaken(t *testing.T) {
	name := name()
	server.Change(func(c *databases.SQLCatalog) { c.Databases["shop"].Role(name).Type = "S" })
	for what, before := range map[string]func(*databases.SQLCatalog){
		"no login": func(*databases.SQLCatalog) {}, "a login of its name": func(c *databases.SQLCatalog) { c.Login(name, "old") },
	} {
		server.Change(before)
		if err := engine().EnsureUser(ctx, admin(t), credential(t, name, "Canary first 1"), ""); !errors.Is(err, rotation.ErrInvalid) || !strings.Contains(err.Error(), "WITH LOGIN") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// Whoever may write the secret could name any login in it, and learn the password that is set.
func TestTheAdminsRightsAreNotUsedToTakeOverLoginsOfMoreRights(t *testing.T) {
	server.Change(func(c *databases.SQLCatalog) { c.Database("payroll") })
	on := func(class int, name string) databases.SQLSecurable {
		return databases.SQLSecurable{Class: class, Name: name, Schema: "dbo", Object: "t"}
	}
	for what, change := range map[string]func(*databases.SQLLogin, *databases.SQLPrincipal, *databases.SQLCatalog){
		"sysadmin": func(l *databases.SQLLogin, _ *databases.SQLPrincipal, _ *databases.SQLCatalog) {
			l.Roles = []string{"sysadmin"}
		},
		"a server role of its own": func(l *databases.SQLLogin, _ *databases.SQLPrincipal, _ *databases.SQLCatalog) {
			l.Roles = []string{"operators"}
		},
		"a server role that it owns": func(l *databases.SQLLogin, _ *databases.SQLPrincipal, _ *databases.SQLCatalog) {
			l.Owns = []string{"operators"}
		},
		"ALTER ANY LOGIN": func(l *databases.SQLLogin, _ *databases.SQLPrincipal, _ *databases.SQLCatalog) {
			l.Permissions[databases.SQLSecurable{Class: 100, Name: "ALTER ANY LOGIN"}] = "G"
		},
		"CONNECT SQL to hand on": func(l *databases.SQLLogin, _ *databases.SQLPrincipal, _ *databases.SQLCatalog) {
			l.Permissions[databases.SQLSecurable{Class: 100, Name: "CONNECT SQL"}] = "W"
		},
		"a login to impersonate": func(l *databases.SQLLogin, _ *databases.SQLPrincipal, _ *databases.SQLCatalog) {
			l.Permissions[databases.SQLSecurable{Class: 101, Name: "IMPERSONATE"}] = "G"
		},
		"another database": func(l *databases.SQLLogin, _ *databases.SQLPrincipal, c *databases.SQLCatalog) {
			c.Databases["payroll"].Owner = l.SID
		},
		"db_owner": func(_ *databases.SQLLogin, p *databases.SQLPrincipal, c *databases.SQLCatalog) {
			r := c.Databases["shop"].Principals["db_owner"]
			r.Members = append(r.Members, p.ID)
		},
		"db_securityadmin by a role": func(_ *databases.SQLLogin, p *databases.SQLPrincipal, c *databases.SQLCatalog) {
			role := c.Databases["shop"].Role(p.Name+" role", p.ID)
			r := c.Databases["shop"].Principals["db_securityadmin"]
			r.Members = append(r.Members, role.ID)
		},
		"ALTER ANY USER by a role": func(_ *databases.SQLLogin, p *databases.SQLPrincipal, c *databases.SQLCatalog) {
			c.Databases["shop"].Role(p.Name+" role", p.ID).Permissions[databases.SQLSecurable{Name: "ALTER ANY USER"}] = "G"
		},
		"a role that it owns": func(_ *databases.SQLLogin, p *databases.SQLPrincipal, c *databases.SQLCatalog) {
			c.Databases["shop"].Role(p.Name + " role").Owner = p.ID
		},
		"db_accessadmin of another database": func(l *databases.SQLLogin, _ *databases.SQLPrincipal, c *databases.SQLCatalog) {
			d := c.Databases["payroll"]
			d.Principals["db_accessadmin"].Members = append(d.Principals["db_accessadmin"].Members, c.User("payroll", l.Name).ID)
		},
		"rights in msdb": func(l *databases.SQLLogin, _ *databases.SQLPrincipal, c *databases.SQLCatalog) {
			c.User("msdb", l.Name).Permissions[on(1, "EXECUTE")] = "G"
		},
		"a role of master": func(l *databases.SQLLogin, _ *databases.SQLPrincipal, c *databases.SQLCatalog) {
			d := c.Databases["master"]
			d.Principals["db_datareader"].Members = append(d.Principals["db_datareader"].Members, c.User("master", l.Name).ID)
		},
		"CONTROL": func(_ *databases.SQLLogin, p *databases.SQLPrincipal, _ *databases.SQLCatalog) {
			p.Permissions[databases.SQLSecurable{Name: "CONTROL"}] = "G"
		},
		"a user to impersonate": func(_ *databases.SQLLogin, p *databases.SQLPrincipal, _ *databases.SQLCatalog) {
			p.Permissions[on(4, "IMPERSONATE")] = "G"
		},
		"an object of the server's": func(_ *databases.SQLLogin, p *databases.SQLPrincipal, _ *databases.SQLCatalog) {
			p.Permissions[databases.SQLSecurable{Class: 1, Name: "EXECUTE", Schema: "sys", Object: "xp_cmdshell"}] = "G"
		},
		"an object without a name": func(_ *databases.SQLLogin, p *databases.SQLPrincipal, _ *databases.SQLCatalog) {
			p.Permissions[databases.SQLSecurable{Class: 1, Name: "SELECT"}] = "G"
		},
	} {
		name := user(t, change)
		if err := engine().EnsureUser(ctx, admin(t), credential(t, name, "Canary first 1"), ""); !errors.Is(err, rotation.ErrPermission) {
			t.Errorf("%s: %v", what, err)
		}
		server.Change(func(c *databases.SQLCatalog) {
			if c.Logins[name].Password != "old" {
				t.Errorf("%s: the login has another password", what)
			}
		})
		if err := engine().EnsureUser(ctx, admin(t), credential(t, name+"_clone", "Canary first 1"), name); !errors.Is(err, rotation.ErrPermission) {
			t.Errorf("a second user with %s: %v", what, err)
		}
		server.Change(func(c *databases.SQLCatalog) { c.Databases["payroll"].Owner = "0x01" })
	}
}

func TestTheServersOwnLoginsAndThoseOfOthersAreNotChanged(t *testing.T) {
	server.Change(func(c *databases.SQLCatalog) {
		c.Login("##MS_PolicyEventProcessingLogin##", "old")
		c.Login("boss", "old").ID = 1
		for name, kind := range map[string]string{"windows": "U", "group": "G", "certificate": "C", "entra": "E", "role": "R"} {
			c.Login(name, "old").Type = kind
		}
		c.Login("asleep", "old").Disabled = true
	})
	defer server.Change(func(c *databases.SQLCatalog) { delete(c.Logins, "boss") })
	statements()
	for name, want := range map[string]error{
		"sa": rotation.ErrPermission, "SA": rotation.ErrPermission, "sa ": rotation.ErrPermission, "boss": rotation.ErrPermission,
		"##MS_PolicyEventProcessingLogin##": rotation.ErrPermission, server.Admin: rotation.ErrPermission, "windows": rotation.ErrInvalid, "group": rotation.ErrInvalid,
		"certificate": rotation.ErrInvalid, "entra": rotation.ErrInvalid, "role": rotation.ErrInvalid, "asleep": rotation.ErrInvalid,
	} {
		if err := engine().EnsureUser(ctx, admin(t), credential(t, name, "Canary first 1"), ""); !errors.Is(err, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if told := statements(); strings.Contains(told, "PASSWORD") {
		t.Error(told)
	}
}

// What an admin does not see it would take for nothing.
func TestAnAdminThatDoesNotSeeAllRightsChangesNobody(t *testing.T) {
	contained(t)
	name := user(t, func(l *databases.SQLLogin, _ *databases.SQLPrincipal, c *databases.SQLCatalog) {
		l.Roles = []string{"sysadmin"}
		c.Databases["island"].ContainedUser(l.Name+"c", "old")
	})
	blind := "blind"
	server.Change(func(c *databases.SQLCatalog) {
		l := c.Login(blind, "old")
		l.Rights["ALTER ANY LOGIN"], l.Rights["CONNECT ANY DATABASE"] = true, true
	})
	for _, c := range []*rotation.Credential{credential(t, name, "Canary first 1"), credential(t, name+"c", "Canary first 1", in("island"))} {
		if err := engine().EnsureUser(ctx, credential(t, blind, "old"), c, ""); !errors.Is(err, rotation.ErrPermission) || !strings.Contains(err.Error(), "VIEW") {
			t.Error(err)
		}
	}
	server.Change(func(c *databases.SQLCatalog) { c.Database("closed").Closed = true })
	ordinary := user(t)
	if err := engine().EnsureUser(ctx, admin(t), credential(t, ordinary, "Canary first 1"), ""); !errors.Is(err, rotation.ErrPermission) || !strings.Contains(err.Error(), "closed") {
		t.Error(err)
	}
	server.Change(func(c *databases.SQLCatalog) { c.Databases["closed"].Offline = true })
	if err := engine().EnsureUser(ctx, admin(t), credential(t, ordinary, "Canary first 1"), ""); err != nil {
		t.Error("a database that is offline:", err)
	}
	server.Change(func(c *databases.SQLCatalog) { delete(c.Databases, "closed") })
}
