package sqlserver

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	mssql "github.com/microsoft/go-mssqldb"

	"strongroom.dev/strongroom/internal/core/rotation"
)

func TestNamesAndStringsAreQuoted(t *testing.T) {
	for text, want := range map[string][2]string{
		"shop":            {"[shop]", "N'shop'"},
		"":                {"[]", "N''"},
		"a]b":             {"[a]]b]", "N'a]b'"},
		"]] --":           {"[]]]] --]", "N']] --'"},
		"a'b":             {"[a'b]", "N'a''b'"},
		"'; DROP --":      {"['; DROP --]", "N'''; DROP --'"},
		`a"b[c`:           {`[a"b[c]`, `N'a"b[c'`},
		"日本 ＇ \U0001f511": {"[日本 ＇ \U0001f511]", "N'日本 ＇ \U0001f511'"},
	} {
		if got := identifier(text); got != want[0] {
			t.Errorf("%q: %s", text, got)
		}
		if got := literal(text); got != want[1] {
			t.Errorf("%q: %s", text, got)
		}
	}
}

// unquoted reads what is quoted as T-SQL does: it ends at the first quote that is not doubled.
func unquoted(text, open string, quote byte) (string, bool) {
	rest, ok := strings.CutPrefix(text, open)
	var out []byte
	for n := 0; ok && n < len(rest); n++ {
		if rest[n] == quote {
			if n+1 == len(rest) {
				return string(out), true
			}
			if n++; rest[n] != quote {
				return "", false
			}
		}
		out = append(out, rest[n])
	}
	return "", false
}

func FuzzWhatIsQuotedIsReadAsItWas(f *testing.F) {
	for _, text := range []string{"shop", "a]b", "a'b", "]]'''", "\\", "日本"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, ok := unquoted(identifier(text), "[", ']'); !ok || got != text {
			t.Errorf("%q became %q", text, got)
		}
		if got, ok := unquoted(literal(text), "N'", '\''); !ok || got != text {
			t.Errorf("%q became %q", text, got)
		}
		if checkName(text) == nil && strings.ContainsAny(text, "\r\n\\\x00") {
			t.Errorf("%q is taken", text)
		}
	})
}

func TestWhatOneHasBecomesWhatTheOtherHas(t *testing.T) {
	table := securable{class: classObject, name: "SELECT", schema: "s", object: "t"}
	price, cost := table, table
	price.column, cost.column = "price", "cost"
	schema := securable{class: classSchema, name: "INSERT", schema: "s"}
	for _, tt := range []struct {
		what          string
		first, second permissions
		want          []string
	}{
		{"nothing", nil, nil, nil},
		{"the same", permissions{table: granted, price: denied}, permissions{table: granted, price: denied}, nil},
		{"all of it", permissions{table: granted, schema: grantable, {name: "DELETE"}: denied}, nil, []string{
			"DENY DELETE TO [b] CASCADE", "GRANT SELECT ON OBJECT::[s].[t] TO [b]", "GRANT INSERT ON SCHEMA::[s] TO [b] WITH GRANT OPTION",
		}},
		{"less", permissions{}, permissions{table: granted, schema: denied}, []string{
			"REVOKE SELECT ON OBJECT::[s].[t] FROM [b] CASCADE", "REVOKE INSERT ON SCHEMA::[s] FROM [b] CASCADE",
		}},
		{"no right to hand on", permissions{schema: granted}, permissions{schema: grantable}, []string{"REVOKE GRANT OPTION FOR INSERT ON SCHEMA::[s] FROM [b] CASCADE"}},
		{"a right to hand on", permissions{schema: grantable}, permissions{schema: granted}, []string{"GRANT INSERT ON SCHEMA::[s] TO [b] WITH GRANT OPTION"}},
		{"denied instead", permissions{schema: denied}, permissions{schema: grantable}, []string{"DENY INSERT ON SCHEMA::[s] TO [b] CASCADE"}},
		{"columns of a table", permissions{table: granted, price: denied, cost: revoked}, nil, []string{
			"GRANT SELECT ON OBJECT::[s].[t] TO [b]", "REVOKE SELECT ON OBJECT::[s].[t] ([cost]) FROM [b] CASCADE", "DENY SELECT ON OBJECT::[s].[t] ([price]) TO [b] CASCADE",
		}},
		{"a column that the table's grant would free", permissions{table: grantable, price: denied}, permissions{table: granted, price: denied}, []string{
			"GRANT SELECT ON OBJECT::[s].[t] TO [b] WITH GRANT OPTION", "DENY SELECT ON OBJECT::[s].[t] ([price]) TO [b] CASCADE",
		}},
		{"a type and a collection", permissions{{class: classType, name: "CONTROL", schema: "s", object: "m"}: granted, {class: classXMLSchemaCollection, name: "EXECUTE", schema: "s", object: "x"}: granted},
			nil, []string{"GRANT CONTROL ON TYPE::[s].[m] TO [b]", "GRANT EXECUTE ON XML SCHEMA COLLECTION::[s].[x] TO [b]"}},
	} {
		if got := changes(tt.first, tt.second, "b"); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %q", tt.what, got)
		}
	}
	if got := members([]string{"a", "c]d"}, []string{"a", "e"}, "b"); !reflect.DeepEqual(got, []string{"ALTER ROLE [c]]d] ADD MEMBER [b]", "ALTER ROLE [e] DROP MEMBER [b]"}) {
		t.Errorf("%q", got)
	}
}

