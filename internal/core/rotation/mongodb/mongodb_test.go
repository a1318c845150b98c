package mongodb_test

import (
	"context"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/rotation/mongodb"
)

func TestALoginIsProvenByThePasswordAlone(t *testing.T) {
	name := user(t)
	if err := engine().Login(ctx, credential(t, name, "old")); err != nil {
		t.Error(err)
	}
	for what, c := range map[string]*rotation.Credential{
		"another password": credential(t, name, "new"), "another user": credential(t, name+"x", "old"),
		"the same name in another database": of(t, server.Port, "other", name, "old"), "the database that is meant without one": of(t, server.Port, "", name, "old"),
	} {
		if err := engine().Login(ctx, c); !errors.Is(err, rotation.ErrRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAUserOfNoDatabaseIsOneOfAdmin(t *testing.T) {
	if err := engine().Login(ctx, admin(t)); err != nil {
		t.Error(err)
	}
	if got := (mongodb.Engine{}).Scope(admin(t)); got != "admin" {
		t.Error(got)
	}
}

func TestAPasswordIsChangedByTheUserItselfAndByTheAdmin(t *testing.T) {
	for what, as := range map[string]*rotation.Credential{"the user": nil, "the admin": admin(t)} {
		name := user(t)
		for range 2 { // the answer to the first was lost
			if err := engine().SetPassword(ctx, credential(t, name, "old"), credential(t, name, "new"), as); err != nil && as != nil {
				t.Fatalf("%s: %v", what, err)
			}
		}
		if good := opens(name, "old", "new"); !slices.Equal(good, []string{"new"}) {
			t.Errorf("%s: %v log in", what, good)
		}
	}
}

func TestTheAdminMakesAUserAndChangesIt(t *testing.T) {
	for _, password := range []string{"first", "Grüße, 日本 '\"$", strings.Repeat("long", 1000)} {
		if err := engine().EnsureUser(ctx, admin(t), credential(t, "made", password), ""); err != nil {
			t.Fatal(err)
		}
		if err := engine().Login(ctx, credential(t, "made", password)); err != nil {
			t.Error(err)
		}
	}
	if len(opens("made", "first")) != 0 {
		t.Error("a former password is still good")
	}
	if server.OpensIn(ctx, "admin", "made", strings.Repeat("long", 1000)) == nil {
		t.Error("it is a user of database admin too")
	}
}

func TestASecondUserIsMadeAndItsPasswordSet(t *testing.T) {
	first := user(t)
	for _, password := range []string{"one", "two"} {
		if err := engine().EnsureUser(ctx, admin(t), credential(t, first+"_clone", password), first); err != nil {
			t.Fatal(err)
		}
		if good := opens(first+"_clone", "old", "one", "two"); !slices.Equal(good, []string{password}) {
			t.Errorf("%v log in", good)
		}
	}
	if good := opens(first, "old"); len(good) != 1 {
		t.Error("the first user's password is another now")
	}
}

func TestASecondUserOfNobodyIsNotMade(t *testing.T) {
	if err := engine().EnsureUser(ctx, admin(t), credential(t, "ghost_clone", "new"), "ghost"); !errors.Is(err, rotation.ErrInvalid) || !strings.Contains(err.Error(), "ghost in database shop") {
		t.Error(err)
	}
	if err := engine().SetPassword(ctx, credential(t, "ghost", "old"), credential(t, "ghost", "new"), admin(t)); !errors.Is(err, rotation.ErrInvalid) {
		t.Error("a user that was dropped meanwhile:", err)
	}
	if err := engine().Login(ctx, credential(t, "ghost_clone", "new")); !errors.Is(err, rotation.ErrRefused) {
		t.Error("it is there:", err)
	}
}

func TestAUsersMechanismsAreKeptAndSHA256IsAmongThem(t *testing.T) {
	name := user(t)
	do(t, "shop", bson.D{{Key: "updateUser", Value: name}, {Key: "pwd", Value: "old"}, {Key: "mechanisms", Value: bson.A{"SCRAM-SHA-1"}}})
	if err := engine().Login(ctx, credential(t, name, "old")); !errors.Is(err, rotation.ErrRefused) {
		t.Error("by SHA-1 alone:", err)
	}
	if err := engine().EnsureUser(ctx, admin(t), credential(t, name, "new"), ""); err != nil {
		t.Fatal(err)
	}
	if err := engine().Login(ctx, credential(t, name, "new")); err != nil {
		t.Error(err)
	}
}

func TestUsersWhosePasswordsTheServerDoesNotHaveAreRefused(t *testing.T) {
	if err := engine().Login(ctx, of(t, server.Port, "$external", "cn=shop", "old")); !errors.Is(err, rotation.ErrInvalid) || !strings.Contains(err.Error(), "$external") {
		t.Error(err)
	}
}

func TestARestartLosesNoPassword(t *testing.T) {
	name := user(t)
	if err := engine().SetPassword(ctx, credential(t, name, "old"), credential(t, name, "new"), admin(t)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(server.Kill(), server.Start(ctx)); err != nil {
		t.Fatal(err)
	}
	if good := opens(name, "old", "new"); !slices.Equal(good, []string{"new"}) {
		t.Errorf("%v log in", good)
	}
}

func TestEachFailureHasItsCauseAndNoPasswordInIt(t *testing.T) {
	name := user(t)
	other := engine()
	other.TLS.Roots = x509.NewCertPool()
	plain := mongodb.Engine{TLS: rotation.TLS{Mode: rotation.TLSDisable}}
	over, cancel := context.WithCancel(ctx)
	cancel()
	nowhere := of(t, 1, "shop", name, "canary")
	for what, tt := range map[string]struct {
		err  error
		want error
	}{
		"nobody listens":                     {engine().Login(ctx, nowhere), rotation.ErrUnreachable},
		"another authority":                  {other.Login(ctx, credential(t, name, "canary")), rotation.ErrTLS},
		"no TLS where it is":                 {plain.Login(ctx, credential(t, name, "canary")), rotation.ErrUnreachable},
		"an admin's password":                {engine().EnsureUser(ctx, of(t, server.Port, "admin", server.Admin, "canary"), credential(t, name, "canary"), ""), rotation.ErrRefused},
		"an admin of another database":       {engine().EnsureUser(ctx, of(t, server.Port, "shop", server.Admin, server.Password), credential(t, name, "canary"), ""), rotation.ErrRefused},
		"a time that is over":                {engine().Login(over, credential(t, name, "canary")), rotation.ErrUnreachable},
		"a character that SCRAM has not":     {engine().Login(ctx, credential(t, name, "canary\u0007")), rotation.ErrInvalid},
		"a new one that SCRAM does not have": {engine().EnsureUser(ctx, admin(t), credential(t, name+"x", "canary\u0007"), ""), rotation.ErrPassword},
	} {
		if !errors.Is(tt.err, tt.want) {
			t.Errorf("%s: %v", what, tt.err)
		}
		if tt.err != nil && strings.Contains(tt.err.Error(), "canary") {
			t.Errorf("%s: the password is in %v", what, tt.err)
		}
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
