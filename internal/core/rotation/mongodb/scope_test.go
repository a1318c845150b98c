package mongodb_test

import (
	"errors"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"strongroom.dev/strongroom/internal/core/rotation"
)

func rotator() *rotation.Database {
	return &rotation.Database{Engine: engine(), Strategy: rotation.SingleUser}
}

// A pending version that somebody put could name a user of another database, of the same name and with more rights.
func TestAUserOfTheSameNameInAnotherDatabaseIsAnother(t *testing.T) {
	name := user(t)
	do(t, "accounts", bson.D{{Key: "createUser", Value: name}, {Key: "pwd", Value: "theirs"}, {Key: "roles", Value: bson.A{}}})
	stored := &rotation.Stored{Pending: of(t, server.Port, "accounts", name, "new"), Current: credential(t, name, "old"), Admin: admin(t)}
	for what, d := range map[string]*rotation.Database{"a single user": rotator(), "two users": {Engine: engine(), Strategy: rotation.AlternatingUsers}} {
		_, err := d.Set(ctx, stored)
		if !errors.Is(err, rotation.ErrInvalid) || !strings.Contains(err.Error(), "database accounts") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := server.OpensIn(ctx, "accounts", name, "theirs"); err != nil {
		t.Error("its password is another now:", err)
	}
}

func TestAnAdminOfAnotherDatabaseMayHaveTheUsersName(t *testing.T) {
	do(t, "shop", bson.D{{Key: "createUser", Value: server.Admin}, {Key: "pwd", Value: "old"}, {Key: "roles", Value: bson.A{}}})
	stored := &rotation.Stored{Pending: credential(t, server.Admin, "new"), Current: credential(t, server.Admin, "old"), Admin: admin(t)}
	if _, err := rotator().Set(ctx, stored); err != nil {
		t.Fatal(err)
	}
	if err := rotator().Test(ctx, stored); err != nil {
		t.Error(err)
	}
	if err := engine().Login(ctx, admin(t)); err != nil {
		t.Error("the admin's password is another now:", err)
	}
	stored.Pending = of(t, server.Port, "admin", server.Admin, "new")
	stored.Current = nil
	if _, err := rotator().Set(ctx, stored); !errors.Is(err, rotation.ErrInvalid) {
		t.Error("the admin as its own user:", err)
	}
}

func TestAFormerVersionOfAnotherDatabasesUserDoesNotAct(t *testing.T) {
	name := user(t)
	do(t, "accounts", bson.D{{Key: "createUser", Value: name}, {Key: "pwd", Value: "theirs"}, {Key: "roles", Value: bson.A{}}})
	stored := &rotation.Stored{Pending: credential(t, name, "new"), Current: credential(t, name, "lost"), Previous: of(t, server.Port, "accounts", name, "theirs")}
	if _, err := rotator().Set(ctx, stored); !errors.Is(err, rotation.ErrDrift) {
		t.Error(err)
	}
	stored.Admin = admin(t)
	if _, err := rotator().Set(ctx, stored); !errors.Is(err, rotation.ErrDrift) {
		t.Error("an admin's rights are used for a user that nothing shows to be the secret's:", err)
	}
	stored.Own = true
	if out, err := rotator().Set(ctx, stored); err != nil || !out.Healed {
		t.Error("it is not healed by the admin:", out, err)
	}
	if good := opens(name, "old", "new"); len(good) != 1 || good[0] != "new" {
		t.Errorf("%v log in", good)
	}
}