func TestAnswersThatAreNotUnderstoodAreNoRights(t *testing.T) {
	good := row{"5", "1", "SELECT", "G", "0", "dbo", "t", ""}
	if own, err := parseDatabasePermissions([]row{good}, 5); err != nil || len(own) != 1 {
		t.Error(own, err)
	}
	if own, err := parseDatabasePermissions([]row{good}, 6); err != nil || len(own) != 0 {
		t.Error("a role's are its own:", own, err)
	}
	for what, change := range map[string]func(row) row{
		"a column less":           func(r row) row { return r[:7] },
		"no class":                func(r row) row { r[1] = "x"; return r },
		"another class":           func(r row) row { r[1] = "25"; return r },
		"a statement as a name":   func(r row) row { r[2] = "SELECT TO [x]; --"; return r },
		"no name":                 func(r row) row { r[2] = ""; return r },
		"another state":           func(r row) row { r[3] = "X"; return r },
		"no state":                func(r row) row { r[3] = ""; return r },
		"no schema":               func(r row) row { r[5] = ""; return r },
		"no object":               func(r row) row { r[6] = ""; return r },
		"a column without a name": func(r row) row { r[4] = "3"; return r },
		"a schema without a name": func(r row) row { r[1], r[5] = "3", ""; return r },
		"the server's own":        func(r row) row { r[5] = "SYS"; return r },
		"the whole database":      func(r row) row { r[1], r[2] = "0", "CONTROL"; return r },
	} {
		r := change(append(row{}, good...))
		if own, err := parseDatabasePermissions([]row{r}, 6); err == nil {
			t.Errorf("%s: %v", what, own)
		}
	}
	for _, r := range []row{{"100", "CONTROL SERVER", "G"}, {"100", "CONNECT SQL", "W"}, {"105", "CONNECT", "G"}, {"100", "CONNECT SQL"}, {"100", "connect", "G"}} {
		if own, err := parseServerPermissions([]row{r}); err == nil {
			t.Errorf("%v: %v", r, own)
		}
	}
	if own, err := parseServerPermissions([]row{{"100", "CONNECT SQL", "G"}, {"100", "VIEW ANY DATABASE", "D"}, {"100", "VIEW ANY DATABASE", "G"}}); err != nil ||
		own[securable{class: classServer, name: "VIEW ANY DATABASE"}] != denied {
		t.Error("a denial counts more than what others grant:", own, err)
	}
}

func TestALoginIsReadAsTheServerHasIt(t *testing.T) {
	good := row{"260", "shop", "S", "0x0A1B", "0", "shop", "1", "0"}
	l, err := parseLogin([]row{good})
	if err != nil || !reflect.DeepEqual(l, &login{id: 260, name: "shop", sid: "0x0A1B", database: "shop", policy: true}) {
		t.Errorf("%+v, %v", l, err)
	}
	if l, err := parseLogin(nil); l != nil || err != nil {
		t.Error(l, err)
	}
	for what, tt := range map[string]struct {
		at   int
		text string
		want error
	}{
		"no number": {0, "x", rotation.ErrServer}, "a statement as a SID": {3, "0x01; DROP LOGIN x", rotation.ErrServer}, "no SID": {3, "0x", rotation.ErrServer},
		"a long SID": {3, "0x" + strings.Repeat("A", 171), rotation.ErrServer}, "sa": {3, "0x01", rotation.ErrPermission}, "the first": {0, "1", rotation.ErrPermission},
		"the server's": {1, "##x##", rotation.ErrPermission}, "Windows's": {2, "U", rotation.ErrInvalid}, "disabled": {4, "1", rotation.ErrInvalid},
	} {
		r := append(row{}, good...)
		r[tt.at] = tt.text
		if l, err := parseLogin([]row{r}); !errors.Is(err, tt.want) {
			t.Errorf("%s: %+v, %v", what, l, err)
		}
	}
	for what, rows := range map[string][]row{"two": {good, good}, "a column less": {good[:7]}} {
		if l, err := parseLogin(rows); !errors.Is(err, rotation.ErrServer) {
			t.Errorf("%s: %+v, %v", what, l, err)
		}
	}
}

