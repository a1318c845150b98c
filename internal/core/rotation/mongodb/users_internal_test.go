package mongodb

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/secretbytes"
)

func marshal(t *testing.T, of any) bson.Raw {
	t.Helper()
	out, err := bson.Marshal(of)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// answer is what MongoDB's documentation shows of usersInfo with showPrivileges.
func answer(username, database string) bson.D {
	return bson.D{{Key: "ok", Value: 1.0}, {Key: "users", Value: bson.A{bson.D{
		{Key: "_id", Value: database + "." + username}, {Key: "user", Value: username}, {Key: "db", Value: database},
		{Key: "mechanisms", Value: bson.A{"SCRAM-SHA-1", "SCRAM-SHA-256"}}, {Key: "customData", Value: bson.D{{Key: "team", Value: 7}}},
		{Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "readWrite"}, {Key: "db", Value: "shop"}}}},
		{Key: "inheritedRoles", Value: bson.A{bson.D{{Key: "role", Value: "readWrite"}, {Key: "db", Value: "shop"}}}},
		{Key: "inheritedPrivileges", Value: bson.A{bson.D{
			{Key: "resource", Value: bson.D{{Key: "db", Value: "shop"}, {Key: "collection", Value: ""}}}, {Key: "actions", Value: bson.A{"find", "insert"}},
		}}},
		{Key: "inheritedAuthenticationRestrictions", Value: bson.A{}},
		{Key: "authenticationRestrictions", Value: bson.A{bson.D{{Key: "clientSource", Value: bson.A{"10.0.0.0/8"}}}}},
	}}}}
}

func TestAUserIsReadAsTheServerHasIt(t *testing.T) {
	u, err := parseUsers(marshal(t, answer("shop", "shop")), "shop", "shop")
	if err != nil {
		t.Fatal(err)
	}
	want := &user{
		Username: "shop", Database: "shop", Mechanisms: []string{"SCRAM-SHA-1", "SCRAM-SHA-256"}, Roles: []role{{"readWrite", "shop"}},
		Privileges:   &[]privilege{{bson.M{"db": "shop", "collection": ""}, []string{"find", "insert"}}},
		Restrictions: []bson.Raw{marshal(t, bson.D{{Key: "clientSource", Value: bson.A{"10.0.0.0/8"}}})},
	}
	if !reflect.DeepEqual(u, want) {
		t.Errorf("%+v", u)
	}
}

func TestAnAnswerThatIsNotUnderstoodIsNoUser(t *testing.T) {
	if u, err := parseUsers(marshal(t, bson.D{{Key: "users", Value: bson.A{}}, {Key: "ok", Value: 1.0}}), "shop", "shop"); u != nil || err != nil {
		t.Error("nobody:", u, err)
	}
	two := answer("shop", "shop")
	two[1].Value = append(two[1].Value.(bson.A), two[1].Value.(bson.A)[0])
	for what, a := range map[string]bson.D{
		"no users": {{Key: "ok", Value: 1.0}}, "users that are no list": {{Key: "users", Value: 1}}, "another user": answer("root", "shop"),
		"of another database": answer("shop", "admin"), "two": two, "a user that is none": {{Key: "users", Value: bson.A{1}}},
		"roles that are none": {{Key: "users", Value: bson.A{bson.D{{Key: "user", Value: "shop"}, {Key: "db", Value: "shop"}, {Key: "roles", Value: "readWrite"}}}}},
	} {
		if u, err := parseUsers(marshal(t, a), "shop", "shop"); !errors.Is(err, rotation.ErrServer) {
			t.Errorf("%s: %v, %v", what, u, err)
		}
	}
}

func secret(text string) secretbytes.Bytes { return secretbytes.Own([]byte(text)) }

func TestACommandSaysWhatIsToChangeAndNoMore(t *testing.T) {
	restriction := marshal(t, bson.D{{Key: "clientSource", Value: bson.A{"10.0.0.0/8"}}})
	pattern := &user{Username: "shop", Mechanisms: []string{"SCRAM-SHA-256"}, Roles: []role{{"readWrite", "shop"}, {"read", "catalogue"}}, Restrictions: []bson.Raw{restriction}}
	same := &user{Username: "shop_clone", Mechanisms: []string{"SCRAM-SHA-1"}, Roles: []role{{"read", "catalogue"}, {"readWrite", "shop"}}, Restrictions: []bson.Raw{restriction}}
	other := &user{Username: "shop_clone", Roles: []role{{"read", "shop"}}, Restrictions: []bson.Raw{restriction}}
	sorted := []role{{"read", "catalogue"}, {"readWrite", "shop"}}
	concern := bson.E{Key: "writeConcern", Value: bson.D{{Key: "w", Value: "majority"}, {Key: "wtimeout", Value: int64(5000)}}}
	head := func(command, of string, mechanisms ...string) bson.D {
		return bson.D{{Key: command, Value: of}, {Key: "pwd", Value: "new"}, {Key: "mechanisms", Value: mechanisms}}
	}
	for what, tt := range map[string]struct{ got, want bson.D }{
		"a user of nobody's rights": {create("made", secret("new"), nil), append(head("createUser", "made", "SCRAM-SHA-256"), bson.E{Key: "roles", Value: []role{}}, concern)},
		"a second user": {create("shop_clone", secret("new"), pattern), append(head("createUser", "shop_clone", "SCRAM-SHA-256"),
			bson.E{Key: "roles", Value: sorted}, bson.E{Key: "authenticationRestrictions", Value: []bson.Raw{restriction}}, concern)},
		"a password":              {pattern.update(secret("new"), pattern), append(head("updateUser", "shop", "SCRAM-SHA-256"), concern)},
		"of one who has the same": {same.update(secret("new"), pattern), append(head("updateUser", "shop_clone", "SCRAM-SHA-256", "SCRAM-SHA-1"), concern)},
		"of one who has others": {other.update(secret("new"), pattern), append(head("updateUser", "shop_clone", "SCRAM-SHA-256"),
			bson.E{Key: "roles", Value: sorted}, concern)},
		"and less": {pattern.update(secret("new"), &user{}), append(head("updateUser", "shop", "SCRAM-SHA-256"),
			bson.E{Key: "roles", Value: []role{}}, bson.E{Key: "authenticationRestrictions", Value: []bson.Raw{}}, concern)},
	} {
		if !reflect.DeepEqual(tt.got, tt.want) {
			t.Errorf("%s:\n%v\n%v", what, tt.got, tt.want)
		}
	}
}

