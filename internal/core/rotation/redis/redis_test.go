package redis_test

import (
	"bufio"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/internal/core/rotation/redis"
	"strongroom.dev/strongroom/test/databases"
)

func TestALoginIsProvenByThePasswordAlone(t *testing.T) {
	name := user(t)
	if err := engine().Login(ctx, credential(t, name, "old")); err != nil {
		t.Error("of a user that may do nothing, not even PING:", err)
	}
	off := user(t, "off")
	for what, c := range map[string]*rotation.Credential{
		"another password": credential(t, name, "new"), "another user": credential(t, name+"x", "old"), "a user that is off": credential(t, off, "old"),
	} {
		if err := engine().Login(ctx, c); !errors.Is(err, rotation.ErrRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestAUserThatTakesAnyPasswordProvesNone(t *testing.T) {
	if err := engine().Login(ctx, credential(t, user(t, "nopass"), "old")); !errors.Is(err, rotation.ErrInvalid) {
		t.Error(err)
	}
}

func TestTheAdminExchangesAPasswordAndTheOneInForceStaysGood(t *testing.T) {
	name := user(t, "~*", "+@read")
	all := []string{"old", "older", "second", "third"}
	do(t, "ACL", "SETUSER", name, ">older")
	for _, step := range []struct {
		as, to string
		good   []string
	}{{"old", "second", []string{"old", "second"}}, {"second", "third", []string{"second", "third"}}, {"second", "third", []string{"second", "third"}}} {
		if err := engine().SetPassword(ctx, credential(t, name, step.as), credential(t, name, step.to), admin(t)); err != nil {
			t.Fatal(err)
		}
		if good := opens(t, name, all...); !slices.Equal(good, step.good) {
			t.Errorf("after %s: %v log in", step.to, good)
		}
	}
	if got := rules(t, name); got != "on ~* resetchannels -@all +@read" {
		t.Error("its rules are others now:", got)
	}
}

func TestAUserThatMayChangeUsersChangesItself(t *testing.T) {
	name := user(t, "+@all")
	if err := engine().SetPassword(ctx, credential(t, name, "old"), credential(t, name, "new"), nil); err != nil {
		t.Fatal(err)
	}
	if good := opens(t, name, "old", "new"); !slices.Equal(good, []string{"old", "new"}) {
		t.Errorf("%v log in", good)
	}
	ordinary := user(t, "+@all", "-@admin")
	err := engine().SetPassword(ctx, credential(t, ordinary, "old"), credential(t, ordinary, "new"), nil)
	if !errors.Is(err, rotation.ErrPermission) || !strings.Contains(err.Error(), "adminSecretRef") {
		t.Error("a user that may not:", err)
	}
}

func TestTheAdminMakesAUserAndChangesIt(t *testing.T) {
	for _, password := range []string{"first", "Grüße, 日本 '\"", strings.Repeat("long", 1000)} {
		if err := engine().EnsureUser(ctx, admin(t), credential(t, "made", password), ""); err != nil {
			t.Fatal(err)
		}
		if err := engine().Login(ctx, credential(t, "made", password)); err != nil {
			t.Error(err)
		}
	}
	if len(opens(t, "made", "first")) != 0 {
		t.Error("a password that nobody wants to keep is still good")
	}
	if got := rules(t, "made"); got != "on resetchannels -@all" {
		t.Error("a new user may do something:", got)
	}
	if err := engine().EnsureUser(ctx, admin(t), credential(t, "a user", "new"), ""); !errors.Is(err, rotation.ErrInvalid) {
		t.Error("a name that no user can have:", err)
	}
}

func TestASecondUserHasTheFirstOnesRulesAndNoMore(t *testing.T) {
	for _, given := range [][]any{
		{}, {"~*", "&*", "+@all", "-@dangerous"}, {"~a:*", "%R~b*", "&c*", "+@read", "+set", "+cluster|slots", "skip-sanitize-payload"},
		{"+get", "~x", "(~r* +set +@hash)", "(%W~w* &y +del)"}, {"allkeys", "+@all", "-@admin", "-eval"},
	} {
		first := user(t, given...)
		do(t, "ACL", "SETUSER", first+"_clone", "on", ">older", "~more*", "&*", "+@write", "(~z +get)")
		if err := engine().EnsureUser(ctx, admin(t), credential(t, first+"_clone", "new"), first); err != nil {
			t.Fatalf("%v: %v", given, err)
		}
		if got, want := rules(t, first+"_clone"), rules(t, first); got != want {
			t.Errorf("the second user has %q, and the first %q", got, want)
		}
		if good := opens(t, first+"_clone", "old", "older", "new", ""); !slices.Equal(good, []string{"new"}) {
			t.Errorf("%v log in", good)
		}
	}
}

func TestASecondUserOfNobodyIsNotMade(t *testing.T) {
	if err := engine().EnsureUser(ctx, admin(t), credential(t, "ghost_clone", "new"), "ghost"); !errors.Is(err, rotation.ErrInvalid) {
		t.Error(err)
	}
	if err := engine().SetPassword(ctx, credential(t, "ghost", "old"), credential(t, "ghost", "new"), admin(t)); !errors.Is(err, rotation.ErrInvalid) {
		t.Error("a user that was deleted meanwhile:", err)
	}
}

// Whoever may write the secret could name any user in it, and learn the password that is set.
func TestTheAdminsRightsAreNotUsedToTakeOverUsersOfMoreRights(t *testing.T) {
	for _, right := range []string{"+@all", "+acl", "+acl|setuser", "+config|get", "+@admin", "+@slow", "+@dangerous", "+shutdown", "+module", "+replicaof", "+monitor", "(~x +acl)"} {
		name := user(t, right)
		if err := engine().EnsureUser(ctx, admin(t), credential(t, name, "new"), ""); !errors.Is(err, rotation.ErrPermission) {
			t.Errorf("%s: %v", right, err)
		}
		if err := engine().SetPassword(ctx, credential(t, name, "old"), credential(t, name, "new"), admin(t)); !errors.Is(err, rotation.ErrPermission) {
			t.Errorf("%s, its own password: %v", right, err)
		}
		if err := engine().EnsureUser(ctx, admin(t), credential(t, name+"_clone", "new"), name); !errors.Is(err, rotation.ErrPermission) {
			t.Errorf("a second user with %s: %v", right, err)
		}
		if good := opens(t, name, "old", "new"); !slices.Equal(good, []string{"old"}) {
			t.Errorf("%s: %v log in", right, good)
		}
	}
	if err := engine().EnsureUser(ctx, admin(t), credential(t, "default", "new"), ""); !errors.Is(err, rotation.ErrPermission) {
		t.Error("the user default:", err)
	}
}

func TestAUserThatIsOffIsNotTurnedOn(t *testing.T) {
	off, on := user(t, "off"), user(t)
	for what, err := range map[string]error{
		"itself":             engine().EnsureUser(ctx, admin(t), credential(t, off, "new"), ""),
		"as the second user": engine().EnsureUser(ctx, admin(t), credential(t, off, "new"), on),
		"as the first":       engine().EnsureUser(ctx, admin(t), credential(t, on, "new"), off),
	} {
		if !errors.Is(err, rotation.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// What the server lets pass to observers: MONITOR, its slow log, its log of users, and its files.
func TestNothingThatTheServerShowsHoldsAPasswordThatIsSet(t *testing.T) {
	name := user(t)
	do(t, "CONFIG", "SET", "slowlog-log-slower-than", "0")
	monitor := exec.Command("redis-cli", "-h", databases.Host, "-p", fmt.Sprint(server.Port), "--tls", "--cacert", server.Dir+"/ca.crt",
		"--no-auth-warning", "-a", server.Password, "MONITOR")
	output, err := monitor.StdoutPipe()
	if err == nil {
		err = monitor.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = monitor.Wait() }()
	defer func() { _ = monitor.Process.Kill() }()
	var lines []string
	observer := bufio.NewScanner(output)
	until := func(mark string) {
		for observer.Scan() {
			if lines = append(lines, observer.Text()); strings.Contains(observer.Text(), mark) {
				return
			}
		}
		t.Fatal("MONITOR ended")
	}
	until("OK")
	if err := engine().EnsureUser(ctx, admin(t), credential(t, name, "canary one"), ""); err != nil {
		t.Fatal(err)
	}
	if err := engine().SetPassword(ctx, credential(t, name, "canary one"), credential(t, name, "canary two"), admin(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := engine().Persist(ctx, admin(t)); err != nil {
		t.Fatal(err)
	}
	if err := engine().Login(ctx, credential(t, name, "canary two")); err != nil {
		t.Fatal(err)
	}
	do(t, "ECHO", "finish")
	until("finish")
	for _, command := range [][]any{{"SLOWLOG", "GET", "100"}, {"ACL", "LOG"}, {"ACL", "LIST"}} {
		c := server.Connect("default", server.Password)
		answer, err := c.Do(ctx, command...).Slice()
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, sprint(answer))
		_ = c.Close()
	}
	if all := strings.Join(lines, "\n") + server.Files(); strings.Contains(all, "canary") {
		t.Error("a password is shown")
	}
}

func sprint(v any) string {
	list, ok := v.([]any)
	if !ok {
		text, _ := v.(string)
		return text
	}
	out := ""
	for _, e := range list {
		out += sprint(e) + " "
	}
	return out
}

func TestARestartLosesNoPasswordThatWasPersisted(t *testing.T) {
	for users, want := range map[databases.RedisUsers]bool{databases.RedisConfigFile: true, databases.RedisACLFile: true, databases.RedisMemory: false} {
		t.Run(string(users), func(t *testing.T) {
			s, err := databases.StartRedis(ctx, users)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Stop() }()
			keeper := credentialOf(t, s, s.Admin, s.Password)
			for _, c := range []*rotation.Credential{credentialOf(t, s, "shop", "first"), credentialOf(t, s, "default", "second")} {
				as := keeper
				if c.Username == "default" {
					as = credentialOf(t, s, "default", s.Password)
					err = engineOf(s).SetPassword(ctx, as, c, nil)
				} else {
					err = engineOf(s).EnsureUser(ctx, as, c, "")
				}
				if err != nil {
					t.Fatal(err)
				}
				if kept, err := engineOf(s).Persist(ctx, as); err != nil || kept != want {
					t.Fatalf("%s: %v, %v", c.Username, kept, err)
				}
				if !want {
					return
				}
			}
			if err := errors.Join(s.Kill(), s.Start(ctx)); err != nil {
				t.Fatal(err)
			}
			for name, password := range map[string]string{"shop": "first", "default": "second"} {
				if err := s.Opens(ctx, name, password); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

func TestAnAdminThatMayNotPersistIsToldWhatItNeeds(t *testing.T) {
	name := user(t, "+acl|getuser", "+acl|setuser")
	if _, err := engine().Persist(ctx, credential(t, name, "old")); !errors.Is(err, rotation.ErrPermission) || !strings.Contains(err.Error(), "+config|rewrite") {
		t.Error(err)
	}
}

func TestEachFailureHasItsCauseAndNoPasswordInIt(t *testing.T) {
	name := user(t)
	other := engine()
	other.TLS.Roots = x509.NewCertPool()
	nowhere := credential(t, name, "canary")
	nowhere.Port = 1
	plain := redis.Engine{TLS: rotation.TLS{Mode: rotation.TLSDisable}}
	over, cancel := context.WithCancel(ctx)
	cancel()
	for what, tt := range map[string]struct {
		err  error
		want error
	}{
		"nobody listens":       {engine().Login(ctx, nowhere), rotation.ErrUnreachable},
		"another authority":    {other.Login(ctx, credential(t, name, "canary")), rotation.ErrTLS},
		"no TLS where it is":   {plain.Login(ctx, credential(t, name, "canary")), rotation.ErrUnreachable},
		"a user who may not":   {engine().EnsureUser(ctx, credential(t, name, "old"), credential(t, "another", "canary"), ""), rotation.ErrPermission},
		"an admin's password":  {engine().EnsureUser(ctx, credential(t, server.Admin, "canary"), credential(t, name, "canary"), ""), rotation.ErrRefused},
		"a time that is over":  {engine().Login(over, credential(t, name, "canary")), rotation.ErrUnreachable},
		"a password, as a key": {engine().Login(ctx, credential(t, name, "canary\r\nPING\r\n")), rotation.ErrRefused},
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
