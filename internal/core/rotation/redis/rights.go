package redis

import (
	"context"
	"slices"
	"strings"

	"strongroom.dev/strongroom/internal/core/rotation"
)

// user is what ACL GETUSER says of one.
type user struct {
	username string
	off      bool
	// hashes of its passwords.
	hashes []string
	// rules are what it may do, as arguments of ACL SETUSER. They have no password.
	rules []string
	// commands of the user, and of each of its selectors.
	commands []string
}

// user reads a user, nil if there is none.
func (c *client) user(ctx context.Context, username string) (*user, error) {
	if strings.ContainsAny(username, " \t\r\n") {
		return nil, rotation.Because(rotation.ErrInvalid, "the username has a space, which no user of Redis has")
	}
	answer, err := c.do(ctx, "ACL", "GETUSER", username)
	if err != nil || answer == nil {
		return nil, causeOf(err)
	}
	u, ok := parseUser(answer)
	if !ok {
		return nil, rotation.Because(rotation.ErrServer, "what it says of a user is not understood")
	}
	u.username = username
	return u, nil
}

// fields are the pairs of an answer that is a map.
func fields(answer any) (map[string]any, bool) {
	list, ok := answer.([]any)
	if !ok || len(list)%2 != 0 {
		return nil, false
	}
	out := map[string]any{}
	for n := 0; n < len(list); n += 2 {
		name, ok := list[n].(string)
		if !ok {
			return nil, false
		}
		out[name] = list[n+1]
	}
	return out, true
}

func parseUser(answer any) (*user, bool) {
	f, ok := fields(answer)
	if !ok {
		return nil, false
	}
	flags, ok1 := texts(f["flags"])
	hashes, ok2 := texts(f["passwords"])
	if !ok1 || !ok2 {
		return nil, false
	}
	u := &user{off: !slices.Contains(flags, "on"), hashes: hashes}
	for _, flag := range flags {
		if strings.HasSuffix(flag, "sanitize-payload") {
			u.rules = append(u.rules, flag)
		}
	}
	rules, ok := u.scope(f)
	if !ok {
		return nil, false
	}
	u.rules = append(u.rules, rules...)
	selectors, _ := f["selectors"].([]any)
	for _, s := range selectors {
		f, ok := fields(s)
		if !ok {
			return nil, false
		}
		rules, ok := u.scope(f)
		if !ok {
			return nil, false
		}
		u.rules = append(u.rules, "("+strings.Join(rules, " ")+")")
	}
	return u, true
}

// scope reads keys, channels and commands of a user or a selector. It knows what is in it, for these are rules that an admin gives another.
func (u *user) scope(f map[string]any) (rules []string, ok bool) {
	keys, ok1 := patterns(f["keys"], "~")
	channels, ok2 := patterns(f["channels"], "&")
	commands, ok3 := f["commands"].(string)
	if !ok1 || !ok2 || !ok3 {
		return nil, false
	}
	rules = append(rules, keys...)
	if _, has := f["channels"]; has { // Redis 6.0 has none
		rules = append(rules, "resetchannels")
	}
	rules = append(rules, channels...)
	u.commands = append(u.commands, commands)
	for _, c := range strings.Fields(commands) {
		if c[0] != '+' && c[0] != '-' {
			return nil, false
		}
		rules = append(rules, c)
	}
	return rules, true
}

// patterns are rules as they are since Redis 7, or of before then without the mark that they begin with.
func patterns(v any, mark string) ([]string, bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case string:
		out := strings.Fields(v)
		for _, p := range out {
			if !strings.HasPrefix(p, mark) && !strings.HasPrefix(p, "%") {
				return nil, false
			}
		}
		return out, true
	}
	out, ok := texts(v)
	for n := range out {
		out[n] = mark + out[n]
	}
	return out, ok
}

// texts are the elements of an array of strings.
func texts(v any) ([]string, bool) {
	list, ok := v.([]any)
	if v != nil && !ok {
		return nil, false
	}
	var out []string
	for _, e := range list {
		text, ok := e.(string)
		if !ok {
			return nil, false
		}
		out = append(out, text)
	}
	return out, true
}

// exchange are the rules that add a password and leave of the others this one alone.
func (u *user) exchange(add, keep string) []string {
	out := []string{"#" + add}
	for _, h := range u.hashes {
		if h != add && h != keep {
			out = append(out, "!"+h)
		}
	}
	return out
}

// ordinary refuses users that an admin's rights are not used for: those which may change the server or its users, and those which
// somebody turned off.
func (u *user) ordinary() error {
	if u == nil {
		return nil
	}
	if u.off {
		return rotation.Because(rotation.ErrInvalid, "user %s is turned off: ACL SETUSER %s on", u.username, u.username)
	}
	for _, commands := range u.commands {
		if command := mighty(commands); command != "" {
			return rotation.Because(rotation.ErrPermission, "user %s may run %s, which no application needs; an admin's rights are not used to change it: "+
				"ACL SETUSER %s -@admin, or rotate it with its own secret and without adminSecretRef", u.username, strings.ToUpper(command), u.username)
		}
	}
	return nil
}

// reserved are the commands by which a user changes the server or its users, reads what is not in its keys, or takes all data away. All
// are of the categories admin, slow and dangerous.
var reserved = []string{
	"acl", "config", "module", "debug", "shutdown", "replicaof", "slaveof", "failover", "cluster", "monitor", "psync", "sync", "replconf",
}

// open are subcommands of theirs that clients use.
var open = []string{
	"acl|whoami", "acl|cat", "acl|genpass", "acl|help", "config|help", "module|help", "debug|help", "cluster|help", "cluster|info", "cluster|slots", "cluster|shards",
	"cluster|nodes", "cluster|keyslot", "cluster|countkeysinslot", "cluster|getkeysinslot", "cluster|myid", "cluster|myshardid", "cluster|links",
}

// mighty is one of the reserved commands that rules allow, empty if there is none. Rules apply in their order.
func mighty(rules string) string {
	allowed := map[string]bool{}
	set := func(yes bool, commands ...string) {
		for _, c := range commands {
			allowed[c] = yes
		}
	}
	for _, rule := range strings.Fields(strings.ToLower(rules)) {
		yes, what := rule[0] == '+', rule[1:]
		container, _, sub := strings.Cut(what, "|")
		switch {
		case what == "@all", what == "@admin", what == "@slow", what == "@dangerous":
			if !yes {
				clear(allowed)
			}
			set(yes, reserved...)
		case !slices.Contains(reserved, container), slices.Contains(open, what):
		case !sub: // the command, and all of its subcommands
			for c := range allowed {
				if strings.HasPrefix(c, what+"|") {
					delete(allowed, c)
				}
			}
			set(yes, what)
		default: // one subcommand. Taking it away leaves the others.
			set(yes, what)
		}
	}
	var out []string
	for c, yes := range allowed {
		if yes {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return ""
	}
	return slices.Min(out)
}
