package redis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"strongroom.dev/strongroom/internal/core/rotation"
	"strongroom.dev/strongroom/test/databases"
)

func TestWhatIsMoreThanAnApplicationNeeds(t *testing.T) {
	for rules, want := range map[string]string{
		"":                  "",
		"-@all":             "",
		"+@all -@dangerous": "",
		"+@all -@admin":     "",
		"+@all -@slow":      "",
		"-@all +@read +@write +@connection +@fast +@pubsub +@scripting":                                                      "",
		"-@all +get +acl|whoami +cluster|slots +config|help":                                                                 "",
		"+@all -acl -config -module -debug -shutdown -replicaof -slaveof -failover -cluster -monitor -psync -sync -replconf": "",
		"+@all -@all +get":                          "",
		"+@all":                                     "acl",
		"-@all +@slow":                              "acl",
		"+@all -@dangerous +config":                 "config",
		"+@all -@dangerous +config|get":             "config|get",
		"+@all -@dangerous +CONFIG|SET":             "config|set",
		"+config -config|set":                       "config",
		"+config|get -config":                       "",
		"-@all +config|get +config|set -config|get": "config|set",
		"-@all +failover":                           "failover",
		"-@admin +@all":                             "acl",
	} {
		if got := mighty(rules); got != want {
			t.Errorf("%q: %q", rules, got)
		}
	}
}

// Redis 6 says the same in another shape.
func TestUsersAreReadInEveryVersionsShape(t *testing.T) {
	list := func(of ...any) []any { return of }
	for _, tt := range []struct {
		what   string
		answer any
		want   []string
	}{
		{"Redis 6.0", list("flags", list("on", "allkeys"), "passwords", list("h"), "commands", "+@all -@admin", "keys", list("*")), []string{"~*", "+@all", "-@admin"}},
		{"Redis 6.2", list("flags", list("on"), "passwords", nil, "commands", "-@all +get", "keys", list("a", "b"), "channels", list("c")),
			[]string{"~a", "~b", "resetchannels", "&c", "-@all", "+get"}},
		{"Redis 7", list("flags", list("on", "sanitize-payload"), "passwords", list(), "commands", "+get", "keys", "~a %R~b", "channels", "&c &d",
			"selectors", list(list("commands", "-@all +set", "keys", "~e", "channels", ""))),
			[]string{"sanitize-payload", "~a", "%R~b", "resetchannels", "&c", "&d", "+get", "(~e resetchannels -@all +set)"}},
	} {
		u, ok := parseUser(tt.answer)
		if !ok || !slices.Equal(u.rules, tt.want) || u.off {
			t.Errorf("%s: %+v", tt.what, u)
		}
	}
	for what, answer := range map[string]any{
		"no map": "on", "an odd map": list("flags"), "a key that is no text": list(1, 2), "flags that are no list": list("flags", "on", "commands", "", "keys", ""),
		"no commands": list("flags", list("on"), "keys", ""), "a password as a rule": list("flags", list("on"), "commands", ">hacked", "keys", ""),
		"a rule among keys":          list("flags", list("on"), "commands", "", "keys", "nopass"),
		"a rule among channels":      list("flags", list("on"), "commands", "", "keys", "", "channels", "+@all"),
		"a selector that is no map":  list("flags", list("on"), "commands", "", "keys", "", "selectors", list("x")),
		"a password that is no text": list("flags", list("on"), "passwords", list(int64(1)), "commands", "", "keys", ""),
	} {
		if u, ok := parseUser(answer); ok {
			t.Errorf("%s: %+v", what, u)
		}
	}
}

// The server itself is asked what users of many rules may run.
func TestTheServerAgreesOnWhatAUserMayRun(t *testing.T) {
	ctx := context.Background()
	s, err := databases.StartRedis(ctx, databases.RedisConfigFile)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Stop() }()
	c := s.Connect("default", s.Password)
	defer func() { _ = c.Close() }()
	commands := [][]any{
		{"acl", "setuser", "x"}, {"acl", "deluser", "x"}, {"config", "set", "a", "b"}, {"config", "get", "a"}, {"module", "load", "x"}, {"debug", "sleep", "0"}, {"shutdown"},
		{"replicaof", "a", "1"}, {"slaveof", "a", "1"}, {"failover"}, {"cluster", "reset"}, {"monitor"}, {"psync", "a", "1"}, {"sync"}, {"replconf"},
	}
	tokens := []string{"+@all", "-@all", "+@admin", "-@admin", "-@dangerous", "+@slow", "+@fast", "+@write", "+@connection", "+@read", "-acl", "+acl|whoami", "+config|get",
		"-config", "+cluster|slots", "+cluster", "-cluster", "+debug", "-monitor", "+@scripting"}
	mightyOnes := 0
	for n := range 400 {
		var rules []string
		for k, m := 0, n*7919+13; k < 1+n%4; k, m = k+1, m/len(tokens)+n*31 {
			rules = append(rules, tokens[m%len(tokens)])
		}
		args := []any{"ACL", "SETUSER", "probe", "reset"}
		for _, r := range rules {
			args = append(args, r)
		}
		if err := c.Do(ctx, args...).Err(); err != nil {
			t.Fatalf("%v: %v", rules, err)
		}
		answer, err := c.Do(ctx, "ACL", "GETUSER", "probe").Result()
		if err != nil {
			t.Fatal(err)
		}
		f, _ := answer.(map[any]any)
		said := fmt.Sprint(f["commands"])
		may := ""
		for _, command := range commands {
			result, err := c.Do(ctx, append([]any{"ACL", "DRYRUN", "probe"}, command...)...).Text()
			if err == nil && result == "OK" {
				may = fmt.Sprint(command)
			} else if err != nil {
				t.Fatalf("%v: %v", command, err)
			}
		}
		// A reserved command with exceptions counts as that command, whatever they are.
		excepted := strings.Contains(said, "-acl|") || strings.Contains(said, "-cluster|") || strings.Contains(said, "-config|")
		if got := mighty(said) != ""; may != "" && !got || may == "" && got && !excepted {
			t.Errorf("%v (%s): the server lets it run %q, and here it is %q", rules, said, may, mighty(said))
		}
		if may != "" {
			mightyOnes++
		}
	}
	if mightyOnes == 0 || mightyOnes == 400 {
		t.Error("all users were alike")
	}
}

func TestErrorsOfTheServerAreNotRepeated(t *testing.T) {
	for _, text := range []string{"canary", "ERR canary", "WRONGPASS canary", "", "CANARYCANARYCANARYCANARYCANARY x", "LOADING canary"} {
		err := causeOf(refusal{text})
		if err == nil || strings.Contains(strings.ToLower(err.Error()), "canary") {
			t.Errorf("%q: %v", text, err)
		}
	}
	if err := causeOf(refusal{"ERR Client sent AUTH, but no password is set"}); !strings.Contains(err.Error(), "Redis 6") {
		t.Error(err)
	}
	if err := causeOf(refusal{"ERR max number of clients reached"}); !errors.Is(err, rotation.ErrUnreachable) {
		t.Error(err)
	}
	if causeOf(nil) != nil || errors.Is(causeOf(errProtocol), errProtocol) {
		t.Error("causes are this package's")
	}
}
