package sqlserver_test

import (
	"fmt"
	"testing"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/test/databases"
)

// each breaks a connection off at each of a call's messages in turn, before the server has it and when only its answer is lost.
func each(t *testing.T, least int, try func(t *testing.T, by func(map[string]any), again func())) {
	t.Helper()
	proxy, err := databases.NewProxy(server.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = proxy.Close() }()
	by := func(m map[string]any) { m["port"] = proxy.Port }
	for _, lost := range []bool{false, true} {
		for n, over := 1, false; !over; n++ {
			t.Run(fmt.Sprintf("message %d, lost %v", n, lost), func(t *testing.T) {
				proxy.CutAt(n, lost)
				try(t, by, func() {
					over = proxy.Count() < n
					proxy.CutAt(0, false)
				})
				if over && n <= least {
					t.Errorf("%d messages alone", n)
				}
			})
		}
	}
}

func TestALoginHasOneOfTwoPasswordsWhereverItsChangeIsBrokenOff(t *testing.T) {
	each(t, 5, func(t *testing.T, by func(map[string]any), again func()) {
		name := user(t)
		old, next := credential(t, name, "old", by), credential(t, name, "Canary first 1", by)
		_ = engine().SetPassword(ctx, old, next, nil)
		again()
		if engine().Login(ctx, old) != nil && engine().Login(ctx, next) != nil {
			t.Fatal("neither password logs in")
		}
		rotator := &rotation.Database{Engine: engine(), Strategy: rotation.SingleUser}
		if _, err := rotator.Set(ctx, &rotation.Stored{Pending: next, Current: old}); err != nil {
			t.Error(err)
		}
		if err := engine().Login(ctx, next); err != nil {
			t.Error(err)
		}
	})
}

func TestASecondUserHasAllItsRightsOnceItLogsInWhereverItIsBrokenOff(t *testing.T) {
	contained(t)
	for _, database := range []string{"shop", "island"} {
		each(t, 15, func(t *testing.T, by func(map[string]any), again func()) {
			first := user(t, func(_ *databases.SQLLogin, p *databases.SQLPrincipal, c *databases.SQLCatalog) {
				if rich(c.Databases["shop"], p); database == "island" {
					rich(c.Databases["island"], c.Databases["island"].ContainedUser(p.Name, "old"))
				}
			})
			keeper := credential(t, server.Admin, server.Password, by)
			held := credential(t, first, "old", by, in(database))
			pending := credential(t, first+"_clone", "Canary first 1", by, in(database))
			_ = engine().EnsureUser(ctx, keeper, pending, first)
			again()
			if engine().Login(ctx, pending) == nil {
				same(t, database, first, first+"_clone")
			}
			if err := engine().Login(ctx, held); err != nil {
				t.Error("workloads are locked out:", err)
			}
			rotator := &rotation.Database{Engine: engine(), Strategy: rotation.AlternatingUsers}
			if _, err := rotator.Set(ctx, &rotation.Stored{Pending: pending, Current: held, Admin: keeper}); err != nil {
				t.Error(err)
			}
			if err := engine().Login(ctx, pending); err != nil {
				t.Error(err)
			}
			same(t, database, first, first+"_clone")
		})
	}
}
