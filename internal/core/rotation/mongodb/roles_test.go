package mongodb_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/test/databases"
)

// FerretDB has no roles: databases.Roles does here what MongoDB's documentation says of them.
func roles(t *testing.T) *databases.Roles {
	t.Helper()
	r, err := databases.NewRoles(server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func TestASecondUserHasTheFirstOnesRolesAndRestrictionsAndNoOthers(t *testing.T) {
	r := roles(t)
	keeper := of(t, r.Port, "", server.Admin, server.Password)
	first := user(t)
	second := first + "_clone"
	elsewhere := bson.D{{Key: "role", Value: "read"}, {Key: "db", Value: "catalogue"}}
	for n, given := range []struct {
		roles     []any
		addresses []string
		// sent says that the roles are part of the command: an admin needs more rights then.
		sent bool
	}{
		{[]any{"readWrite", elsewhere}, []string{"10.0.0.0/8"}, true}, {[]any{elsewhere, "readWrite"}, []string{"10.0.0.0/8"}, false},
		{[]any{"read"}, nil, true}, {nil, []string{"10.1.0.0/16", "::1"}, true}, {[]any{"dbAdmin", "read"}, nil, true}, {[]any{"dbAdmin", "read"}, nil, false},
	} {
		r.Grant(first, given.roles...)
		r.Restrict(first, given.addresses...)
		password := fmt.Sprint("password ", n)
		if err := engine().EnsureUser(ctx, keeper, of(t, r.Port, "shop", second, password), first); err != nil {
			t.Fatalf("%v: %v", given, err)
		}
		roles, restrictions := r.Of(first)
		hasRoles, hasRestrictions := r.Of(second)
		if !same(roles, hasRoles) || !same(restrictions, hasRestrictions) {
			t.Errorf("the second user has %v from %v, and the first %v from %v", hasRoles, hasRestrictions, roles, restrictions)
		}
		if good := opens(second, "old", password); !slices.Equal(good, []string{password}) {
			t.Errorf("%v log in", good)
		}
		commands := r.Commands()
		if len(commands) != 1 {
			t.Fatalf("%d commands changed users", len(commands))
		}
		if _, sent := fields(commands[0])["roles"]; sent != given.sent {
			t.Errorf("%v: %v", given, commands[0])
		}
		if want := (bson.D{{Key: "w", Value: "majority"}, {Key: "wtimeout", Value: int64(5000)}}); !reflect.DeepEqual(fields(commands[0])["writeConcern"], want) {
			t.Errorf("a replica set may forget it: %v", commands[0])
		}
	}
}

// same compares sets of documents.
func same(a, b bson.A) bool {
	text := func(of bson.A) (out []string) {
		for _, r := range of {
			out = append(out, fmt.Sprint(r))
		}
		slices.Sort(out)
		return out
	}
	return slices.Equal(text(a), text(b))
}

func fields(of bson.D) map[string]any {
	out := map[string]any{}
	for _, e := range of {
		out[e.Key] = e.Value
	}
	return out
}

// Whoever may write the secret could name any user in it, and learn the password that is set.
func TestTheAdminsRightsAreNotUsedToTakeOverUsersOfMoreRights(t *testing.T) {
	r := roles(t)
	r.Define("everything", bson.A{bson.D{
		{Key: "resource", Value: bson.D{{Key: "anyResource", Value: true}}}, {Key: "actions", Value: bson.A{"anyAction"}},
	}})
	keeper := of(t, r.Port, "", server.Admin, server.Password)
	for _, right := range []any{
		"userAdmin", "everything", bson.D{{Key: "role", Value: "read"}, {Key: "db", Value: "admin"}}, bson.D{{Key: "role", Value: "read"}, {Key: "db", Value: "local"}},
		bson.D{{Key: "role", Value: "userAdminAnyDatabase"}, {Key: "db", Value: "admin"}},
	} {
		name := user(t)
		r.Grant(name, "readWrite", right)
		if err := engine().EnsureUser(ctx, keeper, of(t, r.Port, "shop", name, "new"), ""); !errors.Is(err, rotation.ErrPermission) || !strings.Contains(err.Error(), name) {
			t.Errorf("%v: %v", right, err)
		}
		if err := engine().SetPassword(ctx, of(t, r.Port, "shop", name, "old"), of(t, r.Port, "shop", name, "new"), keeper); !errors.Is(err, rotation.ErrPermission) {
			t.Errorf("%v, its own password: %v", right, err)
		}
		if err := engine().EnsureUser(ctx, keeper, of(t, r.Port, "shop", name+"_clone", "new"), name); !errors.Is(err, rotation.ErrPermission) {
			t.Errorf("a second user with %v: %v", right, err)
		}
		if good := opens(name, "old", "new"); !slices.Equal(good, []string{"old"}) {
			t.Errorf("%v: %v log in", right, good)
		}
		if server.Opens(ctx, name+"_clone", "new") == nil {
			t.Errorf("a second user with %v is there", right)
		}
	}
}

func TestAUserThatMayChangeItsOwnPasswordNeedsNoAdmin(t *testing.T) {
	r := roles(t)
	r.Define("ownPassword", bson.A{bson.D{
		{Key: "resource", Value: bson.D{{Key: "db", Value: "shop"}, {Key: "collection", Value: ""}}}, {Key: "actions", Value: bson.A{"changeOwnPassword"}},
	}})
	name := user(t)
	as, to := of(t, r.Port, "shop", name, "old"), of(t, r.Port, "shop", name, "new")
	r.Grant(name, "readWrite")
	err := engine().SetPassword(ctx, as, to, nil)
	if !errors.Is(err, rotation.ErrPermission) || !strings.Contains(err.Error(), "changeOwnPassword") || !strings.Contains(err.Error(), "userAdminAnyDatabase") {
		t.Error("it is not told what it needs:", err)
	}
	r.Grant(name, "readWrite", "ownPassword")
	if err := engine().SetPassword(ctx, as, to, nil); err != nil {
		t.Fatal(err)
	}
	if good := opens(name, "old", "new"); !slices.Equal(good, []string{"new"}) {
		t.Errorf("%v log in", good)
	}
	if err := engine().SetPassword(ctx, to, of(t, r.Port, "shop", name, "newer"), of(t, r.Port, "", server.Admin, server.Password)); err != nil {
		t.Error("the admin finds it to be more than an application needs:", err)
	}
}

func TestAnAdminThatMayNotChangeUsersIsToldWhatItNeeds(t *testing.T) {
	r := roles(t)
	name := user(t)
	r.Disarm()
	if err := engine().EnsureUser(ctx, of(t, r.Port, "", server.Admin, server.Password), of(t, r.Port, "shop", name, "new"), ""); !errors.Is(err, rotation.ErrPermission) {
		t.Error(err)
	}
}

func TestAServerThatDoesNotSayWhatRolesAllowIsTakenAtTheNamesOfRoles(t *testing.T) {
	r := roles(t)
	r.Silence(true)
	keeper := of(t, r.Port, "", server.Admin, server.Password)
	name := user(t)
	for role, want := range map[string]error{"readWrite": nil, "dbAdmin": nil, "dbOwner": rotation.ErrPermission, "somebodys": rotation.ErrPermission} {
		r.Grant(name, role)
		if err := engine().EnsureUser(ctx, keeper, of(t, r.Port, "shop", name, "new"), ""); !errors.Is(err, want) {
			t.Errorf("%s: %v", role, err)
		}
	}
}

func TestAServerWithoutAccessControlIsRefused(t *testing.T) {
	r := roles(t)
	name := user(t)
	login := of(t, r.Port, "shop", name, "old")
	if err := engine().Login(ctx, login); err != nil {
		t.Fatal(err)
	}
	r.Open(true)
	if err := engine().Login(ctx, login); !errors.Is(err, rotation.ErrInvalid) || !strings.Contains(err.Error(), "access control") {
		t.Error(err)
	}
}

func TestAMemberOfAReplicaSetLeadsToThePrimaryWhereCertificatesProveIt(t *testing.T) {
	primary, member, third := roles(t), roles(t), roles(t)
	name := user(t)
	member.Follow(primary.Address())
	if err := engine().SetPassword(ctx, of(t, member.Port, "shop", name, "old"), of(t, member.Port, "shop", name, "new"), of(t, member.Port, "", server.Admin, server.Password)); err != nil {
		t.Fatal(err)
	}
	if len(primary.Commands()) != 1 || len(member.Commands()) != 0 {
		t.Error("the primary was not told")
	}
	if err := engine().Login(ctx, of(t, member.Port, "shop", name, "new")); err != nil {
		t.Error(err)
	}
	for _, mode := range []rotation.TLSMode{rotation.TLSVerifyCA, rotation.TLSRequire} {
		other := engine()
		other.TLS.Mode = mode
		err := other.Login(ctx, of(t, member.Port, "shop", name, "new"))
		if proven := mode == rotation.TLSVerifyCA; proven != (err == nil) || !proven && (!errors.Is(err, rotation.ErrInvalid) || !strings.Contains(err.Error(), "name the primary")) {
			t.Errorf("%s: %v", mode, err)
		}
	}
	primary.Follow(third.Address())
	if err := engine().Login(ctx, of(t, member.Port, "shop", name, "new")); !errors.Is(err, rotation.ErrUnreachable) {
		t.Error("members that name different primaries:", err)
	}
	member.Follow("not an address")
	if err := engine().Login(ctx, of(t, member.Port, "shop", name, "new")); !errors.Is(err, rotation.ErrServer) {
		t.Error(err)
	}
	member.Follow("127.0.0.1:1")
	if err := engine().Login(ctx, of(t, member.Port, "shop", name, "new")); !errors.Is(err, rotation.ErrUnreachable) {
		t.Error("a primary that is down:", err)
	}
}