func FuzzNothingOfTheServersAnswersEndsAStatement(f *testing.F) {
	f.Add("1", "SELECT", "G", "0", "dbo", "t", "")
	f.Add("1", "UPDATE", "D", "3", "d]bo", "t; --", "c])")
	f.Add("3", "CONTROL", "W", "0", "s'", "", "")
	f.Add("0", "CREATE TABLE", "G", "0", "", "", "")
	f.Fuzz(func(t *testing.T, class, name, state, minor, schema, object, column string) {
		own, err := parseDatabasePermissions([]row{{"5", class, name, state, minor, schema, object, column}}, 5)
		if err != nil {
			return
		}
		for _, statement := range changes(own, nil, "b") {
			outside, within := "", false
			for n := 0; n < len(statement); n++ {
				switch c := statement[n]; {
				case within && c == ']' && n+1 < len(statement) && statement[n+1] == ']':
					n++
				case within && c == ']', !within && c == '[':
					within = !within
				case !within:
					outside += string(c)
				}
			}
			if within || strings.Trim(outside, "ABCDEFGHIJKLMNOPQRSTUVWXYZ :.()") != "" {
				t.Errorf("%q: %q", statement, outside)
			}
		}
	})
}

func TestWhoIsOfAContainedDatabase(t *testing.T) {
	login, contained := &principal{}, &principal{contained: true}
	for what, tt := range map[string]struct {
		of      survey
		like    string
		want    bool
		refused bool
	}{
		"nobody":                                {survey{}, "", false, false},
		"nobody of a contained database":        {survey{isolated: true}, "", true, false},
		"a login's user of one":                 {survey{isolated: true, user: login}, "", false, false},
		"a user with a password":                {survey{isolated: true, user: contained}, "", true, false},
		"the second of one with a password":     {survey{isolated: true, pattern: contained}, "a", true, false},
		"the second of a login":                 {survey{isolated: true, pattern: login}, "a", false, false},
		"a login's and one with a password":     {survey{isolated: true, user: login, pattern: contained}, "a", false, true},
		"one with a password and a login's":     {survey{isolated: true, user: contained, pattern: login}, "a", false, true},
		"nobody of Azure":                       {survey{cloud: true}, "", true, false},
		"a user with a password of Azure":       {survey{cloud: true, user: contained}, "", true, false},
		"a login's of Azure":                    {survey{cloud: true, user: login}, "", false, true},
		"the second of a login's user of Azure": {survey{cloud: true, pattern: login}, "a", false, true},
	} {
		got, err := tt.of.contained("b", tt.like)
		if got != tt.want || (err != nil) != tt.refused || err != nil && !errors.Is(err, rotation.ErrInvalid) {
			t.Errorf("%s: %v, %v", what, got, err)
		}
	}
}

func TestTheErrorThatSaysWhyIsTold(t *testing.T) {
	errs := func(numbers ...int32) error {
		var all []mssql.Error
		for _, n := range numbers {
			all = append(all, mssql.Error{Number: n, Message: "canary"})
		}
		last := all[len(all)-1]
		last.All = all
		return last
	}
	for _, tt := range []struct {
		err  error
		want error
	}{
		{errs(18456), rotation.ErrRefused}, {errs(4060, 18456), rotation.ErrBarred}, {errs(4064, 18456), rotation.ErrBarred}, {errs(18488), rotation.ErrExpired},
		{errs(15118), rotation.ErrPassword}, {errs(50000, 15151), rotation.ErrPermission}, {errs(50000), rotation.ErrServer}, {errors.New("canary"), rotation.ErrUnreachable},
	} {
		if got := causeOf(tt.err); !errors.Is(got, tt.want) || strings.Contains(got.Error(), "canary") {
			t.Errorf("%v: %v", tt.err, got)
		}
	}
	if got := causeOf(errs(18456)); errors.Is(got, rotation.ErrBarred) {
		t.Error(got)
	}
	for number, known := range causes {
		if known.text == "" || number <= 0 {
			t.Errorf("%d: %+v", number, known)
		}
	}
}