func TestWhereChangesAreMadeIsDecidedByWhoProvesItself(t *testing.T) {
	for _, tt := range []struct {
		mode       rotation.TLSMode
		writable   bool
		primary    string
		host, port string
		err        error
	}{
		{rotation.TLSDisable, true, "", "", "", nil}, {rotation.TLSRequire, true, "b.shop:27017", "", "", nil}, {"", true, "", "", "", nil},
		{"", false, "b.shop:27017", "b.shop", "27017", nil}, {rotation.TLSVerifyCA, false, "[::1]:1", "::1", "1", nil},
		{rotation.TLSDisable, false, "b.shop:27017", "", "", rotation.ErrInvalid}, {rotation.TLSRequire, false, "b.shop:27017", "", "", rotation.ErrInvalid},
		{"", false, "", "", "", rotation.ErrUnreachable}, {"", false, "b.shop", "", "", rotation.ErrServer}, {"", false, ":1", "", "", rotation.ErrServer},
	} {
		s := &server{engine: Engine{TLS: rotation.TLS{Mode: tt.mode}}, host: "a.shop", port: "27017"}
		next, err := s.next(place{tt.writable, tt.primary})
		if !errors.Is(err, tt.err) || (next == nil) != (tt.host == "") || next != nil && (next.host != tt.host || next.port != tt.port) {
			t.Errorf("%+v: %+v, %v", tt, next, err)
		}
	}
}

func TestAServersErrorsHaveTheirCausesAndNoneOfItsWords(t *testing.T) {
	for code, want := range map[int32]error{
		18: rotation.ErrRefused, 334: rotation.ErrRefused, 13: rotation.ErrPermission, 11: rotation.ErrInvalid, 8000: rotation.ErrInvalid, 59: rotation.ErrInvalid,
		10107: rotation.ErrUnreachable, 64: rotation.ErrUnreachable, 50692: rotation.ErrPassword, 1: rotation.ErrServer, -7: rotation.ErrServer,
	} {
		err := causeOf(mongo.CommandError{Code: code, Message: "canary", Name: "canary"})
		if !errors.Is(err, want) {
			t.Errorf("%d: %v", code, err)
		}
		if err != nil && containsCanary(err) {
			t.Error("the server's words are in", err)
		}
	}
	if err := causeOf(mongo.WriteException{WriteConcernError: &mongo.WriteConcernError{Code: 64, Message: "canary"}}); !errors.Is(err, rotation.ErrUnreachable) || containsCanary(err) {
		t.Error(err)
	}
	if err := causeOf(errors.New("canary")); !errors.Is(err, rotation.ErrUnreachable) || containsCanary(err) {
		t.Error(err)
	}
	if causeOf(nil) != nil {
		t.Error("nothing is a failure")
	}
}

func containsCanary(err error) bool { return strings.Contains(err.Error(), "canary") }

// What a server answers is not to be trusted: nothing that it says makes this process panic, or takes a user for another.
func FuzzParseUsers(f *testing.F) {
	for _, a := range []bson.D{answer("shop", "shop"), answer("shop", "admin"), {{Key: "users", Value: bson.A{}}}, {{Key: "users", Value: 1}}} {
		raw, err := bson.Marshal(a)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		u, err := parseUsers(raw, "shop", "shop")
		if err != nil || u == nil {
			return
		}
		if u.Username != "shop" || u.Database != "shop" {
			t.Errorf("it is %s of %s", u.Username, u.Database)
		}
		if u.ordinary() == nil && u.Privileges != nil {
			for _, p := range *u.Privileges {
				for _, a := range p.Actions {
					if a == "createUser" || a == "anyAction" {
						t.Errorf("one who may %s is of an application", a)
					}
				}
			}
		}
		if _, err := bson.Marshal(u.update(secret("new"), &user{})); err != nil {
			t.Error(err)
		}
		if _, err := bson.Marshal(create("shop_clone", secret("new"), u)); err != nil {
			t.Errorf("what it says cannot be handed on: %v", err)
		}
	})
}
